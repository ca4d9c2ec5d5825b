/* Unit tests of streams: socket pairs, with the peer in another task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"
#include "task.h"

static void start_loop(void) {
    struct failure failure;

    assert_true(loop_create(NULL, &failure));
}

/* ---- lines */

/* Input, and what the reads give: one letter a result, the line behind it, '|'
 * between. O ok, E end, T timeout, L too long, C bare CR, F bare LF, N nul. */
struct lines {
    const char *name;
    struct str input;
    size_t limit;
    bool bare_lf;
    const char *wanted;
};

static const struct lines line_table[] = {
    {"lines", STR_INIT("EHLO a\r\nQUIT\r\n"), 100, false, "OEHLO a|OQUIT|E"},
    {"empty line", STR_INIT("\r\n\r\n"), 100, false, "O|O|E"},
    {"nothing", STR_INIT(""), 100, false, "E"},
    {"no line end", STR_INIT("a\r\nrest"), 100, false, "Oa|E"},
    {"CR at the end", STR_INIT("a\r"), 100, false, "E"},
    {"bare LF", STR_INIT("a\nb\r\nc\r\n"), 100, false, "Fa|Ob|Oc|E"},
    {"bare LF alone", STR_INIT("\n\r\n"), 100, false, "F|O|E"},
    {"bare CR", STR_INIT("a\rb\r\nc\r\n"), 100, false, "Ca\rb|Oc|E"},
    {"CR CR LF", STR_INIT("a\r\r\nc\r\n"), 100, false, "Ca\r|Oc|E"},
    {"smuggling 1", STR_INIT("\n.\r\nMAIL\r\n"), 100, false, "F|O.|OMAIL|E"},
    {"smuggling 2", STR_INIT("x\r\n.\rMAIL\r\n"), 100, false, "Ox|C.\rMAIL|E"},
    {"NUL", STR_INIT("a\0b\r\nc\r\n"), 100, false, "Na0b|Oc|E"},
    {"CR before NUL", STR_INIT("a\r\0b\r\nc\r\n"), 100, false, "Ca\r0b|Oc|E"},
    {"bare LF accepted", STR_INIT("a\nb\r\n\nc\rd\n"), 100, true, "Oa|Ob|O|Cc\rd|E"},
    {"just fits", STR_INIT("12345678\r\nb\r\n"), 10, false, "O12345678|Ob|E"},
    {"too long by one", STR_INIT("123456789\r\nb\r\n"), 10, false, "L|Ob|E"},
    {"too long by far", STR_INIT("123456789012345678901234567890\r\nb\r\n"), 10, false, "L|Ob|E"},
    {"CR split at the limit", STR_INIT("123456789\r\r\nb\r\n"), 10, false, "L|Ob|E"},
    {"too long, bare LF does not end it", STR_INIT("12345678901\nMAIL\r\nb\r\n"), 10, false, "L|Ob|E"},
    {"too long, accepted LF", STR_INIT("12345678901\nMAIL\r\nb\r\n"), 10, true, "L|OMAIL|Ob|E"},
    {"too long to the end", STR_INIT("1234567890123"), 10, false, "E"},
    {"two too long", STR_INIT("1234567890123\r\n1234567890123\r\nb\r\n"), 10, false, "L|L|Ob|E"},
};

struct line_run {
    const struct lines *row;
    size_t split; /* the peer pauses after so many bytes; every byte for STR_NONE */
    int writer, reader;
    char got[400];
    size_t length;
};

static void note(struct line_run *run, char letter, struct str line) {
    if (run->length) run->got[run->length++] = '|';
    run->got[run->length++] = letter;
    for (size_t i = 0; i < line.length && run->length + 4 < sizeof(run->got); i++)
        run->got[run->length++] = line.data[i] ? line.data[i] : '0';
    run->got[run->length] = '\0';
}

