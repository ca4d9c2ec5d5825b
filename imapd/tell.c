/* What has changed, told: untagged answers (RFC 9051 section 7), and numbers of messages. */
#include "imap.h"

#include "log.h"

void imap_tell_keywords(struct imap_session *session) {
    static const char system[] = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded";
    const struct folder *folder = session->folder;
    bool full = true;
    for (int round = 0; round < 2; round++) {
        if (round == 1 && folder_is_read_only(folder)) {
            imap_say(session, "* OK [PERMANENTFLAGS ()] Read-only mailbox\r\n");
            break;
        }
        imap_say(session, round == 0 ? "* FLAGS (%s" : "* OK [PERMANENTFLAGS (%s", system);
        for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++) {
            struct str name = folder_keyword(folder, bit);
            if (name.length > 0)
                imap_say(session, " %.*s", STR_ARGS(name));
            else
                full = false;
        }
        imap_say(session, round == 0 ? ")\r\n" : "%s)] Flags permitted\r\n", full ? "" : " \\*");
    }
}

void imap_tell_new_keywords(struct imap_session *session) {
    if (folder_has_new_keywords(session->folder)) imap_tell_keywords(session);
}

void imap_use_condstore(struct imap_session *session) {
    if (session->features & FEATURE_CONDSTORE) return;
    session->features |= FEATURE_CONDSTORE;
    if (session->folder)
        imap_say(session, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
                 (unsigned long long)folder_highest_modseq(session->folder));
}

bool imap_tells_uids(const struct imap_session *session) {
    return session->uid_command || (session->features & (FEATURE_CONDSTORE | FEATURE_REV2));
}

void imap_tell_flags(struct imap_session *session, uint32_t sequence, bool with_uid) {
    struct folder_message message;
    folder_message_known(session->folder, sequence, &message);
    imap_say_bytes(session, STR("* "));
    imap_say_number(session, sequence);
    imap_say_bytes(session, STR(" FETCH ("));
    if (with_uid) {
        imap_say_bytes(session, STR("UID "));
        imap_say_number(session, message.uid);
        imap_say_bytes(session, STR(" "));
    }
    if (session->features & FEATURE_CONDSTORE) {
        imap_say_bytes(session, STR("MODSEQ ("));
        imap_say_number(session, message.modseq);
        imap_say_bytes(session, STR(") "));
    }
    imap_say_bytes(session, STR("FLAGS "));
    imap_say_flags(session, &message.flags);
    imap_say_bytes(session, STR(")\r\n"));
}

static void tell_expunged(struct imap_session *session, const struct folder_changes *changes) {
    if (changes->expunged_count == 0) return;
    if (session->features & FEATURE_QRESYNC) {
        struct buf text = buf_make(0);
        uid_set_format(&changes->expunged_uids, &text);
        imap_say(session, "* VANISHED %.*s\r\n", STR_ARGS(buf_str(&text)));
        buf_free(&text);
        return;
    }
    for (size_t i = 0; i < changes->expunged_count; i++)
        imap_say(session, "* %u EXPUNGE\r\n", changes->expunged[i]);
}

enum store_result imap_tell_changes(struct imap_session *session, bool keep, struct failure *failure) {
    struct folder_changes changes;
    enum store_result result = folder_sync(session->folder, keep, &changes, failure);
    if (result != STORE_OK) return result;
    if (changes.renewed) {
        imap_say(session, "* BYE The mailbox was made anew, select it again\r\n");
        session->logging_out = true;
        folder_changes_free(&changes);
        return STORE_OK;
    }
    tell_expunged(session, &changes);
    uid_set_subtract(&session->saved, &changes.expunged_uids);
    if (changes.grew) {
        imap_say(session, "* %u EXISTS\r\n", folder_count(session->folder));
        if (!(session->features & FEATURE_REV2)) imap_say(session, "* %u RECENT\r\n", folder_recent(session->folder));
    }
    if (changes.keywords_changed) imap_tell_keywords(session);
    for (size_t i = 0; i < changes.changed_count; i++)
        imap_tell_flags(session, changes.changed[i], imap_tells_uids(session));
    if (folder_is_unsettled(session->folder)) imap_note_change(session);
    folder_changes_free(&changes);
    return STORE_OK;
}

