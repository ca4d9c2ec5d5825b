/* Unit table of lib/mail/imap_structure, imap_envelope and imap_text. */
#include "expect.h"
#include "imap_envelope.h"
#include "imap_structure.h"
#include "imap_text.h"
#include "memory.h"

static void test_text(void **state) {
    (void)state;
    struct buf out = {0};
    imap_text_append_string(&out, STR("a\"b\\c"));
    imap_text_append_string(&out, STR(""));
    imap_text_append_string(&out, STR("\303\266\"\\"));
    imap_text_append_string(&out, STR("a\rb"));
    imap_text_append_string(&out, STR("a\0b\0"));
    imap_text_append_string(&out, STR("\n\0"));
    imap_text_append_nstring(&out, (struct str){0});
    expect_str(buf_str(&out), "\"a\\\"b\\\\c\"\"\"{4}\r\n\303\266\"\\{3}\r\na\rb\"a?b?\"{2}\r\n\n?NIL", "strings");
    buf_free(&out);
}

static void test_envelope(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nSubject: afternoon\r\n  meeting\r\n"
         "From: Fred Foobar <foobar@Blurdybloop.example>\r\nTo: mooch@owatagu.example\r\n"
         "Message-Id: <B27397@Blurdybloop.example>\r\nIn-Reply-To: <a@b>\r\n\r\n",
         "(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" \"afternoon  meeting\" "
         "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
         "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
         "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
         "((NIL NIL \"mooch\" \"owatagu.example\")) NIL NIL \"<a@b>\" \"<B27397@Blurdybloop.example>\")"},
        {"From: a@b\nSender: c@d\nReply-To:\nTo: u:;\nCc: x@y, G: p@q, r@s;, <@h,@i:j@k>\nBcc: root, two words, e@f@g\n"
         "Subject:\nDate:\nMessage-ID:\n\n",
         "(\"\" \"\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) "
         "((NIL NIL \"u\" NIL)(NIL NIL NIL NIL)) "
         "((NIL NIL \"x\" \"y\")(NIL NIL \"G\" NIL)(NIL NIL \"p\" \"q\")(NIL NIL \"r\" \"s\")(NIL NIL NIL NIL)"
         "(NIL \"@h,@i\" \"j\" \"k\")) "
         "((NIL NIL \"root\" \"\")(NIL NIL \"two words\" \"\")(NIL NIL \"e@f\" \"g\")) NIL \"\")"},
        {"To: a@b\nTO : c@d\nTo:\n\te@f\nSubject: one\nSubject: two\nFrom: \"J\303\266rg\" <\"a b\"@c>, <>\n",
         "(NIL \"one\" (({5}\r\nJ\303\266rg NIL \"a b\" \"c\")(NIL NIL \"\" \"\")) "
         "(({5}\r\nJ\303\266rg NIL \"a b\" \"c\")(NIL NIL \"\" \"\")) "
         "(({5}\r\nJ\303\266rg NIL \"a b\" \"c\")(NIL NIL \"\" \"\")) "
         "((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")) NIL NIL NIL NIL)"},
        {"From: a@b <a@b>\nSender: \"[x] y\n z\" [list] <c@d>\nReply-To: <e@f> g\nTo: h@i <j@k@l>, m@n <o p@q>, r \\ s <@t>\nBcc: u <v@w\n\n",
         "(NIL NIL ((\"a@b\" NIL \"a\" \"b\")) ((\"\\\"[x] y z\\\" [list]\" NIL \"c\" \"d\")) ((NIL NIL \"e\" \"f\")) "
         "((NIL NIL \"h@i <j@k\" \"l>\")(NIL NIL \"m@n <o p\" \"q>\")(NIL NIL \"r \\\\ s <\" \"t>\")) NIL ((NIL NIL \"u <v\" \"w\")) NIL NIL)"},
        {"Cc: A: b@c",
         "(NIL NIL NIL NIL NIL NIL ((NIL NIL \"A\" NIL)(NIL NIL \"b\" \"c\")(NIL NIL NIL NIL)) NIL NIL NIL)"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        imap_envelope_append(&out, str_from(rows[i][0]));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
    /* A group that the limit cuts is closed. */
    struct buf header = {0}, out = {0};
    buf_append(&header, STR("To: G: a@b"));
    for (size_t i = 0; i < 10100; i++)
        buf_append(&header, STR(",a@b"));
    imap_envelope_append(&out, buf_str(&header));
    assert_true(str_ends(buf_str(&out), STR("\"b\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)")));
    buf_free(&header);
    buf_free(&out);
}

#define EMPTY_ENVELOPE "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
#define PLAIN          "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\""
#define MIXED          "Content-Type: multipart/mixed; boundary=B\n\n"

