/* pop3d: the front of POP3: greeting, CAPA, STLS, login; then the connection goes to a session.
 *
 * It runs as tern-pop3d in an empty root directory, opens no file and holds no key. What a client may do before the
 * login (RFC 1939 section 4) is here; everything else is in the session (session.c), which runs as the mailbox's user.
 */
#include "base64.h"
#include "front.h"
#include "log.h"
#include "pop3_line.h"
#include "task.h"

#define LINE_LIMIT 16384 /* responses of SASL are longer than RFC 2449's 255 octets */
#define USER_MAX   512
#define BAD_MAX    10
#define LAST_WORD  5000 /* ms */

struct dialogue {
    struct front_client *client;
    struct arena *arena; /* of the command */
    struct buf command, user;
    unsigned bad;
    bool over;
    struct buf ticket; /* of a login that went well */
};

/* ---- saying */

static void say(struct dialogue *dialogue, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct dialogue *dialogue, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    stream_set_deadline(dialogue->client->stream, dialogue->client->login_until);
    if (stream_write(dialogue->client->stream, buf_str(&text)) != STREAM_OK) dialogue->over = true;
    buf_free(&text);
}

static bool flush(struct dialogue *dialogue) {
    if (stream_flush(dialogue->client->stream) != STREAM_OK) dialogue->over = true;
    return !dialogue->over;
}

static void bad(struct dialogue *dialogue, const char *text) {
    say(dialogue, "-ERR %s\r\n", text);
    dialogue->bad++;
}

/* ---- login */

static bool may_log_in(struct dialogue *dialogue) {
    if (!front_needs_tls(dialogue->client)) return true;
    say(dialogue, "-ERR STLS first\r\n");
    return false;
}

/* Texts of auth may be of any kind: one line of them, and no code of ours (RFC 2449 section 8). */
static void answer_login(struct dialogue *dialogue, enum front_login login, struct str ticket, struct str text) {
    switch (login) {
    case LOGIN_DONE:
        buf_append(&dialogue->ticket, ticket); /* the session answers */
        return;
    case LOGIN_WRONG:
        say(dialogue, "-ERR [AUTH] %.*s\r\n", STR_ARGS(text));
        break;
    case LOGIN_LATER:
        say(dialogue, "-ERR [SYS/TEMP] %.*s\r\n", STR_ARGS(text));
        break;
    case LOGIN_GONE:
        say(dialogue, "-ERR Authentication aborted\r\n");
        break;
    }
    if (dialogue->client->wrong >= (unsigned)dialogue->client->front->config->login_attempts) dialogue->over = true;
}

static void cmd_user(struct dialogue *dialogue, const struct pop3_line *line) {
    if (!may_log_in(dialogue)) return;
    if (line->arguments[0].length == 0 || line->arguments[0].length > USER_MAX) {
        bad(dialogue, "No such name");
        return;
    }
    buf_clear(&dialogue->user);
    buf_append(&dialogue->user, line->arguments[0]);
    say(dialogue, "+OK And the password\r\n");
}

