/* transfer_reader: base64, quoted-printable, and what is not encoded. */
#include "transfer_reader.h"

void transfer_reader_begin(struct transfer_reader *reader, struct str body, enum mime_encoding encoding) {
    *reader = (struct transfer_reader){.body = body, .encoding = encoding};
}

/* ---- base64 */

#define NO_SEXTET 64

/* Sextet of each octet, NO_SEXTET for the rest. */
static const unsigned char sextets[256] = {
#define NO16 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64
    NO16, NO16,                                                                     /* controls */
    64,   64,   64,   64,   64,   64,   64,   64,   64, 64, 64, 62, 64, 64, 64, 63, /* space to '/' */
    52,   53,   54,   55,   56,   57,   58,   59,   60, 61, 64, 64, 64, 64, 64, 64, /* digits */
    64,   0,    1,    2,    3,    4,    5,    6,    7,  8,  9,  10, 11, 12, 13, 14, /* A to O */
    15,   16,   17,   18,   19,   20,   21,   22,   23, 24, 25, 64, 64, 64, 64, 64, /* P to Z */
    64,   26,   27,   28,   29,   30,   31,   32,   33, 34, 35, 36, 37, 38, 39, 40, /* a to o */
    41,   42,   43,   44,   45,   46,   47,   48,   49, 50, 51, 64, 64, 64, 64, 64, /* p to z */
    NO16, NO16, NO16, NO16, NO16, NO16, NO16, NO16,
#undef NO16
};

/* Groups of four characters as long as nothing else comes. */
static size_t read_groups(struct transfer_reader *reader, char *to, size_t room) {
    const unsigned char *from = (const unsigned char *)reader->body.data + reader->offset;
    const unsigned char *end = (const unsigned char *)reader->body.data + reader->body.length;
    size_t filled = 0;
    while (end - from >= 4 && room - filled >= 3) {
        unsigned a = sextets[from[0]], b = sextets[from[1]], c = sextets[from[2]], d = sextets[from[3]];
        if ((a | b | c | d) & NO_SEXTET) break;
        to[filled] = (char)(a << 2 | b >> 4);
        to[filled + 1] = (char)(b << 4 | c >> 2);
        to[filled + 2] = (char)(c << 6 | d);
        filled += 3;
        from += 4;
    }
    reader->offset = (size_t)((const char *)from - reader->body.data);
    return filled;
}

/* Ends a group of two or three sextets; what encodes less than an octet is dropped. */
static size_t flush_group(struct transfer_reader *reader, char *to) {
    size_t filled = 0;
    if (reader->sextets == 1) reader->malformed = true;
    if (reader->sextets >= 2) to[filled++] = (char)(reader->bits >> (6 * reader->sextets - 8));
    if (reader->sextets == 3) to[filled++] = (char)(reader->bits >> 2);
    reader->bits = 0;
    reader->sextets = 0;
    return filled;
}

/* One character that is not within a run of groups. */
static size_t read_character(struct transfer_reader *reader, char *to) {
    char c = reader->body.data[reader->offset++];
    unsigned sextet = sextets[(unsigned char)c];
    if (c == '=') return flush_group(reader, to);
    if (sextet == NO_SEXTET) {
        if (!ascii_is_space(c)) reader->malformed = true;
        return 0;
    }
    reader->bits = reader->bits << 6 | sextet;
    if (++reader->sextets < 4) return 0;
    to[0] = (char)(reader->bits >> 16);
    to[1] = (char)(reader->bits >> 8);
    to[2] = (char)reader->bits;
    reader->bits = 0;
    reader->sextets = 0;
    return 3;
}

static size_t read_base64(struct transfer_reader *reader, char *to, size_t room) {
    size_t filled = 0;
    while (reader->offset < reader->body.length && room - filled >= 3) {
        if (reader->sextets == 0) filled += read_groups(reader, to + filled, room - filled);
        if (reader->offset < reader->body.length && room - filled >= 3) filled += read_character(reader, to + filled);
    }
    if (reader->offset == reader->body.length && room - filled >= 3 && reader->sextets > 0) {
        reader->malformed = true;
        filled += flush_group(reader, to + filled);
    }
    return filled;
}

