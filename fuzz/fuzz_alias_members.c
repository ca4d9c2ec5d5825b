/* Fuzz: the right-hand side of an alias, as one list and as a .forward file. */
#include "alias_members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parsed must be safe to act on. */
static void check(const struct alias_members *members) {
    for (size_t i = 0; i < members->count; i++) {
        struct str value = members->items[i].value;
        enum alias_member_kind kind = members->items[i].kind;
        if (value.length == 0 || str_find(value, '\0') != STR_NONE) __builtin_trap();
        if (str_find(value, '\n') != STR_NONE) __builtin_trap();
        if ((kind == ALIAS_FILE || kind == ALIAS_INCLUDE) && value.data[0] != '/') __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct alias_members members;
    struct failure failure;
    struct arena *arena = arena_create(0);
    if (alias_members_parse(text, 100, arena, &members, &failure)) check(&members);
    if (alias_members_parse_file(text, 100, arena, &members, &failure)) check(&members);
    arena_destroy(&arena);
    return 0;
}
