/* message_rows: what SEARCH, SORT and THREAD need of many messages' headers, worked out once.
 *
 * A block is one run of octets with the rows of up to 256 messages whose UIDs
 * differ in their last octet alone. It is laid out by columns, so that looking at one
 * column of a large mailbox touches little memory. A block is kept in a cache,
 * never the truth: it bears a version (other algorithms, other version), the
 * mailbox's UIDVALIDITY and sums, and what does not fit is as if it were not there.
 * A block is read in place; all here is pure. */
#ifndef TERN_MESSAGE_ROWS_H
#define TERN_MESSAGE_ROWS_H

#include "buf.h"
#include "memory.h"
#include "str.h"

#define MESSAGE_ROWS_VERSION 2 /* to be raised when any text, number or rank would come out otherwise */
#define MESSAGE_ROWS_BITS    8 /* of a UID, within a block */
#define MESSAGE_ROWS_MAX     (1U << MESSAGE_ROWS_BITS)
#define MESSAGE_ROW_OCTETS   8192                 /* all texts of a row */
#define MESSAGE_ROWS_OCTETS  ((size_t)512 * 1024) /* of a block */

enum message_row_column {
    /* Folded by casemap as SEARCH compares, each field of the name ended by NUL: no text, no such field. */
    ROW_FROM,
    ROW_TO,
    ROW_CC,
    ROW_BCC,
    ROW_SUBJECT,
    ROW_MESSAGE_ID,
    /* What SORT compares (sort_key.h). */
    ROW_SORT_SUBJECT,
    ROW_SORT_FROM,
    ROW_SORT_TO,
    ROW_SORT_CC,
    ROW_DISPLAY_FROM,
    ROW_DISPLAY_TO,
    /* For THREAD: numbers of 8 octets, the hash of the message's own ID, then those that it refers to. */
    ROW_THREAD_IDS,
    ROW_COLUMNS
};

struct message_row {
    bool dated;             /* the Date field says when it was sent; else its internal date counts */
    int64_t sent;           /* seconds, UTC */
    int16_t offset_minutes; /* the field's zone */
    bool reply;             /* base_subject_append took something off */
    struct str texts[ROW_COLUMNS];
};

/* Works a row out of header fields; there is no body behind them. Its texts are in arena. False: they are too long, or
 * the arena is full. */
MUST_USE bool message_row_make(struct message_row *row, struct str fields, struct arena *arena);
/* Searches of From, To, Cc and Bcc are of the envelope's addresses (RFC 9051 6.4.4): appends those of a field with comments, in
 * which they may stand in pieces, without them, each behind an LF. */
void message_row_append_addresses(struct buf *out, struct str value);
/* The column that answers a search of the field of that name; ROW_COLUMNS: none. */
enum message_row_column message_row_searched_column(struct str field);

/* Whether a text is in the row's text of a column, as message_rows_search finds it. */
bool message_row_has(const struct message_row *row, enum message_row_column column, struct str text);

/* A block to be written: for each UID its row; NULL with refused: a row that is too long. */
struct message_rows_draft {
    uint32_t uid_validity;
    uint32_t block; /* the UIDs' upper bits */
    const struct message_row *rows[MESSAGE_ROWS_MAX];
    bool refused[MESSAGE_ROWS_MAX];
};
/* Appends the block. Rows that would make it too long are refused in it. */
void message_rows_write(struct buf *out, const struct message_rows_draft *draft);

/* A block that was written, in the bytes that it was opened in. */
struct message_rows {
    struct str bytes;
    uint64_t present[MESSAGE_ROWS_MAX / 64], refused[MESSAGE_ROWS_MAX / 64];
    uint8_t places[MESSAGE_ROWS_MAX]; /* by the UID's last octet, of those that are present */
    uint32_t count;
    struct {
        uint32_t offset, length, sum;
        signed char state;      /* 0: not looked at yet, 1: whole, -1: damaged */
    } columns[ROW_COLUMNS + 1]; /* the last: dates */
};
/* Looks at the head alone. False: it is no block of these, or damaged. */
MUST_USE bool message_rows_open(struct message_rows *rows, struct str bytes, uint32_t uid_validity, uint32_t block);
/* Whether there is a row for a UID, and its place among them. */
bool message_rows_has(const struct message_rows *rows, uint32_t uid, uint32_t *place);
/* It was looked at, and is too long for a row. */
bool message_rows_refuses(const struct message_rows *rows, uint32_t uid);

/* A column of texts: those of rows->count rows one after the other. */
struct message_rows_texts {
    const char *offsets; /* count + 1 numbers of 4 octets, rising */
    uint32_t count;
    struct str all;
};
/* Each is checked when it is first asked for. False: it is damaged. */
MUST_USE bool message_rows_texts(struct message_rows *rows, enum message_row_column column,
                                 struct message_rows_texts *texts);
/* Where in `all` a row's text begins; place count: the end of all. */
uint32_t message_rows_text_offset(const struct message_rows_texts *texts, uint32_t place);
struct str message_rows_text(const struct message_rows_texts *texts, uint32_t place);
/* Sets dated, sent, offset_minutes and reply of a row. False: the column is damaged. */
MUST_USE bool message_rows_dates(struct message_rows *rows, uint32_t place, struct message_row *row);
/* All of a row, in place. */
MUST_USE bool message_rows_get(struct message_rows *rows, uint32_t place, struct message_row *row);
/* The rows, by their places, in whose text of a column a text is; an empty one is in every text that is not empty.
 * hits: a bit for each. False: the column is damaged. The text is folded and has no NUL. */
MUST_USE bool message_rows_search(struct message_rows *rows, enum message_row_column column, struct str text,
                                  uint64_t hits[MESSAGE_ROWS_MAX / 64]);

#endif
