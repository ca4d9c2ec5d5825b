/* Processes that save, flag, expunge, move, copy and settle in two folders at once, and one that reads: at the end
 * every message is in one place, none was lost, all see the same, and each UID stood for one message only. */
#include "setup.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define WRITERS 3
#define STEPS   400

/* Each message's text is "WRITER NUMBER" and is never in both folders unless it was copied, which is said in a C. */
struct tally {
    uint32_t saved, expunged, copied, moved; /* of one process */
};

static uint64_t next_random(uint64_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 20;
}

static uint32_t any_uid(const struct folder *folder, uint64_t *random) {
    return folder_uid(folder, 1 + (uint32_t)(next_random(random) % folder_count(folder)));
}

static struct uid_set only(uint32_t uid) {
    struct uid_set set = {0};
    uid_set_add(&set, uid, uid);
    return set;
}

static void save_one(struct str name, int writer, struct tally *tally) {
    char text[60];
    snprintf(text, sizeof text, "Subject: %d %u\r\n\r\nx\r\n", writer, tally->saved++);
    setup_save(name, 0, NULL, str_from(text));
}

/* Only what this call has really taken away counts: another process may have been faster. */
static void expunge_one(struct folder *folder, uint32_t uid, struct tally *tally) {
    struct uid_set set = only(uid);
    assert_true(folder_lock(folder, &setup.failure));
    uint32_t slot = folder_state_find(&folder->state, uid);
    if (slot != UINT32_MAX && !slot_set_has(&folder->state.gone, slot)) {
        assert_ok(folder_expunge_uids(folder, &set, true, &setup.failure));
        tally->expunged++;
    }
    folder_unlock(folder);
    uid_set_free(&set);
}

static void copy_one(struct folder *folder, struct str target, uint32_t uid, bool move, struct tally *tally) {
    struct uid_set set = only(uid), from = {0}, to = {0};
    uint32_t validity;
    enum store_result result = folder_copy(folder, &set, target, move, &validity, &from, &to, &setup.failure);
    /* It may be gone by now: then nothing is copied. */
    if (result != STORE_OK && result != STORE_GONE) fail_msg("copying: %d: %s", (int)result, setup.failure.text);
    if (result == STORE_OK) *(move ? &tally->moved : &tally->copied) += (uint32_t)uid_set_size(&to);
    uid_set_free(&set);
    uid_set_free(&from);
    uid_set_free(&to);
}

static void step(struct folder *folders[2], int writer, uint64_t *random, struct tally *tally) {
    static const struct str names[2] = {STR_INIT("INBOX"), STR_INIT("other")};
    unsigned which = (unsigned)(next_random(random) % 2);
    struct folder *folder = folders[which];
    char uid[12];
    assert_ok(folder_sync(folder, next_random(random) % 2 == 0, NULL, &setup.failure));
    unsigned deed = (unsigned)(next_random(random) % 10);
    if (folder_count(folder) == 0 || deed < 3) {
        save_one(names[which], writer, tally);
        return;
    }
    uint32_t chosen = any_uid(folder, random);
    snprintf(uid, sizeof uid, "%u", chosen);
    if (deed < 6)
        store_flags(folder, uid, (enum flags_change)(next_random(random) % 3),
                    (unsigned)(next_random(random) % 32) & ~(unsigned)FLAG_DELETED, deed == 5 ? "word" : NULL);
    else if (deed == 6)
        expunge_one(folder, chosen, tally);
    else if (deed == 7)
        copy_one(folder, names[1 - which], chosen, false, tally);
    else if (deed == 8)
        copy_one(folder, names[1 - which], chosen, true, tally);
    else
        assert_true(folder_settle(folder, &setup.failure));
}

/* Compaction at any time. */
static void write_anew(struct folder *folder) {
    assert_true(folder_lock(folder, &setup.failure));
    assert_ok(folder_remove_expunged(folder, &setup.failure));
    if (folder->state.unremoved.count == 0)
        assert_true(folder_snapshot_write(folder->directory, &folder->state, &setup.failure));
    folder_unlock(folder);
}

