/* The tree of mailboxes: making, removing, renaming, subscriptions, special uses, limits, what a first start makes. */
#include "setup.h"

/* "INBOX INBOX/x{c} ..." with a letter for each attribute: n no select, c children, s subscribed, m marked, g gone, and
 * the special uses as numbers. */
static const char *tree(void) {
    static char text[4000];
    struct arena *arena = arena_create(0);
    struct store_entry *entries;
    size_t count;
    struct buf line = buf_make(0);
    assert_true(store_list(setup.store, arena, &entries, &count, &setup.failure));
    for (size_t i = 0; i < count; i++) {
        static const char letters[] = "ncsmg";
        buf_printf(&line, " %.*s", STR_ARGS(entries[i].name));
        if (entries[i].attributes) buf_append_char(&line, '{');
        for (unsigned bit = 0; bit < 5; bit++)
            if (entries[i].attributes >> bit & 1) buf_append_char(&line, letters[bit]);
        unsigned special = entries[i].attributes >> STORE_SPECIAL_SHIFT;
        if (special) buf_printf(&line, "%u", special);
        if (entries[i].attributes) buf_append_char(&line, '}');
    }
    snprintf(text, sizeof text, "%s", line.length ? buf_string(&line) + 1 : "");
    buf_free(&line);
    arena_destroy(&arena);
    return text;
}

static enum store_result create(const char *name) {
    return store_create(setup.store, str_from(name), 0, NULL, &setup.failure);
}

static enum store_result rename_to(const char *from, const char *to) {
    return store_rename(setup.store, str_from(from), str_from(to), &setup.failure);
}

static enum store_result delete (const char *name) { return store_delete(setup.store, str_from(name), &setup.failure); }

static void test_create(void **state) {
    (void)state;
    char id[40];
    struct folder_status status;
    assert_string_equal(tree(), "INBOX");
    assert_ok(store_create(setup.store, STR("Sent"), SPECIAL_SENT, id, &setup.failure));
    assert_int_equal(strlen(id), 32);
    assert_ok(create("a/b/c"));
    assert_ok(create("INBOX/x"));
    assert_string_equal(tree(), "INBOX{c} INBOX/x Sent{32} a{nc} a/b{nc} a/b/c");
    assert_ok(create("a/b")); /* a level becomes a mailbox */
    assert_string_equal(tree(), "INBOX{c} INBOX/x Sent{32} a{nc} a/b{c} a/b/c");
    assert_int_equal(create("Sent"), STORE_EXISTS);
    assert_int_equal(create("inbox"), STORE_EXISTS);
    assert_int_equal(create("a//b"), STORE_REFUSED);
    assert_int_equal(create(""), STORE_REFUSED);
    assert_true(setup_is_there("mail/.Sent/maildirfolder") && setup_is_there("mail/.a.b.c/cur") &&
                setup_is_there("mail/.a.b.c/tmp"));
    assert_ok(folder_status(setup.store, STR("Sent"), true, &status, &setup.failure));
    for (int i = 0; i < 16; i++) {
        char octet[3];
        snprintf(octet, sizeof octet, "%02x", status.id[i]);
        assert_memory_equal(octet, id + 2 * (size_t)i, 2);
    }
    setup_save(STR("a/b"), 0, NULL, STR("x\n"));
    assert_int_equal(folder_status(setup.store, STR("nothing"), true, &status, &setup.failure), STORE_MISSING);
    assert_int_equal(folder_status(setup.store, STR("a"), true, &status, &setup.failure), STORE_MISSING);
    assert_int_equal(folder_status(setup.store, STR("../mail"), true, &status, &setup.failure), STORE_MISSING);
}

