/* What the tests of lib/store share: a Maildir of their own, messages in it, and looking at both. */
#ifndef TERN_STORE_TEST_SETUP_H
#define TERN_STORE_TEST_SETUP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "folder_dates.h"
#include "folder_expunge.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "folder_snapshot.h"
#include "hash.h"
#include "store_name.h"
#include "store_root.h"

#define INBOX STR("INBOX")

struct setup {
    char top[64];
    int directory; /* of top: mail/ and cache/ are in it */
    char root[96], cache[96];
    struct store_options options;
    struct store *store;
    struct failure failure;
};

static struct setup setup;

UNUSED static void reopen_store(void) {
    store_close(&setup.store);
    setup.store = store_open(&setup.options, &setup.failure);
    assert_non_null(setup.store);
}

UNUSED static int setup_make(void **state) {
    (void)state;
    setup = (struct setup){.top = "/tmp/tern-store-XXXXXX"};
    assert_non_null(mkdtemp(setup.top));
    setup.directory = open(setup.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(setup.root, sizeof setup.root, "%s/mail", setup.top);
    snprintf(setup.cache, sizeof setup.cache, "%s/cache", setup.top);
    setup.options = (struct store_options){.root = str_from(setup.root),
                                           .cache = str_from(setup.cache),
                                           .host = STR("mx.example.test"),
                                           .boot = STR("this boot"),
                                           .auto_folders = STR_EMPTY,
                                           .create = true};
    reopen_store();
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

UNUSED static int setup_remove(void **state) {
    (void)state;
    store_close(&setup.store);
    close(setup.directory);
    return nftw(setup.top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#define FOLDER_TEST(function) cmocka_unit_test_setup_teardown(function, setup_make, setup_remove)

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        enum store_result assert_result = (call);                                                                      \
        if (assert_result != STORE_OK) fail_msg("%s: %d: %s", #call, (int)assert_result, setup.failure.text);          \
    } while (0)
#define assert_text(str, text) assert_true(str_equal((str), str_from(text)))

/* ---- another program's doing, beneath top */

UNUSED static void setup_write_file(const char *path, struct str text) {
    int file = openat(setup.directory, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text.data, text.length), text.length);
    close(file);
}

UNUSED static struct str setup_read_file(const char *path, struct buf *text) {
    int file = openat(setup.directory, path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    buf_clear(text);
    for (ssize_t got = 1; got > 0;) {
        char *room = buf_reserve(text, 65536);
        got = read(file, room, 65536);
        assert_true(got >= 0);
        buf_commit(text, (size_t)got);
    }
    close(file);
    return buf_str(text);
}

UNUSED static void rename_file(const char *from, const char *to) {
    assert_int_equal(renameat(setup.directory, from, setup.directory, to), 0);
}

UNUSED static bool setup_is_there(const char *path) {
    return faccessat(setup.directory, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files of a directory beneath top. */
UNUSED static size_t count_files(const char *path) {
    DIR *listing = fdopendir(openat(setup.directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    size_t count = 0;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

/* The path, "mail/cur/..." or "mail/new/...", of the file of a message of the INBOX. */
UNUSED static void setup_path_of(const struct folder *folder, uint32_t uid, struct buf *path) {
    struct folder_record record;
    uint32_t slot = folder_state_find(&folder->state, uid);
    assert_int_not_equal(slot, UINT32_MAX);
    folder_state_get(&folder->state, slot, &record);
    buf_clear(path);
    buf_append(path, STR("mail/"));
    folder_record_path(&record, path);
}

/* A directory's date is only believed when it is old enough: until then the directory is read. */
UNUSED static void let_dates_grow_old(void) {
    struct timespec time = {.tv_nsec = 30000000};
    nanosleep(&time, NULL);
}

/* ---- through the store */

UNUSED static struct folder *setup_open_folder(struct str name, enum folder_open_mode mode) {
    enum store_result result = STORE_BROKEN;
    struct folder *folder = folder_open(setup.store, name, mode, &result, &setup.failure);
    if (!folder) fail_msg("%.*s: %d: %s", STR_ARGS(name), (int)result, setup.failure.text);
    assert_int_equal(result, STORE_OK);
    return folder;
}

/* Saves a message; its UID. */
UNUSED static uint32_t setup_save(struct str name, unsigned system, const char *keyword, struct str bytes) {
    enum store_result result;
    struct uid_set uids = {0};
    struct str keywords[1] = {str_from(keyword)};
    uint32_t validity = 0;
    struct folder_saving *saving = folder_save_begin(setup.store, name, &result, &setup.failure);
    assert_non_null(saving);
    assert_ok(folder_save_message(saving, system, keywords, keyword ? 1 : 0, 1000000000, &setup.failure));
    assert_ok(folder_save_bytes(saving, bytes, &setup.failure));
    assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
    assert_int_equal(uid_set_size(&uids), 1);
    uint32_t uid = uids.ranges[0].first;
    uid_set_free(&uids);
    return uid;
}

UNUSED static void save_some(struct str name, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        setup_save(name, 0, NULL, STR("Subject: x\r\n\r\nbody\r\n"));
}

UNUSED static struct uid_set uids_of(const char *text) {
    struct uid_set uids = {0};
    assert_true(uid_set_parse(str_from(text), UINT32_MAX, 1000, &uids));
    return uids;
}

UNUSED static void store_flags(struct folder *folder, const char *uids, enum flags_change change, unsigned system,
                               const char *keyword) {
    struct uid_set set = uids_of(uids);
    struct str keywords[1] = {str_from(keyword)};
    struct flags_wish flags = {change, system, keywords, keyword ? 1 : 0, 0};
    assert_ok(folder_store(folder, &set, &flags, NULL, NULL, &setup.failure));
    uid_set_free(&set);
}

UNUSED static void expunge(struct folder *folder, const char *uids) {
    struct uid_set set = uids_of(uids);
    struct flags_wish deleted = {.change = FLAGS_ADD, .system = FLAG_DELETED};
    assert_ok(folder_store(folder, &set, &deleted, NULL, NULL, &setup.failure));
    assert_ok(folder_expunge(folder, &set, &setup.failure));
    uid_set_free(&set);
}

/* Synchronises; what has changed as text: "-3 -1 ~2 + k !" */
UNUSED static const char *sync_text(struct folder *folder, bool keep_expunged) {
    static char text[2000];
    struct folder_changes changes;
    struct buf line = buf_make(0);
    assert_ok(folder_sync(folder, keep_expunged, &changes, &setup.failure));
    for (size_t i = 0; i < changes.expunged_count; i++)
        buf_printf(&line, " -%u", changes.expunged[i]);
    for (size_t i = 0; i < changes.changed_count; i++)
        buf_printf(&line, " ~%u", changes.changed[i]);
    if (changes.grew) buf_append(&line, STR(" +"));
    if (changes.renewed) buf_append(&line, STR(" !"));
    snprintf(text, sizeof text, "%s", line.length ? buf_string(&line) + 1 : "");
    buf_free(&line);
    folder_changes_free(&changes);
    return text;
}

/* The view as text: "UID:flags+keywords ..." by letters of Maildir. */
UNUSED static const char *view_text(const struct folder *folder) {
    static char text[4000];
    struct buf line = buf_make(0);
    for (uint32_t sequence = 1; sequence <= folder_count(folder); sequence++) {
        struct folder_message message;
        folder_message(folder, sequence, &message);
        assert_int_equal(folder_uid(folder, sequence), message.uid);
        assert_int_equal(folder_sequence(folder, message.uid), sequence);
        assert_int_equal(folder_sequence_from(folder, message.uid), sequence);
        buf_printf(&line, " %u", message.uid);
        struct buf info = buf_make(0);
        folder_info_format((uint8_t)(message.flags.system & 63), &info);
        if (info.length > 3) buf_printf(&line, ":%s", buf_string(&info) + 3);
        buf_free(&info);
        for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
            if (message.flags.keywords >> bit & 1) buf_printf(&line, "+%.*s", STR_ARGS(folder_keyword(folder, bit)));
    }
    snprintf(text, sizeof text, "%s", line.length ? buf_string(&line) + 1 : "");
    buf_free(&line);
    return text;
}

/* The view of somebody who opens the folder now. */
UNUSED static const char *fresh_view(struct str name) {
    struct folder *folder = setup_open_folder(name, FOLDER_READ_ONLY);
    const char *text = view_text(folder);
    folder_close(&folder);
    return text;
}

/* A message's bytes. */
UNUSED static struct str message_bytes(struct folder *folder, uint32_t sequence, struct buf *bytes) {
    enum store_result result = STORE_OK;
    int file = folder_message_file(folder, sequence, &result, &setup.failure);
    if (file < 0) fail_msg("no file: %d %s", (int)result, setup.failure.text);
    buf_clear(bytes);
    for (ssize_t got = 1; got > 0;) {
        char *room = buf_reserve(bytes, 65536);
        got = read(file, room, 65536);
        assert_true(got >= 0);
        buf_commit(bytes, (size_t)got);
    }
    close(file);
    return buf_str(bytes);
}

#endif
