/* The drop folder: files that the set-gid command drop left while the server was
 * down. A file is "tern-drop 1 LENGTH\n", a packed PICKUP_SUBMIT of that length, and
 * the content. Its owner is who handed it in. It goes only when the message is safe
 * in the queue: a crash between the two delivers twice at worst. */
#include "pickup.h"
#include "clock.h"
#include "log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC            "tern-drop 1 "
#define FIRST_LINE_LIMIT 64
#define PAUSE_FIRST      1000  /* ms */
#define PAUSE_LAST       60000 /* ms */
#define FRESH_PAUSE      2000  /* ms */
#define NOT_NOW_LIMIT    20    /* files that cannot be taken now, until a scan gives up */

/* Reads the packet; *content is where the message begins. */
static bool read_packet(int file, struct arena *arena, struct ipc_pickup_submit *request, uint64_t *content) {
    char line[FIRST_LINE_LIMIT];
    ssize_t got = pread(file, line, sizeof line, 0);
    if (got <= 0) return false;
    struct str first = str_make(line, (size_t)got), rest;
    uint64_t length;
    if (!str_cut(first, '\n', &first, &rest) || !str_starts(first, STR(MAGIC)) ||
        !str_to_u64(str_from_offset(first, sizeof MAGIC - 1), IPC_PACKET_LIMIT, &length))
        return false;
    char *packet = arena_allocate(arena, (size_t)length + 1, 1);
    if (!packet || pread(file, packet, (size_t)length, (off_t)(first.length + 1)) != (ssize_t)length) return false;
    *content = first.length + 1 + length;
    enum ipc_type type;
    uint32_t serial;
    struct str bytes = str_make(packet, (size_t)length);
    return ipc_peek(bytes, &type, &serial) && type == IPC_PICKUP_SUBMIT && ipc_decode(bytes, type, request);
}

enum take_result { TAKEN, NOT_NOW, REFUSED_NOW, UNUSABLE, BUSY };

static enum take_result take_open_file(struct pickup *pickup, int file, const char *name) {
    struct stat status;
    /* Another pickup may be draining and have it in hand; what that one took has no name any more. */
    if (flock(file, LOCK_EX | LOCK_NB) < 0 || fstat(file, &status) < 0 || status.st_nlink == 0) return BUSY;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return UNUSABLE;
    struct arena *arena = arena_create(0);
    struct ipc_pickup_submit request;
    uint64_t content;
    enum take_result result = UNUSABLE;
    if (read_packet(file, arena, &request, &content) && content + request.content_length == (uint64_t)status.st_size) {
        struct submission submission = {.request = &request, .file = file, .offset = content, .uid = status.st_uid};
        struct intake_failure failure = {0};
        char queue_id[24];
        result = submission_take(pickup, &submission, arena, queue_id, &failure) ? TAKEN : NOT_NOW;
        /* Perhaps this one is at fault itself, and the others are taken. */
        if (result == NOT_NOW && failure.reply_code == 451 && !failure.unreachable) result = REFUSED_NOW;
        if (result == NOT_NOW && failure.reply_code >= 500) {
            log_warning("dropped message %s of uid %u is refused: %s; renamed to .%s, nobody is told", name,
                        status.st_uid, failure.text, name);
            result = UNUSABLE;
        }
    }
    arena_destroy(&arena);
    return result;
}

/* What cannot be used is kept under a name that is not looked at again. */
static void set_aside(struct pickup *pickup, const char *name) {
    char hidden[300];
    snprintf(hidden, sizeof hidden, ".%s", name);
    log_warning("file %s in the drop folder is no message: renamed to %s", name, hidden);
    if (renameat(pickup->folder, name, pickup->folder, hidden) < 0)
        log_warning("cannot rename %s: %s", name, strerror(errno));
}

static enum take_result take_file(struct pickup *pickup, const char *name) {
    int file = openat(pickup->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 && errno == EACCES) {
        log_warning("cannot read %s in the drop folder: %s; it is left there", name, strerror(errno));
        return BUSY;
    }
    if (file < 0) return errno == ELOOP ? UNUSABLE : NOT_NOW;
    enum take_result result = take_open_file(pickup, file, name);
    close(file);
    return result;
}

