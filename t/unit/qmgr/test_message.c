/* Messages taken up, and operators' wishes that come in the middle of it: while lookup is being asked, while jobs
 * are in line, while the pass ends. A message is finished once, whenever the wish comes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include "queue_fixture.h"
#include "qmgr_fixture.h"

static struct qmgr_fixture fixture;
static struct queue_fixture queue;
static struct delivery flying[10];
static size_t flying_count, finished, forgotten, scans;
static bool scheduled_in_time = true;
static enum resolve_result resolve_result;
static char transport_name[20];

/* When the wish comes: what it waits for, and what waits for it. */
static enum stage { AT_ONCE, WHILE_LOOKUP_IS_ASKED, IN_FLIGHT, WHILE_THE_PASS_ENDS } stage;
static bool asking, ending, wished;

static void wait_for_the_wish(enum stage here) {
    while (stage == here && !wished)
        task_sleep(1);
}

/* ---- what message.c and change.c ask of others */

struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *context) {
    (void)service, (void)on_notify, (void)context;
    return str_equal(str_from(name), STR("smtp")) ? (struct ipc_client *)&fixture : NULL; /* never looked into */
}

enum resolve_result resolve_recipient(struct resolve *resolve, struct str address, struct str sender, deadline until,
                                      struct arena *arena, struct ipc_lookup_resolved *answer,
                                      struct failure *failure) {
    (void)resolve, (void)address, (void)sender, (void)until, (void)arena;
    asking = true;
    wait_for_the_wish(WHILE_LOOKUP_IS_ASKED);
    *answer =
        (struct ipc_lookup_resolved){.known = true, .transport = str_from(transport_name), .nexthop = STR("a.test")};
    if (resolve_result == RESOLVE_RETRY) failure_set(failure, "the table does not answer");
    return resolve_result;
}

void resolve_foresee_recipients(struct resolve *resolve, const struct str *addresses, size_t count, struct str sender,
                                deadline until) {
    (void)resolve, (void)addresses, (void)count, (void)sender, (void)until;
}

void transport_dispatch(struct transport *transport) {
    struct delivery delivery;
    while (transport_next(transport, &delivery))
        flying[flying_count++] = delivery;
}

void message_finish(struct message *message) {
    finished++;
    ending = true;
    task_yield(); /* notices, syncs */
    wait_for_the_wish(WHILE_THE_PASS_ENDS);
    message_free(&message);
}

bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when) {
    (void)qmgr, (void)message, (void)when;
    return scheduled_in_time;
}
void deferred_forget(struct qmgr *qmgr, struct str queue_id) {
    (void)qmgr, (void)queue_id, forgotten++;
}
void incoming_again(struct qmgr *qmgr, int64_t milliseconds) {
    (void)qmgr, (void)milliseconds, scans++;
}
void incoming_note(struct qmgr *qmgr, struct str queue_id, int file, bool recovered) {
    (void)qmgr, (void)queue_id, (void)file, (void)recovered;
}
void incoming_put_by(struct qmgr *qmgr, struct str queue_id, int file, bool recovered) {
    (void)qmgr, (void)queue_id, (void)recovered;
    if (file >= 0) close(file);
}

void incoming_park(struct qmgr *qmgr, struct destination *destination, struct str queue_id, bool recovered) {
    (void)qmgr, (void)destination, (void)queue_id, (void)recovered;
}

void incoming_let_go(struct qmgr *qmgr, struct str queue_id) {
    (void)qmgr, (void)queue_id;
}
bool queue_requeue(struct qmgr *qmgr, int folder, struct str queue_id) {
    (void)qmgr, (void)folder, (void)queue_id;
    return false;
}

/* ---- the stage */

