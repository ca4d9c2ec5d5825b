/* Unit table of lib/mail/preview. */
#include "expect.h"
#include "memory.h"
#include "preview.h"

static void test_text(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
        bool html;
    } rows[] = {
        {"", "", false},
        {"  Hello,\r\n\r\n  world\t! \n", "Hello, world !", false},
        {"> quoted\n>> more\nAn answer\n> x\n", "An answer", false},
        {"> only quoted\n", "only quoted", false},
        {"a\302\240b\342\200\213c\357\273\277d\001e", "a bcd e", false},
        {"a < b > c", "a < b > c", false},
        {"<p>Hello <b>wo</b>rld</p><p>again</p>", "Hello world again", true},
        {"<html><head><title>T</title><style>p {}</style></head><body>x</body>", "x", true},
        {"<head><title>T<body>x", "x", true},
        {"<style>a</style>b<SCRIPT type='>'>c < d</SCRIPT>e<!-- f > -- g -->h", "b eh", true},
        {"<style>a</style >b", "b", true},
        {"a &amp; b &lt;&#228;&#xE4;&euro;&nbsp;&unknown; &x &;&#; &#x110000;",
         "a & b <\303\244\303\244\342\202\254 &unknown; &x &;&#; &#x110000;", true},
        {"<blockquote>old<blockquote>older</blockquote></blockquote>new", "new", true},
        {"<blockquote>old</blockquote>", "old", true},
        {"a < b <3 <br>c <a href=\"x>y\">d</a>", "a < b c d", true},
        {"x&ampy&", "x&ampy&", true},
        {"<!doctype html><?xml?>x", "x", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        preview_append_text(&out, str_from(rows[i].text), rows[i].html);
        expect_str(buf_str(&out), rows[i].wanted, rows[i].text);
        buf_free(&out);
    }
    struct buf text = {0}, out = {0};
    for (size_t i = 0; i < 300; i++)
        buf_append(&text, STR("\303\266"));
    preview_append_text(&out, buf_str(&text), false);
    assert_int_equal(out.length, 2 * PREVIEW_CHARACTERS);
    buf_free(&text);
    buf_free(&out);
}

#define ALTERNATIVE "Content-Type: multipart/alternative; boundary=B\n\n"

static void test_message(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"Subject: x\n\nhello\n", "hello"},
        {"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nJ=F6rg\n",
         "J\303\266rg"},
        {"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGI+SsO2PC9iPnJn\n",
         "J\303\266rg"},
        {ALTERNATIVE "--B\nContent-Type: text/html\n\n<b>html</b>\n--B\n\nplain\n--B--\n", "plain"},
        {ALTERNATIVE "--B\nContent-Type: text/html\n\n<b>html</b>\n--B\nContent-Type: image/png\n\nplain\n--B--\n",
         "html"},
        {ALTERNATIVE
         "--B\nContent-Disposition: attachment\n\nfile\n--B\nContent-Type: text/html\n\n<b>html</b>\n--B--\n",
         "html"},
        {ALTERNATIVE "--B\nContent-Type: text/calendar\n\nfile\n--B\n\nplain\n--B--\n", "plain"},
        {ALTERNATIVE "--B\nContent-Type: message/rfc822\n\nSubject: in\n\ninner\n--B--\n", ""},
        {"Content-Type: application/pdf\n\nx\n", ""},
        {"Content-Type: multipart/mixed\n\nno parts\n", "no parts"},
        {"\n> old\n> text\n", "old text"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf record = {0}, out = {0};
        struct imap_structure structure;
        imap_structure_build(str_from(rows[i][0]), &record);
        assert_true(imap_structure_open(buf_str(&record), &structure));
        struct imap_part *parts = imap_structure_parts(&structure);
        assert_non_null(parts);
        preview_append(&out, str_from(rows[i][0]), parts, structure.part_count);
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        MEMORY_FREE(parts);
        buf_free(&record);
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