/* ---- those that cleanup refused for now: each is left alone for a while, and the others have their turn */

static bool is_put_off(const struct pickup *pickup, const char *name) {
    const deadline *until = map_get(pickup->put_off, str_from(name));
    return until && deadline_left(*until) > 0;
}

static void put_off(struct pickup *pickup, const char *name) {
    deadline *until = map_get(pickup->put_off, str_from(name));
    if (!until) {
        until = MEMORY_NEW(deadline);
        map_put(pickup->put_off, str_from(name), until);
    }
    *until = deadline_in(PAUSE_LAST);
}

/* After a scan of the whole folder: whose time was over and who was not put off again is gone. */
static void forget_gone(struct pickup *pickup) {
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(pickup->put_off, &at, &name, &value)) {
        deadline *until = value;
        if (deadline_left(*until) > 0) continue;
        map_remove(pickup->put_off, name);
        MEMORY_FREE(until);
    }
}

/* What was not taken now, for cleanup was away perhaps, is tried again soon, and less and less often. And a
 * folder that changed in the very moment of the scan may have changed after it, too. */
static void plan_next_scan(struct pickup *pickup, bool all_taken) {
    pickup->pause = all_taken ? 0 : pickup->pause == 0 ? PAUSE_FIRST : pickup->pause * 2;
    if (pickup->pause > PAUSE_LAST) pickup->pause = PAUSE_LAST;
    bool fresh = clock_date() / CLOCK_SECOND - pickup->seen.tv_sec < 2;
    int64_t wait = pickup->pause ? pickup->pause : fresh ? FRESH_PAUSE : 0;
    pickup->scan_again = wait ? deadline_in(wait) : 0;
}

static bool folder_changed(struct pickup *pickup, struct timespec *seen) {
    struct stat status;
    if (fstat(pickup->folder, &status) < 0) return false;
    *seen = status.st_mtim;
    return seen->tv_sec != pickup->seen.tv_sec || seen->tv_nsec != pickup->seen.tv_nsec;
}

void drop_folder_tick(struct pickup *pickup) {
    struct timespec now;
    if (pickup->folder < 0 || pickup->scanning) return;
    if (folder_changed(pickup, &now) || (pickup->scan_again && deadline_left(pickup->scan_again) == 0))
        drop_folder_scan(pickup);
}

static void scan_task(void *argument) {
    struct pickup *pickup = argument;
    (void)folder_changed(pickup, &pickup->seen);
    int copy = openat(pickup->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    if (!listing && copy >= 0) close(copy);
    unsigned left = NOT_NOW_LIMIT;
    bool all_taken = listing != NULL;
    for (struct dirent *entry; listing && left > 0 && (entry = readdir(listing)) != NULL;) {
        /* A dot: being written, or set aside. */
        if (entry->d_name[0] == '.') continue;
        if (is_put_off(pickup, entry->d_name)) {
            all_taken = false;
            continue;
        }
        enum take_result result = take_file(pickup, entry->d_name);
        if (result == TAKEN && unlinkat(pickup->folder, entry->d_name, 0) < 0)
            log_warning("cannot remove %s from the drop folder: %s; it will be sent again", entry->d_name,
                        strerror(errno));
        if (result == UNUSABLE) set_aside(pickup, entry->d_name);
        if (result == NOT_NOW) left--;
        if (result == REFUSED_NOW) put_off(pickup, entry->d_name);
        if (result == NOT_NOW || result == REFUSED_NOW || result == BUSY) all_taken = false;
    }
    if (listing && left > 0) forget_gone(pickup);
    if (listing) closedir(listing);
    plan_next_scan(pickup, all_taken);
    pickup->scanning = false;
}

void drop_folder_scan(struct pickup *pickup) {
    if (pickup->folder < 0 || pickup->scanning) return;
    pickup->scanning = task_start("drop folder", scan_task, pickup);
}
