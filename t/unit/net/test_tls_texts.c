/* Unit tests of what TLS reads without OpenSSL: lists of protocols, the name in a ClientHello. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_client_hello.h"
#include "tls_protocols.h"

/* ---- protocols: bit 0 is SSLv3, bit 4 TLSv1.3; 0: refused */

static const struct {
    const char *list;
    unsigned versions;
} protocols[] = {
    {"", 0x1f},
    {">=TLSv1.2", 0x18},
    {">=TLSv1", 0x1e},
    {">=tlsv1.2", 0x18},
    {"<=TLSv1.2", 0x0f},
    {">=TLSv1.1, <=TLSv1.2", 0x0c},
    {"!SSLv2, !SSLv3", 0x1e},
    {"!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", 0x18},
    {"TLSv1.2", 0x08},
    {"TLSv1.2 TLSv1.3", 0x18},
    {"TLSv1.2 !TLSv1.3", 0x08},
    {"TLSv1.0", 0x02},
    {"SSLv2 TLSv1.3", 0x10},
    {">=SSLv2", 0x1f},
    {"<=SSLv2", 0},
    {"TLSv1.2 !TLSv1.2", 0},
    {">=TLSv1.3 <=TLSv1.2", 0},
    {"TLSv1.4", 0},
    {">=", 0},
    {"!", 0},
    {">= TLSv1.2", 0},
    {"TLSv1.2;TLSv1.3", 0},
};

static void test_protocols(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        struct failure failure = {0};
        unsigned versions = 0x77;
        bool good = tls_protocols_parse(str_from(protocols[i].list), &versions, &failure);
        if (good != (protocols[i].versions != 0) || versions != (good ? protocols[i].versions : 0x77))
            fail_msg("\"%s\": %d %x %s", protocols[i].list, good, versions, failure.text);
        assert_int_equal(good, failure.text[0] == '\0');
    }
    assert_int_equal(tls_version_number(TLS_VERSION_SSL3), 0x0300);
    assert_int_equal(tls_version_number(TLS_VERSION_1_3), 0x0304);
}

/* ---- the server's name */

#define NAME63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    struct str extension;
    const char *name; /* NULL: refused */
} names[] = {
    {STR_INIT("\0\x0e\0\0\x0bmx.exam.ple"), "mx.exam.ple"},
    {STR_INIT("\0\x0e\0\0\x0bMX.Exam.PLE"), "mx.exam.ple"},
    {STR_INIT("\0\x0c\0\0\x09mx.a.ple."), "mx.a.ple"},
    {STR_INIT("\0\x07\0\0\x04_a-1"), "_a-1"},
    {STR_INIT("\0\x42\0\0\x3f" NAME63), NAME63},
    {STR_INIT("\0\x43\0\0\x40" NAME63 "a"), NULL},
    {STR_INIT(""), NULL},
    {STR_INIT("\0"), NULL},
    {STR_INIT("\0\0"), NULL},
    {STR_INIT("\0\x03\0\0\0"), NULL}, /* an empty name */
    {STR_INIT("\0\x04\0\0\x01."), NULL},
    {STR_INIT("\0\x06\0\0\x03"
              ".ab"),
     NULL},
    {STR_INIT("\0\x07\0\0\x04"
              "a..b"),
     NULL},
    {STR_INIT("\0\x06\0\x01\x03"
              "abc"),
     NULL}, /* another type of name */
    {STR_INIT("\0\x06\0\0\x04"
              "abc"),
     NULL}, /* longer than there is */
    {STR_INIT("\0\x06\0\0\x02"
              "abc"),
     NULL}, /* something behind it */
    {STR_INIT("\0\x07\0\0\x03"
              "abc"),
     NULL}, /* the list is longer than there is */
    {STR_INIT("\0\x0b\0\0\x03"
              "abc\0\0\x02xx"),
     NULL}, /* two */
    {STR_INIT("\0\x06\0\0\x03"
              "a\0c"),
     NULL},
    {STR_INIT("\0\x06\0\0\x03"
              "a/c"),
     NULL},
    {STR_INIT("\0\x06\0\0\x03"
              "a\xc3\xa4"),
     NULL},
};

static void test_server_name(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char name[TLS_SERVER_NAME_MAX + 1] = "untouched";
        bool good = tls_server_name_parse(names[i].extension, name);
        if (good != (names[i].name != NULL) || strcmp(name, good ? names[i].name : "untouched") != 0)
            fail_msg("row %zu: %d %s", i, good, name);
    }
}

/* 255 octets are a name, 256 are not. */
static void test_long_name(void **state) {
    char extension[400], name[TLS_SERVER_NAME_MAX + 1];
    (void)state;
    for (unsigned length = 250; length < 260; length++) {
        memset(extension, 'a', sizeof extension);
        const unsigned list = length + 3;
        const unsigned char head[5] = {(unsigned char)(list >> 8), (unsigned char)list, 0, (unsigned char)(length >> 8),
                                       (unsigned char)length};
        memcpy(extension, head, sizeof head);
        for (unsigned at = 60; at < length; at += 60)
            extension[5 + at] = '.';
        if (extension[4 + length] == '.') extension[4 + length] = 'a';
        assert_int_equal(tls_server_name_parse(str_make(extension, length + 5), name), length <= 255);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_protocols), cmocka_unit_test(test_server_name),
                                       cmocka_unit_test(test_long_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
