/* content_header: the header of a message as it streams by.
 *
 * Keeps a field's name while it is being read and nothing else of it, so a header
 * of any size takes the same memory. Counts hops, notes which fields there are,
 * leaves out fields (message_drop_headers), cuts fields that are too long, and
 * says where the body begins. Pure. */
#ifndef TERN_CONTENT_HEADER_H
#define TERN_CONTENT_HEADER_H

#include "buf.h"
#include "str.h"

#define CONTENT_HEADER_NAME_MAX  100 /* a longer name makes no field that anyone knows: it passes as it is */
#define CONTENT_MESSAGE_ID_MAX   250
#define CONTENT_TLS_REQUIRED_MAX 40

enum content_header_place {
    HEADER_AT_START, /* of a line */
    HEADER_IN_NAME,
    HEADER_AFTER_NAME, /* blanks between name and colon */
    HEADER_IN_VALUE,
    HEADER_IN_BODY, /* the header has ended */
};

struct content_header {
    enum content_header_place place;
    struct str drop;    /* names of fields to leave out, a list; borrowed */
    size_t field_limit; /* bytes of one field with its continuation lines */
    size_t field_bytes;
    bool dropping, cutting, is_message_id, is_tls_required, first_line, open_field;
    char withheld[CONTENT_HEADER_NAME_MAX + 20]; /* the line so far, while it is not known what it is */
    size_t withheld_length, name_length;
    /* what was found */
    unsigned hops; /* Received: fields */
    bool has_date, has_from, has_message_id, has_recipient;
    char message_id[CONTENT_MESSAGE_ID_MAX];
    size_t message_id_length;
    char tls_required[CONTENT_TLS_REQUIRED_MAX]; /* the value of TLS-Required (RFC 8689 section 5) */
    size_t tls_required_length;
};

void content_header_begin(struct content_header *header, struct str drop, size_t field_limit);
/* A piece of a line. What is to be stored is appended to out. True when the header
 * ended before this line: then content_header_withheld comes first, then *rest. */
bool content_header_text(struct content_header *header, struct str text, struct buf *out, struct str *rest);
/* The end of a line. True when the header has ended with it: either it was the empty line
 * (nothing is withheld), or the line was no header line and is withheld. Nothing is appended then. */
bool content_header_line_end(struct content_header *header, struct buf *out);
struct str content_header_withheld(const struct content_header *header);
struct str content_header_message_id(const struct content_header *header);
/* There is a field TLS-Required: No. */
bool content_header_tls_not_required(const struct content_header *header);

#endif
