/* Unit table of lib/mail/imap_section. */
#include "expect.h"
#include "crlf_view.h"
#include "imap_section.h"
#include "memory.h"

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum imap_section_kind kind;
        size_t depth;
        uint32_t last;
    } rows[] = {
        {"", IMAP_SECTION_WHOLE, 0, 0},
        {"1", IMAP_SECTION_WHOLE, 1, 1},
        {"4.2.4294967295", IMAP_SECTION_WHOLE, 3, 4294967295},
        {"header", IMAP_SECTION_HEADER, 0, 0},
        {"3.HEADER", IMAP_SECTION_HEADER, 1, 3},
        {"3.Header.Fields", IMAP_SECTION_FIELDS, 1, 3},
        {"HEADER.FIELDS.NOT", IMAP_SECTION_FIELDS_NOT, 0, 0},
        {"TEXT", IMAP_SECTION_TEXT, 0, 0},
        {"1.10.TEXT", IMAP_SECTION_TEXT, 2, 10},
        {"1.MIME", IMAP_SECTION_MIME, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct imap_section section;
        assert_true(imap_section_parse(str_from(rows[i].text), &section));
        expect_int(section.kind, rows[i].kind, rows[i].text);
        expect_int(section.depth, rows[i].depth, rows[i].text);
        if (section.depth > 0) expect_int(section.path[section.depth - 1], rows[i].last, rows[i].text);
    }
    static const char *const bad[] = {"MIME",       "0",   "01",         "1.",     ".1",      "1..2",           "1.0",
                                      "4294967296", "1.x", "1x",         "TEXT.1", "HEADER.", "HEADER.FIELDS.", "-1",
                                      " ",          "1 ",  "1.TEXT.MIME"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct imap_section section;
        expect_int(imap_section_parse(str_from(bad[i]), &section), false, bad[i]);
    }
    struct buf deep = {0};
    struct imap_section section;
    for (size_t i = 0; i < IMAP_SECTION_DEPTH_MAX; i++)
        buf_append(&deep, i > 0 ? STR(".1") : STR("1"));
    assert_true(imap_section_parse(buf_str(&deep), &section));
    buf_append(&deep, STR(".1"));
    assert_false(imap_section_parse(buf_str(&deep), &section));
    buf_free(&deep);
}

#define SINGLE "Subject: s\nX: 1\n\nbody\n"
#define INNER                                                                                                          \
    "Subject: in\nContent-Type: multipart/mixed; boundary=I\n\n--I\nA: 1\n\nin one\n--I\nA: 2\n\nin two\n--I--\n"
#define MULTI                                                                                                          \
    "Subject: m\nContent-Type: multipart/mixed; boundary=B\n\npre\n--B\nA: b\n\none\n--B\n"                            \
    "Content-Type: message/rfc822\n\n" INNER "\n--B\nContent-Type: message/rfc822\n\n" SINGLE                          \
    "\n--B\nContent-Type: multipart/mixed; boundary=C\n\n--C\n\nc one\n--C\n\nc two\n--C--\n--B--\n"
#define FORWARD "X: 1\nContent-Type: message/rfc822\n\n" SINGLE

