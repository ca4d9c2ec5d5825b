/* Who the client is, what follows from that, and the greeting to it. */
#include "log.h"
#include "log_text.h"
#include "smtpd.h"

#define NAME_LOOKUP_TIME 30000

static struct str keep(struct arena *arena, struct str text, size_t most) {
    struct buf safe = buf_make(0);
    struct str copy;
    log_text_append(&safe, str_slice(text, 0, most), 0);
    if (!arena_copy(arena, str_slice(buf_str(&safe), 0, most), &copy)) copy = STR_EMPTY;
    buf_free(&safe);
    return copy;
}

/* The client's own copy of all texts, and its label. */
static void copy_client(struct session *session, const struct client *from) {
    struct client client = *from;
    struct buf label = buf_make(0);
    client.arena = arena_create(65536);
    client.name = keep(client.arena, from->name, 250);
    client.reverse_name = keep(client.arena, from->reverse_name, 250);
    client.address = keep(client.arena, from->address, 60);
    client.login = keep(client.arena, from->login, 250);
    client.login_method = keep(client.arena, from->login_method, 32);
    buf_printf(&label, "%.*s[%.*s]", STR_ARGS(client.name), STR_ARGS(client.address));
    if (session->smtpd->config->smtpd_client_port_logging) buf_printf(&label, ":%u", client.port);
    client.label = keep(client.arena, buf_str(&label), 330);
    buf_free(&label);
    arena_destroy(&session->client.arena);
    session->client = client;
}

/* local_header_rewrite_clients: whose header is completed. */
static bool rewrites_headers(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str word, rest = smtpd->config->local_header_rewrite_clients, address, addresses = smtpd->own_addresses;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        if (str_equal_nocase(word, STR("permit_mynetworks")) &&
            host_list_match(&smtpd->networks, smtpd->resolve, STR_EMPTY, session->client.address) == MATCH_YES)
            return true;
        if (str_equal_nocase(word, STR("permit_sasl_authenticated")) && session->client.login.length) return true;
        if (!str_equal_nocase(word, STR("permit_inet_interfaces"))) continue;
        while (str_next_word(&addresses, " ", &address))
            if (str_equal(address, session->client.address)) return true;
    }
    return false;
}

static void discard_extensions(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str value;
    struct arena *arena;
    struct failure failure;
    bool found = false;
    session->discarded_extensions = smtpd->discarded_extensions;
    if (smtpd->config->smtpd_discard_ehlo_keyword_address_maps.length == 0) return;
    arena = arena_create(0);
    if (resolve_match(smtpd->resolve, STR("smtpd_discard_ehlo_keyword_address_maps"), session->client.address,
                      deadline_in(SMTPD_LOOKUP_TIME), arena, &found, &value, &failure) == RESOLVE_OK &&
        found)
        session->discarded_extensions = smtpd_extension_bits(value);
    arena_destroy(&arena);
}

/* Strict is the default; a client that is listed may end lines with a bare LF. */
static void choose_newlines(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str mode = smtpd->config->smtpd_forbid_bare_newline;
    session->strict_newlines =
        str_equal(mode, STR("reject")) && host_list_match(&smtpd->newline_exclusions, smtpd->resolve,
                                                          session->client.name, session->client.address) != MATCH_YES;
    stream_accept_bare_lf(session->stream, !session->strict_newlines);
}

void session_leave_limits(struct session *session) {
    limits_leave(session->smtpd->limits, session->rate_key);
    MEMORY_FREE(*(char **)(void *)&session->rate_key.data);
    session->rate_key.length = 0;
}

static bool refuse_connection(struct session *session, const char *what, uint64_t count) {
    limits_log(session, what, count);
    reply(session, 421, "4.7.0", "%.*s Error: too many connections from %.*s",
          STR_ARGS(session->smtpd->config->myhostname), STR_ARGS(session->client.address));
    return false;
}

