/* Other programs at work in the Maildir: mail dropped in, files renamed, moved and removed. */
#include "setup.h"

/* Deliveries take no lock: what comes while we change names of our own is no change of ours. */
static void test_delivered_meanwhile(void **state) {
    (void)state;
    struct folder_own_change own;
    struct buf entries = buf_make(0);
    save_some(INBOX, 1);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    let_dates_grow_old();
    assert_string_equal(sync_text(folder, false), "");
    assert_true(folder_lock(folder, &setup.failure));
    folder_own_change_begin(folder, &own);
    setup_write_file("mail/new/1700000002.a.host", STR("delivered\n"));
    folder_own_change_end(folder, &own, &entries);
    assert_ok(folder_append(folder, &entries, APPEND_OWN, &setup.failure));
    folder_unlock(folder);
    assert_string_equal(sync_text(folder, false), "+");
    assert_string_equal(view_text(folder), "1 2");
    buf_free(&entries);
    folder_close(&folder);
}

static void test_dropped_in(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    save_some(INBOX, 1);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    setup_write_file("mail/new/1700000002.b.host", STR("second\n"));
    setup_write_file("mail/new/1700000001.a.host", STR("first\n"));
    setup_write_file("mail/cur/1700000003.c.host:2,RS", STR("third\n"));
    setup_write_file("mail/new/.hidden", STR("no message\n"));
    assert_string_equal(sync_text(folder, false), "+");
    assert_string_equal(view_text(folder), "1 2 3 4:RS"); /* in the order of their dates */
    assert_text(message_bytes(folder, 2, &bytes), "first\n");
    setup_write_file("mail/new/1700000003.V8I3M100.host", STR("sixth\n"));
    setup_write_file("mail/new/1700000003.V8I4M20.host", STR("fifth\n"));
    assert_string_equal(sync_text(folder, false), "+");
    assert_text(message_bytes(folder, 5, &bytes), "fifth\n"); /* in the same second */
    let_dates_grow_old();
    assert_string_equal(sync_text(folder, false), "");
    setup_write_file("mail/cur/1700000004.d.host", STR("without flags\n"));
    assert_string_equal(sync_text(folder, false), "+");
    assert_text(message_bytes(folder, 7, &bytes), "without flags\n");
    store_flags(folder, "1:7", FLAGS_ADD, FLAG_FLAGGED, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    assert_true(setup_is_there("mail/cur/1700000001.a.host:2,F") && setup_is_there("mail/cur/1700000004.d.host:2,F"));
    assert_true(setup_is_there("mail/new/.hidden"));
    folder_close(&folder);
    buf_free(&bytes);
}

static void test_renamed_flags(void **state) {
    (void)state;
    struct buf from = buf_make(0), to = buf_make(0), bytes = buf_make(0);
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "1", FLAGS_ADD, FLAG_FLAGGED, "k");
    assert_true(folder_settle(folder, &setup.failure));
    store_flags(folder, "1", FLAGS_ADD, FLAG_ANSWERED, NULL); /* not in the name yet */
    setup_path_of(folder, 1, &from);
    buf_append(&to, str_slice(buf_str(&from), 0, from.length - 1)); /* F taken away, S added */
    buf_append_char(&to, 'S');
    rename_file(buf_string(&from), buf_string(&to));
    assert_string_equal(sync_text(folder, false), "~1");
    assert_string_equal(view_text(folder), "1:RS+k 2");
    assert_text(message_bytes(folder, 1, &bytes), "Subject: x\n\nbody\n");
    assert_true(folder_settle(folder, &setup.failure));
    setup_path_of(folder, 1, &from);
    assert_true(str_ends(buf_str(&from), STR(":2,RS")) && setup_is_there(buf_string(&from)));
    folder_close(&folder);
    buf_free(&from);
    buf_free(&to);
    buf_free(&bytes);
}

