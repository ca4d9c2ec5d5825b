/* failures: who is kept out, for how long, and who is not; and what of it survives on disk. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth_state.h"
#include "failures.h"
#include "memory.h"

#define NOW  INT64_C(1700000000)
#define HERE STR("192.0.2.1")
#define ANNA STR("anna@example.test")

static const struct failures_limits limits = {.address_failures = 3,
                                              .account_failures = 6,
                                              .window = 600,
                                              .ban_time = 100,
                                              .ban_time_limit = 350,
                                              .known_time = 86400,
                                              .records = 100};

static struct failures_news wrong(struct failures *failures, struct str address, struct str account, int64_t now) {
    struct failures_news news;
    failures_wrong(failures, address, account, false, now, &news);
    return news;
}

static struct str numbered(char text[20], const char *before, unsigned number) {
    return str_make(text, (size_t)snprintf(text, 20, "%s%u", before, number));
}

static struct str address_number(char text[20], unsigned number) {
    return numbered(text, "198.51.100.", number);
}

static void test_address_key(void **state) {
    static const char *const rows[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"},
        {"::ffff:192.0.2.9", "192.0.2.9"},
        {"unknown", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf key = buf_make(0);
        bool good = failures_address_key(str_from(rows[i][0]), &key);
        assert_int_equal(good, rows[i][1] != NULL);
        if (good) assert_string_equal(buf_string(&key), rows[i][1]);
        buf_free(&key);
    }
}

/* A ban begins with the last failure that is too many, ends, comes again twice as long, up to the limit. */
static void test_address_ban(void **state) {
    static const int64_t lengths[] = {100, 200, 350, 350};
    struct failures *failures = failures_create(&limits);
    int64_t now = NOW, until = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        assert_false(wrong(failures, HERE, ANNA, now).address_banned);
        assert_false(wrong(failures, HERE, STR("other"), now).address_banned);
        assert_int_equal(failures_check(failures, HERE, ANNA, now, &until), GATE_OPEN);
        struct failures_news news = wrong(failures, HERE, STR("third"), now);
        assert_true(news.address_banned);
        assert_int_equal(news.address_ends, now + lengths[i]);
        assert_int_equal(failures_check(failures, HERE, STR("anybody"), now, &until), GATE_ADDRESS_BANNED);
        assert_int_equal(until, now + lengths[i]);
        assert_int_equal(failures_check(failures, STR("192.0.2.2"), STR("anybody"), now, &until), GATE_OPEN);
        assert_int_equal(failures_check(failures, HERE, STR("anybody"), now + lengths[i], &until), GATE_OPEN);
        now += 1000;
    }
    failures_destroy(&failures);
}

static void test_window(void **state) {
    struct failures *failures = failures_create(&limits);
    (void)state;
    for (int64_t now = NOW; now < NOW + 100000; now += 400)
        assert_false(wrong(failures, HERE, ANNA, now).address_banned);
    failures_destroy(&failures);
}

static void test_exempt(void **state) {
    struct failures *failures = failures_create(&limits);
    struct failures_news news;
    int64_t until;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        char name[20];
        failures_wrong(failures, HERE, numbered(name, "user", i), true, NOW, &news);
        assert_false(news.address_banned);
    }
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW, &until), GATE_OPEN);
    failures_destroy(&failures);
}

