/* Taking a message in: what is written is counted, many recipients go ahead of the commit, and every local fault is
 * a temporary reply. cleanup is played by the test, at the other end of a socket pair. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "intake.h"
#include "task.h"

static struct {
    const char *file;     /* what is handed out instead of a memory file */
    unsigned refuse_code; /* the commit is refused with this */
    bool leaves;          /* the connection ends at the commit */
    unsigned replaced;    /* this many times a file is refused, for a successor is there */
    int content;
    struct task *server;
    size_t recipients, ahead, cancelled, opened;
    struct ipc_cleanup_commit commit;
} cleanup;

static void count_rows(struct ipc_list list) {
    size_t offset = 0;
    bool bad = false;
    struct ipc_recipient row;
    char wanted[40];
    while (ipc_list_next(list, IPC_ROW_RECIPIENT, &offset, &row, &bad)) {
        snprintf(wanted, sizeof wanted, "user%zu@x.test", cleanup.recipients++);
        if (!str_equal(row.address, str_from(wanted))) abort();
    }
    if (bad) abort();
}

static void serve(struct ipc_request *request, void *context) {
    (void)context;
    if (request->type == IPC_CLEANUP_OPEN && cleanup.replaced) {
        cleanup.replaced--;
        ipc_answer_failed(request, 421, "4.3.2", "is being replaced");
    } else if (request->type == IPC_CLEANUP_OPEN) {
        int file = cleanup.file ? open(cleanup.file, O_WRONLY | O_CLOEXEC) : memfd_create("content", MFD_CLOEXEC);
        if (cleanup.content >= 0) close(cleanup.content);
        cleanup.content = fcntl(file, F_DUPFD_CLOEXEC, 0);
        cleanup.opened++;
        struct ipc_cleanup_opened answer = {.queue_id = STR("AAAAAA")};
        ipc_answer(request, IPC_CLEANUP_OPENED, &answer, file);
        close(file);
    } else if (request->type == IPC_CLEANUP_RECIPIENTS) {
        cleanup.ahead++;
        count_rows(((const struct ipc_cleanup_recipients *)request->message)->recipients);
    } else if (request->type == IPC_CLEANUP_CANCEL) {
        cleanup.cancelled++;
    } else if (request->type == IPC_CLEANUP_COMMIT && cleanup.leaves) {
        task_cancel(cleanup.server); /* the connection ends without an answer */
    } else if (request->type == IPC_CLEANUP_COMMIT) {
        cleanup.commit = *(const struct ipc_cleanup_commit *)request->message;
        count_rows(cleanup.commit.recipients);
        if (cleanup.refuse_code) {
            ipc_answer_failed(request, cleanup.refuse_code, cleanup.refuse_code < 500 ? "4.3.1" : "5.7.1", "said no");
            return;
        }
        struct ipc_cleanup_committed answer = {.queue_id = STR("AAAAAA")};
        ipc_answer(request, IPC_CLEANUP_COMMITTED, &answer, -1);
    }
}

static void run_server(void *argument) {
    ipc_serve((int)(intptr_t)argument, 100, serve, NULL);
}

static int connect_to(void *context, deadline until, struct failure *failure) {
    int pair[2];
    (void)context, (void)until, (void)failure;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    if (cleanup.server) task_release(&cleanup.server);
    if (!task_start_held("server", run_server, (void *)(intptr_t)pair[1], &cleanup.server)) return -1;
    return pair[0];
}

struct scene {
    const char *parts[6];
    size_t recipients;
    bool cancel, written, good, opened;
    uint64_t length;
    struct intake_failure failure;
    struct ipc_client *client;
};

static void commit(struct scene *scene, struct intake *intake) {
    struct ipc_recipient *rows = memory_allocate(scene->recipients + 1, sizeof *rows);
    char(*names)[40] = memory_allocate(scene->recipients + 1, sizeof *names);
    for (size_t i = 0; i < scene->recipients; i++) {
        snprintf(names[i], sizeof names[i], "user%zu@x.test", i);
        rows[i].address = str_from(names[i]);
    }
    struct intake_envelope envelope = {
        .sender = STR("s@x.test"), .report = REPORT_VERIFY, .recipients = rows, .recipient_count = scene->recipients};
    scene->good = intake_commit(&intake, &envelope, deadline_in(3000), &scene->failure);
    if (intake) abort();
    MEMORY_FREE(rows);
    MEMORY_FREE(names);
}

static void play_scene(void *argument) {
    struct scene *scene = argument;
    struct intake *intake = NULL;
    scene->opened = intake_open(scene->client, 0, deadline_in(3000), &intake, &scene->failure);
    if (scene->opened) {
        scene->written = true;
        for (size_t i = 0; i < ARRAY_LENGTH(scene->parts) && scene->parts[i]; i++)
            scene->written = intake_write(intake, str_from(scene->parts[i])) && scene->written;
        scene->length = intake_length(intake);
        if (scene->cancel)
            intake_cancel(&intake);
        else
            commit(scene, intake);
        task_sleep(10);
    }
    ipc_client_destroy(&scene->client);
    if (cleanup.server) task_release(&cleanup.server);
}

