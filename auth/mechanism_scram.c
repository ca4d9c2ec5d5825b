/* mechanism SCRAM (RFC 5802, 7677) by SHA-1 and SHA-256, without and with channel binding (RFC 5929, 9266).
 *
 * Works from stored keys, or from a stored plain password. A name that has neither is led
 * through the same exchange with a salt that is always the same for it, and fails at the proof,
 * as a wrong password does. */
#include "auth_daemon.h"
#include "base64.h"
#include "log.h"
#include "password_hash.h"
#include "sasl_message.h"
#include "sasl_prepare.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define NONCE_OCTETS 18
#define SALT_OCTETS  16

struct scram {
    struct scram_keys keys;
    bool real; /* there is an account with these keys */
    struct str header, first_bare, server_first, nonce, authorization, binding;
};

struct variant {
    const char *digest; /* of stored secrets */
    bool plus;
};

static const struct variant sha_1 = {"SHA-1", false}, sha_1_plus = {"SHA-1", true}, sha_256 = {"SHA-256", false},
                            sha_256_plus = {"SHA-256", true};

/* ---- keys */

/* The same for a name each time, and nobody can tell it from a real one. */
static bool fake_salt(struct exchange *exchange, const struct variant *variant, uint8_t salt[SALT_OCTETS]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    struct buf text = buf_make(0);
    buf_printf(&text, "%s %.*s", variant->digest, STR_ARGS(exchange->user));
    bool good = HMAC(EVP_sha256(), auth_state_secret(exchange->auth->state), AUTH_STATE_SECRET,
                     (const unsigned char *)text.data, text.length, digest, &size) != NULL;
    if (good) memcpy(salt, digest, SALT_OCTETS);
    buf_free(&text);
    return good;
}

struct derivation {
    const struct variant *variant;
    struct str password;
    struct scram_keys keys;
    bool done;
};

/* On a helper thread. */
static void derive(void *argument) {
    struct derivation *derivation = argument;
    derivation->done =
        scram_keys_derive(str_from(derivation->variant->digest), derivation->password, &derivation->keys);
}

/* All three cases take the derivation's time. */
static bool find_keys(struct exchange *exchange, const struct variant *variant, bool found, struct scram *scram) {
    struct str secret = found ? exchange->account.secret : STR_EMPTY;
    struct buf plain = buf_make(SASL_PASSWORD_MAX), prepared = buf_make(SASL_PREPARE_MAX);
    struct derivation derivation = {
        .variant = variant, .keys.iterations = SCRAM_ITERATIONS, .keys.salt_length = SALT_OCTETS};
    bool is_plain = secret.length && password_hash_plain(secret, &plain) && plain.length;
    derivation.password = is_plain && sasl_prepare(buf_str(&plain), &prepared) ? buf_str(&prepared) : buf_str(&plain);
    bool good = fake_salt(exchange, variant, derivation.keys.salt) && login_compute(exchange, derive, &derivation) &&
                derivation.done;
    scram->keys = derivation.keys;
    scram->real = is_plain || (secret.length && scram_keys_read(secret, str_from(variant->digest), &scram->keys));
    memory_wipe(&derivation.keys, sizeof derivation.keys);
    buf_free_secret(&plain);
    buf_free_secret(&prepared);
    return good;
}

/* ---- the first message */

static bool binding_is_offered(const struct exchange *exchange) {
    struct ipc_auth_mechanisms client = {.protocol = exchange->protocol,
                                         .encrypted = exchange->encrypted,
                                         .binding = exchange->exporter.length || exchange->end_point.length,
                                         .certificate = exchange->certificate.length > 0};
    return mechanism_is_available(exchange->auth, &mechanism_scram_sha_256_plus, &client) ||
           mechanism_is_available(exchange->auth, &mechanism_scram_sha_1_plus, &client);
}

/* False: *step is the answer. RFC 5802 section 6: who says y although we offered it was lied to. */
static bool check_binding(struct exchange *exchange, const struct variant *variant, const struct scram_first *first,
                          struct scram *scram, enum exchange_step *step) {
    *step = STEP_MALFORMED;
    if ((first->binding == SCRAM_BINDING_REQUIRED) != variant->plus) return false;
    if (first->binding == SCRAM_BINDING_NOT_OURS && binding_is_offered(exchange)) {
        *step = login_wrong(exchange, "the client was not told of channel binding: somebody is between");
        return false;
    }
    scram->binding = STR_EMPTY;
    if (!variant->plus) return true;
    if (str_equal(first->binding_name, STR("tls-exporter")))
        scram->binding = exchange->exporter;
    else if (str_equal(first->binding_name, STR("tls-server-end-point")))
        scram->binding = exchange->end_point;
    return scram->binding.length > 0;
}

static bool keep(struct exchange *exchange, const struct scram_first *first, struct scram *scram) {
    struct buf authorization = buf_make(0);
    bool good = scram_name_decode(first->authorization, &authorization) &&
                arena_copy(exchange->arena, buf_str(&authorization), &scram->authorization) &&
                arena_copy(exchange->arena, first->header, &scram->header) &&
                arena_copy(exchange->arena, first->bare, &scram->first_bare);
    buf_free(&authorization);
    return good;
}