/* Many addresses guess at one account: its owner comes in from where it came in before, and from a clean address. */
static void test_account_ban(void **state) {
    struct failures *failures = failures_create(&limits);
    char text[20];
    int64_t until;
    (void)state;
    failures_right(failures, STR("203.0.113.1"), ANNA, NOW - 1000);
    bool banned = false;
    for (unsigned i = 0; i < 6; i++)
        banned = wrong(failures, address_number(text, i), ANNA, NOW).account_banned;
    assert_true(banned);
    assert_int_equal(failures_check(failures, address_number(text, 1), ANNA, NOW, &until), GATE_ACCOUNT_BANNED);
    assert_int_equal(failures_check(failures, address_number(text, 1), STR("other"), NOW, &until), GATE_OPEN);
    assert_int_equal(failures_check(failures, STR("203.0.113.1"), ANNA, NOW, &until), GATE_OPEN);
    assert_int_equal(failures_check(failures, STR("203.0.113.2"), ANNA, NOW, &until), GATE_OPEN);
    assert_int_equal(failures_check(failures, STR_EMPTY, ANNA, NOW, &until), GATE_ACCOUNT_BANNED);
    /* Far over the limit, as somebody who invents addresses gets: only where it came in before. */
    for (unsigned i = 0; i < 6 * 20; i++)
        wrong(failures, address_number(text, i + 10), ANNA, NOW);
    assert_int_equal(failures_check(failures, STR("203.0.113.2"), ANNA, NOW, &until), GATE_ACCOUNT_BANNED);
    assert_int_equal(failures_check(failures, STR("203.0.113.1"), ANNA, NOW, &until), GATE_OPEN);
    /* And even there no more than an address's number of guesses. */
    for (unsigned i = 0; i < 3; i++)
        wrong(failures, STR("203.0.113.1"), ANNA, NOW);
    assert_int_equal(failures_check(failures, STR("203.0.113.1"), ANNA, NOW, &until), GATE_ADDRESS_BANNED);
    failures_destroy(&failures);
}

/* Somebody behind the same address has an old password in a device: known accounts still come in. */
static void test_known_pair(void **state) {
    struct failures *failures = failures_create(&limits);
    int64_t until;
    (void)state;
    failures_right(failures, HERE, ANNA, NOW);
    for (unsigned i = 0; i < 3; i++)
        wrong(failures, HERE, STR("bert"), NOW);
    assert_int_equal(failures_check(failures, HERE, STR("bert"), NOW, &until), GATE_ADDRESS_BANNED);
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW, &until), GATE_OPEN);
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW + 90000, &until), GATE_OPEN);
    failures_destroy(&failures);
}

/* Who has an account cannot wipe out its guesses at others. */
static void test_success_forgives_little(void **state) {
    struct failures *failures = failures_create(&limits);
    bool banned = false;
    unsigned guesses = 0;
    (void)state;
    for (; guesses < 50 && !banned; guesses++) {
        banned = wrong(failures, HERE, ANNA, NOW + guesses).address_banned;
        failures_right(failures, HERE, STR("mallory"), NOW + guesses);
    }
    assert_true(banned && guesses <= 4);
    failures_destroy(&failures);
}

static void test_rank(void **state) {
    struct failures *failures = failures_create(&limits);
    (void)state;
    assert_int_equal(failures_rank(failures, HERE, ANNA, NOW), 1);
    failures_right(failures, HERE, ANNA, NOW);
    assert_int_equal(failures_rank(failures, HERE, ANNA, NOW), 0);
    wrong(failures, STR("192.0.2.7"), ANNA, NOW);
    assert_int_equal(failures_rank(failures, HERE, ANNA, NOW), 0);
    assert_int_equal(failures_rank(failures, STR("192.0.2.8"), ANNA, NOW), 2);
    failures_right(failures, STR("192.0.2.8"), STR("bert"), NOW);
    assert_int_equal(failures_rank(failures, STR("192.0.2.8"), ANNA, NOW), 1);
    assert_int_equal(failures_rank(failures, STR("192.0.2.7"), STR("other"), NOW), 3);
    wrong(failures, STR("192.0.2.7"), ANNA, NOW);
    assert_int_equal(failures_rank(failures, STR("192.0.2.7"), STR("other"), NOW), 4);
    for (unsigned i = 0; i < 20; i++)
        wrong(failures, STR("192.0.2.7"), ANNA, NOW);
    assert_int_equal(failures_rank(failures, STR("192.0.2.7"), STR("other"), NOW), FAILURES_RANK_MAX);
    failures_destroy(&failures);
}

