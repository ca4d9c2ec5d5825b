/* SEARCH and UID SEARCH, with RETURN (RFC 9051 6.4.4), SAVE and "$" (RFC 5182), PARTIAL (RFC 9394). */
#include "commands.h"
#include "search.h"

static uint32_t number_of(const struct imap_session *session, uint32_t sequence) {
    return session->uid_command ? folder_uid(session->folder, sequence) : sequence;
}

static void say_set(struct imap_session *session, const char *name, const struct search_result *result, size_t from,
                    size_t to) {
    struct uid_set set = {0};
    struct buf text = buf_make(0);
    for (size_t i = from; i < to; i++) {
        uint32_t number = number_of(session, result->sequences[i]);
        uid_set_add(&set, number, number);
    }
    uid_set_format(&set, &text);
    imap_say(session, "%s", name);
    imap_say_bytes(session, buf_str(&text));
    buf_free(&text);
    uid_set_free(&set);
}

/* PARTIAL 1:100, or -1:-100 from the end. */
static void say_partial(struct imap_session *session, const struct imap_search *search,
                        const struct search_result *result) {
    size_t from, to;
    imap_say(session, " PARTIAL (%d:%d ", search->partial_first, search->partial_last);
    if (imap_search_partial(search, result->count, &from, &to))
        say_set(session, "", result, from, to);
    else
        imap_say(session, "NIL");
    imap_say(session, ")");
}

static void say_extended(struct imap_session *session, const struct imap_search *search,
                         const struct search_result *result) {
    imap_say(session, "* ESEARCH (TAG ");
    struct buf tag = buf_make(0);
    imap_append_string(&tag, session->tag, false);
    imap_say_bytes(session, buf_str(&tag));
    buf_free(&tag);
    imap_say(session, ")%s", session->uid_command ? " UID" : "");
    if (result->count > 0 && (search->returns & RETURN_MIN))
        imap_say(session, " MIN %u", number_of(session, result->sequences[0]));
    if (result->count > 0 && (search->returns & RETURN_MAX))
        imap_say(session, " MAX %u", number_of(session, result->sequences[result->count - 1]));
    if (search->returns & RETURN_COUNT) imap_say(session, " COUNT %zu", result->count);
    if (result->count > 0 && (search->returns & RETURN_ALL)) say_set(session, " ALL ", result, 0, result->count);
    if (search->returns & RETURN_PARTIAL) say_partial(session, search, result);
    if (search->has_modseq && result->count > 0)
        imap_say(session, " MODSEQ %llu", (unsigned long long)imap_search_modseq(session, search, result));
    imap_say(session, "\r\n");
}

static void say_plain(struct imap_session *session, const struct imap_search *search,
                      const struct search_result *result) {
    imap_say(session, "* SEARCH");
    for (size_t i = 0; i < result->count; i++) {
        imap_say_bytes(session, STR(" "));
        imap_say_number(session, number_of(session, result->sequences[i]));
    }
    if (search->has_modseq && result->count > 0)
        imap_say(session, " (MODSEQ %llu)", (unsigned long long)result->highest_modseq);
    imap_say(session, "\r\n");
}

IMAP_COMMAND(cmd_search) {
    struct imap_search search;
    struct search_result result;
    struct imap_outcome bad;
    (void)uid;
    if (!imap_parse_search(parser, &search)) return imap_bad(parser);
    if (search.charset.length > 0 && (session->features & FEATURE_UTF8))
        /* RFC 6855 section 3 */
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("No CHARSET with UTF8=ACCEPT")};
    if (search.has_modseq) imap_use_condstore(session);
    if (!imap_search_run(session, &search, &result, &bad)) {
        if ((search.returns & RETURN_SAVE) && bad.answer == ANSWER_NO) uid_set_clear(&session->saved);
        return bad;
    }
    imap_search_save(session, &search, &result);
    /* IMAP4rev2 answers ESEARCH always. */
    if (!search.extended && (session->features & FEATURE_REV2)) {
        search.extended = true;
        search.returns = RETURN_ALL;
    }
    if (!search.extended)
        say_plain(session, &search, &result);
    else if (search.returns != RETURN_SAVE)
        say_extended(session, &search, &result);
    MEMORY_FREE(result.sequences);
    if (folder_is_unsettled(session->folder)) imap_note_change(session);
    return imap_ok("Done");
}
