/* The next attempt: how it is chosen, and where it is kept.
 *
 * The wait grows with the message's age: as long as it has waited already, at least
 * minimal_backoff_time and at most maximal_backoff_time.
 *
 * The order of the index and the files: the index is committed before a file moves
 * from new/ to cur/, so that all of cur/ is in the index; an entry without a file is
 * harmless and goes when it is met. Entries stay while their message is active.
 * An index that fails is thrown away and made anew from the files. */
#include "qmgr.h"
#include "log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REBUILD_PAUSE 60000 /* ms from one remaking of the index to the next, at least */

int64_t next_attempt_after(const struct config *config, int64_t arrival, int64_t now) {
    int64_t wait = now - arrival;
    if (wait < config->minimal_backoff_time) wait = config->minimal_backoff_time;
    if (wait > config->maximal_backoff_time) wait = config->maximal_backoff_time;
    return now + wait;
}

/* ---- entries: "LAST-ATTEMPT domain domain ...", the date of its beginning in microseconds; "*" as the first domain
 * when there are more than fit. "release" in place of LAST-ATTEMPT: the sender wishes that it waits. */

#define SITES_SIZE ((size_t)380)
static const char any_site[] = "*", for_release[] = "release";

static void format_domains(const struct queue_envelope *envelope, struct buf *sites) {
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

static void format_sites(const struct queue_envelope *envelope, int64_t last_attempt, struct buf *sites) {
    if (envelope->wish.release > clock_date() / CLOCK_SECOND)
        buf_append(sites, str_from(for_release));
    else
        buf_append_u64(sites, (uint64_t)last_attempt);
    size_t begin = sites->length;
    format_domains(envelope, sites);
    if (!buf_overflowed(sites)) return;
    buf_truncate(sites, begin);
    sites->overflow = false;
    buf_printf(sites, " %s", any_site);
}

bool deferred_is_for_site(struct str sites, const char *site) {
    struct str word;
    while (str_next_word(&sites, " ", &word))
        if (str_equal_nocase(word, str_from(site)) || str_equal(word, str_from(any_site))) return true;
    return false;
}

bool deferred_is_for_release(struct str sites) {
    struct str word;
    return str_next_word(&sites, " ", &word) && str_equal(word, str_from(for_release));
}

int64_t deferred_last_attempt(struct str sites) {
    struct str word;
    uint64_t date;
    return str_next_word(&sites, " ", &word) && str_to_u64(word, INT64_MAX, &date) ? (int64_t)date : 0;
}

static void note_trouble(struct qmgr *qmgr, const struct failure *failure) {
    if (!qmgr->index_broken) log_warning("%s; the index is made anew", failure->text);
    qmgr->index_broken = true;
    task_queue_wake_one(&qmgr->deferred_wait);
}

bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when) {
    struct failure failure = {0};
    if (!qmgr->schedule) { /* draining, or the index cannot be made: the date is read from the file later */
        if (!message->deferred && !qmgr->draining) incoming_again(qmgr, 10000);
        return false;
    }
    struct buf sites = buf_make(SITES_SIZE);
    format_sites(&message->envelope, message->activated, &sites);
    bool good = schedule_put(qmgr->schedule, str_from(message->queue_id), when, buf_str(&sites), &failure) &&
                schedule_commit(qmgr->schedule, &failure);
    buf_free(&sites);
    if (!good) note_trouble(qmgr, &failure);
    if (good && when < qmgr->due_at) task_queue_wake_one(&qmgr->deferred_wait);
    if (message->deferred) return good;
    int error_number = 0;
    if (good && queue_move(qmgr, qmgr->new, qmgr->cur, message->queue_id, &error_number)) {
        message->deferred = true;
        return true;
    }
    /* It stays in new/, where the next scan finds it: nothing is lost, only the wait is. */
    if (good)
        log_message_warning(str_from(message->queue_id), "cannot move the queue file to cur: %s; tried again later",
                            strerror(error_number));
    incoming_again(qmgr, 10000);
    return false;
}

void deferred_forget(struct qmgr *qmgr, struct str queue_id) {
    struct failure failure = {0};
    if (!qmgr->schedule) return; /* the successor drops the entry when it finds no file */
    if (!schedule_remove(qmgr->schedule, queue_id, &failure)) note_trouble(qmgr, &failure);
}

void deferred_commit(struct qmgr *qmgr) {
    struct failure failure = {0};
    if (qmgr->schedule && !schedule_commit(qmgr->schedule, &failure)) note_trouble(qmgr, &failure);
}

/* ---- rebuilding from the files */

struct rebuild {
    struct qmgr *qmgr;
    DIR *listing;
    size_t count;
    bool failed; /* something may have been passed over */
    struct {
        char queue_id[QUEUE_ID_SIZE];
        int64_t when;
        struct buf sites;
    } rows[256];
    bool end;
};

static void read_row(struct rebuild *rebuild, const char *name) {
    int file = openat(rebuild->qmgr->cur, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) return;
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope = {.next_attempt = 0};
    uint64_t events_end;
    /* What cannot be read is scheduled at once: taking it up then says what is wrong with it. */
    bool good = file >= 0 && queue_file_read(file, arena, &header, &envelope, &events_end, NULL);
    size_t row = rebuild->count++;
    snprintf(rebuild->rows[row].queue_id, QUEUE_ID_SIZE, "%s", name);
    rebuild->rows[row].when = good ? envelope.next_attempt : 0;
    rebuild->rows[row].sites = buf_make(SITES_SIZE);
    if (good) format_sites(&envelope, 0, &rebuild->rows[row].sites);
    arena_destroy(&arena);
    if (file >= 0) close(file);
}

