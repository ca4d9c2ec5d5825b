/* ternconf: printing master.cf: rows (-M), fields (-F), overrides (-P). */
#include "ternconf.h"

#include "config_edit.h"
#include "memory.h"

/* The arguments as patterns; without any, one that matches all. */
struct patterns {
    struct ternconf_pattern *list;
    size_t count;
};

static struct patterns make_patterns(const struct ternconf *run, size_t parts) {
    struct patterns patterns = {.count = run->argument_count > 0 ? run->argument_count : 1};
    patterns.list = memory_allocate(patterns.count, sizeof(*patterns.list));
    patterns.list[0] = (struct ternconf_pattern){.service = STR_EMPTY, .type = STR_EMPTY, .third = STR_EMPTY};
    for (size_t i = 0; i < run->argument_count; i++)
        patterns.list[i] = ternconf_pattern_parse(str_from(run->arguments[i]), parts);
    return patterns;
}

static bool any_matches(struct patterns *patterns, const struct master_cf_row *row, struct str third) {
    bool matches = false;
    for (size_t i = 0; i < patterns->count; i++)
        matches = ternconf_pattern_matches(&patterns->list[i], row, third) || matches;
    return matches;
}

static void finish_patterns(const struct ternconf *run, struct patterns *patterns) {
    for (size_t i = 0; i < run->argument_count; i++)
        if (!patterns->list[i].matched)
            ternconf_warn("unmatched request: \"%s\"", run->arguments[i]);
    MEMORY_FREE(patterns->list);
}

void ternconf_show_services(struct ternconf *run) {
    struct master_cf *services = ternconf_services(run);
    struct patterns patterns = make_patterns(run, 2);
    for (size_t i = 0; i < services->count; i++) {
        const struct master_cf_row *row = &services->rows[i];
        struct buf text = buf_make(0), name = buf_make(0);
        if (!any_matches(&patterns, row, STR_EMPTY))
            continue;
        master_cf_format(row, run->fold && !run->json, &text);
        buf_printf(&name, "%.*s/%.*s", STR_ARGS(row->name), STR_ARGS(master_cf_type_name(row->type)));
        if (run->json)
            ternconf_print(run, buf_str(&name), buf_str(&text));
        else
            printf("%s\n", buf_string(&text));
        buf_free(&text);
        buf_free(&name);
    }
    finish_patterns(run, &patterns);
    master_cf_free(&services);
}

static void print_part(const struct ternconf *run, const struct master_cf_row *row, struct str third,
                       struct str value) {
    struct buf name = buf_make(0);
    buf_printf(&name, "%.*s/%.*s/%.*s", STR_ARGS(row->name), STR_ARGS(master_cf_type_name(row->type)),
               STR_ARGS(third));
    ternconf_print(run, buf_str(&name), value);
    buf_free(&name);
}

static void check_field_name(struct str name) {
    if (name.length == 0 || str_equal(name, STR("*")))
        return;
    for (int i = 0; i < MASTER_CF_FIELDS; i++)
        if (str_equal(master_cf_field_name((enum master_cf_field)i), name))
            return;
    ternconf_fatal("invalid service attribute name: \"%.*s\"", STR_ARGS(name));
}

void ternconf_show_fields(struct ternconf *run) {
    struct master_cf *services = ternconf_services(run);
    struct patterns patterns = make_patterns(run, 3);
    for (size_t i = 0; i < patterns.count; i++)
        check_field_name(patterns.list[i].third);
    for (size_t i = 0; i < services->count; i++)
        for (int j = 0; j < MASTER_CF_FIELDS; j++) {
            struct str field = master_cf_field_name((enum master_cf_field)j);
            if (any_matches(&patterns, &services->rows[i], field))
                print_part(run, &services->rows[i], field, services->rows[i].fields[j]);
        }
    finish_patterns(run, &patterns);
    master_cf_free(&services);
}

static int by_name(const void *a, const void *b) {
    return str_compare(((const struct config_override *)a)->name, ((const struct config_override *)b)->name);
}

