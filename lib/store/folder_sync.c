/* Bringing a view up to date, and hearing when that is worth while. */
#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder_journal.h"
#include "folder_recent.h"
#include "folder_scan.h"
#include "folder_state_load.h"
#include "store_root.h"

enum store_result folder_sync(struct folder *folder, bool keep_expunged, struct folder_changes *changes,
                              struct failure *failure) {
    if (changes) *changes = (struct folder_changes){0};
    struct stat status;
    struct state_watcher watcher = folder_watcher(folder);
    if (fstat(folder->state.file, &status) < 0) {
        failure_set_errno(failure, errno, "cannot look at tern-mailbox");
        return STORE_BROKEN;
    }
    bool good =
        status.st_nlink == 0 ? folder_reload(folder, failure) : folder_state_read(&folder->state, &watcher, failure);
    if (!good) return store_trouble(failure);
    enum store_result result = folder_read_stale(folder, failure);
    if (result == STORE_OK) result = folder_claim_recent(folder, failure);
    if (result == STORE_OK) folder_view_tell(folder, keep_expunged, changes);
    return result;
}

/* inotify knows paths only, and a process that may not be looked into has none for its descriptors: it goes there. */
bool folder_watch(struct folder *folder, int inotify, int watches[FOLDER_WATCHES], struct failure *failure) {
    int numbers[FOLDER_WATCHES];
    static const char *const names[FOLDER_WATCHES] = {FOLDER_FILE, "new", "cur"};
    static const uint32_t events[FOLDER_WATCHES] = {IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB,
                                                    IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM,
                                                    IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM};
    if (fchdir(folder->directory) < 0) return failure_set_errno(failure, errno, "cannot watch the folder");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if ((numbers[i] = inotify_add_watch(inotify, names[i], events[i])) < 0)
            return failure_set_errno(failure, errno, "cannot watch the folder");
    memcpy(watches, numbers, sizeof numbers);
    return true;
}
