/* Aliases, accounts, virtual mailboxes; tables and lists by name; renewal of tables. */
#include "fixture.h"
#include "clock.h"
#include "source_owner.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- LOOKUP_LOCAL */

static const char locals[] =
    "recipient_delimiter = +\nmydestination = example.com\ndefault_privs = daemon\n"
    "propagate_unmatched_extensions = alias\n"
    "alias_maps = inline:{\n"
    " {crew = alice, |\"/bin/prog x\", /var/archive, :include:/etc/members}, {owner-crew = admin@x.test},\n"
    " {user+e = exact}, {user = base, other@x.test}, {broken = \"a} }\n"
    "virtual_mailbox_domains = box.test\nvirtual_mailbox_base = /srv/mail\n"
    "virtual_mailbox_maps = inline:{{u@box.test = box/u/}, {abs@box.test = /abs}, {up@box.test = a/../../b},\n"
    "  {dot@box.test = ..}, {low@box.test = low/}, {nogid@box.test = x/}, {text@box.test = x/} }\n"
    "virtual_uid_maps = inline:{{u@box.test=5000}, {abs@box.test=5000}, {low@box.test=99}, {nogid@box.test=5000}, "
    "{text@box.test=bob}}\n"
    "virtual_gid_maps = inline:{{u@box.test=5001}, {abs@box.test=5001}, {low@box.test=5001}, {text@box.test=1}}\n";

struct local_row {
    const char *address;
    bool no_alias;
    enum local_kind kind;
    const char *user, *mailbox, *extension, *owner, *members;
    const char *wrong; /* it has to fail with this in the text */
};

static const struct local_row local_rows[] = {
    {"crew@example.com", false, LOCAL_ALIAS, "daemon", "", "", "owner-crew@example.com",
     "0:alice 1:/bin/prog x 2:/var/archive 3:/etc/members", NULL},
    {"CREW@example.com", false, LOCAL_ALIAS, "daemon", "", "", "owner-CREW@example.com",
     "0:alice 1:/bin/prog x 2:/var/archive 3:/etc/members", NULL},
    {"user+e@example.com", false, LOCAL_ALIAS, "daemon", "", "", "", "0:exact", NULL},
    {"user+f@example.com", false, LOCAL_ALIAS, "daemon", "", "f", "", "0:base+f 0:other+f@x.test", NULL},
    {"crew@example.com", true, LOCAL_UNKNOWN, "", "", "", "", "", NULL},
    {"root+x@example.com", false, LOCAL_USER, "root", "", "x", "", "", NULL},
    {"ROOT@example.com", false, LOCAL_USER, "root", "", "", "", "", NULL},
    {"#0@example.com", false, LOCAL_UNKNOWN, "", "", "", "", "", NULL},
    {"no-such-user-x@example.com", false, LOCAL_UNKNOWN, "", "", "", "", "", NULL},
    {"u@box.test", false, LOCAL_VIRTUAL, "", "/srv/mail/box/u/", "", "", "", NULL},
    {"u+e@box.test", false, LOCAL_VIRTUAL, "", "/srv/mail/box/u/", "e", "", "", NULL},
    {"abs@box.test", false, LOCAL_VIRTUAL, "", "/srv/mail/abs", "", "", "", NULL},
    {"none@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", NULL},
    {"crew@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", NULL},
    {"up@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", "no path beneath"},
    {"dot@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", "no path beneath"},
    {"low@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", "virtual_uid_maps: 99 is below 100"},
    {"nogid@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", "virtual_gid_maps: no entry"},
    {"text@box.test", false, LOCAL_UNKNOWN, "", "", "", "", "", "virtual_uid_maps: \"bob\" is no number"},
};

static void expect_members(const char *about, struct ipc_list members, const char *wanted) {
    struct buf text = {0};
    struct ipc_address_row row;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(members, IPC_ROW_ADDRESS, &offset, &row, &bad))
        buf_printf(&text, "%s%llu:%.*s", text.length ? " " : "", (unsigned long long)row.kind, STR_ARGS(row.value));
    assert_false(bad);
    expect_text(about, buf_str(&text), wanted);
    buf_free(&text);
}

