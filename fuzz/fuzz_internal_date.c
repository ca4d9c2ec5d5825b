/* Fuzz target: an IMAP date that is read prints as the same moment; lenient dates agree with strict ones. */
#include "date.h"
#include "internal_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    int64_t seconds = 0, again = 0, day = 0;
    int offset = 0, offset_again = 0;
    if (internal_date_parse(text, &seconds, &offset)) {
        struct buf out = {0};
        struct date_fields fields;
        check(internal_date_append(&out, seconds, offset));
        if (date_split(seconds, offset, &fields))
            check(internal_date_parse(buf_str(&out), &again, &offset_again) && again == seconds &&
                  offset_again == offset);
        buf_free(&out);
    }
    (void)!internal_date_parse_day(text, &day);
    struct sent_date sent = sent_date_of(text, 1, 2);
    if (date_parse_rfc5322(text, &seconds, &offset)) check(sent.seconds == seconds && sent.offset_minutes == offset);
    if (!sent.from_header) check(sent.seconds == 1 && sent.offset_minutes == 2);
    (void)date_day(sent.seconds, sent.offset_minutes);
    return 0;
}
