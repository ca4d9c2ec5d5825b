/* mime: Content-Type, Content-Disposition, Content-Transfer-Encoding.
 *
 * RFC 2045 5.1 and 6.1, RFC 2183, RFC 2231 3 and 4. */
#include "mime.h"

#define TEXT_MAX (2 * MIME_VALUE_MAX * 8)

/* A parameter as it stands in the field: maybe a piece of one. */
struct segment {
    struct str name;
    int index; /* of RFC 2231 3; -1: not a continuation */
    bool extended;
    bool used;
    size_t offset, length; /* unquoted value, in mime_value's text */
};

static bool is_special(char c) {
    static const bool special[256] = {
        ['('] = true, [')'] = true, ['<'] = true,  ['>'] = true, ['@'] = true, [','] = true,
        [';'] = true, [':'] = true, ['\\'] = true, ['"'] = true, ['/'] = true, ['['] = true,
        [']'] = true, ['?'] = true, ['='] = true,  [0x7f] = true};
    return (unsigned char)c <= ' ' || special[(unsigned char)c];
}

static void skip_blanks_and_comments(struct str *text) {
    size_t i = 0, depth = 0;
    for (; i < text->length; i++) {
        char c = text->data[i];
        if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (c == '\\' && depth > 0) {
            i++;
        } else if (depth == 0 && !ascii_is_space(c)) {
            break;
        }
    }
    *text = str_from_offset(*text, i);
}

static struct str take_token(struct str *text) {
    size_t i = 0;
    while (i < text->length && !is_special(text->data[i]))
        i++;
    struct str token = str_slice(*text, 0, i);
    *text = str_from_offset(*text, i);
    return token;
}

static bool take_char(struct str *text, char c) {
    if (text->length == 0 || text->data[0] != c) return false;
    *text = str_from_offset(*text, 1);
    return true;
}

/* A quoted string, or (leniently) all up to a blank or ';'. */
static bool take_value(struct str *text, struct buf *out) {
    size_t before = out->length, i = 0;
    bool closed = true;
    if (take_char(text, '"')) {
        for (closed = false; i < text->length && !closed; i++) {
            char c = text->data[i];
            if (c == '"') {
                closed = true;
                continue;
            }
            if (c == '\r' || c == '\n') continue;
            if (c == '\\' && i + 1 < text->length) c = text->data[++i];
            buf_append_char(out, c);
        }
    } else {
        while (i < text->length && text->data[i] != ';' && !ascii_is_space(text->data[i]))
            i++;
        buf_append(out, str_slice(*text, 0, i));
    }
    *text = str_from_offset(*text, i);
    return closed && !buf_overflowed(out) && out->length - before <= MIME_VALUE_MAX;
}

/* "name*2*" into name, index 2, extended. */
static void split_name(struct segment *segment) {
    struct str before, after;
    uint64_t number = 0;
    segment->index = -1;
    if (segment->name.length > 1 && segment->name.data[segment->name.length - 1] == '*') {
        segment->extended = true;
        segment->name.length--;
    }
    if (str_cut(segment->name, '*', &before, &after) && before.length > 0 &&
        str_to_u64(after, MIME_PARAMETERS_MAX, &number)) {
        segment->name = before;
        segment->index = (int)number;
    }
}

/* Reads the parameters into segments; returns their count. */
static size_t read_segments(struct mime_value *value, struct str rest, struct segment *segments) {
    size_t count = 0;
    for (;;) {
        skip_blanks_and_comments(&rest);
        if (rest.length == 0) return count;
        if (take_char(&rest, ';')) continue;
        if (count == MIME_PARAMETERS_MAX) break;
        struct segment segment = {.name = take_token(&rest), .offset = value->text.length};
        skip_blanks_and_comments(&rest);
        bool good = segment.name.length > 0 && take_char(&rest, '=');
        if (good) {
            skip_blanks_and_comments(&rest);
            good = take_value(&rest, &value->text);
        }
        if (good) {
            segment.length = value->text.length - segment.offset;
            split_name(&segment);
            segments[count++] = segment;
            continue;
        }
        /* Pass over to the next ';'. */
        value->malformed = true;
        size_t next = str_find(rest, ';');
        rest = next == STR_NONE ? STR_EMPTY : str_from_offset(rest, next);
    }
    value->malformed = true;
    return count;
}

