/* Fuzz target: the texts made of any message are what IMAP's grammar allows, parts lie within it, sizes agree; and no
 * record that somebody else wrote does harm. The first line is a section. */
#include "crlf_view.h"
#include "imap_section.h"
#include "memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* Passes over strings and looks at the parentheses; no line end outside a literal's own. */
static void check_text(struct str text) {
    size_t depth = 0, i = 0;
    while (i < text.length) {
        char c = text.data[i++];
        check(c != '\r' && c != '\n' && (unsigned char)c < 0x80 && c != '\0');
        if (c == '(') depth++;
        if (c == ')') check(depth-- > 0);
        if (c == '"') {
            for (; text.data[i] != '"'; i++) {
                if (text.data[i] == '\\') i++;
                check(i < text.length && text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
            }
            i++;
        }
        if (c == '{') {
            struct str digits, rest;
            uint64_t length = 0;
            check(str_cut(str_from_offset(text, i), '}', &digits, &rest));
            check(str_to_u64(digits, text.length, &length) && str_starts(rest, STR("\r\n")));
            i = text.length - rest.length + 2 + (size_t)length;
            check(i <= text.length);
        }
    }
    check(depth == 0);
}

static void check_parts(const struct imap_structure *structure, struct str message) {
    struct imap_part *parts = imap_structure_parts(structure);
    check(parts != NULL && structure->size == crlf_view_count(message).size);
    for (size_t i = 0; i < structure->part_count; i++) {
        size_t begin = (size_t)parts[i].body_offset;
        struct crlf_count count = crlf_view_count(str_slice(message, begin, begin + (size_t)parts[i].body_length));
        check(count.size == parts[i].body_size && count.lines == parts[i].lines);
        bool container = parts[i].kind == IMAP_PART_MULTIPART || parts[i].kind == IMAP_PART_MESSAGE;
        check(container == (parts[i].child != 0));
    }
    MEMORY_FREE(parts);
}

static const struct str names[] = {STR_INIT("Subject")};

static void check_section(struct str text, const struct imap_structure *structure, struct str message) {
    struct imap_section section;
    struct imap_section_place place;
    if (!imap_section_parse(text, &section)) return;
    struct imap_part *parts = imap_structure_parts(structure);
    if (parts != NULL && imap_section_find(&section, parts, &place)) {
        struct buf out = {0};
        check(place.offset <= message.length && place.length <= message.length - place.offset);
        size_t begin = (size_t)place.offset, end = begin + (size_t)place.length;
        imap_section_append_fields(&out, str_slice(message, begin, end), names, 1, true);
        check(str_ends(buf_str(&out), STR("\r\n")));
        (void)imap_section_is_unknown_encoding(place.part);
        buf_free(&out);
    }
    MEMORY_FREE(parts);
}

/* Bytes that call themselves a record. */
static void check_foreign(struct str input) {
    struct imap_structure structure;
    struct buf out = {0};
    if (!imap_structure_open(input, &structure)) return;
    for (int rev2 = 0; rev2 < 2; rev2++) {
        buf_clear(&out);
        (void)!imap_structure_append_body(&out, &structure.body[rev2]);
        check(out.length <= structure.body[rev2].text.length);
    }
    struct imap_part *parts = imap_structure_parts(&structure);
    for (size_t i = 0; parts != NULL && i < structure.part_count; i++)
        check(parts[i].body_offset + parts[i].body_length <= structure.file_length && parts[i].parent <= i);
    MEMORY_FREE(parts);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), section = STR_EMPTY, message = input;
    struct imap_structure structure;
    struct buf record = {0}, body = {0};
    check_foreign(input);
    (void)!str_cut(input, '\n', &section, &message);
    imap_structure_build(message, &record);
    check(imap_structure_open(buf_str(&record), &structure));
    check_text(structure.envelope);
    for (int rev2 = 0; rev2 < 2; rev2++) {
        buf_clear(&body);
        check_text(structure.body[rev2].text);
        check(imap_structure_append_body(&body, &structure.body[rev2]));
        check_text(buf_str(&body));
    }
    check_parts(&structure, message);
    check_section(section, &structure, message);
    buf_free(&record);
    buf_free(&body);
    return 0;
}
