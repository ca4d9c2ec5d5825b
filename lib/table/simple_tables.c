/* The table types without a file of entries: static, environ, fail, randmap. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "memory.h"
#include "table_types.h"
#include "table_words.h"

/* ---- static */

static enum table_result static_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    (void)key;
    return table_give(str_from(state), value, failure);
}

static void text_close(void *state) {
    char *text = state;
    MEMORY_FREE(text);
}

bool table_static_open(const struct table_request *request, const struct table_methods **methods, void **state,
                       struct failure *failure) {
    static const struct table_methods static_methods = {.lookup = static_lookup, .close = text_close};
    struct str text = request->name;
    if (text.length > 0 && text.data[0] == '{' && !table_word_unbrace(text, &text))
        return failure_set(failure, "braces are not balanced");
    *state = memory_copy_string(text);
    *methods = &static_methods;
    return true;
}

/* ---- environ */

static enum table_result environ_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    (void)state;
    if (str_find(key, '\0') != STR_NONE || str_find(key, '=') != STR_NONE) return TABLE_ABSENT;
    char *name = memory_copy_string(key);
    const char *found = getenv(name);
    MEMORY_FREE(name);
    return found == NULL ? TABLE_ABSENT : table_give(str_from(found), value, failure);
}

bool table_environ_open(const struct table_request *request, const struct table_methods **methods, void **state,
                        struct failure *failure) {
    static const struct table_methods environ_methods = {.lookup = environ_lookup, .close = text_close};
    (void)request;
    (void)failure;
    *state = NULL;
    *methods = &environ_methods;
    return true;
}

/* ---- fail */

static enum table_result fail_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    (void)state;
    (void)key;
    (void)value;
    (void)failure_set(failure, "this table never answers");
    return TABLE_RETRY;
}

bool table_fail_open(const struct table_request *request, const struct table_methods **methods, void **state,
                     struct failure *failure) {
    static const struct table_methods fail_methods = {.lookup = fail_lookup, .close = text_close};
    (void)request;
    (void)failure;
    *state = NULL;
    *methods = &fail_methods;
    return true;
}

/* ---- randmap */

struct choices {
    char *text; /* what results point into */
    struct str *results;
    size_t count;
};

static enum table_result randmap_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    (void)key;
    struct choices *choices = state;
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        (void)failure_set_errno(failure, errno, "getrandom");
        return TABLE_RETRY;
    }
    return table_give(choices->results[number % choices->count], value, failure);
}

static void randmap_close(void *state) {
    struct choices *choices = state;
    MEMORY_FREE(choices->text);
    MEMORY_FREE(choices->results);
    MEMORY_FREE(choices);
}

bool table_randmap_open(const struct table_request *request, const struct table_methods **methods, void **state,
                        struct failure *failure) {
    static const struct table_methods randmap_methods = {.lookup = randmap_lookup, .close = randmap_close};
    struct str rest;
    if (!table_word_unbrace(request->name, &rest)) return failure_set(failure, "expected { result, ... }");
    struct choices *choices = MEMORY_NEW(struct choices);
    choices->text = memory_copy_string(rest);
    rest.data = choices->text;
    enum table_word taken;
    struct str word;
    while ((taken = table_word_next(&rest, &word)) == TABLE_WORD) {
        if (word.data[0] == '{' && !table_word_unbrace(word, &word)) {
            taken = TABLE_WORD_UNBALANCED;
            break;
        }
        choices->results = memory_resize(choices->results, choices->count + 1, sizeof choices->results[0]);
        choices->results[choices->count++] = word;
    }
    if (taken == TABLE_WORD_UNBALANCED || choices->count == 0) {
        randmap_close(choices);
        return failure_set(failure, taken == TABLE_WORD_UNBALANCED ? "braces are not balanced" : "no results");
    }
    *state = choices;
    *methods = &randmap_methods;
    return true;
}
