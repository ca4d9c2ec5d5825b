/* What the tests of local share: a directory, a configuration, a message in a
 * queue file, a step to be done. */
#ifndef TERN_LOCAL_TEST_SETUP_H
#define TERN_LOCAL_TEST_SETUP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

#define HEADER 256

struct setup {
    char top[64];
    int directory, file;
    struct config config;
    struct ipc_local_work work;
    struct worked worked;
};

static struct setup setup;

UNUSED static int setup_make(void **state) {
    (void)state;
    setup = (struct setup){.top = "/tmp/tern-local-XXXXXX", .file = -1};
    assert_non_null(mkdtemp(setup.top));
    setup.directory = open(setup.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    setup.config = (struct config){
        .hopcount_limit = 50,
        .myhostname = STR("mx.example.test"),
        .enable_original_recipient = true,
        .strict_mailbox_ownership = true,
        .deliver_lock_attempts = 1,
        .deliver_lock_delay = 1,
        .stale_lock_time = 500,
        .command_time_limit = 10,
        .prepend_delivered_header = STR("command, file, forward"),
        .queue_directory = STR("/"),
        .mailbox_delivery_lock = STR("fcntl, dotlock"),
        .command_expansion_filter = STR("abcdefghijklmnopqrstuvwxyz@.-"),
        .forward_expansion_filter = STR("1234567890-./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+"),
    };
    setup.work = (struct ipc_local_work){
        .queue_id = STR("Q1"),
        .index = 2,
        .content_offset = HEADER,
        .arrival = UINT64_C(1700000000000123),
        .sender = STR("bob@example.org"),
        .recipient = STR("alice@example.test"),
        .local = STR("alice"),
        .domain = STR("example.test"),
    };
    signal(SIGXFSZ, SIG_IGN);
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

UNUSED static int setup_remove(void **state) {
    (void)state;
    if (setup.file >= 0) close(setup.file);
    close(setup.directory);
    worked_free(&setup.worked);
    nftw(setup.top, remove_entry, 10, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* The queue file with this content. */
UNUSED static void setup_content(const char *content, size_t length) {
    if (setup.file >= 0) close(setup.file);
    setup.file = openat(setup.directory, "queued", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(setup.file >= 0);
    char spaces[HEADER];
    memset(spaces, ' ', sizeof spaces);
    assert_int_equal(pwrite(setup.file, spaces, sizeof spaces, 0), sizeof spaces);
    assert_int_equal(pwrite(setup.file, content, length, HEADER), length);
    assert_int_equal(pwrite(setup.file, "ENVELOPE", 8, (off_t)(HEADER + length)), 8);
    setup.work.content_length = length;
}

UNUSED static void setup_message(const char *content) {
    setup_content(content, strlen(content));
}

/* A file below the directory. */
UNUSED static void setup_write(const char *name, const char *content, unsigned mode) {
    int file = openat(setup.directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

/* Its content, in a buffer of the last call. */
UNUSED static const char *setup_read(const char *name) {
    static char content[65536];
    int file = openat(setup.directory, name, O_RDONLY);
    if (file < 0) return NULL;
    ssize_t got = read(file, content, sizeof content - 1);
    close(file);
    content[got < 0 ? 0 : got] = '\0';
    return content;
}

/* Entries of a directory but . and .. ; -1 if it is not there. The last one's name in name. */
UNUSED static int entries(const char *path, char name[256]) {
    char whole[400];
    snprintf(whole, sizeof whole, "%s/%s", setup.top, path);
    DIR *listing = opendir(whole);
    int count = 0;
    if (!listing) return -1;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        count++;
        if (name) snprintf(name, 256, "%s", entry->d_name);
    }
    closedir(listing);
    return count;
}

/* What a full disk would do, as near as an unprivileged test comes to it. */
UNUSED static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#define assert_deferred(code)                                                                                          \
    do {                                                                                                               \
        assert_int_equal(setup.worked.action, DELIVERY_DEFERRED);                                                      \
        if (code) assert_string_equal(setup.worked.status, (code));                                                    \
    } while (0)

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_make, setup_remove)

#endif
