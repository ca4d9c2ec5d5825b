/* A private key that is not here: an OpenSSL provider whose keys have a public
 * half and a function.
 *
 * The provider lives in a library context of its own, so that no other key of the
 * process can come upon it: libcrypto finds it through the key's own key
 * management, whatever context the SSL_CTX has. Its names for keys and signatures
 * are those of the default provider, since libssl asks a key for its kind by them.
 * libcrypto tries the default provider first and exports the key to it; this is
 * refused because the export asks for a private half, and then it comes to us.
 *
 * What is signed and how arrives in pieces (digest by name, padding, length of the
 * salt); together they are the SignatureScheme that goes to the function. */
#include "tls_key.h"

#include <limits.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/proverr.h>
#include <openssl/rsa.h>
#include <strings.h>

#include "memory.h"

#define IMPORT_PARAMETER "tern-key" /* the one parameter that a key is made from: a struct remote_key */
#define DIGEST_NAME_MAX  32
#define SIGNATURE_LIMIT  ((size_t)1024)

/* ---- schemes */

enum kind { KIND_RSA, KIND_RSA_PSS, KIND_EC, KIND_ED25519, KIND_ED448, KIND_NONE };

static const char *const kind_names[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};

/* How the signature is made of the digest. */
enum way { WAY_PKCS1, WAY_PSS, WAY_PLAIN };

/* RFC 8446 section 4.2.3; the two of SHA-224 are RFC 5246's pairs of hash and algorithm. ECDSA's
 * schemes bind no curve here: in TLS 1.2 any curve goes with any hash. */
struct scheme {
    uint16_t number;
    enum kind kind;
    enum way way;
    const char *digest; /* NULL: the algorithm has its own */
    const char *other_name;
};

static const struct scheme schemes[] = {
    {0x0401, KIND_RSA, WAY_PKCS1, "SHA256", "SHA2-256"},   {0x0501, KIND_RSA, WAY_PKCS1, "SHA384", "SHA2-384"},
    {0x0601, KIND_RSA, WAY_PKCS1, "SHA512", "SHA2-512"},   {0x0301, KIND_RSA, WAY_PKCS1, "SHA224", "SHA2-224"},
    {0x0804, KIND_RSA, WAY_PSS, "SHA256", "SHA2-256"},     {0x0805, KIND_RSA, WAY_PSS, "SHA384", "SHA2-384"},
    {0x0806, KIND_RSA, WAY_PSS, "SHA512", "SHA2-512"},     {0x0809, KIND_RSA_PSS, WAY_PSS, "SHA256", "SHA2-256"},
    {0x080a, KIND_RSA_PSS, WAY_PSS, "SHA384", "SHA2-384"}, {0x080b, KIND_RSA_PSS, WAY_PSS, "SHA512", "SHA2-512"},
    {0x0403, KIND_EC, WAY_PLAIN, "SHA256", "SHA2-256"},    {0x0503, KIND_EC, WAY_PLAIN, "SHA384", "SHA2-384"},
    {0x0603, KIND_EC, WAY_PLAIN, "SHA512", "SHA2-512"},    {0x0303, KIND_EC, WAY_PLAIN, "SHA224", "SHA2-224"},
    {0x0807, KIND_ED25519, WAY_PLAIN, NULL, NULL},         {0x0808, KIND_ED448, WAY_PLAIN, NULL, NULL},
};

static enum kind kind_of(const EVP_PKEY *key) {
    for (size_t i = 0; i < ARRAY_LENGTH(kind_names); i++)
        if (EVP_PKEY_is_a(key, kind_names[i])) return (enum kind)i;
    return KIND_NONE;
}

static const struct scheme *scheme_by_number(enum kind kind, uint16_t number) {
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (schemes[i].number == number && schemes[i].kind == kind) return &schemes[i];
    return NULL;
}

