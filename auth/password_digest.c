/* password_digest: digests of passwords with and without salt, and PBKDF2. */
#include "base64.h"
#include "memory.h"
#include "password_hash.h"
#include <openssl/evp.h>
#include <openssl/rand.h>

#define SALT_SIZE         16
#define PBKDF2_SIZE       20
#define PBKDF2_ROUNDS     100000
#define PBKDF2_ROUNDS_MAX 10000000

static int hex_value(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool password_hex_decode(struct str text, struct buf *octets) {
    size_t length = octets->length;
    bool good = text.length % 2 == 0;
    for (size_t i = 0; good && i < text.length; i += 2) {
        int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);
        good = high >= 0 && low >= 0 && buf_append_char(octets, (char)(high * 16 + low));
    }
    if (!good) buf_truncate(octets, length);
    return good;
}

static bool digest_of(const char *name, struct str password, struct str salt, uint8_t *out, unsigned *size) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = EVP_get_digestbyname(name);
    bool good = context && digest && EVP_DigestInit_ex(context, digest, NULL) == 1 &&
                EVP_DigestUpdate(context, password.data, password.length) == 1 &&
                EVP_DigestUpdate(context, salt.data, salt.length) == 1 && EVP_DigestFinal_ex(context, out, size) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

enum password_match password_digest_check(const char *digest, bool salted, struct str text, struct str password) {
    uint8_t wanted[EVP_MAX_MD_SIZE];
    const EVP_MD *method = EVP_get_digestbyname(digest);
    size_t length = method ? (size_t)EVP_MD_get_size(method) : 0;
    unsigned size = 0;
    if (length == 0 || text.length < length || (!salted && text.length != length)) return PASSWORD_UNREADABLE;
    if (!digest_of(digest, password, str_from_offset(text, length), wanted, &size) || size != length)
        return PASSWORD_UNREADABLE;
    bool right = memory_equal_secret(wanted, text.data, length);
    memory_wipe(wanted, sizeof wanted);
    return right ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

bool password_digest_make(const char *digest, struct str password, struct buf *text) {
    uint8_t value[EVP_MAX_MD_SIZE];
    char salt[SALT_SIZE];
    unsigned size = 0;
    return RAND_bytes((unsigned char *)salt, sizeof salt) == 1 &&
           digest_of(digest, password, str_make(salt, sizeof salt), value, &size) &&
           buf_append_bytes(text, value, size) && buf_append_bytes(text, salt, sizeof salt);
}

/* ---- PBKDF2: "$1$salt$rounds$hex"; the salt is the text as it stands */

static bool pbkdf2(struct str password, struct str salt, uint64_t rounds, uint8_t out[PBKDF2_SIZE]) {
    return PKCS5_PBKDF2_HMAC(password.data, (int)password.length, (const unsigned char *)salt.data, (int)salt.length,
                             (int)rounds, EVP_sha1(), PBKDF2_SIZE, out) == 1;
}

enum password_match password_pbkdf2_check(struct str text, struct str password) {
    struct str salt, rounds_text, value;
    struct buf stored = buf_make(64);
    uint8_t wanted[PBKDF2_SIZE];
    uint64_t rounds = 0;
    enum password_match match = PASSWORD_UNREADABLE;
    if (!str_starts(text, STR("$1$")) || !str_cut(str_from_offset(text, 3), '$', &salt, &value) ||
        !str_cut(value, '$', &rounds_text, &value) || !str_to_u64(rounds_text, PBKDF2_ROUNDS_MAX, &rounds) ||
        rounds == 0)
        return PASSWORD_UNREADABLE;
    if (password_hex_decode(value, &stored) && stored.length == PBKDF2_SIZE && pbkdf2(password, salt, rounds, wanted))
        match = memory_equal_secret(stored.data, wanted, PBKDF2_SIZE) ? PASSWORD_RIGHT : PASSWORD_WRONG;
    memory_wipe(wanted, sizeof wanted);
    buf_free_secret(&stored);
    return match;
}

bool password_pbkdf2_make(struct str password, struct buf *text) {
    uint8_t random[12], value[PBKDF2_SIZE];
    struct buf salt = buf_make(0);
    bool good = RAND_bytes(random, sizeof random) == 1 &&
                base64_encode(&salt, str_make((char *)random, sizeof random)) &&
                pbkdf2(password, buf_str(&salt), PBKDF2_ROUNDS, value);
    good = good && buf_printf(text, "$1$%s$%d$", buf_string(&salt), PBKDF2_ROUNDS);
    for (size_t i = 0; good && i < PBKDF2_SIZE; i++)
        good = buf_printf(text, "%02x", value[i]);
    buf_free(&salt);
    return good;
}