static void test_delete(void **state) {
    (void)state;
    struct folder_status before, after;
    assert_ok(store_create(setup.store, STR("a"), SPECIAL_TRASH, NULL, &setup.failure));
    assert_ok(create("a/b"));
    save_some(STR("a"), 3);
    setup_write_file("mail/.a/unknown", STR("of another program\n"));
    assert_ok(folder_status(setup.store, STR("a"), true, &before, &setup.failure));
    struct folder *open = setup_open_folder(STR("a"), FOLDER_READ_WRITE);
    assert_ok(delete ("a"));
    assert_false(setup_is_there("mail/.a"));
    assert_string_equal(tree(), "INBOX a{nc} a/b");
    assert_int_equal(delete ("a"), STORE_MISSING);
    assert_int_equal(delete ("INBOX"), STORE_REFUSED);
    assert_int_equal(delete ("a//b"), STORE_MISSING);
    /* Who has it open sees it, and harms nothing. */
    struct folder_changes changes;
    (void)!folder_sync(open, false, &changes, &setup.failure);
    folder_changes_free(&changes);
    folder_close(&open);
    assert_ok(create("a"));
    assert_ok(folder_status(setup.store, STR("a"), true, &after, &setup.failure));
    assert_int_equal(after.messages, 0);
    assert_true(after.uid_validity > before.uid_validity); /* its UIDs begin anew */
    assert_memory_not_equal(after.id, before.id, 16);
    assert_string_equal(tree(), "INBOX a{c} a/b"); /* and it is no Trash any more */
    assert_int_equal(count_files("mail"),
                     3 + 1 + 2); /* cur new tmp, tern-store-lock, tern-special-use, tern-uidvalidity */
}

/* What a process that died left of a deleting is in nobody's way. */
static void test_delete_leftovers(void **state) {
    (void)state;
    char path[96];
    for (unsigned long long i = setup.store->unique + 1; i < setup.store->unique + 4; i++) {
        snprintf(path, sizeof path, "mail/..tern-deleted.%d.%llu", (int)getpid(), i);
        assert_int_equal(mkdirat(setup.directory, path, 0700), 0);
        snprintf(path, sizeof path, "mail/..tern-deleted.%d.%llu/x", (int)getpid(), i);
        setup_write_file(path, STR("left\n"));
    }
    snprintf(path, sizeof path, "mail/..tern-making.%d", (int)getpid());
    assert_int_equal(mkdirat(setup.directory, path, 0700), 0);
    assert_ok(create("a"));
    assert_string_equal(tree(), "INBOX a");
    assert_ok(delete ("a"));
    assert_string_equal(tree(), "INBOX");
    for (unsigned long long i = 1; i < setup.store->unique + 2; i++) { /* and goes with the next */
        snprintf(path, sizeof path, "mail/..tern-deleted.%d.%llu", (int)getpid(), i);
        assert_false(setup_is_there(path));
    }
}

static void test_rename(void **state) {
    (void)state;
    struct folder_status before, after;
    assert_ok(store_create(setup.store, STR("a"), SPECIAL_DRAFTS, NULL, &setup.failure));
    assert_ok(store_create(setup.store, STR("a/b/c"), SPECIAL_JUNK, NULL, &setup.failure));
    assert_ok(create("ab"));
    save_some(STR("a/b/c"), 2);
    assert_ok(folder_status(setup.store, STR("a/b/c"), true, &before, &setup.failure));
    assert_ok(rename_to("a", "x/y"));
    assert_string_equal(tree(), "INBOX ab x{nc} x/y{c4} x/y/b{nc} x/y/b/c{16}");
    assert_ok(folder_status(setup.store, STR("x/y/b/c"), true, &after, &setup.failure));
    assert_int_equal(after.uid_validity, before.uid_validity);
    assert_memory_equal(after.id, before.id, 16);
    assert_int_equal(after.messages, 2);
    assert_ok(rename_to("x/y/b", "z")); /* a level without a mailbox of its own */
    assert_string_equal(tree(), "INBOX ab x{nc} x/y{4} z{nc} z/c{16}");
    assert_ok(rename_to("x/y", "x"));
    assert_string_equal(tree(), "INBOX ab x{4} z{nc} z/c{16}");
    assert_ok(create("x/q/q"));
    assert_ok(rename_to("x/q", "x/r"));
    assert_ok(rename_to("x/r/q", "x/r"));
    assert_string_equal(tree(), "INBOX ab x{c4} x/r z{nc} z/c{16}");
    assert_ok(delete ("x/r"));
    assert_int_equal(rename_to("x", "x/y"), STORE_REFUSED);
    assert_int_equal(rename_to("x", "x"), STORE_REFUSED);
    assert_int_equal(rename_to("x", "ab"), STORE_EXISTS);
    assert_int_equal(rename_to("x", "inbox"), STORE_EXISTS);
    assert_int_equal(rename_to("nothing", "n"), STORE_MISSING);
    assert_int_equal(rename_to("x", "a//b"), STORE_REFUSED);
    assert_string_equal(tree(), "INBOX ab x{4} z{nc} z/c{16}");
}