static void test_operator(void **state) {
    struct failures *failures = failures_create(&limits);
    struct failures_ban bans[10];
    struct buf cursor = buf_make(0);
    int64_t until;
    (void)state;
    failures_right(failures, HERE, ANNA, NOW);
    failures_ban(failures, FAILURES_ADDRESS, HERE, STR("spam"), 50, NOW);
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW, &until), GATE_ADDRESS_BANNED);
    failures_ban(failures, FAILURES_ACCOUNT, ANNA, STR_EMPTY, 60, NOW);
    failures_ban(failures, FAILURES_ACCOUNT, STR("bert"), STR("gone"), 60, NOW);
    assert_int_equal(failures_check(failures, STR("192.0.2.9"), ANNA, NOW, &until), GATE_ACCOUNT_BANNED);
    assert_int_equal(until, NOW + 60);
    assert_int_equal(failures_bans(failures, STR_EMPTY, NOW, bans, 10), 3);
    assert_true(str_equal(bans[0].subject, ANNA) && str_equal(bans[1].subject, STR("bert")));
    assert_true(bans[2].kind == FAILURES_ADDRESS && str_equal(bans[2].reason, STR("spam")));
    assert_true(failures_cursor(&bans[0], &cursor));
    assert_int_equal(failures_bans(failures, buf_str(&cursor), NOW, bans, 1), 1);
    assert_true(str_equal(bans[0].subject, STR("bert")));
    assert_int_equal(failures_bans(failures, STR_EMPTY, NOW + 55, bans, 10), 2);
    assert_true(failures_lift(failures, FAILURES_ADDRESS, HERE));
    assert_false(failures_lift(failures, FAILURES_ADDRESS, HERE));
    assert_false(failures_lift(failures, FAILURES_ADDRESS, STR("192.0.2.200")));
    assert_true(failures_lift(failures, FAILURES_ACCOUNT, STR_EMPTY));
    assert_int_equal(failures_bans(failures, STR_EMPTY, NOW, bans, 10), 0);
    buf_free(&cursor);
    failures_destroy(&failures);
}

/* A clock that was a year ahead makes no ban of a year. */
static void test_clock_set_back(void **state) {
    const int64_t year = 31536000;
    struct failures *failures = failures_create(&limits);
    int64_t until = 0;
    (void)state;
    failures_right(failures, STR("192.0.2.7"), STR("bert"), NOW + year - 100);
    failures_expire(failures, NOW + year);
    for (unsigned i = 0; i < 3; i++)
        (void)wrong(failures, HERE, ANNA, NOW + year);
    failures_ban(failures, FAILURES_ACCOUNT, STR("carl"), STR_EMPTY, 3600, NOW + year);
    failures_expire(failures, NOW + year - 30); /* a little is nothing */
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW + year, &until), GATE_ADDRESS_BANNED);
    assert_int_equal(until, NOW + year + limits.ban_time);
    failures_expire(failures, NOW - 30);
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW, &until), GATE_ADDRESS_BANNED);
    assert_int_equal(until, NOW + limits.ban_time);
    assert_int_equal(failures_check(failures, HERE, ANNA, until, &until), GATE_OPEN);
    assert_int_equal(failures_check(failures, STR("192.0.2.8"), STR("carl"), NOW, &until), GATE_ACCOUNT_BANNED);
    assert_int_equal(until, NOW + 3600);
    assert_int_equal(failures_rank(failures, STR("192.0.2.7"), STR("bert"), NOW), 0);
    failures_destroy(&failures);
}

static void test_bounded(void **state) {
    struct failures *failures = failures_create(&limits);
    struct buf text = buf_make(0);
    char name[20], address[20];
    int64_t until;
    size_t lines = 0;
    (void)state;
    failures_ban(failures, FAILURES_ADDRESS, HERE, STR_EMPTY, 1000, NOW);
    for (unsigned i = 0; i < 1000; i++)
        wrong(failures, numbered(address, "10.0.", i), numbered(name, "user", i), NOW);
    assert_true(failures_write(failures, NOW, &text));
    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, 200);
    assert_int_equal(failures_check(failures, HERE, ANNA, NOW, &until), GATE_ADDRESS_BANNED);
    failures_expire(failures, NOW + 100000);
    buf_clear(&text);
    assert_true(failures_write(failures, NOW + 100000, &text));
    assert_int_equal(text.length, 0);
    buf_free(&text);
    failures_destroy(&failures);
}

