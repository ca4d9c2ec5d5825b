/* Opening and closing a user's mailboxes: making what is not there yet, taking over what another program has left. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "folder_target.h"
#include "store_import.h"
#include "store_marks.h"
#include "store_root.h"

static bool copy_options(struct store *store, const struct store_options *options) {
    store->options = *options;
    return arena_copy(store->texts, options->root, &store->options.root) &&
           arena_copy(store->texts, options->cache, &store->options.cache) &&
           arena_copy(store->texts, options->boot, &store->options.boot) &&
           arena_copy(store->texts, options->host, &store->options.host) &&
           arena_copy(store->texts, options->auto_folders, &store->options.auto_folders);
}

/* "Name:\Use" words: made and subscribed when the INBOX is first made. */
static bool make_auto_folders(struct store *store, struct failure *failure) {
    struct str rest = store->options.auto_folders, word;
    while (str_next_word(&rest, " ,\t\r\n", &word)) {
        struct str name = word, use = STR_EMPTY;
        (void)str_cut(word, ':', &name, &use);
        enum store_result result = store_create(store, name, store_special_from(use), NULL, failure);
        if (result != STORE_OK && result != STORE_EXISTS) return false;
        if (store_subscribe(store, name, true, failure) != STORE_OK) return false;
    }
    return true;
}

static bool open_root(struct store *store, bool *made, struct failure *failure) {
    const char *path = store->options.root.data; /* arena_copy ends it in NUL */
    *made = false;
    store->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0 && errno == ENOENT && store->options.create) {
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return failure_set_errno(failure, errno, "cannot make the mailbox");
        store->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->root < 0) return failure_set_errno(failure, errno, "cannot open the mailbox");
    if (faccessat(store->root, "cur", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (!store->options.create) return failure_set(failure, "there is no mailbox");
    *made = true;
    return store_make_folder(store->root, true, failure);
}

struct store *store_open(const struct store_options *options, struct failure *failure) {
    struct store *store = MEMORY_NEW(struct store);
    bool made;
    store->root = -1;
    store->texts = arena_create(0);
    if (copy_options(store, options) && open_root(store, &made, failure) &&
        (!made || make_auto_folders(store, failure)) && (!store_is_foreign(store) || store_take_over(store, failure)))
        return store;
    store_close(&store);
    return NULL;
}

void store_close(struct store **store) {
    struct store *gone = *store;
    if (!gone) return;
    folder_drop_target(gone);
    if (gone->cache) cache_close(&gone->cache);
    if (gone->root >= 0) close(gone->root);
    arena_destroy(&gone->texts);
    MEMORY_FREE(*store);
}