static struct tally work(int writer) {
    struct tally tally = {0};
    uint64_t random = 0x9E3779B97F4A7C15U * (uint64_t)(writer + 1);
    store_close(&setup.store);
    setup.store = store_open(&setup.options, &setup.failure);
    assert_non_null(setup.store);
    struct folder *folders[2] = {setup_open_folder(INBOX, FOLDER_READ_WRITE), setup_open_folder(STR("other"), FOLDER_READ_WRITE)};
    for (int i = 0; i < STEPS; i++) {
        step(folders, writer, &random, &tally);
        if (i % 40 == 39) write_anew(folders[i / 40 % 2]);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(folder_settle(folders[i], &setup.failure));
        folder_close(&folders[i]);
    }
    return tally;
}

static size_t assert_whole(struct str name, const char *cur) {
    struct buf bytes = buf_make(0);
    struct folder *folder = setup_open_folder(name, FOLDER_READ_WRITE);
    char kept[4000];
    assert_ok(folder_sync(folder, false, NULL, &setup.failure));
    assert_true(folder_settle(folder, &setup.failure));
    snprintf(kept, sizeof kept, "%s", view_text(folder));
    for (uint32_t sequence = 1; sequence <= folder_count(folder); sequence++)
        assert_true(str_starts(message_bytes(folder, sequence, &bytes), STR("Subject: ")));
    uint32_t count = folder_count(folder);
    folder->read_all = true; /* the directories say the same as the journal */
    assert_string_equal(sync_text(folder, false), "");
    assert_string_equal(fresh_view(name), kept);
    folder_close(&folder);
    assert_int_equal(count_files(cur), count);
    buf_free(&bytes);
    return count;
}

static void test_processes(void **state) {
    (void)state;
    struct tally sum = {0};
    pid_t children[WRITERS];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_ok(store_create(setup.store, STR("other"), 0, NULL, &setup.failure));
    for (int writer = 0; writer < WRITERS; writer++) {
        children[writer] = fork();
        assert_true(children[writer] >= 0);
        if (children[writer] > 0) continue;
        struct tally tally = work(writer);
        _exit(write(pipes[1], &tally, sizeof tally) == (ssize_t)sizeof tally ? 0 : 1);
    }
    for (int writer = 0; writer < WRITERS; writer++) {
        struct tally tally;
        int status = -1;
        assert_int_equal(waitpid(children[writer], &status, 0), children[writer]);
        assert_int_equal(status, 0);
        assert_int_equal(read(pipes[0], &tally, sizeof tally), sizeof tally);
        sum.saved += tally.saved;
        sum.expunged += tally.expunged;
        sum.copied += tally.copied;
        sum.moved += tally.moved;
    }
    close(pipes[0]);
    close(pipes[1]);
    size_t there = assert_whole(INBOX, "mail/cur") + assert_whole(STR("other"), "mail/.other/cur");
    assert_int_equal(there, sum.saved + sum.copied - sum.expunged); /* two that move one message at once have one copy */
    assert_int_equal(count_files("mail/tmp") + count_files("mail/.other/tmp") + count_files("mail/new"), 0);
}

/* A process has given a UID, and syncs it: nobody else says it before. */
static void write_unsynced(int told, atomic_int *synced) {
    store_close(&setup.store);
    setup.store = store_open(&setup.options, &setup.failure);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    struct journal_entry add = {.type = JOURNAL_ADD, .record = {.uid = 2, .modseq = 10, .place = PLACE_CUR, .name = STR("x")}};
    struct buf entries = buf_make(0);
    assert_true(folder_lock(folder, &setup.failure));
    journal_append(&entries, &add, NULL);
    assert_ok(folder_append(folder, &entries, 0, &setup.failure));
    assert_int_equal(write(told, "", 1), 1);
    usleep(200000);
    atomic_store(synced, 1);
    folder_unlock(folder);
    _exit(0);
}

/* The directories are not read again: their dates are old enough to be trusted. */
static void make_known(void) {
    setup_save(INBOX, 0, NULL, STR("Subject: x\r\n\r\nx\r\n"));
    usleep(50000);
    struct folder *folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_ok(folder_sync(folder, false, NULL, &setup.failure));
    assert_false(folder_is_stale(folder));
    folder_close(&folder);
}

