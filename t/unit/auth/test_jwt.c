/* Unit tests of signed tokens: the vectors of RFC 7515, every algorithm with keys made here, and
 * what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <time.h>
#include <openssl/x509.h>

#include "base64.h"
#include "jwt.h"

/* ---- making tokens and key sets */

static void url64(struct buf *out, const void *data, size_t length) {
    struct buf plain = buf_make(0);
    base64_encode(&plain, str_make(data, length));
    for (size_t i = 0; i < plain.length; i++) {
        char c = plain.data[i];
        if (c != '=') buf_append_char(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }
    buf_free(&plain);
}

static void url64_str(struct buf *out, const char *text) {
    url64(out, text, strlen(text));
}

static void url64_number(struct buf *out, EVP_PKEY *key, const char *name, size_t size) {
    unsigned char octets[1024];
    BIGNUM *number = NULL;
    assert_true(EVP_PKEY_get_bn_param(key, name, &number));
    if (size == 0) size = (size_t)BN_num_bytes(number);
    assert_true(BN_bn2binpad(number, octets, (int)size) == (int)size);
    url64(out, octets, size);
    BN_free(number);
}

/* Appends a JWK; more: further members, "" for none. */
static void add_jwk(struct buf *set, EVP_PKEY *key, const char *more) {
    buf_append(set, set->length ? STR(",{") : STR("{"));
    buf_append(set, str_from(more));
    if (EVP_PKEY_is_a(key, "RSA")) {
        buf_append(set, STR("\"kty\":\"RSA\",\"n\":\""));
        url64_number(set, key, OSSL_PKEY_PARAM_RSA_N, 0);
        buf_append(set, STR("\",\"e\":\""));
        url64_number(set, key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (EVP_PKEY_is_a(key, "EC")) {
        size_t size = (size_t)EVP_PKEY_get_bits(key) / 8;
        buf_printf(set, "\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"", EVP_PKEY_get_bits(key));
        url64_number(set, key, OSSL_PKEY_PARAM_EC_PUB_X, size);
        buf_append(set, STR("\",\"y\":\""));
        url64_number(set, key, OSSL_PKEY_PARAM_EC_PUB_Y, size);
    } else {
        unsigned char octets[32];
        size_t length = sizeof octets;
        assert_true(EVP_PKEY_get_raw_public_key(key, octets, &length));
        buf_append(set, STR("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""));
        url64(set, octets, length);
    }
    buf_append(set, STR("\"}"));
}

static struct jwt_keys *keys_of(const struct buf *set, size_t *left_out) {
    struct failure failure = {0};
    struct buf text = buf_make(0);
    buf_printf(&text, "{\"keys\":[%s]}", buf_string(set));
    struct jwt_keys *keys = jwt_keys_parse(buf_str(&text), left_out, &failure);
    buf_free(&text);
    return keys;
}

static void sign(struct buf *token, EVP_PKEY *key, const char *digest, bool pss) {
    unsigned char signature[1024];
    size_t length = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    assert_true(EVP_DigestSignInit_ex(context, &options, digest, NULL, NULL, key, NULL) > 0);
    if (pss) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    assert_true(EVP_DigestSign(context, signature, &length, (const unsigned char *)token->data, token->length) > 0);
    EVP_MD_CTX_free(context);
    buf_append_char(token, '.');
    if (EVP_PKEY_is_a(key, "EC")) {
        const unsigned char *der = signature;
        ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &der, (long)length);
        int size = EVP_PKEY_get_bits(key) / 8;
        unsigned char raw[200];
        assert_true(BN_bn2binpad(ECDSA_SIG_get0_r(parts), raw, size) == size);
        assert_true(BN_bn2binpad(ECDSA_SIG_get0_s(parts), raw + size, size) == size);
        url64(token, raw, 2 * (size_t)size);
        ECDSA_SIG_free(parts);
    } else {
        url64(token, signature, length);
    }
}

static struct buf token_of(const char *header, const char *claims, EVP_PKEY *key, const char *digest, bool pss) {
    struct buf token = buf_make(0);
    url64_str(&token, header);
    buf_append_char(&token, '.');
    url64_str(&token, claims);
    if (key) sign(&token, key, digest, pss);
    return token;
}

static enum jwt_check check(const struct buf *token, const struct jwt_keys *keys) {
    struct failure failure = {0};
    struct jwt jwt;
    if (!jwt_parse(buf_str(token), &jwt, &failure)) {
        print_error("%s\n", failure.text);
        assert_true(false);
    }
    enum jwt_check result = jwt_check(&jwt, keys);
    jwt_free(&jwt);
    return result;
}

/* ---- RFC 7515 */

#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const struct {
    const char *token, *keys;
} vectors[] = {
    /* A.2, RS256 */
    {"eyJhbGciOiJSUzI1NiJ9." JOE
     ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
     "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
     "xi12jzD"
     "wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
     "IoypGlUPQGe77Rw",
     "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
     "wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
     "Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
     "bSf63kpaSHSXndS5"
     "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
     "DWNmoudF8NAco9"
     "_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}]}"},
    /* A.3, ES256 */
    {"eyJhbGciOiJFUzI1NiJ9." JOE
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
     "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"},
};

static void test_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        struct failure failure = {0};
        size_t left_out = 9;
        struct buf token = buf_make(0);
        struct jwt jwt;
        struct jwt_keys *keys = jwt_keys_parse(str_from(vectors[i].keys), &left_out, &failure);
        assert_non_null(keys);
        assert_int_equal(left_out, 0);
        buf_append(&token, str_from(vectors[i].token));
        assert_true(jwt_parse(buf_str(&token), &jwt, &failure));
        assert_string_equal(json_string_value(json_object_get(jwt.claims, "iss")), "joe");
        assert_int_equal(jwt_check(&jwt, keys), JWT_GOOD);
        jwt_free(&jwt);
        /* One bit of the claims, and the last but one letter of the signature. */
        token.data[40] = token.data[40] == 'A' ? 'B' : 'A';
        if (jwt_parse(buf_str(&token), &jwt, &failure)) {
            assert_int_equal(jwt_check(&jwt, keys), JWT_BAD);
            jwt_free(&jwt);
        }
        buf_clear(&token);
        buf_append(&token, str_from(vectors[i].token));
        token.data[token.length - 2] = token.data[token.length - 2] == 'A' ? 'B' : 'A';
        assert_int_equal(check(&token, keys), JWT_BAD);
        jwt_keys_free(&keys);
        buf_free(&token);
    }
}

/* ---- every algorithm */

enum { RSA_KEY, P256_KEY, P384_KEY, ED_KEY, KEYS };

static EVP_PKEY *made[KEYS], *other[KEYS];

static void make_keys(EVP_PKEY *keys[KEYS]) {
    keys[RSA_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    keys[P256_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    keys[P384_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    keys[ED_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static int begin(void **state) {
    (void)state;
    make_keys(made);
    make_keys(other);
    return 0;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY_free(made[i]);
        EVP_PKEY_free(other[i]);
    }
    return 0;
}

static const struct {
    const char *name, *digest;
    int key;
    bool pss;
} algorithms[] = {
    {"RS256", "SHA256", RSA_KEY, false},  {"RS384", "SHA384", RSA_KEY, false},  {"RS512", "SHA512", RSA_KEY, false},
    {"PS256", "SHA256", RSA_KEY, true},   {"PS384", "SHA384", RSA_KEY, true},   {"PS512", "SHA512", RSA_KEY, true},
    {"ES256", "SHA256", P256_KEY, false}, {"ES384", "SHA384", P384_KEY, false}, {"EdDSA", NULL, ED_KEY, false},
};

/* Each is good by its key, with its name and without, and by no other key; and only as what it says it is. */
static void test_algorithms(void **state) {
    struct buf set = buf_make(0), strangers = buf_make(0);
    size_t left_out;
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        add_jwk(&set, made[i], "\"kid\":\"ours\",\"use\":\"sig\",");
        add_jwk(&strangers, other[i], "\"kid\":\"ours\",");
    }
    struct jwt_keys *keys = keys_of(&set, &left_out), *wrong = keys_of(&strangers, &left_out);
    assert_int_equal(jwt_keys_count(keys), KEYS);
    for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
        for (size_t k = 0; k < ARRAY_LENGTH(algorithms); k++) {
            char header[100];
            static const char *const names[] = {"", ",\"kid\":\"ours\"", ",\"kid\":\"theirs\""};
            for (size_t n = 0; n < ARRAY_LENGTH(names); n++) {
                snprintf(header, sizeof header, "{\"alg\":\"%s\"%s}", algorithms[i].name, names[n]);
                struct buf token = token_of(header, "{\"sub\":\"x\"}", made[algorithms[k].key], algorithms[k].digest,
                                            algorithms[k].pss);
                assert_int_equal(check(&token, keys), n == 2 ? JWT_NO_KEY : i == k ? JWT_GOOD : JWT_BAD);
                assert_int_equal(check(&token, wrong), n == 2 ? JWT_NO_KEY : JWT_BAD);
                buf_free(&token);
            }
        }
    jwt_keys_free(&keys);
    jwt_keys_free(&wrong);
    buf_free(&set);
    buf_free(&strangers);
}

/* A key that names its algorithm is good for no other. */
static void test_bound_key(void **state) {
    struct buf set = buf_make(0);
    size_t left_out;
    (void)state;
    add_jwk(&set, made[RSA_KEY], "\"alg\":\"PS256\",");
    struct jwt_keys *keys = keys_of(&set, &left_out);
    struct buf good = token_of("{\"alg\":\"PS256\"}", "{}", made[RSA_KEY], "SHA256", true);
    struct buf bad = token_of("{\"alg\":\"RS256\"}", "{}", made[RSA_KEY], "SHA256", false);
    assert_int_equal(check(&good, keys), JWT_GOOD);
    assert_int_equal(check(&bad, keys), JWT_NO_KEY);
    jwt_keys_free(&keys);
    buf_free(&good);
    buf_free(&bad);
    buf_free(&set);
}

/* ---- tokens that are refused before any key is looked at */

static void refuse(struct str token, const char *wanted) {
    struct failure failure = {0};
    struct jwt jwt;
    assert_false(jwt_parse(token, &jwt, &failure));
    if (!strstr(failure.text, wanted)) print_error("%s, not %s\n", failure.text, wanted);
    assert_non_null(strstr(failure.text, wanted));
    assert_null(jwt.header);
}

static const struct {
    const char *header, *claims, *wanted;
} refused[] = {
    {"{\"alg\":\"none\"}", "{}", "the algorithm \"none\" is not accepted"},
    {"{\"alg\":\"None\"}", "{}", "the algorithm \"None\" is not accepted"},
    {"{\"alg\":\"HS256\"}", "{}", "the algorithm \"HS256\" is not accepted"},
    {"{\"alg\":\"ES512\"}", "{}", "the algorithm \"ES512\" is not accepted"},
    {"{\"alg\":\"rs256\"}", "{}", "the algorithm \"rs256\" is not accepted"},
    {"{}", "{}", "it names no algorithm"},
    {"{\"alg\":[\"RS256\"]}", "{}", "it names no algorithm"},
    {"{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", "token, header"},
    {"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", "{}", "critical"},
    {"{\"alg\":\"RS256\",\"b64\":false}", "{}", "critical"},
    {"{\"alg\":\"RS256\",\"kid\":7}", "{}", "the key's name"},
    {"{\"alg\":\"RS256\"", "{}", "token, header"},
    {"[\"alg\"]", "{}", "not an object"},
    {"{\"alg\":\"RS256\"}", "7", "token, claims"},
    {"{\"alg\":\"RS256\"}", "{\"sub\":\"a\",\"sub\":\"b\"}", "token, claims"},
    {"{\"alg\":\"RS256\"}", "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "too deep"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct buf token = token_of(refused[i].header, refused[i].claims, NULL, NULL, false);
        buf_append(&token, STR(".AAAA"));
        refuse(buf_str(&token), refused[i].wanted);
        buf_free(&token);
    }
    static const struct {
        const char *token, *wanted;
    } shapes[] = {
        {"", "not of three parts"},
        {"a.b", "not of three parts"},
        {"a.b.c.d", "not of three parts"},
        {"..", "not of three parts"},
        {"a.b.c.d.e", "not of three parts"},
        {"e30=.e30.AAAA", "not in base64url"},
        {"e30+.e30.AAAA", "not in base64url"},
        {"eyJhbGciOiJSUzI1NiJ9.e30.", "no signature"},
        {"eyJhbGciOiJSUzI1NiJ9.e30.A", "not in base64url"},
        {"eyJhbGciOiJSUzI1NiJ9.e30.AAA=", "not in base64url"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++)
        refuse(str_from(shapes[i].token), shapes[i].wanted);
    struct buf large = buf_make(0);
    while (large.length <= JWT_TOKEN_MAX)
        buf_append(&large, STR("aaaaaaaa"));
    refuse(buf_str(&large), "too long");
    buf_free(&large);
}

/* The public key as a shared secret: the oldest trick. Nothing of the kind is even parsed. */
static void test_key_confusion(void **state) {
    unsigned char *der = NULL, mac[64];
    unsigned length = 0;
    (void)state;
    int size = i2d_PUBKEY(made[RSA_KEY], &der);
    struct buf token = token_of("{\"alg\":\"HS256\"}", "{\"email\":\"a@b\"}", NULL, NULL, false);
    assert_non_null(HMAC(EVP_sha256(), der, size, (const unsigned char *)token.data, token.length, mac, &length));
    buf_append_char(&token, '.');
    url64(&token, mac, length);
    refuse(buf_str(&token), "not accepted");
    OPENSSL_free(der);
    buf_free(&token);
}

/* ---- key sets */

static void test_key_sets(void **state) {
    struct failure failure;
    size_t left_out = 9;
    struct buf set = buf_make(0);
    static const char *const bad[] = {
        "", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[7,[],{}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
        /* not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}]}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_null(jwt_keys_parse(str_from(bad[i]), &left_out, &failure));
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    add_jwk(&set, weak, "");
    add_jwk(&set, made[RSA_KEY], "\"use\":\"enc\",");
    add_jwk(&set, made[RSA_KEY], "\"alg\":\"RSA-OAEP\",");
    add_jwk(&set, made[P256_KEY], "\"kid\":\"good\",");
    EVP_PKEY_free(weak);
    struct jwt_keys *keys = keys_of(&set, &left_out);
    assert_int_equal(jwt_keys_count(keys), 1);
    assert_int_equal(left_out, 3);
    jwt_keys_free(&keys);
    buf_free(&set);
    set = buf_make(0);
    for (int i = 0; i < JWT_KEYS_MAX + 5; i++)
        add_jwk(&set, made[ED_KEY], "");
    keys = keys_of(&set, &left_out);
    assert_int_equal(jwt_keys_count(keys), JWT_KEYS_MAX);
    assert_int_equal(left_out, 5);
    jwt_keys_free(&keys);
    jwt_keys_free(&keys);
    buf_free(&set);
}

/* An issuer's set may not hold up all logins: OpenSSL looks at a prime of this size for a second. */
static void test_costly_keys(void **state) {
    struct buf set = buf_make(0);
    BIGNUM *prime = BN_get_rfc3526_prime_8192(NULL);
    unsigned char octets[1024];
    struct timespec begun, ended;
    struct failure failure = {0};
    size_t left_out;
    (void)state;
    assert_int_equal(BN_bn2bin(prime, octets), sizeof octets);
    buf_append(&set, STR("{\"keys\":["));
    for (unsigned i = 0; i < 20; i++) {
        buf_printf(&set, "%s{\"kty\":\"RSA\",\"kid\":\"%u\",\"e\":\"AQAB\",\"n\":\"", i ? "," : "", i);
        url64(&set, octets, sizeof octets);
        buf_append(&set, STR("\"}"));
    }
    buf_append(&set, STR("]}"));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    struct jwt_keys *keys = jwt_keys_parse(buf_str(&set), &left_out, &failure);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    assert_true(ended.tv_sec - begun.tv_sec < 4);
    jwt_keys_free(&keys);
    BN_free(prime);
    buf_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_algorithms),    cmocka_unit_test(test_bound_key),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_key_confusion), cmocka_unit_test(test_key_sets),
        cmocka_unit_test(test_costly_keys),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
