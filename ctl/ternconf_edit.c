/* ternconf: editing main.cf and master.cf (-e, -X, -#). */
#include "ternconf.h"

#include "config_edit.h"
#include "config_lines.h"
#include "main_cf.h"
#include "memory.h"

static enum config_edit_action action_of(const struct ternconf *run) {
    if (run->comment_out)
        return CONFIG_EDIT_COMMENT;
    return run->remove ? CONFIG_EDIT_REMOVE : CONFIG_EDIT_SET;
}

static void replace(const char *path, const struct buf *text) {
    struct failure failure = {0};
    if (!config_edit_replace(path, buf_str(text), &failure))
        ternconf_fatal("%s", failure.text);
}

static void move(struct buf *from, struct buf *to) {
    buf_free(to);
    *to = *from;
    *from = buf_make(0);
}

/* ---- main.cf */

void ternconf_edit_main(struct ternconf *run) {
    struct buf text = buf_make(0);
    ternconf_read(buf_string(&run->main_path), &text);
    for (size_t i = 0; i < run->argument_count; i++) {
        struct str argument = str_from(run->arguments[i]), name = str_trim(argument), value = STR_EMPTY;
        struct buf edited = buf_make(0);
        struct failure failure = {0};
        size_t count = 0;
        if (action_of(run) == CONFIG_EDIT_SET && !main_cf_split(argument, &name, &value, &failure))
            ternconf_fatal("%s", failure.text);
        if (!config_edit_setting(buf_str(&text), action_of(run), name, value, &edited, &count, &failure))
            ternconf_fatal("%s: %s", buf_string(&run->main_path), failure.text);
        if (count > 1)
            ternconf_warn("%s: multiple entries for \"%.*s\"", buf_string(&run->main_path), STR_ARGS(name));
        move(&edited, &text);
    }
    replace(buf_string(&run->main_path), &text);
    buf_free(&text);
}

/* ---- master.cf */

/* master.cf, being edited: its text, and the rows in it. */
struct draft {
    struct ternconf *run;
    struct buf text;
    struct master_cf *services;
};

static void draft_parse(struct draft *draft) {
    struct failure failure = {0};
    master_cf_free(&draft->services);
    if (!master_cf_parse(buf_str(&draft->text), buf_string(&draft->run->master_path), &draft->services, &failure))
        ternconf_fatal("%s", failure.text);
}

static struct draft draft_open(struct ternconf *run) {
    struct draft draft = {.run = run};
    ternconf_read(buf_string(&run->master_path), &draft.text);
    draft_parse(&draft);
    return draft;
}

static void draft_save(struct draft *draft) {
    replace(buf_string(&draft->run->master_path), &draft->text);
    buf_free(&draft->text);
    master_cf_free(&draft->services);
}

static void draft_edit(struct draft *draft, enum config_edit_action action, struct str name, enum master_cf_type type,
                       struct str replacement) {
    struct buf edited = buf_make(0);
    struct failure failure = {0};
    size_t count;
    if (!config_edit_row(buf_str(&draft->text), action, name, type, replacement, &edited, &count, &failure))
        ternconf_fatal("%s: %s", buf_string(&draft->run->master_path), failure.text);
    move(&edited, &draft->text);
    draft_parse(draft);
}

/* Checks a row's text and puts it, in good form, in the place of the one of that name and type. */
static void draft_set(struct draft *draft, struct str name, enum master_cf_type type, struct str text) {
    struct arena *arena = arena_create(0);
    struct master_cf_row row;
    struct buf formatted = buf_make(0);
    struct failure failure = {0};
    if (!master_cf_parse_row(text, arena, &row, &failure))
        ternconf_fatal("\"%.*s\": %s", STR_ARGS(text), failure.text);
    master_cf_format(&row, true, &formatted);
    draft_edit(draft, CONFIG_EDIT_SET, name, type, buf_str(&formatted));
    buf_free(&formatted);
    arena_destroy(&arena);
}

