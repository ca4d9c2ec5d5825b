/* imap_structure: the walk from a message to its record, and the record. */
#include "imap_structure.h"
#include "charset.h"
#include "crlf_view.h"
#include "header.h"
#include "imap_envelope.h"
#include "imap_text.h"
#include "memory.h"

#define RECORD_VERSION 2
#define LANGUAGES_MAX  100
#define TEXT_USUAL     1000 /* octets of text that are allocated at once */
#define CONVERTERS_MAX 100 /* opened for one message: opening one may load it; beyond that text counts as UTF-8 */

/* Extension data of one part, in the text. */
struct extension {
    size_t begin, end;
};

struct builder {
    struct str message;
    struct mime_structure mime;
    struct imap_part *parts; /* those of mime, then one for each container without any */
    size_t count;
    struct buf text;
    struct extension *extensions; /* one a part, in the text's order */
    size_t extension_count;
    struct buf bodies[2]; /* a text as it is in the record: of IMAP4rev1, and of IMAP4rev2 if that is another */
    bool rev2;            /* which is written */
    bool has_extended;    /* they differ */
    struct mime_value value; /* one for all: it is large */
    unsigned converters;     /* opened so far */
};

/* ---- the table of parts */

/* Sets child and next from the parents; children come in the table's order. */
static void link_parts(struct imap_part *parts, size_t count) {
    uint32_t *last = memory_allocate(count, sizeof *last);
    for (size_t i = 0; i < count; i++)
        parts[i].child = parts[i].next = 0;
    for (size_t i = 1; i < count; i++) {
        uint32_t parent = parts[i].parent;
        if (last[parent] == 0) {
            parts[parent].child = (uint32_t)i;
        } else {
            parts[last[parent]].next = (uint32_t)i;
        }
        last[parent] = (uint32_t)i;
    }
    MEMORY_FREE(last);
}

static enum imap_part_kind kind_of(const struct mime_part *part) {
    if (part->is_multipart) return IMAP_PART_MULTIPART;
    if (part->is_message) return IMAP_PART_MESSAGE;
    return str_equal(str_from(part->type), STR("text")) ? IMAP_PART_TEXT : IMAP_PART_BASIC;
}

static bool is_container(enum imap_part_kind kind) {
    return kind == IMAP_PART_MULTIPART || kind == IMAP_PART_MESSAGE;
}

static void make_parts(struct builder *b) {
    size_t known = b->mime.count;
    b->parts = memory_allocate(2 * known, sizeof *b->parts);
    for (size_t i = 0; i < known; i++) {
        const struct mime_part *part = &b->mime.parts[i];
        b->parts[i] = (struct imap_part){
            .kind = kind_of(part),
            .encoding = part->encoding,
            .parent = part->parent,
            .header_offset = part->header_offset,
            .header_length = part->header_length,
            .body_offset = part->body_offset,
            .body_length = part->body_length,
        };
    }
    b->count = known;
    link_parts(b->parts, known);
    for (size_t i = 0; i < known; i++) {
        const struct imap_part *part = &b->parts[i];
        if (!is_container(part->kind) || part->child != 0) continue;
        struct imap_part *inner = &b->parts[b->count++];
        *inner = (struct imap_part){.kind = IMAP_PART_TEXT, .parent = (uint32_t)i};
        inner->header_offset = inner->body_offset = part->body_offset;
        inner->body_length = part->body_length;
    }
    link_parts(b->parts, b->count);
}

/* ---- sizes: one pass over the message, stopping where a body begins or ends */

struct stop {
    uint64_t offset;
    uint64_t size, lines; /* of all before it */
};

