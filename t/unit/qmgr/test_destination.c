/* Whose turn it is: destinations, senders, windows, dead destinations, and what is forgotten. Deliveries are
 * only written down here, and ended by the tests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include "qmgr_fixture.h"

#define MESSAGES 40

static struct qmgr_fixture fixture;
static struct delivery flying[1000];
static size_t flying_count;
static char started[4000]; /* "message:first-count@nexthop " for each */
static char settled[1000];
static bool refuse_to_start;
static int64_t clock_offset; /* of dates, microseconds */

static struct message messages[MESSAGES];
static struct job jobs[MESSAGES];
static size_t made;

/* ---- what destination.c asks of others */

int64_t __real_clock_date(void);
int64_t __wrap_clock_date(void);
int64_t __wrap_clock_date(void) {
    return __real_clock_date() + clock_offset;
}

struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *context) {
    (void)service, (void)name, (void)on_notify, (void)context;
    return NULL;
}

/* ---- what deliver.c does with destinations */

static void start(struct delivery delivery) {
    if (refuse_to_start) {
        destination_place_freed(delivery.destination);
        return;
    }
    size_t length = strlen(started);
    snprintf(started + length, sizeof started - length, "%s:%zu-%zu@%s ", delivery.message->queue_id,
             delivery.indexes[0], delivery.count, delivery.destination->nexthop);
    flying[flying_count++] = delivery;
}

static void dispatch(struct transport *transport) {
    struct delivery delivery;
    while (transport_next(transport, &delivery))
        start(delivery);
}

/* One more failure; the jobs of a destination that is dead by it are noted and settled. */
static void fail_at(struct destination *destination, const char *reason) {
    if (!destination_failed(destination, str_from(reason))) return;
    struct job *job;
    while ((job = destination_next_job(destination)) != NULL) {
        size_t length = strlen(settled);
        snprintf(settled + length, sizeof settled - length, "%s:%zu ", job->message->queue_id, job->count - job->taken);
        destination_remove_job(destination, job);
        job->taken = job->count;
    }
}

/* ---- the stage */

static int setup(void **state) {
    (void)state;
    flying_count = made = 0;
    started[0] = settled[0] = '\0';
    refuse_to_start = false;
    clock_offset = 0;
    return 0;
}

static struct destination *destination(const char *transport, const char *nexthop) {
    return destination_find(transport_find(&fixture.qmgr, str_from(transport)), str_from(nexthop),
                            str_from(nexthop));
}

/* A message of one job with this many recipients, put in line. */
static struct job *add(struct destination *to, const char *id, const char *sender, size_t count,
                       size_t address_length) {
    static char address[600];
    memset(address, 'a', sizeof address);
    struct message *message = &messages[made];
    struct job *job = &jobs[made++];
    *message = (struct message){.qmgr = &fixture.qmgr, .arena = arena_create(0)};
    snprintf(message->queue_id, sizeof message->queue_id, "%s", id);
    message->envelope.sender = str_from(sender);
    message->envelope.recipient_count = count;
    message->envelope.recipients = arena_allocate(message->arena, count, sizeof *message->envelope.recipients);
    *job = (struct job){.message = message, .count = count};
    job->indexes = arena_allocate(message->arena, count, sizeof *job->indexes);
    for (size_t i = 0; i < count; i++) {
        job->indexes[i] = i;
        message->envelope.recipients[i].address = str_make(address, address_length);
    }
    destination_add_job(to, job);
    return job;
}

/* The deliveries so far are what the text says. */
static void expect_started(const char *about, const char *wanted) {
    expect_text(about, started, wanted);
    started[0] = '\0';
}

/* Ends the oldest delivery. */
static void end_one(void) {
    struct delivery ended = flying[0];
    memmove(flying, flying + 1, --flying_count * sizeof *flying);
    struct transport *transport = ended.destination->transport;
    destination_delivery_ended(ended.destination);
    dispatch(transport);
}

static void end_all(void) {
    while (flying_count)
        end_one();
    started[0] = '\0';
    for (size_t i = 0; i < made; i++)
        arena_destroy(&messages[i].arena);
    qmgr_fixture_end(&fixture);
}

static size_t destination_count(const char *transport) {
    return map_count(transport_find(&fixture.qmgr, str_from(transport))->destinations);
}

/* ---- turns */

