/* See ahead.h. */
#include "ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept_fields.h"
#include "message_file.h"
#include "pipeline.h"

#define READ_IN_A_ROW 24                 /* messages after which those that follow are read ahead */
#define RUN           64                 /* messages that a thread does at once */
#define RUNS          16                 /* of them at a time, done or not */
#define RUNS_FIRST    2                  /* at first: they become more while all are used */
#define HELD_MAX      ((size_t)16 << 20) /* octets that are held at a time, from which on no more is done ahead */
#define HEADER_USUAL  4096               /* octets in which most headers end */
#define FILE_MAX      ((size_t)4 << 20)  /* octets of a file that a thread reads */
#define OPENED        4                  /* files that a thread has open: the kernel fetches those to come meanwhile */
#define RUN_KEPT      ((size_t)1 << 20)  /* ... of one run, from which on its memory is not kept for the next */

/* Messages that follow one another. */
struct run {
    struct ahead *ahead;
    uint32_t first, count, used; /* sequence numbers; used: by the session */
    struct buf paths;            /* each ended by NUL */
    struct ahead_message messages[RUN];
    struct buf results;  /* records and fields */
    struct arena *texts; /* of rows */
    size_t held;
};

/* A file that the kernel fetches. */
struct opened {
    struct ahead_message *message;
    int file;
};

struct ahead {
    unsigned wants;
    uint32_t last;             /* the last message that the command can want */
    uint32_t recent, in_a_row; /* the last message that was read, and how many were before it, with itself */
    struct pipeline *pipeline; /* NULL: nothing is done ahead */
    uint32_t next;             /* the message that the next run begins with */
    unsigned runs;             /* that may be under way */
    int directory;             /* the folder's */
    atomic_size_t held;        /* octets in runs that are not released */
};

/* ---- in the threads */

static bool want(const struct run *run, enum ahead_wants what) {
    return run->ahead->wants & (unsigned)what;
}

/* Reads what is wanted of the file. False: this is for the session to do, or to be waited for. */
static bool read_file(const struct run *run, struct ahead_message *message, int file, enum message_reading how,
                      struct buf *bytes) {
    struct stat status;
    struct str header;
    bool whole;
    if (message->looked) {
        if (fstat(file, &status) < 0) return false;
        message->date = status.st_mtim.tv_sec;
        message->size = (uint64_t)status.st_size;
    }
    if (want(run, AHEAD_STRUCTURE)) return message_file_read(file, how, message->size, FILE_MAX, bytes);
    if (!message_file_read_header(file, how, bytes, &header, &whole)) return false;
    buf_truncate(bytes, header.length);
    return true;
}

/* Texts are offsets until the run is done: the buffer moves. */
static struct str put(struct run *run, size_t from) {
    return str_make((const char *)from, run->results.length - from);
}

static bool parse(struct run *run, struct ahead_message *message, struct str bytes) {
    size_t begin = run->results.length;
    if (want(run, AHEAD_STRUCTURE)) {
        imap_structure_build(bytes, &run->results);
        message->record = put(run, begin);
    }
    begin = run->results.length;
    if (want(run, AHEAD_FIELDS)) {
        kept_fields_append(&run->results, bytes);
        message->fields = put(run, begin);
    }
    if (want(run, AHEAD_ROW)) {
        struct str fields = str_from_offset(buf_str(&run->results), begin);
        message->has_row = true;
        message->row_refused = !message_row_make(&message->row, fields, run->texts);
    }
    return (!want(run, AHEAD_STRUCTURE) || message->record.length > 0) &&
           (!want(run, AHEAD_FIELDS) || message->fields.length > 0);
}

