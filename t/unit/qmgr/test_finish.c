/* What becomes of outcomes when a pass ends: which notices are asked for, and whether the message is removed,
 * held or deferred. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "queue_fixture.h"
#include "qmgr_fixture.h"

#define ID         "AAAAAA1"
#define POSTMASTER "double-bounce@mail.example.com"
#define HOUR       ((int64_t)3600)
#define DAY        (24 * HOUR)

static struct qmgr_fixture fixture;
static struct queue_fixture queue;
static struct buf notices;    /* "failed:a c " for each that was asked for */
static const char *unwritten; /* the kind of notice that bounce cannot write */
static const char *late_wish; /* "delete", "hold" or "expire": what comes while a notice is being written */
static const char *deferring_wish; /* and while it is being deferred, or put on hold */
static bool removed, deferred, requeued;
static int64_t next_attempt;
static struct message *current;

/* ---- what finish.c and message.c ask of others */

static void wish(const char *what) {
    static const struct {
        const char *word;
        enum queue_change change;
    } wishes[] = {{"delete", QUEUE_DELETE}, {"hold", QUEUE_HOLD}, {"expire", QUEUE_EXPIRE}, {"requeue", QUEUE_REQUEUE}};
    struct str word = str_from(what ? what : "");
    for (size_t i = 0; i < ARRAY_LENGTH(wishes); i++)
        if (str_equal(word, str_from(wishes[i].word))) assert_true(message_wish(current, wishes[i].change));
    if (str_equal(word, STR("attempts"))) current->envelope.attempts = 5 * 86400 / 4000 + 1;
}

enum ipc_result ipc_ask(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                        enum ipc_type expected, deadline until, struct arena *arena, struct ipc_reply *reply,
                        struct failure *failure) {
    static const char *const kinds[] = {
        [NOTICE_FAILED] = "failed", [NOTICE_DELAYED] = "delayed", [NOTICE_SUCCESS] = "success"};
    static const struct ipc_bounce_sent sent = {.queue_id = STR_INIT("NOTICE1")};
    const struct ipc_bounce_send *request = message;
    struct ipc_bounced row;
    size_t offset = 0;
    bool bad = false;
    (void)client, (void)descriptor, (void)until, (void)arena;
    assert_int_equal(type, IPC_BOUNCE_SEND);
    assert_int_equal(expected, IPC_BOUNCE_SENT);
    const char *kind = kinds[request->kind];
    buf_printf(&notices, "%s:", kind);
    while (ipc_list_next(request->recipients, IPC_ROW_BOUNCED, &offset, &row, &bad))
        buf_printf(&notices, "%.*s ", STR_ARGS(row.address));
    assert_false(bad);
    wish(late_wish);
    late_wish = NULL;
    if (unwritten && str_equal(str_from(kind), str_from(unwritten))) {
        failure_set(failure, "not now");
        return IPC_UNREACHABLE;
    }
    *reply = (struct ipc_reply){.type = IPC_BOUNCE_SENT, .message = &sent, .descriptor = -1};
    return IPC_OK;
}

void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id, int file) {
    (void)qmgr, (void)queue_id;
    assert_int_equal(faccessat(folder, ID, F_OK, 0), 0); /* it stands where it is to be removed */
    removed = true;
    deferred = false;
    close(file);
}
bool change_at_rest(struct qmgr *qmgr, const char *name, enum queue_change change) {
    (void)qmgr;
    assert_string_equal(name, ID);
    assert_int_equal(change, QUEUE_REQUEUE);
    assert_null(map_get(fixture.qmgr.active, STR(ID)));
    requeued = true;
    return true;
}
static void wish_while_it_moves(void) {
    const char *what = deferring_wish;
    deferring_wish = NULL;
    wish(what);
}
int64_t next_attempt_after(const struct config *config, int64_t arrival, int64_t now) {
    (void)config, (void)arrival;
    return now + 300;
}
bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when) {
    (void)qmgr, (void)message;
    deferred = true;
    next_attempt = when;
    wish_while_it_moves();
    return true;
}
void deferred_forget(struct qmgr *qmgr, struct str queue_id) {
    (void)qmgr, (void)queue_id;
    deferred = false;
    wish_while_it_moves();
}
void incoming_again(struct qmgr *qmgr, int64_t milliseconds) {
    (void)qmgr, (void)milliseconds;
    fail();
}
struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *context) {
    (void)service, (void)name, (void)on_notify, (void)context;
    return NULL;
}
enum resolve_result resolve_recipient(struct resolve *resolve, struct str address, struct str sender, deadline until,
                                      struct arena *arena, struct ipc_lookup_resolved *answer,
                                      struct failure *failure) {
    (void)resolve, (void)address, (void)sender, (void)until, (void)arena, (void)answer, (void)failure;
    return RESOLVE_RETRY;
}

