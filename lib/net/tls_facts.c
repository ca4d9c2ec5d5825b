/* tls_facts: what can be said of a connection, in Postfix's words. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "memory.h"
#include "tls_internal.h"

/* ---- the handshake's algorithms */

static const char *group_name(int nid) {
    const char *name = EC_curve_nid2nist(nid);
    return name ? name : OBJ_nid2sn(nid);
}

/* " key-exchange X25519", " key-exchange ECDHE (P-256)", " key-exchange DHE (2048 bits)". */
static void note_key_exchange(const SSL *ssl, struct tls_facts *facts) {
    EVP_PKEY *key = NULL;
    char group[40] = "";
    size_t length = 0;
    if (SSL_get_peer_tmp_key((SSL *)(uintptr_t)ssl, &key) != 1 || !key) return;
    switch (EVP_PKEY_get_id(key)) {
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1) group[0] = '\0';
        snprintf(facts->key_exchange, sizeof facts->key_exchange, " key-exchange ECDHE (%s)",
                 group_name(OBJ_sn2nid(group)));
        break;
    case EVP_PKEY_DH:
        snprintf(facts->key_exchange, sizeof facts->key_exchange, " key-exchange DHE (%d bits)",
                 EVP_PKEY_get_bits(key));
        break;
    default:
        snprintf(facts->key_exchange, sizeof facts->key_exchange, " key-exchange %s", OBJ_nid2sn(EVP_PKEY_get_id(key)));
    }
    EVP_PKEY_free(key);
}

/* " server-signature ECDSA (P-256) server-digest SHA256", appended. */
static void note_signature(struct tls_facts *facts, const char *side, X509 *certificate, int digest) {
    EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
    size_t used = strlen(facts->signature), room = sizeof facts->signature - used;
    char *at = facts->signature + used, group[40] = "";
    size_t length = 0;
    if (!key) return;
    int id = EVP_PKEY_get_base_id(key);
    if (id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS) {
        snprintf(at, room, " %s-signature RSA-PSS (%d bits)", side, EVP_PKEY_get_bits(key));
    } else if (id == EVP_PKEY_EC) {
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1) group[0] = '\0';
        snprintf(at, room, " %s-signature ECDSA (%s)", side, group_name(OBJ_sn2nid(group)));
    } else {
        snprintf(at, room, " %s-signature %s", side, OBJ_nid2sn(id));
    }
    used = strlen(facts->signature);
    if (digest != NID_undef)
        snprintf(facts->signature + used, sizeof facts->signature - used, " %s-digest %s", side, OBJ_nid2sn(digest));
}

/* Only TLS 1.3: before it the cipher's name has all of this. A resumed session was signed by nobody. */
static void note_algorithms(struct tls_connection *connection, X509 *peer) {
    SSL *ssl = connection->ssl;
    struct tls_facts *facts = &connection->facts;
    int own = NID_undef, theirs = NID_undef;
    if (SSL_version(ssl) < TLS1_3_VERSION) return;
    note_key_exchange(ssl, facts);
    if (facts->reused) return;
    bool signed_here = SSL_get_signature_nid(ssl, &own) == 1;
    bool signed_there = SSL_get_peer_signature_nid(ssl, &theirs) == 1;
    if (connection->server) {
        if (signed_here) note_signature(facts, "server", SSL_get_certificate(ssl), own);
        if (signed_there && peer) note_signature(facts, "client", peer, theirs);
    } else {
        if (signed_there && peer) note_signature(facts, "server", peer, theirs);
        if (signed_here && SSL_get_certificate(ssl)) note_signature(facts, "client", SSL_get_certificate(ssl), own);
    }
}

/* ---- the peer's certificate */

/* The last common name, safe for a line of the log: UTF-8 and controls become "?". */
static void note_common_name(const X509_NAME *name, char *text, size_t size) {
    int at = -1, next;
    uint8_t *utf8 = NULL;
    while ((next = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)name, NID_commonName, at)) >= 0)
        at = next;
    if (at < 0) return;
    int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    for (int i = 0; i < length && (size_t)i + 1 < size; i++) {
        text[i] = utf8[i] >= ' ' && utf8[i] < 0x7f ? (char)utf8[i] : '?';
        text[i + 1] = '\0';
    }
    if (length >= 0) OPENSSL_free(utf8);
}

