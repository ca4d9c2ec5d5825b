/* What Dovecot and Courier knew of a folder is taken over: UIDs, UIDVALIDITY, UIDNEXT, keywords, the mailbox's
 * identity. */
#include "setup.h"

static void drop(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "mail/%s", name);
    setup_write_file(path, STR("x\n"));
}

static void assert_numbers(uint32_t validity, uint32_t next) {
    struct folder_status status;
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    if (validity) assert_int_equal(status.uid_validity, validity);
    assert_int_equal(status.uid_next, next);
}

static void test_dovecot(void **state) {
    (void)state;
    struct folder_status status;
    static const uint8_t id[16] = {0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f, 0x60, 0x71,
                                   0x82, 0x93, 0xa4, 0xb5, 0xc6, 0xd7, 0xe8, 0xf9};
    setup_write_file("mail/dovecot-uidlist", STR("3 V1234567 N100 G0A1b2c3d4e5f60718293a4b5c6d7e8f9\n7 W3 S2 :17.a.host\n8 "
                                           ":16.gone.host\n20 :15.b.host:2,S\n"
                                           "21 W9 :19.sp ace.host\n"));
    setup_write_file("mail/dovecot-keywords", STR("0 Work\n1 $Forwarded\n2 NonJunk\n"));
    drop("cur/15.b.host:2,FSac");
    drop("cur/17.a.host:2,b");
    drop("new/19.sp ace.host");
    drop("new/14.unlisted.host");
    assert_string_equal(fresh_view(INBOX), "7:P 20:FS+Work+NonJunk 21 100");
    assert_numbers(1234567, 101);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_memory_equal(status.id, id, sizeof id);
    /* Later on it is tern's, whatever those files say. */
    setup_write_file("mail/dovecot-uidlist", STR("3 V9 N1000\n500 :20.c.host\n"));
    drop("new/20.c.host");
    assert_string_equal(fresh_view(INBOX), "7:P 20:FS+Work+NonJunk 21 100 101");
    assert_numbers(1234567, 102);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "100", FLAGS_ADD, 0, "Own");
    store_flags(folder, "7", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_string_equal(view_text(folder), "7:PS 20:FS+Work+NonJunk 21 100+Own 101");
    assert_true(folder_settle(folder, &setup.failure));
    assert_true(setup_is_there("mail/cur/17.a.host:2,PS"));
    folder_close(&folder);
}

