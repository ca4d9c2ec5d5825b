/* Unit tests of TLS: both sides in one process, over socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "memory.h"
#include "task.h"
#include "tls_internal.h"

#define DAY 86400L

/* ---- certificates for all tests */

static struct made_certificate root, stranger, server_ec, server_rsa, other_name, expired, unknown_server, client,
    unknown_client;

static int make_all(void **state) {
    (void)state;
    root = make_certificate("EC", "Test Root", NULL, -DAY, 10 * DAY, NULL, 1);
    stranger = make_certificate("EC", "Stranger", NULL, -DAY, 10 * DAY, NULL, 1);
    server_ec =
        make_certificate("EC", "mx.example.org", "DNS:mx.example.org,DNS:*.wild.example.org", -DAY, DAY, &root, 0);
    server_rsa = make_certificate("RSA", "mx.example.org", "DNS:mx.example.org", -DAY, DAY, &root, 0);
    other_name = make_certificate("EC", "other.example.org", "DNS:other.example.org", -DAY, DAY, &root, 0);
    expired = make_certificate("EC", "mx.example.org", "DNS:mx.example.org", -DAY, -60, &root, 0);
    unknown_server = make_certificate("EC", "mx.example.org", "DNS:mx.example.org", -DAY, DAY, &stranger, 0);
    client = make_certificate("EC", "client \"one\"", NULL, -DAY, DAY, &root, 0);
    unknown_client = make_certificate("EC", "client two", NULL, -DAY, DAY, &stranger, 0);
    buf_append(&server_ec.pem, buf_str(&root.pem));
    return 0;
}

static int free_all(void **state) {
    struct made_certificate *all[] = {&root,    &stranger,       &server_ec, &server_rsa,    &other_name,
                                      &expired, &unknown_server, &client,    &unknown_client};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        free_certificate(all[i]);
    return 0;
}

static struct tls_chain chain_of(struct made_certificate *made) {
    return (struct tls_chain){.pem = buf_str(&made->pem), .staple = STR_EMPTY, .key = made->key};
}

/* ---- two sides */

struct meeting {
    struct tls_server_options server;
    struct tls_client_options client;
    struct tls_client_session session;
    void (*serve)(struct stream *stream, struct meeting *meeting); /* after the handshake; NULL: an echo of lines */
    void (*ask)(struct stream *stream, struct meeting *meeting);
    struct tls_chain server_chains[2], client_chain;
    /* what came of it */
    bool accepted, connected;
    struct failure server_failure, client_failure;
    struct tls_facts server_facts, client_facts;
    struct tls_connection *server_connection, *client_connection;
    struct buf given; /* an exported session */
    int pair[2];
    int waiting; /* sides that have not ended */
    char line[100];
    uint8_t bindings[2][96];
    size_t lengths[2][2];
};

static void note_bindings(struct meeting *meeting, int side, const struct tls_connection *connection) {
    tls_channel_bindings(connection, meeting->bindings[side], &meeting->lengths[side][0], meeting->bindings[side] + 32,
                         &meeting->lengths[side][1]);
}

static void echo(struct stream *stream) {
    struct str line;
    while (stream_read_line(stream, &line) == STREAM_OK)
        if (stream_printf(stream, "%.*s\r\n", STR_ARGS(line)) != STREAM_OK) break;
}

static void run_server(void *argument) {
    struct meeting *meeting = argument;
    struct tls_context *context = tls_server_context(&meeting->server, &meeting->server_failure);
    struct stream *stream = stream_create(meeting->pair[0], 1000);
    if (!context) fail_msg("server context: %s", meeting->server_failure.text);
    stream_set_deadline(stream, deadline_in(10000));
    meeting->accepted = tls_accept(stream, context, &meeting->server_connection, &meeting->server_failure);
    tls_context_release(&context);
    if (meeting->accepted) {
        meeting->server_facts = *tls_connection_facts(meeting->server_connection);
        note_bindings(meeting, 0, meeting->server_connection);
        if (meeting->serve)
            meeting->serve(stream, meeting);
        else
            echo(stream);
    }
    stream_destroy(&stream);
}

static void ask_echo(struct stream *stream, struct meeting *meeting) {
    struct str line;
    if (stream_write(stream, STR("hello\r\n")) != STREAM_OK || stream_read_line(stream, &line) != STREAM_OK) return;
    snprintf(meeting->line, sizeof meeting->line, "%.*s", STR_ARGS(line));
}

static void run_client(void *argument) {
    struct meeting *meeting = argument;
    struct tls_context *context = tls_client_context(&meeting->client, &meeting->client_failure);
    struct stream *stream = stream_create(meeting->pair[1], 1000);
    if (!context) fail_msg("client context: %s", meeting->client_failure.text);
    stream_set_deadline(stream, deadline_in(10000));
    meeting->connected =
        tls_connect(stream, context, &meeting->session, &meeting->client_connection, &meeting->client_failure);
    tls_context_release(&context);
    if (meeting->connected) {
        meeting->client_facts = *tls_connection_facts(meeting->client_connection);
        note_bindings(meeting, 1, meeting->client_connection);
        if (meeting->ask)
            meeting->ask(stream, meeting);
        else
            ask_echo(stream, meeting);
        buf_clear(&meeting->given);
        (void)tls_session_export(meeting->client_connection, &meeting->given);
    }
    stream_destroy(&stream);
}

static struct meeting plain_meeting(void) {
    struct meeting meeting = {.server = {.session_context = STR_INIT("test")}};
    meeting.server_chains[0] = chain_of(&server_ec);
    meeting.server.chain_count = 1;
    meeting.client.roots = buf_str(&root.pem);
    return meeting;
}

