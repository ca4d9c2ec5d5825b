/* See logins.h. */
#include "logins.h"
#include "log.h"
#include "log_text.h"
#include "login_usage.h"
#include "qmgr.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME     "logins"
#define FILE_NAME_NEW "logins.new"
#define FILE_MOST     ((size_t)64 << 20)
#define WRITE_SECONDS 5
#define BRAKES_MOST   100 /* an hour: a smtpd that was taken over shall not stop everybody's mail */

struct logins {
    struct map *usages; /* lower case login to login_usage */
    bool changed, writing;
    int64_t write_at;   /* seconds */
    int64_t brake_hour; /* seconds: since when brakes are counted */
    unsigned brakes;
};

int64_t logins_today(void) {
    return clock_date() / CLOCK_SECOND;
}

/* Logins are the same in upper and lower case, as smtpd_sender_login_maps has it. */
static void fold(struct str login, struct buf *key) {
    login = str_slice(login, 0, LOGIN_NAME_MAX);
    for (size_t i = 0; i < login.length; i++)
        buf_append_char(key, ascii_lower(login.data[i]));
}

struct login_usage *logins_find(const struct qmgr *qmgr, struct str login) {
    struct buf key = buf_make(0);
    fold(login, &key);
    struct login_usage *usage = qmgr->logins ? map_get(qmgr->logins->usages, buf_str(&key)) : NULL;
    buf_free(&key);
    return usage;
}

/* Room is made by forgetting who has been idle, and then who was used longest ago; never who is on hold. */
static void make_room(struct qmgr *qmgr) {
    struct map *usages = qmgr->logins->usages;
    struct str login, oldest = STR_EMPTY;
    int64_t now = logins_today(), oldest_used = INT64_MAX;
    size_t at = 0;
    void *value;
    while (map_next(usages, &at, &login, &value)) {
        struct login_usage *usage = value;
        if (login_usage_is_idle(usage, now)) {
            map_remove(usages, login);
            MEMORY_FREE(usage);
        } else if (!usage->held && usage->used < oldest_used) {
            oldest_used = usage->used;
            oldest = login;
        }
    }
    if (map_count(usages) < (size_t)qmgr->config->login_count_limit || oldest.length == 0) return;
    struct login_usage *gone = map_remove(usages, oldest);
    MEMORY_FREE(gone);
}

struct login_usage *logins_get(struct qmgr *qmgr, struct str login) {
    struct login_usage *usage = logins_find(qmgr, login);
    if (usage) return usage;
    size_t most = (size_t)qmgr->config->login_count_limit;
    if (map_count(qmgr->logins->usages) >= most) make_room(qmgr);
    if (map_count(qmgr->logins->usages) >= most) return NULL;
    struct buf key = buf_make(0);
    fold(login, &key);
    usage = MEMORY_NEW(struct login_usage);
    usage->begun = usage->brake_begun = logins_today();
    map_put(qmgr->logins->usages, buf_str(&key), usage);
    buf_free(&key);
    return usage;
}

struct map *logins_usages(const struct qmgr *qmgr) {
    return qmgr->logins->usages;
}

void logins_note_change(struct qmgr *qmgr, bool at_once) {
    struct logins *logins = qmgr->logins;
    int64_t when = at_once ? 0 : logins_today() + WRITE_SECONDS;
    if (!logins->changed || when < logins->write_at) logins->write_at = when;
    logins->changed = true;
}

/* ---- the file */

static void load(struct qmgr *qmgr, struct str bytes) {
    struct str login;
    struct login_usage read;
    while (map_count(qmgr->logins->usages) < (size_t)qmgr->config->login_count_limit &&
           login_usage_next(&bytes, &login, &read)) {
        struct login_usage *usage = logins_get(qmgr, login);
        if (usage) *usage = read;
    }
    if (bytes.length)
        log_warning("the end of the queue's file " FILE_NAME " does not read: what accounts have sent is counted anew");
}

