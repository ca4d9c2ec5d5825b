/* tern check: the certificates and private keys that the configuration names, read and judged as the keys
 * service reads and judges them. */
#include "tern.h"

#include "master_cf.h"
#include "material.h"
#include "memory.h"
#include "key_store.h"

#include <time.h>

static void complain_lines(const char *prefix, const struct buf *lines) {
    struct str rest = buf_str(lines);
    struct str line;
    while (str_next_word(&rest, "\n", &line))
        tern_complain("%s%.*s", prefix, STR_ARGS(line));
}

/* What the keys service reads is the same for all services. */
static bool is_of_keys(struct str name) {
    const struct parameter *row = parameter_find(name);
    return row != NULL && (row->scope & SCOPE_KEYS) && !(row->scope & SCOPE_LOG) &&
           (str_ends(name, STR("_file")) || str_ends(name, STR("_files")) || str_ends(name, STR("_maps")));
}

static void check_overrides(const char *directory) {
    struct master_cf *services = NULL;
    struct failure failure = {0};
    if (!master_cf_load(directory, &services, &failure))
        return;
    for (size_t i = 0; i < services->count; i++) {
        const struct master_cf_row *row = &services->rows[i];
        for (size_t j = 0; j < row->override_count; j++)
            if (!str_equal(row->command, STR("keys")) && is_of_keys(row->overrides[j].name))
                tern_complain("warning: service %.*s: %.*s has no effect there: certificates are the same for all "
                              "services, or by name in tls_server_sni_maps",
                              STR_ARGS(row->name), STR_ARGS(row->overrides[j].name));
    }
    master_cf_free(&services);
}

bool check_certificates(const char *directory, const struct config *config) {
    struct material_gathering gathering;
    struct buf material = buf_make(0);
    material_gather(&gathering, config, &material);
    struct key_store *store = key_store_create(config, buf_str(&material), NULL, (int64_t)time(NULL), NULL);
    bool good = store->errors.length == 0;
    complain_lines("", &store->errors);
    complain_lines("warning: ", &store->warnings);
    key_store_destroy(&store);
    material_free(&gathering);
    buf_free_secret(&material);
    check_overrides(directory);
    return good;
}