static void run_task(const char *name, task_function *function, struct meeting *meeting) {
    if (!task_start(name, function, meeting)) abort();
}

static void prepare(struct meeting *meeting) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, meeting->pair), 0);
    meeting->server.chains = meeting->server_chains;
    if (meeting->client.chain_count) meeting->client.chains = &meeting->client_chain;
    meeting->accepted = meeting->connected = false;
    meeting->line[0] = '\0';
}

static void meet(struct meeting *meeting) {
    struct failure failure;
    prepare(meeting);
    assert_true(loop_create(NULL, &failure));
    run_task("server", run_server, meeting);
    run_task("client", run_client, meeting);
    loop_run();
    loop_destroy();
}

static void must_meet(struct meeting *meeting) {
    meet(meeting);
    if (!meeting->accepted || !meeting->connected)
        fail_msg("server: %s; client: %s", meeting->server_failure.text, meeting->client_failure.text);
    if (!meeting->ask && !meeting->serve) assert_string_equal(meeting->line, "hello");
}

/* ---- the ordinary case */

static void test_both_sides(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    must_meet(&meeting);
    assert_string_equal(meeting.server_facts.protocol, "TLSv1.3");
    assert_string_equal(meeting.server_facts.cipher, "TLS_AES_256_GCM_SHA384");
    assert_int_equal(meeting.server_facts.used_bits, 256);
    assert_int_equal(meeting.server_facts.total_bits, 256);
    assert_string_equal(meeting.server_facts.key_exchange, " key-exchange X25519");
    assert_string_equal(meeting.client_facts.key_exchange, " key-exchange X25519");
    assert_string_equal(meeting.server_facts.signature, " server-signature ECDSA (P-256) server-digest SHA256");
    assert_string_equal(meeting.client_facts.signature, meeting.server_facts.signature);
    assert_false(meeting.server_facts.has_certificate || meeting.server_facts.trusted || meeting.server_facts.reused);
    assert_true(meeting.client_facts.has_certificate && meeting.client_facts.trusted);
    assert_false(meeting.client_facts.matched);
    assert_string_equal(meeting.client_facts.subject, "mx.example.org");
    assert_string_equal(meeting.client_facts.issuer, "Test Root");
    assert_string_equal(meeting.client_facts.reason, "");
    assert_int_equal(strlen(meeting.client_facts.fingerprint), 95);
    buf_free(&meeting.given);
}

