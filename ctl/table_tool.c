/* ternmap and ternalias: options, then one of make, update, delete, query, list.
 *
 * A table is always made as a new file and renamed into place, so there is no
 * moment at which a reader sees half of one, nor a signal that could leave it so. */
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lmdb_build.h"
#include "memory.h"
#include "table.h"
#include "table_tool.h"
#include "table_tool_config.h"
#include "table_types.h"
#include "table_words.h"

#define EXIT_NOT_FOUND 1
#define EXIT_FAILED    1
#define SOURCE_MAX     ((size_t)1 << 30)

enum action { ACTION_MAKE, ACTION_UPDATE, ACTION_DELETE, ACTION_QUERY, ACTION_LIST };

struct run {
    const struct table_tool *tool;
    const char *program;
    enum action action;
    const char *key; /* -d, -q; "-" reads keys from standard input */
    bool fold;
    bool replace;      /* -r */
    bool no_warning;   /* -r, -w */
    bool with_nul;     /* -N */
    bool stay_root;    /* -o */
    bool default_mode; /* -p */
    bool force_utf8; /* -U */
    bool no_utf8;    /* -u */
    bool check_utf8;
    bool json;
    bool verbose;
    const char *config_directory; /* -c; NULL: the usual one */
    struct table_tool_config config;
    char **names;
    int name_count;
};

/* One table to make: its names and what is known of its source. */
struct target {
    struct str type;
    struct str name; /* the source */
    struct buf path; /* the database */
    struct stat source;
    bool has_source;
    struct stat present;
    bool has_present;
};

static void tell(const struct run *run, const char *level, const char *text) {
    (void)fprintf(stderr, "%s: %s: %s\n", run->program, level, text);
}

static int fatal(const struct run *run, int status, const struct failure *failure) {
    tell(run, "fatal", failure->text);
    return status;
}

/* ---- output */

static void print_json(struct str s) {
    bool as_bytes = !str_is_utf8(s);
    (void)putchar('"');
    for (size_t i = 0; i < s.length; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '"' || c == '\\') (void)printf("\\%c", c);
        else if (c < ' ' || c == 0x7f || (as_bytes && c > 0x7f)) (void)printf("\\u%04x", c);
        else (void)putchar(c);
    }
    (void)putchar('"');
}

static void print_entry(const struct run *run, struct str key, struct str value, bool with_key) {
    if (run->json) {
        (void)putchar('{');
        print_json(key);
        (void)fputs(": ", stdout);
        print_json(value);
        (void)puts("}");
        return;
    }
    if (with_key) {
        (void)fwrite(key.data, 1, key.length, stdout);
        (void)fputs(run->tool->separator, stdout);
    }
    (void)fwrite(value.data, 1, value.length, stdout);
    (void)putchar('\n');
}

/* ---- names */

/* Fills type and name from [type:]name. */
static void split_name(const struct run *run, const char *argument, struct str *type, struct str *name) {
    struct str text = str_from(argument);
    if (str_cut(text, ':', type, name)) return;
    *type = str_from(run->config.default_type);
    *name = text;
}

static struct buf full_name(const struct run *run, const char *argument) {
    struct str type;
    struct str name;
    struct buf full = {0};
    split_name(run, argument, &type, &name);
    (void)buf_printf(&full, "%.*s:%.*s", STR_ARGS(type), STR_ARGS(name));
    return full;
}

/* Each line of standard input, for -q - and -d -. */
static bool next_input_line(char **line, size_t *size, struct str *text) {
    ssize_t length = getline(line, size, stdin);
    if (length < 0) return false;
    *text = str_make(*line, (size_t)length);
    while (text->length > 0 && (text->data[text->length - 1] == '\n' || text->data[text->length - 1] == '\r'))
        text->length--;
    return true;
}

/* ---- querying and listing */

static unsigned open_flags(const struct run *run) {
    return (run->fold ? (unsigned)TABLE_FOLD : 0) | (run->check_utf8 ? (unsigned)TABLE_UTF8 : 0);
}

