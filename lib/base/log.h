/* log: this process's lines to the log daemon.
 *
 * One line is one write(2) into the pipe that master left open, at most
 * LOG_LINE_MAXIMUM bytes, so lines of several processes never mix. The line is
 * "<severity> <pid> <date> <text>\n" with the severity as a syslog digit (3 error ... 7
 * debug) and the date in microseconds, by which the log daemon orders the lines of
 * all services; it adds host and service. Control characters become
 * '?'. When the pipe is full, lines are dropped and counted, and the count is said
 * with the next line that fits. Without a pipe, "tag: text" goes to standard error.
 *
 * For the code of daemons and commands; libraries return a struct failure. */
#ifndef TERN_LOG_H
#define TERN_LOG_H

#include "compiler.h"
#include "str.h"

#define LOG_LINE_MAXIMUM 2048 /* with the newline */

/* Where lines go from now on; descriptor -1: standard error. The pipe is made
 * non-blocking. tag is kept by pointer. Call it again after a fork. */
void log_open(int descriptor, const char *tag);

/* "text". */
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
/* These put "warning: ", "error: ", "fatal: " before the text. */
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* Only says it; the caller's main ends the process. */
void log_fatal_text(const char *format, ...) PRINTF_LIKE(1, 2);
/* About a message: "QUEUEID: text". */
void log_message(struct str queue_id, const char *format, ...) PRINTF_LIKE(2, 3);
/* "warning: QUEUEID: text". */
void log_message_warning(struct str queue_id, const char *format, ...) PRINTF_LIKE(2, 3);

/* Lines dropped and not told of yet. */
unsigned log_dropped(void);

#endif
