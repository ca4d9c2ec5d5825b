/* smtpd: the SMTP and LMTP server.
 *
 *   session.c       one client, from greeting to goodbye
 *   (below)         the table of commands, the table of extensions, the dispatcher
 *   cmd_*.c         a command each; cmd_misc.c has the small ones
 *   session_tls.c   TLS: what is set, the handshake, what follows from it
 *   content*.c      the content: line ends, header, intake
 *   policy.c        the stages of access policy; restrictions.c its words, access.c its tables
 *   sasl.c          which mechanisms AUTH offers to whom
 *   limits.c        how many sessions, messages and recipients a client may have
 *   login_limits.c  what an account may send; sender_login.c as whom
 *   reply.c         what is said, and logged when something is refused
 *
 * It runs as tern-smtpd in an empty root directory, opens no file, and asks cleanup
 * (which hands over an open queue file for large content), lookup and auth. It parses strangers' bytes and
 * holds nothing else. */
#include "smtpd.h"
#include "date.h"
#include "log.h"
#include "log_text.h"
#include <errno.h>
#include <ifaddrs.h>
#include <time.h>

/* ---- the commands: the dispatcher looks here, and nowhere else, for what may come when. */

#define ANY_STATE (SESSION_NEW | SESSION_GREETED | SESSION_MAIL | SESSION_RCPT | SESSION_CHUNKS)
#define NO_MAIL   (SESSION_NEW | SESSION_GREETED)
#define NESTED    "Error: MAIL transaction in progress"

const struct command smtpd_commands[] = {
    {"HELO", ANY_STATE, COMMAND_LAST | COMMAND_JUNK | COMMAND_SMTP | COMMAND_CLEAR, cmd_helo, "",
     "HELO hostname: begin, without extensions"},
    {"EHLO", ANY_STATE, COMMAND_LAST | COMMAND_JUNK | COMMAND_SMTP | COMMAND_CLEAR, cmd_ehlo, "",
     "EHLO hostname: begin, and be told what is offered"},
    {"LHLO", ANY_STATE, COMMAND_LAST | COMMAND_JUNK | COMMAND_LMTP | COMMAND_CLEAR, cmd_lhlo, "",
     "LHLO hostname: begin, and be told what is offered"},
    {"XCLIENT", NO_MAIL, COMMAND_LAST | COMMAND_CLEAR, cmd_xclient, NESTED, "XCLIENT attribute=value...: speak for another client"},
    {"XFORWARD", NO_MAIL, 0, cmd_xforward, NESTED, "XFORWARD attribute=value...: say where the next message came from"},
    {"STARTTLS", NO_MAIL, COMMAND_CLEAR, cmd_starttls, NESTED, "STARTTLS: encrypt the session, and begin anew"},
    {"AUTH", NO_MAIL, COMMAND_LAST, cmd_auth, NESTED, "AUTH mechanism [initial response]: say who you are"},
    {"MAIL", SESSION_GREETED, 0, cmd_mail, "Error: nested MAIL command",
     "MAIL FROM:<address> [parameters]: begin a message"},
    {"RCPT", SESSION_MAIL | SESSION_RCPT, 0, cmd_rcpt, "Error: need MAIL command",
     "RCPT TO:<address> [parameters]: add a recipient"},
    {"DATA", SESSION_RCPT, COMMAND_LAST, cmd_data, "Error: need RCPT command",
     "DATA: send the content, end with a dot alone"},
    {"BDAT", ANY_STATE, 0, cmd_bdat, "",
     "BDAT size [LAST]: send the content in chunks"}, /* its bytes come in any state */
    {"RSET", ANY_STATE, COMMAND_JUNK, cmd_rset, "", "RSET: forget the message"},
    {"NOOP", ANY_STATE, COMMAND_JUNK | COMMAND_LAST | COMMAND_CLEAR, cmd_noop, "", "NOOP: do nothing"},
    {"VRFY", ANY_STATE, COMMAND_JUNK | COMMAND_LAST, cmd_vrfy, "", "VRFY address: would mail be taken for it"},
    {"EXPN", ANY_STATE, COMMAND_JUNK | COMMAND_LAST, cmd_expn, "", "EXPN list: not implemented"},
    {"ETRN", NO_MAIL, COMMAND_JUNK, cmd_etrn, NESTED, "ETRN domain: not served"},
    {"HELP", ANY_STATE, COMMAND_JUNK | COMMAND_CLEAR, cmd_help, "", "HELP [command]: this text"},
    {"QUIT", ANY_STATE, COMMAND_CLEAR, cmd_quit, "", "QUIT: end the session"},
};
const size_t smtpd_command_count = ARRAY_LENGTH(smtpd_commands);
_Static_assert(ARRAY_LENGTH(smtpd_commands) <= SMTPD_COMMANDS_MAX, "struct session counts each command");

