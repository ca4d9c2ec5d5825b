/* master.cf: the table of services. */
#include "master_cf.h"
#include "parameter.h"

#include "config_lines.h"
#include "main_cf.h"
#include "memory.h"

static const struct str field_names[MASTER_CF_FIELDS] = {
    [MASTER_CF_FIELD_SERVICE] = STR_INIT("service"),
    [MASTER_CF_FIELD_TYPE] = STR_INIT("type"),
    [MASTER_CF_FIELD_PRIVATE] = STR_INIT("private"),
    [MASTER_CF_FIELD_UNPRIVILEGED] = STR_INIT("unprivileged"),
    [MASTER_CF_FIELD_CHROOT] = STR_INIT("chroot"),
    [MASTER_CF_FIELD_WAKEUP] = STR_INIT("wakeup"),
    [MASTER_CF_FIELD_PROCESS_LIMIT] = STR_INIT("process_limit"),
    [MASTER_CF_FIELD_COMMAND] = STR_INIT("command"),
};

static const struct str type_names[] = {
    [MASTER_CF_INET] = STR_INIT("inet"),
    [MASTER_CF_UNIX] = STR_INIT("unix"),
    [MASTER_CF_FIFO] = STR_INIT("fifo"),
    [MASTER_CF_PASS] = STR_INIT("pass"),
    [MASTER_CF_UNIX_DGRAM] = STR_INIT("unix-dgram"),
};

struct str master_cf_type_name(enum master_cf_type type) {
    return type_names[type];
}

struct str master_cf_field_name(enum master_cf_field field) {
    return field_names[field];
}

static struct str keep(struct arena *arena, struct str text) {
    struct str copy;
    if (!arena_copy(arena, text, &copy)) /* the arena has no limit */
        memory_exhausted(text.length);
    return copy;
}

static bool parse_type(struct str text, enum master_cf_type *type, struct failure *failure) {
    for (size_t i = 0; i < ARRAY_LENGTH(type_names); i++)
        if (str_equal(type_names[i], text)) {
            *type = (enum master_cf_type)i;
            return true;
        }
    return failure_set(failure, "\"%.*s\" is no type; one of inet unix fifo pass unix-dgram stands in the second column",
                       STR_ARGS(text));
}

static bool parse_flag(struct str text, struct str column, bool otherwise, bool *flag, struct failure *failure) {
    if (str_equal(text, STR("-")))
        *flag = otherwise;
    else if (str_equal(text, STR("y")) || str_equal(text, STR("n")))
        *flag = text.data[0] == 'y';
    else
        return failure_set(failure, "\"%.*s\" in the column %.*s; y, n or - stands there", STR_ARGS(text),
                           STR_ARGS(column));
    return true;
}

static bool parse_wakeup(struct str text, struct master_cf_row *row, struct failure *failure) {
    struct str number = text;
    row->wakeup = 0;
    if (str_equal(text, STR("-")))
        return true;
    if (str_ends(number, STR("?"))) {
        row->wakeup_only_if_used = true;
        number = str_slice(number, 0, number.length - 1);
    }
    if (!str_to_i64(number, 0, PARAMETER_TIME_MAX, &row->wakeup))
        return failure_set(failure, "\"%.*s\" in the column wakeup; seconds, seconds? or - stand there", STR_ARGS(text));
    return true;
}

static bool parse_limit(struct str text, struct master_cf_row *row, struct failure *failure) {
    row->process_limit = -1;
    if (str_equal(text, STR("-")) || str_to_i64(text, 0, PARAMETER_COUNT_MAX, &row->process_limit))
        return true;
    return failure_set(failure, "\"%.*s\" in the column process_limit; a number or - stands there", STR_ARGS(text));
}

static bool check_name(const struct master_cf_row *row, struct failure *failure) {
    if (row->name.length == 0)
        return failure_set(failure, "an empty service name");
    if (row->type == MASTER_CF_INET)
        return true;
    if (str_find(row->name, '/') != STR_NONE || str_equal(row->name, STR(".")) || str_equal(row->name, STR("..")))
        return failure_set(failure, "\"%.*s\" is no service name; it becomes the name of a socket", STR_ARGS(row->name));
    return true;
}

/* The arguments of a command being collected. */
struct arguments {
    struct str words[MASTER_CF_ARGUMENTS_MAX];
    size_t word_count;
    struct config_override overrides[MASTER_CF_ARGUMENTS_MAX];
    size_t override_count;
    struct buf text; /* in the form of ternconf -M */
};

/* "{name = value}" again where the value needs it. */
static void write_override(struct buf *out, struct str name, struct str value) {
    bool braces = false;
    for (size_t i = 0; i < value.length; i++)
        braces = braces || ascii_is_space(value.data[i]);
    buf_append(out, braces ? STR("-o {") : STR("-o "));
    buf_append(out, name);
    buf_append_char(out, '=');
    buf_append(out, value);
    if (braces)
        buf_append_char(out, '}');
}

