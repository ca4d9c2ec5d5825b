/* pcre: rules of Perl-compatible regular expressions.
 *
 * Compiled by PCRE2's JIT where that is allowed (a sandbox may forbid it: then
 * the interpreter runs), with limits on steps, depth and memory: a pattern that
 * hits one has not said "no match", so the lookup is TABLE_RETRY. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "inline_rules.h"
#include "memory.h"
#include "pattern_file.h"
#include "table_types.h"

#define STEP_LIMIT     1000000
#define DEPTH_LIMIT    100000
#define HEAP_LIMIT_KIB 16384
/* The JIT's default is the machine stack, which is small in a task. */
#define JIT_STACK_START ((size_t)32 << 10)
#define JIT_STACK_MAX   ((size_t)1 << 20)
#define RULES_FILE_MAX  ((size_t)16 << 20)

struct pcre_table {
    struct pattern_rules rules;
    pcre2_match_context *match_context;
    pcre2_jit_stack *jit_stack;
    pcre2_match_data *match;
    char *path;
    struct table_stamp stamp;
};

/* One lookup. */
struct pcre_question {
    const struct pcre_table *table;
    struct str key;
    int error;
};

static bool pcre_options(struct str flags, unsigned table_flags, uint32_t *options) {
    uint32_t result = PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C;
    if ((table_flags & TABLE_UTF8) != 0) result |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
    for (size_t i = 0; i < flags.length; i++) {
        switch (flags.data[i]) {
        case 'i':
            result ^= PCRE2_CASELESS;
            break;
        case 's':
            result ^= PCRE2_DOTALL;
            break;
        case 'm':
            result ^= PCRE2_MULTILINE;
            break;
        case 'x':
            result ^= PCRE2_EXTENDED;
            break;
        case 'A':
            result ^= PCRE2_ANCHORED;
            break;
        case 'E':
            result ^= PCRE2_DOLLAR_ENDONLY;
            break;
        case 'U':
            result ^= PCRE2_UNGREEDY;
            break;
        case 'X':
            break; /* PCRE 1's "extra": PCRE2 always behaves so */
        default:
            return false;
        }
    }
    *options = result;
    return true;
}

/* Compiles one rule; what cannot be compiled is dead, with a warning. */
static void compile(struct pattern_rule *rule, const struct table_request *request) {
    uint32_t options;
    rule->dead = true;
    if (!pcre_options(rule->flags, request->flags, &options)) {
        table_warn(request->warnings, request->name, rule->line, "unknown flag in \"%.*s\"", STR_ARGS(rule->flags));
        return;
    }
    int error;
    PCRE2_SIZE offset;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)rule->pattern.data, rule->pattern.length, options, &error, &offset, NULL);
    if (code == NULL) {
        PCRE2_UCHAR text[200] = "";
        (void)pcre2_get_error_message(error, text, sizeof text);
        table_warn(request->warnings, request->name, rule->line, "error in regular expression at offset %zu: %s",
                   (size_t)offset, (const char *)text);
        return;
    }
    uint32_t groups = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (rule->highest_group > groups) {
        table_warn(request->warnings, request->name, rule->line,
                   "the result wants group %u of %u: leaving out this rule", rule->highest_group, groups);
        pcre2_code_free(code);
        return;
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    rule->compiled = code;
    rule->dead = false;
}

static enum pattern_match pcre_test(void *context, const struct pattern_rule *rule) {
    struct pcre_question *question = context;
    const struct pcre_table *table = question->table;
    int result = pcre2_match(rule->compiled, (PCRE2_SPTR)question->key.data, question->key.length, 0, 0, table->match,
                             table->match_context);
    if (result >= 0) return PATTERN_MATCH;
    if (result == PCRE2_ERROR_NOMATCH) return PATTERN_NO_MATCH;
    question->error = result;
    return PATTERN_ERROR;
}