static const struct {
    const char *message, *structure, *body;
} structures[] = {
    {"", "(" PLAIN " 0 0 NIL NIL NIL NIL)", "(" PLAIN " 0 0)"},
    {"Subject: x\n\none\ntwo\n", "(" PLAIN " 10 2 NIL NIL NIL NIL)", "(" PLAIN " 10 2)"},
    {"Content-Type: nonsense\n\none", "(" PLAIN " 3 0 NIL NIL NIL NIL)", "(" PLAIN " 3 0)"},
    {"Content-Type: Text/HTML; charset=UTF-8; Format=\"a \\\" b\"\nContent-ID: <1@x>\nContent-Description: a\n b\n"
     "Content-Transfer-Encoding: Quoted-Printable (x)\nContent-MD5: Q2hlY2s=\n"
     "Content-Disposition: inline; filename=\"a.html\"\nContent-Language: de, en\n"
     "Content-Location: http://x.example/\n\nx\r\n",
     "(\"Text\" \"HTML\" (\"charset\" \"UTF-8\" \"Format\" \"a \\\" b\") \"<1@x>\" \"a b\" \"Quoted-Printable\" 3 1 "
     "\"Q2hlY2s=\" (\"inline\" (\"filename\" \"a.html\")) (\"de\" \"en\") \"http://x.example/\")",
     "(\"Text\" \"HTML\" (\"charset\" \"UTF-8\" \"Format\" \"a \\\" b\") \"<1@x>\" \"a b\" \"Quoted-Printable\" 3 1)"},
    {"Content-Type: application/pdf; name*0*=iso-8859-1''J%F6rg; name*1=\".pdf\"\n"
     "Content-Transfer-Encoding: base64\nContent-Disposition: ATTACHMENT\n\nAAAA\n",
     "(\"application\" \"pdf\" (\"name*\" {9}\r\nJ\303\266rg.pdf) NIL NIL \"base64\" 6 NIL (\"ATTACHMENT\" NIL) NIL "
     "NIL)",
     "(\"application\" \"pdf\" (\"name*\" {9}\r\nJ\303\266rg.pdf) NIL NIL \"base64\" 6)"},
    {"Content-Type: image/png\nContent-Transfer-Encoding: ()\nContent-Disposition: ;\nContent-Language:\n\n",
     "(\"image\" \"png\" NIL NIL NIL \"7bit\" 0 NIL NIL NIL NIL)", "(\"image\" \"png\" NIL NIL NIL \"7bit\" 0)"},
    {MIXED "pre\n--B\n\none\n--B\nContent-Type: text/html\n\ntwo\n\n--B--\nepi\n",
     "((" PLAIN
     " 3 0 NIL NIL NIL NIL)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL)"
     " \"mixed\" (\"boundary\" \"B\") NIL NIL NIL)",
     "((" PLAIN " 3 0)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1) \"mixed\")"},
    {"Content-Type: multipart/mixed\n\nno\nparts\n", "((" PLAIN " 11 2 NIL NIL NIL NIL) \"mixed\" NIL NIL NIL NIL)",
     "((" PLAIN " 11 2) \"mixed\")"},
    {MIXED "--B\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--B--\n",
     "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (" PLAIN
     " 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"B\") NIL NIL NIL)",
     "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (" PLAIN
     " 4 0) 2) \"mixed\")"},
    {"Content-Type: multipart/digest; boundary=B\n\n--B\n\nSubject: x\n\nhello\n--B--\n",
     "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) (" PLAIN
     " 5 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"digest\" (\"boundary\" \"B\") NIL NIL NIL)",
     "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) (" PLAIN
     " 5 0) 2) \"digest\")"},
    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n",
     "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 18 " EMPTY_ENVELOPE " (" PLAIN
     " 18 1 NIL NIL NIL NIL) 1 NIL NIL NIL NIL)",
     "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 18 " EMPTY_ENVELOPE " (" PLAIN " 18 1) 1)"},
    {"Content-Type: multipart/alternative; boundary=A\nContent-Language: fr\n\n--A\n" MIXED
     "--B\n\nx\r\n--B--\n--A\n\ny\n--A--\n",
     "(((" PLAIN " 1 0 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"B\") NIL NIL NIL)(" PLAIN
     " 1 0 NIL NIL NIL NIL) \"alternative\" (\"boundary\" \"A\") NIL (\"fr\") NIL)",
     "(((" PLAIN " 1 0) \"mixed\")(" PLAIN " 1 0) \"alternative\")"},
};

static void test_structure(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(structures); i++) {
        struct buf record = {0}, body = {0};
        struct imap_structure structure;
        struct str message = str_from(structures[i].message);
        imap_structure_build(message, &record);
        assert_true(imap_structure_open(buf_str(&record), &structure));
        expect_str(structure.body[1].text, structures[i].structure, structures[i].message);
        assert_true(imap_structure_append_body(&body, &structure.body[1]));
        expect_str(buf_str(&body), structures[i].body, structures[i].message);
        expect_int(structure.file_length, message.length, "length");
        buf_clear(&body);
        imap_envelope_append(&body, message);
        assert_true(str_equal(structure.envelope, buf_str(&body)));
        struct imap_part *parts = imap_structure_parts(&structure);
        assert_non_null(parts);
        assert_int_equal(structure.size, structure.header_size + parts[0].body_size);
        MEMORY_FREE(parts);
        /* Whatever is missing, the record is refused. */
        for (size_t length = 0; length < record.length; length++)
            assert_false(imap_structure_open(str_slice(buf_str(&record), 0, length), &structure));
        buf_free(&record);
        buf_free(&body);
    }
}