/* Postfix's words of each kind of key, exchange and version. */
static void test_words(void **state) {
    static const struct {
        bool rsa;
        const char *protocols, *groups, *exchange, *signature;
    } rows[] = {
        {true, "TLSv1.3", "P-256", " key-exchange ECDHE (P-256)",
         " server-signature RSA-PSS (2048 bits) server-digest SHA256"},
        {true, "TLSv1.3", "P-384", " key-exchange ECDHE (P-384)",
         " server-signature RSA-PSS (2048 bits) server-digest SHA256"},
        {false, "TLSv1.3", "X448", " key-exchange X448", " server-signature ECDSA (P-256) server-digest SHA256"},
        {false, "TLSv1.3", "ffdhe2048", " key-exchange DHE (2048 bits)",
         " server-signature ECDSA (P-256) server-digest SHA256"},
        {false, "TLSv1.2", "X25519:P-256", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = plain_meeting();
        if (rows[i].rsa) meeting.server_chains[0] = chain_of(&server_rsa);
        meeting.server.suite.protocols = str_from(rows[i].protocols);
        meeting.server.suite.groups = meeting.client.suite.groups = str_from(rows[i].groups);
        must_meet(&meeting);
        assert_string_equal(meeting.server_facts.protocol, rows[i].protocols);
        assert_string_equal(meeting.server_facts.key_exchange, rows[i].exchange);
        assert_string_equal(meeting.client_facts.key_exchange, rows[i].exchange);
        assert_string_equal(meeting.server_facts.signature, rows[i].signature);
        assert_string_equal(meeting.client_facts.signature, rows[i].signature);
        buf_free(&meeting.given);
    }
}

static void test_bindings(void **state) {
    static const char *const versions[] = {"TLSv1.3", "TLSv1.2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        struct meeting meeting = plain_meeting();
        uint8_t digest[64];
        unsigned length;
        meeting.server.suite.protocols = str_from(versions[i]);
        must_meet(&meeting);
        assert_int_equal(meeting.lengths[0][0], 32);
        assert_int_equal(meeting.lengths[0][1], 32);
        assert_memory_equal(meeting.lengths[0], meeting.lengths[1], sizeof meeting.lengths[0]);
        assert_memory_equal(meeting.bindings[0], meeting.bindings[1], 64);
        assert_int_equal(X509_digest(server_ec.certificate, EVP_sha256(), digest, &length), 1);
        assert_memory_equal(meeting.bindings[0] + 32, digest, 32);
        buf_free(&meeting.given);
    }
}

static void take_chain(struct stream *stream, struct meeting *meeting) {
    struct buf pem = buf_make(0);
    ask_echo(stream, meeting);
    tls_peer_chain(meeting->client_connection, &pem);
    if (!str_equal(buf_str(&pem), buf_str(&server_ec.pem))) abort();
    buf_free(&pem);
}

static void test_peer_chain(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.ask = take_chain;
    must_meet(&meeting);
    buf_free(&meeting.given);
}

/* RSA and ECDSA side by side: each client gets what it can use. */
static void test_two_keys(void **state) {
    (void)state;
    for (int rsa = 0; rsa < 2; rsa++) {
        struct meeting meeting = plain_meeting();
        meeting.server_chains[1] = chain_of(&server_rsa);
        meeting.server.chain_count = 2;
        meeting.client.suite.protocols = STR("TLSv1.2");
        meeting.client.suite.ciphers = rsa ? STR("aRSA") : STR("aECDSA");
        must_meet(&meeting);
        assert_int_equal(strstr(meeting.client_facts.cipher, rsa ? "RSA" : "ECDSA") != NULL, 1);
        buf_free(&meeting.given);
    }
}

/* ---- whom the client expects */

enum fingerprint_of { OF_NOTHING, OF_CERTIFICATE, OF_KEY, OF_ANOTHER };

static const struct {
    const char *label;
    struct made_certificate *shown;
    enum tls_expectation expect;
    const char *names[2];
    enum fingerprint_of fingerprint;
    uint8_t tlsa[3]; /* usage, selector, matching type; of the shown certificate, of the root for usage 2 */
    bool wrong_tlsa;
    bool trusted, matched;
    const char *result_type;
} expectations[] = {
    {"nothing", &server_ec, TLS_EXPECT_NOTHING, {0}, 0, {0}, false, true, false, ""},
    {"nothing, unknown authority",
     &unknown_server,
     TLS_EXPECT_NOTHING,
     {0},
     0,
     {0},
     false,
     false,
     false,
     "certificate-not-trusted"},
    {"name", &server_ec, TLS_EXPECT_NAME, {"mx.example.org"}, 0, {0}, false, true, true, ""},
    {"name, other case", &server_ec, TLS_EXPECT_NAME, {"MX.Example.ORG"}, 0, {0}, false, true, true, ""},
    {"second name", &server_ec, TLS_EXPECT_NAME, {"example.org", "mx.example.org"}, 0, {0}, false, true, true, ""},
    {"wrong name",
     &server_ec,
     TLS_EXPECT_NAME,
     {"example.org"},
     0,
     {0},
     false,
     true,
     false,
     "certificate-host-mismatch"},
    {"no name", &server_ec, TLS_EXPECT_NAME, {0}, 0, {0}, false, true, false, "certificate-host-mismatch"},
    {"subdomain of", &server_ec, TLS_EXPECT_NAME, {".example.org"}, 0, {0}, false, true, true, ""},
    {"no subdomain of",
     &server_ec,
     TLS_EXPECT_NAME,
     {".mx.example.org"},
     0,
     {0},
     false,
     true,
     false,
     "certificate-host-mismatch"},
    {"wildcard", &server_ec, TLS_EXPECT_NAME, {"a.wild.example.org"}, 0, {0}, false, true, true, ""},
    {"wildcard is one label",
     &server_ec,
     TLS_EXPECT_NAME,
     {"a.b.wild.example.org"},
     0,
     {0},
     false,
     true,
     false,
     "certificate-host-mismatch"},
    {"wildcard is a label",
     &server_ec,
     TLS_EXPECT_NAME,
     {"wild.example.org"},
     0,
     {0},
     false,
     true,
     false,
     "certificate-host-mismatch"},
    {"name, unknown authority",
     &unknown_server,
     TLS_EXPECT_NAME,
     {"mx.example.org"},
     0,
     {0},
     false,
     false,
     false,
     "certificate-not-trusted"},
    {"name, expired",
     &expired,
     TLS_EXPECT_NAME,
     {"mx.example.org"},
     0,
     {0},
     false,
     false,
     false,
     "certificate-expired"},
    {"fingerprint", &unknown_server, TLS_EXPECT_FINGERPRINT, {0}, OF_CERTIFICATE, {0}, false, false, true, ""},
    {"fingerprint of the key", &expired, TLS_EXPECT_FINGERPRINT, {0}, OF_KEY, {0}, false, false, true, ""},
    {"another fingerprint",
     &server_ec,
     TLS_EXPECT_FINGERPRINT,
     {0},
     OF_ANOTHER,
     {0},
     false,
     true,
     false,
     "validation-failure"},
    {"no fingerprint",
     &server_ec,
     TLS_EXPECT_FINGERPRINT,
     {0},
     OF_NOTHING,
     {0},
     false,
     true,
     false,
     "validation-failure"},
    {"DANE 3 1 1", &unknown_server, TLS_EXPECT_DANE, {"mx.example.org"}, 0, {3, 1, 1}, false, true, true, ""},
    {"DANE 3 0 2", &unknown_server, TLS_EXPECT_DANE, {"mx.example.org"}, 0, {3, 0, 2}, false, true, true, ""},
    {"DANE 3 1 0", &unknown_server, TLS_EXPECT_DANE, {"mx.example.org"}, 0, {3, 1, 0}, false, true, true, ""},
    {"DANE 3, another name", &unknown_server, TLS_EXPECT_DANE, {"example.com"}, 0, {3, 1, 1}, false, true, true, ""},
    {"DANE 3, expired", &expired, TLS_EXPECT_DANE, {"mx.example.org"}, 0, {3, 1, 1}, false, true, true, ""},
    {"DANE 3, no match",
     &server_ec,
     TLS_EXPECT_DANE,
     {"mx.example.org"},
     0,
     {3, 1, 1},
     true,
     false,
     false,
     "validation-failure"},
    {"DANE 2 0 1", &server_ec, TLS_EXPECT_DANE, {"mx.example.org"}, 0, {2, 0, 1}, false, true, true, ""},
    {"DANE 2 1 1", &server_ec, TLS_EXPECT_DANE, {"a.example", "mx.example.org"}, 0, {2, 1, 1}, false, true, true, ""},
    {"DANE 2, another name",
     &server_ec,
     TLS_EXPECT_DANE,
     {"example.com"},
     0,
     {2, 0, 1},
     false,
     false,
     false,
     "certificate-host-mismatch"},
    {"DANE 2, no match",
     &server_ec,
     TLS_EXPECT_DANE,
     {"mx.example.org"},
     0,
     {2, 0, 1},
     true,
     false,
     false,
     "validation-failure"},
    {"DANE 1 is not for mail",
     &server_ec,
     TLS_EXPECT_DANE,
     {"mx.example.org"},
     0,
     {1, 1, 1},
     false,
     true,
     false,
     "tlsa-invalid"},
    {"DANE 0 is not for mail",
     &server_ec,
     TLS_EXPECT_DANE,
     {"mx.example.org"},
     0,
     {0, 0, 1},
     false,
     true,
     false,
     "tlsa-invalid"},
    {"DANE of no known kind",
     &server_ec,
     TLS_EXPECT_DANE,
     {"mx.example.org"},
     0,
     {3, 1, 9},
     false,
     true,
     false,
     "tlsa-invalid"},
};

/* The data of a TLSA record. */
static void make_record(struct made_certificate *made, const uint8_t kind[3], struct buf *data) {
    uint8_t *der = NULL, sum[EVP_MAX_MD_SIZE];
    unsigned sum_length;
    int length = kind[1] == 0 ? i2d_X509(made->certificate, &der)
                              : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(made->certificate), &der);
    assert_true(length > 0);
    if (kind[2] == 0) {
        buf_append_bytes(data, der, (size_t)length);
    } else {
        EVP_Digest(der, (size_t)length, sum, &sum_length, kind[2] == 2 ? EVP_sha512() : EVP_sha256(), NULL);
        buf_append_bytes(data, sum, sum_length);
    }
    OPENSSL_free(der);
}

