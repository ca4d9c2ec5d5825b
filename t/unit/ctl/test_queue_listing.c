/* The listing's two layouts and its JSON, byte by byte: scripts parse them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include "queue_listing.h"
#include "queue_selection.h"

struct person {
    const char *address, *original, *reason;
};

static struct ipc_list pack(const struct person *people, struct buf *rows) {
    uint32_t count = 0;
    for (; people->address; people++) {
        struct ipc_queued_recipient row = {.address = str_from(people->address),
                                           .original = str_from(people->original),
                                           .reason = str_from(people->reason)};
        assert_true(ipc_list_add(IPC_ROW_QUEUED_RECIPIENT, &row, rows, &count));
    }
    return (struct ipc_list){buf_str(rows), count};
}

static const struct person reasons[] = {
    {"a@example.org", "", "connect to mx.example.org[192.0.2.1]:25: Connection timed out"},
    {"b@example.org", "", "connect to mx.example.org[192.0.2.1]:25: Connection timed out"},
    {"c@example.net", "list@example.com", "host not found"},
    {"d@example.net", "", ""},
    {NULL, NULL, NULL}};
static const struct person fresh[] = {{"x@example.org", "", ""}, {"y@example.org", "", ""}, {NULL, NULL, NULL}};

/* 2013-10-03 21:11:35 UTC */
#define ARRIVAL UINT64_C(1380834695)

static void test_long_layout(void **state) {
    (void)state;
    struct buf rows = buf_make(0), more = buf_make(0), out = buf_make(0);
    struct queue_listing listing = {.long_ids = true};
    struct ipc_queued first = {.queue_id = STR("4Xb2c1dFghz2Klm"),
                               .queue = STR("deferred"),
                               .arrival = ARRIVAL,
                               .size = 317,
                               .sender = STR("sender@example.com"),
                               .recipients = pack(reasons, &rows)};
    struct ipc_queued second = {.queue_id = STR("4Xb2c1dFgiz2Klm"),
                                .queue = STR("active"),
                                .arrival = ARRIVAL + 86400 * 7,
                                .size = 12345678,
                                .sender = STR_EMPTY,
                                .recipients = pack(fresh, &more)};
    queue_listing_message(&listing, &first, &out);
    queue_listing_message(&listing, &second, &out);
    queue_listing_end(&listing, &out);
    assert_string_equal(buf_string(&out),
                        "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                        "4Xb2c1dFghz2Klm        317 Thu Oct  3 21:11:35 sender@example.com\n"
                        "               (connect to mx.example.org[192.0.2.1]:25: Connection timed out)\n"
                        "                                               a@example.org\n"
                        "                                               b@example.org\n"
                        "                                                              (host not found)\n"
                        "                                               c@example.net\n"
                        "                                                          (reason unavailable)\n"
                        "                                               d@example.net\n"
                        "\n"
                        "4Xb2c1dFgiz2Klm*  12345678 Thu Oct 10 21:11:35 MAILER-DAEMON\n"
                        "                                               x@example.org\n"
                        "                                               y@example.org\n"
                        "\n"
                        "-- 12056 Kbytes in 2 Requests.\n");
    buf_free(&rows);
    buf_free(&more);
    buf_free(&out);
}

static void test_short_layout(void **state) {
    (void)state;
    struct buf rows = buf_make(0), out = buf_make(0);
    struct queue_listing listing = {.long_ids = false};
    struct ipc_queued row = {.queue_id = STR("C55DA1D5A4D"),
                             .queue = STR("incoming"),
                             .arrival = ARRIVAL,
                             .size = 317,
                             .sender = STR("sender@example.com"),
                             .recipients = pack(fresh, &rows)};
    queue_listing_message(&listing, &row, &out);
    queue_listing_end(&listing, &out);
    assert_string_equal(buf_string(&out), "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
                                          "C55DA1D5A4D     317 Thu Oct  3 21:11:35  sender@example.com\n"
                                          "                                         x@example.org\n"
                                          "                                         y@example.org\n"
                                          "\n-- 0 Kbytes in 1 Request.\n");
    buf_free(&rows);
    buf_free(&out);
}

