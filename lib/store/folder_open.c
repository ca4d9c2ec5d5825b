/* Opening a folder: its first file, or a damaged one, and closing. */
#include "folder_open.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder_dates.h"
#include "folder_import.h"
#include "folder_journal.h"
#include "folder_recent.h"
#include "folder_scan.h"
#include "folder_snapshot.h"
#include "folder_state_load.h"
#include "store_root.h"

/* An octet in tern-lock says that the folder has had a tern-mailbox: if that is lost, the UIDs that another program's
 * old files know may have gone to other messages meanwhile. Without the octet no more than that is lost. */
static bool was_ours(const struct folder *folder) {
    struct stat status;
    return fstat(folder->lock, &status) == 0 && status.st_size > 0;
}

static void mark_ours(const struct folder *folder) {
    (void)!pwrite(folder->lock, "\n", 1, 0);
}

/* The file of a folder that tern opens for the first time, or whose file is damaged: UIDs begin anew then. */
static bool make_file(struct folder *folder, bool damaged, struct failure *failure) {
    struct folder_import import = {0};
    uint32_t validity = 0;
    bool good = damaged || was_ours(folder) || folder_import_read(folder->directory, &import, failure);
    if (good)
        good = import.found ? store_note_validity(folder->store, import.uid_validity, failure)
                            : store_next_validity(folder->store, &validity, failure);
    good = good && folder_snapshot_first(folder->directory, import.found ? &import : NULL, validity, failure);
    folder_import_free(&import);
    if (good) mark_ours(folder);
    return good;
}

/* Makes the file under the lock unless somebody else just did; what is damaged is set aside. */
static bool make_first_file(struct folder *folder, bool damaged, struct failure *failure) {
    if (!folder_lock_alone(folder, failure)) return false;
    int file = folder_state_open(folder->directory);
    bool good = true;
    bool whole = file >= 0 && damaged && folder_state_load(file, &folder->state, failure); /* takes the file over */
    if (file >= 0 && damaged && !whole) {
        good = renameat(folder->directory, FOLDER_FILE, folder->directory, FOLDER_FILE ".damaged") == 0;
    } else if (file >= 0) { /* somebody else has made it */
        if (whole)
            folder_state_free(&folder->state);
        else
            close(file);
        folder_unlock(folder);
        return true;
    }
    good = good && make_file(folder, damaged, failure);
    folder_unlock(folder);
    return good;
}

static bool load(struct folder *folder, struct failure *failure) {
    for (int attempt = 0;; attempt++) {
        int file = folder_state_open(folder->directory);
        bool missing = file < 0 && errno == ENOENT;
        if (file < 0 && !missing) return failure_set_errno(failure, errno, "cannot open tern-mailbox");
        if (file >= 0 && folder_state_load(file, &folder->state, failure)) return true;
        /* Only a file that was read and makes no sense is damaged; one that cannot be read is a fault of now. */
        bool damaged = !missing && failure->error_number == 0;
        if (attempt > 0 || (!missing && !damaged) || !make_first_file(folder, damaged, failure)) return false;
    }
}

/* With what its file says. NULL: *result. */
static struct folder *open_loaded(struct store *store, struct str name, enum folder_open_mode mode,
                                  enum store_result *result, struct failure *failure) {
    int directory = store_folder_directory(store, name, result, failure);
    if (directory < 0) return NULL;
    struct folder *folder = MEMORY_NEW(struct folder);
    folder->store = store;
    folder->name = memory_copy_string(name);
    folder->read_only = mode == FOLDER_READ_ONLY;
    folder->directory = directory;
    folder->lock = folder->places[PLACE_NEW] = folder->places[PLACE_CUR] = -1;
    folder->state.file = -1;
    *result = load(folder, failure) ? STORE_OK : store_trouble(failure);
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

struct folder *folder_open(struct store *store, struct str name, enum folder_open_mode mode, enum store_result *result,
                           struct failure *failure) {
    struct folder *folder = open_loaded(store, name, mode, result, failure);
    if (!folder) return NULL;
    folder_plan_reading(folder);
    *result = folder_read_stale(folder, failure);
    if (*result == STORE_OK) folder_view_all(folder);
    if (*result == STORE_OK) *result = folder_claim_recent(folder, failure);
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

struct folder *folder_open_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure) {
    struct folder *folder = open_loaded(store, name, FOLDER_READ_ONLY, result, failure);
    if (!folder || folder->state.header.cur.read_at != 0) return folder;
    *result = folder_read_stale(folder, failure); /* UIDs that another program gave come first */
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

void folder_close(struct folder **folder) {
    struct folder *gone = *folder;
    if (!gone) return;
    buf_free(&gone->counted);
    buf_free(&gone->looks);
    if (gone->state.texts) folder_state_free(&gone->state);
    if (gone->lock >= 0) close(gone->lock);
    for (size_t i = 0; i < ARRAY_LENGTH(gone->places); i++)
        if (gone->places[i] >= 0) close(gone->places[i]);
    close(gone->directory);
    slot_set_free(&gone->dropped);
    slot_list_free(&gone->changed);
    slot_list_free(&gone->expunged);
    MEMORY_FREE(gone->name);
    MEMORY_FREE(*folder);
}
