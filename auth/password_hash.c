/* password_hash: the table of schemes, and those that libraries do whole (crypt(3), Argon2). */
#include "password_hash.h"
#include "base64.h"
#include "memory.h"
#include <argon2.h>
#include <crypt.h>
#include <openssl/rand.h>

#define ARGON2_MEMORY_LIMIT ((uint64_t)1 << 20) /* KiB: a stored hash may not ask for more */
#define ARGON2_PASSES       3
#define ARGON2_MEMORY       65536 /* KiB */
#define ARGON2_SALT         16
#define ARGON2_SIZE         32
#define SECRET_MAX          ((size_t)4096)

enum scheme_kind {
    KIND_PLAIN,
    KIND_CRYPT,
    KIND_ARGON2ID,
    KIND_ARGON2I,
    KIND_DIGEST,
    KIND_SALTED,
    KIND_PBKDF2,
    KIND_SCRAM
};
enum encoding { AS_IT_IS, BASE64, HEX };

struct scheme {
    struct str name;
    enum scheme_kind kind;
    enum encoding encoding;
    const char *detail; /* digest; for crypt(3) the prefix of a new salt, NULL: only checked */
};

static const struct scheme schemes[] = {
    {STR_INIT("PLAIN"), KIND_PLAIN, AS_IT_IS, NULL},
    {STR_INIT("CLEARTEXT"), KIND_PLAIN, AS_IT_IS, NULL},
    {STR_INIT("CLEAR"), KIND_PLAIN, AS_IT_IS, NULL},
    {STR_INIT("CRYPT"), KIND_CRYPT, AS_IT_IS, "$y$"},
    {STR_INIT("BLF-CRYPT"), KIND_CRYPT, AS_IT_IS, "$2b$"},
    {STR_INIT("SHA512-CRYPT"), KIND_CRYPT, AS_IT_IS, "$6$"},
    {STR_INIT("SHA256-CRYPT"), KIND_CRYPT, AS_IT_IS, "$5$"},
    {STR_INIT("MD5-CRYPT"), KIND_CRYPT, AS_IT_IS, NULL},
    {STR_INIT("DES-CRYPT"), KIND_CRYPT, AS_IT_IS, NULL},
    {STR_INIT("MD5"), KIND_CRYPT, AS_IT_IS, NULL},
    {STR_INIT("ARGON2ID"), KIND_ARGON2ID, AS_IT_IS, ""},
    {STR_INIT("ARGON2I"), KIND_ARGON2I, AS_IT_IS, ""},
    {STR_INIT("PBKDF2"), KIND_PBKDF2, AS_IT_IS, ""},
    {STR_INIT("SCRAM-SHA-1"), KIND_SCRAM, AS_IT_IS, "SHA1"},
    {STR_INIT("SCRAM-SHA-256"), KIND_SCRAM, AS_IT_IS, "SHA256"},
    {STR_INIT("SHA"), KIND_DIGEST, BASE64, "SHA1"},
    {STR_INIT("SHA1"), KIND_DIGEST, BASE64, "SHA1"},
    {STR_INIT("SHA256"), KIND_DIGEST, BASE64, "SHA256"},
    {STR_INIT("SHA512"), KIND_DIGEST, BASE64, "SHA512"},
    {STR_INIT("PLAIN-MD5"), KIND_DIGEST, HEX, "MD5"},
    {STR_INIT("LDAP-MD5"), KIND_DIGEST, BASE64, "MD5"},
    {STR_INIT("SSHA"), KIND_SALTED, BASE64, "SHA1"},
    {STR_INIT("SSHA256"), KIND_SALTED, BASE64, "SHA256"},
    {STR_INIT("SSHA512"), KIND_SALTED, BASE64, "SHA512"},
    {STR_INIT("SMD5"), KIND_SALTED, BASE64, "MD5"},
};

struct str password_hash_schemes(void) {
    return STR("CRYPT ARGON2ID ARGON2I BLF-CRYPT SHA512-CRYPT SHA256-CRYPT SCRAM-SHA-256 SCRAM-SHA-1 PBKDF2 SSHA512 "
               "SSHA256 SSHA PLAIN");
}

static const struct scheme *scheme_find(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (str_equal_nocase(name, schemes[i].name)) return &schemes[i];
    return NULL;
}

/* "{NAME.ENCODING}text": the row, the encoding and the text. A secret without braces is crypt(3)'s. */
static const struct scheme *secret_split(struct str secret, enum encoding *encoding, struct str *text) {
    struct str name = STR("CRYPT"), suffix;
    *text = secret;
    if (secret.length && secret.data[0] == '{' && !str_cut(str_from_offset(secret, 1), '}', &name, text)) return NULL;
    bool has_suffix = str_cut(name, '.', &name, &suffix);
    const struct scheme *scheme = scheme_find(name);
    if (!scheme) return NULL;
    *encoding = scheme->encoding;
    if (!has_suffix) return scheme;
    if (str_equal_nocase(suffix, STR("b64")) || str_equal_nocase(suffix, STR("base64")))
        *encoding = BASE64;
    else if (str_equal_nocase(suffix, STR("hex")))
        *encoding = HEX;
    else
        return NULL;
    return scheme;
}

