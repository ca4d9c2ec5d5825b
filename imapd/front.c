/* imapd: the front of IMAP: greeting, capabilities, STARTTLS, ID, login; then the connection goes to a session.
 *
 * It runs as tern-imapd in an empty root directory, opens no file and holds no key. What a client may do before the
 * login is here; everything else is in the session (session.c), which runs as the mailbox's user. */
#include <unistd.h>

#include "base64.h"
#include "front_dialogue.h"
#include "grammar.h"
#include "log.h"
#include "task.h"

#define LITERAL_MAX   4096

/* What is offered before the login; the session names what it has. IDLE is told at once: some clients ask only here. */
static void append_capabilities(struct front_dialogue *dialogue, struct buf *text) {
    struct front_client *client = dialogue->client;
    struct arena *arena = arena_create(65536);
    struct str names = STR_EMPTY, word;
    buf_append(text, STR("IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE"));
    if (front_can_tls(client)) buf_append(text, STR(" STARTTLS"));
    if (front_needs_tls(client))
        buf_append(text, STR(" LOGINDISABLED"));
    else
        names = front_mechanisms(client, arena);
    while (str_next_word(&names, " ", &word))
        buf_printf(text, " AUTH=%.*s", STR_ARGS(word));
    arena_destroy(&arena);
}

/* ---- login */

static void answer_login(struct front_dialogue *dialogue, enum front_login login, struct str ticket, struct str text) {
    switch (login) {
    case LOGIN_DONE:
        buf_append(&dialogue->ticket, ticket); /* the session answers the tag */
        buf_append(&dialogue->login_tag, dialogue->tag);
        return;
    case LOGIN_WRONG:
        front_say(dialogue, "%.*s NO [AUTHENTICATIONFAILED] %.*s\r\n", STR_ARGS(dialogue->tag), STR_ARGS(text));
        break;
    case LOGIN_LATER:
        front_say(dialogue, "%.*s NO [UNAVAILABLE] %.*s\r\n", STR_ARGS(dialogue->tag), STR_ARGS(text));
        break;
    case LOGIN_IMPOSSIBLE:
        front_say(dialogue, "%.*s NO [CONTACTADMIN] %.*s\r\n", STR_ARGS(dialogue->tag), STR_ARGS(text));
        break;
    case LOGIN_GONE:
        front_say(dialogue, "%.*s BAD Authentication aborted\r\n", STR_ARGS(dialogue->tag));
        break;
    }
    if (front_has_guessed_enough(dialogue)) {
        front_say(dialogue, "* BYE Too many wrong logins\r\n");
        dialogue->over = true;
    }
}

static bool may_log_in(struct front_dialogue *dialogue) {
    if (!front_needs_tls(dialogue->client)) return true;
    front_say(dialogue, "%.*s NO [PRIVACYREQUIRED] STARTTLS first\r\n", STR_ARGS(dialogue->tag));
    return false;
}

static void bad(struct front_dialogue *dialogue, const struct imap_parser *parser) {
    front_say(dialogue, "%.*s BAD %s\r\n", STR_ARGS(dialogue->tag), parser->error ? parser->error : "Syntax error");
    dialogue->bad++;
}

static void cmd_login(struct front_dialogue *dialogue, struct imap_parser *parser) {
    struct str user, password, ticket = STR_EMPTY, text = STR_EMPTY;
    if (!imap_take_astring(parser, &user) || !imap_take_space(parser) || !imap_take_astring(parser, &password) ||
        !imap_take_end(parser)) {
        bad(dialogue, parser);
        return;
    }
    if (!may_log_in(dialogue)) return;
    enum front_login login = front_log_in_plain(dialogue->client, user, password, dialogue->arena, &ticket, &text);
    answer_login(dialogue, login, ticket, text);
}

