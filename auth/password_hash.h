/* password_hash: stored passwords as Dovecot writes them, "{SCHEME}text", or bare as crypt(3).
 *
 *   {PLAIN} {CLEAR} {CLEARTEXT}           the password itself
 *   {CRYPT} {BLF-CRYPT} {SHA512-CRYPT} {SHA256-CRYPT} {MD5-CRYPT} {DES-CRYPT}   crypt(3)
 *   {ARGON2ID} {ARGON2I}
 *   {PBKDF2}                              $1$salt$rounds$hex, HMAC-SHA-1
 *   {SCRAM-SHA-1} {SCRAM-SHA-256}         iterations,salt,stored key,server key (RFC 5803 without its frills)
 *   {SHA} {SHA1} {SHA256} {SHA512} {PLAIN-MD5} {LDAP-MD5}   digest of the password
 *   {SSHA} {SSHA256} {SSHA512} {SMD5}     digest of password and salt, the salt follows
 *
 * A name may end in .b64 (.base64) or .hex: so the text is encoded. Pure: no files, no state.
 * Comparisons take constant time for texts of one length. The costly ones belong on a helper
 * thread. */
#ifndef TERN_AUTH_PASSWORD_HASH_H
#define TERN_AUTH_PASSWORD_HASH_H

#include "buf.h"
#include "failure.h"

#define PASSWORD_LENGTH_MAX ((size_t)1024) /* octets of a password; longer ones are wrong */
#define PASSWORD_APPS_MAX   16             /* further passwords of an account; those behind them do not count */

enum password_match {
    PASSWORD_RIGHT,
    PASSWORD_WRONG,
    PASSWORD_UNREADABLE, /* no scheme that is known, or its text is malformed: nobody gets in by it */
};

/* Whether the password is what the secret was made of. */
enum password_match password_hash_check(struct str secret, struct str password);
/* Appends "{SCHEME}text" for a password; scheme without braces, in any case. Not for {CRYPT} of old
 * kinds. False if the scheme is not one to make, or the password too long. */
MUST_USE bool password_hash_make(struct str scheme, struct str password, struct buf *secret, struct failure *failure);
/* The schemes that password_hash_make makes, space separated. */
struct str password_hash_schemes(void);
/* True if SCRAM by the digest ("SHA-1", "SHA-256") works with what begins with such a secret. */
bool password_hash_has_scram(struct str secret, struct str digest);
/* Appends the password if it is stored as it is. */
MUST_USE bool password_hash_plain(struct str secret, struct buf *password);

#define SCRAM_SALT_MAX       64
#define SCRAM_KEY_MAX        32
#define SCRAM_ITERATIONS_MAX 10000000
#define SCRAM_ITERATIONS     4096 /* RFC 7677 section 4: at least */

/* What a server keeps for SCRAM (RFC 5802 section 3). */
struct scram_keys {
    unsigned iterations;
    size_t salt_length, size; /* size: of each key, 20 or 32 */
    uint8_t salt[SCRAM_SALT_MAX], stored[SCRAM_KEY_MAX], server[SCRAM_KEY_MAX];
};

/* Reads them from a {SCRAM-...} secret; false if it is none of that digest, or malformed. */
MUST_USE bool scram_keys_read(struct str secret, struct str digest, struct scram_keys *keys);
/* Makes them from a password; salt, salt_length and iterations are set. Costly. */
MUST_USE bool scram_keys_derive(struct str digest, struct str password, struct scram_keys *keys);

/* Whether a client's proof over AuthMessage shows that it has the password. */
bool scram_proof_is_right(struct str digest, const struct scram_keys *keys, struct str message, struct str proof);
/* The server's own proof, keys->size octets. */
MUST_USE bool scram_sign(struct str digest, const struct scram_keys *keys, struct str message,
                         uint8_t signature[SCRAM_KEY_MAX]);

/* ---- password_digest.c, password_scram.c: the kinds behind the table of schemes; text is decoded */
enum password_match password_digest_check(const char *digest, bool salted, struct str text, struct str password);
MUST_USE bool password_digest_make(const char *digest, struct str password, struct buf *text);
enum password_match password_pbkdf2_check(struct str text, struct str password);
MUST_USE bool password_pbkdf2_make(struct str password, struct buf *text);
enum password_match password_scram_check(const char *digest, struct str text, struct str password);
MUST_USE bool password_scram_make(const char *digest, struct str password, struct buf *text);
MUST_USE bool password_scram_parse(const char *digest, struct str text, struct scram_keys *keys);
/* Appends the octets of hexadecimal text; false and nothing appended if it is none. */
MUST_USE bool password_hex_decode(struct str text, struct buf *octets);

#endif
