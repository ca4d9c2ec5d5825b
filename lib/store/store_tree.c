/* The tree of mailboxes: making, deleting and renaming them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "store_marks.h"
#include "store_name.h"
#include "store_root.h"

#define FOLDERS_DEFAULT 10000U

/* ---- making and removing */

static enum store_result refuse(struct failure *failure, enum store_result result, const char *text) {
    failure_set(failure, "%s", text);
    return result;
}

static void format_id(const uint8_t id[16], char text[40]) {
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
}

static enum store_result id_of(struct store *store, struct str name, char mailbox_id[40], struct failure *failure) {
    enum store_result result;
    struct folder *folder = folder_open(store, name, FOLDER_READ_ONLY, &result, failure);
    if (!folder) return result;
    format_id(folder_id(folder), mailbox_id);
    folder_close(&folder);
    return STORE_OK;
}

static bool too_many_folders(struct store *store, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct store_entry *entries;
    size_t count = 0, limit = store->options.folders_limit ? store->options.folders_limit : FOLDERS_DEFAULT;
    bool many = store_list(store, arena, &entries, &count, failure) && count >= limit;
    arena_destroy(&arena);
    return many;
}

/* Under another name first: a folder is there whole or not. */
static enum store_result make_directory(struct store *store, const char *directory, struct failure *failure) {
    static const char beside[] = ".tern-making"; /* no mailbox has that name: it would be "tern-making" */
    char path[64];
    snprintf(path, sizeof path, "..%s.%d", beside + 1, (int)getpid());
    if (mkdirat(store->root, path, 0700) < 0 && errno != EEXIST) {
        failure_set_errno(failure, errno, "cannot make the mailbox");
        return store_trouble(failure);
    }
    int made = openat(store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool good = made >= 0 && store_make_folder(made, false, failure) && fsync(made) == 0 &&
                renameat2(store->root, path, store->root, directory, RENAME_NOREPLACE) == 0 && fsync(store->root) == 0;
    if (!good && failure->error_number == 0) failure_set_errno(failure, errno, "cannot make the mailbox");
    if (made >= 0) close(made);
    return good ? STORE_OK : failure->error_number == EEXIST ? STORE_EXISTS : store_trouble(failure);
}

enum store_result store_create(struct store *store, struct str name, unsigned special, char mailbox_id[40],
                               struct failure *failure) {
    struct buf directory = buf_make(0);
    if (store_name_is_inbox(name)) return refuse(failure, STORE_EXISTS, "INBOX is always there");
    if (!store_name_to_directory(name, &directory))
        return refuse(failure, STORE_REFUSED, "no mailbox can have that name");
    enum store_result result = STORE_OK;
    if (faccessat(store->root, buf_string(&directory), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        result = refuse(failure, STORE_EXISTS, "there is such a mailbox");
    else if (too_many_folders(store, failure))
        result = refuse(failure, STORE_LIMIT, "there are too many mailboxes");
    else
        result = make_directory(store, buf_string(&directory), failure);
    if (result == STORE_OK && special) {
        int lock = store_lock(store, failure);
        if (lock < 0 || !store_set_special(store, name, special, failure)) result = store_trouble(failure);
        if (lock >= 0) close(lock);
    }
    if (result == STORE_OK && mailbox_id) result = id_of(store, name, mailbox_id, failure);
    buf_free(&directory);
    return result;
}

/* Empties and removes a directory of one or two levels, as a folder is. */
static bool remove_tree(int parent, const char *name, int levels, struct failure *failure) {
    int copy = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    bool good = directory != NULL;
    if (!directory && copy >= 0) close(copy);
    for (struct dirent *entry; good && (entry = readdir(directory));) {
        if (str_equal(str_from(entry->d_name), STR(".")) || str_equal(str_from(entry->d_name), STR(".."))) continue;
        if (unlinkat(copy, entry->d_name, 0) == 0 || errno == ENOENT) continue;
        good =
            levels > 0 && (errno == EISDIR || errno == EPERM) && remove_tree(copy, entry->d_name, levels - 1, failure);
    }
    if (directory) closedir(directory);
    return good && unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

/* To a name that no mailbox has. A process of our number that died may have left some there. */
static bool move_aside(struct store *store, const char *directory, char *aside, size_t room) {
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(aside, room, "..tern-deleted.%d.%llu", (int)getpid(), (unsigned long long)++store->unique);
        if (renameat2(store->root, directory, store->root, aside, RENAME_NOREPLACE) == 0) return true;
        if (errno != EEXIST) return false;
    }
    return false;
}

/* What is left of mailboxes that were deleted, by us or by processes that died on the way. */
static void remove_deleted(struct store *store) {
    struct failure ignored = {0};
    int copy = openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory && copy >= 0) close(copy);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (str_starts(str_from(entry->d_name), STR("..tern-deleted.")))
            (void)!remove_tree(store->root, entry->d_name, 2, &ignored); /* the next deletion tries again */
    if (directory) closedir(directory);
}

enum store_result store_delete(struct store *store, struct str name, struct failure *failure) {
    struct buf directory = buf_make(0);
    char aside[64];
    if (store_name_is_inbox(name)) return refuse(failure, STORE_REFUSED, "INBOX cannot be deleted");
    if (!store_name_to_directory(name, &directory)) return refuse(failure, STORE_MISSING, "there is no such mailbox");
    enum store_result result = STORE_OK;
    /* Gone at once, whatever becomes of the files. */
    if (!move_aside(store, buf_string(&directory), aside, sizeof aside)) {
        failure_set_errno(failure, errno, "cannot delete the mailbox");
        result = failure->error_number == ENOENT ? STORE_MISSING : store_trouble(failure);
    } else if (fsync(store->root) < 0) {
        failure_set_errno(failure, errno, "cannot sync the mailboxes");
        result = STORE_BROKEN;
    }
    if (result == STORE_OK) {
        int lock = store_lock(store, failure);
        if (lock < 0 || !store_set_special(store, name, 0, failure)) result = store_trouble(failure);
        if (lock >= 0) close(lock);
        remove_deleted(store);
    }
    buf_free(&directory);
    return result;
}

/* ---- renaming */

struct rename_plan {
    struct str from, to;
    const struct store_entry *entries; /* all that there are */
    size_t count;
};

static enum store_result rename_one(struct store *store, struct str old_name, struct str new_name,
                                    struct failure *failure) {
    struct buf from = buf_make(0), to = buf_make(0);
    enum store_result result = STORE_OK;
    if (!store_name_to_directory(old_name, &from) || !store_name_to_directory(new_name, &to)) {
        result = refuse(failure, STORE_REFUSED, "no mailbox can have that name");
    } else if (renameat2(store->root, buf_string(&from), store->root, buf_string(&to), RENAME_NOREPLACE) < 0) {
        failure_set_errno(failure, errno, "cannot rename the mailbox");
        result = failure->error_number == EEXIST ? STORE_EXISTS : store_trouble(failure);
    }
    buf_free(&from);
    buf_free(&to);
    if (result == STORE_OK && !store_rename_special(store, old_name, new_name, failure))
        result = store_trouble(failure);
    return result;
}

/* INBOX's messages move to a new mailbox; INBOX stays. */
static enum store_result rename_inbox(struct store *store, struct str to, struct failure *failure) {
    struct uid_set all = {0}, from = {0}, there = {0};
    uint32_t validity;
    enum store_result result = store_create(store, to, 0, NULL, failure);
    if (result != STORE_OK) return result;
    struct folder *inbox = folder_open(store, STR("INBOX"), FOLDER_READ_WRITE, &result, failure);
    if (!inbox) return result;
    uid_set_add(&all, 1, UINT32_MAX);
    if (folder_count(inbox) > 0) result = folder_copy(inbox, &all, to, true, &validity, &from, &there, failure);
    folder_close(&inbox);
    uid_set_free(&all);
    uid_set_free(&from);
    uid_set_free(&there);
    return result;
}

static bool is_below(struct str name, struct str above) {
    return name.length > above.length && str_starts(name, above) && name.data[above.length] == '/';
}

static bool moves(const struct rename_plan *plan, const struct store_entry *entry) {
    return !(entry->attributes & STORE_NO_SELECT) &&
           (str_equal(entry->name, plan->from) || is_below(entry->name, plan->from));
}

/* Whether a mailbox still bears the name when it is an entry's turn. */
static bool is_taken(const struct rename_plan *plan, struct str name, size_t turn) {
    for (size_t i = 0; i < plan->count; i++)
        if (str_equal(plan->entries[i].name, name))
            return !(plan->entries[i].attributes & STORE_NO_SELECT) && !(i < turn && moves(plan, &plan->entries[i]));
    return false;
}

/* Whether an entry moves, and how it is called then. */
static bool moves_to(const struct rename_plan *plan, const struct store_entry *entry, struct buf *name) {
    if (!moves(plan, entry)) return false;
    buf_clear(name);
    buf_append(name, plan->to);
    buf_append(name, str_from_offset(entry->name, plan->from.length));
    return true;
}

/* All move or none does: every new name must be one, and free. Lock held. */
static enum store_result check_rename(const struct rename_plan *plan, struct failure *failure) {
    struct buf name = buf_make(0), directory = buf_make(0);
    enum store_result result = STORE_MISSING;
    for (size_t i = 0; i < plan->count && (result == STORE_MISSING || result == STORE_OK); i++) {
        if (!moves_to(plan, &plan->entries[i], &name)) continue;
        result = STORE_OK;
        buf_clear(&directory);
        if (!store_name_to_directory(buf_str(&name), &directory))
            result = refuse(failure, STORE_REFUSED, "no mailbox can have that name");
        else if (is_taken(plan, buf_str(&name), i))
            result = refuse(failure, STORE_EXISTS, "there is such a mailbox");
    }
    buf_free(&name);
    buf_free(&directory);
    if (result == STORE_OK && is_taken(plan, plan->to, 0))
        return refuse(failure, STORE_EXISTS, "there is such a mailbox");
    return result == STORE_MISSING ? refuse(failure, STORE_MISSING, "there is no such mailbox") : result;
}

static enum store_result rename_all(struct store *store, const struct rename_plan *plan, struct failure *failure) {
    struct buf name = buf_make(0);
    enum store_result result = STORE_OK;
    for (size_t i = 0; result == STORE_OK && i < plan->count; i++)
        if (moves_to(plan, &plan->entries[i], &name))
            result = rename_one(store, plan->entries[i].name, buf_str(&name), failure);
    if (fsync(store->root) < 0 && result == STORE_OK) {
        failure_set_errno(failure, errno, "cannot sync the mailboxes");
        result = STORE_BROKEN;
    }
    buf_free(&name);
    return result;
}

enum store_result store_rename(struct store *store, struct str from, struct str to, struct failure *failure) {
    if (!store_name_is_valid(to)) return refuse(failure, STORE_REFUSED, "no mailbox can have that name");
    if (store_name_is_inbox(to)) return refuse(failure, STORE_EXISTS, "INBOX is always there");
    if (store_name_is_inbox(from)) return rename_inbox(store, to, failure);
    if (is_below(to, from) || str_equal(to, from))
        return refuse(failure, STORE_REFUSED, "a mailbox cannot move below itself");
    struct arena *arena = arena_create(0);
    struct store_entry *entries = NULL;
    size_t count = 0;
    int lock = store_lock(store, failure);
    enum store_result result =
        lock >= 0 && store_list(store, arena, &entries, &count, failure) ? STORE_OK : store_trouble(failure);
    struct rename_plan plan = {from, to, entries, count};
    if (result == STORE_OK) result = check_rename(&plan, failure);
    if (result == STORE_OK) result = rename_all(store, &plan, failure);
    if (lock >= 0) close(lock);
    arena_destroy(&arena);
    return result;
}
