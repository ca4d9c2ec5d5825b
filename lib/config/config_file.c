/* Reading configuration files: see config_file.h. */
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool read_all(int descriptor, const char *path, size_t limit, struct buf *content, struct failure *failure) {
    for (;;) {
        char block[16384];
        ssize_t got = read(descriptor, block, sizeof(block));
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return failure_set_errno(failure, errno, "%s", path);
        if (got > 0 && (content->length + (size_t)got > limit || !buf_append_bytes(content, block, (size_t)got)))
            return failure_set(failure, "%s: longer than %zu bytes", path, limit);
    }
}

bool config_read_file(const char *path, size_t limit, struct buf *content, struct failure *failure) {
    struct buf read = buf_make(0);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return failure_set_errno(failure, errno, "%s", path);
    bool done = read_all(descriptor, path, limit, &read, failure);
    close(descriptor);
    if (done && !buf_append(content, buf_str(&read)))
        done = failure_set(failure, "%s: too long", path);
    buf_free(&read);
    return done;
}
