/* CLEANUP_OPEN, CLEANUP_RECIPIENTS and CLEANUP_CANCEL: a file for a writer, until
 * it is committed or forgotten; and content that comes in memory. */
#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "queue_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RECIPIENT_LIMIT     ((size_t)1000000)
#define PENDING_ARENA_LIMIT ((size_t)256 << 20)
/* A writer that was taken over must leave room for the others (services.def: 16384 descriptors, 1 GiB). */
#define FILES_OF_A_WRITER ((size_t)6000)
#define FILES_OF_ALL      ((size_t)12000)
#define AHEAD_OF_ALL      ((size_t)96 << 20) /* bytes as they came; in memory it is about three times that */

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

static bool refuse_id(struct ipc_request *request) {
    return ipc_answer_failed(request, 451, "4.3.0", "that queue ID is not yours, or used up");
}

/* Makes the file under its ID (or a fresh one), opened twice: for the writer, and read-only for the
 * lease that later proves that no writer is left. */
static int make_file(struct cleanup *cleanup, struct pending *pending, struct failure *failure) {
    bool named = pending->queue_id[0] != '\0';
    for (unsigned attempt = 0; attempt < (named ? 1 : 8); attempt++) {
        if (!named && !queue_id_next(&cleanup->ids, pending->queue_id, failure)) return -1;
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
    const struct ipc_cleanup_open *open = request->message;
    if (open->queue_id.length && !id_claim(writer, open->queue_id)) {
        refuse_id(request);
        return;
    }
    if (writer->files_open >= FILES_OF_A_WRITER || cleanup->files_open >= FILES_OF_ALL) {
        ipc_answer_failed(request, 451, "4.3.2", "Too many messages under way, try again later");
        return;
    }
    struct pending *pending = MEMORY_NEW(struct pending);
    struct failure failure = {0};
    snprintf(pending->queue_id, sizeof pending->queue_id, "%.*s", STR_ARGS(open->queue_id));
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
    writer->files_open++;
    cleanup->files_open++;
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
        writer->files_open--;
        ipc_peer_unhold(request->peer);
        return pending;
    }
    return NULL;
}

/* Sealed, so that what is summed, delivered and stored is one and the same, and as long as was said. */
static bool is_sealed_content(int file, uint64_t length) {
    enum { WANTED = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };
    struct stat status;
    int seals = fcntl(file, F_GET_SEALS);
    return seals >= 0 && (seals & WANTED) == WANTED && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == length;
}

struct pending *pending_from_memory(struct ipc_request *request, struct writer *writer) {
    struct cleanup *cleanup = writer->cleanup;
    const struct ipc_cleanup_commit *commit = request->message;
    if (!is_sealed_content(request->descriptor, commit->content_length)) {
        ipc_answer_failed(request, 451, "4.3.0", "the content is not a sealed memory file of that length");
        return NULL;
    }
    if (!disk_has_room(cleanup)) {
        ipc_answer_failed(request, 452, "4.3.1", "Insufficient system storage");
        return NULL;
    }
    if (!id_claim(writer, commit->queue_id)) {
        refuse_id(request);
        return NULL;
    }
    struct pending *pending = MEMORY_NEW(struct pending);
    snprintf(pending->queue_id, sizeof pending->queue_id, "%.*s", STR_ARGS(commit->queue_id));
    pending->arrival = clock_date() - (int64_t)commit->age;
    pending->file = request->descriptor;
    pending->in_memory = true;
    pending->arena = arena_create(PENDING_ARENA_LIMIT);
    request->descriptor = -1;
    map_put(cleanup->committing, str_from(pending->queue_id), pending);
    return pending;
}

void pending_free(struct cleanup *cleanup, struct pending **pending) {
    if ((*pending)->in_memory)
        map_remove(cleanup->committing, str_from((*pending)->queue_id));
    else
        cleanup->files_open--;
    cleanup->ahead_bytes -= (*pending)->ahead_bytes;
    if ((*pending)->file >= 0) close((*pending)->file);
    arena_destroy(&(*pending)->arena);
    MEMORY_FREE(*pending);
}

void pending_discard(struct cleanup *cleanup, struct pending **pending) {
    if (!(*pending)->in_memory) unlinkat(cleanup->tmp, (*pending)->queue_id, 0);
    pending_free(cleanup, pending);
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
        pending->ahead_bytes += ahead->recipients.packed.length;
        writer->cleanup->ahead_bytes += ahead->recipients.packed.length;
        /* Too many: the commit then finds no file and is refused. */
        if (writer->cleanup->ahead_bytes > AHEAD_OF_ALL || !pending_add_recipients(pending, ahead->recipients)) {
            struct pending *full = writer_take(request, writer, ahead->queue_id);
            if (full) pending_discard(writer->cleanup, &full);
        }
        return;
    }
}
