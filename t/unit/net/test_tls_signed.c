/* Unit table of what a TLS handshake has signed, and of much that is like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "tls_signed.h"

/* Rows are written as pieces: "NNxBB" is NN (decimal) times the octet BB (hexadecimal); "'text" is text;
 * else hexadecimal octets. */
struct row {
    const char *name, *pieces;
    enum tls_signed wanted;
};

#define SERVER_13 "64x20 'TLS_1.3,_server_CertificateVerify 00 "
#define CLIENT_13 "64x20 'TLS_1.3,_client_CertificateVerify 00 "
#define HELLO_C   "01 00 00 22 03 03 32x11 "
#define HELLO_S   "02 00 00 22 03 03 32x22 "

static const struct row table[] = {
    {"nothing", "", TLS_SIGNED_BY_NOBODY},
    {"64 octets", "64x20", TLS_SIGNED_BY_NOBODY},
    {"1.3 server, SHA-256", SERVER_13 "32xab", TLS_SIGNED_BY_SERVER},
    {"1.3 server, SHA-384", SERVER_13 "48xab", TLS_SIGNED_BY_SERVER},
    {"1.3 client", CLIENT_13 "32xab", TLS_SIGNED_BY_CLIENT},
    {"1.3 client, SHA-384", CLIENT_13 "48xab", TLS_SIGNED_BY_CLIENT},
    {"1.3, no hash", SERVER_13, TLS_SIGNED_BY_NOBODY},
    {"1.3, half a hash", SERVER_13 "20xab", TLS_SIGNED_BY_NOBODY},
    {"1.3, one octet more", SERVER_13 "33xab", TLS_SIGNED_BY_NOBODY},
    {"1.3, 63 spaces", "63x20 'TLS_1.3,_server_CertificateVerify 00 32xab", TLS_SIGNED_BY_NOBODY},
    {"1.3, 65 spaces", "65x20 'TLS_1.3,_server_CertificateVerify 00 32xab", TLS_SIGNED_BY_NOBODY},
    {"1.3, another sentence", "64x20 'TLS_1.3,_server_CertificateVerifx 00 32xab", TLS_SIGNED_BY_NOBODY},
    {"1.3, no zero", "64x20 'TLS_1.3,_server_CertificateVerify 01 32xab", TLS_SIGNED_BY_NOBODY},
    {"delegated credential", "64x20 'TLS,_server_delegated_credentials 00 32xab", TLS_SIGNED_BY_NOBODY},
    {"1.2 X25519", "64x77 03 00 1d 20 32x09", TLS_SIGNED_BY_SERVER},
    {"1.2 X448", "64x77 03 00 1e 38 56x09", TLS_SIGNED_BY_SERVER},
    {"1.2 P-256", "64x77 03 00 17 41 04 64x09", TLS_SIGNED_BY_SERVER},
    {"1.2 P-384", "64x77 03 00 18 61 04 96x09", TLS_SIGNED_BY_SERVER},
    {"1.2 P-521", "64x77 03 00 19 85 04 132x09", TLS_SIGNED_BY_SERVER},
    {"1.2 brainpool 512", "64x77 03 00 1c 81 04 128x09", TLS_SIGNED_BY_SERVER},
    {"1.2 P-256, a compressed point", "64x77 03 00 17 21 02 32x09", TLS_SIGNED_BY_NOBODY},
    {"1.2 P-256, not uncompressed", "64x77 03 00 17 41 02 64x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, group unknown", "64x77 03 00 99 20 32x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, explicit curve", "64x77 01 00 1d 20 32x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, one octet short", "64x77 03 00 1d 20 31x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, one octet more", "64x77 03 00 1d 20 33x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, wrong length", "64x77 03 00 1d 1f 31x09", TLS_SIGNED_BY_NOBODY},
    {"1.2, no length", "64x77 03 00 1d", TLS_SIGNED_BY_NOBODY},
    {"1.2 finite field", "64x77 01 00 256xff 00 01 02 01 00 256x09", TLS_SIGNED_BY_SERVER},
    {"1.2 finite field, 512 bits", "64x77 00 40 64xff 00 01 02 00 40 64x09", TLS_SIGNED_BY_NOBODY},
    {"1.2 finite field, no generator", "64x77 01 00 256xff 00 00 01 00 256x09", TLS_SIGNED_BY_NOBODY},
    {"1.2 finite field, value too long", "64x77 01 00 256xff 00 01 02 01 01 257x09", TLS_SIGNED_BY_NOBODY},
    {"1.2 finite field, cut", "64x77 01 00 256xff 00 01 02 01 00 255x09", TLS_SIGNED_BY_NOBODY},
    {"1.2 finite field, more", "64x77 01 00 256xff 00 01 02 01 00 256x09 00", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript", HELLO_C HELLO_S "0b 00 00 03 3x00 0d 00 00 02 2x01 0e 00 00 00 10 00 00 02 2x05",
     TLS_SIGNED_BY_CLIENT},
    {"1.2 transcript without hello", HELLO_S "10 00 00 22 34x05", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript that ends early", HELLO_C HELLO_S "0b 00 00 03 3x00", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript with Finished", HELLO_C HELLO_S "14 00 00 0c 12x00 10 00 00 02 2x05", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript cut in a message", HELLO_C HELLO_S "10 00 00 05 2x05", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript, wrong version", "01 00 00 22 02 03 32x11 " HELLO_S "10 00 00 02 2x05", TLS_SIGNED_BY_NOBODY},
    {"1.2 transcript, short hello", "01 00 00 10 03 03 14x11 " HELLO_S "10 00 00 22 34x05", TLS_SIGNED_BY_NOBODY},
    {"a certificate's beginning", "30 82 01 00 256x30", TLS_SIGNED_BY_NOBODY},
    {"DER that ends like a key exchange, its length wrong for that", "30 62 98x30", TLS_SIGNED_BY_NOBODY},
    {"a digest", "32xab", TLS_SIGNED_BY_NOBODY},
    {"text", "'From:_somebody_to_somebody_else,_which_is_a_letter_and_no_handshake,_and_has_no_shape_of_one",
     TLS_SIGNED_BY_NOBODY},
    {"SSH", "00 00 00 20 32x55 32 00 00 00 04 'root 00 00 00 0e 'ssh-connection", TLS_SIGNED_BY_NOBODY},
};

