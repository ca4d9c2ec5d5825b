/* mechanism CRAM-MD5 (RFC 2195): the client shows by a keyed digest that it knows the password. Old: the server has to
 * keep passwords plain, nothing binds the channel, and whoever listens may guess at leisure. Only where auth_mechanisms
 * lists it. */
#include "auth_daemon.h"
#include "memory.h"
#include "password_hash.h"
#include "sasl_message.h"
#include "sources.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define RANDOM_OCTETS 16
#define DIGEST_OCTETS 16

static bool is_available(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    (void)client;
    return sources_have_scram(&auth->sources, STR("SHA-1")); /* which plain passwords make possible */
}

static void append_hex(struct buf *text, const uint8_t *octets, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_printf(text, "%02x", octets[i]);
}

static enum exchange_step challenge_client(struct exchange *exchange, struct buf *challenge) {
    uint8_t random[RANDOM_OCTETS];
    struct str *kept = ARENA_NEW(exchange->arena, struct str);
    if (RAND_bytes(random, sizeof random) != 1) return login_later(exchange, "no random numbers are to be had");
    buf_append_char(challenge, '<');
    append_hex(challenge, random, sizeof random);
    buf_printf(challenge, ".%lld@%.*s>", (long long)clock_seconds(), STR_ARGS(exchange->auth->config->myhostname));
    if (!kept || !arena_copy(exchange->arena, buf_str(challenge), kept)) return login_later(exchange, "out of room");
    exchange->state = kept;
    return STEP_CHALLENGE;
}

/* Without an account, or a plain password of it, the digest is that of a password that nobody has. */
static bool make_digest(const struct exchange *exchange, bool found, struct buf *text, bool *real) {
    const struct str *challenge = exchange->state;
    uint8_t digest[EVP_MAX_MD_SIZE], nobody[RANDOM_OCTETS];
    unsigned size = 0;
    struct buf plain = buf_make(SASL_PASSWORD_MAX);
    *real = found && exchange->account.secret.length && password_hash_plain(exchange->account.secret, &plain) &&
            plain.length > 0;
    bool good = RAND_bytes(nobody, sizeof nobody) == 1;
    struct str key = *real ? buf_str(&plain) : str_make((const char *)nobody, sizeof nobody);
    good = good && HMAC(EVP_md5(), key.data, (int)key.length, (const unsigned char *)challenge->data, challenge->length,
                        digest, &size);
    if (good) append_hex(text, digest, size);
    buf_free_secret(&plain);
    memory_wipe(digest, sizeof digest);
    return good;
}

/* "name digest": the name may have blanks. */
static enum exchange_step respond(struct exchange *exchange, bool has_response, struct str response,
                                  struct buf *challenge) {
    enum exchange_step step = STEP_DENIED;
    struct buf wanted = buf_make(0);
    bool real = false;
    if (!exchange->state) return has_response ? STEP_MALFORMED : challenge_client(exchange, challenge);
    size_t name_length = response.length - 2 * DIGEST_OCTETS - 1;
    if (response.length < 2 * DIGEST_OCTETS + 2 || name_length > SASL_NAME_MAX || response.data[name_length] != ' ' ||
        !str_is_utf8(response))
        return STEP_MALFORMED;
    enum login_found found = login_find(exchange, str_slice(response, 0, name_length), &step);
    if (found == LOGIN_STOP) return step;
    bool made = make_digest(exchange, found == LOGIN_FOUND, &wanted, &real);
    bool right = made && wanted.length == 2 * DIGEST_OCTETS &&
                 memory_equal_secret(wanted.data, response.data + name_length + 1, wanted.length) && real;
    buf_free_secret(&wanted);
    if (!made) return login_later(exchange, "MD5 is not to be had");
    return right ? login_grant(exchange, STR_EMPTY) : login_wrong(exchange, "wrong password");
}

const struct mechanism mechanism_cram_md5 = {STR_INIT("CRAM-MD5"), false, is_available, respond};
