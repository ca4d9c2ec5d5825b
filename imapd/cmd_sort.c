/* SORT (RFC 5256, 5957; ESORT: RFC 5267). */
#include "answers.h"
#include "commands.h"
#include "hash.h"
#include "search.h"
#include "sort_order.h"
#include "sort_texts.h"

/* ---- keys */

/* A column of keys: one criterion's, of all that were found. */
struct criterion {
    struct imap_session *session;
    struct rows_reader *reader;
    const struct search_result *found;
    uint64_t *keys;
};

static int64_t sent_seconds(struct criterion *criterion, uint32_t sequence, uint32_t uid) {
    struct message_row row;
    struct folder_message facts;
    uint32_t place;
    if (!rows_find(criterion->reader, uid, &place) || !message_rows_dates(&criterion->reader->rows, place, &row))
        return search_sent_date(criterion->session, criterion->reader, sequence);
    if (row.dated) return row.sent;
    folder_message(criterion->session->folder, sequence, &facts);
    return facts.internal_date;
}

static int64_t size_of(struct imap_session *session, uint32_t sequence) {
    struct folder_message facts;
    struct failure failure = {0};
    uint64_t size;
    if (folder_virtual_size(session->folder, sequence, &size, &failure)) return (int64_t)size;
    folder_message(session->folder, sequence, &facts);
    return (int64_t)facts.size;
}

static int64_t arrival_of(const struct imap_session *session, uint32_t sequence) {
    struct folder_message facts;
    folder_message(session->folder, sequence, &facts);
    return facts.internal_date;
}

/* By blocks of what was found: UIDs of messages that stand in a row are had together. */
static void sent_keys(struct criterion *criterion) {
    const struct search_result *found = criterion->found;
    uint32_t uids[MESSAGE_ROWS_MAX];
    for (size_t from = 0, count; from < found->count; from += count) {
        const uint32_t *sequences = found->sequences + from;
        count = found->count - from < ARRAY_LENGTH(uids) ? found->count - from : ARRAY_LENGTH(uids);
        if (sequences[count - 1] - sequences[0] != count - 1) count = 1;
        folder_uids(criterion->session->folder, sequences[0], (uint32_t)count, uids);
        for (size_t i = 0; i < count; i++)
            criterion->keys[from + i] = sort_order_key(sent_seconds(criterion, sequences[i], uids[i]));
    }
}

static void number_keys(struct criterion *criterion, enum imap_sort_key kind) {
    struct failure ignored = {0};
    if (kind == SORT_SIZE && criterion->found->all) (void)!folder_count_all(criterion->session->folder, &ignored);
    for (size_t i = 0; i < criterion->found->count; i++) {
        uint32_t sequence = criterion->found->sequences[i];
        criterion->keys[i] = sort_order_key(kind == SORT_ARRIVAL ? arrival_of(criterion->session, sequence)
                                                                 : size_of(criterion->session, sequence));
    }
}

static void make_keys(struct criterion *criterion, enum imap_sort_key kind) {
    enum message_row_column column = ROW_COLUMNS;
    switch (kind) {
    case SORT_ARRIVAL:
    case SORT_SIZE:
        number_keys(criterion, kind);
        return;
    case SORT_DATE:
        sent_keys(criterion);
        return;
    case SORT_CC:
        column = ROW_SORT_CC;
        break;
    case SORT_FROM:
        column = ROW_SORT_FROM;
        break;
    case SORT_TO:
        column = ROW_SORT_TO;
        break;
    case SORT_SUBJECT:
        column = ROW_SORT_SUBJECT;
        break;
    case SORT_DISPLAYFROM:
        column = ROW_DISPLAY_FROM;
        break;
    case SORT_DISPLAYTO:
        column = ROW_DISPLAY_TO;
        break;
    }
    sort_texts_keys(criterion->reader, column, criterion->found->sequences, criterion->found->count, criterion->keys);
}

/* ---- SORT */

/* Puts the found ones in order: by the last criterion, then by the one before, which leaves what is equal as it is.
 * False: not all headers could be read. */
static bool sort(struct imap_session *session, const struct imap_search *search, struct search_result *result) {
    struct rows_reader reader;
    struct criterion criterion = {.session = session, .reader = &reader, .found = result};
    uint32_t *order = memory_allocate(result->count + 1, sizeof *order);
    criterion.keys = memory_allocate(result->count + 1, sizeof *criterion.keys);
    rows_begin(&reader, session);
    sort_order_begin(order, result->count);
    for (size_t i = search->sort_count; i-- > 0;) {
        make_keys(&criterion, search->sort[i].key);
        rows_flush(&reader);
        sort_order_by_numbers(order, result->count, criterion.keys, search->sort[i].reverse);
    }
    rows_end(&reader);
    for (size_t i = 0; i < result->count; i++)
        order[i] = result->sequences[order[i]];
    MEMORY_FREE(criterion.keys);
    MEMORY_FREE(result->sequences);
    result->sequences = order;
    return !reader.unread;
}

static uint32_t number_of(const struct imap_session *session, uint32_t sequence) {
    return session->uid_command ? folder_uid(session->folder, sequence) : sequence;
}

/* In the sorted order; what ascends one by one is a range (RFC 5267 section 3.2). */
static void say_numbers(struct imap_session *session, const struct search_result *result, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        uint32_t first = number_of(session, result->sequences[i]), last = first;
        if (i > from) imap_say_bytes(session, STR(","));
        imap_say_number(session, first);
        while (i + 1 < to && number_of(session, result->sequences[i + 1]) == last + 1) {
            last++;
            i++;
        }
        if (last == first) continue;
        imap_say_bytes(session, STR(":"));
        imap_say_number(session, last);
    }
}