void logins_open(struct qmgr *qmgr) {
    struct stat status;
    struct buf bytes = buf_make(FILE_MOST);
    qmgr->logins = MEMORY_NEW(struct logins);
    qmgr->logins->usages = map_create();
    int file = openat(qmgr->queue, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 && errno == ENOENT) return;
    bool good = file >= 0 && fstat(file, &status) == 0 && status.st_size <= (off_t)FILE_MOST;
    for (ssize_t got = 1; good && got > 0;) {
        char piece[65536];
        got = read(file, piece, sizeof piece);
        good = got >= 0;
        if (got > 0) buf_append_bytes(&bytes, piece, (size_t)got);
    }
    if (good)
        load(qmgr, buf_str(&bytes));
    else
        log_warning("cannot read the queue's file " FILE_NAME ": %s; what accounts have sent is counted anew",
                    strerror(errno));
    if (file >= 0) close(file);
    buf_free(&bytes);
}

struct writing {
    struct qmgr *qmgr;
    struct buf bytes;
    int error_number;
};

static void call_write(void *argument) {
    struct writing *writing = argument;
    int folder = writing->qmgr->queue;
    int file = openat(folder, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct str left = buf_str(&writing->bytes);
    bool good = file >= 0;
    while (good && left.length) {
        ssize_t written = write(file, left.data, left.length);
        good = written > 0 || (written < 0 && errno == EINTR);
        if (written > 0) left = str_from_offset(left, (size_t)written);
    }
    good = good && fsync(file) == 0 && renameat(folder, FILE_NAME_NEW, folder, FILE_NAME) == 0;
    writing->error_number = good ? 0 : errno;
    if (file >= 0) close(file);
}

static void pack(struct qmgr *qmgr, struct buf *bytes) {
    struct str login;
    int64_t now = logins_today();
    size_t at = 0;
    void *value;
    qmgr->logins->changed = false;
    while (map_next(qmgr->logins->usages, &at, &login, &value))
        if (!login_usage_is_idle(value, now)) login_usage_pack(bytes, login, value);
}

static void complain(struct qmgr *qmgr, const struct writing *writing) {
    if (writing->error_number == 0) return;
    log_warning("cannot write the queue's file " FILE_NAME ": %s; tried again later", strerror(writing->error_number));
    qmgr->logins->changed = true;
    qmgr->logins->write_at = logins_today() + 12 * WRITE_SECONDS;
}

static void write_task(void *argument) {
    struct qmgr *qmgr = argument;
    struct writing writing = {.qmgr = qmgr, .bytes = buf_make(FILE_MOST)};
    pack(qmgr, &writing.bytes);
    task_run_blocking(call_write, &writing);
    qmgr->logins->writing = false;
    complain(qmgr, &writing);
    buf_free(&writing.bytes);
}

void logins_tick(struct qmgr *qmgr) {
    struct logins *logins = qmgr->logins;
    if (!logins || !logins->changed || logins->writing || qmgr->draining || logins_today() < logins->write_at) return;
    logins->writing = task_start("logins", write_task, qmgr);
}

/* The successor reads it as soon as the index is let go. */
void logins_close(struct qmgr *qmgr) {
    while (qmgr->logins && qmgr->logins->writing)
        task_sleep(5);
    if (!qmgr->logins || !qmgr->logins->changed) return;
    struct writing writing = {.qmgr = qmgr, .bytes = buf_make(FILE_MOST)};
    pack(qmgr, &writing.bytes);
    call_write(&writing);
    complain(qmgr, &writing);
    buf_free(&writing.bytes);
}

/* ---- the brake */

static bool may_brake(struct logins *logins) {
    int64_t now = logins_today();
    if (now < logins->brake_hour || now >= logins->brake_hour + 3600) {
        logins->brake_hour = now;
        logins->brakes = 0;
    }
    return ++logins->brakes <= BRAKES_MOST;
}

static void brake_is_on(struct qmgr *qmgr, struct str login, struct login_usage *usage) {
    char shown[2 * LOGIN_NAME_MAX];
    if (!may_brake(qmgr->logins)) {
        if (qmgr->logins->brakes == BRAKES_MOST + 1)
            log_warning("more than %d accounts would be put on hold within an hour: no more are", BRAKES_MOST);
        usage->held = 0;
        usage->reason[0] = '\0';
        return;
    }
    log_warning("account %s: %s: its mail is placed on hold", log_text(shown, sizeof shown, login), usage->reason);
    logins_note_change(qmgr, true);
    logins_tell(qmgr, login, str_from(usage->reason));
}

bool logins_is_held(const struct qmgr *qmgr, struct str login) {
    const struct login_usage *usage = login.length ? logins_find(qmgr, login) : NULL;
    return usage && usage->held;
}

void logins_bounced(struct qmgr *qmgr, struct str login) {
    struct login_usage *usage = login.length ? logins_find(qmgr, login) : NULL;
    const struct login_event event = {.bounced = 1};
    if (!usage) return; /* whose use is not counted has no brake */
    if (login_usage_add(usage, &event, logins_today()))
        brake_is_on(qmgr, login, usage);
    else
        logins_note_change(qmgr, false);
}

/* ---- LOGIN_USE */

static void take_limits(const struct ipc_login_use *use, struct login_limits *limits) {
    *limits = (struct login_limits){.most = {use->message_limit, use->recipient_limit, use->byte_limit},
                                    .window = (int64_t)use->window,
                                    .brake = {use->brake_sudden, use->brake_rejected, use->brake_bounced},
                                    .brake_window = (int64_t)use->brake_window};
}

/* "your account may send 500 messages within 1 hour" */
static void append_limit(const struct login_usage *usage, enum login_counter counter, struct buf *text) {
    static const char *const verbs[LOGIN_COUNTERS] = {"send", "write to", "send"}, *const nouns[LOGIN_COUNTERS] = {
                                                                                       "messages", "recipients",
                                                                                       "bytes"};
    buf_printf(text, "your account may %s %llu %s within ", verbs[counter],
               (unsigned long long)usage->limits.most[counter], nouns[counter]);
    login_append_time(text, usage->limits.window);
}

static void log_limit(const struct ipc_login_use *use, const struct login_usage *usage, enum login_counter counter,
                      enum login_verdict verdict) {
    static const char *const words[LOGIN_COUNTERS] = {"Message", "Recipient", "Byte"};
    char shown[2 * LOGIN_NAME_MAX];
    log_warning("%s limit of account %s %s: %llu of %llu from [%.*s]", words[counter],
                log_text(shown, sizeof shown, use->login), verdict == LOGIN_NEVER ? "exceeded at once" : "exceeded",
                (unsigned long long)login_usage_count(usage, counter, logins_today()),
                (unsigned long long)usage->limits.most[counter], STR_ARGS(use->client_address));
}

static void answer_verdict(struct ipc_request *request, const struct login_usage *usage, enum login_verdict verdict,
                           enum login_counter over) {
    struct buf text = buf_make(300);
    if (verdict == LOGIN_HOLD) {
        buf_printf(&text, "account on hold: %s", usage->reason);
    } else if (verdict != LOGIN_GO) {
        append_limit(usage, over, &text);
        buf_append(&text, verdict == LOGIN_LATER ? STR("; try again later") : STR("; this message has more"));
        log_limit(request->message, usage, over, verdict);
    }
    struct ipc_login_used answer = {.verdict = verdict, .text = buf_str(&text)};
    ipc_answer(request, IPC_LOGIN_USED, &answer, -1);
    buf_free(&text);
}

void control_login_use(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_login_use *use = request->message;
    struct login_usage *usage = use->login.length ? logins_get(qmgr, use->login) : NULL;
    struct login_event event = {.messages = use->messages, .recipients = use->recipients, .bytes = use->bytes};
    enum login_counter over = LOGIN_MESSAGES;
    if (!usage) {
        ipc_answer_failed(request, 451, "4.3.2", "too many accounts are on hold");
        return;
    }
    int64_t now = logins_today();
    take_limits(use, &usage->limits);
    enum login_verdict verdict = login_usage_judge(usage, &event, now, &over);
    if (verdict != LOGIN_GO && verdict != LOGIN_HOLD) event = (struct login_event){0}; /* it does not send it */
    event.rejected = use->rejected;
    if (use->charge) {
        if (login_usage_add(usage, &event, now)) brake_is_on(qmgr, use->login, usage);
        if (usage->held && verdict == LOGIN_GO) verdict = LOGIN_HOLD;
        logins_note_change(qmgr, false);
    }
    answer_verdict(request, usage, verdict, over);
}
