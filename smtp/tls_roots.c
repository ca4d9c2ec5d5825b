/* The certificates of authorities, read before the sandbox closes: see tls_client.h. */
#include "config_load.h"
#include "log.h"
#include "tls_client.h"
#include "tls_settings.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ROOTS_MAX ((size_t)16 << 20) /* octets in all */

/* As c_rehash names them: eight hexadecimal digits, a dot and a number. */
static bool is_hashed_name(struct str name) {
    uint64_t number;
    if (name.length < 10 || name.data[8] != '.') return false;
    for (size_t i = 0; i < 8; i++)
        if (!ascii_is_digit(name.data[i]) && !(name.data[i] >= 'a' && name.data[i] <= 'f')) return false;
    return str_to_u64(str_from_offset(name, 9), UINT32_MAX, &number);
}

static void add_file(const char *path, struct buf *roots) {
    struct buf text = buf_make(0);
    struct failure failure = {0};
    if (!config_read_file(path, ROOTS_MAX, &text, &failure))
        log_warning("%s: certificates of authorities are not read from there", failure.text);
    else if (!buf_append(roots, buf_str(&text)) || !buf_append_char(roots, '\n'))
        log_warning("%s: too many certificates of authorities", path);
    buf_free(&text);
}

static void add_directory(const char *path, struct buf *roots) {
    DIR *directory = opendir(path);
    if (!directory) {
        log_warning("open %s: %s: certificates of authorities are not read from there", path, strerror(errno));
        return;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct buf file = buf_make(0);
        buf_printf(&file, "%s/%s", path, entry->d_name);
        if (is_hashed_name(str_from(entry->d_name))) add_file(buf_string(&file), roots);
        buf_free(&file);
    }
    closedir(directory);
}

void tls_client_read_roots(const struct tls_settings *settings, struct buf *roots) {
    char *file = memory_copy_string(settings->ca_file), *directory = memory_copy_string(settings->ca_path);
    roots->limit = ROOTS_MAX;
    if (settings->level > TLS_LEVEL_NONE || settings->policy_maps) {
        if (*file) add_file(file, roots);
        if (*directory) add_directory(directory, roots);
    }
    MEMORY_FREE(file);
    MEMORY_FREE(directory);
}
