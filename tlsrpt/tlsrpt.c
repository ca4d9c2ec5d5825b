/* tlsrpt: gathers what became of TLS with other domains' servers, and reports it to them (RFC 8460).
 *
 *   TLSRPT_RESULT   gather.c    counted by domain and UTC day
 *                   journal.c   on disk
 *   TLSRPT_LIST     here        for tern tlsrpt
 *   TLSRPT_SEND     send.c      now; else at each domain's own moment after midnight
 *                   letter.c    as mail, through cleanup
 *
 * It is no part of fetch, which reads what strange web servers say: this
 * process may put mail into the queue, and hears of everybody that mail goes to. */
#include "tlsrpt.h"

#include "log.h"

#include <sys/file.h>
#include <unistd.h>

enum {
    REQUESTS_AT_ONCE = 1000,
    SAVE_PAUSE = 5, /* seconds between two looks at what has changed and what is due */
    LOCK_PAUSE_MS = 50,
    LOAD_PATIENCE_MS = 20000,
    DRAIN_PATIENCE_MS = 180000, /* for what is being sent */
};

/* ---- requests of tern */

static bool is_operator(struct ipc_request *request) {
    uint32_t uid = ipc_peer_uid(request->peer);
    return uid == 0 || uid == (uint32_t)geteuid();
}

static void serve_list(struct ipc_request *request, struct tlsrpt *tlsrpt) {
    const struct ipc_tlsrpt_list *question = request->message;
    struct ipc_tlsrpt_listed answer = {.more = false};
    struct buf rows = buf_make(60000);
    uint64_t number = 0;
    for (const struct report *report = tlsrpt->reports; report && !answer.more; report = report->next) {
        if (number++ < question->skip) continue;
        struct ipc_tlsrpt_gathered row = {.domain = str_from(report->domain),
                                          .begin = (uint64_t)report->begin,
                                          .due = (uint64_t)report->due,
                                          .closed = report->closed,
                                          .record = str_slice(tlsrpt_day_record(report->day), 0, 1000)};
        size_t before = rows.length;
        tlsrpt_day_counts(report->day, &row.success, &row.failure);
        if (ipc_list_add(IPC_ROW_TLSRPT_GATHERED, &row, &rows, &answer.reports.count)) continue;
        buf_truncate(&rows, before);
        answer.more = true;
    }
    answer.reports.packed = buf_str(&rows);
    if (!ipc_answer(request, IPC_TLSRPT_LISTED, &answer, -1))
        ipc_answer_failed(request, 451, "4.3.0", "the answer does not fit");
    buf_free(&rows);
}

/* The next report that is not being sent and has not been tried in this round. */
static struct report *next_to_send(struct tlsrpt *tlsrpt, struct str domain, int64_t round) {
    for (struct report *report = tlsrpt->reports; report; report = report->next)
        if (!report->sending && report->closed && report->due <= round &&
            (domain.length == 0 || str_equal_nocase(str_from(report->domain), domain)))
            return report;
    return NULL;
}

/* All that was there when it was asked for; those that fail are due later than that. */
static void serve_send(struct ipc_request *request, struct tlsrpt *tlsrpt) {
    const struct ipc_tlsrpt_send *question = request->message;
    struct ipc_tlsrpt_sent answer = {.sent = 0};
    struct report *report;
    for (report = tlsrpt->reports; report; report = report->next)
        if (!report->sending &&
            (question->domain.length == 0 || str_equal_nocase(str_from(report->domain), question->domain)))
            gather_close_now(tlsrpt, report);
    int64_t round = tlsrpt_now();
    while ((report = next_to_send(tlsrpt, question->domain, round)) != NULL) {
        if (send_report(tlsrpt, report))
            answer.sent++;
        else
            answer.failed++;
    }
    journal_save(tlsrpt);
    (void)ipc_answer(request, IPC_TLSRPT_SENT, &answer, -1);
}

