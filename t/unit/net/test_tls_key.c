/* Unit tests of keys that are elsewhere: real handshakes over socket pairs, both sides in tasks,
 * with a signing function that sleeps, fails or is cancelled meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory.h"
#include "task.h"
#include "tls_key.h"

/* ---- certificates made on the spot */

enum kind { RSA_2048, RSA_PSS, P_256, P_384, P_521, ED_25519, ED_448, KINDS };

static const char *const kind_names[] = {"RSA", "RSA-PSS", "P-256", "P-384", "P-521", "Ed25519", "Ed448"};

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct identity identities[KINDS];

static EVP_PKEY *make_key(enum kind kind) {
    static const char *const curves[] = {[P_256] = "P-256", [P_384] = "P-384", [P_521] = "P-521"};
    EVP_PKEY_CTX *context;
    EVP_PKEY *key = NULL;
    if (kind == RSA_2048) return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    if (kind == ED_25519) return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (kind == ED_448) return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    if (kind != RSA_PSS) return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[kind]);
    context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    assert_true(EVP_PKEY_keygen_init(context) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) > 0 &&
                EVP_PKEY_generate(context, &key) > 0);
    EVP_PKEY_CTX_free(context);
    return key;
}

static X509 *make_certificate(EVP_PKEY *key) {
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    assert_true(
        X509_set_version(certificate, 2) && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.example", -1, -1, 0) &&
        X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key));
    bool own_digest = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    assert_true(X509_sign(certificate, key, own_digest ? NULL : EVP_sha256()) > 0);
    /* Parsed anew: what was just made still holds the private half. */
    unsigned char *der = NULL;
    const unsigned char *next;
    int length = i2d_X509(certificate, &der);
    X509_free(certificate);
    next = der;
    certificate = d2i_X509(NULL, &next, length);
    assert_non_null(certificate);
    OPENSSL_free(der);
    return certificate;
}

static int make_identities(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        identities[kind].key = make_key(kind);
        assert_non_null(identities[kind].key);
        identities[kind].certificate = make_certificate(identities[kind].key);
    }
    return 0;
}

static int free_identities(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        EVP_PKEY_free(identities[kind].key);
        X509_free(identities[kind].certificate);
    }
    return 0;
}

/* ---- the function that signs */

enum manner { AT_ONCE, SLEEPS, FAILS, WRONG, TOO_LONG };

struct signer {
    EVP_PKEY *key;
    enum manner manner;
    unsigned calls;
    uint16_t scheme;
    bool cancelled;
    char content[200];
    size_t length;
};

static bool sign(void *context, struct str key_name, uint16_t scheme, struct str content, struct buf *signature,
                 struct failure *failure) {
    struct signer *signer = context;
    uint8_t name[TLS_KEY_NAME_SIZE];
    signer->calls++;
    signer->scheme = scheme;
    signer->length = content.length;
    memcpy(signer->content, content.data, content.length < 200 ? content.length : 200);
    assert_true(tls_key_name(signer->key, name));
    assert_true(str_equal(key_name, str_make((const char *)name, sizeof name)));
    if (signer->manner == SLEEPS && task_sleep(5) == WAIT_CANCELLED) {
        signer->cancelled = true;
        return failure_set(failure, "cancelled");
    }
    /* What other tasks leave in the thread's queue of errors. */
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
    if (signer->manner == FAILS) return failure_set(failure, "keys does not answer");
    if (signer->manner == WRONG) return buf_append(signature, STR("not a signature"));
    if (signer->manner == TOO_LONG) {
        memset(buf_reserve(signature, 1000), 'x', 1000);
        buf_commit(signature, 1000);
        return true;
    }
    return tls_key_sign(signer->key, scheme, content, signature, failure);
}

/* ---- a handshake */

struct side {
    SSL *tls;
    int descriptor;
    bool done, good;
    struct task *task;
    char reason[200];
};

