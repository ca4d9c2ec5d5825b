/* The cache in front of lookup: what is kept, what is not, and when it is emptied. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>
#include "resolve.h"
#include "task.h"

static struct {
    struct ipc_client *client;
    struct ipc_peer *peer;
    struct task *server;
    size_t asked;
    bool silent, fails;
    size_t large; /* bytes of an expansion */
} lookup;

/* As lookup's: an unknown recipient's row is empty, and after "last@x" there is no room for more. */
static void serve_many(struct ipc_request *request) {
    const struct ipc_lookup_many *asked = request->message;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    struct ipc_packed question;
    size_t offset = 0;
    bool bad = false, room = true;
    while (room && ipc_list_next(asked->questions, IPC_ROW_PACKED, &offset, &question, &bad)) {
        struct ipc_lookup_resolve one;
        if (!ipc_decode(question.message, IPC_LOOKUP_RESOLVE, &one)) abort();
        struct ipc_lookup_resolved answer = {
            .known = true, .transport = STR("local"), .nexthop = one.sender, .recipient = one.address};
        struct buf packed = buf_make(0);
        if (!str_starts(one.address, STR("unknown")) && !ipc_encode(IPC_LOOKUP_RESOLVED, 0, &answer, &packed)) abort();
        struct ipc_packed row = {.message =
                                     str_starts(one.address, STR("damaged")) ? STR("nonsense") : buf_str(&packed)};
        if (!ipc_list_add(IPC_ROW_PACKED, &row, &rows, &count)) abort();
        room = !str_equal(one.address, STR("last@x"));
        buf_free(&packed);
    }
    struct ipc_lookup_many_found found = {.answers = {buf_str(&rows), count}};
    ipc_answer(request, IPC_LOOKUP_MANY_FOUND, &found, -1);
    buf_free(&rows);
}

static void serve(struct ipc_request *request, void *context) {
    (void)context;
    lookup.peer = request->peer;
    lookup.asked++;
    if (lookup.fails) {
        ipc_answer_failed(request, 451, "4.3.0", "table hash:x does not answer");
        return;
    }
    if (request->type == IPC_LOOKUP_MANY) {
        serve_many(request);
    } else if (request->type == IPC_LOOKUP_RESOLVE) {
        const struct ipc_lookup_resolve *asked = request->message;
        struct ipc_lookup_resolved answer = {.known = !str_starts(asked->address, STR("unknown")),
                                             .transport = STR("local"),
                                             .nexthop = asked->sender,
                                             .recipient = asked->address};
        ipc_answer(request, IPC_LOOKUP_RESOLVED, &answer, -1);
    } else if (request->type == IPC_LOOKUP_EXPAND) {
        const struct ipc_lookup_expand *asked = request->message;
        struct buf rows = buf_make(0);
        uint32_t count = 0;
        struct ipc_address_row row = {.value = asked->address};
        do
            if (!ipc_list_add(IPC_ROW_ADDRESS, &row, &rows, &count)) abort();
        while (rows.length < lookup.large);
        struct ipc_lookup_expanded answer = {.addresses = {buf_str(&rows), count}};
        ipc_answer(request, IPC_LOOKUP_EXPANDED, &answer, -1);
        buf_free(&rows);
    }
}

static void run_server(void *argument) {
    ipc_serve((int)(intptr_t)argument, 100, serve, NULL);
}

static int connect_to(void *context, deadline until, struct failure *failure) {
    int pair[2];
    (void)context, (void)until, (void)failure;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    if (lookup.server) task_release(&lookup.server);
    if (!task_start_held("server", run_server, (void *)(intptr_t)pair[1], &lookup.server)) return -1;
    return pair[0];
}

struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *context) {
    (void)service, (void)name;
    return lookup.client = ipc_client_create(connect_to, NULL, on_notify, context);
}

/* ---- a script: each step, and how often lookup has been asked after it */

enum step_kind { END, RESOLVE, FORESEE, EXPAND, CHANGED, LOST, FAILS, WORKS, LARGE };