static void make_fingerprint(struct made_certificate *made, enum fingerprint_of what, struct buf *text) {
    struct buf sum = buf_make(0);
    const uint8_t kind[3] = {3, what == OF_KEY, 1};
    make_record(made, kind, &sum);
    for (size_t i = 0; i < sum.length; i++)
        buf_printf(text, i ? ":%02x" : "%02x", (uint8_t)sum.data[i]);
    buf_free(&sum);
}

static void check_expectation(size_t i, struct str session, struct buf *given, bool resumed) {
    struct meeting meeting = plain_meeting();
    struct buf fingerprint = buf_make(0), record = buf_make(0);
    struct made_certificate *shown = expectations[i].shown;
    struct str names[2] = {str_from(expectations[i].names[0]), str_from(expectations[i].names[1])}, text;
    struct tls_tlsa tlsa = {expectations[i].tlsa[0], expectations[i].tlsa[1], expectations[i].tlsa[2], STR_EMPTY};
    meeting.server_chains[0] = chain_of(shown);
    meeting.session.expect = expectations[i].expect;
    meeting.session.names = names;
    meeting.session.name_count = names[1].length ? 2 : names[0].length ? 1 : 0;
    if (expectations[i].fingerprint)
        make_fingerprint(expectations[i].fingerprint == OF_ANOTHER ? &other_name : shown, expectations[i].fingerprint,
                         &fingerprint);
    text = buf_str(&fingerprint);
    meeting.session.fingerprints = &text;
    meeting.session.fingerprint_count = 1;
    make_record(expectations[i].wrong_tlsa ? &other_name
                : tlsa.usage == 2          ? &root
                                           : shown,
                expectations[i].tlsa, &record);
    tlsa.data = buf_str(&record);
    meeting.session.tlsa = &tlsa;
    meeting.session.tlsa_count = expectations[i].expect == TLS_EXPECT_DANE;
    meeting.session.session = session;
    meeting.server.tickets = false;
    must_meet(&meeting);
    struct tls_facts *facts = &meeting.client_facts;
    if (facts->trusted != expectations[i].trusted || facts->matched != expectations[i].matched ||
        strcmp(facts->result_type, expectations[i].result_type) != 0 ||
        (facts->reason[0] != '\0') != (expectations[i].result_type[0] != '\0') || facts->reused != resumed)
        fail_msg("%s: trusted %d, matched %d, reason %s, type %s", expectations[i].label, facts->trusted,
                 facts->matched, facts->reason, facts->result_type);
    if (given) buf_append(given, buf_str(&meeting.given));
    buf_free(&meeting.given);
    buf_free(&fingerprint);
    buf_free(&record);
}

static void test_expectations(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(expectations); i++)
        check_expectation(i, STR_EMPTY, NULL, false);
}

/* ---- sessions */

static struct tls_ticket_key ticket_keys[3];
static size_t ticket_key_count;

static size_t give_ticket_keys(void *context, struct tls_ticket_key *keys, size_t room) {
    (void)context;
    assert_true(room >= ticket_key_count);
    memcpy(keys, ticket_keys, ticket_key_count * sizeof *keys);
    return ticket_key_count;
}

static void fresh_ticket_key(void) {
    static uint8_t number;
    ticket_keys[2] = ticket_keys[1];
    ticket_keys[1] = ticket_keys[0];
    memset(&ticket_keys[0], ++number, sizeof ticket_keys[0]);
    if (ticket_key_count < 3) ticket_key_count++;
}

static struct meeting ticket_meeting(void) {
    struct meeting meeting = plain_meeting();
    meeting.server.tickets = true;
    meeting.server.ticket_keys = give_ticket_keys;
    ticket_key_count = 0;
    fresh_ticket_key();
    return meeting;
}

