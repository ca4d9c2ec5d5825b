/* message_search: field by field, part by part. */
#include "message_search.h"
#include "charset.h"
#include "encoded_word.h"
#include "header.h"
#include "part_text.h"

/* True if text, a value or a whole field, holds the key when it is decoded. */
static bool holds(struct casemap_search *search, struct str text, struct buf *decoded) {
    buf_clear(decoded);
    if (encoded_word_is_needed(text)) {
        (void)!encoded_word_decode(text, decoded);
    } else {
        header_append_unfolded(decoded, text);
    }
    return casemap_contains(search, buf_str(decoded));
}

/* name NULL: any field, with its name. */
static bool search_fields(struct casemap_search *search, struct str header, const char *name) {
    struct header_reader reader;
    struct header_field field;
    struct buf decoded = {0};
    bool found = false;
    header_begin(&reader, header, 0);
    while (!found && header_next(&reader, &field) == HEADER_FIELD) {
        if (name != NULL && !str_equal_nocase(field.name, str_from(name))) continue;
        found = holds(search, name != NULL ? field.value : field.raw, &decoded);
    }
    buf_free(&decoded);
    return found;
}

bool message_search_field(struct casemap_search *search, struct str header, const char *name) {
    return search_fields(search, header, name);
}

bool message_search_header(struct casemap_search *search, struct str header) {
    return search_fields(search, header, NULL);
}

static bool search_text(struct casemap_search *search, struct str header, struct str body,
                        enum mime_encoding encoding) {
    struct part_text text;
    struct charset_reader reader;
    struct buf block = {0};
    bool found = false;
    part_text_read(header, &text);
    charset_reader_begin(&reader, body, encoding, str_from(text.charset));
    casemap_search_restart(search);
    while (!found && charset_reader_next(&reader, &block))
        found = casemap_search_next(search, buf_str(&block));
    charset_reader_free(&reader);
    buf_free(&block);
    return found;
}

bool message_search_body(struct casemap_search *search, struct str message, const struct imap_part *parts,
                         size_t part_count) {
    if (search->key.length == 0) return true;
    for (size_t i = 0; i < part_count; i++) {
        const struct imap_part *part = &parts[i];
        size_t begin = (size_t)part->header_offset, body = (size_t)part->body_offset;
        struct str header = str_slice(message, begin, body);
        struct str content = str_slice(message, body, body + (size_t)part->body_length);
        bool inner = i > 0 && parts[part->parent].kind == IMAP_PART_MESSAGE;
        if (inner && message_search_header(search, header)) return true;
        if (part->kind == IMAP_PART_TEXT && search_text(search, header, content, part->encoding)) return true;
    }
    return false;
}
