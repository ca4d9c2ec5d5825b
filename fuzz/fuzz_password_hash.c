/* Fuzz target: stored passwords of the cheap kinds; those of libraries (crypt(3), Argon2) are theirs to read, and
 * PBKDF2 may cost as much as it says. */
#include "password_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const schemes[] = {"{PLAIN}", "{PLAIN.b64}", "{PLAIN.hex}", "{SHA}", "{SSHA256.hex}", "{SMD5}",
                                          "{"};
    if (size == 0) return 0;
    struct str input = str_make((const char *)data + 1, size - 1);
    struct buf secret = buf_make(0), plain = buf_make(0);
    struct scram_keys keys;
    const char *scheme = schemes[data[0] % ARRAY_LENGTH(schemes)];
    buf_append(&secret, str_from(scheme));
    buf_append(&secret, input);
    bool is_cheap = scheme[1] != '\0';
    if (is_cheap) (void)password_hash_check(buf_str(&secret), STR("secret"));
    (void)password_hash_has_scram(buf_str(&secret), STR("SHA-1"));
    if (password_hash_plain(buf_str(&secret), &plain) &&
        password_hash_check(buf_str(&secret), buf_str(&plain)) != PASSWORD_RIGHT && plain.length <= PASSWORD_LENGTH_MAX)
        __builtin_trap();
    if (scram_keys_read(buf_str(&secret), STR("SHA-256"), &keys) &&
        (keys.size != 32 || keys.salt_length > SCRAM_SALT_MAX || keys.iterations > SCRAM_ITERATIONS_MAX))
        __builtin_trap();
    if (password_scram_parse("SHA1", input, &keys) && keys.size != 20) __builtin_trap();
    buf_free(&secret);
    buf_free(&plain);
    return 0;
}