/* ---- the extensions, in the order in which EHLO names them */

static bool always(const struct session *session) {
    (void)session;
    return true;
}
static bool if_vrfy(const struct session *session) {
    return !session->smtpd->config->disable_vrfy_command;
}
static bool if_utf8(const struct session *session) {
    return session->smtpd->config->smtputf8_enable;
}
static bool if_require_tls(const struct session *session) {
    return session->tls && session->smtpd->config->requiretls_enable;
}
static bool if_tls(const struct session *session) {
    return session->tls_possible && !session->tls;
}
static bool if_xclient(const struct session *session) {
    return session->xclient_allowed;
}
static bool if_xforward(const struct session *session) {
    return session->xforward_allowed;
}

static bool if_future_release(const struct session *session) {
    return session->client.login.length && session->smtpd->config->smtpd_future_release_limit > 0;
}

static void future_release_argument(const struct session *session, struct buf *line) {
    int64_t limit = session->smtpd->config->smtpd_future_release_limit;
    buf_printf(line, " %lld ", (long long)limit);
    date_append_rfc3339(line, (clock_date() / CLOCK_SECOND + limit) * CLOCK_SECOND, 0, 0);
    buf_truncate(line, line->length - strlen("+00:00")); /* RFC 4865 wants it in UTC */
    buf_append_char(line, 'Z');
}
static void deliver_by_argument(const struct session *session, struct buf *line) {
    int64_t minimum = session->smtpd->config->smtpd_deliver_by_minimum;
    if (minimum) buf_printf(line, " %lld", (long long)minimum);
}
static void limits_argument(const struct session *session, struct buf *line) {
    const struct config *config = session->smtpd->config;
    buf_printf(line, " RCPTMAX=%lld", (long long)config->smtpd_recipient_limit);
    if (config->smtpd_session_message_limit)
        buf_printf(line, " MAILMAX=%lld", (long long)config->smtpd_session_message_limit);
    if (config->smtpd_recipient_domain_limit)
        buf_printf(line, " RCPTDOMAINMAX=%lld", (long long)config->smtpd_recipient_domain_limit);
}
static void size_argument(const struct session *session, struct buf *line) {
    if (session->smtpd->config->message_size_limit)
        buf_printf(line, " %lld", (long long)session->smtpd->config->message_size_limit);
}
static bool if_auth(const struct session *session) {
    return sasl_is_offered(session);
}
static bool if_broken_auth(const struct session *session) {
    return sasl_is_offered(session) && session->smtpd->config->broken_sasl_auth_clients &&
           !(session->discarded_extensions & smtpd_extension_bits(STR("auth")));
}
static void auth_argument(const struct session *session, struct buf *line) {
    buf_printf(line, " %s", buf_string(&session->mechanisms));
}
static void broken_auth_argument(const struct session *session, struct buf *line) {
    buf_append(line, buf_str(&session->mechanisms));
}
static void xclient_argument(const struct session *session, struct buf *line) {
    (void)session;
    buf_append(line, STR(" NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"));
}
static void xforward_argument(const struct session *session, struct buf *line) {
    (void)session;
    buf_append(line, STR(" NAME ADDR PROTO HELO SOURCE PORT IDENT"));
}

