/* message_rows: blocks of rows, written and read. Numbers are as this machine has them: a block never leaves it. */
#include "message_rows.h"
#include "hash.h"

#define ROWS_MAGIC  UINT32_C(0x73776f72)
#define DATES       ROW_COLUMNS
#define DATE_OCTETS 11 /* seconds 8, zone 2, bits 1 */

enum date_bit { DATE_IS_DATED = 1, DATE_IS_REPLY = 2 };

struct rows_head {
    uint32_t magic, sum; /* sum: of what follows it in the head */
    uint32_t version, uid_validity, block, count;
    uint64_t present[MESSAGE_ROWS_MAX / 64], refused[MESSAGE_ROWS_MAX / 64];
    struct {
        uint32_t offset, length, sum;
    } columns[ROW_COLUMNS + 1];
};
_Static_assert(sizeof(struct rows_head) == 24 + MESSAGE_ROWS_MAX / 4 + (ROW_COLUMNS + 1) * 12, "a head without gaps");

static uint32_t head_sum(const struct rows_head *head) {
    const size_t skipped = offsetof(struct rows_head, version);
    return crc32c(0, (const char *)head + skipped, sizeof *head - skipped);
}

static bool get_bit(const uint64_t *bits, uint32_t place) {
    return bits[place / 64] >> (place % 64) & 1;
}

static void set_bit(uint64_t *bits, uint32_t place) {
    bits[place / 64] |= UINT64_C(1) << (place % 64);
}

/* ---- writing */

static size_t row_octets(const struct message_row *row) {
    size_t octets = 0;
    for (int column = 0; column < ROW_COLUMNS; column++)
        octets += row->texts[column].length;
    return octets;
}

/* Which rows are in it; those that find no room are refused. */
static void choose_rows(const struct message_rows_draft *draft, struct rows_head *head) {
    size_t room = MESSAGE_ROWS_OCTETS;
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
        const struct message_row *row = draft->rows[i];
        size_t octets = row ? row_octets(row) : 0;
        if (row && octets <= room) {
            room -= octets;
            set_bit(head->present, i);
            head->count++;
        } else if (row || draft->refused[i]) {
            set_bit(head->refused, i);
        }
    }
}

static void write_texts(struct buf *out, const struct message_rows_draft *draft, const struct rows_head *head,
                        int column) {
    uint32_t offset = 0;
    buf_append_bytes(out, &offset, sizeof offset);
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
        if (!get_bit(head->present, i)) continue;
        offset += (uint32_t)draft->rows[i]->texts[column].length;
        buf_append_bytes(out, &offset, sizeof offset);
    }
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++)
        if (get_bit(head->present, i)) buf_append(out, draft->rows[i]->texts[column]);
}

/* Seconds of all rows, then zones, then bits. */
static void write_dates(struct buf *out, const struct message_rows_draft *draft, const struct rows_head *head) {
    for (int part = 0; part < 3; part++) {
        for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
            if (!get_bit(head->present, i)) continue;
            const struct message_row *row = draft->rows[i];
            uint8_t bits = (uint8_t)((row->dated ? DATE_IS_DATED : 0) | (row->reply ? DATE_IS_REPLY : 0));
            if (part == 0) buf_append_bytes(out, &row->sent, sizeof row->sent);
            if (part == 1) buf_append_bytes(out, &row->offset_minutes, sizeof row->offset_minutes);
            if (part == 2) buf_append_bytes(out, &bits, sizeof bits);
        }
    }
}

void message_rows_write(struct buf *out, const struct message_rows_draft *draft) {
    struct rows_head head = {.magic = ROWS_MAGIC,
                             .version = MESSAGE_ROWS_VERSION,
                             .uid_validity = draft->uid_validity,
                             .block = draft->block};
    size_t begin = out->length;
    choose_rows(draft, &head);
    buf_append_bytes(out, &head, sizeof head);
    for (int column = 0; column <= DATES; column++) {
        size_t offset = out->length;
        if (column == DATES)
            write_dates(out, draft, &head);
        else
            write_texts(out, draft, &head, column);
        head.columns[column].offset = (uint32_t)(offset - begin);
        head.columns[column].length = (uint32_t)(out->length - offset);
        head.columns[column].sum = crc32c(0, out->data + offset, out->length - offset);
    }
    head.sum = head_sum(&head);
    memcpy(out->data + begin, &head, sizeof head);
}

/* ---- reading */

static bool head_is_sound(const struct rows_head *head, size_t length) {
    uint32_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(head->present); i++) {
        count += (uint32_t)__builtin_popcountll(head->present[i]);
        if (head->present[i] & head->refused[i]) return false;
    }
    for (int column = 0; column <= DATES; column++) {
        uint32_t least = column == DATES ? count * DATE_OCTETS : (count + 1) * 4;
        if (head->columns[column].offset > length ||
            head->columns[column].length > length - head->columns[column].offset)
            return false;
        if (head->columns[column].length < least) return false;
    }
    return count == head->count;
}