static void check_local(struct fixture *fixture, const struct local_row *row) {
    struct ipc_lookup_local_found answer;
    struct failure failure = {0};
    bool good = lookup_local(fixture->lookup, str_from(row->address), row->no_alias, fixture->arena, &answer, &failure);
    if (good == (row->wrong != NULL)) fail_msg("%s: %s", row->address, good ? "has to fail" : failure.text);
    if (!good) {
        if (str_find_str(str_from(failure.text), str_from(row->wrong)) == STR_NONE)
            fail_msg("%s: %s", row->address, failure.text);
        return;
    }
    if (answer.kind != row->kind) fail_msg("%s: kind %llu", row->address, (unsigned long long)answer.kind);
    expect_text(row->address, answer.user, row->user);
    expect_text(row->address, answer.mailbox, row->mailbox);
    expect_text(row->address, answer.extension, row->extension);
    expect_text(row->address, answer.owner, row->owner);
    expect_members(row->address, answer.members, row->members);
    if (row->kind == LOCAL_VIRTUAL) assert_true(answer.uid == 5000 && answer.gid == 5001);
    if (row->kind == LOCAL_ALIAS) assert_true(answer.uid != 0);
}

static void test_local(void **state) {
    struct fixture fixture;
    (void)state;
    fixture_make(&fixture, locals);
    for (size_t i = 0; i < ARRAY_LENGTH(local_rows); i++)
        check_local(&fixture, &local_rows[i]);
    fixture_end(&fixture);
    const struct local_row failing = {"x@mail.example.com",      false, LOCAL_UNKNOWN, "", "", "", "", "",
                                      "alias_maps: table fail:x"};
    fixture_make(&fixture, "alias_maps = fail:x\n");
    check_local(&fixture, &failing);
    fixture_end(&fixture);
    const struct local_row root_privs = {"a@mail.example.com",   false, LOCAL_UNKNOWN, "", "", "", "", "",
                                         "default_privs is root"};
    fixture_make(&fixture, "alias_maps = inline:{a=b}\ndefault_privs = root\n");
    check_local(&fixture, &root_privs);
    fixture_end(&fixture);
}

/* ---- LOOKUP_MATCH */

struct match_row {
    const char *table, *key;
    enum match_answer answer;
    bool found;
    const char *value;
};