static struct table *open_table(const struct run *run, const char *argument, struct failure *failure) {
    struct buf full = full_name(run, argument);
    struct table *table = NULL;
    if (!table_open(buf_str(&full), open_flags(run), &table, failure)) table = NULL;
    buf_free(&full);
    if (table == NULL) return NULL;
    struct str rest = table_warnings(table);
    struct str line;
    while (str_next_word(&rest, "\n", &line))
        (void)fprintf(stderr, "%s: warning: %.*s\n", run->program, STR_ARGS(line));
    return table;
}

static enum table_result query_key(const struct run *run, struct table **tables, struct str key, bool with_key,
                                   struct failure *failure) {
    enum table_result result = TABLE_ABSENT;
    struct buf value = {0};
    for (int i = 0; result == TABLE_ABSENT && i < run->name_count; i++)
        result = table_lookup(tables[i], key, &value, failure);
    if (result == TABLE_FOUND) print_entry(run, key, buf_str(&value), with_key);
    buf_free(&value);
    return result;
}

static int query_all(const struct run *run, struct table **tables, struct failure *failure) {
    bool found = false;
    if (!str_equal(str_from(run->key), STR("-"))) {
        enum table_result result = query_key(run, tables, str_from(run->key), false, failure);
        if (result == TABLE_RETRY) return fatal(run, EX_TEMPFAIL, failure);
        return result == TABLE_FOUND ? EX_OK : EXIT_NOT_FOUND;
    }
    char *line = NULL;
    size_t size = 0;
    struct str key;
    int status = EX_OK;
    while (status == EX_OK && next_input_line(&line, &size, &key)) {
        enum table_result result = query_key(run, tables, key, true, failure);
        if (result == TABLE_FOUND) found = true;
        if (result == TABLE_RETRY) status = fatal(run, EX_TEMPFAIL, failure);
    }
    MEMORY_FREE(line);
    return status != EX_OK ? status : found ? EX_OK : EXIT_NOT_FOUND;
}

static bool list_entry(void *context, struct str key, struct str value) {
    print_entry(context, key, value, true);
    return true;
}

static int list_all(struct run *run, struct table **tables, struct failure *failure) {
    for (int i = 0; i < run->name_count; i++)
        if (!table_each(tables[i], list_entry, run, failure)) return fatal(run, EX_TEMPFAIL, failure);
    return EX_OK;
}

static int ask_tables(struct run *run) {
    struct failure failure;
    struct table **tables = memory_allocate((size_t)run->name_count, sizeof(struct table *));
    int status = EX_OK;
    for (int i = 0; status == EX_OK && i < run->name_count; i++) {
        tables[i] = open_table(run, run->names[i], &failure);
        if (tables[i] == NULL) status = fatal(run, EX_TEMPFAIL, &failure);
    }
    if (status == EX_OK)
        status = run->action == ACTION_LIST ? list_all(run, tables, &failure) : query_all(run, tables, &failure);
    for (int i = 0; i < run->name_count; i++) table_close(&tables[i]);
    MEMORY_FREE(tables);
    if (fflush(stdout) != 0) {
        tell(run, "fatal", "cannot write to standard output");
        return EX_IOERR;
    }
    return status;
}

/* ---- making */

static bool target_prepare(const struct run *run, const char *argument, struct target *target,
                           struct failure *failure) {
    split_name(run, argument, &target->type, &target->name);
    const struct table_type *type = table_type_find(target->type);
    if (type == NULL) return failure_set(failure, "there is no table type \"%.*s\"", STR_ARGS(target->type));
    if (!type->writable)
        return failure_set(failure, "tables of type %.*s are used as they are, not made", STR_ARGS(target->type));
    if (!table_lmdb_path(target->name, &target->path)) return failure_set(failure, "the name is too long");
    char *source = memory_copy_string(target->name);
    target->has_source = stat(source, &target->source) == 0;
    MEMORY_FREE(source);
    target->has_present = stat(buf_string(&target->path), &target->present) == 0;
    return true;
}