bool message_rows_open(struct message_rows *rows, struct str bytes, uint32_t uid_validity, uint32_t block) {
    struct rows_head head;
    if (bytes.length < sizeof head) return false;
    memcpy(&head, bytes.data, sizeof head);
    if (head.magic != ROWS_MAGIC || head.version != MESSAGE_ROWS_VERSION || head.uid_validity != uid_validity ||
        head.block != block)
        return false;
    if (head.sum != head_sum(&head) || !head_is_sound(&head, bytes.length)) return false;
    *rows = (struct message_rows){.bytes = bytes, .count = head.count};
    memcpy(rows->present, head.present, sizeof rows->present);
    memcpy(rows->refused, head.refused, sizeof rows->refused);
    for (int column = 0; column <= DATES; column++) {
        rows->columns[column].offset = head.columns[column].offset;
        rows->columns[column].length = head.columns[column].length;
        rows->columns[column].sum = head.columns[column].sum;
    }
    for (uint32_t i = 0, place = 0; i < MESSAGE_ROWS_MAX; i++) {
        rows->places[i] = (uint8_t)place;
        place += get_bit(rows->present, i);
    }
    return true;
}

bool message_rows_has(const struct message_rows *rows, uint32_t uid, uint32_t *place) {
    uint32_t at = uid % MESSAGE_ROWS_MAX;
    if (!get_bit(rows->present, at)) return false;
    *place = rows->places[at];
    return true;
}

bool message_rows_refuses(const struct message_rows *rows, uint32_t uid) {
    return get_bit(rows->refused, uid % MESSAGE_ROWS_MAX);
}

static uint32_t number_at(const char *bytes, uint32_t index) {
    uint32_t number;
    memcpy(&number, bytes + (size_t)index * sizeof number, sizeof number);
    return number;
}

/* The offsets of a column rise and end where it ends. */
static bool offsets_are_sound(const char *offsets, uint32_t count, size_t length) {
    uint32_t before = 0;
    if (number_at(offsets, 0) != 0) return false;
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t offset = number_at(offsets, i);
        if (offset < before) return false;
        before = offset;
    }
    return before == length;
}

/* A column's bytes, checked once. */
static bool column_bytes(struct message_rows *rows, int column, struct str *bytes) {
    struct str got = str_make(rows->bytes.data + rows->columns[column].offset, rows->columns[column].length);
    if (rows->columns[column].state == 0) {
        bool good = crc32c(0, got.data, got.length) == rows->columns[column].sum;
        if (good && column == DATES) good = got.length == (size_t)rows->count * DATE_OCTETS;
        if (good && column != DATES)
            good = offsets_are_sound(got.data, rows->count, got.length - ((size_t)rows->count + 1) * 4);
        rows->columns[column].state = good ? 1 : -1;
    }
    *bytes = got;
    return rows->columns[column].state > 0;
}

bool message_rows_texts(struct message_rows *rows, enum message_row_column column, struct message_rows_texts *texts) {
    struct str bytes;
    if (!column_bytes(rows, (int)column, &bytes)) return false;
    *texts = (struct message_rows_texts){
        .offsets = bytes.data, .count = rows->count, .all = str_from_offset(bytes, ((size_t)rows->count + 1) * 4)};
    return true;
}

uint32_t message_rows_text_offset(const struct message_rows_texts *texts, uint32_t place) {
    return number_at(texts->offsets, place);
}

struct str message_rows_text(const struct message_rows_texts *texts, uint32_t place) {
    return str_slice(texts->all, number_at(texts->offsets, place), number_at(texts->offsets, place + 1));
}

bool message_rows_dates(struct message_rows *rows, uint32_t place, struct message_row *row) {
    struct str bytes;
    size_t count = rows->count;
    if (!column_bytes(rows, DATES, &bytes)) return false;
    memcpy(&row->sent, bytes.data + (size_t)place * 8, sizeof row->sent);
    memcpy(&row->offset_minutes, bytes.data + count * 8 + (size_t)place * 2, sizeof row->offset_minutes);
    uint8_t bits = (uint8_t)bytes.data[count * 10 + place];
    row->dated = bits & DATE_IS_DATED;
    row->reply = bits & DATE_IS_REPLY;
    return true;
}

bool message_rows_get(struct message_rows *rows, uint32_t place, struct message_row *row) {
    struct message_rows_texts texts;
    if (!message_rows_dates(rows, place, row)) return false;
    for (int column = 0; column < ROW_COLUMNS; column++) {
        if (!message_rows_texts(rows, (enum message_row_column)column, &texts)) return false;
        row->texts[column] = message_rows_text(&texts, place);
    }
    return true;
}

/* The row whose text an offset lies in: the last that begins at or before it. */
static uint32_t place_of(const struct message_rows_texts *texts, uint32_t from, uint32_t offset) {
    uint32_t low = from, high = texts->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (number_at(texts->offsets, middle) <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool message_rows_search(struct message_rows *rows, enum message_row_column column, struct str text,
                         uint64_t hits[MESSAGE_ROWS_MAX / 64]) {
    struct message_rows_texts texts;
    if (!message_rows_texts(rows, column, &texts)) return false;
    memset(hits, 0, MESSAGE_ROWS_MAX / 8);
    if (text.length == 0) {
        for (uint32_t place = 0; place < texts.count; place++)
            if (message_rows_text(&texts, place).length > 0) set_bit(hits, place);
        return true;
    }
    for (uint32_t from = 0, place = 0; place < texts.count;) {
        size_t found = str_find_str(str_from_offset(texts.all, from), text);
        if (found == STR_NONE) break;
        place = place_of(&texts, place, from + (uint32_t)found);
        set_bit(hits, place);
        from = number_at(texts.offsets, ++place); /* the next text */
    }
    return true;
}