static unsigned hexadecimal(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static void append_piece(struct buf *out, struct str piece) {
    struct str before, after;
    uint64_t count = 1;
    if (str_starts(piece, STR("'"))) {
        for (size_t i = 1; i < piece.length; i++)
            buf_append_char(out, piece.data[i] == '_' ? ' ' : piece.data[i]);
        return;
    }
    if (str_cut(piece, 'x', &before, &after)) {
        assert_true(str_to_u64(before, 10000, &count));
        piece = after;
    }
    for (uint64_t i = 0; i < count; i++)
        buf_append_char(out, (char)(hexadecimal(piece.data[0]) << 4 | hexadecimal(piece.data[1])));
}

static void build(const char *pieces, struct buf *out) {
    struct str rest = str_from(pieces), piece;
    while (str_next_word(&rest, " ", &piece))
        append_piece(out, piece);
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buf content = {0};
        build(table[i].pieces, &content);
        if (tls_signed_content(buf_str(&content)) != table[i].wanted) print_error("%s\n", table[i].name);
        assert_int_equal(tls_signed_content(buf_str(&content)), table[i].wanted);
        buf_free(&content);
    }
}

/* Cut anywhere, none of the good ones is good. */
static void test_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buf content = {0};
        if (table[i].wanted == TLS_SIGNED_BY_NOBODY) continue;
        build(table[i].pieces, &content);
        for (size_t length = 0; length < content.length; length++) {
            /* A shorter hash is one, too. */
            if (length + 16 == content.length && str_find_str(buf_str(&content), STR("TLS 1.3")) == 64) continue;
            assert_int_equal(tls_signed_content(str_make(content.data, length)), TLS_SIGNED_BY_NOBODY);
        }
        buf_free(&content);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
