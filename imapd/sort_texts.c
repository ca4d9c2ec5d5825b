/* See sort_texts.h. A SORT of all of a large folder leaves the ranks that it found out in the cache. The next
 * one takes them; messages that have none, as they came later, are put between the others by their texts, as
 * long as they are few. */
#include "sort_texts.h"

#include "clock.h"
#include "hash.h"
#include "message_ranks.h"
#include "search.h"
#include "sort_key.h"
#include "sort_order.h"

#define UNRANKED_FEW 64
#define RANKED_LEAST 256 /* messages of a folder whose ranks are worth keeping */

struct sorting {
    struct rows_reader *reader;
    struct imap_session *session;
    enum message_row_column column;
    const uint32_t *sequences;
    size_t count;
    uint64_t *keys;
    bool *ranked;
    size_t ranked_count;
    struct arena *texts;
    uint64_t copied_serial; /* of the reader's block whose texts are in copied */
    struct str copied;
};

/* ---- a message's text */

static void text_of_fields(struct buf *text, struct str fields, enum message_row_column column) {
    if (column == ROW_SORT_SUBJECT) sort_text_subject(text, search_value(fields, STR("Subject")));
    if (column == ROW_SORT_FROM) sort_text_address(text, search_value(fields, STR("From")));
    if (column == ROW_SORT_TO) sort_text_address(text, search_value(fields, STR("To")));
    if (column == ROW_SORT_CC) sort_text_address(text, search_value(fields, STR("Cc")));
    if (column == ROW_DISPLAY_FROM) sort_text_display(text, search_value(fields, STR("From")));
    if (column == ROW_DISPLAY_TO) sort_text_display(text, search_value(fields, STR("To")));
}

static struct str text_of_message(struct sorting *s, uint32_t sequence) {
    struct fetch_message message;
    struct str fields, copy = STR_EMPTY;
    struct buf text = buf_make(0);
    fetch_message_begin(&message, s->session, sequence);
    rows_read_fields(s->reader, &message, &fields);
    text_of_fields(&text, fields, s->column);
    (void)!arena_copy(s->texts, str_slice(buf_str(&text), 0, SORT_KEY_TEXT_MAX), &copy);
    fetch_message_end(&message);
    buf_free(&text);
    return copy;
}

/* Of a block's texts all are copied at once: most of them will be wanted. */
static struct str text_of(struct sorting *s, uint32_t sequence) {
    struct message_rows_texts texts;
    uint32_t place;
    if (!rows_find(s->reader, folder_uid(s->session->folder, sequence), &place) ||
        !message_rows_texts(&s->reader->rows, s->column, &texts))
        return text_of_message(s, sequence);
    if (s->copied_serial != s->reader->serial) {
        if (!arena_copy(s->texts, texts.all, &s->copied)) return STR_EMPTY;
        s->copied_serial = s->reader->serial;
    }
    uint32_t from = message_rows_text_offset(&texts, place), to = message_rows_text_offset(&texts, place + 1);
    return str_slice(str_slice(s->copied, from, to), 0, SORT_KEY_TEXT_MAX);
}

/* Compares where the text lies: one text of its block is wanted, not all. */
static int compare_with(struct sorting *s, uint32_t sequence, struct str text) {
    struct message_rows_texts texts;
    uint32_t place;
    if (!rows_find(s->reader, folder_uid(s->session->folder, sequence), &place) ||
        !message_rows_texts(&s->reader->rows, s->column, &texts))
        return str_compare(text_of_message(s, sequence), text);
    return str_compare(str_slice(message_rows_text(&texts, place), 0, SORT_KEY_TEXT_MAX), text);
}

/* ---- ranks from the cache */

static unsigned kind_of(const struct sorting *s) {
    return CACHE_RANKS + (unsigned)s->column;
}

static bool open_ranks(const struct sorting *s, uint32_t block, uint64_t *generation, struct message_ranks *ranks) {
    const struct folder *folder = s->session->folder;
    struct str bytes;
    if (!cache_get_block(s->session->store, folder_id(folder), kind_of(s), block, &bytes)) return false;
    if (!message_ranks_open(ranks, bytes, folder_uid_validity(folder), block, s->column)) return false;
    if (*generation == 0) *generation = ranks->generation;
    return ranks->generation == *generation;
}