static void test_destinations_in_turn(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_recipient_limit=1\nqmgr_transport_delivery_limit=3\n");
    add(destination("smtp", "a.test"), "A", "s", 3, 5);
    add(destination("smtp", "b.test"), "B", "s", 3, 5);
    dispatch(transport_find(&fixture.qmgr, STR("smtp")));
    expect_started("three places", "A:0-1@a.test B:0-1@b.test A:1-1@a.test ");
    end_one();
    expect_started("b's turn", "B:1-1@b.test ");
    end_one();
    expect_started("a's turn", "A:2-1@a.test ");
    end_one();
    expect_started("b's turn again", "B:2-1@b.test ");
    end_all();
}

static void test_senders_in_turn(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_recipient_limit=10\nsmtp_destination_concurrency_limit=1\n");
    struct destination *to = destination("smtp", "a.test");
    add(to, "BULK", "list@x", 35, 5);
    add(to, "BULK2", "list@x", 5, 5);
    add(to, "ONE", "person@x", 1, 5);
    add(to, "BOUNCE", "", 1, 5);
    dispatch(to->transport);
    expect_started("bulk came first", "BULK:0-10@a.test ");
    end_one();
    expect_started("and gives way", "ONE:0-1@a.test ");
    end_one();
    expect_started("to the null sender too", "BOUNCE:0-1@a.test ");
    end_one();
    expect_started("bulk again", "BULK:10-10@a.test ");
    add(to, "LATE", "person@x", 1, 5);
    end_one();
    end_one();
    expect_started("a late comer waits for one turn of each other", "BULK:20-10@a.test LATE:0-1@a.test ");
    end_one();
    end_one();
    expect_started("the rest, in order", "BULK:30-5@a.test BULK2:0-5@a.test ");
    end_all();
}

static void test_portions_fit_a_request(void **state) {
    (void)state;
    static const struct {
        const char *limit;
        size_t count, length, portion;
    } rows[] = {{"50", 100, 20, 50},   {"50", 3, 20, 3}, {"1000", 2000, 40, 1000}, {"1000", 2000, 100, 500},
                {"0", 5000, 500, 115}, {"1", 9, 500, 1}, {"0", 1, 500, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char main_cf[100];
        setup(state);
        snprintf(main_cf, sizeof main_cf, "smtp_destination_recipient_limit=%s\nsmtp_destination_concurrency_limit=1\n",
                 rows[i].limit);
        qmgr_fixture_make(&fixture, main_cf);
        struct destination *to = destination("smtp", "a.test");
        struct job *job = add(to, "A", "s", rows[i].count, rows[i].length);
        dispatch(to->transport);
        assert_int_equal(flying[0].count, rows[i].portion);
        struct buf packed = buf_make(0);
        uint32_t count = 0;
        for (size_t r = 0; r < flying[0].count; r++) {
            struct ipc_recipient row = {
                .address = job->message->envelope.recipients[r].address, .notify = 15, .index = 999999};
            assert_true(ipc_list_add(IPC_ROW_RECIPIENT, &row, &packed, &count));
        }
        assert_true(packed.length <= 60000);
        buf_free(&packed);
        end_all();
    }
}

/* ---- windows */

static void test_initial_window(void **state) {
    (void)state;
    static const struct {
        const char *main_cf;
        size_t wanted;
    } rows[] = {{"smtp_destination_recipient_limit=1\n", 5},
                {"smtp_destination_recipient_limit=1\nsmtp_destination_concurrency_limit=2\n", 2},
                {"smtp_destination_recipient_limit=1\ninitial_destination_concurrency=8\n", 8},
                {"smtp_destination_recipient_limit=1\nsmtp_initial_destination_concurrency=3\n", 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup(state);
        qmgr_fixture_make(&fixture, rows[i].main_cf);
        struct destination *to = destination("smtp", "a.test");
        add(to, "A", "s", 30, 5);
        dispatch(to->transport);
        assert_int_equal(flying_count, rows[i].wanted);
        end_all();
    }
}

static void test_window_feedback(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_concurrency_limit=4\ninitial_destination_concurrency=2\n"
                                "smtp_destination_concurrency_failed_cohort_limit=100\n");
    struct destination *to = destination("smtp", "a.test");
    add(to, "A", "s", 1, 5);
    assert_true(to->window == 2);
    destination_succeeded(to);
    assert_true(to->window == 2);
    destination_succeeded(to); /* a window's worth */
    assert_true(to->window == 3);
    for (unsigned i = 0; i < 20; i++)
        destination_succeeded(to);
    assert_true(to->window == 4); /* the limit */
    for (unsigned i = 0; i < 4; i++)
        fail_at(to, "no");
    assert_true(to->window == 3);
    for (unsigned i = 0; i < 50; i++)
        fail_at(to, "no");
    assert_true(to->window == 1);
    assert_false(destination_is_dead(to));
    dispatch(to->transport);
    end_all();
}

static void test_dead(void **state) {
    (void)state;
    static const struct {
        const char *cohorts;
        bool dies;
    } rows[] = {{"1", true}, {"0", false}, {"3", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char main_cf[200];
        setup(state);
        snprintf(main_cf, sizeof main_cf,
                 "smtp_destination_recipient_limit=1\nsmtp_destination_concurrency_limit=2\n"
                 "smtp_destination_concurrency_failed_cohort_limit=%s\nminimal_backoff_time=100s\n",
                 rows[i].cohorts);
        qmgr_fixture_make(&fixture, main_cf);
        struct destination *to = destination("smtp", "a.test");
        add(to, "A", "s", 4, 5);
        add(to, "B", "other", 2, 5);
        dispatch(to->transport);
        assert_int_equal(flying_count, 2);
        fail_at(to, "refused");
        fail_at(to, "refused");
        assert_int_equal(destination_is_dead(to), rows[i].dies);
        if (rows[i].dies) {
            expect_text("what waited is answered", settled, "A:3 B:1 ");
            assert_int_equal(to->jobs, 0);
            while (flying_count)
                end_one();
            assert_int_equal(destination_count("smtp"), 1); /* that it is dead must be known */
            destinations_sweep(&fixture.qmgr);
            assert_int_equal(destination_count("smtp"), 1);
            to->dead_until = 1;
            destinations_sweep(&fixture.qmgr);
            assert_int_equal(destination_count("smtp"), 0);
        }
        end_all();
    }
}

/* A destination is left alone for minimal_backoff_time, whatever is done to the clock meanwhile. */
static void test_dead_while_the_clock_is_set(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "minimal_backoff_time=1s\nsmtp_initial_destination_concurrency=1\n");
    struct destination *to = destination("smtp", "a.test");
    add(to, "A", "s", 1, 5);
    fail_at(to, "refused");
    clock_offset = 3600 * CLOCK_SECOND;
    assert_true(destination_is_dead(to));
    clock_offset = -5 * 3600 * CLOCK_SECOND;
    assert_true(destination_is_dead(to));
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 20000000}, NULL);
    assert_false(destination_is_dead(to));
    end_all();
}