/* digest "": none was named. */
static const struct scheme *scheme_by_parts(enum kind kind, enum way way, const char *digest) {
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        const struct scheme *scheme = &schemes[i];
        if (scheme->kind != kind || scheme->way != way) continue;
        if (scheme->digest ? strcasecmp(digest, scheme->digest) == 0 || strcasecmp(digest, scheme->other_name) == 0
                           : digest[0] == '\0')
            return scheme;
    }
    return NULL;
}

/* ---- keys of the provider */

/* What a key is, counted: OpenSSL copies no key but may hold one longer than its maker. */
struct remote_key {
    unsigned holders;
    EVP_PKEY *public_half; /* of the default provider */
    enum kind kind;
    uint8_t name[TLS_KEY_NAME_SIZE];
    tls_sign_function *sign;
    void *context;
};

/* What libcrypto knows as a key: made empty, then filled. */
struct key_slot {
    struct remote_key *key;
    enum kind kind;
};

static void remote_key_release(struct remote_key *key) {
    if (!key || --key->holders > 0) return;
    EVP_PKEY_free(key->public_half);
    MEMORY_FREE(key);
}

static void *slot_new(enum kind kind) {
    struct key_slot *slot = MEMORY_NEW(struct key_slot);
    slot->kind = kind;
    return slot;
}

static void *slot_new_rsa(void *provider) {
    return (void)provider, slot_new(KIND_RSA);
}
static void *slot_new_rsa_pss(void *provider) {
    return (void)provider, slot_new(KIND_RSA_PSS);
}
static void *slot_new_ec(void *provider) {
    return (void)provider, slot_new(KIND_EC);
}
static void *slot_new_ed25519(void *provider) {
    return (void)provider, slot_new(KIND_ED25519);
}
static void *slot_new_ed448(void *provider) {
    return (void)provider, slot_new(KIND_ED448);
}

static void slot_free(void *data) {
    struct key_slot *slot = data;
    if (!slot) return;
    remote_key_release(slot->key);
    MEMORY_FREE(slot);
}

/* By our own hands only: nobody else can know the parameter's pointer. */
static int slot_import(void *data, int selection, const OSSL_PARAM parameters[]) {
    struct key_slot *slot = data;
    const OSSL_PARAM *parameter = OSSL_PARAM_locate_const(parameters, IMPORT_PARAMETER);
    const void *pointer = NULL;
    size_t size = 0;
    (void)selection;
    if (slot->key || !parameter || !OSSL_PARAM_get_octet_ptr(parameter, &pointer, &size) || !pointer) return 0;
    struct remote_key *key = *(struct remote_key *const *)pointer;
    if (key->kind != slot->kind) return 0;
    key->holders++;
    slot->key = key;
    return 1;
}

static const OSSL_PARAM *slot_import_types(int selection) {
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(IMPORT_PARAMETER, NULL, 0), OSSL_PARAM_END};
    (void)selection;
    return types;
}

/* The public half only. A wish for a private one fails, so that libcrypto signs here. */
static int slot_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument) {
    struct key_slot *slot = data;
    if (!slot->key || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)) return 0;
    return EVP_PKEY_export(slot->key->public_half, EVP_PKEY_PUBLIC_KEY, callback, argument);
}

static const OSSL_PARAM *slot_export_types(int selection) {
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ? NULL : types;
}

static int slot_has(const void *data, int selection) {
    (void)selection;
    return ((const struct key_slot *)data)->key != NULL;
}

static int slot_match(const void *one, const void *other, int selection) {
    const struct key_slot *a = one, *b = other;
    (void)selection;
    return a->key && b->key && EVP_PKEY_eq(a->key->public_half, b->key->public_half) == 1;
}

static int slot_get_params(void *data, OSSL_PARAM parameters[]) {
    struct key_slot *slot = data;
    return slot->key && EVP_PKEY_get_params(slot->key->public_half, parameters);
}

static const OSSL_PARAM *slot_gettable_params(void *provider) {
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)provider;
    return gettable;
}

static const char *signature_of_rsa(int operation) {
    return (void)operation, "RSA";
}
static const char *signature_of_ec(int operation) {
    return (void)operation, "ECDSA";
}
static const char *signature_of_ed25519(int operation) {
    return (void)operation, "ED25519";
}
static const char *signature_of_ed448(int operation) {
    return (void)operation, "ED448";
}

