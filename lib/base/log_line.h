/* log_line: one line from a service's pipe, and the line of the log it becomes. */
#ifndef TERN_LOG_LINE_H
#define TERN_LOG_LINE_H

#include "buf.h"
#include "str.h"

#define RECORD_WARNING 4 /* syslog's number */

struct record {
    unsigned severity; /* syslog's number, 0 to 7 */
    uint64_t process;  /* the writer's pid as it says; 0: it did not */
    int64_t date;      /* microseconds, as it says; 0: it did not */
    struct str text;   /* with its severity word */
};

enum record_form {
    RECORD_FORM_TEXT,   /* Mmm dd hh:mm:ss host tag[pid]: warning: text */
    RECORD_FORM_JSON,   /* an object a line */
    RECORD_FORM_SYSLOG, /* <priority>Mmm dd hh:mm:ss tag[pid]: warning: text */
    RECORD_FORM_SYSLOG_JSON, /* <priority>Mmm dd hh:mm:ss tag[pid]: and the object */
};

/* What stands before every line. */
struct record_frame {
    enum record_form form;
    struct str host;
    unsigned facility; /* syslog's number */
    int64_t second;    /* of the texts below; -1: none yet */
    char traditional[24];
    char iso[40];
};

/* Reads a line as lib/base/log.h writes it to the pipe, without its newline. What is not such
 * a line (a dying process speaks through its standard error) is a warning, all text. Pure. */
struct record record_parse(struct str line);
/* Sets the time of the record to come, in microseconds since the epoch. */
void record_set_time(struct record_frame *frame, int64_t date);
/* Whether a record of that form is a datagram by itself, without LF. */
bool record_form_is_datagram(enum record_form form);
/* Appends the finished line, with LF but for syslog. Control characters become '?'. */
void record_format(const struct record_frame *frame, struct str tag, const struct record *record, struct buf *out);

#endif