/* With one recipient a delivery the recipient is the destination, but the next hop is told to the agent. */
static void test_by_recipient(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "");
    struct transport *transport = transport_find(&fixture.qmgr, STR("smtp"));
    struct destination *one = destination_find(transport, STR("r1@a.test"), STR("a.test"));
    struct destination *other = destination_find(transport, STR("r2@a.test"), STR("a.test"));
    assert_ptr_not_equal(one, other);
    assert_ptr_equal(one, destination_find(transport, STR("r1@a.test"), STR("a.test")));
    assert_ptr_not_equal(one, destination_find(transport, STR("r1@b.test"), STR("b.test")));
    expect_text("next hop", other->nexthop, "a.test");
    end_all();
}

/* ---- crowds */

static void test_crowded(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "qmgr_message_active_limit=8\ninitial_destination_concurrency=1\n");
    struct destination *to = destination("smtp", "a.test");
    struct incoming parked = {.file = -1};
    for (unsigned i = 0; i < 6; i++)
        add(to, "A", "s", 1, 5);
    assert_false(destination_is_crowded(to)); /* six of eight */
    add(to, "B", "s", 1, 5);
    assert_true(destination_is_crowded(to));
    to->parked.first = to->parked.last = &parked;
    dispatch(to->transport);
    assert_int_equal(flying_count, 1);
    assert_true(destination_is_crowded(to)); /* what is under way counts */
    end_one();
    assert_false(destination_is_crowded(to));
    assert_null(fixture.qmgr.ripe); /* one more, lest it be crowded again at once */
    end_one();
    assert_ptr_equal(fixture.qmgr.ripe, to);
    while (flying_count)
        end_one();
    destinations_sweep(&fixture.qmgr);
    assert_int_equal(destination_count("smtp"), 1); /* for what is parked */
    to->parked = (struct incoming_line){NULL, NULL, 0};
    to->ripe = false;
    end_all();
}

/* ---- lifetimes */

static void test_idle_are_forgotten(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "");
    struct destination *to = destination("smtp", "a.test");
    add(to, "A", "s", 1, 5);
    dispatch(to->transport);
    assert_int_equal(destination_count("smtp"), 1);
    end_one();
    assert_int_equal(destination_count("smtp"), 0);
    /* Its jobs taken away before one was delivered. */
    to = destination("smtp", "b.test");
    struct job *job = add(to, "B", "s", 1, 5);
    destination_remove_job(to, job);
    assert_null(job->line);
    destinations_sweep(&fixture.qmgr);
    assert_int_equal(destination_count("smtp"), 0);
    /* Held while its message is being resolved. */
    to = destination("smtp", "c.test");
    to->holds++;
    destinations_sweep(&fixture.qmgr);
    assert_int_equal(destination_count("smtp"), 1);
    to->holds--;
    end_all();
}

