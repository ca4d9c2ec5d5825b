/* The next attempt, and who is taken up again: by time, by flush, after the index was lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "queue_fixture.h"
#include "qmgr_fixture.h"

static struct qmgr_fixture fixture;
static struct queue_fixture queue;
static char activated[4000]; /* IDs */
static size_t room;          /* messages that may still be taken up */
static size_t calls;

bool qmgr_has_room(const struct qmgr *qmgr, bool for_deferred) {
    (void)qmgr, (void)for_deferred;
    return room > 0;
}

void message_activate(struct qmgr *qmgr, struct str queue_id, int file, bool deferred, bool recovered, bool flushed) {
    (void)file;
    (void)deferred, (void)recovered, (void)flushed;
    calls++;
    if (map_get(qmgr->active, queue_id)) return;
    map_put(qmgr->active, queue_id, qmgr);
    room--;
    size_t length = strlen(activated);
    snprintf(activated + length, sizeof activated - length, "%.*s ", STR_ARGS(queue_id));
}

void incoming_again(struct qmgr *qmgr, int64_t milliseconds) {
    (void)qmgr, (void)milliseconds;
}

bool incoming_scan(struct qmgr *qmgr) {
    (void)qmgr;
    abort(); /* nothing arrives here, as in the next two */
}
void incoming_look(struct qmgr *qmgr) {
    (void)qmgr;
    abort();
}
struct incoming *incoming_take(struct qmgr *qmgr) {
    (void)qmgr;
    abort();
}

static int setup(void **state) {
    (void)state;
    activated[0] = '\0';
    room = 100;
    calls = 0;
    qmgr_fixture_make(&fixture, "");
    struct qmgr *qmgr = &fixture.qmgr;
    if (!fixture_make(&queue) || chdir(queue.path) < 0 || !loop_create(NULL, NULL)) return -1;
    qmgr->queue = queue.queue;
    qmgr->index_lock = -1;
    snprintf(qmgr->boot_identity, sizeof qmgr->boot_identity, "boot1");
    qmgr->new = openat(queue.queue, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    qmgr->cur = openat(queue.queue, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    struct str name;
    void *value;
    size_t at = 0;
    while (map_next(fixture.qmgr.active, &at, &name, &value))
        map_remove(fixture.qmgr.active, name);
    loop_destroy();
    close(fixture.qmgr.new), close(fixture.qmgr.cur);
    fixture_remove(&queue);
    qmgr_fixture_end(&fixture);
    return chdir("/");
}

/* Runs deferred_task for a moment; before it and after it something may be done. */
struct scene {
    void (*before)(void), (*in_between)(void);
    bool opened;
};

static void play_scene(void *argument) {
    struct scene *scene = argument;
    struct qmgr *qmgr = &fixture.qmgr;
    scene->opened = deferred_open(qmgr, NULL);
    if (scene->before) scene->before();
    if (!scene->opened || !task_start("deferred", deferred_task, qmgr)) return;
    task_sleep(60);
    if (scene->in_between) scene->in_between();
    task_sleep(60);
    qmgr->draining = true;
    deferred_close(qmgr);
    task_queue_wake_all(&qmgr->deferred_wait);
}

static void play(void (*before)(void), void (*in_between)(void)) {
    struct scene scene = {before, in_between, false};
    assert_true(task_start("scene", play_scene, &scene));
    loop_run();
    assert_true(scene.opened);
}

static int64_t now(void) {
    return clock_date() / CLOCK_SECOND;
}

static void put(const char *id, int64_t when, const char *sites) {
    if (!schedule_put(fixture.qmgr.schedule, str_from(id), when, str_from(sites), NULL)) fail();
}

/* ---- tables */

static void test_next_attempt(void **state) {
    (void)state;
    struct config *config = fixture.config; /* 300 s to 4000 s */
    static const struct {
        int64_t age, wait;
    } rows[] = {{0, 300},     {299, 300},   {300, 300},   {301, 301},     {1000, 1000},
                {3999, 3999}, {4000, 4000}, {4001, 4000}, {400000, 4000}, {-5000, 300}}; /* the clock went back */
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(next_attempt_after(config, 1000000 - rows[i].age, 1000000), 1000000 + rows[i].wait);
}

static void due_and_not(void) {
    put("AAAAAA", now() - 10, "0 a.test");
    put("BBBBBB", now() + 500, "0 b.test");
    put("CCCCCC", now() - 20, "0 c.test");
}

static void test_due(void **state) {
    (void)state;
    play(due_and_not, NULL);
    expect_text("those that are due", activated, "CCCCCC AAAAAA ");
}

/* Dates that were noted before the clock went back by years. */
static void misdated(void) {
    put("AAAAAA", now() + 4000, "0 a.test");
    put("BBBBBB", now() + 4000 + 3000, "0 b.test");
    put("CCCCCC", now() + (int64_t)10 * 365 * 86400, "0 c.test");
    put("DDDDDD", now() + 86400, "0 d.test");
}

static void test_clock_set_back(void **state) {
    (void)state;
    play(misdated, NULL);
    expect_text("those that no wait explains", activated, "DDDDDD CCCCCC ");
    assert_int_equal(calls, 2); /* once each, though the walk comes by again */
}

/* What its sender wants to be released later is no mistake of a clock, and not to be flushed. */
static void released_later(void) {
    put("AAAAAA", now() + (int64_t)10 * 86400, "release a.test");
    put("BBBBBB", now() - 5, "release b.test");
    put("CCCCCC", now() + (int64_t)10 * 365 * 86400, "0 c.test");
    fixture.qmgr.flush_all = true;
    fixture.qmgr.flush_started = clock_date();
    put("DDDDDD", now() + 100, "0 d.test");
}

static void test_released_later(void **state) {
    (void)state;
    play(released_later, NULL);
    assert_int_equal(str_find_str(str_from(activated), STR("AAAAAA")), STR_NONE);
    assert_int_not_equal(str_find_str(str_from(activated), STR("BBBBBB")), STR_NONE);
    assert_int_not_equal(str_find_str(str_from(activated), STR("CCCCCC")), STR_NONE);
    assert_int_not_equal(str_find_str(str_from(activated), STR("DDDDDD")), STR_NONE);
}

static void many_due(void) {
    char id[24];
    room = 10;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "AAAA%02u", i);
        put(id, now() - 100, "0 a.test");
    }
}

