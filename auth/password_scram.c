/* password_scram: the keys that a server keeps for SCRAM (RFC 5802 section 3), as Dovecot writes
 * them: iterations,salt,stored key,server key, the last three in base64. */
#include "base64.h"
#include "memory.h"
#include "password_hash.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static const EVP_MD *method_of(struct str digest) {
    if (str_equal(digest, STR("SHA-1")) || str_equal(digest, STR("SHA1"))) return EVP_sha1();
    if (str_equal(digest, STR("SHA-256")) || str_equal(digest, STR("SHA256"))) return EVP_sha256();
    return NULL;
}

static bool base64_exactly(struct str text, uint8_t *out, size_t least, size_t most, size_t *length) {
    struct buf octets = buf_make(most);
    bool good = base64_decode(&octets, text) && octets.length >= least;
    if (good) {
        memcpy(out, octets.data, octets.length);
        *length = octets.length;
    }
    buf_free_secret(&octets);
    return good;
}

bool password_scram_parse(const char *digest, struct str text, struct scram_keys *keys) {
    struct scram_keys read = {.size = (size_t)EVP_MD_get_size(method_of(str_from(digest)))};
    struct str iterations, salt, stored, server;
    uint64_t number = 0;
    size_t length;
    if (!str_cut(text, ',', &iterations, &salt) || !str_cut(salt, ',', &salt, &stored) ||
        !str_cut(stored, ',', &stored, &server))
        return false;
    bool good = str_to_u64(iterations, SCRAM_ITERATIONS_MAX, &number) && number > 0 &&
                base64_exactly(salt, read.salt, 1, sizeof read.salt, &read.salt_length) &&
                base64_exactly(stored, read.stored, read.size, read.size, &length) &&
                base64_exactly(server, read.server, read.size, read.size, &length);
    read.iterations = (unsigned)number;
    if (good) *keys = read;
    memory_wipe(&read, sizeof read);
    return good;
}

static bool hmac(const EVP_MD *method, const uint8_t *key, size_t key_length, struct str text, uint8_t *out) {
    unsigned size = 0;
    return HMAC(method, key, (int)key_length, (const unsigned char *)text.data, text.length, out, &size) != NULL;
}

bool scram_keys_derive(struct str digest, struct str password, struct scram_keys *keys) {
    const EVP_MD *method = method_of(digest);
    uint8_t salted[SCRAM_KEY_MAX], client[SCRAM_KEY_MAX];
    if (!method || keys->iterations == 0 || keys->iterations > SCRAM_ITERATIONS_MAX) return false;
    keys->size = (size_t)EVP_MD_get_size(method);
    bool good = PKCS5_PBKDF2_HMAC(password.data, (int)password.length, keys->salt, (int)keys->salt_length,
                                  (int)keys->iterations, method, (int)keys->size, salted) == 1 &&
                hmac(method, salted, keys->size, STR("Client Key"), client) &&
                EVP_Digest(client, keys->size, keys->stored, NULL, method, NULL) == 1 &&
                hmac(method, salted, keys->size, STR("Server Key"), keys->server);
    memory_wipe(salted, sizeof salted);
    memory_wipe(client, sizeof client);
    return good;
}

/* RFC 5802 section 3: ClientKey is ClientProof XOR HMAC(StoredKey, AuthMessage), and its digest StoredKey. */
bool scram_proof_is_right(struct str digest, const struct scram_keys *keys, struct str message, struct str proof) {
    const EVP_MD *method = method_of(digest);
    uint8_t key[SCRAM_KEY_MAX], value[SCRAM_KEY_MAX];
    if (!method || proof.length != keys->size || !hmac(method, keys->stored, keys->size, message, key)) return false;
    for (size_t i = 0; i < keys->size; i++)
        key[i] ^= (uint8_t)proof.data[i];
    bool right = EVP_Digest(key, keys->size, value, NULL, method, NULL) == 1 &&
                 memory_equal_secret(value, keys->stored, keys->size);
    memory_wipe(key, sizeof key);
    return right;
}

bool scram_sign(struct str digest, const struct scram_keys *keys, struct str message,
                uint8_t signature[SCRAM_KEY_MAX]) {
    const EVP_MD *method = method_of(digest);
    return method && hmac(method, keys->server, keys->size, message, signature);
}

enum password_match password_scram_check(const char *digest, struct str text, struct str password) {
    struct scram_keys stored, made;
    if (!password_scram_parse(digest, text, &stored)) return PASSWORD_UNREADABLE;
    made = stored;
    bool done = scram_keys_derive(str_from(digest), password, &made);
    bool right = done && memory_equal_secret(made.stored, stored.stored, stored.size);
    memory_wipe(&made, sizeof made);
    memory_wipe(&stored, sizeof stored);
    if (!done) return PASSWORD_UNREADABLE;
    return right ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

bool password_scram_make(const char *digest, struct str password, struct buf *text) {
    struct scram_keys keys = {.iterations = SCRAM_ITERATIONS, .salt_length = 16};
    bool good = RAND_bytes(keys.salt, 16) == 1 && scram_keys_derive(str_from(digest), password, &keys) &&
                buf_printf(text, "%u,", keys.iterations) && base64_encode(text, str_make((char *)keys.salt, 16)) &&
                buf_append_char(text, ',') && base64_encode(text, str_make((char *)keys.stored, keys.size)) &&
                buf_append_char(text, ',') && base64_encode(text, str_make((char *)keys.server, keys.size));
    memory_wipe(&keys, sizeof keys);
    return good;
}
