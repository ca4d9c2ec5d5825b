/* log_writer: how a command puts a line into the log when no daemon speaks for it:
 * through the system's logger, or, if maillog_file names a file, by one append to it.
 * A file that is not there is not made (it would have the wrong owner), and
 * /dev/stdout is master's, not ours: then the line is not in the log, and that is said. */
#ifndef TERN_LOG_WRITER_H
#define TERN_LOG_WRITER_H

#include "config.h"
#include "failure.h"
#include "str.h"

struct log_writer {
    const struct config *config;
    char tag[128];
    char host[256];
    int file; /* -1: the system's logger, or nowhere */
    bool is_open;
};

/* Opens the log; tag empty: syslog_name/program. */
MUST_USE bool log_writer_open(struct log_writer *writer, const struct config *config, const char *program,
                              struct str tag, struct failure *failure);
/* Writes a line; text comes with its severity word. severity is syslog's number. */
MUST_USE bool log_writer_write(struct log_writer *writer, unsigned severity, struct str text, struct failure *failure);
void log_writer_close(struct log_writer *writer);

#endif
