/* mime: the walk over a message's structure. */
#include "mime.h"
#include "header.h"
#include "memory.h"

/* A part on the way from the message to the place being read. */
struct open_part {
    size_t index;
    size_t boundary_length; /* 0: no boundary of its own, or closed already */
    char boundary[MIME_BOUNDARY_MAX];
};

struct walker {
    struct str message;
    struct mime_structure *structure;
    size_t capacity;
    size_t parts_limit;
    unsigned depth_limit;
    struct open_part *path; /* depth_limit + 1 entries */
    size_t open;            /* entries in use; the last is the current part */
    bool in_header;
    bool labelled;           /* mime_walk_labelled */
    struct mime_value value; /* one for all: it is large */
};

static struct mime_part *part_of(struct walker *w, size_t level) {
    return &w->structure->parts[w->path[level].index];
}

/* Opens a part beneath the current one; its header begins at offset. */
static void open_part(struct walker *w, size_t offset) {
    struct mime_structure *structure = w->structure;
    if (structure->count == w->capacity) {
        w->capacity = w->capacity > 0 ? w->capacity * 2 : 16;
        structure->parts = memory_resize(structure->parts, w->capacity, sizeof *structure->parts);
    }
    struct mime_part part = {.depth = (unsigned)w->open, .header_offset = offset, .body_offset = offset};
    if (w->open > 0) part.parent = (uint32_t)w->path[w->open - 1].index;
    structure->parts[structure->count] = part;
    w->path[w->open].index = structure->count++;
    w->path[w->open].boundary_length = 0;
    w->open++;
    w->in_header = true;
}

/* True if a part more is within the limits. */
static bool may_open(struct walker *w) {
    if (w->open > w->depth_limit) w->structure->problems |= MIME_TOO_DEEP;
    if (w->structure->count >= w->parts_limit) w->structure->problems |= MIME_TOO_MANY;
    return w->open <= w->depth_limit && w->structure->count < w->parts_limit;
}

static void copy_lower(char *to, size_t size, struct str from) {
    size_t length = from.length < size ? from.length : size - 1;
    for (size_t i = 0; i < length; i++)
        to[i] = ascii_lower(from.data[i]);
    to[length] = '\0';
}

static bool type_is(const struct mime_part *part, const char *type) {
    return str_equal(str_from(part->type), str_from(type));
}
static bool subtype_is(const struct mime_part *part, const char *subtype) {
    return str_equal(str_from(part->subtype), str_from(subtype));
}

/* RFC 2046 5.1.5: within a digest the default is a message. */
static void set_default_type(struct walker *w, struct mime_part *part) {
    bool digest = w->open > 1 && subtype_is(part_of(w, w->open - 2), "digest");
    copy_lower(part->type, sizeof part->type, digest ? STR("message") : STR("text"));
    copy_lower(part->subtype, sizeof part->subtype, digest ? STR("rfc822") : STR("plain"));
}

static void take_boundary(struct walker *w, const struct mime_value *value) {
    const struct mime_parameter *parameter = mime_value_find(value, "boundary");
    struct str boundary = parameter != NULL ? parameter->value : STR_EMPTY;
    while (boundary.length > 0 && ascii_is_space(boundary.data[boundary.length - 1]))
        boundary.length--;
    if (boundary.length == 0 || boundary.length > MIME_BOUNDARY_MAX) {
        w->structure->problems |= MIME_NO_BOUNDARY;
        return;
    }
    struct open_part *open = &w->path[w->open - 1];
    memcpy(open->boundary, boundary.data, boundary.length);
    open->boundary_length = boundary.length;
}

static void take_content_type(struct walker *w, struct mime_part *part, struct str field) {
    struct mime_value *value = &w->value;
    if (mime_value_parse(value, field) && value->subtype.length > 0) {
        copy_lower(part->type, sizeof part->type, value->type);
        copy_lower(part->subtype, sizeof part->subtype, value->subtype);
        part->is_multipart = type_is(part, "multipart");
        if (part->is_multipart) take_boundary(w, value);
    } else {
        w->structure->problems |= MIME_BAD_TYPE;
    }
}

