/* The tree of mailboxes: listing, making, removing, renaming, subscriptions and special uses. */
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FOLDERS_DEFAULT 10000U

/* ---- special uses: "\Sent Name" a line */

static const struct {
    struct str word;
    unsigned special;
} special_words[] = {
    {STR_INIT("\\All"), SPECIAL_ALL},     {STR_INIT("\\Archive"), SPECIAL_ARCHIVE},     {STR_INIT("\\Drafts"), SPECIAL_DRAFTS},
    {STR_INIT("\\Flagged"), SPECIAL_FLAGGED}, {STR_INIT("\\Junk"), SPECIAL_JUNK},       {STR_INIT("\\Sent"), SPECIAL_SENT},
    {STR_INIT("\\Trash"), SPECIAL_TRASH}, {STR_INIT("\\Important"), SPECIAL_IMPORTANT},
};

unsigned store_special_from(struct str word) {
    for (size_t i = 0; i < ARRAY_LENGTH(special_words); i++)
        if (str_equal_nocase(word, special_words[i].word)) return special_words[i].special;
    return 0;
}

/* The last line may lack its end: another program has written it. */
static bool next_line(struct str *text, struct str *line) {
    if (text->length == 0) return false;
    *line = *text;
    if (!str_cut(*text, '\n', line, text)) *text = STR_EMPTY;
    return true;
}

/* The text without the lines of a name; or, to not empty, with them under another name. */
static void rewrite_special(struct str text, struct str name, struct str to, struct buf *written) {
    struct str line, word, of;
    while (next_line(&text, &line)) {
        bool ours = str_cut(line, ' ', &word, &of) && str_equal(of, name);
        if (ours && to.length == 0) continue;
        if (ours)
            buf_printf(written, "%.*s %.*s\n", STR_ARGS(word), STR_ARGS(to));
        else
            buf_printf(written, "%.*s\n", STR_ARGS(line));
    }
}

bool store_set_special(struct store *store, struct str name, unsigned special, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0);
    bool good = store_read_file(store, "tern-special-use", &text, failure);
    rewrite_special(buf_str(&text), name, STR_EMPTY, &written);
    for (size_t i = 0; i < ARRAY_LENGTH(special_words); i++)
        if (special & special_words[i].special)
            buf_printf(&written, "%.*s %.*s\n", STR_ARGS(special_words[i].word), STR_ARGS(name));
    good = good && (str_equal(buf_str(&text), buf_str(&written)) ||
                    store_write_file(store, "tern-special-use", buf_str(&written), failure));
    buf_free(&text);
    buf_free(&written);
    return good;
}

static bool rename_special(struct store *store, struct str from, struct str to, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0);
    bool good = store_read_file(store, "tern-special-use", &text, failure);
    rewrite_special(buf_str(&text), from, to, &written);
    good = good && (str_equal(buf_str(&text), buf_str(&written)) ||
                    store_write_file(store, "tern-special-use", buf_str(&written), failure));
    buf_free(&text);
    buf_free(&written);
    return good;
}

/* ---- subscriptions: a name a line; "V\t2" and tabs for levels is what Dovecot 2.3 writes */

static bool next_subscription(struct str *text, bool tabs, struct buf *name) {
    struct str line;
    buf_clear(name);
    while (next_line(text, &line)) {
        if (line.length == 0 || line.length > STORE_NAME_MAX) continue;
        buf_append(name, line);
        for (size_t i = 0; tabs && i < name->length; i++)
            if (name->data[i] == '\t') name->data[i] = '/';
        return true;
    }
    return false;
}

static bool has_version(struct str *text) {
    struct str line, rest;
    if (!str_starts(*text, STR("V\t")) || !str_cut(*text, '\n', &line, &rest)) return false;
    *text = rest;
    return true;
}

enum store_result store_subscribe(struct store *store, struct str name, bool subscribe, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0), other = buf_make(0);
    if (!store_name_is_valid(name)) {
        failure_set(failure, "no mailbox can have that name");
        return STORE_REFUSED;
    }
    if (store_name_is_inbox(name)) name = STR("INBOX");
    int lock = store_lock(store, failure);
    bool good = lock >= 0 && store_read_file(store, "subscriptions", &text, failure), had = false;
    struct str rest = buf_str(&text);
    bool tabs = has_version(&rest);
    while (next_subscription(&rest, tabs, &other)) {
        bool same = str_equal(buf_str(&other), name);
        had = had || same;
        if (!same || subscribe) buf_printf(&written, "%.*s\n", STR_ARGS(buf_str(&other)));
    }
    if (subscribe && !had) buf_printf(&written, "%.*s\n", STR_ARGS(name));
    if (good && had != subscribe) good = store_write_file(store, "subscriptions", buf_str(&written), failure);
    if (lock >= 0) close(lock);
    buf_free(&text);
    buf_free(&written);
    buf_free(&other);
    return good ? STORE_OK : folder_trouble(failure);
}

