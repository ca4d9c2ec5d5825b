/* A sheet: settings and overrides over defaults, expanded when asked for. */
#include "config_sheet.h"

#include "config_lines.h"
#include "config_value.h"
#include "hash.h"
#include "memory.h"

/* One name that is set. */
struct entry {
    struct str name;
    struct str value;
    size_t line; /* of main.cf; 0: an override */
    bool used;   /* some value refers to it */
};

struct config_sheet {
    struct main_cf *main_cf; /* its arena holds all below, too */
    struct arena *arena;
    struct str file;
    struct config_system machine;
    struct entry *entries;
    size_t count;
    struct map *index;     /* name to entry */
    struct map *undefined; /* names that were looked up and are nowhere set */
    unsigned depth;        /* of defaults that need other values */
    bool lenient;          /* names that are set nowhere do not matter now */
    struct buf *errors;    /* gets what is wrong with values, if it is given; else the first ends it */
};

static struct str keep(struct arena *arena, struct str text) {
    struct str copy;
    if (!arena_copy(arena, text.data ? text : STR_EMPTY, &copy)) /* the arena has no limit */
        memory_exhausted(text.length);
    return copy;
}

static struct entry *find(const struct config_sheet *sheet, struct str name) {
    return map_get(sheet->index, name);
}

static void add(struct config_sheet *sheet, struct str name, struct str value, size_t line) {
    struct entry *entry = find(sheet, name);
    if (!entry) {
        entry = &sheet->entries[sheet->count++];
        entry->name = keep(sheet->arena, name);
        map_put(sheet->index, entry->name, entry);
    }
    entry->value = keep(sheet->arena, value);
    entry->line = line;
}

static void add_override(struct config_sheet *sheet, const struct config_override *override) {
    struct buf squeezed = buf_make(0);
    config_squeeze(override->value, &squeezed);
    add(sheet, override->name, buf_str(&squeezed), 0);
    buf_free(&squeezed);
}

/* The sheet takes main_cf over. */
static struct config_sheet *make_sheet(struct main_cf *main_cf, const char *file, const struct config_system *machine,
                                       const struct config_override *overrides, size_t override_count) {
    struct config_sheet *made = ARENA_NEW(main_cf->arena, struct config_sheet);
    made->main_cf = main_cf;
    made->arena = main_cf->arena;
    made->file = keep(made->arena, str_from(file));
    made->machine.hostname = keep(made->arena, machine->hostname);
    made->machine.networks_host = keep(made->arena, machine->networks_host);
    made->machine.networks_subnet = keep(made->arena, machine->networks_subnet);
    made->machine.networks_class = keep(made->arena, machine->networks_class);
    made->machine.config_directory = keep(made->arena, machine->config_directory);
    made->index = map_create();
    made->undefined = map_create();
    made->entries = arena_allocate(made->arena, main_cf->count + override_count + 1, sizeof(*made->entries));
    for (size_t i = 0; i < main_cf->count; i++)
        add(made, main_cf->settings[i].name, main_cf->settings[i].value, main_cf->settings[i].line);
    for (size_t i = 0; i < override_count; i++)
        add_override(made, &overrides[i]);
    return made;
}

bool config_sheet_create(struct str text, const char *file, const struct config_system *machine,
                         const struct config_override *overrides, size_t override_count, struct config_sheet **sheet,
                         struct failure *failure) {
    struct main_cf *main_cf;
    if (!main_cf_parse(text, file, &main_cf, failure))
        return false;
    *sheet = make_sheet(main_cf, file, machine, overrides, override_count);
    return true;
}

void config_sheet_create_all(struct str text, const char *file, const struct config_system *machine,
                             const struct config_override *overrides, size_t override_count,
                             struct config_sheet **sheet, struct buf *errors) {
    struct main_cf *main_cf;
    main_cf_parse_all(text, file, &main_cf, errors);
    *sheet = make_sheet(main_cf, file, machine, overrides, override_count);
}

void config_sheet_free(struct config_sheet **sheet) {
    if (!*sheet)
        return;
    map_destroy(&(*sheet)->index);
    map_destroy(&(*sheet)->undefined);
    struct main_cf *main_cf = (*sheet)->main_cf;
    main_cf_free(&main_cf); /* the arena holds the sheet itself */
    *sheet = NULL;
}

const struct main_cf *config_sheet_main_cf(const struct config_sheet *sheet) {
    return sheet->main_cf;
}

bool config_sheet_explicit(struct config_sheet *sheet, struct str name, struct str *value) {
    const struct entry *entry = find(sheet, name);
    if (entry)
        *value = entry->value;
    return entry != NULL;
}

/* ---- defaults that come from the machine */

