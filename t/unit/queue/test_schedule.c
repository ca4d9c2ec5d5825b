/* The schedule index: order, replacement, what survives and what is thrown away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "schedule.h"

static int setup(void **state) {
    static char name[64];
    snprintf(name, sizeof name, "/tmp/tern-schedule-XXXXXX");
    *state = mkdtemp(name);
    return *state && chdir(name) == 0 ? 0 : -1;
}

static int teardown(void **state) {
    unlink("schedule/data.mdb");
    unlink("schedule/lock.mdb");
    unlink("schedule/state");
    rmdir("schedule");
    return chdir("/") == 0 && rmdir(*state) == 0 ? 0 : -1;
}

static void test_order(void **state) {
    (void)state;
    struct schedule *schedule;
    bool empty;
    assert_true(schedule_open("schedule", STR("boot1"), &schedule, &empty, NULL));
    assert_true(empty);
    assert_true(schedule_put(schedule, STR("CCCCCC"), 300, STR("1 c.test"), NULL));
    assert_true(schedule_put(schedule, STR("AAAAAA"), 100, STR("1 a.test"), NULL));
    assert_true(schedule_put(schedule, STR("BBBBBB"), 500, STR("1 b.test"), NULL));
    assert_true(schedule_put(schedule, STR("BBBBBB"), 100, STR("2 b.test"), NULL)); /* moves */
    assert_int_equal(schedule_count(schedule), 3);
    int64_t when = 0;
    char id[24] = "";
    struct str sites;
    static const char *const expected[] = {"AAAAAA", "BBBBBB", "CCCCCC"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(schedule_next(schedule, &when, id, &sites));
        assert_string_equal(id, expected[i]);
    }
    assert_int_equal(when, 300);
    assert_false(schedule_next(schedule, &when, id, &sites));
    assert_true(schedule_find(schedule, STR("BBBBBB"), &when) && when == 100);
    assert_true(schedule_remove(schedule, STR("AAAAAA"), NULL));
    assert_true(schedule_remove(schedule, STR("AAAAAA"), NULL));
    assert_false(schedule_find(schedule, STR("AAAAAA"), &when));
    assert_int_equal(schedule_count(schedule), 2);
    schedule_close(&schedule);
}

static bool reopen(const char *boot, size_t *count) {
    struct schedule *schedule;
    bool empty;
    assert_true(schedule_open("schedule", str_from(boot), &schedule, &empty, NULL));
    *count = schedule_count(schedule);
    if (empty) assert_true(schedule_filled(schedule, NULL));
    schedule_close(&schedule);
    return empty;
}