#define FUNCTION(id, function)                                                                                         \
    { id, (void (*)(void))(function) }
#define KEY_MANAGEMENT(name, signature)                                                                                \
    static const OSSL_DISPATCH name##_keys[] = {                                                                       \
        FUNCTION(OSSL_FUNC_KEYMGMT_NEW, slot_new_##name),                                                              \
        FUNCTION(OSSL_FUNC_KEYMGMT_FREE, slot_free),                                                                   \
        FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, slot_import),                                                               \
        FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, slot_import_types),                                                   \
        FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, slot_export),                                                               \
        FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, slot_export_types),                                                   \
        FUNCTION(OSSL_FUNC_KEYMGMT_HAS, slot_has),                                                                     \
        FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, slot_match),                                                                 \
        FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, slot_get_params),                                                       \
        FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, slot_gettable_params),                                             \
        FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, signature_of_##signature),                                    \
        {0, NULL},                                                                                                     \
    }
KEY_MANAGEMENT(rsa, rsa);
KEY_MANAGEMENT(rsa_pss, rsa);
KEY_MANAGEMENT(ec, ec);
KEY_MANAGEMENT(ed25519, ed25519);
KEY_MANAGEMENT(ed448, ed448);

/* ---- signatures of the provider */

struct signing {
    struct remote_key *key;
    char digest[DIGEST_NAME_MAX];
    enum way way;
    int salt; /* RSA_PSS_SALTLEN_..., or octets */
};

static void *signing_new(void *provider, const char *properties) {
    (void)provider;
    (void)properties;
    return MEMORY_NEW(struct signing);
}

static void signing_free(void *data) {
    struct signing *signing = data;
    if (!signing) return;
    remote_key_release(signing->key);
    MEMORY_FREE(signing);
}

static void *signing_copy(void *data) {
    const struct signing *from = data;
    struct signing *signing = MEMORY_NEW(struct signing);
    *signing = *from;
    if (signing->key) signing->key->holders++;
    return signing;
}

static bool set_digest(struct signing *signing, const char *name) {
    if (!name) name = "";
    if (strlen(name) >= sizeof signing->digest) return false;
    memcpy(signing->digest, name, strlen(name) + 1);
    return true;
}

/* A number, or the text of one, or one of the two words that count. */
static bool get_padding(const OSSL_PARAM *parameter, enum way *way) {
    int number = 0;
    const char *text = NULL;
    if (parameter->data_type == OSSL_PARAM_UTF8_STRING) {
        if (!OSSL_PARAM_get_utf8_string_ptr(parameter, &text)) return false;
        number = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0       ? RSA_PKCS1_PSS_PADDING
                 : strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
                                                                     : 0;
    } else if (!OSSL_PARAM_get_int(parameter, &number)) {
        return false;
    }
    if (number != RSA_PKCS1_PADDING && number != RSA_PKCS1_PSS_PADDING) return false;
    *way = number == RSA_PKCS1_PADDING ? WAY_PKCS1 : WAY_PSS;
    return true;
}

static bool get_salt(const OSSL_PARAM *parameter, int *salt) {
    const char *text = NULL;
    uint64_t number;
    if (parameter->data_type != OSSL_PARAM_UTF8_STRING) return OSSL_PARAM_get_int(parameter, salt);
    if (!OSSL_PARAM_get_utf8_string_ptr(parameter, &text)) return false;
    if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0 || strcmp(text, "-1") == 0) {
        *salt = RSA_PSS_SALTLEN_DIGEST;
        return true;
    }
    if (!str_to_u64(str_from(text), INT_MAX, &number)) return false;
    *salt = (int)number;
    return true;
}