/* The expanded value of a name, for a default that is made from it; text if that fails. */
static struct str value_of(struct config_sheet *sheet, struct str text) {
    struct buf expanded = buf_make(0);
    struct failure ignored;
    struct str value = STR_EMPTY;
    if (config_sheet_expand(sheet, text, &expanded, &ignored))
        value = keep(sheet->arena, buf_str(&expanded));
    buf_free(&expanded);
    return value;
}

static struct str default_hostname(struct config_sheet *sheet) {
    struct buf name = buf_make(0);
    struct str domain;
    if (str_find(sheet->machine.hostname, '.') != STR_NONE)
        return sheet->machine.hostname;
    domain = find(sheet, STR("mydomain")) ? value_of(sheet, STR("$mydomain")) : STR("localdomain");
    buf_printf(&name, "%.*s.%.*s", STR_ARGS(sheet->machine.hostname), STR_ARGS(domain));
    struct str kept = keep(sheet->arena, buf_str(&name));
    buf_free(&name);
    return kept;
}

static struct str default_domain(struct config_sheet *sheet) {
    struct str host = find(sheet, STR("myhostname")) ? value_of(sheet, STR("$myhostname")) : sheet->machine.hostname;
    struct str label, rest;
    return str_cut(host, '.', &label, &rest) && rest.length > 0 ? rest : STR("localdomain");
}

static struct str default_networks(struct config_sheet *sheet) {
    struct str style = value_of(sheet, STR("$mynetworks_style"));
    if (str_equal(value_of(sheet, STR("$inet_interfaces")), STR("loopback-only")))
        return STR("127.0.0.0/8 [::1]/128");
    if (str_equal(style, STR("subnet")))
        return sheet->machine.networks_subnet;
    return str_equal(style, STR("class")) ? sheet->machine.networks_class : sheet->machine.networks_host;
}

/* How often such defaults may need each other; more is a circle in main.cf. */
#define DEFAULT_DEPTH_MAX 3

static bool machine_default(struct config_sheet *sheet, struct str name, struct str *value) {
    struct str (*function)(struct config_sheet *) = NULL;
    if (str_equal(name, STR("config_directory"))) {
        *value = sheet->machine.config_directory.length > 0 ? sheet->machine.config_directory : STR(TERN_CONFIG_DIRECTORY);
        return true;
    }
    if (str_equal(name, STR("myhostname")))
        function = default_hostname;
    else if (str_equal(name, STR("mydomain")))
        function = default_domain;
    else if (str_equal(name, STR("mynetworks")))
        function = default_networks;
    if (!function)
        return false;
    *value = STR_EMPTY;
    if (sheet->depth < DEFAULT_DEPTH_MAX) {
        sheet->depth++;
        *value = function(sheet);
        sheet->depth--;
    }
    return true;
}

bool config_sheet_default(struct config_sheet *sheet, struct str name, struct str *value) {
    if (machine_default(sheet, name, value))
        return true;
    const struct parameter *parameter = parameter_find(name);
    if (parameter) {
        *value = parameter->value;
        return true;
    }
    const struct transport_parameter *row = transport_parameter_find(name);
    if (!row)
        return false;
    struct buf text = buf_make(0);
    buf_printf(&text, "$%.*s", STR_ARGS(row->fallback));
    *value = keep(sheet->arena, buf_str(&text));
    buf_free(&text);
    return true;
}

/* ---- expansion */

static bool value_of_name(void *context, struct str name, struct str *value, bool *literal) {
    struct config_sheet *sheet = context;
    struct entry *entry = find(sheet, name);
    if (entry) {
        entry->used = true;
        const struct parameter *parameter = parameter_find(name);
        *literal = parameter && parameter->type == PARAMETER_RAW;
        *value = entry->value;
        return true;
    }
    if (machine_default(sheet, name, value)) {
        *literal = true;
        return true;
    }
    if (config_sheet_default(sheet, name, value)) {
        const struct parameter *parameter = parameter_find(name);
        *literal = parameter && parameter->type == PARAMETER_RAW;
        return true;
    }
    if (!sheet->lenient && map_count(sheet->undefined) < MAIN_CF_SETTINGS_MAX)
        map_put(sheet->undefined, name, sheet);
    return false;
}

bool config_sheet_expand(struct config_sheet *sheet, struct str text, struct buf *expanded, struct failure *failure) {
    struct main_cf_lookup names = {.lookup = value_of_name, .context = sheet};
    return main_cf_expand(text, &names, expanded, failure);
}

/* Puts file and line before what is wrong with a name's value. */
static bool blame(const struct config_sheet *sheet, struct str name, struct failure *failure) {
    const struct entry *entry = find(sheet, name);
    if (entry && entry->line > 0)
        return failure_prefix(failure, "%.*s, line %zu: %.*s", STR_ARGS(sheet->file), entry->line, STR_ARGS(name));
    return failure_prefix(failure, entry ? "-o %.*s" : "default of %.*s", STR_ARGS(name));
}

