/* Rules of pattern files: parsing, walking through if and endif, results. */
#include "failure.h"
#include "logical_lines.h"
#include "pattern_file.h"
#include "table_types.h"

#define GROUP_MAX 255

/* What the parser carries from line to line. */
struct parser {
    struct pattern_rules *rules;
    size_t capacity;
    size_t open; /* innermost open IF, chained through its endif; STR_NONE: none */
    enum pattern_syntax syntax;
    bool substitution;
    struct str file;
    struct buf *warnings;
};

static struct str skip_space(struct str s) {
    size_t i = 0;
    while (i < s.length && ascii_is_space(s.data[i])) i++;
    return str_from_offset(s, i);
}

/* True if line starts with a word that does not go on; *rest is what follows. */
static bool starts_with_word(struct str line, struct str word, struct str *rest) {
    if (!str_starts_nocase(line, word)) return false;
    struct str after = str_from_offset(line, word.length);
    if (after.length > 0 && (ascii_is_alnum(after.data[0]) || after.data[0] == ':' || after.data[0] == '.'))
        return false;
    *rest = skip_space(after);
    return true;
}

/* [!]/pattern/flags; *rest is what follows. NULL or what is wrong. */
static const char *parse_delimited(struct str text, struct pattern_rule *rule, struct str *rest) {
    if (text.length == 0) return "no regular expression";
    char delimiter = text.data[0];
    if (ascii_is_alnum(delimiter) || delimiter == '\\') return "a regular expression must be between delimiters";
    size_t end = 1;
    while (end < text.length && text.data[end] != delimiter) end += text.data[end] == '\\' ? 2 : 1;
    if (end >= text.length) return "no closing regular expression delimiter";
    rule->pattern = str_slice(text, 1, end);
    size_t after = end + 1;
    while (after < text.length && !ascii_is_space(text.data[after])) after++;
    rule->flags = str_slice(text, end + 1, after);
    *rest = skip_space(str_from_offset(text, after));
    return NULL;
}

static const char *parse_word(struct str text, struct pattern_rule *rule, struct str *rest) {
    size_t end = 0;
    while (end < text.length && !ascii_is_space(text.data[end])) end++;
    if (end == 0) return "no address pattern";
    rule->pattern = str_slice(text, 0, end);
    rule->flags = STR_EMPTY;
    *rest = skip_space(str_from_offset(text, end));
    return NULL;
}

static const char *parse_pattern(const struct parser *parser, struct str text, struct pattern_rule *rule,
                                 struct str *rest) {
    while (text.length > 0 && text.data[0] == '!') {
        rule->negated = !rule->negated;
        text = skip_space(str_from_offset(text, 1));
    }
    return parser->syntax == PATTERN_SYNTAX_CIDR ? parse_word(text, rule, rest) : parse_delimited(text, rule, rest);
}

static void add_piece(const struct parser *parser, struct pattern_rule *rule, size_t *capacity,
                      struct pattern_piece piece) {
    if (!piece.is_group && piece.literal.length == 0) return;
    if (rule->piece_count == *capacity) {
        size_t more = *capacity == 0 ? 4 : *capacity * 2;
        struct pattern_piece *grown = arena_allocate(parser->rules->arena, more, sizeof *grown);
        if (grown == NULL) return;
        if (rule->piece_count > 0) memcpy(grown, rule->pieces, rule->piece_count * sizeof *grown);
        rule->pieces = grown;
        *capacity = more;
    }
    rule->pieces[rule->piece_count++] = piece;
}

/* The group number after a $: N, {N} or (N). *rest is what follows. */
static const char *parse_group(struct str text, unsigned *group, struct str *rest) {
    struct str name;
    if (text.length > 0 && (text.data[0] == '{' || text.data[0] == '(')) {
        size_t end = str_find(text, text.data[0] == '{' ? '}' : ')');
        if (end == STR_NONE) return "truncated $ reference in the result";
        name = str_slice(text, 1, end);
        *rest = str_from_offset(text, end + 1);
    } else {
        size_t end = 0;
        while (end < text.length && (ascii_is_alnum(text.data[end]) || text.data[end] == '_')) end++;
        name = str_slice(text, 0, end);
        *rest = str_from_offset(text, end);
    }
    uint64_t number;
    if (!str_to_u64(name, GROUP_MAX, &number) || number == 0)
        return "a $ in the result must be followed by the number of a group (write $$ for a $)";
    *group = (unsigned)number;
    return NULL;
}

static const char *parse_result(const struct parser *parser, struct pattern_rule *rule) {
    struct str rest = rule->result;
    size_t capacity = 0;
    while (rest.length > 0) {
        size_t dollar = str_find(rest, '$');
        if (dollar == STR_NONE || parser->syntax == PATTERN_SYNTAX_CIDR) dollar = rest.length;
        add_piece(parser, rule, &capacity, (struct pattern_piece){.literal = str_slice(rest, 0, dollar)});
        if (dollar == rest.length) break;
        rest = str_from_offset(rest, dollar + 1);
        if (rest.length > 0 && rest.data[0] == '$') {
            add_piece(parser, rule, &capacity, (struct pattern_piece){.literal = str_slice(rest, 0, 1)});
            rest = str_from_offset(rest, 1);
            continue;
        }
        struct pattern_piece piece = {.is_group = true};
        const char *wrong = parse_group(rest, &piece.group, &rest);
        if (wrong != NULL) return wrong;
        if (piece.group > rule->highest_group) rule->highest_group = piece.group;
        add_piece(parser, rule, &capacity, piece);
    }
    if (rule->highest_group > 0 && rule->negated) return "$ substitution is not possible in a negated rule";
    if (rule->highest_group > 0 && !parser->substitution) return "$ substitution is not allowed in this context";
    return NULL;
}