const struct extension smtpd_extensions[] = {
    {"PIPELINING", 0, always, NULL},
    {"SIZE", SMTP_PARAMETER_SIZE, always, size_argument},
    {"VRFY", 0, if_vrfy, NULL},
    {"STARTTLS", 0, if_tls, NULL},
    {"AUTH", SMTP_PARAMETER_AUTH, if_auth, auth_argument},
    {"AUTH=", 0, if_broken_auth, broken_auth_argument},
    {"XCLIENT", 0, if_xclient, xclient_argument},
    {"XFORWARD", 0, if_xforward, xforward_argument},
    {"ENHANCEDSTATUSCODES", 0, always, NULL},
    {"8BITMIME", SMTP_PARAMETER_8BITMIME, always, NULL},
    {"DSN", SMTP_PARAMETER_DSN, always, NULL},
    {"SMTPUTF8", SMTP_PARAMETER_SMTPUTF8, if_utf8, NULL},
    {"CHUNKING", 0, always, NULL},
    {"BINARYMIME", SMTP_PARAMETER_BINARYMIME, always, NULL},
    {"REQUIRETLS", SMTP_PARAMETER_REQUIRETLS, if_require_tls, NULL},
    {"FUTURERELEASE", SMTP_PARAMETER_FUTURERELEASE, if_future_release, future_release_argument},
    {"DELIVERBY", SMTP_PARAMETER_DELIVERBY, always, deliver_by_argument},
    {"MT-PRIORITY", SMTP_PARAMETER_MT_PRIORITY, always, NULL},
    {"LIMITS", 0, always, limits_argument},
    {"HELP", 0, always, NULL},
};
const size_t smtpd_extension_count = ARRAY_LENGTH(smtpd_extensions);

bool smtpd_extension_is_offered(const struct session *session, size_t row) {
    return !(session->discarded_extensions >> row & 1U) && smtpd_extensions[row].offered(session);
}

bool smtpd_extension_is_discarded(const struct session *session, const char *keyword) {
    return (session->discarded_extensions & smtpd_extension_bits(str_from(keyword))) != 0;
}

unsigned smtpd_parameters(const struct session *session) {
    unsigned parameters = 0;
    for (size_t i = 0; session->extended && i < smtpd_extension_count; i++)
        if (smtpd_extension_is_offered(session, i)) parameters |= smtpd_extensions[i].parameters;
    return parameters;
}

unsigned smtpd_extension_bits(struct str keywords) {
    unsigned bits = 0;
    struct str word;
    while (str_next_word(&keywords, ", \t\r\n", &word))
        for (size_t i = 0; i < smtpd_extension_count; i++)
            if (str_equal_nocase(word, str_from(smtpd_extensions[i].keyword))) bits |= 1U << i;
    return bits;
}

/* ---- the dispatcher */

/* RFC 5321 lets a client send mail without greeting; smtpd_helo_required and LMTP do not. */
static enum session_state effective_state(const struct session *session) {
    enum session_state state = session_state(session);
    bool needs_greeting = session->smtpd->config->smtpd_helo_required || session->smtpd->lmtp;
    return state == SESSION_NEW && !needs_greeting ? SESSION_GREETED : state;
}

static bool out_of_sequence(struct session *session, const struct command *command, enum session_state state) {
    if (state == SESSION_CHUNKS) return reply(session, 503, "5.5.1", "Error: command not allowed between chunks");
    if (state == SESSION_NEW)
        return reply(session, 503, "5.5.1", "Error: send %s first", session->smtpd->lmtp ? "LHLO" : "HELO/EHLO");
    bool all_refused =
        session->transaction && session->transaction->refused_recipients && command->states == SESSION_RCPT;
    if (all_refused) return reply(session, 554, "5.5.1", "Error: no valid recipients");
    return reply(session, 503, "5.5.1", "%s", command->sequence_error);
}

