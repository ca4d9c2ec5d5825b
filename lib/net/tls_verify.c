/* tls_verify: whether the one at the other end is the one expected.
 *
 * OpenSSL builds and checks the chain during the handshake, by roots or TLSA records
 * (RFC 6698, RFC 7671), and the handshake goes on whatever comes out. What it means
 * is decided here: names as RFC 9525 section 6 has them (a wildcard is the whole left
 * label), fingerprints, DANE for SMTP by RFC 7672 (usages 2 and 3 only; names and
 * dates do not count for usage 3). */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "memory.h"
#include "tls_internal.h"

enum { USAGE_ANCHOR = 2, USAGE_END = 3, RECORDS_MAX = 100 };
#define NAME_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

/* ---- before the handshake */

static bool add_name(SSL *ssl, struct str name) {
    char *text = memory_copy_string(name);
    bool added = SSL_add1_host(ssl, text) == 1;
    MEMORY_FREE(text);
    return added;
}

/* A record that the library cannot use is passed over; that none can be used shows by the count of usable ones. */
static unsigned add_records(SSL *ssl, const struct tls_client_session *session) {
    unsigned usable = 0;
    for (size_t i = 0; i < session->tlsa_count && i < RECORDS_MAX; i++) {
        const struct tls_tlsa *record = &session->tlsa[i];
        if (record->usage != USAGE_ANCHOR && record->usage != USAGE_END) continue; /* RFC 7672 section 3.1.3 */
        if (SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
                              (const uint8_t *)record->data.data, record->data.length) == 1)
            usable++;
        ERR_clear_error();
    }
    return usable;
}

static bool expect_dane(struct tls_connection *connection, const struct tls_client_session *session,
                        struct failure *failure) {
    struct str base = session->name_count ? session->names[0] : session->server_name;
    SSL *ssl = connection->ssl;
    char *text = memory_copy_string(base);
    bool enabled = SSL_dane_enable(ssl, text) > 0;
    MEMORY_FREE(text);
    if (!enabled) return tls_library_failed(failure, "DANE");
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_set_hostflags(ssl, NAME_FLAGS);
    for (size_t i = 1; i < session->name_count; i++)
        if (!add_name(ssl, session->names[i])) return tls_library_failed(failure, "name to expect");
    if (add_records(ssl, session) == 0) {
        snprintf(connection->facts.reason, sizeof connection->facts.reason, "no usable TLSA records");
        snprintf(connection->facts.result_type, sizeof connection->facts.result_type, "tlsa-invalid");
    }
    return true;
}

bool tls_expect(struct tls_connection *connection, const struct tls_client_session *session, struct failure *failure) {
    if (session->expect == TLS_EXPECT_DANE) return expect_dane(connection, session, failure);
    return true;
}

/* ---- what a judgement depends on */

static void add_text(EVP_MD_CTX *digest, struct str text) {
    uint64_t length = text.length;
    EVP_DigestUpdate(digest, &length, sizeof length);
    EVP_DigestUpdate(digest, text.data, text.length);
}

static int compare_digests(const void *a, const void *b) {
    return memcmp(a, b, 32);
}

/* Records come in another order each time they are asked for. */
static void add_sorted_records(EVP_MD_CTX *digest, const struct tls_client_session *session) {
    size_t count = session->tlsa_count < RECORDS_MAX ? session->tlsa_count : RECORDS_MAX;
    uint8_t(*sums)[32] = memory_allocate(count + 1, sizeof *sums);
    EVP_MD_CTX *one = EVP_MD_CTX_new();
    for (size_t i = 0; one && i < count; i++) {
        const struct tls_tlsa *record = &session->tlsa[i];
        const uint8_t head[3] = {record->usage, record->selector, record->matching};
        EVP_DigestInit_ex(one, EVP_sha256(), NULL);
        EVP_DigestUpdate(one, head, sizeof head);
        EVP_DigestUpdate(one, record->data.data, record->data.length);
        EVP_DigestFinal_ex(one, sums[i], NULL);
    }
    EVP_MD_CTX_free(one);
    qsort(sums, count, sizeof *sums, compare_digests);
    add_text(digest, str_make((const char *)sums, count * sizeof *sums));
    MEMORY_FREE(sums);
}

void tls_wish(const struct tls_client_session *session, uint8_t wish[32]) {
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    char kind = (char)session->expect;
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) memory_exhausted(sizeof *session);
    add_text(digest, str_make(&kind, 1));
    add_text(digest, session->server_name);
    for (size_t i = 0; i < session->name_count; i++)
        add_text(digest, session->names[i]);
    add_text(digest, session->fingerprint_digest);
    for (size_t i = 0; i < session->fingerprint_count; i++)
        add_text(digest, session->fingerprints[i]);
    add_sorted_records(digest, session);
    EVP_DigestFinal_ex(digest, wish, NULL);
    EVP_MD_CTX_free(digest);
}

