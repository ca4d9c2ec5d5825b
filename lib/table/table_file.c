/* Reading a table's source whole, and its state. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "table_file.h"

static struct table_stamp stamp_from(const struct stat *state) {
    return (struct table_stamp){
        .device = state->st_dev,
        .inode = state->st_ino,
        .size = state->st_size,
        .seconds = state->st_mtim.tv_sec,
        .nanoseconds = state->st_mtim.tv_nsec,
        .exists = true,
    };
}

struct table_stamp table_stamp_of(struct str path) {
    char *name = memory_copy_string(path);
    struct stat state;
    bool exists = stat(name, &state) == 0;
    MEMORY_FREE(name);
    return exists ? stamp_from(&state) : (struct table_stamp){0};
}

bool table_stamp_equal(const struct table_stamp *a, const struct table_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds && a->exists == b->exists;
}

static bool read_all(int descriptor, struct str path, size_t limit, struct buf *content, struct failure *failure) {
    size_t total = 0;
    for (;;) {
        char piece[16384];
        ssize_t got = read(descriptor, piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure_set_errno(failure, errno, "read %.*s", STR_ARGS(path));
        if (got == 0) return true;
        total += (size_t)got;
        if (total > limit || !buf_append_bytes(content, piece, (size_t)got))
            return failure_set(failure, "%.*s: larger than %zu bytes", STR_ARGS(path), limit);
    }
}

bool table_file_read(struct str path, size_t limit, struct buf *content, struct table_stamp *stamp,
                     struct failure *failure) {
    if (str_find(path, '\0') != STR_NONE) return failure_set(failure, "a file name holds a NUL byte");
    char *name = memory_copy_string(path);
    /* O_NONBLOCK: a FIFO of that name must not hold us. */
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = errno;
    MEMORY_FREE(name);
    if (descriptor < 0) return failure_set_errno(failure, error, "open %.*s", STR_ARGS(path));
    struct stat state;
    bool done;
    size_t before = content->length;
    if (fstat(descriptor, &state) != 0) {
        done = failure_set_errno(failure, errno, "stat %.*s", STR_ARGS(path));
    } else if (!S_ISREG(state.st_mode)) {
        done = failure_set(failure, "%.*s: not a regular file", STR_ARGS(path));
    } else {
        done = read_all(descriptor, path, limit, content, failure);
    }
    (void)close(descriptor);
    if (!done) {
        buf_truncate(content, before);
        return false;
    }
    *stamp = stamp_from(&state);
    return true;
}

bool table_stamp_changed(const char *path, const struct table_stamp *opened) {
    if (!opened->exists) return false;
    struct table_stamp now = table_stamp_of(str_from(path));
    return !table_stamp_equal(&now, opened);
}
