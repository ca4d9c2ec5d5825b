/* See folder_target.h. */
#include "folder_target.h"

#include <sys/stat.h>

#include "folder_open.h"
#include "folder_settle.h"
#include "folder_view.h"
#include "maildir_sweep.h"
#include "store_root.h"

void folder_drop_target(struct store *store) {
    struct failure ignored = {0};
    if (!store->target) return;
    if (folder_is_journal_long(store->target)) (void)!folder_settle(store->target, &ignored);
    folder_close(&store->target);
}

struct folder *folder_take_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure) {
    struct folder *kept = store->target;
    struct stat status;
    if (kept && str_equal(str_from(kept->name), name) && store_folder_is(store, name, kept->directory) &&
        fstat(kept->state.file, &status) == 0 && status.st_nlink > 0) {
        store->target = NULL;
        *result = STORE_OK;
        return kept;
    }
    folder_drop_target(store);
    struct folder *target = folder_open_target(store, name, result, failure);
    if (target) maildir_sweep(target->directory);
    return target;
}

void folder_keep_target(struct store *store, struct folder **target) {
    folder_drop_target(store);
    store->target = *target;
    *target = NULL;
}
