/* Listing, changing, checking and showing a queue whose server is down. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "cat_envelope.h"
#include "queue_change.h"
#include "queue_check.h"
#include "queue_fixture.h"
#include "queue_source.h"

#define CONTENT "Subject: test\n\nbody\n"
#define ARRIVAL INT64_C(1380834695)

static const struct fixture_message messages[] = {
    {"new", "AAAAAA1", "s1@example.com", "r1@example.org", "", CONTENT, NULL, ARRIVAL},
    {"cur", "BBBBBB2", "s2@example.com", "r2@example.org", "list@example.org", CONTENT, "no route", ARRIVAL},
    {"cur", "CCCCCC3", "", "r3@example.org", "", CONTENT, "no route", ARRIVAL},
    {"hold", "DDDDDD4", "s4@example.com", "r4@example.org", "", CONTENT, NULL, ARRIVAL},
};

static int set_up(void **state) {
    static struct queue_fixture fixture;
    if (!fixture_make(&fixture)) return -1;
    for (size_t i = 0; i < ARRAY_LENGTH(messages); i++)
        if (!fixture_add(&fixture, &messages[i])) return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_remove(*state);
    return 0;
}

/* ---- listing */

static bool note(const struct ipc_queued *row, void *context) {
    struct buf *seen = context;
    struct ipc_queued_recipient recipient = {.reason = STR_EMPTY};
    size_t offset = 0;
    bool bad = false;
    assert_true(ipc_list_next(row->recipients, IPC_ROW_QUEUED_RECIPIENT, &offset, &recipient, &bad));
    buf_printf(seen, "%.*s %.*s %llu %d <%.*s> <%.*s> %.*s\n", STR_ARGS(row->queue_id), STR_ARGS(row->queue),
               (unsigned long long)row->size, row->forced_expire, STR_ARGS(row->sender), STR_ARGS(recipient.address),
               STR_ARGS(recipient.reason));
    return true;
}

static struct buf list(const struct queue_fixture *fixture, uint64_t *unread) {
    struct buf seen = buf_make(0);
    struct failure failure = {0};
    assert_true(queue_source_folders(fixture->queue, note, &seen, unread, &failure));
    return seen;
}

static bool is_listed(const struct queue_fixture *fixture, const char *line) {
    uint64_t unread;
    struct buf seen = list(fixture, &unread);
    bool found = str_find_str(buf_str(&seen), str_from(line)) != STR_NONE;
    buf_free(&seen);
    return found;
}

static void test_list(void **state) {
    const struct queue_fixture *fixture = *state;
    assert_true(is_listed(fixture, "AAAAAA1 incoming 20 0 <s1@example.com> <r1@example.org> \n"));
    assert_true(is_listed(fixture, "BBBBBB2 deferred 20 0 <s2@example.com> <r2@example.org> no route\n"));
    assert_true(is_listed(fixture, "CCCCCC3 deferred 20 0 <> <r3@example.org> no route\n"));
    assert_true(is_listed(fixture, "DDDDDD4 hold 20 0 <s4@example.com> <r4@example.org> \n"));
}

static void test_list_passes_over_damage(void **state) {
    struct queue_fixture *fixture = *state;
    uint64_t unread;
    assert_true(fixture_damage(fixture, "cur/BBBBBB2", 20));
    assert_true(fixture_write(fixture, "hold/not-an-id", "x", 0));
    struct buf seen = list(fixture, &unread);
    assert_int_equal(unread, 1);
    assert_true(str_find_str(buf_str(&seen), STR("BBBBBB2")) == STR_NONE);
    buf_free(&seen);
}

/* ---- changing */

static enum queue_change_result change(const struct queue_fixture *fixture, const char *id, enum queue_change wish) {
    struct queue_folders folders;
    struct failure failure = {0};
    assert_true(queue_folders_open(fixture->queue, &folders, &failure));
    enum queue_change_result result = queue_change_one(&folders, id, wish, &failure);
    assert_true(queue_folders_close(&folders));
    return result;
}

