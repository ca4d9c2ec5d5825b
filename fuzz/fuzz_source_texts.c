/* What sources make of texts: the first line is a user, the rest a file of settings whose query is
 * taken apart. However the user is made, the statement does not depend on it, and an escaped value
 * has no character of LDAP's own left. */
#include "account_builder.h"
#include "ldap_escape.h"
#include "source_settings.h"
#include "source_template.h"
#include "sql_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    struct str query, name;
    int64_t number;
};

static const struct source_setting rows[] = {
    {"query", SOURCE_REQUIRED, offsetof(struct settings, query), "", 0, 0, NULL},
    {"name", SOURCE_TEXT, offsetof(struct settings, name), "", 0, 0, NULL},
    {"number", SOURCE_SECONDS, offsetof(struct settings, number), "5s", 1, 100, NULL},
};

static void check_escapes(struct str user) {
    struct buf out = buf_make(0);
    ldap_escape_filter(&out, user);
    for (size_t i = 0; i < out.length; i++)
        if (str_find(STR("*()"), out.data[i]) != STR_NONE || (unsigned char)out.data[i] < ' ') abort();
    buf_clear(&out);
    ldap_escape_dn(&out, user);
    for (size_t i = 0; i < out.length; i++)
        if (str_find(STR("\"+,;<>=#"), out.data[i]) != STR_NONE || (unsigned char)out.data[i] < ' ') abort();
    buf_free(&out);
}

static void check_query(struct str text, const struct source_question *question) {
    struct failure failure;
    struct sql_query query;
    struct sql_values values;
    if (!sql_query_parse(text, '$', question->arena, &query, &failure)) return;
    if (query.count == 0 || query.count > SQL_PARAMETERS_MAX || query.statement.length > SQL_STATEMENT_MAX) abort();
    if (sql_query_values(&query, question, &values) == SOURCE_TEMPLATE_DONE && values.count != query.count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), user = STR_EMPTY, text = input;
    struct arena *arena = arena_create(0);
    struct settings settings = {.number = 7};
    struct failure failure;
    struct account_builder builder;
    struct auth_account account;
    str_cut(input, '\n', &user, &text);
    struct source_question question = {
        .user = user, .protocol = STR("smtp"), .client_address = STR("::1"), .arena = arena};
    bool plain = source_user_is_plain(user);
    check_escapes(user);
    if (source_settings_parse(text, "file", rows, ARRAY_LENGTH(rows), &settings, sizeof settings, arena, &failure)) {
        if (settings.query.length == 0 || settings.number < 1 || settings.number > 100) abort();
        if (plain) check_query(settings.query, &question);
    } else if (settings.number != 7) {
        abort();
    }
    account_begin(&builder, user, settings.name, arena);
    account_add(&builder, settings.name, user);
    if (account_finish(&builder, &account, &failure) == SOURCE_FOUND && account.login.length > 256) abort();
    arena_destroy(&arena);
    return 0;
}
