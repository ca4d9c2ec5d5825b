/* hosts: order by preference and family, chance among equals, cuts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "hosts.h"
#include "hosts_file.h"

/* "10:a4 20:b6": preference, name, family. */
static size_t make_hosts(const char *text, struct host *hosts) {
    struct str rest = str_from(text), word, preference, name;
    size_t count = 0;
    while (str_next_word(&rest, " ", &word)) {
        uint64_t number = 0;
        assert_true(str_cut(word, ':', &preference, &name) && str_to_u64(preference, 65535, &number));
        bool ipv6 = str_ends(name, STR("6"));
        hosts[count] = (struct host){.name = name, .preference = (uint16_t)number};
        assert_true(endpoint_from_ip(ipv6 ? STR("2001:db8::1") : STR("192.0.2.1"), 25, &hosts[count].endpoint));
        count++;
    }
    return count;
}

static void check_hosts(const struct host *hosts, size_t count, const char *wanted) {
    struct buf got = buf_make(0);
    for (size_t i = 0; i < count; i++)
        buf_printf(&got, "%s%.*s", i ? " " : "", STR_ARGS(hosts[i].name));
    assert_string_equal(buf_string(&got), wanted);
    buf_free(&got);
}

static const struct {
    const char *hosts;
    enum address_preference family;
    bool balance;
    size_t limit;
    const char *wanted;
} cases[] = {
    {"20:b4 10:a4 30:c4", PREFER_ANY, true, 5, "a4 b4 c4"},
    {"10:a4 10:b6 10:c4 10:d6", PREFER_ANY, true, 0, "a4 b6 c4 d6"},
    {"10:a4 10:b6 10:c4 10:d6", PREFER_IPV6, true, 0, "b6 d6 a4 c4"},
    {"10:a6 10:b4 20:c6 20:d4", PREFER_IPV4, true, 0, "b4 a6 d4 c6"},
    {"10:a6 10:b6 10:c6 10:d4 10:e4", PREFER_ANY, true, 3, "a6 d4 e4"},
    {"10:a6 10:b6 10:c6 10:d6 10:e4", PREFER_ANY, true, 4, "a6 b6 c6 e4"},
    {"10:a6 10:b6 10:c6 10:d6 10:e4", PREFER_ANY, false, 4, "a6 b6 c6 d6"},
    {"10:a4 10:b4 10:c4 10:d4 20:e6", PREFER_ANY, true, 2, "a4 e6"},
    {"10:a4 10:b4 10:c4", PREFER_ANY, true, 2, "a4 b4"},
    {"10:a6 10:b6 10:c6", PREFER_ANY, true, 2, "a6 b6"},
    {"10:a6 10:b4", PREFER_ANY, true, 1, "a6"},
    {"10:a4 10:b6", PREFER_ANY, true, 1, "a4"},
    {"10:a4", PREFER_ANY, true, 5, "a4"},
    {"", PREFER_ANY, true, 5, ""},
};

static void test_order(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct host hosts[16];
        size_t count = make_hosts(cases[i].hosts, hosts);
        struct hosts_order order = {.family = cases[i].family, .balance = cases[i].balance, .limit = cases[i].limit};
        hosts_sort(hosts, &count, &order);
        check_hosts(hosts, count, cases[i].wanted);
    }
}

static uint64_t next_number(void *state) {
    uint64_t *seed = state;
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void test_chance(void **state) {
    (void)state;
    uint64_t seed = 1;
    unsigned first[3] = {0};
    for (unsigned round = 0; round < 3000; round++) {
        struct host hosts[16];
        size_t count = make_hosts("10:a4 10:b4 10:c4 20:d4", hosts);
        struct hosts_order order = {.randomise = true, .random = next_number, .state = &seed};
        hosts_sort(hosts, &count, &order);
        assert_int_equal(count, 4);
        assert_true(str_equal(hosts[3].name, STR("d4")));
        first[hosts[0].name.data[0] - 'a']++;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(first[i], 850, 1150);
}

static bool is_named_self(const struct host *host, void *state) {
    (void)state;
    return str_starts(host->name, STR("self"));
}

static void test_self(void **state) {
    (void)state;
    static const struct {
        const char *hosts;
        bool found;
        const char *wanted;
    } loops[] = {
        {"10:a4 20:b4", false, "a4 b4"},
        {"10:self4 20:b4", true, ""},
        {"10:a4 20:b4 20:self4 30:c4", true, "a4"},
        {"10:a4 10:b4 20:self4", true, "a4 b4"},
        {"", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(loops); i++) {
        struct host hosts[16];
        size_t count = make_hosts(loops[i].hosts, hosts);
        assert_int_equal(hosts_cut_at_self(hosts, &count, is_named_self, NULL), loops[i].found);
        check_hosts(hosts, count, loops[i].wanted);
    }
}

static void test_file(void **state) {
    (void)state;
    static const struct {
        const char *text, *name, *wanted;
    } files[] = {
        {"127.0.0.1 localhost\n::1 localhost ip6\n", "LOCALHOST", "127.0.0.1 ::1 "},
        {"# 192.0.2.1 a\n192.0.2.2\tb a # c\n", "a", "192.0.2.2 "},
        {"192.0.2.2 b # c\n", "c", ""},
        {"192.0.2.2\n\n\nnothing b\n192.0.2.3 b", "b", "192.0.2.3 "},
        {"", "b", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct buf got = buf_make(0);
        struct endpoint address;
        size_t offset = 0;
        while (hosts_file_next(str_from(files[i].text), &offset, str_from(files[i].name), &address)) {
            endpoint_format_ip(&address, &got);
            buf_append_char(&got, ' ');
        }
        assert_string_equal(buf_string(&got), files[i].wanted);
        buf_free(&got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_chance),
                                       cmocka_unit_test(test_self), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
