/* Unit table of lib/mail/message_rows, message_row, message_ranks and kept_answer. */
#include "expect.h"
#include "kept_answer.h"
#include "message_ranks.h"
#include "message_rows.h"

#define CHECK_TEXT(got, wanted)                                                                                        \
    do {                                                                                                               \
        assert_int_equal((got).length, sizeof(wanted) - 1);                                                            \
        if ((got).length > 0) assert_memory_equal((got).data, wanted, sizeof(wanted) - 1);                             \
    } while (0)

static void make(struct message_row *row, const char *header, struct arena *arena) {
    *row = (struct message_row){.dated = false};
    assert_true(message_row_make(row, str_from(header), arena));
}

static void test_row(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct message_row row;
    make(&row,
         "Subject: Re: =?utf-8?Q?B=C3=BCdget?= [x]\r\nfrom: \"Doe, Jo\" <Jo@a.test>\r\nTo: a@b.test,\r\n "
         "c@d.test\r\nSubject: second\r\n"
         "Cc:\r\nBcc: friends: x@y.test;\r\nDate: Mon, 01 Jan 2024 10:00:00 -0130\r\nMessage-ID: "
         "<1@x.test>\r\nReferences: <2@x.test>\r\n"
         " <3@x.test>\r\nIn-Reply-To: <4@x.test>\r\n\r\n",
         arena);
    CHECK_TEXT(row.texts[ROW_SUBJECT], "RE: BU\314\210DGET [X]\0 SECOND\r\0");
    CHECK_TEXT(row.texts[ROW_FROM], " \"DOE, JO\" <JO@A.TEST>\r\0");
    CHECK_TEXT(row.texts[ROW_TO], "A@B.TEST, C@D.TEST\0");
    CHECK_TEXT(row.texts[ROW_CC], "\r\0");
    CHECK_TEXT(row.texts[ROW_BCC], " FRIENDS: X@Y.TEST;\r\0");
    CHECK_TEXT(row.texts[ROW_MESSAGE_ID], " <1@X.TEST>\r\0");
    CHECK_TEXT(row.texts[ROW_SORT_SUBJECT], "BU\314\210DGET [X]");
    CHECK_TEXT(row.texts[ROW_SORT_FROM], "JO");
    CHECK_TEXT(row.texts[ROW_DISPLAY_FROM], "DOE, JO");
    CHECK_TEXT(row.texts[ROW_SORT_TO], "A");
    CHECK_TEXT(row.texts[ROW_DISPLAY_TO], "A@B.TEST");
    CHECK_TEXT(row.texts[ROW_SORT_CC], "");
    assert_int_equal(row.texts[ROW_THREAD_IDS].length, 3 * sizeof(uint64_t));
    assert_true(row.reply && row.dated);
    assert_int_equal(row.sent, 1704108600);
    assert_int_equal(row.offset_minutes, -90);
    arena_destroy(&arena);
}

static void test_bare_row(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct message_row row;
    make(&row, "", arena);
    for (int column = 0; column < ROW_COLUMNS; column++)
        assert_int_equal(row.texts[column].length, column == ROW_THREAD_IDS ? sizeof(uint64_t) : 0);
    assert_false(row.dated || row.reply);
    make(&row, "Date: never\r\nSubject:\r\n x", arena);
    assert_false(row.dated);
    CHECK_TEXT(row.texts[ROW_SUBJECT], "X\0");
    make(&row, "From: <a (b)@ (c) d.test>, e (f), G: h@i.test;\nSubject: j (k)@l", arena);
    CHECK_TEXT(row.texts[ROW_FROM], " <A (B)@ (C) D.TEST>, E (F), G: H@I.TEST;\nA@D.TEST\nH@I.TEST\0");
    CHECK_TEXT(row.texts[ROW_SUBJECT], " J (K)@L\0");
    struct buf header = {0};
    buf_append(&header, STR("To: "));
    for (int i = 0; i < 1000; i++)
        buf_append(&header, STR("person@x.test, "));
    assert_false(message_row_make(&row, buf_str(&header), arena));
    buf_free(&header);
    arena_destroy(&arena);
    arena = arena_create(4);
    assert_false(message_row_make(&row, STR("Subject: too much for the arena"), arena));
    arena_destroy(&arena);
}

static void test_columns(void **state) {
    (void)state;
    assert_int_equal(message_row_searched_column(STR("FROM")), ROW_FROM);
    assert_int_equal(message_row_searched_column(STR("message-id")), ROW_MESSAGE_ID);
    assert_int_equal(message_row_searched_column(STR("Bcc")), ROW_BCC);
    assert_int_equal(message_row_searched_column(STR("Date")), ROW_COLUMNS);
    assert_int_equal(message_row_searched_column(STR("X-Other")), ROW_COLUMNS);
}

