/* The next attempt: how it is chosen, where it is kept, and who is taken up again.
 *
 * The wait grows with the message's age: as long as it has waited already, at least
 * minimal_backoff_time and at most maximal_backoff_time.
 *
 * The order of the index and the files: the index is committed before a file moves
 * from new/ to cur/, so that all of cur/ is in the index; an entry without a file is
 * harmless and goes when it is met. Entries stay while their message is active. */
#include "qmgr.h"
#include "log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t next_attempt_after(const struct config *config, int64_t arrival, int64_t now) {
    int64_t wait = now - arrival;
    if (wait < config->minimal_backoff_time) wait = config->minimal_backoff_time;
    if (wait > config->maximal_backoff_time) wait = config->maximal_backoff_time;
    return now + wait;
}

/* ---- entries: "LAST-ATTEMPT domain domain ..." */

static void format_sites(const struct queue_envelope *envelope, int64_t now, struct buf *sites) {
    buf_append_u64(sites, (uint64_t)now);
    struct str last = STR_EMPTY;
    for (size_t i = 0; i < envelope->recipient_count && !buf_overflowed(sites); i++) {
        const struct queue_recipient *recipient = &envelope->recipients[i];
        if (recipient->state != QUEUE_RECIPIENT_WAITING) continue;
        size_t at = str_find_last(recipient->address, '@');
        struct str domain = at == STR_NONE ? recipient->address : str_from_offset(recipient->address, at + 1);
        if (str_equal_nocase(domain, last)) continue;
        last = domain;
        buf_append_char(sites, ' ');
        buf_append(sites, domain);
    }
}

static void note_trouble(struct qmgr *qmgr, const struct failure *failure) {
    if (!qmgr->index_broken) log_warning("%s; the index is made anew when qmgr starts again", failure->text);
    qmgr->index_broken = true;
}

bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when) {
    struct failure failure = {0};
    if (!qmgr->schedule) return false; /* draining: the successor reads the date from the file */
    struct buf sites = buf_make(380);
    format_sites(&message->envelope, clock_date() / CLOCK_SECOND, &sites);
    bool good = schedule_put(qmgr->schedule, str_from(message->queue_id), when, buf_str(&sites), &failure) &&
                schedule_commit(qmgr->schedule, &failure);
    buf_free(&sites);
    if (!good) note_trouble(qmgr, &failure);
    if (message->deferred) return good;
    if (good && renameat(qmgr->new, message->queue_id, qmgr->cur, message->queue_id) == 0) {
        message->deferred = true;
        return true;
    }
    /* It stays in new/, where the next scan finds it: nothing is lost, only the wait is. */
    if (good)
        log_message_warning(str_from(message->queue_id), "cannot move the queue file to cur: %s; tried again at the next queue run",
                            strerror(errno));
    qmgr->incoming_overflow = true;
    return false;
}

void deferred_forget(struct qmgr *qmgr, struct str queue_id) {
    struct failure failure = {0};
    if (!qmgr->schedule) return; /* the successor drops the entry when it finds no file */
    if (!schedule_remove(qmgr->schedule, queue_id, &failure)) note_trouble(qmgr, &failure);
}

/* ---- rebuilding from the files */

struct rebuild {
    struct qmgr *qmgr;
    DIR *listing;
    size_t count;
    struct { char queue_id[QUEUE_ID_SIZE]; int64_t when; struct buf sites; } rows[256];
    bool end;
};