static void authenticate(struct front_dialogue *dialogue, struct str mechanism, bool has_initial, struct str initial) {
    struct str ticket = STR_EMPTY, text = STR_EMPTY;
    if (!front_offers(dialogue->client, mechanism, dialogue->arena)) { /* which is no wrong password */
        front_say(dialogue, "%.*s NO No such mechanism\r\n", STR_ARGS(dialogue->tag));
        dialogue->bad++;
        return;
    }
    const struct auth_opening opening = {mechanism, has_initial, initial};
    enum front_login login =
        front_log_in(dialogue->client, &opening, front_ask_client, dialogue, dialogue->arena, &ticket, &text);
    if (!dialogue->over) answer_login(dialogue, login, ticket, text);
}

static void cmd_authenticate(struct front_dialogue *dialogue, struct imap_parser *parser) {
    struct str mechanism, initial;
    struct buf decoded = buf_make(12288);
    bool has_initial = false, good = imap_take_atom(parser, &mechanism);
    if (good && imap_peek_char(parser, ' ')) {
        has_initial = imap_take_space(parser);
        initial = parser->rest;
        parser->rest = STR_EMPTY;
        good = str_equal(initial, STR("=")) || base64_decode(&decoded, initial);
    }
    if (!good || !imap_take_end(parser))
        bad(dialogue, parser);
    else if (may_log_in(dialogue))
        authenticate(dialogue, mechanism, has_initial, buf_str(&decoded));
    buf_free_secret(&decoded);
}

/* ---- the other commands */

static void cmd_capability(struct front_dialogue *dialogue, struct imap_parser *parser) {
    struct buf text = buf_make(0);
    if (!imap_take_end(parser)) {
        bad(dialogue, parser);
        return;
    }
    append_capabilities(dialogue, &text);
    front_say(dialogue, "* CAPABILITY %.*s\r\n%.*s OK Done\r\n", STR_ARGS(buf_str(&text)), STR_ARGS(dialogue->tag));
    buf_free(&text);
}

static void cmd_noop(struct front_dialogue *dialogue, struct imap_parser *parser) {
    if (!imap_take_end(parser))
        bad(dialogue, parser);
    else
        front_say(dialogue, "%.*s OK Done\r\n", STR_ARGS(dialogue->tag));
}

static void cmd_id(struct front_dialogue *dialogue, struct imap_parser *parser) {
    struct imap_id id;
    if (!imap_parse_id(parser, &id))
        bad(dialogue, parser);
    else
        front_say(dialogue, "* ID (\"name\" \"tern\")\r\n%.*s OK Done\r\n", STR_ARGS(dialogue->tag));
}

static void cmd_logout(struct front_dialogue *dialogue, struct imap_parser *parser) {
    if (!imap_take_end(parser)) {
        bad(dialogue, parser);
        return;
    }
    front_say(dialogue, "* BYE Logging out\r\n%.*s OK Done\r\n", STR_ARGS(dialogue->tag));
    dialogue->over = true;
}

/* What came behind it in clear would be taken for the encrypted client's: the connection ends (lessons.md). */
static void cmd_starttls(struct front_dialogue *dialogue, struct imap_parser *parser) {
    struct front_client *client = dialogue->client;
    if (!imap_take_end(parser)) {
        bad(dialogue, parser);
    } else if (!front_can_tls(client)) {
        front_say(dialogue, "%.*s BAD TLS is not available\r\n", STR_ARGS(dialogue->tag));
    } else if (stream_pending(client->stream) > 0) {
        log_warning("%s sent commands behind STARTTLS", buf_string(&client->address));
        front_say(dialogue, "* BYE Nothing may follow STARTTLS\r\n");
        dialogue->over = true;
    } else {
        front_say(dialogue, "%.*s OK Begin TLS now\r\n", STR_ARGS(dialogue->tag));
        if (front_say_now(dialogue) && !front_begin_tls(client)) dialogue->over = true;
    }
}

static const struct {
    const char *name;
    void (*run)(struct front_dialogue *dialogue, struct imap_parser *parser);
} commands[] = {
    {"AUTHENTICATE", cmd_authenticate}, {"CAPABILITY", cmd_capability}, {"ID", cmd_id},       {"LOGIN", cmd_login},
    {"LOGOUT", cmd_logout},             {"NOOP", cmd_noop},             {"STARTTLS", cmd_starttls},
};

