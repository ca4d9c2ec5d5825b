/* See answers.h. */
#include "answers.h"

#include "clock.h"
#include "hash.h"
#include "kept_answer.h"

#define MESSAGES_LEAST 1000 /* of a folder whose answers are kept */

static uint32_t first_block(unsigned slot) {
    return (uint32_t)slot % ANSWERS_SLOTS * KEPT_ANSWER_PIECES;
}

static bool get_piece(struct imap_session *session, uint32_t number, struct str *bytes) {
    return cache_get_block(session->store, folder_id(session->folder), CACHE_ANSWERS, number, bytes);
}

/* UIDs rise: where both ends of a range stand as far from each other as its length says, all between them are there. */
static bool has_same_messages(const struct folder *folder, const struct kept_answer *answer) {
    uint64_t before = 0, count = folder_count(folder);
    for (size_t i = 0; i < answer->ranges.length / sizeof(struct kept_range); i++) {
        struct kept_range range = kept_answer_range(answer, i);
        if (range.last < range.first || before + (range.last - range.first) >= count) return false;
        if (folder_uid(folder, (uint32_t)before + 1) != range.first) return false;
        before += (uint64_t)range.last - range.first + 1;
        if (folder_uid(folder, (uint32_t)before) != range.last) return false;
    }
    return before == count;
}

/* All pieces are looked at before any is said. */
static bool find_parts(struct imap_session *session, uint32_t first, const struct kept_answer *answer,
                       struct str parts[KEPT_ANSWER_PIECES]) {
    struct str bytes;
    parts[0] = answer->part;
    for (uint32_t i = 1; i < answer->pieces; i++)
        if (!get_piece(session, first + i, &bytes) || !kept_answer_part(answer, bytes, i, &parts[i])) return false;
    return true;
}

bool answers_say(struct imap_session *session, unsigned slot, struct str key) {
    struct kept_answer answer;
    struct str bytes, parts[KEPT_ANSWER_PIECES];
    uint32_t first = first_block(slot);
    if (folder_count(session->folder) < MESSAGES_LEAST || !get_piece(session, first, &bytes)) return false;
    if (!kept_answer_open(&answer, bytes, folder_uid_validity(session->folder)) || !str_equal(answer.key, key))
        return false;
    if (!has_same_messages(session->folder, &answer) || !find_parts(session, first, &answer, parts)) return false;
    for (uint32_t i = 0; i < answer.pieces; i++)
        imap_say_bytes(session, parts[i]);
    return true;
}

/* False: there are too many. */
static bool list_ranges(const struct folder *folder, struct buf *ranges) {
    uint32_t count = folder_count(folder), run;
    for (uint32_t sequence = 1; sequence <= count; sequence += run) {
        run = folder_uid_run(folder, sequence);
        uint32_t first = folder_uid(folder, sequence);
        struct kept_range range = {first, first + run - 1};
        if (ranges->length >= KEPT_ANSWER_RANGES_MAX * sizeof range) return false;
        buf_append_bytes(ranges, &range, sizeof range);
    }
    return true;
}

void answers_keep(struct imap_session *session, unsigned slot, struct str key, struct str answer) {
    struct buf ranges = buf_make(0), bytes = buf_make(0);
    int64_t now = clock_date();
    struct kept_answer kept = {.uid_validity = folder_uid_validity(session->folder), .key = key, .part = answer};
    kept.generation = hash_keyed(str_make((const char *)&now, sizeof now));
    kept.pieces = kept_answer_pieces(answer);
    if (folder_count(session->folder) >= MESSAGES_LEAST && kept.pieces > 0 && list_ranges(session->folder, &ranges)) {
        kept.ranges = buf_str(&ranges);
        for (uint32_t piece = 0; piece < kept.pieces; piece++) {
            buf_clear(&bytes);
            kept_answer_write(&bytes, &kept, piece);
            cache_put_block(session->store, folder_id(session->folder), CACHE_ANSWERS, first_block(slot) + piece,
                            buf_str(&bytes));
        }
    }
    buf_free(&ranges);
    buf_free(&bytes);
}
