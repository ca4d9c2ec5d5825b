/* Files that are lost, damaged, torn or replaced: no UID ever stands for two messages under one UIDVALIDITY, what was
 * promised is there, and who has the folder open goes on. */
#include "setup.h"

static uint32_t validity_of(struct str name) {
    struct folder_status status;
    assert_ok(folder_status(setup.store, name, true, &status, &setup.failure));
    return status.uid_validity;
}

static void test_missing(void **state) {
    (void)state;
    save_some(INBOX, 3);
    struct folder *open = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(open, "2");
    uint32_t before = validity_of(INBOX);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox", 0), 0);
    assert_true(validity_of(INBOX) > before);
    assert_string_equal(fresh_view(INBOX), "1 2");
    assert_int_equal(strchr(sync_text(open, false), '!') != NULL, true); /* the session is told to go */
    folder_close(&open);
}

static void test_damaged(void **state) {
    (void)state;
    static const struct { size_t offset, length; } cuts[] = {{0, 0}, {0, 100}, {0, 511}, {0, 512}};
    struct buf text = buf_make(0);
    uint32_t before = 0;
    setup_save(INBOX, FLAG_FLAGGED, "k", STR("one\n"));
    for (size_t i = 0; i < 2 + 512 / 8; i++) {
        struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
        assert_true(folder_lock(folder, &setup.failure));
        assert_true(folder_snapshot_write(folder->directory, &folder->state, &setup.failure));
        folder_unlock(folder);
        folder_close(&folder);
        uint32_t now = validity_of(INBOX);
        assert_true(now > before || i == 0);
        before = now;
        setup_read_file("mail/tern-mailbox", &text);
        if (i < ARRAY_LENGTH(cuts)) {
            buf_truncate(&text, cuts[i].length); /* the last has its header, and records beyond its end */
        } else {
            text.data[(i - 2) * 8 % 512] ^= 0x10;
        }
        setup_write_file("mail/tern-mailbox", buf_str(&text));
        assert_string_equal(fresh_view(INBOX), "1:F");
        assert_true(setup_is_there("mail/tern-mailbox.damaged"));
    }
    assert_true(validity_of(INBOX) > before);
    buf_free(&text);
}

