/* See queue_folder.h. */
#include "queue_folder.h"
#include <errno.h>
#include <fcntl.h>

bool queue_folder_open(int queue, const char *name, int *folder, struct failure *failure) {
    int opened = openat(queue, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (opened < 0) return failure_set_errno(failure, errno, "cannot open the queue folder %s", name);
    *folder = opened;
    return true;
}
