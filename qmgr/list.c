/* mailq: the queue in portions. The cursor is a phase and a place in it: the folders
 * new and hold by name order of a directory walk, deferred by the schedule index.
 * The names of a portion are gathered first; the files are then read on a helper thread,
 * so that the listing of a large queue, cold on its disk, holds up no delivery. */
#include "qmgr.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PORTION 40
/* A listing holds 60000 bytes of messages: a row is begun below PORTION_BYTES and is no larger than the rest,
 * for its recipients end with the one that passes RECIPIENTS_BYTES. */
#define PORTION_BYTES    ((size_t)26000)
#define RECIPIENTS_BYTES ((size_t)30000)

enum phase { PHASE_NEW = 'n', PHASE_DEFERRED = 'd', PHASE_HOLD = 'h', PHASE_END = 'e' };

/* A message that may be listed, and where the walk stands behind it. */
struct candidate {
    char queue_id[QUEUE_ID_SIZE];
    int64_t place;
    bool active;
};

struct listing {
    struct qmgr *qmgr;
    struct buf rows;
    uint32_t count;
    char phase;
    int64_t place; /* directory position, or a date */
    char queue_id[QUEUE_ID_SIZE];
    /* what is being read */
    int folder;
    const char *queue;
    struct candidate candidates[PORTION];
    size_t candidate_count, read;
};

static bool add_recipients(const struct queue_envelope *envelope, struct buf *rows, uint32_t *count) {
    for (size_t i = 0; i < envelope->recipient_count && rows->length < RECIPIENTS_BYTES; i++) {
        const struct queue_recipient *recipient = &envelope->recipients[i];
        if (recipient->state != QUEUE_RECIPIENT_WAITING && recipient->state != QUEUE_RECIPIENT_FAILED) continue;
        struct ipc_queued_recipient row = {
            .address = recipient->address, .original = recipient->original, .reason = recipient->reason};
        if (!ipc_list_add(IPC_ROW_QUEUED_RECIPIENT, &row, rows, count)) return false;
    }
    return true;
}