/* ---- listing */

struct listing {
    struct store *store;
    struct arena *arena;
    struct map *names; /* name -> struct store_entry */
    bool full;
};

static struct store_entry *entry_of(struct listing *listing, struct str name, unsigned when_new) {
    struct store_entry *entry = map_get(listing->names, name);
    if (entry) return entry;
    entry = ARENA_NEW(listing->arena, struct store_entry);
    if (!entry || !arena_copy(listing->arena, name, &entry->name)) {
        listing->full = true;
        return NULL;
    }
    entry->attributes = when_new;
    map_put(listing->names, entry->name, entry);
    return entry;
}

static bool is_marked(const struct store *store, const char *directory) {
    char path[300];
    snprintf(path, sizeof path, "%s/new", directory);
    int copy = openat(store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    bool marked = false;
    if (!listing) {
        if (copy >= 0) close(copy);
        return false;
    }
    for (struct dirent *entry; !marked && (entry = readdir(listing));)
        marked = entry->d_name[0] != '.';
    closedir(listing);
    return marked;
}

static bool is_folder(const struct store *store, const char *directory) {
    char path[300];
    snprintf(path, sizeof path, "%s/cur", directory);
    return faccessat(store->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool read_folders(struct listing *listing, struct failure *failure) {
    struct store *store = listing->store;
    int copy = openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    struct buf name = buf_make(0);
    if (!directory) {
        if (copy >= 0) close(copy);
        return failure_set_errno(failure, errno, "cannot list the mailboxes");
    }
    struct store_entry *inbox = entry_of(listing, STR("INBOX"), 0);
    if (inbox && is_marked(store, ".")) inbox->attributes |= STORE_MARKED;
    for (struct dirent *entry; (entry = readdir(directory));) {
        buf_clear(&name);
        if (!store_name_from_directory(str_from(entry->d_name), &name) || !is_folder(store, entry->d_name)) continue;
        struct store_entry *found = entry_of(listing, buf_str(&name), 0);
        if (found && is_marked(store, entry->d_name)) found->attributes |= STORE_MARKED;
    }
    closedir(directory);
    buf_free(&name);
    return true;
}

/* Levels above a folder are there, as names at least. */
static void add_parents(struct listing *listing) {
    size_t cursor = 0, count = 0, total = map_count(listing->names);
    struct str *names = memory_allocate(total ? total : 1, sizeof *names), name;
    void *value;
    while (map_next(listing->names, &cursor, &name, &value))
        names[count++] = ((struct store_entry *)value)->name;
    for (size_t i = 0; i < count; i++) {
        name = names[i];
        for (size_t slash; (slash = str_find_last(name, '/')) != STR_NONE;) {
            name.length = slash;
            struct store_entry *parent = entry_of(listing, name, STORE_NO_SELECT);
            if (parent) parent->attributes |= STORE_HAS_CHILDREN;
        }
    }
    MEMORY_FREE(names);
}

static bool read_marks(struct listing *listing, struct failure *failure) {
    struct buf text = buf_make(0), name = buf_make(0);
    bool good = store_read_file(listing->store, "subscriptions", &text, failure);
    struct str rest = buf_str(&text);
    bool tabs = has_version(&rest);
    while (good && next_subscription(&rest, tabs, &name)) {
        struct str subscribed = store_name_is_inbox(buf_str(&name)) ? STR("INBOX") : buf_str(&name);
        if (!store_name_is_valid(subscribed)) continue;
        struct store_entry *entry = entry_of(listing, subscribed, STORE_NON_EXISTENT | STORE_NO_SELECT);
        if (entry) entry->attributes |= STORE_SUBSCRIBED;
    }
    buf_clear(&text);
    good = good && store_read_file(listing->store, "tern-special-use", &text, failure);
    struct str line, word, of;
    rest = buf_str(&text);
    while (good && next_line(&rest, &line)) {
        struct store_entry *entry = str_cut(line, ' ', &word, &of) ? map_get(listing->names, of) : NULL;
        if (entry) entry->attributes |= store_special_from(word) << STORE_SPECIAL_SHIFT;
    }
    buf_free(&text);
    buf_free(&name);
    return good;
}

static int compare_entries(const void *a, const void *b) {
    const struct store_entry *first = a, *second = b;
    bool first_inbox = str_equal(first->name, STR("INBOX")), second_inbox = str_equal(second->name, STR("INBOX"));
    if (first_inbox != second_inbox) return first_inbox ? -1 : 1;
    return str_compare(first->name, second->name);
}

bool store_list(struct store *store, struct arena *arena, struct store_entry **entries, size_t *count,
                struct failure *failure) {
    struct listing listing = {.store = store, .arena = arena, .names = map_create()};
    bool good = read_folders(&listing, failure);
    if (good) add_parents(&listing);
    good = good && read_marks(&listing, failure);
    size_t total = map_count(listing.names), cursor = 0, filled = 0;
    struct store_entry *all = good ? arena_allocate(arena, total + 1, sizeof *all) : NULL;
    struct str name;
    void *value;
    while (all && map_next(listing.names, &cursor, &name, &value))
        all[filled++] = *(struct store_entry *)value;
    map_destroy(&listing.names);
    if (!good) return false;
    if (!all || listing.full) return failure_set(failure, "too many mailboxes");
    qsort(all, filled, sizeof *all, compare_entries);
    *entries = all;
    *count = filled;
    return true;
}

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
        return folder_trouble(failure);
    }
    int made = openat(store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool good = made >= 0 && store_make_folder(made, false, failure) && fsync(made) == 0 &&
                renameat2(store->root, path, store->root, directory, RENAME_NOREPLACE) == 0 && fsync(store->root) == 0;
    if (!good && failure->error_number == 0) failure_set_errno(failure, errno, "cannot make the mailbox");
    if (made >= 0) close(made);
    return good ? STORE_OK : failure->error_number == EEXIST ? STORE_EXISTS : folder_trouble(failure);
}

enum store_result store_create(struct store *store, struct str name, unsigned special, char mailbox_id[40],
                               struct failure *failure) {
    struct buf directory = buf_make(0);
    if (store_name_is_inbox(name)) return refuse(failure, STORE_EXISTS, "INBOX is always there");
    if (!store_name_to_directory(name, &directory)) return refuse(failure, STORE_REFUSED, "no mailbox can have that name");
    enum store_result result = STORE_OK;
    if (faccessat(store->root, buf_string(&directory), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        result = refuse(failure, STORE_EXISTS, "there is such a mailbox");
    else if (too_many_folders(store, failure))
        result = refuse(failure, STORE_LIMIT, "there are too many mailboxes");
    else
        result = make_directory(store, buf_string(&directory), failure);
    if (result == STORE_OK && special) {
        int lock = store_lock(store, failure);
        if (lock < 0 || !store_set_special(store, name, special, failure)) result = folder_trouble(failure);
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
        good = levels > 0 && (errno == EISDIR || errno == EPERM) && remove_tree(copy, entry->d_name, levels - 1, failure);
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
        result = failure->error_number == ENOENT ? STORE_MISSING : folder_trouble(failure);
    } else if (fsync(store->root) < 0) {
        failure_set_errno(failure, errno, "cannot sync the mailboxes");
        result = STORE_BROKEN;
    }
    if (result == STORE_OK) {
        int lock = store_lock(store, failure);
        if (lock < 0 || !store_set_special(store, name, 0, failure)) result = folder_trouble(failure);
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

static enum store_result rename_one(struct store *store, struct str old_name, struct str new_name, struct failure *failure) {
    struct buf from = buf_make(0), to = buf_make(0);
    enum store_result result = STORE_OK;
    if (!store_name_to_directory(old_name, &from) || !store_name_to_directory(new_name, &to)) {
        result = refuse(failure, STORE_REFUSED, "no mailbox can have that name");
    } else if (renameat2(store->root, buf_string(&from), store->root, buf_string(&to), RENAME_NOREPLACE) < 0) {
        failure_set_errno(failure, errno, "cannot rename the mailbox");
        result = failure->error_number == EEXIST ? STORE_EXISTS : folder_trouble(failure);
    }
    buf_free(&from);
    buf_free(&to);
    if (result == STORE_OK && !rename_special(store, old_name, new_name, failure)) result = folder_trouble(failure);
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
    return !(entry->attributes & STORE_NO_SELECT) && (str_equal(entry->name, plan->from) || is_below(entry->name, plan->from));
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
    if (result == STORE_OK && is_taken(plan, plan->to, 0)) return refuse(failure, STORE_EXISTS, "there is such a mailbox");
    return result == STORE_MISSING ? refuse(failure, STORE_MISSING, "there is no such mailbox") : result;
}

static enum store_result rename_all(struct store *store, const struct rename_plan *plan, struct failure *failure) {
    struct buf name = buf_make(0);
    enum store_result result = STORE_OK;
    for (size_t i = 0; result == STORE_OK && i < plan->count; i++)
        if (moves_to(plan, &plan->entries[i], &name)) result = rename_one(store, plan->entries[i].name, buf_str(&name), failure);
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
    if (is_below(to, from) || str_equal(to, from)) return refuse(failure, STORE_REFUSED, "a mailbox cannot move below itself");
    struct arena *arena = arena_create(0);
    struct store_entry *entries = NULL;
    size_t count = 0;
    int lock = store_lock(store, failure);
    enum store_result result = lock >= 0 && store_list(store, arena, &entries, &count, failure) ? STORE_OK : folder_trouble(failure);
    struct rename_plan plan = {from, to, entries, count};
    if (result == STORE_OK) result = check_rename(&plan, failure);
    if (result == STORE_OK) result = rename_all(store, &plan, failure);
    if (lock >= 0) close(lock);
    arena_destroy(&arena);
    return result;
}