static struct str pcre_group(void *context, unsigned number) {
    const struct pcre_question *question = context;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(question->table->match);
    size_t from = offsets[2 * number];
    size_t to = offsets[2 * number + 1];
    /* Unset groups have PCRE2_UNSET; \K in a lookahead can put the end before the start. */
    if (from == PCRE2_UNSET || to < from) return STR_EMPTY;
    return str_slice(question->key, from, to);
}

static enum table_result pcre_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct pcre_table *table = state;
    struct pcre_question question = {.table = table, .key = key};
    size_t found;
    enum pattern_match match = pattern_rules_find(&table->rules, pcre_test, &question, &found);
    if (match == PATTERN_NO_MATCH) return TABLE_ABSENT;
    const struct pattern_rule *rule = &table->rules.items[found];
    if (match == PATTERN_ERROR) {
        PCRE2_UCHAR text[200] = "";
        (void)pcre2_get_error_message(question.error, text, sizeof text);
        (void)failure_set(failure, "line %zu: %s", rule->line, (const char *)text);
        return TABLE_RETRY;
    }
    if (pattern_result_expand(rule, pcre_group, &question, value)) return TABLE_FOUND;
    (void)failure_set(failure, "line %zu: the result is too long", rule->line);
    return TABLE_RETRY;
}

static void pcre_close(void *state) {
    struct pcre_table *table = state;
    for (size_t i = 0; i < table->rules.count; i++)
        pcre2_code_free(table->rules.items[i].compiled);
    pattern_rules_free(&table->rules);
    pcre2_match_data_free(table->match);
    pcre2_match_context_free(table->match_context);
    pcre2_jit_stack_free(table->jit_stack);
    MEMORY_FREE(table->path);
    MEMORY_FREE(table);
}

static bool pcre_changed(const void *state) {
    const struct pcre_table *table = state;
    return table_stamp_changed(table->path, &table->stamp);
}

static void prepare(struct pcre_table *table, struct str text, const struct table_request *request) {
    pattern_rules_parse(text, PATTERN_SYNTAX_DELIMITED, request->name, (request->flags & TABLE_NO_SUBSTITUTION) == 0,
                        request->warnings, &table->rules);
    uint32_t groups = 0;
    for (size_t i = 0; i < table->rules.count; i++) {
        struct pattern_rule *rule = &table->rules.items[i];
        if (rule->kind != PATTERN_RULE_ENDIF && !rule->dead) compile(rule, request);
        if (rule->highest_group > groups) groups = rule->highest_group;
    }
    /* Only the groups that results use are wanted: a smaller vector is no error. */
    table->match = pcre2_match_data_create(groups + 1, NULL);
    table->match_context = pcre2_match_context_create(NULL);
    if (table->match == NULL || table->match_context == NULL) memory_exhausted(sizeof *table);
    (void)pcre2_set_match_limit(table->match_context, STEP_LIMIT);
    (void)pcre2_set_depth_limit(table->match_context, DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(table->match_context, HEAP_LIMIT_KIB);
    table->jit_stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (table->jit_stack != NULL) pcre2_jit_stack_assign(table->match_context, NULL, table->jit_stack);
}

bool table_pcre_open(const struct table_request *asked, const struct table_methods **methods, void **state,
                     struct failure *failure) {
    static const struct table_methods pcre_methods = {
        .lookup = pcre_lookup, .close = pcre_close, .changed = pcre_changed};
    struct table_request request = *asked;
    struct buf text = {0};
    struct table_stamp stamp;
    if (!rules_read(&request, RULES_FILE_MAX, &text, &stamp, failure)) {
        buf_free(&text);
        return false;
    }
    struct pcre_table *table = MEMORY_NEW(struct pcre_table);
    table->path = memory_copy_string(request.name);
    table->stamp = stamp;
    prepare(table, buf_str(&text), &request);
    buf_free(&text);
    *state = table;
    *methods = &pcre_methods;
    return true;
}
