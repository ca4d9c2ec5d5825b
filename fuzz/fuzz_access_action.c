/* Fuzz target: the right-hand side of an access table, and a list of restrictions. */
#include "access_action.h"
#include "restriction_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