static int signing_set_params(void *data, const OSSL_PARAM parameters[]) {
    struct signing *signing = data;
    const OSSL_PARAM *parameter;
    if (!parameters) return 1;
    bool rsa = signing->key && (signing->key->kind == KIND_RSA || signing->key->kind == KIND_RSA_PSS);
    if ((parameter = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_DIGEST))) {
        const char *name;
        if (!OSSL_PARAM_get_utf8_string_ptr(parameter, &name) || !set_digest(signing, name)) return 0;
    }
    if ((parameter = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE)) &&
        (!rsa || !get_padding(parameter, &signing->way)))
        return 0;
    if ((parameter = OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) &&
        (!rsa || !get_salt(parameter, &signing->salt)))
        return 0;
    return 1;
}

static const OSSL_PARAM *signing_settable_params(void *data, void *provider) {
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)data;
    (void)provider;
    return settable;
}

static int signing_init(void *data, const char *digest, void *key_data, const OSSL_PARAM parameters[]) {
    struct signing *signing = data;
    struct key_slot *slot = key_data;
    if (slot) {
        if (!slot->key) return 0;
        slot->key->holders++;
        remote_key_release(signing->key);
        signing->key = slot->key;
    }
    if (!signing->key || !set_digest(signing, digest)) return 0;
    enum kind kind = signing->key->kind;
    signing->way = kind == KIND_RSA ? WAY_PKCS1 : kind == KIND_RSA_PSS ? WAY_PSS : WAY_PLAIN;
    signing->salt = RSA_PSS_SALTLEN_DIGEST;
    return signing_set_params(signing, parameters);
}

static int digest_size(const struct scheme *scheme) {
    return EVP_MD_get_size(EVP_get_digestbyname(scheme->digest));
}

static const struct scheme *scheme_of(const struct signing *signing) {
    const struct scheme *scheme = scheme_by_parts(signing->key->kind, signing->way, signing->digest);
    if (!scheme || scheme->way != WAY_PSS || signing->salt == RSA_PSS_SALTLEN_DIGEST) return scheme;
    /* TLS knows salts of the digest's length only. */
    return signing->salt == digest_size(scheme) ? scheme : NULL;
}

/* The errors of whoever ran meanwhile are not this handshake's: libssl takes any that it finds
 * in the thread's queue for its own. */
static int fail(const char *text) {
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN, "%s", text);
    return 0;
}

static int signing_sign(void *data, unsigned char *out, size_t *length, size_t room, const unsigned char *content,
                        size_t content_length) {
    struct signing *signing = data;
    struct remote_key *key = signing->key;
    if (!key) return 0;
    int largest = EVP_PKEY_get_size(key->public_half);
    if (largest <= 0) return 0;
    if (!out) {
        *length = (size_t)largest;
        return 1;
    }
    const struct scheme *scheme = scheme_of(signing);
    if (!scheme) return fail("no TLS signature scheme stands for this key, digest and padding");
    struct buf signature = buf_make(SIGNATURE_LIMIT);
    struct failure failure = {.text = "no signature"};
    key->holders++;
    bool good = key->sign(key->context, str_make((const char *)key->name, sizeof key->name), scheme->number,
                          str_make((const char *)content, content_length), &signature, &failure);
    remote_key_release(key);
    ERR_clear_error();
    if (good && (signature.length == 0 || signature.length > room))
        good = failure_set(&failure, "the signature has %zu octets", signature.length);
    if (good) {
        memcpy(out, signature.data, signature.length);
        *length = signature.length;
    }
    buf_free(&signature);
    return good ? 1 : fail(failure.text);
}

static const OSSL_DISPATCH signature_functions[] = {
    FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
    FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signing_copy),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
    FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
    FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
    {0, NULL},
};

/* ---- the provider */

#define PROPERTY "provider=tern"