/* Reads the fields that matter, first one of each; header_length is set. */
static void read_header(struct walker *w, struct mime_part *part) {
    struct header_reader reader;
    struct header_field field;
    enum header_result result;
    bool has_type = false, has_encoding = false;
    header_begin(&reader, str_slice(w->message, part->header_offset, part->body_offset), 0);
    while ((result = header_next(&reader, &field)) == HEADER_FIELD) {
        if (!has_type && str_equal_nocase(field.name, STR("Content-Type"))) {
            has_type = true;
            take_content_type(w, part, field.value);
        } else if (!has_encoding && str_equal_nocase(field.name, STR("Content-Transfer-Encoding"))) {
            has_encoding = true;
            part->encoding = mime_encoding_parse(field.value);
        }
    }
    if (result == HEADER_TOO_LONG) w->structure->problems |= MIME_HEADER_TOO_LONG;
}

/* The current part's header ends: its body begins at offset. */
static void end_header(struct walker *w, size_t offset) {
    struct mime_part *part = part_of(w, w->open - 1);
    w->in_header = false;
    part->header_length = offset - part->header_offset;
    part->body_offset = offset;
    set_default_type(w, part);
    read_header(w, part);
    part->is_message = type_is(part, "message") && (subtype_is(part, "rfc822") || subtype_is(part, "global"));
    bool opaque = part->encoding > MIME_BINARY;
    if (opaque && (part->is_multipart || part->is_message)) w->structure->problems |= MIME_BAD_ENCODING;
    if (part->is_message && (!opaque || w->labelled) && may_open(w)) open_part(w, offset);
}

/* Ends parts until keep are open; the last line end belongs to the boundary. */
static void close_parts(struct walker *w, size_t keep, size_t offset, bool at_boundary) {
    size_t end = offset;
    if (at_boundary && end > 0 && w->message.data[end - 1] == '\n') {
        end--;
        if (end > 0 && w->message.data[end - 1] == '\r') end--;
    }
    /* end_header may open a message's inner part, which is then empty and closed here too. */
    while (w->in_header)
        end_header(w, offset);
    while (w->open > keep) {
        struct mime_part *part = part_of(w, w->open - 1);
        if (w->path[w->open - 1].boundary_length > 0) w->structure->problems |= MIME_NOT_CLOSED;
        part->body_length = end > part->body_offset ? end - part->body_offset : 0;
        w->open--;
    }
}

/* The open part whose boundary this line is: its level, or STR_NONE. */
static size_t match_boundary(const struct walker *w, struct str line, bool *closing) {
    line = str_from_offset(line, 2);
    while (line.length > 0 && ascii_is_space(line.data[line.length - 1]))
        line.length--;
    for (size_t level = w->open; level-- > 0;) {
        const struct open_part *open = &w->path[level];
        size_t length = open->boundary_length;
        bool ends = line.length == length + 2 && line.data[length] == '-' && line.data[length + 1] == '-';
        if (length == 0 || (line.length != length && !ends)) continue;
        if (memcmp(line.data, open->boundary, length) != 0) continue;
        *closing = ends;
        return level;
    }
    return STR_NONE;
}

static void at_boundary(struct walker *w, size_t level, bool closing, size_t begin, size_t end) {
    close_parts(w, level + 1, begin, true);
    if (closing) {
        w->path[level].boundary_length = 0; /* what follows is its epilogue */
    } else if (may_open(w)) {
        open_part(w, end);
    }
}

/* Takes a line of the current header; true if the header ended before it. */
static bool header_line_ends(struct walker *w, struct str line, size_t begin, size_t end) {
    bool first = begin == part_of(w, w->open - 1)->header_offset, ends = false;
    switch (header_line_kind(line)) {
    case HEADER_LINE_FIELD:
        break;
    case HEADER_LINE_EMPTY:
        end_header(w, end);
        break;
    case HEADER_LINE_CONTINUATION:
        ends = first;
        break; /* continues nothing */
    case HEADER_LINE_MBOX:
        ends = !first;
        break;
    case HEADER_LINE_OTHER:
        ends = true;
        break;
    }
    if (ends) end_header(w, begin);
    return ends;
}