static void test_change_one(void **state) {
    static const struct {
        const char *id;
        enum queue_change wish;
        enum queue_change_result result;
        const char *present, *absent;
    } steps[] = {
        {"ZZZZZZ9", QUEUE_DELETE, QUEUE_CHANGE_NONE, NULL, NULL},
        {"AAAAAA1", QUEUE_RELEASE, QUEUE_CHANGE_NONE, "new/AAAAAA1", NULL},
        {"AAAAAA1", QUEUE_HOLD, QUEUE_CHANGE_DONE, "hold/AAAAAA1", "new/AAAAAA1"},
        {"AAAAAA1", QUEUE_HOLD, QUEUE_CHANGE_NONE, "hold/AAAAAA1", NULL},
        {"AAAAAA1", QUEUE_RELEASE, QUEUE_CHANGE_DONE, "new/AAAAAA1", "hold/AAAAAA1"},
        {"BBBBBB2", QUEUE_REQUEUE, QUEUE_CHANGE_DONE, "new/BBBBBB2", "cur/BBBBBB2"},
        {"CCCCCC3", QUEUE_EXPIRE, QUEUE_CHANGE_DONE, "new/CCCCCC3", "cur/CCCCCC3"},
        {"DDDDDD4", QUEUE_EXPIRE, QUEUE_CHANGE_DONE, "hold/DDDDDD4", NULL},
        {"DDDDDD4", QUEUE_EXPIRE_RELEASE, QUEUE_CHANGE_DONE, "new/DDDDDD4", "hold/DDDDDD4"},
        {"AAAAAA1", QUEUE_DELETE, QUEUE_CHANGE_DONE, NULL, "new/AAAAAA1"},
    };
    const struct queue_fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        assert_int_equal(change(fixture, steps[i].id, steps[i].wish), steps[i].result);
        if (steps[i].present) assert_true(fixture_has(fixture, steps[i].present));
        if (steps[i].absent) assert_false(fixture_has(fixture, steps[i].absent));
    }
    assert_true(is_listed(fixture, "CCCCCC3 incoming 20 1 "));
    assert_true(is_listed(fixture, "DDDDDD4 incoming 20 1 "));
}

/* Two names of one file are of a move that a crash cut short: a change is one of both. */
static void test_change_of_two_names(void **state) {
    const struct queue_fixture *fixture = *state;
    assert_int_equal(linkat(fixture->queue, "cur/BBBBBB2", fixture->queue, "new/BBBBBB2", 0), 0);
    assert_true(change(fixture, "BBBBBB2", QUEUE_DELETE) == QUEUE_CHANGE_DONE);
    assert_false(fixture_has(fixture, "cur/BBBBBB2") || fixture_has(fixture, "new/BBBBBB2"));
    assert_int_equal(linkat(fixture->queue, "cur/CCCCCC3", fixture->queue, "new/CCCCCC3", 0), 0);
    assert_true(change(fixture, "CCCCCC3", QUEUE_HOLD) == QUEUE_CHANGE_DONE);
    assert_true(fixture_has(fixture, "hold/CCCCCC3"));
    assert_false(fixture_has(fixture, "cur/CCCCCC3") || fixture_has(fixture, "new/CCCCCC3"));
}

static void test_change_keeps_a_twin(void **state) {
    struct queue_fixture *fixture = *state;
    struct fixture_message twin = messages[1];
    twin.folder = "hold";
    assert_true(fixture_add(fixture, &twin));
    assert_int_equal(change(fixture, "BBBBBB2", QUEUE_HOLD), QUEUE_CHANGE_FAILED);
    assert_true(fixture_has(fixture, "cur/BBBBBB2") && fixture_has(fixture, "hold/BBBBBB2"));
}

static void count_told(const char *queue_id, enum queue_change wish, void *context) {
    (void)queue_id, (void)wish;
    ++*(unsigned *)context;
}

static void test_change_all(void **state) {
    static const struct {
        enum queue_change wish;
        const char *queues;
        uint64_t count;
    } steps[] = {
        {QUEUE_RELEASE, "deferred", 0}, {QUEUE_DELETE, "hold", 1},  {QUEUE_HOLD, "deferred", 2}, {QUEUE_HOLD, "", 1},
        {QUEUE_RELEASE, "", 3},         {QUEUE_REQUEUE, "hold", 0}, {QUEUE_EXPIRE, "active", 3}, {QUEUE_DELETE, "", 3}};
    const struct queue_fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        struct queue_folders folders;
        struct failure failure = {0};
        uint64_t count;
        unsigned told = 0;
        struct queue_wish wish = {steps[i].wish, str_from(steps[i].queues), count_told, &told};
        assert_true(queue_folders_open(fixture->queue, &folders, &failure));
        assert_true(queue_change_all(&folders, &wish, &count, &failure));
        assert_true(queue_folders_close(&folders));
        assert_int_equal(count, steps[i].count);
        assert_int_equal(told, steps[i].count);
    }
}