static bool find_type(struct str name, enum master_cf_type *type) {
    for (int i = MASTER_CF_INET; i <= MASTER_CF_UNIX_DGRAM; i++)
        if (str_equal(master_cf_type_name((enum master_cf_type)i), name)) {
            *type = (enum master_cf_type)i;
            return true;
        }
    return false;
}

/* Name and type of all rows that a pattern means; they stay valid while text is edited. */
struct target {
    struct str name;
    enum master_cf_type type;
};

static struct target *find_targets(struct draft *draft, struct str argument, struct ternconf_pattern pattern,
                                   struct arena *arena, size_t *count) {
    struct target *targets = arena_allocate(arena, draft->services->count + 1, sizeof(*targets));
    *count = 0;
    for (size_t i = 0; i < draft->services->count; i++) {
        const struct master_cf_row *row = &draft->services->rows[i];
        if (!ternconf_pattern_matches(&pattern, row, pattern.third))
            continue;
        targets[*count].type = row->type;
        if (!arena_copy(arena, row->name, &targets[*count].name))
            memory_exhausted(row->name.length);
        ++*count;
    }
    if (*count == 0)
        ternconf_warn("unmatched request: \"%.*s\"", STR_ARGS(argument));
    return targets;
}

static const struct master_cf_row *find_row(const struct draft *draft, const struct target *target) {
    for (size_t i = 0; i < draft->services->count; i++)
        if (draft->services->rows[i].type == target->type &&
            str_equal(draft->services->rows[i].name, target->name))
            return &draft->services->rows[i];
    return NULL;
}

static void split_assignment(struct str argument, struct str *left, struct str *right) {
    if (!str_cut(argument, '=', left, right))
        ternconf_fatal("\"%.*s\" has no =", STR_ARGS(argument));
    *left = str_trim(*left);
    *right = str_trim(*right);
}

/* -M service/type=row, -MX service/type, -M# service/type */
void ternconf_edit_services(struct ternconf *run) {
    struct draft draft = draft_open(run);
    struct arena *arena = arena_create(0);
    for (size_t i = 0; i < run->argument_count; i++) {
        struct str argument = str_from(run->arguments[i]), left = argument, right = STR_EMPTY;
        enum config_edit_action action = action_of(run);
        size_t count;
        if (action == CONFIG_EDIT_SET) {
            enum master_cf_type type;
            split_assignment(argument, &left, &right);
            struct ternconf_pattern pattern = ternconf_pattern_parse(left, 2);
            if (!find_type(pattern.type, &type))
                ternconf_fatal("\"%.*s\": service/type=row belongs here", STR_ARGS(argument));
            draft_set(&draft, pattern.service, type, right);
            continue;
        }
        struct target *targets = find_targets(&draft, argument, ternconf_pattern_parse(left, 2), arena, &count);
        for (size_t j = 0; j < count; j++)
            draft_edit(&draft, action, targets[j].name, targets[j].type, STR_EMPTY);
    }
    draft_save(&draft);
    arena_destroy(&arena);
}

/* The text of a row with one field changed. */
static void set_field(struct draft *draft, const struct target *target, struct str field, struct str value) {
    const struct master_cf_row *row = find_row(draft, target);
    struct buf text = buf_make(0);
    bool known = false;
    for (int i = 0; row && i < MASTER_CF_FIELDS; i++) {
        bool this = str_equal(master_cf_field_name((enum master_cf_field)i), field);
        known = known || this;
        buf_append(&text, this ? value : row->fields[i]);
        buf_append_char(&text, ' ');
    }
    if (!known)
        ternconf_fatal("\"%.*s\" is no field of master.cf", STR_ARGS(field));
    draft_set(draft, target->name, target->type, buf_str(&text));
    buf_free(&text);
}

