/* Unit tables of folder_file: header, records, journal, file names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "folder_file.h"
#include "folder_name.h"
#include "hash.h"

static struct folder_header some_header(void) {
    struct folder_header header;
    memset(&header, 0, sizeof header);
    memcpy(header.id, "0123456789abcdef", 16);
    header.uid_validity = 1700000000;
    header.uid_next = 0xfffffffe;
    header.recent_from = 7;
    header.highest_modseq = 0x0123456789abcdef;
    header.expunged_floor = 9;
    header.count = 3;
    header.unseen = 2;
    header.deleted = 1;
    header.first_unseen = 1;
    header.size = (uint64_t)5 << 40;
    header.deleted_size = 77;
    header.virtual_size = (uint64_t)6 << 40;
    header.uncounted = 1;
    header.cur = (struct folder_date){-5, 999999999, 1234567890123456};
    header.new = (struct folder_date){1700000000, 1, -1};
    header.read_whole = -9;
    header.keywords_length = 11;
    header.expunged_count = 2;
    header.names_length = 100;
    return header;
}

static void test_header(void **state) {
    (void)state;
    struct folder_header header = some_header(), read, untouched;
    uint8_t bytes[FOLDER_HEADER_SIZE];
    uint64_t whole = 512 + 11 + 2 * 16 + 100 + 3 * 64;
    folder_header_encode(&header, bytes);
    struct str text = str_make((const char *)bytes, sizeof bytes);
    assert_int_equal(folder_expunged_offset(&header), 523);
    assert_int_equal(folder_names_offset(&header), 555);
    assert_int_equal(folder_records_offset(&header), 655);
    assert_int_equal(folder_journal_offset(&header), whole);
    memset(&read, 0, sizeof read);
    assert_true(folder_header_decode(text, whole, &read));
    assert_memory_equal(&read, &header, sizeof read);
    untouched = read;
    assert_false(folder_header_decode(text, whole - 1, &read)); /* a section does not fit */
    assert_false(folder_header_decode(str_slice(text, 0, 511), whole, &read));
    assert_false(folder_header_decode(STR_EMPTY, 0, &read));
    for (size_t i = 0; i < sizeof bytes; i++) { /* every octet counts */
        bytes[i] ^= 1;
        assert_false(folder_header_decode(text, whole, &read));
        bytes[i] ^= 1;
    }
    assert_memory_equal(&read, &untouched, sizeof read);
    for (uint8_t version = 0; version < 4; version++) {
        bytes[12] = version;
        uint32_t sum = crc32c(0, bytes + 12, sizeof bytes - 12);
        for (int k = 0; k < 4; k++)
            bytes[8 + k] = (uint8_t)(sum >> 8 * k);
        assert_int_equal(folder_header_decode(text, whole, &read), version == 1 || version == 2);
    }
}

/* Lengths whose sum would wrap, and numbers that no folder has. */
static void test_header_bounds(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct folder_header header = some_header(), read;
        uint8_t bytes[FOLDER_HEADER_SIZE];
        if (i == 0) header.keywords_length = UINT64_MAX - 511;
        if (i == 1) header.expunged_count = UINT64_MAX / 16 + 1;
        if (i == 2) header.names_length = UINT64_MAX - 600;
        if (i == 3) header.count = UINT32_MAX;
        if (i == 4) header.uid_validity = 0;
        if (i == 5) header.uid_next = 0;
        if (i == 6) header.names_length = (uint64_t)1 << 49;
        folder_header_encode(&header, bytes);
        assert_false(
            folder_header_decode(str_make((const char *)bytes, sizeof bytes), i == 6 ? UINT64_MAX : 1 << 20, &read));
    }
}

static struct folder_record some_record(struct str name) {
    return (struct folder_record){.uid = 0xfedcba98,
                                  .system = FLAG_SEEN | FLAG_FORWARDED,
                                  .name_flags = FLAG_DRAFT,
                                  .place = PLACE_CUR,
                                  .keywords = 0x8000000000000001,
                                  .modseq = 0x123456789abcdef0,
                                  .internal_date = -1,
                                  .save_date = 1700000000,
                                  .size = (uint64_t)1 << 33,
                                  .virtual_size = ((uint64_t)1 << 33) + 5,
                                  .name = name};
}

