/* content_scan: where lines and the message end, in the bytes after DATA or BDAT.
 *
 * RFC 5321 4.1.1.4 and 4.5.2; lessons.md section 1, end-of-data disagreement. A
 * state machine that keeps no bytes: it may be fed in pieces of any size. The end
 * of data is CR LF . CR LF and nothing else, whatever the settings. */
#ifndef TERN_CONTENT_SCAN_H
#define TERN_CONTENT_SCAN_H

#include "compiler.h"
#include "str.h"

enum content_event {
    CONTENT_SCAN_MORE, /* the input is used up */
    CONTENT_SCAN_TEXT, /* *text is a piece of a line, dots removed; borrowed from the input, or static */
    CONTENT_SCAN_LINE_END,
    CONTENT_SCAN_DATA_END, /* the final dot; only where dots count */
    CONTENT_SCAN_BARE_CR,  /* only when strict: a CR without LF */
    CONTENT_SCAN_BARE_LF,  /* only when strict: an LF without CR */
};

enum content_scan_state { SCAN_LINE_START, SCAN_DOT, SCAN_DOT_CR, SCAN_TEXT, SCAN_CR };

struct content_scan {
    enum content_scan_state state;
    bool dots;       /* DATA: leading dots are removed, a dot alone ends; false for BDAT */
    bool strict;     /* bare CR and LF are reported; else LF ends a line and CR becomes a space */
    bool after_crlf; /* the line before ended in CR LF: only then may a dot alone end the data */
};

void content_scan_begin(struct content_scan *scan, bool dots, bool strict);
/* The next event; takes what belongs to it off *input. */
enum content_event content_scan_next(struct content_scan *scan, struct str *input, struct str *text);
/* No more input will come (the last chunk): true if the last line lacks its end. A CR
 * at the very end is a bare one: *bare_cr. */
bool content_scan_finish(const struct content_scan *scan, bool *bare_cr);

#endif
