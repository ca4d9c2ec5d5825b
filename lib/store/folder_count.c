/* Counting the sizes of many messages: threads open and read the files, some of which the disk may have to bring; what
 * they find the folder notes, in order. What a thread cannot have (a file that is called otherwise by now) is counted
 * as any single one is. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_count.h"
#include "folder_message.h"
#include "folder_view.h"
#include "pipeline.h"
#include "store_root.h"

#define RUN    64 /* messages that a thread counts at once */
#define RUNS   16 /* of them at a time, done or not */
#define OPENED 4  /* files that a thread has open: the kernel fetches those to come meanwhile */
#define FEW    64 /* messages for which no thread is worth it */

struct counted {
    uint32_t sequence, uid;
    size_t path;
    bool look, done; /* look: nothing is known of the file */
    int64_t date;
    uint64_t size, virtual_size;
};

struct count_run {
    int directory;
    struct buf paths; /* each ended by NUL */
    uint32_t count;
    struct counted messages[RUN];
};

/* ---- in the threads */

/* What is no file, but has come into the place of one, does not hold us up. */
static int open_file(const struct count_run *run, const struct counted *message) {
    int file = openat(run->directory, run->paths.data + message->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0) (void)posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
    return file;
}

static bool count(struct counted *message, int file) {
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) return false;
    if (message->date == FOLDER_DATE_UNKNOWN) message->date = status.st_mtim.tv_sec;
    message->size = (uint64_t)status.st_size;
    return file_count(file, message->size, &message->virtual_size);
}

static void work(void *job, void *scratch) {
    struct count_run *run = job;
    int files[OPENED];
    (void)scratch;
    for (uint32_t i = 0, opened = 0; i < run->count; i++) {
        for (; opened < run->count && opened < i + OPENED; opened++)
            files[opened % OPENED] = open_file(run, &run->messages[opened]);
        run->messages[i].done = count(&run->messages[i], files[i % OPENED]);
        if (files[i % OPENED] >= 0) close(files[i % OPENED]);
    }
}

static void free_run(void *job) {
    buf_free(&((struct count_run *)job)->paths);
}

static void free_scratch(void *scratch) {
    (void)scratch;
}

static const struct pipeline_kind kind = {.job_size = sizeof(struct count_run),
                                          .scratch_size = 1,
                                          .work = work,
                                          .free_job = free_run,
                                          .free_scratch = free_scratch};

/* ---- in the session */

/* An empty file counts as one octet when it is read: 0 stands for "not counted". */
static bool is_counted(const struct folder_message *message) {
    return message->virtual_size > 0 || message->size == 0;
}

/* Fills a run with messages from *next on. */
static void fill(const struct folder *folder, struct count_run *run, uint32_t *next, uint32_t last) {
    run->directory = folder->directory;
    run->count = 0;
    buf_clear(&run->paths);
    for (; *next <= last && run->count < RUN; ++*next) {
        struct folder_message message;
        folder_message_known(folder, *next, &message);
        if (is_counted(&message)) continue;
        run->messages[run->count++] = (struct counted){.sequence = *next,
                                                       .uid = message.uid,
                                                       .path = run->paths.length,
                                                       .look = message.size == FOLDER_SIZE_UNKNOWN,
                                                       .date = message.internal_date};
        folder_file_path(folder, *next, &run->paths);
        buf_append_char(&run->paths, '\0');
    }
}

/* One that is gone counts nothing. */
static bool count_alone(struct folder *folder, uint32_t sequence, struct failure *failure) {
    uint64_t size;
    failure->error_number = 0;
    return folder_virtual_size(folder, sequence, &size, failure) || failure->error_number == 0;
}

static bool take(struct folder *folder, const struct count_run *run, struct failure *failure) {
    for (uint32_t i = 0; i < run->count; i++) {
        const struct counted *message = &run->messages[i];
        if (!message->done) {
            if (!count_alone(folder, message->sequence, failure)) return false;
            continue;
        }
        if (message->look) folder_note_look(folder, message->uid, message->date, message->size);
        folder_note_virtual_size(folder, message->uid, message->virtual_size);
    }
    return true;
}

static bool count_by_threads(struct folder *folder, struct failure *failure) {
    uint32_t next = 1, last = folder_count(folder);
    struct pipeline *pipeline = pipeline_create(&kind, folder->store->options.read_threads, RUNS);
    bool good = true;
    while (good && (next <= last || pipeline_count(pipeline) > 0)) {
        for (struct count_run *run; next <= last && (run = pipeline_vacant(pipeline));) {
            fill(folder, run, &next, last);
            pipeline_hand_in(pipeline);
        }
        good = take(folder, pipeline_take(pipeline), failure);
        pipeline_release(pipeline);
    }
    pipeline_destroy(&pipeline);
    return good;
}

enum store_result folder_count_all(struct folder *folder, struct failure *failure) {
    uint32_t last = folder_count(folder);
    bool good = true;
    if (folder->state.header.uncounted > FEW && folder->store->options.read_threads > 0) {
        good = count_by_threads(folder, failure);
    } else {
        for (uint32_t sequence = 1; good && sequence <= last; sequence++) {
            struct folder_message message;
            folder_message_known(folder, sequence, &message);
            good = is_counted(&message) || count_alone(folder, sequence, failure);
        }
    }
    folder_remember(folder);
    return good ? STORE_OK : store_trouble(failure);
}
