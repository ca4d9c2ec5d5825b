/* Unit table of lib/mail/thread. */
#include "expect.h"
#include "base_subject.h"
#include "casemap.h"
#include "memory.h"
#include "thread.h"

#define ROWS_MAX 12

/* A message: its ID, its references (letters, "a b"), its subject, its sent date. */
struct row {
    const char *id, *references, *subject;
    int sent;
};

static uint64_t id_of(char letter) {
    char text[] = "<?@x>";
    text[1] = letter;
    return thread_id_hash(str_from(text));
}

static void thread_rows(enum thread_algorithm algorithm, const struct row *rows, struct buf *out) {
    struct thread_message messages[ROWS_MAX];
    uint64_t references[ROWS_MAX][8];
    struct buf subjects[ROWS_MAX] = {0};
    size_t count = 0;
    for (; count < ROWS_MAX && rows[count].id != NULL; count++) {
        struct thread_message *message = &messages[count];
        struct buf base = {0};
        *message = (struct thread_message){.number = (uint32_t)count + 1, .references = references[count]};
        for (const char *c = rows[count].references; *c != '\0'; c++)
            references[count][message->reference_count++] = id_of(*c);
        message->message_id = rows[count].id[0] != '\0' ? id_of(rows[count].id[0]) : 0;
        message->reply = base_subject_append(&base, str_from(rows[count].subject));
        casemap_append(&subjects[count], buf_str(&base));
        message->subject = buf_str(&subjects[count]);
        message->sent = rows[count].sent;
        buf_free(&base);
    }
    assert_true(thread_append(out, algorithm, messages, count));
    for (size_t i = 0; i < count; i++)
        buf_free(&subjects[i]);
}

static const struct {
    struct row rows[ROWS_MAX];
    const char *references, *refs, *ordered;
} tables[] = {
    {{{0}}, "", "", ""},
    {{{"a", "", "x", 1}}, "(1)", "(1)", "(1)"},
    /* A chain, a branch, and a thread of its own. */
    {{{"a", "", "x", 1},
      {"b", "a", "Re: x", 2},
      {"c", "ab", "Re: x", 3},
      {"d", "ab", "Re: x", 4},
      {"e", "", "y", 5},
      {"f", "a", "Re: x", 6}},
     "(1 (2 (3)(4))(6))(5)",
     "(5)(1 (2 (3)(4))(6))",
     "(1 (2)(3)(4)(6))(5)"},
    /* Siblings by date, and then by number. */
    {{{"a", "", "", 1}, {"b", "a", "", 9}, {"c", "a", "", 3}, {"d", "a", "", 3}},
     "(1 (3)(4)(2))",
     "(1 (3)(4)(2))",
     "(1 (3)(4)(2))"},
    /* A missing message: its two answers stay together, its single one comes up. */
    {{{"b", "a", "", 2}, {"c", "a", "", 3}}, "((1)(2))", "((1)(2))", "(1 2)"},
    {{{"b", "a", "", 2}}, "(1)", "(1)", "(1)"},
    {{{"a", "", "", 1}, {"d", "abc", "", 2}, {"e", "abc", "", 3}}, "(1 (2)(3))", "(1 (2)(3))", "(1 (2)(3))"},
    /* Dummies beneath a dummy. */
    {{{"d", "abc", "", 2}, {"e", "abz", "", 3}, {"f", "a", "", 1}}, "((3)(1)(2))", "((3)(1)(2))", "(3 (1)(2))"},
    /* The same ID twice: the second counts as its own. */
    {{{"a", "", "", 1}, {"a", "", "", 2}, {"b", "a", "", 3}}, "(1 3)(2)", "(2)(1 3)", "(1 (2)(3))"},
    /* Circles. */
    {{{"a", "b", "", 1}, {"b", "a", "", 2}}, "(2 1)", "(2 1)", "(1 2)"},
    {{{"a", "a", "", 1}}, "(1)", "(1)", "(1)"},
    {{{"a", "c", "", 1}, {"b", "a", "", 2}, {"c", "b", "", 3}}, "(3 1 2)", "(3 1 2)", "(1 (2)(3))"},
    /* What a message says of its own parent counts more than what others say. */
    {{{"c", "abx", "", 1}, {"b", "", "", 2}, {"a", "", "", 3}, {"x", "a", "", 4}},
     "(2)(3 4 1)",
     "(2)(3 4 1)",
     "(1 (2)(3)(4))"},
    /* Same subject, no references: merged, whichever comes first. */
    {{{"a", "", "x", 1}, {"b", "", "Re: x", 2}}, "(1 2)", "(1)(2)", "(1 2)"},
    {{{"a", "", "Re: x", 1}, {"b", "", "X", 2}}, "(2 1)", "(1)(2)", "(1 2)"},
    {{{"a", "", "x", 1}, {"b", "", "x", 2}}, "((1)(2))", "(1)(2)", "(1 2)"},
    {{{"a", "", "Re: x", 1}, {"b", "", "Re: x", 2}, {"c", "", "Re: x", 3}}, "((1)(2)(3))", "(1)(2)(3)", "(1 (2)(3))"},
    {{{"a", "", "x", 1}, {"b", "", "x", 2}, {"c", "", "Re: x", 3}}, "((1)(2)(3))", "(1)(2)(3)", "(1 (2)(3))"},
    {{{"a", "", "Re: x", 5}, {"b", "", "x", 2}, {"c", "", "Re: x", 3}}, "(2 (3)(1))", "(2)(3)(1)", "(2 (3)(1))"},
    /* A dummy with the subject, and more of it. */
    {{{"b", "a", "x", 1}, {"c", "a", "x", 2}, {"e", "d", "x", 3}, {"f", "d", "x", 4}, {"g", "", "x", 0}},
     "((5)(1)(2)(3)(4))",
     "(5)((1)(2))((3)(4))",
     "(5 (1)(2)(3)(4))"},
    /* Messages without a subject are not merged, those without an ID have no answers. */
    {{{"", "", "", 1}, {"", "", "", 2}, {"", "a", "", 3}}, "(1)(2)(3)", "(1)(2)(3)", "(1 (2)(3))"},
};

