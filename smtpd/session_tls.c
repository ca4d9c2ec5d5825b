/* session_tls: TLS of a session: whether it can be had, the handshake, and what is forgotten
 * after it (RFC 3207). The certificates come from keys, which alone has their private keys. */
#include "keys.h"
#include "log.h"
#include "log_text.h"
#include "received.h"
#include "smtpd.h"
#include "tls_roots.h"
#include "tls_suite.h"
#include <errno.h>

#define KEYS_TIME      30000 /* ms: most time an answer of keys may take */
#define COMPLAINT_TIME 60000 /* ms between two warnings that there is no certificate */

/* ---- before the sandbox: settings, authorities */

static enum smtpd_tls_use configured_use(const struct config *config) {
    if (config->smtpd_tls_wrappermode) return SMTPD_TLS_REQUIRED;
    if (config->smtpd_tls_security_level.length) {
        if (str_equal(config->smtpd_tls_security_level, STR("encrypt"))) return SMTPD_TLS_REQUIRED;
        return str_equal(config->smtpd_tls_security_level, STR("may")) ? SMTPD_TLS_OFFERED : SMTPD_TLS_UNUSED;
    }
    if (config->smtpd_enforce_tls) return SMTPD_TLS_REQUIRED;
    return config->smtpd_use_tls ? SMTPD_TLS_OFFERED : SMTPD_TLS_UNUSED;
}

static bool has_certificate(const struct config *config) {
    const struct str files[] = {config->smtpd_tls_chain_files, config->smtpd_tls_cert_file,
                                config->smtpd_tls_eccert_file, config->smtpd_tls_dcert_file,
                                config->tls_server_sni_maps};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (files[i].length && !str_equal(files[i], STR("none"))) return true;
    return false;
}

static void read_roots(struct smtpd *smtpd, bool (*read)(const char *path, struct buf *roots, struct failure *failure),
                       struct str path) {
    struct failure failure = {0};
    char *text = memory_copy_string(path);
    if (*text && !read(text, &smtpd->tls_roots, &failure))
        log_warning("%s: certificates of authorities are not all read from there", failure.text);
    MEMORY_FREE(text);
}

static bool read_suite(struct smtpd *smtpd, struct tls_suite_options *suite, struct failure *failure) {
    const struct config *config = smtpd->config;
    bool required = smtpd->tls_use == SMTPD_TLS_REQUIRED;
    struct buf excluded = buf_make(0);
    /* keys signs and does nothing else: a client cannot have RSA decrypt its secret */
    buf_printf(&excluded, "kRSA aNULL %.*s", STR_ARGS(config->smtpd_tls_exclude_ciphers));
    if (required) buf_printf(&excluded, " %.*s", STR_ARGS(config->smtpd_tls_mandatory_exclude_ciphers));
    bool good = tls_suite_read(config, required ? config->smtpd_tls_mandatory_protocols : config->smtpd_tls_protocols,
                               required ? config->smtpd_tls_mandatory_ciphers : config->smtpd_tls_ciphers,
                               buf_str(&excluded), smtpd->arena, suite, failure);
    suite->prefer_server_order = config->tls_preempt_cipherlist;
    buf_free(&excluded);
    return good;
}

/* A mistake in the settings is found here, and not by the first client. */
static bool try_options(const struct tls_server_options *options, struct failure *failure) {
    struct tls_context *context = tls_server_context(options, failure);
    if (!context) return false;
    tls_context_release(&context);
    return true;
}