static void await_unsynced(struct folder *folder) {
    int pipes[2], status = -1;
    char octet;
    atomic_int *synced = mmap(NULL, sizeof *synced, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(synced != MAP_FAILED && pipe(pipes) == 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) write_unsynced(pipes[1], synced);
    assert_int_equal(read(pipes[0], &octet, 1), 1);
    if (folder)
        assert_ok(folder_sync(folder, false, NULL, &setup.failure));
    else
        folder = setup_open_folder(INBOX, FOLDER_READ_ONLY);
    assert_int_equal(folder_count(folder), 2);
    assert_int_equal(atomic_load(synced), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    folder_close(&folder);
    munmap(synced, sizeof *synced);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_unsynced_is_not_told(void **state) {
    (void)state;
    make_known();
    await_unsynced(setup_open_folder(INBOX, FOLDER_READ_ONLY));
}

static void test_unsynced_is_not_opened(void **state) {
    (void)state;
    make_known();
    await_unsynced(NULL);
}

/* One message is moved to and fro by two while two others give it keywords: what was said to be stored goes along. */
#define FLAGGED 40

static void move_about(struct folder *folders[2]) {
    static const struct str names[2] = {STR_INIT("INBOX"), STR_INIT("other")};
    struct tally tally = {0};
    while (tally.moved < FLAGGED) {
        for (int i = 0; i < 2; i++) {
            assert_ok(folder_sync(folders[i], false, NULL, &setup.failure));
            if (folder_count(folders[i]) > 0) copy_one(folders[i], names[1 - i], folder_uid(folders[i], 1), true, &tally);
        }
    }
}

static void give_keywords(struct folder *folders[2], int writer) {
    for (int stored = 0; stored < FLAGGED / 2;) {
        for (int i = 0; i < 2 && stored < FLAGGED / 2; i++) {
            char text[20];
            struct uid_set all = {0}, changed = {0};
            assert_ok(folder_sync(folders[i], false, NULL, &setup.failure));
            snprintf(text, sizeof text, "k%d.%d", writer, stored);
            struct str keyword = str_from(text);
            uid_set_add(&all, 1, UINT32_MAX - 1);
            struct flags_wish flags = {.change = FLAGS_ADD, .keywords = &keyword, .keyword_count = 1};
            assert_ok(folder_store(folders[i], &all, &flags, NULL, &changed, &setup.failure));
            stored += uid_set_size(&changed) > 0;
            uid_set_free(&all);
            uid_set_free(&changed);
        }
    }
}

static void test_keywords_go_along(void **state) {
    static const char *const places[] = {"INBOX", "other"};
    (void)state;
    pid_t children[4];
    assert_ok(store_create(setup.store, STR("other"), 0, NULL, &setup.failure));
    setup_save(INBOX, 0, NULL, STR("Subject: x\r\n\r\nx\r\n"));
    for (int writer = 0; writer < 4; writer++) {
        children[writer] = fork();
        assert_true(children[writer] >= 0);
        if (children[writer] > 0) continue;
        store_close(&setup.store);
        setup.store = store_open(&setup.options, &setup.failure);
        struct folder *folders[2] = {setup_open_folder(INBOX, FOLDER_READ_WRITE), setup_open_folder(STR("other"), FOLDER_READ_WRITE)};
        if (writer < 2)
            move_about(folders);
        else
            give_keywords(folders, writer);
        _exit(0);
    }
    for (int writer = 0; writer < 4; writer++) {
        int status = -1;
        assert_int_equal(waitpid(children[writer], &status, 0), children[writer]);
        assert_int_equal(status, 0);
    }
    size_t messages = 0, keywords = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        struct folder *folder = setup_open_folder(str_from(places[i]), FOLDER_READ_ONLY);
        struct folder_message message;
        messages += folder_count(folder);
        if (folder_count(folder) > 0) {
            folder_message(folder, 1, &message);
            keywords += (size_t)__builtin_popcountll(message.flags.keywords);
        }
        folder_close(&folder);
    }
    assert_int_equal(messages, 1);
    assert_int_equal(keywords, FLAGGED);
}

int main(void) {
    const struct CMUnitTest tests[] = {FOLDER_TEST(test_processes), FOLDER_TEST(test_keywords_go_along),
                                       FOLDER_TEST(test_unsynced_is_not_told), FOLDER_TEST(test_unsynced_is_not_opened)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