static void test_tables(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(tables); i++) {
        struct buf out = {0};
        char what[40];
        snprintf(what, sizeof what, "table %zu", i);
        thread_rows(THREAD_REFERENCES, tables[i].rows, &out);
        expect_str(buf_str(&out), tables[i].references, what);
        buf_clear(&out);
        thread_rows(THREAD_REFS, tables[i].rows, &out);
        expect_str(buf_str(&out), tables[i].refs, what);
        buf_clear(&out);
        thread_rows(THREAD_ORDEREDSUBJECT, tables[i].rows, &out);
        expect_str(buf_str(&out), tables[i].ordered, what);
        buf_free(&out);
    }
}

static void test_ids(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"<a@b>", " <a@b> "},    {"<\"a\"@b>", "<a@b>"}, {"<\"a\\\"c\"@b>", "x <\"a\\\"c\"@b> y"},
        {"<a@\r\n b>", "<a@b>"}, {"<<a@b>", "<a@b>"},    {"<x y <a@b>", "<a@b>"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(same); i++) {
        uint64_t hash = thread_id_hash(str_from(same[i][0]));
        assert_true(hash != 0);
        assert_true(hash == thread_id_hash(str_from(same[i][1])));
    }
    assert_true(thread_id_hash(STR("<a@b>")) != thread_id_hash(STR("<A@b>")));
    static const char *const none[] = {"", "a@b", "<a>", "<>", "<a@b", "<\"a@b>"};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        expect_int(thread_id_hash(str_from(none[i])), 0, none[i]);
    uint64_t hashes[THREAD_REFERENCES_MAX];
    assert_int_equal(thread_read_references(STR("<a@b> junk <c@d>\r\n\t<e>"), STR("<x@y>"), hashes), 2);
    assert_true(hashes[1] == thread_id_hash(STR("<c@d>")));
    assert_int_equal(thread_read_references(STR("none"), STR("Your message <x@y> <z@y>"), hashes), 1);
    assert_true(hashes[0] == thread_id_hash(STR("<x@y>")));
    assert_int_equal(thread_read_references(STR(""), STR(""), hashes), 0);
    struct buf many = {0};
    for (int i = 0; i < 250; i++)
        buf_printf(&many, "<%d@x> ", i);
    assert_int_equal(thread_read_references(buf_str(&many), STR(""), hashes), THREAD_REFERENCES_MAX);
    assert_true(hashes[THREAD_REFERENCES_MAX - 1] == thread_id_hash(STR("<249@x>")));
    assert_true(hashes[0] == thread_id_hash(STR("<150@x>")));
    buf_free(&many);
}

#define DEEP 100000

