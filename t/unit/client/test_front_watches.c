/* front_watches: who is told of what; races between sessions and the front; sessions that were taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "front_watches.h"
#include "task.h"

#define OWNER 1000

struct client {
    struct front_watcher watcher;
    unsigned told;
};

static char folders[2][40];

static void changed(struct front_watcher *watcher) {
    ((struct client *)(void *)watcher)->told++;
}

static struct front_watches *begin(void) {
    struct failure failure = {0};
    assert_true(loop_create(NULL, &failure));
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        memcpy(folders[i], "/tmp/tern-watches-XXXXXX", 25);
        assert_non_null(mkdtemp(folders[i]));
    }
    return front_watches_create(changed);
}

static void end(struct front_watches *watches) {
    front_watches_free(&watches);
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        rmdir(folders[i]);
    loop_destroy();
}

static void stop_soon(void *unused) {
    (void)unused;
    task_sleep(20);
    loop_stop();
}

static void look_around(void) {
    assert_true(task_start("stop", stop_soon, NULL));
    loop_run();
}

/* Something happens in the folder, and leaves nothing. */
static void touch(size_t folder) {
    char path[60];
    snprintf(path, sizeof path, "%s/x", folders[folder]);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    unlink(path);
}

/* A session gets the client: its own copy of the instance, or a new one. */
static int session_begins(struct front_watches *watches, struct client *client) {
    int descriptor = front_watches_lend(watches, &client->watcher, OWNER);
    int copy = descriptor >= 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0) : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(copy >= 0);
    front_watches_lent(watches, &client->watcher);
    return copy;
}

static int add(int inotify, size_t folder) {
    int watch = inotify_add_watch(inotify, folders[folder], IN_CREATE);
    assert_true(watch > 0);
    return watch;
}

static bool session_idles(struct front_watches *watches, struct client *client, int inotify, int watch) {
    char number[20];
    snprintf(number, sizeof number, "%d", watch);
    return front_watches_take(watches, &client->watcher, OWNER, inotify, str_from(number));
}

static void make_idle(struct front_watches *watches, struct client *client, size_t folder) {
    int inotify = session_begins(watches, client);
    assert_true(session_idles(watches, client, inotify, add(inotify, folder)));
}

static void who_is_told(void **unused) {
    struct client one = {.told = 0}, other = {.told = 0}, third = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    make_idle(watches, &one, 0);
    make_idle(watches, &other, 1);
    make_idle(watches, &third, 1);
    assert_true(one.watcher.instance == other.watcher.instance && one.watcher.instance == third.watcher.instance);
    touch(1);
    look_around();
    assert_int_equal(one.told, 0);
    assert_int_equal(other.told, 1);
    assert_int_equal(third.told, 1);
    front_watches_leave(watches, &other.watcher);
    touch(1);
    look_around();
    assert_int_equal(other.told, 1);
    assert_int_equal(third.told, 2);
    front_watches_leave(watches, &third.watcher);
    front_watches_leave(watches, &one.watcher);
    end(watches);
}

/* Alone, a client takes the instance along, and comes back with it; what happened meanwhile is told. */
static void alone(void **unused) {
    struct client client = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    make_idle(watches, &client, 0);
    int inotify = session_begins(watches, &client);
    assert_false(front_watches_has(watches, OWNER));
    int watch = add(inotify, 0);
    touch(0);
    assert_true(session_idles(watches, &client, inotify, watch));
    look_around();
    assert_int_equal(client.told, 1);
    front_watches_leave(watches, &client.watcher);
    end(watches);
}

/* Two sessions of one mailbox: a watch that the front ends when one client goes was the other session's, too. */
static void ended_meanwhile(void **unused) {
    struct client one = {.told = 0}, other = {.told = 0}, third = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    make_idle(watches, &one, 0);
    make_idle(watches, &third, 1);
    int inotify = session_begins(watches, &other), watch = add(inotify, 0);
    front_watches_leave(watches, &one.watcher);
    assert_false(session_idles(watches, &other, inotify, watch));
    /* again, and nothing happens */
    inotify = session_begins(watches, &other);
    assert_true(session_idles(watches, &other, inotify, add(inotify, 0)));
    touch(0);
    look_around();
    assert_int_equal(other.told, 1);
    front_watches_leave(watches, &other.watcher);
    front_watches_leave(watches, &third.watcher);
    end(watches);
}