/* Expands the value of a name; raw ones stay. */
static bool named_value(struct config_sheet *sheet, struct str name, bool raw, struct buf *value,
                        struct failure *failure) {
    struct str text = STR_EMPTY;
    bool literal = raw;
    struct buf squeezed = buf_make(0);
    const struct entry *entry = find(sheet, name);
    if (entry)
        text = entry->value;
    else if (machine_default(sheet, name, &text))
        literal = true;
    else
        config_sheet_default(sheet, name, &text);
    if (literal)
        return buf_append(value, text) || failure_set(failure, "%.*s: too long", STR_ARGS(name));
    if (!config_sheet_expand(sheet, text, &squeezed, failure)) {
        buf_free(&squeezed);
        return blame(sheet, name, failure);
    }
    buf_append(value, str_trim(buf_str(&squeezed)));
    buf_free(&squeezed);
    return true;
}

bool config_sheet_value(struct config_sheet *sheet, const struct parameter *parameter, struct buf *value,
                        struct failure *failure) {
    return named_value(sheet, parameter->name, parameter->type == PARAMETER_RAW, value, failure);
}

/* ---- what is used */

/* Marks what text refers to. Names that are set nowhere do not matter: commands hold
 * some for whoever runs them ($sender, $nexthop). */
static void use_references(struct config_sheet *sheet, struct str text) {
    struct buf ignored = buf_make(0);
    struct failure failure;
    sheet->lenient = true;
    if (str_find(text, '$') != STR_NONE && !config_sheet_expand(sheet, text, &ignored, &failure))
        buf_clear(&ignored); /* whoever evaluates it says what is wrong */
    sheet->lenient = false;
    buf_free(&ignored);
}

void config_sheet_use(struct config_sheet *sheet, struct str text) {
    struct entry *entry = find(sheet, text);
    if (entry)
        entry->used = true;
    else
        use_references(sheet, text);
}

void config_sheet_use_services(struct config_sheet *sheet, const struct master_cf *services) {
    for (size_t i = 0; services && i < services->count; i++) {
        const struct master_cf_row *row = &services->rows[i];
        for (size_t j = 0; j < row->override_count; j++)
            config_sheet_use(sheet, row->overrides[j].value);
        for (size_t j = 0; j < row->argument_count; j++)
            config_sheet_use(sheet, row->arguments[j]);
    }
}

/* Marks the words of a list as used. */
static void use_words(struct config_sheet *sheet, struct str name) {
    struct str rest = value_of(sheet, name), word;
    while (str_next_word(&rest, ", \t", &word)) {
        struct entry *entry = find(sheet, word);
        if (entry) {
            entry->used = true;
            config_sheet_use(sheet, entry->value);
        }
    }
}

void config_sheet_use_all(struct config_sheet *sheet) {
    for (size_t i = 0; i < parameter_count; i++) {
        const struct entry *entry = find(sheet, parameter_table[i].name);
        if (entry && parameter_table[i].type != PARAMETER_RAW)
            value_of(sheet, entry->value);
    }
    for (size_t i = 0; i < sheet->count; i++)
        if (transport_parameter_find(sheet->entries[i].name))
            value_of(sheet, sheet->entries[i].value);
        else
            use_references(sheet, sheet->entries[i].value);
    use_words(sheet, STR("$smtpd_restriction_classes"));
}

bool config_sheet_is_used(const struct config_sheet *sheet, struct str name) {
    const struct entry *entry = find(sheet, name);
    return parameter_find(name) || transport_parameter_find(name) || (entry && entry->used);
}

static void warn_unused(const struct config_sheet *sheet, const struct entry *entry, struct buf *warnings) {
    buf_append(warnings, sheet->file);
    if (parameter_is_foreign(entry->name)) {
        buf_printf(warnings, ", line %zu: %.*s is a parameter of Postfix that tern does not use\n", entry->line,
                   STR_ARGS(entry->name));
        return;
    }
    buf_printf(warnings, ": unused parameter: %.*s=%.*s", STR_ARGS(entry->name), STR_ARGS(entry->value));
    const struct parameter *nearest = parameter_nearest(entry->name);
    if (nearest)
        buf_printf(warnings, " (line %zu; did you mean %.*s?)", entry->line, STR_ARGS(nearest->name));
    buf_append_char(warnings, '\n');
}