static void play(struct scene *scene) {
    assert_true(loop_create(NULL, NULL));
    scene->client = ipc_client_create(connect_to, NULL, NULL, NULL);
    assert_true(task_start("scene", play_scene, scene));
    loop_run();
    loop_destroy();
}

static int setup(void **state) {
    (void)state;
    memset(&cleanup, 0, sizeof cleanup);
    cleanup.content = -1;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (cleanup.content >= 0) close(cleanup.content);
    return 0;
}

static void test_counts(void **state) {
    static char long_line[100001];
    static const struct {
        const char *parts[6];
        uint64_t lines;
    } rows[] = {{{NULL}, 0},
                {{""}, 0},
                {{"a"}, 0},
                {{"a\n"}, 1},
                {{"a\nb", "\n"}, 2},
                {{"\n", "\n", "\n\n"}, 4},
                {{"no end", " yet", "\nno"}, 1},
                {{long_line, "\n", long_line, "x\ny\n"}, 3}};
    memset(long_line, 'l', sizeof long_line - 1);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup(state);
        struct scene scene = {.recipients = 1};
        struct buf whole = buf_make(0);
        memcpy(scene.parts, rows[i].parts, sizeof scene.parts);
        for (size_t p = 0; scene.parts[p]; p++)
            buf_append(&whole, str_from(scene.parts[p]));
        play(&scene);
        assert_true(scene.opened && scene.written && scene.good);
        assert_int_equal(scene.length, whole.length);
        assert_int_equal(cleanup.commit.content_length, whole.length);
        assert_int_equal(cleanup.commit.content_lines, rows[i].lines);
        char *got = memory_allocate(whole.length + 1, 1);
        assert_int_equal(pread(cleanup.content, got, whole.length + 1, 0), whole.length);
        if (whole.length) assert_memory_equal(got, whole.data, whole.length);
        MEMORY_FREE(got);
        buf_free(&whole);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

static void test_many_recipients(void **state) {
    static const size_t counts[] = {1, 100, 5000, 20000};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        setup(state);
        struct scene scene = {.parts = {"x\n"}, .recipients = counts[i]};
        play(&scene);
        assert_true(scene.good);
        assert_int_equal(cleanup.recipients, counts[i]); /* each once, and in order */
        assert_int_equal(cleanup.commit.report, REPORT_VERIFY);
        assert_int_equal(cleanup.ahead > 0, counts[i] >= 5000);
        if (i + 1 < ARRAY_LENGTH(counts)) teardown(state);
    }
}

static void test_refusals(void **state) {
    static const struct {
        const char *file;
        unsigned refuse;
        bool leaves;
        unsigned code;
        const char *status;
    } rows[] = {{NULL, 0, false, 0, ""},
                {"/dev/full", 0, false, 452, "4.3.1"},
                {NULL, 452, false, 452, "4.3.1"},
                {NULL, 550, false, 550, "5.7.1"},
                {NULL, 0, true, 451, "4.3.0"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup(state);
        cleanup.file = rows[i].file;
        cleanup.refuse_code = rows[i].refuse;
        cleanup.leaves = rows[i].leaves;
        struct scene scene = {.parts = {"x\n"}, .recipients = 1};
        play(&scene);
        if (scene.good != (rows[i].code == 0) || scene.failure.reply_code != rows[i].code ||
            !str_equal(str_from(scene.failure.status), str_from(rows[i].status)))
            fail_msg("row %zu: %u %s", i, scene.failure.reply_code, scene.failure.status);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

/* The disk is full in the middle: the writer learns of it, and nothing is committed. */
static void test_write_error(void **state) {
    static char large[40000];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    cleanup.file = "/dev/full";
    struct scene scene = {.parts = {large, "y\n"}, .recipients = 1};
    play(&scene);
    assert_false(scene.written || scene.good);
    assert_int_equal(scene.failure.reply_code, 452);
    assert_int_equal(scene.length, sizeof large - 1 + 2); /* counted on, so that limits hold */
    assert_int_equal(cleanup.commit.content_length, 0);
}

static void test_replaced(void **state) {
    (void)state;
    cleanup.replaced = 1;
    struct scene scene = {.parts = {"x\n"}, .recipients = 1};
    play(&scene);
    assert_true(scene.good);
    cleanup.replaced = 9;
    scene = (struct scene){.parts = {"x\n"}, .recipients = 1};
    play(&scene);
    assert_false(scene.opened);
    assert_int_equal(scene.failure.reply_code, 451);
}

static void test_cancel(void **state) {
    (void)state;
    struct scene scene = {.parts = {"x\n"}, .cancel = true};
    play(&scene);
    assert_int_equal(cleanup.cancelled, 1);
    assert_int_equal(cleanup.recipients, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_counts),      TEST(test_many_recipients), TEST(test_refusals),
                                       TEST(test_write_error), TEST(test_replaced),        TEST(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