static void reading_lines(void *argument) {
    struct line_run *run = argument;
    struct stream *stream = stream_create(run->reader, run->row->limit);

    stream_accept_bare_lf(stream, run->row->bare_lf);
    stream_set_deadline(stream, deadline_in(20000));
    for (;;) {
        struct str line = STR_EMPTY;
        enum stream_result result = stream_read_line(stream, &line);
        static const char letters[] = {'O', 'E', 'T', 'X', '!', 'L', 'C', 'F', 'N'};
        note(run, letters[result], line);
        if (result == STREAM_EOF || result == STREAM_TIMEOUT || result == STREAM_CANCELLED || result == STREAM_ERROR) break;
    }
    stream_destroy(&stream);
}

static void writing_lines(void *argument) {
    struct line_run *run = argument;
    struct str input = run->row->input;

    for (size_t from = 0; from < input.length;) {
        size_t to = run->split == STR_NONE ? from + 1 : from == 0 && run->split ? run->split : input.length;
        if (write(run->writer, input.data + from, to - from) != (ssize_t)(to - from)) abort();
        from = to;
        task_yield();
        task_yield();
    }
    close(run->writer);
}

static void check_lines(const struct lines *row, size_t split) {
    struct line_run run = {.row = row, .split = split};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    run.writer = pair[0];
    run.reader = pair[1];
    assert_true(task_start("reader", reading_lines, &run));
    assert_true(task_start("writer", writing_lines, &run));
    loop_run();
    if (strcmp(run.got, row->wanted) != 0) print_error("%s, split %zu\n", row->name, split);
    assert_string_equal(run.got, row->wanted);
}

static void test_lines(void **state) {
    (void)state;
    start_loop();
    for (size_t i = 0; i < ARRAY_LENGTH(line_table); i++) {
        for (size_t split = 0; split < line_table[i].input.length; split++) check_lines(&line_table[i], split);
        check_lines(&line_table[i], STR_NONE);
    }
    loop_destroy();
}

/* ---- a pair of tasks with a stream each */

struct talk {
    void (*left)(struct stream *stream, struct talk *talk);
    void (*right)(struct stream *stream, struct talk *talk);
    int ends[2];
    int file;
    bool left_done, right_done;
    struct task *left_task;
};

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

static void left_end(void *argument) {
    struct talk *talk = argument;
    struct stream *stream = stream_create(talk->ends[0], 1000);

    stream_set_deadline(stream, deadline_in(20000));
    talk->left(stream, talk);
    stream_destroy(&stream);
}

static void right_end(void *argument) {
    struct talk *talk = argument;
    struct stream *stream = stream_create(talk->ends[1], 1000);

    stream_set_deadline(stream, deadline_in(20000));
    talk->right(stream, talk);
    stream_destroy(&stream);
}

static void run_talk(struct talk *talk) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk->ends), 0);
    start_loop();
    assert_true(task_start_held("left", left_end, talk, &talk->left_task));
    assert_true(task_start("right", right_end, talk));
    loop_run();
    task_release(&talk->left_task);
    loop_destroy();
    assert_true(talk->left_done);
    assert_true(talk->right_done);
}

/* Answers to pipelined commands leave by themselves before the reader waits. */
static void serving(struct stream *stream, struct talk *talk) {
    enum stream_result result;
    struct str line;

    while ((result = stream_read_line(stream, &line)) == STREAM_OK)
        CHECK(stream_printf(stream, "250 %.*s\r\n", STR_ARGS(line)) == STREAM_OK);
    CHECK(result == STREAM_EOF);
    CHECK(stream_bytes_read(stream) == 3000 && stream_bytes_written(stream) == 7000);
    talk->left_done = true;
}

static void asking(struct stream *stream, struct talk *talk) {
    struct str line;

    for (int i = 0; i < 1000; i++) CHECK(stream_write(stream, STR("A\r\n")) == STREAM_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK(stream_read_line(stream, &line) == STREAM_OK);
        CHECK(str_equal(line, STR("250 A")));
    }
    talk->right_done = true;
}

static void test_pipelining(void **state) {
    (void)state;
    run_talk(&(struct talk){.left = serving, .right = asking});
}

/* Much more than fits, both ways of writing, read by peek, fill, some and line. */
enum { BLOCKS = 300, BLOCK = 10007 };