/* Adds one entry; tells what is wrong with it. */
static void put_entry(const struct run *run, struct lmdb_build *build, struct str file,
                      const struct table_entry *entry) {
    struct buf folded = {0};
    struct str key = entry->key;
    size_t first = 0;
    if (run->check_utf8 && (!str_is_utf8(entry->key) || !str_is_utf8(entry->value))) {
        (void)fprintf(stderr, "%s: warning: %.*s, line %zu: not UTF-8: leaving out this entry\n", run->program,
                      STR_ARGS(file), entry->line);
        return;
    }
    if (run->fold) {
        table_fold(key, &folded);
        key = buf_str(&folded);
    }
    switch (lmdb_build_put(build, key, entry->value, entry->line, run->replace, &first)) {
    case LMDB_BUILD_NEW: break;
    case LMDB_BUILD_KEY_LENGTH:
        (void)fprintf(stderr, "%s: warning: %.*s, line %zu: the key is too long: leaving out this entry\n",
                      run->program, STR_ARGS(file), entry->line);
        break;
    case LMDB_BUILD_DUPLICATE:
        if (run->no_warning) break;
        (void)fprintf(stderr, "%s: warning: %.*s, line %zu: duplicate entry: \"%.*s\"", run->program, STR_ARGS(file),
                      entry->line, STR_ARGS(key));
        if (first > 0) (void)fprintf(stderr, " (first on line %zu)", first);
        (void)fputc('\n', stderr);
        break;
    }
    buf_free(&folded);
}

static void put_text(const struct run *run, struct lmdb_build *build, struct str file, struct str text) {
    struct table_source source;
    table_source_start(&source, run->tool->format, text);
    for (;;) {
        struct table_entry entry;
        struct failure why;
        enum table_source_result result = table_source_next(&source, &entry, &why);
        if (result == TABLE_SOURCE_END) break;
        if (result == TABLE_SOURCE_ENTRY) put_entry(run, build, file, &entry);
        else
            (void)fprintf(stderr, "%s: warning: %.*s, line %zu: %s: leaving out this entry\n", run->program,
                          STR_ARGS(file), entry.line, why.text);
    }
    table_source_finish(&source);
}

static bool read_standard_input(struct buf *text, struct failure *failure) {
    for (;;) {
        char piece[16384];
        size_t got = fread(piece, 1, sizeof piece, stdin);
        if (got == 0) break;
        if (text->length + got > SOURCE_MAX) return failure_set(failure, "standard input: too long");
        (void)buf_append_bytes(text, piece, got);
    }
    return !ferror(stdin) || failure_set_errno(failure, errno, "read standard input");
}

/* The new file looks like its source: who may read that may read this. */
static bool commit(const struct run *run, const struct target *target, struct lmdb_build *build,
                   struct failure *failure) {
    const struct stat *model = NULL;
    if (run->action != ACTION_MAKE && target->has_present) model = &target->present;
    else if (target->has_source) model = &target->source;
    mode_t mode = 0644;
    if (model != NULL && !run->default_mode) mode = 0600 | (model->st_mode & 044);
    uid_t owner = (uid_t)-1;
    gid_t group = (gid_t)-1;
    if (model != NULL && geteuid() == 0) {
        owner = model->st_uid;
        group = model->st_gid;
    }
    if (!lmdb_build_commit(build, mode, owner, group, run->with_nul, failure)) return false;
    if (run->verbose)
        (void)fprintf(stderr, "%s: info: %s: %zu entries\n", run->program, buf_string(&target->path),
                      lmdb_build_count(build));
    return true;
}

static bool make(const struct run *run, const struct target *target, struct failure *failure) {
    struct buf text = {0};
    struct lmdb_build *build = NULL;
    struct table_stamp stamp;
    bool update = run->action == ACTION_UPDATE;
    struct str file = update ? STR("standard input") : target->name;
    /* Locked before the source is read: the last one to make the file has the newest text. */
    bool done = lmdb_build_start(buf_str(&target->path), update && target->has_present, &build, failure);
    if (done)
        done = update ? read_standard_input(&text, failure)
                      : table_file_read(target->name, SOURCE_MAX, &text, &stamp, failure);
    if (done) {
        put_text(run, build, file, buf_str(&text));
        done = commit(run, target, build, failure);
    }
    lmdb_build_free(&build);
    buf_free(&text);
    return done;
}