/* The front reads an event before the session has said whose watch that is. */
static void event_before_idle(void **unused) {
    struct client one = {.told = 0}, other = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    make_idle(watches, &one, 0);
    int inotify = session_begins(watches, &other), watch = add(inotify, 1);
    touch(1);
    look_around();
    assert_int_equal(one.told, 0);
    assert_false(session_idles(watches, &other, inotify, watch));
    front_watches_leave(watches, &other.watcher);
    front_watches_leave(watches, &one.watcher);
    end(watches);
}

/* What a session that was taken over gives back: other things than an inotify instance. */
static void other_descriptors(void **unused) {
    struct client client = {.told = 0};
    struct front_watches *watches = begin();
    int pair[2];
    (void)unused;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_int_equal(write(pair[1], "0123456789abcdefghijklmnopqrstuvwxyz", i == 0 ? 36 : 7), i == 0 ? 36 : 7);
        if (i == 2) close(pair[1]);
        front_watches_take(watches, &client.watcher, OWNER, i == 1 ? fcntl(pair[1], F_DUPFD_CLOEXEC, 0) : pair[0],
                           STR("1 2 3 4 99999999999"));
        if (i != 1) look_around();
        assert_int_equal(client.told > 0, i != 1);
        client.told = 0;
        assert_int_equal(session_begins(watches, &client) >= 0, 1);
        front_watches_leave(watches, &client.watcher);
        if (i != 2) close(pair[1]);
        if (i == 1) close(pair[0]);
    }
    end(watches);
}

/* One that blocks, read away by another process: the front goes on, and has done with it. */
static void one_that_blocks(void **unused) {
    struct client client = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    int inotify = session_begins(watches, &client), mine = fcntl(inotify, F_DUPFD_CLOEXEC, 0), watch = add(inotify, 0);
    assert_int_equal(fcntl(mine, F_SETFL, 0), 0);
    session_idles(watches, &client, inotify, watch);
    touch(0);
    look_around();
    assert_int_equal(client.told, 2); /* of the event, and of the end */
    assert_false(front_watches_has(watches, OWNER));
    assert_int_equal(front_watches_lend(watches, &client.watcher, OWNER), -1);
    front_watches_leave(watches, &client.watcher);
    close(mine);
    end(watches);
}

static void stop_later(void *milliseconds) {
    task_sleep(*(const int64_t *)milliseconds);
    loop_stop();
}

static void wait_a_while(int64_t milliseconds) {
    assert_true(task_start("stop", stop_later, &milliseconds));
    loop_run();
}

/* One whose last client is gone is closed later, or lent again: to whom it tells nothing of before. */
static void rest(void **unused) {
    struct client client = {.told = 0}, next = {.told = 0};
    struct front_watches *watches = begin();
    (void)unused;
    int inotify = session_begins(watches, &client), copy = fcntl(inotify, F_DUPFD_CLOEXEC, 0), watch = add(inotify, 0);
    session_idles(watches, &client, inotify, watch);
    front_watches_leave(watches, &client.watcher);
    assert_true(front_watches_has(watches, OWNER));
    touch(0);
    int again = session_begins(watches, &next), second = add(again, 0);
    assert_int_not_equal(second, watch); /* it is the same instance: another one would begin with 1 again */
    session_idles(watches, &next, again, second);
    look_around();
    assert_int_equal(client.told + next.told, 0);
    touch(0);
    look_around();
    assert_int_equal(client.told, 0);
    assert_int_equal(next.told, 1);
    front_watches_leave(watches, &next.watcher);
    for (int i = 0; i < 50 && front_watches_has(watches, OWNER); i++)
        wait_a_while(100);
    assert_false(front_watches_has(watches, OWNER));
    close(copy);
    end(watches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_told),       cmocka_unit_test(alone),
        cmocka_unit_test(ended_meanwhile),   cmocka_unit_test(event_before_idle),
        cmocka_unit_test(other_descriptors), cmocka_unit_test(one_that_blocks),
        cmocka_unit_test(rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