static void test_match(void **state) {
    static const struct match_row rows[] = {
        {"mynetworks", "10.1.2.3", MATCH_ANSWERED, true, ""},
        {"mynetworks", "10.2.0.1", MATCH_ANSWERED, false, ""},
        {"mynetworks", "2001:db8::5", MATCH_ANSWERED, true, ""},
        {"mynetworks", "host.trusted.test[192.0.2.9]", MATCH_ANSWERED, true, ""},
        {"mynetworks", "host.other.test[10.1.2.3]", MATCH_ANSWERED, true, ""},
        {"mynetworks", "unknown[192.0.2.9]", MATCH_ANSWERED, false, ""},
        {"relay_domains", "sub.rel.test", MATCH_ANSWERED, true, ""},
        {"mydestination", "sub.here.test", MATCH_ANSWERED, false, ""},
        {"inline:{a=OK}", "a", MATCH_ANSWERED, true, "OK"},
        {"inline:{a=OK}", "b", MATCH_ANSWERED, false, ""},
        {"inline:{{c = REJECT}}", "c", MATCH_ANSWERED, true, "REJECT"},
        {"static:in-a-class", "x", MATCH_ANSWERED, true, "in-a-class"},
        {"static:extra", "x", MATCH_ANSWERED, true, "extra"},
        {"virtual_alias_maps", "v@v.test", MATCH_ANSWERED, true, "w@w.test"},
        {"fail:named", "x", MATCH_TABLE_FAILED, false, ""},
        {"texthash:/etc/passwd", "root", MATCH_NOT_PERMITTED, false, ""},
        {"static:other", "x", MATCH_NOT_PERMITTED, false, ""},
        {"smtp_sasl_password_maps", "[relay.test]:587", MATCH_NOT_PERMITTED, false, ""},
        {"lmtp_sasl_password_maps", "x", MATCH_NOT_PERMITTED, false, ""},
        {"smtp_sasl_oauth2_maps", "google", MATCH_NOT_PERMITTED, false, ""},
        {"static:secret", "x", MATCH_NOT_PERMITTED, false, ""}, /* although another parameter names it */
        {"inline:{[relay.test]:587=user:pass}", "[relay.test]:587", MATCH_NOT_PERMITTED, false, ""},
        {"myhostname", "x", MATCH_NOT_PERMITTED, false, ""},
        {"nothing", "x", MATCH_NOT_PERMITTED, false, ""},
    };
    struct fixture fixture;
    (void)state;
    fixture_make(&fixture,
                 "alias_maps =\nmynetworks = 10.1.0.0/16, [2001:db8::]/32, trusted.test\nrelay_domains = rel.test\n"
                 "mydestination = here.test\nvirtual_alias_maps = inline:{{v@v.test = w@w.test}}\n"
                 "smtpd_client_restrictions = check_client_access inline:{a=OK}, "
                 "check_client_access {inline:{{c = REJECT}}}, reject\n"
                 "smtpd_restriction_classes = mine\nmine = check_sender_access static:in-a-class\n"
                 "smtpd_helo_restrictions = check_helo_access fail:named\nlookup_tables = static:extra\n"
                 "smtp_sasl_password_maps = inline:{[relay.test]:587=user:pass}, static:secret\n"
                 "smtpd_data_restrictions = check_client_access static:secret\n"
                 "smtp_sasl_oauth2_maps = static:refresh\n");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct ipc_lookup_matched answer = {.found = false, .value = STR_EMPTY};
        struct failure failure = {0};
        enum match_answer result = lookup_match(fixture.lookup, str_from(rows[i].table), str_from(rows[i].key),
                                                fixture.arena, &answer, &failure);
        if (result != rows[i].answer || answer.found != rows[i].found)
            fail_msg("%s %s: %d %d %s", rows[i].table, rows[i].key, result, answer.found, failure.text);
        expect_text(rows[i].table, answer.value, rows[i].value);
    }
    fixture_end(&fixture);
}

/* ---- LOOKUP_CREDENTIALS */

static void test_credentials(void **state) {
    static const struct {
        bool lmtp;
        const char *host, *nexthop, *sender;
        bool good, found;
        const char *user, *password, *grant;
    } rows[] = {
        {false, "relay.test", "[relay.test]:587", "", true, true, "byname", "p:w", ""},
        {false, "other.test", "[relay.test]:587", "", true, true, "byhop", "", ""},
        {false, "other.test", "other.test", "", true, false, "", "", ""},
        {false, "other.test", "other.test", "ann@x.test", true, true, "ann", "a", ""},
        {false, "other.test", "other.test", "ann+news@x.test", true, true, "ann", "a", ""},
        {false, "other.test", "other.test", "eve@y.test", true, true, "ydomain", "y", ""},
        {false, "relay.test", "x", "nobody@z.test", true, true, "byname", "p:w", ""},
        {false, "g.test", "x", "", true, true, "me@g.test", "", "endpoint=https://g.test/ client_id=i"},
        {false, "h.test", "x", "", false, false, "", "", ""}, /* a grant that is not there: temporary */
        {true, "relay.test", "x", "", true, true, "lm", "tp", ""},
        {true, "g.test", "x", "", true, false, "", "", ""},
    };
    struct fixture fixture;
    (void)state;
    fixture_make(&fixture,
                 "alias_maps =\nrecipient_delimiter = +\nlmtp_sasl_password_result_delimiter = /\n"
                 "lmtp_sasl_password_maps = inline:{relay.test=lm/tp}\n"
                 "smtp_sasl_password_maps = inline:{relay.test=byname:p:w, {[relay.test]:587 = byhop}, {ann@x.test = ann:a}, "
                 "{@y.test = ydomain:y}, {g.test = me@g.test:{oauth2}google}, {h.test = me:{oauth2}gone}}\n"
                 "smtp_sasl_oauth2_maps = inline:{{google = endpoint=https://g.test/ client_id=i}}\n");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct ipc_lookup_credentials question = {.lmtp = rows[i].lmtp,
                                                        .host = str_from(rows[i].host),
                                                        .nexthop = str_from(rows[i].nexthop),
                                                        .sender = str_from(rows[i].sender)};
        struct ipc_lookup_credentials_given answer = {
            .user = STR_EMPTY, .password = STR_EMPTY, .grant = STR_EMPTY};
        struct failure failure = {0};
        bool good = lookup_credentials(fixture.lookup, &question, fixture.arena, &answer, &failure);
        if (good != rows[i].good || answer.found != rows[i].found) fail_msg("row %zu: %d %s", i, good, failure.text);
        expect_text(rows[i].host, answer.user, rows[i].user);
        expect_text(rows[i].host, answer.password, rows[i].password);
        expect_text(rows[i].host, answer.grant, rows[i].grant);
    }
    fixture_end(&fixture);
}