static void test_removing_from_a_line(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_concurrency_limit=1\n");
    struct destination *to = destination("smtp", "a.test");
    struct job *line[5];
    static const char *const ids[] = {"A", "B", "C", "D", "E"};
    for (size_t i = 0; i < 5; i++)
        line[i] = add(to, ids[i], "s", 1, 5);
    destination_remove_job(to, line[0]);
    destination_remove_job(to, line[2]);
    destination_remove_job(to, line[4]);
    destination_remove_job(to, line[4]); /* not there: nothing happens */
    assert_int_equal(to->jobs, 2);
    add(to, "F", "s", 1, 5);
    dispatch(to->transport);
    while (flying_count)
        end_one();
    expect_started("the others, in order", "B:0-1@a.test D:0-1@a.test F:0-1@a.test ");
    end_all();
}

/* More urgent mail goes first, and less urgent mail comes to its turns: three steps of priority are twice the turns. */
static void test_priorities_by_weight(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_recipient_limit=1\nsmtp_destination_concurrency_limit=1\n");
    struct destination *to = destination("smtp", "a.test");
    static const struct {
        const char *id;
        int priority;
    } rows[] = {{"LOW", -3}, {"MID", 0}, {"HIGH", 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct job *job = add(to, rows[i].id, "s", 100, 5);
        destination_remove_job(to, job);
        job->message->envelope.wish.priority = rows[i].priority;
        destination_add_job(to, job);
    }
    dispatch(to->transport);
    assert_true(str_starts(str_from(started), STR("HIGH:0-1@a.test ")));
    size_t turns[3] = {0};
    for (size_t delivery = 0; delivery < 70; delivery++) {
        for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
            if (flying[0].message == &messages[i]) turns[i]++;
        end_one();
        started[0] = '\0';
    }
    assert_in_range(turns[0], 9, 11);
    assert_in_range(turns[1], 19, 21);
    assert_in_range(turns[2], 39, 41);
    /* Who had no work for long has saved up no turns. */
    struct job *late = add(to, "LATE", "s", 100, 5);
    destination_remove_job(to, late);
    late->message->envelope.wish.priority = -9;
    destination_add_job(to, late);
    for (size_t delivery = 0; delivery < 10; delivery++) {
        end_one();
        started[0] = '\0';
    }
    assert_in_range(late->taken, 0, 1);
    while (flying_count) {
        end_one();
        started[0] = '\0';
    }
    assert_int_equal(late->taken, 100);
    end_all();
}

/* A delivery that cannot be started frees its place, and what waits behind it goes on. */
static void test_delivery_that_does_not_start(void **state) {
    (void)state;
    qmgr_fixture_make(&fixture, "smtp_destination_recipient_limit=1\nsmtp_destination_concurrency_limit=1\n");
    struct destination *to = destination("smtp", "a.test");
    add(to, "A", "s", 3, 5);
    refuse_to_start = true;
    dispatch(to->transport);
    assert_int_equal(to->in_flight, 0);
    assert_int_equal(to->transport->in_flight, 0);
    assert_int_equal(to->jobs, 0);
    refuse_to_start = false;
    add(to, "B", "s", 1, 5);
    dispatch(to->transport);
    expect_started("the next", "B:0-1@a.test ");
    end_all();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_destinations_in_turn, setup),
                                       cmocka_unit_test_setup(test_senders_in_turn, setup),
                                       cmocka_unit_test_setup(test_priorities_by_weight, setup),
                                       cmocka_unit_test_setup(test_portions_fit_a_request, setup),
                                       cmocka_unit_test_setup(test_initial_window, setup),
                                       cmocka_unit_test_setup(test_window_feedback, setup),
                                       cmocka_unit_test_setup(test_dead, setup),
                                       cmocka_unit_test_setup(test_crowded, setup),
                                       cmocka_unit_test_setup(test_dead_while_the_clock_is_set, setup),
                                       cmocka_unit_test_setup(test_by_recipient, setup),
                                       cmocka_unit_test_setup(test_idle_are_forgotten, setup),
                                       cmocka_unit_test_setup(test_removing_from_a_line, setup),
                                       cmocka_unit_test_setup(test_delivery_that_does_not_start, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
