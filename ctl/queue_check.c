/* Looking through the queue's folders: see queue_check.h. */
#include "queue_check.h"
#include "queue_file.h"
#include "queue_id.h"
#include "queue_tool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

struct check {
    const struct queue_check_wishes *wishes;
    struct queue_check_counts *counts;
    queue_check_teller *teller;
    void *context;
    struct failure *failure;
    int queue;
    int folder; /* the one being walked */
    const char *folder_name;
};

/* The folders; what a message in each is. */
static const struct folder_row {
    const char *name;
    bool holds_messages;
} folders[] = {{"tmp", false}, {"new", true}, {"cur", true}, {"hold", true}, {"corrupt", false}};

/* Other names that stand in the queue's directory. */
static const char *const companions[] = {"schedule", "id-ceiling", "id-ceiling.new", "logins", "logins.new"};

static void tell(const struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
static void tell(const struct check *check, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    check->teller(buf_string(&text), check->context);
    buf_free(&text);
}

static bool local_fault(const struct check *check, const char *what, const char *name) {
    return failure_set_errno(check->failure, errno, "cannot %s %s/%s", what, check->folder_name, name);
}

/* ---- one file */

typedef bool entry_handler(struct check *check, const char *name, const struct stat *status);

static void tell_foreign(struct check *check, const char *name, const char *what) {
    check->counts->foreign++;
    tell(check, "%s/%s: %s; it stays", check->folder_name, name, what);
}

/* Damaged files keep their name; one of that name in corrupt/ is not written over. */
static bool set_aside(struct check *check, const char *name, const char *reason) {
    check->counts->damaged++;
    if (!check->wishes->repair) {
        tell(check, "%s/%s: damaged: %s", check->folder_name, name, reason);
        return true;
    }
    int corrupt = queue_tool_open_folder(check->queue, "corrupt", check->failure);
    if (corrupt < 0) return false;
    char target[QUEUE_ID_SIZE + 32];
    snprintf(target, sizeof target, "%s", name);
    if (faccessat(corrupt, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        snprintf(target, sizeof target, "%s.%lld", name, (long long)time(NULL));
    bool good = renameat(check->folder, name, corrupt, target) == 0 && fsync(corrupt) == 0 && fsync(check->folder) == 0;
    if (good)
        tell(check, "%s/%s: damaged, moved to corrupt/%s: %s", check->folder_name, name, target, reason);
    else
        local_fault(check, "set aside", name);
    close(corrupt);
    return good;
}

/* Does it read as a message of this name; *local: that cannot be said, for a local fault. */
static bool is_whole(const struct check *check, int file, const char *name, struct failure *why) {
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    bool good = queue_file_read(file, arena, &header, &envelope, &events_end, why);
    if (good && !str_equal(envelope.queue_id, str_from(name)))
        good = failure_set(why, "its envelope is of the message %.*s",
                           STR_ARGS(str_slice(envelope.queue_id, 0, QUEUE_ID_SIZE)));
    if (good && check->wishes->content) good = queue_file_check_content(file, &header, why);
    arena_destroy(&arena);
    return good;
}

/* Two messages of one ID: a hand did it. Two names of one are of a move that a crash cut short: qmgr sees to that. */
static void look_for_twin(struct check *check, const char *name, const struct stat *status) {
    char path[64];
    struct stat twin;
    bool later = false;
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        if (later && folders[i].holds_messages) {
            snprintf(path, sizeof path, "%s/%s", folders[i].name, name);
            if (fstatat(check->queue, path, &twin, AT_SYMLINK_NOFOLLOW) == 0 &&
                (twin.st_ino != status->st_ino || twin.st_dev != status->st_dev))
                tell_foreign(check, name, "a message of the same ID stands in another folder");
        }
        if (strcmp(folders[i].name, check->folder_name) == 0) later = true;
    }
}

static bool check_message(struct check *check, const char *name, const struct stat *status) {
    struct failure why = {0};
    if (!S_ISREG(status->st_mode) || !queue_id_is_valid(str_from(name))) {
        tell_foreign(check, name, S_ISREG(status->st_mode) ? "not the name of a message" : "not a plain file");
        return true;
    }
    int file = openat(check->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return errno == ENOENT || local_fault(check, "open", name);
    bool whole = is_whole(check, file, name, &why);
    close(file);
    if (!whole && why.error_number != 0) {
        *check->failure = why;
        failure_prefix(check->failure, "%s/%s", check->folder_name, name);
        return false;
    }
    if (!whole) return set_aside(check, name, why.text);
    check->counts->messages++;
    look_for_twin(check, name, status);
    return true;
}

static bool check_leftover(struct check *check, const char *name, const struct stat *status) {
    int64_t stale_after = check->wishes->stale_after > 0 ? check->wishes->stale_after : DAY;
    if (!check->wishes->purge || time(NULL) - status->st_mtime < stale_after) return true;
    if (!S_ISREG(status->st_mode)) {
        tell_foreign(check, name, "not a plain file");
        return true;
    }
    if (check->wishes->repair && unlinkat(check->folder, name, 0) < 0)
        return errno == ENOENT || local_fault(check, "remove", name);
    check->counts->leftovers++;
    tell(check, "%s/%s: left unfinished%s", check->folder_name, name, check->wishes->repair ? ", removed" : "");
    return true;
}

/* ---- folders */

static bool walk(struct check *check, entry_handler *handler) {
    int copy = openat(check->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    bool good = true;
    if (!listing) {
        if (copy >= 0) close(copy);
        return local_fault(check, "read", "");
    }
    for (struct dirent *entry; good && (entry = readdir(listing)) != NULL;) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (fstatat(check->folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            good = handler(check, entry->d_name, &status);
    }
    closedir(listing);
    return good;
}

static bool make_folder(struct check *check, const char *name) {
    check->counts->folders_made++;
    tell(check, "%s: missing%s", name, check->wishes->repair ? ", made" : "");
    if (!check->wishes->repair) return true;
    return mkdirat(check->queue, name, 0700) == 0 ||
           failure_set_errno(check->failure, errno, "cannot make the folder %s", name);
}

static bool check_folder(struct check *check, const struct folder_row *row) {
    entry_handler *handler = row->holds_messages ? check_message : check_leftover;
    struct failure failure = {0};
    if (row->holds_messages && !check->wishes->structure) return true;
    check->folder_name = row->name;
    check->folder = queue_tool_open_folder(check->queue, row->name, &failure);
    if (check->folder < 0 && failure.error_number == ENOENT)
        return check->wishes->structure ? make_folder(check, row->name) : true;
    if (check->folder < 0) {
        *check->failure = failure;
        return false;
    }
    /* What stands in corrupt/ is the operator's. */
    bool good = strcmp(row->name, "corrupt") == 0 || walk(check, handler);
    close(check->folder);
    return good;
}

static bool check_top_entry(struct check *check, const char *name, const struct stat *status) {
    (void)status;
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        if (strcmp(folders[i].name, name) == 0) return true;
    for (size_t i = 0; i < ARRAY_LENGTH(companions); i++)
        if (strcmp(companions[i], name) == 0) return true;
    tell_foreign(check, name, "not part of the queue");
    return true;
}

/* corrupt/ is made before anything is set aside in it. */
static bool check_folders(struct check *check) {
    bool good = check_folder(check, &folders[ARRAY_LENGTH(folders) - 1]);
    for (size_t i = 0; good && i + 1 < ARRAY_LENGTH(folders); i++)
        good = check_folder(check, &folders[i]);
    return good;
}

bool queue_check(int queue, const struct queue_check_wishes *wishes, struct queue_check_counts *counts,
                 queue_check_teller *teller, void *context, struct failure *failure) {
    struct check check = {.wishes = wishes,
                          .counts = counts,
                          .teller = teller,
                          .context = context,
                          .failure = failure,
                          .queue = queue,
                          .folder = queue,
                          .folder_name = "queue"};
    *counts = (struct queue_check_counts){.messages = 0};
    if (wishes->structure && !walk(&check, check_top_entry)) return false;
    return check_folders(&check);
}