static bool decode(enum encoding encoding, struct str text, struct buf *octets) {
    switch (encoding) {
    case AS_IT_IS:
        return buf_append(octets, text);
    case BASE64:
        return base64_decode(octets, text);
    case HEX:
        return password_hex_decode(text, octets);
    }
    return false;
}

/* ---- the kinds */

static bool same(struct str a, struct str b) {
    return a.length == b.length && memory_equal_secret(a.data, b.data, a.length);
}

static enum password_match plain_check(struct str text, struct str password) {
    return same(text, password) ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

/* crypt(3) reads up to a NUL: neither text may have one inside. */
static enum password_match crypt_check(struct str text, struct str password) {
    if (text.length == 0 || memchr(text.data, '\0', text.length)) return PASSWORD_UNREADABLE;
    if (memchr(password.data, '\0', password.length)) return PASSWORD_WRONG;
    struct crypt_data *data = MEMORY_NEW(struct crypt_data);
    char *phrase = memory_copy_string(password), *setting = memory_copy_string(text);
    const char *hash = crypt_rn(phrase, setting, data, (int)sizeof *data);
    enum password_match match = PASSWORD_UNREADABLE;
    if (hash && hash[0] != '*') match = same(str_from(hash), text) ? PASSWORD_RIGHT : PASSWORD_WRONG;
    memory_wipe(phrase, password.length);
    memory_wipe(data, sizeof *data);
    MEMORY_FREE(phrase);
    MEMORY_FREE(setting);
    MEMORY_FREE(data);
    return match;
}

/* The cost that a hash asks for is bounded: "$argon2id$v=19$m=65536,t=3,p=1$salt$hash". */
static bool argon2_is_affordable(struct str text) {
    struct str part;
    uint64_t memory = 0, passes = 0, lanes = 0;
    size_t at = str_find_str(text, STR("$m="));
    if (at == STR_NONE) return false;
    struct str rest = str_from_offset(text, at + 1);
    if (!str_cut(rest, '$', &part, &rest)) return false;
    for (struct str item; str_next_word(&part, ",", &item);) {
        uint64_t *to = str_starts(item, STR("m=")) ? &memory : str_starts(item, STR("t=")) ? &passes : &lanes;
        if (!str_to_u64(str_from_offset(item, 2), UINT32_MAX, to)) return false;
    }
    return memory > 0 && memory <= ARGON2_MEMORY_LIMIT && passes > 0 && memory * passes <= ARGON2_MEMORY_LIMIT * 8 &&
           lanes > 0 && lanes <= 64;
}

static enum password_match argon2_check(argon2_type type, struct str text, struct str password) {
    if (!argon2_is_affordable(text) || memchr(text.data, '\0', text.length)) return PASSWORD_UNREADABLE;
    char *encoded = memory_copy_string(text);
    int result = argon2_verify(encoded, password.data, password.length, type);
    MEMORY_FREE(encoded);
    if (result == ARGON2_OK) return PASSWORD_RIGHT;
    return result == ARGON2_VERIFY_MISMATCH ? PASSWORD_WRONG : PASSWORD_UNREADABLE;
}

static enum password_match check(const struct scheme *scheme, struct str text, struct str password) {
    switch (scheme->kind) {
    case KIND_PLAIN:
        return plain_check(text, password);
    case KIND_CRYPT:
        return crypt_check(text, password);
    case KIND_ARGON2ID:
        return argon2_check(Argon2_id, text, password);
    case KIND_ARGON2I:
        return argon2_check(Argon2_i, text, password);
    case KIND_DIGEST:
        return password_digest_check(scheme->detail, false, text, password);
    case KIND_SALTED:
        return password_digest_check(scheme->detail, true, text, password);
    case KIND_PBKDF2:
        return password_pbkdf2_check(text, password);
    case KIND_SCRAM:
        return password_scram_check(scheme->detail, text, password);
    }
    return PASSWORD_UNREADABLE;
}

enum password_match password_hash_check(struct str secret, struct str password) {
    struct str text;
    enum encoding encoding;
    struct buf octets = buf_make(SECRET_MAX);
    const struct scheme *scheme = secret_split(secret, &encoding, &text);
    enum password_match match = PASSWORD_UNREADABLE;
    if (password.length > PASSWORD_LENGTH_MAX) return PASSWORD_WRONG;
    if (scheme && decode(encoding, text, &octets)) match = check(scheme, buf_str(&octets), password);
    buf_free_secret(&octets);
    return match;
}

/* ---- making */

static bool crypt_make(const char *prefix, struct str password, struct buf *text) {
    struct crypt_data *data = MEMORY_NEW(struct crypt_data);
    char *phrase = memory_copy_string(password);
    const char *setting = crypt_gensalt_rn(prefix, 0, NULL, 0, data->setting, sizeof data->setting);
    const char *hash = setting ? crypt_rn(phrase, setting, data, (int)sizeof *data) : NULL;
    bool good = hash && hash[0] != '*' && buf_append(text, str_from(hash));
    memory_wipe(phrase, password.length);
    memory_wipe(data, sizeof *data);
    MEMORY_FREE(phrase);
    MEMORY_FREE(data);
    return good;
}

static bool argon2_make(argon2_type type, struct str password, struct buf *text) {
    uint8_t salt[ARGON2_SALT];
    char encoded[300];
    return RAND_bytes(salt, sizeof salt) == 1 &&
           argon2_hash(ARGON2_PASSES, ARGON2_MEMORY, 1, password.data, password.length, salt, sizeof salt, NULL,
                       ARGON2_SIZE, encoded, sizeof encoded, type, ARGON2_VERSION_13) == ARGON2_OK &&
           buf_append(text, str_from(encoded));
}

static bool make(const struct scheme *scheme, struct str password, struct buf *text) {
    switch (scheme->kind) {
    case KIND_PLAIN:
        return buf_append(text, password);
    case KIND_CRYPT:
        return crypt_make(scheme->detail, password, text);
    case KIND_ARGON2ID:
        return argon2_make(Argon2_id, password, text);
    case KIND_ARGON2I:
        return argon2_make(Argon2_i, password, text);
    case KIND_SALTED:
        return password_digest_make(scheme->detail, password, text);
    case KIND_PBKDF2:
        return password_pbkdf2_make(password, text);
    case KIND_SCRAM:
        return password_scram_make(scheme->detail, password, text);
    case KIND_DIGEST:
        break;
    }
    return false;
}

/* A plain password that would break a line of a passwd-file is written encoded. */
static bool wants_encoding(struct str password) {
    for (size_t i = 0; i < password.length; i++)
        if (password.data[i] == ':' || (unsigned char)password.data[i] <= ' ' || password.data[i] == 127) return true;
    return false;
}

bool password_hash_make(struct str name, struct str password, struct buf *secret, struct failure *failure) {
    const struct scheme *scheme = scheme_find(name);
    struct str word, offered = password_hash_schemes();
    bool is_offered = false;
    while (str_next_word(&offered, " ", &word))
        is_offered = is_offered || str_equal_nocase(word, name);
    if (!scheme || !is_offered) return failure_set(failure, "no scheme %.*s to make", STR_ARGS(name));
    if (password.length == 0 || password.length > PASSWORD_LENGTH_MAX || memchr(password.data, '\0', password.length))
        return failure_set(failure, "a password has 1 to %zu octets, none of them NUL", PASSWORD_LENGTH_MAX);
    struct buf text = buf_make(SECRET_MAX);
    bool encode = scheme->encoding == BASE64 || (scheme->kind == KIND_PLAIN && wants_encoding(password));
    bool good = make(scheme, password, &text);
    size_t length = secret->length;
    good = good &&
           buf_printf(secret, "{%.*s%s}", STR_ARGS(scheme->name), encode && scheme->kind == KIND_PLAIN ? ".b64" : "");
    good = good && (encode ? base64_encode(secret, buf_str(&text)) : buf_append(secret, buf_str(&text)));
    buf_free_secret(&text);
    if (!good) buf_truncate(secret, length);
    return good || failure_set(failure, "the password could not be hashed");
}

/* ---- what other mechanisms than PLAIN can use */

bool password_hash_has_scram(struct str secret, struct str digest) {
    struct str text;
    enum encoding encoding;
    const struct scheme *scheme = secret_split(secret, &encoding, &text);
    if (!scheme) return false;
    if (scheme->kind == KIND_PLAIN) return true;
    return scheme->kind == KIND_SCRAM && str_equal(digest, str_from_offset(scheme->name, sizeof "SCRAM-" - 1));
}

bool password_hash_plain(struct str secret, struct buf *password) {
    struct str text;
    enum encoding encoding;
    const struct scheme *scheme = secret_split(secret, &encoding, &text);
    return scheme && scheme->kind == KIND_PLAIN && decode(encoding, text, password);
}

bool scram_keys_read(struct str secret, struct str digest, struct scram_keys *keys) {
    struct str text;
    enum encoding encoding;
    const struct scheme *scheme = secret_split(secret, &encoding, &text);
    struct buf octets = buf_make(SECRET_MAX);
    if (!scheme || scheme->kind != KIND_SCRAM) return false;
    bool good = str_equal(digest, str_from_offset(scheme->name, sizeof "SCRAM-" - 1)) &&
                decode(encoding, text, &octets) && password_scram_parse(scheme->detail, buf_str(&octets), keys);
    buf_free_secret(&octets);
    return good;
}
