/* Accounts from what sources say. */
#include "account_builder.h"

#include "buf.h"

void account_begin(struct account_builder *builder, struct str login, struct str scheme, struct arena *arena) {
    *builder = (struct account_builder){.arena = arena, .scheme = scheme};
    builder->full = !arena_copy(arena, login, &builder->account.login);
    builder->account.secret = builder->account.app_secrets = STR_EMPTY;
}

static bool is_one_of(struct str name, const char *names) {
    struct str rest = str_from(names), word;
    while (str_next_word(&rest, " ", &word))
        if (str_equal_nocase(name, word)) return true;
    return false;
}

static void set_text(struct account_builder *builder, struct str *field, struct str value, size_t most) {
    if (value.length > most || !arena_copy(builder->arena, value, field)) builder->full = true;
}

/* A secret that names its scheme is left alone; "$6$..." is crypt(3)'s own. */
static void set_secret(struct account_builder *builder, struct str value) {
    struct buf whole = buf_make(0);
    bool named = value.data[0] == '{' || value.data[0] == '$';
    if (!named && builder->scheme.length > 0 && !str_equal_nocase(builder->scheme, STR("CRYPT")))
        buf_printf(&whole, "{%.*s}", STR_ARGS(builder->scheme));
    buf_append(&whole, value);
    set_text(builder, &builder->account.secret, buf_str(&whole), ACCOUNT_SECRET_MAX);
    buf_free_secret(&whole);
}

static void add_field(struct account_builder *builder, struct str name, struct str value) {
    struct auth_account *account = &builder->account;
    if (str_starts_nocase(name, STR("userdb_"))) name = str_from_offset(name, 7);
    for (size_t i = 0; i < account->field_count; i++)
        if (str_equal_nocase(account->fields[i].name, name)) return;
    struct str name_copy, value_copy;
    if (account->field_count == ACCOUNT_FIELDS_MAX || name.length == 0 || name.length > ACCOUNT_FIELD_NAME_MAX ||
        value.length > ACCOUNT_FIELD_VALUE_MAX || !arena_copy(builder->arena, name, &name_copy) ||
        !arena_copy(builder->arena, value, &value_copy) ||
        !auth_account_add(account, builder->arena, name_copy, value_copy))
        builder->full = true;
}

void account_add(struct account_builder *builder, struct str name, struct str value) {
    if (is_one_of(name, "login user username")) {
        if (value.length > 0) set_text(builder, &builder->account.login, value, ACCOUNT_FIELD_VALUE_MAX);
    } else if (is_one_of(name, "password secret")) {
        if (builder->account.secret.length == 0 && value.length > 0) set_secret(builder, value);
    } else if (is_one_of(name, "app_passwords app_secrets")) {
        if (builder->account.app_secrets.length == 0)
            set_text(builder, &builder->account.app_secrets, value, ACCOUNT_APP_SECRETS_MAX);
    } else if (is_one_of(name, "disabled nologin")) {
        if (value.length > 0 && !is_one_of(value, "0 no n false f")) builder->disabled = true;
    } else {
        add_field(builder, name, value);
    }
}

enum source_answer account_finish(struct account_builder *builder, struct auth_account *account,
                                  struct failure *failure) {
    if (builder->full || builder->account.login.length > 256) {
        failure_set(failure, "what is known of the account does not fit");
        return SOURCE_RETRY;
    }
    if (builder->disabled) failure_set(failure, "the account is disabled");
    *account = builder->account;
    return builder->disabled ? SOURCE_DISABLED : SOURCE_FOUND;
}
