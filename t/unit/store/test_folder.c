/* A folder as clients use it: saving, flags, expunging, copying, and views that stand still meanwhile. */
#include "setup.h"

/* ---- saving */

static void test_save_and_read(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    assert_int_equal(setup_save(INBOX, FLAG_SEEN, "Work", STR("Subject: a\r\n\r\nbody\r\n")), 1);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct folder_message message;
    uint64_t size = 0;
    assert_string_equal(view_text(folder), "1:S+Work");
    folder_message(folder, 1, &message);
    assert_int_equal(message.size, 17);
    assert_int_equal(message.virtual_size, 20);
    assert_int_equal(message.internal_date, 1000000000);
    assert_true(message.save_date > 1000000000);
    assert_true(folder_virtual_size(folder, 1, &size, &setup.failure));
    assert_int_equal(size, 20);
    assert_text(message_bytes(folder, 1, &bytes), "Subject: a\n\nbody\n");
    assert_int_equal(folder_uid_next(folder), 2);
    assert_int_equal(count_files("mail/tmp"), 0);
    folder_close(&folder);
    buf_free(&bytes);
}

/* Line ends in all ways, in one piece and octet by octet: what is stored, and the size that IMAP tells of it. */
static void test_line_ends(void **state) {
    (void)state;
    static const struct {
        const char *sent, *stored;
        unsigned virtual_size;
    } rows[] = {
        {"a\r\nb\r\n", "a\nb\n", 6}, {"a\nb\n", "a\nb\n", 6},     {"\r\n", "\n", 2},   {"a\rb\r\n", "a\rb\n", 5},
        {"a\r", "a\r", 2},           {"a\r\r\nb", "a\r\r\nb", 5}, {"\n\n", "\n\n", 4}, {"x", "x", 1}};
    struct buf bytes = buf_make(0);
    for (unsigned i = 0; i < ARRAY_LENGTH(rows) * 2; i++) {
        enum store_result result;
        struct uid_set uids = {0};
        uint32_t validity;
        struct str sent = str_from(rows[i / 2].sent);
        struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
        assert_non_null(saving);
        assert_ok(folder_save_message(saving, 0, NULL, 0, 0, &setup.failure));
        for (size_t at = 0; at < sent.length; at += i % 2 ? 1 : sent.length)
            assert_ok(folder_save_bytes(saving, str_slice(sent, at, i % 2 ? at + 1 : sent.length), &setup.failure));
        assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
        uid_set_free(&uids);
        struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
        struct folder_message message;
        folder_message(folder, i + 1, &message);
        assert_text(message_bytes(folder, i + 1, &bytes), rows[i / 2].stored);
        assert_int_equal(message.size, bytes.length);
        assert_int_equal(message.virtual_size, rows[i / 2].virtual_size);
        folder_close(&folder);
    }
    buf_free(&bytes);
}

/* Several at once, each with new keywords of its own. */
static void test_save_several(void **state) {
    (void)state;
    enum store_result result;
    struct uid_set uids = {0};
    uint32_t validity = 0;
    struct str keywords[3] = {STR("one"), STR("two"), STR("three")};
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(folder_save_message(saving, 0, &keywords[i], 1 + (i == 1), 0, &setup.failure));
        assert_ok(folder_save_bytes(saving, STR("x\r\n"), &setup.failure));
    }
    assert_string_equal(fresh_view(INBOX), "");
    assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
    assert_null(saving);
    assert_int_equal(uids.count, 1);
    assert_int_equal(uids.ranges[0].last, 3);
    uid_set_free(&uids);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_string_equal(view_text(folder), "1+one 2+two+three 3+three");
    assert_int_equal(folder_uid_validity(folder), validity);
    folder_close(&folder);
}

static void test_save_abandoned(void **state) {
    (void)state;
    enum store_result result;
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    assert_ok(folder_save_message(saving, 0, NULL, 0, 0, &setup.failure));
    assert_ok(folder_save_bytes(saving, STR("x"), &setup.failure));
    assert_ok(folder_save_message(saving, 0, NULL, 0, 0, &setup.failure));
    folder_save_abandon(&saving);
    assert_int_equal(count_files("mail/tmp") + count_files("mail/cur") + count_files("mail/new"), 0);
    assert_null(folder_save_begin(setup.store, STR("None"), &result, &setup.failure));
    assert_int_equal(result, STORE_MISSING);
}