static void note_fingerprint(struct str digest, const uint8_t *der, int length, char *text, size_t size) {
    char *name = memory_copy_string(digest.length ? digest : STR("sha256"));
    EVP_MD *method = EVP_MD_fetch(NULL, name, NULL);
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned sum_length = 0;
    if (method && length > 0 && EVP_Digest(der, (size_t)length, sum, &sum_length, method, NULL) == 1)
        for (unsigned i = 0; i < sum_length && 3 * (size_t)i + 3 <= size; i++)
            snprintf(text + 3 * i, size - 3 * i, i + 1 < sum_length ? "%02X:" : "%02X", sum[i]);
    EVP_MD_free(method);
    MEMORY_FREE(name);
}

static void note_certificate(struct tls_facts *facts, X509 *certificate, struct str digest) {
    uint8_t *der = NULL;
    facts->has_certificate = true;
    note_common_name(X509_get_subject_name(certificate), facts->subject, sizeof facts->subject);
    note_common_name(X509_get_issuer_name(certificate), facts->issuer, sizeof facts->issuer);
    int length = i2d_X509(certificate, &der);
    note_fingerprint(digest, der, length, facts->fingerprint, sizeof facts->fingerprint);
    OPENSSL_free(der);
    der = NULL;
    length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    note_fingerprint(digest, der, length, facts->public_key_fingerprint, sizeof facts->public_key_fingerprint);
    OPENSSL_free(der);
}

void tls_note_facts(struct tls_connection *connection, struct str digest) {
    struct tls_facts *facts = &connection->facts;
    const SSL *ssl = connection->ssl;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    X509 *peer = SSL_get1_peer_certificate(ssl);
    facts->protocol = SSL_get_version(ssl);
    facts->cipher = SSL_CIPHER_get_name(cipher);
    facts->used_bits = SSL_CIPHER_get_bits(cipher, &facts->total_bits);
    facts->reused = SSL_session_reused(ssl) == 1;
    if (peer) note_certificate(facts, peer, digest);
    note_algorithms(connection, peer);
    X509_free(peer);
    ERR_clear_error();
}

void tls_peer_chain(const struct tls_connection *connection, struct buf *pem) {
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(connection->ssl);
    X509 *own = connection->server ? SSL_get1_peer_certificate(connection->ssl) : NULL; /* a client's is not in it */
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    if (!bio) memory_exhausted(sizeof *pem);
    if (own) PEM_write_bio_X509(bio, own);
    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        PEM_write_bio_X509(bio, sk_X509_value(chain, i));
    long length = BIO_get_mem_data(bio, &text);
    if (length > 0) buf_append_bytes(pem, text, (size_t)length);
    BIO_free(bio);
    X509_free(own);
    ERR_clear_error();
}

/* ---- channel bindings */

/* RFC 5929 section 4.1: the certificate by its own signature's digest, SHA-256 for the old ones; a signature
 * without a digest of its own has no such binding. */
static size_t bind_certificate(X509 *certificate, uint8_t end_point[64]) {
    int digest = NID_undef;
    unsigned length = 0;
    uint8_t sum[EVP_MAX_MD_SIZE];
    if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1 || digest == NID_undef) return 0;
    if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
    const EVP_MD *method = EVP_get_digestbynid(digest);
    if (!method || X509_digest(certificate, method, sum, &length) != 1 || length > 64) return 0;
    memcpy(end_point, sum, length);
    return length;
}

void tls_channel_bindings(const struct tls_connection *connection, uint8_t exporter[32], size_t *exporter_length,
                          uint8_t end_point[64], size_t *end_point_length) {
    static const char label[] = "EXPORTER-Channel-Binding";
    SSL *ssl = connection->ssl;
    *exporter_length = *end_point_length = 0;
    /* RFC 9266 section 4.2: unique only where TLS 1.3, or the extended master secret, makes it so */
    bool unique = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
    if (unique && SSL_export_keying_material(ssl, exporter, 32, label, sizeof label - 1, NULL, 0, 0) == 1)
        *exporter_length = 32;
    const struct tls_context *context = connection->named ? connection->named : connection->context;
    X509 *certificate = NULL;
    if (!connection->server)
        certificate = SSL_get1_peer_certificate(ssl);
    else if (!connection->facts.reused || context->chain_count == 1) { /* of several, the session does not say which */
        certificate = SSL_get_certificate(ssl);
        if (certificate) X509_up_ref(certificate);
    }
    if (certificate) *end_point_length = bind_certificate(certificate, end_point);
    X509_free(certificate);
    ERR_clear_error();
}