static bool delete_key(const struct run *run, struct lmdb_build *build, struct str key) {
    struct buf folded = {0};
    if (run->fold) {
        table_fold(key, &folded);
        key = buf_str(&folded);
    }
    bool deleted = lmdb_build_delete(build, key);
    buf_free(&folded);
    return deleted;
}

/* Sets *found if any key was there. */
static bool delete_keys(const struct run *run, const struct target *target, bool *found, struct failure *failure) {
    struct lmdb_build *build = NULL;
    if (!lmdb_build_start(buf_str(&target->path), true, &build, failure)) return false;
    bool deleted = false;
    if (str_equal(str_from(run->key), STR("-"))) {
        char *line = NULL;
        size_t size = 0;
        struct str key;
        while (next_input_line(&line, &size, &key)) deleted |= delete_key(run, build, key);
        MEMORY_FREE(line);
    } else {
        deleted = delete_key(run, build, str_from(run->key));
    }
    bool done = !deleted || commit(run, target, build, failure);
    lmdb_build_free(&build);
    *found |= deleted;
    return done;
}

/* Root becomes the source's owner, so that a table in a user's directory is
 * written with that user's rights; back to root afterwards. */
static bool become_owner(const struct run *run, const struct target *target, bool *changed,
                         struct failure *failure) {
    const struct stat *model = target->has_source ? &target->source : target->has_present ? &target->present : NULL;
    if (run->stay_root || geteuid() != 0 || model == NULL || model->st_uid == 0) return true;
    gid_t group = model->st_gid;
    if (setgroups(1, &group) != 0 || setegid(group) != 0 || seteuid(model->st_uid) != 0)
        return failure_set_errno(failure, errno, "become the owner of %.*s", STR_ARGS(target->name));
    *changed = true;
    return true;
}

static void become_root(const struct run *run) {
    if (seteuid(0) == 0 && setegid(0) == 0) return;
    tell(run, "fatal", "cannot become root again");
    exit(EX_OSERR);
}

static int write_tables(const struct run *run) {
    bool found = false;
    int status = EX_OK;
    for (int i = 0; status == EX_OK && i < run->name_count; i++) {
        struct failure failure;
        struct target target = {0};
        bool changed = false;
        bool done =
            target_prepare(run, run->names[i], &target, &failure) && become_owner(run, &target, &changed, &failure);
        if (done)
            done = run->action == ACTION_DELETE ? delete_keys(run, &target, &found, &failure)
                                                : make(run, &target, &failure);
        if (!done) status = fatal(run, EXIT_FAILED, &failure);
        if (changed) become_root(run);
        buf_free(&target.path);
    }
    if (status == EX_OK && run->action == ACTION_DELETE && !found) status = EXIT_NOT_FOUND;
    return status;
}

/* ---- options */

static int usage(const struct run *run, const char *what) {
    if (what != NULL) tell(run, "fatal", what);
    (void)fprintf(stderr, "usage: %s %s\n", run->program, run->tool->usage);
    return EX_USAGE;
}

static bool set_action(struct run *run, enum action action, const char *key) {
    if (run->action != ACTION_MAKE) return false;
    run->action = action;
    run->key = key;
    return true;
}

