/* What the text of a value means: types, units and bounds. */
#include "config_value.h"

#include "buf.h"
#include "memory.h"

static int64_t unit_seconds(char unit) {
    switch (ascii_lower(unit)) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return INT64_C(7) * 86400;
    }
    return 0;
}

bool config_value_time(struct str text, char default_unit, int64_t *seconds) {
    int64_t unit = unit_seconds(default_unit);
    int64_t count;
    if (text.length > 0 && !ascii_is_digit(text.data[text.length - 1])) {
        unit = unit_seconds(text.data[text.length - 1]);
        text = str_slice(text, 0, text.length - 1);
    }
    if (unit == 0 || !str_to_i64(text, 0, PARAMETER_TIME_MAX / unit, &count))
        return false;
    *seconds = count * unit;
    return true;
}

/* The unit of a bare number: that of the default. */
static char time_unit(const struct parameter *parameter) {
    char last = parameter->value.length > 0 ? parameter->value.data[parameter->value.length - 1] : 's';
    return unit_seconds(last) > 0 ? last : 's';
}

static bool choice_allows(struct str choices, struct str text) {
    struct str choice = choices, rest = STR_EMPTY;
    while (str_cut(choices, '|', &choice, &rest)) {
        if (str_equal(choice, text))
            return true;
        choices = rest;
    }
    return str_equal(choices, text);
}

static bool check_number(const struct parameter *parameter, struct str text, int64_t *number, struct failure *failure) {
    if (!str_to_i64(text, parameter->minimum, parameter->maximum, number))
        return failure_set(failure, "\"%.*s\" is no number from %lld to %lld", STR_ARGS(text),
                           (long long)parameter->minimum, (long long)parameter->maximum);
    return true;
}

static bool check_time(const struct parameter *parameter, struct str text, int64_t *number, struct failure *failure) {
    int64_t seconds;
    if (!config_value_time(text, time_unit(parameter), &seconds))
        return failure_set(failure, "\"%.*s\" is no time; write a number and one of s m h d w, as in 300s",
                           STR_ARGS(text));
    if (seconds < parameter->minimum || seconds > parameter->maximum)
        return failure_set(failure, "\"%.*s\" is out of bounds; it has to be from %llds to %llds", STR_ARGS(text),
                           (long long)parameter->minimum, (long long)parameter->maximum);
    *number = seconds;
    return true;
}

static bool check_bool(struct str text, int64_t *number, struct failure *failure) {
    bool yes = str_equal_nocase(text, STR("yes"));
    if (!yes && !str_equal_nocase(text, STR("no")))
        return failure_set(failure, "\"%.*s\" is neither yes nor no", STR_ARGS(text));
    *number = yes;
    return true;
}

bool config_value_check(const struct parameter *parameter, struct str text, int64_t *number, struct failure *failure) {
    int64_t unused = 0;
    switch (parameter->type) {
    case PARAMETER_TEXT:
    case PARAMETER_RAW:
    case PARAMETER_LIST:
    case PARAMETER_TABLES:
        break;
    case PARAMETER_PATH:
        if (text.length > 0 && text.data[0] != '/')
            return failure_set(failure, "\"%.*s\" is no absolute file name; it has to begin with /", STR_ARGS(text));
        break;
    case PARAMETER_CHOICE:
        if (!choice_allows(parameter->choices, text))
            return failure_set(failure, "\"%.*s\" is not one of %.*s", STR_ARGS(text), STR_ARGS(parameter->choices));
        break;
    case PARAMETER_NUMBER:
    case PARAMETER_SIZE:
        return check_number(parameter, text, number, failure);
    case PARAMETER_TIME:
        return check_time(parameter, text, number, failure);
    case PARAMETER_BOOL:
        return check_bool(text, number, failure);
    }
    *number = unused;
    return true;
}

/* offset is that of a field of just this type (parameter_table.c), so it is aligned for it. */
static struct str *field_text(const struct config *config, const struct parameter *parameter) {
    return (struct str *)(uintptr_t)((const char *)config + parameter->offset);
}
static int64_t *field_number(const struct config *config, const struct parameter *parameter) {
    return (int64_t *)(uintptr_t)((const char *)config + parameter->offset);
}
static bool *field_bool(const struct config *config, const struct parameter *parameter) {
    return (bool *)(uintptr_t)((const char *)config + parameter->offset);
}

