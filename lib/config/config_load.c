/* Loading a configuration from its directory. */
#include "config_load.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_sheet.h"
#include "master_cf.h"
#include "memory.h"

const char *config_default_directory(void) {
    const char *named = getenv("MAIL_CONFIG");
    return named && named[0] ? named : TERN_CONFIG_DIRECTORY;
}

bool config_evaluate(struct str text, const char *file, const struct config_system *machine,
                     const struct config_override *overrides, size_t override_count, unsigned scope,
                     struct config **config, struct buf *warnings, struct failure *failure) {
    struct config_sheet *sheet;
    if (!config_sheet_create(text, file, machine, overrides, override_count, &sheet, failure))
        return false;
    bool done = config_sheet_evaluate(sheet, scope, config, failure);
    if (done && warnings) {
        config_sheet_use_all(sheet);
        config_sheet_warnings(sheet, warnings);
    }
    config_sheet_free(&sheet);
    return done;
}

bool config_sheet_load(const char *directory, const struct config_override *overrides, size_t override_count,
                       struct config_sheet **sheet, struct buf *errors, struct failure *failure) {
    struct buf text = buf_make(CONFIG_FILE_MAX), path = buf_make(4096);
    struct config_system machine;
    struct stat status;
    struct failure reason = {0};
    char *whole = realpath(directory, NULL);

    buf_printf(&path, "%s/main.cf", directory);
    bool done = !buf_overflowed(&path) || failure_set(failure, "the name of the directory is too long");
    if (done && !config_read_file(buf_string(&path), CONFIG_FILE_MAX, &text, &reason))
        done = reason.error_number == ENOENT && stat(directory, &status) == 0 && S_ISDIR(status.st_mode);
    if (!done && reason.text[0])
        failure_set_errno(failure, reason.error_number, "%s", buf_string(&path));
    if (done) {
        config_system_read(&machine);
        machine.config_directory = str_from(whole);
        if (errors)
            config_sheet_create_all(buf_str(&text), buf_string(&path), &machine, overrides, override_count, sheet,
                                    errors);
        else
            done = config_sheet_create(buf_str(&text), buf_string(&path), &machine, overrides, override_count, sheet,
                                       failure);
        config_system_free(&machine);
    }
    MEMORY_FREE(whole);
    buf_free(&text);
    buf_free(&path);
    return done;
}

static void add_warnings(const char *directory, struct config_sheet *sheet, struct buf *warnings) {
    struct master_cf *services = NULL;
    struct failure ignored;
    /* Names that only master.cf refers to are no mistake; master.cf itself is not judged here. */
    if (master_cf_load(directory, &services, &ignored))
        config_sheet_use_services(sheet, services);
    master_cf_free(&services);
    config_sheet_use_all(sheet);
    config_sheet_warnings(sheet, warnings);
}

bool config_load(const char *directory, const struct config_override *overrides, size_t override_count,
                 unsigned scope, struct config **config, struct buf *warnings, struct failure *failure) {
    struct config_sheet *sheet;
    if (!config_sheet_load(directory, overrides, override_count, &sheet, NULL, failure))
        return false;
    bool done = config_sheet_evaluate(sheet, scope, config, failure);
    if (done && warnings)
        add_warnings(directory, sheet, warnings);
    config_sheet_free(&sheet);
    return done;
}

bool config_check(const char *directory, const struct config_override *overrides, size_t override_count,
                  struct buf *errors, struct buf *warnings) {
    struct config_sheet *sheet;
    struct failure failure = {0};
    size_t before = errors->length;
    if (!config_sheet_load(directory, overrides, override_count, &sheet, errors, &failure)) {
        buf_printf(errors, "%s\n", failure.text);
        return false;
    }
    config_sheet_errors(sheet, errors);
    if (warnings)
        add_warnings(directory, sheet, warnings);
    config_sheet_free(&sheet);
    return errors->length == before;
}
