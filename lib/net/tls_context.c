/* tls_context: what both sides set once for many connections. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "memory.h"
#include "tls_internal.h"
#include "tls_protocols.h"
#include "tls_session.h"

enum {
    CHAIN_MAX = 32,                /* certificates in one chain */
    PEER_CHAIN_BYTES = 100 * 1024, /* of certificates that a peer may send */
    DEFAULT_LIFETIME = 3600,
    NAMED_AUTHORITIES_MAX = 32, /* more are not named to clients: some drop the connection over a long list */
};

/* ---- certificates */

static X509 *next_certificate(BIO *bio) {
    return PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

STACK_OF(X509) * tls_certificates(struct str pem, struct failure *failure) {
    BIO *bio = pem.length < INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.length) : NULL;
    STACK_OF(X509) *list = sk_X509_new_null();
    X509 *certificate;
    if (!bio || !list) memory_exhausted(pem.length);
    ERR_clear_error();
    while ((certificate = next_certificate(bio)) != NULL)
        if (!sk_X509_push(list, certificate)) memory_exhausted(pem.length);
    BIO_free(bio);
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (at_end && sk_X509_num(list) > 0) {
        ERR_clear_error();
        return list;
    }
    if (at_end)
        failure_set(failure, "there is no certificate in it");
    else
        tls_library_failed(failure, "certificate");
    ERR_clear_error();
    sk_X509_pop_free(list, X509_free);
    return NULL;
}

/* One chain: the first certificate is the own one. */
static bool use_chain(struct tls_context *context, size_t index, const struct tls_chain *chain,
                      struct failure *failure) {
    STACK_OF(X509) *list = tls_certificates(chain->pem, failure);
    struct tls_staple *staple = &context->staples[index];
    if (!list) return false;
    bool good = sk_X509_num(list) <= CHAIN_MAX || failure_set(failure, "a chain of too many certificates");
    X509 *own = sk_X509_shift(list);
    if (good && SSL_CTX_use_cert_and_key(context->ssl, own, chain->key, list, 1) != 1)
        good = tls_library_failed(failure, "certificate and key");
    sk_X509_pop_free(list, X509_free);
    staple->certificate = own;
    if (chain->staple.length) {
        staple->response = memory_allocate(chain->staple.length, 1);
        memcpy(staple->response, chain->staple.data, chain->staple.length);
        staple->length = chain->staple.length;
    }
    return good;
}

/* ---- versions, ciphers, groups */

static bool set_versions(SSL_CTX *ssl, struct str protocols, struct failure *failure) {
    static const uint64_t none[TLS_VERSION_COUNT] = {SSL_OP_NO_SSLv3, SSL_OP_NO_TLSv1, SSL_OP_NO_TLSv1_1,
                                                     SSL_OP_NO_TLSv1_2, SSL_OP_NO_TLSv1_3};
    unsigned versions;
    int least = -1, most = -1;
    if (protocols.length == 0) return true;
    if (!tls_protocols_parse(protocols, &versions, failure)) return false;
    for (int version = 0; version < TLS_VERSION_COUNT; version++) {
        if (!(versions >> version & 1U)) {
            SSL_CTX_set_options(ssl, none[version]);
            continue;
        }
        if (least < 0) least = version;
        most = version;
    }
    if (SSL_CTX_set_min_proto_version(ssl, tls_version_number((enum tls_version)least)) != 1 ||
        SSL_CTX_set_max_proto_version(ssl, tls_version_number((enum tls_version)most)) != 1)
        return tls_library_failed(failure, "protocols");
    return true;
}

static bool set_text(SSL_CTX *ssl, struct str value, const char *what, int (*set)(SSL_CTX *ssl, const char *text),
                     struct failure *failure) {
    if (value.length == 0) return true;
    char *text = memory_copy_string(value);
    bool good = set(ssl, text) == 1 || tls_library_failed(failure, what);
    MEMORY_FREE(text);
    return good;
}

static int set_groups(SSL_CTX *ssl, const char *text) {
    return (int)SSL_CTX_set1_groups_list(ssl, text);
}

static bool set_suite(SSL_CTX *ssl, const struct tls_suite_options *suite, struct failure *failure) {
    if (suite->prefer_server_order)
        SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    return set_versions(ssl, suite->protocols, failure) &&
           set_text(ssl, suite->ciphers, "ciphers", SSL_CTX_set_cipher_list, failure) &&
           set_text(ssl, suite->ciphersuites, "TLS 1.3 ciphers", SSL_CTX_set_ciphersuites, failure) &&
           set_text(ssl, suite->groups, "key exchange groups", set_groups, failure);
}