/* What is in memory is not all until then. */
static bool wait_until_loaded(const struct tlsrpt *tlsrpt) {
    deadline until = deadline_in(LOAD_PATIENCE_MS);
    while (!tlsrpt->loaded && deadline_left(until) > 0)
        if (task_sleep(LOCK_PAUSE_MS) == WAIT_CANCELLED) break;
    return tlsrpt->loaded;
}

static void serve_operator(struct ipc_request *request, struct tlsrpt *tlsrpt) {
    if (!wait_until_loaded(tlsrpt))
        ipc_answer_failed(request, 451, "4.3.0", "an older process still has the journal");
    else if (request->type == IPC_TLSRPT_LIST)
        serve_list(request, tlsrpt);
    else
        serve_send(request, tlsrpt);
}

static void dispatch(struct ipc_request *request, void *context) {
    struct tlsrpt *tlsrpt = context;
    bool of_operator = request->type == IPC_TLSRPT_LIST || request->type == IPC_TLSRPT_SEND;
    bool of_service = ipc_peer_service(request->peer).length > 0;
    if (request->type == IPC_TLSRPT_RESULT && of_service)
        gather_result(tlsrpt, request->message);
    else if (of_operator && is_operator(request))
        serve_operator(request, tlsrpt);
    else
        ipc_answer_failed(request, 550, "5.7.1", "tlsrpt does not serve %s to you", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, REQUESTS_AT_ONCE, dispatch, service_context(service));
}

/* ---- the daemon */

static void tick(struct service *service) {
    struct tlsrpt *tlsrpt = service_context(service);
    if (!tlsrpt->loaded || service_is_draining(service)) return;
    gather_close_days(tlsrpt);
    journal_save(tlsrpt);
    send_due(tlsrpt);
}

/* master starts the process for this, so that reports go out on a day without mail, too. */
static void wake(struct service *service) {
    (void)service;
}

/* The successor waits for the lock: what is being sent is sent by this process, and once. */
static void drain(struct service *service) {
    struct tlsrpt *tlsrpt = service_context(service);
    deadline until = deadline_in(DRAIN_PATIENCE_MS);
    while (tlsrpt->sending > 0 && deadline_left(until) > 0 && task_sleep(LOCK_PAUSE_MS) != WAIT_CANCELLED)
        ;
    if (!tlsrpt->loaded) return;
    journal_save(tlsrpt);
    flock(tlsrpt->directory, LOCK_UN);
}

/* Results that come before the older process has written its own down are kept in memory. */
static void take_over(void *argument) {
    struct tlsrpt *tlsrpt = argument;
    while (!journal_lock(tlsrpt))
        if (task_sleep(LOCK_PAUSE_MS) == WAIT_CANCELLED) return;
    struct report *early = gather_set_aside(tlsrpt);
    journal_load(tlsrpt);
    gather_add_again(tlsrpt, early);
    gather_close_days(tlsrpt);
    tlsrpt->loaded = true;
}

static bool start(struct service *service, struct failure *failure) {
    struct tlsrpt *tlsrpt = MEMORY_NEW(struct tlsrpt);
    tlsrpt->service = service;
    tlsrpt->config = service_config(service);
    tlsrpt->directory = service_directory(service);
    tlsrpt->fetch = service_client(service, "fetch", NULL, NULL);
    tlsrpt->intake = intake_source_create(service_client(service, "cleanup", NULL, NULL), tlsrpt->config);
    tlsrpt->open = map_create();
    service_set_context(service, tlsrpt);
    return task_start("take over", take_over, tlsrpt) || failure_set(failure, "no stack for a task");
}

static const struct service_declaration declaration = {
    .program = "tlsrpt",
    .start = start,
    .session = session,
    .wake = wake,
    .tick = tick,
    .tick_seconds = SAVE_PAUSE,
    .drain = drain,
    .session_limit = 1000,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
