/* A message goes from one queue folder to another. By the letter of POSIX a rename may lose
 * the file in a power cut: the old folder may be on disk without the name before the new one
 * has it (and cleanup syncs new/ all the time). So the new name is made and synced before the
 * old one goes; a crash between leaves both, which message_activate clears up. */
#include "qmgr.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_same_file(int folder, int other, const char *name) {
    struct stat one, two;
    return fstatat(folder, name, &one, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(other, name, &two, AT_SYMLINK_NOFOLLOW) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

static struct directory_sync *sync_of(struct qmgr *qmgr, int folder) {
    struct directory_sync *syncs = qmgr->syncs;
    for (size_t i = 0; i < ARRAY_LENGTH(qmgr->syncs); i++)
        if (syncs[i].directory == folder) return &syncs[i];
    return NULL;
}

bool queue_move(struct qmgr *qmgr, int from, int to, const char *name, int *error_number) {
    bool linked = linkat(from, name, to, name, 0) == 0 || (errno == EEXIST && is_same_file(from, to, name));
    /* A file system without links: then the rename must do. */
    bool renamed =
        !linked && (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) && renameat(from, name, to, name) == 0;
    if (!linked && !renamed) {
        *error_number = errno;
        return false;
    }
    struct directory_sync *sync = sync_of(qmgr, to);
    if (sync && !directory_sync_wait(sync, error_number) && linked) {
        unlinkat(to, name, 0);
        return false;
    }
    if (linked && unlinkat(from, name, 0) < 0) /* queue_remove takes both */
        log_message_warning(str_from(name), "cannot be removed from its former queue folder: %s; goes with the message",
                            strerror(errno));
    return true;
}

bool queue_has_other_name(struct qmgr *qmgr, int folder, const char *name) {
    const int others[] = {qmgr->hold, qmgr->cur};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        if (others[i] == folder) return false; /* hold/ wins over cur/, cur/ over new/ */
        if (!is_same_file(folder, others[i], name)) continue;
        unlinkat(folder, name, 0);
        return true;
    }
    return false;
}