bool session_tls_prepare(struct smtpd *smtpd, struct failure *failure) {
    const struct config *config = smtpd->config;
    struct tls_server_options *options = &smtpd->tls_options;
    smtpd->tls_use = configured_use(config);
    if (smtpd->tls_use == SMTPD_TLS_UNUSED) return true;
    if (!has_certificate(config)) log_warning("No server certs available. TLS won't be enabled");
    smtpd->tls_roots = buf_make(TLS_ROOTS_MAX);
    bool ask = config->smtpd_tls_ask_ccert || config->smtpd_tls_req_ccert;
    if (ask) read_roots(smtpd, tls_roots_add_file, config->smtpd_tls_CAfile);
    if (ask) read_roots(smtpd, tls_roots_add_directory, config->smtpd_tls_CApath);
    if (ask && config->tls_append_default_CA) read_roots(smtpd, tls_roots_add_file, STR(TLS_ROOTS_SYSTEM));
    *options = (struct tls_server_options){
        .ask = ask ? TLS_ASK : TLS_ASK_NONE,
        .fingerprint_digest = config->smtpd_tls_fingerprint_digest,
        .client_roots = buf_str(&smtpd->tls_roots),
        .verify_depth = (int)config->smtpd_tls_ccert_verifydepth,
        .session_context = STR("smtpd"),
        .alpn = STR("smtp"),
        .tickets = true,
        .session_lifetime = config->smtpd_tls_session_cache_timeout,
    };
    if (read_suite(smtpd, &options->suite, failure) && try_options(options, failure)) return true;
    return failure_prefix(failure, "TLS");
}

void session_tls_start(struct smtpd *smtpd) {
    if (smtpd->tls_use == SMTPD_TLS_UNUSED || !has_certificate(smtpd->config)) return;
    smtpd->keys = keys_pool_create(smtpd->service, &smtpd->tls_options);
}

/* ---- whether it can be had */

static struct tls_context *take_context(struct smtpd *smtpd) {
    struct failure failure = {0};
    struct tls_context *context = NULL;
    if (!smtpd->keys) return NULL;
    context = keys_pool_context(smtpd->keys, deadline_in(KEYS_TIME), &failure);
    if (!context && deadline_left(smtpd->tls_complaint) == 0) {
        log_warning("TLS is not available: %s", failure.text);
        smtpd->tls_complaint = deadline_in(COMPLAINT_TIME);
    }
    return context;
}

bool session_tls_offered(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    if (session->tls || smtpd->tls_use == SMTPD_TLS_UNUSED) return false;
    struct tls_context *context = take_context(smtpd);
    bool possible = context != NULL;
    tls_context_release(&context);
    return possible;
}

bool session_needs_tls(const struct session *session) {
    return session->smtpd->tls_use == SMTPD_TLS_REQUIRED && !session->tls;
}

/* ---- the log, in Postfix's words */

static void log_failure(const struct session *session, const struct failure *failure) {
    struct str label = session->client.label;
    if (failure->error_number == ECANCELED) return;
    if (failure->error_number == ECONNRESET || failure->error_number == EPIPE) {
        log_info("SSL_accept error from %.*s: lost connection", STR_ARGS(label));
    } else if (failure->error_number) {
        log_info("SSL_accept error from %.*s: %s", STR_ARGS(label), strerror(failure->error_number));
    } else {
        log_info("SSL_accept error from %.*s: -1", STR_ARGS(label));
        log_warning("TLS library problem: %s", failure->text);
    }
}

static void log_certificate(const struct session *session, const struct tls_facts *facts) {
    char subject[256], issuer[256];
    log_text(subject, sizeof subject, str_from(facts->subject));
    log_text(issuer, sizeof issuer, str_from(facts->issuer));
    if (!facts->trusted)
        log_info("certificate verification failed for %.*s: %s", STR_ARGS(session->client.label), facts->reason);
    if (session->smtpd->config->smtpd_tls_loglevel >= 2)
        log_info("%.*s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, pkey_fingerprint=%s",
                 STR_ARGS(session->client.label), subject, issuer, facts->fingerprint, facts->public_key_fingerprint);
}

static void log_success(const struct session *session, const struct tls_facts *facts) {
    int64_t level = session->smtpd->config->smtpd_tls_loglevel;
    if (level < 1) return;
    if (level >= 2 && facts->reused) log_info("%.*s: Reusing old session", STR_ARGS(session->client.label));
    if (facts->has_certificate) log_certificate(session, facts);
    log_info("%s TLS connection established from %.*s%s%s: %s with cipher %s (%d/%d bits)%s%s",
             !facts->has_certificate ? "Anonymous"
             : facts->trusted        ? "Trusted"
                                     : "Untrusted",
             STR_ARGS(session->client.label), facts->server_name[0] ? " to " : "", facts->server_name, facts->protocol,
             facts->cipher, facts->used_bits, facts->total_bits, facts->key_exchange, facts->signature);
}

/* ---- the handshake */

