/* pop3d: the front of POP3: greeting, CAPA, STLS, login; then the connection goes to a session.
 *
 * It runs as tern-pop3d in an empty root directory, opens no file and holds no key. What a client may do before the
 * login (RFC 1939 section 4) is here; everything else is in the session (session.c), which runs as the mailbox's user.
 */
#include "base64.h"
#include "front_dialogue.h"
#include "log.h"
#include "pop3_line.h"
#include "task.h"

#define USER_MAX   512

static void bad(struct front_dialogue *dialogue, const char *text) {
    front_say(dialogue, "-ERR %s\r\n", text);
    dialogue->bad++;
}

/* ---- login */

static bool may_log_in(struct front_dialogue *dialogue) {
    if (!front_needs_tls(dialogue->client)) return true;
    front_say(dialogue, "-ERR STLS first\r\n");
    return false;
}

/* Texts of auth may be of any kind: one line of them, and no code of ours (RFC 2449 section 8). */
static void answer_login(struct front_dialogue *dialogue, enum front_login login, struct str ticket, struct str text) {
    switch (login) {
    case LOGIN_DONE:
        buf_append(&dialogue->ticket,
                   ticket); /* the session answers, and names the mechanisms in CAPA (RFC 2449 section 6.3) */
        buf_append(&dialogue->login_tag, front_mechanisms(dialogue->client, dialogue->arena));
        if (dialogue->login_tag.length > FRONT_TAG_MAX) buf_clear(&dialogue->login_tag);
        return;
    case LOGIN_WRONG:
        front_say(dialogue, "-ERR [AUTH] %.*s\r\n", STR_ARGS(text));
        break;
    case LOGIN_LATER:
        front_say(dialogue, "-ERR [SYS/TEMP] %.*s\r\n", STR_ARGS(text));
        break;
    case LOGIN_IMPOSSIBLE: /* RFC 3206 section 4: nothing that waiting mends */
        front_say(dialogue, "-ERR [SYS/PERM] %.*s\r\n", STR_ARGS(text));
        break;
    case LOGIN_GONE:
        front_say(dialogue, "-ERR Authentication aborted\r\n");
        break;
    }
    if (front_has_guessed_enough(dialogue)) dialogue->over = true;
}

static void cmd_user(struct front_dialogue *dialogue, const struct pop3_line *line) {
    if (!may_log_in(dialogue)) return;
    if (line->arguments[0].length == 0 || line->arguments[0].length > USER_MAX) {
        bad(dialogue, "No such name");
        return;
    }
    buf_clear(&dialogue->user);
    buf_append(&dialogue->user, line->arguments[0]);
    front_say(dialogue, "+OK And the password\r\n");
}

static void cmd_pass(struct front_dialogue *dialogue, const struct pop3_line *line) {
    struct str ticket = STR_EMPTY, text = STR_EMPTY, password = line->count ? line->arguments[0] : STR_EMPTY;
    if (!may_log_in(dialogue)) return;
    if (dialogue->user.length == 0) {
        bad(dialogue, "USER first");
        return;
    }
    enum front_login login =
        front_log_in_plain(dialogue->client, buf_str(&dialogue->user), password, dialogue->arena, &ticket, &text);
    buf_clear(&dialogue->user);
    answer_login(dialogue, login, ticket, text);
}

/* AUTH alone is an old way to ask for the mechanisms. */
static void say_mechanisms(struct front_dialogue *dialogue) {
    struct str names =
                   front_needs_tls(dialogue->client) ? STR_EMPTY : front_mechanisms(dialogue->client, dialogue->arena),
               word;
    front_say(dialogue, "+OK Mechanisms follow\r\n");
    while (str_next_word(&names, " ", &word))
        front_say(dialogue, "%.*s\r\n", STR_ARGS(word));
    front_say(dialogue, ".\r\n");
}

static void cmd_auth(struct front_dialogue *dialogue, const struct pop3_line *line) {
    struct str ticket = STR_EMPTY, text = STR_EMPTY, initial = line->arguments[1];
    struct buf decoded = buf_make(12288);
    if (line->count == 0) {
        say_mechanisms(dialogue);
    } else if (may_log_in(dialogue)) {
        if (!front_offers(dialogue->client, line->arguments[0], dialogue->arena)) {
            bad(dialogue, "No such mechanism"); /* which is no wrong password: no [AUTH] */
        } else if (line->count > 1 && !str_equal(initial, STR("=")) && !base64_decode(&decoded, initial)) {
            bad(dialogue, "Base64 expected");
        } else {
            const struct auth_opening opening = {line->arguments[0], line->count > 1, buf_str(&decoded)};
            enum front_login login =
                front_log_in(dialogue->client, &opening, front_ask_client, dialogue, dialogue->arena, &ticket, &text);
            if (!dialogue->over) answer_login(dialogue, login, ticket, text);
        }
    }
    buf_free_secret(&decoded);
}