/* Meets again with what was given before. */
static void again(struct meeting *meeting, bool resumed) {
    struct buf session = meeting->given;
    meeting->given = buf_make(0);
    meeting->session.session = buf_str(&session);
    must_meet(meeting);
    assert_int_equal(meeting->server_facts.reused, resumed);
    assert_int_equal(meeting->client_facts.reused, resumed);
    buf_free(&session);
}

/* Every session resumes, whatever the version, also after the keys have been replaced. */
static void test_resumption(void **state) {
    static const char *const versions[] = {"TLSv1.3", "TLSv1.2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        struct meeting meeting = ticket_meeting();
        meeting.server.suite.protocols = str_from(versions[i]);
        must_meet(&meeting);
        assert_false(meeting.client_facts.reused);
        for (int turn = 0; turn < 6; turn++) {
            if (meeting.given.length == 0) fail_msg("%s: no ticket at turn %d", versions[i], turn);
            struct buf kept = buf_make(0);
            buf_append(&kept, buf_str(&meeting.given));
            again(&meeting, true);
            assert_true(meeting.client_facts.trusted);
            if (turn % 2) fresh_ticket_key();
            if (meeting.given.length == 0) { /* TLS 1.2 goes on with the old one */
                assert_int_equal(i, 1);
                buf_append(&meeting.given, buf_str(&kept));
            }
            buf_free(&kept);
        }
        fresh_ticket_key(), fresh_ticket_key(), fresh_ticket_key();
        again(&meeting, false); /* its key is gone */
        buf_free(&meeting.given);
    }
}

static void test_no_ticket_keys(void **state) {
    static const char *const versions[] = {"TLSv1.3", "TLSv1.2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        struct meeting meeting = ticket_meeting();
        meeting.server.suite.protocols = str_from(versions[i]);
        ticket_key_count = 0;
        must_meet(&meeting);
        assert_int_equal(meeting.given.length, 0);
        buf_free(&meeting.given);
    }
}

/* A session is good for the expectation it was made with, and for no other. */
static void test_session_expectation(void **state) {
    struct str right = STR("mx.example.org"), wrong = STR("example.org");
    struct meeting meeting = ticket_meeting();
    (void)state;
    must_meet(&meeting); /* nothing was expected */
    meeting.session.expect = TLS_EXPECT_NAME;
    meeting.session.names = &right;
    meeting.session.name_count = 1;
    again(&meeting, false);
    assert_true(meeting.client_facts.matched);
    again(&meeting, true);
    assert_true(meeting.client_facts.matched && meeting.client_facts.trusted);
    meeting.session.names = &wrong;
    again(&meeting, false);
    assert_false(meeting.client_facts.matched);
    assert_int_equal(meeting.given.length, 0); /* of one who was not expected nothing is kept */
    buf_free(&meeting.given);
}

static void test_session_context(void **state) {
    struct meeting meeting = ticket_meeting();
    (void)state;
    must_meet(&meeting);
    meeting.server.session_context = STR("another service");
    again(&meeting, false);
    buf_free(&meeting.given);
}

static void test_bad_sessions(void **state) {
    struct meeting meeting = ticket_meeting();
    (void)state;
    must_meet(&meeting);
    for (size_t cut = 0; cut < meeting.given.length; cut += 7) {
        struct meeting next = ticket_meeting();
        struct buf broken = buf_make(0);
        buf_append(&broken, str_slice(buf_str(&meeting.given), 0, cut));
        next.session.session = buf_str(&broken);
        must_meet(&next);
        assert_false(next.client_facts.reused);
        buf_free(&broken);
        buf_free(&next.given);
        cut += 50;
    }
    buf_free(&meeting.given);
}

/* ---- names */

static struct tls_context *named_context;
static char asked_name[100];

static struct tls_context *find_named(void *context, struct str name) {
    (void)context;
    (void)task_sleep(5); /* the task may wait */
    snprintf(asked_name, sizeof asked_name, "%.*s", STR_ARGS(name));
    return str_equal(name, STR("other.example.org")) ? named_context : NULL;
}

static void test_names(void **state) {
    static const struct {
        const char *name, *asked, *subject;
    } rows[] = {
        {"other.example.org", "other.example.org", "other.example.org"},
        {"Other.Example.ORG", "other.example.org", "other.example.org"},
        {"unknown.example.org", "unknown.example.org", "mx.example.org"},
        {"", "", "mx.example.org"},
    };
    static const char *const versions[] = {"TLSv1.3", "TLSv1.2"};
    struct tls_chain chain = chain_of(&other_name);
    struct failure failure;
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = ticket_meeting();
        struct tls_server_options named = meeting.server;
        size_t row = i / 2;
        meeting.server.suite.protocols = named.suite.protocols = str_from(versions[i % 2]);
        named.chains = &chain;
        named.chain_count = 1;
        named_context = tls_server_context(&named, &failure);
        assert_non_null(named_context);
        meeting.server.for_name = find_named;
        meeting.session.server_name = str_from(rows[row].name);
        asked_name[0] = '\0';
        must_meet(&meeting);
        assert_string_equal(asked_name, rows[row].asked);
        assert_string_equal(meeting.client_facts.subject, rows[row].subject);
        assert_string_equal(meeting.server_facts.server_name, rows[row].asked);
        assert_int_equal(meeting.lengths[0][1], 32);
        assert_memory_equal(meeting.bindings[0], meeting.bindings[1], 64);
        again(&meeting, true); /* tickets are the same whatever the name */
        buf_free(&meeting.given);
        tls_context_release(&named_context);
    }
}

