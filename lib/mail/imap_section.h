/* imap_section: what BODY[...] and BINARY[...] mean, and where it lies.
 *
 * RFC 9051 6.4.5 and 6.4.5.1 (section-spec), RFC 3516. A section is read from
 * its text, found in a message's table of parts as one span of the file, and
 * shown by crlf_view, or decoded by transfer_reader; only lists of header fields
 * are made anew. */
#ifndef TERN_IMAP_SECTION_H
#define TERN_IMAP_SECTION_H

#include "imap_structure.h"

#define IMAP_SECTION_DEPTH_MAX (MIME_DEPTH_MAX + 2) /* part numbers */

enum imap_section_kind {
    IMAP_SECTION_WHOLE, /* the message, or the part's body */
    IMAP_SECTION_HEADER,
    IMAP_SECTION_FIELDS,     /* HEADER.FIELDS: a list of names follows */
    IMAP_SECTION_FIELDS_NOT, /* HEADER.FIELDS.NOT: the same */
    IMAP_SECTION_TEXT,
    IMAP_SECTION_MIME,
};

struct imap_section {
    enum imap_section_kind kind;
    size_t depth;
    uint32_t path[IMAP_SECTION_DEPTH_MAX];
};

/* Reads what stands between the brackets, the list of names left out: "",
 * "TEXT", "1.2", "1.2.HEADER.FIELDS" (any case). False if it is no section-spec. */
MUST_USE bool imap_section_parse(struct str text, struct imap_section *section);

/* Where a section lies. For lists of fields it is the header to choose from. */
struct imap_section_place {
    uint64_t offset, length;
    const struct imap_part *part; /* the part that the numbers name: for decoding */
};
/* Finds a section in the table of imap_structure_parts. False if the message has
 * no such part: the answer is NIL. */
MUST_USE bool imap_section_find(const struct imap_section *section, const struct imap_part *parts,
                                struct imap_section_place *place);

/* True if a part's body cannot be decoded: NO [UNKNOWN-CTE]. A multipart is never encoded, whatever its label says. */
bool imap_section_is_unknown_encoding(const struct imap_part *part);
/* The encoding to read a part's body with for BINARY. */
enum mime_encoding imap_section_encoding(const struct imap_part *part);

/* Appends those fields of a header (with or without its empty line) whose names
 * are in the list, or are not (except), in CR LF form, and an empty line. */
void imap_section_append_fields(struct buf *out, struct str header, const struct str *names, size_t count, bool except);

#endif
