/* access_action and restriction_list: the words of access tables and restriction lists. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "access_action.h"
#include "restriction_list.h"

static const struct {
    const char *value;
    enum access_kind kind;
    unsigned code;
    const char *status, *text;
} actions[] = {
    {"OK", ACCESS_OK, 0, "", ""},
    {"ok", ACCESS_OK, 0, "", ""},
    {"RELAY", ACCESS_OK, 0, "", ""},
    {"1", ACCESS_OK, 0, "", ""},
    {"123456", ACCESS_OK, 0, "", ""},
    {"DUNNO", ACCESS_DUNNO, 0, "", ""},
    {"REJECT", ACCESS_REJECT, 0, "", ""},
    {"reject go away", ACCESS_REJECT, 0, "", "go away"},
    {"REJECT 5.7.9 go  away ", ACCESS_REJECT, 0, "5.7.9", "go  away"},
    {"REJECT 4.7.9 odd", ACCESS_REJECT, 0, "", "4.7.9 odd"},
    {"DEFER later", ACCESS_DEFER, 0, "", "later"},
    {"DEFER_IF_PERMIT 4.1.1 doubt", ACCESS_DEFER_IF_PERMIT, 0, "4.1.1", "doubt"},
    {"DEFER_IF_REJECT", ACCESS_DEFER_IF_REJECT, 0, "", ""},
    {"HOLD for me", ACCESS_HOLD, 0, "", "for me"},
    {"DISCARD", ACCESS_DISCARD, 0, "", ""},
    {"WARN look", ACCESS_WARN, 0, "", "look"},
    {"PREPEND X-A: b", ACCESS_PREPEND, 0, "", "X-A: b"},
    {"REDIRECT a@b", ACCESS_REDIRECT, 0, "", "a@b"},
    {"bcc a@b", ACCESS_BCC, 0, "", "a@b"},
    {"FILTER smtp:x", ACCESS_UNSUPPORTED, 0, "", "smtp:x"},
    {"550 5.7.1 no", ACCESS_CODE, 550, "5.7.1", "no"},
    {"450 no", ACCESS_CODE, 450, "", "no"},
    {"421 4.7.0 bye", ACCESS_CODE, 421, "4.7.0", "bye"},
    {"550", ACCESS_CODE, 550, "", ""},
    {"250 fine", ACCESS_RESTRICTIONS, 0, "", "250 fine"},
    {"600 no", ACCESS_RESTRICTIONS, 0, "", "600 no"},
    {"permit_mynetworks, reject", ACCESS_RESTRICTIONS, 0, "", "permit_mynetworks, reject"},
    {"", ACCESS_RESTRICTIONS, 0, "", ""},
};

static void test_actions(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        struct access_action action = access_action_parse(str_from(actions[i].value));
        assert_int_equal(action.kind, actions[i].kind);
        assert_int_equal(action.code, actions[i].code);
        assert_true(str_equal(action.status, str_from(actions[i].status)));
        assert_true(str_equal(action.text, str_from(actions[i].text)));
    }
}

static const struct {
    const char *text;
    bool good;
    const char *items; /* name=argument, '!' with warn_if_reject, '?' unknown; a blank after each */
} lists[] = {
    {"", true, ""},
    {" , ", true, ""},
    {"permit", true, "permit= "},
    {"permit,reject", true, "permit= reject= "},
    {"Permit\n  reject", true, "Permit= reject= "},
    {"warn_if_reject reject permit", true, "!reject= permit= "},
    {"check_client_access lmdb:/x, permit", true, "check_client_access=lmdb:/x permit= "},
    {"check_client_access inline:{ a=b, c=d } reject", true, "check_client_access=inline:{ a=b, c=d } reject= "},
    {"lmdb:/x permit", true, "check_client_access=lmdb:/x permit= "},
    {"myclass reject", true, "?myclass= reject= "},
    {"check_client_access", false, ""},
    {"check_client_access inline:{ a", false, ""},
    {"permit }", false, ""},
    {"permit {", false, ""},
};

static void test_lists(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct arena *arena = arena_create(0);
        struct restriction_list list = {NULL, 0};
        struct buf {
            char data[300];
            size_t used;
        } out = {{0}, 0};
        assert_int_equal(restriction_list_parse(str_from(lists[i].text), STR("check_client_access"), arena, &list),
                         lists[i].good);
        for (size_t k = 0; k < list.count; k++) {
            const struct restriction_item *item = &list.items[k];
            out.used += (size_t)snprintf(out.data + out.used, sizeof out.data - out.used, "%s%s%.*s=%.*s ",
                                         item->warn_only ? "!" : "", item->restriction ? "" : "?", STR_ARGS(item->name),
                                         STR_ARGS(item->argument));
        }
        assert_string_equal(out.data, lists[i].items);
        arena_destroy(&arena);
    }
}

static void test_list_limit(void **state) {
    (void)state;
    char text[(RESTRICTION_LIST_MAX + 1) * 7 + 1] = "";
    for (size_t i = 0; i <= RESTRICTION_LIST_MAX; i++)
        memcpy(text + i * 7, "permit ", 7);
    struct arena *arena = arena_create(0);
    struct restriction_list list;
    assert_false(restriction_list_parse(str_make(text, sizeof text - 1), STR_EMPTY, arena, &list));
    assert_true(restriction_list_parse(str_make(text, sizeof text - 8), STR_EMPTY, arena, &list));
    assert_int_equal(list.count, RESTRICTION_LIST_MAX);
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_list_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
