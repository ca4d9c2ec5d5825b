/* sendmail -bs: an SMTP dialogue with a local program on standard input and output
 * (RFC 5321; line ends as the program writes them). The caller is trusted as far as
 * its own uid goes: messages are handed over as with plain sendmail. */
#include "sendmail.h"
#include "smtp_command.h"
#include "status_code.h"
#include "xtext.h"
#include <sysexits.h>

struct dialogue {
    const struct config *config;
    struct letter letter;
    bool has_sender;
    char *line;
    size_t room;
};

static void say(const char *reply) {
    printf("%s\r\n", reply);
    fflush(stdout);
}

static void reset(struct dialogue *dialogue) {
    struct letter *letter = &dialogue->letter;
    buf_free(&letter->content);
    buf_free(&letter->rows);
    arena_destroy(&letter->arena);
    *letter = (struct letter){.config = dialogue->config, .arena = arena_create((size_t)1 << 20), .body = 1};
    int64_t limit = dialogue->config->message_size_limit;
    letter->content = buf_make(limit > 0 ? (size_t)limit : (size_t)1 << 30);
    dialogue->has_sender = false;
}

/* The next line without its end; false at the end of input. */
static bool read_line(struct dialogue *dialogue, struct str *line) {
    ssize_t length = getline(&dialogue->line, &dialogue->room, stdin);
    if (length <= 0) return false;
    *line = str_make(dialogue->line, (size_t)length);
    if (str_ends(*line, STR("\n"))) line->length--;
    if (str_ends(*line, STR("\r"))) line->length--;
    return true;
}

static void say_error(const struct smtp_command_error *error) {
    char reply[300];
    struct buf status = buf_make(0);
    status_code_append(&status, error->status);
    snprintf(reply, sizeof reply, "%u %s %s", error->reply_code, buf_string(&status), error->text);
    buf_free(&status);
    say(reply);
}

#define OFFERED (SMTP_PARAMETER_SIZE | SMTP_PARAMETER_8BITMIME | SMTP_PARAMETER_SMTPUTF8 | SMTP_PARAMETER_DSN)

static void mail(struct dialogue *dialogue, struct str argument) {
    struct smtp_mail parsed;
    struct smtp_command_error error;
    struct letter *letter = &dialogue->letter;
    if (dialogue->has_sender)
        say("503 5.5.1 Error: nested MAIL command");
    else if (!smtp_parse_mail(argument, OFFERED, MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8,
                              &parsed, &error))
        say_error(&error);
    else if (parsed.has_size && dialogue->config->message_size_limit > 0 &&
             parsed.size > (uint64_t)dialogue->config->message_size_limit)
        say("552 5.3.4 Message size exceeds fixed limit");
    else {
        struct buf envid = buf_make(100);
        dialogue->has_sender = arena_copy(letter->arena, mail_address_text(&parsed.sender), &letter->sender);
        letter->null_sender = mail_address_is_null(&parsed.sender);
        letter->smtputf8 = parsed.smtputf8;
        letter->return_content = (unsigned)parsed.ret;
        if (xtext_decode(&envid, parsed.envid))
            dialogue->has_sender = arena_copy(letter->arena, buf_str(&envid), &letter->envelope_id);
        buf_free(&envid);
        say(dialogue->has_sender ? "250 2.1.0 Ok" : "452 4.3.0 Out of memory");
    }
}

static void rcpt(struct dialogue *dialogue, struct str argument) {
    struct smtp_recipient parsed;
    struct smtp_command_error error;
    struct failure failure = {0};
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | (dialogue->letter.smtputf8 ? MAIL_ADDRESS_UTF8 : 0);
    if (!dialogue->has_sender)
        say("503 5.5.1 Error: need MAIL command");
    else if (!smtp_parse_rcpt(argument, OFFERED, flags, &parsed, &error))
        say_error(&error);
    else {
        struct buf orcpt = buf_make(600);
        if (parsed.orcpt.length &&
            (buf_printf(&orcpt, "%.*s;", STR_ARGS(parsed.orcpt_type)), !utf8_address_decode(&orcpt, parsed.orcpt)))
            buf_clear(&orcpt);
        int status = letter_add_recipient(&dialogue->letter, mail_address_text(&parsed.recipient), buf_str(&orcpt),
                                          parsed.notify, &failure);
        buf_free(&orcpt);
        say(status == EX_OK ? "250 2.1.5 Ok" : "452 4.5.3 Error: too many recipients");
    }
}