/* -F service/type/field=value */
void ternconf_edit_fields(struct ternconf *run) {
    struct draft draft = draft_open(run);
    struct arena *arena = arena_create(0);
    for (size_t i = 0; i < run->argument_count; i++) {
        struct str left, right;
        size_t count;
        split_assignment(str_from(run->arguments[i]), &left, &right);
        struct ternconf_pattern pattern = ternconf_pattern_parse(left, 3);
        if (pattern.third.length == 0)
            ternconf_fatal("\"%s\": service/type/field=value belongs here", run->arguments[i]);
        struct target *targets = find_targets(&draft, left, pattern, arena, &count);
        for (size_t j = 0; j < count; j++)
            set_field(&draft, &targets[j], pattern.third, right);
    }
    draft_save(&draft);
    arena_destroy(&arena);
}

/* Appends "-o name=value" as master.cf wants it. */
static void append_override(struct buf *out, struct str name, struct str value) {
    bool braces = value.length == 0;
    for (size_t i = 0; i < value.length; i++)
        braces = braces || ascii_is_space(value.data[i]) || value.data[i] == '{' || value.data[i] == '}';
    buf_printf(out, braces ? " -o {%.*s = %.*s}" : " -o %.*s=%.*s", STR_ARGS(name), STR_ARGS(value));
}

/* Copies a command's words without the overrides of a name (all of them for *); where
 * the first one stood, or at the end, replacement comes. True if there was one. */
static bool copy_command(struct str command, struct str name, struct str replacement, struct buf *out) {
    struct failure ignored;
    struct str word, setting, key, value;
    bool braced, found = false;
    while (config_next_word(&command, &word, &braced, &ignored) == CONFIG_WORD) {
        if (!braced && str_equal(word, STR("-o")) &&
            config_next_word(&command, &setting, &braced, &ignored) == CONFIG_WORD &&
            main_cf_split(setting, &key, &value, &ignored)) {
            if (!str_equal(key, name) && !str_equal(name, STR("*"))) {
                append_override(out, key, value);
                continue;
            }
            if (!found)
                buf_append(out, replacement);
            found = true;
            continue;
        }
        buf_printf(out, braced ? " {%.*s}" : " %.*s", STR_ARGS(word));
    }
    if (!found)
        buf_append(out, replacement);
    return found;
}

static void set_parameter(struct draft *draft, const struct target *target, struct str name, struct str value) {
    const struct master_cf_row *row = find_row(draft, target);
    struct buf command = buf_make(0), override = buf_make(0);
    if (!row)
        return;
    if (action_of(draft->run) == CONFIG_EDIT_SET)
        append_override(&override, name, value);
    bool found = copy_command(row->fields[MASTER_CF_FIELD_COMMAND], name, buf_str(&override), &command);
    if (found || override.length > 0)
        set_field(draft, target, master_cf_field_name(MASTER_CF_FIELD_COMMAND), buf_str(&command));
    else
        ternconf_warn("unmatched request: \"%.*s/%.*s/%.*s\"", STR_ARGS(target->name),
                      STR_ARGS(master_cf_type_name(target->type)), STR_ARGS(name));
    buf_free(&command);
    buf_free(&override);
}

/* -P service/type/parameter=value, -PX service/type/parameter */
void ternconf_edit_service_parameters(struct ternconf *run) {
    struct draft draft = draft_open(run);
    struct arena *arena = arena_create(0);
    for (size_t i = 0; i < run->argument_count; i++) {
        struct str left = str_from(run->arguments[i]), right = STR_EMPTY;
        size_t count;
        if (action_of(run) == CONFIG_EDIT_SET)
            split_assignment(left, &left, &right);
        struct ternconf_pattern pattern = ternconf_pattern_parse(left, 3);
        if (pattern.third.length == 0)
            ternconf_fatal("\"%s\": service/type/parameter belongs here", run->arguments[i]);
        struct target *targets = find_targets(&draft, left, pattern, arena, &count);
        for (size_t j = 0; j < count; j++)
            set_parameter(&draft, &targets[j], pattern.third, right);
    }
    draft_save(&draft);
    arena_destroy(&arena);
}
