/* The end of a pass: which notices are asked for, in which order, and what is still owed when one cannot be written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "qmgr_fixture.h"
#include "queue_fixture.h"
#include "record.h"

static struct qmgr_fixture fixture;
static struct queue_fixture queue;
static char asked[100];  /* "KIND*ROWS " for each notice */
static unsigned refused; /* the kind of notice that cannot be written; 99: none */
static bool removed, deferred;

/* ---- what finish.c and message.c ask of others */

enum ipc_result ipc_ask(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                        enum ipc_type answer_type, deadline until, struct arena *arena, struct ipc_reply *reply,
                        struct failure *failure) {
    const struct ipc_bounce_send *request = message;
    (void)client, (void)type, (void)descriptor, (void)answer_type, (void)until, (void)failure;
    size_t length = strlen(asked);
    snprintf(asked + length, sizeof asked - length, "%u*%u ", (unsigned)request->kind, request->recipients.count);
    if (request->kind == refused) return IPC_UNREACHABLE;
    struct ipc_bounce_sent *sent = ARENA_NEW(arena, struct ipc_bounce_sent);
    sent->queue_id = STR("ZZZZZZZ");
    reply->message = sent;
    return IPC_OK;
}

struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *context) {
    (void)service, (void)name, (void)on_notify, (void)context;
    return NULL;
}
enum resolve_result resolve_recipient(struct resolve *resolve, struct str address, struct str sender, deadline until,
                                      struct arena *arena, struct ipc_lookup_resolved *answer,
                                      struct failure *failure) {
    (void)resolve, (void)address, (void)sender, (void)until, (void)arena, (void)answer, (void)failure;
    return RESOLVE_RETRY;
}
bool change_at_rest(struct qmgr *qmgr, const char *name, enum queue_change change) {
    (void)qmgr, (void)name, (void)change;
    abort(); /* nobody wishes it */
}
void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id, int file) {
    (void)qmgr, (void)folder, (void)queue_id;
    close(file);
    removed = true;
}
bool queue_move(struct qmgr *qmgr, int from, int to, const char *name, int *error_number) {
    (void)qmgr, (void)from, (void)to, (void)name, (void)error_number;
    return false;
}
bool queue_has_other_name(struct qmgr *qmgr, int folder, const char *name) {
    (void)qmgr, (void)folder, (void)name;
    return false;
}
bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when) {
    (void)qmgr, (void)message, (void)when;
    return deferred = true;
}
void deferred_forget(struct qmgr *qmgr, struct str queue_id) {
    (void)qmgr, (void)queue_id;
}
int64_t next_attempt_after(const struct config *config, int64_t arrival, int64_t now) {
    (void)config, (void)arrival;
    return now + 300;
}
void incoming_again(struct qmgr *qmgr, int64_t milliseconds) {
    (void)qmgr, (void)milliseconds;
}

/* ---- the stage */

static int setup(void **state) {
    (void)state;
    asked[0] = '\0';
    removed = deferred = false;
    qmgr_fixture_make(&fixture, "");
    if (!fixture_make(&queue) || !loop_create(NULL, NULL)) return -1;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loop_destroy();
    fixture_remove(&queue);
    qmgr_fixture_end(&fixture);
    return 0;
}

static void finish(void *message) {
    message_finish(message);
}

/* Whether the events from an offset on have one of the type. */
static bool has_event(int file, uint64_t offset, char wanted) {
    char bytes[4096], type;
    ssize_t got = pread(file, bytes, sizeof bytes, (off_t)offset);
    struct str rest = str_make(bytes, got > 0 ? (size_t)got : 0), fields;
    while (record_next(&rest, &type, &fields))
        if (type == wanted) return true;
    return false;
}

/* A pass with two recipients ends. True if it was noted that the report is sent. */
static bool play(unsigned report, int64_t report_sent, const struct queue_recipient recipients[2], bool expire) {
    int64_t now = clock_date() / CLOCK_SECOND;
    assert_true(fixture_add(
        &queue, &(struct fixture_message){"new", "AAAAAA1", "s@x.test", "r@a.test", "", "text\n", NULL, now}));
    struct message *message = message_create(&fixture.qmgr, STR("AAAAAA1"));
    int file = openat(queue.queue, "new/AAAAAA1", O_RDWR | O_CLOEXEC), kept = dup(file);
    message->file = file;
    message->wish_expire = expire;
    assert_true(
        queue_file_read(file, message->arena, &message->header, &message->envelope, &message->events_end, NULL));
    struct queue_recipient *copies = arena_allocate(message->arena, 2, sizeof *copies);
    copies[0] = recipients[0], copies[1] = recipients[1];
    copies[0].address = STR("r@a.test"), copies[1].address = STR("q@a.test");
    message->envelope.recipients = copies;
    message->envelope.recipient_count = 2;
    message->envelope.report = report;
    message->envelope.report_sent = report_sent;
    uint64_t begin = message->events_end;
    fixture.qmgr.active_recipients = 2;
    assert_true(task_start("finish", finish, message));
    loop_run();
    bool noted = has_event(kept, begin, EVENT_REPORT);
    close(kept);
    return noted;
}