static int hex_value(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_upper(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Appends octets [offset, end) of the buf to itself, %-decoded if wanted. */
static void append_decoded(struct buf *text, size_t offset, size_t end, bool decode) {
    for (size_t i = offset; i < end; i++) {
        char c = text->data[i];
        if (decode && c == '%' && i + 2 < end) {
            int high = hex_value(text->data[i + 1]), low = hex_value(text->data[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        if (!buf_append_char(text, c)) return;
    }
}

/* The segment of that name and index that is not used yet, or NULL. */
static struct segment *find_segment(struct segment *segments, size_t count, struct str name, int index) {
    for (size_t i = 0; i < count; i++) {
        if (!segments[i].used && segments[i].index == index && str_equal_nocase(segments[i].name, name)) {
            return &segments[i];
        }
    }
    return NULL;
}

/* Offsets of a joined parameter; they become pointers when the buf is done. */
struct span {
    size_t charset, charset_length, language, language_length, value, value_length;
};

/* Joins the parameter that begins with first. RFC 2231 4: charset'language'text. */
static struct span join(struct mime_value *value, struct segment *segments, size_t count, struct segment *first) {
    struct buf *text = &value->text;
    size_t from = first->offset, end = first->offset + first->length;
    struct span span = {0};
    if (first->extended) {
        struct str all = str_slice(buf_str(text), from, end), charset, rest, language;
        if (str_cut(all, '\'', &charset, &rest) && str_cut(rest, '\'', &language, &rest)) {
            span.charset = from;
            span.charset_length = charset.length;
            span.language = from + charset.length + 1;
            span.language_length = language.length;
            from = end - rest.length;
        }
    }
    span.value = text->length;
    append_decoded(text, from, end, first->extended);
    first->used = true;
    for (int index = 1; first->index == 0; index++) {
        struct segment *next = find_segment(segments, count, first->name, index);
        if (next == NULL) break;
        append_decoded(text, next->offset, next->offset + next->length, next->extended);
        next->used = true;
    }
    span.value_length = text->length - span.value;
    return span;
}

/* Index of the parameter of that name, or the count. */
static size_t find_parameter(const struct mime_value *value, struct str name) {
    size_t i = 0;
    while (i < value->count && !str_equal_nocase(value->parameters[i].name, name))
        i++;
    return i;
}

/* Encoded and continued forms first: they stand before a plain one of the same
 * name, which is the sender's substitute for old readers. */
static void join_all(struct mime_value *value, struct segment *segments, size_t count) {
    struct span spans[MIME_PARAMETERS_MAX] = {0};
    size_t encoded = 0;
    for (int plain = 0; plain < 2; plain++) {
        for (size_t i = 0; i < count; i++) {
            struct segment *segment = &segments[i];
            bool is_plain = segment->index < 0 && !segment->extended;
            if (segment->used || is_plain != (plain == 1) || segment->index > 0) continue;
            size_t same = find_parameter(value, segment->name);
            if (same < value->count) {
                if (plain == 0 || same >= encoded) value->malformed = true; /* given twice: the first counts */
                continue;
            }
            value->parameters[value->count].name = segment->name;
            value->parameters[value->count].extended = segment->extended;
            spans[value->count++] = join(value, segments, count, segment);
        }
        if (plain == 0) encoded = value->count;
    }
    struct str all = buf_str(&value->text);
    for (size_t i = 0; i < value->count; i++) {
        value->parameters[i].charset = str_slice(all, spans[i].charset, spans[i].charset + spans[i].charset_length);
        value->parameters[i].language = str_slice(all, spans[i].language, spans[i].language + spans[i].language_length);
        value->parameters[i].value = str_slice(all, spans[i].value, spans[i].value + spans[i].value_length);
    }
}

bool mime_value_parse(struct mime_value *value, struct str field_value) {
    struct segment segments[MIME_PARAMETERS_MAX];
    struct str rest = field_value;
    mime_value_free(value);
    value->text = buf_make(TEXT_MAX);
    skip_blanks_and_comments(&rest);
    struct str type = take_token(&rest), subtype = STR_EMPTY;
    skip_blanks_and_comments(&rest);
    if (take_char(&rest, '/')) {
        skip_blanks_and_comments(&rest);
        subtype = take_token(&rest);
        if (subtype.length == 0) return false;
    }
    if (type.length == 0 || type.length > MIME_TYPE_MAX || subtype.length > MIME_TYPE_MAX) return false;
    value->type = type;
    value->subtype = subtype;
    join_all(value, segments, read_segments(value, rest, segments));
    value->malformed = value->malformed || buf_overflowed(&value->text);
    return true;
}

const struct mime_parameter *mime_value_find(const struct mime_value *value, const char *name) {
    for (size_t i = 0; i < value->count; i++) {
        if (str_equal_nocase(value->parameters[i].name, str_from(name))) return &value->parameters[i];
    }
    return NULL;
}

void mime_value_free(struct mime_value *value) {
    buf_free(&value->text);
    value->type = value->subtype = STR_EMPTY;
    value->count = 0;
    value->malformed = false;
}

enum mime_encoding mime_encoding_parse(struct str field_value) {
    static const struct {
        struct str name;
        enum mime_encoding encoding;
    } names[] = {
        {STR_INIT("7bit"), MIME_7BIT},     {STR_INIT("8bit"), MIME_8BIT},
        {STR_INIT("binary"), MIME_BINARY}, {STR_INIT("quoted-printable"), MIME_QUOTED_PRINTABLE},
        {STR_INIT("base64"), MIME_BASE64},
    };
    struct str rest = field_value;
    skip_blanks_and_comments(&rest);
    struct str word = take_token(&rest);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (str_equal_nocase(word, names[i].name)) return names[i].encoding;
    }
    return MIME_ENCODING_UNKNOWN;
}
