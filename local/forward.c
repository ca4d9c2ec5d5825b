/* Reading .forward and :include: files, as the user whose they are. A file that others
 * could have written is not believed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alias_members.h"
#include "expansion.h"
#include "log.h"
#include "worker.h"

#define FILE_LIMIT    ((size_t)1024 * 1024)
#define MEMBERS_BYTES ((size_t)60000)
#define MEMBER_ROOM   ((size_t)1100) /* the most that one takes of them */

/* True with what the file says in worked->members: those after the first, as many as one answer holds. */
static bool take_members(struct str content, struct str path, uint64_t first, struct worked *worked) {
    struct arena *arena = arena_create(0);
    struct alias_members members;
    struct failure failure;
    bool good = alias_members_parse_file(content, ALIAS_MEMBERS_MAX, arena, &members, &failure);
    if (!good) worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "%.*s: %s", STR_ARGS(path), failure.text);
    for (size_t i = (size_t)first; good && !worked->more && i < members.count; i++) {
        struct ipc_address_row row = {.kind = expansion_kind_of(members.items[i].kind), .value = members.items[i].value};
        worked->more = worked->members.length > MEMBERS_BYTES - MEMBER_ROOM;
        if (!worked->more) good = ipc_list_add(IPC_ROW_ADDRESS, &row, &worked->members, &worked->member_count);
        if (!good) worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "%.*s: a member is too long", STR_ARGS(path));
    }
    arena_destroy(&arena);
    if (!good) {
        buf_free(&worked->members);
        worked->member_count = 0;
    }
    return good;
}

static bool read_whole(int file, struct buf *content) {
    for (;;) {
        char *room = buf_reserve(content, 16384);
        if (!room) {
            errno = EFBIG;
            return false;
        }
        ssize_t got = read(file, room, 16384);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        buf_commit(content, (size_t)got);
    }
}

static const char *why_unfit(int file, bool any_owner) {
    struct stat status;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) return "not a regular file";
    if (status.st_mode & S_IWOTH) return "world writable";
    if (!any_owner && status.st_uid != 0 && status.st_uid != geteuid()) return "has another owner";
    return NULL;
}

/* FORWARD_NONE: not there, or not to be believed, or empty. */
static enum forward_result read_forward(struct str path, struct worked *worked) {
    char *name = memory_copy_string(path);
    int file = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    int reason = errno;
    MEMORY_FREE(name);
    if (file < 0) {
        if (!failure_is_local(reason) && reason != ESTALE) {
            if (reason != ENOENT && reason != ENOTDIR && reason != EACCES)
                log_warning("not using %.*s: cannot open it", STR_ARGS(path));
            return FORWARD_NONE;
        }
        worked_errno(worked, reason, "cannot open %.*s", STR_ARGS(path));
        return FORWARD_FAILED;
    }
    enum forward_result result = FORWARD_NONE;
    struct buf content = buf_make(FILE_LIMIT);
    const char *unfit = why_unfit(file, false);
    if (unfit) {
        log_warning("not using %.*s: %s", STR_ARGS(path), unfit);
    } else if (!read_whole(file, &content)) {
        worked_errno(worked, errno, "cannot read %.*s", STR_ARGS(path));
        result = FORWARD_FAILED;
    } else if (!take_members(buf_str(&content), path, 0, worked)) {
        result = FORWARD_FAILED;
    } else if (worked->more) {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "%.*s: too many members: put them into an :include: file",
                   STR_ARGS(path));
        result = FORWARD_FAILED;
    } else if (worked->member_count > 0) {
        result = FORWARD_MEMBERS;
    }
    buf_free(&content);
    close(file);
    return result;
}

enum forward_result forward_read(const struct config *config, const struct ipc_local_work *work,
                                 struct worked *worked) {
    struct str rest = config->forward_path, template;
    enum forward_result result = FORWARD_NONE;
    struct buf path = buf_make(2000);
    while (result == FORWARD_NONE && str_next_word(&rest, ", \t\n", &template)) {
        buf_clear(&path);
        if (!expand_template(template, work, config, config->forward_expansion_filter, &path) || buf_overflowed(&path))
            continue;
        struct str name = buf_str(&path);
        if (name.data[0] != '/' || str_find_str(name, STR("/../")) != STR_NONE) continue;
        result = read_forward(name, worked);
    }
    buf_free(&path);
    worked->expanded = result == FORWARD_MEMBERS;
    return result;
}

/* Of two portions of a list nobody may be left out or named twice, because it was written meanwhile. */
static uint64_t version_of(const struct stat *status) {
    uint64_t changed = (uint64_t)status->st_ctim.tv_sec * 1000000000U + (uint64_t)status->st_ctim.tv_nsec;
    return changed + (uint64_t)status->st_ino + (uint64_t)status->st_size;
}

bool include_read(const struct ipc_local_work *work, struct worked *worked) {
    char *name = memory_copy_string(work->target);
    int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int reason = errno;
    MEMORY_FREE(name);
    if (file < 0) return worked_errno(worked, reason, "cannot open include file %.*s", STR_ARGS(work->target));
    struct buf content = buf_make(FILE_LIMIT);
    struct stat status = {0};
    const char *unfit = why_unfit(file, true);
    bool good = false;
    if (unfit)
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "include file %.*s: %s", STR_ARGS(work->target), unfit);
    else if (!read_whole(file, &content))
        worked_errno(worked, errno, "cannot read include file %.*s", STR_ARGS(work->target));
    else
        good = take_members(buf_str(&content), work->target, work->members_before, worked);
    worked->list_version = good && fstat(file, &status) == 0 ? version_of(&status) : 0;
    if (good && work->members_before > 0 && worked->list_version != work->list_version)
        good = worked_set(worked, DELIVERY_DEFERRED, "4.3.0", "include file %.*s was changed while it was read",
                          STR_ARGS(work->target));
    worked->expanded = good;
    buf_free(&content);
    close(file);
    return good;
}