/* Whatever the client said before was said to anybody: RFC 3207 section 4.2. What an
 * XCLIENT said, too. False: over a limit under its own name, the client has been told. */
static bool forget_plaintext(struct session *session) {
    session_reset(session);
    buf_clear(&session->helo);
    session->extended = false;
    session->greeting = SESSION_NEW;
    session->junk = 0; /* its second EHLO is no waste */
    session->client.login = session->client.login_method = STR_EMPTY;
    buf_clear(&session->mechanisms);
    if (!session->claimed) return true;
    session->claimed = false;
    return session_identify(session);
}

static bool is_admitted(struct session *session, const struct tls_facts *facts) {
    const struct config *config = session->smtpd->config;
    uint64_t count = 0;
    if (!facts->reused && !limits_count(session->smtpd->limits, session->rate_key, LIMITED_TLS, &count)) {
        limits_log(session, "New TLS session rate", count);
        return reply(session, 421, "4.7.0", "%.*s Error: too many new TLS sessions from %.*s",
                     STR_ARGS(config->myhostname), STR_ARGS(session->client.address));
    }
    if (!config->smtpd_tls_req_ccert || session->smtpd->tls_use != SMTPD_TLS_REQUIRED || facts->trusted) return true;
    log_info("NOQUEUE: abort: TLS from %.*s: %s", STR_ARGS(session->client.label),
             facts->has_certificate ? "Client certificate not trusted" : "Client did not present a certificate");
    return reply(session, 421, "4.7.1", "%.*s Error: %s", STR_ARGS(config->myhostname),
                 facts->has_certificate ? "Client certificate not trusted" : "Client did not present a certificate");
}

static bool shake_hands(struct session *session, struct tls_context *context) {
    const struct config *config = session->smtpd->config;
    struct failure failure = {0};
    deadline until = deadline_in(config->smtpd_starttls_timeout * 1000);
    stream_set_deadline(session->stream, until < session->ends ? until : session->ends);
    if (config->smtpd_tls_loglevel >= 2)
        log_info("setting up TLS connection from %.*s", STR_ARGS(session->client.label));
    session_enter_waiting(session);
    bool good = tls_accept(session->stream, context, &session->tls, &failure);
    session_leave_waiting(session);
    if (good) return true;
    log_failure(session, &failure);
    if (failure.error_number == ECONNRESET || failure.error_number == EPIPE)
        log_info("lost connection after %s from %.*s", session->where, STR_ARGS(session->client.label));
    session->closing = session->connection_lost = true; /* there is no language left to say so */
    return false;
}

bool session_start_tls(struct session *session, bool (*ready)(struct session *session)) {
    struct tls_context *context = take_context(session->smtpd);
    if (!context) return reply(session, 454, "4.7.0", "TLS not available due to local problem");
    bool good = ready(session) && !session->connection_lost && shake_hands(session, context);
    tls_context_release(&context);
    if (!good) return false;
    const struct tls_facts *facts = tls_connection_facts(session->tls);
    bool own_name = forget_plaintext(session);
    log_success(session, facts);
    if (own_name && is_admitted(session, facts)) return true;
    session->closing = true;
    return false;
}

/* ---- what the Received: line says of it */

void session_tls_trace(const struct session *session, struct buf *cipher, struct buf *details,
                       struct received *received) {
    if (!session->tls || !session->smtpd->config->smtpd_tls_received_header) return;
    const struct tls_facts *facts = tls_connection_facts(session->tls);
    buf_printf(cipher, "%s (%d/%d bits)", facts->cipher, facts->used_bits, facts->total_bits);
    buf_printf(details, "%s%s", facts->key_exchange, facts->signature);
    received->tls_protocol = str_from(facts->protocol);
    received->tls_cipher = buf_str(cipher);
    received->tls_details = buf_str(details);
    received->tls_subject = str_from(facts->subject);
    received->tls_issuer = str_from(facts->issuer);
    if (facts->has_certificate)
        received->tls_client = facts->trusted ? RECEIVED_CLIENT_VERIFIED : RECEIVED_CLIENT_UNVERIFIED;
    else
        received->tls_client =
            session->smtpd->tls_options.ask == TLS_ASK_NONE ? RECEIVED_CLIENT_UNASKED : RECEIVED_CLIENT_SILENT;
}
