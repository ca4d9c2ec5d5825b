/* COPY, MOVE, EXPUNGE, and with UID (RFC 9051 6.4.3, 6.4.7, 6.4.8, 6.4.9). */
#include "commands.h"

#include "log.h"

static uint64_t octets_of(const struct folder *folder, const struct uid_set *uids) {
    uint64_t octets = 0;
    uint32_t count = folder_count(folder);
    for (size_t i = 0; i < uids->count; i++) {
        for (uint32_t sequence = folder_sequence_from(folder, uids->ranges[i].first); sequence <= count; sequence++) {
            struct folder_message message;
            folder_message(folder, sequence, &message);
            if (message.uid > uids->ranges[i].last) break;
            octets += message.size;
        }
    }
    return octets;
}

/* COPYUID: of MOVE before the messages go, of COPY in the tagged answer. */
static void format_copyuid(struct buf *text, uint32_t validity, const struct uid_set *from, const struct uid_set *to) {
    buf_printf(text, "COPYUID %u ", validity);
    uid_set_format(from, text);
    buf_append_char(text, ' ');
    uid_set_format(to, text);
}

static struct imap_outcome tell_copied(struct imap_session *session, bool move, uint32_t validity,
                                       const struct uid_set *from, const struct uid_set *to) {
    struct buf text = buf_make(0);
    struct failure failure = {0};
    if (from->count == 0) return imap_ok("Nothing to do");
    format_copyuid(&text, validity, from, to);
    if (!move && imap_tell_changes(session, false, &failure) != STORE_OK)
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    if (move)
        imap_say(session, "* OK [%.*s] Moved\r\n", STR_ARGS(buf_str(&text)));
    else
        imap_say(session, "%.*s OK [%.*s] Copied\r\n", STR_ARGS(session->tag), STR_ARGS(buf_str(&text)));
    buf_free(&text);
    if (!move) return (struct imap_outcome){.answer = ANSWER_SAID};
    struct imap_outcome outcome = imap_ok("Moved");
    imap_tell_expunged(session, &outcome);
    return outcome;
}

static struct imap_outcome copy(struct imap_session *session, struct imap_parser *parser, bool uid, bool move) {
    struct imap_copy copy;
    struct uid_set uids = {0}, from = {0}, to = {0};
    struct failure failure = {0};
    uint32_t validity = 0;
    if (!imap_parse_copy(parser, &copy)) return imap_bad(parser);
    if (move && folder_is_read_only(session->folder)) return imap_no("NOPERM", "Mailbox is read-only");
    if (!imap_resolve_sequence(session, &copy.sequence, uid, &uids))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("No such message")};
    int lock = -1;
    enum store_result result = move ? STORE_OK
                                    : store_quota_claim(session->store, NULL, octets_of(session->folder, &uids),
                                                        uid_set_size(&uids), &lock, &failure);
    if (result == STORE_OK)
        result = folder_copy(session->folder, &uids, copy.mailbox, move, &validity, &from, &to, &failure);
    store_quota_unlock(&lock);
    struct imap_outcome outcome;
    if (result == STORE_OK)
        outcome = tell_copied(session, move, validity, &from, &to);
    else if (result == STORE_MISSING)
        outcome = imap_no("TRYCREATE", "No such mailbox");
    else
        outcome = imap_store_trouble(result, &failure);
    uid_set_free(&uids);
    uid_set_free(&from);
    uid_set_free(&to);
    return outcome;
}

IMAP_COMMAND(cmd_copy) {
    return copy(session, parser, uid, false);
}

IMAP_COMMAND(cmd_move) {
    return copy(session, parser, uid, true);
}

IMAP_COMMAND(cmd_expunge) {
    struct uid_set uids = {0};
    struct failure failure = {0};
    if (uid) { /* UIDPLUS: only these */
        struct imap_sequence sequence;
        if (!imap_take_sequence(parser, &sequence)) return imap_bad(parser);
        if (!imap_resolve_sequence(session, &sequence, true, &uids)) return imap_ok("Nothing to do");
    }
    if (!imap_take_end(parser)) {
        uid_set_free(&uids);
        return imap_bad(parser);
    }
    struct imap_outcome outcome = imap_no("NOPERM", "Mailbox is read-only");
    if (!folder_is_read_only(session->folder)) {
        enum store_result result = folder_expunge(session->folder, uid ? &uids : NULL, &failure);
        outcome = result == STORE_OK ? imap_ok("Done") : imap_store_trouble(result, &failure);
        if (result == STORE_OK) imap_tell_expunged(session, &outcome);
    }
    uid_set_free(&uids);
    return outcome;
}
