/* Virtual alias expansion: key order, extensions, self-reference, limits. */
#include "fixture.h"
#include <unistd.h>

struct expand_row {
    const char *address;
    const char *result; /* addresses parted by blanks; NULL: it has to fail */
    const char *wrong;  /* a part of the failure */
};

static void check_rows(const char *main_cf, const struct expand_row *rows, size_t count) {
    struct fixture fixture;
    fixture_make(&fixture, main_cf);
    for (size_t i = 0; i < count; i++) {
        struct ipc_lookup_expanded answer;
        struct failure failure = {0};
        bool good = lookup_expand(fixture.lookup, str_from(rows[i].address), fixture.arena, &answer, &failure);
        if (!good && rows[i].result) fail_msg("%s: %s", rows[i].address, failure.text);
        if (good && !rows[i].result) fail_msg("%s: has to fail", rows[i].address);
        if (!good) {
            if (str_find_str(str_from(failure.text), str_from(rows[i].wrong)) == STR_NONE)
                fail_msg("%s: %s", rows[i].address, failure.text);
            continue;
        }
        struct buf text = {0};
        struct ipc_address_row row;
        size_t offset = 0;
        bool bad = false;
        while (ipc_list_next(answer.addresses, IPC_ROW_ADDRESS, &offset, &row, &bad)) {
            if (text.length) buf_append_char(&text, ' ');
            buf_append(&text, row.value);
            assert_int_equal(row.kind, EXPANSION_ADDRESS);
        }
        assert_false(bad);
        expect_text(rows[i].address, buf_str(&text), rows[i].result);
        buf_free(&text);
    }
    fixture_end(&fixture);
}

static const char aliases[] =
    "alias_maps =\nrecipient_delimiter = +\nmydestination = here.test\nmyorigin = origin.test\n"
    "virtual_alias_maps = inline:{\n"
    " {a@v.test = b@x.test, c@x.test}, {one@v.test = two@v.test}, {two@v.test = three@v.test},\n"
    " {self@v.test = self@v.test, copy@x.test}, {loop1@v.test = loop2@v.test}, {loop2@v.test = loop1@v.test},\n"
    " {user+e@v.test = exact@x.test}, {user@v.test = base@x.test}, {@v2.test = @w.test}, {@v3.test = all@x.test},\n"
    " {local = remote@x.test}, {bare@v.test = bare}, {q@v.test = \"odd one\"@x.test}, {bad@v.test = }, {cmd@v.test = "
    "|prog},\n"
    " {many@v.test = m1@x.test, m2@x.test, m3@x.test, m4@x.test, m5@x.test}, {nest@v.test = a@v.test, one@v.test} }\n"
    "virtual_alias_recursion_limit = 10\nvirtual_alias_expansion_limit = 4\n";

static const struct expand_row rows[] = {
    {"x@elsewhere.test", "x@elsewhere.test", NULL},
    {"a@v.test", "b@x.test c@x.test", NULL},
    {"A@V.Test", "b@x.test c@x.test", NULL},
    {"one@v.test", "three@v.test", NULL},
    {"self@v.test", "self@v.test copy@x.test", NULL},
    {"loop1@v.test", NULL, "virtual_alias_recursion_limit"},
    {"user+e@v.test", "exact@x.test", NULL},
    {"user+f@v.test", "base+f@x.test", NULL},
    {"user@v.test", "base@x.test", NULL},
    {"any@v2.test", "any@w.test", NULL},
    {"any+e@v2.test", "any+e@w.test", NULL},
    {"any@v3.test", "all@x.test", NULL},
    {"local@here.test", "remote@x.test", NULL},
    {"local@origin.test", "remote@x.test", NULL},
    {"local", "remote@x.test", NULL},
    {"local+e@here.test", "remote+e@x.test", NULL},
    {"local@elsewhere.test", "local@elsewhere.test", NULL},
    {"bare@v.test", "bare@origin.test", NULL},
    {"q@v.test", "odd one@x.test", NULL},
    {"many@v.test", NULL, "virtual_alias_expansion_limit"},
    {"nest@v.test", "b@x.test three@v.test c@x.test", NULL},
    {"postmaster", "postmaster", NULL},
};

static void test_expand(void **state) {
    (void)state;
    check_rows(aliases, rows, ARRAY_LENGTH(rows));
}

static void test_options(void **state) {
    static const struct expand_row no_propagation[] = {{"user+f@v.test", "base@x.test", NULL}};
    static const struct expand_row failing[] = {{"a@v.test", NULL, "virtual_alias_maps: table fail:x"}};
    static const struct expand_row first_wins[] = {{"a@v.test", "b@x.test", NULL}, {"z@v.test", NULL, "fail:x"}};
    static const struct expand_row too_long[] = {{"a@v.test", NULL, "virtual_alias_address_length_limit"}};
    (void)state;
    check_rows("alias_maps =\nrecipient_delimiter = +\npropagate_unmatched_extensions =\n"
               "virtual_alias_maps = inline:{{user@v.test = base@x.test}}\n",
               no_propagation, 1);
    check_rows("alias_maps =\nvirtual_alias_maps = fail:x\n", failing, 1);
    check_rows("alias_maps =\nvirtual_alias_maps = inline:{{a@v.test = b@x.test}, {b@x.test = b@x.test}} fail:x\n",
               first_wins, 2);
    check_rows("alias_maps =\nvirtual_alias_address_length_limit = 20\n"
               "virtual_alias_maps = inline:{{a@v.test = a-rather-long-name@x.test}}\n",
               too_long, 1);
}