static void test_kept(void **state) {
    struct failures *failures = failures_create(&limits), *again = failures_create(&limits);
    struct buf text = buf_make(0), same = buf_make(0), packed = buf_make(0);
    struct failures_ban ban;
    struct str secret, records;
    uint64_t number = 0;
    int64_t until;
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        wrong(failures, HERE, ANNA, NOW);
    failures_right(failures, STR("2001:db8::/64"), STR("b\xc3\xa4r t+x"), NOW);
    failures_ban(failures, FAILURES_ACCOUNT, STR("bert"), STR("left = us"), 60, NOW);
    assert_true(failures_write(failures, NOW, &text));
    assert_true(auth_state_pack(7, STR("0123456789abcdef0123456789abcdef"), buf_str(&text), &packed));
    assert_true(auth_state_unpack(buf_str(&packed), &number, &secret, &records));
    assert_true(number == 7 && str_equal(secret, STR("0123456789abcdef0123456789abcdef")));
    assert_int_equal(failures_read(again, records, NOW), 5);
    assert_true(failures_write(again, NOW, &same));
    assert_string_equal(buf_string(&same), buf_string(&text));
    assert_int_equal(failures_check(again, HERE, ANNA, NOW, &until), GATE_ADDRESS_BANNED);
    assert_int_equal(failures_bans(again, STR_EMPTY, NOW, &ban, 1), 1);
    assert_true(str_equal(ban.reason, STR("left = us")));
    /* Torn, or altered. */
    for (size_t i = 0; i < packed.length; i++) {
        assert_false(auth_state_unpack(str_slice(buf_str(&packed), 0, i), &number, &secret, &records));
        char was = packed.data[i];
        packed.data[i] ^= 1;
        bool good = auth_state_unpack(buf_str(&packed), &number, &secret, &records);
        if (good && i >= AUTH_STATE_HEADER) fail_msg("octet %zu", i);
        packed.data[i] = was;
    }
    buf_free(&text);
    buf_free(&same);
    buf_free(&packed);
    failures_destroy(&failures);
    failures_destroy(&again);
}

static void test_bad_lines(void **state) {
    static const char *const lines[] = {
        "\n",
        "X 1 2 3 4 5 6 0 a \n",
        "A 1 2 3 4 5 6 a\n",
        "A 1 2 3 4 5 6 0\n",
        "A -1 2 3 4 5 6 0 a \n",
        "A 1 2 3 4 5 6 0 +zz \n",
        "A 99999999999 2 3 4 5 6 0 a \n",
        "AA 1 2 3 4 5 6 0 a \n",
        "A 1 2 3 4 5 6 0 a",
    };
    struct failures *failures = failures_create(&limits);
    struct failures_ban ban;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        if (failures_read(failures, str_from(lines[i]), NOW) != 0) fail_msg("%s", lines[i]);
    assert_int_equal(failures_read(failures, str_make("\0 1 2 3 4 5 6 0 a \n", 19), NOW), 0);
    /* A date of a wrong clock keeps nobody out for longer than a ban is. */
    assert_int_equal(failures_read(failures, STR("I 5 1 1 1 999999999999 0 0 192.0.2.1 \n"), NOW), 1);
    assert_int_equal(failures_bans(failures, STR_EMPTY, NOW, &ban, 1), 1);
    assert_true(ban.ends <= NOW + limits.ban_time_limit);
    failures_destroy(&failures);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_key),
        cmocka_unit_test(test_address_ban),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_account_ban),
        cmocka_unit_test(test_known_pair),
        cmocka_unit_test(test_success_forgives_little),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_operator),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_bad_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