/* ---- checking */

static void keep_finding(const char *text, void *context) {
    buf_printf(context, "%s\n", text);
}

static struct queue_check_counts check(const struct queue_fixture *fixture, struct queue_check_wishes wishes,
                                       const char *finding) {
    struct queue_check_counts counts;
    struct failure failure = {0};
    struct buf findings = buf_make(0);
    assert_true(queue_check(fixture->queue, &wishes, &counts, keep_finding, &findings, &failure));
    assert_true(finding ? str_find_str(buf_str(&findings), str_from(finding)) != STR_NONE : findings.length == 0);
    buf_free(&findings);
    return counts;
}

static const struct queue_check_wishes look = {.structure = true, .content = true, .purge = true};
static const struct queue_check_wishes repair = {.structure = true, .content = true, .purge = true, .repair = true};

static void test_check_sound(void **state) {
    struct queue_fixture *fixture = *state;
    assert_true(fixture_write(fixture, "tmp/EEEEEE5", "being written", 60));
    assert_true(fixture_write(fixture, "id-ceiling", "1", 0));
    assert_int_equal(check(fixture, repair, NULL).messages, 4);
    assert_true(fixture_has(fixture, "tmp/EEEEEE5"));
}

static void test_check_damage(void **state) {
    static const struct {
        const char *path;
        int64_t offset; /* header, content, envelope */
        const char *finding;
    } cases[] = {{"new/AAAAAA1", 10, "no queue file"},
                 {"cur/BBBBBB2", 260, "content does not match"},
                 {"hold/DDDDDD4", 290, "envelope does not match"}};
    struct queue_fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char aside[64];
        snprintf(aside, sizeof aside, "corrupt%s", strchr(cases[i].path, '/'));
        assert_true(fixture_damage(fixture, cases[i].path, cases[i].offset));
        assert_int_equal(check(fixture, look, cases[i].finding).damaged, 1);
        assert_true(fixture_has(fixture, cases[i].path));
        assert_int_equal(check(fixture, repair, cases[i].finding).damaged, 1);
        assert_true(!fixture_has(fixture, cases[i].path) && fixture_has(fixture, aside));
    }
    assert_int_equal(check(fixture, repair, NULL).messages, 1);
}

static void test_check_misplaced(void **state) {
    struct queue_fixture *fixture = *state;
    assert_int_equal(renameat(fixture->queue, "cur/BBBBBB2", fixture->queue, "cur/XXXXXX9"), 0);
    assert_int_equal(check(fixture, repair, "envelope is of the message BBBBBB2").damaged, 1);
    assert_true(fixture_write(fixture, "new/.nfs0001", "x", 0));
    assert_true(fixture_write(fixture, "stray", "x", 0));
    assert_int_equal(symlinkat("/etc/passwd", fixture->queue, "hold/FFFFFF6"), 0);
    assert_int_equal(check(fixture, repair, "stray").foreign, 3);
    assert_true(fixture_has(fixture, "stray"));
    struct fixture_message twin = messages[3];
    twin.folder = "new";
    assert_true(fixture_add(fixture, &twin));
    assert_int_equal(check(fixture, repair, "same ID").foreign, 4);
}

static void test_check_leftovers_and_folders(void **state) {
    struct queue_fixture *fixture = *state;
    assert_true(fixture_write(fixture, "tmp/EEEEEE5", "left", 90000));
    assert_int_equal(unlinkat(fixture->queue, "corrupt", AT_REMOVEDIR), 0);
    assert_int_equal(check(fixture, look, "left unfinished").leftovers, 1);
    assert_true(fixture_has(fixture, "tmp/EEEEEE5") && !fixture_has(fixture, "corrupt"));
    struct queue_check_counts counts = check(fixture, repair, "missing, made");
    assert_int_equal(counts.leftovers, 1);
    assert_int_equal(counts.folders_made, 1);
    assert_true(!fixture_has(fixture, "tmp/EEEEEE5") && fixture_has(fixture, "corrupt"));
}