/* Names that we would not write: letters of Dovecot's keywords, of nobody, in another order. */
static void test_odd_names(void **state) {
    (void)state;
    static const char *const infos[] = {":2,Sab", ":2,SF", ":2,Zx", ":1,what", ":2,FSab", ":", ":2,S"};
    struct buf from = buf_make(0), to = buf_make(0), bytes = buf_make(0);
    setup_write_file("mail/cur/17.a.host:2,Sb", STR("odd from the start\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_string_equal(view_text(folder), "1:S");
    for (size_t i = 0; i < ARRAY_LENGTH(infos); i++) {
        setup_path_of(folder, 1, &from);
        buf_clear(&to);
        buf_printf(&to, "mail/cur/17.a.host%s", infos[i]);
        rename_file(buf_string(&from), buf_string(&to));
        sync_text(folder, false);
        assert_int_equal(folder_count(folder), 1);
        assert_int_equal(folder_uid(folder, 1), 1);
        assert_text(message_bytes(folder, 1, &bytes), "odd from the start\n");
        setup_path_of(folder, 1, &from);
        assert_true(setup_is_there(buf_string(&from)));
    }
    assert_string_equal(view_text(folder), "1:S");
    expunge(folder, "1");
    assert_int_equal(count_files("mail/cur"), 0);
    folder_close(&folder);
    buf_free(&from);
    buf_free(&to);
    buf_free(&bytes);
}

static void test_removed(void **state) {
    (void)state;
    struct buf path = buf_make(0);
    enum store_result result = STORE_OK;
    save_some(INBOX, 3);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    setup_path_of(folder, 2, &path);
    assert_int_equal(unlinkat(setup.directory, buf_string(&path), 0), 0);
    assert_int_equal(folder_message_file(folder, 2, &result, &setup.failure), -1);
    assert_int_equal(result, STORE_MISSING);
    assert_int_equal(folder_count(folder), 3);
    assert_string_equal(sync_text(folder, false), "-2");
    assert_string_equal(view_text(folder), "1 3");
    assert_string_equal(fresh_view(INBOX), "1 3");
    folder_close(&folder);
    buf_free(&path);
}

/* One that leaves new/ while nothing happens in cur/: the others stay what they are. */
static void test_removed_from_new(void **state) {
    (void)state;
    save_some(INBOX, 3);
    setup_write_file("mail/new/17.a.host", STR("new\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_string_equal(view_text(folder), "1 2 3 4");
    let_dates_grow_old();
    sync_text(folder, false);
    assert_string_equal(sync_text(folder, false), "");
    assert_int_equal(unlinkat(setup.directory, "mail/new/17.a.host", 0), 0);
    assert_string_equal(sync_text(folder, false), "-4");
    assert_string_equal(view_text(folder), "1 2 3");
    let_dates_grow_old();
    assert_string_equal(sync_text(folder, false), "");
    assert_string_equal(fresh_view(INBOX), "1 2 3");
    folder_close(&folder);
}

/* As every program that reads mail does it. */
static void test_moved_to_cur(void **state) {
    (void)state;
    struct buf bytes = buf_make(0);
    save_some(INBOX, 2);
    setup_write_file("mail/new/17.a.host", STR("new\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    let_dates_grow_old();
    sync_text(folder, false);
    rename_file("mail/new/17.a.host", "mail/cur/17.a.host:2,S");
    assert_text(message_bytes(folder, 3, &bytes), "new\n"); /* found again before anything is told */
    assert_string_equal(sync_text(folder, false), "~3");
    assert_string_equal(view_text(folder), "1 2 3:S");
    rename_file("mail/cur/17.a.host:2,S", "mail/new/17.a.host");
    assert_string_equal(sync_text(folder, false), "~3");
    assert_text(message_bytes(folder, 3, &bytes), "new\n");
    folder_close(&folder);
    buf_free(&bytes);
}

/* An expunged message whose file another program has just renamed is removed, and does not come back. */
static void test_expunged_and_renamed(void **state) {
    (void)state;
    struct buf from = buf_make(0), to = buf_make(0);
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    setup_path_of(folder, 1, &from);
    buf_append(&to, buf_str(&from));
    buf_append_char(&to, 'S');
    rename_file(buf_string(&from), buf_string(&to));
    expunge(folder, "1");
    for (int i = 0; i < 1500; i++) /* a long journal: settling makes the file anew */
        store_flags(folder, "2", i % 2 ? FLAGS_REMOVE : FLAGS_ADD, FLAG_FLAGGED, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    assert_string_equal(sync_text(folder, false), "-1");
    assert_string_equal(fresh_view(INBOX), "2");
    assert_int_equal(count_files("mail/cur"), 1);
    folder_close(&folder);
    buf_free(&from);
    buf_free(&to);
}

/* ... and one that is gone already is not looked for for ever. */
static void test_expunged_and_removed(void **state) {
    (void)state;
    struct buf path = buf_make(0);
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    store_flags(folder, "1", FLAGS_ADD, FLAG_DELETED, NULL);
    assert_true(folder_settle(folder, &setup.failure));
    setup_path_of(folder, 1, &path);
    assert_true(folder_lock(folder, &setup.failure)); /* nobody has looked since */
    struct uid_set one = uids_of("1");
    assert_int_equal(unlinkat(setup.directory, buf_string(&path), 0), 0);
    assert_ok(folder_expunge_uids(folder, &one, true, &setup.failure));
    folder_unlock(folder);
    uid_set_free(&one);
    assert_string_equal(sync_text(folder, false), "-1");
    assert_true(folder_settle(folder, &setup.failure));
    assert_false(folder_is_unsettled(folder));
    folder_close(&folder);
    buf_free(&path);
}

/* A file that has another name now is copied all the same, into its own folder too. */
static void test_copied_and_renamed(void **state) {
    (void)state;
    struct buf from = buf_make(0), to = buf_make(0);
    struct uid_set all = uids_of("1:2"), of = {0}, made = {0};
    uint32_t validity;
    save_some(INBOX, 2);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    setup_path_of(folder, 2, &from);
    buf_append(&to, buf_str(&from));
    buf_append_char(&to, 'S');
    rename_file(buf_string(&from), buf_string(&to));
    int64_t begun = clock_date();
    assert_ok(folder_copy(folder, &all, INBOX, false, &validity, &of, &made, &setup.failure));
    assert_true(clock_date() - begun < 10 * CLOCK_SECOND); /* it did not wait for its own lock */
    assert_int_equal(uid_set_size(&of), 2);
    assert_int_equal(uid_set_size(&made), 2);
    sync_text(folder, false);
    assert_int_equal(folder_count(folder), 4);
    assert_int_equal(count_files("mail/cur"), 4);
    uid_set_free(&all);
    uid_set_free(&of);
    uid_set_free(&made);
    folder_close(&folder);
    buf_free(&from);
    buf_free(&to);
}

/* The same base name twice is one message. */
static void test_twice(void **state) {
    (void)state;
    setup_write_file("mail/new/17.a.host", STR("x\n"));
    setup_write_file("mail/cur/17.a.host:2,S", STR("x\n"));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder_count(folder), 1);
    sync_text(folder, false);
    assert_int_equal(folder_count(folder), 1);
    folder_close(&folder);
}

/* Another program's mail and ours in turn: our own changes do not hide its. */
static void test_in_turn(void **state) {
    (void)state;
    char path[64];
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "mail/%s/17.%u.host%s", i % 2 ? "new" : "cur", i, i % 2 ? "" : ":2,");
        setup_write_file(path, STR("x\n"));
        if (i % 3 == 0) save_some(INBOX, 1);
        if (i % 5 == 0) let_dates_grow_old();
        sync_text(folder, false);
        store_flags(folder, "1:*", i % 2 ? FLAGS_ADD : FLAGS_REMOVE, FLAG_SEEN, NULL);
        assert_true(folder_settle(folder, &setup.failure));
        assert_int_equal(folder_count(folder), i + 1 + i / 3 + 1);
    }
    let_dates_grow_old();
    assert_string_equal(sync_text(folder, false), "");
    folder_close(&folder);
}

/* ---- dates that nobody has asked for */

static int64_t known_date(const struct folder *folder, uint32_t sequence) {
    struct folder_message message;
    folder_message_known(folder, sequence, &message);
    return message.internal_date;
}

static uint64_t known_size(const struct folder *folder, uint32_t sequence) {
    struct folder_message message;
    folder_message_known(folder, sequence, &message);
    return message.size;
}

static int64_t date(const struct folder *folder, uint32_t sequence) {
    struct folder_message message;
    folder_message(folder, sequence, &message);
    return message.internal_date;
}

static void drop_dated(const char *path, int64_t seconds) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};
    setup_write_file(path, STR("12345"));
    assert_int_equal(utimensat(setup.directory, path, times, 0), 0);
}

/* A name with a size needs no look at the file, until somebody asks for the date; then it stays. */
static void test_date_learnt(void **state) {
    (void)state;
    drop_dated("mail/cur/100.a,S=5,W=5:2,S", 1000);
    drop_dated("mail/cur/101.b:2,S", 2000);
    drop_dated("mail/cur/102.c,S=5:2,S", 3000);
    drop_dated("mail/cur/103.d,S=0:2,S", 4000);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE),
                  *other = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_true(known_date(folder, 1) == FOLDER_DATE_UNKNOWN && known_date(folder, 3) == FOLDER_DATE_UNKNOWN);
    assert_true(known_date(folder, 2) == FOLDER_DATE_UNKNOWN && known_size(folder, 2) == FOLDER_SIZE_UNKNOWN);
    assert_true(known_size(folder, 1) == 5 && known_size(folder, 4) == FOLDER_SIZE_UNKNOWN);
    assert_true(date(folder, 2) == 2000 && known_size(folder, 2) == 5); /* both by one look */
    assert_true(folder_settle(folder, &setup.failure));                 /* \Recent was claimed */
    assert_false(folder_is_unsettled(folder));
    assert_true(date(folder, 1) == 1000 && known_date(folder, 1) == 1000 &&
                known_date(folder, 3) == FOLDER_DATE_UNKNOWN);
    assert_true(folder_is_unsettled(folder));
    assert_true(folder_settle(folder, &setup.failure));
    drop_dated("mail/cur/100.a,S=5,W=5:2,S", 1111); /* touched later: the message has its date */
    assert_string_equal(sync_text(other, false), "");
    assert_true(date(folder, 1) == 1000 && date(other, 1) == 1000 && known_date(other, 3) == FOLDER_DATE_UNKNOWN);
    assert_true(date(other, 3) == 3000);
    folder_close(&other); /* without settling: it is learnt again */
    folder_close(&folder);
    folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_true(known_date(folder, 1) == 1000 && known_date(folder, 3) == FOLDER_DATE_UNKNOWN &&
                date(folder, 3) == 3000);
    assert_true(folder_lock(folder, &setup.failure));
    assert_true(folder_snapshot_write(folder->directory, &folder->state, &setup.failure) &&
                folder_reload(folder, &setup.failure)); /* nor is it lost here */
    folder_unlock(folder);
    assert_true(known_date(folder, 1) == 1000 && known_date(folder, 3) == 3000);
    folder_close(&folder);
}

/* The file is called otherwise by now, or is gone. */
static void test_date_renamed(void **state) {
    (void)state;
    drop_dated("mail/cur/100.a,S=5:2,S", 1000);
    drop_dated("mail/cur/101.b,S=5:2,S", 2000);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    let_dates_grow_old();
    rename_file("mail/cur/100.a,S=5:2,S", "mail/cur/100.a,S=5:2,FS");
    assert_int_equal(unlinkat(setup.directory, "mail/cur/101.b,S=5:2,S", 0), 0);
    assert_true(date(folder, 1) == 1000);
    assert_true(date(folder, 2) == 101); /* what its name says */
    assert_string_equal(sync_text(folder, false), "-2 ~1");
    assert_true(known_date(folder, 1) == 1000);
    folder_close(&folder);
}

/* Sums know all sizes, and who has once asked need not look again. */
static void test_size_learnt(void **state) {
    (void)state;
    struct store_usage usage;
    struct folder_status status;
    uint64_t size;
    drop_dated("mail/cur/100.a:2,ST", 1000);
    drop_dated("mail/cur/101.b:2,", 2000);
    drop_dated("mail/cur/102.c,S=5:2,T", 3000);
    drop_dated("mail/cur/103.d,W=5:2,", 4000);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_true(known_size(folder, 4) == 5 && folder->state.header.unsized == 2 && folder->state.header.size == 10);
    assert_true(store_usage(setup.store, &usage, &setup.failure));
    assert_true(usage.octets == 20 && usage.messages == 4);
    assert_string_equal(sync_text(folder, false), "");
    assert_true(known_size(folder, 1) == 5 && folder->state.header.unsized == 0 && folder->state.header.size == 20);
    drop_dated("mail/cur/104.e:2,T", 5000);
    drop_dated("mail/cur/105.f:2,T", 6000);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_true(status.size == 30 && status.deleted_size == 20 && status.messages == 6);
    drop_dated("mail/cur/106.g:2,", 7000);
    assert_string_equal(sync_text(folder, false), "+");
    assert_true(known_size(folder, 7) == FOLDER_SIZE_UNKNOWN);
    assert_true(folder_virtual_size(folder, 7, &size, &setup.failure) && size == 5);
    assert_true(known_size(folder, 7) == 5 && known_date(folder, 7) == 7000);
    drop_dated("mail/cur/107.h:2,S", 8000);
    drop_dated("mail/cur/108.i:2,S", 9000);
    assert_string_equal(sync_text(folder, false), "+");
    assert_int_equal(folder->state.header.unsized, 2);
    expunge(folder, "8"); /* nobody has looked at it */
    assert_int_equal(folder->state.header.unsized, 1);
    assert_true(folder_settle(folder, &setup.failure));
    folder_close(&folder);
    folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_true(folder->state.header.unsized == 1 && folder->state.header.size == 35);
    folder_close(&folder);
}

/* Copies have the date, whether the source knows it or not. */
static void test_date_copied(void **state) {
    (void)state;
    struct uid_set uids = uids_of("1:2"), from = {0}, to = {0};
    uint32_t validity;
    drop_dated("mail/cur/100.a,S=5:2,S", 1000);
    drop_dated("mail/cur/101.b:2,S", 2000);
    assert_ok(store_create(setup.store, STR("Other"), 0, NULL, &setup.failure));
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_ok(folder_copy(folder, &uids, STR("Other"), true, &validity, &from, &to, &setup.failure));
    folder_close(&folder);
    folder = setup_open_folder(STR("Other"), FOLDER_READ_ONLY);
    assert_int_equal(folder_count(folder), 2);
    assert_true(date(folder, 1) == 1000 && date(folder, 2) == 2000);
    folder_close(&folder);
    uid_set_free(&uids);
    uid_set_free(&from);
    uid_set_free(&to);
}

/* ---- many at once */

#define MANY 1500

static void drop_many(void) {
    char path[64];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "mail/cur/%u.m%u,S=5,W=5:2,%s", 100000 + i * 7 % MANY, i, i % 3 ? "S" : "");
        drop_dated(path, 5000 + i * 7 % MANY);
    }
}

