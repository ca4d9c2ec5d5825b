/* The process's log lines: composing one and writing it at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "log.h"
#include "clock.h"

enum { LOG_CRIT = 2, LOG_ERR = 3, LOG_WARN = 4, LOG_NORMAL = 6, TEXT_TAIL = 4 };

/* The one context that a process has for its log. */
static struct {
    int descriptor;
    const char *tag;
    long pid; /* getpid is a system call */
    atomic_uint dropped;
} process = {.descriptor = -1, .tag = "tern"};

void log_open(int descriptor, const char *tag) {
    int flags = descriptor >= 0 ? fcntl(descriptor, F_GETFL) : -1;

    if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    process.descriptor = descriptor;
    process.tag = tag;
    process.pid = (long)getpid();
}

unsigned log_dropped(void) {
    return atomic_load(&process.dropped);
}

/* ---- a line */

struct line {
    char bytes[2 * LOG_LINE_MAXIMUM]; /* a line about dropped ones may come before */
    size_t start;                     /* of the text, where it may be cut or cleaned */
    size_t length;
    size_t end;                       /* most bytes of text, the newline not counted */
};

static void add_list(struct line *line, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
static void add(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void add_list(struct line *line, const char *format, va_list arguments) {
    size_t room = line->end - line->length;
    int length = vsnprintf(line->bytes + line->length, room + 1, format, arguments);

    if (length < 0) return;
    if ((size_t)length <= room) {
        line->length += (size_t)length;
        return;
    }
    line->length = line->end;
    if (line->end - line->start >= TEXT_TAIL) memcpy(line->bytes + line->end - 3, "...", 3);
}

static void add(struct line *line, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    add_list(line, format, arguments);
    va_end(arguments);
}

/* Nothing from outside may end the line, or steer a terminal that shows it: C0,
 * DEL, C1 in UTF-8, and high bytes that are no UTF-8. */
static void clean(struct line *line) {
    char *text = line->bytes + line->start;
    size_t length = line->length - line->start;
    bool utf8 = str_is_utf8(str_make(text, length));

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool c1 = byte == 0xC2 && i + 1 < length && (unsigned char)text[i + 1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8) || c1) text[i] = '?';
        if (c1) text[++i] = '?';
    }
}

static void begin_line(struct line *line, int severity) {
    line->end = line->length + LOG_LINE_MAXIMUM - 1;
    if (process.descriptor >= 0)
        add(line, "%d %ld %lld ", severity, process.pid, (long long)clock_date());
    else
        add(line, "%s: ", process.tag);
    line->start = line->length;
}

static void end_line(struct line *line) {
    clean(line);
    line->bytes[line->length++] = '\n';
}

static void write_line(struct line *line, unsigned told) {
    int target = process.descriptor >= 0 ? process.descriptor : STDERR_FILENO;
    int saved = errno;
    ssize_t written;

    do
        written = write(target, line->bytes, line->length);
    while (written < 0 && errno == EINTR);
    if (written < 0) atomic_fetch_add(&process.dropped, told + 1);
    errno = saved;
}

static void say(int severity, const char *prefix, struct str queue_id, const char *format, va_list arguments)
    PRINTF_LIKE(4, 0);

static void say(int severity, const char *prefix, struct str queue_id, const char *format, va_list arguments) {
    struct line line;
    unsigned told = atomic_exchange(&process.dropped, 0);

    line.length = 0;
    if (told) {
        begin_line(&line, LOG_WARN);
        add(&line, "warning: %u log lines were dropped before this one", told);
        end_line(&line);
    }
    begin_line(&line, severity);
    add(&line, "%s", prefix);
    if (queue_id.length) add(&line, "%.*s: ", STR_ARGS(queue_id));
    add_list(&line, format, arguments);
    end_line(&line);
    write_line(&line, told);
}

/* ---- the ways to say it */

#define SAY(severity, prefix, queue_id)                                                                                \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        say((severity), (prefix), (queue_id), format, arguments);                                                      \
        va_end(arguments);                                                                                             \
    } while (0)

void log_info(const char *format, ...) {
    SAY(LOG_NORMAL, "", STR_EMPTY);
}

void log_warning(const char *format, ...) {
    SAY(LOG_WARN, "warning: ", STR_EMPTY);
}

void log_error(const char *format, ...) {
    SAY(LOG_ERR, "error: ", STR_EMPTY);
}

void log_fatal_text(const char *format, ...) {
    SAY(LOG_CRIT, "fatal: ", STR_EMPTY);
}

void log_message(struct str queue_id, const char *format, ...) {
    SAY(LOG_NORMAL, "", queue_id);
}

void log_message_warning(struct str queue_id, const char *format, ...) {
    SAY(LOG_WARN, "warning: ", queue_id);
}
