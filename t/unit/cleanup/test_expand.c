/* Expansion of the envelope: who stays, once; what the DSN parameters become; tables that do not answer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "cleanup.h"

/* The tables: "name=address,address"; anything else stands for itself. */
static const char *const aliases[] = {"all@x=a@x,b@x,c@x", "two@x=b@x,B@X,d@x", "self@x=self@x,e@x", "nobody@x="};
static char long_address[600];

/* What was foreseen, in order; an address that is asked for by itself must be the next of it. */
static char foreseen[RESOLVE_AT_ONCE][600];
static size_t foreseen_count, foreseen_next, foreseen_calls;

void resolve_foresee_expansions(struct resolve *resolve, const struct str *addresses, size_t count, deadline until) {
    (void)resolve, (void)until;
    assert_in_range(count, 2, RESOLVE_AT_ONCE);
    for (size_t i = 0; i < count; i++)
        snprintf(foreseen[i], sizeof foreseen[i], "%.*s", STR_ARGS(addresses[i]));
    foreseen_count = count;
    foreseen_next = 0;
    foreseen_calls++;
}

enum resolve_result resolve_expand(struct resolve *resolve, struct str address, deadline until, struct arena *arena,
                                   struct ipc_lookup_expanded *answer, struct failure *failure) {
    (void)resolve, (void)until;
    struct buf rows = buf_make(0);
    struct str members = address, name, rest;
    if (foreseen_count > 0) {
        assert_true(foreseen_next < foreseen_count);
        assert_true(str_equal(str_from(foreseen[foreseen_next++]), address));
    }
    if (str_equal(address, STR("broken@x"))) {
        failure_set(failure, "the table does not answer");
        return RESOLVE_RETRY;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(aliases); i++)
        if (str_cut(str_from(aliases[i]), '=', &name, &rest) && str_equal(name, address)) members = rest;
    if (str_equal(address, STR("long@x"))) members = str_from(long_address);
    struct ipc_address_row row = {.kind = EXPANSION_ADDRESS};
    while (str_next_word(&members, ",", &row.value))
        assert_true(ipc_list_add(IPC_ROW_ADDRESS, &row, &rows, &answer->addresses.count));
    assert_true(arena_copy(arena, buf_str(&rows), &answer->addresses.packed));
    buf_free(&rows);
    return RESOLVE_OK;
}

static const struct expansion_row {
    const char *given;  /* "address[/notify]" ... */
    const char *wanted; /* "address<original/notify" ...; NULL: refused for now */
} rows[] = {
    {"a@y b@y", "a@y</0 b@y</0"},
    {"a@y a@Y A@y", "a@y</0 A@y</0"}, /* the domain's case is nothing, the local part's is */
    {"all@x", "a@x<all@x/0 b@x<all@x/0 c@x<all@x/0"},
    {"b@x all@x two@x", "b@x</0 a@x<all@x/0 c@x<all@x/0 B@X<two@x/0 d@x<two@x/0"},
    {"self@x", "self@x</0 e@x<self@x/0"},
    {"nobody@x a@y", "a@y</0"},
    {"a@y/1 a@y/2", "a@y</2"},  /* never, and success: success */
    {"a@y/0 a@y/2", "a@y</14"}, /* what goes without saying, and success */
    {"a@y/2 a@y/0", "a@y</14"},
    {"a@y/1 a@y/1", "a@y</1"},
    {"a@y/1 a@y/0", "a@y</12"},
    {"all@x/2 b@x/1", "a@x<all@x/2 b@x<all@x/2 c@x<all@x/2"},
    {"a@y broken@x", NULL},
    {"long@x", NULL}, /* an address that no later packet holds */
};

static void add_given(struct pending *pending, struct str given) {
    struct str word, address, notify;
    struct buf list = buf_make(0);
    uint32_t count = 0;
    while (str_next_word(&given, " ", &word)) {
        uint64_t number = 0;
        if (str_cut(word, '/', &address, &notify))
            assert_true(str_to_u64(notify, 15, &number));
        else
            address = word;
        struct ipc_recipient row = {.address = address, .notify = number};
        assert_true(ipc_list_add(IPC_ROW_RECIPIENT, &row, &list, &count));
    }
    assert_true(pending_add_recipients(pending, (struct ipc_list){buf_str(&list), count}));
    buf_free(&list);
}

static void test_rows(void **state) {
    (void)state;
    memset(long_address, 'a', sizeof long_address - 1);
    memcpy(long_address + sizeof long_address - 3, "@x", 2);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct cleanup cleanup = {.resolve = NULL};
        struct pending pending = {.arena = arena_create(0)};
        struct failure failure = {0};
        struct buf got = buf_make(0);
        add_given(&pending, str_from(rows[i].given));
        foreseen_count = 0; /* one recipient alone asks by itself */
        bool good = cleanup_expand(&cleanup, &pending, &failure);
        for (size_t r = 0; good && r < pending.recipient_count; r++)
            buf_printf(&got, "%s%.*s<%.*s/%d", r ? " " : "", STR_ARGS(pending.recipients[r].address),
                       STR_ARGS(pending.recipients[r].original), (int)pending.recipients[r].notify);
        if (good != (rows[i].wanted != NULL)) fail_msg("row %zu: %s", i, failure.text);
        if (good && !str_equal(buf_str(&got), str_from(rows[i].wanted))) fail_msg("row %zu: %s", i, buf_string(&got));
        if (!good) assert_true(failure.text[0]);
        buf_free(&got);
        arena_destroy(&pending.arena);
    }
}

static void test_many(void **state) {
    (void)state;
    struct cleanup cleanup = {.resolve = NULL};
    struct pending pending = {.arena = arena_create(0)};
    for (unsigned i = 0; i < 20000; i++) {
        char address[40];
        snprintf(address, sizeof address, "u%u@y", i % 5000);
        add_given(&pending, str_from(address));
    }
    assert_int_equal(pending.recipient_count, 20000);
    foreseen_calls = 0;
    assert_true(cleanup_expand(&cleanup, &pending, NULL));
    assert_int_equal(foreseen_calls, 20000 / RESOLVE_AT_ONCE);
    assert_int_equal(foreseen_next, foreseen_count);
    assert_int_equal(pending.recipient_count, 5000);
    arena_destroy(&pending.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