struct step {
    enum step_kind kind;
    const char *address, *sender;
    size_t asked;
    enum resolve_result result;
};

struct script {
    const struct step *steps;
    size_t limit;
    int wrong; /* the first step that was not as it should be, -1: none */
};

static enum resolve_result ask(struct resolve *resolve, const struct step *step) {
    struct arena *arena = arena_create(0);
    struct failure failure = {0};
    struct ipc_lookup_resolved resolved;
    struct ipc_lookup_expanded expanded;
    enum resolve_result result;
    if (step->kind == RESOLVE) {
        result = resolve_recipient(resolve, str_from(step->address), str_from(step->sender), deadline_in(3000), arena,
                                   &resolved, &failure);
        if (result == RESOLVE_OK && (!str_equal(resolved.recipient, str_from(step->address)) ||
                                     !str_equal(resolved.nexthop, str_from(step->sender))))
            result = (enum resolve_result)99;
    } else {
        result = resolve_expand(resolve, str_from(step->address), deadline_in(3000), arena, &expanded, &failure);
    }
    if (result == RESOLVE_RETRY && !str_equal(str_from(failure.text), STR("table hash:x does not answer")))
        result = (enum resolve_result)98;
    arena_destroy(&arena);
    return result;
}

/* The addresses of a step, parted by blanks. */
static void foresee(struct resolve *resolve, const struct step *step) {
    struct str rest = str_from(step->address), addresses[8];
    size_t count = 0;
    while (count < ARRAY_LENGTH(addresses) && str_next_word(&rest, " ", &addresses[count]))
        count++;
    resolve_foresee_recipients(resolve, addresses, count, str_from(step->sender), deadline_in(3000));
}

static void run_script(void *argument) {
    struct script *script = argument;
    struct resolve *resolve = resolve_create(NULL, script->limit);
    for (int i = 0; script->steps[i].kind != END && script->wrong < 0; i++) {
        const struct step *step = &script->steps[i];
        switch (step->kind) {
        case END:
            break;
        case RESOLVE:
        case EXPAND:
            if (ask(resolve, step) != step->result || lookup.asked != step->asked) script->wrong = i;
            break;
        case FORESEE:
            foresee(resolve, step);
            if (lookup.asked != step->asked) script->wrong = i;
            break;
        case CHANGED:
            if (!ipc_notify(lookup.peer, IPC_LOOKUP_CHANGED, &(struct ipc_lookup_changed){})) script->wrong = i;
            task_sleep(10);
            break;
        case LOST:
            task_cancel(lookup.server);
            task_sleep(20);
            break;
        case FAILS:
            lookup.fails = true;
            break;
        case WORKS:
            lookup.fails = false;
            break;
        case LARGE:
            lookup.large = 20000;
            break;
        }
    }
    ipc_client_destroy(&lookup.client);
    resolve_destroy(&resolve);
    if (lookup.server) task_release(&lookup.server);
}

static void play(const struct step *steps, size_t limit) {
    struct script script = {steps, limit, -1};
    memset(&lookup, 0, sizeof lookup);
    assert_true(loop_create(NULL, NULL));
    assert_true(task_start("script", run_script, &script));
    loop_run();
    loop_destroy();
    if (script.wrong >= 0) fail_msg("step %d; asked %zu times", script.wrong, lookup.asked);
}

static void test_kept(void **state) {
    (void)state;
    static const struct step steps[] = {{RESOLVE, "a@x", "", 1, RESOLVE_OK},
                                        {RESOLVE, "a@x", "", 1, RESOLVE_OK},    /* kept */
                                        {RESOLVE, "a@x", "s@y", 2, RESOLVE_OK}, /* another sender is another question */
                                        {RESOLVE, "a@x", "s@y", 2, RESOLVE_OK},
                                        {EXPAND, "a@x", "", 3, RESOLVE_OK}, /* as is another kind */
                                        {EXPAND, "a@x", "", 3, RESOLVE_OK},
                                        {RESOLVE, "unknown@x", "", 4, RESOLVE_OK},
                                        {RESOLVE, "unknown@x", "", 5, RESOLVE_OK}, /* not kept */
                                        {.kind = FAILS},
                                        {RESOLVE, "b@x", "", 6, RESOLVE_RETRY},
                                        {RESOLVE, "b@x", "", 7, RESOLVE_RETRY},
                                        {RESOLVE, "a@x", "", 7, RESOLVE_OK},
                                        {.kind = WORKS},
                                        {RESOLVE, "b@x", "", 8, RESOLVE_OK},
                                        {RESOLVE, "b@x", "", 8, RESOLVE_OK},
                                        {.kind = END}};
    play(steps, 0);
}

