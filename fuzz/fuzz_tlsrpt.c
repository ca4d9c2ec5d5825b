/* Fuzz target: TLSRPT records, and the journal. A place that was read is one that can be written to; a day
 * that was read can be counted on, and is read again from what it writes. */
#include "tlsrpt_record.h"
#include "tlsrpt_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void check_record(const struct tlsrpt_record *record) {
    check(record->count > 0 && record->count <= TLSRPT_ADDRESS_LIMIT);
    for (size_t i = 0; i < record->count; i++) {
        struct buf address = {0};
        if (tlsrpt_place_mailbox(record->places[i], &address))
            check(str_is_printable(buf_str(&address)) && str_find(buf_str(&address), '@') != STR_NONE);
        else
            check(str_starts_nocase(record->places[i], STR("https://")));
        buf_free(&address);
    }
}

static void check_day(struct tlsrpt_day *day) {
    static const struct tlsrpt_outcome outcome = {.policy_type = TLSRPT_TLSA, .result_type = STR_INIT("x")};
    const struct tlsrpt_sender sender = {.organization = STR("o"), .contact = STR("c"), .report_id = STR("i")};
    struct buf text = {0}, report = {0};
    uint64_t good, bad, bad_after;
    tlsrpt_day_counts(day, &good, &bad);
    tlsrpt_day_add(day, &outcome, tlsrpt_day_record(day));
    tlsrpt_day_counts(day, &good, &bad_after);
    check(bad_after == bad + 1 || bad_after >= 1000000000000000);
    tlsrpt_day_write(day, &text);
    tlsrpt_day_report(day, &sender, &report);
    struct tlsrpt_day *again = tlsrpt_day_read(buf_str(&text));
    check(again != NULL || text.length > TLSRPT_DAY_LIMIT);
    tlsrpt_day_free(&again);
    buf_free(&text);
    buf_free(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct tlsrpt_record record;
    if (tlsrpt_record_parse(text, &record)) check_record(&record);
    struct tlsrpt_day *day = tlsrpt_day_read(text);
    if (day) check_day(day);
    tlsrpt_day_free(&day);
    return 0;
}
