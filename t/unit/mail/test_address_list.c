/* Unit table of lib/mail/address_list. */
#include "expect.h"
#include "address_complete.h"
#include "address_list.h"

/* Writes the list as "display|local|domain[|g];" with "!" for invalid members. */
static void describe(struct str field, struct buf *out) {
    struct address_list list;
    struct address_list_item item;
    enum address_list_result result;
    address_list_begin(&list, field, 0);
    while ((result = address_list_next(&list, &item)) == ADDRESS_LIST_ITEM || result == ADDRESS_LIST_INVALID) {
        if (result == ADDRESS_LIST_INVALID) {
            buf_printf(out, "!%.*s;", STR_ARGS(item.source));
            continue;
        }
        buf_append(out, item.display);
        buf_append_char(out, '|');
        buf_append(out, item.local);
        buf_append_char(out, '|');
        buf_append(out, item.domain);
        buf_append(out, item.in_group ? STR("|g;") : STR(";"));
    }
    address_list_free(&list);
}

static void test_list(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {" , ,,", ""},
        {"a@b.example", "|a|b.example;"},
        {"a@b.example, c@d.example", "|a|b.example;|c|d.example;"},
        {"user", "|user|;"},
        {"John Q. Public <john@example.com>", "John Q. Public|john|example.com;"},
        {"\"Public, John\" <john@example.com>", "Public, John|john|example.com;"},
        {"\"a \\\"b\\\"\" <john@example.com>", "a \"b\"|john|example.com;"},
        {"john@example.com (John Doe)", "John Doe|john|example.com;"},
        {"john@example.com (John (nested) \\) Doe)", "John (nested) ) Doe|john|example.com;"},
        {"(a) john (b) @ (c) example . com (d)", "d|john|example.com;"},
        {"=?utf-8?q?J=C3=B6rg?= <j@example.com>", "=?utf-8?q?J=C3=B6rg?=|j|example.com;"},
        {"<>", "||;"},
        {"<@a.example,@b.example:c@d.example>", "|c|d.example;"},
        {"\"a b\"@example.com", "|a b|example.com;"},
        {"X <\"a b\"@example.com>", "X|a b|example.com;"},
        {"a . b @ example.com", "|a.b|example.com;"},
        {"a@[192.0.2.1]", "|a|[192.0.2.1];"},
        {"Friends: a@b.example, C <c@d.example>;, e@f.example", "|a|b.example|g;C|c|d.example|g;|e|f.example;"},
        {"undisclosed-recipients:;", ""},
        {"A: ; B: x@y.example ;", "|x|y.example|g;"},
        {"a@b.example; c@d.example", "|a|b.example;|c|d.example;"},
        {"John Smith, a@b.example", "!John Smith;|a|b.example;"},
        {"<a@b.example", "!<a@b.example;"},
        {"a@", "!a@;"},
        {"@b", "!@b;"},
        {"a@b@c", "!a@b@c;"},
        {"<a@b.example> junk, d@e.example", "!<a@b.example> junk;|d|e.example;"},
        {"\"open, a@b.example", "!\"open, a@b.example;"},
        {"(open, a@b.example", "!(open, a@b.example;"},
        {"<@a.example>", "!<@a.example>;"},
        {"a@b.example,\r\n\tC\r\n <c@d.example>", "|a|b.example;C|c|d.example;"},
        {"A <a@b> <c@d>", "!A <a@b> <c@d>;"},
        {"a)b@c", "!a)b@c;"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        describe(str_from(rows[i][0]), &out);
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
}

/* Groups told: "{name" where one begins, "}" where it ends; "@route|" before a routed address. */
static void test_groups(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"a@b", "a@b;"},
        {"undisclosed-recipients:;", "{undisclosed-recipients}}"},
        {"A: x@y, z@y;, \"B C\": q@r", "{A}x@y;z@y;}{B C}q@r;}"},
        {"A: ; x@y ; B:", "{A}}x@y;{B}}"},
        {"A: bad one, B: x;", "{A}!!}"},
        {"<@a,@b:c@d>", "@a,@b|c@d;"},
        {"<@a.example , @ [192.0.2.1] : c@d>", "@a.example,@[192.0.2.1]|c@d;"},
        {":;", "{}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        struct address_list list;
        struct address_list_item item;
        enum address_list_result result;
        address_list_begin(&list, str_from(rows[i][0]), 0);
        list.groups = true;
        while ((result = address_list_next(&list, &item)) != ADDRESS_LIST_END) {
            if (result == ADDRESS_LIST_GROUP) buf_printf(&out, "{%.*s}", STR_ARGS(item.display));
            if (result == ADDRESS_LIST_GROUP_END) buf_append_char(&out, '}');
            if (result == ADDRESS_LIST_INVALID) buf_append_char(&out, '!');
            if (result != ADDRESS_LIST_ITEM) continue;
            buf_printf(&out, "%.*s%s", STR_ARGS(item.route), item.route.length > 0 ? "|" : "");
            buf_printf(&out, "%.*s@%.*s;", STR_ARGS(item.local), STR_ARGS(item.domain));
        }
        address_list_free(&list);
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
}

static void test_limits(void **state) {
    (void)state;
    struct address_list list;
    struct address_list_item item;
    size_t count = 0;
    address_list_begin(&list, STR("a@b,c@d,e@f"), 2);
    while (address_list_next(&list, &item) == ADDRESS_LIST_ITEM)
        count++;
    expect_int(count, 2, "limit");
    expect_int(address_list_next(&list, &item), ADDRESS_LIST_TOO_MANY, "stays");
    address_list_free(&list);
    /* Very deep comments and a very long name cost no stack and no more than their limit. */
    struct buf field = {0};
    for (int i = 0; i < 100000; i++)
        buf_append_char(&field, '(');
    for (int i = 0; i < 100000; i++)
        buf_append_char(&field, ')');
    buf_append(&field, STR(" a@b.example"));
    address_list_begin(&list, buf_str(&field), 0);
    expect_int(address_list_next(&list, &item), ADDRESS_LIST_ITEM, "deep");
    expect_str(item.domain, "b.example", "deep");
    address_list_free(&list);
    buf_clear(&field);
    for (int i = 0; i < 10000; i++)
        buf_append_char(&field, 'x');
    address_list_begin(&list, buf_str(&field), 0);
    expect_int(address_list_next(&list, &item), ADDRESS_LIST_INVALID, "long");
    address_list_free(&list);
    buf_free(&field);
}

static void test_append(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "a@b.example"},
        {"John Doe", "John Doe <a@b.example>"},
        {"John Q. Doe", "\"John Q. Doe\" <a@b.example>"},
        {"a\"b\\c", "\"a\\\"b\\\\c\" <a@b.example>"},
        {"a\r\nBcc: x", "\"a  Bcc: x\" <a@b.example>"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        assert_true(address_list_append_mailbox(&out, str_from(rows[i][0]), STR("a@b.example")));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
}

static void test_complete(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {" root", " root@o.example"},
        {" root (Cron Daemon)", " root@o.example (Cron Daemon)"},
        {" Ada Lovelace <ada>", " Ada Lovelace <ada@o.example>"},
        {" Ada < ada (x) > (y)", " Ada < ada@o.example (x) > (y)"},
        {" \"ada b\"", " \"ada b\"@o.example"},
        {" a@b.example, root,\n\tC <c>", " a@b.example, root@o.example,\n\tC <c@o.example>"},
        {" (\\) >) a", " (\\) >) a@o.example"},
        {" <>", " <>"},
        {" @x:y", " @x:y"},
        {" <@a.example:c>", " <@a.example:c>"},
        {" John Smith, root", " John Smith, root@o.example"},
        {" staff: a, b;, c", " staff: a@o.example, b@o.example;, c@o.example"},
        {" undisclosed-recipients:;", " undisclosed-recipients:;"},
        {" \"open", " \"open"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        assert_true(address_complete(&out, str_from(rows[i][0]), STR("o.example")));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
    assert_true(address_field_is_known(STR("resent-cc")));
    assert_false(address_field_is_known(STR("Subject")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_groups),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_append),
                                       cmocka_unit_test(test_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
