/* Address classes, routes, and who is known. */
#include "fixture.h"

struct resolve_row {
    const char *address, *sender;
    enum address_class class;
    const char *transport, *nexthop;
    const char *recipient; /* NULL: the address */
    const char *reject;    /* NULL: known */
};

static void check_rows(const char *main_cf, const struct resolve_row *rows, size_t count) {
    struct fixture fixture;
    fixture_make(&fixture, main_cf);
    for (size_t i = 0; i < count; i++) {
        const struct resolve_row *row = &rows[i];
        struct ipc_lookup_resolved answer;
        struct failure failure = {0};
        if (!lookup_resolve(fixture.lookup, str_from(row->address), str_from(row->sender), fixture.arena, &answer,
                            &failure))
            fail_msg("%s: %s", row->address, failure.text);
        if (answer.address_class != row->class)
            fail_msg("%s: class %llu", row->address, (unsigned long long)answer.address_class);
        expect_text(row->address, answer.transport, row->transport);
        expect_text(row->address, answer.nexthop, row->nexthop);
        expect_text(row->address, answer.recipient, row->recipient ? row->recipient : row->address);
        expect_text(row->address, answer.reject_text, row->reject ? row->reject : "");
        assert_int_equal(answer.known, row->reject == NULL);
    }
    fixture_end(&fixture);
}

static const char classes[] =
    "alias_maps =\n"
    "recipient_delimiter = +\n"
    "mydestination = $myhostname, example.com\n"
    "local_recipient_maps = inline:{alice=x, {bob+tag=x}, {carol@example.com=x}, unix:=x}\n"
    "virtual_alias_domains = alias.example\n"
    "virtual_alias_maps = inline:{{info@alias.example=alice}, {dave@example.com=alice@example.com}}\n"
    "virtual_mailbox_domains = box.example\n"
    "virtual_mailbox_maps = inline:{{user@box.example=box/user/}}\n"
    "relay_domains = relay.example\n"
    "relay_recipient_maps = inline:{{known@relay.example=x}, {@sub.relay.example=x}}\n";