static void check_record(const struct folder_record *read, const struct folder_record *wanted) {
    assert_int_equal(read->uid, wanted->uid);
    assert_int_equal(read->system, wanted->system);
    assert_int_equal(read->name_flags, wanted->name_flags);
    assert_int_equal(read->place, wanted->place);
    assert_true(read->keywords == wanted->keywords && read->modseq == wanted->modseq);
    assert_true(read->internal_date == wanted->internal_date && read->save_date == wanted->save_date);
    assert_true(read->size == wanted->size && read->virtual_size == wanted->virtual_size);
    assert_true(str_equal(read->name, wanted->name));
}

static void test_record(void **state) {
    (void)state;
    uint8_t bytes[FOLDER_RECORD_SIZE];
    char long_name[FOLDER_NAME_MAX];
    struct str names = STR("first.name\0:2,Xsecond");
    struct folder_record record = some_record(str_slice(names, 5, 15)), read;
    folder_record_encode(&record, 5, bytes);
    folder_record_decode(bytes, names, &read);
    check_record(&read, &record);
    assert_int_equal(folder_record_uid(bytes), record.uid);
    static const uint64_t offsets[] = {12, 22, UINT64_MAX, UINT64_MAX - 5};
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) { /* a name that does not lie within the names */
        folder_record_encode(&record, offsets[i], bytes);
        folder_record_decode(bytes, names, &read);
        assert_int_equal(read.name.length, 0);
    }
    memset(long_name, 'n', sizeof long_name);
    record.name = str_make(long_name, sizeof long_name);
    folder_record_encode(&record, 0, bytes);
    folder_record_decode(bytes, record.name, &read);
    check_record(&read, &record);
}

/* ---- the journal */

#define ENTRIES 10

static void some_entries(struct journal_entry entries[ENTRIES], struct buf *rows) {
    journal_append_size(rows, 5, 1234567890123);
    journal_append_size(rows, 9, 1);
    for (int i = 0; i < ENTRIES; i++)
        entries[i] = (struct journal_entry){.type = (enum journal_type)(i + 1),
                                            .record = some_record(STR("1.a.b")),
                                            .change = FLAGS_REMOVE,
                                            .system = FLAG_SEEN,
                                            .name_flags = FLAG_FLAGGED,
                                            .place = PLACE_CUR,
                                            .bit = 63,
                                            .keywords = 0x8000000000000000,
                                            .modseq = 77,
                                            .name = STR("$Forwarded"),
                                            .rows = buf_str(rows),
                                            .cur = {-1, 2, 3},
                                            .new = {4, 5, -6},
                                            .read_whole = 7,
                                            .uid_next = 8,
                                            .recent_from = 9};
}

static void check_ranges(struct str ranges) {
    struct uid_range range;
    size_t offset = 0;
    assert_true(journal_range(ranges, &offset, &range) && range.first == 1 && range.last == 3);
    assert_true(journal_range(ranges, &offset, &range) && range.first == 9 && range.last == UINT32_MAX);
    assert_false(journal_range(ranges, &offset, &range));
}