static void shake(void *argument) {
    struct side *side = argument;
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(side->tls);
        int error = SSL_get_error(side->tls, result);
        enum wait_result waited = WAIT_CANCELLED;
        if (result == 1) break;
        if (error == SSL_ERROR_WANT_READ)
            waited = task_wait_readable(side->descriptor, deadline_in(20000));
        else if (error == SSL_ERROR_WANT_WRITE)
            waited = task_wait_writable(side->descriptor, deadline_in(20000));
        else {
            const char *data = NULL;
            ERR_peek_error_data(&data, NULL);
            snprintf(side->reason, sizeof side->reason, "%s", data ? data : "");
        }
        if (waited != WAIT_READY) break;
    }
    side->good = SSL_is_init_finished(side->tls);
    side->done = true;
    task_forget_descriptor(side->descriptor);
    if (!side->good) shutdown(side->descriptor, SHUT_RDWR);
}

struct pair {
    struct signer signer;
    struct side server, client;
    SSL_CTX *server_context, *client_context;
    EVP_PKEY *remote;
};

static void use(SSL_CTX *context, enum kind kind, EVP_PKEY *key) {
    assert_int_equal(SSL_CTX_use_cert_and_key(context, identities[kind].certificate, key, NULL, 1), 1);
    assert_int_equal(SSL_CTX_check_private_key(context), 1);
    assert_int_equal(X509_check_private_key(identities[kind].certificate, key), 1);
}

static void side_open(struct side *side, SSL_CTX *context, int descriptor, const char *name) {
    *side = (struct side){.tls = SSL_new(context), .descriptor = descriptor};
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
    assert_true(SSL_set_fd(side->tls, descriptor));
    assert_true(task_start_held(name, shake, side, &side->task));
}

static int accept_any(int verified, X509_STORE_CTX *store) {
    return (void)verified, (void)store, 1;
}