/* -x: as the service will see it, main.cf below its own overrides. */
static void print_parameter(struct ternconf *run, struct config_sheet *sheet, const struct master_cf_row *row,
                            struct str name, struct str value) {
    struct buf expanded = buf_make(0);
    struct failure failure = {0};
    const struct parameter *parameter = parameter_find(name);
    if (run->expand && !(parameter && parameter->type == PARAMETER_RAW)) {
        if (config_sheet_expand(sheet, value, &expanded, &failure))
            value = buf_str(&expanded);
        else
            ternconf_warn("%.*s: %s", STR_ARGS(name), failure.text);
    }
    print_part(run, row, name, value);
    buf_free(&expanded);
}

/* What row overrides; with -PP also what it does not. */
static void show_parameters(struct ternconf *run, struct patterns *patterns, const struct master_cf_row *row) {
    struct config_override *sorted = memory_allocate(row->override_count + 1, sizeof(*sorted));
    struct ternconf with = *run;
    if (row->override_count > 0)
        memcpy(sorted, row->overrides, row->override_count * sizeof(*sorted));
    qsort(sorted, row->override_count, sizeof(*sorted), by_name);
    for (size_t i = 0; i < row->override_count && with.override_count < OVERRIDES_MAX; i++)
        with.overrides[with.override_count++] = row->overrides[i];
    struct config_sheet *sheet = ternconf_sheet(&with);

    for (size_t i = 0; i < row->override_count; i++) {
        /* The last of several counts, as for the service. */
        if (i + 1 < row->override_count && str_equal(sorted[i].name, sorted[i + 1].name))
            continue;
        struct str value = sorted[i].value;
        config_sheet_explicit(sheet, sorted[i].name, &value);
        if (any_matches(patterns, row, sorted[i].name))
            print_parameter(run, sheet, row, sorted[i].name, value);
    }
    for (size_t i = 0; run->service_parameters > 1 && i < parameter_count; i++) {
        struct config_override key = {.name = parameter_table[i].name, .value = STR_EMPTY};
        struct str value;
        if (bsearch(&key, sorted, row->override_count, sizeof(*sorted), by_name) ||
            !any_matches(patterns, row, key.name))
            continue;
        if (config_sheet_explicit(sheet, key.name, &value) || config_sheet_default(sheet, key.name, &value))
            print_parameter(run, sheet, row, key.name, value);
    }
    config_sheet_free(&sheet);
    MEMORY_FREE(sorted);
}

static void warn_overrides(const struct ternconf *run, const struct master_cf *services) {
    for (size_t i = 0; !run->quiet && i < services->count; i++)
        for (size_t j = 0; j < services->rows[i].override_count; j++) {
            const struct config_override *override = &services->rows[i].overrides[j];
            if (parameter_is_idle(override->name, override->value))
                ternconf_warn("%s, line %zu: %.*s has no effect: tern does not do this yet",
                              buf_string(&run->master_path), services->rows[i].line, STR_ARGS(override->name));
            if (parameter_find(override->name) || transport_parameter_find(override->name))
                continue;
            if (parameter_is_foreign(override->name))
                ternconf_warn("%s, line %zu: %.*s is a parameter of Postfix that tern does not use",
                              buf_string(&run->master_path), services->rows[i].line, STR_ARGS(override->name));
            else
                ternconf_warn("%s: unused parameter: %.*s=%.*s", buf_string(&run->master_path),
                              STR_ARGS(override->name), STR_ARGS(override->value));
        }
}

void ternconf_show_service_parameters(struct ternconf *run) {
    struct master_cf *services = ternconf_services(run);
    struct patterns patterns = make_patterns(run, 3);
    for (size_t i = 0; i < services->count; i++)
        show_parameters(run, &patterns, &services->rows[i]);
    fflush(stdout);
    finish_patterns(run, &patterns);
    warn_overrides(run, services);
    master_cf_free(&services);
}
