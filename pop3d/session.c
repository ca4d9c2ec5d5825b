/* A session: reads a command, does it, answers (RFC 1939 sections 5 and 6). See pop3.h. */
#include "pop3.h"

#include <errno.h>

#include "log.h"
#include "memory.h"

#define BAD_COMMANDS_MAX 20     /* in a row, then the connection ends */
#define IDLE_LEAST       600000 /* ms: RFC 1939 section 3 */

static deadline patience(const struct pop3_session *session) {
    int64_t time = session->settings->idle_timeout;
    return deadline_in(time > IDLE_LEAST ? time : IDLE_LEAST);
}

/* ---- writing */

void pop3_say_bytes(struct pop3_session *session, struct str bytes) {
    if (session->connection_lost) return;
    stream_set_deadline(session->stream, patience(session));
    session->connection_lost = stream_write(session->stream, bytes) != STREAM_OK;
}

void pop3_say(struct pop3_session *session, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    pop3_say_bytes(session, buf_str(&text));
    buf_free(&text);
}

/* ---- the beginning */

const char *pop3_trouble(const struct failure *failure) {
    int error = failure->error_number;
    return error == EACCES || error == EPERM || error == ENOTDIR || error == ELOOP ? "SYS/PERM" : "SYS/TEMP";
}

static bool refuse(struct pop3_session *session, const char *code, const char *text, const struct failure *failure) {
    if (failure && failure->text[0]) log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure->text);
    pop3_say(session, "-ERR [%s] %s\r\n", code, text);
    return false;
}

static bool take_lock(struct pop3_session *session) {
    struct failure failure = {0};
    switch (pop3_lock_take(session->store, session->settings->pop3_login_delay, &session->lock, &failure)) {
    case LOCK_TAKEN:
        return true;
    case LOCK_IN_USE:
        return refuse(session, "IN-USE", "Another POP3 session has the mailbox", NULL);
    case LOCK_TOO_SOON:
        return refuse(session, "LOGIN-DELAY", "Too soon after the last login", NULL);
    case LOCK_FAILED:
        break;
    }
    return refuse(session, pop3_trouble(&failure), "The mailbox cannot be opened", &failure);
}

/* A client that was let in before hears of trouble when it says something. */
static void await_line(struct pop3_session *session) {
    struct str ignored;
    stream_set_deadline(session->stream, patience(session));
    if (!session->connection_lost && stream_read_line(session->stream, &ignored) == STREAM_OK) return;
    session->connection_lost = true;
}

/* The first reading of a large INBOX is not waited for with the login's answer, which needs nothing of it: what it
 * brings is on disk, as ever, before a word of it is said. */
bool pop3_session_begin(struct pop3_session *session) {
    struct failure failure = {0};
    enum store_result result;
    if (!take_lock(session)) return false;
    bool let_in = folder_is_first_look(session->store, STR("INBOX"));
    if (let_in) {
        pop3_say(session, "+OK Logged in\r\n");
        if (!session->connection_lost && stream_flush(session->stream) != STREAM_OK) session->connection_lost = true;
    }
    session->folder = folder_open(session->store, STR("INBOX"), FOLDER_READ_WRITE, &result, &failure);
    if (!session->folder && let_in) await_line(session);
    if (!session->folder) return refuse(session, pop3_trouble(&failure), "The mailbox cannot be opened", &failure);
    session->count = folder_count(session->folder);
    session->deleted = memory_allocate((size_t)session->count + 1, 1);
    if (!let_in) pop3_say(session, "+OK Logged in, %u messages\r\n", session->count);
    return true;
}

void pop3_session_end(struct pop3_session *session) {
    struct failure failure = {0};
    if (session->folder && folder_is_unsettled(session->folder) && !folder_settle(session->folder, &failure))
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    folder_close(&session->folder);
    pop3_lock_release(&session->lock);
    saved_uidls_free(&session->saved);
    MEMORY_FREE(session->deleted);
}

/* ---- commands */

static void say_capabilities(struct pop3_session *session, const struct pop3_line *line) {
    struct buf text = buf_make(0);
    (void)line;
    pop3_capabilities(session->settings->pop3_login_delay, &text);
    pop3_logins(session->mechanisms, &text); /* announced in both states (RFC 2449 section 5) */
    pop3_say(session, "+OK Capabilities follow\r\n%s.\r\n", buf_string(&text));
    buf_free(&text);
}

static void say_language(struct pop3_session *session, const struct pop3_line *line) {
    struct buf text = buf_make(0);
    pop3_language(line->count > 0, line->arguments[0], &text);
    pop3_say_bytes(session, buf_str(&text));
    buf_free(&text);
}

static void say_ok(struct pop3_session *session, const struct pop3_line *line) {
    (void)line;
    pop3_say(session, "+OK\r\n");
}

static pop3_command *const commands[POP3_WORDS] = {
    [POP3_CAPA] = say_capabilities, [POP3_LANG] = say_language, [POP3_STAT] = pop3_stat, [POP3_LIST] = pop3_list,
    [POP3_UIDL] = pop3_uidl,        [POP3_RETR] = pop3_retr,    [POP3_TOP] = pop3_top,   [POP3_DELE] = pop3_dele,
    [POP3_RSET] = pop3_rset,        [POP3_NOOP] = say_ok,       [POP3_QUIT] = pop3_quit,
};

/* ---- the dialogue */

static void bad(struct pop3_session *session, const char *text) {
    pop3_say(session, "-ERR %s\r\n", text);
    if (++session->bad_commands < BAD_COMMANDS_MAX) return;
    pop3_say(session, "-ERR Too many bad commands\r\n");
    session->quitting = true;
}

static void do_command(struct pop3_session *session, struct str text) {
    struct pop3_line line;
    if (!pop3_line_parse(text, POP3_TRANSACTION, &line) || !commands[line.word]) {
        bad(session, line.error ? line.error : "Not now");
        return;
    }
    session->bad_commands = 0;
    commands[line.word](session, &line);
}

/* One line. Whatever ends the connection but QUIT deletes nothing, and a client that says nothing for too long is told
 * nothing (RFC 1939 section 3). */
static void serve_line(struct pop3_session *session) {
    struct str line;
    stream_set_deadline(session->stream, patience(session));
    switch (stream_read_line(session->stream, &line)) {
    case STREAM_OK:
        do_command(session, line);
        break;
    case STREAM_TOO_LONG:
        bad(session, "Line too long");
        break;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        pop3_say(session, "-ERR Lines end in CR LF, and have no NUL\r\n");
        session->quitting = true;
        break;
    case STREAM_CANCELLED:
        pop3_say(session, "-ERR [SYS/TEMP] Server shutting down\r\n");
        session->quitting = true;
        break;
    case STREAM_TIMEOUT:
        session->quitting = true;
        break;
    case STREAM_EOF:
    case STREAM_ERROR:
        session->connection_lost = true;
        break;
    }
}

void pop3_session_serve(struct pop3_session *session) {
    while (!session->quitting && !session->connection_lost)
        serve_line(session);
}