/* Parameters in the form of RFC 2231: as they are for IMAP4rev1, decoded for IMAP4rev2. */
static void test_extended(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"n=plain", "\"n\" \"plain\"", "\"n\" \"plain\""},
        {"n*0=a; n*1=b", "\"n\" \"ab\"", "\"n\" \"ab\""},
        {"n*=utf-8'en'%41%2a%20b%c3%a4", "\"n*\" \"utf-8'en'A%2A%20b%C3%A4\"", "\"n*\" {6}\r\nA* b\303\244"},
        {"n*0*=iso-8859-1''J%F6rg%27; n*1=\".p d%\"", "\"n*\" \"iso-8859-1''J%F6rg%27.p%20d%25\"", "\"n*\" {11}\r\nJ\303\266rg'.p d%"},
        {"n*=bare; m=x", "\"n*\" \"''bare\" \"m\" \"x\"", "\"n*\" \"bare\" \"m\" \"x\""},
        {"n*=us-ascii''; n=old", "\"n*\" \"us-ascii''\"", "\"n*\" \"\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (int rev2 = 0; rev2 < 2; rev2++) {
            struct buf message = {0}, record = {0}, wanted = {0}, body = {0};
            struct imap_structure structure;
            buf_printf(&message, "Content-Type: a/b; %s\nContent-Disposition: c; %s\n\n", rows[i][0], rows[i][0]);
            imap_structure_build(buf_str(&message), &record);
            assert_true(imap_structure_open(buf_str(&record), &structure));
            buf_printf(&wanted, "(\"a\" \"b\" (%s) NIL NIL \"7bit\" 0 NIL (\"c\" (%s)) NIL NIL)", rows[i][1 + rev2], rows[i][1 + rev2]);
            expect_str(structure.body[rev2].text, buf_string(&wanted), rows[i][0]);
            buf_clear(&wanted);
            buf_printf(&wanted, "(\"a\" \"b\" (%s) NIL NIL \"7bit\" 0)", rows[i][1 + rev2]);
            assert_true(imap_structure_append_body(&body, &structure.body[rev2]));
            expect_str(buf_str(&body), buf_string(&wanted), rows[i][0]);
            buf_free(&message);
            buf_free(&record);
            buf_free(&wanted);
            buf_free(&body);
        }
}

/* Whatever octet of a record is another, nothing is read outside it, and parts lie within the message. */
static void test_damaged(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(structures); i++) {
        struct buf record = {0};
        imap_structure_build(str_from(structures[i].message), &record);
        for (size_t at = 0; at < record.length * 4; at++) {
            static const char changes[] = {1, 0x7f, (char)0x80, (char)0xff};
            struct imap_structure structure;
            struct buf body = {0};
            record.data[at / 4] = (char)(record.data[at / 4] ^ changes[at % 4]);
            struct imap_part *parts = NULL;
            if (imap_structure_open(buf_str(&record), &structure)) {
                (void)!imap_structure_append_body(&body, &structure.body[at % 2]);
                parts = imap_structure_parts(&structure);
            }
            for (size_t p = 0; parts != NULL && p < structure.part_count; p++)
                assert_true(parts[p].body_offset + parts[p].body_length <= structure.file_length);
            MEMORY_FREE(parts);
            buf_free(&body);
            record.data[at / 4] = (char)(record.data[at / 4] ^ changes[at % 4]);
        }
        buf_free(&record);
    }
}

/* More text than is allowed: described without parts. */
static void test_too_much(void **state) {
    (void)state;
    struct buf message = {0}, record = {0};
    buf_append(&message, STR("Content-Type: multipart/digest; boundary=B\n\n"));
    for (size_t i = 0; i < 5000; i++) {
        buf_append(&message, STR("--B\n\nFrom: "));
        for (size_t k = 0; k < 40; k++)
            buf_append(&message, STR("a@b,"));
        buf_append(&message, STR("\n\n"));
    }
    struct imap_structure structure;
    imap_structure_build(buf_str(&message), &record);
    assert_true(imap_structure_open(buf_str(&record), &structure));
    assert_int_equal(structure.part_count, 2);
    assert_true(str_starts(structure.body[0].text, STR("((" PLAIN)));
    assert_true(str_ends(structure.body[0].text, STR(" \"digest\" (\"boundary\" \"B\") NIL NIL NIL)")));
    buf_free(&message);
    buf_free(&record);
}

static void test_deep(void **state) {
    (void)state;
    struct buf message = {0}, record = {0};
    for (size_t i = 0; i < 300; i++)
        buf_append(&message, STR("Content-Type: message/rfc822\n\n"));
    struct imap_structure structure;
    imap_structure_build(buf_str(&message), &record);
    assert_true(imap_structure_open(buf_str(&record), &structure));
    assert_int_equal(structure.part_count, MIME_DEPTH_MAX + 2);
    buf_free(&message);
    buf_free(&record);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),      cmocka_unit_test(test_envelope),
                                       cmocka_unit_test(test_structure), cmocka_unit_test(test_extended), cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_too_much),  cmocka_unit_test(test_deep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
