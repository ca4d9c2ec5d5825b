/* What has changed, told: untagged answers (RFC 9051 section 7), and numbers of messages. */
#include "imap.h"

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

void imap_use_condstore(struct imap_session *session) {
    if (session->features & FEATURE_CONDSTORE) return;
    session->features |= FEATURE_CONDSTORE;
    if (session->folder)
        imap_say(session, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)folder_highest_modseq(session->folder));
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
    bool with_uid = session->uid_command || (session->features & FEATURE_QRESYNC);
    for (size_t i = 0; i < changes.changed_count; i++)
        imap_tell_flags(session, changes.changed[i], with_uid);
    if (folder_is_unsettled(session->folder)) imap_note_change(session);
    folder_changes_free(&changes);
    return STORE_OK;
}

/* ---- numbers */

/* Sequence numbers to UIDs, range by range. False: a number that is not there. */
static bool to_uids(const struct folder *folder, const struct uid_set *numbers, struct uid_set *uids) {
    uint32_t count = folder_count(folder);
    for (size_t i = 0; i < numbers->count; i++) {
        if (numbers->ranges[i].last > count) return false;
        for (uint32_t sequence = numbers->ranges[i].first; sequence <= numbers->ranges[i].last; sequence++) {
            uint32_t uid = folder_uid(folder, sequence);
            uid_set_add(uids, uid, uid);
        }
    }
    return true;
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

bool imap_resolve_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid, struct uid_set *uids) {
    const struct folder *folder = session->folder;
    struct uid_set set = {0};
    uint32_t count = folder_count(folder), star = count == 0 ? 0 : uid ? folder_uid(folder, count) : count;
    uid_set_clear(uids);
    if (sequence->saved) {
        keep_present(folder, &session->saved, uids);
        return true;
    }
    bool good = uid_set_parse(sequence->text, star, IMAP_RANGES_MAX, &set);
    if (good && uid)
        keep_present(folder, &set, uids);
    else if (good)
        good = to_uids(folder, &set, uids);
    uid_set_free(&set);
    return good;
}
