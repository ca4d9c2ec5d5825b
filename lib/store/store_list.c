/* Listing the mailboxes: the directories that there are, the levels above them, and what is marked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hash.h"
#include "store_marks.h"
#include "store_name.h"
#include "store_root.h"

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
    bool tabs = store_subscriptions_begin(&rest);
    while (good && store_subscriptions_next(&rest, tabs, &name)) {
        struct str subscribed = store_name_is_inbox(buf_str(&name)) ? STR("INBOX") : buf_str(&name);
        if (!store_name_is_valid(subscribed)) continue;
        struct store_entry *entry = entry_of(listing, subscribed, STORE_NON_EXISTENT | STORE_NO_SELECT);
        if (entry) entry->attributes |= STORE_SUBSCRIBED;
    }
    buf_clear(&text);
    good = good && store_read_file(listing->store, "tern-special-use", &text, failure);
    struct str of;
    unsigned special;
    rest = buf_str(&text);
    while (good && store_special_next(&rest, &of, &special)) {
        struct store_entry *entry = map_get(listing->names, of);
        if (entry) entry->attributes |= special << STORE_SPECIAL_SHIFT;
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
