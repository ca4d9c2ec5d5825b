/* Fuzz target: trace fields and notices stay whole lines whatever strangers' words are put into them. */
#include "dsn.h"
#include "header.h"
#include "mime.h"
#include "received.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* The bytes are cut at NULs into the pieces that come from outside. */
static struct str piece(struct str *rest) {
    struct str before, after;
    if (str_cut(*rest, '\0', &before, &after)) {
        *rest = after;
        return before;
    }
    before = *rest;
    *rest = STR_EMPTY;
    return before;
}

static void trace(struct str all) {
    struct buf out = {0};
    struct header_reader reader;
    struct header_field field;
    struct received received = {.helo = piece(&all),
                                .client_name = piece(&all),
                                .client_address = STR("192.0.2.1"),
                                .by = STR("mx.example.com"),
                                .with = STR("ESMTPSA"),
                                .queue_id = STR("Q"),
                                .tls_protocol = piece(&all),
                                .tls_cipher = piece(&all),
                                .tls_details = piece(&all),
                                .authenticated = piece(&all),
                                .user_id = -1};
    check(received_append(&out, &received));
    header_begin(&reader, buf_str(&out), 0);
    check(header_next(&reader, &field) == HEADER_FIELD && header_next(&reader, &field) == HEADER_CUT);
    buf_free(&out);
}

static void notice(struct str all) {
    struct mail_address final = {0};
    if (mail_address_from_internal(piece(&all), 0xff, &final) != MAIL_ADDRESS_OK) return;
    struct dsn_recipient recipient = {.final = &final,
                                      .original_type = piece(&all),
                                      .original = piece(&all),
                                      .status = {5, 0, 0},
                                      .diagnostic = piece(&all),
                                      .remote_mta = piece(&all)};
    struct dsn_report report = {.kind = DSN_FAILED,
                                .from = STR("m@x"),
                                .to = piece(&all),
                                .subject = STR("x"),
                                .message_id = STR("<1@x>"),
                                .boundary = STR("=_0123456789abcdef_unguessable"),
                                .reporting_mta = STR("x"),
                                .original_envelope_id = piece(&all),
                                .sender = &final,
                                .recipients = &recipient,
                                .recipient_count = 1,
                                .returned = DSN_RETURN_NOTHING,
                                .human_text = STR_EMPTY};
    struct buf human = {0}, out = {0};
    check(dsn_append_recipient_text(&human, &recipient, all.length & 1));
    report.human_text = buf_str(&human);
    check(dsn_append_prefix(&out, &report) && dsn_append_suffix(&out, &report));
    struct mime_structure structure;
    mime_walk(buf_str(&out), 0, 0, &structure);
    check(structure.problems == 0 && structure.count == 3);
    mime_structure_free(&structure);
    buf_free(&human);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 100000) return 0;
    trace(str_make((const char *)data, size));
    notice(str_make((const char *)data, size));
    return 0;
}
