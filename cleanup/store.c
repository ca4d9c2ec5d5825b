/* Making a message durable.
 *
 *   1. nobody can change it     a read lease on the file is granted only when no writer is left; content that
 *                               came in memory is sealed
 *   2. header and envelope      written; the header last, so a file without one is no message
 *   3. lock                     goes to qmgr with the descriptor: until it has it nobody else takes the file up
 *   4. rename tmp/ID to new/ID  before the sync, so that one journal commit covers data and name
 *   5. fsync the file           data, size; on journals also the name
 *   6. fsync new/               the name, by the letter of POSIX; shared with all who wait now
 *
 * A crash before the end leaves a file that was not promised: whole (it is delivered, and the client sends
 * again: a duplicate) or not (qmgr sets it aside). When 5 or 6 fail the file is suspect: it is removed and the
 * client told to try again; a sync is never repeated on the same file. */
#include "cleanup.h"
#include "hash.h"
#include "queue_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- 1. */

/* Grants only if nobody, in any process, has the file open or mapped for writing. The
 * lease itself is of no further use: nobody else can open the file by name. */
static bool no_writer_is_left(struct committing *commit) {
    int file = commit->pending->file;
    if (fcntl(file, F_SETLEASE, F_RDLCK) < 0) {
        if (errno == EAGAIN) return failure_set(&commit->failure, "the file is still open for writing");
        return failure_set_errno(&commit->failure, errno, "cannot take a read lease");
    }
    fcntl(file, F_SETLEASE, F_UNLCK);
    return true;
}

