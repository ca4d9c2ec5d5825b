/* date: dates as mail writes them.
 *
 * RFC 5322 3.3 and 4.3, RFC 3339. The offset from UTC is given: nothing here
 * knows a time zone. Seconds are since 1970 UTC; years run from 1900 to 9999. */
#ifndef TERN_DATE_H
#define TERN_DATE_H

#include "buf.h"
#include "str.h"

struct date_fields {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
    int weekday; /* 0 is Sunday */
};

/* Splits seconds, moved by offset_minutes, into fields. False outside the years. */
bool date_split(int64_t seconds, int offset_minutes, struct date_fields *fields);
/* Seconds of the fields taken as UTC; weekday is not read. False if a field is
 * out of its range (second 60 is accepted). */
bool date_join(const struct date_fields *fields, int64_t *seconds);

/* Appends "Mon, 23 Nov 2026 13:08:03 +0000". A date out of range appends the epoch. */
bool date_append_rfc5322(struct buf *out, int64_t seconds, int offset_minutes);
/* Appends "2026-11-23T13:08:03.123456+00:00" with digits (0 to 6) of a fraction. */
bool date_append_rfc3339(struct buf *out, int64_t microseconds, int offset_minutes, unsigned digits);

/* Reads an RFC 5322 date-time with comments, two-digit years and obsolete
 * zones; unknown zones count as -0000. The weekday is not checked against the
 * date. offset_minutes may be NULL. */
MUST_USE bool date_parse_rfc5322(struct str text, int64_t *seconds, int *offset_minutes);
/* Reads what stands in a Date field as well as it goes (RFC 5256 2.2): a time that
 * cannot be read is 00:00:00, a zone UTC, what follows is passed over; ctime's
 * form counts too. False if there is no day, month and year in it. */
MUST_USE bool date_parse_lenient(struct str text, int64_t *seconds, int *offset_minutes);
/* The day of a moment, in days since 1970-01-01, where the clock is offset_minutes from UTC. */
int64_t date_day(int64_t seconds, int offset_minutes);
/* Reads RFC 3339; microseconds since 1970. offset_minutes may be NULL. */
MUST_USE bool date_parse_rfc3339(struct str text, int64_t *microseconds, int *offset_minutes);

#endif
