/* See source.h: the fields of an account. */
#include "source.h"

struct str auth_account_field(const struct auth_account *account, struct str name) {
    for (size_t i = 0; i < account->field_count; i++)
        if (str_equal_nocase(account->fields[i].name, name)) return account->fields[i].value;
    return STR_EMPTY;
}

bool auth_account_add(struct auth_account *account, struct arena *arena, struct str name, struct str value) {
    /* Rooms double; what was outgrown goes with the arena. */
    if ((account->field_count & (account->field_count - 1)) == 0) {
        size_t room = account->field_count ? account->field_count * 2 : 1;
        struct auth_field *fields = arena_allocate(arena, room, sizeof *fields);
        if (!fields) return false;
        if (account->field_count) memcpy(fields, account->fields, account->field_count * sizeof *fields);
        account->fields = fields;
    }
    account->fields[account->field_count++] = (struct auth_field){name, value};
    return true;
}
