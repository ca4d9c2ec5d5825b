/* Fuzz target: a date that is read comes back from its own text. */
#include "date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct buf out = {0};
    int64_t moment = 0, again = 0;
    int offset = 0;
    struct date_fields fields;
    if (date_parse_rfc5322(text, &moment, &offset) && date_split(moment, offset, &fields)) {
        check(date_append_rfc5322(&out, moment, offset));
        check(date_parse_rfc5322(buf_str(&out), &again, NULL) && again == moment);
    }
    buf_clear(&out);
    if (date_parse_rfc3339(text, &moment, &offset) && moment >= 0 && date_split(moment / 1000000, offset, &fields)) {
        check(date_append_rfc3339(&out, moment, offset, 6));
        check(date_parse_rfc3339(buf_str(&out), &again, NULL) && again == moment);
    }
    buf_free(&out);
    return 0;
}
