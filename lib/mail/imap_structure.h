/* imap_structure: ENVELOPE, BODY and BODYSTRUCTURE, and where each part lies.
 *
 * RFC 9051 7.5.2 (RFC 3501 7.4.2). One look at a message makes a record: the
 * finished texts, the sizes in CR LF form, and a table of the parts. The record
 * is what a cache keeps; everything is answered from it, so that a second FETCH
 * parses nothing. BODY is BODYSTRUCTURE without its extension data.
 *
 * A multipart in which no part is found, and a message/rfc822 that is too deep to
 * be looked into, has one part all the same: text/plain, all of its body. Parameters in the form of RFC 2231 are
 * joined and named "name*". For IMAP4rev2 they are decoded and converted to UTF-8, as RFC 9051 wants it; clients of
 * IMAP4rev1 decode them themselves, and get charset'language'text. */
#ifndef TERN_IMAP_STRUCTURE_H
#define TERN_IMAP_STRUCTURE_H

#include "mime.h"

#define IMAP_STRUCTURE_PARTS_MAX (2 * MIME_PARTS_MAX)
/* Octets of BODYSTRUCTURE; a message that would have more is described as if it had no parts. */
#define IMAP_STRUCTURE_TEXT_MAX ((size_t)4 * 1024 * 1024)

/* Appends the record of a message as it lies in its file. */
void imap_structure_build(struct str message, struct buf *record);

/* A record, opened; everything points into it. */
struct imap_structure {
    uint64_t file_length;      /* of the message it was made from */
    uint64_t size;             /* RFC822.SIZE */
    uint64_t header_size;      /* in CR LF form, with the empty line */
    struct str envelope;       /* finished text */
    struct imap_body_text {
        struct str text;       /* of BODYSTRUCTURE, finished */
        struct str extensions; /* where it has extension data; see imap_structure_append_body */
    } body[2];                 /* of IMAP4rev1, and of IMAP4rev2 */
    size_t part_count;
    struct str parts; /* see imap_structure_parts */
};
/* Opens a record. False if it is none, or of another version. */
MUST_USE bool imap_structure_open(struct str record, struct imap_structure *structure);
/* Appends the text of BODY. False (with a part of it appended) if the record is damaged. */
MUST_USE bool imap_structure_append_body(struct buf *out, const struct imap_body_text *body);

enum imap_part_kind { IMAP_PART_TEXT, IMAP_PART_BASIC, IMAP_PART_MULTIPART, IMAP_PART_MESSAGE, IMAP_PART_KINDS };

/* Offsets and lengths are of the file, sizes of the CR LF form. Index 0, the
 * message itself, is nobody's child and nobody's next, and means "none" there. */
struct imap_part {
    enum imap_part_kind kind;
    enum mime_encoding encoding;
    uint32_t parent, child, next; /* indexes: its own for the message; the first within it; the one after it */
    uint64_t header_offset, header_length;
    uint64_t body_offset, body_length;
    uint64_t body_size;
    uint64_t lines;
};
/* Reads the table of parts, part_count entries, to be freed with MEMORY_FREE.
 * NULL if the record is damaged: all offsets lie within file_length. */
MUST_USE struct imap_part *imap_structure_parts(const struct imap_structure *structure);

#endif
