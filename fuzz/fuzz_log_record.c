/* A line from a service's pipe becomes exactly one line of the log, whatever it holds. */
#include "log_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void format_as(enum record_form form, const struct record *record) {
    struct record_frame frame = {.form = form, .host = STR("host"), .facility = 2, .second = -1};
    struct buf out = buf_make(0);
    record_set_time(&frame, record->date);
    record_format(&frame, STR("tern/qmgr"), record, &out);
    if (out.length == 0) abort();
    if (form != RECORD_FORM_SYSLOG) out.length--; /* its own line end */
    for (size_t i = 0; i < out.length; i++)
        if ((unsigned char)out.data[i] < 0x20 || out.data[i] == 0x7f) abort();
    if (!str_is_utf8(buf_str(&out)) || str_find_str(buf_str(&out), STR("\xc2\x9b")) != STR_NONE) abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct record record = record_parse(str_make((const char *)data, size));
    if (record.severity > 7 || record.date < 0 || record.text.length > size) abort();
    if (record.date > INT64_C(253402300799) * 1000000) record.date = 0; /* the daemon puts its own in the place of such */
    format_as(RECORD_FORM_TEXT, &record);
    format_as(RECORD_FORM_JSON, &record);
    format_as(RECORD_FORM_SYSLOG, &record);
    return 0;
}
