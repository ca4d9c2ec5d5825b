/* header: a message's header fields.
 *
 * RFC 5322 2.2 and 3.6, RFC 6532. Lines may end in LF or CR LF. Either walk
 * over a message in memory (header_next) or ask about single lines as they
 * stream by (header_line_kind). */
#ifndef TERN_HEADER_H
#define TERN_HEADER_H

#include "buf.h"
#include "str.h"

#define HEADER_BYTES_MAX  (1024 * 1024) /* the default limit for all fields together */
#define HEADER_FIELDS_MAX 10000         /* fields header_next gives */

enum header_line {
    HEADER_LINE_FIELD,        /* "Name: value" begins */
    HEADER_LINE_CONTINUATION, /* begins with a blank and is not all blank */
    HEADER_LINE_EMPTY,        /* ends the header */
    HEADER_LINE_MBOX,         /* "From " or ">From ": an mbox separator; only sensible as the first line */
    HEADER_LINE_OTHER,        /* no header line: the body begins here */
};

/* What a line (with or without its line end) is within a header. A line of
 * blanks alone is a continuation (obsolete folding). */
enum header_line header_line_kind(struct str line);
/* The same; of a field's first line the parts too, as header_line_split has them. */
enum header_line header_line_read(struct str line, struct str *name, struct str *value);
/* Parts "Name: value" at the colon; blanks between name and colon (obsolete)
 * are dropped. False if the line is no field's first line. value keeps its
 * leading blank but loses the line end. */
bool header_line_split(struct str line, struct str *name, struct str *value);

enum header_result {
    HEADER_FIELD,    /* *field is set */
    HEADER_END,      /* the empty line was passed: reader->offset is where the body begins */
    HEADER_NO_EMPTY, /* a line that is no header line: the body begins at reader->offset */
    HEADER_CUT,      /* the bytes end within the header (after its last whole field) */
    HEADER_TOO_LONG, /* a limit was reached at reader->offset */
};

struct header_field {
    struct str name;  /* as written */
    struct str value; /* after the colon, folds and all, without the last line end */
    struct str raw;   /* name to line end, inclusive */
};

struct header_reader {
    struct str message;
    size_t offset;
    size_t limit;
    size_t count;
};

/* Begins at message's first byte; limit is for the header's bytes, 0 means
 * HEADER_BYTES_MAX. */
void header_begin(struct header_reader *reader, struct str message, size_t limit);
MUST_USE enum header_result header_next(struct header_reader *reader, struct header_field *field);
/* The first field of that name (no case), if the header has it. */
bool header_find(struct str message, const char *name, struct header_field *field);
/* Appends a value unfolded: line ends removed, leading and trailing blanks off. */
bool header_append_unfolded(struct buf *out, struct str value);

/* True if name is one or more printable ASCII octets without colon and space. */
bool header_name_is_valid(struct str name);
/* Appends "Name: value" and LF, folding at blanks so that lines stay at or
 * below 78 octets where they can. Control characters in value become '?'. */
bool header_append_folded(struct buf *out, struct str name, struct str value);

#endif
