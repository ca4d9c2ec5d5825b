/* A session: reads a command, does it, answers (RFC 9051 section 2.2). */
#include "ahead.h"

#include <unistd.h>

#include "clock.h"
#include "crlf_view.h"
#include "log.h"

#define BAD_COMMANDS_MAX  20               /* in a row, then the connection ends */
#define COMMAND_SIZE_MAX  ((size_t)4 << 20) /* of a command with its literals; APPEND's message is not in it */
#define OUT_PIECE         65536
#define SETTLE_AFTER      1000 /* ms */
#define COMMAND_ARENA_MAX ((size_t)64 << 20)

bool imap_is_utf8(const struct imap_session *session) {
    return session->features & (FEATURE_UTF8 | FEATURE_REV2);
}

/* ---- writing */

bool imap_flush(struct imap_session *session) {
    if (session->connection_lost) return false;
    stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
    bool good = stream_write(session->stream, buf_str(&session->out)) == STREAM_OK && stream_flush(session->stream) == STREAM_OK;
    buf_clear(&session->out);
    session->connection_lost = !good;
    return good;
}

/* What gathers goes to the stream's own buffer, and from there when that is full. */
static void write_piece(struct imap_session *session) {
    if (session->out.length < OUT_PIECE) return;
    stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
    if (!session->connection_lost && stream_write(session->stream, buf_str(&session->out)) != STREAM_OK)
        session->connection_lost = true;
    buf_clear(&session->out);
}

void imap_say(struct imap_session *session, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&session->out, format, arguments);
    va_end(arguments);
    write_piece(session);
}

void imap_say_bytes(struct imap_session *session, struct str bytes) {
    buf_append(&session->out, bytes);
    write_piece(session);
}

void imap_say_number(struct imap_session *session, uint64_t number) {
    buf_append_u64(&session->out, number);
    write_piece(session);
}

void imap_say_flags(struct imap_session *session, const struct message_flags *flags) {
    imap_append_flags(&session->out, session->folder, flags);
    write_piece(session);
}

/* A literal cannot hold NUL (RFC 3501 section 9). */
static void show_nuls(struct buf *text, size_t from) {
    for (char *at = text->data + from, *end = text->data + text->length; from < text->length; at++) {
        at = memchr(at, '\0', (size_t)(end - at));
        if (!at) return;
        *at = IMAP_NUL_SHOWN;
    }
}

void imap_say_view(struct imap_session *session, struct str bytes, uint64_t offset, uint64_t length) {
    struct crlf_cursor cursor = {0};
    while (length > 0 && !session->connection_lost) {
        uint64_t piece = length < OUT_PIECE ? length : OUT_PIECE;
        size_t before = session->out.length;
        (void)!crlf_view_append(&session->out, bytes, offset, piece, &cursor);
        show_nuls(&session->out, before);
        offset += piece;
        length -= piece;
        write_piece(session);
    }
}

bool imap_continue(struct imap_session *session, const char *text) {
    imap_say(session, "+ %s\r\n", text);
    return imap_flush(session);
}

/* ---- settling what was put off */

void imap_note_change(struct imap_session *session) {
    if (session->unsettled == DEADLINE_NEVER) session->unsettled = deadline_in(SETTLE_AFTER);
}

void imap_settle(struct imap_session *session) {
    struct failure failure = {0};
    if (session->folder && folder_is_unsettled(session->folder) && !folder_settle(session->folder, &failure))
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    cache_flush(session->store);
    cache_end(session->store);
    session->unsettled = DEADLINE_NEVER;
}

/* ---- reading */

/* Waits for the client; what was put off is settled meanwhile. */
static enum stream_result wait_for_line(struct imap_session *session, struct str *line) {
    deadline ends = deadline_in(session->settings->idle_timeout);
    while (session->unsettled != DEADLINE_NEVER && session->unsettled < ends && stream_pending(session->stream) == 0) {
        stream_set_deadline(session->stream, session->unsettled);
        enum stream_result result = stream_fill(session->stream, 0);
        if (result == STREAM_OK) break;
        if (result != STREAM_TIMEOUT) return result;
        imap_settle(session);
    }
    stream_set_deadline(session->stream, ends);
    return stream_read_line(session->stream, line);
}

bool imap_read_line(struct imap_session *session, struct str *line) {
    switch (wait_for_line(session, line)) {
    case STREAM_OK:
        return true;
    case STREAM_TOO_LONG:
        imap_say(session, "* BYE Line too long\r\n");
        break;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        imap_say(session, "* BYE Lines end in CR LF, and have no NUL\r\n");
        break;
    case STREAM_TIMEOUT:
        imap_say(session, "* BYE Disconnected for inactivity\r\n");
        break;
    case STREAM_CANCELLED:
        imap_say(session, "* BYE Server shutting down\r\n");
        break;
    case STREAM_EOF:
    case STREAM_ERROR:
        session->connection_lost = true;
        break;
    }
    session->logging_out = true;
    return false;
}

