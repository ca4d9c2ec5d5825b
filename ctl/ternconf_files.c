/* Reading main.cf and master.cf, for all of ternconf: what cannot be read ends it. */
#include "ternconf.h"

#include "config_file.h"

#include <errno.h>

struct config_sheet *ternconf_sheet(const struct ternconf *run) {
    struct config_sheet *sheet = NULL;
    struct failure failure = {0};
    if (!config_sheet_load(run->directory, run->overrides, run->override_count, &sheet, NULL, &failure))
        ternconf_fatal("%s", failure.text);
    return sheet;
}

struct master_cf *ternconf_services(const struct ternconf *run) {
    struct master_cf *services = NULL;
    struct failure failure = {0};
    if (!master_cf_load(run->directory, &services, &failure)) ternconf_fatal("%s", failure.text);
    return services;
}

void ternconf_read(const char *path, struct buf *text) {
    struct failure failure = {0};
    if (!config_read_file(path, CONFIG_FILE_MAX, text, &failure) && failure.error_number != ENOENT)
        ternconf_fatal("%s", failure.text);
}