static void read_row(struct rebuild *rebuild, const char *name) {
    int file = openat(rebuild->qmgr->cur, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return;
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope = {.next_attempt = 0};
    uint64_t events_end;
    /* What cannot be read is scheduled at once: taking it up then says what is wrong with it. */
    bool good = queue_file_read(file, arena, &header, &envelope, &events_end, NULL);
    size_t row = rebuild->count++;
    snprintf(rebuild->rows[row].queue_id, QUEUE_ID_SIZE, "%s", name);
    rebuild->rows[row].when = good ? envelope.next_attempt : 0;
    rebuild->rows[row].sites = buf_make(380);
    if (good) format_sites(&envelope, 0, &rebuild->rows[row].sites);
    arena_destroy(&arena);
    close(file);
}

static void read_batch(void *argument) {
    struct rebuild *rebuild = argument;
    rebuild->count = 0;
    while (rebuild->count < ARRAY_LENGTH(rebuild->rows)) {
        struct dirent *entry = readdir(rebuild->listing);
        if (!entry) {
            rebuild->end = true;
            return;
        }
        if (queue_id_is_valid(str_from(entry->d_name))) read_row(rebuild, entry->d_name);
    }
}

static void rebuild_task(void *argument) {
    struct qmgr *qmgr = argument;
    struct rebuild *rebuild = MEMORY_NEW(struct rebuild);
    struct failure failure = {0};
    size_t total = 0;
    rebuild->qmgr = qmgr;
    int copy = openat(qmgr->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rebuild->listing = copy < 0 ? NULL : fdopendir(copy);
    while (rebuild->listing && !rebuild->end && !qmgr->draining) {
        task_run_blocking(read_batch, rebuild);
        for (size_t i = 0; i < rebuild->count && qmgr->schedule; i++) {
            int64_t when;
            struct str queue_id = str_from(rebuild->rows[i].queue_id);
            if (!schedule_find(qmgr->schedule, queue_id, &when) &&
                !schedule_put(qmgr->schedule, queue_id, rebuild->rows[i].when, buf_str(&rebuild->rows[i].sites), &failure))
                note_trouble(qmgr, &failure);
            buf_free(&rebuild->rows[i].sites);
        }
        total += rebuild->count;
        if (qmgr->schedule && !schedule_commit(qmgr->schedule, &failure)) note_trouble(qmgr, &failure);
        task_queue_wake_one(&qmgr->deferred_wait);
    }
    if (rebuild->listing) closedir(rebuild->listing);
    if (total) log_info("the schedule index was made anew from %zu deferred messages", total);
    MEMORY_FREE(rebuild);
}

struct lock_call {
    int folder, error_number;
};

static void call_lock(void *argument) {
    struct lock_call *call = argument;
    while ((call->error_number = flock(call->folder, LOCK_EX) < 0 ? errno : 0) == EINTR) continue;
}

bool deferred_open(struct qmgr *qmgr, struct str boot_identity, struct failure *failure) {
    bool empty;
    if (mkdirat(qmgr->queue, "schedule", 0700) < 0 && errno != EEXIST)
        return failure_set_errno(failure, errno, "cannot make the folder of the schedule index");
    qmgr->index_lock = openat(qmgr->queue, "schedule", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (qmgr->index_lock < 0) return failure_set_errno(failure, errno, "cannot open the folder of the schedule index");
    struct lock_call call = {.folder = qmgr->index_lock};
    task_run_blocking(call_lock, &call);
    if (call.error_number) return failure_set_errno(failure, call.error_number, "cannot lock the schedule index");
    if (!schedule_open("schedule", boot_identity, &qmgr->schedule, &empty, failure)) return false;
    if (empty && !task_start("rebuild", rebuild_task, qmgr)) return failure_set(failure, "out of resources");
    return true;
}

void deferred_close(struct qmgr *qmgr) {
    schedule_close(&qmgr->schedule);
    if (qmgr->index_lock >= 0) close(qmgr->index_lock);
    qmgr->index_lock = -1;
}

/* ---- taking up again */

static bool site_matches(const struct qmgr *qmgr, struct str sites) {
    if (!qmgr->flush_site[0]) return true;
    struct str word;
    while (str_next_word(&sites, " ", &word))
        if (str_equal_nocase(word, str_from(qmgr->flush_site))) return true;
    return false;
}

static int64_t last_attempt_of(struct str sites) {
    struct str word;
    uint64_t date;
    return str_next_word(&sites, " ", &word) && str_to_u64(word, INT64_MAX, &date) ? (int64_t)date : 0;
}

/* Walks the whole index once from the flush position, taking up what was not tried since the flush began. */
static void run_flush(struct qmgr *qmgr) {
    struct str sites;
    while (qmgr->flush_all && qmgr_has_room(qmgr, true)) {
        if (!schedule_next(qmgr->schedule, &qmgr->flush_position, qmgr->flush_id, &sites)) {
            qmgr->flush_all = false;
            return;
        }
        if (last_attempt_of(sites) <= qmgr->flush_started && site_matches(qmgr, sites))
            message_activate(qmgr, str_from(qmgr->flush_id), true, true, true);
    }
}

/* Takes up what is due; returns how long until the next is, in ms. */
static int64_t run_due(struct qmgr *qmgr) {
    int64_t when = 0, now = clock_date() / CLOCK_SECOND;
    char queue_id[QUEUE_ID_SIZE] = "";
    struct str sites;
    while (qmgr_has_room(qmgr, true)) {
        if (!schedule_next(qmgr->schedule, &when, queue_id, &sites)) return 60000;
        if (when > now) return (when - now) * 1000 < 60000 ? (when - now) * 1000 : 60000;
        message_activate(qmgr, str_from(queue_id), true, true, false);
    }
    return 1000;
}

void deferred_task(void *argument) {
    struct qmgr *qmgr = argument;
    while (!qmgr->draining && !task_is_cancelled(task_current())) {
        struct failure failure = {0};
        run_flush(qmgr);
        int64_t wait = qmgr->flush_all ? 1000 : run_due(qmgr);
        if (!schedule_commit(qmgr->schedule, &failure)) note_trouble(qmgr, &failure);
        enum wait_result ignored = task_queue_wait(&qmgr->deferred_wait, deadline_in(wait));
        (void)ignored; /* due, or woken: look again */
    }
}