/* ---- showing */

static struct buf show(const struct queue_fixture *fixture, const char *path, bool expected, struct failure *failure) {
    char bytes[4096];
    struct queue_header header;
    struct buf out = buf_make(0);
    int file = openat(fixture->queue, path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t got = pread(file, bytes, sizeof bytes, 0);
    close(file);
    assert_true(got > QUEUE_HEADER_SIZE && queue_header_parse(str_make(bytes, QUEUE_HEADER_SIZE), &header, failure));
    size_t offset = QUEUE_HEADER_SIZE + (size_t)header.content_length;
    assert_int_equal(
        cat_envelope_format(&header, str_make(bytes + offset, (size_t)got - offset), offset, false, &out, failure),
        expected);
    return out;
}

static void test_show_envelope(void **state) {
    struct queue_fixture *fixture = *state;
    struct failure failure = {0};
    assert_int_equal(change(fixture, "DDDDDD4", QUEUE_EXPIRE), QUEUE_CHANGE_DONE);
    struct buf out = show(fixture, "cur/BBBBBB2", true, &failure);
    assert_string_equal(
        buf_string(&out),
        "message_size:              20               1 lines\n"
        "queue_id: BBBBBB2\n"
        "message_arrival_time: Thu Oct  3 21:11:35 2013\n"
        "sender: s2@example.com\n"
        "body_type: 7BIT\n"
        "original_recipient: list@example.org\n"
        "recipient: r2@example.org\n"
        "delivery_event: Thu Oct  3 21:11:40 2013 to=<r2@example.org>, deferred, dsn=4.4.1, then waiting (no route)\n");
    buf_free(&out);
    out = show(fixture, "hold/DDDDDD4", true, &failure);
    assert_true(str_find_str(buf_str(&out), STR("forced_expire_time: ")) != STR_NONE);
    buf_free(&out);
}

/* One record damaged: the others are shown up to it. */
static void test_show_damaged_envelope(void **state) {
    struct queue_fixture *fixture = *state;
    struct failure failure = {0};
    char bytes[4096];
    int file = openat(fixture->queue, "new/AAAAAA1", O_RDONLY | O_CLOEXEC);
    ssize_t got = pread(file, bytes, sizeof bytes, 0);
    close(file);
    assert_true(fixture_damage(fixture, "new/AAAAAA1", got - 3)); /* within the recipient's record */
    struct buf out = show(fixture, "new/AAAAAA1", false, &failure);
    assert_true(str_find_str(str_from(failure.text), STR("does not match")) != STR_NONE);
    assert_true(str_find_str(buf_str(&out), STR("sender: s1@example.com\n")) != STR_NONE);
    buf_free(&out);
}

static void test_show_json(void **state) {
    const struct queue_fixture *fixture = *state;
    struct failure failure = {0};
    struct buf out = buf_make(0);
    int file = openat(fixture->queue, "cur/CCCCCC3", O_RDONLY | O_CLOEXEC);
    assert_true(cat_envelope_json(file, &out, &failure));
    close(file);
    assert_true(str_starts(buf_str(&out),
                           STR("{\"queue_id\": \"CCCCCC3\", \"arrival_time\": 1380834695, \"message_size\": 20")));
    assert_true(str_find_str(buf_str(&out), STR("\"reason\": \"no route\"")) != STR_NONE);
    assert_true(str_ends(buf_str(&out), STR("]}\n")));
    buf_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_list),
                                       TEST(test_list_passes_over_damage),
                                       TEST(test_change_one),
                                       TEST(test_change_of_two_names),
                                       TEST(test_change_keeps_a_twin),
                                       TEST(test_change_all),
                                       TEST(test_check_sound),
                                       TEST(test_check_damage),
                                       TEST(test_check_misplaced),
                                       TEST(test_check_leftovers_and_folders),
                                       TEST(test_show_envelope),
                                       TEST(test_show_damaged_envelope),
                                       TEST(test_show_json)};
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
