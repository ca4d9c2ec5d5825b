/* tls_server: what a server's context answers to OpenSSL's questions: names, tickets,
 * protocols, stapled responses, client certificates. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "memory.h"
#include "tls_client_hello.h"
#include "tls_internal.h"

/* ---- the name that the client asks for: noted here, looked for by tls_accept outside of the
 * library, so that the task may wait */

static int on_client_hello(SSL *ssl, int *alert, void *argument) {
    struct tls_connection *connection = tls_connection_of(ssl);
    const unsigned char *extension;
    size_t length;
    (void)alert;
    (void)argument;
    if (connection->name_known) return SSL_CLIENT_HELLO_SUCCESS;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &length) == 1) {
        char name[TLS_SERVER_NAME_MAX + 1];
        if (tls_server_name_parse(str_make((const char *)extension, length), name))
            snprintf(connection->facts.server_name, sizeof connection->facts.server_name, "%s", name);
    }
    connection->name_known = true;
    if (!connection->facts.server_name[0] || !connection->context->for_name) return SSL_CLIENT_HELLO_SUCCESS;
    connection->name_wanted = true;
    return SSL_CLIENT_HELLO_RETRY;
}

/* Tells the client that its name was understood, where it made a difference. */
static int on_server_name(SSL *ssl, int *alert, void *argument) {
    (void)alert;
    (void)argument;
    return tls_connection_of(ssl)->named ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- tickets: RFC 5077 section 4, AES-256-CBC and HMAC-SHA256, keys from outside */

size_t tls_server_ticket_keys(const struct tls_context *context, struct tls_ticket_key *keys) {
    size_t count = context->tickets ? context->ticket_keys(context->context, keys, TLS_TICKET_KEYS_MAX) : 0;
    return count < TLS_TICKET_KEYS_MAX ? count : TLS_TICKET_KEYS_MAX;
}

static bool set_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key) {
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
                                     OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int make_ticket(struct tls_ticket_key *key, unsigned char name[16], unsigned char *vector,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
    if (RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    if (EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, vector) != 1 || !set_mac(mac, key)) return -1;
    memcpy(name, key->name, sizeof key->name);
    return 1;
}

/* A TLS 1.3 client uses a ticket once (RFC 8446 appendix C.4), so it gets a new one each time: 2 says so. In
 * TLS 1.2 the old one does until its key is replaced. */
static int take_ticket(const SSL *ssl, struct tls_ticket_key *keys, size_t count, const unsigned char name[16],
                       const unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
    for (size_t i = 0; i < count; i++) {
        if (memcmp(keys[i].name, name, sizeof keys[i].name) != 0) continue;
        if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys[i].cipher, vector) != 1 || !set_mac(mac, &keys[i]))
            return -1;
        return i > 0 || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
    }
    return 0;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int making) {
    struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
    size_t count = tls_server_ticket_keys(tls_connection_of(ssl)->context, keys);
    int result = making && count ? make_ticket(&keys[0], name, vector, cipher, mac)
                 : making        ? 0
                                 : take_ticket(ssl, keys, count, name, vector, cipher, mac);
    OPENSSL_cleanse(keys, sizeof keys);
    return result;
}

/* ---- ALPN (RFC 7301): a client of another protocol goes no further */

static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
                   unsigned offered_length, void *argument) {
    const struct tls_context *context = argument;
    struct str own = buf_str(&context->alpn);
    (void)ssl;
    for (unsigned at = 0; at < offered_length; at += 1U + offered[at]) {
        if (offered_length - at - 1 < offered[at]) break;
        struct str protocol = str_make((const char *)offered + at + 1, offered[at]);
        if (!str_equal(protocol, own)) continue;
        *chosen = offered + at + 1;
        *length = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- OCSP: the response of the certificate that was chosen (RFC 6066 section 8) */

static const struct tls_staple *find_staple(const struct tls_context *context, const X509 *certificate) {
    for (size_t i = 0; certificate && i < context->chain_count; i++)
        if (context->staples[i].length && X509_cmp(context->staples[i].certificate, certificate) == 0)
            return &context->staples[i];
    return NULL;
}

static int on_status_request(SSL *ssl, void *argument) {
    const struct tls_connection *connection = tls_connection_of(ssl);
    const struct tls_staple *staple =
        find_staple(connection->named ? connection->named : connection->context, SSL_get_certificate(ssl));
    (void)argument;
    if (!staple) return SSL_TLSEXT_ERR_NOACK;
    uint8_t *copy = OPENSSL_memdup(staple->response, staple->length); /* the library frees it */
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->length);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- client certificates: what is wrong with one is noted, and ends nothing */

static int on_client_chain(X509_STORE_CTX *store, void *argument) {
    (void)argument;
    (void)X509_verify_cert(store);
    ERR_clear_error();
    return 1;
}

void tls_server_callbacks(struct tls_context *context) {
    static const int modes[] = {[TLS_ASK_NONE] = SSL_VERIFY_NONE,
                                [TLS_ASK] = SSL_VERIFY_PEER,
                                [TLS_ASK_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_client_hello_cb(ssl, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_status_cb(ssl, on_status_request);
    if (context->tickets) SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
    if (context->alpn.length) SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
    SSL_CTX_set_verify(ssl, modes[context->ask], NULL);
    SSL_CTX_set_cert_verify_callback(ssl, on_client_chain, NULL);
}