static void give_room(void) {
    assert_true(fixture.qmgr.due_waits);
    room = 5;
    task_queue_wake_one(&fixture.qmgr.deferred_wait);
}

/* When room is made, the walk goes on where it stood: it does not pass all that is active again. */
static void test_room(void **state) {
    (void)state;
    play(many_due, give_room);
    assert_int_equal(strlen(activated), 15 * 7);
    assert_int_equal(calls, 15);
}

static void flush_site(void) {
    int64_t before = clock_date() - 1000;
    char old[60], any[60], just_now[60];
    snprintf(old, sizeof old, "%lld other.test a.test", (long long)before);
    snprintf(any, sizeof any, "%lld *", (long long)before);
    struct qmgr *qmgr = &fixture.qmgr;
    qmgr->flush_all = true;
    qmgr->flush_started = clock_date() - 10;
    snprintf(qmgr->flush_site, sizeof qmgr->flush_site, "A.TEST");
    snprintf(just_now, sizeof just_now, "%lld a.test", (long long)qmgr->flush_started + 1);
    put("AAAAAA", now() + 100, old);
    put("BBBBBB", now() + 100, "0 b.test");
    put("CCCCCC", now() + 100, any);      /* more sites than were noted */
    put("DDDDDD", now() + 100, just_now); /* tried since the flush began, in the same second */
}

/* What was tried before the clock was set back by an hour. */
static void flush_after_clock(void) {
    char later[60];
    struct qmgr *qmgr = &fixture.qmgr;
    qmgr->flush_all = true;
    qmgr->flush_started = clock_date();
    snprintf(later, sizeof later, "%lld a.test", (long long)(qmgr->flush_started + 3600 * CLOCK_SECOND));
    put("AAAAAA", now() + 3600 + 300, later);
}

static void test_flush_after_the_clock_was_set_back(void **state) {
    (void)state;
    play(flush_after_clock, NULL);
    expect_text("flushed", activated, "AAAAAA ");
}

static void test_flush(void **state) {
    (void)state;
    play(flush_site, NULL);
    expect_text("those of the site", activated, "AAAAAA CCCCCC ");
}

static void add_deferred(void) {
    for (unsigned i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof id, "AAAA%03u", i);
        if (!fixture_add(&queue,
                         &(struct fixture_message){"cur", id, "s@x.test", "r@a.test", "", "text\n", NULL, now()}))
            fail();
    }
}

static void test_rebuilt(void **state) {
    (void)state;
    add_deferred();
    room = 1000;
    play(NULL, NULL);
    assert_int_equal(map_count(fixture.qmgr.active), 300);
}

static void drain_at_once(void) {
    fixture.qmgr.draining = true;
}

/* A qmgr that is replaced while it fills the index leaves the rest to its successor. */
static void test_rebuild_cut_short(void **state) {
    (void)state;
    add_deferred();
    room = 1000;
    play(drain_at_once, NULL);
    assert_int_equal(map_count(fixture.qmgr.active), 0);
    fixture.qmgr.draining = false;
    play(NULL, NULL);
    assert_int_equal(map_count(fixture.qmgr.active), 300);
}

static void break_index(void) {
    fixture.qmgr.index_broken = true;
}

/* An index that failed is made anew while qmgr runs. */
static void test_repaired(void **state) {
    (void)state;
    add_deferred();
    room = 1000;
    play(break_index, NULL);
    assert_false(fixture.qmgr.index_broken);
    assert_int_equal(map_count(fixture.qmgr.active), 300);
}

/* The queue is handed over while a message is being taken up. */
static void close_index(void) {
    fixture.qmgr.draining = true;
    deferred_close(&fixture.qmgr);
    task_queue_wake_all(&fixture.qmgr.deferred_wait);
}

static void test_handed_over(void **state) {
    (void)state;
    play(due_and_not, close_index);
    assert_null(fixture.qmgr.schedule);
    struct message message = {.qmgr = &fixture.qmgr, .queue_id = "AAAAAA"};
    assert_false(deferred_put(&fixture.qmgr, &message, 5));
    deferred_forget(&fixture.qmgr, STR("AAAAAA"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_next_attempt),
                                       TEST(test_due),
                                       TEST(test_room),
                                       TEST(test_flush),
                                       TEST(test_rebuilt),
                                       TEST(test_rebuild_cut_short),
                                       TEST(test_repaired),
                                       TEST(test_handed_over),
                                       TEST(test_clock_set_back),
                                       TEST(test_released_later),
                                       TEST(test_flush_after_the_clock_was_set_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
