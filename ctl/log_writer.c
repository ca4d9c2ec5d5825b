/* A command's line into the log: see log_writer.h. */
#include "log_writer.h"
#include "clock.h"
#include "log.h"
#include "log_line.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static int facility_of(struct str name) {
    static const struct {
        struct str name;
        int facility;
    } rows[] = {
        {STR_INIT("auth"), LOG_AUTH},     {STR_INIT("authpriv"), LOG_AUTHPRIV}, {STR_INIT("cron"), LOG_CRON},
        {STR_INIT("daemon"), LOG_DAEMON}, {STR_INIT("kern"), LOG_KERN},         {STR_INIT("lpr"), LOG_LPR},
        {STR_INIT("mail"), LOG_MAIL},     {STR_INIT("news"), LOG_NEWS},         {STR_INIT("user"), LOG_USER},
        {STR_INIT("uucp"), LOG_UUCP},     {STR_INIT("local0"), LOG_LOCAL0},     {STR_INIT("local1"), LOG_LOCAL1},
        {STR_INIT("local2"), LOG_LOCAL2}, {STR_INIT("local3"), LOG_LOCAL3},     {STR_INIT("local4"), LOG_LOCAL4},
        {STR_INIT("local5"), LOG_LOCAL5}, {STR_INIT("local6"), LOG_LOCAL6},     {STR_INIT("local7"), LOG_LOCAL7}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (str_equal(rows[i].name, name)) return rows[i].facility;
    return LOG_MAIL;
}

/* The folder belongs to the log daemon's account: no links are followed, hard or soft. */
static bool open_file(struct log_writer *writer, struct failure *failure) {
    const char *path = writer->config->maillog_file.data;
    struct stat status;
    if (str_starts(str_from(path), STR("/dev/")))
        return failure_set(failure, "maillog_file is %s, which only the mail system can write", path);
    writer->file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (writer->file < 0) return failure_set_errno(failure, errno, "cannot write to the log %s", path);
    if (fstat(writer->file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1) return true;
    close(writer->file);
    writer->file = -1;
    return failure_set(failure, "the log %s is no plain file", path);
}

bool log_writer_open(struct log_writer *writer, const struct config *config, const char *program, struct str tag,
                     struct failure *failure) {
    *writer = (struct log_writer){.config = config, .file = -1};
    if (tag.length)
        snprintf(writer->tag, sizeof writer->tag, "%.*s", STR_ARGS(tag));
    else
        snprintf(writer->tag, sizeof writer->tag, "%.*s/%s", STR_ARGS(config->syslog_name), program);
    if (gethostname(writer->host, sizeof writer->host - 1) < 0)
        snprintf(writer->host, sizeof writer->host, "localhost");
    writer->host[strcspn(writer->host, ".")] = '\0'; /* the first label, as syslog has it */
    if (config->maillog_file.length == 0)
        openlog(writer->tag, LOG_PID | LOG_NDELAY, facility_of(config->syslog_facility));
    else if (!open_file(writer, failure))
        return false;
    writer->is_open = true;
    return true;
}

bool log_writer_write(struct log_writer *writer, unsigned severity, struct str text, struct failure *failure) {
    if (!writer->is_open) return failure_set(failure, "the log is not open");
    text = str_slice(text, 0, LOG_LINE_MAXIMUM - 200);
    if (writer->file < 0) {
        syslog((int)severity, "%.*s", STR_ARGS(text));
        return true;
    }
    bool json = str_equal(writer->config->log_format, STR("json"));
    struct record_frame frame = {
        .form = json ? RECORD_FORM_JSON : RECORD_FORM_TEXT, .host = str_from(writer->host), .second = -1};
    struct record record = {.severity = severity, .process = (uint64_t)getpid(), .text = text};
    struct buf line = buf_make(0);
    record_set_time(&frame, clock_date());
    record_format(&frame, str_from(writer->tag), &record, &line);
    /* One write to a file open for appending: whole lines, whoever else writes. */
    bool good = write(writer->file, line.data, line.length) == (ssize_t)line.length;
    if (!good) failure_set_errno(failure, errno, "cannot write to the log");
    buf_free(&line);
    return good;
}

void log_writer_close(struct log_writer *writer) {
    if (writer->file >= 0)
        close(writer->file);
    else if (writer->is_open)
        closelog();
    writer->file = -1;
    writer->is_open = false;
}