/* ---- quoted-printable */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static int hex_value(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of a line end at offset, or of blanks and a line end or the body's end;
 * STR_NONE if something else stands after the blanks. *blanks: how many. */
static size_t line_end_at(struct str body, size_t offset, size_t *blanks) {
    size_t at = offset;
    while (at < body.length && is_blank(body.data[at]))
        at++;
    *blanks = at - offset;
    if (at == body.length) return at - offset;
    if (body.data[at] == '\n') return at - offset + 1;
    if (body.data[at] == '\r' && at + 1 < body.length && body.data[at + 1] == '\n') return at - offset + 2;
    return STR_NONE;
}

/* '=' at the offset. */
static size_t read_escape(struct transfer_reader *reader, char *to) {
    struct str rest = str_from_offset(reader->body, reader->offset);
    if (rest.length >= 3) {
        int high = hex_value(rest.data[1]), low = hex_value(rest.data[2]);
        if (high >= 0 && low >= 0) {
            to[0] = (char)(high * 16 + low);
            reader->offset += 3;
            return 1;
        }
    }
    size_t blanks, end = line_end_at(reader->body, reader->offset + 1, &blanks);
    if (end != STR_NONE) { /* a soft line end */
        reader->offset += 1 + end;
        return 0;
    }
    reader->malformed = true;
    to[0] = '=';
    reader->offset++;
    return 1;
}

/* Blanks or a line end at the offset: blanks before a line end go (RFC 2045 6.7, rule 3). */
static size_t read_white(struct transfer_reader *reader, char *to, size_t room) {
    size_t blanks, end = STR_NONE;
    if (reader->offset >= reader->blanks_end) {
        end = line_end_at(reader->body, reader->offset, &blanks);
        reader->blanks_end = reader->offset + blanks;
    }
    blanks = reader->blanks_end - reader->offset;
    if (end == STR_NONE && blanks == 0) { /* a CR alone */
        to[0] = '\r';
        reader->offset++;
        return 1;
    }
    if (end == STR_NONE) {
        size_t length = blanks < room ? blanks : room;
        memcpy(to, reader->body.data + reader->offset, length);
        reader->offset += length;
        return length;
    }
    reader->offset += end;
    if (end == blanks) return 0; /* the body's end */
    memcpy(to, "\r\n", 2);
    return 2;
}

static size_t read_quoted(struct transfer_reader *reader, char *to, size_t room) {
    size_t filled = 0;
    while (reader->offset < reader->body.length && room - filled >= 2) {
        char c = reader->body.data[reader->offset];
        if (c == '=') {
            filled += read_escape(reader, to + filled);
        } else if (is_blank(c) || c == '\r' || c == '\n') {
            filled += read_white(reader, to + filled, room - filled);
        } else {
            to[filled++] = c;
            reader->offset++;
        }
    }
    return filled;
}

/* ---- not encoded */

struct target {
    char *to;
    size_t filled;
};
static bool copy_piece(void *context, struct str piece) {
    struct target *target = context;
    memcpy(target->to + target->filled, piece.data, piece.length);
    target->filled += piece.length;
    return true;
}

size_t transfer_reader_next(struct transfer_reader *reader, char *to, size_t room) {
    struct target target = {.to = to};
    switch (reader->encoding) {
    case MIME_BASE64:
        return read_base64(reader, to, room);
    case MIME_QUOTED_PRINTABLE:
        return read_quoted(reader, to, room);
    case MIME_7BIT:
    case MIME_8BIT:
    case MIME_BINARY:
    case MIME_ENCODING_UNKNOWN:
        break;
    }
    (void)crlf_view_write(reader->body, reader->cursor.view, room, &reader->cursor, copy_piece, &target);
    return target.filled;
}

uint64_t transfer_reader_size(struct str body, enum mime_encoding encoding) {
    if (encoding != MIME_BASE64 && encoding != MIME_QUOTED_PRINTABLE) return crlf_view_count(body).size;
    struct transfer_reader reader;
    char block[16384];
    uint64_t size = 0;
    size_t got;
    transfer_reader_begin(&reader, body, encoding);
    while ((got = transfer_reader_next(&reader, block, sizeof block)) > 0)
        size += got;
    return size;
}

bool transfer_reader_write(struct str body, enum mime_encoding encoding, uint64_t offset, uint64_t count,
                           crlf_view_sink sink, void *context) {
    if (encoding != MIME_BASE64 && encoding != MIME_QUOTED_PRINTABLE)
        return crlf_view_write(body, offset, count, NULL, sink, context);
    struct transfer_reader reader;
    char block[16384];
    uint64_t at = 0, end = count > UINT64_MAX - offset ? UINT64_MAX : offset + count;
    size_t got;
    transfer_reader_begin(&reader, body, encoding);
    while (at < end && (got = transfer_reader_next(&reader, block, sizeof block)) > 0) {
        uint64_t from = offset > at ? offset - at : 0, to = end - at < got ? end - at : got;
        if (from < to && !sink(context, str_slice(str_make(block, got), (size_t)from, (size_t)to))) return false;
        at += got;
    }
    return true;
}
