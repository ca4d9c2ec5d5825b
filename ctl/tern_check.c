/* tern check: the configuration, and the directories it names.
 *
 * The table of directories is the whole layout of the spool; tern check and
 * tern start make what is missing and complain of what is wrong. */
#include "tern.h"

#include "master_cf.h"
#include "memory.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the configuration */

static void print_lines(const char *prefix, const struct buf *text) {
    struct str rest = buf_str(text);
    struct str line;
    while (str_next_word(&rest, "\n", &line))
        tern_complain("%s%.*s", prefix, STR_ARGS(line));
}

/* What is wrong with main.cf itself is wrong for every row, and is not said again. */
static void print_new_lines(const struct master_cf_row *row, const struct buf *text, const struct buf *known) {
    struct str rest = buf_str(text);
    struct str line;
    while (str_next_word(&rest, "\n", &line))
        if (str_find_str(buf_str(known), line) == STR_NONE)
            tern_complain("service %.*s: %.*s", STR_ARGS(row->name), STR_ARGS(line));
}

/* A row's overrides are checked by loading the configuration with them, as master will. */
static bool check_row(const struct tern *tern, const struct master_cf_row *row, const struct buf *known) {
    struct buf errors = buf_make(CONFIG_FILE_MAX);
    bool good = config_check(tern->config_directory, row->overrides, row->override_count, &errors, NULL);
    print_new_lines(row, &errors, known);
    buf_free(&errors);
    return good;
}

/* Overrides that change nothing: of Postfix's parameters that tern has not, or does not heed yet. */
static void warn_overrides(const struct master_cf_row *row) {
    for (size_t i = 0; i < row->override_count; i++) {
        struct str name = row->overrides[i].name;
        bool foreign = parameter_is_foreign(name);
        if (foreign || parameter_is_idle(name, row->overrides[i].value))
            tern_complain("warning: master.cf, line %zu: %.*s %s", row->line, STR_ARGS(name),
                          foreign ? "is a parameter of Postfix that tern does not use"
                                  : "has no effect: tern does not do this yet");
    }
}

bool check_configuration(const struct tern *tern) {
    struct buf errors = buf_make(CONFIG_FILE_MAX);
    struct buf warnings = buf_make(CONFIG_FILE_MAX);
    struct buf service_errors = buf_make(CONFIG_FILE_MAX);
    struct master_cf *services = NULL;
    bool good = config_check(tern->config_directory, NULL, 0, &errors, &warnings);
    print_lines("warning: ", &warnings);
    print_lines("", &errors);
    good = master_cf_load_all(tern->config_directory, &services, &service_errors) && good;
    print_lines("", &service_errors);
    for (size_t i = 0; services != NULL && i < services->count; i++) {
        warn_overrides(&services->rows[i]);
        if (services->rows[i].override_count > 0)
            good = check_row(tern, &services->rows[i], &errors) && good;
    }
    master_cf_free(&services);
    buf_free(&service_errors);
    buf_free(&warnings);
    buf_free(&errors);
    return good;
}

/* ---- directories */

enum directory_base { BASE_QUEUE, BASE_DATA };

static const struct directory {
    enum directory_base base;
    const char *path;  /* below it; empty: itself */
    const char *owner; /* account's suffix; NULL: whom master runs as */
    bool group_drop;
    mode_t mode;
} directories[] = {
    {BASE_QUEUE, "", NULL, false, 0755},
    {BASE_QUEUE, "private", NULL, false, 0700},
    {BASE_QUEUE, "public", NULL, false, 0755},
    {BASE_QUEUE, "pid", NULL, false, 0755},
    {BASE_QUEUE, "empty", NULL, false, 0755},
    {BASE_QUEUE, "queue", "queue", false, 0700},
    {BASE_QUEUE, "queue/tmp", "queue", false, 0700},
    {BASE_QUEUE, "queue/new", "queue", false, 0700},
    {BASE_QUEUE, "queue/cur", "queue", false, 0700},
    {BASE_QUEUE, "queue/hold", "queue", false, 0700},
    {BASE_QUEUE, "queue/corrupt", "queue", false, 0700},
    {BASE_QUEUE, "maildrop", "pickup", true, 01770},
    {BASE_DATA, "", "queue", false, 0700},
    {BASE_DATA, "fetch", "fetch", false, 0700},
    {BASE_DATA, "tlsrpt", "tlsrpt", false, 0700},
};