static void cmd_pass(struct dialogue *dialogue, const struct pop3_line *line) {
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

static bool ask_client(void *context, struct str challenge, struct buf *response) {
    struct dialogue *dialogue = context;
    struct buf text = buf_make(0);
    struct str line;
    base64_encode(&text, challenge);
    say(dialogue, "+ %.*s\r\n", STR_ARGS(buf_str(&text)));
    buf_free(&text);
    if (!flush(dialogue) || front_read_line(dialogue->client, &line) != STREAM_OK) {
        dialogue->over = true;
        return false;
    }
    return !str_equal(line, STR("*")) && base64_decode(response, line);
}

/* AUTH alone is an old way to ask for the mechanisms. */
static void say_mechanisms(struct dialogue *dialogue) {
    struct str names =
                   front_needs_tls(dialogue->client) ? STR_EMPTY : front_mechanisms(dialogue->client, dialogue->arena),
               word;
    say(dialogue, "+OK Mechanisms follow\r\n");
    while (str_next_word(&names, " ", &word))
        say(dialogue, "%.*s\r\n", STR_ARGS(word));
    say(dialogue, ".\r\n");
}

static void cmd_auth(struct dialogue *dialogue, const struct pop3_line *line) {
    struct str ticket = STR_EMPTY, text = STR_EMPTY, initial = line->arguments[1];
    struct buf decoded = buf_make(12288);
    if (line->count == 0) {
        say_mechanisms(dialogue);
    } else if (may_log_in(dialogue)) {
        if (line->count > 1 && !str_equal(initial, STR("=")) && !base64_decode(&decoded, initial)) {
            bad(dialogue, "Base64 expected");
        } else {
            enum front_login login =
                front_log_in(dialogue->client, line->arguments[0], line->count > 1, buf_str(&decoded), ask_client,
                             dialogue, dialogue->arena, &ticket, &text);
            if (!dialogue->over) answer_login(dialogue, login, ticket, text);
        }
    }
    buf_free_secret(&decoded);
}

/* ---- the other commands */

static void cmd_capa(struct dialogue *dialogue, const struct pop3_line *line) {
    struct front_client *client = dialogue->client;
    struct buf text = buf_make(0);
    (void)line;
    pop3_capabilities((unsigned)client->front->config->pop3_login_delay, &text);
    if (front_can_tls(client)) buf_append(&text, STR("STLS\r\n"));
    if (!front_needs_tls(client)) {
        struct str names = front_mechanisms(client, dialogue->arena);
        buf_append(&text, STR("USER\r\n"));
        if (names.length > 0) buf_printf(&text, "SASL %.*s\r\n", STR_ARGS(names));
    }
    say(dialogue, "+OK Capabilities follow\r\n%s.\r\n", buf_string(&text));
    buf_free(&text);
}

/* Messages are sent as they are, in either mode (RFC 6856 section 2). */
static void cmd_utf8(struct dialogue *dialogue, const struct pop3_line *line) {
    (void)line;
    say(dialogue, "+OK UTF-8 it is\r\n");
}

static void cmd_lang(struct dialogue *dialogue, const struct pop3_line *line) {
    struct buf text = buf_make(0);
    pop3_language(line->count > 0, line->arguments[0], &text);
    say(dialogue, "%s", buf_string(&text));
    buf_free(&text);
}

/* What came behind it in clear would be taken for the encrypted client's: the connection ends. */
static void cmd_stls(struct dialogue *dialogue, const struct pop3_line *line) {
    struct front_client *client = dialogue->client;
    (void)line;
    if (!front_can_tls(client)) {
        say(dialogue, "-ERR TLS is not available\r\n");
    } else if (stream_pending(client->stream) > 0) {
        log_warning("%s sent commands behind STLS", buf_string(&client->address));
        say(dialogue, "-ERR Nothing may follow STLS\r\n");
        dialogue->over = true;
    } else {
        say(dialogue, "+OK Begin TLS now\r\n");
        buf_clear(&dialogue->user);
        if (flush(dialogue) && !front_begin_tls(client)) dialogue->over = true;
    }
}

static void cmd_quit(struct dialogue *dialogue, const struct pop3_line *line) {
    (void)line;
    say(dialogue, "+OK Bye\r\n");
    dialogue->over = true;
}

static void (*const commands[POP3_WORDS])(struct dialogue *dialogue, const struct pop3_line *line) = {
    [POP3_CAPA] = cmd_capa, [POP3_STLS] = cmd_stls, [POP3_USER] = cmd_user, [POP3_PASS] = cmd_pass,
    [POP3_AUTH] = cmd_auth, [POP3_UTF8] = cmd_utf8, [POP3_LANG] = cmd_lang, [POP3_QUIT] = cmd_quit,
};

/* ---- the dialogue */

static void do_command(struct dialogue *dialogue) {
    struct pop3_line line;
    if (pop3_line_parse(buf_str(&dialogue->command), POP3_AUTHORIZATION, &line) && commands[line.word])
        commands[line.word](dialogue, &line);
    else
        bad(dialogue, line.error ? line.error : "Log in first");
}

static bool read_command(struct dialogue *dialogue) {
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
        say(dialogue, "-ERR Time for logging in is over\r\n");
        return false;
    case STREAM_CANCELLED:
        say(dialogue, "-ERR [SYS/TEMP] Server shutting down\r\n");
        return false;
    case STREAM_TOO_LONG:
        say(dialogue, "-ERR Line too long\r\n");
        return false;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        say(dialogue, "-ERR Lines end in CR LF, and have no NUL\r\n");
        return false;
    }
    return false;
}

static void converse(struct dialogue *dialogue) {
    say(dialogue, "+OK %.*s\r\n", STR_ARGS(dialogue->client->front->config->login_greeting));
    while (!dialogue->over && dialogue->ticket.length == 0) {
        if (!read_command(dialogue)) {
            dialogue->over = true;
            break;
        }
        dialogue->arena = arena_create(1 << 20);
        do_command(dialogue);
        memory_wipe(dialogue->command.data, dialogue->command.length);
        arena_destroy(&dialogue->arena);
        if (dialogue->bad >= BAD_MAX) {
            say(dialogue, "-ERR Too many bad commands\r\n");
            dialogue->over = true;
        }
    }
}

static void serve(struct service *service, int connection, unsigned listener) {
    struct front *front = service_context(service);
    struct front_client *client = front_accept(front, connection, LINE_LIMIT);
    (void)listener;
    if (!client) return;
    struct dialogue dialogue = {.client = client};
    converse(&dialogue);
    stream_set_deadline(client->stream, deadline_in(LAST_WORD));
    bool good = stream_flush(client->stream) == STREAM_OK;
    if (good && dialogue.ticket.length > 0) {
        front_serve_session(client, STR_EMPTY, buf_str(&dialogue.ticket),
                            STR("-ERR [SYS/TEMP] Session lost, log in again\r\n"), STR_EMPTY);
    }
    buf_free_secret(&dialogue.command);
    buf_free_secret(&dialogue.ticket);
    buf_free(&dialogue.user);
    front_client_free(&client);
}

/* ---- the daemon */

static bool prepare(struct service *service, struct failure *failure) {
    struct front *front = MEMORY_NEW(struct front);
    service_set_context(service, front);
    front->refusal = STR("-ERR [SYS/TEMP] Too many connections from your address\r\n");
    return front_prepare(front, service, STR("pop3"), failure);
}

static bool start(struct service *service, struct failure *failure) {
    (void)failure;
    front_start(service_context(service));
    return true;
}

static void stop(struct service *service) {
    front_stop(service_context(service));
}

static const struct service_declaration declaration = {
    .program = "pop3d", .prepare = prepare, .start = start, .session = serve, .stop = stop, .session_limit = 20000};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
