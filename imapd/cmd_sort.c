/* SORT and THREAD (RFC 5256, 5957; ESORT: RFC 5267). */
#include "base_subject.h"
#include "casemap.h"
#include "commands.h"
#include "internal_date.h"
#include "search.h"
#include "sort_key.h"
#include "thread.h"

static int64_t sent_seconds(struct str fields, const struct folder_message *facts) {
    return sent_date_of(search_field(fields, STR("Date")), facts->internal_date, 0).seconds;
}

/* ---- SORT */

struct sorted {
    struct str key;
    uint32_t sequence;
};

static void append_criterion(struct imap_session *session, enum imap_sort_key kind, bool reverse, uint32_t sequence,
                             const struct folder_message *facts, struct str fields, struct buf *key, struct buf *text) {
    struct failure failure = {0};
    uint64_t size = facts->size;
    buf_clear(text);
    switch (kind) {
    case SORT_ARRIVAL:
        sort_key_append_number(key, facts->internal_date, reverse);
        return;
    case SORT_DATE:
        sort_key_append_number(key, sent_seconds(fields, facts), reverse);
        return;
    case SORT_SIZE:
        if (!folder_virtual_size(session->folder, sequence, &size, &failure)) size = facts->size;
        sort_key_append_number(key, (int64_t)size, reverse);
        return;
    case SORT_CC:
        sort_text_address(text, search_value(fields, STR("Cc")));
        break;
    case SORT_FROM:
        sort_text_address(text, search_value(fields, STR("From")));
        break;
    case SORT_TO:
        sort_text_address(text, search_value(fields, STR("To")));
        break;
    case SORT_SUBJECT:
        sort_text_subject(text, search_value(fields, STR("Subject")));
        break;
    case SORT_DISPLAYFROM:
        sort_text_display(text, search_value(fields, STR("From")));
        break;
    case SORT_DISPLAYTO:
        sort_text_display(text, search_value(fields, STR("To")));
        break;
    }
    sort_key_append_text(key, buf_str(text), reverse);
}

static bool needs_fields(const struct imap_search *search) {
    for (size_t i = 0; i < search->sort_count; i++)
        if (search->sort[i].key != SORT_ARRIVAL && search->sort[i].key != SORT_SIZE) return true;
    return false;
}

static bool make_key(struct imap_session *session, const struct imap_search *search, struct arena *keys, struct sorted *row, struct buf *key,
                     struct buf *text) {
    struct fetch_message message;
    struct str fields = STR_EMPTY;
    fetch_message_begin(&message, session, row->sequence);
    if (needs_fields(search) && !fetch_message_fields(&message, &fields)) fields = STR_EMPTY;
    buf_clear(key);
    for (size_t i = 0; i < search->sort_count; i++)
        append_criterion(session, search->sort[i].key, search->sort[i].reverse, row->sequence, &message.facts, fields, key, text);
    sort_key_append_number(key, row->sequence, false);
    fetch_message_end(&message);
    return arena_copy(keys, buf_str(key), &row->key);
}

static int compare_rows(const void *a, const void *b) {
    return str_compare(((const struct sorted *)a)->key, ((const struct sorted *)b)->key);
}

/* Puts the found ones in order. */
static bool sort(struct imap_session *session, const struct imap_search *search, struct search_result *result) {
    struct sorted *rows = memory_allocate(result->count + 1, sizeof *rows);
    struct arena *keys = arena_create(0);
    struct buf key = buf_make(0), text = buf_make(0);
    bool good = true;
    for (size_t i = 0; good && i < result->count; i++) {
        rows[i].sequence = result->sequences[i];
        good = make_key(session, search, keys, &rows[i], &key, &text);
    }
    if (good && result->count > 1) qsort(rows, result->count, sizeof *rows, compare_rows);
    for (size_t i = 0; good && i < result->count; i++)
        result->sequences[i] = rows[i].sequence;
    buf_free(&key);
    buf_free(&text);
    arena_destroy(&keys);
    MEMORY_FREE(rows);
    return good;
}

static uint32_t number_of(const struct imap_session *session, uint32_t sequence) {
    return session->uid_command ? folder_uid(session->folder, sequence) : sequence;
}

/* In the sorted order, one by one. */
static void say_numbers(struct imap_session *session, const struct search_result *result, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        imap_say(session, "%s%u", i == from ? "" : ",", number_of(session, result->sequences[i]));
}

/* PARTIAL of the sorted ones (RFC 5267 section 4.4, RFC 9394). */
static void say_partial(struct imap_session *session, const struct imap_search *search, const struct search_result *result) {
    size_t from, to;
    imap_say(session, " PARTIAL (%d:%d ", search->partial_first, search->partial_last);
    if (imap_search_partial(search, result->count, &from, &to))
        say_numbers(session, result, from, to);
    else
        imap_say(session, "NIL");
    imap_say(session, ")");
}