static bool owner_of(const struct config *config, const struct directory *directory, uid_t *owner, gid_t *group) {
    *owner = geteuid();
    *group = getegid();
    if (directory->owner != NULL && !accounts_find(config->mail_owner.data, directory->owner, owner, group))
        return false;
    if (directory->group_drop && geteuid() == 0) {
        const struct group *drop = getgrnam(config->setgid_group.data);
        if (drop == NULL) {
            tern_complain("there is no group %s (setgid_group)", config->setgid_group.data);
            return false;
        }
        *group = drop->gr_gid;
    }
    return true;
}

/* What the mode is against what it should be. */
static bool check_directory_mode(const char *path, const struct stat *status, mode_t wanted, bool strict) {
    mode_t mode = status->st_mode & 07777;
    if ((mode & ~wanted) == 0 && (!strict || mode == wanted))
        return true;
    tern_complain("%s%s has mode %04o: %04o would be right", strict ? "" : "warning: ", path, (unsigned)mode,
                  (unsigned)wanted);
    return !strict;
}

static bool check_directory(const struct config *config, const char *path, const struct directory *directory,
                            bool strict) {
    struct failure failure = {0};
    struct stat status;
    uid_t owner;
    gid_t group;
    if (!owner_of(config, directory, &owner, &group))
        return false;
    if (!files_make_path(path, owner, group, directory->mode, &failure)) {
        tern_complain("%s", failure.text);
        return false;
    }
    if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
        tern_complain("%s is no directory", path);
        return false;
    }
    if (status.st_uid != owner) {
        tern_complain("%s belongs to user %u: %u would be right", path, (unsigned)status.st_uid, (unsigned)owner);
        return false;
    }
    bool good = check_directory_mode(path, &status, directory->mode, strict);
    if (strict && directory->group_drop && geteuid() == 0 && status.st_gid != group) {
        tern_complain("%s belongs to group %u: %u would be right", path, (unsigned)status.st_gid, (unsigned)group);
        good = false;
    }
    return good;
}

static bool check_log(const struct config *config) {
    struct buf directory = buf_make(4096);
    struct failure failure = {0};
    uid_t owner;
    gid_t group;
    size_t slash = str_find_last(config->maillog_file, '/');
    bool good = true;
    if (slash != STR_NONE && slash > 0 && !str_starts(config->maillog_file, STR("/dev/"))) {
        buf_append(&directory, str_slice(config->maillog_file, 0, slash));
        good = accounts_find(config->mail_owner.data, "log", &owner, &group);
        if (good && !files_make_path(buf_string(&directory), owner, group, 0755, &failure)) {
            tern_complain("%s", failure.text);
            good = false;
        }
    }
    buf_free(&directory);
    return good;
}

/* Whether there is a spool yet: of a new one nothing can be missing. */
static bool is_set_up(const struct config *config) {
    struct buf queue = buf_make(4096);
    buf_printf(&queue, "%.*s/queue", STR_ARGS(config->queue_directory));
    bool there = access(buf_string(&queue), F_OK) == 0;
    buf_free(&queue);
    return there;
}

static bool was_removed(const char *path) { return access(path, F_OK) < 0 && errno == ENOENT; }

bool check_directories(const struct config *config, bool strict) {
    bool look_for_removed = strict && is_set_up(config);
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        struct buf path = buf_make(4096);
        buf_append(&path, directories[i].base == BASE_QUEUE ? config->queue_directory : config->data_directory);
        if (directories[i].path[0] != '\0')
            buf_printf(&path, "/%s", directories[i].path);
        bool removed = look_for_removed && was_removed(buf_string(&path));
        good = check_directory(config, buf_string(&path), &directories[i], strict) && good;
        if (removed && access(buf_string(&path), F_OK) == 0)
            tern_complain("%s was missing and has been made", buf_string(&path));
        good = good && !removed;
        buf_free(&path);
    }
    return check_log(config) && good;
}

int tern_check(const struct tern *tern) {
    bool good = check_configuration(tern);
    struct config *config = good ? tern_load(tern) : NULL;
    good = check_configuration_files(tern->config_directory) && good;
    if (config == NULL)
        return EXIT_FAILURE;
    good = check_directories(config, true) && good;
    good = check_places(config) && good;
    check_disks(config);
    good = check_restrictions(tern->config_directory, config) && good;
    good = check_tables(tern->config_directory, config) && good;
    good = check_certificates(tern->config_directory, config) && good;
    good = check_tls_client(config) && good;
    if (chdir(config->queue_directory.data) == 0)
        good = check_queue() && good;
    config_free(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