/* Both contexts by a version; the remote key on the server's side, or on the client's. */
static void pair_open(struct pair *pair, enum kind kind, int version, bool of_client, enum manner manner) {
    struct failure failure = {0};
    int ends[2];
    *pair = (struct pair){.signer = {.key = identities[kind].key, .manner = manner}};
    pair->remote = tls_key_create(identities[kind].certificate, sign, &pair->signer, &failure);
    if (!pair->remote) print_error("%s: %s\n", kind_names[kind], failure.text);
    assert_non_null(pair->remote);
    pair->server_context = SSL_CTX_new(TLS_server_method());
    pair->client_context = SSL_CTX_new(TLS_client_method());
    assert_true(SSL_CTX_set_min_proto_version(pair->server_context, version));
    assert_true(SSL_CTX_set_max_proto_version(pair->server_context, version));
    SSL_CTX_set_verify(pair->client_context, SSL_VERIFY_NONE, NULL);
    if (of_client) {
        use(pair->server_context, P_256, identities[P_256].key);
        use(pair->client_context, kind, pair->remote);
        SSL_CTX_set_verify(pair->server_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    } else {
        use(pair->server_context, kind, pair->remote);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    side_open(&pair->server, pair->server_context, ends[0], "server");
    SSL_set_accept_state(pair->server.tls);
    side_open(&pair->client, pair->client_context, ends[1], "client");
    SSL_set_connect_state(pair->client.tls);
}

static void pair_close(struct pair *pair) {
    SSL_free(pair->server.tls);
    SSL_free(pair->client.tls);
    close(pair->server.descriptor);
    close(pair->client.descriptor);
    task_release(&pair->server.task);
    task_release(&pair->client.task);
    SSL_CTX_free(pair->server_context);
    SSL_CTX_free(pair->client_context);
    EVP_PKEY_free(pair->remote);
}

static void start_loop(void) {
    struct failure failure;
    assert_true(loop_create(NULL, &failure));
}

static const uint16_t scheme_of_1_3[] = {0x0804, 0x0809, 0x0403, 0x0503, 0x0603, 0x0807, 0x0808};

static void test_handshakes(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    start_loop();
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (size_t version = 0; version < 2; version++)
            for (int of_client = 0; of_client < 2; of_client++)
                for (enum manner manner = AT_ONCE; manner <= SLEEPS; manner++) {
                    struct pair pair;
                    pair_open(&pair, kind, versions[version], of_client, manner);
                    loop_run();
                    if (!pair.server.good || !pair.client.good)
                        print_error("%s, version %zu, client %d: %s, %s\n", kind_names[kind], version, of_client,
                                    pair.server.reason, pair.client.reason);
                    assert_true(pair.server.good && pair.client.good);
                    assert_int_equal(pair.signer.calls, 1);
                    if (version == 1) assert_int_equal(pair.signer.scheme, scheme_of_1_3[kind]);
                    if (version == 1) assert_memory_equal(pair.signer.content, "                ", 16);
                    pair_close(&pair);
                }
    loop_destroy();
}

/* Many at a time: while one sleeps in its signature others go on in the same library. */
static void test_interleaved(void **state) {
    struct pair pairs[40];
    (void)state;
    start_loop();
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
        pair_open(&pairs[i], (enum kind)(i % KINDS), i & 1 ? TLS1_2_VERSION : TLS1_3_VERSION, i % 3 == 0,
                  i % 5 == 4 ? FAILS : SLEEPS);
    loop_run();
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        assert_true(pairs[i].server.done && pairs[i].client.done);
        assert_int_equal(pairs[i].server.good && pairs[i].client.good, i % 5 != 4);
        pair_close(&pairs[i]);
    }
    loop_destroy();
}

static void test_failures(void **state) {
    (void)state;
    start_loop();
    for (enum manner manner = FAILS; manner <= TOO_LONG; manner++)
        for (int of_client = 0; of_client < 2; of_client++) {
            struct pair pair;
            pair_open(&pair, P_256, TLS1_3_VERSION, of_client, manner);
            loop_run();
            struct side *signing = of_client ? &pair.client : &pair.server;
            assert_true(pair.server.done && pair.client.done);
            assert_false(pair.server.good);
            if (manner == FAILS) assert_string_equal(signing->reason, "keys does not answer");
            if (manner == TOO_LONG) assert_string_equal(signing->reason, "the signature has 1000 octets");
            pair_close(&pair);
        }
    loop_destroy();
}

static void cancel_when_signing(void *argument) {
    struct pair *pair = argument;
    for (unsigned i = 0; pair->signer.calls == 0 && i < 1000; i++)
        task_yield();
    task_cancel(pair->server.task);
}

static void test_cancelled(void **state) {
    struct pair pair;
    (void)state;
    start_loop();
    pair_open(&pair, RSA_2048, TLS1_3_VERSION, false, SLEEPS);
    assert_true(task_start("cancel", cancel_when_signing, &pair));
    loop_run();
    assert_true(pair.signer.cancelled);
    assert_string_equal(pair.server.reason, "cancelled");
    assert_false(pair.client.good);
    pair_close(&pair);
    loop_destroy();
}

/* ---- what such a key cannot do */

static void test_no_other_use(void **state) {
    (void)state;
    struct signer signer = {.key = identities[RSA_2048].key};
    struct failure failure = {0};
    unsigned char out[600];
    size_t length = sizeof out;
    EVP_PKEY *key = tls_key_create(identities[RSA_2048].certificate, sign, &signer, &failure);
    assert_non_null(key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_true(EVP_PKEY_decrypt_init(context) <= 0);
    assert_true(EVP_PKEY_sign_init(context) <= 0 || EVP_PKEY_sign(context, out, &length, out, 32) <= 0);
    EVP_PKEY_CTX_free(context);
    BIGNUM *number = NULL;
    assert_false(EVP_PKEY_get_bn_param(key, "d", &number));
    assert_true(EVP_PKEY_get_bits(key) == 2048 && EVP_PKEY_get_size(key) == 256);
    assert_int_equal(X509_check_private_key(identities[P_256].certificate, key), 0);
    /* A key of the process's own is none of the provider's. */
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(own)), "default");
    EVP_PKEY_free(own);
    EVP_PKEY_free(key);
    assert_int_equal(signer.calls, 0);
    ERR_clear_error();
}

