/* sources: see sources.h. The types that were built in are listed here, and nowhere else. */
#include "sources.h"
#include "source_places.h"

const struct auth_source_type *const auth_source_types[] = {
    &source_passwd_file,
    &source_lmdb,
    &source_pgsql,
    &source_sqlite,
    &source_mysql,
    &source_ldap,
    &source_pam,
    &source_oauth,
    &source_dovecot,
    NULL,
};

static const struct auth_source_type *type_find(struct str name) {
    for (size_t i = 0; auth_source_types[i]; i++)
        if (str_equal(name, str_from(auth_source_types[i]->name))) return auth_source_types[i];
    return NULL;
}

static bool open_one(struct sources *sources, struct service *service, struct str item, struct failure *failure) {
    struct str type, argument;
    if (!str_cut(item, ':', &type, &argument))
        return failure_set(failure, "auth_sources: \"%.*s\" is not type:argument", STR_ARGS(item));
    struct auth_source source = {.type = type_find(type), .service = service};
    if (!source.type) return failure_set(failure, "auth_sources: no type \"%.*s\" was built in", STR_ARGS(type));
    char *copy = memory_copy_string(argument);
    source.argument = str_from(copy);
    if (source.type->open && !source.type->open(&source, failure)) {
        MEMORY_FREE(copy);
        return failure_prefix(failure, "auth_sources: %.*s", STR_ARGS(item));
    }
    sources->list = memory_resize(sources->list, sources->count + 1, sizeof *sources->list);
    sources->list[sources->count++] = source;
    return true;
}

bool sources_open(struct sources *sources, struct service *service, struct str list, struct failure *failure) {
    struct sources opened = {0};
    struct str item;
    while (str_next_word(&list, ", \t\r\n", &item)) {
        if (open_one(&opened, service, item, failure)) continue;
        sources_close(&opened);
        return false;
    }
    *sources = opened;
    return true;
}

void sources_close(struct sources *sources) {
    for (size_t i = 0; i < sources->count; i++) {
        struct auth_source *source = &sources->list[i];
        if (source->type->close) source->type->close(source);
        free((void *)(uintptr_t)source->argument.data);
    }
    MEMORY_FREE(sources->list);
    sources->count = 0;
}

enum source_answer sources_look_up(const struct sources *sources, size_t *next, const struct source_question *question,
                                   struct auth_account *account, struct auth_source **source, struct failure *failure) {
    for (size_t i = *next; i < sources->count; i++) {
        struct auth_source *asked = &sources->list[i];
        struct auth_account found = {.login = question->user, .secret = STR_EMPTY, .app_secrets = STR_EMPTY};
        enum source_answer answer = SOURCE_UNKNOWN;
        if (asked->type->look_up)
            answer = asked->type->look_up(asked, question, &found, failure);
        else if (asked->type->verify)
            answer = SOURCE_FOUND;
        if (answer == SOURCE_UNKNOWN) continue;
        *next = i + 1;
        *source = asked;
        *account = found;
        if (answer == SOURCE_RETRY) failure_prefix(failure, "%s:%.*s", asked->type->name, STR_ARGS(asked->argument));
        return answer;
    }
    *next = sources->count;
    return SOURCE_UNKNOWN;
}

bool sources_take_tokens(const struct sources *sources) {
    for (size_t i = 0; i < sources->count; i++)
        if (sources->list[i].type->verify_token) return true;
    return false;
}

bool sources_have_scram(const struct sources *sources, struct str digest) {
    for (size_t i = 0; i < sources->count; i++) {
        struct auth_source *source = &sources->list[i];
        if (!source->type->look_up) continue;
        if (!source->type->has_scram || source->type->has_scram(source, digest)) return true;
    }
    return false;
}