static void test_emptied(void **state) {
    (void)state;
    static const struct step steps[] = {{RESOLVE, "a@x", "", 1, RESOLVE_OK},
                                        {EXPAND, "a@x", "", 2, RESOLVE_OK},
                                        {.kind = CHANGED},
                                        {RESOLVE, "a@x", "", 3, RESOLVE_OK},
                                        {EXPAND, "a@x", "", 4, RESOLVE_OK},
                                        {RESOLVE, "a@x", "", 4, RESOLVE_OK},
                                        {.kind = LOST}, /* what lookup would have told meanwhile is not known */
                                        {RESOLVE, "a@x", "", 5, RESOLVE_OK},
                                        {RESOLVE, "a@x", "", 5, RESOLVE_OK},
                                        {.kind = END}};
    play(steps, 0);
}

static void test_bounded(void **state) {
    (void)state;
    static const struct step steps[] = {
        {RESOLVE, "a@x", "", 1, RESOLVE_OK}, {RESOLVE, "b@x", "", 2, RESOLVE_OK},
        {RESOLVE, "c@x", "", 3, RESOLVE_OK}, {RESOLVE, "c@x", "", 3, RESOLVE_OK},
        {RESOLVE, "b@x", "", 3, RESOLVE_OK}, {RESOLVE, "a@x", "", 4, RESOLVE_OK}, /* the oldest went */
        {RESOLVE, "b@x", "", 5, RESOLVE_OK}, {.kind = LARGE},
        {EXPAND, "l@x", "", 6, RESOLVE_OK},  {EXPAND, "l@x", "", 7, RESOLVE_OK}, /* too large to keep */
        {RESOLVE, "b@x", "", 7, RESOLVE_OK}, {.kind = END}};
    play(steps, 2);
}

static void test_foreseen(void **state) {
    (void)state;
    static const struct step steps[] = {
        {RESOLVE, "a@x", "s@y", 1, RESOLVE_OK},
        {FORESEE, "a@x b@x unknown@x damaged@x last@x late@x", "s@y", 2, RESOLVE_OK},
        {RESOLVE, "a@x", "s@y", 2, RESOLVE_OK},
        {RESOLVE, "b@x", "s@y", 2, RESOLVE_OK}, /* its answer has come */
        {RESOLVE, "last@x", "s@y", 2, RESOLVE_OK},
        {RESOLVE, "b@x", "", 3, RESOLVE_OK}, /* for this sender nothing was foreseen */
        {RESOLVE, "unknown@x", "s@y", 4, RESOLVE_OK},
        {RESOLVE, "damaged@x", "s@y", 5, RESOLVE_OK},
        {RESOLVE, "late@x", "s@y", 6, RESOLVE_OK},
        {FORESEE, "a@x b@x last@x", "s@y", 6, RESOLVE_OK}, /* all is known */
        {FORESEE, "a@x c@x", "s@y", 6, RESOLVE_OK},        /* one alone may as well ask by itself */
        {.kind = CHANGED},
        {RESOLVE, "b@x", "s@y", 7, RESOLVE_OK},
        {.kind = FAILS},
        {FORESEE, "d@x e@x", "s@y", 8, RESOLVE_OK}, /* whoever asks by itself hears of it */
        {RESOLVE, "d@x", "s@y", 9, RESOLVE_RETRY},
        {.kind = END}};
    play(steps, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept), cmocka_unit_test(test_emptied),
                                       cmocka_unit_test(test_bounded), cmocka_unit_test(test_foreseen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
