/* tls_roots: certificates of authorities from files. */
#include "tls_roots.h"
#include "config_load.h"
#include <dirent.h>
#include <errno.h>

bool tls_roots_add_file(const char *path, struct buf *roots, struct failure *failure) {
    struct buf text = buf_make(0);
    bool good = config_read_file(path, TLS_ROOTS_MAX, &text, failure);
    if (good && (!buf_append(roots, buf_str(&text)) || !buf_append_char(roots, '\n')))
        good = failure_set(failure, "%s: too many certificates of authorities", path);
    buf_free(&text);
    return good;
}

/* As c_rehash names them: eight hexadecimal digits, a dot and a number. */
static bool is_hashed_name(struct str name) {
    uint64_t number;
    if (name.length < 10 || name.data[8] != '.') return false;
    for (size_t i = 0; i < 8; i++)
        if (!ascii_is_digit(name.data[i]) && !(name.data[i] >= 'a' && name.data[i] <= 'f')) return false;
    return str_to_u64(str_from_offset(name, 9), UINT32_MAX, &number);
}

bool tls_roots_add_directory(const char *path, struct buf *roots, struct failure *failure) {
    DIR *directory = opendir(path);
    bool good = true;
    if (!directory) return failure_set_errno(failure, errno, "%s", path);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct buf file = buf_make(0);
        if (!is_hashed_name(str_from(entry->d_name))) continue;
        buf_printf(&file, "%s/%s", path, entry->d_name);
        if (!tls_roots_add_file(buf_string(&file), roots, failure)) good = false;
        buf_free(&file);
    }
    closedir(directory);
    return good;
}