static void test_find(void **state) {
    (void)state;
    static const struct {
        const char *message, *section, *wanted; /* NULL: absent */
    } rows[] = {
        {SINGLE, "", SINGLE},
        {SINGLE, "HEADER", "Subject: s\nX: 1\n\n"},
        {SINGLE, "TEXT", "body\n"},
        {SINGLE, "1", "body\n"},
        {SINGLE, "1.MIME", "Subject: s\nX: 1\n\n"},
        {SINGLE, "2", NULL},
        {SINGLE, "1.1", NULL},
        {SINGLE, "1.HEADER", NULL},
        {SINGLE, "1.TEXT", NULL},
        {MULTI, "1", "one"},
        {MULTI, "1.MIME", "A: b\n\n"},
        {MULTI, "1.1", NULL},
        {MULTI, "2", INNER},
        {MULTI, "2.MIME", "Content-Type: message/rfc822\n\n"},
        {MULTI, "2.HEADER", "Subject: in\nContent-Type: multipart/mixed; boundary=I\n\n"},
        {MULTI, "2.HEADER.FIELDS", "Subject: in\nContent-Type: multipart/mixed; boundary=I\n\n"},
        {MULTI, "2.TEXT", "--I\nA: 1\n\nin one\n--I\nA: 2\n\nin two\n--I--\n"},
        {MULTI, "2.1", "in one"},
        {MULTI, "2.2", "in two"},
        {MULTI, "2.2.MIME", "A: 2\n\n"},
        {MULTI, "2.3", NULL},
        {MULTI, "3", SINGLE},
        {MULTI, "3.1", "body\n"},
        {MULTI, "3.1.MIME", "Subject: s\nX: 1\n\n"},
        {MULTI, "3.TEXT", "body\n"},
        {MULTI, "3.2", NULL},
        {MULTI, "3.1.1", NULL},
        {MULTI, "4", "--C\n\nc one\n--C\n\nc two\n--C--"},
        {MULTI, "4.2", "c two"},
        {MULTI, "4.HEADER", NULL},
        {MULTI, "4.1.1", NULL},
        {MULTI, "5", NULL},
        {FORWARD, "1", SINGLE},
        {FORWARD, "1.1", "body\n"},
        {FORWARD, "1.HEADER", "Subject: s\nX: 1\n\n"},
        {FORWARD, "1.TEXT", "body\n"},
        {FORWARD, "1.MIME", "X: 1\nContent-Type: message/rfc822\n\n"},
        {FORWARD, "HEADER", "X: 1\nContent-Type: message/rfc822\n\n"},
        {FORWARD, "TEXT", SINGLE},
        {FORWARD, "1.1.1", NULL},
        {"Content-Type: multipart/mixed\n\nno parts\n", "1", "no parts\n"},
        {"Content-Type: multipart/mixed\n\nno parts\n", "1.MIME", ""},
        {"", "", ""},
        {"", "HEADER", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str message = str_from(rows[i].message);
        struct buf record = {0};
        struct imap_structure structure;
        struct imap_section section;
        struct imap_section_place place;
        imap_structure_build(message, &record);
        assert_true(imap_structure_open(buf_str(&record), &structure));
        struct imap_part *parts = imap_structure_parts(&structure);
        assert_non_null(parts);
        assert_true(imap_section_parse(str_from(rows[i].section), &section));
        bool found = imap_section_find(&section, parts, &place);
        expect_int(found, rows[i].wanted != NULL, rows[i].section);
        if (found)
            expect_str(str_slice(message, (size_t)place.offset, (size_t)(place.offset + place.length)), rows[i].wanted,
                       rows[i].section);
        MEMORY_FREE(parts);
        buf_free(&record);
    }
}

static void test_encoding(void **state) {
    (void)state;
    struct imap_part part = {.kind = IMAP_PART_BASIC, .encoding = MIME_ENCODING_UNKNOWN};
    assert_true(imap_section_is_unknown_encoding(&part));
    part.kind = IMAP_PART_MULTIPART;
    assert_false(imap_section_is_unknown_encoding(&part));
    part.encoding = MIME_BASE64;
    assert_int_equal(imap_section_encoding(&part), MIME_BINARY);
    part.kind = IMAP_PART_TEXT;
    assert_int_equal(imap_section_encoding(&part), MIME_BASE64);
}

static void test_fields(void **state) {
    (void)state;
    static const char header[] = "Subject: a\n b\nFrom: x\r\nsubject : again\nTo: y\n\nSubject: body\n";
    static const struct str names[] = {STR_INIT("SUBJECT"), STR_INIT("Cc")};
    struct buf out = {0};
    imap_section_append_fields(&out, str_from(header), names, 2, false);
    expect_str(buf_str(&out), "Subject: a\r\n b\r\nsubject : again\r\n\r\n", "fields");
    buf_clear(&out);
    imap_section_append_fields(&out, str_from(header), names, 2, true);
    expect_str(buf_str(&out), "From: x\r\nTo: y\r\n\r\n", "not");
    buf_clear(&out);
    imap_section_append_fields(&out, STR("Cc: cut"), names, 2, false);
    expect_str(buf_str(&out), "Cc: cut\r\n\r\n", "cut");
    buf_clear(&out);
    imap_section_append_fields(&out, STR(""), names, 2, false);
    expect_str(buf_str(&out), "\r\n", "none");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_encoding), cmocka_unit_test(test_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
