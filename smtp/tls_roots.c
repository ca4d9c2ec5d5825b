/* The certificates of authorities, read before the sandbox closes: see tls_client.h. */
#include "log.h"
#include "tls_client.h"
#include "tls_roots.h"
#include "tls_settings.h"

void tls_client_read_roots(const struct tls_settings *settings, struct buf *roots) {
    char *file = memory_copy_string(settings->ca_file), *directory = memory_copy_string(settings->ca_path);
    struct failure failure = {0};
    roots->limit = TLS_ROOTS_MAX;
    if (settings->level > TLS_LEVEL_NONE || settings->policy_maps || settings->require_tls) {
        if (*file && !tls_roots_add_file(file, roots, &failure))
            log_warning("%s: certificates of authorities are not read from there", failure.text);
        if (*directory && !tls_roots_add_directory(directory, roots, &failure))
            log_warning("%s: certificates of authorities are not all read from there", failure.text);
    }
    MEMORY_FREE(file);
    MEMORY_FREE(directory);
}
