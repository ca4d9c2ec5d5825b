/* rows: the rows of the selected folder's messages (message_rows.h), in the cache.
 *
 * A command begins a reader, asks for the rows of its messages, best in their order, and tells the
 * reader the header fields of those that had none. When they are many, the reader makes rows of
 * them and puts them into the cache, block by block; a few new messages cost no writing. Whatever
 * the cache says or does, an answer needs no row. */
#ifndef TERN_IMAP_ROWS_H
#define TERN_IMAP_ROWS_H

#include "fetch_message.h"
#include "message_rows.h"

struct rows_reader {
    struct imap_session *session;
    bool looked, has_rows; /* at the block at hand */
    uint32_t block;
    uint64_t reading;         /* of the cache, in which the block was found */
    uint64_t serial;          /* counts blocks that were looked at; 0: none yet */
    struct message_rows rows; /* the block at hand */
    unsigned misses;
    bool unread;                  /* a header could not be read: nothing that was made of it is to be kept */
    struct rows_learned *learned; /* NULL: nothing yet */
};

void rows_begin(struct rows_reader *reader, struct imap_session *session);
/* Whether there is a row for a message. reader->rows is then its block, until anything else is asked of the cache, and
 * *place its place there. */
bool rows_find(struct rows_reader *reader, uint32_t uid, uint32_t *place);
/* The fields of a message for which there was no row, or a damaged one: fetch_message_fields, but what is read from the
 * file becomes a row, where rows are made, and is not kept beside that. False: they cannot be had. */
MUST_USE bool rows_fields(struct rows_reader *reader, struct fetch_message *message, struct str *fields);
/* The same; *row: the row that was made of them now, until the reader is asked for anything else. NULL: none was. */
MUST_USE bool rows_fields_and_row(struct rows_reader *reader, struct fetch_message *message, struct str *fields,
                                  const struct message_row **row);
/* rows_fields, or empty fields. */
void rows_read_fields(struct rows_reader *reader, struct fetch_message *message, struct str *fields);
/* What was learned so far is in the cache from here on: before the same messages are asked for again. */
void rows_flush(struct rows_reader *reader);
/* Remembers in the cache what was learned; the caller flushes. */
void rows_end(struct rows_reader *reader);

/* Drops blocks of a kind that no message of the folder belongs to any more. */
void rows_drop_dead(struct imap_session *session, unsigned kind);

#endif