static void writing_much(struct stream *stream, struct talk *talk) {
    static char block[BLOCK];

    for (int i = 0; i < BLOCKS; i++) {
        memset(block, 'a' + i % 26, sizeof(block));
        CHECK(stream_write(stream, str_make(block, i % 3 ? sizeof(block) : 1)) == STREAM_OK);
    }
    for (int i = 0; i < 3; i++) {
        static char large[200000];
        memset(large, 'A' + i, sizeof(large));
        CHECK(stream_write(stream, str_make(large, sizeof(large))) == STREAM_OK);
    }
    CHECK(stream_flush(stream) == STREAM_OK);
    talk->left_done = true;
}

static void reading_much(struct stream *stream, struct talk *talk) {
    struct str bytes;

    for (int i = 0; i < BLOCKS; i++) {
        size_t length = i % 3 ? BLOCK : 1, done = 0;
        while (done < length) {
            if (i % 2) {
                CHECK(stream_read_some(stream, length - done, &bytes) == STREAM_OK);
            } else {
                CHECK(stream_fill(stream, 0) == STREAM_OK);
                CHECK(stream_peek(stream).length == stream_pending(stream));
                bytes = str_slice(stream_peek(stream), 0, length - done);
            }
            CHECK(bytes.length > 0 && bytes.length <= length - done);
            for (size_t at = 0; at < bytes.length; at++) CHECK(bytes.data[at] == 'a' + i % 26);
            done += bytes.length;
            if (i % 2 == 0) stream_consume(stream, bytes.length);
        }
    }
    CHECK(stream_fill(stream, 599999) == STREAM_OK); /* more than a buffer */
    bytes = stream_peek(stream);
    CHECK(bytes.length == 600000);
    for (size_t at = 0; at < bytes.length; at++) CHECK(bytes.data[at] == 'A' + (char)(at / 200000));
    stream_consume(stream, bytes.length);
    CHECK(stream_pending(stream) == 0);
    CHECK(stream_read_some(stream, 10, &bytes) == STREAM_EOF);
    talk->right_done = true;
}

static void test_much(void **state) {
    (void)state;
    run_talk(&(struct talk){.left = writing_much, .right = reading_much});
}

/* ---- deadlines */

static void timing_out(struct stream *stream, struct talk *talk) {
    deadline before = clock_monotonic();
    struct str line = STR("untouched");

    stream_set_deadline(stream, deadline_in(60));
    CHECK(stream_read_line(stream, &line) == STREAM_TIMEOUT); /* though bytes keep coming */
    CHECK(clock_monotonic() - before >= 60 && clock_monotonic() - before < 5000);
    CHECK(str_equal(line, STR("untouched")));
    stream_set_deadline(stream, deadline_in(20000));
    CHECK(stream_read_line(stream, &line) == STREAM_OK); /* nothing was lost */
    CHECK(line.length == 20);
    stream_set_deadline(stream, deadline_in(30));
    while (stream_write(stream, STR("0123456789012345678901234567890123456789")) == STREAM_OK) continue;
    CHECK(stream_flush(stream) == STREAM_TIMEOUT); /* the peer reads nothing */
    talk->left_done = true;
}

static void trickling(struct stream *stream, struct talk *talk) {
    for (int i = 0; i < 20; i++) {
        CHECK(stream_write(stream, STR("x")) == STREAM_OK && stream_flush(stream) == STREAM_OK);
        task_sleep(5);
    }
    CHECK(stream_write(stream, STR("\r\n")) == STREAM_OK && stream_flush(stream) == STREAM_OK);
    CHECK(task_join(talk->left_task, deadline_in(20000)) == WAIT_READY);
    talk->right_done = true;
}

static void test_deadlines(void **state) {
    (void)state;
    run_talk(&(struct talk){.left = timing_out, .right = trickling});
}

/* A flood that never lets the socket run dry does not outlast the deadline, nor
 * keep others from running. */
static void taking_flood(struct stream *stream, struct talk *talk) {
    deadline before = clock_monotonic();
    enum stream_result result;
    struct str bytes;

    stream_set_deadline(stream, deadline_in(50));
    while ((result = stream_read_some(stream, SIZE_MAX, &bytes)) == STREAM_OK) continue;
    CHECK(result == STREAM_TIMEOUT);
    CHECK(clock_monotonic() - before < 5000);
    talk->left_done = true;
}