static bool say_first(struct exchange *exchange, const struct scram_first *first, struct scram *scram,
                      struct buf *challenge) {
    uint8_t random[NONCE_OCTETS];
    struct buf nonce = buf_make(0);
    bool good = RAND_bytes(random, sizeof random) == 1 && buf_append(&nonce, first->nonce) &&
                base64_encode(&nonce, str_make((const char *)random, sizeof random)) &&
                arena_copy(exchange->arena, buf_str(&nonce), &scram->nonce);
    buf_printf(challenge, "r=%s,s=", buf_string(&nonce));
    base64_encode(challenge, str_make((const char *)scram->keys.salt, scram->keys.salt_length));
    buf_printf(challenge, ",i=%u", scram->keys.iterations);
    buf_free(&nonce);
    return good && arena_copy(exchange->arena, buf_str(challenge), &scram->server_first);
}

static enum exchange_step first_message(struct exchange *exchange, const struct variant *variant, struct str response,
                                        struct buf *challenge) {
    struct scram_first first;
    struct buf name = buf_make(0);
    enum exchange_step step = STEP_MALFORMED;
    struct scram *scram = ARENA_NEW(exchange->arena, struct scram);
    if (!scram) return login_later(exchange, "out of room");
    if (!scram_first_read(response, &first) || !scram_name_decode(first.name, &name)) return STEP_MALFORMED;
    if (!check_binding(exchange, variant, &first, scram, &step)) {
        buf_free(&name);
        return step;
    }
    enum login_found found = login_find(exchange, buf_str(&name), &step);
    buf_free(&name);
    if (found == LOGIN_STOP) return step;
    if (!find_keys(exchange, variant, found == LOGIN_FOUND, scram))
        return login_later(exchange, "too many logins wait");
    if (!keep(exchange, &first, scram) || !say_first(exchange, &first, scram, challenge))
        return login_later(exchange, "out of room");
    exchange->state = scram;
    return STEP_CHALLENGE;
}

/* ---- the proof */

static bool binding_is_right(const struct scram *scram, struct str given) {
    struct buf wanted = buf_make(0), octets = buf_make(0);
    buf_append(&wanted, scram->header);
    buf_append(&wanted, scram->binding);
    bool right = base64_decode(&octets, given) && str_equal(buf_str(&octets), buf_str(&wanted));
    buf_free(&wanted);
    buf_free(&octets);
    return right;
}

static bool say_signature(const struct variant *variant, const struct scram_keys *keys, struct str message,
                          struct buf *challenge) {
    uint8_t signature[SCRAM_KEY_MAX];
    if (!scram_sign(str_from(variant->digest), keys, message, signature)) return false;
    buf_append(challenge, STR("v="));
    return base64_encode(challenge, str_make((const char *)signature, keys->size));
}

static enum exchange_step last_message(struct exchange *exchange, const struct variant *variant, struct str response,
                                       struct buf *challenge) {
    struct scram *scram = exchange->state;
    struct scram_final final;
    struct buf message = buf_make(0), proof = buf_make(64);
    enum exchange_step step = STEP_DENIED;
    if (login_is_barred(exchange, &step)) return step;
    if (!scram_final_read(response, &final) || !base64_decode(&proof, final.proof)) return STEP_MALFORMED;
    buf_printf(&message, "%.*s,%.*s,%.*s", STR_ARGS(scram->first_bare), STR_ARGS(scram->server_first),
               STR_ARGS(final.without_proof));
    bool nonce = str_equal(final.nonce, scram->nonce), binding = binding_is_right(scram, final.binding);
    bool right = scram_proof_is_right(str_from(variant->digest), &scram->keys, buf_str(&message), buf_str(&proof)) &&
                 scram->real;
    if (!nonce || !binding)
        step = login_wrong(exchange, nonce ? "the channel binding is another" : "the nonce is another");
    else if (!right)
        step = login_wrong(exchange, "wrong password");
    else
        step = login_grant(exchange, scram->authorization);
    if (step == STEP_GRANTED && !say_signature(variant, &scram->keys, buf_str(&message), challenge))
        step = login_later(exchange, "no signature could be made");
    memory_wipe(&scram->keys, sizeof scram->keys);
    buf_free(&message);
    buf_free(&proof);
    return step;
}

static enum exchange_step respond(struct exchange *exchange, const struct variant *variant, bool has_response,
                                  struct str response, struct buf *challenge) {
    if (exchange->state) return last_message(exchange, variant, response, challenge);
    return has_response ? first_message(exchange, variant, response, challenge) : STEP_CHALLENGE;
}

/* ---- the four rows */

#define SCRAM_ROW(row, text, variant)                                                                                  \
    static bool row##_is_available(const struct auth *auth, const struct ipc_auth_mechanisms *client) {                \
        return (client->binding || !(variant).plus) && sources_have_scram(&auth->sources, str_from((variant).digest)); \
    }                                                                                                                  \
    static enum exchange_step row##_respond(struct exchange *exchange, bool has_response, struct str response,         \
                                            struct buf *challenge) {                                                   \
        return respond(exchange, &(variant), has_response, response, challenge);                                       \
    }                                                                                                                  \
    const struct mechanism mechanism_##row = {STR_INIT(text), false, row##_is_available, row##_respond};

SCRAM_ROW(scram_sha_1, "SCRAM-SHA-1", sha_1)
SCRAM_ROW(scram_sha_1_plus, "SCRAM-SHA-1-PLUS", sha_1_plus)
SCRAM_ROW(scram_sha_256, "SCRAM-SHA-256", sha_256)
SCRAM_ROW(scram_sha_256_plus, "SCRAM-SHA-256-PLUS", sha_256_plus)