/* What is no file, but has come into the place of one, does not hold us up. */
static int open_file(const struct run *run, const struct ahead_message *message) {
    return openat(run->ahead->directory, run->paths.data + message->path,
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static size_t octets(const struct run *run) {
    return run->results.length + (run->texts ? arena_used(run->texts) : 0);
}

/* A message of which everything was read; counts what is held. */
static void take(struct run *run, struct ahead_message *message, struct str bytes) {
    size_t before = octets(run);
    message->done = parse(run, message, bytes);
    size_t more = octets(run) - before;
    run->held += more;
    atomic_fetch_add(&run->ahead->held, more);
}

static void finish(struct run *run, struct ahead_message *message, int file, struct buf *bytes) {
    if (read_file(run, message, file, READ_WAITING, bytes)) take(run, message, buf_str(bytes));
    close(file);
}

/* What is at hand is read at once; what is not, the kernel is told to fetch while others are read. */
static void read_messages(struct run *run, struct buf *bytes) {
    struct opened waiting[OPENED];
    unsigned first = 0, last = 0;
    for (uint32_t i = 0; i < run->count && atomic_load(&run->ahead->held) < HELD_MAX; i++) {
        struct ahead_message *message = &run->messages[i];
        int file = open_file(run, message);
        if (file < 0) continue;
        if (read_file(run, message, file, READ_AT_HAND, bytes)) {
            take(run, message, buf_str(bytes));
            close(file);
            continue;
        }
        (void)posix_fadvise(file, 0, want(run, AHEAD_STRUCTURE) ? 0 : HEADER_USUAL, POSIX_FADV_WILLNEED);
        if (last - first == OPENED) {
            finish(run, waiting[first % OPENED].message, waiting[first % OPENED].file, bytes);
            first++;
        }
        waiting[last++ % OPENED] = (struct opened){message, file};
    }
    for (; first < last; first++)
        finish(run, waiting[first % OPENED].message, waiting[first % OPENED].file, bytes);
}

static void work(void *job, void *scratch) {
    struct run *run = job;
    read_messages(run, scratch);
    for (uint32_t i = 0; i < run->count; i++) {
        struct ahead_message *message = &run->messages[i];
        message->record.data = run->results.data + (size_t)message->record.data;
        message->fields.data = run->results.data + (size_t)message->fields.data;
    }
}

static void free_run(void *job) {
    struct run *run = job;
    buf_free(&run->paths);
    buf_free(&run->results);
    arena_destroy(&run->texts);
}

static void free_scratch(void *scratch) {
    buf_free(scratch);
}

static const struct pipeline_kind kind = {.job_size = sizeof(struct run),
                                          .scratch_size = sizeof(struct buf),
                                          .work = work,
                                          .free_job = free_run,
                                          .free_scratch = free_scratch};

/* ---- in the session */

/* Makes a run of the messages from the next one on. */
static void fill(struct ahead *ahead, const struct folder *folder, struct run *run) {
    run->ahead = ahead;
    run->first = ahead->next;
    run->count = ahead->last - ahead->next < RUN ? ahead->last - ahead->next + 1 : RUN;
    run->used = 0;
    run->held = 0;
    buf_clear(&run->paths);
    if (run->results.length > RUN_KEPT) buf_free(&run->results);
    buf_clear(&run->results);
    arena_destroy(&run->texts);
    if (ahead->wants & AHEAD_ROW) run->texts = arena_create(0);
    for (uint32_t i = 0; i < run->count; i++) {
        struct folder_message facts;
        folder_message_known(folder, run->first + i, &facts);
        bool look = (ahead->wants & AHEAD_STRUCTURE) &&
                    (facts.internal_date == FOLDER_DATE_UNKNOWN || facts.size == FOLDER_SIZE_UNKNOWN);
        run->messages[i] = (struct ahead_message){.uid = facts.uid,
                                                  .looked = look,
                                                  .date = facts.internal_date,
                                                  .size = facts.size,
                                                  .path = run->paths.length};
        folder_file_path(folder, run->first + i, &run->paths);
        buf_append_char(&run->paths, '\0');
    }
    ahead->next += run->count;
}

static void stop(struct ahead *ahead) {
    pipeline_destroy(&ahead->pipeline);
    ahead->in_a_row = 0;
    atomic_store(&ahead->held, 0);
}

/* The oldest run is over. What was read for nothing says that reading ahead is of no use here. */
static void release(struct ahead *ahead, const struct run *run) {
    bool useful = run->used >= run->count / 2;
    atomic_fetch_sub(&ahead->held, run->held);
    pipeline_release(ahead->pipeline);
    if (useful && ahead->runs < RUNS) ahead->runs++;
    if (!useful) stop(ahead);
}

static void hand_in(struct ahead *ahead, const struct folder *folder) {
    while (ahead->next <= ahead->last && pipeline_count(ahead->pipeline) < ahead->runs) {
        struct run *run = pipeline_vacant(ahead->pipeline);
        if (!run) return;
        fill(ahead, folder, run);
        pipeline_hand_in(ahead->pipeline);
    }
}

/* Counts the messages that were read one after the other, and begins when they are enough. */
static void consider(struct imap_session *session, uint32_t sequence) {
    struct ahead *ahead = session->ahead;
    if (sequence == ahead->recent) return;
    ahead->in_a_row = sequence == ahead->recent + 1 ? ahead->in_a_row + 1 : 1;
    ahead->recent = sequence;
    if (ahead->in_a_row < READ_IN_A_ROW || ahead->last < sequence + RUN) return;
    ahead->next = sequence + 1;
    ahead->runs = RUNS_FIRST;
    ahead->directory = folder_descriptor(session->folder);
    ahead->pipeline = pipeline_create(&kind, session->settings->read_threads, RUNS);
    hand_in(ahead, session->folder);
}

/* The run that a message is in; NULL: it is in none. */
static struct run *find_run(struct ahead *ahead, uint32_t sequence) {
    for (const struct run *oldest; ahead->pipeline && (oldest = pipeline_oldest(ahead->pipeline));) {
        if (sequence < oldest->first) return NULL;
        struct run *run = pipeline_take(ahead->pipeline);
        if (sequence - run->first < run->count) return run;
        release(ahead, run);
    }
    return NULL;
}

const struct ahead_message *ahead_get(struct imap_session *session, uint32_t sequence, uint32_t uid,
                                      unsigned want_now) {
    struct ahead *ahead = session->ahead;
    if (!ahead || (ahead->wants & want_now) != want_now || sequence > ahead->last) return NULL;
    struct run *run = find_run(ahead, sequence);
    if (!ahead->pipeline) {
        consider(session, sequence);
        return NULL;
    }
    if (!run && ahead->next <= sequence) ahead->next = sequence + 1;
    hand_in(ahead, session->folder);
    if (!run) return NULL;
    const struct ahead_message *message = &run->messages[sequence - run->first];
    if (!message->done || message->uid != uid) return NULL;
    if (sequence != ahead->recent) run->used++;
    ahead->recent = sequence;
    return message;
}

void ahead_end(struct imap_session *session) {
    if (session->ahead) stop(session->ahead);
    MEMORY_FREE(session->ahead);
}

void ahead_plan(struct imap_session *session, unsigned wants, uint32_t last) {
    ahead_end(session);
    if (wants == 0 || session->settings->read_threads == 0 || last < READ_IN_A_ROW + RUN) return;
    session->ahead = MEMORY_NEW(struct ahead);
    session->ahead->wants = wants;
    session->ahead->last = last;
}