static void check_many(const struct folder *folder) {
    struct folder_message message;
    assert_int_equal(folder_count(folder), MANY);
    for (uint32_t sequence = 1; sequence <= MANY; sequence++) {
        folder_message(folder, sequence, &message);
        assert_int_equal(message.uid, sequence);
        assert_int_equal(message.internal_date, 5000 + sequence - 1);
        assert_int_equal(message.size, 5);
    }
}

/* The first look at a large folder writes tern-mailbox anew: there is no journal to be read by the next. */
static void test_first_look(void **state) {
    (void)state;
    struct folder *early = setup_open_folder(INBOX, FOLDER_READ_WRITE); /* sees it in passing */
    drop_many();
    assert_int_equal(mkdirat(setup.directory, "mail/cur/99999.folder,S=5:2,", 0700), 0);
    assert_int_equal(symlinkat("/dev/null", setup.directory, "mail/cur/99998.link,S=5:2,"), 0);
    assert_int_equal(mkfifoat(setup.directory, "mail/cur/99997.pipe,S=5:2,", 0600), 0);
    let_dates_grow_old();
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_true(folder->state.position == folder->state.map_size && folder->state.base == MANY);
    assert_string_equal(sync_text(early, false), "+");
    check_many(folder);
    check_many(early);
    folder_close(&folder);
    folder_close(&early);
    folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_false(folder_is_stale(folder)); /* and nothing has to be read again */
    check_many(folder);
    assert_int_equal(folder_uid_next(folder), MANY + 1);
    folder_close(&folder);
}