/* A child that writes and dies without closing, as a killed qmgr does. */
static void write_and_die(const char *boot, bool fill) {
    pid_t child = fork();
    if (child == 0) {
        struct schedule *schedule;
        bool empty;
        bool good = schedule_open("schedule", str_from(boot), &schedule, &empty, NULL) &&
                    (!fill || !empty || schedule_filled(schedule, NULL)) &&
                    schedule_put(schedule, STR("DDDDDD"), 1, STR("0"), NULL) && schedule_commit(schedule, NULL);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_boots(void **state) {
    (void)state;
    size_t count;
    assert_true(reopen("boot1", &count));
    write_and_die("boot1", true);
    assert_false(reopen("boot1", &count)); /* same boot: kept */
    assert_int_equal(count, 1);
    assert_false(reopen("boot2", &count)); /* closed in order before: kept */
    assert_int_equal(count, 1);
    write_and_die("boot3", true);
    assert_true(reopen("boot4", &count)); /* another boot, not closed: thrown away */
    assert_int_equal(count, 0);
}

/* What was never filled is not believed: not after a kill in the middle, not after an orderly close. */
static void test_half_filled(void **state) {
    (void)state;
    size_t count;
    struct schedule *schedule;
    bool empty;
    write_and_die("boot1", false);
    assert_true(reopen("boot1", &count));
    assert_int_equal(count, 0);
    assert_false(reopen("boot1", &count));
    assert_true(unlink("schedule/state") == 0);
    assert_true(schedule_open("schedule", STR("boot1"), &schedule, &empty, NULL) && empty);
    assert_true(schedule_put(schedule, STR("EEEEEE"), 1, STR("0"), NULL));
    schedule_close(&schedule);
    assert_true(reopen("boot1", &count));
    assert_int_equal(count, 0);
}

/* An index that was closed and opened again is stale after a power cut, however little was written. */
static void test_open_is_noted(void **state) {
    (void)state;
    size_t count;
    assert_true(reopen("boot1", &count));
    write_and_die("boot2", true);
    assert_true(reopen("boot3", &count));
}

static void test_discard(void **state) {
    (void)state;
    struct schedule *schedule;
    bool empty;
    size_t count;
    assert_true(schedule_open("schedule", STR("boot1"), &schedule, &empty, NULL) && empty);
    assert_true(schedule_filled(schedule, NULL));
    assert_true(schedule_put(schedule, STR("EEEEEE"), 1, STR("0"), NULL));
    schedule_discard(&schedule);
    assert_null(schedule);
    assert_true(reopen("boot1", &count));
    assert_int_equal(count, 0);
}

static void test_damage(void **state) {
    (void)state;
    size_t count;
    assert_true(reopen("boot1", &count));
    FILE *file = fopen("schedule/data.mdb", "r+");
    assert_non_null(file);
    for (unsigned i = 0; i < 8192; i++)
        fputc('x', file);
    fclose(file);
    assert_true(reopen("boot1", &count)); /* LMDB refuses it */
}

/* KB of the index's file that are mapped and present. */
static uint64_t resident_part(void) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[1024];
    uint64_t sum = 0, number;
    bool ours = false;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        struct str rest = str_from(line), word;
        if (!str_next_word(&rest, " \t\n", &word)) continue;
        if (!str_ends(word, STR(":"))) ours = str_find_str(rest, STR("/data.mdb")) != STR_NONE;
        if (ours && str_equal(word, STR("Rss:")) && str_next_word(&rest, " \t\n", &word) &&
            str_to_u64(word, UINT64_MAX, &number))
            sum += number;
    }
    fclose(maps);
    return sum;
}

#define MANY             ((uint64_t)40000)
#define RESIDENT_AT_MOST ((uint64_t)17000) /* of 25,000 KB or more */

/* Written out of order and walked over: nothing is lost where the environment is opened anew, and memory is bounded. */
static void test_bounded(void **state) {
    (void)state;
    struct schedule *schedule;
    bool empty;
    char id[24], sites[381];
    struct str text;
    int64_t when;
    memset(sites, 'd', sizeof sites - 1);
    sites[sizeof sites - 1] = '\0';
    assert_true(schedule_open("schedule", STR("boot1"), &schedule, &empty, NULL) && empty);
    for (uint64_t i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "ID%06llu", (unsigned long long)i);
        assert_true(schedule_put(schedule, str_from(id), (int64_t)(i * 7919 % MANY), str_from(sites), NULL));
        if (i % 256 == 0) assert_true(schedule_commit(schedule, NULL));
        if (i % 5000 == 0) assert_true(resident_part() <= RESIDENT_AT_MOST);
    }
    assert_int_equal(schedule_count(schedule), MANY);
    when = 0;
    id[0] = '\0';
    for (uint64_t i = 0; i < MANY; i++) {
        assert_true(schedule_next(schedule, &when, id, &text));
        assert_int_equal(when, i);
        assert_true(str_equal(text, str_from(sites)));
    }
    assert_false(schedule_next(schedule, &when, id, &text));
    assert_true(resident_part() <= RESIDENT_AT_MOST);
    assert_true(schedule_filled(schedule, NULL));
    schedule_close(&schedule);
    size_t count;
    assert_false(reopen("boot1", &count));
    assert_int_equal(count, MANY);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_boots, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_half_filled, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_open_is_noted, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_bounded, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