static const struct resolve_row class_rows[] = {
    {"alice@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"ALICE@Example.COM", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"alice", "", CLASS_LOCAL, "local", "mail.example.com", "alice@mail.example.com", NULL},
    {"alice+x@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"bob+tag@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"bob@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, "User unknown in local recipient table"},
    {"carol@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"carol+l@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"carol@mail.example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL,
     "User unknown in local recipient table"},
    {"dave@example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"postmaster", "", CLASS_LOCAL, "local", "mail.example.com", "postmaster@mail.example.com", NULL},
    {"double-bounce@example.com", "", CLASS_LOCAL, "discard", "2.0.0 Undeliverable notice discarded", NULL, NULL},
    {"alice@[192.0.2.1]", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"alice@[IPv6:2001:db8::1]", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
    {"alice@[192.0.2.9]", "", CLASS_DEFAULT, "smtp", "[192.0.2.9]", NULL, NULL},
    {"info@alias.example", "", CLASS_VIRTUAL_ALIAS, "error", "5.1.1 User unknown in virtual alias table", NULL, NULL},
    {"nobody@alias.example", "", CLASS_VIRTUAL_ALIAS, "error", "5.1.1 User unknown in virtual alias table", NULL,
     "User unknown in virtual alias table"},
    {"user@box.example", "", CLASS_VIRTUAL_MAILBOX, "virtual", "box.example", NULL, NULL},
    {"user+a@box.example", "", CLASS_VIRTUAL_MAILBOX, "virtual", "box.example", NULL, NULL},
    {"no@box.example", "", CLASS_VIRTUAL_MAILBOX, "virtual", "box.example", NULL,
     "User unknown in virtual mailbox table"},
    {"known@relay.example", "", CLASS_RELAY, "relay", "relay.example", NULL, NULL},
    {"any@sub.relay.example", "", CLASS_RELAY, "relay", "sub.relay.example", NULL, NULL},
    {"no@relay.example", "", CLASS_RELAY, "relay", "relay.example", NULL, "User unknown in relay recipient table"},
    {"x@elsewhere.test", "", CLASS_DEFAULT, "smtp", "elsewhere.test", NULL, NULL},
    {"x%elsewhere.test@example.com", "", CLASS_DEFAULT, "smtp", "elsewhere.test", "x@elsewhere.test", NULL},
    {"elsewhere.test!x@example.com", "", CLASS_DEFAULT, "smtp", "elsewhere.test", "x@elsewhere.test", NULL},
    {"x@elsewhere.test@example.com", "", CLASS_DEFAULT, "smtp", "elsewhere.test", "x@elsewhere.test", NULL},
    {"x%there@elsewhere.test", "", CLASS_DEFAULT, "smtp", "elsewhere.test", NULL, NULL},
    {"", "", CLASS_LOCAL, "local", "mail.example.com", "MAILER-DAEMON@mail.example.com",
     "User unknown in local recipient table"},
    {"-x@example.com", "", CLASS_DEFAULT, "error", "5.1.3 Bad recipient address syntax", NULL,
     "Bad recipient address syntax"},
    {"a\x01@example.com", "", CLASS_DEFAULT, "error", "5.1.3 Bad recipient address syntax", NULL,
     "Bad recipient address syntax"},
};

static void test_classes(void **state) {
    (void)state;
    check_rows(classes, class_rows, ARRAY_LENGTH(class_rows));
}

/* ---- transport_maps */

static const char transports[] = "alias_maps =\nlocal_recipient_maps =\nrecipient_delimiter = +\n"
                                 "mydestination = example.com\n"
                                 "relayhost = [hub.test]:587\n"
                                 "transport_maps = inline:{\n"
                                 "  {user+ext@far.test = smtp:[a.test]}, {user@far.test = smtp:[b.test]:2525},\n"
                                 "  {far.test = relay:}, {.far.test = :[sub.test]}, {.deep.far.test = lmtp:unix:/x},\n"
                                 "  {same.test = :}, {bad.test = error:5.7.1 no mail here}, {word.test = slow}, "
                                 "{special@example.com = smtp:[c.test]},\n"
                                 "  {[192.0.2.77] = smtp:[d.test]} }\n";

static const struct resolve_row transport_rows[] = {
    {"user+ext@far.test", "", CLASS_DEFAULT, "smtp", "[a.test]", NULL, NULL},
    {"user+other@far.test", "", CLASS_DEFAULT, "smtp", "[b.test]:2525", NULL, NULL},
    {"user@far.test", "", CLASS_DEFAULT, "smtp", "[b.test]:2525", NULL, NULL},
    {"USER@FAR.TEST", "", CLASS_DEFAULT, "smtp", "[b.test]:2525", NULL, NULL},
    {"x@far.test", "", CLASS_DEFAULT, "relay", "far.test", NULL, NULL},
    {"x@sub.far.test", "", CLASS_DEFAULT, "smtp", "[sub.test]", NULL, NULL},
    {"x@a.deep.far.test", "", CLASS_DEFAULT, "lmtp", "unix:/x", NULL, NULL},
    {"x@deep.far.test", "", CLASS_DEFAULT, "smtp", "[sub.test]", NULL, NULL},
    {"x@same.test", "", CLASS_DEFAULT, "smtp", "[hub.test]:587", NULL, NULL},
    {"x@bad.test", "", CLASS_DEFAULT, "error", "5.7.1 no mail here", NULL, NULL},
    {"x@word.test", "", CLASS_DEFAULT, "slow", "word.test", NULL, NULL},
    {"x@other.test", "", CLASS_DEFAULT, "smtp", "[hub.test]:587", NULL, NULL},
    {"special@example.com", "", CLASS_LOCAL, "smtp", "[c.test]", NULL, NULL},
    {"x@[192.0.2.77]", "", CLASS_DEFAULT, "smtp", "[d.test]", NULL, NULL},
};

static const struct resolve_row star_rows[] = {
    {"x@far.test", "", CLASS_DEFAULT, "smtp", "[star.test]", NULL, NULL},
    {"x@near.test", "", CLASS_DEFAULT, "smtp", "near.test", NULL, NULL},
    {"x@example.com", "", CLASS_LOCAL, "local", "keep.test", NULL, NULL},
};

static void test_transport_maps(void **state) {
    (void)state;
    check_rows(transports, transport_rows, ARRAY_LENGTH(transport_rows));
    check_rows("alias_maps =\nlocal_recipient_maps =\nmydestination = example.com\nlocal_transport = local:keep.test\n"
               "transport_maps = inline:{{* = smtp:[star.test]}, {near.test = :}, {example.com = :}}\n",
               star_rows, ARRAY_LENGTH(star_rows));
}

/* ---- by sender */

static const struct resolve_row sender_rows[] = {
    {"x@far.test", "a@one.test", CLASS_DEFAULT, "smtp", "[one-relay.test]", NULL, NULL},
    {"x@far.test", "b@one.test", CLASS_DEFAULT, "smtp", "[one-domain.test]", NULL, NULL},
    {"x@far.test", "d@two.test", CLASS_DEFAULT, "smtp", "far.test", NULL, NULL},
    {"x@far.test", "", CLASS_DEFAULT, "smtp", "[null-relay.test]", NULL, NULL},
    {"x@far.test", "e@three.test", CLASS_DEFAULT, "smtp", "[hub.test]", NULL, NULL},
    {"x@far.test", "f@four.test", CLASS_DEFAULT, "slow", "[hub.test]", NULL, NULL},
    {"x@far.test", "g@five.test", CLASS_DEFAULT, "slow", "[own.test]", NULL, NULL},
    {"x@rel.test", "e@three.test", CLASS_RELAY, "relay", "[hub.test]", NULL, NULL},
    {"moved@far.test", "e@three.test", CLASS_DEFAULT, "error", "5.1.6 User has moved to new@far.test", NULL, NULL},
};

static void test_by_sender(void **state) {
    (void)state;
    check_rows(
        "alias_maps =\nrelayhost = [hub.test]\nrelay_domains = rel.test\n"
        "relocated_maps = inline:{{moved@far.test = new@far.test}}\n"
        "sender_dependent_relayhost_maps = inline:{{a@one.test = [one-relay.test]}, {@one.test = [one-domain.test]}, "
        "{@two.test = DUNNO}, {<> = [null-relay.test]}}\n"
        "sender_dependent_default_transport_maps = inline:{{@four.test = slow}, {@five.test = slow:[own.test]}}\n",
        sender_rows, ARRAY_LENGTH(sender_rows));
}

/* ---- tables that do not answer */

static void expect_retry(const char *main_cf, const char *address, const char *about) {
    struct fixture fixture;
    struct ipc_lookup_resolved answer;
    struct failure failure = {0};
    fixture_make(&fixture, main_cf);
    if (lookup_resolve(fixture.lookup, str_from(address), STR("s@s.test"), fixture.arena, &answer, &failure))
        fail_msg("%s: was answered", main_cf);
    if (!str_starts(str_from(failure.text), str_from(about))) fail_msg("%s: %s", main_cf, failure.text);
    fixture_end(&fixture);
}

static void test_retry(void **state) {
    (void)state;
    expect_retry("alias_maps =\ntransport_maps = fail:x\n", "a@b.test", "transport_maps: table fail:x");
    expect_retry("alias_maps =\ntransport_maps = lmdb:/nonexistent/x\n", "a@b.test",
                 "transport_maps: table lmdb:/nonexistent/x");
    expect_retry("alias_maps =\ntransport_maps = nosuch:x\n", "a@b.test", "transport_maps: nosuch:x");
    expect_retry("alias_maps =\nmydestination = fail:x\n", "a@b.test", "mydestination:");
    expect_retry("alias_maps =\nrelay_domains = lmdb:/nonexistent/x\n", "a@b.test", "relay_domains:");
    expect_retry("alias_maps =\nlocal_recipient_maps = inline:{a=b} fail:x\n", "z@mail.example.com",
                 "local_recipient_maps:");
    expect_retry("alias_maps =\nrelayhost = h\nsender_dependent_relayhost_maps = fail:x\n", "a@b.test",
                 "sender_dependent_relayhost_maps:");
    expect_retry("local_recipient_maps = $alias_maps\nalias_maps = lmdb:/nonexistent/aliases\n", "z@mail.example.com",
                 "local_recipient_maps: table lmdb:/nonexistent/aliases");
}

/* root is an account everywhere. */
static void test_accounts(void **state) {
    static const struct resolve_row rows[] = {
        {"root@mail.example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
        {"Root@mail.example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, NULL},
        {"no-such-user-x@mail.example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, "User unknown"},
        {"#0@mail.example.com", "", CLASS_LOCAL, "local", "mail.example.com", NULL, "User unknown"},
    };
    (void)state;
    check_rows("alias_maps =\nshow_user_unknown_table_name = no\n", rows, ARRAY_LENGTH(rows));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_transport_maps), cmocka_unit_test(test_by_sender),
        cmocka_unit_test(test_retry),   cmocka_unit_test(test_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