/* Content up to the lone dot; leading dots are taken off (RFC 5321 section 4.5.2). */
static bool data(struct dialogue *dialogue) {
    struct letter *letter = &dialogue->letter;
    struct failure failure = {0};
    struct str line;
    if (letter->recipient_count == 0) {
        say("554 5.5.1 Error: no valid recipients");
        return true;
    }
    say("354 End data with <CR><LF>.<CR><LF>");
    for (;;) {
        if (!read_line(dialogue, &line)) return false;
        if (str_equal(line, STR("."))) break;
        buf_append(&letter->content, str_starts(line, STR(".")) ? str_from_offset(line, 1) : line);
        buf_append_char(&letter->content, '\n');
    }
    if (buf_overflowed(&letter->content)) {
        say("552 5.3.4 Error: message size exceeds message_size_limit");
    } else {
        int status = letter_submit(letter, &failure);
        char reply[600];
        const char *code = status == EX_TEMPFAIL ? "451 4.3.0" : status == EX_NOPERM ? "550 5.7.0" : "554 5.6.0";
        if (status == EX_OK)
            snprintf(reply, sizeof reply, "250 2.0.0 Ok: queued%s%s", letter->queue_id[0] ? " as " : "",
                     letter->queue_id);
        else
            snprintf(reply, sizeof reply, "%s %s", code, failure.text);
        say(reply);
    }
    reset(dialogue);
    return true;
}

static void ehlo(const struct dialogue *dialogue) {
    printf("250-%.*s\r\n250-PIPELINING\r\n250-SIZE %lld\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n",
           STR_ARGS(dialogue->config->myhostname), (long long)dialogue->config->message_size_limit);
    say("250 SMTPUTF8");
}

static void helo(const struct dialogue *dialogue) {
    printf("250 %.*s\r\n", STR_ARGS(dialogue->config->myhostname));
    fflush(stdout);
}

/* False when the dialogue is over. */
static bool serve(struct dialogue *dialogue, struct str verb, struct str argument) {
    if (str_equal_nocase(verb, STR("QUIT"))) {
        say("221 2.0.0 Bye");
        return false;
    }
    if (str_equal_nocase(verb, STR("DATA"))) return data(dialogue);
    if (argument.length == 0 && (str_equal_nocase(verb, STR("EHLO")) || str_equal_nocase(verb, STR("HELO"))))
        say("501 5.5.4 Syntax: EHLO or HELO hostname");
    else if (str_equal_nocase(verb, STR("EHLO")))
        ehlo(dialogue);
    else if (str_equal_nocase(verb, STR("HELO")))
        helo(dialogue);
    else if (str_equal_nocase(verb, STR("MAIL")))
        mail(dialogue, argument);
    else if (str_equal_nocase(verb, STR("RCPT")))
        rcpt(dialogue, argument);
    else if (str_equal_nocase(verb, STR("NOOP")))
        say("250 2.0.0 Ok");
    else if (str_equal_nocase(verb, STR("VRFY")))
        say("252 2.0.0 Cannot VRFY user, but will accept the message");
    else if (str_equal_nocase(verb, STR("RSET"))) {
        reset(dialogue);
        say("250 2.0.0 Ok");
    } else
        say("500 5.5.2 Error: command not recognized");
    return true;
}

int sendmail_smtp(const struct config *config) {
    struct dialogue dialogue = {.config = config};
    struct str line, verb, argument;
    char greeting[400];
    reset(&dialogue);
    snprintf(greeting, sizeof greeting, "220 %.*s ESMTP %.*s", STR_ARGS(config->myhostname),
             STR_ARGS(config->mail_name));
    say(greeting);
    while (read_line(&dialogue, &line)) {
        if (!smtp_command_split(line, &verb, &argument))
            say("500 5.5.2 Error: bad syntax");
        else if (!serve(&dialogue, verb, argument))
            break;
    }
    reset(&dialogue);
    arena_destroy(&dialogue.letter.arena);
    free(dialogue.line);
    return EX_OK;
}