/* Reads one file and adds its row; a file that is gone or damaged is passed over. */
static void add_message(struct listing *listing, const struct candidate *candidate) {
    const char *name = candidate->queue_id;
    int file = openat(listing->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return;
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    struct buf recipients = buf_make(0);
    uint32_t recipient_count = 0;
    if (queue_file_read(file, arena, &header, &envelope, &events_end, NULL) &&
        add_recipients(&envelope, &recipients, &recipient_count)) {
        struct ipc_queued row = {
            .queue_id = str_from(name),
            .queue = str_from(candidate->active ? "active" : listing->queue),
            .arrival = (uint64_t)(envelope.arrival / CLOCK_SECOND),
            .size = header.content_length,
            .forced_expire = envelope.force_expire,
            .release = envelope.wish.release > clock_date() / CLOCK_SECOND ? (uint64_t)envelope.wish.release : 0,
            .priority = priority_to_number(envelope.wish.priority),
            .sender = envelope.sender,
            .recipients = {buf_str(&recipients), recipient_count}};
        if (!ipc_list_add(IPC_ROW_QUEUED, &row, &listing->rows, &listing->count)) listing->phase = PHASE_END;
    }
    buf_free(&recipients);
    arena_destroy(&arena);
    close(file);
}

static bool is_full(const struct listing *listing) {
    return listing->count >= PORTION || listing->rows.length >= PORTION_BYTES;
}

/* ---- gathering, on the loop; each adds as many as still fit, and says false at the folder's end */

static void add_candidate(struct listing *listing, const char *name, int64_t place) {
    struct candidate *candidate = &listing->candidates[listing->candidate_count++];
    snprintf(candidate->queue_id, sizeof candidate->queue_id, "%s", name);
    candidate->place = place;
    candidate->active = map_get(listing->qmgr->active, str_from(name)) != NULL;
}

static bool has_enough(const struct listing *listing) {
    return listing->candidate_count + listing->count >= PORTION;
}

static bool gather_from_folder(struct listing *listing) {
    int copy = openat(listing->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry = NULL;
    if (!directory) {
        if (copy >= 0) close(copy);
        return false;
    }
    if (listing->place) seekdir(directory, listing->place);
    while (!has_enough(listing) && (entry = readdir(directory)) != NULL)
        if (queue_id_is_valid(str_from(entry->d_name))) add_candidate(listing, entry->d_name, telldir(directory));
    closedir(directory);
    return entry != NULL;
}

static bool gather_deferred(struct listing *listing) {
    int64_t place = listing->place;
    char queue_id[QUEUE_ID_SIZE];
    struct str sites;
    memcpy(queue_id, listing->queue_id, sizeof queue_id);
    while (!has_enough(listing)) {
        if (!listing->qmgr->schedule || !schedule_next(listing->qmgr->schedule, &place, queue_id, &sites)) return false;
        add_candidate(listing, queue_id, place);
    }
    return true;
}

/* ---- reading, on a helper thread */

static void read_candidates(void *argument) {
    struct listing *listing = argument;
    while (listing->read < listing->candidate_count && !is_full(listing) && listing->phase != PHASE_END)
        add_message(listing, &listing->candidates[listing->read++]);
}

/* Goes on in a folder from the cursor's place; true when the portion is full. */
static bool list_folder(struct listing *listing, int folder, const char *queue) {
    bool more = true;
    listing->folder = folder;
    listing->queue = queue;
    while (more && !is_full(listing) && listing->phase != PHASE_END) {
        listing->candidate_count = listing->read = 0;
        more = listing->phase == PHASE_DEFERRED ? gather_deferred(listing) : gather_from_folder(listing);
        if (listing->candidate_count == 0) continue;
        task_run_blocking(read_candidates, listing);
        const struct candidate *last = &listing->candidates[listing->read - 1];
        listing->place = last->place;
        memcpy(listing->queue_id, last->queue_id, sizeof listing->queue_id);
        more = more || listing->read < listing->candidate_count;
    }
    return more;
}

static void next_phase(struct listing *listing, char phase) {
    listing->phase = phase;
    listing->place = 0;
    listing->queue_id[0] = '\0';
}

/* The cursor's text is "PHASE PLACE ID"; one that does not read starts over. */
static void read_cursor(struct listing *listing, struct str cursor) {
    struct str phase, place;
    next_phase(listing, PHASE_NEW);
    if (!str_next_word(&cursor, " ", &phase) || phase.length != 1 || !str_next_word(&cursor, " ", &place)) return;
    int64_t number;
    if (!str_to_i64(place, 0, INT64_MAX, &number)) return;
    listing->phase = phase.data[0];
    listing->place = number;
    snprintf(listing->queue_id, sizeof listing->queue_id, "%.*s", STR_ARGS(str_trim(cursor)));
}

void control_list(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_list *ask = request->message;
    struct listing listing = {.qmgr = qmgr, .rows = buf_make(0)};
    read_cursor(&listing, ask->after);
    if (listing.phase == PHASE_NEW && !list_folder(&listing, qmgr->new, "incoming"))
        next_phase(&listing, PHASE_DEFERRED);
    if (listing.phase == PHASE_DEFERRED && !list_folder(&listing, qmgr->cur, "deferred"))
        next_phase(&listing, PHASE_HOLD);
    if (listing.phase == PHASE_HOLD && !list_folder(&listing, qmgr->hold, "hold")) next_phase(&listing, PHASE_END);
    char cursor[64];
    snprintf(cursor, sizeof cursor, "%c %lld %s", listing.phase, (long long)listing.place, listing.queue_id);
    struct ipc_qmgr_listed answer = {.cursor = str_from(cursor),
                                     .more = listing.phase != PHASE_END,
                                     .messages = {buf_str(&listing.rows), listing.count}};
    ipc_answer(request, IPC_QMGR_LISTED, &answer, -1);
    buf_free(&listing.rows);
}
