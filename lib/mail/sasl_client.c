/* sasl_client: see sasl_client.h. Each mechanism is a row and one or two functions. */
#include "sasl_client.h"
#include "base64.h"
#include "memory.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define ITERATIONS_LEAST 1
#define ITERATIONS_MOST  300000 /* a fifth of a second; RFC 7677 wants 4096 at least, and servers use up to 100,000 */
#define NONCE_MAX        1000   /* client's and server's together */

enum sasl_property {
    SHOWS_PASSWORD = 1,
    HELPS_ACTIVE = 2,
    HELPS_DICTIONARY = 4,
    PROVES_SERVER = 8,
    USES_TOKEN = 16,
    BINDS_CHANNEL = 32,
    BEGINS = 64,
};

struct sasl_mechanism {
    struct str name;
    unsigned properties;
    bool (*answer)(struct sasl_client *client, struct str challenge, struct buf *response, struct failure *failure);
    void (*begin)(struct sasl_client *client, struct buf *response);
    const char *digest; /* of SCRAM */
};

struct sasl_client {
    const struct sasl_mechanism *mechanism;
    struct buf user, password, host, nonce, exporter, end_point;
    bool binding_possible;
    uint16_t port;
    unsigned step;
    struct buf first_bare; /* SCRAM: client-first-message-bare */
    unsigned char server_proof[EVP_MAX_MD_SIZE];
    size_t digest_size;
    bool verified, refused; /* the server's proof was right; the server sent an error as a challenge */
};

static bool hmac(const char *digest, struct str key, struct str text, unsigned char out[EVP_MAX_MD_SIZE],
                 size_t *length);

void sasl_client_prepare(void) {
    static const char *const digests[] = {"MD5", "SHA1", "SHA256"};
    unsigned char sum[EVP_MAX_MD_SIZE];
    size_t length;
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(digests); i++) {
        bool ignored = hmac(digests[i], STR("key"), STR("text"), sum, &length);
        (void)ignored; /* said when it is wanted */
    }
}

/* ---- PLAIN, LOGIN, CRAM-MD5 */

static bool plain_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                         struct failure *failure) {
    if (client->step > 0 || challenge.length) return failure_set(failure, "a challenge where PLAIN has none");
    buf_append_char(response, '\0');
    buf_append(response, buf_str(&client->user));
    buf_append_char(response, '\0');
    return buf_append(response, buf_str(&client->password));
}

static void plain_begin(struct sasl_client *client, struct buf *response) {
    struct failure failure;
    bool good = plain_answer(client, STR_EMPTY, response, &failure);
    (void)good; /* nothing can be wrong with it yet */
}

/* What the server says in asking is not looked at: "Username:", "Password:", and other words. */
static bool login_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                         struct failure *failure) {
    (void)challenge;
    if (client->step > 1) return failure_set(failure, "more questions than LOGIN has");
    return buf_append(response, buf_str(client->step == 0 ? &client->user : &client->password));
}

static void append_hex(struct buf *out, const unsigned char *bytes, size_t length) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        buf_append_char(out, digits[bytes[i] >> 4]);
        buf_append_char(out, digits[bytes[i] & 15]);
    }
}

static bool hmac(const char *digest, struct str key, struct str text, unsigned char out[EVP_MAX_MD_SIZE],
                 size_t *length) {
    unsigned size = 0;
    const EVP_MD *md = EVP_get_digestbyname(digest);
    /* A key of no length may not come as NULL. */
    const void *bytes = key.length ? key.data : "";
    if (!md || key.length > INT32_MAX ||
        !HMAC(md, bytes, (int)key.length, (const unsigned char *)text.data, text.length, out, &size))
        return false;
    *length = size;
    return true;
}