static bool read_literal(struct imap_session *session, uint64_t size) {
    while (size > 0) {
        struct str bytes;
        stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
        if (stream_read_some(session->stream, size < 65536 ? (size_t)size : 65536, &bytes) != STREAM_OK) {
            session->connection_lost = session->logging_out = true;
            return false;
        }
        buf_append(&session->command, bytes);
        size -= bytes.length;
    }
    return true;
}

/* Whether a line's literal is an APPEND's message, which the command reads by itself: its mailbox may be a literal too. */
static bool is_append_message(const struct imap_session *session) {
    struct str rest = buf_str(&session->command), tag, word;
    if (!str_next_word(&rest, " ", &tag) || !str_next_word(&rest, " ", &word) || !str_equal_nocase(word, STR("APPEND"))) return false;
    rest = str_trim(rest);
    struct imap_literal literal;
    size_t line = str_find(rest, '\r');
    bool literal_mailbox = rest.length > 0 && rest.data[0] == '{' && imap_line_literal(line == STR_NONE ? rest : str_slice(rest, 0, line), &literal);
    return !literal_mailbox || line != STR_NONE;
}

/* The whole of a command, or of APPEND up to its message's literal. */
static bool read_command(struct imap_session *session) {
    struct str line;
    struct imap_literal literal;
    buf_clear(&session->command);
    session->unread = STR_EMPTY;
    if (!imap_read_line(session, &line)) return false;
    buf_append(&session->command, line);
    while (imap_line_literal(line, &literal) && !is_append_message(session)) {
        if (literal.size > COMMAND_SIZE_MAX || session->command.length + literal.size > COMMAND_SIZE_MAX) {
            /* What was announced would have to be read and thrown away. */
            imap_say(session, "* BYE [TOOBIG] Command too large\r\n");
            session->logging_out = true;
            return false;
        }
        if (literal.synchronizing && !imap_continue(session, "OK")) return false;
        buf_append(&session->command, STR("\r\n"));
        if (!read_literal(session, literal.size) || !imap_read_line(session, &line)) return false;
        buf_append(&session->command, line);
    }
    if (imap_line_literal(line, &literal)) session->unread = buf_str(&session->command);
    return true;
}

/* After a refused APPEND: what its lines announced comes unasked if the literal is not a synchronizing one, and must not
 * be taken for commands (RFC 7888 section 4). */
static void throw_literals_away(struct imap_session *session) {
    struct str line = session->unread;
    struct imap_literal literal;
    while (imap_line_literal(line, &literal) && !literal.synchronizing && !session->connection_lost) {
        for (uint64_t left = literal.size; left > 0;) {
            struct str bytes;
            stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
            if (stream_read_some(session->stream, left < 65536 ? (size_t)left : 65536, &bytes) != STREAM_OK) {
                session->connection_lost = session->logging_out = true;
                return;
            }
            left -= bytes.length;
        }
        if (!imap_read_line(session, &line)) return;
    }
}

/* ---- commands */

static const struct imap_command *find_command(struct str name) {
    for (size_t i = 0; i < imap_command_count; i++)
        if (str_equal_nocase(name, str_from(imap_commands[i].name))) return &imap_commands[i];
    return NULL;
}

static void say_outcome(struct imap_session *session, const struct imap_outcome *outcome) {
    static const char *const words[] = {[ANSWER_OK] = "OK", [ANSWER_NO] = "NO", [ANSWER_BAD] = "BAD"};
    const char *code = outcome->code ? outcome->code : outcome->code_text;
    if (outcome->answer == ANSWER_SAID) return;
    imap_say(session, "%.*s %s %s%s%s%.*s\r\n", STR_ARGS(session->tag), words[outcome->answer], code[0] ? "[" : "", code,
             code[0] ? "] " : "", STR_ARGS(outcome->text));
}

/* After the command, before its tagged answer: what has happened meanwhile. */
static void tell_changes(struct imap_session *session, const struct imap_command *command) {
    struct failure failure = {0};
    bool keep = (command->flags & COMMAND_NUMBERS) && !session->uid_command;
    if (!session->folder || session->connection_lost) return;
    if (imap_tell_changes(session, keep, &failure) != STORE_OK)
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
}

static struct imap_outcome refuse(const char *text) {
    return (struct imap_outcome){.answer = ANSWER_BAD, .text = str_from(text)};
}