static void test_older_lists(void **state) {
    (void)state;
    static const struct {
        const char *file;
        struct str text;
        uint32_t validity, next;
        const char *view;
    } rows[] = {
        {"dovecot-uidlist", STR_INIT("1 77 30\n5 15.b.host:2,S\n6 17.a.host\n"), 77, 30, "5:S 6"},
        {"courierimapuiddb", STR_INIT("1 78 9\n3 17.a.host\n8 15.b.host\n"), 78, 9, "3 8:S"},
        {"courierimapuiddb", STR_INIT("1 79 2\n3 17.a.host\n8 15.b.host\n"), 79, 9, "3 8:S"}, /* its next is too low */
        {"dovecot-uidlist", STR_INIT("3 V80\n"), 80, 3, "1:S 2"},
        {"dovecot-uidlist", STR_INIT("3 V81 N5\n4 :17.a.host\n4 :15.b.host\n"), 81, 6, "4:S 5"}, /* one UID twice */
        {"dovecot-uidlist",
         STR_INIT("3 V82 N5\n4 :17.a.host\n3 :17.a.host\n\n:\n9\n9 :\n0 :15.b.host\n-1 :15.b.host\nx y z\n2 :.x\n2 "
                  ":15.b.host"),
         82, 5, "2:S 3"},
        {"dovecot-uidlist", STR_INIT("3 V83 N4294967294\n4294967293 :15.b.host\n"), 83, 4294967295,
         "4294967293:S 4294967294"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char path[64];
        if (i > 0) {
            setup_remove(NULL);
            setup_make(NULL);
        }
        snprintf(path, sizeof path, "mail/%s", rows[i].file);
        setup_write_file(path, rows[i].text);
        drop("cur/15.b.host:2,S");
        drop("new/17.a.host");
        assert_string_equal(fresh_view(INBOX), rows[i].view);
        assert_numbers(rows[i].validity, rows[i].next);
    }
}

/* What is no such list counts for nothing: UIDs begin anew. */
static void test_no_lists(void **state) {
    (void)state;
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("\n"),
        STR_INIT("2 77 30\n5 17.a.host\n"),
        STR_INIT("1 0 30\n5 17.a.host\n"),
        STR_INIT("1 77\n"),
        STR_INIT("3 N4\n"),
        STR_INIT("3 V0 N4\n"),
        STR_INIT("3 V4294967296 N4\n5 :17.a.host\n"),
        STR_INIT("3 V77 Nx\n5 :17.a.host\n"),
        STR_INIT("\0\0\0"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (i > 0) {
            setup_remove(NULL);
            setup_make(NULL);
        }
        setup_write_file("mail/dovecot-uidlist", rows[i]);
        setup_write_file("mail/dovecot-keywords", STR("0 Work\n"));
        drop("cur/17.a.host:2,Sa");
        assert_string_equal(fresh_view(INBOX), "1:S");
        assert_numbers(0, 2);
        setup_save(INBOX, 0, "other", STR("x\n"));
        assert_string_equal(fresh_view(INBOX), "1:S 2+other");
    }
}

/* Only what IMAP can say is a keyword. */
static void test_odd_keywords(void **state) {
    (void)state;
    setup_write_file("mail/dovecot-uidlist", STR("3 V5 N5\n4 :17.a.host\n"));
    setup_write_file("mail/dovecot-keywords", STR("0 two words\n1 par(en\n2 \n3\n4 b\xc3\xa4\n5 \\Seen\n6 nul\0x\n26 "
                                            "beyond\n-1 x\n7 quo\"te\n8 good\n9 cr\r\n25 last"));
    drop("cur/17.a.host:2,abcdefghijz{A");
    assert_string_equal(fresh_view(INBOX), "4+good+last");
}

/* The last UID is given once; then there are none. */
static void test_last_uid(void **state) {
    (void)state;
    enum store_result result;
    struct uid_set uids = {0}, from = {0}, to = {0};
    uint32_t validity;
    setup_write_file("mail/dovecot-uidlist", STR("3 V5 N4294967294\n4 :17.a.host\n"));
    drop("cur/17.a.host:2,");
    assert_int_equal(setup_save(INBOX, 0, NULL, STR("x\n")), 4294967294);
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    assert_non_null(saving);
    assert_ok(folder_save_message(saving, 0, NULL, 0, 0, &setup.failure));
    assert_ok(folder_save_bytes(saving, STR("y\n"), &setup.failure));
    assert_int_equal(folder_save_commit(&saving, &validity, &uids, &setup.failure), STORE_LIMIT);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    uid_set_add(&uids, 4, 4);
    assert_int_equal(folder_copy(folder, &uids, INBOX, false, &validity, &from, &to, &setup.failure), STORE_LIMIT);
    folder_close(&folder);
    drop("new/18.b.host");
    assert_string_equal(fresh_view(INBOX), "4 4294967294");
    assert_int_equal(count_files("mail/cur"), 2);
    uid_set_free(&uids);
    uid_set_free(&from);
    uid_set_free(&to);
}

/* A file that is there and cannot be read is a fault of now: nothing is made that would lose the UIDs. */
static void test_unreadable(void **state) {
    (void)state;
    enum store_result result;
    assert_int_equal(symlinkat("/nowhere", setup.directory, "mail/dovecot-uidlist"), 0);
    assert_null(folder_open(setup.store, INBOX, FOLDER_READ_ONLY, &result, &setup.failure));
    assert_int_equal(result, STORE_BROKEN);
    assert_int_equal(unlinkat(setup.directory, "mail/dovecot-uidlist", 0), 0);
    setup_write_file("mail/dovecot-uidlist", STR("3 V5 N5\n4 :17.a.host\n"));
    drop("cur/17.a.host:2,");
    setup.failure = (struct failure){0};
    assert_string_equal(fresh_view(INBOX), "4");
    assert_numbers(5, 5);
}

/* When tern's own file is lost, an old list is not believed again: its UIDs may be other messages' now. */
static void test_never_twice(void **state) {
    (void)state;
    struct folder_status status;
    setup_write_file("mail/dovecot-uidlist", STR("3 V4000000000 N8\n7 :17.a.host\n"));
    drop("cur/17.a.host:2,S");
    assert_string_equal(fresh_view(INBOX), "7:S");
    save_some(INBOX, 2); /* 8, 9 */
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(folder, "8");
    folder_close(&folder);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox", 0), 0);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_int_equal(status.messages, 2);
    assert_true(status.uid_validity > 4000000000U);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_dovecot),      FOLDER_TEST(test_older_lists), FOLDER_TEST(test_no_lists),
        FOLDER_TEST(test_odd_keywords), FOLDER_TEST(test_unreadable),  FOLDER_TEST(test_never_twice), FOLDER_TEST(test_last_uid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