static void check_entry(const struct journal_entry *read, const struct journal_entry *wanted) {
    size_t offset = 0;
    uint32_t uid;
    uint64_t size;
    int64_t date;
    assert_int_equal(read->type, wanted->type);
    switch (read->type) {
    case JOURNAL_ADD:
        check_record(&read->record, &wanted->record);
        break;
    case JOURNAL_FLAGS:
        assert_true(read->change == wanted->change && read->system == wanted->system &&
                    read->keywords == wanted->keywords);
        assert_true(read->modseq == 77);
        check_ranges(read->ranges);
        break;
    case JOURNAL_NAMED:
        assert_true(read->place == wanted->place && read->name_flags == wanted->name_flags);
        check_ranges(read->ranges);
        break;
    case JOURNAL_EXPUNGE:
        assert_true(read->modseq == 77);
        check_ranges(read->ranges);
        break;
    case JOURNAL_REMOVED:
        check_ranges(read->ranges);
        break;
    case JOURNAL_KEYWORD:
        assert_true(read->bit == 63 && str_equal(read->name, wanted->name));
        break;
    case JOURNAL_DATES:
        assert_memory_equal(&read->cur.seconds, &wanted->cur.seconds, 8);
        assert_true(read->cur.nanoseconds == 2 && read->cur.read_at == 3 && read->new.seconds == 4);
        assert_true(read->new.nanoseconds == 5 && read->new.read_at == -6 && read->read_whole == 7);
        break;
    case JOURNAL_SIZES:
        assert_true(journal_size(read->rows, &offset, &uid, &size) && uid == 5 && size == 1234567890123);
        assert_true(journal_size(read->rows, &offset, &uid, &size) && uid == 9 && size == 1);
        assert_false(journal_size(read->rows, &offset, &uid, &size));
        break;
    case JOURNAL_LOOKS: /* the same octets, parted otherwise */
        assert_true(journal_look(read->rows, &offset, &uid, &date, &size) && uid == 5 && date == 1234567890123);
        assert_true(size == ((uint64_t)1 << 32 | 9));
        assert_false(journal_look(read->rows, &offset, &uid, &date, &size));
        break;
    case JOURNAL_NUMBERS:
        assert_true(read->uid_next == 8 && read->recent_from == 9 && read->modseq == 77);
        break;
    }
}

static void test_journal(void **state) {
    (void)state;
    struct buf bytes = buf_make(0), rows = buf_make(0);
    struct journal_entry entries[ENTRIES], read = {.type = JOURNAL_ADD};
    struct uid_set uids = {0};
    size_t ends[ENTRIES], offset = 0;
    uid_set_add(&uids, 1, 3);
    uid_set_add(&uids, 9, UINT32_MAX);
    some_entries(entries, &rows);
    for (int i = 0; i < ENTRIES; i++) {
        journal_append(&bytes, &entries[i], &uids);
        ends[i] = bytes.length;
    }
    for (int i = 0; i < ENTRIES; i++) {
        assert_true(journal_next(buf_str(&bytes), &offset, &read));
        assert_int_equal(offset, ends[i]);
        check_entry(&read, &entries[i]);
    }
    assert_false(journal_next(buf_str(&bytes), &offset, &read));
    assert_int_equal(offset, bytes.length);
    for (size_t cut = 0; cut < bytes.length; cut++) { /* torn: what is whole before is read, no more */
        size_t whole = 0;
        for (int i = 0; i < ENTRIES && ends[i] <= cut; i++)
            whole = ends[i];
        offset = 0;
        while (journal_next(str_slice(buf_str(&bytes), 0, cut), &offset, &read))
            continue;
        assert_int_equal(offset, whole);
    }
    for (size_t i = 0; i < bytes.length; i++) { /* altered */
        size_t whole = 0;
        for (int k = 0; k < ENTRIES && ends[k] <= i; k++)
            whole = ends[k];
        bytes.data[i] = (char)(bytes.data[i] ^ 4);
        offset = 0;
        while (journal_next(buf_str(&bytes), &offset, &read))
            continue;
        assert_int_equal(offset, whole);
        bytes.data[i] = (char)(bytes.data[i] ^ 4);
    }
    offset = bytes.length + 1;
    assert_false(journal_next(buf_str(&bytes), &offset, &read));
    uid_set_free(&uids);
    buf_free(&rows);
    buf_free(&bytes);
}

