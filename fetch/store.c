/* Policies on disk: a file for each domain, with the domain's name, beneath the
 * process's own directory. It is a cache, but one that protects: a policy that
 * is lost leaves its domain open to whoever can hide the record. So it is
 * written whole and synced, then renamed; one that is torn does not count. */
#include "fetch.h"

#include "dns_packet.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FILE_LIMIT = 32 * 1024 };
#define MAGIC     "tern-sts 1"
#define TEMPORARY ".new" /* no domain begins with a dot */

/* ---- the format */

void store_format(const struct stored_policy *policy, struct buf *text) {
    struct buf body = buf_make(0);
    buf_printf(&body, "id: %.*s\nfetched: %llu\n\n%.*s", STR_ARGS(policy->id), (unsigned long long)policy->fetched,
               STR_ARGS(policy->policy));
    buf_printf(text, MAGIC "\nsum: %u\n", crc32c(0, body.data, body.length));
    buf_append(text, buf_str(&body));
    buf_free(&body);
}

/* The value of the next line, which has to be of that name. */
static bool next_value(struct str *rest, struct str name, struct str *value) {
    struct str line;
    if (!str_cut(*rest, '\n', &line, rest) || !str_starts(line, name)) return false;
    *value = str_from_offset(line, name.length);
    return true;
}

bool store_parse(struct str text, struct stored_policy *policy) {
    struct stored_policy read = {.fetched = 0};
    struct str value, empty;
    uint64_t sum;
    if (!next_value(&text, STR(MAGIC), &empty) || empty.length > 0 || !next_value(&text, STR("sum: "), &value) ||
        !str_to_u64(value, UINT32_MAX, &sum) || sum != crc32c(0, text.data, text.length))
        return false;
    if (!next_value(&text, STR("id: "), &read.id) || !next_value(&text, STR("fetched: "), &value) ||
        !str_to_u64(value, UINT64_C(1) << 50, &read.fetched) || !next_value(&text, STR(""), &empty) || empty.length > 0)
        return false;
    read.policy = text;
    *policy = read;
    return true;
}

/* ---- files */

static bool is_file_name(struct str name) {
    struct dns_name checked;
    return name.length > 0 && dns_name_set(&checked, name) && str_equal(dns_name_str(&checked), name) &&
           dns_name_is_host(name);
}

static bool read_all(int file, struct buf *text) {
    char *room = buf_reserve(text, FILE_LIMIT);
    size_t length = 0;
    while (room && length < FILE_LIMIT) {
        ssize_t count = read(file, room + length, FILE_LIMIT - length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        if (count == 0) break;
        length += (size_t)count;
    }
    buf_commit(text, length);
    return room != NULL;
}

bool store_read(const struct fetch *fetch, struct str domain, struct buf *text, struct stored_policy *policy) {
    if (fetch->directory < 0 || !is_file_name(domain)) return false;
    char *name = memory_copy_string(domain);
    int file = openat(fetch->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    MEMORY_FREE(name);
    if (file < 0) return false;
    bool good = read_all(file, text) && store_parse(buf_str(text), policy);
    close(file);
    return good;
}

static bool write_all(int file, struct str text) {
    while (text.length > 0) {
        ssize_t count = write(file, text.data, text.length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        text = str_from_offset(text, (size_t)count);
    }
    return true;
}

static bool write_temporary(const struct fetch *fetch, const struct stored_policy *policy) {
    struct buf text = buf_make(0);
    int file = openat(fetch->directory, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return false;
    store_format(policy, &text);
    bool good = write_all(file, buf_str(&text)) && fsync(file) == 0;
    int error = errno;
    if (close(file) < 0)
        good = false;
    else
        errno = error;
    buf_free(&text);
    return good;
}

void store_write(const struct fetch *fetch, struct str domain, const struct stored_policy *policy) {
    if (fetch->directory < 0 || !is_file_name(domain)) return;
    char *name = memory_copy_string(domain);
    if (!write_temporary(fetch, policy) || renameat(fetch->directory, TEMPORARY, fetch->directory, name) < 0) {
        log_warning("the MTA-STS policy of %s is not kept over a restart: %s", name, strerror(errno));
        (void)unlinkat(fetch->directory, TEMPORARY, 0);
    } else if (fsync(fetch->directory) < 0) {
        log_warning("the MTA-STS policy of %s may not be kept over a crash: %s", name, strerror(errno));
    }
    MEMORY_FREE(name);
}

void store_remove(const struct fetch *fetch, struct str domain) {
    if (fetch->directory < 0 || !is_file_name(domain)) return;
    char *name = memory_copy_string(domain);
    if (unlinkat(fetch->directory, name, 0) < 0 && errno != ENOENT)
        log_warning("the file of the MTA-STS policy of %s cannot be removed: %s", name, strerror(errno));
    MEMORY_FREE(name);
}

void store_each(struct fetch *fetch, size_t limit, void (*found)(struct fetch *fetch, struct str domain)) {
    const struct dirent *entry;
    int copy = fetch->directory < 0 ? -1 : openat(fetch->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        if (copy >= 0) close(copy);
        return;
    }
    while (limit > 0 && (entry = readdir(list)) != NULL) {
        if (!is_file_name(str_from(entry->d_name))) continue;
        found(fetch, str_from(entry->d_name));
        limit--;
    }
    closedir(list);
}