/* It cannot be written: nobody is told of anything, and the next one begins from the start. */
static void test_first_look_full(void **state) {
    (void)state;
    enum store_result result;
    struct folder *early = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    drop_many();
    assert_int_equal(mkdirat(setup.directory, "mail/tern-mailbox.new", 0700), 0);
    assert_null(folder_open(setup.store, INBOX, FOLDER_READ_WRITE, &result, &setup.failure));
    assert_int_equal(result, STORE_BROKEN);
    assert_int_not_equal(folder_sync(early, false, NULL, &setup.failure), STORE_OK);
    assert_int_equal(folder_count(early), 0);
    assert_int_equal(folder_uid_next(early), 1);
    assert_int_equal(unlinkat(setup.directory, "mail/tern-mailbox.new", AT_REMOVEDIR), 0);
    assert_string_equal(sync_text(early, false), "+");
    check_many(early);
    folder_close(&early);
}

/* With new mail among it, or odd names, it goes by way of the journal: files are renamed later. */
static void test_first_look_new(void **state) {
    (void)state;
    drop_many();
    drop_dated("mail/new/200000.n", 5000 + MANY);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder_count(folder), MANY + 1);
    assert_true(folder->state.position > folder->state.map_size);
    assert_true(folder_settle(folder, &setup.failure));
    assert_true(setup_is_there("mail/cur/200000.n:2,"));
    assert_true(folder->state.position == folder->state.map_size);
    folder_close(&folder);
}

