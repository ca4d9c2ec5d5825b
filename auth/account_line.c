/* account_line: see account_line.h. */
#include "account_line.h"
#include "sources.h"

bool account_line_split(struct str line, struct str *user, struct str *rest) {
    struct str name, after;
    if (line.length && line.data[line.length - 1] == '\r') line.length--;
    if (line.length == 0 || line.length > ACCOUNT_LINE_LIMIT || line.data[0] == '#' || line.data[0] == ':')
        return false;
    if (!str_cut(line, ':', &name, &after)) return false;
    *user = name;
    *rest = after;
    return true;
}

static struct str take(struct str *rest) {
    struct str field, after;
    if (!str_cut(*rest, ':', &field, &after)) {
        field = *rest;
        after = STR_EMPTY;
    }
    *rest = after;
    return field;
}

/* {PLAIN} secrets may have colons themselves only as {PLAIN.b64}; Dovecot's do not either. */
static bool is_locked(struct str secret) {
    return secret.length > 0 && (secret.data[0] == '!' || secret.data[0] == '*');
}

static bool add_app_secret(struct buf *secrets, struct str name, struct str value) {
    if (secrets->length) buf_append_char(secrets, ' ');
    return buf_printf(secrets, "%.*s=%.*s", STR_ARGS(name), STR_ARGS(value));
}

static bool is_yes(struct str value) {
    return !str_equal_nocase(value, STR("no")) && !str_equal_nocase(value, STR("n")) && !str_equal(value, STR("0"));
}

/* False: the arena is full. */
static bool read_extra(struct str extra, struct arena *arena, struct auth_account *account, struct buf *secrets,
                       bool *disabled) {
    struct str word;
    while (str_next_word(&extra, " \t", &word)) {
        struct str name = word, value = STR("yes");
        (void)str_cut(word, '=', &name, &value);
        if (str_starts(name, STR("userdb_"))) name = str_from_offset(name, 7);
        if (str_starts(name, STR("app_")) && name.length > 4) {
            if (!add_app_secret(secrets, str_from_offset(name, 4), value)) return false;
        } else if (str_equal(name, STR("nologin")) || str_equal(name, STR("disabled"))) {
            *disabled = *disabled || is_yes(value);
        } else if (name.length && !auth_account_add(account, arena, name, value)) {
            return false;
        }
    }
    return true;
}

enum source_answer account_line_read(struct str rest, struct arena *arena, struct auth_account *account) {
    static const char *const names[] = {"uid", "gid", NULL, "home", NULL};
    struct auth_account found = {.login = account->login, .secret = take(&rest), .app_secrets = STR_EMPTY};
    struct buf secrets = buf_make(ACCOUNT_LINE_LIMIT);
    bool disabled = is_locked(found.secret);
    struct str values[ARRAY_LENGTH(names)];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        values[i] = take(&rest);
    /* The first field of a name counts: what the extra fields say stands before uid, gid and home. */
    bool good = read_extra(rest, arena, &found, &secrets, &disabled);
    for (size_t i = 0; good && i < ARRAY_LENGTH(names); i++)
        if (names[i] && values[i].length) good = auth_account_add(&found, arena, str_from(names[i]), values[i]);
    good = good && arena_copy(arena, buf_str(&secrets), &found.app_secrets);
    buf_free_secret(&secrets);
    if (!good) return SOURCE_RETRY;
    *account = found;
    return disabled ? SOURCE_DISABLED : SOURCE_FOUND;
}