static void test_delivery_is_new(void **state) {
    (void)state;
    enum store_result result;
    struct uid_set uids = {0};
    uint32_t validity;
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    folder_save_is_delivery(saving);
    assert_ok(folder_save_message(saving, 0, NULL, 0, 0, &setup.failure));
    assert_ok(folder_save_bytes(saving, STR("x\n"), &setup.failure));
    assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
    uid_set_free(&uids);
    assert_int_equal(count_files("mail/new"), 1);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "1", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    assert_int_equal(count_files("mail/new"), 0);
    struct buf path = buf_make(0);
    setup_path_of(folder, 1, &path);
    assert_true(str_ends(buf_str(&path), STR(":2,S")) && setup_is_there(buf_string(&path)));
    buf_free(&path);
    folder_close(&folder);
}

/* ---- flags */

static void test_flags(void **state) {
    (void)state;
    save_some(INBOX, 3);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    uint64_t before = folder_highest_modseq(folder);
    store_flags(folder, "1:2", FLAGS_ADD, FLAG_SEEN | FLAG_RECENT, "Work");
    assert_string_equal(view_text(folder), "1:S+Work 2:S+Work 3");
    assert_int_equal(folder_highest_modseq(folder), before + 1);
    store_flags(folder, "2:3", FLAGS_REPLACE, FLAG_FLAGGED, "home");
    store_flags(folder, "1", FLAGS_REMOVE, FLAG_SEEN, "WORK");
    store_flags(folder, "3", FLAGS_REMOVE, 0, "unknown");
    assert_string_equal(view_text(folder), "1 2:F+home 3:F+home");
    assert_int_equal(folder_keyword_count(folder), 2);
    assert_string_equal(sync_text(folder, false), ""); /* own changes are not told */
    before = folder_highest_modseq(folder);
    store_flags(folder, "2", FLAGS_ADD, FLAG_FLAGGED, "home"); /* nothing new */
    assert_int_equal(folder_highest_modseq(folder), before);
    assert_true(folder_settle(folder, &setup.failure));
    assert_string_equal(fresh_view(INBOX), "1 2:F+home 3:F+home");
    folder_close(&folder);
}

static void test_unchanged_since(void **state) {
    (void)state;
    save_some(INBOX, 3);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct uid_set all = uids_of("1:3"), modified = {0}, changed = {0};
    struct buf text = buf_make(0);
    uint64_t known = folder_highest_modseq(folder);
    store_flags(folder, "2", FLAGS_ADD, FLAG_SEEN, NULL);
    struct flags_wish flags = {.change = FLAGS_ADD, .system = FLAG_FLAGGED, .unchanged_since = known};
    assert_ok(folder_store(folder, &all, &flags, &modified, &changed, &setup.failure));
    uid_set_format(&modified, &text);
    buf_append_char(&text, ' ');
    uid_set_format(&changed, &text);
    assert_string_equal(buf_string(&text), "2 1,3");
    assert_string_equal(view_text(folder), "1:F 2:S 3:F");
    uid_set_free(&all);
    uid_set_free(&modified);
    uid_set_free(&changed);
    buf_free(&text);
    folder_close(&folder);
}

