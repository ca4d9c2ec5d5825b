/* Fuzz target: the right-hand side of an access table, and a list of restrictions. */
#include "access_action.h"
#include "restriction_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct restriction words[] = {
    {STR_INIT("permit"), false, NULL},
    {STR_INIT("check_client_access"), true, NULL},
};

const struct restriction *restriction_find(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_equal_nocase(words[i].name, name)) return &words[i];
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size);
    struct access_action action = access_action_parse(input);
    if (action.text.length + action.status.length > size) __builtin_trap();
    struct arena *arena = arena_create(1 << 20);
    struct restriction_list list = {NULL, 0};
    if (restriction_list_parse(input, STR("check_client_access"), arena, &list) && list.count > RESTRICTION_LIST_MAX)
        __builtin_trap();
    arena_destroy(&arena);
    return 0;
}