static bool add_override(struct arguments *arguments, struct str text, struct arena *arena, struct failure *failure) {
    struct str name, value;
    struct buf squeezed = buf_make(0);
    if (!main_cf_split(text, &name, &value, failure))
        return failure_prefix(failure, "after -o");
    if (arguments->override_count == MASTER_CF_ARGUMENTS_MAX)
        return failure_set(failure, "more than %d overrides", MASTER_CF_ARGUMENTS_MAX);
    config_squeeze(value, &squeezed);
    struct config_override *override = &arguments->overrides[arguments->override_count++];
    override->name = keep(arena, name);
    override->value = keep(arena, buf_str(&squeezed));
    buf_append_char(&arguments->text, ' ');
    write_override(&arguments->text, override->name, override->value);
    buf_free(&squeezed);
    return true;
}

static bool add_word(struct arguments *arguments, struct str word, bool braced, struct arena *arena,
                     struct failure *failure) {
    if (arguments->word_count == MASTER_CF_ARGUMENTS_MAX)
        return failure_set(failure, "more than %d arguments", MASTER_CF_ARGUMENTS_MAX);
    arguments->words[arguments->word_count++] = keep(arena, word);
    buf_append(&arguments->text, braced ? STR(" {") : STR(" "));
    buf_append(&arguments->text, word);
    if (braced)
        buf_append_char(&arguments->text, '}');
    return true;
}

static bool parse_arguments(struct str rest, struct arguments *arguments, struct arena *arena,
                            struct failure *failure) {
    for (;;) {
        struct str word;
        bool braced;
        enum config_word_result result = config_next_word(&rest, &word, &braced, failure);
        if (result != CONFIG_WORD)
            return result == CONFIG_WORD_END;
        if (!braced && str_starts(word, STR("-o"))) {
            /* -o name=value, or -oname=value. */
            struct str setting = str_from_offset(word, 2);
            if (setting.length == 0) {
                result = config_next_word(&rest, &setting, &braced, failure);
                if (result == CONFIG_WORD_END)
                    failure_set(failure, "nothing after -o; name=value or { name = value } belongs there");
                if (result != CONFIG_WORD)
                    return false;
            }
            if (!add_override(arguments, setting, arena, failure))
                return false;
        } else if (!add_word(arguments, word, braced, arena, failure)) {
            return false;
        }
    }
}

static void take_arguments(struct master_cf_row *row, const struct arguments *arguments, struct arena *arena) {
    if (arguments->word_count > 0) {
        struct str *words = arena_allocate(arena, arguments->word_count, sizeof(*words));
        memcpy(words, arguments->words, arguments->word_count * sizeof(*words));
        row->arguments = words;
        row->argument_count = arguments->word_count;
    }
    if (arguments->override_count > 0) {
        struct config_override *overrides = arena_allocate(arena, arguments->override_count, sizeof(*overrides));
        memcpy(overrides, arguments->overrides, arguments->override_count * sizeof(*overrides));
        row->overrides = overrides;
        row->override_count = arguments->override_count;
    }
}

static bool parse_columns(struct str text, struct str *rest, struct arena *arena, struct master_cf_row *row,
                          struct failure *failure) {
    for (size_t i = 0; i < MASTER_CF_FIELDS; i++) {
        struct str word;
        if (!str_next_word(&text, " \t", &word))
            return failure_set(failure,
                               "%zu columns where eight belong: service type private unprivileged chroot wakeup "
                               "process_limit command", i);
        row->fields[i] = keep(arena, word);
    }
    *rest = text;
    const struct str *fields = row->fields;
    row->name = fields[MASTER_CF_FIELD_SERVICE];
    row->command = fields[MASTER_CF_FIELD_COMMAND];
    return parse_type(fields[MASTER_CF_FIELD_TYPE], &row->type, failure) &&
           parse_flag(fields[MASTER_CF_FIELD_PRIVATE], field_names[MASTER_CF_FIELD_PRIVATE], true, &row->is_private,
                      failure) &&
           parse_flag(fields[MASTER_CF_FIELD_UNPRIVILEGED], field_names[MASTER_CF_FIELD_UNPRIVILEGED], true,
                      &row->is_unprivileged, failure) &&
           parse_flag(fields[MASTER_CF_FIELD_CHROOT], field_names[MASTER_CF_FIELD_CHROOT], false, &row->is_chroot,
                      failure) &&
           parse_wakeup(fields[MASTER_CF_FIELD_WAKEUP], row, failure) &&
           parse_limit(fields[MASTER_CF_FIELD_PROCESS_LIMIT], row, failure) && check_name(row, failure);
}