/* All move or none does. */
static void test_rename_all_or_none(void **state) {
    (void)state;
    char name[260];
    assert_ok(create("a"));
    assert_ok(create("a/b"));
    assert_ok(create("a/c"));
    assert_ok(create("to/c"));
    assert_int_equal(rename_to("a", "to"), STORE_EXISTS); /* "to" is free, "to/c" is not */
    assert_string_equal(tree(), "INBOX a{c} a/b a/c to{nc} to/c");
    memset(name, 'n', sizeof name);
    name[248] = '\0'; /* it has room for its own directory, not for those below */
    assert_int_equal(rename_to("a", name), STORE_REFUSED);
    assert_string_equal(tree(), "INBOX a{c} a/b a/c to{nc} to/c");
}

/* Upwards, over names that become free meanwhile. */
static void test_rename_up(void **state) {
    (void)state;
    assert_ok(create("a/b"));
    assert_ok(create("a/b/b"));
    assert_ok(create("a/b/d"));
    assert_ok(rename_to("a/b", "a"));
    assert_string_equal(tree(), "INBOX a{c} a/b a/d");
    assert_ok(delete ("a"));
    assert_ok(create("a/b/b/c"));
    assert_ok(create("a/b/c"));
    assert_int_equal(rename_to("a/b", "a"), STORE_EXISTS); /* a/b/b/c would come before a/b/c is gone */
    assert_string_equal(tree(), "INBOX a{nc} a/b{c} a/b/b{nc} a/b/b/c a/b/c a/d");
}

static void test_rename_inbox(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    assert_ok(create("INBOX/below"));
    setup_save(INBOX, FLAG_SEEN, "work", STR("one\n"));
    setup_save(INBOX, 0, NULL, STR("two\n"));
    assert_ok(rename_to("INBOX", "old"));
    assert_string_equal(tree(), "INBOX{c} INBOX/below old");
    assert_string_equal(fresh_view(INBOX), "");
    assert_string_equal(fresh_view(STR("old")), "1:S+work 2");
    assert_int_equal(setup_save(INBOX, 0, NULL, STR("three\n")), 3); /* no UID comes back */
    struct folder *old = setup_open_folder(STR("old"), FOLDER_READ_ONLY);
    assert_text(message_bytes(old, 2, &bytes), "two\n");
    folder_close(&old);
    assert_int_equal(rename_to("INBOX", "old"), STORE_EXISTS);
    assert_string_equal(fresh_view(INBOX), "3");
    buf_free(&bytes);
}

static enum store_result subscribe(const char *name, bool wish) {
    return store_subscribe(setup.store, str_from(name), wish, &setup.failure);
}

static void test_subscriptions(void **state) {
    (void)state;
    struct buf text = buf_make(0);
    assert_ok(create("a"));
    assert_ok(subscribe("a", true));
    assert_ok(subscribe("a", true));
    assert_ok(subscribe("inbox", true));
    assert_ok(subscribe("gone/x", true));
    assert_text(setup_read_file("mail/subscriptions", &text), "a\nINBOX\ngone/x\n");
    assert_string_equal(tree(), "INBOX{s} a{s} gone/x{nsg}");
    assert_ok(subscribe("gone/x", false));
    assert_ok(subscribe("never", false));
    assert_ok(subscribe("a b/\xc3\xbc", true));
    assert_text(setup_read_file("mail/subscriptions", &text), "a\nINBOX\na b/\xc3\xbc\n");
    assert_ok(delete ("a")); /* subscriptions stay (RFC 9051 6.3.5) */
    assert_string_equal(tree(), "INBOX{s} a{nsg} a b/\xc3\xbc{nsg}");
    assert_int_equal(subscribe("a\nb", true), STORE_REFUSED);
    setup_write_file("mail/subscriptions", STR("V\t2\n\nINBOX\nLists\ttern\n\xff\n/\nlast"));
    assert_string_equal(tree(), "INBOX{s} Lists/tern{nsg} last{nsg}");
    assert_ok(subscribe("last", false));
    assert_ok(subscribe("x", true));
    assert_string_equal(tree(), "INBOX{s} Lists/tern{nsg} x{nsg}");
    buf_free(&text);
}

