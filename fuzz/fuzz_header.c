/* Fuzz target: header fields follow each other without gaps; folding never makes a second field. */
#include "header.h"
#include "date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str message = str_make((const char *)data, size);
    struct header_reader reader;
    struct header_field field;
    struct buf out = {0};
    header_begin(&reader, message, 4096);
    for (;;) {
        size_t before = reader.offset;
        enum header_result result = header_next(&reader, &field);
        check(reader.offset <= size);
        if (result != HEADER_FIELD) break;
        check(reader.offset > before && field.raw.data + field.raw.length == message.data + reader.offset);
        check(header_name_is_valid(field.name));
        buf_clear(&out);
        check(header_append_unfolded(&out, field.value) && out.length <= field.value.length);
        check(str_find(buf_str(&out), '\n') == STR_NONE);
        int64_t moment = 0;
        (void)!date_parse_rfc5322(field.value, &moment, NULL);
    }
    buf_clear(&out);
    check(header_append_folded(&out, STR("X"), message));
    header_begin(&reader, buf_str(&out), 0);
    if (out.length <= HEADER_BYTES_MAX) {
        check(header_next(&reader, &field) == HEADER_FIELD);
        check(header_next(&reader, &field) == HEADER_CUT);
    }
    buf_free(&out);
    return 0;
}
