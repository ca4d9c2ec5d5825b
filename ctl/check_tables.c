/* tern check: the tables that the configuration names.
 *
 * They are opened as the lookup service opens them: by its user, so that a file which
 * that user cannot read is found too. */
#include "tern.h"

#include "hash.h"
#include "master_cf.h"
#include "memory.h"
#include "table.h"
#include "table_types.h"
#include "table_words.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct table_check {
    struct map *seen; /* type:name that have been opened */
    struct str service; /* whose settings these are; empty: main.cf */
    bool good;
};

static void find(struct table_check *check, struct str parameter, const char *text) {
    check->good = false;
    if (check->service.length > 0)
        tern_complain("service %.*s: %.*s: %s", STR_ARGS(check->service), STR_ARGS(parameter), text);
    else
        tern_complain("%.*s: %s", STR_ARGS(parameter), text);
}

/* ---- one table */

static bool is_newer(const struct stat *a, const struct stat *b) {
    return a->st_mtim.tv_sec > b->st_mtim.tv_sec ||
           (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec > b->st_mtim.tv_nsec);
}

/* A file that ternmap or ternalias makes from a text beside it. */
static void check_age(struct table_check *check, struct str parameter, struct str type_name) {
    struct str type;
    struct str name;
    struct stat source;
    struct stat made;
    const struct table_type *row = str_cut(type_name, ':', &type, &name) ? table_type_find(type) : NULL;
    if (row == NULL || !row->writable)
        return;
    char *text = memory_copy_string(name);
    struct buf path = buf_make(0);
    struct buf words = buf_make(0);
    bool aliases = str_equal(parameter, STR("alias_maps")) || str_equal(parameter, STR("alias_database"));
    if (table_lmdb_path(name, &path) && stat(text, &source) == 0 && stat(buf_string(&path), &made) == 0 &&
        is_newer(&source, &made)) {
        buf_printf(&words, "%s is older than %s: %s %.*s makes it anew", buf_string(&path), text,
                   aliases ? "ternalias" : "ternmap", STR_ARGS(type_name));
        find(check, parameter, buf_string(&words));
    }
    buf_free(&words);
    buf_free(&path);
    MEMORY_FREE(text);
}

static void check_table(struct table_check *check, struct str parameter, struct str type_name) {
    struct table *table = NULL;
    struct failure failure = {0};
    if (map_get(check->seen, type_name) != NULL)
        return;
    map_put(check->seen, type_name, check);
    if (!table_open(type_name, TABLE_FOLD, &table, &failure)) {
        failure_prefix(&failure, "table %.*s does not open", STR_ARGS(type_name));
        find(check, parameter, failure.text);
        return;
    }
    struct str warnings = table_warnings(table);
    struct str line;
    while (str_next_word(&warnings, "\n", &line)) {
        char *text = memory_copy_string(line);
        find(check, parameter, text);
        MEMORY_FREE(text);
    }
    table_close(&table);
    check_age(check, parameter, type_name);
}

/* ---- where tables are named */

/* In a list of tables every element is one; in another list those that begin with a type. */
static void check_value(struct table_check *check, struct str parameter, struct str value, bool all) {
    struct str word;
    struct str type;
    struct str name;
    while (table_word_next(&value, &word) == TABLE_WORD) {
        while (str_starts(word, STR("!")))
            word = str_from_offset(word, 1);
        while (str_starts(word, STR("proxy:")))
            word = str_from_offset(word, 6);
        bool is_table = str_cut(word, ':', &type, &name);
        if (is_table && str_equal(type, STR("unix")))
            continue; /* the system's accounts, or a server's socket */
        if (all || (is_table && table_type_find(type) != NULL))
            check_table(check, parameter, word);
    }
}

static void check_classes(struct table_check *check, const struct config *config) {
    struct str rest = config->smtpd_restriction_classes;
    struct str name;
    struct str value;
    while (str_next_word(&rest, ", \t\r\n", &name))
        if (config_user_value(config, name, &value))
            check_value(check, name, value, false);
}

static void check_config(struct table_check *check, const struct config *config) {
    for (size_t i = 0; i < parameter_count; i++) {
        const struct parameter *parameter = &parameter_table[i];
        struct config_number scratch;
        bool all = parameter->type == PARAMETER_TABLES;
        struct str value = config_value(config, parameter, &scratch);
        /* A list as it comes with tern is none of the operator's faults. */
        if (all || (parameter->type == PARAMETER_LIST && !str_equal(value, parameter->value)))
            check_value(check, parameter->name, value, all);
    }
    check_classes(check, config);
}

/* Services may have settings of their own. */
static void check_services(struct table_check *check, const char *directory) {
    struct master_cf *services = NULL;
    struct failure failure = {0};
    if (!master_cf_load(directory, &services, &failure))
        return; /* which has been said */
    for (size_t i = 0; i < services->count; i++) {
        const struct master_cf_row *row = &services->rows[i];
        struct config *config = NULL;
        if (row->override_count == 0 ||
            !config_load(directory, row->overrides, row->override_count, SCOPE_ALL, &config, NULL, &failure))
            continue;
        check->service = row->name;
        check_config(check, config);
        config_free(&config);
    }
    master_cf_free(&services);
}

/* ---- as whom */

static bool become_lookup(const struct config *config) {
    uid_t user;
    gid_t group;
    if (!accounts_find(config->mail_owner.data, "lookup", &user, &group))
        return false;
    if (geteuid() != 0 || user == 0)
        return true;
    if (setgroups(0, NULL) == 0 && setresgid(group, group, group) == 0 && setresuid(user, user, user) == 0)
        return true;
    tern_complain("cannot become user %u to open tables: %s", (unsigned)user, strerror(errno));
    return false;
}

static bool check_as_lookup(const char *directory, const struct config *config) {
    struct table_check check = {.seen = map_create(), .good = true};
    if (!become_lookup(config))
        return false;
    check_config(&check, config);
    check_services(&check, directory);
    map_destroy(&check.seen);
    return check.good;
}

bool check_tables(const char *directory, const struct config *config) {
    int status = 0;
    fflush(stderr);
    pid_t pid = fork();
    if (pid == 0)
        _exit(check_as_lookup(directory, config) ? EXIT_SUCCESS : EXIT_FAILURE);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        tern_complain("fork: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        tern_complain("the check of tables died on signal %d", WTERMSIG(status));
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}