/* A chain of 100,000, each answering the one before; in order, backwards, and shuffled. */
static void test_deep(void **state) {
    (void)state;
    struct thread_message *messages = memory_allocate(DEEP, sizeof *messages);
    uint64_t *ids = memory_allocate(DEEP + 1, sizeof *ids);
    for (int order = 0; order < 3; order++) {
        for (size_t i = 0; i < DEEP; i++) {
            /* DEEP is not divisible by 7: a permutation. */
            size_t place = order == 0 ? i : order == 1 ? DEEP - 1 - i : i * 77773 % DEEP;
            messages[i] = (struct thread_message){.number = (uint32_t)i + 1, .sent = (int64_t)place};
            ids[i] = 0;
            char text[32];
            snprintf(text, sizeof text, "<%zu@x>", place);
            messages[i].message_id = thread_id_hash(str_from(text));
            snprintf(text, sizeof text, "<%zu@x>", place - 1);
            ids[i] = place > 0 ? thread_id_hash(str_from(text)) : 0;
            messages[i].references = &ids[i];
            messages[i].reference_count = 1;
        }
        struct buf out = {0};
        assert_true(thread_append(&out, THREAD_REFERENCES, messages, DEEP));
        assert_int_equal(out.data[0], '(');
        assert_true(str_find(str_from_offset(buf_str(&out), 1), '(') == STR_NONE);
        if (order == 0) assert_true(str_starts(buf_str(&out), STR("(1 2 3 4 ")));
        if (order == 1) assert_true(str_ends(buf_str(&out), STR(" 4 3 2 1)")));
        buf_clear(&out);
        assert_true(thread_append(&out, THREAD_REFS, messages, DEEP));
        assert_true(str_find(str_from_offset(buf_str(&out), 1), '(') == STR_NONE);
        buf_free(&out);
    }
    struct buf small = buf_make(100);
    assert_false(thread_append(&small, THREAD_REFERENCES, messages, DEEP));
    buf_free(&small);
    MEMORY_FREE(messages);
    MEMORY_FREE(ids);
}

/* Half of the messages make a deep chain; each of the others, which has an answer already, is then put beneath its end:
 * walking up to see whether that closes a circle would take the square of the depth. */
static void test_deep_links(void **state) {
    (void)state;
    struct thread_message *messages = memory_allocate(DEEP, sizeof *messages);
    uint64_t(*ids)[2] = memory_allocate(DEEP, sizeof *ids);
    size_t half = DEEP / 2;
    for (size_t i = 0; i < DEEP; i++) {
        struct thread_message *message = &messages[i];
        *message = (struct thread_message){.number = (uint32_t)i + 1, .sent = (int64_t)i, .references = ids[i]};
        message->message_id = i + 1;
        if (i > 0 && i < half) {
            ids[i][0] = i;
            message->reference_count = 1;
        } else if (i >= half) {
            /* The end of the chain, and an ID of its own that the message before it had as a reference. */
            ids[i][0] = half;
            ids[i][1] = DEEP + i;
            message->reference_count = 2;
            message->message_id = DEEP + i - 1;
        }
    }
    struct buf out = {0};
    assert_true(thread_append(&out, THREAD_REFS, messages, DEEP));
    size_t numbers = 0;
    for (size_t i = 0; i < out.length; i++)
        numbers += ascii_is_digit(out.data[i]) && (i + 1 == out.length || !ascii_is_digit(out.data[i + 1]));
    assert_int_equal(numbers, DEEP);
    buf_free(&out);
    MEMORY_FREE(messages);
    MEMORY_FREE(ids);
}

/* More references than messages, all to what is not there. */
static void test_many_references(void **state) {
    (void)state;
    struct thread_message messages[100] = {{0}};
    static uint64_t ids[100][THREAD_REFERENCES_MAX + 20];
    struct buf out = {0}, wanted = {0};
    for (size_t i = 0; i < 100; i++) {
        for (size_t k = 0; k < THREAD_REFERENCES_MAX + 20; k++)
            ids[i][k] = k % 50 == 7 ? 0 : 1000 * (i + 1) + k;
        messages[i] = (struct thread_message){.number = (uint32_t)i + 1, .references = ids[i]};
        messages[i].reference_count = THREAD_REFERENCES_MAX + 20;
        buf_printf(&wanted, "(%zu)", i + 1);
    }
    assert_true(thread_append(&out, THREAD_REFERENCES, messages, 100));
    assert_true(str_equal(buf_str(&out), buf_str(&wanted)));
    buf_free(&out);
    buf_free(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_deep), cmocka_unit_test(test_deep_links),
                                       cmocka_unit_test(test_many_references)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
