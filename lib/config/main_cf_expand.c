/* The expansion of $name in the values of main.cf. */
#include "config_lines.h"
#include "main_cf.h"

/* One call of main_cf_expand: what is left of its bounds. */
struct expansion {
    const struct main_cf_lookup *lookup;
    struct failure *failure;
    unsigned depth;
    unsigned steps;
    size_t bytes_read; /* the same text may be read many times */
};

static bool expand_text(struct expansion *expansion, struct str text, struct buf *out);

static bool expand_name(struct expansion *expansion, struct str name, struct buf *out) {
    struct str value = STR_EMPTY;
    bool literal = false;
    if (++expansion->steps > MAIN_CF_EXPAND_STEPS)
        return failure_set(expansion->failure, "$%.*s: more than %d names to expand", STR_ARGS(name),
                           MAIN_CF_EXPAND_STEPS);
    if (!expansion->lookup->lookup(expansion->lookup->context, name, &value, &literal))
        return true;
    if (!literal) {
        if (expansion->depth == MAIN_CF_EXPAND_DEPTH)
            return failure_set(expansion->failure, "$%.*s leads back to itself, or through more than %d names",
                               STR_ARGS(name), MAIN_CF_EXPAND_DEPTH);
        expansion->depth++;
        bool done = expand_text(expansion, value, out);
        expansion->depth--;
        return done;
    }
    buf_append(out, value);
    return true;
}

/* What { } holds, taken from the front of *rest. */
static bool take_braced(struct expansion *expansion, struct str *rest, struct str *content) {
    size_t length = config_group_length(*rest, '{', '}');
    if (length == 0)
        return failure_set(expansion->failure, "\"%.*s\": { and } do not match here",
                           STR_ARGS(str_slice(*rest, 0, 60)));
    *content = str_trim(str_slice(*rest, 1, length - 1));
    *rest = str_trim(str_from_offset(*rest, length));
    return true;
}

/* rest is "?...", ":..." : appends what the condition chooses. */
static bool expand_choice(struct expansion *expansion, bool condition, struct str rest, struct buf *out) {
    char kind = rest.data[0];
    struct str chosen = str_from_offset(rest, 1);
    struct str braced = str_trim(chosen);
    struct str other = STR_EMPTY;

    if (braced.length > 0 && braced.data[0] == '{') {
        if (!take_braced(expansion, &braced, &chosen))
            return false;
        if (braced.length > 0 && kind == '?' && braced.data[0] == ':') {
            braced = str_trim(str_from_offset(braced, 1));
            if (braced.length == 0 || braced.data[0] != '{' || !take_braced(expansion, &braced, &other))
                return failure_set(expansion->failure, "what follows : has to stand in { }, as in ${name?{a}:{b}}");
        }
        if (braced.length > 0)
            return failure_set(expansion->failure, "\"%.*s\" after the last } is too much",
                               STR_ARGS(str_slice(braced, 0, 60)));
    }
    if (condition == (kind == '?'))
        return expand_text(expansion, chosen, out);
    return expand_text(expansion, other, out);
}

enum operator {
    EQUAL,
    NOT_EQUAL,
    LESS,
    LESS_EQUAL,
    GREATER,
    GREATER_EQUAL,
};

struct operator_row {
    struct str text;
    enum operator operator;
    bool level; /* compares versions: 3.10 is more than 3.9 */
};

/* Longer ones first: the first that fits counts. */
static const struct operator_row operators[] = {
    {STR_INIT("==level"), EQUAL, true},      {STR_INIT("!=level"), NOT_EQUAL, true},
    {STR_INIT("<=level"), LESS_EQUAL, true}, {STR_INIT(">=level"), GREATER_EQUAL, true},
    {STR_INIT("<level"), LESS, true},        {STR_INIT(">level"), GREATER, true},
    {STR_INIT("=="), EQUAL, false},          {STR_INIT("!="), NOT_EQUAL, false},
    {STR_INIT("<="), LESS_EQUAL, false},     {STR_INIT(">="), GREATER_EQUAL, false},
    {STR_INIT("<"), LESS, false},            {STR_INIT(">"), GREATER, false},
};