void imap_tell_expunged(struct imap_session *session, struct imap_outcome *outcome) {
    struct failure failure = {0};
    imap_note_change(session);
    if (!(session->features & FEATURE_CONDSTORE)) return; /* told with the command's end */
    if (imap_tell_changes(session, false, &failure) != STORE_OK)
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    else if (!session->logging_out)
        snprintf(outcome->code_text, sizeof outcome->code_text, "HIGHESTMODSEQ %llu",
                 (unsigned long long)folder_highest_modseq(session->folder));
}

/* ---- what has gone before */

/* All UIDs that were given and are not there. */
static void find_absent(const struct folder *folder, struct uid_set *gone) {
    struct uid_set present = {0};
    uint32_t next = folder_uid_next(folder), count = folder_count(folder);
    uid_set_clear(gone);
    if (next > 1) uid_set_add(gone, 1, next - 1);
    for (uint32_t sequence = 1; sequence <= count; sequence++) {
        uint32_t uid = folder_uid(folder, sequence);
        uid_set_add(&present, uid, uid);
    }
    uid_set_subtract(gone, &present);
    uid_set_free(&present);
}

void imap_tell_earlier(struct imap_session *session, uint64_t modseq, const struct uid_set *asked, uint32_t known) {
    struct uid_set gone = {0};
    struct buf text = buf_make(0);
    /* Where the history does not reach back so far, whatever is not there counts (RFC 7162 3.2.6). */
    if (!folder_expunged_since(session->folder, modseq, &gone)) find_absent(session->folder, &gone);
    if (asked) uid_set_intersect(&gone, asked);
    if (known > 0) uid_set_remove(&gone, 1, known);
    uid_set_format(&gone, &text);
    if (text.length > 0) {
        imap_say_bytes(session, STR("* VANISHED (EARLIER) "));
        imap_say_bytes(session, buf_str(&text));
        imap_say_bytes(session, STR("\r\n"));
    }
    buf_free(&text);
    uid_set_free(&gone);
}

/* ---- numbers */

/* Sequence numbers to UIDs, range by range. False: a number was not there. */
static bool to_uids(const struct folder *folder, const struct uid_set *numbers, struct uid_set *uids) {
    uint32_t count = folder_count(folder);
    bool good = true;
    for (size_t i = 0; i < numbers->count; i++) {
        uint32_t first = numbers->ranges[i].first, last = numbers->ranges[i].last;
        good = good && first > 0 && last <= count;
        for (uint32_t sequence = first > 0 ? first : 1; sequence <= last && sequence <= count; sequence++) {
            uint32_t uid = folder_uid(folder, sequence);
            uid_set_add(uids, uid, uid);
        }
    }
    return good;
}

/* Those of the set that are there: a set of UIDs may name any number of others. */
static void keep_present(const struct folder *folder, struct uid_set *set, struct uid_set *uids) {
    uint32_t count = folder_count(folder);
    for (size_t i = 0; i < set->count; i++) {
        for (uint32_t sequence = folder_sequence_from(folder, set->ranges[i].first); sequence <= count; sequence++) {
            uint32_t uid = folder_uid(folder, sequence);
            if (uid > set->ranges[i].last) break;
            uid_set_add(uids, uid, uid);
        }
    }
}

/* *exist: every number was there. */
static bool resolve(struct imap_session *session, const struct imap_sequence *sequence, bool uid, struct uid_set *uids,
                    bool *exist) {
    const struct folder *folder = session->folder;
    struct uid_set set = {0};
    uint32_t count = folder_count(folder), star = count == 0 ? 0 : uid ? folder_uid(folder, count) : count;
    uid_set_clear(uids);
    *exist = true;
    if (sequence->saved) {
        keep_present(folder, &session->saved, uids);
        return true;
    }
    bool good = uid_set_parse(sequence->text, star, IMAP_RANGES_MAX, &set);
    if (good && uid)
        keep_present(folder, &set, uids);
    else if (good)
        *exist = to_uids(folder, &set, uids) && count > 0; /* where nothing is, "*" is no number (RFC 9051 section 9) */
    uid_set_free(&set);
    return good;
}

bool imap_resolve_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid,
                           struct uid_set *uids) {
    bool exist;
    return resolve(session, sequence, uid, uids, &exist) && exist;
}

bool imap_match_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid,
                         struct uid_set *uids) {
    bool exist;
    return resolve(session, sequence, uid, uids, &exist);
}