/* Commands that carry no mail are free up to a number, then they count as errors. */
static void count_junk(struct session *session, const struct command *command) {
    const struct config *config = session->smtpd->config;
    int64_t limit = config->smtpd_junk_command_limit;
    if (smtpd_is_stressed(session->smtpd) && config->smtpd_stress_junk_command_limit < limit)
        limit = config->smtpd_stress_junk_command_limit;
    if ((command->flags & COMMAND_JUNK) && session->junk++ > (uint64_t)limit) session->errors++;
}

/* Where TLS is required nothing goes on in clear; that we have no certificate is our fault, not the client's. */
static bool refuse_plaintext(struct session *session) {
    if (session->smtpd->keys) return reply(session, 530, "5.7.0", "Must issue a STARTTLS command first");
    return reply(session, 454, "4.7.0", "TLS not available due to local problem");
}

static bool run(struct session *session, const struct command *command, struct str argument) {
    if (session->denied && command->handle != cmd_quit)
        return reply(session, 503, "5.7.0", "Error: access denied for %.*s", STR_ARGS(session->client.label));
    if (session_needs_tls(session) && !(command->flags & COMMAND_CLEAR)) return refuse_plaintext(session);
    enum session_state state = effective_state(session);
    if (!(command->states & (unsigned)state)) return out_of_sequence(session, command, state);
    if ((command->flags & COMMAND_LAST) && stream_pending(session->stream) > 0 && session_refuse_pipelining(session))
        return false;
    return command->handle(session, argument);
}

static bool list_has(struct str list, struct str word) {
    struct str item;
    while (str_next_word(&list, ", \t\r\n", &item))
        if (str_equal_nocase(item, word)) return true;
    return false;
}

/* No command of ours: a client of another protocol is sent away, a slip is forgiven. */
static void unknown_command(struct session *session, struct str verb, struct str line) {
    char shown[120];
    session->where = "UNKNOWN";
    session->unknown++;
    if (list_has(session->smtpd->config->smtpd_noop_commands, verb)) {
        reply(session, 250, "2.0.0", "Ok");
        return;
    }
    if (smtp_command_is_foreign(verb) || list_has(session->smtpd->config->smtpd_forbidden_commands, verb)) {
        log_warning("non-SMTP command from %.*s: %s", STR_ARGS(session->client.label),
                    log_text(shown, sizeof shown, str_slice(line, 0, 100)));
        session->closing = true;
        reply(session, 221, "2.7.0", "Error: I can break rules, too. Goodbye.");
        return;
    }
    reply(session, 500, "5.5.2", "Error: command not recognized");
}

void command_dispatch(struct session *session, struct str line) {
    struct str verb, argument;
    unsigned other = session->smtpd->lmtp ? COMMAND_SMTP : COMMAND_LMTP;
    if (!smtp_command_split(line, &verb, &argument)) {
        session->unknown++;
        reply(session, 500, "5.5.2", "Error: bad syntax");
        return;
    }
    for (size_t i = 0; i < smtpd_command_count; i++) {
        const struct command *command = &smtpd_commands[i];
        if ((command->flags & other) || !str_equal_nocase(verb, str_from(command->verb))) continue;
        session->where = command->verb;
        session->tried[i]++;
        count_junk(session, command);
        if (run(session, command, argument)) session->succeeded[i]++;
        return;
    }
    unknown_command(session, verb, line);
}

bool smtpd_is_stressed(const struct smtpd *smtpd) {
    return (uint64_t)smtpd->sessions * 100 >
           (uint64_t)smtpd->session_limit * (uint64_t)smtpd->config->smtpd_stress_threshold_percent;
}

/* ---- start */

