/* Lines of Dovecot's auth protocol: parameters that are written again are read as the same. */
#include "dovecot_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct str value) {
    struct buf line = buf_make(0), read = buf_make(0);
    struct str rest, name;
    dovecot_parameter_append(&line, "x", value);
    rest = buf_str(&line);
    if (str_find(rest, '\n') != STR_NONE || str_find(rest, '\0') != STR_NONE) abort();
    if (!dovecot_parameter_next(&rest, &name, &read) || !str_equal(buf_str(&read), value) || rest.length > 0) abort();
    buf_free(&line);
    buf_free(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), line, name;
    struct dovecot_line parsed;
    struct failure failure;
    struct buf value = buf_make(0);
    while (str_cut(input, '\n', &line, &input)) {
        if (!dovecot_line_parse(line, &parsed, &failure)) continue;
        if (parsed.number > UINT32_MAX) abort();
        (void)dovecot_mechanism_is_usable(&parsed);
        while (dovecot_parameter_next(&parsed.parameters, &name, &value)) {
            if (name.length == 0 || value.length > line.length) abort();
            write_again(buf_str(&value));
        }
    }
    buf_free(&value);
    return 0;
}
