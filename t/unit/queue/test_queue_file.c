/* The queue file: what is packed reads back, what is torn or altered is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "hash.h"
#include "queue_file.h"
#include "record.h"

static void test_record_round_trip(void **state) {
    (void)state;
    static const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    struct buf bytes = buf_make(0);
    size_t begin = record_begin(&bytes, 'q');
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        record_number(&bytes, numbers[i]);
    record_text(&bytes, STR("two words"));
    record_text(&bytes, STR_EMPTY);
    assert_true(record_end(&bytes, begin));
    struct str rest = buf_str(&bytes), fields, text;
    char type;
    assert_true(record_next(&rest, &type, &fields));
    assert_int_equal(type, 'q');
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        uint64_t number;
        assert_true(record_read_number(&fields, &number));
        assert_true(number == numbers[i]);
    }
    assert_true(record_read_text(&fields, &text) && str_equal(text, STR("two words")));
    assert_true(record_read_text(&fields, &text) && text.length == 0);
    assert_false(record_read_text(&fields, &text));
    assert_int_equal(rest.length, 0);
    buf_free(&bytes);
}

static void test_record_every_cut_and_flip_is_noticed(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    size_t begin = record_begin(&bytes, 'q');
    record_text(&bytes, STR("content of a record"));
    assert_true(record_end(&bytes, begin));
    for (size_t cut = 0; cut < bytes.length; cut++) {
        struct str rest = str_slice(buf_str(&bytes), 0, cut), fields;
        char type;
        assert_false(record_next(&rest, &type, &fields));
        assert_int_equal(rest.length, cut);
    }
    for (size_t i = 0; i < bytes.length; i++) {
        bytes.data[i] ^= 0x10;
        struct str rest = buf_str(&bytes), fields;
        char type;
        assert_false(record_next(&rest, &type, &fields));
        bytes.data[i] ^= 0x10;
    }
    buf_free(&bytes);
}

static void test_header(void **state) {
    (void)state;
    struct queue_header header = {.content_length = 123456789,
                                  .content_lines = 42,
                                  .content_crc = 0xdeadbeef,
                                  .envelope_length = 777,
                                  .envelope_crc = 1};
    char bytes[QUEUE_HEADER_SIZE];
    assert_true(queue_header_format(&header, bytes));
    assert_int_equal(bytes[QUEUE_HEADER_SIZE - 1], '\n');
    struct queue_header read;
    assert_true(queue_header_parse(str_make(bytes, sizeof bytes), &read, NULL));
    assert_true(read.content_length == header.content_length && read.content_lines == header.content_lines &&
                read.content_crc == header.content_crc && read.envelope_length == header.envelope_length &&
                read.envelope_crc == header.envelope_crc);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        bytes[i] ^= 1;
        assert_false(queue_header_parse(str_make(bytes, sizeof bytes), &read, NULL));
        bytes[i] ^= 1;
    }
    assert_false(queue_header_parse(str_make(bytes, sizeof bytes - 1), &read, NULL));
    memset(bytes, ' ', sizeof bytes);
    assert_false(queue_header_parse(str_make(bytes, sizeof bytes), &read, NULL));
}

static struct queue_recipient two[] = {
    {.address = STR_INIT("a@example.test"),
     .original = STR_INIT("b@example.test"),
     .orcpt = STR_INIT("rfc822;b@example.test"),
     .notify = 2},
    {.address = STR_INIT("c@example.test"), .original = STR_INIT(""), .orcpt = STR_INIT(""), .notify = 0},
};
static const struct queue_envelope sample = {.queue_id = STR_INIT("ABCDEF12345"),
                                             .arrival = 1234567890123456,
                                             .sender = STR_INIT("s@example.test"),
                                             .envelope_id = STR_INIT("id"),
                                             .return_content = 1,
                                             .body = 1,
                                             .report = 2,
                                             .smtputf8 = true,
                                             .client_name = STR_INIT("client"),
                                             .client_address = STR_INIT("192.0.2.1"),
                                             .helo = STR_INIT("helo"),
                                             .protocol = STR_INIT("ESMTP"),
                                             .login = STR_INIT("me"),
                                             .message_id = STR_INIT("<x@y>"),
                                             .wish = {.release = 4000000000,
                                                      .deliver_by = 4000000060,
                                                      .by_mode = DELIVER_BY_RETURN,
                                                      .by_trace = true,
                                                      .priority = -9,
                                                      .tls = TLS_WISH_REQUIRED | TLS_WISH_UNREPORTED},
                                             .recipients = two,
                                             .recipient_count = 2};

/* A whole file of the sample with some events, in a temporary file. */
static int make_file(const char *content, struct buf *events) {
    char name[] = "/tmp/tern-queue-XXXXXX";
    int file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    struct buf envelope = buf_make(0);
    assert_true(queue_envelope_pack(&sample, &envelope));
    struct queue_header header = {.content_length = strlen(content),
                                  .content_lines = 1,
                                  .content_crc = crc32c(0, content, strlen(content)),
                                  .envelope_length = envelope.length,
                                  .envelope_crc = crc32c(0, envelope.data, envelope.length)};
    char bytes[QUEUE_HEADER_SIZE];
    assert_true(queue_header_format(&header, bytes));
    assert_int_equal(write(file, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(write(file, content, strlen(content)), strlen(content));
    assert_int_equal(write(file, envelope.data, envelope.length), envelope.length);
    if (events->length) assert_int_equal(write(file, events->data, events->length), events->length);
    buf_free(&envelope);
    return file;
}

static void test_file_with_events(void **state) {
    (void)state;
    struct buf events = buf_make(0);
    struct queue_event failed = {.type = EVENT_RECIPIENT,
                                 .index = 1,
                                 .state = QUEUE_RECIPIENT_FAILED,
                                 .action = 5,
                                 .status = STR("5.1.1"),
                                 .reason = STR("no such user"),
                                 .remote_mta = STR("mx"),
                                 .diagnostic = STR("550 no"),
                                 .when = 77};
    struct queue_event scheduled = {.type = EVENT_SCHEDULE, .when = 99, .attempts = 3};
    struct queue_event warned = {.type = EVENT_DELAY_NOTICE, .when = 55};
    struct queue_event expired = {.type = EVENT_EXPIRE, .when = 56};
    struct queue_event reported = {.type = EVENT_REPORT, .when = 57};
    assert_true(queue_event_pack(&failed, &events) && queue_event_pack(&scheduled, &events) &&
                queue_event_pack(&warned, &events) && queue_event_pack(&expired, &events) &&
                queue_event_pack(&reported, &events));
    size_t whole = events.length;
    buf_append(&events, STR("\x40\0\0\0torn")); /* a record that a crash cut off */
    int file = make_file("Subject: x\n", &events);
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t end;
    struct failure failure = {0};
    assert_true(queue_file_read(file, arena, &header, &envelope, &end, &failure));
    assert_int_equal(end, QUEUE_HEADER_SIZE + 11 + header.envelope_length + whole);
    assert_true(str_equal(envelope.sender, sample.sender) && str_equal(envelope.message_id, sample.message_id));
    assert_int_equal(envelope.wish.release, 4000000000);
    assert_int_equal(envelope.wish.deliver_by, 4000000060);
    assert_int_equal(envelope.wish.by_mode, DELIVER_BY_RETURN);
    assert_true(envelope.wish.by_trace);
    assert_int_equal(envelope.wish.priority, -9);
    assert_int_equal(envelope.wish.tls, TLS_WISH_REQUIRED | TLS_WISH_UNREPORTED);
    assert_int_equal(envelope.recipient_count, 2);
    assert_true(str_equal(envelope.recipients[0].orcpt, two[0].orcpt));
    assert_int_equal(envelope.recipients[0].state, QUEUE_RECIPIENT_WAITING);
    assert_int_equal(envelope.recipients[1].state, QUEUE_RECIPIENT_FAILED);
    assert_true(str_equal(envelope.recipients[1].diagnostic, STR("550 no")));
    assert_int_equal(envelope.next_attempt, 99);
    assert_int_equal(envelope.attempts, 3);
    assert_int_equal(envelope.delay_notice, 55);
    assert_true(envelope.force_expire);
    assert_int_equal(envelope.report, 2);
    assert_int_equal(envelope.report_sent, 57);
    assert_true(queue_file_check_content(file, &header, &failure));
    assert_int_equal(pwrite(file, "s", 1, QUEUE_HEADER_SIZE), 1);
    assert_false(queue_file_check_content(file, &header, &failure));
    assert_int_equal(failure.error_number, 0);
    arena_destroy(&arena);
    buf_free(&events);
    close(file);
}

/* A record that was altered in the middle of the events is no torn end: what stands behind it would be done again. */
static void test_damaged_event(void **state) {
    (void)state;
    struct buf events = buf_make(0);
    const struct queue_event done = {.type = EVENT_RECIPIENT, .index = 0, .state = QUEUE_RECIPIENT_DONE, .when = 5},
                             scheduled = {.type = EVENT_SCHEDULE, .when = 99, .attempts = 1};
    assert_true(queue_event_pack(&scheduled, &events));
    size_t first = events.length;
    assert_true(queue_event_pack(&done, &events));
    for (size_t at = 4; at < events.length; at++) { /* an altered length looks like a torn end */
        if (at >= first && at < first + 4) continue;
        events.data[at] ^= 1;
        int file = make_file("Subject: x\n", &events);
        events.data[at] ^= 1;
        struct arena *arena = arena_create(0);
        struct queue_header header;
        struct queue_envelope envelope;
        uint64_t end;
        struct failure failure = {0};
        bool good = queue_file_read(file, arena, &header, &envelope, &end, &failure);
        if (good != (at >= first)) fail_msg("octet %zu: %s", at, failure.text); /* the last one may be torn */
        assert_int_equal(failure.error_number, 0);
        arena_destroy(&arena);
        close(file);
    }
    buf_free(&events);
}

/* The message record as it was before there were reports, before there were options, with options, and with what is
 * not known. */
static void test_report_field(void **state) {
    (void)state;
    static const struct {
        bool there;
        uint64_t number;
        bool good;
        unsigned report;
        unsigned option_count;
        uint64_t options[4];
        int64_t next_attempt;
        int priority;
    } rows[] = {
        {false, 0, true, 0, 0, {0}, 0, 0},
        {true, 0, true, 0, 0, {0}, 0, 0},
        {true, 1, true, 1, 0, {0}, 0, 0},
        {true, 2, true, 2, 0, {0}, 0, 0},
        {true, 3, false, 0, 0, {0}, 0, 0},
        {true, 0, true, 0, 2, {QUEUE_OPTION_RELEASE, 77}, 77, 0},
        {true, 0, true, 0, 4, {QUEUE_OPTION_PRIORITY, 18, QUEUE_OPTION_BY_MODE, 6}, 0, -1},
        {true, 0, false, 0, 2, {QUEUE_OPTION_PRIORITY, 19}, 0, 0},
        {true, 0, false, 0, 2, {QUEUE_OPTION_BY_MODE, 3}, 0, 0},
        {true, 0, false, 0, 2, {QUEUE_OPTION_BY_MODE, 7}, 0, 0},
        {true, 0, false, 0, 1, {QUEUE_OPTION_RELEASE}, 0, 0},
        {true, 0, false, 0, 2, {0, 1}, 0, 0},
        {true, 0, false, 0, 2, {99, 1}, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf bytes = buf_make(0);
        size_t begin = record_begin(&bytes, 'm'), used;
        record_text(&bytes, STR("ABCDEF12345"));
        record_number(&bytes, 1); /* arrival */
        record_text(&bytes, STR("s@x.test"));
        record_text(&bytes, STR_EMPTY);           /* envelope ID */
        for (unsigned zero = 0; zero < 3; zero++) /* RET, body, SMTPUTF8 */
            record_number(&bytes, 0);
        for (unsigned empty = 0; empty < 6; empty++) /* client, HELO, protocol, login, Message-ID */
            record_text(&bytes, STR_EMPTY);
        record_number(&bytes, 0); /* on hold */
        record_number(&bytes, 0); /* recipients */
        if (rows[i].there) record_number(&bytes, rows[i].number);
        for (unsigned option = 0; option < rows[i].option_count; option++)
            record_number(&bytes, rows[i].options[option]);
        assert_true(record_end(&bytes, begin));
        struct arena *arena = arena_create(0);
        struct queue_envelope envelope = {.report = 9};
        bool good = queue_envelope_parse(buf_str(&bytes), STR_EMPTY, arena, &envelope, &used, NULL);
        if (good && (envelope.next_attempt != rows[i].next_attempt || envelope.wish.priority != rows[i].priority))
            fail_msg("options of row %zu", i);
        if (good != rows[i].good || envelope.report != (good ? rows[i].report : 9)) fail_msg("row %zu", i);
        arena_destroy(&arena);
        buf_free(&bytes);
    }
}

static void test_file_cut_anywhere_is_no_message(void **state) {
    (void)state;
    struct buf none = buf_make(0);
    int file = make_file("Subject: x\n", &none);
    off_t size = lseek(file, 0, SEEK_END);
    for (off_t cut = size - 1; cut >= 0; cut--) {
        assert_int_equal(ftruncate(file, cut), 0);
        struct arena *arena = arena_create(0);
        struct queue_header header;
        struct queue_envelope envelope;
        uint64_t end;
        struct failure failure = {0};
        assert_false(queue_file_read(file, arena, &header, &envelope, &end, &failure));
        assert_int_equal(failure.error_number, 0);
        arena_destroy(&arena);
    }
    close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_record_every_cut_and_flip_is_noticed),
        cmocka_unit_test(test_damaged_event),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_file_with_events),
        cmocka_unit_test(test_report_field),
        cmocka_unit_test(test_file_cut_anywhere_is_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