/* A block of rows for UIDs 512 + 3, + 4, + 64 and + 255; + 7 is refused. */
static void make_block(struct buf *out, struct arena *arena) {
    static struct message_row rows[4];
    static const uint8_t places[4] = {3, 4, 64, 255};
    struct message_rows_draft draft = {.uid_validity = 77, .block = 2};
    make(&rows[0], "Subject: one\r\nDate: Mon, 01 Jan 2024 10:00:00 +0000\r\n", arena);
    make(&rows[1], "Subject: another one\r\nSubject: three\r\n", arena);
    make(&rows[2], "From: ann@x.test\r\n", arena);
    make(&rows[3], "Subject: the last\r\nMessage-ID: <9@x.test>\r\n", arena);
    for (size_t i = 0; i < 4; i++)
        draft.rows[places[i]] = &rows[i];
    draft.refused[7] = true;
    message_rows_write(out, &draft);
}

static void test_block(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct buf bytes = {0};
    struct message_rows rows;
    struct message_row row;
    uint32_t place = 99;
    make_block(&bytes, arena);
    assert_false(message_rows_open(&rows, buf_str(&bytes), 78, 2));
    assert_false(message_rows_open(&rows, buf_str(&bytes), 77, 3));
    assert_true(message_rows_open(&rows, buf_str(&bytes), 77, 2));
    assert_int_equal(rows.count, 4);
    assert_false(message_rows_has(&rows, 512, &place));
    assert_int_equal(place, 99);
    assert_true(message_rows_has(&rows, 515, &place));
    assert_int_equal(place, 0);
    assert_true(message_rows_get(&rows, place, &row));
    assert_true(row.dated);
    assert_int_equal(row.sent, 1704103200);
    CHECK_TEXT(row.texts[ROW_SORT_SUBJECT], "ONE");
    assert_true(message_rows_has(&rows, 767, &place));
    assert_int_equal(place, 3);
    assert_true(message_rows_get(&rows, place, &row));
    CHECK_TEXT(row.texts[ROW_SUBJECT], " THE LAST\r\0");
    assert_false(row.dated);
    assert_true(message_rows_refuses(&rows, 519));
    assert_false(message_rows_refuses(&rows, 515));
    buf_free(&bytes);
    arena_destroy(&arena);
}

static void test_search(void **state) {
    (void)state;
    static const struct {
        enum message_row_column column;
        struct str text;
        uint64_t hits;
    } table[] = {
        {ROW_SUBJECT, STR_INIT("ONE"), 3},  {ROW_SUBJECT, STR_INIT("THREE"), 2},
        {ROW_SUBJECT, STR_INIT("T"), 10},   {ROW_SUBJECT, STR_INIT("one"), 0},
        {ROW_SUBJECT, STR_INIT(""), 11},    {ROW_SUBJECT, STR_INIT("ONE\r"), 3},
        {ROW_FROM, STR_INIT(""), 4},        {ROW_FROM, STR_INIT("ANN@"), 4},
        {ROW_BCC, STR_INIT(""), 0},         {ROW_MESSAGE_ID, STR_INIT("9@X"), 8},
        {ROW_SUBJECT, STR_INIT("LAST"), 8}, {ROW_SUBJECT, STR_INIT("THE LAST AND MORE"), 0},
    };
    struct arena *arena = arena_create(0);
    struct buf bytes = {0};
    struct message_rows rows;
    make_block(&bytes, arena);
    assert_true(message_rows_open(&rows, buf_str(&bytes), 77, 2));
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        uint64_t hits[MESSAGE_ROWS_MAX / 64] = {1, 1, 1, 1};
        assert_true(message_rows_search(&rows, table[i].column, table[i].text, hits));
        assert_int_equal(hits[0], table[i].hits);
        assert_int_equal(hits[1] | hits[2] | hits[3], 0);
        for (uint32_t place = 0; place < rows.count; place++) {
            struct message_row row;
            assert_true(message_rows_get(&rows, place, &row));
            assert_int_equal(message_row_has(&row, table[i].column, table[i].text), hits[0] >> place & 1);
        }
    }
    buf_free(&bytes);
    arena_destroy(&arena);
}

/* Any octet that is changed is noticed: in the head at once, in a column when that is asked for. */
static void test_damage(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct buf bytes = {0};
    struct message_rows rows;
    make_block(&bytes, arena);
    for (size_t at = 0; at < bytes.length; at++) {
        struct message_row row;
        bytes.data[at] ^= 0x10;
        assert_false(message_rows_open(&rows, buf_str(&bytes), 77, 2) && message_rows_get(&rows, 0, &row));
        bytes.data[at] ^= 0x10;
    }
    for (size_t length = 0; length < bytes.length; length++)
        assert_false(message_rows_open(&rows, str_make(bytes.data, length), 77, 2));
    buf_free(&bytes);
    arena_destroy(&arena);
}

