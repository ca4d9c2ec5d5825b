/* See folder_file.h. */
#include "folder_file.h"

#include "hash.h"

#define MAGIC      "ternMBX1"
#define FORMAT     2U
#define FORMAT_OLD 1U /* knows no unknown dates; read all the same */
/* Where things stand in the header. */
enum {
    AT_SUM = 8,
    AT_VERSION = 12,
    AT_ID = 16,
    AT_NUMBERS = 32, /* then in the order of walk_header */
};

/* ---- little-endian numbers */

static void put_u32(uint8_t *at, uint32_t number) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t number) {
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const uint8_t *at) {
    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

/* ---- header */

uint64_t folder_expunged_offset(const struct folder_header *header) {
    return FOLDER_HEADER_SIZE + header->keywords_length;
}

uint64_t folder_names_offset(const struct folder_header *header) {
    return folder_expunged_offset(header) + header->expunged_count * FOLDER_EXPUNGED_SIZE;
}

uint64_t folder_records_offset(const struct folder_header *header) {
    return folder_names_offset(header) + header->names_length;
}

uint64_t folder_journal_offset(const struct folder_header *header) {
    return folder_records_offset(header) + (uint64_t)header->count * FOLDER_RECORD_SIZE;
}

/* The numbers of the header in their order, for both directions. */
struct number_walk {
    uint8_t *put;
    const uint8_t *get;
    size_t at;
};

static void walk_u32(struct number_walk *walk, uint32_t *number) {
    if (walk->put)
        put_u32(walk->put + walk->at, *number);
    else
        *number = get_u32(walk->get + walk->at);
    walk->at += 4;
}

static void walk_u64(struct number_walk *walk, uint64_t *number) {
    if (walk->put)
        put_u64(walk->put + walk->at, *number);
    else
        *number = get_u64(walk->get + walk->at);
    walk->at += 8;
}

static void walk_i64(struct number_walk *walk, int64_t *number) {
    uint64_t bits = (uint64_t)*number;
    walk_u64(walk, &bits);
    *number = (int64_t)bits;
}

static void walk_date(struct number_walk *walk, struct folder_date *date) {
    walk_i64(walk, &date->seconds);
    walk_u32(walk, &date->nanoseconds);
    walk_i64(walk, &date->read_at);
}

static void walk_header(struct number_walk *walk, struct folder_header *header) {
    walk->at = AT_NUMBERS;
    walk_u32(walk, &header->uid_validity);
    walk_u32(walk, &header->uid_next);
    walk_u32(walk, &header->recent_from);
    walk_u64(walk, &header->highest_modseq);
    walk_u64(walk, &header->expunged_floor);
    walk_u32(walk, &header->count);
    walk_u32(walk, &header->unseen);
    walk_u32(walk, &header->deleted);
    walk_u32(walk, &header->first_unseen);
    walk_u64(walk, &header->size);
    walk_u64(walk, &header->deleted_size);
    walk_u64(walk, &header->virtual_size);
    walk_u32(walk, &header->uncounted);
    walk_date(walk, &header->cur);
    walk_date(walk, &header->new);
    walk_i64(walk, &header->read_whole);
    walk_u64(walk, &header->keywords_length);
    walk_u64(walk, &header->expunged_count);
    walk_u64(walk, &header->names_length);
    walk_u32(walk, &header->unsized);
}

static uint32_t header_sum(const uint8_t *bytes) {
    return crc32c(0, bytes + AT_VERSION, FOLDER_HEADER_SIZE - AT_VERSION);
}

void folder_header_encode(const struct folder_header *header, uint8_t bytes[FOLDER_HEADER_SIZE]) {
    struct folder_header copy = *header;
    struct number_walk walk = {.put = bytes};
    memset(bytes, 0, FOLDER_HEADER_SIZE);
    memcpy(bytes, MAGIC, 8);
    put_u32(bytes + AT_VERSION, FORMAT);
    memcpy(bytes + AT_ID, header->id, sizeof header->id);
    walk_header(&walk, &copy);
    put_u32(bytes + AT_SUM, header_sum(bytes));
}

/* Each section's length is checked before it is added, so that no sum can wrap. */
static bool sections_fit(const struct folder_header *header, uint64_t file_size) {
    return header->keywords_length <= file_size && header->expunged_count <= file_size / FOLDER_EXPUNGED_SIZE &&
           header->names_length <= file_size && folder_journal_offset(header) <= file_size &&
           header->uid_validity > 0 && header->uid_next > 0;
}

bool folder_header_decode(struct str bytes, uint64_t file_size, struct folder_header *header) {
    struct folder_header read = {0};
    struct number_walk walk = {.get = (const uint8_t *)bytes.data};
    if (bytes.length < FOLDER_HEADER_SIZE || file_size > (uint64_t)1 << 48 || memcmp(bytes.data, MAGIC, 8) != 0)
        return false;
    uint32_t version = get_u32(walk.get + AT_VERSION);
    if ((version != FORMAT && version != FORMAT_OLD) || get_u32(walk.get + AT_SUM) != header_sum(walk.get))
        return false;
    memcpy(read.id, walk.get + AT_ID, sizeof read.id);
    walk_header(&walk, &read);
    if (!sections_fit(&read, file_size)) return false;
    *header = read;
    return true;
}

/* ---- records */

void folder_record_encode(const struct folder_record *record, uint64_t name_offset, uint8_t bytes[FOLDER_RECORD_SIZE]) {
    put_u32(bytes, record->uid);
    bytes[4] = record->system;
    bytes[5] = record->name_flags;
    bytes[6] = record->place;
    bytes[7] = (uint8_t)record->name.length; /* at most FOLDER_NAME_MAX */
    put_u64(bytes + 8, record->keywords);
    put_u64(bytes + 16, record->modseq);
    put_u64(bytes + 24, (uint64_t)record->internal_date);
    put_u64(bytes + 32, (uint64_t)record->save_date);
    put_u64(bytes + 40, record->size);
    put_u64(bytes + 48, record->virtual_size);
    put_u64(bytes + 56, name_offset);
}

void folder_record_decode(const uint8_t bytes[FOLDER_RECORD_SIZE], struct str names, struct folder_record *record) {
    uint64_t offset = get_u64(bytes + 56);
    size_t length = bytes[7];
    *record = (struct folder_record){
        .uid = get_u32(bytes),
        .system = bytes[4],
        .name_flags = bytes[5],
        .place = bytes[6] == PLACE_NEW ? PLACE_NEW : PLACE_CUR,
        .keywords = get_u64(bytes + 8),
        .modseq = get_u64(bytes + 16),
        .internal_date = (int64_t)get_u64(bytes + 24),
        .save_date = (int64_t)get_u64(bytes + 32),
        .size = get_u64(bytes + 40),
        .virtual_size = get_u64(bytes + 48),
    };
    bool fits = offset <= names.length && length <= names.length - offset;
    record->name = fits ? str_slice(names, offset, offset + length) : STR_EMPTY;
}

uint32_t folder_record_uid(const uint8_t bytes[FOLDER_RECORD_SIZE]) {
    return get_u32(bytes);
}

/* ---- journal: each entry is sum of the rest (4), type (4), length (4), payload */

#define ENTRY_HEAD 12

static void append_u32(struct buf *bytes, uint32_t number) {
    uint8_t packed[4];
    put_u32(packed, number);
    buf_append_bytes(bytes, packed, sizeof packed);
}

static void append_u64(struct buf *bytes, uint64_t number) {
    uint8_t packed[8];
    put_u64(packed, number);
    buf_append_bytes(bytes, packed, sizeof packed);
}

static void append_date(struct buf *bytes, const struct folder_date *date) {
    append_u64(bytes, (uint64_t)date->seconds);
    append_u32(bytes, date->nanoseconds);
    append_u64(bytes, (uint64_t)date->read_at);
}

static void append_ranges(struct buf *bytes, const struct uid_set *uids) {
    for (size_t i = 0; uids && i < uids->count; i++) {
        append_u32(bytes, uids->ranges[i].first);
        append_u32(bytes, uids->ranges[i].last);
    }
}

static void append_payload(struct buf *bytes, const struct journal_entry *entry, const struct uid_set *uids) {
    uint8_t record[FOLDER_RECORD_SIZE];
    switch (entry->type) {
    case JOURNAL_ADD:
        folder_record_encode(&entry->record, 0, record);
        buf_append_bytes(bytes, record, sizeof record);
        buf_append(bytes, entry->record.name);
        break;
    case JOURNAL_FLAGS:
        append_u32(bytes, (uint32_t)entry->change | (uint32_t)entry->system << 8);
        append_u64(bytes, entry->keywords);
        append_u64(bytes, entry->modseq);
        append_ranges(bytes, uids);
        break;
    case JOURNAL_NAMED:
        append_u32(bytes, (uint32_t)entry->place | (uint32_t)entry->name_flags << 8);
        append_ranges(bytes, uids);
        break;
    case JOURNAL_EXPUNGE:
        append_u64(bytes, entry->modseq);
        append_ranges(bytes, uids);
        break;
    case JOURNAL_REMOVED:
        append_ranges(bytes, uids);
        break;
    case JOURNAL_KEYWORD:
        append_u32(bytes, entry->bit);
        buf_append(bytes, entry->name);
        break;
    case JOURNAL_DATES:
        append_date(bytes, &entry->cur);
        append_date(bytes, &entry->new);
        append_u64(bytes, (uint64_t)entry->read_whole);
        break;
    case JOURNAL_SIZES:
    case JOURNAL_LOOKS:
        buf_append(bytes, entry->rows);
        break;
    case JOURNAL_NUMBERS:
        append_u32(bytes, entry->uid_next);
        append_u32(bytes, entry->recent_from);
        append_u64(bytes, entry->modseq);
        break;
    }
}

void journal_append(struct buf *bytes, const struct journal_entry *entry, const struct uid_set *uids) {
    size_t begin = bytes->length;
    uint8_t head[ENTRY_HEAD] = {0};
    buf_append_bytes(bytes, head, sizeof head);
    append_payload(bytes, entry, uids);
    if (buf_overflowed(bytes)) return;
    size_t length = bytes->length - begin - ENTRY_HEAD;
    uint8_t *at = (uint8_t *)bytes->data + begin;
    put_u32(at + 4, (uint32_t)entry->type);
    put_u32(at + 8, (uint32_t)length);
    put_u32(at, crc32c(0, at + 4, length + ENTRY_HEAD - 4));
}

void journal_append_size(struct buf *rows, uint32_t uid, uint64_t virtual_size) {
    append_u32(rows, uid);
    append_u64(rows, virtual_size);
}

void journal_append_look(struct buf *rows, uint32_t uid, int64_t date, uint64_t size) {
    append_u32(rows, uid);
    append_u64(rows, (uint64_t)date);
    append_u64(rows, size);
}

static void read_date(const uint8_t *at, struct folder_date *date) {
    date->seconds = (int64_t)get_u64(at);
    date->nanoseconds = get_u32(at + 8);
    date->read_at = (int64_t)get_u64(at + 12);
}

static bool read_add(struct str payload, struct folder_record *record) {
    if (payload.length < FOLDER_RECORD_SIZE) return false;
    struct str name = str_from_offset(payload, FOLDER_RECORD_SIZE);
    folder_record_decode((const uint8_t *)payload.data, name, record);
    return record->name.length == name.length && record->uid > 0;
}

/* The fixed part of each payload; what follows it is rows. */
static bool read_payload(struct str payload, struct journal_entry *entry) {
    const uint8_t *at = (const uint8_t *)payload.data;
    static const size_t fixed[] = {[JOURNAL_ADD] = FOLDER_RECORD_SIZE,
                                   [JOURNAL_FLAGS] = 20,
                                   [JOURNAL_NAMED] = 4,
                                   [JOURNAL_EXPUNGE] = 8,
                                   [JOURNAL_REMOVED] = 0,
                                   [JOURNAL_KEYWORD] = 4,
                                   [JOURNAL_DATES] = 48,
                                   [JOURNAL_SIZES] = 0,
                                   [JOURNAL_NUMBERS] = 16,
                                   [JOURNAL_LOOKS] = 0};
    size_t rest = fixed[entry->type];
    if (payload.length < rest) return false;
    entry->ranges = str_from_offset(payload, rest);
    switch (entry->type) {
    case JOURNAL_ADD:
        return read_add(payload, &entry->record);
    case JOURNAL_FLAGS:
        entry->change = at[0];
        entry->system = at[1];
        entry->keywords = get_u64(at + 4);
        entry->modseq = get_u64(at + 12);
        return entry->change <= FLAGS_REMOVE;
    case JOURNAL_NAMED:
        entry->place = at[0] == PLACE_NEW ? PLACE_NEW : PLACE_CUR;
        entry->name_flags = at[1];
        return true;
    case JOURNAL_EXPUNGE:
        entry->modseq = get_u64(at);
        return true;
    case JOURNAL_REMOVED:
        return true;
    case JOURNAL_KEYWORD:
        entry->bit = at[0];
        entry->name = entry->ranges;
        return entry->bit < FOLDER_KEYWORDS_MAX && entry->name.length <= FOLDER_KEYWORD_LENGTH;
    case JOURNAL_DATES:
        read_date(at, &entry->cur);
        read_date(at + 20, &entry->new);
        entry->read_whole = (int64_t)get_u64(at + 40);
        return true;
    case JOURNAL_SIZES:
    case JOURNAL_LOOKS:
        entry->rows = entry->ranges;
        return true;
    case JOURNAL_NUMBERS:
        entry->uid_next = get_u32(at);
        entry->recent_from = get_u32(at + 4);
        entry->modseq = get_u64(at + 8);
        return true;
    }
    return false;
}

bool journal_next(struct str bytes, size_t *offset, struct journal_entry *entry) {
    struct journal_entry read = {.type = JOURNAL_ADD};
    if (*offset > bytes.length || bytes.length - *offset < ENTRY_HEAD) return false;
    const uint8_t *at = (const uint8_t *)bytes.data + *offset;
    uint32_t type = get_u32(at + 4), length = get_u32(at + 8);
    if (length > bytes.length - *offset - ENTRY_HEAD || type < JOURNAL_ADD || type > JOURNAL_LOOKS) return false;
    if (get_u32(at) != crc32c(0, at + 4, (size_t)length + ENTRY_HEAD - 4)) return false;
    read.type = (enum journal_type)type;
    if (!read_payload(str_slice(bytes, *offset + ENTRY_HEAD, *offset + ENTRY_HEAD + length), &read)) return false;
    *entry = read;
    *offset += ENTRY_HEAD + length;
    return true;
}

bool journal_goes_on(struct str bytes, size_t offset) {
    struct journal_entry entry;
    for (size_t at = offset; at < bytes.length && bytes.length - at > ENTRY_HEAD; at++) {
        size_t behind = at;
        if (journal_next(bytes, &behind, &entry)) return true;
    }
    return false;
}

bool journal_range(struct str ranges, size_t *offset, struct uid_range *range) {
    if (ranges.length < 8 || *offset > ranges.length - 8) return false;
    const uint8_t *at = (const uint8_t *)ranges.data + *offset;
    *range = (struct uid_range){get_u32(at), get_u32(at + 4)};
    *offset += 8;
    return range->first > 0 && range->first <= range->last;
}

bool journal_size(struct str rows, size_t *offset, uint32_t *uid, uint64_t *virtual_size) {
    if (rows.length < 12 || *offset > rows.length - 12) return false;
    const uint8_t *at = (const uint8_t *)rows.data + *offset;
    *uid = get_u32(at);
    *virtual_size = get_u64(at + 4);
    *offset += 12;
    return true;
}

bool journal_look(struct str rows, size_t *offset, uint32_t *uid, int64_t *date, uint64_t *size) {
    if (rows.length < 20 || *offset > rows.length - 20) return false;
    const uint8_t *at = (const uint8_t *)rows.data + *offset;
    *uid = get_u32(at);
    *date = (int64_t)get_u64(at + 4);
    *size = get_u64(at + 12);
    *offset += 20;
    return true;
}
