/* Unit tests of the PROXY protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_protocol.h"
#include "task.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LONGEST_IPV6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

/* Header, what it says ("client port server port", "local"; NULL: invalid). */
static const struct row {
    struct str header;
    const char *wanted;
} table[] = {
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 5000 25\r\n"), "192.0.2.1 5000 198.51.100.2 25"},
    {STR_INIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255 65535 255.255.255.255 65535"},
    {STR_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 5000 25\r\n"), "2001:db8::1 5000 2001:db8::2 25"},
    {STR_INIT("PROXY TCP6 " LONGEST_IPV6 " " LONGEST_IPV6 " 65535 65535\r\n"), LONGEST_IPV6 " 65535 " LONGEST_IPV6 " 65535"},
    {STR_INIT("PROXY UNKNOWN\r\n"), "local"},
    {STR_INIT("PROXY UNKNOWN " LONGEST_IPV6 " " LONGEST_IPV6 " 65535 65535\r\n"), "local"},
    {STR_INIT("PROXY UNKNOWNX\r\n"), NULL},
    {STR_INIT("PROXY TCP5 192.0.2.1 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("PROXY TCP4 2001:db8::1 2001:db8::2 5000 25\r\n"), NULL},
    {STR_INIT("PROXY TCP6 192.0.2.1 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 5000 65536\r\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 05000 25\r\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 5000\r\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 5000 25 \r\n"), NULL},
    {STR_INIT("PROXY TCP4  192.0.2.1 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 5000 25\n"), NULL},
    {STR_INIT("PROXY TCP4 192.0.2.1\0 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("PROXY  TCP4 192.0.2.1 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("proxy TCP4 192.0.2.1 198.51.100.2 5000 25\r\n"), NULL},
    {STR_INIT("EHLO example.org\r\n"), NULL},
    {STR_INIT(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x13\x88\0\x19"), "192.0.2.1 5000 198.51.100.2 25"},
    {STR_INIT(SIGNATURE "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x02\x13\x88\0\x19\x04\0\x01x"), "192.0.2.1 5000 198.51.100.2 25"},
    {STR_INIT(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x13\x88\0\x19"),
     "2001:db8::1 5000 2001:db8::2 25"},
    {STR_INIT(SIGNATURE "\x20\0\0\0"), "local"},
    {STR_INIT(SIGNATURE "\x20\x11\0\x03xyz"), "local"},
    {STR_INIT(SIGNATURE "\x21\0\0\0"), "local"},
    {STR_INIT(SIGNATURE "\x22\x11\0\0"), NULL},
    {STR_INIT(SIGNATURE "\x11\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x13\x88\0\x19"), NULL},
    {STR_INIT(SIGNATURE "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x13\x88\0\x19"), NULL},
    {STR_INIT(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x02\x13\x88\0"), NULL},
    {STR_INIT(SIGNATURE "\x21\x11\x02\x09"), NULL},
    {STR_INIT(SIGNATURE "\x21\x41\0\0"), NULL},
};

static void describe(const struct proxy_header *header, struct buf *text) {
    buf_clear(text);
    if (header->local) {
        buf_append(text, STR("local"));
        return;
    }
    endpoint_format_ip(&header->client, text);
    buf_printf(text, " %u ", endpoint_port(&header->client));
    endpoint_format_ip(&header->server, text);
    buf_printf(text, " %u", endpoint_port(&header->server));
}

static void test_parse(void **state) {
    struct buf text = buf_make(0), input = buf_make(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct proxy_header header;
        struct str whole = table[i].header;
        if (!table[i].wanted) {
            assert_int_equal(proxy_parse(whole, &header), PROXY_INVALID);
            continue;
        }
        for (size_t part = 0; part < whole.length; part++)
            assert_int_equal(proxy_parse(str_slice(whole, 0, part), &header), PROXY_MORE);
        buf_clear(&input);
        buf_append(&input, whole);
        for (int more = 0; more < 2; more++) {
            assert_int_equal(proxy_parse(buf_str(&input), &header), PROXY_DONE);
            assert_int_equal(header.length, whole.length);
            describe(&header, &text);
            assert_string_equal(buf_string(&text), table[i].wanted);
            buf_append(&input, STR("EHLO there\r\n"));
        }
    }
    buf_free(&text);
    buf_free(&input);
}

static void test_limits(void **state) {
    struct proxy_header header;
    struct buf input = buf_make(0);

    (void)state;
    buf_append(&input, STR("PROXY UNKNOWN "));
    while (input.length < 106) buf_append_char(&input, 'x');
    assert_int_equal(proxy_parse(buf_str(&input), &header), PROXY_MORE);
    buf_append_char(&input, 'x');
    assert_int_equal(proxy_parse(buf_str(&input), &header), PROXY_INVALID);
    buf_clear(&input);
    buf_append(&input, STR(SIGNATURE "\x21\x31\x02\x08"));
    while (input.length < 535) buf_append_char(&input, 'x');
    assert_int_equal(proxy_parse(buf_str(&input), &header), PROXY_MORE);
    buf_append_char(&input, 'x');
    assert_int_equal(proxy_parse(buf_str(&input), &header), PROXY_DONE);
    assert_int_equal(header.length, 536);
    assert_true(endpoint_is_local(&header.client));
    buf_free(&input);
}

/* ---- reading: not a byte too many, however it is split */

struct reading {
    int ends[2];
    size_t split;
    struct str header;
    enum stream_result result;
    struct proxy_header found;
    char after[20];
    ssize_t after_length;
};

static void reading(void *argument) {
    struct reading *reading = argument;
    struct stream *stream = stream_create(reading->ends[0], 100);

    stream_set_deadline(stream, deadline_in(5000));
    reading->result = proxy_read(stream, &reading->found);
    if (reading->result == STREAM_OK && stream_pending(stream) == 0) {
        while ((reading->after_length = recv(reading->ends[0], reading->after, sizeof(reading->after), MSG_DONTWAIT)) < 0)
            if (task_wait_readable(reading->ends[0], deadline_in(5000)) != WAIT_READY) break;
    }
    stream_destroy(&stream);
}

static void sending(void *argument) {
    struct reading *reading = argument;
    struct buf bytes = buf_make(0);

    buf_append(&bytes, reading->header);
    buf_append(&bytes, STR("hello"));
    if (reading->split && write(reading->ends[1], bytes.data, reading->split) < 0) _exit(3);
    task_yield();
    task_yield();
    if (write(reading->ends[1], bytes.data + reading->split, bytes.length - reading->split) < 0) _exit(3);
    task_yield();
    close(reading->ends[1]);
    buf_free(&bytes);
}

static void test_read(void **state) {
    struct failure failure;

    (void)state;
    assert_true(loop_create(NULL, &failure));
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        for (size_t split = 0; split <= table[i].header.length; split++) {
            struct reading run = {.split = split, .header = table[i].header};
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run.ends), 0);
            assert_true(task_start("reading", reading, &run));
            assert_true(task_start("sending", sending, &run));
            signal(SIGPIPE, SIG_IGN);
            loop_run();
            assert_int_equal(run.result, table[i].wanted ? STREAM_OK : STREAM_ERROR);
            if (!table[i].wanted) continue;
            assert_int_equal(run.found.length, table[i].header.length);
            assert_true(run.after_length > 0);
            assert_memory_equal(run.after, "hello", (size_t)run.after_length);
        }
    loop_destroy();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
