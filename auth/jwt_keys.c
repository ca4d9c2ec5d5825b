/* Tokens: the keys, and the check of signatures. */
#include "jwt.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "buf.h"

enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_ED25519 };

enum { RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192, ECDSA_HALF_MAX = 48 };

struct jwt_key {
    EVP_PKEY *key;
    enum key_kind kind;
    char *id;        /* "": none */
    char *algorithm; /* "": any that fits the kind */
};

struct jwt_keys {
    struct jwt_key *keys;
    size_t count;
};

/* ---- algorithms */

struct algorithm {
    struct str name;
    enum key_kind kind;
    const char *digest; /* NULL: the key's own */
    bool pss;
};

static const struct algorithm algorithms[] = {
    {STR_INIT("RS256"), KEY_RSA, "SHA256", false},  {STR_INIT("RS384"), KEY_RSA, "SHA384", false},
    {STR_INIT("RS512"), KEY_RSA, "SHA512", false},  {STR_INIT("PS256"), KEY_RSA, "SHA256", true},
    {STR_INIT("PS384"), KEY_RSA, "SHA384", true},   {STR_INIT("PS512"), KEY_RSA, "SHA512", true},
    {STR_INIT("ES256"), KEY_P256, "SHA256", false}, {STR_INIT("ES384"), KEY_P384, "SHA384", false},
    {STR_INIT("EdDSA"), KEY_ED25519, NULL, false},
};

static const struct algorithm *find_algorithm(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
        if (str_equal(algorithms[i].name, name)) return &algorithms[i];
    return NULL;
}

bool jwt_algorithm_is_known(struct str algorithm) {
    return find_algorithm(algorithm) != NULL;
}

/* ---- keys from JSON */

static struct str member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value)) : STR_EMPTY;
}

/* A member in base64url; false if it is missing or longer than most. */
static bool octets(const json_t *object, const char *name, size_t most, struct buf *out) {
    struct str text = member(object, name);
    *out = buf_make(most);
    return text.length > 0 && jwt_base64url(text, out) && out->length > 0;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters && context && EVP_PKEY_fromdata_init(context) > 0 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

/* A key that OpenSSL finds consistent. Of RSA it would look whether the modulus is a prime, which takes a second of
 * 8192 bits and protects nobody from an issuer that has chosen one: rsa_key's own conditions have to do. */
static bool is_sound(EVP_PKEY *key, enum key_kind kind) {
    if (kind == KEY_RSA) return true;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good = context && EVP_PKEY_public_check(context) > 0;
    EVP_PKEY_CTX_free(context);
    return good;
}

static EVP_PKEY *rsa_key(const json_t *jwk) {
    struct buf n, e = buf_make(8);
    EVP_PKEY *key = NULL;
    if (octets(jwk, "n", RSA_BITS_MOST / 8 + 1, &n) && octets(jwk, "e", 8, &e)) {
        OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.length, NULL);
        BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.length, NULL);
        int bits = modulus ? BN_num_bits(modulus) : 0;
        if (bits >= RSA_BITS_LEAST && bits <= RSA_BITS_MOST && builder && exponent && BN_is_odd(modulus) &&
            BN_is_odd(exponent) && !BN_is_one(exponent) &&
            OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
            OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
            key = make_key("RSA", builder);
        BN_free(modulus);
        BN_free(exponent);
        OSSL_PARAM_BLD_free(builder);
    }
    buf_free(&n);
    buf_free(&e);
    return key;
}

static EVP_PKEY *elliptic_key(const json_t *jwk, const char *group, size_t size) {
    struct buf x, y = buf_make(size), point = buf_make(2 * size + 1);
    EVP_PKEY *key = NULL;
    if (octets(jwk, "x", size, &x) && octets(jwk, "y", size, &y) && x.length == size && y.length == size) {
        OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        buf_append_char(&point, 4); /* not compressed */
        buf_append(&point, buf_str(&x));
        buf_append(&point, buf_str(&y));
        if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.length))
            key = make_key("EC", builder);
        OSSL_PARAM_BLD_free(builder);
    }
    buf_free(&x);
    buf_free(&y);
    buf_free(&point);
    return key;
}

static EVP_PKEY *edwards_key(const json_t *jwk) {
    struct buf x;
    EVP_PKEY *key = NULL;
    if (octets(jwk, "x", 32, &x) && x.length == 32)
        key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.data, x.length);
    buf_free(&x);
    return key;
}

static EVP_PKEY *key_of(const json_t *jwk, enum key_kind *kind) {
    struct str type = member(jwk, "kty"), curve = member(jwk, "crv");
    if (str_equal(type, STR("RSA"))) {
        *kind = KEY_RSA;
        return rsa_key(jwk);
    }
    if (str_equal(type, STR("EC")) && str_equal(curve, STR("P-256"))) {
        *kind = KEY_P256;
        return elliptic_key(jwk, "P-256", 32);
    }
    if (str_equal(type, STR("EC")) && str_equal(curve, STR("P-384"))) {
        *kind = KEY_P384;
        return elliptic_key(jwk, "P-384", 48);
    }
    if (str_equal(type, STR("OKP")) && str_equal(curve, STR("Ed25519"))) {
        *kind = KEY_ED25519;
        return edwards_key(jwk);
    }
    return NULL;
}

