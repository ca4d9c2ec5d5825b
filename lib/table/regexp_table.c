/* regexp: rules of POSIX extended regular expressions, by the C library.
 *
 * The C library has no limits on steps; patterns with back references can take
 * long. pcre: has limits and is the better choice. */
#include <regex.h>

#include "inline_rules.h"
#include "memory.h"
#include "pattern_file.h"
#include "table_types.h"

#define RULES_FILE_MAX ((size_t)16 << 20)
#define KEY_MAX        ((size_t)1 << 20)

struct regexp_table {
    struct pattern_rules rules;
    regmatch_t *match; /* groups + 1 */
    size_t match_count;
    char *path;
    struct table_stamp stamp;
};

/* One lookup. */
struct regexp_question {
    const struct regexp_table *table;
    struct str key;
    int error;
};

static bool regexp_options(struct str flags, int *options) {
    int result = REG_EXTENDED | REG_ICASE;
    for (size_t i = 0; i < flags.length; i++) {
        switch (flags.data[i]) {
        case 'i':
            result ^= REG_ICASE;
            break;
        case 'm':
            result ^= REG_NEWLINE;
            break;
        case 'x':
            result ^= REG_EXTENDED;
            break;
        default:
            return false;
        }
    }
    *options = result;
    return true;
}

static void compile(struct pattern_rule *rule, const struct table_request *request) {
    int options;
    rule->dead = true;
    if (!regexp_options(rule->flags, &options)) {
        table_warn(request->warnings, request->name, rule->line, "unknown flag in \"%.*s\"", STR_ARGS(rule->flags));
        return;
    }
    regex_t *expression = MEMORY_NEW(regex_t);
    char *pattern = memory_copy_string(rule->pattern);
    int error = regcomp(expression, pattern, options);
    MEMORY_FREE(pattern);
    if (error != 0) {
        char text[200];
        (void)regerror(error, expression, text, sizeof text);
        table_warn(request->warnings, request->name, rule->line, "error in regular expression: %s", text);
        MEMORY_FREE(expression);
        return;
    }
    if (rule->highest_group > expression->re_nsub) {
        table_warn(request->warnings, request->name, rule->line,
                   "the result wants group %u of %zu: leaving out this rule", rule->highest_group, expression->re_nsub);
        regfree(expression);
        MEMORY_FREE(expression);
        return;
    }
    rule->compiled = expression;
    rule->dead = false;
}

static enum pattern_match regexp_test(void *context, const struct pattern_rule *rule) {
    struct regexp_question *question = context;
    const struct regexp_table *table = question->table;
    /* REG_STARTEND: the bytes need no NUL behind them and may hold one. */
    table->match[0] = (regmatch_t){.rm_so = 0, .rm_eo = (regoff_t)question->key.length};
    int result = regexec(rule->compiled, question->key.data, table->match_count, table->match, REG_STARTEND);
    if (result == 0) return PATTERN_MATCH;
    if (result == REG_NOMATCH) return PATTERN_NO_MATCH;
    question->error = result;
    return PATTERN_ERROR;
}

static struct str regexp_group(void *context, unsigned number) {
    const struct regexp_question *question = context;
    const regmatch_t *match = &question->table->match[number];
    if (match->rm_so < 0 || match->rm_eo < match->rm_so) return STR_EMPTY;
    return str_slice(question->key, (size_t)match->rm_so, (size_t)match->rm_eo);
}

static enum table_result regexp_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct regexp_table *table = state;
    struct regexp_question question = {.table = table, .key = key};
    size_t found;
    if (key.length > KEY_MAX) {
        (void)failure_set(failure, "a key of %zu bytes is too long for regexp", key.length);
        return TABLE_RETRY;
    }
    enum pattern_match match = pattern_rules_find(&table->rules, regexp_test, &question, &found);
    if (match == PATTERN_NO_MATCH) return TABLE_ABSENT;
    const struct pattern_rule *rule = &table->rules.items[found];
    if (match == PATTERN_ERROR) {
        char text[200];
        (void)regerror(question.error, rule->compiled, text, sizeof text);
        (void)failure_set(failure, "line %zu: %s", rule->line, text);
        return TABLE_RETRY;
    }
    if (pattern_result_expand(rule, regexp_group, &question, value)) return TABLE_FOUND;
    (void)failure_set(failure, "line %zu: the result is too long", rule->line);
    return TABLE_RETRY;
}

static void regexp_close(void *state) {
    struct regexp_table *table = state;
    for (size_t i = 0; i < table->rules.count; i++) {
        regex_t *expression = table->rules.items[i].compiled;
        if (expression != NULL) regfree(expression);
        MEMORY_FREE(expression);
    }
    pattern_rules_free(&table->rules);
    MEMORY_FREE(table->match);
    MEMORY_FREE(table->path);
    MEMORY_FREE(table);
}

static bool regexp_changed(const void *state) {
    const struct regexp_table *table = state;
    return table_stamp_changed(table->path, &table->stamp);
}

static void prepare(struct regexp_table *table, struct str text, const struct table_request *request) {
    pattern_rules_parse(text, PATTERN_SYNTAX_DELIMITED, request->name, (request->flags & TABLE_NO_SUBSTITUTION) == 0,
                        request->warnings, &table->rules);
    size_t groups = 0;
    for (size_t i = 0; i < table->rules.count; i++) {
        struct pattern_rule *rule = &table->rules.items[i];
        if (rule->kind != PATTERN_RULE_ENDIF && !rule->dead) compile(rule, request);
        if (rule->highest_group > groups) groups = rule->highest_group;
    }
    table->match_count = groups + 1;
    table->match = memory_allocate(table->match_count, sizeof(regmatch_t));
}

bool table_regexp_open(const struct table_request *asked, const struct table_methods **methods, void **state,
                       struct failure *failure) {
    static const struct table_methods regexp_methods = {
        .lookup = regexp_lookup, .close = regexp_close, .changed = regexp_changed};
    struct table_request request = *asked;
    struct buf text = {0};
    struct table_stamp stamp;
    if (!rules_read(&request, RULES_FILE_MAX, &text, &stamp, failure)) {
        buf_free(&text);
        return false;
    }
    struct regexp_table *table = MEMORY_NEW(struct regexp_table);
    table->path = memory_copy_string(request.name);
    table->stamp = stamp;
    prepare(table, buf_str(&text), &request);
    buf_free(&text);
    *state = table;
    *methods = &regexp_methods;
    return true;
}