static void test_marks(void **state) {
    (void)state;
    static const struct {
        const char *queue;
        bool expire;
        const char *id;
    } rows[] = {{"active", false, "ABCDEF* "}, {"hold", false, "ABCDEF! "},     {"deferred", true, "ABCDEF# "},
                {"hold", true, "ABCDEF! "},    {"deferred", false, "ABCDEF  "}, {"incoming", false, "ABCDEF  "}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = buf_make(0);
        struct queue_listing listing = {.messages = 1};
        struct ipc_queued row = {.queue_id = STR("ABCDEF"),
                                 .queue = str_from(rows[i].queue),
                                 .forced_expire = rows[i].expire,
                                 .sender = STR("s"),
                                 .recipients = {STR_EMPTY, 0}};
        queue_listing_message(&listing, &row, &out);
        assert_true(str_starts(str_from_offset(buf_str(&out), 1), str_from(rows[i].id)));
        buf_free(&out);
    }
}

static void test_empty_and_hostile(void **state) {
    (void)state;
    struct buf out = buf_make(0);
    struct queue_listing listing = {.long_ids = true};
    queue_listing_end(&listing, &out);
    assert_string_equal(buf_string(&out), "Mail queue is empty\n");
    buf_clear(&out);
    struct ipc_queued row = {.queue_id = STR("ABCDEF"),
                             .queue = STR("hold"),
                             .sender = STR("a\033[2J\n\302\233@b\377"),
                             .recipients = {STR_EMPTY, 0}};
    queue_listing_message(&listing, &row, &out);
    for (size_t i = 0; i < out.length; i++)
        assert_true(out.data[i] == '\n' || ((unsigned char)out.data[i] >= 0x20 && (unsigned char)out.data[i] < 0x7F));
    buf_free(&out);
}

static void test_json(void **state) {
    (void)state;
    struct buf rows = buf_make(0), out = buf_make(0);
    struct ipc_queued row = {.queue_id = STR("4Xb2c1dFghz2Klm"),
                             .queue = STR("deferred"),
                             .arrival = ARRIVAL,
                             .size = 317,
                             .forced_expire = true,
                             .sender = STR("s\"@example.com"),
                             .recipients = pack(reasons + 2, &rows)};
    assert_true(queue_listing_json(&row, &out));
    assert_string_equal(
        buf_string(&out),
        "{\"queue_name\": \"deferred\", \"queue_id\": \"4Xb2c1dFghz2Klm\", \"arrival_time\": 1380834695, "
        "\"message_size\": 317, "
        "\"forced_expire\": true, \"sender\": \"\\\"s\\\\\\\"\\\"@example.com\", \"recipients\": [{\"address\": \"c@example.net\", "
        "\"orig_address\": \"list@example.com\", \"delay_reason\": \"host not found\"}, {\"address\": "
        "\"d@example.net\"}]}\n");
    buf_clear(&out);
    row.sender = STR("bad\377@x");
    assert_true(queue_listing_json(&row, &out));
    assert_true(str_find_str(buf_str(&out), STR("\"bad?@x\"")) != STR_NONE);
    buf_free(&rows);
    buf_free(&out);
}

static void test_selection(void **state) {
    (void)state;
    struct buf rows = buf_make(0);
    struct ipc_queued row = {.queue_id = STR("ABCDEF"),
                             .queue = STR("deferred"),
                             .arrival = 1000,
                             .sender = STR("Bob@Example.com"),
                             .recipients = pack(reasons, &rows)};
    static const struct {
        struct queue_selection selection;
        bool fits;
    } cases[] = {
        {{.queues = STR_INIT("")}, true},
        {{.queues = STR_INIT("hold deferred")}, true},
        {{.queues = STR_INIT("hold active")}, false},
        {{.sender = "*@example.com", .queues = STR_INIT("")}, true},
        {{.sender = "*@example.org", .queues = STR_INIT("")}, false},
        {{.sender = "<>", .queues = STR_INIT("")}, false},
        {{.recipient = "c@*", .queues = STR_INIT("")}, true},
        {{.recipient = "LIST@example.com", .queues = STR_INIT("")}, true},
        {{.recipient = "z*", .queues = STR_INIT("")}, false},
        {{.arrived_before = 1000, .queues = STR_INIT("")}, false},
        {{.arrived_before = 1001, .queues = STR_INIT("")}, true},
        {{.sender = "bob@*", .recipient = "z*", .queues = STR_INIT("")}, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(queue_selection_fits(&cases[i].selection, &row), cases[i].fits);
    row.sender = STR_EMPTY;
    assert_true(queue_selection_fits(&(struct queue_selection){.sender = "<>", .queues = STR_EMPTY}, &row));
    buf_free(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_layout), cmocka_unit_test(test_short_layout),
                                       cmocka_unit_test(test_marks),       cmocka_unit_test(test_empty_and_hostile),
                                       cmocka_unit_test(test_json),        cmocka_unit_test(test_selection)};
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