static void say_sorted(struct imap_session *session, const struct imap_search *search, const struct search_result *result) {
    if (!search->extended) {
        imap_say(session, "* SORT");
        for (size_t i = 0; i < result->count; i++)
            imap_say(session, " %u", number_of(session, result->sequences[i]));
        if (search->has_modseq && result->count > 0) imap_say(session, " (MODSEQ %llu)", (unsigned long long)result->highest_modseq);
        imap_say(session, "\r\n");
        return;
    }
    struct buf tag = buf_make(0);
    imap_append_string(&tag, session->tag, false);
    imap_say(session, "* ESEARCH (TAG %.*s)%s", STR_ARGS(buf_str(&tag)), session->uid_command ? " UID" : "");
    buf_free(&tag);
    if (result->count > 0 && (search->returns & RETURN_MIN)) imap_say(session, " MIN %u", number_of(session, result->sequences[0]));
    if (result->count > 0 && (search->returns & RETURN_MAX)) imap_say(session, " MAX %u", number_of(session, result->sequences[result->count - 1]));
    if (search->returns & RETURN_COUNT) imap_say(session, " COUNT %zu", result->count);
    if (result->count > 0 && (search->returns & RETURN_ALL)) {
        imap_say(session, " ALL ");
        say_numbers(session, result, 0, result->count);
    }
    if (search->returns & RETURN_PARTIAL) say_partial(session, search, result);
    if (search->has_modseq && result->count > 0) imap_say(session, " MODSEQ %llu", (unsigned long long)result->highest_modseq);
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
        if (search.returns & RETURN_SAVE) uid_set_clear(&session->saved);
        return bad;
    }
    bool good = sort(session, &search, &result);
    if (good) imap_search_save(session, &search, &result);
    if (good && search.returns != RETURN_SAVE) say_sorted(session, &search, &result);
    cache_flush(session->store);
    MEMORY_FREE(result.sequences);
    return good ? imap_ok("Done") : imap_no("LIMIT", "Too many messages to sort");
}

/* ---- THREAD */

static bool fill_thread_message(struct imap_session *session, uint32_t sequence, struct thread_message *row, struct arena *arena,
                                enum thread_algorithm algorithm, struct buf *text) {
    struct fetch_message message;
    struct str fields;
    struct buf subject = buf_make(0);
    uint64_t hashes[THREAD_REFERENCES_MAX];
    fetch_message_begin(&message, session, sequence);
    if (!fetch_message_fields(&message, &fields)) fields = STR_EMPTY;
    *row = (struct thread_message){.number = number_of(session, sequence),
                                   .sent = sent_seconds(fields, &message.facts),
                                   .subject = STR_EMPTY};
    bool good = true;
    if (algorithm != THREAD_ORDEREDSUBJECT) {
        struct str id = search_value(fields, STR("Message-ID"));
        row->message_id = thread_id_hash(id);
        row->reference_count = thread_read_references(search_value(fields, STR("References")), search_value(fields, STR("In-Reply-To")), hashes);
        uint64_t *kept = arena_allocate(arena, row->reference_count + 1, sizeof *kept);
        if (kept && row->reference_count) memcpy(kept, hashes, row->reference_count * sizeof *kept);
        row->references = kept;
        good = kept != NULL;
    }
    struct str field = search_field(fields, STR("Subject"));
    if (algorithm != THREAD_REFS && field.data) {
        buf_clear(text);
        row->reply = base_subject_append(&subject, field);
        good = good && casemap_append(text, buf_str(&subject)) && arena_copy(arena, buf_str(text), &row->subject);
    }
    buf_free(&subject);
    fetch_message_end(&message);
    return good;
}

IMAP_COMMAND(cmd_thread) {
    static const struct {
        struct str name;
        enum thread_algorithm algorithm;
    } names[] = {{STR_INIT("ORDEREDSUBJECT"), THREAD_ORDEREDSUBJECT}, {STR_INIT("REFERENCES"), THREAD_REFERENCES}, {STR_INIT("REFS"), THREAD_REFS}};
    struct imap_search search;
    struct search_result result;
    struct imap_outcome bad;
    size_t which = ARRAY_LENGTH(names);
    (void)uid;
    if (!imap_parse_thread(parser, &search)) return imap_bad(parser);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal_nocase(search.algorithm, names[i].name)) which = i;
    if (which == ARRAY_LENGTH(names)) return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("Unknown thread algorithm")};
    if (search.has_modseq) imap_use_condstore(session);
    if (!imap_search_run(session, &search, &result, &bad)) return bad;
    struct thread_message *rows = memory_allocate(result.count + 1, sizeof *rows);
    struct arena *arena = arena_create(0);
    struct buf text = buf_make(0), answer = buf_make(0);
    bool good = true;
    for (size_t i = 0; good && i < result.count; i++)
        good = fill_thread_message(session, result.sequences[i], &rows[i], arena, names[which].algorithm, &text);
    good = good && thread_append(&answer, names[which].algorithm, rows, result.count);
    if (good) {
        imap_say(session, "* THREAD%s", answer.length ? " " : "");
        imap_say_bytes(session, buf_str(&answer));
        imap_say(session, "\r\n");
    }
    cache_flush(session->store);
    buf_free(&text);
    buf_free(&answer);
    arena_destroy(&arena);
    MEMORY_FREE(rows);
    MEMORY_FREE(result.sequences);
    return good ? imap_ok("Done") : imap_no("LIMIT", "Too many messages");
}
