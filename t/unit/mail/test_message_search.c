/* Unit table of lib/mail/message_search. */
#include "expect.h"
#include "memory.h"
#include "message_search.h"

#define MESSAGE                                                                                                        \
    "Subject: =?utf-8?q?J=C3=B6rg_m?= =?utf-8?q?eets?=\n Anna\nTo: someone\nContent-Type: multipart/mixed; "           \
    "boundary=B\n\n--B\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n" \
    "Gr=FC=\n=DFe aus M=FCnchen\n--B\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"   \
    "PGI+VsOkdGVyPC9iPg==\n--B\nContent-Type: image/png\n\npicture\n--B\nContent-Type: message/rfc822\n\n"             \
    "Subject: inner\n\ndeep words\n--B--\n"

static void test_search(void **state) {
    (void)state;
    static const struct {
        const char *key;
        bool subject, header, body;
    } rows[] = {
        {"", true, true, true},
        {"j\303\226RG MEETS anna", true, true, false},
        {"someone", false, true, false},
        {"to: some", false, true, false},
        {"gr\303\234\303\237e aus m\303\274nchen", false, false, true},
        {"<b>v\303\204ter</B>", false, false, true},
        {"picture", false, false, false},
        {"inner", false, false, true},
        {"Deep Words", false, false, true},
        {"wordspic", false, false, false},
        {"nowhere", false, false, false},
    };
    struct str message = STR(MESSAGE);
    struct buf record = {0};
    struct imap_structure structure;
    imap_structure_build(message, &record);
    assert_true(imap_structure_open(buf_str(&record), &structure));
    struct imap_part *parts = imap_structure_parts(&structure);
    assert_non_null(parts);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct casemap_search search;
        casemap_search_begin(&search, str_from(rows[i].key));
        expect_int(message_search_field(&search, message, "SUBJECT"), rows[i].subject, rows[i].key);
        expect_int(message_search_field(&search, message, "X-None"), false, rows[i].key);
        expect_int(message_search_header(&search, message), rows[i].header, rows[i].key);
        expect_int(message_search_body(&search, message, parts, structure.part_count), rows[i].body, rows[i].key);
        casemap_search_free(&search);
    }
    MEMORY_FREE(parts);
    buf_free(&record);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