/* ---- ALPN */

static void test_alpn(void **state) {
    static const struct {
        const char *server, *client;
        bool good;
    } rows[] = {
        {"smtp", "smtp", true}, {"smtp", "", true}, {"", "h2", true}, {"smtp", "h2", false}, {"smtp", "smtps", false}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = plain_meeting();
        meeting.server.alpn = str_from(rows[i].server);
        meeting.session.alpn = str_from(rows[i].client);
        meet(&meeting);
        assert_int_equal(meeting.accepted, rows[i].good);
        assert_int_equal(meeting.connected, rows[i].good);
        if (!rows[i].good) assert_non_null(strstr(meeting.client_failure.text, "no application protocol"));
        buf_free(&meeting.given);
    }
}

/* ---- client certificates */

static void test_client_certificates(void **state) {
    static const struct {
        enum tls_ask_certificate ask;
        struct made_certificate *shown;
        bool accepted, has, trusted;
    } rows[] = {
        {TLS_ASK_NONE, &client, true, false, false},  {TLS_ASK, NULL, true, false, false},
        {TLS_ASK, &client, true, true, true},         {TLS_ASK, &unknown_client, true, true, false},
        {TLS_ASK, &expired, true, true, false},       {TLS_ASK_REQUIRE, NULL, false, false, false},
        {TLS_ASK_REQUIRE, &client, true, true, true},
    };
    static const char *const versions[] = {"TLSv1.3", "TLSv1.2"};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = ticket_meeting();
        size_t row = i / 2;
        meeting.server.suite.protocols = str_from(versions[i % 2]);
        meeting.server.ask = rows[row].ask;
        meeting.server.client_roots = buf_str(&root.pem);
        if (rows[row].shown) {
            meeting.client_chain = chain_of(rows[row].shown);
            meeting.client.chain_count = 1;
        }
        meet(&meeting);
        if (meeting.accepted != rows[row].accepted) fail_msg("row %zu: %s", row, meeting.server_failure.text);
        if (!meeting.accepted) continue;
        assert_int_equal(meeting.server_facts.has_certificate, rows[row].has);
        assert_int_equal(meeting.server_facts.trusted, rows[row].trusted);
        assert_int_equal(meeting.server_facts.reason[0] != '\0', rows[row].has && !rows[row].trusted);
        again(&meeting, true); /* what is known of the client comes with its session */
        assert_int_equal(meeting.server_facts.has_certificate, rows[row].has);
        assert_int_equal(meeting.server_facts.trusted, rows[row].trusted);
        if (rows[row].shown == &client && rows[row].has) {
            assert_string_equal(meeting.server_facts.subject, "client \"one\"");
            assert_int_equal(strlen(meeting.server_facts.public_key_fingerprint), 95);
        }
        buf_free(&meeting.given);
    }
}

static void test_client_signature(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.server.ask = TLS_ASK;
    meeting.server.fingerprint_digest = STR("sha1");
    meeting.client_chain = chain_of(&client);
    meeting.client.chain_count = 1;
    must_meet(&meeting);
    assert_string_equal(meeting.server_facts.signature, " server-signature ECDSA (P-256) server-digest SHA256"
                                                        " client-signature ECDSA (P-256) client-digest SHA256");
    assert_string_equal(meeting.client_facts.signature, meeting.server_facts.signature);
    assert_int_equal(strlen(meeting.server_facts.fingerprint), 59);
    buf_free(&meeting.given);
}

/* ---- OCSP */

static char stapled[50];

static void look_at_staple(struct stream *stream, struct meeting *meeting) {
    const unsigned char *response;
    ask_echo(stream, meeting);
    long length = SSL_get_tlsext_status_ocsp_resp(meeting->client_connection->ssl, &response);
    snprintf(stapled, sizeof stapled, "%.*s", length > 0 ? (int)length : 0, (const char *)response);
}

static void run_asking_client(void *argument) {
    struct meeting *meeting = argument;
    struct tls_context *context = tls_client_context(&meeting->client, &meeting->client_failure);
    struct stream *stream = stream_create(meeting->pair[1], 1000);
    if (!context) abort();
    SSL_CTX_set_tlsext_status_type(context->ssl, TLSEXT_STATUSTYPE_ocsp);
    stream_set_deadline(stream, deadline_in(10000));
    meeting->connected =
        tls_connect(stream, context, &meeting->session, &meeting->client_connection, &meeting->client_failure);
    if (meeting->connected) look_at_staple(stream, meeting);
    tls_context_release(&context);
    stream_destroy(&stream);
}

static void test_staple(void **state) {
    struct meeting meeting = plain_meeting();
    struct failure failure;
    (void)state;
    meeting.server_chains[0].staple = STR("as if signed by an authority");
    prepare(&meeting);
    assert_true(loop_create(NULL, &failure));
    run_task("server", run_server, &meeting);
    run_task("client", run_asking_client, &meeting);
    loop_run();
    loop_destroy();
    assert_true(meeting.accepted && meeting.connected);
    assert_string_equal(stapled, "as if signed by an authority");
}

/* ---- ends of connections */

static enum stream_result read_result;

static void cut_off(struct stream *stream, struct meeting *meeting) {
    if (stream_printf(stream, "%s", meeting->line) != STREAM_OK || stream_flush(stream) != STREAM_OK) abort();
    meeting->server_connection->unusable = true; /* no close_notify */
}