static void test_keyword_limits(void **state) {
    (void)state;
    char names[FOLDER_KEYWORDS_MAX + 1][8], long_name[FOLDER_KEYWORD_LENGTH + 2] = {0};
    struct str keywords[FOLDER_KEYWORDS_MAX + 1], one[1];
    save_some(INBOX, 2);
    for (size_t i = 0; i <= FOLDER_KEYWORDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i);
        keywords[i] = str_from(names[i]);
    }
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct uid_set all = uids_of("1:2");
    struct flags_wish flags = {.change = FLAGS_ADD, .keywords = keywords, .keyword_count = FOLDER_KEYWORDS_MAX + 1};
    assert_int_equal(folder_store(folder, &all, &flags, NULL, NULL, &setup.failure), STORE_LIMIT);
    assert_string_equal(view_text(folder), "1 2");
    flags.keyword_count = FOLDER_KEYWORDS_MAX;
    assert_ok(folder_store(folder, &all, &flags, NULL, NULL, &setup.failure));
    assert_int_equal(folder_keyword_count(folder), FOLDER_KEYWORDS_MAX);
    assert_int_equal(folder_keyword_bit(folder, STR("K63")), 63);
    assert_int_equal(folder_keyword_bit(folder, STR("k64")), -1);
    assert_text(folder_keyword(folder, 63), "k63");
    assert_int_equal(folder_keyword(folder, 64).length, 0);
    memset(long_name, 'x', FOLDER_KEYWORD_LENGTH + 1);
    one[0] = str_from(long_name);
    flags = (struct flags_wish){.change = FLAGS_ADD, .keywords = one, .keyword_count = 1};
    assert_int_equal(folder_store(folder, &all, &flags, NULL, NULL, &setup.failure), STORE_LIMIT);
    uid_set_free(&all);
    folder_close(&folder);
}

/* ---- views */

static void test_views_stand_still(void **state) {
    (void)state;
    save_some(INBOX, 5);
    struct folder *mine = setup_open_folder(INBOX, FOLDER_READ_WRITE), *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(other, "2,4");
    store_flags(other, "5", FLAGS_ADD, FLAG_SEEN, NULL);
    save_some(INBOX, 1);
    assert_string_equal(view_text(mine), "1 2 3 4 5");
    assert_string_equal(sync_text(mine, true), "~5 +"); /* no number moves */
    assert_string_equal(view_text(mine), "1 2:T 3 4:T 5:S 6");
    assert_string_equal(sync_text(mine, true), "");
    store_flags(mine, "1:2", FLAGS_ADD, FLAG_FLAGGED, NULL); /* 2 is gone */
    assert_string_equal(sync_text(mine, false), "-4 -2");
    assert_string_equal(view_text(mine), "1:F 3 5:S 6");
    assert_string_equal(sync_text(other, false), "-4 -2 ~1 +");
    assert_string_equal(view_text(other), view_text(mine));
    folder_close(&other);
    folder_close(&mine);
}

/* New and gone before anyone saw it. */
static void test_never_seen(void **state) {
    (void)state;
    save_some(INBOX, 1);
    struct folder *mine = setup_open_folder(INBOX, FOLDER_READ_WRITE), *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    save_some(INBOX, 2);
    assert_string_equal(sync_text(other, false), "+");
    expunge(other, "2");
    assert_string_equal(sync_text(mine, false), "+");
    assert_string_equal(view_text(mine), "1 3");
    save_some(INBOX, 1);
    assert_string_equal(sync_text(other, false), "-2 +");
    expunge(other, "4");
    assert_string_equal(sync_text(mine, false), "");
    assert_string_equal(view_text(mine), "1 3");
    folder_close(&other);
    folder_close(&mine);
}

static void test_message_gone(void **state) {
    (void)state;
    enum store_result result = STORE_OK;
    save_some(INBOX, 2);
    struct folder *mine = setup_open_folder(INBOX, FOLDER_READ_WRITE), *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(other, "1");
    assert_int_equal(folder_message_file(mine, 1, &result, &setup.failure), -1);
    assert_int_equal(result, STORE_MISSING);
    assert_int_equal(folder_count(mine), 2);
    store_flags(other, "2", FLAGS_ADD, FLAG_SEEN, NULL); /* renamed by the other session */
    assert_true(folder_settle(other, &setup.failure));
    int file = folder_message_file(mine, 2, &result, &setup.failure);
    assert_true(file >= 0);
    close(file);
    folder_close(&other);
    folder_close(&mine);
}

