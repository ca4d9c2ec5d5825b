/* STORE and UID STORE (RFC 9051 6.4.6, conditional: RFC 7162 3.1.3). */
#include "commands.h"

#include "log.h"

/* What the client did not keep silent is told with its new flags; with CONDSTORE every changed message's modseq is. */
static void tell_stored(struct imap_session *session, const struct imap_store *store, const struct uid_set *uids,
                        const struct uid_set *changed) {
    bool condstore = session->features & FEATURE_CONDSTORE;
    const struct uid_set *tell = store->silent ? changed : uids;
    uint32_t count = folder_count(session->folder);
    for (size_t i = 0; (!store->silent || condstore) && i < tell->count; i++) {
        for (uint32_t sequence = folder_sequence_from(session->folder, tell->ranges[i].first); sequence <= count;
             sequence++) {
            struct folder_message message;
            folder_message_known(session->folder, sequence, &message);
            if (message.uid > tell->ranges[i].last) break;
            if (!store->silent)
                imap_tell_flags(session, sequence, imap_tells_uids(session));
            else
                imap_say(session, "* %u FETCH (UID %u MODSEQ (%llu))\r\n", sequence, message.uid,
                         (unsigned long long)message.modseq);
        }
    }
}

/* "[MODIFIED 7,9]": in the numbers that the command used. */
static void format_modified(const struct imap_session *session, const struct uid_set *modified, struct buf *text) {
    struct uid_set numbers = {0};
    for (size_t i = 0; !session->uid_command && i < modified->count; i++)
        for (uint64_t uid = modified->ranges[i].first; uid <= modified->ranges[i].last; uid++) {
            uint32_t sequence = folder_sequence(session->folder, (uint32_t)uid);
            uid_set_add(&numbers, sequence, sequence);
        }
    buf_append(text, STR("MODIFIED "));
    uid_set_format(session->uid_command ? modified : &numbers, text);
    uid_set_free(&numbers);
}

static struct imap_outcome answer_modified(struct imap_session *session, const struct uid_set *modified) {
    struct buf text = buf_make(0);
    struct failure failure = {0};
    format_modified(session, modified, &text);
    /* What has changed them, so that the client need not ask (RFC 7162 3.1.3). */
    if (imap_tell_changes(session, session->keeps_numbers, &failure) != STORE_OK)
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    imap_say(session, "%.*s OK [%.*s] Conditional STORE failed for some\r\n", STR_ARGS(session->tag),
             STR_ARGS(buf_str(&text)));
    buf_free(&text);
    return (struct imap_outcome){.answer = ANSWER_SAID};
}

IMAP_COMMAND(cmd_store) {
    struct imap_store store;
    struct uid_set uids = {0}, modified = {0}, changed = {0};
    struct failure failure = {0};
    if (!imap_parse_store(parser, &store)) return imap_bad(parser);
    if (folder_is_read_only(session->folder)) return imap_no("NOPERM", "Mailbox is read-only");
    if (!imap_resolve_sequence(session, &store.sequence, uid, &uids))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("No such message")};
    if (store.has_unchanged_since) imap_use_condstore(session);
    /* UNCHANGEDSINCE 0 can never hold (RFC 7162 3.1.3); the store takes 0 for "not given". */
    if (store.has_unchanged_since && store.unchanged_since == 0) {
        uid_set_copy(&uids, &modified);
        uid_set_clear(&uids);
    }
    const struct flags_wish flags = {.change = store.change,
                                     .system = store.flags.system,
                                     .keywords = store.flags.keywords,
                                     .keyword_count = store.flags.keyword_count,
                                     .unchanged_since = store.has_unchanged_since ? store.unchanged_since : 0};
    enum store_result result = folder_store(session->folder, &uids, &flags, &modified, &changed, &failure);
    struct imap_outcome outcome = result == STORE_OK ? imap_ok("Done") : imap_store_trouble(result, &failure);
    if (result == STORE_OK) {
        uid_set_subtract(&uids, &modified);
        imap_tell_new_keywords(session);
        tell_stored(session, &store, &uids, &changed);
        if (changed.count > 0) imap_note_change(session);
        if (modified.count > 0) outcome = answer_modified(session, &modified);
    }
    uid_set_free(&uids);
    uid_set_free(&modified);
    uid_set_free(&changed);
    return outcome;
}
