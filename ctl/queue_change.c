/* Operators' wishes done to the files: see queue_change.h. */
#include "queue_change.h"
#include "clock.h"
#include "queue_file.h"
#include "queue_id.h"
#include "queue_tool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool queue_folders_open(int queue, struct queue_folders *folders, struct failure *failure) {
    struct queue_folders opened = {.new = queue_tool_open_folder(queue, "new", failure), .cur = -1, .hold = -1};
    if (opened.new >= 0) opened.cur = queue_tool_open_folder(queue, "cur", failure);
    if (opened.cur >= 0) opened.hold = queue_tool_open_folder(queue, "hold", failure);
    if (opened.hold >= 0) {
        *folders = opened;
        return true;
    }
    if (opened.cur >= 0) close(opened.cur);
    if (opened.new >= 0) close(opened.new);
    return false;
}

bool queue_folders_close(struct queue_folders *folders) {
    int *const all[] = {&folders->new, &folders->cur, &folders->hold};
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        if (fsync(*all[i]) < 0) good = false;
        close(*all[i]);
        *all[i] = -1;
    }
    return good;
}

bool queue_is_named(struct str queues, struct str queue) {
    struct str word;
    if (queues.length == 0) return true;
    while (str_next_word(&queues, " ", &word))
        if (str_equal(word, queue)) return true;
    return false;
}

/* ---- one message */

static enum queue_change_result result_of(bool good, const char *what, struct failure *failure) {
    if (good) return QUEUE_CHANGE_DONE;
    if (errno == ENOENT) return QUEUE_CHANGE_NONE;
    failure_set_errno(failure, errno, "cannot %s", what);
    return QUEUE_CHANGE_FAILED;
}

static enum queue_change_result move(int from, int to, const char *name, struct failure *failure) {
    if (from == to) return QUEUE_CHANGE_DONE;
    /* An ID is never given twice; should a message of this name stand there, it stays. */
    if (faccessat(to, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        failure_set(failure, "a message of the same ID stands in the other folder: see ternsuper -s");
        return QUEUE_CHANGE_FAILED;
    }
    return result_of(renameat(from, name, to, name) == 0, "move the message", failure);
}

/* Appends the event after the last whole one and makes it durable. */
static bool write_expiry(int file, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct buf bytes = buf_make(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t end;
    struct queue_event event = {.type = EVENT_EXPIRE, .when = clock_date() / CLOCK_SECOND};
    bool good = queue_file_read(file, arena, &header, &envelope, &end, failure);
    if (good && (!queue_event_pack(&event, &bytes) ||
                 pwrite(file, bytes.data, bytes.length, (off_t)end) != (ssize_t)bytes.length || fsync(file) < 0))
        good = failure_set_errno(failure, errno, "cannot write to the message");
    buf_free(&bytes);
    arena_destroy(&arena);
    return good;
}

static enum queue_change_result expire(int folder, const char *name, struct failure *failure) {
    struct stat status;
    int file = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return result_of(false, "open the message", failure);
    bool good = (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) || failure_set(failure, "not a plain file");
    good = good && write_expiry(file, failure);
    close(file);
    return good ? QUEUE_CHANGE_DONE : QUEUE_CHANGE_FAILED;
}

static enum queue_change_result change_in(const struct queue_folders *folders, int folder, const char *name,
                                          enum queue_change change, struct failure *failure) {
    switch (change) {
    case QUEUE_DELETE:
        return result_of(unlinkat(folder, name, 0) == 0, "delete the message", failure);
    case QUEUE_HOLD:
        return folder == folders->hold ? QUEUE_CHANGE_NONE : move(folder, folders->hold, name, failure);
    case QUEUE_RELEASE:
        return folder != folders->hold ? QUEUE_CHANGE_NONE : move(folder, folders->new, name, failure);
    case QUEUE_REQUEUE:
        return move(folder, folders->new, name, failure);
    case QUEUE_EXPIRE:
    case QUEUE_EXPIRE_RELEASE: {
        enum queue_change_result result = expire(folder, name, failure);
        bool stays = folder == folders->hold && change == QUEUE_EXPIRE;
        return result != QUEUE_CHANGE_DONE || stays ? result : move(folder, folders->new, name, failure);
    }
    }
    return QUEUE_CHANGE_NONE;
}

/* A crash in the middle of a move leaves two names of one file: hold/ counts more than cur/, cur/ more than new/. */
static void keep_one_name(const int *folders, size_t count, const char *name) {
    struct stat kept, other;
    for (size_t i = 0; i < count; i++) {
        if (fstatat(folders[i], name, &kept, AT_SYMLINK_NOFOLLOW) < 0 || kept.st_nlink < 2) continue;
        for (size_t j = 0; j < i; j++)
            if (fstatat(folders[j], name, &other, AT_SYMLINK_NOFOLLOW) == 0 && other.st_ino == kept.st_ino &&
                other.st_dev == kept.st_dev)
                unlinkat(folders[j], name, 0);
    }
}

enum queue_change_result queue_change_one(const struct queue_folders *folders, const char *queue_id,
                                          enum queue_change change, struct failure *failure) {
    const int all[] = {folders->new, folders->cur, folders->hold};
    keep_one_name(all, ARRAY_LENGTH(all), queue_id);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if (faccessat(all[i], queue_id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return change_in(folders, all[i], queue_id, change, failure);
    return QUEUE_CHANGE_NONE;
}

/* ---- all */

/* Removing and renaming what readdir has just returned does not disturb what it returns next. */
static bool change_folder(const struct queue_folders *folders, int folder, const struct queue_wish *wish,
                          uint64_t *count, struct failure *failure) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    bool good = true;
    if (!listing) {
        if (copy >= 0) close(copy);
        return failure_set_errno(failure, errno, "cannot read a folder of the queue");
    }
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (!queue_id_is_valid(str_from(entry->d_name))) continue;
        switch (change_in(folders, folder, entry->d_name, wish->change, failure)) {
        case QUEUE_CHANGE_DONE:
            ++*count;
            wish->told(entry->d_name, wish->change, wish->context);
            break;
        case QUEUE_CHANGE_FAILED:
            failure_prefix(failure, "%s", entry->d_name);
            good = false;
            break;
        case QUEUE_CHANGE_NONE:
            break;
        }
    }
    closedir(listing);
    return good;
}

bool queue_change_all(const struct queue_folders *folders, const struct queue_wish *wish, uint64_t *count,
                      struct failure *failure) {
    /* new/ first and hold/ last: what is moved is not met again. */
    bool incoming = queue_is_named(wish->queues, STR("incoming")) || queue_is_named(wish->queues, STR("active"));
    bool at_work = wish->change != QUEUE_RELEASE, good = true;
    *count = 0;
    if (at_work && incoming) good = change_folder(folders, folders->new, wish, count, failure);
    if (at_work && queue_is_named(wish->queues, STR("deferred")))
        good = change_folder(folders, folders->cur, wish, count, failure) && good;
    if (wish->change != QUEUE_HOLD && queue_is_named(wish->queues, STR("hold")))
        good = change_folder(folders, folders->hold, wish, count, failure) && good;
    return good;
}