/* Versions part by part; what is not a number counts as 0. */
static int compare_levels(struct str left, struct str right) {
    while (left.length > 0 || right.length > 0) {
        struct str a = left, b = right, a_rest = STR_EMPTY, b_rest = STR_EMPTY;
        uint64_t x = 0, y = 0;
        str_cut(left, '.', &a, &a_rest);
        str_cut(right, '.', &b, &b_rest);
        if (!str_to_u64(a, UINT32_MAX, &x))
            x = 0;
        if (!str_to_u64(b, UINT32_MAX, &y))
            y = 0;
        if (x != y)
            return x < y ? -1 : 1;
        left = a_rest;
        right = b_rest;
    }
    return 0;
}

static int compare_operands(struct str left, struct str right) {
    uint64_t a, b;
    if (str_to_u64(left, UINT64_MAX, &a) && str_to_u64(right, UINT64_MAX, &b))
        return a < b ? -1 : a > b;
    return str_compare(left, right);
}

static bool holds(enum operator operator, int order) {
    switch (operator) {
    case EQUAL:
        return order == 0;
    case NOT_EQUAL:
        return order != 0;
    case LESS:
        return order < 0;
    case LESS_EQUAL:
        return order <= 0;
    case GREATER:
        return order > 0;
    case GREATER_EQUAL:
        return order >= 0;
    }
    return false;
}

static const struct operator_row *take_operator(struct str *rest) {
    for (size_t i = 0; i < ARRAY_LENGTH(operators); i++)
        if (str_starts(*rest, operators[i].text)) {
            *rest = str_trim(str_from_offset(*rest, operators[i].text.length));
            return &operators[i];
        }
    return NULL;
}

/* body is "{a} == {b}", with or without what to choose. */
static bool expand_comparison(struct expansion *expansion, struct str body, struct buf *out) {
    struct str left = STR_EMPTY, right = STR_EMPTY;
    if (!take_braced(expansion, &body, &left))
        return false;
    const struct operator_row *row = take_operator(&body);
    if (!row)
        return failure_set(expansion->failure, "no comparison between { } and { }; one of == != < <= > >= belongs there");
    if (body.length == 0 || body.data[0] != '{' || !take_braced(expansion, &body, &right))
        return failure_set(expansion->failure, "what is compared has to stand in { }, as in ${{$name} == {text} ? {a} : {b}}");

    struct buf a = buf_make(MAIN_CF_EXPAND_BYTES), b = buf_make(MAIN_CF_EXPAND_BYTES);
    bool done = expand_text(expansion, left, &a) && expand_text(expansion, right, &b);
    bool condition = false;
    if (done) {
        int order = row->level ? compare_levels(buf_str(&a), buf_str(&b)) : compare_operands(buf_str(&a), buf_str(&b));
        condition = holds(row->operator, order);
    }
    buf_free(&a);
    buf_free(&b);
    if (!done)
        return false;
    if (body.length == 0) {
        buf_append(out, condition ? STR("true") : STR_EMPTY);
        return true;
    }
    if (body.data[0] != '?' && body.data[0] != ':')
        return failure_set(expansion->failure, "\"%.*s\" after a comparison; ? or : belongs there",
                           STR_ARGS(str_slice(body, 0, 60)));
    return expand_choice(expansion, condition, body, out);
}

static size_t name_length(struct str text, bool in_braces) {
    size_t length = 0;
    while (length < text.length) {
        char c = text.data[length];
        if (!ascii_is_alnum(c) && c != '_' && !(in_braces && (c == '-' || c == '.')))
            break;
        length++;
    }
    return length;
}

