/* imap_section: reading, finding, choosing fields. */
#include "imap_section.h"
#include "crlf_view.h"
#include "header.h"

/* ---- reading */

static bool parse_kind(struct str text, struct imap_section *section) {
    static const struct {
        struct str name;
        enum imap_section_kind kind;
    } kinds[] = {
        {STR_INIT(""), IMAP_SECTION_WHOLE},
        {STR_INIT("HEADER"), IMAP_SECTION_HEADER},
        {STR_INIT("HEADER.FIELDS"), IMAP_SECTION_FIELDS},
        {STR_INIT("HEADER.FIELDS.NOT"), IMAP_SECTION_FIELDS_NOT},
        {STR_INIT("TEXT"), IMAP_SECTION_TEXT},
        {STR_INIT("MIME"), IMAP_SECTION_MIME},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (!str_equal_nocase(text, kinds[i].name)) continue;
        section->kind = kinds[i].kind;
        return kinds[i].kind != IMAP_SECTION_MIME || section->depth > 0;
    }
    return false;
}

bool imap_section_parse(struct str text, struct imap_section *section) {
    struct imap_section got = {.depth = 0};
    while (text.length > 0 && ascii_is_digit(text.data[0])) {
        struct str number = text, rest = STR_EMPTY;
        bool more = str_cut(text, '.', &number, &rest);
        uint64_t value = 0;
        if (number.data[0] == '0' || !str_to_u64(number, UINT32_MAX, &value)) return false;
        if (got.depth == IMAP_SECTION_DEPTH_MAX || (more && rest.length == 0)) return false;
        got.path[got.depth++] = (uint32_t)value;
        text = rest;
    }
    if (!parse_kind(text, &got)) return false;
    *section = got;
    return true;
}

/* ---- finding */

/* A part on the way, and how its numbers are to be read. */
struct position {
    uint32_t index;
    bool inside; /* a message that was named by the number of its one part: it is that part now */
};

/* The nth part within a multipart. */
static bool find_child(const struct imap_part *parts, uint32_t index, uint32_t number, struct position *position) {
    uint32_t child = parts[index].child;
    while (child != 0 && --number > 0)
        child = parts[child].next;
    if (child == 0) return false;
    *position = (struct position){.index = child, .inside = true};
    return true;
}

/* The nth part of a message, whose content is not a multipart if it is its own part 1. */
static bool find_in_message(const struct imap_part *parts, uint32_t message, uint32_t number,
                            struct position *position) {
    if (parts[message].kind == IMAP_PART_MULTIPART) return find_child(parts, message, number, position);
    if (number != 1) return false;
    *position = (struct position){.index = message, .inside = true};
    return true;
}

static bool find_part(const struct imap_section *section, const struct imap_part *parts, struct position *position) {
    struct position at = {.index = 0};
    for (size_t i = 0; i < section->depth; i++) {
        const struct imap_part *part = &parts[at.index];
        uint32_t number = section->path[i];
        bool found = false;
        if (!at.inside) {
            found = find_in_message(parts, at.index, number, &at);
        } else if (part->kind == IMAP_PART_MULTIPART) {
            found = find_child(parts, at.index, number, &at);
        } else if (part->kind == IMAP_PART_MESSAGE) {
            found = find_in_message(parts, part->child, number, &at);
        }
        if (!found) return false;
    }
    *position = at;
    return true;
}

bool imap_section_find(const struct imap_section *section, const struct imap_part *parts,
                       struct imap_section_place *place) {
    struct position at = {0};
    if (!find_part(section, parts, &at)) return false;
    const struct imap_part *part = &parts[at.index], *message = part;
    bool of_message = section->kind != IMAP_SECTION_WHOLE && section->kind != IMAP_SECTION_MIME;
    if (of_message && section->depth > 0) {
        if (part->kind != IMAP_PART_MESSAGE) return false;
        message = &parts[part->child];
    }
    switch (section->kind) {
    case IMAP_SECTION_WHOLE:
        place->offset = section->depth > 0 ? part->body_offset : 0;
        place->length = section->depth > 0 ? part->body_length : part->header_length + part->body_length;
        break;
    case IMAP_SECTION_MIME:
    case IMAP_SECTION_HEADER:
    case IMAP_SECTION_FIELDS:
    case IMAP_SECTION_FIELDS_NOT:
        place->offset = message->header_offset;
        place->length = message->header_length;
        break;
    case IMAP_SECTION_TEXT:
        place->offset = message->body_offset;
        place->length = message->body_length;
        break;
    }
    place->part = part;
    return true;
}

enum mime_encoding imap_section_encoding(const struct imap_part *part) {
    return part->kind == IMAP_PART_MULTIPART ? MIME_BINARY : part->encoding;
}

bool imap_section_is_unknown_encoding(const struct imap_part *part) {
    return imap_section_encoding(part) == MIME_ENCODING_UNKNOWN;
}

/* ---- header fields */

static bool is_listed(struct str name, const struct str *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (name.length == names[i].length && str_equal_nocase(name, names[i])) return true;
    }
    return false;
}

void imap_section_append_fields(struct buf *out, struct str header, const struct str *names, size_t count,
                                bool except) {
    struct header_reader reader;
    struct header_field field;
    header_begin(&reader, header, 0);
    while (header_next(&reader, &field) == HEADER_FIELD) {
        if (is_listed(field.name, names, count) == except) continue;
        (void)!crlf_view_append_all(out, field.raw);
        if (field.raw.data[field.raw.length - 1] != '\n') buf_append(out, STR("\r\n"));
    }
    buf_append(out, STR("\r\n"));
}