/* Ranks become keys with room between them. */
static void take_ranks(struct sorting *s) {
    struct message_ranks *ranks = MEMORY_NEW(struct message_ranks);
    uint64_t generation = 0;
    uint32_t block = 0, rank;
    bool has = false;
    for (size_t i = 0; i < s->count; i++) {
        uint32_t uid = folder_uid(s->session->folder, s->sequences[i]);
        if (i == 0 || uid >> MESSAGE_ROWS_BITS != block) {
            block = uid >> MESSAGE_ROWS_BITS;
            has = open_ranks(s, block, &generation, ranks);
        }
        if (!has || !message_ranks_has(ranks, uid, &rank)) continue;
        s->keys[i] = (uint64_t)rank * 2 + 1;
        s->ranked[i] = true;
        s->ranked_count++;
    }
    MEMORY_FREE(ranks);
}

/* ---- few without ranks */

/* The ranked ones in their order. */
static uint32_t *list_ranked(const struct sorting *s) {
    uint32_t *list = memory_allocate(s->ranked_count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->ranked[i]) list[count++] = (uint32_t)i;
    sort_order_by_numbers(list, count, s->keys, false);
    return list;
}

/* The key of one that has no rank: that of the ranked ones with the same text, or what is between two of them; in the
 * low half its own rank among those without. */
static uint64_t key_among(struct sorting *s, const uint32_t *ranked, struct str text, uint64_t own) {
    size_t low = 0, high = s->ranked_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int compared = compare_with(s, s->sequences[ranked[middle]], text);
        if (compared == 0) return s->keys[ranked[middle]];
        if (compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t between = low < s->ranked_count ? (s->keys[ranked[low]] >> 32) - 1 : UINT32_MAX;
    return between << 32 | own;
}

static void rank_few(struct sorting *s) {
    size_t few = s->count - s->ranked_count, at = 0;
    uint32_t *ranked = list_ranked(s);
    struct str texts[UNRANKED_FEW] = {STR_INIT("")};
    uint64_t own[UNRANKED_FEW];
    for (size_t i = 0; i < s->count; i++) {
        s->keys[i] <<= 32;
        if (!s->ranked[i]) texts[at++] = text_of(s, s->sequences[i]);
    }
    sort_order_rank_texts(texts, few, own);
    at = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->ranked[i]) continue;
        s->keys[i] = key_among(s, ranked, texts[at], own[at] + 1);
        at++;
    }
    MEMORY_FREE(ranked);
}

/* ---- all anew */

static void keep_ranks(const struct sorting *s) {
    struct imap_session *session = s->session;
    struct message_ranks *ranks = MEMORY_NEW(struct message_ranks);
    struct buf bytes = buf_make(0);
    int64_t now = clock_date();
    uint64_t generation = hash_keyed(str_make((const char *)&now, sizeof now)) | 1;
    cache_flush(session->store); /* all blocks are written at once */
    for (size_t i = 0; i < s->count;) {
        uint32_t block = folder_uid(session->folder, s->sequences[i]) >> MESSAGE_ROWS_BITS, uid;
        *ranks = (struct message_ranks){.generation = generation};
        for (; i < s->count && (uid = folder_uid(session->folder, s->sequences[i])) >> MESSAGE_ROWS_BITS == block; i++)
            message_ranks_set(ranks, uid, (uint32_t)s->keys[i]);
        buf_clear(&bytes);
        message_ranks_write(&bytes, ranks, folder_uid_validity(session->folder), block, s->column);
        cache_put_block(session->store, folder_id(session->folder), kind_of(s), block, buf_str(&bytes));
    }
    rows_drop_dead(session, kind_of(s));
    cache_flush(session->store);
    buf_free(&bytes);
    MEMORY_FREE(ranks);
}

static void rank_all(struct sorting *s) {
    struct str *texts = memory_allocate(s->count + 1, sizeof *texts);
    for (size_t i = 0; i < s->count; i++)
        texts[i] = text_of(s, s->sequences[i]);
    sort_order_rank_texts(texts, s->count, s->keys);
    MEMORY_FREE(texts);
    if (s->count == folder_count(s->session->folder) && s->count >= RANKED_LEAST && !s->reader->unread) keep_ranks(s);
}

void sort_texts_keys(struct rows_reader *reader, enum message_row_column column, const uint32_t *sequences,
                     size_t count, uint64_t *keys) {
    struct sorting s = {.reader = reader,
                        .session = reader->session,
                        .column = column,
                        .sequences = sequences,
                        .count = count,
                        .keys = keys};
    s.ranked = memory_allocate(count + 1, sizeof *s.ranked);
    s.texts = arena_create(0);
    if (folder_count(s.session->folder) >= RANKED_LEAST) take_ranks(&s);
    if (s.ranked_count == 0 || count - s.ranked_count > UNRANKED_FEW)
        rank_all(&s);
    else if (s.ranked_count < count)
        rank_few(&s);
    arena_destroy(&s.texts);
    MEMORY_FREE(s.ranked);
}
