/* tern check: lists of smtpd_*_restrictions in which smtpd would find a word to answer 451 to. */
#include "tern.h"

#include "master_cf.h"
#include "restriction_check.h"

/* known: what is wrong with main.cf is wrong for every service, and is not said again. */
static bool say(const struct buf *known, struct str service, const struct buf *lines) {
    struct str rest = buf_str(lines), line;
    bool good = true;
    while (str_next_word(&rest, "\n", &line)) {
        if (str_find_str(buf_str(known), line) != STR_NONE) continue;
        good = false;
        tern_complain("%s%.*s%s%.*s", service.length ? "service " : "", STR_ARGS(service), service.length ? ": " : "",
                      STR_ARGS(line));
    }
    return good;
}

static bool check_service(const struct buf *known, const char *directory, const struct master_cf_row *row) {
    struct buf lines = buf_make(CONFIG_FILE_MAX);
    struct failure ignored = {0};
    struct config *config = NULL;
    bool good = true;
    if (row->override_count > 0 &&
        config_load(directory, row->overrides, row->override_count, SCOPE_SMTPD, &config, NULL, &ignored) &&
        !restriction_check(config, &lines))
        good = say(known, row->name, &lines);
    config_free(&config);
    buf_free(&lines);
    return good;
}

bool check_restrictions(const char *directory, const struct config *config) {
    struct buf none = buf_make(0), known = buf_make(CONFIG_FILE_MAX);
    struct master_cf *services = NULL;
    struct failure ignored = {0}; /* has been said */
    bool good = restriction_check(config, &known) || say(&none, STR_EMPTY, &known);
    if (master_cf_load(directory, &services, &ignored))
        for (size_t i = 0; i < services->count; i++)
            good = check_service(&known, directory, &services->rows[i]) && good;
    master_cf_free(&services);
    buf_free(&known);
    return good;
}