static void read_batch(void *argument) {
    struct rebuild *rebuild = argument;
    rebuild->count = 0;
    while (rebuild->count < ARRAY_LENGTH(rebuild->rows)) {
        errno = 0;
        struct dirent *entry = readdir(rebuild->listing);
        if (!entry) {
            rebuild->failed = errno != 0;
            rebuild->end = true;
            return;
        }
        if (queue_id_is_valid(str_from(entry->d_name))) read_row(rebuild, entry->d_name);
    }
}

static void put_rows(struct rebuild *rebuild) {
    struct qmgr *qmgr = rebuild->qmgr;
    struct failure failure = {0};
    for (size_t i = 0; i < rebuild->count; i++) {
        int64_t when;
        struct str queue_id = str_from(rebuild->rows[i].queue_id);
        if (qmgr->schedule && !schedule_find(qmgr->schedule, queue_id, &when) &&
            !schedule_put(qmgr->schedule, queue_id, rebuild->rows[i].when, buf_str(&rebuild->rows[i].sites), &failure))
            note_trouble(qmgr, &failure);
        buf_free(&rebuild->rows[i].sites);
    }
    if (qmgr->schedule && !schedule_commit(qmgr->schedule, &failure)) note_trouble(qmgr, &failure);
}

static void rebuild_task(void *argument) {
    struct qmgr *qmgr = argument;
    struct rebuild *rebuild = MEMORY_NEW(struct rebuild);
    struct failure failure = {0};
    size_t total = 0;
    rebuild->qmgr = qmgr;
    int copy = openat(qmgr->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rebuild->listing = copy < 0 ? NULL : fdopendir(copy);
    rebuild->failed = !rebuild->listing;
    if (!rebuild->listing && copy >= 0) close(copy);
    while (rebuild->listing && !rebuild->end && !qmgr->draining && !qmgr->index_broken) {
        task_run_blocking(read_batch, rebuild);
        put_rows(rebuild);
        total += rebuild->count;
        task_queue_wake_one(&qmgr->deferred_wait);
    }
    if (rebuild->listing) closedir(rebuild->listing);
    if (rebuild->failed) {
        failure_set(&failure, "cannot read the queue folder cur");
        note_trouble(qmgr, &failure);
    }
    /* Cut short, it is not said to be filled: whoever opens it next begins anew. */
    if (rebuild->end && !rebuild->failed && !qmgr->index_broken && qmgr->schedule) {
        if (!schedule_filled(qmgr->schedule, &failure)) note_trouble(qmgr, &failure);
        if (total) log_info("the schedule index was made anew from %zu deferred messages", total);
    }
    qmgr->rebuilding = false;
    MEMORY_FREE(rebuild);
}

/* Opens the index and, if it is empty, begins to fill it. */
static bool open_index(struct qmgr *qmgr, struct failure *failure) {
    bool empty;
    if (!schedule_open("schedule", str_from(qmgr->boot_identity), &qmgr->schedule, &empty, failure)) return false;
    if (!empty) return true;
    qmgr->rebuilding = task_start("rebuild", rebuild_task, qmgr);
    return qmgr->rebuilding || failure_set(failure, "out of resources");
}

void deferred_repair(struct qmgr *qmgr) {
    struct failure failure = {0};
    if (!qmgr->index_broken || qmgr->rebuilding || qmgr->draining || deadline_left(qmgr->next_rebuild) > 0) return;
    qmgr->next_rebuild = deadline_in(REBUILD_PAUSE);
    schedule_discard(&qmgr->schedule);
    qmgr->index_broken = !open_index(qmgr, &failure);
    if (qmgr->index_broken) log_warning("%s; deferred mail waits until the index can be made", failure.text);
}

struct lock_call {
    int folder, error_number;
};

static void call_lock(void *argument) {
    struct lock_call *call = argument;
    while ((call->error_number = flock(call->folder, LOCK_EX) < 0 ? errno : 0) == EINTR)
        continue;
}

bool deferred_open(struct qmgr *qmgr, struct failure *failure) {
    if (mkdirat(qmgr->queue, "schedule", 0700) < 0 && errno != EEXIST)
        return failure_set_errno(failure, errno, "cannot make the folder of the schedule index");
    qmgr->index_lock = openat(qmgr->queue, "schedule", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (qmgr->index_lock < 0) return failure_set_errno(failure, errno, "cannot open the folder of the schedule index");
    struct lock_call call = {.folder = qmgr->index_lock};
    task_run_blocking(call_lock, &call);
    if (call.error_number) return failure_set_errno(failure, call.error_number, "cannot lock the schedule index");
    return open_index(qmgr, failure);
}

void deferred_close(struct qmgr *qmgr) {
    if (qmgr->index_broken)
        schedule_discard(&qmgr->schedule);
    else
        schedule_close(&qmgr->schedule);
    if (qmgr->index_lock >= 0) close(qmgr->index_lock);
    qmgr->index_lock = -1;
}
