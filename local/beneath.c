/* Opening without following a link: one openat2 where the kernel has it, else
 * component by component. A user may put links into their own directories; they
 * are refused all the same, for a virtual mailbox's owner is everybody's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

#define PATH_ROOM 1100

static int open_how(int directory, const char *path, int flags, unsigned mode) {
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

#define STEP_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

/* A name has to last as long as what will be in it. */
static bool sync_directory(int at) {
    int readable = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = readable >= 0 && fsync(readable) == 0;
    int reason = errno;
    if (readable >= 0) close(readable);
    errno = reason;
    return good;
}

static int make_and_open(int at, const char *name) {
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) return -1;
    return sync_directory(at) ? openat(at, name, STEP_FLAGS) : -1;
}

static int close_keeping_errno(int descriptor) {
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

/* Component by component; each needs the right to search only. */
static int walk(int directory, struct str path, bool create) {
    struct str rest = path, word;
    char name[256];
    int at = openat(directory, ".", STEP_FLAGS);
    while (at >= 0 && str_next_word(&rest, "/", &word)) {
        if (word.length >= sizeof name || str_equal(word, STR(".."))) {
            errno = word.length >= sizeof name ? ENAMETOOLONG : EXDEV;
            return close_keeping_errno(at);
        }
        memcpy(name, word.data, word.length);
        name[word.length] = '\0';
        int next = openat(at, name, STEP_FLAGS);
        if (next < 0 && errno == ENOENT && create) next = make_and_open(at, name);
        close_keeping_errno(at);
        at = next;
    }
    if (at < 0) return -1;
    int opened = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close_keeping_errno(at);
    return opened;
}

int beneath_directory(int directory, struct str path, bool create) {
    char name[PATH_ROOM];
    while (path.length > 0 && path.data[0] == '/')
        path = str_from_offset(path, 1);
    if (path.length >= sizeof name || memchr(path.data, '\0', path.length)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, path.data, path.length);
    name[path.length] = '\0';
    int opened = open_how(directory, path.length ? name : ".", O_RDONLY | O_DIRECTORY, 0);
    if (opened >= 0 || (errno != ENOSYS && errno != EPERM && !(errno == ENOENT && create))) return opened;
    return walk(directory, path, create);
}

int beneath_parent(int directory, struct str path, bool create, struct str *name) {
    size_t slash = str_find_last(path, '/');
    *name = slash == STR_NONE ? path : str_from_offset(path, slash + 1);
    if (name->length == 0 || str_equal(*name, STR(".")) || str_equal(*name, STR("..")) || name->length > 250) {
        errno = EINVAL;
        return -1;
    }
    return beneath_directory(directory, slash == STR_NONE ? STR_EMPTY : str_slice(path, 0, slash), create);
}

int beneath_open(int directory, const char *name, int flags, unsigned mode) {
    return openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}