/* ---- afterwards */

static const char *result_type_of(long result) {
    switch (result) {
    case X509_V_OK:
        return "";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return "certificate-expired";
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return "certificate-host-mismatch";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return "certificate-not-trusted";
    default:
        return "validation-failure";
    }
}

static void note_trouble(struct tls_facts *facts, const char *reason, const char *type) {
    snprintf(facts->reason, sizeof facts->reason, "%s", reason);
    snprintf(facts->result_type, sizeof facts->result_type, "%s", type);
}

static void note_result(struct tls_facts *facts, long result) {
    if (!facts->has_certificate)
        note_trouble(facts, "no certificate was shown", "validation-failure");
    else if (result != X509_V_OK)
        note_trouble(facts, X509_verify_cert_error_string(result), result_type_of(result));
    else
        note_trouble(facts, "", "");
}

static bool bears_name(const struct tls_connection *connection, const struct tls_client_session *session) {
    X509 *certificate = SSL_get1_peer_certificate(connection->ssl);
    bool found = false;
    for (size_t i = 0; certificate && i < session->name_count && !found; i++) {
        struct str name = session->names[i];
        found = name.length > 0 && X509_check_host(certificate, name.data, name.length, NAME_FLAGS, NULL) == 1;
    }
    X509_free(certificate);
    ERR_clear_error();
    return found;
}

static bool has_fingerprint(const struct tls_facts *facts, const struct tls_client_session *session) {
    for (size_t i = 0; i < session->fingerprint_count; i++) {
        struct str wanted = session->fingerprints[i];
        if (wanted.length == 0) continue;
        if (str_equal_nocase(wanted, str_from(facts->fingerprint)) ||
            str_equal_nocase(wanted, str_from(facts->public_key_fingerprint)))
            return true;
    }
    return false;
}

static void judge_name(struct tls_connection *connection, const struct tls_client_session *session) {
    struct tls_facts *facts = &connection->facts;
    facts->matched = facts->trusted && bears_name(connection, session);
    if (facts->trusted && !facts->matched)
        note_trouble(facts, X509_verify_cert_error_string(X509_V_ERR_HOSTNAME_MISMATCH),
                     result_type_of(X509_V_ERR_HOSTNAME_MISMATCH));
}

static void judge_dane(struct tls_connection *connection, bool usable) {
    struct tls_facts *facts = &connection->facts;
    if (!usable) {
        facts->matched = false;
        note_trouble(facts, "no usable TLSA records", "tlsa-invalid");
        return;
    }
    facts->matched = facts->trusted && SSL_get0_dane_authority(connection->ssl, NULL, NULL) >= 0;
    facts->trusted = facts->matched;
    if (!facts->matched && !facts->reason[0])
        note_trouble(facts, X509_verify_cert_error_string(X509_V_ERR_DANE_NO_MATCH), "validation-failure");
}

void tls_judge(struct tls_connection *connection, const struct tls_client_session *session, bool carried) {
    struct tls_facts *facts = &connection->facts;
    bool usable = strcmp(facts->result_type, "tlsa-invalid") != 0;
    long result = SSL_get_verify_result(connection->ssl);
    connection->as_wished = true;
    if (carried) { /* what the session's first connection found; the library kept its words */
        note_result(facts, facts->trusted || facts->matched ? X509_V_OK : result);
        return;
    }
    facts->trusted = facts->has_certificate && result == X509_V_OK;
    facts->matched = false;
    note_result(facts, result);
    switch (session->expect) {
    case TLS_EXPECT_NOTHING:
        return;
    case TLS_EXPECT_NAME:
        judge_name(connection, session);
        break;
    case TLS_EXPECT_FINGERPRINT:
        facts->matched = facts->has_certificate && has_fingerprint(facts, session);
        if (facts->matched)
            note_trouble(facts, "", "");
        else
            note_trouble(facts, "fingerprint mismatch", "validation-failure");
        break;
    case TLS_EXPECT_DANE:
        judge_dane(connection, usable);
        break;
    }
    connection->as_wished = facts->matched;
}

void tls_judge_client(struct tls_connection *connection) {
    struct tls_facts *facts = &connection->facts;
    long result = SSL_get_verify_result(connection->ssl);
    facts->trusted = facts->matched = facts->has_certificate && result == X509_V_OK;
    if (facts->has_certificate) note_result(facts, result);
}
