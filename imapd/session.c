/* A session: reads a command, does it, answers (RFC 9051 section 2.2). */
#include "ahead.h"

#include <unistd.h>

#include "clock.h"
#include "log.h"

#define BAD_COMMANDS_MAX  20                /* in a row, then the connection ends */
#define COMMAND_SIZE_MAX  ((size_t)4 << 20) /* of a command with its literals; APPEND's message is not in it */
#define COMMAND_ARENA_MAX ((size_t)64 << 20)
#define HEAP_FEW          ((size_t)1 << 20) /* octets by which the heap may stay larger than it was */

/* ---- reading */

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

/* Whether a line's literal is an APPEND's message, which the command reads by itself: its mailbox may be a literal too.
 */
static bool is_append_message(const struct imap_session *session) {
    struct str rest = buf_str(&session->command), tag, word;
    if (!str_next_word(&rest, " ", &tag) || !str_next_word(&rest, " ", &word) || !str_equal_nocase(word, STR("APPEND")))
        return false;
    rest = str_trim(rest);
    struct imap_literal literal;
    size_t line = str_find(rest, '\r');
    bool literal_mailbox = rest.length > 0 && rest.data[0] == '{' &&
                           imap_line_literal(line == STR_NONE ? rest : str_slice(rest, 0, line), &literal);
    return !literal_mailbox || line != STR_NONE;
}

/* One that is too large: it has not been sent yet, or would have to be read and thrown away (RFC 7888 section 4). */
static void refuse_literal(struct imap_session *session, bool synchronizing) {
    struct imap_parser parser = {.rest = buf_str(&session->command)};
    struct str tag;
    if (synchronizing && imap_take_tag(&parser, &tag)) {
        imap_say(session, "%.*s NO [TOOBIG] Command too large\r\n", STR_ARGS(tag));
        return;
    }
    imap_say(session, "* BYE [TOOBIG] Command too large\r\n");
    session->logging_out = true;
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
            refuse_literal(session, literal.synchronizing);
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

/* After a refused APPEND: what its lines announced comes unasked if the literal is not a synchronizing one, and must
 * not be taken for commands (RFC 7888 section 4). */
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
    imap_say(session, "%.*s %s %s%s%s%.*s\r\n", STR_ARGS(session->tag), words[outcome->answer], code[0] ? "[" : "",
             code, code[0] ? "] " : "", STR_ARGS(outcome->text));
}

/* After the command, before its tagged answer: what has happened meanwhile. */
static void tell_changes(struct imap_session *session) {
    struct failure failure = {0};
    if (!session->folder || session->connection_lost) return;
    if (imap_tell_changes(session, session->keeps_numbers, &failure) != STORE_OK)
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
    session->keeps_numbers = (command->flags & COMMAND_NUMBERS) && !session->uid_command;
    struct imap_outcome outcome = command->run(session, parser, session->uid_command);
    /* Nothing may be told of expunged messages between commands (RFC 9051 7.5.1). */
    if (outcome.answer != ANSWER_SAID) tell_changes(session);
    return outcome;
}

static void do_command(struct imap_session *session) {
    session->arena = arena_create(COMMAND_ARENA_MAX);
    struct imap_parser parser = {
        .rest = buf_str(&session->command), .arena = session->arena, .utf8 = imap_is_utf8(session)};
    struct imap_outcome outcome;
    session->tag = STR("*");
    struct str tag = STR_EMPTY;
    bool has_tag = imap_take_tag(&parser, &tag) && (parser.rest.length == 0 || imap_peek_char(&parser, ' '));
    if (has_tag) session->tag = tag;
    if (!has_tag || !imap_take_space(&parser))
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
    if (memory_heap_end() > session->heap_end + HEAP_FEW) imap_note_change(session);
}

/* The client is quiet: what was put off is done, and memory that the answers took goes back. */
static void tidy_up(struct imap_session *session) {
    imap_settle(session);
    memory_give_back();
    session->heap_end = memory_heap_end();
}

void imap_session_serve(struct imap_session *session) {
    session->unsettled = DEADLINE_NEVER;
    session->heap_end = memory_heap_end();
    while (!session->logging_out && !session->connection_lost && !session->idle_wanted) {
        if (session->unsettled != DEADLINE_NEVER && deadline_left(session->unsettled) == 0) tidy_up(session);
        /* Answers to commands that came together leave together. */
        if (stream_pending(session->stream) == 0 && session->out.length > 0 && !imap_flush(session)) break;
        cache_flush(session->store); /* what the command has learnt: its client need not wait for that */
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
