/* Fuzz target: the parts of a message lie within it and within their parents. */
#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* The walk that searches bodies for boundaries sees what the one over all lines sees. */
static void check_labelled(struct str message, const struct mime_structure *wanted) {
    struct mime_structure structure;
    if (wanted->problems & MIME_BAD_ENCODING) return;
    mime_walk_labelled(message, 10, 50, &structure);
    check(structure.count == wanted->count && structure.problems == wanted->problems);
    for (size_t i = 0; i < structure.count; i++) {
        const struct mime_part *a = &structure.parts[i], *b = &wanted->parts[i];
        check(a->depth == b->depth && a->parent == b->parent && a->encoding == b->encoding);
        check(a->header_offset == b->header_offset && a->header_length == b->header_length);
        check(a->body_offset == b->body_offset && a->body_length == b->body_length);
        check(str_equal(str_from(a->subtype), str_from(b->subtype)));
    }
    mime_structure_free(&structure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str message = str_make((const char *)data, size);
    struct mime_structure structure;
    struct mime_value value = {0};
    mime_walk(message, 10, 50, &structure);
    check(structure.count >= 1 && structure.count <= 50);
    for (size_t i = 0; i < structure.count; i++) {
        const struct mime_part *part = &structure.parts[i], *parent = &structure.parts[part->parent];
        check(part->depth <= 10 && part->parent <= i && (i == 0 || part->depth == parent->depth + 1));
        check(part->header_offset + part->header_length == part->body_offset);
        check(part->body_offset <= size && part->body_length <= size - part->body_offset);
        if (i > 0) check(part->header_offset >= parent->body_offset);
    }
    check_labelled(message, &structure);
    mime_structure_free(&structure);
    if (mime_value_parse(&value, message)) {
        check(value.count <= MIME_PARAMETERS_MAX && value.type.length > 0);
        for (size_t i = 0; i < value.count; i++)
            check(value.parameters[i].value.length <= size);
        (void)mime_value_find(&value, "boundary");
    }
    mime_value_free(&value);
    (void)mime_encoding_parse(message);
    return 0;
}