static void test_recent(void **state) {
    (void)state;
    uint32_t from, to;
    save_some(INBOX, 2);
    struct folder *examine = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_int_equal(folder_recent(examine), 2);
    folder_close(&examine);
    struct folder *first = setup_open_folder(INBOX, FOLDER_READ_WRITE), *second = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder_recent(first), 2);
    assert_int_equal(folder_recent(second), 0);
    save_some(INBOX, 1);
    assert_string_equal(sync_text(second, false), "+");
    assert_int_equal(folder_recent(second), 1);
    assert_string_equal(sync_text(first, false), "+");
    assert_int_equal(folder_recent(first), 2);
    save_some(INBOX, 1);
    assert_string_equal(sync_text(second, false), "+");
    assert_int_equal(folder_recent(second), 2);
    folder_recent_range(second, &from, &to);
    assert_true(from == 3 && to == 5);
    struct folder *third = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    folder_set_recent_range(third, from, to);
    assert_int_equal(folder_recent(third), 2);
    folder_close(&third);
    folder_close(&second);
    folder_close(&first);
}

static void test_first_unseen(void **state) {
    (void)state;
    save_some(INBOX, 4);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder_first_unseen(folder), 1);
    store_flags(folder, "1:2", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_int_equal(folder_first_unseen(folder), 3);
    store_flags(folder, "1:4", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_int_equal(folder_first_unseen(folder), 0);
    store_flags(folder, "2", FLAGS_REMOVE, FLAG_SEEN, NULL);
    assert_int_equal(folder_first_unseen(folder), 2);
    expunge(folder, "1");
    assert_string_equal(sync_text(folder, false), "-1");
    assert_int_equal(folder_first_unseen(folder), 1);
    store_flags(folder, "2", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_int_equal(folder_first_unseen(folder), 0);
    save_some(INBOX, 1);
    assert_int_equal(folder_first_unseen(folder), 0);
    assert_string_equal(sync_text(folder, false), "+");
    assert_int_equal(folder_first_unseen(folder), 4);
    folder_close(&folder);
}

static void check_status(unsigned messages, unsigned unseen, unsigned deleted, uint64_t size) {
    struct folder_status status;
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_int_equal(status.messages, messages);
    assert_int_equal(status.unseen, unseen);
    assert_int_equal(status.deleted, deleted);
    assert_int_equal(status.size, size);
}

static void test_status(void **state) {
    (void)state;
    struct folder_status status;
    check_status(0, 0, 0, 0);
    save_some(INBOX, 3);
    check_status(3, 3, 0, 60);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "1", FLAGS_ADD, FLAG_SEEN, NULL);
    store_flags(folder, "2", FLAGS_ADD, FLAG_SEEN | FLAG_DELETED, NULL);
    check_status(3, 1, 1, 60);
    assert_ok(folder_expunge(folder, NULL, &setup.failure));
    check_status(2, 1, 0, 40);
    setup_write_file("mail/cur/1.x.y:2,", STR("a\nb\r\n")); /* one that nobody has counted */
    check_status(3, 2, 0, 46);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_int_equal(status.uid_next, 5);
    assert_int_equal(status.uid_validity, folder_uid_validity(folder));
    assert_memory_equal(status.id, folder_id(folder), 16);
    assert_int_equal(folder_status(setup.store, STR("None"), true, &status, &setup.failure), STORE_MISSING);
    folder_close(&folder);
}

/* ---- expunging */

static void test_expunge(void **state) {
    (void)state;
    save_some(INBOX, 4);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct uid_set some = uids_of("2:3");
    store_flags(folder, "1,3", FLAGS_ADD, FLAG_DELETED, NULL);
    assert_ok(folder_expunge(folder, &some, &setup.failure));
    assert_string_equal(view_text(folder), "1:T 2 3:T 4");
    assert_string_equal(sync_text(folder, false), "-3");
    assert_int_equal(count_files("mail/cur"), 3);
    assert_ok(folder_expunge(folder, NULL, &setup.failure));
    assert_string_equal(sync_text(folder, false), "-1");
    assert_string_equal(fresh_view(INBOX), "2 4");
    assert_int_equal(count_files("mail/cur"), 2);
    uid_set_free(&some);
    folder_close(&folder);
}

/* As POP3 does it: without flags, and whatever else has gone meanwhile. */
static void test_remove(void **state) {
    (void)state;
    save_some(INBOX, 4);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE), *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct uid_set some = uids_of("2:3,9"), two = uids_of("1:2");
    struct buf name = buf_make(0);
    store_flags(other, "1", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_ok(folder_remove(other, &some, &setup.failure));
    assert_int_equal(count_files("mail/cur"), 2);
    assert_ok(folder_remove(folder, &two, &setup.failure));
    assert_int_equal(count_files("mail/cur"), 1);
    assert_ok(folder_remove(folder, &two, &setup.failure));
    assert_int_equal(folder_count(folder), 4); /* the view stays until it is synchronised */
    assert_string_equal(fresh_view(INBOX), "4");
    folder_file_name(folder, 4, &name);
    assert_true(name.length > 0 && str_find(buf_str(&name), ':') == STR_NONE && str_find(buf_str(&name), '/') == STR_NONE);
    buf_free(&name);
    uid_set_free(&some);
    uid_set_free(&two);
    folder_close(&other);
    folder_close(&folder);
}

static const char *expunged_since(const struct folder *folder, uint64_t modseq) {
    static char text[200];
    struct uid_set uids = {0};
    struct buf line = buf_make(0);
    assert_true(folder_expunged_since(folder, modseq, &uids));
    uid_set_format(&uids, &line);
    snprintf(text, sizeof text, "%s", buf_string(&line));
    uid_set_free(&uids);
    buf_free(&line);
    return text;
}

static void compact(void) {
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_true(folder_lock(folder, &setup.failure));
    assert_true(folder_snapshot_write(folder->directory, &folder->state, &setup.failure) &&
                folder_reload(folder, &setup.failure));
    folder_unlock(folder);
    folder_close(&folder);
}

static void test_expunged_since(void **state) {
    (void)state;
    uint64_t modseq[4];
    save_some(INBOX, 6);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    modseq[0] = folder_highest_modseq(folder);
    expunge(folder, "2");
    modseq[1] = folder_highest_modseq(folder);
    compact();
    assert_string_equal(sync_text(folder, false), "-2");
    expunge(folder, "4:5");
    modseq[2] = folder_highest_modseq(folder);
    expunge(folder, "1");
    for (int round = 0; round < 2; round++) { /* from the journal, then from the snapshot */
        assert_string_equal(expunged_since(folder, modseq[0]), "1:2,4:5");
        assert_string_equal(expunged_since(folder, modseq[1]), "1,4:5");
        assert_string_equal(expunged_since(folder, modseq[2]), "1");
        assert_string_equal(expunged_since(folder, folder_highest_modseq(folder)), "");
        compact();
        sync_text(folder, false);
    }
    folder_close(&folder);
}

/* ---- copying */

static void copy(struct folder *folder, const char *uids, struct str target, bool move, const char *wanted) {
    struct uid_set set = uids_of(uids), from = {0}, to = {0};
    struct buf text = buf_make(0);
    uint32_t validity = 0;
    assert_ok(folder_copy(folder, &set, target, move, &validity, &from, &to, &setup.failure));
    uid_set_format(&from, &text);
    buf_append(&text, STR(" "));
    uid_set_format(&to, &text);
    assert_string_equal(buf_string(&text), wanted);
    uid_set_free(&set);
    uid_set_free(&from);
    uid_set_free(&to);
    buf_free(&text);
}

static void test_copy(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    assert_ok(store_create(setup.store, STR("Sent"), 0, NULL, &setup.failure));
    setup_save(INBOX, FLAG_SEEN, "red", STR("one\r\n"));
    setup_save(INBOX, FLAG_FLAGGED, "green", STR("two\r\n"));
    setup_save(INBOX, 0, NULL, STR("three\r\n"));
    setup_save(STR("Sent"), 0, "blue", STR("other\r\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    copy(folder, "1:2", STR("Sent"), false, "1:2 2:3");
    assert_string_equal(fresh_view(STR("Sent")), "1+blue 2:S+red 3:F+green"); /* two new keywords at once */
    struct folder *sent = setup_open_folder(STR("Sent"), FOLDER_READ_WRITE);
    assert_text(message_bytes(sent, 3, &bytes), "two\n");
    struct folder_message message;
    folder_message(sent, 2, &message);
    assert_int_equal(message.internal_date, 1000000000);
    assert_int_equal(message.virtual_size, 5);
    folder_close(&sent);
    assert_string_equal(view_text(folder), "1:S+red 2:F+green 3");
    copy(folder, "3", INBOX, false, "3 4"); /* into itself */
    assert_string_equal(sync_text(folder, false), "+");
    assert_text(message_bytes(folder, 4, &bytes), "three\n");
    copy(folder, "9", STR("Sent"), false, " ");
    struct uid_set set = uids_of("1"), from = {0}, to = {0};
    uint32_t validity;
    assert_int_equal(folder_copy(folder, &set, STR("None"), false, &validity, &from, &to, &setup.failure),
                     STORE_MISSING);
    uid_set_free(&set);
    folder_close(&folder);
    buf_free(&bytes);
}

static void test_move(void **state) {
    (void)state;
    assert_ok(store_create(setup.store, STR("Archive"), 0, NULL, &setup.failure));
    save_some(INBOX, 3);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct folder *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(other, "3", FLAGS_ADD, FLAG_SEEN, "k"); /* goes along, though nobody has told this session yet */
    folder_close(&other);
    copy(folder, "2:3", STR("Archive"), true, "2:3 1:2");
    assert_string_equal(sync_text(folder, false), "-3 -2");
    assert_string_equal(fresh_view(INBOX), "1");
    assert_string_equal(fresh_view(STR("Archive")), "1 2:S+k");
    assert_int_equal(count_files("mail/cur"), 1);
    assert_int_equal(count_files("mail/.Archive/cur"), 2);
    folder_close(&folder);
}

/* ---- compaction */

static void test_compaction_under_a_view(void **state) {
    (void)state;
    save_some(INBOX, 6);
    struct folder *mine = setup_open_folder(INBOX, FOLDER_READ_WRITE), *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(mine, "6");
    assert_string_equal(sync_text(mine, false), "-6");
    assert_string_equal(sync_text(other, false), "-6");
    expunge(other, "2,5");
    assert_string_equal(sync_text(mine, true), "");
    store_flags(other, "3", FLAGS_ADD, FLAG_SEEN, "k");
    compact();
    save_some(INBOX, 1);
    store_flags(other, "4", FLAGS_ADD, FLAG_ANSWERED, NULL);
    assert_int_equal(folder_count(mine), 5);
    assert_string_equal(sync_text(mine, true), "~3 ~4 +");
    assert_int_equal(folder_count(mine), 6);
    assert_int_equal(folder_uid(mine, 2), 2);
    assert_string_equal(sync_text(mine, false), "-5 -2");
    assert_string_equal(view_text(mine), "1 3:S+k 4:R 7");
    compact();
    assert_string_equal(sync_text(mine, false), "");
    assert_string_equal(view_text(mine), "1 3:S+k 4:R 7");
    sync_text(other, false);
    assert_string_equal(view_text(other), "1 3:S+k 4:R 7");
    folder_close(&other);
    folder_close(&mine);
}

/* Whoever makes the file anew writes flags into names, whoever has changed them. */
static void test_compaction_names_files(void **state) {
    (void)state;
    struct buf path = buf_make(0);
    save_some(INBOX, 1);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "1", FLAGS_ADD, FLAG_SEEN, NULL);
    folder_close(&folder); /* a process that was killed before it settled */
    struct folder *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    for (int i = 0; i < 2000; i++)
        store_flags(other, "1", i % 2 ? FLAGS_ADD : FLAGS_REMOVE, FLAG_FLAGGED, NULL);
    other->names_behind = false;
    assert_true(folder_settle(other, &setup.failure));
    assert_true(other->state.position < 10000); /* it was made anew */
    setup_path_of(other, 1, &path);
    assert_true(str_ends(buf_str(&path), STR(":2,FS")) && setup_is_there(buf_string(&path)));
    folder_close(&other);
    buf_free(&path);
}

static void save_many(unsigned count) {
    enum store_result result;
    struct uid_set uids = {0};
    uint32_t validity;
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    assert_non_null(saving);
    for (unsigned i = 0; i < count; i++)
        assert_ok(folder_save_message(saving, 0, NULL, 0, 1000000000, &setup.failure));
    assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
    uid_set_free(&uids);
}

static void assert_settled_as(const struct folder *folder, uint32_t uid, const char *info) {
    struct buf path = buf_make(0);
    setup_path_of(folder, uid, &path);
    if (!str_ends(buf_str(&path), str_from(info)) || !setup_is_there(buf_string(&path)))
        fail_msg("%u is %s", uid, buf_string(&path));
    buf_free(&path);
}

/* Names are settled in parts of the snapshot that have changed, and behind its last part, which is no whole one. */
static void test_names_of_all_parts(void **state) {
    (void)state;
    save_many(300);
    compact();
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    save_some(INBOX, 2);
    sync_text(folder, false);
    store_flags(folder, "2,302", FLAGS_ADD, FLAG_FLAGGED, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    assert_settled_as(folder, 2, ":2,F");
    assert_settled_as(folder, 299, ":2,");
    assert_settled_as(folder, 302, ":2,F");
    store_flags(folder, "300,301", FLAGS_ADD, FLAG_SEEN, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    assert_settled_as(folder, 300, ":2,S");
    assert_settled_as(folder, 301, ":2,S");
    folder_close(&folder);
}

/* ---- a view of the past */

static void test_restore_view(void **state) {
    (void)state;
    save_some(INBOX, 4);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(folder, "1");
    assert_string_equal(sync_text(folder, false), "-1");
    uint32_t validity = folder_uid_validity(folder), next = folder_uid_next(folder);
    uint64_t modseq = folder_highest_modseq(folder);
    folder_close(&folder);
    struct folder *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    expunge(other, "3");
    store_flags(other, "4", FLAGS_ADD, FLAG_SEEN, NULL);
    save_some(INBOX, 2);
    sync_text(other, false);
    expunge(other, "6");
    folder_close(&other);
    for (int round = 0; round < 2; round++) {
        folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
        assert_false(folder_restore_view(folder, validity + 1, next, modseq));
        assert_true(folder_restore_view(folder, validity, next, modseq));
        assert_int_equal(folder_count(folder), 3);
        assert_int_equal(folder_uid(folder, 2), 3);
        assert_string_equal(sync_text(folder, false), "-2 ~2 +");
        assert_string_equal(view_text(folder), "2 4:S 5");
        folder_close(&folder);
        compact();
    }
}

/* ---- the file itself */

static void test_torn_journal(void **state) {
    (void)state;
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    int file = openat(setup.directory, "mail/tern-mailbox", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(file, "half an entry", 13), 13);
    close(file);
    assert_string_equal(sync_text(folder, false), "");
    store_flags(folder, "1", FLAGS_ADD, FLAG_SEEN, NULL); /* cuts it off */
    assert_string_equal(fresh_view(INBOX), "1:S 2");
    folder_close(&folder);
}

static void test_damaged_file(void **state) {
    (void)state;
    setup_save(INBOX, FLAG_SEEN, "Work", STR("x\r\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    uint32_t validity = folder_uid_validity(folder);
    assert_true(folder_settle(folder, &setup.failure));
    folder_close(&folder);
    setup_write_file("mail/tern-mailbox", STR("no such thing"));
    folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_string_equal(view_text(folder), "1:S");
    assert_true(folder_uid_validity(folder) > validity);
    assert_true(setup_is_there("mail/tern-mailbox.damaged"));
    validity = folder_uid_validity(folder);
    folder_close(&folder);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox", 0), 0);
    folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_string_equal(view_text(folder), "1:S");
    assert_true(folder_uid_validity(folder) > validity);
    folder_close(&folder);
}

/* A handle whose folder has got a new UIDVALIDITY says so. */
static void test_renewed(void **state) {
    (void)state;
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox", 0), 0);
    struct folder *other = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    const char *text = sync_text(folder, false);
    assert_non_null(strchr(text, '!'));
    folder_close(&other);
    folder_close(&folder);
}

/* ---- the target that is kept open between two savings */

static uint32_t count_of(struct str name) {
    struct folder_status status;
    assert_ok(folder_status(setup.store, name, true, &status, &setup.failure));
    return status.messages;
}

/* Another mailbox has the name now, or none. */
static void test_target_replaced(void **state) {
    (void)state;
    enum store_result result;
    struct store *other = store_open(&setup.options, &setup.failure); /* as another process */
    assert_non_null(other);
    assert_ok(store_create(other, STR("Work"), 0, NULL, &setup.failure));
    save_some(STR("Work"), 2);
    assert_non_null(setup.store->target);
    assert_ok(store_rename(other, STR("Work"), STR("Old"), &setup.failure));
    assert_null(folder_save_begin(setup.store, STR("Work"), &result, &setup.failure));
    assert_int_equal(result, STORE_MISSING);
    assert_ok(store_create(other, STR("Work"), 0, NULL, &setup.failure));
    save_some(STR("Old"), 1);
    save_some(STR("Work"), 1);
    assert_int_equal(count_of(STR("Old")), 3);
    assert_int_equal(count_of(STR("Work")), 1);
    assert_ok(store_delete(other, STR("Work"), &setup.failure));
    assert_ok(store_create(other, STR("Work"), 0, NULL, &setup.failure));
    save_some(STR("Work"), 1);
    assert_int_equal(count_of(STR("Work")), 1);
    store_close(&other);
}

/* Others write, write the file anew, or lose it. */
static void test_target_changes(void **state) {
    (void)state;
    assert_int_equal(setup_save(INBOX, 0, NULL, STR("one\n")), 1);
    struct folder *open = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    uint32_t validity = folder_uid_validity(open);
    expunge(open, "1");
    assert_true(folder_lock(open, &setup.failure));
    assert_true(folder_snapshot_write(open->directory, &open->state, &setup.failure) &&
                folder_reload(open, &setup.failure));
    folder_unlock(open);
    assert_int_equal(setup_save(INBOX, 0, "Label", STR("two\n")), 2);
    setup_write_file("mail/cur/1000.dropped:2,S", STR("three\n")); /* met by who looks, not by who saves */
    assert_int_equal(setup_save(INBOX, 0, "Other", STR("four\n")), 3);
    assert_string_equal(fresh_view(INBOX), "2+Label 3+Other 4:S");
    assert_int_equal(setup_save(INBOX, 0, NULL, STR("five\n")), 5);
    folder_close(&open);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox", 0), 0);
    setup_save(INBOX, 0, NULL, STR("six\n"));
    open = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_int_equal(folder_count(open), 5);
    assert_true(folder_uid_validity(open) > validity);
    folder_close(&open);
}

/* Nobody else may ever settle what is only appended to. */
static void test_target_settled(void **state) {
    (void)state;
    struct buf text = buf_make(0);
    save_some(INBOX, 700);
    size_t before = setup_read_file("mail/tern-mailbox", &text).length;
    reopen_store();
    size_t after = setup_read_file("mail/tern-mailbox", &text).length;
    assert_true(after < before);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_int_equal(folder->state.base, 700);
    folder_close(&folder);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_target_replaced),
        FOLDER_TEST(test_target_changes),
        FOLDER_TEST(test_target_settled),
        FOLDER_TEST(test_save_and_read),
        FOLDER_TEST(test_line_ends),
        FOLDER_TEST(test_save_several),
        FOLDER_TEST(test_save_abandoned),
        FOLDER_TEST(test_delivery_is_new),
        FOLDER_TEST(test_flags),
        FOLDER_TEST(test_unchanged_since),
        FOLDER_TEST(test_keyword_limits),
        FOLDER_TEST(test_views_stand_still),
        FOLDER_TEST(test_never_seen),
        FOLDER_TEST(test_message_gone),
        FOLDER_TEST(test_recent),
        FOLDER_TEST(test_first_unseen),
        FOLDER_TEST(test_status),
        FOLDER_TEST(test_expunge),
        FOLDER_TEST(test_remove),
        FOLDER_TEST(test_expunged_since),
        FOLDER_TEST(test_copy),
        FOLDER_TEST(test_move),
        FOLDER_TEST(test_compaction_under_a_view),
        FOLDER_TEST(test_compaction_names_files),
        FOLDER_TEST(test_names_of_all_parts),
        FOLDER_TEST(test_restore_view),
        FOLDER_TEST(test_torn_journal),
        FOLDER_TEST(test_damaged_file),
        FOLDER_TEST(test_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
