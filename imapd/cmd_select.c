/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 6.3.2, 6.4.1; QRESYNC: RFC 7162 3.2.5). */
#include "commands.h"

/* The last message of which the client knows number and UID: what was expunged before is no news (RFC 7162 3.2.5.2). */
static uint32_t find_known(const struct folder *folder, const struct imap_select *select) {
    struct uid_set sequences = {0}, uids = {0};
    uint32_t known = 0, count = folder_count(folder);
    bool given = select->match_sequences.length > 0 &&
                 uid_set_parse(select->match_sequences, 0, IMAP_RANGES_MAX, &sequences) &&
                 uid_set_parse(select->match_uids, 0, IMAP_RANGES_MAX, &uids);
    size_t range = 0;
    uint32_t uid = given && uids.count > 0 ? uids.ranges[0].first : 0;
    for (size_t i = 0; given && i < sequences.count; i++) {
        for (uint32_t sequence = sequences.ranges[i].first;
             range < uids.count && sequence <= sequences.ranges[i].last && sequence <= count; sequence++) {
            if (folder_uid(folder, sequence) == uid) known = uid;
            if (uid < uids.ranges[range].last)
                uid++;
            else if (++range < uids.count)
                uid = uids.ranges[range].first;
        }
    }
    uid_set_free(&sequences);
    uid_set_free(&uids);
    return known;
}

static void tell_resynchronisation(struct imap_session *session, const struct imap_select *select) {
    struct uid_set known = {0};
    bool limited = select->known_uids.length > 0 && uid_set_parse(select->known_uids, 0, IMAP_RANGES_MAX, &known);
    if (select->uid_validity == folder_uid_validity(session->folder)) {
        imap_tell_earlier(session, select->modseq, limited ? &known : NULL, find_known(session->folder, select));
        imap_fetch_changed(session, select->modseq, limited ? &known : NULL);
    }
    uid_set_free(&known);
}

static void tell_folder(struct imap_session *session, struct str mailbox) {
    const struct folder *folder = session->folder;
    const uint8_t *id = folder_id(folder);
    imap_tell_keywords(session);
    imap_say(session, "* %u EXISTS\r\n", folder_count(folder));
    if (!(session->features & FEATURE_REV2)) {
        uint32_t unseen = folder_first_unseen(folder);
        imap_say(session, "* %u RECENT\r\n", folder_recent(folder));
        if (unseen > 0) imap_say(session, "* OK [UNSEEN %u] First unseen\r\n", unseen);
    }
    imap_say(session, "* OK [UIDVALIDITY %u] UIDs valid\r\n", folder_uid_validity(folder));
    imap_say(session, "* OK [UIDNEXT %u] Predicted next UID\r\n", folder_uid_next(folder));
    imap_say(session, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)folder_highest_modseq(folder));
    imap_say(session, "* OK [MAILBOXID (");
    for (int i = 0; i < 16; i++)
        imap_say(session, "%02x", id[i]);
    imap_say(session, ")] Ok\r\n");
    if (session->features & FEATURE_REV2) {
        struct buf name = buf_make(0);
        imap_append_mailbox(&name, mailbox, true);
        imap_say(session, "* LIST () \"/\" %.*s\r\n", STR_ARGS(buf_str(&name)));
        buf_free(&name);
    }
}

static struct imap_outcome open_mailbox(struct imap_session *session, struct imap_parser *parser,
                                        enum folder_open_mode mode) {
    struct imap_select select;
    struct failure failure = {0};
    enum store_result result;
    if (!imap_parse_select(parser, &select)) return imap_bad(parser);
    if (select.qresync && !(session->features & FEATURE_QRESYNC))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("QRESYNC is not enabled")};
    if (session->folder) {
        if (imap_leave(session, false, &failure) != STORE_OK)
            return imap_no("UNAVAILABLE", "Server trouble, try again later");
        imap_say(session, "* OK [CLOSED] Previous mailbox closed\r\n");
    }
    session->folder = folder_open(session->store, select.mailbox, mode, &result, &failure);
    if (!session->folder) return imap_store_trouble(result, &failure);
    if (select.condstore || select.qresync) session->features |= FEATURE_CONDSTORE;
    tell_folder(session, select.mailbox);
    if (select.qresync) tell_resynchronisation(session, &select);
    struct imap_outcome outcome = imap_ok(mode == FOLDER_READ_ONLY ? "Mailbox opened read-only" : "Mailbox opened");
    outcome.code = mode == FOLDER_READ_ONLY ? "READ-ONLY" : "READ-WRITE";
    return outcome;
}

IMAP_COMMAND(cmd_select) {
    (void)uid;
    return open_mailbox(session, parser, FOLDER_READ_WRITE);
}

IMAP_COMMAND(cmd_examine) {
    (void)uid;
    return open_mailbox(session, parser, FOLDER_READ_ONLY);
}

IMAP_COMMAND(cmd_close) {
    struct failure failure = {0};
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    enum store_result result = imap_leave(session, true, &failure);
    return result == STORE_OK ? imap_ok("Mailbox closed") : imap_store_trouble(result, &failure);
}

IMAP_COMMAND(cmd_unselect) {
    struct failure failure = {0};
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    enum store_result result = imap_leave(session, false, &failure);
    return result == STORE_OK ? imap_ok("Mailbox left") : imap_store_trouble(result, &failure);
}
