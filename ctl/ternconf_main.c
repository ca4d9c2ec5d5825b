/* ternconf: printing the parameters of main.cf. */
#include "ternconf.h"

#include "main_cf.h"
#include "memory.h"

/* The names to print, sorted. */
struct names {
    struct str *names;
    size_t count, capacity;
};

static void add(struct names *names, struct str name) {
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 512;
        names->names = memory_resize(names->names, names->capacity, sizeof(*names->names));
    }
    names->names[names->count++] = name;
}

static int by_name(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void sort_unique(struct names *names) {
    size_t kept = 0;
    if (names->count == 0)
        return;
    qsort(names->names, names->count, sizeof(*names->names), by_name);
    for (size_t i = 1; i < names->count; i++)
        if (!str_equal(names->names[i], names->names[kept]))
            names->names[++kept] = names->names[i];
    names->count = kept + 1;
}

/* Programs that deliver: their services have settings of their own. */
static bool is_agent(struct str command) {
    static const struct str agents[] = {STR_INIT("smtp"),  STR_INIT("lmtp"),    STR_INIT("local"), STR_INIT("virtual"),
                                        STR_INIT("error"), STR_INIT("discard"), STR_INIT("retry"), STR_INIT("pipe")};
    for (size_t i = 0; i < ARRAY_LENGTH(agents); i++)
        if (str_equal(agents[i], command))
            return true;
    return false;
}

static void add_service_names(struct names *names, const struct master_cf *services, struct arena *arena) {
    for (size_t i = 0; services && i < services->count; i++) {
        if (!is_agent(services->rows[i].command))
            continue;
        for (size_t j = 0; j < transport_parameter_count; j++) {
            struct buf name = buf_make(0);
            struct str kept;
            buf_printf(&name, "%.*s_%.*s", STR_ARGS(services->rows[i].name),
                       STR_ARGS(transport_parameter_table[j].suffix));
            bool wanted = !str_equal(transport_parameter_table[j].suffix, STR("time_limit")) ||
                          str_equal(services->rows[i].command, STR("pipe"));
            if (wanted && !parameter_find(buf_str(&name)) && arena_copy(arena, buf_str(&name), &kept))
                add(names, kept);
            buf_free(&name);
        }
    }
}

static unsigned class_of(const struct config_sheet *sheet, struct str name) {
    if (parameter_find(name))
        return CLASS_BUILTIN;
    if (transport_parameter_find(name))
        return CLASS_SERVICE;
    return config_sheet_is_used(sheet, name) ? CLASS_USER : 0;
}

static void add_all_names(const struct ternconf *run, struct config_sheet *sheet, const struct master_cf *services,
                          struct arena *arena, struct names *names) {
    const struct main_cf *main_cf = config_sheet_main_cf(sheet);
    if (run->classes & CLASS_BUILTIN)
        for (size_t i = 0; i < parameter_count; i++)
            add(names, parameter_table[i].name);
    if (run->classes & CLASS_SERVICE)
        add_service_names(names, services, arena);
    for (size_t i = 0; !run->defaults && i < main_cf->count; i++)
        if (class_of(sheet, main_cf->settings[i].name) & run->classes)
            add(names, main_cf->settings[i].name);
    for (size_t i = 0; i < run->override_count; i++)
        if (class_of(sheet, run->overrides[i].name) & run->classes)
            add(names, run->overrides[i].name);
    sort_unique(names);
}

/* The value to print; false if there is none. */
static bool find_value(const struct ternconf *run, struct config_sheet *sheet, struct str name, struct str *value) {
    if (!run->defaults && config_sheet_explicit(sheet, name, value))
        return true;
    /* -c sets it, in a way. */
    bool elsewhere = str_equal(name, STR("config_directory")) && strcmp(run->directory, TERN_CONFIG_DIRECTORY) != 0;
    return (!run->explicit_only || elsewhere) && config_sheet_default(sheet, name, value);
}

static void show(struct ternconf *run, struct config_sheet *sheet, struct str name, struct str value) {
    const struct parameter *parameter = parameter_find(name);
    struct buf expanded = buf_make(0);
    struct failure failure = {0};
    if (!run->expand || (parameter && parameter->type == PARAMETER_RAW)) {
        ternconf_print(run, name, value);
    } else if (config_sheet_expand(sheet, value, &expanded, &failure)) {
        ternconf_print(run, name, buf_str(&expanded));
    } else {
        ternconf_warn("%.*s: %s", STR_ARGS(name), failure.text);
        run->status = EXIT_FAILURE;
        ternconf_print(run, name, value);
    }
    buf_free(&expanded);
}

static void warn_unknown(struct str name) {
    const struct parameter *nearest = parameter_nearest(name);
    if (parameter_is_foreign(name))
        ternconf_warn("%.*s: a parameter of Postfix that tern does not use", STR_ARGS(name));
    else if (nearest)
        ternconf_warn("%.*s: unknown parameter (did you mean %.*s?)", STR_ARGS(name), STR_ARGS(nearest->name));
    else
        ternconf_warn("%.*s: unknown parameter", STR_ARGS(name));
}

static void show_named(struct ternconf *run, struct config_sheet *sheet) {
    for (size_t i = 0; i < run->argument_count; i++) {
        struct str name = str_from(run->arguments[i]), value;
        bool user = !run->defaults && config_sheet_explicit(sheet, name, &value) && config_sheet_is_used(sheet, name);
        if (!user && !parameter_find(name) && !transport_parameter_find(name))
            warn_unknown(name);
        else if (find_value(run, sheet, name, &value))
            show(run, sheet, name, value);
    }
}

static void print_warnings(const struct ternconf *run, struct config_sheet *sheet) {
    struct buf warnings = buf_make(0);
    struct str rest, line;
    config_sheet_warnings(sheet, &warnings);
    rest = buf_str(&warnings);
    while (!run->quiet && str_next_word(&rest, "\n", &line))
        ternconf_warn("%.*s", STR_ARGS(line));
    buf_free(&warnings);
}

void ternconf_show_main(struct ternconf *run) {
    struct config_sheet *sheet = ternconf_sheet(run);
    struct master_cf *services = NULL;
    struct arena *arena = arena_create(0);
    struct names names = {.count = 0};
    struct failure ignored;

    if (!master_cf_load(run->directory, &services, &ignored))
        services = NULL; /* parameters can be printed without it */
    config_sheet_use_all(sheet);
    config_sheet_use_services(sheet, services);
    if (run->argument_count > 0) {
        show_named(run, sheet);
    } else {
        add_all_names(run, sheet, services, arena, &names);
        for (size_t i = 0; i < names.count; i++) {
            struct str value;
            if (find_value(run, sheet, names.names[i], &value))
                show(run, sheet, names.names[i], value);
        }
    }
    fflush(stdout);
    if (!run->defaults)
        print_warnings(run, sheet);
    MEMORY_FREE(names.names);
    arena_destroy(&arena);
    master_cf_free(&services);
    config_sheet_free(&sheet);
}
