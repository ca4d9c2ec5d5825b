/* tern_files: replacing files whole (temporary file, fsync, rename, fsync of
 * the directory), making directories. */
#include "tern.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int descriptor, struct str content) {
    while (content.length > 0) {
        ssize_t written = write(descriptor, content.data, content.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        content = str_from_offset(content, (size_t)written);
    }
    return true;
}

static bool sync_directory_of(const char *path) {
    char *copy = memory_copy_string(str_from(path));
    int descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = descriptor >= 0 && fsync(descriptor) == 0;
    if (descriptor >= 0)
        close(descriptor);
    MEMORY_FREE(copy);
    return good;
}

/* group: (gid_t)-1: as the old file has it. */
static bool replace(const char *path, struct str content, mode_t mode, gid_t group, struct failure *failure) {
    struct buf temporary = buf_make(4096);
    struct stat old;
    if (!buf_printf(&temporary, "%s.new.%d", path, (int)getpid()))
        return failure_set(failure, "%s: the name is too long", path);
    unlink(buf_string(&temporary));
    int descriptor = open(buf_string(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    bool good = descriptor >= 0 && fchmod(descriptor, mode) == 0;
    if (good && geteuid() == 0 && stat(path, &old) == 0) /* the owner stays */
        good = fchown(descriptor, old.st_uid, group == (gid_t)-1 ? old.st_gid : group) == 0;
    else if (good && geteuid() == 0 && group != (gid_t)-1)
        good = fchown(descriptor, (uid_t)-1, group) == 0;
    good = good && write_all(descriptor, content) && fsync(descriptor) == 0;
    if (descriptor >= 0 && close(descriptor) < 0)
        good = false;
    good = good && rename(buf_string(&temporary), path) == 0 && sync_directory_of(path);
    if (!good) {
        failure_set_errno(failure, errno, "cannot write %s", path);
        if (descriptor >= 0)
            unlink(buf_string(&temporary));
    }
    buf_free(&temporary);
    return good;
}

bool files_replace(const char *path, struct str content, mode_t mode, struct failure *failure) {
    return replace(path, content, mode, (gid_t)-1, failure);
}

bool files_replace_for(const char *path, struct str content, gid_t group, struct failure *failure) {
    return replace(path, content, 0640, group, failure);
}

bool files_read(const char *path, struct buf *content, struct failure *failure) {
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return true;
    return config_read_file(path, CONFIG_FILE_MAX, content, failure);
}

bool files_make_directory(const char *path, uid_t owner, gid_t group, mode_t mode, struct failure *failure) {
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST || failure_set_errno(failure, errno, "cannot make the directory %s", path);
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = descriptor >= 0;
    if (good && geteuid() == 0)
        good = fchown(descriptor, owner, group) == 0;
    good = good && fchmod(descriptor, mode) == 0;
    if (!good)
        failure_set_errno(failure, errno, "cannot give the directory %s owner and mode", path);
    if (descriptor >= 0)
        close(descriptor);
    return good;
}

bool files_make_path(const char *path, uid_t owner, gid_t group, mode_t mode, struct failure *failure) {
    char *copy = memory_copy_string(str_from(path));
    bool good = true;
    for (char *slash = copy + 1; good && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        good = access(copy, F_OK) == 0 || files_make_directory(copy, owner, group, mode, failure);
        *slash = '/';
    }
    good = good && files_make_directory(path, owner, group, mode, failure);
    MEMORY_FREE(copy);
    return good;
}
