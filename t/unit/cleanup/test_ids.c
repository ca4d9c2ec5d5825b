/* Queue IDs in reserve: good once, for whoever got them; others are looked for wherever they could stand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cleanup.h"

static char top[] = "/tmp/tern-ids-XXXXXX";
static struct cleanup cleanup;
static struct ipc_cleanup_ids_given given;

/* What ids.c asks of the IPC layer. */
bool ipc_answer(struct ipc_request *request, enum ipc_type type, const void *message, int descriptor) {
    (void)request, (void)descriptor;
    assert_int_equal(type, IPC_CLEANUP_IDS_GIVEN);
    given = *(const struct ipc_cleanup_ids_given *)message;
    return true;
}
bool ipc_answer_failed(struct ipc_request *request, uint64_t reply_code, const char *status, const char *format, ...) {
    (void)request, (void)reply_code, (void)status, (void)format;
    fail();
    return false;
}

static int open_folder(const char *name) {
    int base = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(base, name, 0700);
    int folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(base);
    assert_true(folder >= 0);
    return folder;
}

static void begin(bool long_form) {
    memcpy(top, "/tmp/tern-ids-XXXXXX", sizeof top);
    assert_non_null(mkdtemp(top));
    cleanup = (struct cleanup){.committing = map_create(),
                               .tmp = open_folder("tmp"),
                               .new = open_folder("new"),
                               .cur = open_folder("cur"),
                               .hold = open_folder("hold"),
                               .queue = open_folder(".")};
    assert_true(queue_id_open(&cleanup.ids, cleanup.queue, long_form, NULL));
}

static void end(void) {
    static const char *const names[] = {"tmp", "new", "cur", "hold"};
    const int folders[] = {cleanup.tmp, cleanup.new, cleanup.cur, cleanup.hold};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        close(folders[i]);
        unlinkat(cleanup.queue, names[i], AT_REMOVEDIR);
    }
    unlinkat(cleanup.queue, "id-ceiling", 0);
    close(cleanup.queue);
    rmdir(top);
    map_destroy(&cleanup.committing);
}

static void reserve(struct writer *writer) {
    struct ipc_request request = {.descriptor = -1};
    cleanup_ids(&request, writer);
    assert_int_equal(given.count, ID_RANGE);
    assert_int_equal(given.long_form, cleanup.ids.long_form);
}

static bool claim(struct writer *writer, uint64_t place) {
    char id[QUEUE_ID_SIZE];
    queue_id_format(given.first + place * queue_id_step(given.long_form), given.long_form, id);
    return id_claim(writer, str_from(id));
}

static void check_once(bool long_form) {
    begin(long_form);
    struct writer writer = {.cleanup = &cleanup};
    for (unsigned round = 0; round < ID_RANGES + 2; round++) {
        reserve(&writer);
        for (uint64_t place = 0; place < ID_RANGE; place++)
            assert_true(claim(&writer, place));
        for (uint64_t place = 0; place < ID_RANGE; place++)
            assert_false(claim(&writer, place));
    }
    end();
}

static void test_once(void **state) {
    (void)state;
    check_once(true);
    check_once(false);
}

static void stand(int folder, const char *id) {
    int file = openat(folder, id, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
}

/* Somebody else's reserve, or one of an earlier life. */
static void test_unknown(void **state) {
    (void)state;
    begin(true);
    struct writer writer = {.cleanup = &cleanup}, other = {.cleanup = &cleanup};
    char id[QUEUE_ID_SIZE];
    reserve(&other);
    queue_id_format(given.first + 7, true, id);
    const int folders[] = {cleanup.tmp, cleanup.new, cleanup.cur, cleanup.hold};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        stand(folders[i], id);
        assert_false(id_claim(&writer, str_from(id)));
        unlinkat(folders[i], id, 0);
    }
    map_put(cleanup.committing, str_from(id), &cleanup);
    assert_false(id_claim(&writer, str_from(id)));
    map_remove(cleanup.committing, str_from(id));
    assert_true(id_claim(&writer, str_from(id)));
    queue_id_format(cleanup.ids.ceiling + 1000, true, id); /* nobody was ever given it */
    assert_false(id_claim(&writer, str_from(id)));
    end();
}

static void test_forms(void **state) {
    static const char *const bad[] = {"", "x", "../../etc/x", "AAAAAA", "0123456789z01234", "000000000000000",
                                      "zzzzzzzzzzzzzzz", "00000000000"};
    (void)state;
    begin(true);
    struct writer writer = {.cleanup = &cleanup};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(id_claim(&writer, str_from(bad[i])));
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_unknown),
                                       cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
