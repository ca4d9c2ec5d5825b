/* The wrappers, and when one of them fails its call: see fault.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault.h"
#include "service.h"

#define PAGE_NAME "fault-page"

/* The one context of this library: it stands under all others. */
static struct fault_page *page;
static char process[FAULT_NAME_SIZE];
static uint32_t born; /* the generation that this process began in */

/* Where the program was loaded, so that a place has the same number in each process. */
extern const char __executable_start[];

/* The real ones, as the linker calls them, and the wrappers. */
#define CALL(type, name, parameters, arguments, failed, first, second)                                                 \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;
#define CALL_BY_HAND(name, first, second)
#include "calls.def"
#undef CALL
#undef CALL_BY_HAND
ssize_t __real_write(int file, const void *bytes, size_t size);
ssize_t __wrap_write(int file, const void *bytes, size_t size);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_close(int file);
int __wrap_close(int file);
int __real_fcntl(int file, int command, ...);
int __wrap_fcntl(int file, int command, ...);
int __real_flock(int file, int operation);
int __wrap_flock(int file, int operation);
pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument);

/* ---- the page */

static void set_name(char name[FAULT_NAME_SIZE], const char *text) {
    size_t length = strnlen(text, FAULT_NAME_SIZE - 1);
    memcpy(name, text, length);
    name[length] = '\0';
}

/* Before main, while every path can be opened. */
__attribute__((constructor)) static void find_page(void) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof PAGE_NAME);
    while (length > 0 && path[length - 1] != '/') length--;
    if (length <= 0) return;
    memcpy(path + length, PAGE_NAME, sizeof PAGE_NAME);
    int file = __real_open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *mapped = __real_mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    __real_close(file);
    if (mapped == MAP_FAILED) return;
    set_name(process, program_invocation_short_name);
    page = mapped;
    born = atomic_load(&page->generation);
}

static uint32_t scope_of(uint32_t generation) { return born == generation ? FAULT_STARTING : FAULT_RUNNING; }

static uint64_t mix(uint64_t sum, const char *text) {
    for (; *text; text++) sum = (sum ^ (unsigned char)*text) * 0x100000001b3;
    return sum;
}

/* No lock: a process that is killed in the middle must not hold up the others. */
static void take_census(const char *call, uint64_t site, uint32_t scope) {
    uint64_t key = mix(mix(0xcbf29ce484222325 ^ site ^ (uint64_t)scope << 56, process), call) | 1;
    for (size_t i = 0; i < FAULT_SITES; i++) {
        struct fault_site *row = &page->sites[(key + i) & (FAULT_SITES - 1)];
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&row->key, &found, key)) {
            row->site = site;
            row->scope = scope;
            set_name(row->process, process);
            set_name(row->call, call);
            row->is_named = 1;
            found = key;
        }
        if (found != key) continue;
        atomic_fetch_add(&row->count, 1);
        return;
    }
}

/* The errno with which this call has to fail; 0: it goes through. */
static int error_of(const char *call, const void *caller, int first, int second) {
    if (!page || !atomic_load(&page->armed)) return 0;
    uint64_t site = (uint64_t)((const char *)caller - __executable_start);
    uint32_t scope = scope_of(atomic_load(&page->generation));
    take_census(call, site, scope);
    if (!(page->scope & scope) || strcmp(page->process, process) != 0) return 0;
    if (page->call[0] && strcmp(page->call, call) != 0) return 0;
    if (page->site && page->site != site) return 0;
    uint64_t number = atomic_fetch_add(&page->seen, 1) + 1;
    if (number < page->first || number - page->first >= page->count) return 0;
    int error = page->variant % 2 ? second : first;
    page->met_error = error;
    page->met_site = site;
    set_name(page->met_call, call);
    atomic_fetch_add(&page->met, 1);
    return error;
}

/* The wrappers compile to what calls this, so the address is that of tern's own code. */
#define ERROR_OF(call, first, second) error_of(call, __builtin_return_address(0), first, second)

/* ---- the wrappers */

#define CALL(type, name, parameters, arguments, failed, first, second)                                                 \
    type __wrap_##name parameters {                                                                                    \
        int error = ERROR_OF(#name, first, second);                                                                    \
        if (error == 0) return __real_##name arguments;                                                                \
        errno = error;                                                                                                 \
        return failed;                                                                                                 \
    }
#define CALL_BY_HAND(name, first, second) enum { name##_first_error = first, name##_second_error = second };
#include "calls.def"
#undef CALL
#undef CALL_BY_HAND

#define ERROR_BY_HAND(name) ERROR_OF(#name, name##_first_error, name##_second_error)

/* Log lines go through: they are what the test looks for. */
ssize_t __wrap_write(int file, const void *bytes, size_t size) {
    int error = file == INHERITED_LOG || file == STDERR_FILENO ? 0 : ERROR_BY_HAND(write);
    if (error == 0) return __real_write(file, bytes, size);
    errno = error;
    return -1;
}

static bool takes_mode(int flags) { return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; }

int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int error = ERROR_BY_HAND(open);
    if (error == 0) return __real_open(path, flags, mode);
    errno = error;
    return -1;
}

/* What would make a file may find no room for it. */
int __wrap_openat(int folder, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int error = ERROR_BY_HAND(openat);
    if (error == 0) return __real_openat(folder, path, flags, mode);
    errno = error == EIO && flags & O_CREAT ? ENOSPC : error;
    return -1;
}

/* What has no function in the C library: openat2. */
long __wrap_syscall(long number, ...) {
    long words[6];
    va_list arguments;
    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++) words[i] = va_arg(arguments, long);
    va_end(arguments);
    int error = ERROR_BY_HAND(syscall);
    if (error == 0) return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    errno = error;
    return -1;
}

/* The descriptor is gone all the same, as with Linux's own. */
int __wrap_close(int file) {
    int error = ERROR_BY_HAND(close);
    int result = __real_close(file);
    if (error == 0) return result;
    errno = error;
    return -1;
}

/* To give a lock back needs nothing. */
int __wrap_flock(int file, int operation) {
    int error = operation & LOCK_UN ? 0 : ERROR_BY_HAND(flock);
    if (error == 0) return __real_flock(file, operation);
    errno = error;
    return -1;
}

/* Flags of an open descriptor can always be read and set, and a lease given back; locks, leases and copies are
 * another matter. */
int __wrap_fcntl(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    bool can_fail = command != F_GETFL && command != F_SETFL && command != F_GETFD && command != F_SETFD &&
                    !(command == F_SETLEASE && (int)(intptr_t)argument == F_UNLCK);
    int error = can_fail ? ERROR_BY_HAND(fcntl) : 0;
    if (error == 0) return __real_fcntl(file, command, argument);
    errno = error;
    return -1;
}

/* A child that goes on with the same program is somebody else: local's workers are "local-child". */
pid_t __wrap_fork(void) {
    int error = ERROR_BY_HAND(fork);
    if (error != 0) {
        errno = error;
        return -1;
    }
    pid_t child = __real_fork();
    if (child != 0 || !page) return child;
    size_t length = strnlen(process, FAULT_NAME_SIZE);
    static const char ending[] = "-child";
    if (length + sizeof ending <= FAULT_NAME_SIZE) memcpy(process + length, ending, sizeof ending);
    born = atomic_load(&page->generation);
    return 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument) {
    int error = ERROR_BY_HAND(pthread_create);
    return error ? error : __real_pthread_create(thread, attributes, function, argument);
}