/* What an idle connection would keep for nothing is given back, and nothing that TLS 1.3 has
 * dropped for good reasons is done in older versions either. */
bool tls_context_set(struct tls_context *context, const struct tls_suite_options *suite, const struct tls_chain *chains,
                     size_t count, struct failure *failure) {
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_max_cert_list(ssl, PEER_CHAIN_BYTES);
    context->staples = memory_allocate(count ? count : 1, sizeof *context->staples);
    context->chain_count = count;
    if (!set_suite(ssl, suite, failure)) return false;
    for (size_t i = 0; i < count; i++)
        if (!use_chain(context, i, &chains[i], failure)) return false;
    return true;
}

/* ---- trust */

static bool set_roots(SSL_CTX *ssl, struct str pem, int depth, bool name_them, struct failure *failure) {
    SSL_CTX_set_verify_depth(ssl, depth > 0 ? depth : 9);
    if (pem.length == 0) return true;
    STACK_OF(X509) *list = tls_certificates(pem, failure);
    if (!list) return failure_prefix(failure, "authorities");
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), sk_X509_value(list, i));
        if (name_them && sk_X509_num(list) <= NAMED_AUTHORITIES_MAX) SSL_CTX_add_client_CA(ssl, sk_X509_value(list, i));
    }
    sk_X509_pop_free(list, X509_free);
    ERR_clear_error();
    return true;
}

/* ---- life */

static struct tls_context *begin_context(const SSL_METHOD *method) {
    struct tls_context *context = MEMORY_NEW(struct tls_context);
    tls_library_start();
    ERR_clear_error();
    context->owners = 1;
    context->ssl = SSL_CTX_new(method);
    if (!context->ssl) memory_exhausted(sizeof *context);
    return context;
}

static void free_context(struct tls_context *context) {
    for (size_t i = 0; context->staples && i < context->chain_count; i++) {
        X509_free(context->staples[i].certificate);
        MEMORY_FREE(context->staples[i].response);
    }
    MEMORY_FREE(context->staples);
    SSL_CTX_free(context->ssl);
    buf_free(&context->alpn);
    buf_free(&context->digest);
    MEMORY_FREE(context);
}

struct tls_context *tls_context_hold(struct tls_context *context) {
    context->owners++;
    return context;
}

void tls_context_release(struct tls_context **context) {
    struct tls_context *gone = *context;
    *context = NULL;
    if (gone && --gone->owners == 0) free_context(gone);
}

/* Sessions must not be taken up by a server that is another one. */
static void set_session_context(SSL_CTX *ssl, struct str name) {
    uint8_t digest[32] = {0};
    unsigned length = sizeof digest;
    EVP_Digest(name.data, name.length, digest, &length, EVP_sha256(), NULL);
    SSL_CTX_set_session_id_context(ssl, digest, sizeof digest);
}

static void set_server(struct tls_context *context, const struct tls_server_options *options) {
    SSL_CTX *ssl = context->ssl;
    context->tickets = options->tickets && options->ticket_keys;
    context->ask = options->ask;
    context->ticket_keys = options->ticket_keys;
    context->for_name = options->for_name;
    context->context = options->context;
    buf_append(&context->alpn, options->alpn);
    buf_append(&context->digest, options->fingerprint_digest);
    set_session_context(ssl, options->session_context);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, options->session_lifetime > 0 ? options->session_lifetime : DEFAULT_LIFETIME);
    SSL_CTX_set_num_tickets(ssl, context->tickets ? 1 : 0);
    if (!context->tickets) SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    tls_server_callbacks(context);
}

struct tls_context *tls_server_context(const struct tls_server_options *options, struct failure *failure) {
    struct tls_context *context = begin_context(TLS_server_method());
    if (!tls_context_set(context, &options->suite, options->chains, options->chain_count, failure) ||
        !set_roots(context->ssl, options->client_roots, options->verify_depth, true, failure))
        tls_context_release(&context);
    else
        set_server(context, options);
    return context;
}

struct tls_context *tls_client_context(const struct tls_client_options *options, struct failure *failure) {
    struct tls_context *context = begin_context(TLS_client_method());
    if (!tls_context_set(context, &options->suite, options->chains, options->chain_count, failure) ||
        !set_roots(context->ssl, options->roots, options->verify_depth, false, failure) ||
        (SSL_CTX_dane_enable(context->ssl) != 1 && !tls_library_failed(failure, "DANE"))) {
        tls_context_release(&context);
        return NULL;
    }
    /* The handshake goes on whoever it is; tls_verify.c judges. */
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    tls_session_callbacks(context->ssl);
    return context;
}
