/* output: the log's file, kept open; opened anew below its directory's
 * descriptor when logrotate has moved it away. */
#include "output.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_MODE    0640
#define SYSLOG_PATH "/dev/log"

static bool open_file(struct output *output, struct failure *failure) {
    struct stat status;
    int descriptor =
        openat(output->directory, output->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOG_MODE);
    if (descriptor < 0) return failure_set_errno(failure, errno, "maillog_file %s", output->name);
    if (fstat(descriptor, &status) < 0) {
        failure_set_errno(failure, errno, "maillog_file %s", output->name);
        close(descriptor);
        return false;
    }
    if (output->descriptor >= 0) close(output->descriptor);
    output->descriptor = descriptor;
    output->device = status.st_dev;
    output->inode = status.st_ino;
    return true;
}

static bool open_below_directory(struct output *output, struct str path, struct failure *failure) {
    size_t slash = str_find_last(path, '/');
    struct str name = str_from_offset(path, slash == STR_NONE ? 0 : slash + 1);
    if (slash == STR_NONE || name.length == 0 || name.length >= sizeof output->name)
        return failure_set(failure, "maillog_file %.*s is no absolute file name", STR_ARGS(path));
    char *directory = memory_copy_string(slash == 0 ? STR("/") : str_slice(path, 0, slash));
    memcpy(output->name, name.data, name.length);
    output->name[name.length] = '\0';
    output->is_file = true;
    output->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = output->directory >= 0 ? open_file(output, failure)
                                       : failure_set_errno(failure, errno, "maillog_file's directory %s", directory);
    MEMORY_FREE(directory);
    return good;
}

static bool open_syslog(struct output *output, struct failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSLOG_PATH};
    output->is_syslog = true;
    output->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (output->descriptor < 0) return failure_set_errno(failure, errno, "socket");
    if (connect(output->descriptor, (struct sockaddr *)&address, sizeof address) < 0)
        return failure_set_errno(failure, errno, "maillog_file is empty and the system's logger does not answer at %s",
                                 SYSLOG_PATH);
    return true;
}

bool output_open(struct output *output, struct str maillog_file, struct failure *failure) {
    *output = (struct output){.descriptor = -1, .directory = -1};
    if (maillog_file.length == 0) return open_syslog(output, failure);
    if (str_equal(maillog_file, STR("/dev/stdout"))) {
        output->descriptor = STDOUT_FILENO;
        return true;
    }
    return open_below_directory(output, maillog_file, failure);
}

void output_look_again(struct output *output) {
    struct stat status;
    if (!output->is_file || output->directory < 0) return;
    if (fstatat(output->directory, output->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == output->device && status.st_ino == output->inode)
        return;
    struct failure ignored; /* the old file is written until the new one can be had */
    (void)!open_file(output, &ignored);
}

bool output_write(struct output *output, struct str lines) {
    while (lines.length > 0) {
        ssize_t written = output->is_syslog ? send(output->descriptor, lines.data, lines.length, MSG_NOSIGNAL)
                                            : write(output->descriptor, lines.data, lines.length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            output->lost += lines.length;
            output->deserted = output->is_syslog && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET);
            return false;
        }
        lines = str_from_offset(lines, (size_t)written);
    }
    return true;
}