/* Digest and padding that no scheme stands for are refused before the function is asked. */
static void test_odd_schemes(void **state) {
    static const struct {
        const char *digest;
        int padding, salt;
        uint16_t scheme; /* 0: refused */
    } table[] = {
        {"SHA256", RSA_PKCS1_PADDING, 0, 0x0401},
        {"SHA2-384", RSA_PKCS1_PADDING, 0, 0x0501},
        {"SHA512", RSA_PKCS1_PADDING, 0, 0x0601},
        {"SHA224", RSA_PKCS1_PADDING, 0, 0x0301},
        {"SHA1", RSA_PKCS1_PADDING, 0, 0},
        {"MD5-SHA1", RSA_PKCS1_PADDING, 0, 0},
        {"SHA256", RSA_PKCS1_PSS_PADDING, -1, 0x0804},
        {"SHA256", RSA_PKCS1_PSS_PADDING, 32, 0x0804},
        {"SHA384", RSA_PKCS1_PSS_PADDING, -1, 0x0805},
        {"SHA512", RSA_PKCS1_PSS_PADDING, 64, 0x0806},
        {"SHA256", RSA_PKCS1_PSS_PADDING, 20, 0},
        {"SHA256", RSA_PKCS1_PSS_PADDING, -2, 0},
        {"SHA3-256", RSA_PKCS1_PADDING, 0, 0},
    };
    (void)state;
    struct signer signer = {.key = identities[RSA_2048].key};
    struct failure failure = {0};
    EVP_PKEY *key = tls_key_create(identities[RSA_2048].certificate, sign, &signer, &failure);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        unsigned char out[256];
        size_t length = sizeof out;
        EVP_PKEY_CTX *options;
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        unsigned before = signer.calls;
        bool good = EVP_DigestSignInit_ex(digest, &options, table[i].digest, NULL, NULL, key, NULL) > 0 &&
                    EVP_PKEY_CTX_set_rsa_padding(options, table[i].padding) > 0 &&
                    (table[i].salt == 0 || EVP_PKEY_CTX_set_rsa_pss_saltlen(options, table[i].salt) > 0) &&
                    EVP_DigestSign(digest, out, &length, (const unsigned char *)"x", 1) > 0;
        if (good != (table[i].scheme != 0)) print_error("row %zu\n", i);
        assert_int_equal(good, table[i].scheme != 0);
        assert_int_equal(signer.calls, before + good);
        if (good) assert_int_equal(signer.scheme, table[i].scheme);
        EVP_MD_CTX_free(digest);
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void test_sign_refuses(void **state) {
    struct buf signature = {0};
    struct failure failure = {0};
    (void)state;
    assert_false(tls_key_sign(identities[RSA_2048].key, 0x0403, STR("x"), &signature, &failure));
    assert_string_equal(failure.text, "signature scheme 0x0403 does not fit the key");
    assert_false(tls_key_sign(identities[P_256].key, 0x0807, STR("x"), &signature, &failure));
    assert_false(tls_key_sign(identities[RSA_PSS].key, 0x0401, STR("x"), &signature, &failure));
    assert_false(tls_key_sign(identities[RSA_2048].key, 0x0201, STR("x"), &signature, &failure));
    assert_int_equal(signature.length, 0);
    assert_true(tls_key_sign(identities[P_384].key, 0x0403, STR("x"), &signature, &failure));
    buf_free(&signature);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),   cmocka_unit_test(test_interleaved),  cmocka_unit_test(test_failures),
        cmocka_unit_test(test_cancelled),    cmocka_unit_test(test_no_other_use), cmocka_unit_test(test_odd_schemes),
        cmocka_unit_test(test_sign_refuses),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