static void say_and_close(struct stream *stream, struct meeting *meeting) {
    if (stream_printf(stream, "%s", meeting->line) != STREAM_OK || stream_flush(stream) != STREAM_OK) abort();
}

static void read_lines(struct stream *stream, struct meeting *meeting) {
    struct str line;
    (void)meeting;
    while ((read_result = stream_read_line(stream, &line)) == STREAM_OK)
        continue;
}

static void read_content(struct stream *stream, struct meeting *meeting) {
    struct str bytes;
    (void)meeting;
    while ((read_result = stream_read_some(stream, 100, &bytes)) == STREAM_OK)
        continue;
}

static void test_truncation(void **state) {
    static const struct {
        const char *text;
        void (*serve)(struct stream *stream, struct meeting *meeting),
            (*ask)(struct stream *stream, struct meeting *meeting);
        enum stream_result result;
    } rows[] = {
        {"a line\r\n", say_and_close, read_lines, STREAM_EOF},
        {"a line\r\nhalf", say_and_close, read_lines, STREAM_EOF},
        {"a line\r\n", say_and_close, read_content, STREAM_EOF},
        {"a line\r\n", cut_off, read_lines, STREAM_EOF},
        {"a line\r\nhalf", cut_off, read_lines, STREAM_ERROR},
        {"a line\r\n", cut_off, read_content, STREAM_ERROR},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = plain_meeting();
        struct failure failure;
        meeting.serve = rows[i].serve;
        meeting.ask = rows[i].ask;
        prepare(&meeting);
        snprintf(meeting.line, sizeof meeting.line, "%s", rows[i].text);
        assert_true(loop_create(NULL, &failure));
        run_task("server", run_server, &meeting);
        run_task("client", run_client, &meeting);
        loop_run();
        loop_destroy();
        assert_true(meeting.accepted && meeting.connected);
        if (read_result != rows[i].result) fail_msg("row %zu: %d", i, (int)read_result);
        buf_free(&meeting.given);
    }
}

static void end_and_read(struct stream *stream, struct meeting *meeting) {
    if (stream_end_output(stream) != STREAM_OK) abort();
    read_lines(stream, meeting);
}

/* One side says that it has no more; the other may still speak. */
static void test_end_of_output(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.serve = end_and_read;
    must_meet(&meeting);
    assert_int_equal(read_result, STREAM_EOF);
    assert_string_equal(meeting.line, "");
    buf_free(&meeting.given);
}

/* Much in both directions at once. */
enum { MUCH = 3000000 };
static uint64_t received;

static void send_much(struct stream *stream, struct meeting *meeting) {
    char *block = memory_allocate(1, 50000);
    (void)meeting;
    for (size_t sent = 0; sent < MUCH; sent += 50000)
        if (stream_write(stream, str_make(block, 50000)) != STREAM_OK) abort();
    if (stream_end_output(stream) != STREAM_OK) abort();
    MEMORY_FREE(block);
}

static void take_much(struct stream *stream, struct meeting *meeting) {
    struct str bytes;
    (void)meeting;
    received = 0;
    while ((read_result = stream_read_some(stream, 100000, &bytes)) == STREAM_OK)
        received += bytes.length;
}

static void test_much(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.serve = send_much;
    meeting.ask = take_much;
    must_meet(&meeting);
    assert_int_equal(received, MUCH);
    assert_int_equal(read_result, STREAM_EOF);
    buf_free(&meeting.given);
}

/* ---- clients of another kind */

struct rude {
    struct str says;
    bool stays, pending;
    int error; /* of the failure; -1: the library's words */
    const char *words;
};
static const struct rude *rude;

static void be_rude(void *argument) {
    struct meeting *meeting = argument;
    if (rude->says.length && send(meeting->pair[1], rude->says.data, rude->says.length, MSG_NOSIGNAL) < 0) abort();
    if (rude->stays) (void)task_sleep(300);
    close(meeting->pair[1]);
}

static void accept_rude(void *argument) {
    struct meeting *meeting = argument;
    struct failure failure;
    struct tls_context *context = tls_server_context(&meeting->server, &failure);
    struct stream *stream = stream_create(meeting->pair[0], 1000);
    struct str line;
    if (!context) abort();
    stream_set_deadline(stream, deadline_in(150));
    if (rude->pending && stream_read_line(stream, &line) != STREAM_OK) abort();
    meeting->accepted = tls_accept(stream, context, &meeting->server_connection, &meeting->server_failure);
    tls_context_release(&context);
    stream_destroy(&stream);
}

static void test_rude_clients(void **state) {
    static const struct rude rows[] = {
        {STR_INIT("EHLO me\r\nMAIL FROM:<>\r\n"), true, false, 0, "SSL routines"},
        {STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), true, false, 0, "http request"},
        {STR_INIT("\x16\x03\x01\xff\xff"), true, false, 0, "SSL routines"},
        {STR_INIT("\x16\x03\x01\0\x05\x01\xff\xff\xff\xff"), true, false, 0, "SSL routines"},
        {STR_INIT("\x16\x03\x01\0\x05"), true, false, ETIMEDOUT, "timed out"},
        {STR_INIT(""), true, false, ETIMEDOUT, "timed out"},
        {STR_INIT(""), false, false, ECONNRESET, "reset"},
        {STR_INIT("\x16\x03\x01"), false, false, ECONNRESET, "reset"},
        {STR_INIT("STARTTLS\r\nMAIL FROM:<>\r\n"), true, true, 0, "before the TLS handshake"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = plain_meeting();
        struct failure failure;
        rude = &rows[i];
        prepare(&meeting);
        assert_true(loop_create(NULL, &failure));
        run_task("server", accept_rude, &meeting);
        run_task("client", be_rude, &meeting);
        loop_run();
        loop_destroy();
        assert_false(meeting.accepted);
        if (meeting.server_failure.error_number != rows[i].error || !strstr(meeting.server_failure.text, rows[i].words))
            fail_msg("row %zu: %d %s", i, meeting.server_failure.error_number, meeting.server_failure.text);
    }
}

