/* The small commands: RSET NOOP QUIT VRFY EXPN HELP ETRN (RFC 5321 4.1.1.5 to 4.1.1.10, RFC 1985). */
#include "domain.h"
#include "smtpd.h"

bool cmd_rset(struct session *session, struct str argument) {
    if (argument.length > 0) return reply(session, 501, "5.5.4", "Syntax: RSET");
    session_reset(session);
    return reply(session, 250, "2.0.0", "Ok");
}

bool cmd_noop(struct session *session, struct str argument) {
    (void)argument; /* RFC 5321 4.1.1.9: a string may follow and means nothing */
    return reply(session, 250, "2.0.0", "Ok");
}

bool cmd_quit(struct session *session, struct str argument) {
    (void)argument;
    session->closing = true;
    return reply(session, 221, "2.0.0", "Bye");
}

/* Says no more than RCPT would, after the same checks. */
static bool verify(struct session *session, struct str argument) {
    const struct config *config = session->smtpd->config;
    struct mail_address address, whole;
    struct str rest;
    unsigned flags = MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY | (config->smtputf8_enable ? MAIL_ADDRESS_UTF8 : 0U);
    if (mail_address_parse_path(argument, flags, &address, &rest) != MAIL_ADDRESS_OK || rest.length > 0)
        return reply(session, 501, "5.1.3", "Bad recipient address syntax");
    bool incomplete = mail_address_domain(&address).length == 0;
    if (incomplete &&
        mail_address_from_parts(mail_address_local(&address), config->myorigin, flags, &whole) == MAIL_ADDRESS_OK)
        address = whole;
    if (!policy_rcpt(session, "VRFY", &address, incomplete)) return false;
    if (!session->utf8_reply && !str_is_ascii(argument))
        return reply(session, 252, "2.6.8", "mail is taken for it; showing the address needs SMTPUTF8");
    return reply(session, 252, "2.0.0", "%.*s", STR_ARGS(argument));
}

bool cmd_vrfy(struct session *session, struct str argument) {
    const struct config *config = session->smtpd->config;
    if (config->disable_vrfy_command) return reply(session, 502, "5.5.1", "VRFY command is disabled");
    if (argument.length == 0) return reply(session, 501, "5.5.4", "Syntax: VRFY address");
    /* RFC 6531 3.7.4.2: SMTPUTF8 may follow, and allows UTF-8 in the reply. */
    session->utf8_reply = config->smtputf8_enable && str_ends_nocase(argument, STR(" SMTPUTF8"));
    if (session->utf8_reply) argument = str_trim(str_slice(argument, 0, argument.length - 9));
    bool good = verify(session, argument);
    session->utf8_reply = false;
    return good;
}

bool cmd_expn(struct session *session, struct str argument) {
    (void)argument;
    return reply(session, 502, "5.5.1", "EXPN command is not implemented: lists are not disclosed");
}

/* Queue runs by request of strangers are not served: RFC 1985 4 lets a server say so. */
bool cmd_etrn(struct session *session, struct str argument) {
    struct str domain = argument;
    if (domain.length > 0 && (domain.data[0] == '@' || domain.data[0] == '#')) domain = str_from_offset(domain, 1);
    if (!domain_is_valid(domain, DOMAIN_UNDERSCORE)) return reply(session, 501, "5.5.4", "Syntax: ETRN domain");
    if (!policy_etrn(session, domain)) return false;
    return reply(session, 459, "4.7.0", "<%.*s>: service unavailable", STR_ARGS(domain));
}