bool config_value_store(struct config *config, const struct parameter *parameter, struct str text,
                        struct failure *failure) {
    int64_t number = 0;
    if (!config_value_check(parameter, text, &number, failure))
        return false;
    switch (parameter->type) {
    case PARAMETER_TEXT:
    case PARAMETER_RAW:
    case PARAMETER_LIST:
    case PARAMETER_TABLES:
    case PARAMETER_PATH:
    case PARAMETER_CHOICE:
        if (!arena_copy(config->arena, text, field_text(config, parameter)))
            return failure_set(failure, "the configuration is too large");
        break;
    case PARAMETER_NUMBER:
    case PARAMETER_TIME:
    case PARAMETER_SIZE:
        *field_number(config, parameter) = number;
        break;
    case PARAMETER_BOOL:
        *field_bool(config, parameter) = number != 0;
        break;
    }
    return true;
}

struct config *config_make_empty(unsigned scope) {
    struct arena *arena = arena_create(0);
    struct config *config = ARENA_NEW(arena, struct config);
    config->arena = arena;
    config->scope = scope;
    config->extra = STR_EMPTY;
    for (size_t i = 0; i < parameter_count; i++)
        if (parameter_table[i].type <= PARAMETER_CHOICE)
            *field_text(config, &parameter_table[i]) = STR_EMPTY;
    return config;
}

static struct str number_text(int64_t number, struct config_number *scratch) {
    int length = snprintf(scratch->text, sizeof(scratch->text), "%lld", (long long)number);
    return str_make(scratch->text, (size_t)length);
}

struct str config_value(const struct config *config, const struct parameter *parameter, struct config_number *scratch) {
    switch (parameter->type) {
    case PARAMETER_TEXT:
    case PARAMETER_RAW:
    case PARAMETER_LIST:
    case PARAMETER_TABLES:
    case PARAMETER_PATH:
    case PARAMETER_CHOICE:
        return *field_text(config, parameter);
    case PARAMETER_NUMBER:
    case PARAMETER_TIME:
    case PARAMETER_SIZE:
        return number_text(*field_number(config, parameter), scratch);
    case PARAMETER_BOOL:
        return *field_bool(config, parameter) ? STR("yes") : STR("no");
    }
    return STR_EMPTY;
}

/* config->extra is lines of "name=value": what main.cf defines and no row names. */
bool config_user_value(const struct config *config, struct str name, struct str *value) {
    struct str rest = config->extra, line, after;
    while (str_cut(rest, '\n', &line, &after)) {
        struct str key, text;
        if (str_cut(line, '=', &key, &text) && str_equal(key, name)) {
            *value = text;
            return true;
        }
        rest = after;
    }
    return false;
}

struct str config_transport_text(const struct config *config, struct str transport, struct str suffix,
                                 struct config_number *scratch) {
    struct str value = STR_EMPTY;
    struct buf name = buf_make(0);
    buf_append(&name, transport);
    buf_append_char(&name, '_');
    buf_append(&name, suffix);

    const struct parameter *parameter = parameter_find(buf_str(&name));
    if (!parameter && !config_user_value(config, buf_str(&name), &value)) {
        const struct transport_parameter *row = transport_parameter_find(buf_str(&name));
        if (row && str_equal(row->suffix, suffix))
            parameter = transport_parameter_fallback(row);
    }
    if (parameter)
        value = config_value(config, parameter, scratch);
    buf_free(&name);
    return value;
}

int64_t config_transport_number(const struct config *config, struct str transport, struct str suffix) {
    struct config_number scratch;
    int64_t number;
    if (!str_to_i64(config_transport_text(config, transport, suffix, &scratch), INT64_MIN, INT64_MAX, &number))
        return 0;
    return number;
}

void config_free(struct config **config) {
    if (!*config)
        return;
    struct arena *arena = (*config)->arena;
    arena_destroy(&arena);
    *config = NULL;
}