/* Text of so many octets, with line ends of both kinds. Returns its size when all are CR LF. */
static size_t make_text(struct buf *text, uint32_t length, uint32_t kind) {
    size_t more = 0;
    buf_clear(text);
    for (uint32_t i = 0; i < length; i++) {
        bool end = i % 7 == kind % 7, after_cr = text->length > 0 && text->data[text->length - 1] == '\r';
        buf_append_char(text, end ? '\n' : i % 7 + 1 == kind % 7 && kind % 2 ? '\r' : 'x');
        more += end && !after_cr;
    }
    return length + more;
}

#define COUNTED 300

/* Sizes that many files have are the same with and without threads, and where a file is called otherwise by then. */
static void count_many(unsigned threads) {
    struct buf text = buf_make(0);
    size_t wanted[COUNTED], sum = 0;
    char path[64], other[64];
    uint64_t size;
    struct folder_status status;
    for (uint32_t i = 0; i < COUNTED; i++) {
        wanted[i] = make_text(&text, i == 7 ? 100000 : i, i);
        sum += wanted[i];
        snprintf(path, sizeof path, "mail/cur/%u.x:2,", 1000 + i);
        setup_write_file(path, buf_str(&text));
    }
    setup.options.read_threads = threads;
    reopen_store();
    assert_ok(folder_status(setup.store, INBOX, false, &status, &setup.failure));
    assert_int_equal(status.messages, COUNTED);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_int_equal(folder->state.header.uncounted, COUNTED); /* who asks for no sizes has none counted */
    for (uint32_t i = 5; i < COUNTED; i += 50) {
        snprintf(path, sizeof path, "mail/cur/%u.x:2,", 1000 + i);
        snprintf(other, sizeof other, "mail/cur/%u.x:2,S", 1000 + i);
        rename_file(path, other);
    }
    assert_ok(folder_count_all(folder, &setup.failure));
    for (uint32_t i = 0; i < COUNTED; i++) {
        struct folder_message message;
        folder_message_known(folder, i + 1, &message);
        assert_true(folder_virtual_size(folder, i + 1, &size, &setup.failure));
        if (size != wanted[i]) fail_msg("message %u: %llu, not %zu", i, (unsigned long long)size, wanted[i]);
        assert_true(i == 0 || message.virtual_size == wanted[i]);
    }
    folder_close(&folder);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_int_equal(status.size, sum);
    buf_free(&text);
}

static void test_count_many(void **state) {
    (void)state;
    count_many(0);
}

static void test_count_with_threads(void **state) {
    (void)state;
    count_many(2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_date_learnt),
        FOLDER_TEST(test_size_learnt),
        FOLDER_TEST(test_count_many),
        FOLDER_TEST(test_count_with_threads),
        FOLDER_TEST(test_date_renamed),
        FOLDER_TEST(test_date_copied),
        FOLDER_TEST(test_first_look),
        FOLDER_TEST(test_first_look_full),
        FOLDER_TEST(test_first_look_new),
        FOLDER_TEST(test_delivered_meanwhile),
        FOLDER_TEST(test_dropped_in),
        FOLDER_TEST(test_renamed_flags),
        FOLDER_TEST(test_odd_names),
        FOLDER_TEST(test_removed),
        FOLDER_TEST(test_removed_from_new),
        FOLDER_TEST(test_moved_to_cur),
        FOLDER_TEST(test_expunged_and_renamed),
        FOLDER_TEST(test_expunged_and_removed),
        FOLDER_TEST(test_twice),
        FOLDER_TEST(test_in_turn),
        FOLDER_TEST(test_copied_and_renamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