/* ---- files */

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static enum table_result ask(struct fixture *fixture, const char *key, struct buf *value) {
    struct failure failure = {0};
    buf_clear(value);
    return maps_lookup(fixture->lookup->tables, fixture->lookup->alias_maps, str_from(key), false, value, NULL,
                       &failure);
}

static void test_renewal(void **state) {
    char path[] = "/tmp/test_lookup_XXXXXX";
    char main_cf[200];
    struct fixture fixture;
    struct buf value = {0};
    (void)state;
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    unlink(path);
    snprintf(main_cf, sizeof main_cf, "alias_maps = texthash:%s\nlocal_recipient_maps =\nrelay_domains = %s.list\n",
             path, path);
    fixture_make(&fixture, main_cf);
    struct tables *tables = fixture.lookup->tables;
    lookup_open_tables(fixture.lookup);
    assert_int_equal(ask(&fixture, "a", &value), TABLE_RETRY); /* not there yet: never "absent" */
    write_file(path, "a one\n");
    fixture.lookup->alias_maps->sources[0]->try_again = 0;
    assert_int_equal(ask(&fixture, "a", &value), TABLE_FOUND);
    expect_text("first", buf_str(&value), "one");
    assert_int_equal(ask(&fixture, "b", &value), TABLE_ABSENT);
    uint32_t uid = 1, gid = 1;
    struct str name = str_from(fixture.lookup->alias_maps->sources[0]->name);
    assert_true(source_owner(name, &uid, &gid) && uid == (uint32_t)geteuid());
    uid = 1;
    assert_true(source_owner(STR("proxy:pcre:{{/a/ b}}"), &uid, &gid) && uid == 0);
    assert_false(source_owner(STR("pcre:relative"), &uid, &gid));
    write_file(path, "a another\n");
    fixture.lookup->alias_maps->sources[0]->try_again = 0;
    assert_true(tables_have_changed(tables));
    uint64_t generation = tables_generation(tables);
    assert_true(tables_refresh(tables));
    assert_true(tables_generation(tables) > generation);
    assert_int_equal(ask(&fixture, "a", &value), TABLE_FOUND);
    expect_text("renewed", buf_str(&value), "another");
    unlink(path); /* gone: the old content stays */
    fixture.lookup->alias_maps->sources[0]->try_again = 0;
    (void)tables_refresh(tables);
    assert_int_equal(ask(&fixture, "a", &value), TABLE_FOUND);
    buf_free(&value);
    fixture_end(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_local), cmocka_unit_test(test_match), cmocka_unit_test(test_credentials),
                                       cmocka_unit_test(test_renewal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