/* ---- the stage */

static int setup(void **state) {
    (void)state;
    notices = buf_make(0);
    unwritten = late_wish = deferring_wish = NULL;
    removed = deferred = requeued = false;
    qmgr_fixture_make(&fixture, "delay_warning_time = 4h\nmaximal_queue_lifetime = 5d\nbounce_queue_lifetime = 1d\n");
    if (!fixture_make(&queue) || !loop_create(NULL, NULL)) return -1;
    fixture.qmgr.new = openat(queue.queue, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture.qmgr.hold = openat(queue.queue, "hold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture.qmgr.syncs[0].directory = fixture.qmgr.new;
    fixture.qmgr.syncs[1].directory = fixture.qmgr.hold;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loop_destroy();
    close(fixture.qmgr.new), close(fixture.qmgr.hold);
    fixture_remove(&queue);
    qmgr_fixture_end(&fixture);
    buf_free(&notices);
    return 0;
}

#define RECIPIENTS_MAX 3
struct answered {
    unsigned notify, action;
};

/* A message taken up, as message_activate leaves it; the file is real. */
static struct message *make_message(const char *sender, int64_t age, const struct answered *answers, size_t count) {
    static const char *const names[RECIPIENTS_MAX] = {"a", "b", "c"};
    int64_t arrival = clock_date() / CLOCK_SECOND - age;
    assert_true(fixture_add(&queue, &(struct fixture_message){"new", ID, sender, "a", "", "text\n", NULL, arrival}));
    struct message *message = message_create(&fixture.qmgr, STR(ID));
    message->file = openat(fixture.qmgr.new, ID, O_RDWR | O_CLOEXEC);
    message->shared = openat(fixture.qmgr.new, ID, O_RDONLY | O_CLOEXEC);
    message->events_end = (uint64_t)lseek(message->file, 0, SEEK_END);
    message->envelope.arrival = arrival * CLOCK_SECOND;
    message->envelope.sender = str_from(sender);
    message->envelope.recipients = arena_allocate(message->arena, count, sizeof(struct queue_recipient));
    message->envelope.recipient_count = count;
    fixture.qmgr.active_recipients += count;
    for (size_t i = 0; i < count; i++)
        message->envelope.recipients[i] =
            (struct queue_recipient){.address = str_from(names[i]), .notify = answers[i].notify};
    return message;
}

struct scene {
    const struct answered *answers;
    size_t count;
    const char *wish;
};

static void play_scene(void *argument) {
    const struct scene *scene = argument;
    static const char *const status[] = {[DELIVERY_DEFERRED] = "4.4.1", [DELIVERY_FAILED] = "5.1.1"};
    for (size_t i = 0; i < scene->count; i++) {
        unsigned action = scene->answers[i].action;
        message_outcome(
            current, &(struct ipc_outcome){.index = i,
                                           .action = action,
                                           .status = str_from(action >= DELIVERY_DEFERRED ? status[action] : "2.0.0"),
                                           .text = STR("what the server said")});
    }
    wish(scene->wish);
    message_finish(current);
}

/* ---- the table */

#define YES                                                                                                            \
    { NOTIFY_NONE, DELIVERY_DELIVERED }
#define NO                                                                                                             \
    { NOTIFY_NONE, DELIVERY_FAILED }
#define LATER                                                                                                          \
    { NOTIFY_NONE, DELIVERY_DEFERRED }

static void test_ends(void **state) {
    static const struct {
        const char *sender;
        int64_t age;
        struct answered answers[RECIPIENTS_MAX];
        size_t count;
        const char *wish, *late_wish, *unwritten;
        const char *notices, *end;
    } rows[] = {
        {"s", 0, {YES, YES}, 2, "", "", "", "", "removed"},
        {"s", 0, {YES, NO, NO}, 3, "", "", "", "failed:b c ", "removed"},
        {"s", 0, {YES, LATER}, 2, "", "", "", "", "deferred"},
        {"s", 0, {NO, LATER}, 2, "", "", "", "failed:a ", "deferred"},
        /* NOTIFY */
        {"s", 0, {{NOTIFY_NEVER, DELIVERY_FAILED}, NO}, 2, "", "", "", "failed:b ", "removed"},
        {"s", 0, {{NOTIFY_SUCCESS, DELIVERY_FAILED}}, 1, "", "", "", "", "removed"},
        {"s", 0, {{NOTIFY_SUCCESS, DELIVERY_DELIVERED}, NO}, 2, "", "", "", "failed:b success:a ", "removed"},
        {"s", 0, {{NOTIFY_SUCCESS, DELIVERY_RELAYED_DSN}}, 1, "", "", "", "", "removed"},
        {"s", 0, {{NOTIFY_SUCCESS, DELIVERY_EXPANDED}, LATER}, 2, "", "", "", "success:a ", "deferred"},
        /* the delay warning */
        {"s", 4 * HOUR - 60, {LATER}, 1, "", "", "", "", "deferred"},
        {"s", 4 * HOUR, {LATER}, 1, "", "", "", "delayed:a ", "deferred"},
        {"s", 4 * HOUR, {LATER, {NOTIFY_FAILURE, DELIVERY_DEFERRED}}, 2, "", "", "", "delayed:a ", "deferred"},
        {"s", 4 * HOUR, {{NOTIFY_NEVER, DELIVERY_DEFERRED}}, 1, "", "", "", "", "deferred"},
        {"s", 4 * HOUR, {NO, {NOTIFY_DELAY, DELIVERY_DEFERRED}, YES}, 3, "", "", "", "failed:a delayed:b ", "deferred"},
        {"", 4 * HOUR, {LATER}, 1, "", "", "", "", "deferred"},
        /* expiry, of notices earlier */
        {"s", 5 * DAY - 60, {LATER}, 1, "", "", "", "delayed:a ", "deferred"},
        {"s", 5 * DAY, {LATER, YES, NO}, 3, "", "", "", "failed:a c ", "removed"},
        {"s", 5 * DAY, {{NOTIFY_NEVER, DELIVERY_DEFERRED}}, 1, "", "", "", "", "removed"},
        {"", DAY, {{NOTIFY_NEVER, DELIVERY_DEFERRED}}, 1, "", "", "", "failed:a ", "removed"},
        /* from the future: the clock was wrong when it came, and it waits no longer for that */
        {"s", -365 * DAY, {LATER}, 1, "", "", "", "", "deferred"},
        {"s", -365 * DAY, {LATER}, 1, "attempts", "", "", "failed:a ", "removed"},
        /* nobody to tell: an operator decides */
        {POSTMASTER, 0, {{NOTIFY_NEVER, DELIVERY_FAILED}}, 1, "", "", "", "", "held"},
        {POSTMASTER, 5 * DAY, {{NOTIFY_NEVER, DELIVERY_DEFERRED}}, 1, "", "", "", "", "held"},
        {POSTMASTER, 4 * HOUR, {{NOTIFY_NEVER, DELIVERY_DEFERRED}}, 1, "", "", "", "", "deferred"},
        {POSTMASTER, 0, {YES}, 1, "", "", "", "", "removed"},
        /* what cannot be written stays owed */
        {"s", 0, {NO}, 1, "", "", "failed", "failed:a ", "deferred"},
        {"s", 0, {NO, {NOTIFY_SUCCESS, DELIVERY_DELIVERED}}, 2, "", "", "success", "failed:a success:b ", "deferred"},
        {"s", 4 * HOUR, {LATER}, 1, "", "", "delayed", "delayed:a ", "deferred"},
        {"s", 5 * DAY, {LATER}, 1, "", "", "failed", "failed:a ", "deferred"},
        /* wishes: before the end, and while a notice is being written */
        {"s", 0, {LATER}, 1, "delete", "", "", "", "removed"},
        {"s", 0, {NO}, 1, "delete", "", "", "", "removed"},
        {"s", 0, {LATER}, 1, "hold", "", "", "", "held"},
        {"s", 0, {NO, LATER}, 2, "hold", "", "", "failed:a ", "held"},
        {"s", 0, {NO}, 1, "hold", "", "", "failed:a ", "removed"},
        {"s", 0, {LATER}, 1, "expire", "", "", "failed:a ", "removed"},
        {"s", 0, {NO, LATER}, 2, "", "expire", "", "failed:a failed:b ", "removed"},
        {"s", 0, {NO, LATER}, 2, "", "delete", "", "failed:a ", "removed"},
        {"s", 0, {NO, LATER}, 2, "", "hold", "", "failed:a ", "held"},
        {"s", 0, {NO}, 1, "", "hold", "failed", "failed:a ", "held"},
        {POSTMASTER, 0, {LATER}, 1, "hold", "", "", "", "held"},
        {POSTMASTER, 0, {{NOTIFY_NEVER, DELIVERY_FAILED}}, 1, "delete", "", "", "", "removed"},
        {"s", 0, {LATER}, 1, "requeue", "", "", "", "deferred, requeued"},
        {"s", 0, {YES}, 1, "requeue", "", "", "", "removed"},
        /* ... while it goes to cur/ or hold/ */
        {"s", 0, {LATER}, 1, "", "move:delete", "", "", "removed"},
        {"s", 0, {LATER}, 1, "", "move:hold", "", "", "held"},
        {"s", 0, {LATER}, 1, "", "move:expire", "", "failed:a ", "removed"},
        {"s", 0, {LATER}, 1, "", "move:requeue", "", "", "deferred, requeued"},
        {"s", 0, {LATER}, 1, "hold", "move:delete", "", "", "removed"},
        {"s", 0, {LATER}, 1, "hold", "move:hold", "", "", "held"},
        {POSTMASTER, 0, {{NOTIFY_NEVER, DELIVERY_FAILED}}, 1, "", "move:delete", "", "", "removed"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (i) assert_int_equal(setup(state), 0);
        struct scene scene = {rows[i].answers, rows[i].count, rows[i].wish};
        unwritten = rows[i].unwritten;
        bool moves = strncmp(rows[i].late_wish, "move:", 5) == 0;
        late_wish = moves ? NULL : rows[i].late_wish;
        deferring_wish = moves ? rows[i].late_wish + 5 : NULL;
        current = make_message(rows[i].sender, rows[i].age, rows[i].answers, rows[i].count);
        assert_true(task_start("scene", play_scene, &scene));
        loop_run();
        bool held = !removed && fixture_has(&queue, "hold/" ID) && !fixture_has(&queue, "new/" ID);
        const char *end = removed ? "removed" : held ? "held"
                                       : requeued ? "deferred, requeued"
                                       : deferred ? "deferred" : "nothing";
        if (removed + held + deferred != 1) fail_msg("row %zu: %d %d %d", i, removed, held, deferred);
        if (deferred && next_attempt < clock_date() / CLOCK_SECOND + 200) fail_msg("row %zu: too early", i);
        char about[30];
        snprintf(about, sizeof about, "row %zu", i);
        expect_text(about, end, rows[i].end);
        expect_text(about, buf_string(&notices), rows[i].notices);
        assert_int_equal(map_count(fixture.qmgr.active), 0);
        assert_int_equal(fixture.qmgr.active_recipients, 0);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

/* A notice of delay is written once: the next pass finds that in the envelope. */
static void test_one_delay_notice(void **state) {
    (void)state;
    static const struct answered answers[] = {LATER};
    struct scene scene = {answers, 1, ""};
    current = make_message("s", 5 * HOUR, answers, 1);
    current->envelope.delay_notice = clock_date() / CLOCK_SECOND - HOUR;
    assert_true(task_start("scene", play_scene, &scene));
    loop_run();
    expect_text("notices", buf_string(&notices), "");
    assert_true(deferred);
}

/* DELIVERBY: what is done when its time is over, and before; and what a later release does to ages. */
static void test_deliver_by(void **state) {
    static const struct {
        enum deliver_by_mode mode;
        int64_t left; /* seconds */
        unsigned notify;
        int64_t late_notice, release; /* how long ago; 0: none */
        int64_t age;
        const char *notices, *end;
        int64_t wait; /* until the next attempt; 0: any */
    } rows[] = {
        {DELIVER_BY_RETURN, 100, NOTIFY_NONE, 0, 0, 0, "", "deferred", 100},
        {DELIVER_BY_RETURN, 1000, NOTIFY_NONE, 0, 0, 0, "", "deferred", 300},
        {DELIVER_BY_RETURN, 0, NOTIFY_NONE, 0, 0, 0, "failed:a ", "removed", 0},
        {DELIVER_BY_RETURN, -10, NOTIFY_NEVER, 0, 0, 0, "", "removed", 0},
        {DELIVER_BY_NOTIFY, 100, NOTIFY_NONE, 0, 0, 0, "", "deferred", 100},
        {DELIVER_BY_NOTIFY, 0, NOTIFY_NONE, 0, 0, 0, "delayed:a ", "deferred", 300},
        {DELIVER_BY_NOTIFY, -10, NOTIFY_NONE, 5, 0, 0, "", "deferred", 300}, /* told before */
        {DELIVER_BY_NOTIFY, -10, NOTIFY_FAILURE, 0, 0, 0, "", "deferred", 300},
        {DELIVER_BY_NOT, 0, NOTIFY_NONE, 0, 0, 5 * DAY, "failed:a ", "removed", 0},
        {DELIVER_BY_NOT, 0, NOTIFY_NONE, 0, HOUR, 5 * DAY, "", "deferred", 300}, /* released an hour ago */
        {DELIVER_BY_NOT, 0, NOTIFY_NONE, 0, 4 * HOUR, 5 * DAY, "delayed:a ", "deferred", 300},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (i) assert_int_equal(setup(state), 0);
        const struct answered answers[] = {{rows[i].notify, DELIVERY_DEFERRED}};
        struct scene scene = {answers, 1, ""};
        int64_t now = clock_date() / CLOCK_SECOND;
        current = make_message("s", rows[i].age, answers, 1);
        current->envelope.wish = (struct envelope_wish){.by_mode = rows[i].mode,
                                                        .deliver_by = rows[i].mode ? now + rows[i].left : 0,
                                                        .release = rows[i].release ? now - rows[i].release : 0};
        current->envelope.late_notice = rows[i].late_notice ? now - rows[i].late_notice : 0;
        assert_true(task_start("scene", play_scene, &scene));
        loop_run();
        char about[30];
        snprintf(about, sizeof about, "row %zu", i);
        expect_text(about, removed ? "removed" : deferred ? "deferred" : "nothing", rows[i].end);
        expect_text(about, buf_string(&notices), rows[i].notices);
        if (rows[i].wait) assert_in_range(next_attempt - now, rows[i].wait, rows[i].wait + 2);
        if (i + 1 < ARRAY_LENGTH(rows)) teardown(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_delay_notice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deliver_by, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