/* A writer dies at any octet of its entry: nobody was told, and what was there before is there. */
static void test_torn(void **state) {
    (void)state;
    struct buf whole = buf_make(0), torn = buf_make(0);
    setup_save(INBOX, 0, NULL, STR("one\n"));
    uint32_t validity = validity_of(INBOX);
    size_t before = setup_read_file("mail/tern-mailbox", &whole).length;
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    size_t recent = setup_read_file("mail/tern-mailbox", &whole).length; /* \Recent was claimed */
    assert_true(recent > before);
    store_flags(folder, "1", FLAGS_ADD, FLAG_FLAGGED, "word");
    folder_close(&folder);
    setup_read_file("mail/tern-mailbox", &whole);
    assert_true(whole.length > recent + 40);
    for (size_t length = recent; length <= whole.length; length++) {
        buf_clear(&torn);
        buf_append(&torn, str_slice(buf_str(&whole), 0, length));
        setup_write_file("mail/tern-mailbox", buf_str(&torn));
        folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
        assert_int_equal(folder_uid_validity(folder), validity);
        assert_string_equal(view_text(folder), length == whole.length ? "1:F+word" : "1");
        store_flags(folder, "1", FLAGS_ADD, FLAG_SEEN, "again");
        assert_string_equal(fresh_view(INBOX), length == whole.length ? "1:FS+word+again" : "1:S+again");
        folder_close(&folder);
        /* And one that is as long as it was to be, with anything in its end. */
        buf_append(&torn, STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
        setup_write_file("mail/tern-mailbox", buf_str(&torn));
        assert_string_equal(fresh_view(INBOX), length == whole.length ? "1:F+word" : "1");
        assert_int_equal(validity_of(INBOX), validity);
    }
    buf_free(&whole);
    buf_free(&torn);
}

/* Damage with good entries behind it is no torn end: UIDs that were told are not given again under the same
 * UIDVALIDITY. */
static void test_damaged_journal(void **state) {
    (void)state;
    struct buf whole = buf_make(0), bad = buf_make(0);
    setup_save(INBOX, 0, NULL, STR("one\n"));
    size_t first = setup_read_file("mail/tern-mailbox", &whole).length;
    setup_save(INBOX, 0, NULL, STR("two\n"));
    size_t second = setup_read_file("mail/tern-mailbox", &whole).length;
    setup_save(INBOX, 0, NULL, STR("three\n"));
    setup_read_file("mail/tern-mailbox", &whole);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(folder, "2");
    folder_close(&folder);
    for (size_t at = first; at < second; at += 7) {
        buf_clear(&bad);
        buf_append(&bad, buf_str(&whole));
        bad.data[at] ^= 0x41;
        setup_write_file("mail/tern-mailbox", buf_str(&bad));
        uint32_t validity = 0;
        struct folder_header header;
        assert_true(folder_header_decode(buf_str(&bad), bad.length, &header));
        validity = header.uid_validity;
        assert_true(validity_of(INBOX) > validity);
        assert_string_equal(fresh_view(INBOX), "1 2"); /* one and three */
    }
    buf_free(&whole);
    buf_free(&bad);
}

static void compact(void) {
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_true(folder_lock(folder, &setup.failure));
    assert_true(folder_snapshot_write(folder->directory, &folder->state, &setup.failure));
    folder_unlock(folder);
    folder_close(&folder);
}

/* Another session writes the file anew, without what is gone: an open view still counts it, and is told of all. */
static void test_compaction(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    save_some(INBOX, 6);
    struct folder *view = setup_open_folder(INBOX, FOLDER_READ_WRITE),
                  *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(other, "2,5");
    store_flags(other, "3", FLAGS_ADD, FLAG_SEEN, "k");
    save_some(INBOX, 1);
    compact();
    assert_string_equal(sync_text(view, true), "~3 +");
    assert_int_equal(folder_count(view), 7);
    assert_int_equal(folder_uid(view, 5), 5);
    assert_string_equal(sync_text(view, false), "-5 -2");
    assert_string_equal(view_text(view), "1 3:S+k 4 6 7");
    expunge(other, "1"); /* by a session that still has the old file */
    assert_string_equal(sync_text(view, false), "-1");
    store_flags(view, "4", FLAGS_ADD, FLAG_FLAGGED, NULL);
    compact();
    compact();
    store_flags(view, "6", FLAGS_ADD, FLAG_ANSWERED, "k");
    assert_string_equal(sync_text(view, false), "");
    assert_string_equal(view_text(view), "3:S+k 4:F 6:R+k 7");
    assert_string_equal(sync_text(other, false), "-5 -2 -1 ~2 ~3 +");
    assert_string_equal(view_text(other), "3:S+k 4:F 6:R+k 7");
    assert_text(message_bytes(other, 3, &bytes), "Subject: x\n\nbody\n");
    folder_close(&view);
    folder_close(&other);
    buf_free(&bytes);
}

/* Each way that leads to a file written anew must leave everything as it was. */
static void test_compaction_keeps(void **state) {
    (void)state;
    struct uid_set gone = {0};
    struct buf text = buf_make(0);
    save_some(INBOX, 4);
    setup_save(INBOX, FLAG_DRAFT, "second", STR("\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    uint64_t modseq = folder_highest_modseq(folder);
    expunge(folder, "5");
    expunge(folder, "2");
    uint64_t highest = folder_highest_modseq(folder);
    folder_close(&folder);
    compact();
    folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder_uid_next(folder), 6); /* the last one's UID is not given again */
    assert_int_equal(folder_highest_modseq(folder), highest);
    assert_int_equal(folder_keyword_bit(folder, STR("SECOND")), 0);
    assert_true(folder_expunged_since(folder, modseq, &gone));
    uid_set_format(&gone, &text);
    assert_text(buf_str(&text), "2,5");
    assert_int_equal(folder_recent(folder), 0);
    folder_close(&folder);
    assert_int_equal(setup_save(INBOX, 0, NULL, STR("x\n")), 6);
    uid_set_free(&gone);
    buf_free(&text);
}

/* A view of the past is told all that happened since. */
static void test_restore_view(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        save_some(INBOX, 5);
        uint32_t base = 0, next, validity;
        struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
        base = folder_uid_next(folder) - 5;
        validity = folder_uid_validity(folder);
        next = folder_uid_next(folder);
        uint64_t modseq = folder_highest_modseq(folder);
        uint32_t shown = folder_count(folder);
        char set[40];
        snprintf(set, sizeof set, "%u,%u", base + 1, base + 3);
        expunge(folder, set);
        snprintf(set, sizeof set, "%u", base + 2);
        store_flags(folder, set, FLAGS_ADD, FLAG_SEEN, NULL);
        save_some(INBOX, 2);
        snprintf(set, sizeof set, "%u", next); /* one that he never saw comes and goes */
        sync_text(folder, false);
        expunge(folder, set);
        folder_close(&folder);
        if (round == 1) compact();
        folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
        assert_false(folder_restore_view(folder, validity + 1, next, modseq));
        assert_true(folder_restore_view(folder, validity, next, modseq));
        assert_int_equal(folder_count(folder), shown);
        char told[60];
        snprintf(told, sizeof told, "-%u -%u ~%u +", shown - 1, shown - 3, shown - 3);
        assert_string_equal(sync_text(folder, false), told);
        assert_int_equal(folder_count(folder), shown - 2 + 1);
        assert_string_equal(sync_text(folder, false), "");
        folder_close(&folder);
    }
}

/* What another session has expunged cannot be copied, and is not moved. */
static void test_copy_gone(void **state) {
    (void)state;
    struct uid_set uids = uids_of("1:3"), from = {0}, to = {0};
    struct buf text = buf_make(0), path = buf_make(0);
    uint32_t validity = 0;
    assert_ok(store_create(setup.store, STR("other"), 0, NULL, &setup.failure));
    save_some(INBOX, 3);
    struct folder *view = setup_open_folder(INBOX, FOLDER_READ_WRITE),
                  *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(other, "2");
    assert_int_equal(folder_copy(view, &uids, STR("other"), false, &validity, &from, &to, &setup.failure), STORE_GONE);
    assert_string_equal(fresh_view(STR("other")), "");
    assert_int_equal(count_files("mail/.other/cur"), 0);
    setup_path_of(other, 3, &path);
    assert_int_equal(unlinkat(setup.directory, buf_string(&path), 0),
                     0); /* and one whose file another program has removed */
    assert_ok(folder_copy(view, &uids, STR("other"), true, &validity, &from, &to, &setup.failure));
    uid_set_format(&from, &text);
    assert_text(buf_str(&text), "1");
    assert_string_equal(fresh_view(STR("other")), "1");
    assert_string_equal(fresh_view(INBOX), "");
    assert_string_equal(sync_text(view, false), "-3 -2 -1");
    folder_close(&view);
    folder_close(&other);
    uid_set_free(&uids);
    uid_set_free(&from);
    uid_set_free(&to);
    buf_free(&text);
    buf_free(&path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_missing),         FOLDER_TEST(test_damaged),    FOLDER_TEST(test_torn),
        FOLDER_TEST(test_damaged_journal), FOLDER_TEST(test_compaction), FOLDER_TEST(test_compaction_keeps),
        FOLDER_TEST(test_restore_view),    FOLDER_TEST(test_copy_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