static bool cram_md5_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                            struct failure *failure) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    size_t length = 0;
    if (client->step > 0) return failure_set(failure, "a second challenge where CRAM-MD5 has one");
    if (!hmac("MD5", buf_str(&client->password), challenge, sum, &length))
        return failure_set(failure, "MD5 is not to be had");
    buf_append(response, buf_str(&client->user));
    buf_append_char(response, ' ');
    append_hex(response, sum, length);
    memory_wipe(sum, sizeof sum);
    return true;
}

/* ---- OAuth tokens */

static void oauthbearer_begin(struct sasl_client *client, struct buf *response) {
    struct str user = buf_str(&client->user);
    buf_append(response, STR("n,a="));
    for (size_t i = 0; i < user.length; i++) {
        if (user.data[i] == ',' || user.data[i] == '=')
            buf_append(response, user.data[i] == ',' ? STR("=2C") : STR("=3D"));
        else
            buf_append_char(response, user.data[i]);
    }
    buf_printf(response, ",\1host=%s\1port=%u\1auth=Bearer ", buf_string(&client->host), client->port);
    buf_append(response, buf_str(&client->password));
    buf_append(response, STR("\1\1"));
}

static void xoauth2_begin(struct sasl_client *client, struct buf *response) {
    buf_append(response, STR("user="));
    buf_append(response, buf_str(&client->user));
    buf_append(response, STR("\1auth=Bearer "));
    buf_append(response, buf_str(&client->password));
    buf_append(response, STR("\1\1"));
}

/* The only challenge there is says why the token is no good; it wants an answer before the refusal comes. */
static bool token_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                         struct failure *failure) {
    (void)challenge;
    if (client->step > 1) return failure_set(failure, "a second challenge where there is one at most");
    client->refused = true;
    if (client->mechanism->name.data[0] == 'O') buf_append_char(response, '\1');
    return true;
}

/* ---- SCRAM */

static struct str gs2_header(const struct sasl_client *client) {
    if (client->mechanism->properties & BINDS_CHANNEL)
        return client->exporter.length ? STR("p=tls-exporter,,") : STR("p=tls-server-end-point,,");
    return client->binding_possible ? STR("y,,") : STR("n,,");
}

static void scram_begin(struct sasl_client *client, struct buf *response) {
    struct str user = buf_str(&client->user);
    struct buf *bare = &client->first_bare;
    buf_clear(bare);
    buf_append(bare, STR("n="));
    for (size_t i = 0; i < user.length; i++) {
        if (user.data[i] == ',' || user.data[i] == '=')
            buf_append(bare, user.data[i] == ',' ? STR("=2C") : STR("=3D"));
        else
            buf_append_char(bare, user.data[i]);
    }
    buf_append(bare, STR(",r="));
    buf_append(bare, buf_str(&client->nonce));
    buf_append(response, gs2_header(client));
    buf_append(response, buf_str(bare));
}

/* "k=value" up to the next comma. */
static bool take_attribute(struct str *rest, char key, struct str *value) {
    struct str part, after;
    if (!str_cut(*rest, ',', &part, &after)) {
        part = *rest;
        after = STR_EMPTY;
    }
    if (part.length < 2 || part.data[0] != key || part.data[1] != '=') return false;
    *value = str_from_offset(part, 2);
    *rest = after;
    return true;
}

struct scram_first {
    struct str nonce;
    struct buf salt;
    uint64_t iterations;
};

static bool parse_server_first(const struct sasl_client *client, struct str message, struct scram_first *first,
                               struct failure *failure) {
    struct str salt, count, own = buf_str(&client->nonce);
    if (!take_attribute(&message, 'r', &first->nonce) || !take_attribute(&message, 's', &salt) ||
        !take_attribute(&message, 'i', &count))
        return failure_set(failure, "the server's first message is not SCRAM");
    if (!str_starts(first->nonce, own) || first->nonce.length == own.length || first->nonce.length > NONCE_MAX)
        return failure_set(failure, "the server's nonce does not continue ours");
    if (!str_to_u64(count, ITERATIONS_MOST, &first->iterations) || first->iterations < ITERATIONS_LEAST)
        return failure_set(failure, "the server wants too many iterations");
    if (!base64_decode(&first->salt, salt) || first->salt.length == 0)
        return failure_set(failure, "the server's salt is not readable");
    return true;
}