/* Patterns see whole addresses only: no "@domain", no bare names. */
static void test_patterns(void **state) {
    static const struct expand_row pattern_rows[] = {
        {"ab@v.test", "ab-list@x.test", NULL},
        {"c@w.test", "c@w.test", NULL},
        {"d@mail.example.com", "d@mail.example.com", NULL},
    };
    char path[] = "/tmp/test_lookup_XXXXXX";
    char main_cf[200];
    const char text[] = "/^(.*)@v.test$/ $1-list@x.test\n/^@w.test$/ all@x.test\n/^d$/ other@x.test\n";
    (void)state;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(file);
    snprintf(main_cf, sizeof main_cf, "alias_maps =\nvirtual_alias_maps = regexp:%s\n", path);
    check_rows(main_cf, pattern_rows, ARRAY_LENGTH(pattern_rows));
    unlink(path);
}

/* ---- several questions at once: the same answers, an empty row for what fails or nobody knows */

struct many_row {
    enum ipc_type type;
    const char *address;
    const char *result; /* the first address, or the recipient; NULL: an empty row */
};

static void add_question(const struct many_row *row, struct buf *questions, uint32_t *count) {
    struct buf packed = buf_make(0);
    const struct ipc_lookup_resolve resolve = {.address = str_from(row->address)};
    const struct ipc_lookup_expand expand = {.address = str_from(row->address)};
    const struct ipc_lookup_match match = {.table = STR("mynetworks"), .key = str_from(row->address)};
    const void *message = row->type == IPC_LOOKUP_RESOLVE  ? (const void *)&resolve
                          : row->type == IPC_LOOKUP_EXPAND ? (const void *)&expand
                                                           : (const void *)&match;
    if (row->type != IPC_NOTHING) assert_true(ipc_encode(row->type, 0, message, &packed));
    const struct ipc_packed question = {.message =
                                            row->type == IPC_NOTHING ? str_from(row->address) : buf_str(&packed)};
    assert_true(ipc_list_add(IPC_ROW_PACKED, &question, questions, count));
    buf_free(&packed);
}

static void check_answer(const struct many_row *row, struct str packet) {
    struct ipc_lookup_resolved resolved;
    struct ipc_lookup_expanded expanded;
    struct ipc_address_row first = {.value = STR_EMPTY};
    size_t offset = 0;
    bool bad = false;
    if (!row->result || packet.length == 0) {
        if (row->result || packet.length) fail_msg("%s: a row of %zu octets", row->address, packet.length);
        return;
    }
    if (row->type == IPC_LOOKUP_RESOLVE) {
        assert_true(ipc_decode(packet, IPC_LOOKUP_RESOLVED, &resolved));
        expect_text(row->address, resolved.recipient, row->result);
    } else {
        assert_true(ipc_decode(packet, IPC_LOOKUP_EXPANDED, &expanded));
        assert_true(ipc_list_next(expanded.addresses, IPC_ROW_ADDRESS, &offset, &first, &bad));
        expect_text(row->address, first.value, row->result);
    }
}

static void test_many(void **state) {
    (void)state;
    static const struct many_row many[] = {
        {IPC_LOOKUP_EXPAND, "a@v.test", "b@x.test"},
        {IPC_LOOKUP_RESOLVE, "x@elsewhere.test", "x@elsewhere.test"},
        {IPC_LOOKUP_EXPAND, "loop1@v.test", NULL},
        {IPC_LOOKUP_MATCH, "127.0.0.1", NULL},
        {IPC_NOTHING, "no packet", NULL},
        {IPC_LOOKUP_RESOLVE, "nobody-by-that-name@here.test", NULL},
        {IPC_LOOKUP_EXPAND, "one@v.test", "three@v.test"},
    };
    struct fixture fixture;
    struct buf questions = buf_make(0), rows_of_answer;
    struct ipc_lookup_many asked = {.questions = {STR_EMPTY, 0}};
    struct ipc_lookup_many_found found;
    struct ipc_packed row;
    size_t offset = 0, count = 0;
    bool bad = false;
    fixture_make(&fixture, aliases);
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        add_question(&many[i], &questions, &asked.questions.count);
    asked.questions.packed = buf_str(&questions);
    lookup_many(fixture.lookup, &asked, &rows_of_answer, &found);
    assert_int_equal(found.answers.count, ARRAY_LENGTH(many));
    while (ipc_list_next(found.answers, IPC_ROW_PACKED, &offset, &row, &bad))
        check_answer(&many[count++], row.message);
    assert_int_equal(count, ARRAY_LENGTH(many));
    buf_free(&questions);
    buf_free(&rows_of_answer);
    fixture_end(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_patterns), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