static void flooding(struct stream *stream, struct talk *talk) {
    static char block[65536];
    enum stream_result result;

    while ((result = stream_write(stream, str_make(block, sizeof(block)))) == STREAM_OK) continue;
    CHECK(result == STREAM_ERROR);
    CHECK(stream_failure(stream)->error_number != 0 && stream_failure(stream)->text[0] != '\0');
    talk->right_done = true;
}

static void test_flood(void **state) {
    (void)state;
    run_talk(&(struct talk){.left = taking_flood, .right = flooding});
}

/* ---- cancelling, readable now */

static void is_cancelled(struct stream *stream, struct talk *talk) {
    struct str line;

    CHECK(!stream_readable_now(stream));
    CHECK(stream_read_line(stream, &line) == STREAM_CANCELLED);
    CHECK(stream_printf(stream, "421 %s\r\n", "bye") == STREAM_OK); /* what needs no wait still works */
    CHECK(stream_flush(stream) == STREAM_OK);
    talk->left_done = true;
}

static void cancels(struct stream *stream, struct talk *talk) {
    struct str line;

    task_sleep(5);
    task_cancel(talk->left_task);
    CHECK(stream_read_line(stream, &line) == STREAM_OK && str_equal(line, STR("421 bye")));
    CHECK(stream_readable_now(stream)); /* the end */
    CHECK(stream_readable_now(stream));
    CHECK(stream_read_line(stream, &line) == STREAM_EOF);
    talk->right_done = true;
}

static void test_cancel(void **state) {
    (void)state;
    run_talk(&(struct talk){.left = is_cancelled, .right = cancels});
}

/* ---- files */

enum { FILE_SIZE = 3000000 };

static void sending_file(struct stream *stream, struct talk *talk) {
    CHECK(stream_write(stream, STR("before ")) == STREAM_OK);
    CHECK(stream_send_file(stream, talk->file, 5, 10) == STREAM_OK);
    CHECK(stream_send_file(stream, talk->file, 1, FILE_SIZE - 1) == STREAM_OK);
    CHECK(stream_write(stream, STR(" after")) == STREAM_OK);
    CHECK(stream_flush(stream) == STREAM_OK);
    CHECK(stream_send_file(stream, talk->file, FILE_SIZE - 100, 101) == STREAM_ERROR);
    CHECK(stream_send_file(stream, talk->file, FILE_SIZE - 100000, 100001) == STREAM_ERROR);
    talk->left_done = true;
}

static bool expect_bytes(struct stream *stream, uint64_t offset, size_t length) {
    struct str bytes;

    while (length > 0) {
        if (stream_read_some(stream, length, &bytes) != STREAM_OK) return false;
        for (size_t i = 0; i < bytes.length; i++, offset++)
            if ((unsigned char)bytes.data[i] != offset % 251) return false;
        length -= bytes.length;
    }
    return true;
}

static void taking_file(struct stream *stream, struct talk *talk) {
    CHECK(stream_fill(stream, 6) == STREAM_OK);
    CHECK(str_starts(stream_peek(stream), STR("before ")));
    stream_consume(stream, 7);
    CHECK(expect_bytes(stream, 5, 10));
    CHECK(expect_bytes(stream, 1, FILE_SIZE - 1));
    CHECK(stream_fill(stream, 5) == STREAM_OK);
    CHECK(str_starts(stream_peek(stream), STR(" after")));
    while (stream_fill(stream, 0) == STREAM_OK) stream_consume(stream, SIZE_MAX);
    talk->right_done = true;
}

static int make_file(void) {
    int file = memfd_create("content", MFD_CLOEXEC);
    static unsigned char block[251 * 100];

    for (size_t i = 0; i < sizeof(block); i++) block[i] = (unsigned char)(i % 251);
    for (size_t done = 0; done < FILE_SIZE; done += sizeof(block)) assert_int_equal(write(file, block, sizeof(block)), sizeof(block));
    assert_int_equal(ftruncate(file, FILE_SIZE), 0);
    return file;
}