static const OSSL_ALGORITHM key_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTY, rsa_keys, NULL},
    {"RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10", PROPERTY, rsa_pss_keys, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTY, ec_keys, NULL},
    {"ED25519:1.3.101.112", PROPERTY, ed25519_keys, NULL},
    {"ED448:1.3.101.113", PROPERTY, ed448_keys, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM signature_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTY, signature_functions, NULL},
    {"ECDSA", PROPERTY, signature_functions, NULL},
    {"ED25519:1.3.101.112", PROPERTY, signature_functions, NULL},
    {"ED448:1.3.101.113", PROPERTY, signature_functions, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_store) {
    (void)provider;
    *no_store = 0;
    return operation == OSSL_OP_KEYMGMT ? key_algorithms : operation == OSSL_OP_SIGNATURE ? signature_algorithms : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
    FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
    {0, NULL},
};

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **provider) {
    (void)in;
    *out = provider_functions;
    *provider = (void *)(uintptr_t)handle; /* libcrypto wants one that is not NULL */
    return 1;
}

/* Made when the first key is, kept to the process's end: keys refer to it. */
static OSSL_LIB_CTX *library_context(void) {
    static OSSL_LIB_CTX *context;
    if (context) return context;
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    if (made && OSSL_PROVIDER_add_builtin(made, "tern", provider_init) && OSSL_PROVIDER_load(made, "tern"))
        context = made;
    else
        OSSL_LIB_CTX_free(made);
    return context;
}

/* ---- what the header promises */

bool tls_key_name(EVP_PKEY *key, uint8_t name[TLS_KEY_NAME_SIZE]) {
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key, &der);
    if (length <= 0) return false;
    bool good = EVP_Digest(der, (size_t)length, name, NULL, EVP_sha256(), NULL);
    OPENSSL_free(der);
    return good;
}

static EVP_PKEY *make_key(struct remote_key *key) {
    void *pointer = &key;
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_ptr(IMPORT_PARAMETER, &pointer, sizeof pointer),
                               OSSL_PARAM_construct_end()};
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library_context(), kind_names[key->kind], NULL);
    if (!context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, parameters) <= 0)
        made = NULL;
    EVP_PKEY_CTX_free(context);
    return made;
}

EVP_PKEY *tls_key_create(X509 *certificate, tls_sign_function *sign, void *context, struct failure *failure) {
    struct remote_key *key = MEMORY_NEW(struct remote_key);
    *key = (struct remote_key){.holders = 1, .kind = KIND_NONE, .sign = sign, .context = context};
    EVP_PKEY *made = NULL;
    ERR_clear_error();
    key->public_half = X509_get_pubkey(certificate);
    if (key->public_half) key->kind = kind_of(key->public_half);
    if (!key->public_half)
        failure_set(failure, "the certificate's public key cannot be read");
    else if (key->kind == KIND_NONE)
        failure_set(failure, "keys of the kind %s are not served", EVP_PKEY_get0_type_name(key->public_half));
    else if (!library_context() || !tls_key_name(key->public_half, key->name) || !(made = make_key(key)))
        failure_set(failure, "a key for the certificate cannot be made: %s", ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    remote_key_release(key);
    return made;
}

static bool digest_and_sign(EVP_MD_CTX *digest, EVP_PKEY *key, const struct scheme *scheme, struct str content,
                            struct buf *signature) {
    EVP_PKEY_CTX *options = NULL;
    size_t length = SIGNATURE_LIMIT;
    if (EVP_DigestSignInit_ex(digest, &options, scheme->digest, NULL, NULL, key, NULL) <= 0) return false;
    if (scheme->way == WAY_PSS && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) <= 0 ||
                                   EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) <= 0))
        return false;
    unsigned char made[SIGNATURE_LIMIT];
    if (EVP_DigestSign(digest, made, &length, (const unsigned char *)content.data, content.length) <= 0) return false;
    return buf_append_bytes(signature, made, length);
}

bool tls_key_sign(EVP_PKEY *key, uint16_t scheme_number, struct str content, struct buf *signature,
                  struct failure *failure) {
    const struct scheme *scheme = scheme_by_number(kind_of(key), scheme_number);
    if (!scheme) return failure_set(failure, "signature scheme 0x%04x does not fit the key", scheme_number);
    ERR_clear_error();
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest && digest_and_sign(digest, key, scheme, content, signature);
    if (!good) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        failure_set(failure, "cannot sign: %s", reason ? reason : "unknown reason");
    }
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return good;
}