/* body is what stands between ${ and }. */
static bool expand_braces(struct expansion *expansion, struct str body, struct buf *out) {
    body = str_trim(body);
    if (body.length > 0 && body.data[0] == '{')
        return expand_comparison(expansion, body, out);

    size_t length = name_length(body, true);
    struct str name = str_slice(body, 0, length);
    struct str rest = str_trim(str_from_offset(body, length));
    if (length == 0)
        return failure_set(expansion->failure, "\"${%.*s}\" has no name", STR_ARGS(str_slice(body, 0, 60)));
    if (rest.length == 0)
        return expand_name(expansion, name, out);
    if (rest.data[0] != '?' && rest.data[0] != ':')
        return failure_set(expansion->failure, "\"${%.*s}\": after the name comes }, ? or :",
                           STR_ARGS(str_slice(body, 0, 60)));

    struct buf value = buf_make(MAIN_CF_EXPAND_BYTES);
    bool done = expand_name(expansion, name, &value);
    bool condition = buf_str(&value).length > 0;
    buf_free(&value);
    return done && expand_choice(expansion, condition, rest, out);
}

/* text begins with $; *length gets how much of it was used. */
static bool expand_dollar(struct expansion *expansion, struct str text, size_t *length, struct buf *out) {
    char next = text.length > 1 ? text.data[1] : '\0';
    struct str rest = str_from_offset(text, 1);
    if (next == '$') {
        *length = 2;
        buf_append_char(out, '$');
        return true;
    }
    if (next == '{' || next == '(') {
        size_t group = config_group_length(rest, next, next == '{' ? '}' : ')');
        if (group == 0)
            return failure_set(expansion->failure, "\"%.*s\": the %c after $ is not closed",
                               STR_ARGS(str_slice(text, 0, 60)), next);
        *length = group + 1;
        return expand_braces(expansion, str_slice(rest, 1, group - 1), out);
    }
    size_t name = name_length(rest, false);
    if (name == 0)
        return failure_set(expansion->failure, "\"%.*s\": no name after $; a dollar sign itself is written $$",
                           STR_ARGS(str_slice(text, 0, 20)));
    *length = name + 1;
    return expand_name(expansion, str_slice(rest, 0, name), out);
}

static bool expand_pieces(struct expansion *expansion, struct str text, struct buf *out) {
    expansion->bytes_read += text.length;
    if (expansion->bytes_read > MAIN_CF_EXPAND_READ)
        return failure_set(expansion->failure, "too much to expand");
    while (text.length > 0) {
        size_t dollar = str_find(text, '$');
        buf_append(out, str_slice(text, 0, dollar == STR_NONE ? text.length : dollar));
        if (dollar == STR_NONE)
            break;
        text = str_from_offset(text, dollar);
        size_t used = 0;
        if (++expansion->steps > MAIN_CF_EXPAND_STEPS)
            return failure_set(expansion->failure, "more than %d names to expand", MAIN_CF_EXPAND_STEPS);
        if (!expand_dollar(expansion, text, &used, out))
            return false;
        text = str_from_offset(text, used);
    }
    if (buf_overflowed(out))
        return failure_set(expansion->failure, "more than %zu bytes when expanded", MAIN_CF_EXPAND_BYTES);
    return true;
}

static bool expand_text(struct expansion *expansion, struct str text, struct buf *out) {
    if (expansion->depth == MAIN_CF_EXPAND_DEPTH)
        return failure_set(expansion->failure, "a name leads back to itself, or more than %d levels",
                           MAIN_CF_EXPAND_DEPTH);
    expansion->depth++;
    bool done = expand_pieces(expansion, text, out);
    expansion->depth--;
    return done;
}

bool main_cf_expand(struct str value, const struct main_cf_lookup *lookup, struct buf *expanded,
                    struct failure *failure) {
    struct expansion expansion = {.lookup = lookup, .failure = failure};
    struct buf out = buf_make(MAIN_CF_EXPAND_BYTES);
    bool done = expand_text(&expansion, value, &out);
    if (done && !buf_append(expanded, buf_str(&out)))
        done = failure_set(failure, "too long when expanded");
    buf_free(&out);
    return done;
}
