/* The commands: what may come when, and who handles it. */
#include "log.h"
#include "log_text.h"
#include "smtpd.h"

/* The dispatcher looks here, and nowhere else, for what may come when. */

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
    {"XCLIENT", NO_MAIL, COMMAND_LAST | COMMAND_CLEAR, cmd_xclient, NESTED,
     "XCLIENT attribute=value...: speak for another client"},
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
    {"HELP", ANY_STATE, COMMAND_JUNK, cmd_help, "", "HELP [command]: this text"},
    {"QUIT", ANY_STATE, COMMAND_CLEAR, cmd_quit, "", "QUIT: end the session"},
};
const size_t smtpd_command_count = ARRAY_LENGTH(smtpd_commands);
_Static_assert(ARRAY_LENGTH(smtpd_commands) <= SMTPD_COMMANDS_MAX, "struct session counts each command");

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
    if (all_refused) /* 503 in LMTP: RFC 2033 4.2 */
        return reply(session, session->smtpd->lmtp ? 503 : 554, "5.5.1", "Error: no valid recipients");
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
    bool in_order = command->states & (unsigned)state;
    /* What comes unasked behind a DATA that is refused are no commands, either. */
    bool early = (command->flags & COMMAND_LAST) &&
                 (in_order ? stream_pending(session->stream) > 0 : stream_readable_now(session->stream));
    if (early && session_refuse_pipelining(session)) return false;
    if (!in_order) return out_of_sequence(session, command, state);
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

bool cmd_help(struct session *session, struct str argument) {
    for (size_t i = 0; argument.length > 0 && i < smtpd_command_count; i++) {
        if (!str_equal_nocase(argument, str_from(smtpd_commands[i].verb))) continue;
        return reply(session, 214, "2.0.0", "%s", smtpd_commands[i].help);
    }
    struct buf verbs = buf_make(0);
    unsigned other = session->smtpd->lmtp ? COMMAND_SMTP : COMMAND_LMTP;
    for (size_t i = 0; i < smtpd_command_count; i++)
        if (!(smtpd_commands[i].flags & other)) buf_printf(&verbs, " %s", smtpd_commands[i].verb);
    reply(session, 214, "2.0.0", "Commands:%s", buf_string(&verbs));
    buf_free(&verbs);
    return true;
}
