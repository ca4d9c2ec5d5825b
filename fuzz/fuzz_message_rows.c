/* Fuzz target: a block of rows or ranks, or a piece of an answer, of any octets is read within its bounds, its sums
 * right or not; what is made of a header comes back from a block as it was. The first octet says which. */
#include "hash.h"
#include "kept_answer.h"
#include "message_ranks.h"
#include "message_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void look_at_all(struct message_rows *rows) {
    struct message_row row;
    uint64_t hits[MESSAGE_ROWS_MAX / 64];
    uint32_t place;
    for (uint32_t uid = 0; uid < MESSAGE_ROWS_MAX; uid++) {
        if (!message_rows_has(rows, uid, &place)) continue;
        check(place < rows->count && !message_rows_refuses(rows, uid));
        if (message_rows_get(rows, place, &row)) check(row.texts[ROW_SUBJECT].length <= rows->bytes.length);
    }
    for (int column = 0; column < ROW_COLUMNS; column++) {
        (void)!message_rows_search(rows, (enum message_row_column)column, STR("A"), hits);
        (void)!message_rows_search(rows, (enum message_row_column)column, STR_EMPTY, hits);
    }
}

/* Sums are made right, so that more than the sums is tried: of the head, at its places in it (message_rows.c). */
static void read_rows(struct str bytes, bool mend) {
    struct buf copy = {0};
    struct message_rows rows;
    const size_t head = 88 + (ROW_COLUMNS + 1) * 12;
    buf_append(&copy, bytes);
    for (size_t at = 88; mend && copy.length >= head && at < head; at += 12) {
        uint32_t offset, length, sum;
        memcpy(&offset, copy.data + at, 4);
        memcpy(&length, copy.data + at + 4, 4);
        if (offset > copy.length || length > copy.length - offset) continue;
        sum = crc32c(0, copy.data + offset, length);
        memcpy(copy.data + at + 8, &sum, 4);
    }
    if (mend && copy.length >= head) {
        uint32_t sum = crc32c(0, copy.data + 8, head - 8);
        memcpy(copy.data + 4, &sum, 4);
    }
    if (message_rows_open(&rows, buf_str(&copy), 1, 0)) look_at_all(&rows);
    buf_free(&copy);
}

static void read_ranks(struct str bytes) {
    struct message_ranks ranks;
    uint32_t rank;
    if (!message_ranks_open(&ranks, bytes, 1, 0, ROW_SORT_SUBJECT)) return;
    for (uint32_t uid = 0; uid < MESSAGE_ROWS_MAX; uid++)
        (void)message_ranks_has(&ranks, uid, &rank);
}

static void read_answer(struct str bytes) {
    struct buf copy = {0};
    struct kept_answer answer;
    struct str part;
    buf_append(&copy, bytes);
    if (copy.length >= 40) {
        uint32_t sum = crc32c(0, copy.data + 8, copy.length - 8);
        memcpy(copy.data + 4, &sum, 4);
    }
    if (kept_answer_open(&answer, buf_str(&copy), 1)) {
        for (size_t i = 0; i < answer.ranges.length / sizeof(struct kept_range); i++)
            (void)kept_answer_range(&answer, i);
        check(answer.key.length + answer.ranges.length + answer.part.length <= copy.length);
        check(!kept_answer_part(&answer, buf_str(&copy), 1, &part));
    }
    buf_free(&copy);
}

static void make_rows(struct str header) {
    struct arena *arena = arena_create(0);
    struct message_row row, got;
    struct message_rows rows;
    static struct message_rows_draft draft;
    struct buf bytes = {0};
    if (message_row_make(&row, header, arena)) {
        draft = (struct message_rows_draft){.uid_validity = 1};
        draft.rows[200] = draft.rows[3] = &row;
        message_rows_write(&bytes, &draft);
        check(message_rows_open(&rows, buf_str(&bytes), 1, 0) && rows.count == 2);
        look_at_all(&rows);
        check(message_rows_get(&rows, 1, &got) && got.sent == row.sent && got.reply == row.reply &&
              got.dated == row.dated);
        for (int column = 0; column < ROW_COLUMNS; column++)
            check(str_equal(got.texts[column], row.texts[column]));
    }
    buf_free(&bytes);
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str rest = str_make((const char *)data + 1, size - 1);
    if (data[0] == 'h') make_rows(rest);
    if (data[0] == 'r') read_ranks(rest);
    if (data[0] == 'a') read_answer(rest);
    if (data[0] == 'b') read_rows(rest, false);
    if (data[0] == 'm') read_rows(rest, true);
    return 0;
}