/* EX_OK, or the status to exit with. */
static int parse_options(struct run *run, int argc, char **argv) {
    bool sound = true;
    int option;
    while (sound && (option = getopt(argc, argv, "FNUbc:d:fhijmnopq:rsuvw")) != -1) {
        switch (option) {
        case 'N': run->with_nul = true; break;
        case 'n': run->with_nul = false; break;
        case 'U': run->force_utf8 = true; break;
        case 'u': run->no_utf8 = true; break;
        case 'c': run->config_directory = optarg; break;
        case 'd': sound = set_action(run, ACTION_DELETE, optarg); break;
        case 'q': sound = set_action(run, ACTION_QUERY, optarg); break;
        case 's': sound = set_action(run, ACTION_LIST, NULL); break;
        case 'i': sound = set_action(run, ACTION_UPDATE, NULL); break;
        case 'f': run->fold = false; break;
        case 'j': run->json = true; break;
        case 'o': run->stay_root = true; break;
        case 'p': run->default_mode = true; break;
        case 'r': run->replace = run->no_warning = true; break;
        case 'w': run->no_warning = true; break;
        case 'v': run->verbose = true; break;
        case 'F': return usage(run, "-F (values from files) is not supported");
        case 'b':
        case 'h':
        case 'm': return usage(run, "-b, -h and -m (a message as input) are not supported");
        default: return usage(run, NULL);
        }
    }
    if (!sound) return usage(run, "specify only one of -d, -i, -q and -s");
    if (run->json && run->action != ACTION_QUERY && run->action != ACTION_LIST)
        return usage(run, "-j goes with -q or -s");
    run->name_count = argc - optind;
    if (run->name_count > 0) run->names = argv + optind;
    return EX_OK;
}

/* main.cf's part. Without -c a main.cf that cannot be read is no hindrance to
 * making a table that was named: installations make tables before they have one. */
static int read_config(struct run *run) {
    struct failure failure;
    bool wants_aliases = run->name_count == 0;
    bool loaded = table_tool_config_load(run->config_directory, &run->config, &failure);
    if (!loaded && (wants_aliases || run->config_directory != NULL)) return fatal(run, EXIT_FAILED, &failure);
    if (!loaded) {
        run->config.default_type = memory_copy_string(STR("lmdb"));
        run->config.utf8 = true;
    }
    run->check_utf8 = run->force_utf8 || (run->config.utf8 && !run->no_utf8);
    return EX_OK;
}

/* newaliases: the names are those of alias_database. */
static int take_alias_database(struct run *run) {
    struct str rest = str_from(run->config.alias_database);
    struct str word;
    enum table_word taken;
    while ((taken = table_word_next(&rest, &word)) == TABLE_WORD) {
        run->names = memory_resize(run->names, (size_t)run->name_count + 1, sizeof run->names[0]);
        run->names[run->name_count++] = memory_copy_string(word);
    }
    if (taken == TABLE_WORD_END) return EX_OK;
    tell(run, "fatal", "alias_database: braces are not balanced");
    return EXIT_FAILED;
}

static const char *program_name(const struct table_tool *tool, char **argv) {
    if (argv[0] == NULL || argv[0][0] == '\0') return tool->name;
    const char *slash = strrchr(argv[0], '/');
    return slash != NULL ? slash + 1 : argv[0];
}

static int act(struct run *run) {
    switch (run->action) {
    case ACTION_QUERY:
    case ACTION_LIST: return ask_tables(run);
    case ACTION_MAKE:
    case ACTION_UPDATE:
    case ACTION_DELETE: break;
    }
    return write_tables(run);
}

int table_tool_main(const struct table_tool *tool, int argc, char **argv) {
    struct run run = {.tool = tool, .program = program_name(tool, argv), .fold = true};
    bool newaliases = str_equal(str_from(run.program), STR("newaliases"));
    (void)umask(022);
    int status = parse_options(&run, argc, argv);
    bool from_config = status == EX_OK && run.name_count == 0;
    if (from_config && !newaliases) status = usage(&run, NULL);
    if (status == EX_OK) status = read_config(&run);
    if (status == EX_OK && from_config) status = take_alias_database(&run);
    if (status == EX_OK) status = act(&run);
    if (from_config) {
        for (int i = 0; i < run.name_count; i++) MEMORY_FREE(run.names[i]);
        MEMORY_FREE(run.names);
    }
    MEMORY_FREE(run.config.default_type);
    MEMORY_FREE(run.config.alias_database);
    return status;
}
