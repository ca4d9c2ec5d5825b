/* internal_date: dates as IMAP writes them, and the dates that SEARCH and SORT compare.
 *
 * RFC 9051 9 (date, date-time), RFC 5256 2.2 (sent date). Names of months in any
 * case, English. */
#ifndef TERN_INTERNAL_DATE_H
#define TERN_INTERNAL_DATE_H

#include "buf.h"
#include "str.h"

/* Reads "17-Jul-1996 02:44:25 -0700", without the quotes; the day may have one
 * digit, with or without a space before it. offset_minutes may be NULL. */
MUST_USE bool internal_date_parse(struct str text, int64_t *seconds, int *offset_minutes);
/* Appends that form, the day padded with a space to two places. A date out of
 * range appends the epoch. */
bool internal_date_append(struct buf *out, int64_t seconds, int offset_minutes);

/* Reads a date of SEARCH, "1-Feb-1994", quoted or not, as a day since 1970-01-01
 * (what date_day gives). */
MUST_USE bool internal_date_parse_day(struct str text, int64_t *day);

/* When a message was sent: its Date field, or else received. */
struct sent_date {
    int64_t seconds;    /* UTC: for SORT and THREAD */
    int offset_minutes; /* as the field has it: date_day of both is what SENTON and the like compare */
    bool from_header;
};
/* field: the value of the Date field; data NULL if there is none. */
struct sent_date sent_date_of(struct str field, int64_t received_seconds, int received_offset_minutes);

#endif