static void add_rule(struct parser *parser, struct pattern_rule rule) {
    struct pattern_rules *rules = parser->rules;
    if (rules->count == parser->capacity) {
        parser->capacity = parser->capacity == 0 ? 16 : parser->capacity * 2;
        rules->items = memory_resize(rules->items, parser->capacity, sizeof rule);
    }
    size_t index = rules->count++;
    if (rule.kind == PATTERN_RULE_IF) {
        rule.endif = parser->open;
        parser->open = index;
    } else if (rule.kind == PATTERN_RULE_ENDIF) {
        size_t opening = parser->open;
        parser->open = rules->items[opening].endif;
        rules->items[opening].endif = index;
    }
    rules->items[index] = rule;
}

static void parse_line(struct parser *parser, struct str line, size_t number) {
    struct pattern_rule rule = {.line = number};
    struct str rest = STR_EMPTY;
    const char *wrong = NULL;
    if (starts_with_word(line, STR("endif"), &rest)) {
        rule.kind = PATTERN_RULE_ENDIF;
        if (parser->open == STR_NONE) wrong = "endif without if";
        if (rest.length > 0) table_warn(parser->warnings, parser->file, number, "ignoring text after endif");
        if (wrong == NULL) add_rule(parser, rule);
    } else if (starts_with_word(line, STR("if"), &rest)) {
        rule.kind = PATTERN_RULE_IF;
        wrong = parse_pattern(parser, rest, &rule, &rest);
        if (wrong == NULL && rest.length > 0)
            table_warn(parser->warnings, parser->file, number, "ignoring text after if pattern");
        rule.dead = wrong != NULL;
        add_rule(parser, rule);
    } else {
        wrong = parse_pattern(parser, line, &rule, &rule.result);
        if (wrong == NULL) wrong = parse_result(parser, &rule);
        if (wrong == NULL && rule.result.length == 0)
            table_warn(parser->warnings, parser->file, number, "no result: using the empty string");
        if (wrong == NULL) add_rule(parser, rule);
    }
    if (wrong != NULL)
        table_warn(parser->warnings, parser->file, number, "%s: leaving out this %s", wrong,
                   rule.kind == PATTERN_RULE_IF ? "block" : "rule");
}

void pattern_rules_parse(struct str text, enum pattern_syntax syntax, struct str file, bool substitution,
                         struct buf *warnings, struct pattern_rules *rules) {
    *rules = (struct pattern_rules){.arena = arena_create(0)};
    struct parser parser = {.rules = rules,
                            .open = STR_NONE,
                            .syntax = syntax,
                            .substitution = substitution,
                            .file = file,
                            .warnings = warnings};
    struct logical_lines lines;
    logical_lines_start(&lines, text);
    struct str line;
    size_t number;
    while (logical_lines_next(&lines, &line, &number)) {
        struct str kept;
        if (str_find(line, '\0') != STR_NONE) {
            table_warn(warnings, file, number, "a NUL byte: leaving out this rule");
        } else if (arena_copy(rules->arena, line, &kept)) {
            parse_line(&parser, kept, number);
        }
    }
    logical_lines_finish(&lines);
    while (parser.open != STR_NONE) {
        struct pattern_rule *opening = &rules->items[parser.open];
        table_warn(warnings, file, opening->line, "if without endif");
        parser.open = opening->endif;
        opening->endif = rules->count;
    }
}

void pattern_rules_free(struct pattern_rules *rules) {
    arena_destroy(&rules->arena);
    MEMORY_FREE(rules->items);
    rules->count = 0;
}

enum pattern_match pattern_rules_find(const struct pattern_rules *rules,
                                      enum pattern_match (*test)(void *context, const struct pattern_rule *rule),
                                      void *context, size_t *found) {
    for (size_t i = 0; i < rules->count;) {
        const struct pattern_rule *rule = &rules->items[i];
        size_t past = rule->kind == PATTERN_RULE_IF ? rule->endif : i + 1;
        bool applies = false;
        if (rule->kind != PATTERN_RULE_ENDIF && !rule->dead) {
            enum pattern_match match = test(context, rule);
            if (match == PATTERN_ERROR) {
                *found = i;
                return PATTERN_ERROR;
            }
            applies = (match == PATTERN_MATCH) != rule->negated;
        }
        if (applies && rule->kind == PATTERN_RULE_MATCH) {
            *found = i;
            return PATTERN_MATCH;
        }
        i = applies ? i + 1 : past;
    }
    *found = rules->count;
    return PATTERN_NO_MATCH;
}

bool pattern_result_expand(const struct pattern_rule *rule, struct str (*group)(void *context, unsigned number),
                           void *context, struct buf *value) {
    size_t before = value->length;
    for (size_t i = 0; i < rule->piece_count; i++) {
        const struct pattern_piece *piece = &rule->pieces[i];
        if (!buf_append(value, piece->is_group ? group(context, piece->group) : piece->literal)) {
            buf_truncate(value, before);
            return false;
        }
    }
    return true;
}
