/* Tests of the hashes. hash.c is taken in whole, so that the published vectors can be run under
 * their own key and both ways of counting a CRC are compared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "hash.c"

/* The first vectors of the reference implementation: key 00..0f, input 00, 00 01, ... of that length. */
static void sip_vectors(void **state) {
    (void)state;
    static const struct {
        size_t length;
        uint64_t want;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)}, {2, UINT64_C(0x0d6c8009d9a94f5a)},
        {3, UINT64_C(0x85676696d7fb7e2d)},  {7, UINT64_C(0xab0200f58b01d137)}, {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    unsigned char bytes[16];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_true(sip_hash(key, bytes, rows[i].length) == rows[i].want);
}

static void is_keyed(void **state) {
    (void)state;
    assert_true(start.key[0] != 0 || start.key[1] != 0);
    assert_true(hash_keyed(STR("abc")) == hash_keyed(STR("abc")));
    assert_true(hash_keyed(STR("abc")) != hash_keyed(STR("abd")));
    assert_true(hash_keyed(STR_EMPTY) == hash_keyed((struct str){NULL, 0}));
    assert_true(hash_keyed(STR("\0")) != hash_keyed(STR_EMPTY));
}

/* RFC 3720 appendix B.4, and the check value of the catalogues. */
static void crc_vectors(void **state) {
    (void)state;
    unsigned char bytes[32];
    fill_table();
    static const struct {
        int first, step;
        uint32_t want;
    } rows[] = {{0x00, 0, 0x8a9136aa}, {0xff, 0, 0x62a8ab43}, {0x00, 1, 0x46dd794e}, {0x1f, -1, 0x113fdb5c}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (int n = 0; n < 32; n++)
            bytes[n] = (unsigned char)(rows[i].first + n * rows[i].step);
        assert_int_equal(crc32c(0, bytes, 32), rows[i].want);
        assert_int_equal(~crc_table(~UINT32_C(0), bytes, 32), rows[i].want);
    }
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(~crc_table(~UINT32_C(0), (const unsigned char *)"123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(0x12345678, NULL, 0), 0x12345678);
}

static void crc_continues(void **state) {
    (void)state;
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + (i >> 3));
    fill_table();
    for (size_t from = 0; from < 9; from++) { /* every alignment and every rest */
        for (size_t length = 0; length < 200; length++) {
            uint32_t whole = crc32c(0, bytes + from, length);
            assert_int_equal(whole, length ? ~crc_table(~UINT32_C(0), bytes + from, length) : 0);
            size_t part = length / 3;
            assert_int_equal(crc32c(crc32c(0, bytes + from, part), bytes + from + part, length - part), whole);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sip_vectors), cmocka_unit_test(is_keyed),
                                       cmocka_unit_test(crc_vectors), cmocka_unit_test(crc_continues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
