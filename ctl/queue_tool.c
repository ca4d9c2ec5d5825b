/* What the queue commands have in common: see queue_tool.h. */
#include "queue_tool.h"
#include "ipc.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

const char *queue_tool_name(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "tern";
}

static void say(const struct queue_tool *tool, const char *level, const char *format, va_list arguments)
    PRINTF_LIKE(3, 0);
static void say(const struct queue_tool *tool, const char *level, const char *format, va_list arguments) {
    struct buf text = buf_make(0), line = buf_make(0);
    buf_vprintf(&text, format, arguments);
    queue_tool_printable(&line, buf_str(&text));
    fprintf(stderr, "%s: %s%s\n", tool->program, level, buf_string(&line));
    buf_free(&text);
    buf_free(&line);
}

int queue_tool_fatal(const struct queue_tool *tool, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(tool, "fatal: ", format, arguments);
    va_end(arguments);
    return status;
}

void queue_tool_warn(const struct queue_tool *tool, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(tool, "warning: ", format, arguments);
    va_end(arguments);
}

void queue_tool_say(const struct queue_tool *tool, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(tool, "", format, arguments);
    va_end(arguments);
}

int queue_tool_load_config(struct queue_tool *tool) {
    struct failure failure = {0};
    const char *directory = tool->config_directory ? tool->config_directory : config_default_directory();
    if (!config_load(directory, NULL, 0, SCOPE_COMMANDS, &tool->config, NULL, &failure))
        return queue_tool_fatal(tool, EX_CONFIG, "%s", failure.text);
    return EX_OK;
}

int queue_tool_load(struct queue_tool *tool) {
    int status = queue_tool_load_config(tool);
    if (status != EX_OK) return status;
    if (chdir(tool->config->queue_directory.data) < 0)
        return queue_tool_fatal(tool, EX_OSERR, "queue_directory %s: %s", tool->config->queue_directory.data,
                                strerror(errno));
    return EX_OK;
}

int queue_tool_connect(struct failure *failure) {
    return ipc_connect_path("public/qmgr", failure);
}

int queue_tool_open_folder(int queue, const char *name, struct failure *failure) {
    int folder = openat(queue, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0) failure_set_errno(failure, errno, "cannot open the folder %s", name);
    return folder;
}

int queue_tool_open_queue(struct failure *failure) {
    return queue_tool_open_folder(AT_FDCWD, "queue", failure);
}

bool queue_tool_become_owner(int queue, struct failure *failure) {
    struct stat status;
    if (geteuid() != 0) return true;
    if (fstat(queue, &status) < 0) return failure_set_errno(failure, errno, "cannot look at the queue");
    if (status.st_uid == 0) return true;
    if (setgroups(0, NULL) < 0 || setresgid(status.st_gid, status.st_gid, status.st_gid) < 0 ||
        setresuid(status.st_uid, status.st_uid, status.st_uid) < 0)
        return failure_set_errno(failure, errno, "cannot become the queue's owner");
    return true;
}

/* C0, DEL, and C1 in its UTF-8 form steer terminals. */
void queue_tool_printable(struct buf *out, struct str text) {
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool c1 = byte == 0xC2 && i + 1 < text.length && (unsigned char)text.data[i + 1] < 0xA0;
        if (utf8 && c1) i++;
        buf_append_char(out, byte < 0x20 || byte == 0x7F || c1 || (!utf8 && byte >= 0x80) ? '?' : (char)byte);
    }
}
