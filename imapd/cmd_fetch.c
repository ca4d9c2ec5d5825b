/* FETCH and UID FETCH (RFC 9051 6.4.5, 7.5.2): which messages, and in which form; fetch_item.c has the items. */
#include "commands.h"
#include "fetch_item.h"

static bool sets_seen(const struct imap_fetch *fetch) {
    for (size_t i = 0; i < fetch->count; i++)
        if (!fetch->items[i].peek &&
            (fetch->items[i].kind == FETCH_SECTION || fetch->items[i].kind == FETCH_BINARY ||
             fetch->items[i].kind == FETCH_RFC822 || fetch->items[i].kind == FETCH_RFC822_TEXT))
            return true;
    return false;
}

static bool has_kind(const struct imap_fetch *fetch, enum imap_fetch_kind kind) {
    for (size_t i = 0; i < fetch->count; i++)
        if (fetch->items[i].kind == kind) return true;
    return false;
}

/* \Seen for all of them at once, before they are read; those that had it not are told. */
static enum store_result mark_seen(struct imap_session *session, const struct uid_set *uids, struct uid_set *marked,
                                   struct failure *failure) {
    const struct flags_wish seen = {.change = FLAGS_ADD, .system = FLAG_SEEN};
    enum store_result result = folder_store(session->folder, uids, &seen, NULL, marked, failure);
    if (marked->count > 0) imap_note_change(session);
    imap_tell_new_keywords(session); /* what others have done is seen with it */
    return result;
}

/* What is known of the answers before the first of them. */
struct fetching {
    struct imap_session *session;
    const struct imap_fetch *fetch;
    const struct uid_set *marked; /* they have just got \Seen */
    bool adds_uid;                /* unasked */
    bool uid_said;                /* unasked or asked for */
    bool flags_said, modseq_said; /* asked for */
    bool missing;                 /* a message is gone */
};

/* What nobody has asked for, and has to be said. */
static void say_unasked(const struct fetching *fetching, const struct fetch_message *message, bool first) {
    struct imap_session *session = fetching->session;
    bool newly_seen = fetching->marked->count > 0 && uid_set_has(fetching->marked, message->facts.uid);
    if (newly_seen && !fetching->uid_said && imap_tells_uids(session)) {
        imap_say_bytes(session, first ? STR("UID ") : STR(" UID "));
        imap_say_number(session, message->facts.uid);
        first = false;
    }
    if (newly_seen && !fetching->flags_said) {
        imap_say_bytes(session, first ? STR("FLAGS ") : STR(" FLAGS "));
        imap_say_flags(session, &message->facts.flags);
        first = false;
    }
    if (!(session->features & FEATURE_CONDSTORE) || fetching->modseq_said) return;
    if (!newly_seen && !fetching->fetch->has_changed_since && !fetching->flags_said) return;
    imap_say_bytes(session, first ? STR("MODSEQ (") : STR(" MODSEQ ("));
    imap_say_number(session, message->facts.modseq);
    imap_say_bytes(session, STR(")"));
}

/* What is asked for one message. */
static void say_message(struct fetching *fetching, struct fetch_message *message) {
    struct imap_session *session = fetching->session;
    const struct imap_fetch *fetch = fetching->fetch;
    if (!fetch_items_can(message, fetch)) {
        fetching->missing = true;
        return;
    }
    imap_say_bytes(session, STR("* "));
    imap_say_number(session, message->sequence);
    imap_say_bytes(session, STR(" FETCH ("));
    if (fetching->adds_uid) {
        imap_say_bytes(session, STR("UID "));
        imap_say_number(session, message->facts.uid);
    }
    for (size_t i = 0; i < fetch->count; i++) {
        if (i > 0 || fetching->adds_uid) imap_say_bytes(session, STR(" "));
        fetch_item_say(message, &fetch->items[i]);
    }
    say_unasked(fetching, message, fetch->count == 0 && !fetching->adds_uid);
    imap_say_bytes(session, STR(")\r\n"));
}

