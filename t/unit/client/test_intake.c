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
#include "config.h"
#include "intake.h"
#include "task.h"

static struct {
    const char *file;     /* what is handed out instead of a memory file */
    int64_t memory_limit, memory_total;
    unsigned refuse_code; /* the commit is refused with this */
    bool leaves;          /* the connection ends at the commit */
    unsigned replaced;    /* this many times a file is refused, for a successor is there */
    int content;
    struct task *server;
    size_t recipients, ahead, cancelled, opened, given, sealed;
    char last_id[24];
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

static void give_ids(struct ipc_request *request) {
    struct ipc_cleanup_ids_given given = {
        .first = 1000000 * (1 + cleanup.given++), .count = 2, .long_form = true};
    ipc_answer(request, IPC_CLEANUP_IDS_GIVEN, &given, -1);
}

/* Content in memory cannot be changed any more by whoever holds it. */
static void keep_content(struct ipc_request *request) {
    if (request->descriptor < 0) return;
    int seals = fcntl(request->descriptor, F_GET_SEALS);
    if ((seals & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)) == (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
        cleanup.sealed++;
    if (pwrite(request->descriptor, "x", 1, 0) >= 0) abort();
    if (cleanup.content >= 0) close(cleanup.content);
    cleanup.content = request->descriptor;
    request->descriptor = -1;
}

static void serve(struct ipc_request *request, void *context) {
    (void)context;
    if (request->type == IPC_CLEANUP_IDS) {
        give_ids(request);
    } else if (request->type == IPC_CLEANUP_OPEN && cleanup.replaced) {
        cleanup.replaced--;
        ipc_answer_failed(request, 421, "4.3.2", "is being replaced");
    } else if (request->type == IPC_CLEANUP_OPEN) {
        int file = cleanup.file ? open(cleanup.file, O_WRONLY | O_CLOEXEC) : memfd_create("content", MFD_CLOEXEC);
        if (cleanup.content >= 0) close(cleanup.content);
        cleanup.content = fcntl(file, F_DUPFD_CLOEXEC, 0);
        cleanup.opened++;
        struct ipc_cleanup_opened answer = {.queue_id = ((const struct ipc_cleanup_open *)request->message)->queue_id};
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
        snprintf(cleanup.last_id, sizeof cleanup.last_id, "%.*s", STR_ARGS(cleanup.commit.queue_id));
        keep_content(request);
        count_rows(cleanup.commit.recipients);
        if (cleanup.refuse_code) {
            ipc_answer_failed(request, cleanup.refuse_code, cleanup.refuse_code < 500 ? "4.3.1" : "5.7.1", "said no");
            return;
        }
        struct ipc_cleanup_committed answer = {.queue_id = cleanup.commit.queue_id};
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
    uint64_t length, size_hint;
    struct intake_failure failure;
    struct ipc_client *client;
    struct intake_source *source;
    void (*play)(void *argument); /* NULL: one message */
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
    scene->opened = intake_open(scene->source, scene->size_hint, deadline_in(3000), &intake, &scene->failure);
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
    intake_source_destroy(&scene->source);
    ipc_client_destroy(&scene->client);
    if (cleanup.server) task_release(&cleanup.server);
}

static void play(struct scene *scene) {
    assert_true(loop_create(NULL, NULL));
    scene->client = ipc_client_create(connect_to, NULL, NULL, NULL);
    struct config config = {.content_memory_limit = cleanup.memory_limit, .content_memory_total = cleanup.memory_total};
    scene->source = intake_source_create(scene->client, &config);
    assert_true(task_start("scene", scene->play ? scene->play : play_scene, scene));
    loop_run();
    loop_destroy();
}

static int setup(void **state) {
    (void)state;
    memset(&cleanup, 0, sizeof cleanup);
    cleanup.memory_limit = cleanup.memory_total = 1000000;
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
    /* All in memory; grown out of it, in the middle or at once by what was said of the size; no room beside others. */
    static const struct {
        int64_t limit, total;
        uint64_t size_hint;
    } rooms[] = {{1000000, 1000000, 0}, {120000, 1000000, 0}, {1000000, 40000, 0}, {100, 1000000, 101}, {0, 0, 0}};
    memset(long_line, 'l', sizeof long_line - 1);
    for (size_t n = 0; n < ARRAY_LENGTH(rows) * ARRAY_LENGTH(rooms); n++) {
        size_t i = n % ARRAY_LENGTH(rows), room = n / ARRAY_LENGTH(rows);
        if (n > 0) teardown(state);
        setup(state);
        cleanup.memory_limit = rooms[room].limit;
        cleanup.memory_total = rooms[room].total;
        struct scene scene = {.recipients = 1, .size_hint = rooms[room].size_hint};
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
        bool fits = whole.length <= (size_t)rooms[room].limit && whole.length <= (size_t)rooms[room].total &&
                    rooms[room].size_hint <= (uint64_t)rooms[room].limit;
        assert_int_equal(cleanup.sealed, fits);
        assert_int_equal(cleanup.opened, !fits);
        MEMORY_FREE(got);
        buf_free(&whole);
    }
}

/* Each message has its own name, and the reserve is asked for again when it is used up. */
static void play_ids(void *argument) {
    struct scene *scene = argument;
    char seen[5][24];
    for (size_t i = 0; i < ARRAY_LENGTH(seen); i++) {
        struct intake *intake = NULL;
        if (!intake_open(scene->source, 0, deadline_in(3000), &intake, &scene->failure)) abort();
        snprintf(seen[i], sizeof seen[i], "%.*s", STR_ARGS(intake_queue_id(intake)));
        for (size_t before = 0; before < i; before++)
            if (strcmp(seen[before], seen[i]) == 0) abort();
        scene->recipients = 1;
        cleanup.recipients = 0;
        commit(scene, intake);
        if (!scene->good || strcmp(cleanup.last_id, seen[i]) != 0) abort();
    }
    intake_source_destroy(&scene->source);
    ipc_client_destroy(&scene->client);
    if (cleanup.server) task_release(&cleanup.server);
}

static void test_ids(void **state) {
    (void)state;
    struct scene scene = {.play = play_ids};
    play(&scene);
    assert_int_equal(cleanup.given, 3);
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
                {"/dev/full", 0, false, 452, "4.3.1"}, /* on disk */
                {NULL, 452, false, 452, "4.3.1"},
                {NULL, 550, false, 550, "5.7.1"},
                {NULL, 0, true, 451, "4.3.0"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup(state);
        cleanup.file = rows[i].file;
        if (rows[i].file) cleanup.memory_limit = 0;
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
    cleanup.memory_limit = 1000;
    struct scene scene = {.parts = {large, "y\n"}, .recipients = 1};
    play(&scene);
    assert_false(scene.written || scene.good);
    assert_int_equal(scene.failure.reply_code, 452);
    assert_int_equal(scene.length, sizeof large - 1 + 2); /* counted on, so that limits hold */
    assert_int_equal(cleanup.commit.content_length, 0);
}

static void test_replaced(void **state) {
    (void)state;
    cleanup.memory_limit = 0;
    cleanup.replaced = 1;
    struct scene scene = {.parts = {"x\n"}, .recipients = 1};
    play(&scene);
    assert_true(scene.good);
    cleanup.replaced = 9;
    scene = (struct scene){.parts = {"x\n"}, .recipients = 1};
    play(&scene);
    assert_false(scene.good);
    assert_int_equal(scene.failure.reply_code, 451);
}

/* Only what cleanup has a file for has to be told. */
static void test_cancel(void **state) {
    static char large[40000];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    struct scene scene = {.parts = {large, "y\n"}, .cancel = true};
    play(&scene);
    assert_int_equal(cleanup.cancelled, 0);
    cleanup.memory_limit = 0;
    scene = (struct scene){.parts = {large, "y\n"}, .cancel = true};
    play(&scene);
    assert_int_equal(cleanup.cancelled, 1);
    assert_int_equal(cleanup.recipients, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_counts),      TEST(test_many_recipients), TEST(test_refusals),
                                       TEST(test_write_error), TEST(test_replaced),        TEST(test_cancel),
                                       TEST(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
