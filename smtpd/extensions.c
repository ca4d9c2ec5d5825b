/* The extensions: what EHLO offers, to whom. */
#include "date.h"
#include "smtpd.h"

static bool always(const struct session *session) {
    (void)session;
    return true;
}
static bool if_vrfy(const struct session *session) {
    return !session->smtpd->config->disable_vrfy_command;
}
/* RFC 6531 3.1: not without 8BITMIME. */
static bool if_utf8(const struct session *session) {
    return session->smtpd->config->smtputf8_enable && !smtpd_extension_is_discarded(session, "8BITMIME");
}
/* RFC 3030 3: content of this kind comes in chunks alone. */
static bool if_chunking(const struct session *session) {
    return !smtpd_extension_is_discarded(session, "CHUNKING");
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
    {"BINARYMIME", SMTP_PARAMETER_BINARYMIME, if_chunking, NULL},
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