static bool add_key(struct jwt_keys *keys, const json_t *jwk) {
    struct str use = member(jwk, "use"), id = member(jwk, "kid"), algorithm = member(jwk, "alg");
    enum key_kind kind = KEY_RSA;
    if (!json_is_object(jwk) || (use.length > 0 && !str_equal(use, STR("sig"))) || id.length > JWT_KID_MAX ||
        memchr(id.data, '\0', id.length) || (algorithm.length > 0 && !find_algorithm(algorithm)))
        return false;
    EVP_PKEY *key = key_of(jwk, &kind);
    if (!key || !is_sound(key, kind)) {
        EVP_PKEY_free(key);
        return false;
    }
    keys->keys[keys->count++] = (struct jwt_key){key, kind, memory_copy_string(id), memory_copy_string(algorithm)};
    return true;
}

struct jwt_keys *jwt_keys_parse(struct str text, size_t *left_out, struct failure *failure) {
    json_t *set = jwt_json(text, JWKS_BYTES_MAX, failure);
    if (!set) {
        failure_prefix(failure, "key set");
        return NULL;
    }
    const json_t *array = json_object_get(set, "keys");
    struct jwt_keys *keys = MEMORY_NEW(struct jwt_keys);
    size_t count = json_is_array(array) ? json_array_size(array) : 0;
    keys->keys = memory_allocate(JWT_KEYS_MAX, sizeof *keys->keys);
    *left_out = 0;
    for (size_t i = 0; i < count; i++)
        if (keys->count == JWT_KEYS_MAX || !add_key(keys, json_array_get(array, i))) ++*left_out;
    json_decref(set);
    ERR_clear_error();
    if (keys->count == 0) {
        jwt_keys_free(&keys);
        failure_set(failure, "key set: no key in it can be used");
    }
    return keys;
}

void jwt_keys_free(struct jwt_keys **keys) {
    if (!*keys) return;
    for (size_t i = 0; i < (*keys)->count; i++) {
        EVP_PKEY_free((*keys)->keys[i].key);
        MEMORY_FREE((*keys)->keys[i].id);
        MEMORY_FREE((*keys)->keys[i].algorithm);
    }
    MEMORY_FREE((*keys)->keys);
    MEMORY_FREE(*keys);
}

size_t jwt_keys_count(const struct jwt_keys *keys) {
    return keys->count;
}

/* ---- signatures */

/* RFC 7518 section 3.4: the two numbers one after the other, where OpenSSL wants them in DER. */
static bool encode_ecdsa(struct str raw, size_t half, unsigned char **der, size_t *length) {
    ECDSA_SIG *signature = ECDSA_SIG_new();
    if (raw.length != 2 * half || !signature) {
        ECDSA_SIG_free(signature);
        return false;
    }
    const unsigned char *octets_of = (const unsigned char *)raw.data;
    BIGNUM *r = BN_bin2bn(octets_of, (int)half, NULL), *s = BN_bin2bn(octets_of + half, (int)half, NULL);
    bool good = r && s && ECDSA_SIG_set0(signature, r, s);
    if (!good) {
        BN_free(r);
        BN_free(s);
    }
    int made = good ? i2d_ECDSA_SIG(signature, der) : 0;
    ECDSA_SIG_free(signature);
    *length = made > 0 ? (size_t)made : 0;
    return made > 0;
}

static bool verify(const struct algorithm *algorithm, EVP_PKEY *key, struct str input, const unsigned char *signature,
                   size_t length) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    bool good = context && EVP_DigestVerifyInit_ex(context, &options, algorithm->digest, NULL, NULL, key, NULL) > 0;
    if (good && algorithm->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0;
    good = good && EVP_DigestVerify(context, signature, length, (const unsigned char *)input.data, input.length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

static bool is_by(const struct jwt *jwt, const struct algorithm *algorithm, EVP_PKEY *key) {
    struct str raw = buf_str(&jwt->signature);
    unsigned char *der = NULL;
    size_t length = 0;
    bool good;
    ERR_clear_error();
    if (algorithm->kind != KEY_P256 && algorithm->kind != KEY_P384)
        return verify(algorithm, key, jwt->input, (const unsigned char *)raw.data, raw.length);
    good = encode_ecdsa(raw, algorithm->kind == KEY_P256 ? 32 : ECDSA_HALF_MAX, &der, &length) &&
           verify(algorithm, key, jwt->input, der, length);
    OPENSSL_free(der);
    return good;
}

static bool may_be_by(const struct jwt *jwt, const struct algorithm *algorithm, const struct jwt_key *key) {
    return key->kind == algorithm->kind &&
           (key->algorithm[0] == '\0' || str_equal(str_from(key->algorithm), algorithm->name)) &&
           (jwt->key_id.length == 0 || str_equal(str_from(key->id), jwt->key_id));
}

enum jwt_check jwt_check(const struct jwt *jwt, const struct jwt_keys *keys) {
    const struct algorithm *algorithm = find_algorithm(jwt->algorithm);
    enum jwt_check result = JWT_NO_KEY;
    for (size_t i = 0; algorithm && i < keys->count; i++) {
        if (!may_be_by(jwt, algorithm, &keys->keys[i])) continue;
        if (is_by(jwt, algorithm, keys->keys[i].key)) return JWT_GOOD;
        result = JWT_BAD;
    }
    return result;
}