static void test_send_file(void **state) {
    struct talk talk = {.left = sending_file, .right = taking_file, .file = make_file()};

    (void)state;
    run_talk(&talk);
    close(talk.file);
}

/* ---- transports: one that turns letters over, moves few bytes and asks for odd waits */

struct odd {
    int descriptor;
    unsigned calls;
    bool destroyed;
};

static void turn(char *data, long length) {
    for (long i = 0; i < length; i++) data[i] = (char)(data[i] ^ 0x20);
}

static long odd_read(void *state, void *data, size_t length, bool *wait_for_write) {
    struct odd *odd = state;
    ssize_t got;

    if (++odd->calls % 3 == 0) {
        *wait_for_write = true; /* as TLS may while it renegotiates */
        errno = EAGAIN;
        return -1;
    }
    got = recv(odd->descriptor, data, length < 1000 ? length : 1000, MSG_DONTWAIT);
    turn(data, got);
    *wait_for_write = false;
    return got;
}

static long odd_write(void *state, const void *data, size_t length, bool *wait_for_write) {
    struct odd *odd = state;
    char copy[777];

    if (length > sizeof(copy)) length = sizeof(copy);
    memcpy(copy, data, length);
    turn(copy, (long)length);
    *wait_for_write = true;
    return send(odd->descriptor, copy, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void odd_destroy(void *state) {
    struct odd *odd = state;

    odd->destroyed = true;
}

static const struct stream_transport odd_transport = {.read = odd_read, .write = odd_write, .destroy = odd_destroy};
static struct odd odds[2];

static void upgrade(struct stream *stream, struct odd *odd) {
    odd->descriptor = stream_descriptor(stream);
    stream_set_transport(stream, &odd_transport, odd);
}

static void sending_odd(struct stream *stream, struct talk *talk) {
    upgrade(stream, &odds[0]);
    sending_file(stream, talk);
}

static void taking_odd(struct stream *stream, struct talk *talk) {
    upgrade(stream, &odds[1]);
    taking_file(stream, talk);
}

static void test_transport(void **state) {
    struct talk talk = {.left = sending_odd, .right = taking_odd, .file = make_file()};

    (void)state;
    run_talk(&talk);
    assert_true(odds[0].destroyed && odds[1].destroyed);
    close(talk.file);
}

/* ---- a pipe is no socket; and no loop is needed */

static void test_outside_tasks(void **state) {
    struct stream *reader, *writer;
    struct str line;
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    reader = stream_create(pair[0], 100);
    writer = stream_create(pair[1], 100);
    stream_set_deadline(reader, deadline_in(10));
    assert_int_equal(stream_read_line(reader, &line), STREAM_TIMEOUT);
    assert_int_equal(stream_write(writer, STR("hello\r\nthere\r\n")), STREAM_OK);
    assert_int_equal(stream_flush(writer), STREAM_OK);
    stream_set_deadline(reader, DEADLINE_NEVER);
    assert_int_equal(stream_read_line(reader, &line), STREAM_OK);
    assert_true(str_equal(line, STR("hello")));
    assert_int_equal(stream_pending(reader), 7);
    assert_true(stream_readable_now(reader));
    assert_true(str_equal(line, STR("hello"))); /* still borrowed */
    assert_int_equal(stream_read_line(reader, &line), STREAM_OK);
    assert_true(str_equal(line, STR("there")));
    assert_false(stream_readable_now(reader));
    stream_destroy(&writer);
    assert_null(writer);
    assert_int_equal(stream_read_line(reader, &line), STREAM_EOF);
    assert_int_equal(stream_fail(reader, "odd %d\n", 5), STREAM_ERROR);
    assert_string_equal(stream_failure(reader)->text, "odd 5?");
    stream_destroy(&reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_pipelining), cmocka_unit_test(test_much),
        cmocka_unit_test(test_deadlines), cmocka_unit_test(test_flood),      cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_send_file), cmocka_unit_test(test_transport),  cmocka_unit_test(test_outside_tasks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