/* This machine's addresses, for permit_inet_interfaces. */
static bool find_own_addresses(struct smtpd *smtpd, struct failure *failure) {
    struct ifaddrs *interfaces = NULL;
    struct buf text = buf_make(0);
    if (getifaddrs(&interfaces) < 0) return failure_set_errno(failure, errno, "cannot list this machine's addresses");
    for (struct ifaddrs *at = interfaces; at; at = at->ifa_next) {
        struct endpoint address = {.length = 0};
        if (!at->ifa_addr || (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6)) continue;
        address.length = at->ifa_addr->sa_family == AF_INET ? sizeof address.address.ipv4 : sizeof address.address.ipv6;
        memcpy(&address.address, at->ifa_addr, address.length);
        endpoint_format_ip(&address, &text);
        buf_append_char(&text, ' ');
    }
    freeifaddrs(interfaces);
    bool good = arena_copy(smtpd->arena, buf_str(&text), &smtpd->own_addresses);
    buf_free(&text);
    return good || failure_set(failure, "too many addresses");
}

/* Lists read their files here, before the sandbox closes. */
static bool prepare(struct service *service, struct failure *failure) {
    const struct config *config = service_config(service);
    struct smtpd *smtpd = MEMORY_NEW(struct smtpd);
    service_set_context(service, smtpd);
    smtpd->service = service;
    smtpd->config = config;
    smtpd->arena = arena_create(0);
    smtpd->lmtp = str_equal(config->smtpd_protocol, STR("lmtp"));
    tzset(); /* localtime_r finds no file later */
    unsigned parents = MATCH_LIST_PARENT;
    return find_own_addresses(smtpd, failure) &&
           host_list_open(&smtpd->networks, "mynetworks", config->mynetworks, MATCH_LIST_ADDRESSES, failure) &&
           host_list_open(&smtpd->xclient_hosts, "smtpd_authorized_xclient_hosts",
                          config->smtpd_authorized_xclient_hosts, parents, failure) &&
           host_list_open(&smtpd->xforward_hosts, "smtpd_authorized_xforward_hosts",
                          config->smtpd_authorized_xforward_hosts, parents, failure) &&
           host_list_open(&smtpd->proxy_hosts, "smtpd_upstream_proxy_hosts", config->smtpd_upstream_proxy_hosts,
                          MATCH_LIST_ADDRESSES, failure) &&
           host_list_open(&smtpd->event_exceptions, "smtpd_client_event_limit_exceptions",
                          config->smtpd_client_event_limit_exceptions, parents, failure) &&
           host_list_open(&smtpd->sasl_exceptions, "smtpd_sasl_exceptions_networks",
                          config->smtpd_sasl_exceptions_networks, parents, failure) &&
           (match_list_open(config->smtpd_sasl_mechanism_filter, MATCH_LIST_NAMES, &smtpd->sasl_filter, failure) ||
            failure_prefix(failure, "smtpd_sasl_mechanism_filter")) &&
           host_list_open(&smtpd->newline_exclusions, "smtpd_forbid_bare_newline_exclusions",
                          config->smtpd_forbid_bare_newline_exclusions, parents, failure) &&
           session_tls_prepare(smtpd, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct smtpd *smtpd = service_context(service);
    (void)failure;
    smtpd->cleanup = service_client(service, "cleanup", NULL, NULL);
    smtpd->intake = intake_source_create(smtpd->cleanup, smtpd->config);
    smtpd->resolve = resolve_create(service, 0);
    if (smtpd->config->smtpd_sasl_auth_enable) smtpd->auth = auth_client_create(service);
    smtpd->limits = limits_create(smtpd->config);
    smtpd->session_limit = service_session_limit(service);
    smtpd->discarded_extensions = smtpd_extension_bits(smtpd->config->smtpd_discard_ehlo_keywords);
    session_tls_start(smtpd);
    policy_prepare(smtpd);
    return true;
}

static void tick(struct service *service) {
    struct smtpd *smtpd = service_context(service);
    limits_expire(smtpd->limits);
}

static const struct service_declaration declaration = {
    .program = "smtpd",
    .prepare = prepare,
    .start = start,
    .session = session_serve,
    .tick = tick,
    .stop = sessions_stop,
    .session_limit = 10000,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