/* Rows that would make a block too long are refused, the first ones are in it. */
static void test_full(void **state) {
    (void)state;
    static char text[8000];
    static struct message_row rows[MESSAGE_ROWS_MAX];
    static struct message_rows_draft draft;
    struct buf bytes = {0};
    struct message_rows opened;
    for (size_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
        for (int column = 0; column < ROW_COLUMNS; column++)
            rows[i].texts[column] = STR_EMPTY;
        rows[i].texts[ROW_TO] = str_make(text, sizeof text);
        draft.rows[i] = &rows[i];
    }
    message_rows_write(&bytes, &draft);
    assert_true(bytes.length < (size_t)1 << 20);
    assert_true(message_rows_open(&opened, buf_str(&bytes), 0, 0));
    assert_int_equal(opened.count, MESSAGE_ROWS_OCTETS / sizeof text);
    assert_true(message_rows_refuses(&opened, 255));
    assert_false(message_rows_refuses(&opened, 0));
    buf_free(&bytes);
}

static void test_ranks(void **state) {
    (void)state;
    struct message_ranks ranks = {.generation = 5}, got;
    struct buf bytes = {0};
    uint32_t rank = 0;
    message_ranks_set(&ranks, 256, 10);
    message_ranks_set(&ranks, 300, 0);
    message_ranks_set(&ranks, 511, UINT32_MAX);
    message_ranks_write(&bytes, &ranks, 7, 1, ROW_SORT_TO);
    assert_false(message_ranks_open(&got, buf_str(&bytes), 8, 1, ROW_SORT_TO));
    assert_false(message_ranks_open(&got, buf_str(&bytes), 7, 2, ROW_SORT_TO));
    assert_false(message_ranks_open(&got, buf_str(&bytes), 7, 1, ROW_SORT_CC));
    assert_true(message_ranks_open(&got, buf_str(&bytes), 7, 1, ROW_SORT_TO));
    assert_int_equal(got.generation, 5);
    assert_true(message_ranks_has(&got, 256, &rank) && rank == 10);
    assert_true(message_ranks_has(&got, 300, &rank) && rank == 0);
    assert_true(message_ranks_has(&got, 511, &rank) && rank == UINT32_MAX);
    assert_false(message_ranks_has(&got, 257, &rank));
    for (size_t at = 0; at < bytes.length; at++) {
        bytes.data[at] ^= 1;
        assert_false(message_ranks_open(&got, buf_str(&bytes), 7, 1, ROW_SORT_TO));
        bytes.data[at] ^= 1;
        assert_false(message_ranks_open(&got, str_make(bytes.data, at), 7, 1, ROW_SORT_TO));
    }
    buf_free(&bytes);
}

static void test_answer(void **state) {
    (void)state;
    static const struct kept_range ranges[] = {{1, 5}, {7, 7}, {9, UINT32_MAX}};
    struct buf answer = {0}, pieces[3] = {{0}};
    struct kept_answer kept = {.uid_validity = 3, .generation = 9, .key = STR("key")}, got;
    struct str part;
    while (answer.length < 2 * KEPT_ANSWER_PIECE + 10)
        buf_append(&answer, STR("* THREAD (1)(2 3)"));
    kept.part = buf_str(&answer);
    kept.ranges = str_make((const char *)ranges, sizeof ranges);
    kept.pieces = kept_answer_pieces(kept.part);
    assert_int_equal(kept.pieces, 3);
    for (uint32_t i = 0; i < 3; i++)
        kept_answer_write(&pieces[i], &kept, i);
    assert_false(kept_answer_open(&got, buf_str(&pieces[0]), 4));
    assert_false(kept_answer_open(&got, buf_str(&pieces[1]), 3));
    assert_true(kept_answer_open(&got, buf_str(&pieces[0]), 3));
    assert_true(str_equal(got.key, STR("key")) && str_equal(got.ranges, kept.ranges));
    assert_int_equal(kept_answer_range(&got, 2).first, 9);
    assert_true(str_equal(got.part, str_slice(kept.part, 0, KEPT_ANSWER_PIECE)));
    assert_false(kept_answer_part(&got, buf_str(&pieces[2]), 1, &part));
    assert_true(kept_answer_part(&got, buf_str(&pieces[2]), 2, &part));
    assert_true(str_equal(part, str_from_offset(kept.part, 2 * KEPT_ANSWER_PIECE)));
    got.generation++;
    assert_false(kept_answer_part(&got, buf_str(&pieces[2]), 2, &part));
    for (size_t at = 0; at < 80; at++) {
        pieces[0].data[at] ^= 4;
        assert_false(kept_answer_open(&got, buf_str(&pieces[0]), 3));
        pieces[0].data[at] ^= 4;
        assert_false(kept_answer_open(&got, str_make(pieces[0].data, at), 3));
    }
    assert_int_equal(kept_answer_pieces(str_make(answer.data, KEPT_ANSWER_PIECE * KEPT_ANSWER_PIECES)), 0);
    for (uint32_t i = 0; i < 3; i++)
        buf_free(&pieces[i]);
    buf_free(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row),   cmocka_unit_test(test_bare_row), cmocka_unit_test(test_columns),
        cmocka_unit_test(test_block), cmocka_unit_test(test_search),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_full),  cmocka_unit_test(test_ranks),    cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