bool master_cf_parse_row(struct str text, struct arena *arena, struct master_cf_row *row, struct failure *failure) {
    struct master_cf_row made = {.line = 0};
    struct arguments *arguments = MEMORY_NEW(struct arguments);
    struct str rest;

    bool done = parse_columns(text, &rest, arena, &made, failure);
    if (done && made.type == MASTER_CF_INET)
        made.is_private = false;
    if (done) {
        buf_append(&arguments->text, made.command);
        done = parse_arguments(rest, arguments, arena, failure);
    }
    if (done) {
        take_arguments(&made, arguments, arena);
        made.fields[MASTER_CF_FIELD_COMMAND] = keep(arena, buf_str(&arguments->text));
        *row = made;
    }
    buf_free(&arguments->text);
    MEMORY_FREE(arguments);
    return done;
}

static const struct master_cf_row *find_same(const struct master_cf_row *rows, size_t count,
                                             const struct master_cf_row *row) {
    for (size_t i = 0; i < count; i++)
        if (rows[i].type == row->type && str_equal(rows[i].name, row->name))
            return &rows[i];
    return NULL;
}

/* Adds a line's row to rows, which hold MASTER_CF_ROWS_MAX. */
static bool add_row(const struct config_line *line, struct arena *arena, struct master_cf_row *rows, size_t *count,
                    struct failure *failure) {
    struct master_cf_row row = {.line = 0};
    bool done = master_cf_parse_row(line->text, arena, &row, failure);
    const struct master_cf_row *same = done ? find_same(rows, *count, &row) : NULL;
    if (same)
        done = failure_set(failure, "the service %.*s/%.*s stands already in line %zu", STR_ARGS(row.name),
                           STR_ARGS(master_cf_type_name(row.type)), same->line);
    else if (done && *count == MASTER_CF_ROWS_MAX)
        done = failure_set(failure, "more than %d services", MASTER_CF_ROWS_MAX);
    if (!done)
        return failure_prefix(failure, "line %zu", line->number);
    row.line = line->number;
    rows[(*count)++] = row;
    return true;
}

/* Parses all lines into rows. The first that is wrong ends it, unless errors is given. */
static bool parse_rows(struct str text, const char *file, struct arena *arena, struct master_cf_row *rows,
                       size_t *count, struct buf *errors, struct failure *failure) {
    struct config_lines lines;
    struct config_line line;
    enum config_lines_result result;
    bool done = true;

    config_lines_start(&lines, text);
    while (done && (result = config_lines_next(&lines, &line, failure)) != CONFIG_LINES_END) {
        done = result == CONFIG_LINES_LINE && add_row(&line, arena, rows, count, failure);
        if (!done && errors)
            done = buf_printf(errors, "%s, %s\n", file, failure->text);
    }
    config_lines_finish(&lines);
    return done;
}

static bool parse(struct str text, const char *file, struct master_cf **master_cf, struct buf *errors,
                  struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct master_cf *made = ARENA_NEW(arena, struct master_cf);
    struct master_cf_row *rows = memory_allocate(MASTER_CF_ROWS_MAX, sizeof(*rows));
    struct failure reason = {0};

    made->arena = arena;
    bool done = parse_rows(text, file, arena, rows, &made->count, errors, &reason);
    if (done && made->count > 0) {
        made->rows = arena_allocate(arena, made->count, sizeof(*rows));
        memcpy(made->rows, rows, made->count * sizeof(*rows));
    }
    MEMORY_FREE(rows);
    if (!done) {
        arena_destroy(&arena);
        return failure_set(failure, "%s, %s", file, reason.text);
    }
    *master_cf = made;
    return true;
}

bool master_cf_parse(struct str text, const char *file, struct master_cf **master_cf, struct failure *failure) {
    return parse(text, file, master_cf, NULL, failure);
}

static bool load(const char *directory, struct master_cf **master_cf, struct buf *errors, struct failure *failure) {
    struct buf path = buf_make(4096), text = buf_make(CONFIG_FILE_MAX);
    buf_printf(&path, "%s/master.cf", directory);
    bool done = buf_overflowed(&path) ? failure_set(failure, "the name of the directory is too long")
                                      : config_read_file(buf_string(&path), CONFIG_FILE_MAX, &text, failure) &&
                                            parse(buf_str(&text), buf_string(&path), master_cf, errors, failure);
    buf_free(&path);
    buf_free(&text);
    return done;
}

bool master_cf_load(const char *directory, struct master_cf **master_cf, struct failure *failure) {
    return load(directory, master_cf, NULL, failure);
}

bool master_cf_load_all(const char *directory, struct master_cf **master_cf, struct buf *errors) {
    struct failure failure = {0};
    size_t before = errors->length;
    *master_cf = NULL;
    if (!load(directory, master_cf, errors, &failure))
        buf_printf(errors, "%s\n", failure.text);
    return errors->length == before;
}

void master_cf_free(struct master_cf **master_cf) {
    if (!*master_cf)
        return;
    struct arena *arena = (*master_cf)->arena;
    arena_destroy(&arena);
    *master_cf = NULL;
}
