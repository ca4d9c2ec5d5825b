/* The listing of the queue: see queue_source.h. */
#include "queue_source.h"
#include "queue_file.h"
#include "queue_id.h"
#include "queue_tool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 60000 /* ms for a portion */

/* ---- from qmgr */

/* Shows a portion's rows; *stop: the visitor has enough. */
static bool show_portion(const struct ipc_qmgr_listed *portion, queue_visitor *visitor, void *context, bool *stop) {
    struct ipc_queued row;
    size_t offset = 0;
    bool bad = false;
    while (!*stop && ipc_list_next(portion->messages, IPC_ROW_QUEUED, &offset, &row, &bad))
        *stop = !visitor(&row, context);
    return !bad;
}

bool queue_source_server(int socket, queue_visitor *visitor, void *context, struct failure *failure) {
    char cursor[65] = "";
    bool more = true, stop = false;
    while (more && !stop) {
        struct arena *arena = arena_create(0);
        struct ipc_qmgr_list ask = {.after = str_from(cursor)};
        struct ipc_reply reply = {.descriptor = -1};
        bool good = ipc_ask_blocking(socket, IPC_QMGR_LIST, &ask, -1, IPC_QMGR_LISTED, PATIENCE, arena, &reply,
                                     failure) == IPC_OK;
        if (good) {
            const struct ipc_qmgr_listed *portion = reply.message;
            good =
                show_portion(portion, visitor, context, &stop) || failure_set(failure, "qmgr's listing does not read");
            more = portion->more;
            snprintf(cursor, sizeof cursor, "%.*s", STR_ARGS(portion->cursor));
        }
        arena_destroy(&arena);
        if (!good) return false;
    }
    return true;
}

/* ---- from the folders */

static const struct folder_row {
    const char *folder, *queue;
} folders[] = {{"new", "incoming"}, {"cur", "deferred"}, {"hold", "hold"}};

struct folder_walk {
    int folder;
    const char *queue;
    queue_visitor *visitor;
    void *context;
    uint64_t *unread;
    bool stop;
};

static bool pack_recipients(const struct queue_envelope *envelope, struct buf *rows, uint32_t *count) {
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct queue_recipient *recipient = &envelope->recipients[i];
        if (recipient->state != QUEUE_RECIPIENT_WAITING && recipient->state != QUEUE_RECIPIENT_FAILED) continue;
        struct ipc_queued_recipient row = {.address = str_slice(recipient->address, 0, 512),
                                           .original = str_slice(recipient->original, 0, 512),
                                           .reason = str_slice(recipient->reason, 0, 1000)};
        if (!ipc_list_add(IPC_ROW_QUEUED_RECIPIENT, &row, rows, count)) return false;
    }
    return true;
}

static void show_file(struct folder_walk *walk, const char *name, int file) {
    struct arena *arena = arena_create(0);
    struct buf recipients = buf_make(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    uint32_t count = 0;
    if (queue_file_read(file, arena, &header, &envelope, &events_end, NULL) &&
        pack_recipients(&envelope, &recipients, &count)) {
        struct ipc_queued row = {
            .queue_id = str_from(name),
            .queue = str_from(walk->queue),
            .arrival = (uint64_t)(envelope.arrival / CLOCK_SECOND),
            .size = header.content_length,
            .forced_expire = envelope.force_expire,
            .release = envelope.wish.release > clock_date() / CLOCK_SECOND ? (uint64_t)envelope.wish.release : 0,
            .priority = priority_to_number(envelope.wish.priority),
            .sender = envelope.sender,
            .recipients = {buf_str(&recipients), count}};
        walk->stop = !walk->visitor(&row, walk->context);
    } else {
        ++*walk->unread;
    }
    buf_free(&recipients);
    arena_destroy(&arena);
}

static bool walk_folder(struct folder_walk *walk, struct failure *failure) {
    int copy = dup(walk->folder);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory) {
        if (copy >= 0) close(copy);
        return failure_set_errno(failure, errno, "cannot read a folder of the queue");
    }
    for (struct dirent *entry; !walk->stop && (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (!queue_id_is_valid(str_from(entry->d_name))) continue;
        int file = openat(walk->folder, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (file < 0) continue; /* it has just gone */
        if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) show_file(walk, entry->d_name, file);
        close(file);
    }
    closedir(directory);
    return true;
}

bool queue_source_folders(int queue, queue_visitor *visitor, void *context, uint64_t *unread, struct failure *failure) {
    bool good = true, stop = false;
    *unread = 0;
    for (size_t i = 0; good && !stop && i < ARRAY_LENGTH(folders); i++) {
        struct folder_walk walk = {.queue = folders[i].queue, .visitor = visitor, .context = context, .unread = unread};
        walk.folder = queue_tool_open_folder(queue, folders[i].folder, failure);
        if (walk.folder < 0) return false;
        good = walk_folder(&walk, failure);
        stop = walk.stop;
        close(walk.folder);
    }
    return good;
}