/* Whole, with a sum that is right, and senseless. */
static void test_senseless_entries(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        struct str payload;
    } rows[] = {{0, STR_INIT("")},
                {11, STR_INIT("xxxxxxxxxxxxxxxxxxxxxxxx")},
                {JOURNAL_ADD, STR_INIT("short")},
                {JOURNAL_FLAGS, STR_INIT("\3\0\0\0aaaaaaaabbbbbbbb")}, /* no such change */
                {JOURNAL_FLAGS, STR_INIT("\1\0\0\0")},
                {JOURNAL_NAMED, STR_INIT("xyz")},
                {JOURNAL_EXPUNGE, STR_INIT("1234567")},
                {JOURNAL_KEYWORD, STR_INIT("\x40\0\0\0name")}, /* no such bit */
                {JOURNAL_DATES, STR_INIT("dates")},
                {JOURNAL_NUMBERS, STR_INIT("123456789012345")}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf bytes = buf_make(0);
        struct journal_entry read;
        size_t offset = 0;
        uint8_t head[12] = {0};
        head[4] = rows[i].type;
        head[8] = (uint8_t)rows[i].payload.length;
        buf_append_bytes(&bytes, head, sizeof head);
        buf_append(&bytes, rows[i].payload);
        uint32_t sum = crc32c(0, bytes.data + 4, bytes.length - 4);
        for (int k = 0; k < 4; k++)
            bytes.data[k] = (char)(sum >> 8 * k);
        assert_false(journal_next(buf_str(&bytes), &offset, &read));
        assert_int_equal(offset, 0);
        buf_free(&bytes);
    }
    struct uid_range range;
    size_t offset = 0;
    assert_false(journal_range(STR("\5\0\0\0\4\0\0\0"), &offset, &range)); /* first after last */
    offset = 0;
    assert_false(journal_range(STR("\0\0\0\0\4\0\0\0"), &offset, &range));
}

/* ---- names */