static void test_marks(void **state) {
    (void)state;
    assert_ok(create("a"));
    setup_write_file("mail/.a/new/17.x", STR("x\n"));
    setup_write_file("mail/new/17.x", STR("x\n"));
    setup_write_file("mail/.no-folder", STR(""));
    assert_int_equal(mkdirat(setup.directory, "mail/.neither", 0700), 0);
    assert_int_equal(mkdirat(setup.directory, "mail/.INBOX", 0700), 0);
    assert_int_equal(mkdirat(setup.directory, "mail/.INBOX/cur", 0700), 0);
    setup_write_file("mail/tern-special-use",
                     STR("\\Sent a\n\\sent INBOX\n\\What a\n\\Junk\nrest\n\\Flagged a\n\\All gone\n\\Trash a"));
    assert_string_equal(tree(), "INBOX{m32} a{m104}"); /* Sent, Trash, Flagged: the last line may lack its end */
    assert_ok(rename_to("a", "b b"));
    assert_string_equal(tree(), "INBOX{m32} b b{m104}");
}

static void test_limits(void **state) {
    (void)state;
    setup.options.folders_limit = 3;
    reopen_store();
    assert_ok(create("a"));
    assert_ok(create("b"));
    assert_int_equal(create("c"), STORE_LIMIT);
    assert_int_equal(create("a"), STORE_EXISTS);
    assert_ok(delete ("a"));
    assert_ok(create("c"));
}

static void test_quota(void **state) {
    (void)state;
    struct store_usage usage;
    setup.options.quota_storage = 100;
    setup.options.quota_messages = 3;
    reopen_store();
    assert_ok(create("a"));
    setup_save(INBOX, 0, NULL, STR("0123456789\n"));
    setup_save(STR("a"), 0, NULL, STR("0123456789\n"));
    assert_true(store_usage(setup.store, &usage, &setup.failure));
    assert_int_equal(usage.octets, 22);
    assert_int_equal(usage.messages, 2);
    assert_int_equal(usage.octets_limit, 100);
    assert_int_equal(usage.messages_limit, 3);
    assert_ok(store_quota_allows(setup.store, 78, 1, &setup.failure));
    assert_int_equal(store_quota_allows(setup.store, 79, 1, &setup.failure), STORE_OVER_QUOTA);
    assert_int_equal(store_quota_allows(setup.store, 1, 2, &setup.failure), STORE_OVER_QUOTA);
    assert_int_equal(store_quota_allows(setup.store, UINT64_MAX - 5, 1, &setup.failure), STORE_OVER_QUOTA);
    assert_ok(delete ("a"));
    assert_ok(store_quota_allows(setup.store, 79, 2, &setup.failure));
}

static void test_auto_folders(void **state) {
    (void)state;
    setup.options.auto_folders = STR("Drafts:\\Drafts, Sent:\\Sent Archive/old  Plain:");
    reopen_store(); /* the INBOX is there already */
    assert_string_equal(tree(), "INBOX");
    snprintf(setup.root, sizeof setup.root, "%s/other", setup.top);
    setup.options.root = str_from(setup.root);
    setup.options.create = false;
    assert_null(store_open(&setup.options, &setup.failure));
    setup.options.create = true;
    reopen_store();
    assert_string_equal(tree(), "INBOX Archive{nc} Archive/old{s} Drafts{s4} Plain{s} Sent{s32}");
    reopen_store();
    assert_ok(delete ("Plain"));
    reopen_store(); /* what was removed does not come back */
    assert_string_equal(tree(), "INBOX Archive{nc} Archive/old{s} Drafts{s4} Plain{nsg} Sent{s32}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_create),
        FOLDER_TEST(test_delete),
        FOLDER_TEST(test_delete_leftovers),
        FOLDER_TEST(test_rename),
        FOLDER_TEST(test_rename_all_or_none),
        FOLDER_TEST(test_rename_up),
        FOLDER_TEST(test_rename_inbox),
        FOLDER_TEST(test_subscriptions),
        FOLDER_TEST(test_marks),
        FOLDER_TEST(test_limits),
        FOLDER_TEST(test_quota),
        FOLDER_TEST(test_auto_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