static struct imap_outcome run(struct imap_session *session, struct imap_parser *parser) {
    struct str name;
    enum imap_state state = session->folder ? IMAP_SELECTED : IMAP_AUTHENTICATED;
    session->uid_command = false;
    if (!imap_take_atom(parser, &name)) return refuse("Command expected");
    if (str_equal_nocase(name, STR("UID"))) {
        session->uid_command = true;
        if (!imap_take_space(parser) || !imap_take_atom(parser, &name)) return refuse("Command expected");
    }
    const struct imap_command *command = find_command(name);
    if (!command || (session->uid_command && !(command->flags & COMMAND_UID))) return refuse("Unknown command");
    if (!(command->states & (unsigned)state))
        return refuse(state == IMAP_SELECTED ? "Command not allowed now" : "No mailbox selected");
    if (parser->rest.length > 0 && !imap_take_space(parser)) return refuse("Space expected");
    struct imap_outcome outcome = command->run(session, parser, session->uid_command);
    /* Nothing may be told of expunged messages between commands (RFC 9051 7.5.1). */
    if (outcome.answer != ANSWER_SAID) tell_changes(session, command);
    return outcome;
}

static void do_command(struct imap_session *session) {
    session->arena = arena_create(COMMAND_ARENA_MAX);
    struct imap_parser parser = {.rest = buf_str(&session->command), .arena = session->arena, .utf8 = imap_is_utf8(session)};
    struct imap_outcome outcome;
    session->tag = STR("*");
    if (!imap_take_tag(&parser, &session->tag) || !imap_take_space(&parser))
        outcome = refuse("Tag and command expected");
    else
        outcome = run(session, &parser);
    say_outcome(session, &outcome);
    if (session->unread.length > 0) throw_literals_away(session);
    session->bad_commands = outcome.answer == ANSWER_BAD ? session->bad_commands + 1 : 0;
    if (session->bad_commands >= BAD_COMMANDS_MAX) {
        imap_say(session, "* BYE Too many bad commands\r\n");
        session->logging_out = true;
    }
    ahead_end(session);
    cache_end(session->store); /* no reader of the cache outlives its command */
    arena_destroy(&session->arena);
}

void imap_session_serve(struct imap_session *session) {
    session->unsettled = DEADLINE_NEVER;
    while (!session->logging_out && !session->connection_lost && !session->idle_wanted) {
        if (session->unsettled != DEADLINE_NEVER && deadline_left(session->unsettled) == 0) imap_settle(session);
        /* Answers to commands that came together leave together. */
        if (stream_pending(session->stream) == 0 && session->out.length > 0 && !imap_flush(session)) break;
        if (read_command(session)) do_command(session);
    }
    if (!session->connection_lost) imap_flush(session);
    imap_settle(session);
}

void imap_session_end(struct imap_session *session) {
    folder_close(&session->folder);
    uid_set_free(&session->saved);
    buf_free(&session->out);
    buf_free(&session->command);
    buf_free(&session->file);
    if (session->inotify >= 0) close(session->inotify);
    session->inotify = -1;
}

/* ---- outcomes */

struct imap_outcome imap_ok(const char *text) {
    return (struct imap_outcome){.answer = ANSWER_OK, .text = str_from(text)};
}

struct imap_outcome imap_no(const char *code, const char *text) {
    return (struct imap_outcome){.answer = ANSWER_NO, .code = code, .text = str_from(text)};
}

struct imap_outcome imap_bad(const struct imap_parser *parser) {
    return (struct imap_outcome){.answer = ANSWER_BAD, .text = str_from(parser->error ? parser->error : "Syntax error")};
}

struct imap_outcome imap_store_trouble(enum store_result result, const struct failure *failure) {
    static const struct {
        const char *code, *text;
    } words[] = {
        [STORE_OK] = {"", ""},
        [STORE_MISSING] = {"NONEXISTENT", "No such mailbox"},
        [STORE_EXISTS] = {"ALREADYEXISTS", "Mailbox already exists"},
        [STORE_REFUSED] = {"CANNOT", "Not possible"},
        [STORE_OVER_QUOTA] = {"OVERQUOTA", "Quota exceeded"},
        [STORE_LIMIT] = {"LIMIT", "Too many"},
        [STORE_FULL] = {"UNAVAILABLE", "No room on the server's disk, try again later"},
        [STORE_BROKEN] = {"UNAVAILABLE", "Server trouble, try again later"},
        [STORE_GONE] = {"EXPUNGEISSUED", "Some of the messages are gone"},
    };
    if (result == STORE_FULL || result == STORE_BROKEN) log_warning("mailbox trouble: %s", failure->text);
    return (struct imap_outcome){.answer = ANSWER_NO, .code = words[result].code, .text = str_from(words[result].text)};
}