static void test_info(void **state) {
    (void)state;
    static const struct {
        const char *info;
        uint8_t flags;
        bool canonical;
    } rows[] = {{":2,", 0, true},
                {":2,S", FLAG_SEEN, true},
                {":2,DFPRST", 63, true},
                {":2,TS", FLAG_SEEN | FLAG_DELETED, false},
                {":2,SS", FLAG_SEEN, false},
                {":2,Sa", FLAG_SEEN, false},
                {"", 0, false},
                {":2", 0, false},
                {":1,S", 0, false},
                {":2,s", 0, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint8_t flags = 99;
        bool canonical;
        struct buf text = buf_make(0);
        folder_info_parse(str_from(rows[i].info), &flags, &canonical);
        assert_int_equal(flags, rows[i].flags);
        assert_int_equal(canonical, rows[i].canonical);
        folder_info_format(flags, &text);
        assert_int_equal(str_equal(buf_str(&text), str_from(rows[i].info)), canonical);
        buf_free(&text);
    }
}

static void test_names(void **state) {
    (void)state;
    char longest[FOLDER_NAME_MAX + 1] = {0};
    struct str base = STR("x"), info = STR("y");
    assert_true(folder_name_split(STR("17.M5P3.host,S=20,W=22:2,FS"), &base, &info));
    assert_true(str_equal(base, STR("17.M5P3.host,S=20,W=22")) && str_equal(info, STR(":2,FS")));
    assert_true(folder_name_split(STR("name"), &base, &info));
    assert_true(str_equal(base, STR("name")) && info.length == 0);
    assert_false(folder_name_split(STR(""), &base, &info) || folder_name_split(STR(".x"), &base, &info));
    assert_false(folder_name_split(STR(":2,S"), &base, &info));
    memset(longest, 'x', FOLDER_NAME_MAX);
    assert_false(folder_name_split(str_from(longest), &base, &info));
    assert_true(folder_name_split(str_make(longest, FOLDER_NAME_MAX - 1), &base, &info));
    uint64_t size, virtual_size;
    folder_name_sizes(STR("17.a,S=20,W=22"), &size, &virtual_size);
    assert_true(size == 20 && virtual_size == 22);
    folder_name_sizes(STR("17.a,W=,S=99999999999999999999"), &size, &virtual_size);
    assert_true(size == 0 && virtual_size == 0);
    static const struct {
        const char *name;
        int64_t microseconds;
    } dates[] = {{"1700000000.a", 1700000000000000},
                 {"1700000000", 1700000000000000},
                 {"1700000000.M5P3.host", 1700000000000005},
                 {"1700000000.M000005P3.M7.host", 1700000000000005},
                 {"1700000000.V801I12bM67890.host", 1700000000067890},
                 {"1700000000.QM1M23.host", 1700000000000001},
                 {"1700000000.MxM23.host", 1700000000000023},
                 {"1700000000.a.M5", 1700000000000000},
                 {"1700000000.M1000000P3.host", 1700000000000000},
                 {"1700000000M5.host", 1700000000000000},
                 {"a17", 0},
                 {"", 0},
                 {"99999999999999999999.a", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(dates); i++)
        assert_int_equal(folder_name_date(str_from(dates[i].name)), dates[i].microseconds);
}

static void test_paths(void **state) {
    (void)state;
    static const struct {
        struct str name;
        uint8_t place, flags;
        const char *path;
    } rows[] = {
        {STR_INIT("a"), PLACE_CUR, FLAG_SEEN, "cur/a:2,S"}, {STR_INIT("a"), PLACE_CUR, 0, "cur/a:2,"},
        {STR_INIT("a"), PLACE_NEW, FLAG_SEEN, "new/a"},     {STR_INIT("a\0:2,Sx"), PLACE_CUR, FLAG_SEEN, "cur/a:2,Sx"},
        {STR_INIT("a\0"), PLACE_CUR, 0, "cur/a"},           {STR_INIT("a\0:2,S"), PLACE_NEW, FLAG_SEEN, "new/a:2,S"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct folder_record record = {.name = rows[i].name, .place = rows[i].place, .name_flags = rows[i].flags};
        struct buf path = buf_make(0);
        folder_record_path(&record, &path);
        assert_string_equal(buf_string(&path), rows[i].path);
        buf_free(&path);
    }
}

/* The offsets that tern-folder(5) tells other programs. */
static uint64_t octets(const char *bytes, size_t at, size_t size) {
    uint64_t number = 0;
    for (size_t i = size; i-- > 0;)
        number = number << 8 | (uint8_t)bytes[at + i];
    return number;
}

static void test_page(void **state) {
    (void)state;
    struct folder_header header = {.id = "0123456789abcde",
                                   .uid_validity = 1,
                                   .uid_next = 2,
                                   .recent_from = 3,
                                   .highest_modseq = 4,
                                   .expunged_floor = 5,
                                   .count = 0,
                                   .unseen = 7,
                                   .deleted = 8,
                                   .first_unseen = 9,
                                   .size = 10,
                                   .deleted_size = 11,
                                   .virtual_size = 12,
                                   .uncounted = 13,
                                   .cur = {14, 15, 16},
                                   .new = {17, 18, 19},
                                   .read_whole = 20,
                                   .keywords_length = 21,
                                   .expunged_count = 22,
                                   .names_length = 23,
                                   .unsized = 24};
    static const struct {
        size_t at, size;
        uint64_t value;
    } numbers[] = {{12, 4, 2},   {32, 4, 1},   {36, 4, 2},   {40, 4, 3},   {44, 8, 4},   {52, 8, 5},   {60, 4, 0},
                   {64, 4, 7},   {68, 4, 8},   {72, 4, 9},   {76, 8, 10},  {84, 8, 11},  {92, 8, 12},  {100, 4, 13},
                   {104, 8, 14}, {112, 4, 15}, {116, 8, 16}, {124, 8, 17}, {132, 4, 18}, {136, 8, 19}, {144, 8, 20},
                   {152, 8, 21}, {160, 8, 22}, {168, 8, 23}, {176, 4, 24}},
      record_numbers[] = {{0, 4, 1},  {4, 1, 2},  {5, 1, 3},  {6, 1, 1},  {7, 1, 4},   {8, 8, 5},
                          {16, 8, 6}, {24, 8, 7}, {32, 8, 8}, {40, 8, 9}, {48, 8, 10}, {56, 8, 11}};
    char bytes[FOLDER_HEADER_SIZE];
    folder_header_encode(&header, (uint8_t *)bytes);
    assert_memory_equal(bytes, "ternMBX1", 8);
    assert_int_equal(octets(bytes, 8, 4), crc32c(0, bytes + 12, 500));
    assert_memory_equal(bytes + 16, "0123456789abcde", 16);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        assert_int_equal(octets(bytes, numbers[i].at, numbers[i].size), numbers[i].value);
    for (size_t i = 180; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0);
    struct folder_record record = {.uid = 1,
                                   .system = 2,
                                   .name_flags = 3,
                                   .place = 1,
                                   .keywords = 5,
                                   .modseq = 6,
                                   .internal_date = 7,
                                   .save_date = 8,
                                   .size = 9,
                                   .virtual_size = 10,
                                   .name = STR("name")};
    folder_record_encode(&record, 11, (uint8_t *)bytes);
    for (size_t i = 0; i < ARRAY_LENGTH(record_numbers); i++)
        assert_int_equal(octets(bytes, record_numbers[i].at, record_numbers[i].size), record_numbers[i].value);
}

static void test_page_journal(void **state) {
    (void)state;
    struct uid_range range = {4, 5};
    struct uid_set uids = {.ranges = &range, .count = 1};
    struct buf sizes = buf_make(0), looks = buf_make(0);
    journal_append_size(&sizes, 4, 5);
    journal_append_look(&looks, 4, 5, 6);
    const struct {
        struct journal_entry entry;
        const char *payload;
        size_t length;
    } rows[] = {
        {{.type = JOURNAL_FLAGS, .change = FLAGS_REMOVE, .system = 3, .keywords = 6, .modseq = 7},
         "\2\3\0\0\6\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\4\0\0\0\5\0\0\0",
         28},
        {{.type = JOURNAL_NAMED, .place = 1, .name_flags = 2}, "\1\2\0\0\4\0\0\0\5\0\0\0", 12},
        {{.type = JOURNAL_EXPUNGE, .modseq = 7}, "\7\0\0\0\0\0\0\0\4\0\0\0\5\0\0\0", 16},
        {{.type = JOURNAL_REMOVED}, "\4\0\0\0\5\0\0\0", 8},
        {{.type = JOURNAL_KEYWORD, .bit = 3, .name = STR("Work")}, "\3\0\0\0Work", 8},
        {{.type = JOURNAL_DATES, .cur = {1, 2, 3}, .new = {4, 5, 6}, .read_whole = 7},
         "\1\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\5\0\0\0\6\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0",
         48},
        {{.type = JOURNAL_SIZES, .rows = buf_str(&sizes)}, "\4\0\0\0\5\0\0\0\0\0\0\0", 12},
        {{.type = JOURNAL_NUMBERS, .uid_next = 1, .recent_from = 2, .modseq = 3},
         "\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0",
         16},
        {{.type = JOURNAL_LOOKS, .rows = buf_str(&looks)}, "\4\0\0\0\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0", 20},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf bytes = buf_make(0);
        journal_append(&bytes, &rows[i].entry, &uids);
        assert_int_equal(bytes.length, 12 + rows[i].length);
        assert_int_equal(octets(bytes.data, 0, 4), crc32c(0, bytes.data + 4, bytes.length - 4));
        assert_int_equal(octets(bytes.data, 4, 4), i + 2);
        assert_int_equal(octets(bytes.data, 8, 4), rows[i].length);
        assert_memory_equal(bytes.data + 12, rows[i].payload, rows[i].length);
        buf_free(&bytes);
    }
    buf_free(&sizes);
    buf_free(&looks);
}

/* A torn end, and damage: entries behind what is none. */
static void test_goes_on(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    struct journal_entry entry = {.type = JOURNAL_NUMBERS, .uid_next = 5}, read;
    size_t offset = 0;
    journal_append(&bytes, &entry, NULL);
    size_t first = bytes.length;
    journal_append(&bytes, &entry, NULL);
    assert_true(journal_goes_on(buf_str(&bytes), 1));
    assert_false(journal_goes_on(buf_str(&bytes), first + 1));
    bytes.data[3] ^= 1;
    assert_false(journal_next(buf_str(&bytes), &offset, &read));
    assert_true(journal_goes_on(buf_str(&bytes), offset));
    buf_truncate(&bytes, bytes.length - 1);
    assert_false(journal_goes_on(buf_str(&bytes), offset));
    assert_false(journal_goes_on(STR_EMPTY, 0));
    buf_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),          cmocka_unit_test(test_page_journal),
        cmocka_unit_test(test_goes_on),       cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_bounds), cmocka_unit_test(test_record),
        cmocka_unit_test(test_journal),       cmocka_unit_test(test_senseless_entries),
        cmocka_unit_test(test_info),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