/* "c=BINDING,r=NONCE" */
static void append_final_without_proof(const struct sasl_client *client, struct str nonce, struct buf *out) {
    struct buf binding = buf_make(0);
    buf_append(&binding, gs2_header(client));
    if (client->mechanism->properties & BINDS_CHANNEL)
        buf_append(&binding, buf_str(client->exporter.length ? &client->exporter : &client->end_point));
    buf_append(out, STR("c="));
    base64_encode(out, buf_str(&binding));
    buf_append(out, STR(",r="));
    buf_append(out, nonce);
    buf_free(&binding);
}

/* RFC 5802 section 3: the proof that is sent, and the one that the server will have to send. */
static bool prove(struct sasl_client *client, const struct scram_first *first, struct str auth_message,
                  unsigned char proof[EVP_MAX_MD_SIZE]) {
    const char *digest = client->mechanism->digest;
    const EVP_MD *md = EVP_get_digestbyname(digest);
    unsigned char salted[EVP_MAX_MD_SIZE], client_key[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE],
        signature[EVP_MAX_MD_SIZE], server_key[EVP_MAX_MD_SIZE];
    size_t size = md ? (size_t)EVP_MD_get_size(md) : 0, ignored;
    bool good = md && PKCS5_PBKDF2_HMAC(buf_string(&client->password), (int)client->password.length,
                                        (const unsigned char *)first->salt.data, (int)first->salt.length,
                                        (int)first->iterations, md, (int)size, salted) == 1;
    struct str key = str_make((const char *)salted, size);
    good = good && hmac(digest, key, STR("Client Key"), client_key, &ignored) &&
           hmac(digest, key, STR("Server Key"), server_key, &ignored) &&
           EVP_Digest(client_key, size, stored, NULL, md, NULL) == 1 &&
           hmac(digest, str_make((const char *)stored, size), auth_message, signature, &ignored) &&
           hmac(digest, str_make((const char *)server_key, size), auth_message, client->server_proof, &ignored);
    for (size_t i = 0; good && i < size; i++)
        proof[i] = client_key[i] ^ signature[i];
    client->digest_size = size;
    memory_wipe(salted, sizeof salted);
    memory_wipe(client_key, sizeof client_key);
    memory_wipe(server_key, sizeof server_key);
    return good;
}

static bool say_scram_final(struct sasl_client *client, struct str challenge, struct buf *response,
                            struct failure *failure) {
    struct scram_first first = {.salt = buf_make(1024)};
    struct buf message = buf_make(0), final = buf_make(0);
    unsigned char proof[EVP_MAX_MD_SIZE];
    bool good = parse_server_first(client, challenge, &first, failure);
    if (good) {
        append_final_without_proof(client, first.nonce, &final);
        buf_append(&message, buf_str(&client->first_bare));
        buf_append_char(&message, ',');
        buf_append(&message, challenge);
        buf_append_char(&message, ',');
        buf_append(&message, buf_str(&final));
        good = prove(client, &first, buf_str(&message), proof) || failure_set(failure, "a digest is not to be had");
    }
    if (good) {
        buf_append(response, buf_str(&final));
        buf_append(response, STR(",p="));
        base64_encode(response, str_make((const char *)proof, client->digest_size));
    }
    memory_wipe(proof, sizeof proof);
    buf_free(&first.salt);
    buf_free(&message);
    buf_free(&final);
    return good;
}