static bool enter_limits(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct endpoint address;
    struct buf key = buf_make(16);
    uint64_t count = 0;
    session_leave_limits(session);
    if (endpoint_from_ip(session->client.address, 0, &address) &&
        host_list_match(&smtpd->event_exceptions, smtpd->resolve, session->client.name, session->client.address) !=
            MATCH_YES &&
        limits_key(smtpd->config, &address, &key))
        session->rate_key = str_make(memory_copy_string(buf_str(&key)), key.length);
    buf_free(&key);
    if (!limits_enter(smtpd->limits, session->rate_key, &count))
        return refuse_connection(session, "Connection concurrency", count);
    if (!limits_count(smtpd->limits, session->rate_key, LIMITED_CONNECTION, &count))
        return refuse_connection(session, "Connection rate", count);
    return true;
}

bool session_set_client(struct session *session, const struct client *client) {
    copy_client(session, client);
    session->rewrites_headers = rewrites_headers(session);
    choose_newlines(session);
    discard_extensions(session);
    return enter_limits(session);
}

void session_set_login(struct session *session, struct str login, struct str method) {
    struct client *client = &session->client;
    client->login = keep(client->arena, login, 250);
    client->login_method = keep(client->arena, method, 32);
    session->rewrites_headers = rewrites_headers(session);
}

/* Names of this machine are no business of DNS (RFC 6303 4.2, RFC 6761 6.3). */
static bool name_loopback(const struct session *session, struct client *client) {
    if (!endpoint_is_loopback(&session->peer)) return false;
    if (!str_equal(client->address, STR("127.0.0.1")) && !str_equal(client->address, STR("::1"))) return true;
    client->name = client->reverse_name = STR("localhost");
    client->name_status = client->reverse_status = NAME_VERIFIED;
    return true;
}

/* The verified name; "unknown" as long as DNS does not say otherwise. */
static void find_name(struct session *session, struct client *client, struct arena *arena) {
    struct failure failure = {0};
    struct str name = STR_EMPTY, unverified = STR_EMPTY;
    client->name_status = client->reverse_status = NAME_UNKNOWN;
    if (!session->smtpd->config->smtpd_peername_lookup || name_loopback(session, client)) return;
    if (resolve_client_name(session->smtpd->resolve, client->address, deadline_in(NAME_LOOKUP_TIME), arena, &name,
                            &unverified, &failure) != RESOLVE_OK) {
        client->name_status = client->reverse_status = NAME_UNDECIDED;
        return;
    }
    if (name.length) {
        client->name = client->reverse_name = name;
        client->name_status = client->reverse_status = NAME_VERIFIED;
    } else if (unverified.length) {
        client->reverse_name = unverified;
        client->reverse_status = NAME_VERIFIED;
        log_warning("hostname %.*s does not resolve to address %.*s", STR_ARGS(unverified), STR_ARGS(client->address));
    }
}

bool session_identify(struct session *session) {
    struct arena *arena = arena_create(65536);
    struct buf address = buf_make(0);
    struct client client = {.name = STR("unknown"),
                            .reverse_name = STR("unknown"),
                            .address = STR("127.0.0.1"),
                            .login = STR_EMPTY,
                            .login_method = STR_EMPTY};
    if (endpoint_is_local(&session->peer)) { /* a UNIX socket: whoever may connect is of this machine */
        client.name = client.reverse_name = STR("localhost");
    } else {
        endpoint_format_ip(&session->peer, &address);
        client.address = buf_str(&address);
        client.port = endpoint_port(&session->peer);
        find_name(session, &client, arena);
    }
    struct smtpd *smtpd = session->smtpd;
    bool good = session_set_client(session, &client);
    session->xclient_allowed =
        host_list_match(&smtpd->xclient_hosts, smtpd->resolve, client.name, client.address) == MATCH_YES;
    session->xforward_allowed =
        host_list_match(&smtpd->xforward_hosts, smtpd->resolve, client.name, client.address) == MATCH_YES;
    buf_free(&address);
    arena_destroy(&arena);
    return good;
}

void session_greet(struct session *session) {
    struct refusal refusal;
    MEMORY_FREE(session->denied);
    if (policy_connect(session, &refusal)) {
        reply(session, 220, "", "%.*s", STR_ARGS(session->smtpd->config->smtpd_banner));
        return;
    }
    session->denied = MEMORY_NEW(struct refusal);
    *session->denied = refusal;
    reply_refusal(session, &refusal);
}
