/* dns_options: how dns_servers may be written, and what comes with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "dns_options.h"

static const struct {
    const char *servers;
    const char *wanted; /* each with a space after it; NULL: refused */
} cases[] = {
    {"", ""},
    {"192.0.2.1", "192.0.2.1:53 "},
    {"[192.0.2.1]", "192.0.2.1:53 "},
    {"192.0.2.1:5353", "192.0.2.1:5353 "},
    {"[127.0.0.1]:5353", "127.0.0.1:5353 "},
    {"2001:db8::1", "2001:db8::1:53 "},
    {"[2001:db8::1]", "2001:db8::1:53 "},
    {"[2001:db8::1]:54", "2001:db8::1:54 "},
    {"192.0.2.1, 192.0.2.2\t192.0.2.3", "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 "},
    {"192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5", "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 192.0.2.4:53 "},
    {"ns.example", NULL},
    {"192.0.2.1:", NULL},
    {"192.0.2.1:66000", NULL},
    {"[192.0.2.1", NULL},
};

static void reads_servers(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct config config = {.dns_servers = str_from(cases[i].servers), .dns_timeout = 7, .dns_attempts = 2, .dns_cache_limit = 99};
        struct resolver_options options = {.attempts = 77};
        struct failure failure = {0};
        struct buf text = buf_make(0);
        bool good = dns_options_read(&config, &options, &failure);
        if (good != (cases[i].wanted != NULL)) fail_msg("\"%s\": %s", cases[i].servers, failure.text);
        if (!good) {
            assert_int_equal(options.attempts, 77);
            continue;
        }
        for (size_t at = 0; at < options.server_count; at++) {
            endpoint_format_ip(&options.servers[at], &text);
            buf_printf(&text, ":%u ", endpoint_port(&options.servers[at]));
        }
        assert_string_equal(buf_string(&text), cases[i].wanted);
        assert_int_equal(options.timeout, 7000);
        assert_int_equal(options.attempts, 2);
        assert_int_equal(options.cache_entries, 99);
        buf_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_servers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
