/* Queries with places become statements with parameters. */
#include "sql_query.h"

struct query_parser {
    struct str text;
    size_t at;
    char mark;
    struct buf statement;
    struct sql_query query;
    struct arena *arena;
    struct failure *failure;
};

static bool fail(struct query_parser *parser, const char *reason) {
    return failure_set(parser->failure, "query: %s", reason);
}

static bool add_parameter(struct query_parser *parser, struct str template) {
    struct sql_query *query = &parser->query;
    if (!source_template_check(template, "query", parser->failure)) return false;
    if (query->count == SQL_PARAMETERS_MAX) return fail(parser, "too many places");
    if (!arena_copy(parser->arena, template, &query->templates[query->count])) return fail(parser, "too long");
    query->count++;
    return buf_printf(&parser->statement, "%c%zu", parser->mark, query->count) || fail(parser, "too long");
}

/* The length of a run in quotes that begins at the front, its ends included; 0 if it is not closed. A quote
 * within it is doubled. */
static size_t quoted_length(struct str text) {
    char quote = text.data[0];
    for (size_t i = 1; i < text.length; i++) {
        if (text.data[i] != quote) continue;
        if (i + 1 == text.length || text.data[i + 1] != quote) return i + 1;
        i++;
    }
    return 0;
}

/* What stands in single quotes, with '' as one quote. */
static void unquote(struct str quoted, struct buf *out) {
    for (size_t i = 1; i + 1 < quoted.length; i++) {
        buf_append_char(out, quoted.data[i]);
        if (quoted.data[i] == '\'') i++;
    }
}

static bool is_word(char c) {
    return ascii_is_alnum(c) || c == '_' || (c & 0x80);
}

/* E'...', B'...', N'...', U&'...': the quote belongs to what is before it. */
static bool has_prefix(const struct query_parser *parser) {
    if (parser->at == 0) return false;
    char before = parser->text.data[parser->at - 1];
    return is_word(before) || before == '&';
}

static bool take_text(struct query_parser *parser) {
    struct str rest = str_from_offset(parser->text, parser->at);
    size_t length = quoted_length(rest);
    if (length == 0) return fail(parser, "a quote is not closed");
    struct str quoted = str_slice(rest, 0, length);
    struct buf plain = buf_make(SQL_STATEMENT_MAX);
    bool good = true;
    unquote(quoted, &plain);
    if (!source_template_varies(quoted)) { /* "%%" stands for one sign here as everywhere */
        for (size_t i = 0; i < quoted.length; i++) {
            buf_append_char(&parser->statement, quoted.data[i]);
            if (quoted.data[i] == '%' && i + 1 < quoted.length && quoted.data[i + 1] == '%') i++;
        }
    } else if (has_prefix(parser)) {
        good = fail(parser, "a place cannot stand in quotes with something before them");
    } else {
        good = add_parameter(parser, buf_str(&plain));
    }
    parser->at += length;
    buf_free(&plain);
    return good;
}

/* Copies length bytes in which no place may stand. */
static bool copy_still(struct query_parser *parser, size_t length, const char *what) {
    struct str part = str_slice(parser->text, parser->at, parser->at + length);
    if (source_template_varies(part)) return fail(parser, what);
    parser->at += length;
    return buf_append(&parser->statement, part) || fail(parser, "too long");
}

static bool take_identifier(struct query_parser *parser) {
    size_t length = quoted_length(str_from_offset(parser->text, parser->at));
    if (length == 0) return fail(parser, "a quote is not closed");
    return copy_still(parser, length, "a place cannot stand for the name of a table or column");
}

static bool take_comment(struct query_parser *parser, struct str end) {
    size_t length = str_find_str(str_from_offset(parser->text, parser->at), end);
    if (length == STR_NONE) length = parser->text.length - parser->at;
    return copy_still(parser, length, "a place cannot stand in a comment");
}

static bool take_place(struct query_parser *parser) {
    struct str place = str_slice(parser->text, parser->at, parser->at + 2);
    parser->at += place.length;
    if (str_equal(place, STR("%%"))) return buf_append_char(&parser->statement, '%') || fail(parser, "too long");
    return add_parameter(parser, place);
}

static bool take_next(struct query_parser *parser) {
    struct str rest = str_from_offset(parser->text, parser->at);
    char c = rest.data[0];
    if (c == '\'') return take_text(parser);
    if (c == '"' || c == '`') return take_identifier(parser);
    if (c == '%') return take_place(parser);
    if (c == '\\') return fail(parser, "a backslash cannot stand outside of quotes");
    /* PostgreSQL's $tag$...$tag$ would be quotes that are not seen as such here. */
    if (c == '$') return fail(parser, "a dollar sign cannot stand outside of quotes");
    if (str_starts(rest, STR("--"))) return take_comment(parser, STR("\n"));
    if (str_starts(rest, STR("/*"))) return take_comment(parser, STR("*/"));
    parser->at++;
    return buf_append_char(&parser->statement, c) || fail(parser, "too long");
}

bool sql_query_parse(struct str text, char mark, struct arena *arena, struct sql_query *query,
                     struct failure *failure) {
    struct query_parser parser = {.text = str_trim(text),
                                  .mark = mark,
                                  .arena = arena,
                                  .failure = failure,
                                  .statement = buf_make(SQL_STATEMENT_MAX)};
    bool good = !memchr(text.data, '\0', text.length) || fail(&parser, "a NUL");
    while (good && parser.at < parser.text.length)
        good = take_next(&parser);
    if (good && buf_overflowed(&parser.statement)) good = fail(&parser, "too long");
    if (good && parser.query.count == 0) good = fail(&parser, "it has no place for the user, such as %u");
    if (good && !arena_copy(arena, buf_str(&parser.statement), &parser.query.statement))
        good = fail(&parser, "too long");
    buf_free(&parser.statement);
    if (good) *query = parser.query;
    return good;
}

enum source_template_result sql_query_values(const struct sql_query *query, const struct source_question *question,
                                             struct sql_values *values) {
    struct sql_values made = {.count = query->count};
    enum source_template_result result = SOURCE_TEMPLATE_DONE;
    for (size_t i = 0; i < query->count && result == SOURCE_TEMPLATE_DONE; i++) {
        struct buf value = buf_make(4096);
        result = source_template_expand(query->templates[i], question, NULL, &value);
        made.values[i] = arena_allocate(question->arena, value.length + 1, 1);
        if (!made.values[i])
            result = SOURCE_TEMPLATE_TOO_LONG;
        else if (value.length > 0)
            memcpy(made.values[i], value.data, value.length);
        buf_free(&value);
    }
    if (result == SOURCE_TEMPLATE_DONE) *values = made;
    return result;
}
