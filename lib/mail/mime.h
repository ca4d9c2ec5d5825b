/* mime: the structure of a message, as a flat list.
 *
 * RFC 2045, 2046, 2231. Finds parts by one pass over the lines with the stack
 * of open boundaries; nothing is decoded or copied. Malformed structure is
 * read as leniently as it can be within the limits, and flagged. */
#ifndef TERN_MIME_H
#define TERN_MIME_H

#include "buf.h"
#include "str.h"

#define MIME_DEPTH_MAX      100
#define MIME_PARTS_MAX      10000
#define MIME_PARAMETERS_MAX 100 /* a field */
#define MIME_TYPE_MAX       128 /* octets of type or subtype */
#define MIME_BOUNDARY_MAX   250 /* RFC 2046 allows 70 */
#define MIME_VALUE_MAX      8192

/* A media type or disposition with its parameters. */
struct mime_parameter {
    struct str name;              /* without RFC 2231's '*' parts; borrowed from the field */
    struct str value;             /* unquoted, %-decoded and joined; lives with the mime_value */
    struct str charset, language; /* RFC 2231; empty if none */
    bool extended;                /* written in the form of RFC 2231 4 ("name*") */
};
struct mime_value {
    struct str type;    /* "text", or the word of a disposition; borrowed from the field, as written */
    struct str subtype; /* "plain"; empty for a disposition */
    size_t count;
    struct mime_parameter parameters[MIME_PARAMETERS_MAX];
    bool malformed;  /* something was passed over */
    struct buf text; /* owns the values */
};
/* Reads a Content-Type or Content-Disposition value, folded or not. False if it
 * has no type. Free with mime_value_free in either case; *value must be zeroed
 * or used before. */
MUST_USE bool mime_value_parse(struct mime_value *value, struct str field_value);
/* The parameter of that name (no case), or NULL. */
const struct mime_parameter *mime_value_find(const struct mime_value *value, const char *name);
void mime_value_free(struct mime_value *value);

enum mime_encoding {
    MIME_7BIT,
    MIME_8BIT,
    MIME_BINARY,
    MIME_QUOTED_PRINTABLE,
    MIME_BASE64,
    MIME_ENCODING_UNKNOWN,
};
enum mime_encoding mime_encoding_parse(struct str field_value);

struct mime_part {
    unsigned depth;       /* 0: the message */
    uint32_t parent;      /* index; its own for the message */
    size_t header_offset; /* in the message */
    size_t header_length; /* with the empty line */
    size_t body_offset;
    size_t body_length; /* without the line end before the boundary */
    char type[32];      /* lower case; "text" if none was given; cut */
    char subtype[64];
    enum mime_encoding encoding;
    bool is_multipart;
    bool is_message; /* message/rfc822 or message/global: its content is the next part */
};

enum mime_problem {
    MIME_TOO_DEEP = 1,
    MIME_TOO_MANY = 2,
    MIME_NO_BOUNDARY = 4, /* multipart without a usable boundary */
    MIME_NOT_CLOSED = 8,  /* a multipart without its closing boundary */
    MIME_HEADER_TOO_LONG = 16,
    MIME_BAD_TYPE = 32,     /* Content-Type that cannot be read */
    MIME_BAD_ENCODING = 64, /* multipart or message with an encoding that changes bytes */
};

struct mime_structure {
    struct mime_part *parts;
    size_t count;
    unsigned problems; /* bits of enum mime_problem */
    bool eight_bit;    /* an octet with the high bit set, in header or body */
    bool eight_bit_header;
};
/* Walks a whole message. Limits 0 mean MIME_DEPTH_MAX and MIME_PARTS_MAX; what
 * lies beyond them stays in its parent's body. Free with mime_structure_free. */
void mime_walk(struct str message, unsigned depth_limit, size_t parts_limit, struct mime_structure *structure);
/* The same for IMAP: a message part that has an encoding is looked into as it
 * stands, since more often the label is wrong than the content encoded; and
 * bodies are only searched for boundaries (eight_bit stays false). */
void mime_walk_labelled(struct str message, unsigned depth_limit, size_t parts_limit, struct mime_structure *structure);
void mime_structure_free(struct mime_structure *structure);

#endif
