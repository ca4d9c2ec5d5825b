/* Unit table of lib/net/url. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "buf.h"
#include "url.h"

static void test_url(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool secure;
        const char *host; /* NULL: refused */
        unsigned port;
        const char *target;
        bool is_address;
    } rows[] = {
        {"https://example.com", true, "example.com", 443, "", false},
        {"HTTPS://Example.com/", true, "Example.com", 443, "/", false},
        {"https://mta-sts.example.com/.well-known/mta-sts.txt", true, "mta-sts.example.com", 443,
         "/.well-known/mta-sts.txt", false},
        {"https://example.com:8443/a?b=c&d=%20", true, "example.com", 8443, "/a?b=c&d=%20", false},
        {"https://example.com?q=/x", true, "example.com", 443, "?q=/x", false},
        {"http://127.0.0.1:80/x", false, "127.0.0.1", 80, "/x", true},
        {"http://localhost", false, "localhost", 80, "", false},
        {"https://[2001:db8::1]/", true, "2001:db8::1", 443, "/", true},
        {"https://[2001:db8::1]:444", true, "2001:db8::1", 444, "", true},
        {"https://a_b.example/", true, "a_b.example", 443, "/", false},
        {"ftp://example.com/", false, NULL, 0, NULL, false},
        {"https:example.com", false, NULL, 0, NULL, false},
        {"https://", false, NULL, 0, NULL, false},
        {"https:///path", false, NULL, 0, NULL, false},
        {"https://user@example.com/", false, NULL, 0, NULL, false},
        {"https://user:pass@example.com/", false, NULL, 0, NULL, false},
        {"https://example.com:0/", false, NULL, 0, NULL, false},
        {"https://example.com:/", false, NULL, 0, NULL, false},
        {"https://example.com:65536/", false, NULL, 0, NULL, false},
        {"https://example.com:12x/", false, NULL, 0, NULL, false},
        {"https://example.com/#part", false, NULL, 0, NULL, false},
        {"https://example.com/a b", false, NULL, 0, NULL, false},
        {"https://example.com/a\r\nX: y", false, NULL, 0, NULL, false},
        {"https://exa%6dple.com/", false, NULL, 0, NULL, false},
        {"https://1.2.3/", false, NULL, 0, NULL, false},
        {"https://[127.0.0.1]/", false, NULL, 0, NULL, false},
        {"https://[::1/", false, NULL, 0, NULL, false},
        {"https://[::1]x/", false, NULL, 0, NULL, false},
        {"https://.example.com/", false, NULL, 0, NULL, false},
        {"", false, NULL, 0, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct url url = {.port = 9999};
        bool good = url_parse(str_from(rows[i].text), &url);
        if (good != (rows[i].host != NULL)) fail_msg("%s: %d", rows[i].text, good);
        if (!good) {
            assert_int_equal(url.port, 9999);
            continue;
        }
        if (url.secure != rows[i].secure || url.port != rows[i].port || url.is_address != rows[i].is_address ||
            !str_equal(url.host, str_from(rows[i].host)) || !str_equal(url.target, str_from(rows[i].target)))
            fail_msg("%s: host %.*s, port %u, target %.*s", rows[i].text, STR_ARGS(url.host), (unsigned)url.port,
                     STR_ARGS(url.target));
    }
}

static void test_length(void **state) {
    (void)state;
    struct buf text = {0};
    struct url url;
    buf_append(&text, STR("https://example.com/"));
    while (text.length < URL_LIMIT)
        buf_append_char(&text, 'x');
    assert_true(url_parse(buf_str(&text), &url));
    buf_append_char(&text, 'x');
    assert_false(url_parse(buf_str(&text), &url));
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_url), cmocka_unit_test(test_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