/* PARTIAL of the sorted ones (RFC 5267 section 4.4, RFC 9394). */
static void say_partial(struct imap_session *session, const struct imap_search *search,
                        const struct search_result *result) {
    size_t from, to;
    imap_say(session, " PARTIAL (%d:%d ", search->partial_first, search->partial_last);
    if (imap_search_partial(search, result->count, &from, &to))
        say_numbers(session, result, from, to);
    else
        imap_say(session, "NIL");
    imap_say(session, ")");
}

/* What the answer depends on beside the messages; empty: on more than can be said. Sizes are counted when they are
 * asked for, which may fail. */
static void append_key(const struct imap_session *session, const struct imap_search *search, struct buf *key) {
    buf_append_char(key, 'S');
    buf_append_char(key, session->uid_command ? 'u' : 's');
    for (size_t i = 0; i < search->sort_count; i++) {
        buf_append_char(key, search->sort[i].reverse ? '-' : '+');
        buf_append_char(key, (char)('a' + search->sort[i].key));
        if (search->sort[i].key == SORT_SIZE) {
            buf_clear(key);
            return;
        }
    }
}

/* One criterion has a place of its own, several share the rest; THREAD has the first eight. */
static unsigned slot_of(const struct imap_session *session, const struct imap_search *search, struct str key) {
    unsigned criterion = (unsigned)search->sort[0].key * 4 + search->sort[0].reverse * 2U + session->uid_command;
    return search->sort_count == 1 ? 8 + criterion : 48 + crc32c(0, key.data, key.length) % 16;
}

#define SORTED_NUMBER 8 /* octets that most numbers take, and a space */

static void append_plain(const struct imap_session *session, const struct search_result *result, struct buf *answer) {
    uint32_t *uids = NULL, messages = folder_count(session->folder);
    if (session->uid_command && messages > 0) {
        uids = memory_allocate(messages, sizeof *uids);
        folder_uids(session->folder, 1, messages, uids);
    }
    (void)!buf_reserve(answer, result->count * SORTED_NUMBER);
    buf_append(answer, STR("* SORT"));
    for (size_t i = 0; i < result->count; i++) {
        buf_append_char(answer, ' ');
        buf_append_u64(answer, uids ? uids[result->sequences[i] - 1] : result->sequences[i]);
    }
    buf_append(answer, STR("\r\n"));
    MEMORY_FREE(uids);
}

/* SORT of all, without more: from the cache if it is there. */
static void sort_all(struct imap_session *session, const struct imap_search *search, struct search_result *result) {
    struct buf key = buf_make(0), answer = buf_make(0);
    append_key(session, search, &key);
    unsigned slot = slot_of(session, search, buf_str(&key));
    if (key.length == 0 || !answers_say(session, slot, buf_str(&key))) {
        bool known = sort(session, search, result);
        append_plain(session, result, &answer);
        imap_say_bytes(session, buf_str(&answer));
        if (known && key.length > 0) answers_keep(session, slot, buf_str(&key), buf_str(&answer));
    }
    buf_free(&key);
    buf_free(&answer);
}

static void say_sorted(struct imap_session *session, const struct imap_search *search,
                       const struct search_result *result) {
    if (!search->extended) {
        imap_say(session, "* SORT");
        for (size_t i = 0; i < result->count; i++) {
            imap_say_bytes(session, STR(" "));
            imap_say_number(session, number_of(session, result->sequences[i]));
        }
        if (search->has_modseq && result->count > 0)
            imap_say(session, " (MODSEQ %llu)", (unsigned long long)result->highest_modseq);
        imap_say(session, "\r\n");
        return;
    }
    struct buf tag = buf_make(0);
    imap_append_string(&tag, session->tag, false);
    imap_say(session, "* ESEARCH (TAG %.*s)%s", STR_ARGS(buf_str(&tag)), session->uid_command ? " UID" : "");
    buf_free(&tag);
    if (result->count > 0 && (search->returns & RETURN_MIN))
        imap_say(session, " MIN %u", number_of(session, result->sequences[0]));
    if (result->count > 0 && (search->returns & RETURN_MAX))
        imap_say(session, " MAX %u", number_of(session, result->sequences[result->count - 1]));
    if (search->returns & RETURN_COUNT) imap_say(session, " COUNT %zu", result->count);
    if (result->count > 0 && (search->returns & RETURN_ALL)) {
        imap_say(session, " ALL ");
        say_numbers(session, result, 0, result->count);
    }
    if (search->returns & RETURN_PARTIAL) say_partial(session, search, result);
    if (search->has_modseq && result->count > 0)
        imap_say(session, " MODSEQ %llu", (unsigned long long)imap_search_modseq(session, search, result));
    imap_say(session, "\r\n");
}

IMAP_COMMAND(cmd_sort) {
    struct imap_search search;
    struct search_result result;
    struct imap_outcome bad;
    (void)uid;
    if (!imap_parse_sort(parser, &search)) return imap_bad(parser);
    if (search.has_modseq) imap_use_condstore(session);
    if (!imap_search_run(session, &search, &result, &bad)) {
        if ((search.returns & RETURN_SAVE) && bad.answer == ANSWER_NO) uid_set_clear(&session->saved);
        return bad;
    }
    if (result.all && !search.extended) {
        sort_all(session, &search, &result);
    } else {
        (void)sort(session, &search, &result);
        imap_search_save(session, &search, &result);
        if (search.returns != RETURN_SAVE) say_sorted(session, &search, &result);
    }
    MEMORY_FREE(result.sequences);
    return imap_ok("Done");
}
