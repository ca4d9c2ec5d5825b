/* Unit tests of socket addresses, listening and connecting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "endpoint.h"
#include "task.h"

static void expect_ip(const struct endpoint *endpoint, const char *ip, uint16_t port) {
    struct buf text = buf_make(0);

    assert_true(endpoint_format_ip(endpoint, &text));
    assert_string_equal(buf_string(&text), ip);
    assert_int_equal(endpoint_port(endpoint), port);
    buf_free(&text);
}

static void test_from_ip(void **state) {
    static const struct {
        struct str text;
        const char *formatted; /* NULL: no address */
        bool ipv6, loopback;
    } rows[] = {
        {STR_INIT("192.0.2.1"), "192.0.2.1", false, false},
        {STR_INIT("127.255.0.9"), "127.255.0.9", false, true},
        {STR_INIT("0.0.0.0"), "0.0.0.0", false, false},
        {STR_INIT("2001:DB8::0:1"), "2001:db8::1", true, false},
        {STR_INIT("::1"), "::1", true, true},
        {STR_INIT("::"), "::", true, false},
        {STR_INIT("::ffff:192.0.2.1"), "192.0.2.1", true, false},
        {STR_INIT("::ffff:127.0.0.1"), "127.0.0.1", true, true},
        {STR_INIT(""), NULL, false, false},
        {STR_INIT("192.0.2"), NULL, false, false},
        {STR_INIT("192.0.2.1.1"), NULL, false, false},
        {STR_INIT("192.0.2.256"), NULL, false, false},
        {STR_INIT("192.0.2.1\0x"), NULL, false, false},
        {STR_INIT("[::1]"), NULL, false, false},
        {STR_INIT("1:2:3:4:5:6:7:8:9"), NULL, false, false},
        {STR_INIT("localhost"), NULL, false, false},
        {STR_INIT(" 192.0.2.1"), NULL, false, false},
        {STR_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"), NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct endpoint endpoint = {.length = 77};
        bool found = endpoint_from_ip(rows[i].text, 25, &endpoint);
        assert_int_equal(found, rows[i].formatted != NULL);
        if (!found) {
            assert_int_equal(endpoint.length, 77);
            continue;
        }
        expect_ip(&endpoint, rows[i].formatted, 25);
        assert_int_equal(endpoint_is_ipv6(&endpoint), rows[i].ipv6);
        assert_int_equal(endpoint_is_loopback(&endpoint), rows[i].loopback);
        assert_false(endpoint_is_local(&endpoint));
    }
}

static void test_parse(void **state) {
    static const struct {
        struct str text;
        const char *ip;
        uint16_t port;
    } rows[] = {
        {STR_INIT("127.0.0.1:25"), "127.0.0.1", 25},
        {STR_INIT("[::1]:2525"), "::1", 2525},
        {STR_INIT("[127.0.0.1]:smtp"), "127.0.0.1", 25},
        {STR_INIT("inet:127.0.0.1:8891"), "127.0.0.1", 8891},
        {STR_INIT("inet:[2001:db8::5]:submission"), "2001:db8::5", 587},
        {STR_INIT("127.0.0.1:0"), "127.0.0.1", 0},
        {STR_INIT("127.0.0.1:65535"), "127.0.0.1", 65535},
        {STR_INIT("127.0.0.1:65536"), NULL, 0},
        {STR_INIT("127.0.0.1:"), NULL, 0},
        {STR_INIT("127.0.0.1"), NULL, 0},
        {STR_INIT("::1:25"), NULL, 0},
        {STR_INIT("[::1]"), NULL, 0},
        {STR_INIT("[::1]25"), NULL, 0},
        {STR_INIT("[::1"), NULL, 0},
        {STR_INIT(":25"), NULL, 0},
        {STR_INIT("host.example:25"), NULL, 0},
        {STR_INIT("127.0.0.1:no-such-service-x"), NULL, 0},
        {STR_INIT(""), NULL, 0},
        {STR_INIT("inet:"), NULL, 0},
        {STR_INIT("unix:"), NULL, 0},
    };
    struct endpoint endpoint;
    struct failure failure;
    char path[300] = "unix:/";

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        failure.text[0] = '\0';
        assert_int_equal(endpoint_parse(rows[i].text, &endpoint, &failure), rows[i].ip != NULL);
        if (rows[i].ip)
            expect_ip(&endpoint, rows[i].ip, rows[i].port);
        else
            assert_true(failure.text[0] != '\0');
    }
    assert_true(endpoint_parse(STR("unix:/run/socket"), &endpoint, &failure));
    assert_true(endpoint_is_local(&endpoint));
    assert_string_equal(endpoint.address.local.sun_path, "/run/socket");
    expect_ip(&endpoint, "unknown", 0);
    memset(path + 6, 'x', 107);
    assert_false(endpoint_parse(str_from(path), &endpoint, &failure));
    path[5 + 107] = '\0';
    assert_true(endpoint_parse(str_from(path), &endpoint, &failure));
}