/* Where the file system knows no leases, the content is copied to a file that nobody else ever had. */
static bool copy_to_own_file(struct committing *commit, const char *name) {
    char own[QUEUE_ID_SIZE + 8];
    snprintf(own, sizeof own, "%s.own", name);
    int tmp = commit->cleanup->tmp;
    int copy = openat(tmp, own, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (copy < 0) return failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
    char bytes[65536];
    off_t offset = 0;
    for (ssize_t got; (got = pread(commit->pending->file, bytes, sizeof bytes, offset)) != 0; offset += got) {
        errno = got > 0 ? ENOSPC : errno; /* what a short write means */
        if (got > 0 && pwrite(copy, bytes, (size_t)got, offset) == got) continue;
        failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
        close(copy);
        unlinkat(tmp, own, 0);
        return false;
    }
    if (renameat(tmp, own, tmp, name) < 0) {
        failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
        close(copy);
        return false;
    }
    close(commit->pending->file);
    commit->pending->file = copy;
    return true;
}

/* ---- 2., content that stands in the file */

static bool write_at(int file, struct str bytes, uint64_t offset, struct failure *failure) {
    while (bytes.length > 0) {
        ssize_t written = pwrite(file, bytes.data, bytes.length, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failure_set_errno(failure, errno, "cannot write the queue file");
        bytes = str_from_offset(bytes, (size_t)written);
        offset += (uint64_t)written;
    }
    return true;
}

static struct queue_header header_of(const struct committing *commit) {
    return (struct queue_header){
        .content_length = commit->message->content_length,
        .content_lines = commit->message->content_lines,
        .envelope_length = commit->envelope.length,
        .envelope_crc = crc32c(0, commit->envelope.data, commit->envelope.length),
    };
}

static bool write_envelope_and_header(struct committing *commit, int file) {
    struct queue_header header = header_of(commit);
    char bytes[QUEUE_HEADER_SIZE];
    struct stat status;
    if (fstat(file, &status) < 0) return failure_set_errno(&commit->failure, errno, "cannot look at the queue file");
    uint64_t size = header.content_length ? QUEUE_HEADER_SIZE + header.content_length : 0;
    if ((uint64_t)status.st_size != size)
        return failure_set(&commit->failure, "the content has another length than was said");
    if (!queue_file_sum_content(file, header.content_length, &header.content_crc, &commit->failure)) return false;
    if (!queue_header_format(&header, bytes)) return failure_set(&commit->failure, "the header does not fit");
    return write_at(file, buf_str(&commit->envelope), QUEUE_HEADER_SIZE + header.content_length, &commit->failure) &&
           write_at(file, str_make(bytes, sizeof bytes), 0, &commit->failure);
}

/* Takes the file that a writer filled from under its name in tmp/. */
static int complete_written_file(struct committing *commit) {
    struct cleanup *cleanup = commit->cleanup;
    const char *name = commit->pending->queue_id;
    if (!no_writer_is_left(commit)) {
        int reason = commit->failure.error_number;
        if (reason != EINVAL && reason != EOPNOTSUPP && reason != ENOLCK && reason != EACCES) return -1;
        if (!copy_to_own_file(commit, name)) return -1;
    }
    int file = openat(cleanup->tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        failure_set_errno(&commit->failure, errno, "cannot open the queue file");
        return -1;
    }
    if (write_envelope_and_header(commit, file)) return file;
    close(file);
    return -1;
}

/* ---- 2., content that came in memory: all of the file in one write */

static bool read_whole(int file, char *bytes, size_t length) {
    for (size_t have = 0; have < length;) {
        ssize_t got = pread(file, bytes + have, length - have, (off_t)have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

static bool write_message(struct committing *commit, int file) {
    struct queue_header header = header_of(commit);
    size_t total = QUEUE_HEADER_SIZE + header.content_length + header.envelope_length;
    char *bytes = memory_allocate(total, 1);
    char *content = bytes + QUEUE_HEADER_SIZE;
    bool good = read_whole(commit->pending->file, content, header.content_length) ||
                failure_set_errno(&commit->failure, errno, "cannot read the content");
    if (good) {
        header.content_crc = crc32c(0, content, header.content_length);
        memcpy(content + header.content_length, commit->envelope.data, commit->envelope.length);
        good = queue_header_format(&header, bytes) || failure_set(&commit->failure, "the header does not fit");
    }
    good = good && write_at(file, str_make(bytes, total), 0, &commit->failure);
    MEMORY_FREE(bytes);
    return good;
}

static int make_file_from_memory(struct committing *commit) {
    int file = openat(commit->cleanup->tmp, commit->pending->queue_id,
                      O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        failure_set_errno(&commit->failure, errno, "cannot make a queue file");
        return -1;
    }
    if (write_message(commit, file)) return file;
    close(file);
    unlinkat(commit->cleanup->tmp, commit->pending->queue_id, 0);
    return -1;
}

/* ---- 4. */

/* Never over another message, whatever went wrong with the IDs. */
static bool rename_into(int tmp, int folder, const char *name) {
    if (renameat2(tmp, name, folder, name, RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false; /* a file system that cannot: look, then rename */
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return renameat(tmp, name, folder, name) == 0;
}

/* ---- steps 1 to 5, on a helper thread */

static bool name_and_sync(struct committing *commit, int file) {
    struct cleanup *cleanup = commit->cleanup;
    const char *name = commit->pending->queue_id;
    int folder = commit->on_hold ? cleanup->hold : cleanup->new;
    if (flock(file, LOCK_EX | LOCK_NB) < 0) {
        failure_set_errno(&commit->failure, errno, "cannot lock the queue file");
        unlinkat(cleanup->tmp, name, 0);
    } else if (!rename_into(cleanup->tmp, folder, name)) {
        failure_set_errno(&commit->failure, errno, "cannot rename the queue file");
        unlinkat(cleanup->tmp, name, 0);
    } else if (fsync(file) < 0) {
        failure_set_errno(&commit->failure, errno, "cannot sync the queue file");
        unlinkat(folder, name, 0);
    } else {
        return true;
    }
    return false;
}

static void make_file_durable(void *argument) {
    struct committing *commit = argument;
    int file = commit->pending->in_memory ? make_file_from_memory(commit) : complete_written_file(commit);
    if (file < 0) return;
    if (name_and_sync(commit, file)) commit->stored = file;
    else close(file);
}

bool commit_store(struct committing *commit) {
    struct cleanup *cleanup = commit->cleanup;
    task_run_blocking(make_file_durable, commit);
    if (commit->stored < 0) return false;
    int error_number = 0;
    if (directory_sync_wait(commit->on_hold ? &cleanup->hold_sync : &cleanup->new_sync, &error_number)) return true;
    unlinkat(commit->on_hold ? cleanup->hold : cleanup->new, commit->pending->queue_id, 0);
    close(commit->stored);
    commit->stored = -1;
    return failure_set_errno(&commit->failure, error_number, "cannot sync the queue folder");
}