static int compare_stops(const void *a, const void *b) {
    const struct stop *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static const struct stop *find_stop(const struct stop *stops, size_t count, uint64_t offset) {
    struct stop key = {.offset = offset};
    return bsearch(&key, stops, count, sizeof key, compare_stops);
}

static void count_parts(struct builder *b) {
    size_t count = 0;
    struct stop *stops = memory_allocate(2 * b->count, sizeof *stops);
    for (size_t i = 0; i < b->count; i++) {
        stops[count++].offset = b->parts[i].body_offset;
        stops[count++].offset = b->parts[i].body_offset + b->parts[i].body_length;
    }
    qsort(stops, count, sizeof *stops, compare_stops);
    struct stop at = {0};
    for (size_t i = 0; i < count; i++) {
        struct crlf_count more = crlf_view_count(str_slice(b->message, (size_t)at.offset, (size_t)stops[i].offset));
        at.size += more.size;
        at.lines += more.lines;
        at.offset = stops[i].offset;
        stops[i] = at;
    }
    for (size_t i = 0; i < b->count; i++) {
        struct imap_part *part = &b->parts[i];
        const struct stop *begin = find_stop(stops, count, part->body_offset);
        const struct stop *end = find_stop(stops, count, part->body_offset + part->body_length);
        part->body_size = end->size - begin->size;
        part->lines = end->lines - begin->lines;
    }
    MEMORY_FREE(stops);
}

/* ---- a part's own header fields */

enum field {
    FIELD_TYPE,
    FIELD_ID,
    FIELD_DESCRIPTION,
    FIELD_ENCODING,
    FIELD_MD5,
    FIELD_DISPOSITION,
    FIELD_LANGUAGE,
    FIELD_LOCATION,
    FIELDS
};

/* After "Content-". */
static const struct str field_names[FIELDS] = {
    STR_INIT("Type"), STR_INIT("ID"),          STR_INIT("Description"), STR_INIT("Transfer-Encoding"),
    STR_INIT("MD5"),  STR_INIT("Disposition"), STR_INIT("Language"),    STR_INIT("Location"),
};

struct fields {
    struct str values[FIELDS]; /* data NULL: absent */
};

static struct fields read_fields(struct builder *b, size_t index) {
    const struct imap_part *part = &b->parts[index];
    struct fields fields = {0};
    struct header_reader reader;
    struct header_field field;
    size_t begin = (size_t)part->header_offset;
    header_begin(&reader, str_slice(b->message, begin, begin + (size_t)part->header_length), 0);
    while (header_next(&reader, &field) == HEADER_FIELD) {
        if (!str_starts_nocase(field.name, STR("Content-"))) continue;
        struct str name = str_from_offset(field.name, sizeof "Content-" - 1);
        for (size_t i = 0; i < FIELDS; i++) {
            if (str_equal_nocase(name, field_names[i]) && fields.values[i].data == NULL) fields.values[i] = field.value;
        }
    }
    return fields;
}

static void append_unfolded(struct buf *out, struct str value) {
    struct buf text = {0};
    if (value.data != NULL) header_append_unfolded(&text, value);
    imap_text_append_nstring(out, value.data != NULL ? buf_str(&text) : value);
    buf_free(&text);
}

/* ---- parameters */

static void append_decoded(struct builder *b, const struct mime_parameter *parameter, struct buf *text) {
    struct charset_converter *converter =
        charset_open_lenient(b->converters++ < CONVERTERS_MAX ? parameter->charset : STR_EMPTY);
    (void)!charset_convert(converter, parameter->value, true, text);
    charset_close(&converter);
}

/* RFC 2231 4: charset'language'text. */
static void append_extended(const struct mime_parameter *parameter, struct buf *text) {
    buf_printf(text, "%.*s'%.*s'", STR_ARGS(parameter->charset), STR_ARGS(parameter->language));
    for (size_t i = 0; i < parameter->value.length; i++) {
        char c = parameter->value.data[i];
        if (ascii_is_alnum(c) || (c != '\0' && strchr("!#$&+-.^_`{|}~", c)))
            buf_append_char(text, c);
        else
            buf_printf(text, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static void append_parameter(struct builder *b, const struct mime_parameter *parameter) {
    struct buf *out = &b->text, text = {0};
    buf_append(&text, parameter->name);
    if (parameter->extended) buf_append_char(&text, '*');
    imap_text_append_string(out, buf_str(&text));
    buf_append_char(out, ' ');
    buf_clear(&text);
    if (!parameter->extended)
        buf_append(&text, parameter->value);
    else if (b->rev2)
        append_decoded(b, parameter, &text);
    else
        append_extended(parameter, &text);
    imap_text_append_string(out, buf_str(&text));
    b->has_extended = b->has_extended || parameter->extended;
    buf_free(&text);
}

/* Those of b->value. RFC 2045 5.2: text of no charset is US-ASCII. */
static void append_parameters(struct builder *b, bool is_text) {
    struct buf *out = &b->text;
    bool charset = is_text && mime_value_find(&b->value, "charset") == NULL;
    if (b->value.count == 0 && !charset) {
        buf_append(out, STR("NIL"));
        return;
    }
    if (charset) buf_append(out, STR("(\"charset\" \"us-ascii\""));
    for (size_t i = 0; i < b->value.count; i++) {
        buf_append_char(out, i == 0 && !charset ? '(' : ' ');
        append_parameter(b, &b->value.parameters[i]);
    }
    buf_append_char(out, ')');
}

/* Reads a field into b->value; false, and nothing in it, if there is none or it cannot be read. */
static bool read_value(struct builder *b, const struct fields *fields, enum field field) {
    struct str value = fields->values[field];
    bool good = value.data != NULL && mime_value_parse(&b->value, value);
    if (!good) mime_value_free(&b->value);
    return good;
}

/* True if the field can be read and names a media type. */
static bool read_type(struct builder *b, const struct fields *fields) {
    bool good = read_value(b, fields, FIELD_TYPE) && b->value.subtype.length > 0;
    if (!good) mime_value_free(&b->value);
    return good;
}

/* "type" "subtype" (parameters). What cannot be read is what the walk took it for. */
static void append_type(struct builder *b, size_t index, const struct fields *fields) {
    struct str type = STR("text"), subtype = STR("plain");
    bool is_text = b->parts[index].kind == IMAP_PART_TEXT;
    if (read_type(b, fields)) {
        type = b->value.type;
        subtype = b->value.subtype;
    } else if (index < b->mime.count) {
        type = str_from(b->mime.parts[index].type);
        subtype = str_from(b->mime.parts[index].subtype);
    }
    imap_text_append_string(&b->text, type);
    buf_append_char(&b->text, ' ');
    imap_text_append_string(&b->text, subtype);
    buf_append_char(&b->text, ' ');
    append_parameters(b, is_text);
}

/* id description encoding octets */
static void append_common(struct builder *b, size_t index, const struct fields *fields) {
    buf_append_char(&b->text, ' ');
    append_unfolded(&b->text, fields->values[FIELD_ID]);
    buf_append_char(&b->text, ' ');
    append_unfolded(&b->text, fields->values[FIELD_DESCRIPTION]);
    buf_append_char(&b->text, ' ');
    imap_text_append_string(&b->text, read_value(b, fields, FIELD_ENCODING) ? b->value.type : STR("7bit"));
    buf_append_char(&b->text, ' ');
    buf_append_u64(&b->text, b->parts[index].body_size);
}

/* ---- extension data */

static void append_disposition(struct builder *b, const struct fields *fields) {
    if (!read_value(b, fields, FIELD_DISPOSITION)) {
        buf_append(&b->text, STR("NIL"));
        return;
    }
    buf_append_char(&b->text, '(');
    imap_text_append_string(&b->text, b->value.type);
    buf_append_char(&b->text, ' ');
    append_parameters(b, false);
    buf_append_char(&b->text, ')');
}

/* RFC 3282: tags with commas between them. */
static void append_languages(struct buf *out, struct str field) {
    struct str tag;
    size_t count = 0;
    while (field.data != NULL && count < LANGUAGES_MAX && str_next_word(&field, ", \t\r\n", &tag)) {
        buf_append_char(out, count++ == 0 ? '(' : ' ');
        imap_text_append_string(out, tag);
    }
    buf_append(out, count == 0 ? STR("NIL") : STR(")"));
}

static void append_extension(struct builder *b, const struct fields *fields, bool multipart) {
    size_t begin = b->text.length;
    buf_append_char(&b->text, ' ');
    if (multipart) {
        (void)read_type(b, fields);
        append_parameters(b, false);
    } else {
        append_unfolded(&b->text, fields->values[FIELD_MD5]);
    }
    buf_append_char(&b->text, ' ');
    append_disposition(b, fields);
    buf_append_char(&b->text, ' ');
    append_languages(&b->text, fields->values[FIELD_LANGUAGE]);
    buf_append_char(&b->text, ' ');
    append_unfolded(&b->text, fields->values[FIELD_LOCATION]);
    b->extensions[b->extension_count++] = (struct extension){begin, b->text.length};
}

/* ---- the text, from part to part */

/* What stands before a part's own parts. */
static void open_part(struct builder *b, size_t index) {
    buf_append_char(&b->text, '(');
    if (b->parts[index].kind == IMAP_PART_MULTIPART) return;
    struct fields fields = read_fields(b, index);
    append_type(b, index, &fields);
    append_common(b, index, &fields);
    if (b->parts[index].kind != IMAP_PART_MESSAGE) return;
    const struct imap_part *inner = &b->parts[b->parts[index].child];
    size_t begin = (size_t)inner->header_offset;
    buf_append_char(&b->text, ' ');
    imap_envelope_append(&b->text, str_slice(b->message, begin, begin + (size_t)inner->header_length));
    buf_append_char(&b->text, ' ');
}

/* What stands after them. */
static void close_part(struct builder *b, size_t index) {
    const struct imap_part *part = &b->parts[index];
    struct fields fields = read_fields(b, index);
    if (part->kind == IMAP_PART_MULTIPART) {
        buf_append_char(&b->text, ' ');
        imap_text_append_string(&b->text, read_type(b, &fields) ? b->value.subtype : STR("mixed"));
    } else if (part->kind != IMAP_PART_BASIC) {
        buf_append_char(&b->text, ' ');
        buf_append_u64(&b->text, part->lines);
    }
    append_extension(b, &fields, part->kind == IMAP_PART_MULTIPART);
    buf_append_char(&b->text, ')');
}

static void write_text(struct builder *b) {
    for (size_t i = 0;;) {
        open_part(b, i);
        if (b->parts[i].child != 0) {
            i = b->parts[i].child;
            continue;
        }
        close_part(b, i);
        while (i != 0 && b->parts[i].next == 0) {
            i = b->parts[i].parent;
            close_part(b, i);
        }
        if (i == 0) break;
        i = b->parts[i].next;
    }
}

/* ---- the record */

/* Seven bits an octet, the lowest first; the high bit says that more follow. */
static void append_number(struct buf *out, uint64_t number) {
    for (; number >= 0x80; number >>= 7)
        buf_append_char(out, (char)(0x80 | (number & 0x7f)));
    buf_append_char(out, (char)number);
}

static bool take_number(struct str *rest, uint64_t maximum, uint64_t *number) {
    uint64_t value = 0;
    for (unsigned i = 0; i < rest->length && i < 9; i++) {
        unsigned char octet = (unsigned char)rest->data[i];
        value |= (uint64_t)(octet & 0x7f) << (7 * i);
        if (octet & 0x80) continue;
        if (value > maximum) return false;
        *number = value;
        *rest = str_from_offset(*rest, i + 1);
        return true;
    }
    return false;
}

static void append_extensions(struct buf *out, const struct builder *b) {
    size_t at = 0;
    for (size_t i = 0; i < b->extension_count; i++) {
        append_number(out, b->extensions[i].begin - at);
        append_number(out, b->extensions[i].end - b->extensions[i].begin);
        at = b->extensions[i].end;
    }
}

static void append_parts(struct buf *out, const struct builder *b) {
    for (size_t i = 0; i < b->count; i++) {
        const struct imap_part *part = &b->parts[i];
        append_number(out, (uint64_t)part->kind * 8 + part->encoding);
        append_number(out, part->parent);
        append_number(out, part->header_offset);
        append_number(out, part->header_length);
        append_number(out, part->body_length);
        append_number(out, part->body_size);
        append_number(out, part->lines);
    }
}

static void append_section(struct buf *record, const struct buf *section) {
    append_number(record, section->length);
    buf_append(record, buf_str(section));
}

static void write_record(struct builder *b, struct buf *record) {
    struct buf section = {0};
    struct str header = str_slice(b->message, 0, (size_t)b->parts[0].header_length);
    uint64_t header_size = crlf_view_count(header).size;
    append_number(record, RECORD_VERSION);
    append_number(record, b->message.length);
    append_number(record, header_size + b->parts[0].body_size);
    append_number(record, header_size);
    imap_envelope_append(&section, b->message);
    append_section(record, &section);
    append_section(record, &b->bodies[0]);
    append_section(record, &b->bodies[1]);
    buf_clear(&section);
    append_parts(&section, b);
    append_number(record, b->count);
    append_section(record, &section);
    buf_free(&section);
}

/* Writes a text and where its extension data is; false if it would be too long. */
static bool describe_body(struct builder *b, bool rev2, size_t text_limit) {
    struct buf extensions = {0};
    b->rev2 = rev2;
    b->extension_count = 0;
    b->text = buf_make(text_limit);
    (void)!buf_reserve(&b->text, TEXT_USUAL);
    write_text(b);
    append_extensions(&extensions, b);
    append_section(&b->bodies[rev2], &b->text);
    append_section(&b->bodies[rev2], &extensions);
    bool good = !buf_overflowed(&b->text);
    buf_free(&b->text);
    buf_free(&extensions);
    return good;
}

/* Everything up to the texts; false if one would be too long. */
static bool describe_parts(struct builder *b, unsigned depth_limit, size_t parts_limit, size_t text_limit) {
    mime_walk_labelled(b->message, depth_limit, parts_limit, &b->mime);
    make_parts(b);
    count_parts(b);
    b->extensions = memory_allocate(b->count, sizeof *b->extensions);
    return describe_body(b, false, text_limit) && (!b->has_extended || describe_body(b, true, text_limit));
}

static void builder_free(struct builder *b) {
    mime_structure_free(&b->mime);
    MEMORY_FREE(b->parts);
    MEMORY_FREE(b->extensions);
    buf_free(&b->bodies[0]);
    buf_free(&b->bodies[1]);
    mime_value_free(&b->value);
}

void imap_structure_build(struct str message, struct buf *record) {
    struct builder b = {.message = message};
    if (!describe_parts(&b, 0, 0, IMAP_STRUCTURE_TEXT_MAX)) {
        builder_free(&b);
        b = (struct builder){.message = message};
        (void)!describe_parts(&b, 1, 1, 0); /* one part: its header's limits are enough */
    }
    write_record(&b, record);
    builder_free(&b);
}

/* ---- reading a record */

static bool take_section(struct str *rest, struct str *section) {
    uint64_t length = 0;
    if (!take_number(rest, SIZE_MAX, &length) || length > rest->length) return false;
    *section = str_slice(*rest, 0, (size_t)length);
    *rest = str_from_offset(*rest, (size_t)length);
    return true;
}

/* Leaves the body as it was where the record has none. */
static bool take_body(struct str *rest, struct imap_body_text *body) {
    struct str section;
    if (!take_section(rest, &section)) return false;
    return section.length == 0 || (take_section(&section, &body->text) && take_section(&section, &body->extensions) && section.length == 0);
}

bool imap_structure_open(struct str record, struct imap_structure *structure) {
    struct imap_structure got = {.part_count = 0};
    uint64_t version = 0, count = 0;
    if (!take_number(&record, UINT64_MAX, &version) || version != RECORD_VERSION) return false;
    if (!take_number(&record, SIZE_MAX, &got.file_length) || !take_number(&record, UINT64_MAX, &got.size)) return false;
    if (!take_number(&record, UINT64_MAX, &got.header_size)) return false;
    if (!take_section(&record, &got.envelope) || !take_body(&record, &got.body[0])) return false;
    got.body[1] = got.body[0];
    if (!take_body(&record, &got.body[1])) return false;
    if (!take_number(&record, IMAP_STRUCTURE_PARTS_MAX, &count) || count == 0) return false;
    got.part_count = (size_t)count;
    if (!take_section(&record, &got.parts) || record.length > 0) return false;
    *structure = got;
    return true;
}

bool imap_structure_append_body(struct buf *out, const struct imap_body_text *body) {
    struct str rest = body->extensions, text = body->text;
    while (rest.length > 0) {
        uint64_t kept = 0, left_out = 0;
        if (!take_number(&rest, text.length, &kept) || !take_number(&rest, text.length - kept, &left_out)) return false;
        buf_append(out, str_slice(text, 0, (size_t)kept));
        text = str_from_offset(text, (size_t)(kept + left_out));
    }
    return buf_append(out, text);
}

static bool take_part(struct str *rest, const struct imap_structure *structure, size_t index, struct imap_part *part) {
    uint64_t kind = 0, parent = 0, limit = structure->file_length;
    if (!take_number(rest, (uint64_t)IMAP_PART_KINDS * 8 - 1, &kind) || kind % 8 > MIME_ENCODING_UNKNOWN) return false;
    part->kind = (enum imap_part_kind)(kind / 8);
    part->encoding = (enum mime_encoding)(kind % 8);
    if (!take_number(rest, index > 0 ? index - 1 : 0, &parent)) return false;
    part->parent = (uint32_t)parent;
    if (!take_number(rest, limit, &part->header_offset)) return false;
    if (!take_number(rest, limit - part->header_offset, &part->header_length)) return false;
    part->body_offset = part->header_offset + part->header_length;
    return take_number(rest, limit - part->body_offset, &part->body_length) &&
           take_number(rest, UINT64_MAX, &part->body_size) && take_number(rest, UINT64_MAX, &part->lines);
}

struct imap_part *imap_structure_parts(const struct imap_structure *structure) {
    struct imap_part *parts = memory_allocate(structure->part_count, sizeof *parts);
    struct str rest = structure->parts;
    bool good = true;
    for (size_t i = 0; i < structure->part_count && good; i++)
        good = take_part(&rest, structure, i, &parts[i]) && (i == 0 || is_container(parts[parts[i].parent].kind));
    if (good && rest.length == 0) {
        link_parts(parts, structure->part_count);
    } else {
        MEMORY_FREE(parts);
    }
    return parts;
}
