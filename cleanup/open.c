/* CLEANUP_OPEN, CLEANUP_RECIPIENTS and CLEANUP_CANCEL: a file for a writer, until
 * it is committed or forgotten. */
#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "queue_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RECIPIENT_LIMIT     ((size_t)1000000)
#define PENDING_ARENA_LIMIT ((size_t)256 << 20)

/* Is there room for a message, before it hurts: queue_minfree bytes (or one and a half
 * times the largest message), and queue_minfree_files inodes. Asked once a second. */
static bool disk_has_room(struct cleanup *cleanup) {
    if (deadline_left(cleanup->disk_checked) > 0) return cleanup->disk_has_room;
    struct statvfs status;
    bool room = true;
    if (fstatvfs(cleanup->queue, &status) == 0) {
        uint64_t wanted = (uint64_t)cleanup->config->queue_minfree;
        uint64_t largest = (uint64_t)cleanup->config->message_size_limit;
        if (wanted < largest + largest / 2 && cleanup->config->queue_minfree == 0) wanted = largest + largest / 2;
        bool counts_inodes = status.f_files > 0;
        room = (uint64_t)status.f_bavail * status.f_frsize >= wanted &&
               (!counts_inodes || status.f_favail >= (uint64_t)cleanup->config->queue_minfree_files);
    } else {
        log_warning("cannot ask how much room the queue has: %s; taken for enough", strerror(errno));
    }
    if (!room && (cleanup->disk_has_room || cleanup->disk_checked == 0))
        log_warning("not enough free space or inodes for the queue: refusing mail with 452 until there is");
    cleanup->disk_has_room = room;
    cleanup->disk_checked = deadline_in(1000);
    return room;
}

static bool refuse(struct ipc_request *request, const struct failure *failure) {
    int error_number = failure->error_number;
    log_warning("%s; the client is told to try again", failure->text);
    bool full = error_number == ENOSPC || error_number == EDQUOT;
    return ipc_answer_failed(request, full ? 452 : 451, full ? "4.3.1" : "4.3.0", "%s",
                             full ? "Insufficient system storage" : "Local queue trouble, try again later");
}

/* Makes the file under a fresh ID, opened twice: for the writer, and read-only for the
 * lease that later proves that no writer is left. */
static int make_file(struct cleanup *cleanup, struct pending *pending, struct failure *failure) {
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        if (!queue_id_next(&cleanup->ids, pending->queue_id, failure)) return -1;
        int writing =
            openat(cleanup->tmp, pending->queue_id, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (writing < 0 && errno == EEXIST) continue; /* a stray file: the next ID then */
        if (writing < 0) break;
        pending->file = openat(cleanup->tmp, pending->queue_id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (pending->file >= 0 && lseek(writing, QUEUE_HEADER_SIZE, SEEK_SET) == QUEUE_HEADER_SIZE) return writing;
        failure_set_errno(failure, errno, "cannot make a queue file");
        close(writing);
        if (pending->file >= 0) close(pending->file);
        unlinkat(cleanup->tmp, pending->queue_id, 0);
        return -1;
    }
    failure_set_errno(failure, errno, "cannot make a queue file");
    return -1;
}

void cleanup_open(struct ipc_request *request, struct writer *writer) {
    struct cleanup *cleanup = writer->cleanup;
    if (ipc_peer_is_draining(request->peer)) { /* it came in the last moment: the commit could not follow */
        ipc_answer_failed(request, 421, "4.3.2", "cleanup is being replaced, ask the next one");
        return;
    }
    if (!disk_has_room(cleanup)) {
        ipc_answer_failed(request, 452, "4.3.1", "Insufficient system storage");
        return;
    }
    struct pending *pending = MEMORY_NEW(struct pending);
    struct failure failure = {0};
    int writing = make_file(cleanup, pending, &failure);
    if (writing < 0) {
        refuse(request, &failure);
        MEMORY_FREE(pending);
        return;
    }
    pending->arrival = clock_date();
    pending->arena = arena_create(PENDING_ARENA_LIMIT);
    pending->next = writer->pending;
    writer->pending = pending;
    ipc_peer_hold(request->peer); /* until the commit: a reload must not end the connection meanwhile */
    struct ipc_cleanup_opened answer = {.queue_id = str_from(pending->queue_id)};
    ipc_answer(request, IPC_CLEANUP_OPENED, &answer, writing);
    close(writing);
}

struct pending *writer_take(struct ipc_request *request, struct writer *writer, struct str queue_id) {
    for (struct pending **link = &writer->pending; *link; link = &(*link)->next) {
        struct pending *pending = *link;
        if (!str_equal(str_from(pending->queue_id), queue_id)) continue;
        *link = pending->next;
        pending->next = NULL;
        ipc_peer_unhold(request->peer);
        return pending;
    }
    return NULL;
}

void pending_free(struct pending **pending) {
    if ((*pending)->file >= 0) close((*pending)->file);
    arena_destroy(&(*pending)->arena);
    MEMORY_FREE(*pending);
}

void pending_discard(struct cleanup *cleanup, struct pending **pending) {
    unlinkat(cleanup->tmp, (*pending)->queue_id, 0);
    pending_free(pending);
}

void cleanup_cancel(struct ipc_request *request, struct writer *writer) {
    const struct ipc_cleanup_cancel *cancel = request->message;
    struct pending *pending = writer_take(request, writer, cancel->queue_id);
    if (pending) pending_discard(writer->cleanup, &pending);
}

bool pending_add_recipients(struct pending *pending, struct ipc_list recipients) {
    size_t offset = 0;
    struct ipc_recipient row;
    bool bad = false;
    while (ipc_list_next(recipients, IPC_ROW_RECIPIENT, &offset, &row, &bad)) {
        if (pending->recipient_count >= RECIPIENT_LIMIT) return false;
        if (pending->recipient_count == pending->recipient_room) {
            size_t room = pending->recipient_room ? pending->recipient_room * 2 : 8;
            struct ipc_recipient *grown = arena_allocate(pending->arena, room, sizeof *grown);
            if (!grown) return false;
            if (pending->recipient_count) memcpy(grown, pending->recipients, pending->recipient_count * sizeof *grown);
            pending->recipients = grown;
            pending->recipient_room = room;
        }
        struct ipc_recipient *kept = &pending->recipients[pending->recipient_count];
        *kept = row;
        if (!arena_copy(pending->arena, row.address, &kept->address) ||
            !arena_copy(pending->arena, row.original, &kept->original) ||
            !arena_copy(pending->arena, row.orcpt, &kept->orcpt))
            return false;
        pending->recipient_count++;
    }
    return !bad;
}

void cleanup_recipients(struct ipc_request *request, struct writer *writer) {
    const struct ipc_cleanup_recipients *ahead = request->message;
    for (struct pending *pending = writer->pending; pending; pending = pending->next) {
        if (!str_equal(str_from(pending->queue_id), ahead->queue_id)) continue;
        /* Too many: the commit then finds no file and is refused. */
        if (!pending_add_recipients(pending, ahead->recipients)) {
            struct pending *full = writer_take(request, writer, ahead->queue_id);
            if (full) pending_discard(writer->cleanup, &full);
        }
        return;
    }
}
