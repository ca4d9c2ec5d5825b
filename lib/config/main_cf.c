/* The text of main.cf: settings with their lines. */
#include "main_cf.h"

#include "config_lines.h"
#include "hash.h"
#include "memory.h"

bool main_cf_is_name(struct str name) {
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!ascii_is_alnum(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return name.length > 0;
}

bool main_cf_split(struct str text, struct str *name, struct str *value, struct failure *failure) {
    struct str before, after;
    if (!str_cut(text, '=', &before, &after))
        return failure_set(failure, "\"%.*s\" has no =; a setting is written name = value",
                           STR_ARGS(str_slice(text, 0, 80)));
    before = str_trim(before);
    if (before.length == 0)
        return failure_set(failure, "no name before the =; a setting is written name = value");
    if (!main_cf_is_name(before))
        return failure_set(failure, "\"%.*s\" is no name; names are made of letters, digits and underscores",
                           STR_ARGS(str_slice(before, 0, 80)));
    *name = before;
    *value = str_trim(after);
    return true;
}

struct parser {
    struct main_cf *main_cf;
    struct map *index; /* name to position + 1 */
    size_t capacity;
    struct main_cf_setting *settings; /* grown; moved to the arena at the end */
    size_t count;
    struct buf *errors; /* gets every error, if it is given; else the first ends it */
};

static void parser_add(struct parser *parser, struct str name, struct str value, size_t line) {
    struct main_cf_setting setting = {.line = line};
    struct buf squeezed = buf_make(0);
    config_squeeze(value, &squeezed);
    /* The arena has no limit, so copying cannot fail. */
    if (!arena_copy(parser->main_cf->arena, name, &setting.name) ||
        !arena_copy(parser->main_cf->arena, buf_str(&squeezed), &setting.value))
        memory_exhausted(value.length);
    buf_free(&squeezed);

    size_t position = (size_t)(uintptr_t)map_get(parser->index, name);
    if (position > 0) {
        struct main_cf_setting *earlier = &parser->settings[position - 1];
        setting.overrides_line = earlier->line;
        setting.overridden = earlier->value;
        *earlier = setting;
        return;
    }
    if (parser->count == parser->capacity) {
        parser->capacity = parser->capacity ? 2 * parser->capacity : 64;
        parser->settings = memory_resize(parser->settings, parser->capacity, sizeof(*parser->settings));
    }
    parser->settings[parser->count++] = setting;
    map_put(parser->index, name, (void *)(uintptr_t)parser->count);
}

static bool parser_run(struct parser *parser, struct str text, const char *file, struct failure *failure) {
    struct config_lines lines;
    struct config_line line;
    enum config_lines_result result;
    struct failure reason = {0};
    bool done = true;

    config_lines_start(&lines, text);
    while (done && (result = config_lines_next(&lines, &line, &reason)) != CONFIG_LINES_END) {
        struct str name = STR_EMPTY, value = STR_EMPTY;
        if (result == CONFIG_LINES_BAD)
            done = failure_set(failure, "%s, %s", file, reason.text);
        else if (!main_cf_split(line.text, &name, &value, &reason))
            done = failure_set(failure, "%s, line %zu: %s", file, line.number, reason.text);
        else if (parser->count == MAIN_CF_SETTINGS_MAX)
            done = failure_set(failure, "%s, line %zu: more than %d settings", file, line.number, MAIN_CF_SETTINGS_MAX);
        else
            parser_add(parser, name, value, line.number);
        if (!done && parser->errors)
            done = buf_printf(parser->errors, "%s\n", failure->text);
    }
    config_lines_finish(&lines);
    return done;
}

static bool parse(struct str text, const char *file, struct main_cf **main_cf, struct buf *errors,
                  struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct main_cf *made = ARENA_NEW(arena, struct main_cf);
    made->arena = arena;
    struct parser parser = {.main_cf = made, .index = map_create(), .errors = errors};

    bool done = parser_run(&parser, text, file, failure);
    if (done && parser.count > 0) {
        made->settings = arena_allocate(arena, parser.count, sizeof(*made->settings));
        memcpy(made->settings, parser.settings, parser.count * sizeof(*made->settings));
        made->count = parser.count;
    }
    map_destroy(&parser.index);
    MEMORY_FREE(parser.settings);
    if (!done) {
        arena_destroy(&arena);
        return false;
    }
    *main_cf = made;
    return true;
}

bool main_cf_parse(struct str text, const char *file, struct main_cf **main_cf, struct failure *failure) {
    return parse(text, file, main_cf, NULL, failure);
}

void main_cf_parse_all(struct str text, const char *file, struct main_cf **main_cf, struct buf *errors) {
    struct failure failure = {0};
    /* errors may be full: what was read up to there is not to be had then, and there is enough to mend. */
    if (!parse(text, file, main_cf, errors, &failure) && !main_cf_parse(STR_EMPTY, file, main_cf, &failure))
        memory_exhausted(0);
}

void main_cf_free(struct main_cf **main_cf) {
    if (!*main_cf)
        return;
    struct arena *arena = (*main_cf)->arena;
    arena_destroy(&arena);
    *main_cf = NULL;
}