#define DONE(action_)                                                                                                  \
    { .state = QUEUE_RECIPIENT_DONE, .action = (action_), .last_attempt = 5 }
#define FAILED                                                                                                         \
    { .state = QUEUE_RECIPIENT_FAILED, .action = DELIVERY_FAILED, .last_attempt = 5 }
#define DELIVERED                                                                                                      \
    { .state = QUEUE_RECIPIENT_DELIVERED, .action = DELIVERY_DELIVERED, .last_attempt = 5 }
#define TRIED                                                                                                          \
    { .state = QUEUE_RECIPIENT_WAITING, .action = DELIVERY_DEFERRED, .last_attempt = 5 }
#define UNTRIED                                                                                                        \
    { .state = QUEUE_RECIPIENT_WAITING }
#define NONE_REFUSED 99

static void test_what_is_owed(void **state) {
    static const struct {
        unsigned report;
        int64_t report_sent;
        struct queue_recipient recipients[2];
        bool expire;
        unsigned refused;
        const char *asked;
        bool removed, report_noted;
    } rows[] = {
        {REPORT_NONE, 0, {DONE(0), DONE(0)}, false, NONE_REFUSED, "", true, false},
        {REPORT_NONE, 0, {FAILED, DELIVERED}, false, NONE_REFUSED, "0*1 2*1 ", true, false},
        {REPORT_NONE, 0, {FAILED, TRIED}, false, NONE_REFUSED, "0*1 ", false, false},
        /* after delivery: at once, of all, and once; the others are told as ever */
        {REPORT_DELIVERY, 0, {DONE(0), DONE(1)}, false, NONE_REFUSED, "3*2 ", true, true},
        {REPORT_DELIVERY, 0, {DONE(0), TRIED}, false, NONE_REFUSED, "3*2 ", false, true},
        {REPORT_DELIVERY, 0, {FAILED, TRIED}, false, NONE_REFUSED, "0*1 3*2 ", false, true},
        {REPORT_DELIVERY, 7, {FAILED, TRIED}, false, NONE_REFUSED, "0*1 ", false, false},
        {REPORT_DELIVERY, 7, {DONE(0), DONE(0)}, false, NONE_REFUSED, "", true, false},
        {REPORT_DELIVERY, 0, {DELIVERED, DONE(0)}, false, NONE_REFUSED, "3*2 ", true, true}, /* told once */
        {REPORT_DELIVERY, 7, {DELIVERED, DONE(0)}, false, NONE_REFUSED, "2*1 ", true, false},
        {REPORT_DELIVERY, 0, {DONE(0), UNTRIED}, false, NONE_REFUSED, "", false, false}, /* a pass that was cut short */
        {REPORT_DELIVERY, 0, {DONE(0), UNTRIED}, true, NONE_REFUSED, "0*1 3*2 ", true, true},
        {REPORT_DELIVERY, 0, {DONE(0), DONE(0)}, false, NOTICE_REPORT, "3*2 ", false, false},
        {REPORT_DELIVERY, 0, {DELIVERED, DONE(0)}, false, NOTICE_REPORT, "3*2 ", false, false},
        /* probes: one report, whatever it says, and no other notice */
        {REPORT_VERIFY, 0, {DONE(0), DONE(5)}, false, NONE_REFUSED, "4*2 ", true, true},
        {REPORT_VERIFY, 0, {DONE(4), DONE(5)}, false, NONE_REFUSED, "4*2 ", true, true},
        {REPORT_VERIFY, 0, {DONE(4), UNTRIED}, false, NONE_REFUSED, "", false, false},
        {REPORT_VERIFY, 0, {DONE(0), UNTRIED}, true, NONE_REFUSED, "4*2 ", true, true},
        {REPORT_VERIFY, 0, {DONE(0), DONE(5)}, false, NOTICE_PROBE, "4*2 ", false, false},
        {REPORT_VERIFY, 7, {DONE(0), DONE(5)}, false, NONE_REFUSED, "", true, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (i) assert_int_equal(setup(state), 0);
        char about[20];
        snprintf(about, sizeof about, "row %zu", i);
        refused = rows[i].refused;
        bool noted = play(rows[i].report, rows[i].report_sent, rows[i].recipients, rows[i].expire);
        expect_text(about, asked, rows[i].asked);
        if (removed != rows[i].removed || deferred == rows[i].removed) fail_msg("%s: removed %d", about, removed);
        if (noted != rows[i].report_noted) fail_msg("%s: the report's event", about);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_what_is_owed, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