static bool scram_verify(struct sasl_client *client, struct str challenge, struct failure *failure) {
    struct str value;
    struct buf proof = buf_make(EVP_MAX_MD_SIZE);
    if (take_attribute(&challenge, 'e', &value)) { /* the refusal comes next */
        client->refused = true;
        return true;
    }
    client->verified = take_attribute(&challenge, 'v', &value) && base64_decode(&proof, value) &&
                       proof.length == client->digest_size &&
                       memory_equal_secret(proof.data, client->server_proof, client->digest_size);
    buf_free(&proof);
    return client->verified || failure_set(failure, "the server does not know the password");
}

static bool scram_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                         struct failure *failure) {
    if (client->step == 1) return say_scram_final(client, challenge, response, failure);
    if (client->step == 2) return scram_verify(client, challenge, failure);
    return failure_set(failure, "a challenge where SCRAM has none");
}

/* ---- the rows, the best first */

#define SCRAM_PROPERTIES (HELPS_DICTIONARY | PROVES_SERVER | BEGINS)

static const struct sasl_mechanism mechanisms[] = {
    {STR_INIT("SCRAM-SHA-256-PLUS"), SCRAM_PROPERTIES | BINDS_CHANNEL, scram_answer, scram_begin, "SHA256"},
    {STR_INIT("SCRAM-SHA-1-PLUS"), SCRAM_PROPERTIES | BINDS_CHANNEL, scram_answer, scram_begin, "SHA1"},
    {STR_INIT("SCRAM-SHA-256"), SCRAM_PROPERTIES, scram_answer, scram_begin, "SHA256"},
    {STR_INIT("SCRAM-SHA-1"), SCRAM_PROPERTIES, scram_answer, scram_begin, "SHA1"},
    {STR_INIT("OAUTHBEARER"), SHOWS_PASSWORD | HELPS_ACTIVE | USES_TOKEN | BEGINS, token_answer, oauthbearer_begin,
     NULL},
    {STR_INIT("XOAUTH2"), SHOWS_PASSWORD | HELPS_ACTIVE | USES_TOKEN | BEGINS, token_answer, xoauth2_begin, NULL},
    {STR_INIT("CRAM-MD5"), HELPS_ACTIVE | HELPS_DICTIONARY, cram_md5_answer, NULL, NULL},
    {STR_INIT("PLAIN"), SHOWS_PASSWORD | HELPS_ACTIVE | BEGINS, plain_answer, plain_begin, NULL},
    {STR_INIT("LOGIN"), SHOWS_PASSWORD | HELPS_ACTIVE, login_answer, NULL, NULL},
};

bool sasl_security_parse(struct str list, unsigned *security, struct str *bad) {
    static const struct {
        struct str word;
        unsigned bit;
    } words[] = {
        {STR_INIT("noplaintext"), SASL_NO_PLAINTEXT},   {STR_INIT("noactive"), SASL_NO_ACTIVE},
        {STR_INIT("nodictionary"), SASL_NO_DICTIONARY}, {STR_INIT("noanonymous"), SASL_NO_ANONYMOUS},
        {STR_INIT("mutual_auth"), SASL_MUTUAL},         {STR_INIT("forward_secrecy"), SASL_FORWARD_SECRECY},
    };
    struct str word;
    unsigned bits = 0;
    while (str_next_word(&list, ", \t\r\n", &word)) {
        size_t i = 0;
        while (i < ARRAY_LENGTH(words) && !str_equal_nocase(word, words[i].word))
            i++;
        if (i == ARRAY_LENGTH(words)) {
            *bad = word;
            return false;
        }
        bits |= words[i].bit;
    }
    *security = bits;
    return true;
}

static bool list_has(struct str list, struct str name) {
    struct str word;
    while (str_next_word(&list, " \t", &word))
        if (str_equal_nocase(word, name)) return true;
    return false;
}

/* The first word that fits decides; without any the list decides by what it is made of. */
static bool passes(struct str filter, struct str name) {
    struct str word;
    bool only_forbids = true;
    while (str_next_word(&filter, ", \t\r\n", &word)) {
        bool forbids = word.data[0] == '!';
        if (forbids) word = str_from_offset(word, 1);
        if (str_equal_nocase(word, name) || str_equal_nocase(word, STR("static:all"))) return !forbids;
        if (!forbids) only_forbids = false;
    }
    return only_forbids;
}