/* ---- the other commands */

static void cmd_capa(struct front_dialogue *dialogue, const struct pop3_line *line) {
    struct front_client *client = dialogue->client;
    struct buf text = buf_make(0);
    (void)line;
    pop3_capabilities((unsigned)client->front->config->pop3_login_delay, &text);
    if (front_can_tls(client)) buf_append(&text, STR("STLS\r\n"));
    if (!front_needs_tls(client)) pop3_logins(front_mechanisms(client, dialogue->arena), &text);
    front_say(dialogue, "+OK Capabilities follow\r\n%s.\r\n", buf_string(&text));
    buf_free(&text);
}

/* Messages are sent as they are, in either mode (RFC 6856 section 2). */
static void cmd_utf8(struct front_dialogue *dialogue, const struct pop3_line *line) {
    (void)line;
    front_say(dialogue, "+OK UTF-8 it is\r\n");
}

static void cmd_lang(struct front_dialogue *dialogue, const struct pop3_line *line) {
    struct buf text = buf_make(0);
    pop3_language(line->count > 0, line->arguments[0], &text);
    front_say(dialogue, "%s", buf_string(&text));
    buf_free(&text);
}

/* What came behind it in clear would be taken for the encrypted client's: the connection ends. */
static void cmd_stls(struct front_dialogue *dialogue, const struct pop3_line *line) {
    struct front_client *client = dialogue->client;
    (void)line;
    if (!front_can_tls(client)) {
        front_say(dialogue, "-ERR TLS is not available\r\n");
    } else if (stream_pending(client->stream) > 0) {
        log_warning("%s sent commands behind STLS", buf_string(&client->address));
        front_say(dialogue, "-ERR Nothing may follow STLS\r\n");
        dialogue->over = true;
    } else {
        front_say(dialogue, "+OK Begin TLS now\r\n");
        buf_clear(&dialogue->user);
        if (front_say_now(dialogue) && !front_begin_tls(client)) dialogue->over = true;
    }
}

static void cmd_quit(struct front_dialogue *dialogue, const struct pop3_line *line) {
    (void)line;
    front_say(dialogue, "+OK Bye\r\n");
    dialogue->over = true;
}

static void (*const commands[POP3_WORDS])(struct front_dialogue *dialogue, const struct pop3_line *line) = {
    [POP3_CAPA] = cmd_capa, [POP3_STLS] = cmd_stls, [POP3_USER] = cmd_user, [POP3_PASS] = cmd_pass,
    [POP3_AUTH] = cmd_auth, [POP3_UTF8] = cmd_utf8, [POP3_LANG] = cmd_lang, [POP3_QUIT] = cmd_quit,
};

/* ---- the dialogue */

static void do_command(struct front_dialogue *dialogue) {
    struct pop3_line line;
    if (pop3_line_parse(buf_str(&dialogue->command), POP3_AUTHORIZATION, &line) && commands[line.word])
        commands[line.word](dialogue, &line);
    else
        bad(dialogue, line.error ? line.error : "Log in first");
}

static bool read_command(struct front_dialogue *dialogue) {
    struct str line;
    buf_clear(&dialogue->command);
    switch (front_read_line(dialogue->client, &line)) {
    case STREAM_OK:
        buf_append(&dialogue->command, line);
        return true;
    case STREAM_EOF:
    case STREAM_ERROR:
        return false;
    case STREAM_TIMEOUT:
        front_say(dialogue, "-ERR Time for logging in is over\r\n");
        return false;
    case STREAM_CANCELLED:
        front_say(dialogue, "-ERR [SYS/TEMP] Server shutting down\r\n");
        return false;
    case STREAM_TOO_LONG:
        front_say(dialogue, "-ERR Line too long\r\n");
        return false;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        front_say(dialogue, "-ERR Lines end in CR LF, and have no NUL\r\n");
        return false;
    }
    return false;
}

static void greet(struct front_dialogue *dialogue) {
    front_say(dialogue, "+OK %.*s\r\n", STR_ARGS(dialogue->client->front->config->login_greeting));
}

static const struct front_protocol protocol = {
    .daemon = {.program = "pop3d", .session_limit = 20000},
    .name = STR_INIT("pop3"),
    .crowded = STR_INIT("-ERR [SYS/TEMP] Too many connections from your address\r\n"),
    .too_many_bad = STR_INIT("-ERR Too many bad commands\r\n"),
    .lost = STR_INIT("-ERR [SYS/TEMP] Session lost, log in again\r\n"),
    .greet = greet,
    .read = read_command,
    .run = do_command,
};

int main(int argument_count, char **arguments) {
    return front_main(argument_count, arguments, &protocol);
}