static void test_same_address(void **state) {
    static const struct {
        struct str a, b;
        bool same;
    } rows[] = {
        {STR_INIT("127.0.0.1:1"), STR_INIT("127.0.0.1:2"), true},
        {STR_INIT("127.0.0.1:1"), STR_INIT("127.0.0.2:1"), false},
        {STR_INIT("[::1]:1"), STR_INIT("[::1]:2"), true},
        {STR_INIT("[::1]:1"), STR_INIT("[::2]:1"), false},
        {STR_INIT("[::ffff:10.0.0.1]:1"), STR_INIT("10.0.0.1:1"), true},
        {STR_INIT("[::1]:1"), STR_INIT("127.0.0.1:1"), false},
        {STR_INIT("unix:/a"), STR_INIT("unix:/a"), true},
        {STR_INIT("unix:/a"), STR_INIT("unix:/ab"), false},
        {STR_INIT("unix:/a"), STR_INIT("127.0.0.1:1"), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct endpoint a, b;
        assert_true(endpoint_parse(rows[i].a, &a, NULL) && endpoint_parse(rows[i].b, &b, NULL));
        assert_int_equal(endpoint_same_address(&a, &b), rows[i].same);
        assert_int_equal(endpoint_same_address(&b, &a), rows[i].same);
    }
}

/* ---- sockets */

struct connecting {
    struct endpoint to, from;
    bool bind;
    int descriptor;
    struct failure failure;
    deadline until;
};

static void connecting(void *argument) {
    struct connecting *connecting = argument;

    connecting->descriptor =
        endpoint_connect(&connecting->to, connecting->bind ? &connecting->from : NULL, connecting->until, &connecting->failure);
}

static void run_connecting(struct connecting *connecting_to) {
    struct failure failure;

    assert_true(loop_create(NULL, &failure));
    assert_true(task_start("connecting", connecting, connecting_to));
    loop_run();
    loop_destroy();
}

static void connect_to_listener(struct str address, struct str from) {
    struct connecting task = {.descriptor = -2, .until = deadline_in(5000)};
    struct endpoint endpoint, peer;
    struct failure failure;
    int listener, accepted;

    assert_true(endpoint_parse(address, &endpoint, &failure));
    listener = endpoint_listen(&endpoint, 5, &failure);
    if (listener < 0 && endpoint_is_ipv6(&endpoint)) return; /* no IPv6 here */
    assert_true(listener >= 0);
    assert_true(endpoint_of_self(listener, &task.to));
    if (from.length) {
        task.bind = true;
        assert_true(endpoint_from_ip(from, 0, &task.from));
    }
    run_connecting(&task);
    assert_true(task.descriptor >= 0);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_true(endpoint_of_peer(accepted, &peer));
    if (from.length) assert_true(endpoint_same_address(&peer, &task.from));
    if (!endpoint_is_local(&endpoint)) assert_true(endpoint_is_loopback(&peer));
    close(accepted);
    close(listener);
    assert_int_equal(close(task.descriptor), 0);
    /* Nobody listens now. */
    task.bind = false;
    run_connecting(&task);
    assert_int_equal(task.descriptor, -1);
    assert_int_equal(task.failure.error_number, ECONNREFUSED);
    assert_true(task.failure.text[0] != '\0');
}

static void test_connect(void **state) {
    (void)state;
    connect_to_listener(STR("127.0.0.1:0"), STR(""));
    connect_to_listener(STR("127.0.0.1:0"), STR("127.0.0.5"));
    connect_to_listener(STR("[::1]:0"), STR(""));
}

static void test_unix(void **state) {
    struct connecting task = {.descriptor = -2};
    struct failure failure;
    struct endpoint endpoint;
    char directory[] = "/tmp/test_endpoint_XXXXXX";
    struct buf path = buf_make(0);
    int first, full[64], count = 0;

    (void)state;
    assert_non_null(mkdtemp(directory));
    buf_printf(&path, "unix:%s/socket", directory);
    connect_to_listener(buf_str(&path), STR(""));
    /* The file is left over; a new listener takes its place, a second one must not. */
    assert_true(endpoint_parse(buf_str(&path), &endpoint, &failure));
    first = endpoint_listen(&endpoint, 1, &failure);
    assert_true(first >= 0);
    assert_int_equal(endpoint_listen(&endpoint, 1, &failure), -1);
    assert_int_equal(failure.error_number, EADDRINUSE);
    /* A full queue is waited for until the deadline. */
    for (; count < 64; count++) {
        full[count] = endpoint_connect(&endpoint, NULL, deadline_in(0), &failure);
        if (full[count] < 0) break;
    }
    assert_true(count < 64);
    task.to = endpoint;
    task.until = deadline_in(50);
    run_connecting(&task);
    assert_int_equal(task.descriptor, -1);
    assert_int_equal(task.failure.error_number, ETIMEDOUT);
    while (count > 0) close(full[--count]);
    close(first);
    unlink(endpoint.address.local.sun_path);
    rmdir(directory);
    buf_free(&path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_ip), cmocka_unit_test(test_parse), cmocka_unit_test(test_same_address),
        cmocka_unit_test(test_connect), cmocka_unit_test(test_unix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
