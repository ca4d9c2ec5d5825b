/* APPEND of one message or several (RFC 9051 6.3.12, RFC 3502): all are there, or none is. */
#include "commands.h"

/* Passes a message's bytes on; after a refusal they are read and thrown away where the client sends them unasked. */
static bool read_message(struct imap_session *session, struct folder_saving *saving, uint64_t size,
                         enum store_result *result, struct failure *failure) {
    while (size > 0) {
        struct str bytes;
        stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
        if (stream_read_some(session->stream, size < 65536 ? (size_t)size : 65536, &bytes) != STREAM_OK) {
            session->connection_lost = session->logging_out = true;
            return false;
        }
        size -= bytes.length;
        if (saving && *result == STORE_OK) *result = folder_save_bytes(saving, bytes, failure);
    }
    return true;
}

struct append {
    struct imap_session *session;
    struct folder_saving *saving;
    enum store_result result;
    struct failure failure;
    struct imap_outcome refused; /* text set: refused for another reason than the store's */
    uint64_t octets, messages;
    struct store_usage usage; /* before the first of them */
};

/* Messages that come together look at all folders but once. */
static enum store_result check_quota(struct append *append) {
    enum store_result result = STORE_OK;
    if (append->messages == 1) result = store_quota_look(append->session->store, &append->usage, &append->failure);
    return result == STORE_OK ? store_usage_allows(&append->usage, append->octets, append->messages, &append->failure)
                              : result;
}

static void check_message(struct append *append, const struct imap_append_message *message) {
    if (append->refused.text.length > 0 || append->result != STORE_OK) return;
    append->octets += message->size;
    append->messages++;
    if (message->size > append->session->settings->append_limit)
        append->refused = imap_no("TOOBIG", "Message is larger than the server takes");
    else if (message->size == 0)
        append->refused = imap_no("CANNOT", "Empty message");
    else if (message->is_utf8 && !(append->session->features & FEATURE_UTF8))
        append->refused = imap_no("CANNOT", "UTF8=ACCEPT is not enabled");
    else
        append->result = check_quota(append);
    if (append->refused.text.length == 0 && append->result == STORE_OK)
        append->result =
            folder_save_message(append->saving, message->flags.system, message->flags.keywords,
                                message->flags.keyword_count, message->has_date ? message->date : 0, &append->failure);
}

static bool is_good(const struct append *append) {
    return append->result == STORE_OK && append->refused.text.length == 0;
}

/* One message, and the line behind it: *more says that another follows, in parser. */
static bool take_message(struct append *append, struct imap_parser *parser, bool *more, bool *bad) {
    struct imap_session *session = append->session;
    struct imap_append_message message;
    struct str line;
    *bad = !imap_parse_append_message(parser, &message);
    if (*bad) return true;
    session->unread = STR_EMPTY;
    check_message(append, &message);
    if (message.synchronizing) {
        if (!is_good(append)) { /* it has not been sent: that was all */
            *more = false;
            return true;
        }
        if (!imap_continue(session, "OK")) return false;
    }
    if (!read_message(session, is_good(append) ? append->saving : NULL, message.size, &append->result,
                      &append->failure) ||
        !imap_read_line(session, &line))
        return false;
    if (message.is_utf8 && line.length > 0 && line.data[0] == ')') line = str_from_offset(line, 1);
    *more = line.length > 0;
    *bad = *more && line.data[0] != ' ';
    if (*more) {
        struct str copy; /* the line goes with the next read */
        if (!arena_copy(session->arena, line, &copy)) {
            session->logging_out = true;
            return false;
        }
        session->unread = copy;
        parser->rest = str_from_offset(copy, 1);
    }
    return true;
}

static struct imap_outcome finish(struct append *append) {
    struct imap_session *session = append->session;
    struct uid_set uids = {0};
    uint32_t validity;
    if (append->refused.text.length > 0) return append->refused;
    int lock = -1;
    if (append->result == STORE_OK)
        append->result = store_quota_claim(session->store, &append->usage, append->octets, append->messages, &lock,
                                           &append->failure);
    if (append->result == STORE_OK)
        append->result = folder_save_commit(&append->saving, &validity, &uids, &append->failure);
    store_quota_unlock(&lock);
    if (append->result != STORE_OK) return imap_store_trouble(append->result, &append->failure);
    struct buf text = buf_make(0);
    uid_set_format(&uids, &text);
    /* The message is there before its answer (RFC 9051 6.3.12). */
    struct failure ignored = {0};
    if (session->folder && imap_tell_changes(session, false, &ignored) != STORE_OK) session->logging_out = true;
    imap_say(session, "%.*s OK [APPENDUID %u %.*s] Saved\r\n", STR_ARGS(session->tag), validity,
             STR_ARGS(buf_str(&text)));
    buf_free(&text);
    uid_set_free(&uids);
    return (struct imap_outcome){.answer = ANSWER_SAID};
}

IMAP_COMMAND(cmd_append) {
    struct append append = {.session = session, .result = STORE_OK, .refused = {.text = STR_EMPTY}};
    struct str mailbox;
    bool more = true, bad = false;
    (void)uid;
    if (!imap_parse_append_mailbox(parser, &mailbox)) return imap_bad(parser);
    append.saving = folder_save_begin(session->store, mailbox, &append.result, &append.failure);
    if (!append.saving && append.result == STORE_MISSING) append.refused = imap_no("TRYCREATE", "No such mailbox");
    while (more && !bad)
        if (!take_message(&append, parser, &more, &bad)) break;
    struct imap_outcome outcome = {.answer = ANSWER_SAID};
    if (bad)
        outcome = imap_bad(parser);
    else if (!session->connection_lost && !more)
        outcome = finish(&append);
    folder_save_abandon(&append.saving);
    return outcome;
}
