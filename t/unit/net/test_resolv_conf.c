/* resolv.conf: a table of texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "resolv_conf.h"

static const struct {
    struct str text;
    const char *servers; /* each with a space after it */
    int64_t timeout;
    unsigned attempts;
} rows[] = {
    {STR_INIT("nameserver 192.0.2.1\n"), "192.0.2.1 ", 0, 0},
    {STR_INIT("nameserver 192.0.2.1"), "192.0.2.1 ", 0, 0},
    {STR_INIT("nameserver\t192.0.2.1  # first\r\nnameserver ::1\r\n"), "192.0.2.1 ::1 ", 0, 0},
    {STR_INIT("# nameserver 192.0.2.9\n;nameserver 192.0.2.9\n  nameserver 192.0.2.1\n"), "192.0.2.1 ", 0, 0},
    {STR_INIT(""), "127.0.0.1 ", 0, 0},
    {STR_INIT("\n\n \n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("domain example.org\nsearch example.org example.net\n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("nameserver\nnameserver example.org\nnameserver 1.2.3\nnameserver 192.0.2.1.\n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("nameservers 192.0.2.9\nnameserver192.0.2.9\nNAMESERVER 192.0.2.9\n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"
              "nameserver 192.0.2.5\n"),
     "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 ", 0, 0},
    {STR_INIT("options timeout:2 attempts:4\nnameserver 192.0.2.1\n"), "192.0.2.1 ", 2000, 4},
    {STR_INIT("options edns0 rotate\toptions timeout:7\noptions attempts:1 trust-ad\n"), "127.0.0.1 ", 7000, 1},
    {STR_INIT("options timeout:31 attempts:6\n"), "127.0.0.1 ", 30000, 5},
    {STR_INIT("options timeout:99999999999999999999 attempts:-1\n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("options timeout: attempts:x timeout\noptions\n"), "127.0.0.1 ", 0, 0},
    {STR_INIT("nameserver 192.0.2.1\0 \nnameserver 192.0.2.2\n"), "192.0.2.2 ", 0, 0},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct resolv_conf conf;
        struct buf servers = {0};
        resolv_conf_parse(rows[i].text, &conf);
        for (size_t j = 0; j < conf.server_count; j++) {
            assert_int_equal(endpoint_port(&conf.servers[j]), 53);
            endpoint_format_ip(&conf.servers[j], &servers);
            buf_append_char(&servers, ' ');
        }
        assert_string_equal(buf_string(&servers), rows[i].servers);
        assert_int_equal(conf.timeout, rows[i].timeout);
        assert_int_equal(conf.attempts, rows[i].attempts);
        buf_free(&servers);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