static int setup(void **state) {
    (void)state;
    flying_count = finished = forgotten = scans = 0;
    stage = AT_ONCE;
    asking = ending = wished = false;
    resolve_result = RESOLVE_OK;
    snprintf(transport_name, sizeof transport_name, "smtp");
    qmgr_fixture_make(&fixture, "");
    if (!fixture_make(&queue) || !loop_create(NULL, NULL)) return -1;
    const struct {
        const char *name;
        int *folder;
    } folders[] = {{"new", &fixture.qmgr.new},
                   {"cur", &fixture.qmgr.cur},
                   {"hold", &fixture.qmgr.hold},
                   {"corrupt", &fixture.qmgr.corrupt}};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        *folders[i].folder = openat(queue.queue, folders[i].name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fixture.qmgr.syncs[i].directory = *folders[i].folder;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loop_destroy();
    close(fixture.qmgr.new), close(fixture.qmgr.cur), close(fixture.qmgr.hold), close(fixture.qmgr.corrupt);
    fixture_remove(&queue);
    qmgr_fixture_end(&fixture);
    return 0;
}

static void add_file(const char *folder, const char *id) {
    assert_true(fixture_add(&queue, &(struct fixture_message){folder, id, "s@x.test", "r@a.test", "", "text\n", NULL,
                                                              clock_date() / CLOCK_SECOND}));
}

struct act {
    const char *id;
    bool deferred, recovered;
    enum stage when;
    enum { NO_WISH, WISH, DRAIN } kind;
    enum queue_change change;
};

static void act(void *argument) {
    const struct act *scene = argument;
    message_activate(&fixture.qmgr, str_from(scene->id), -1, scene->deferred, scene->recovered, true);
}

static void wish(void *argument) {
    const struct act *scene = argument;
    while ((scene->when == WHILE_LOOKUP_IS_ASKED && !asking) || (scene->when == IN_FLIGHT && flying_count == 0) ||
           (scene->when == WHILE_THE_PASS_ENDS && !ending))
        task_sleep(1);
    struct message *message = map_get(fixture.qmgr.active, str_from(scene->id));
    if (scene->kind == DRAIN) {
        fixture.qmgr.draining = true;
        messages_cut_short(&fixture.qmgr);
    } else if (message) {
        assert_true(message_wish(message, scene->change));
        message_cancel_jobs(message);
    }
    wished = true;
}

static void play(struct act *scene) {
    stage = scene->when;
    wished = scene->kind == NO_WISH;
    assert_true(task_start("activate", act, scene));
    if (scene->kind != NO_WISH) assert_true(task_start("wish", wish, scene));
    loop_run();
}

/* ---- tables */

static void test_wishes_at_any_moment(void **state) {
    static const struct {
        enum stage when;
        unsigned kind;
        enum queue_change change;
        size_t flying;
    } rows[] = {{AT_ONCE, NO_WISH, 0, 1},                       /* nobody wishes anything: it is delivered */
                {AT_ONCE, WISH, QUEUE_DELETE, 0},               /* while its content is being checked */
                {WHILE_LOOKUP_IS_ASKED, WISH, QUEUE_DELETE, 0}, /* while lookup is being asked */
                {WHILE_LOOKUP_IS_ASKED, WISH, QUEUE_HOLD, 0},
                {WHILE_LOOKUP_IS_ASKED, WISH, QUEUE_EXPIRE, 0},
                {WHILE_LOOKUP_IS_ASKED, DRAIN, 0, 0},
                {AT_ONCE, DRAIN, 0, 0},
                {IN_FLIGHT, WISH, QUEUE_DELETE, 1}, /* the delivery is in flight */
                {IN_FLIGHT, DRAIN, 0, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (i) assert_int_equal(setup(state), 0);
        struct act scene = {
            .id = "AAAAAA1", .recovered = true, .when = rows[i].when, .kind = rows[i].kind, .change = rows[i].change};
        add_file("new", scene.id);
        play(&scene);
        if (flying_count != rows[i].flying) fail_msg("row %zu: %zu deliveries", i, flying_count);
        if (rows[i].flying) { /* it ends now */
            struct message *message = flying[0].message;
            assert_int_equal(finished, 0);
            message->unfinished -= flying[0].count;
            assert_int_equal(message->unfinished, 0);
            struct transport *transport = flying[0].destination->transport;
            destination_delivery_ended(flying[0].destination);
            transport_dispatch(transport);
            message_free(&message);
        } else if (!(rows[i].kind == DRAIN && rows[i].when == AT_ONCE)) { /* there it was never taken up */
            assert_int_equal(finished, 1);
        }
        assert_int_equal(map_count(fixture.qmgr.active), 0);
        assert_int_equal(fixture.qmgr.active_recipients, 0);
        assert_int_equal(fixture_has(&queue, "new/AAAAAA1"), true);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

/* A wish that comes while the pass ends does not end it a second time. */
static void test_wish_at_the_end(void **state) {
    (void)state;
    snprintf(transport_name, sizeof transport_name, "smtp");
    resolve_result = RESOLVE_RETRY; /* nothing is delivered: the pass ends at once */
    struct act scene = {.id = "AAAAAA2", .when = WHILE_THE_PASS_ENDS, .kind = WISH, .change = QUEUE_DELETE};
    add_file("new", scene.id);
    play(&scene);
    assert_int_equal(finished, 1);
    assert_int_equal(map_count(fixture.qmgr.active), 0);
}

/* An ID that comes twice is no reason to forget that the message is deferred. */
static void test_gone_from_new(void **state) {
    (void)state;
    struct act scene = {.id = "AAAAAA3"};
    add_file("cur", scene.id);
    play(&scene);
    assert_int_equal(forgotten, 0);
    struct act deferred = {.id = "AAAAAA4", .deferred = true};
    play(&deferred);
    assert_int_equal(forgotten, 1); /* an entry without a file */
    assert_int_equal(finished + flying_count, 0);
}

static void test_locked_by_predecessor(void **state) {
    (void)state;
    struct act scene = {.id = "AAAAAA5"};
    add_file("new", scene.id);
    int file = openat(fixture.qmgr.new, scene.id, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(file, LOCK_EX), 0);
    play(&scene);
    assert_int_equal(finished + flying_count, 0);
    assert_int_equal(scans, 1);
    assert_true(fixture.qmgr.locked_met);
    close(file);
}

/* A crash in the middle of a move leaves two names: the folder that counts more keeps it. */
static void test_two_names(void **state) {
    (void)state;
    static const struct {
        const char *other;
        bool deferred;
        const char *from, *stays, *goes;
    } rows[] = {{"cur", false, "new", "cur/AAAAAA6", "new/AAAAAA6"},
                {"hold", false, "new", "hold/AAAAAA6", "new/AAAAAA6"},
                {"hold", true, "cur", "hold/AAAAAA6", "cur/AAAAAA6"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        add_file(rows[i].other, "AAAAAA6");
        assert_int_equal(linkat(queue.queue, rows[i].stays, queue.queue, rows[i].goes, 0), 0);
        struct act scene = {.id = "AAAAAA6", .deferred = rows[i].deferred};
        play(&scene);
        assert_int_equal(finished + flying_count, 0);
        assert_true(fixture_has(&queue, rows[i].stays));
        assert_false(fixture_has(&queue, rows[i].goes));
        assert_int_equal(unlinkat(queue.queue, rows[i].stays, 0), 0);
    }
}

static void change_it(void *argument) {
    const enum queue_change *change = argument;
    assert_true(change_at_rest(&fixture.qmgr, "AAAAAA6", *change));
}

/* Nor may the other name live on when an operator changes the message before it is taken up. */
static void test_two_names_changed(void **state) {
    (void)state;
    static const struct {
        enum queue_change change;
        const char *stays, *goes, *after; /* NULL: nothing */
    } rows[] = {{QUEUE_DELETE, "cur/AAAAAA6", "new/AAAAAA6", NULL},
                {QUEUE_DELETE, "hold/AAAAAA6", "cur/AAAAAA6", NULL},
                {QUEUE_HOLD, "cur/AAAAAA6", "new/AAAAAA6", "hold/AAAAAA6"},
                {QUEUE_RELEASE, "hold/AAAAAA6", "new/AAAAAA6", "new/AAAAAA6"},
                {QUEUE_RELEASE, "hold/AAAAAA6", "cur/AAAAAA6", "new/AAAAAA6"}};
    static const char *const all[] = {"new/AAAAAA6", "cur/AAAAAA6", "hold/AAAAAA6"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char folder[8];
        enum queue_change change = rows[i].change;
        snprintf(folder, sizeof folder, "%.*s", (int)(strchr(rows[i].stays, '/') - rows[i].stays), rows[i].stays);
        add_file(folder, "AAAAAA6");
        assert_int_equal(linkat(queue.queue, rows[i].stays, queue.queue, rows[i].goes, 0), 0);
        assert_true(task_start("change", change_it, &change));
        loop_run();
        for (size_t j = 0; j < ARRAY_LENGTH(all); j++) {
            bool wanted = rows[i].after && str_equal(str_from(all[j]), str_from(rows[i].after));
            if (fixture_has(&queue, all[j]) != wanted) fail_msg("row %zu: %s", i, all[j]);
        }
        if (rows[i].after) assert_int_equal(unlinkat(queue.queue, rows[i].after, 0), 0);
    }
}

static void move_it(void *argument) {
    int error_number = 0;
    bool *good = argument;
    *good = queue_move(&fixture.qmgr, fixture.qmgr.new, fixture.qmgr.cur, "AAAAAA7", &error_number) ||
            (errno = error_number, false);
}

static void test_move(void **state) {
    (void)state;
    bool good = false;
    add_file("new", "AAAAAA7");
    assert_true(task_start("move", move_it, &good));
    loop_run();
    assert_true(good && fixture_has(&queue, "cur/AAAAAA7") && !fixture_has(&queue, "new/AAAAAA7"));
    assert_int_equal(fixture.qmgr.syncs[1].synced, 1); /* cur/ was synced before the old name went */
    add_file("new", "AAAAAA7");                        /* another message of that name: nothing is overwritten */
    assert_true(task_start("move", move_it, &good));
    loop_run();
    assert_false(good);
    assert_true(fixture_has(&queue, "cur/AAAAAA7") && fixture_has(&queue, "new/AAAAAA7"));
}

static void test_damaged_is_set_aside(void **state) {
    (void)state;
    struct act scene = {.id = "AAAAAA8", .recovered = true};
    add_file("new", scene.id);
    assert_true(fixture_damage(&queue, "new/AAAAAA8", QUEUE_HEADER_SIZE));
    play(&scene);
    assert_true(fixture_has(&queue, "corrupt/AAAAAA8") && !fixture_has(&queue, "new/AAAAAA8"));
    assert_int_equal(finished + flying_count, 0);
}

/* ---- what is written down */

static uint64_t file_size(const char *id) {
    int file = openat(fixture.qmgr.new, id, O_RDONLY | O_CLOEXEC);
    uint64_t size = (uint64_t)lseek(file, 0, SEEK_END);
    close(file);
    return size;
}

static void test_owed_notices(void **state) {
    (void)state;
    static const struct {
        const char *sender;
        unsigned notify;
        unsigned action;
        unsigned state;
    } rows[] = {
        {"s@x.test", NOTIFY_NONE, DELIVERY_FAILED, QUEUE_RECIPIENT_FAILED},
        {"s@x.test", NOTIFY_NEVER, DELIVERY_FAILED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_SUCCESS, DELIVERY_FAILED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_FAILURE | NOTIFY_DELAY, DELIVERY_FAILED, QUEUE_RECIPIENT_FAILED},
        {"", NOTIFY_NEVER, DELIVERY_FAILED, QUEUE_RECIPIENT_FAILED}, /* a notice: the postmaster is told (2bounce) */
        {"double-bounce@mail.example.com", NOTIFY_NEVER, DELIVERY_FAILED,
         QUEUE_RECIPIENT_FAILED}, /* that one is held */
        {"s@x.test", NOTIFY_SUCCESS, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DELIVERED},
        {"s@x.test", NOTIFY_SUCCESS, DELIVERY_RELAYED, QUEUE_RECIPIENT_DELIVERED},
        {"s@x.test", NOTIFY_SUCCESS, DELIVERY_EXPANDED, QUEUE_RECIPIENT_DELIVERED},
        {"s@x.test", NOTIFY_SUCCESS, DELIVERY_RELAYED_DSN, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_FAILURE, DELIVERY_RELAYED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_NONE, DELIVERY_DEFERRED, QUEUE_RECIPIENT_WAITING},
        {"s@x.test", NOTIFY_NONE, 8, QUEUE_RECIPIENT_WAITING}}; /* a word of no meaning is no success */
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct queue_recipient recipient = {.address = STR("r@a.test"), .notify = rows[i].notify};
        struct message message = {
            .qmgr = &fixture.qmgr, .arena = arena_create(0), .file = open("/dev/null", O_WRONLY | O_CLOEXEC)};
        message.envelope =
            (struct queue_envelope){.sender = str_from(rows[i].sender), .recipients = &recipient, .recipient_count = 1};
        message_outcome(&message, &(struct ipc_outcome){.action = rows[i].action, .status = STR("4.0.0")});
        if (recipient.state != rows[i].state) fail_msg("row %zu: state %u", i, recipient.state);
        arena_destroy(&message.arena);
        close(message.file);
    }
}

/* DELIVERBY's T: relaying is told of, but not to who wants to hear of nothing. */
static void test_traced(void **state) {
    (void)state;
    static const struct {
        const char *sender;
        unsigned notify, action, state;
    } rows[] = {
        {"s@x.test", NOTIFY_NONE, DELIVERY_RELAYED, QUEUE_RECIPIENT_DELIVERED},
        {"s@x.test", NOTIFY_FAILURE, DELIVERY_RELAYED_DSN, QUEUE_RECIPIENT_DELIVERED},
        {"s@x.test", NOTIFY_NEVER, DELIVERY_RELAYED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE},
        {"s@x.test", NOTIFY_NONE, DELIVERY_DEFERRED, QUEUE_RECIPIENT_WAITING},
        {"", NOTIFY_NONE, DELIVERY_RELAYED, QUEUE_RECIPIENT_DONE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct queue_recipient recipient = {.address = STR("r@a.test"), .notify = rows[i].notify};
        struct message message = {.qmgr = &fixture.qmgr};
        message.envelope =
            (struct queue_envelope){.sender = str_from(rows[i].sender),
                                    .wish = {.by_mode = DELIVER_BY_NOTIFY, .deliver_by = 1, .by_trace = true},
                                    .recipients = &recipient,
                                    .recipient_count = 1};
        unsigned got = message_state_after(&message, &recipient, rows[i].action);
        if (got != rows[i].state) fail_msg("row %zu: state %u", i, got);
    }
}

/* A report is owed by the message, and what it is to say is written down with the outcomes. */
static void test_owed_reports(void **state) {
    (void)state;
    static const struct {
        const char *sender;
        unsigned report, notify, action;
        unsigned state;
        bool owed;
    } rows[] = {
        {"s@x.test", REPORT_NONE, NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE, false},
        {"s@x.test", REPORT_DELIVERY, NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE, true},
        {"s@x.test", REPORT_DELIVERY, NOTIFY_NONE, DELIVERY_FAILED, QUEUE_RECIPIENT_FAILED, true},
        {"s@x.test", REPORT_DELIVERY, NOTIFY_NONE, DELIVERY_DEFERRED, QUEUE_RECIPIENT_WAITING, true},
        {"s@x.test", REPORT_DELIVERY, NOTIFY_SUCCESS, DELIVERY_RELAYED, QUEUE_RECIPIENT_DELIVERED, true},
        {"s@x.test", REPORT_VERIFY, NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE, true},
        {"s@x.test", REPORT_VERIFY, NOTIFY_NONE, DELIVERY_FAILED, QUEUE_RECIPIENT_DONE, true},
        {"s@x.test", REPORT_VERIFY, NOTIFY_NONE, DELIVERY_DEFERRED, QUEUE_RECIPIENT_DONE, true},
        {"s@x.test", REPORT_VERIFY, NOTIFY_SUCCESS, DELIVERY_EXPANDED, QUEUE_RECIPIENT_DONE, true},
        {"", REPORT_DELIVERY, NOTIFY_NONE, DELIVERY_DELIVERED, QUEUE_RECIPIENT_DONE, false},
        {"", REPORT_VERIFY, NOTIFY_NONE, DELIVERY_FAILED, QUEUE_RECIPIENT_DONE, false},
        {"double-bounce@mail.example.com", REPORT_VERIFY, NOTIFY_NONE, DELIVERY_FAILED, QUEUE_RECIPIENT_DONE, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        add_file("new", "AAAAA10");
        int file = openat(fixture.qmgr.new, "AAAAA10", O_RDWR | O_CLOEXEC);
        struct queue_recipient recipient = {.address = STR("r@a.test"), .notify = rows[i].notify};
        struct message message = {.qmgr = &fixture.qmgr, .arena = arena_create(0), .file = file};
        uint64_t size = message.events_end = file_size("AAAAA10");
        message.envelope = (struct queue_envelope){.sender = str_from(rows[i].sender),
                                                   .report = rows[i].report,
                                                   .recipients = &recipient,
                                                   .recipient_count = 1};
        message_outcome(&message, &(struct ipc_outcome){
                                      .action = rows[i].action, .status = STR("2.0.0"), .text = STR("these words")});
        if (recipient.state != rows[i].state) fail_msg("row %zu: state %u", i, recipient.state);
        if (message_owes_report(&message) != rows[i].owed) fail_msg("row %zu: owed", i);
        char bytes[200] = "";
        ssize_t got = pread(file, bytes, sizeof bytes, (off_t)size);
        bool noted = got > 0 && str_find_str(str_make(bytes, (size_t)got), STR("these words")) != STR_NONE;
        bool waits = rows[i].state != QUEUE_RECIPIENT_DONE;
        if (noted != (rows[i].owed || waits)) fail_msg("row %zu: noted %d", i, noted);
        message.envelope.report_sent = 1;
        assert_false(message_owes_report(&message));
        arena_destroy(&message.arena);
        close(file);
        assert_int_equal(unlinkat(fixture.qmgr.new, "AAAAA10", 0), 0);
    }
}

static void test_waiting_does_not_grow_the_file(void **state) {
    (void)state;
    add_file("new", "AAAAAA9");
    struct queue_recipient recipients[2] = {{.address = STR("r@a.test")}, {.address = STR("q@a.test")}};
    struct message message = {.qmgr = &fixture.qmgr,
                              .arena = arena_create(0),
                              .file = openat(fixture.qmgr.new, "AAAAAA9", O_RDWR | O_CLOEXEC)};
    message.envelope =
        (struct queue_envelope){.sender = STR("s@x.test"), .recipients = recipients, .recipient_count = 2};
    message.events_end = file_size("AAAAAA9");
    struct ipc_outcome later = {.action = DELIVERY_DEFERRED, .status = STR("4.4.1"), .text = STR("refused")};
    message_outcome(&message, &later);
    uint64_t size = file_size("AAAAAA9");
    for (unsigned i = 0; i < 1000; i++)
        message_outcome(&message, &later);
    assert_int_equal(file_size("AAAAAA9"), size);
    later.text = STR("another reason");
    message_outcome(&message, &later);
    assert_true(file_size("AAAAAA9") > size);
    /* Far too much already: what still waits is not noted, what is done is. */
    message.events_end += (uint64_t)17 << 20;
    uint64_t end = message.events_end;
    later.text = STR("a third");
    message_outcome(&message, &later);
    assert_int_equal(message.events_end, end);
    message_outcome(&message,
                    &(struct ipc_outcome){.action = DELIVERY_DELIVERED, .status = STR("2.0.0"), .text = STR("sent")});
    assert_true(message.events_end > end && message.events_end < end + 100);
    arena_destroy(&message.arena);
    close(message.file);
}

static void test_what_cannot_be_noted(void **state) {
    (void)state;
    struct queue_recipient recipients[2] = {{.address = STR("r@a.test")}, {.address = STR("q@a.test")}};
    struct message message = {
        .qmgr = &fixture.qmgr, .arena = arena_create(0), .file = open("/dev/full", O_RDWR | O_CLOEXEC)};
    message.envelope =
        (struct queue_envelope){.sender = STR("s@x.test"), .recipients = recipients, .recipient_count = 2};
    message_outcome(&message,
                    &(struct ipc_outcome){.action = DELIVERY_DEFERRED, .status = STR("4.4.1"), .text = STR("no")});
    assert_false(message.unnoted);
    message_outcome(&message, &(struct ipc_outcome){.action = DELIVERY_DELIVERED, .status = STR("2.0.0")});
    assert_true(message.unnoted);
    assert_int_equal(message.events_end, 0);
    arena_destroy(&message.arena);
    close(message.file);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_wishes_at_any_moment),
                                       TEST(test_wish_at_the_end),
                                       TEST(test_gone_from_new),
                                       TEST(test_locked_by_predecessor),
                                       TEST(test_two_names),
                                       TEST(test_two_names_changed),
                                       TEST(test_move),
                                       TEST(test_damaged_is_set_aside),
                                       TEST(test_owed_notices),
                                       TEST(test_owed_reports),
                                       TEST(test_traced),
                                       TEST(test_waiting_does_not_grow_the_file),
                                       TEST(test_what_cannot_be_noted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