static void test_versions(void **state) {
    static const struct {
        const char *server, *client;
        bool good;
    } rows[] = {
        {">=TLSv1.2", "TLSv1.1", false}, {">=TLSv1.2", "TLSv1.2", true}, {">=TLSv1.3", "TLSv1.2", false},
        {"!TLSv1.3", "TLSv1.3", false},  {">=TLSv1", "TLSv1.1", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct meeting meeting = plain_meeting();
        meeting.server.suite.protocols = str_from(rows[i].server);
        meeting.client.suite.protocols = str_from(rows[i].client);
        meeting.server.suite.ciphers = meeting.client.suite.ciphers = STR("ALL:@SECLEVEL=0");
        meet(&meeting);
        if (meeting.accepted != rows[i].good || meeting.connected != rows[i].good)
            fail_msg("row %zu: %s; %s", i, meeting.server_failure.text, meeting.client_failure.text);
        if (!rows[i].good) assert_int_equal(meeting.server_failure.error_number, 0);
        buf_free(&meeting.given);
    }
}

static void renegotiate(struct stream *stream, struct meeting *meeting) {
    SSL *ssl = meeting->client_connection->ssl;
    ask_echo(stream, meeting);
    SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
    if (SSL_renegotiate(ssl) != 1) abort();
    meeting->line[0] = '\0';
    ask_echo(stream, meeting);
}

static void test_no_renegotiation(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.server.suite.protocols = STR("TLSv1.2");
    meeting.ask = renegotiate;
    must_meet(&meeting);
    assert_string_equal(meeting.line, ""); /* the server said no_renegotiation, or nothing */
    buf_free(&meeting.given);
}

/* ---- a peer that has plenty of records without content: one read takes only so much of it */

enum { UPDATES = 6000, ENOUGH = 80000 };
static int left_in_socket;

/* Into memory first, so that the socket gets them in large pieces. */
static void flood(struct stream *stream, struct meeting *meeting) {
    SSL *ssl = meeting->client_connection->ssl;
    BIO *memory = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(ssl);
    char *data;
    if (!memory || !BIO_up_ref(socket)) abort();
    SSL_set0_wbio(ssl, memory);
    for (int i = 0; i < UPDATES; i++)
        if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1) abort();
    long length = BIO_get_mem_data(memory, &data), sent = 0;
    while (sent < length) {
        ssize_t more = send(meeting->pair[1], data + sent, (size_t)(length - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (more > 0) sent += more;
        if (more < 0 && (errno != EAGAIN || stream_wait(stream, true) != STREAM_OK)) abort();
    }
    SSL_set0_wbio(ssl, socket);
    ask_echo(stream, meeting);
}

static void read_flood(struct stream *stream, struct meeting *meeting) {
    int waiting = 0;
    for (int turn = 0; waiting < ENOUGH && turn < 5000; turn++) {
        (void)task_sleep(1);
        if (ioctl(meeting->pair[0], FIONREAD, &waiting) < 0) abort();
    }
    if (stream_readable_now(stream) || ioctl(meeting->pair[0], FIONREAD, &left_in_socket) < 0) abort();
    echo(stream);
}

static void test_key_updates(void **state) {
    struct meeting meeting = plain_meeting();
    (void)state;
    meeting.serve = read_flood;
    meeting.ask = flood;
    left_in_socket = 0;
    must_meet(&meeting);
    assert_true(left_in_socket > 0);
    assert_string_equal(meeting.line, "hello");
    buf_free(&meeting.given);
}

/* ---- options that are wrong */

static void test_bad_options(void **state) {
    struct meeting meeting = plain_meeting();
    struct tls_chain mixed = {.pem = buf_str(&server_ec.pem), .staple = STR_EMPTY, .key = other_name.key};
    const struct {
        struct tls_server_options options;
        const char *words;
    } rows[] = {
        {{.suite = {.protocols = STR_INIT("TLSv7")}}, "TLSv7"},
        {{.suite = {.ciphers = STR_INIT("NONSENSE")}}, "ciphers"},
        {{.suite = {.ciphersuites = STR_INIT("NONSENSE")}}, "TLS 1.3 ciphers"},
        {{.suite = {.groups = STR_INIT("NONSENSE")}}, "groups"},
        {{.client_roots = STR_INIT("nothing")}, "authorities: there is no certificate"},
        {{.client_roots = STR_INIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
         "authorities: certificate"},
        {{.chains = &mixed, .chain_count = 1}, "certificate and key"},
    };
    (void)state;
    (void)meeting;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct failure failure = {0};
        assert_null(tls_server_context(&rows[i].options, &failure));
        if (!strstr(failure.text, rows[i].words)) fail_msg("row %zu: %s", i, failure.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bindings),
        cmocka_unit_test(test_peer_chain),
        cmocka_unit_test(test_two_keys),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_no_ticket_keys),
        cmocka_unit_test(test_session_expectation),
        cmocka_unit_test(test_session_context),
        cmocka_unit_test(test_bad_sessions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_client_signature),
        cmocka_unit_test(test_staple),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_end_of_output),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_rude_clients),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_no_renegotiation),
        cmocka_unit_test(test_key_updates),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
