/* Unit tests of the keys of session tickets: when they are made, dropped, handed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tickets.h"

#define NOW  INT64_C(1800000000)
#define LIFE 3600

static unsigned char next_octet;
static bool no_chance;

static bool counting(void *bytes, size_t size) {
    if (!no_chance) memset(bytes, ++next_octet, size);
    return !no_chance;
}

static void test_rotation(void **state) {
    struct tickets tickets = {.life = LIFE};
    (void)state;
    assert_true(tickets_renew(&tickets, NOW, counting));
    assert_int_equal(tickets.count, 1);
    assert_int_equal(tickets_good_for(&tickets, NOW), LIFE);
    struct ticket_key_pair first = tickets.keys[0];
    for (int64_t later = 0; later < LIFE; later += 100) {
        assert_true(tickets_renew(&tickets, NOW + later, counting));
        assert_int_equal(tickets.count, 1);
        assert_int_equal(tickets_good_for(&tickets, NOW + later), LIFE - later);
    }
    assert_true(tickets_renew(&tickets, NOW + LIFE, counting));
    assert_int_equal(tickets.count, 2);
    assert_memory_equal(&tickets.keys[1], &first, sizeof first);
    assert_memory_not_equal(&tickets.keys[0], &first, sizeof first);
    assert_true(tickets_renew(&tickets, NOW + 2 * LIFE - 1, counting));
    assert_int_equal(tickets.count, 2);
    assert_true(tickets_renew(&tickets, NOW + 2 * LIFE, counting));
    assert_int_equal(tickets.count, 2); /* a third, and the first has gone */
    assert_memory_not_equal(&tickets.keys[1], &first, sizeof first);
    /* After a long sleep none of them is any good. */
    assert_true(tickets_renew(&tickets, NOW + 100 * LIFE, counting));
    assert_int_equal(tickets.count, 1);
    tickets_wipe(&tickets);
    assert_int_equal(tickets.count, 0);
}

static void test_no_chance(void **state) {
    struct tickets tickets = {.life = LIFE};
    (void)state;
    assert_true(tickets_renew(&tickets, NOW, counting));
    no_chance = true;
    assert_false(tickets_renew(&tickets, NOW + LIFE, counting));
    assert_int_equal(tickets.count, 1); /* better than none */
    assert_int_equal(tickets_good_for(&tickets, NOW + LIFE), 1);
    no_chance = false;
}

static struct str name_of(const struct ticket_key_pair *key) {
    return str_make((const char *)key->name, sizeof key->name);
}

static struct str secret_of(const struct ticket_key_pair *key) {
    return str_make((const char *)key->secret, sizeof key->secret);
}

static void test_handed_over(void **state) {
    struct tickets before = {.life = LIFE}, after = {.life = LIFE};
    (void)state;
    assert_true(tickets_renew(&before, NOW, counting));
    assert_true(tickets_renew(&before, NOW + LIFE, counting));
    assert_true(tickets_renew(&after, NOW + LIFE + 10, counting));
    for (size_t i = 0; i < before.count; i++)
        assert_true(tickets_take(&after, NOW + LIFE + 20, name_of(&before.keys[i]), secret_of(&before.keys[i])));
    assert_int_equal(after.count, 3);
    assert_memory_equal(&after.keys[1], &before.keys[0], sizeof before.keys[0]);
    assert_memory_equal(&after.keys[2], &before.keys[1], sizeof before.keys[1]);
    assert_false(
        tickets_take(&after, NOW + LIFE + 20, name_of(&before.keys[0]), secret_of(&before.keys[0]))); /* again */
    assert_false(tickets_take(&after, NOW + 9 * LIFE, name_of(&before.keys[0]), secret_of(&before.keys[0])));
    assert_false(
        tickets_take(&after, NOW - 1000, name_of(&before.keys[0]), secret_of(&before.keys[0]))); /* of a date to come */
    assert_false(tickets_take(&after, NOW + LIFE, STR("short"), secret_of(&before.keys[0])));
    assert_false(tickets_take(&after, NOW + LIFE, name_of(&before.keys[0]), STR("short")));
    /* A younger one comes first. */
    struct tickets younger = {.life = LIFE};
    assert_true(tickets_renew(&younger, NOW + LIFE + 30, counting));
    assert_true(tickets_take(&after, NOW + LIFE + 30, name_of(&younger.keys[0]), secret_of(&younger.keys[0])));
    assert_memory_equal(&after.keys[0], &younger.keys[0], sizeof younger.keys[0]);
}

static void test_many(void **state) {
    struct tickets tickets = {.life = LIFE};
    (void)state;
    for (int64_t i = 0; i < 3 * TICKET_KEYS; i++) {
        struct tickets other = {.life = LIFE};
        assert_true(tickets_renew(&other, NOW + i, counting));
        assert_true(tickets_take(&tickets, NOW + i, name_of(&other.keys[0]), secret_of(&other.keys[0])));
        assert_memory_equal(&tickets.keys[0], &other.keys[0], sizeof other.keys[0]);
    }
    assert_int_equal(tickets.count, TICKET_KEYS);
    struct tickets old = {.life = LIFE};
    assert_true(tickets_renew(&old, NOW - 5, counting));
    assert_false(tickets_take(&tickets, NOW + 30, name_of(&old.keys[0]), secret_of(&old.keys[0])));
    assert_int_equal(tickets.count, TICKET_KEYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rotation), cmocka_unit_test(test_no_chance),
                                       cmocka_unit_test(test_handed_over), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