static bool is_allowed(const struct sasl_mechanism *mechanism, unsigned security) {
    unsigned has = mechanism->properties;
    return !((security & SASL_NO_PLAINTEXT && has & SHOWS_PASSWORD) ||
             (security & SASL_NO_ACTIVE && has & HELPS_ACTIVE) ||
             (security & SASL_NO_DICTIONARY && has & HELPS_DICTIONARY) ||
             (security & SASL_MUTUAL && !(has & PROVES_SERVER)) || security & SASL_FORWARD_SECRECY);
}

const struct sasl_mechanism *sasl_client_choose(struct str offered, struct str filter, unsigned security, bool token,
                                                const struct sasl_binding *binding) {
    bool can_bind = binding && (binding->exporter.length || binding->end_point.length);
    for (size_t i = 0; i < ARRAY_LENGTH(mechanisms); i++) {
        const struct sasl_mechanism *mechanism = &mechanisms[i];
        if (token != ((mechanism->properties & USES_TOKEN) != 0)) continue;
        if (mechanism->properties & BINDS_CHANNEL && !can_bind) continue;
        if (list_has(offered, mechanism->name) && passes(filter, mechanism->name) && is_allowed(mechanism, security))
            return mechanism;
    }
    return NULL;
}

const char *sasl_mechanism_name(const struct sasl_mechanism *mechanism) {
    return mechanism->name.data;
}

bool sasl_mechanism_begins(const struct sasl_mechanism *mechanism) {
    return mechanism->properties & BEGINS;
}

/* ---- an exchange */

static struct buf copy_text(struct str text) {
    struct buf made = buf_make(0);
    buf_append(&made, text);
    return made;
}

struct sasl_client *sasl_client_create(const struct sasl_mechanism *mechanism,
                                       const struct sasl_credentials *credentials, const struct sasl_binding *binding,
                                       struct str nonce) {
    struct sasl_client *client = MEMORY_NEW(struct sasl_client);
    client->mechanism = mechanism;
    client->user = copy_text(credentials->user);
    client->password = copy_text(credentials->password);
    client->host = copy_text(credentials->host);
    client->port = credentials->port;
    client->nonce = copy_text(nonce);
    client->exporter = copy_text(binding ? binding->exporter : STR_EMPTY);
    client->end_point = copy_text(binding ? binding->end_point : STR_EMPTY);
    client->binding_possible = binding && binding->possible;
    client->first_bare = buf_make(0);
    return client;
}

void sasl_client_free(struct sasl_client **client) {
    struct sasl_client *gone = *client;
    if (!gone) return;
    buf_free_secret(&gone->password);
    buf_free(&gone->user);
    buf_free(&gone->host);
    buf_free(&gone->nonce);
    buf_free(&gone->exporter);
    buf_free(&gone->end_point);
    buf_free(&gone->first_bare);
    memory_wipe(gone->server_proof, sizeof gone->server_proof);
    MEMORY_FREE(*client);
}

void sasl_client_begin(struct sasl_client *client, struct buf *response) {
    if (client->mechanism->begin) client->mechanism->begin(client, response);
    client->step++;
}

bool sasl_client_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                        struct failure *failure) {
    if (challenge.length > SASL_CHALLENGE_MAX) return failure_set(failure, "the challenge is too long");
    bool good = client->mechanism->answer(client, challenge, response, failure);
    client->step++;
    return good;
}

bool sasl_client_accept(const struct sasl_client *client, struct failure *failure) {
    if (client->refused) return failure_set(failure, "the server said yes after it had said no");
    if (!(client->mechanism->properties & PROVES_SERVER) || client->verified) return true;
    return failure_set(failure, "the server has not proved that it knows the password");
}