static void walk_line(struct walker *w, size_t begin, size_t end) {
    struct str line = str_slice(w->message, begin, end);
    bool closing = false;
    size_t level = str_starts(line, STR("--")) ? match_boundary(w, line, &closing) : STR_NONE;
    if (!w->labelled && !str_is_ascii(line)) {
        w->structure->eight_bit = true;
        if (w->in_header) w->structure->eight_bit_header = true;
    }
    if (level != STR_NONE) {
        at_boundary(w, level, closing, begin, end);
        return;
    }
    while (w->in_header) {
        /* Where a header ends before this line, a message part's inner header may begin with it. */
        size_t before = w->open;
        if (!header_line_ends(w, line, begin, end) || w->open == before) return;
    }
}

#define LANES 16
typedef unsigned char vector __attribute__((vector_size(LANES)));

static vector load(const char *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* Offset, not before from (where a line begins), of the next line that begins with "--", or the length. Looks at 16
 * octets a step: a body is nothing but that. */
static size_t next_dashes(struct str message, size_t from) {
    const char *data = message.data;
    size_t at = from;
    if (str_starts(str_from_offset(message, at), STR("--"))) return at;
    for (; message.length - at >= LANES + 2; at += LANES) {
        vector found = (vector)(load(data + at) == '\n') & (vector)(load(data + at + 1) == '-') &
                       (vector)(load(data + at + 2) == '-');
        uint64_t halves[2];
        memcpy(halves, &found, sizeof halves);
        if ((halves[0] | halves[1]) != 0) break;
    }
    for (; at + 2 < message.length; at++) {
        if (data[at] == '\n' && data[at + 1] == '-' && data[at + 2] == '-') return at + 1;
    }
    return message.length;
}

/* True if a boundary may come yet. */
static bool awaits_boundary(const struct walker *w) {
    for (size_t level = w->open; level-- > 0;) {
        if (w->path[level].boundary_length > 0) return true;
    }
    return false;
}

/* Where the next line is that may mean something, at or after begin. */
static size_t next_line(const struct walker *w, size_t begin) {
    if (w->in_header || !w->labelled) return begin;
    return awaits_boundary(w) ? next_dashes(w->message, begin) : w->message.length;
}

static void walk(struct walker *w, unsigned depth_limit, size_t parts_limit) {
    struct str message = w->message;
    *w->structure = (struct mime_structure){0};
    w->depth_limit = depth_limit > 0 && depth_limit < MIME_DEPTH_MAX ? depth_limit : MIME_DEPTH_MAX;
    w->parts_limit = parts_limit > 0 && parts_limit < MIME_PARTS_MAX ? parts_limit : MIME_PARTS_MAX;
    w->path = memory_resize(NULL, (size_t)w->depth_limit + 1, sizeof *w->path);
    open_part(w, 0);
    for (size_t begin = 0, end; (begin = next_line(w, begin)) < message.length; begin = end) {
        const char *lf = memchr(message.data + begin, '\n', message.length - begin);
        end = lf != NULL ? (size_t)(lf - message.data) + 1 : message.length;
        walk_line(w, begin, end);
    }
    close_parts(w, 0, message.length, false);
    mime_value_free(&w->value);
    MEMORY_FREE(w->path);
}

void mime_walk(struct str message, unsigned depth_limit, size_t parts_limit, struct mime_structure *structure) {
    struct walker w = {.message = message, .structure = structure};
    walk(&w, depth_limit, parts_limit);
}

void mime_walk_labelled(struct str message, unsigned depth_limit, size_t parts_limit,
                        struct mime_structure *structure) {
    struct walker w = {.message = message, .structure = structure, .labelled = true};
    walk(&w, depth_limit, parts_limit);
}

void mime_structure_free(struct mime_structure *structure) {
    MEMORY_FREE(structure->parts);
    *structure = (struct mime_structure){0};
}