/* ---- the dialogue */

static bool read_literal(struct front_dialogue *dialogue, uint64_t size) {
    while (size > 0) {
        struct str bytes;
        stream_set_deadline(dialogue->client->stream, dialogue->client->login_until);
        if (stream_read_some(dialogue->client->stream, (size_t)size, &bytes) != STREAM_OK) return false;
        buf_append(&dialogue->command, bytes);
        size -= bytes.length;
    }
    return true;
}

static void say_why(struct front_dialogue *dialogue, enum stream_result result) {
    switch (result) {
    case STREAM_OK:
    case STREAM_EOF:
    case STREAM_ERROR:
        return;
    case STREAM_TIMEOUT:
        front_say(dialogue, "* BYE Time for logging in is over\r\n");
        return;
    case STREAM_CANCELLED:
        front_say(dialogue, "* BYE Server shutting down\r\n");
        return;
    case STREAM_TOO_LONG:
        front_say(dialogue, "* BYE Line too long\r\n");
        return;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        front_say(dialogue, "* BYE Lines end in CR LF, and have no NUL\r\n");
        return;
    }
}

static bool read_command(struct front_dialogue *dialogue) {
    struct str line;
    struct imap_literal literal;
    unsigned literals = 0;
    buf_clear(&dialogue->command);
    enum stream_result result = front_read_line(dialogue->client, &line);
    if (result == STREAM_OK) buf_append(&dialogue->command, line);
    while (result == STREAM_OK && imap_line_literal(line, &literal)) {
        if (literal.size > LITERAL_MAX || ++literals > 4) {
            front_say(dialogue, "* BYE [TOOBIG] Too much before the login\r\n");
            return false;
        }
        if (literal.synchronizing) {
            front_say(dialogue, "+ OK\r\n");
            if (!front_say_now(dialogue)) return false;
        }
        buf_append(&dialogue->command, STR("\r\n"));
        if (!read_literal(dialogue, literal.size)) return false;
        result = front_read_line(dialogue->client, &line);
        if (result == STREAM_OK) buf_append(&dialogue->command, line);
    }
    say_why(dialogue, result);
    return result == STREAM_OK;
}

static void do_command(struct front_dialogue *dialogue) {
    struct imap_parser parser = {.rest = buf_str(&dialogue->command), .arena = dialogue->arena};
    struct str name, tag;
    bool has_tag = imap_take_tag(&parser, &tag) && (parser.rest.length == 0 || imap_peek_char(&parser, ' '));
    dialogue->tag = has_tag ? tag : STR("*");
    if (!has_tag || !imap_take_space(&parser) || !imap_take_atom(&parser, &name) ||
        (parser.rest.length > 0 && !imap_take_space(&parser))) {
        bad(dialogue, &parser);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        if (!str_equal_nocase(name, str_from(commands[i].name))) continue;
        commands[i].run(dialogue, &parser);
        return;
    }
    dialogue->bad++;
    front_say(dialogue, "%.*s BAD Log in first\r\n", STR_ARGS(dialogue->tag));
}

static void greet(struct front_dialogue *dialogue) {
    struct buf text = buf_make(0);
    append_capabilities(dialogue, &text);
    front_say(dialogue, "* OK [CAPABILITY %.*s] %.*s\r\n", STR_ARGS(buf_str(&text)),
              STR_ARGS(dialogue->client->front->config->login_greeting));
    buf_free(&text);
}

static const struct front_protocol protocol = {
    .daemon = {.program = "imapd", .session_limit = 20000},
    .name = STR_INIT("imap"),
    .crowded = STR_INIT("* BYE Too many connections from your address\r\n"),
    .too_many_bad = STR_INIT("* BYE Too many bad commands\r\n"),
    .lost = STR_INIT("* BYE Session lost, log in again\r\n"),
    .still_here = STR_INIT("* OK Still here\r\n"),
    .greet = greet,
    .read = read_command,
    .run = do_command,
};

int main(int argument_count, char **arguments) {
    return front_main(argument_count, arguments, &protocol);
}