void config_sheet_warnings(struct config_sheet *sheet, struct buf *warnings) {
    for (size_t i = 0; i < sheet->main_cf->count; i++) {
        const struct main_cf_setting *setting = &sheet->main_cf->settings[i];
        if (setting->overrides_line > 0)
            buf_printf(warnings, "%.*s, line %zu: overriding earlier entry: %.*s=%.*s\n", STR_ARGS(sheet->file),
                       setting->line, STR_ARGS(setting->name), STR_ARGS(setting->overridden));
    }
    for (size_t i = 0; i < sheet->count; i++)
        if (sheet->entries[i].line > 0 && !config_sheet_is_used(sheet, sheet->entries[i].name))
            warn_unused(sheet, &sheet->entries[i], warnings);
        else if (sheet->entries[i].line > 0 && parameter_is_idle(sheet->entries[i].name, sheet->entries[i].value))
            buf_printf(warnings, "%.*s, line %zu: %.*s has no effect: tern does not do this yet\n",
                       STR_ARGS(sheet->file), sheet->entries[i].line, STR_ARGS(sheet->entries[i].name));
    size_t cursor = 0;
    struct str name;
    void *value;
    while (map_next(sheet->undefined, &cursor, &name, &value))
        if (!parameter_is_foreign(name))
            buf_printf(warnings, "%.*s: undefined parameter: %.*s\n", STR_ARGS(sheet->file), STR_ARGS(name));
}

/* ---- evaluation */

/* After a failure: true if the rest is looked at all the same, for what else is wrong. */
static bool go_on(struct config_sheet *sheet, const struct failure *failure) {
    return sheet->errors && buf_printf(sheet->errors, "%s\n", failure->text);
}

static bool evaluate_rows(struct config_sheet *sheet, unsigned scope, struct config *config, struct failure *failure) {
    bool done = true;
    for (size_t i = 0; done && i < parameter_count; i++) {
        const struct parameter *parameter = &parameter_table[i];
        struct buf value = buf_make(0);
        if (!(parameter->scope & scope & SCOPE_ALL))
            continue;
        done = config_sheet_value(sheet, parameter, &value, failure);
        if (done && !config_value_store(config, parameter, buf_str(&value), failure))
            done = blame(sheet, parameter->name, failure);
        done = done || go_on(sheet, failure);
        buf_free(&value);
    }
    return done;
}

static bool add_extra(struct config_sheet *sheet, const struct entry *entry, const struct parameter *kind,
                      struct buf *extra, struct failure *failure) {
    struct buf value = buf_make(0);
    int64_t number = 0;
    bool done = named_value(sheet, entry->name, false, &value, failure);
    if (done && kind && !config_value_check(kind, buf_str(&value), &number, failure))
        done = blame(sheet, entry->name, failure);
    if (done) {
        buf_append(extra, entry->name);
        buf_append_char(extra, '=');
        if (kind && kind->type > PARAMETER_CHOICE)
            buf_printf(extra, "%lld", (long long)number);
        else
            buf_append(extra, buf_str(&value));
        buf_append_char(extra, '\n');
    }
    buf_free(&value);
    return done;
}

/* Restriction classes, and settings of transports that have no row of their own. */
static bool evaluate_extra(struct config_sheet *sheet, unsigned scope, struct config *config,
                           struct failure *failure) {
    struct buf extra = buf_make(0);
    bool done = true;
    struct str classes = config->smtpd_restriction_classes, word;
    while (done && str_next_word(&classes, ", \t", &word)) {
        const struct entry *entry = find(sheet, word);
        if (entry && !parameter_find(word))
            done = add_extra(sheet, entry, NULL, &extra, failure) || go_on(sheet, failure);
    }
    for (size_t i = 0; done && i < sheet->count; i++) {
        const struct entry *entry = &sheet->entries[i];
        const struct transport_parameter *row = transport_parameter_find(entry->name);
        if (!row || parameter_find(entry->name))
            continue;
        const struct parameter *kind = transport_parameter_fallback(row);
        if (kind && (kind->scope & scope & SCOPE_ALL))
            done = add_extra(sheet, entry, kind, &extra, failure) || go_on(sheet, failure);
    }
    if (done)
        config->extra = keep(config->arena, buf_str(&extra));
    buf_free(&extra);
    return done;
}

bool config_sheet_evaluate(struct config_sheet *sheet, unsigned scope, struct config **config,
                           struct failure *failure) {
    struct config *made = config_make_empty(scope & SCOPE_ALL);
    if (!evaluate_rows(sheet, scope, made, failure) || !evaluate_extra(sheet, scope, made, failure)) {
        config_free(&made);
        return false;
    }
    *config = made;
    return true;
}

void config_sheet_errors(struct config_sheet *sheet, struct buf *errors) {
    struct config *config = NULL;
    struct failure failure = {0};
    sheet->errors = errors;
    (void)!config_sheet_evaluate(sheet, SCOPE_ALL, &config, &failure);
    sheet->errors = NULL;
    config_free(&config);
}