/* False: some are gone. */
static bool say_messages(struct imap_session *session, const struct imap_fetch *fetch, const struct uid_set *uids,
                         const struct uid_set *marked) {
    struct fetching fetching = {.session = session, .fetch = fetch, .marked = marked};
    uint32_t count = folder_count(session->folder);
    unsigned wants = fetch->has_changed_since ? 0 : fetch_wants(fetch);
    fetching.adds_uid = (session->uid_command || (session->features & FEATURE_QRESYNC)) && !has_kind(fetch, FETCH_UID);
    fetching.uid_said = fetching.adds_uid || has_kind(fetch, FETCH_UID);
    fetching.flags_said = has_kind(fetch, FETCH_FLAGS);
    fetching.modseq_said = has_kind(fetch, FETCH_MODSEQ);
    for (size_t i = 0; i < uids->count && !session->connection_lost; i++) {
        bool within = true;
        uint32_t last = uids->ranges[i].last;
        ahead_plan(session, wants, last < UINT32_MAX ? folder_sequence_from(session->folder, last + 1) - 1 : count);
        for (uint32_t sequence = folder_sequence_from(session->folder, uids->ranges[i].first);
             within && sequence <= count; sequence++) {
            struct fetch_message message;
            fetch_message_begin_known(&message, session, sequence);
            within = message.facts.uid <= uids->ranges[i].last && !session->connection_lost;
            if (within && (!fetch->has_changed_since || message.facts.modseq > fetch->changed_since))
                say_message(&fetching, &message);
            fetch_message_end(&message);
        }
    }
    return !fetching.missing;
}

/* UID FETCH ... (CHANGEDSINCE n VANISHED) (RFC 7162 3.2.6). */
static void say_vanished(struct imap_session *session, const struct imap_fetch *fetch) {
    struct uid_set asked = {0};
    uint32_t next = folder_uid_next(session->folder);
    if (uid_set_parse(fetch->sequence.text, next > 1 ? next - 1 : 1, IMAP_RANGES_MAX, &asked))
        imap_tell_earlier(session, fetch->changed_since, &asked, 0);
    uid_set_free(&asked);
}

void imap_fetch_changed(struct imap_session *session, uint64_t modseq, const struct uid_set *uids) {
    uint32_t count = folder_count(session->folder);
    for (uint32_t sequence = 1; sequence <= count; sequence++) {
        struct folder_message facts;
        folder_message_known(session->folder, sequence, &facts);
        if (facts.modseq > modseq && (!uids || uid_set_has(uids, facts.uid))) imap_tell_flags(session, sequence, true);
    }
}

/* PARTIAL: the first of the set, or with negative numbers the last of it (RFC 9394). */
static void keep_partial(const struct imap_fetch *fetch, struct uid_set *uids) {
    int64_t size = (int64_t)uid_set_size(uids), first = fetch->partial_first, last = fetch->partial_last, before = 0;
    struct uid_set kept = {0};
    if (first < 0) {
        first += size + 1;
        last += size + 1;
    }
    if (first > last) {
        int64_t other = first;
        first = last;
        last = other;
    }
    for (size_t i = 0; i < uids->count; i++) { /* the range has the numbers before + 1 to before + length */
        const struct uid_range *range = &uids->ranges[i];
        int64_t length = (int64_t)range->last - range->first + 1;
        int64_t from = first > before ? first - before : 1, to = last - before < length ? last - before : length;
        if (from <= to) uid_set_add(&kept, (uint32_t)(range->first + from - 1), (uint32_t)(range->first + to - 1));
        before += length;
    }
    uid_set_free(uids);
    *uids = kept;
}

IMAP_COMMAND(cmd_fetch) {
    struct imap_fetch fetch;
    struct uid_set uids = {0}, marked = {0};
    struct failure failure = {0};
    if (!imap_parse_fetch(parser, &fetch)) return imap_bad(parser);
    if (fetch.vanished && (!uid || !(session->features & FEATURE_QRESYNC)))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("VANISHED needs QRESYNC and UID FETCH")};
    if (fetch.partial_first && !uid)
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("PARTIAL needs UID FETCH")};
    if (!imap_resolve_sequence(session, &fetch.sequence, uid, &uids))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("No such message")};
    if (fetch.partial_first) keep_partial(&fetch, &uids);
    if (fetch.has_changed_since || has_kind(&fetch, FETCH_MODSEQ)) imap_use_condstore(session);
    if (fetch.vanished && !fetch.sequence.saved) say_vanished(session, &fetch);
    enum store_result result = STORE_OK;
    if (sets_seen(&fetch) && !folder_is_read_only(session->folder))
        result = mark_seen(session, &uids, &marked, &failure);
    struct imap_outcome outcome = imap_ok("Done");
    session->unknown_encoding = false;
    if (result != STORE_OK)
        outcome = imap_store_trouble(result, &failure);
    else if (!say_messages(session, &fetch, &uids, &marked))
        outcome = imap_no("EXPUNGEISSUED", "Some of the messages no longer exist");
    else if (session->unknown_encoding)
        outcome = imap_no("UNKNOWN-CTE", "A part has an encoding that is not known");
    if (folder_is_unsettled(session->folder)) imap_note_change(session);
    uid_set_free(&uids);
    uid_set_free(&marked);
    return outcome;
}
