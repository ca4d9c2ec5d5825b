/* The journal: a file for each report, "BEGIN-DOMAIN", written anew some seconds after
 * results came. A crash of the process loses these seconds' counts, of the
 * machine perhaps a little more: they are statistics, and not worth a sync. A
 * file that is torn is dropped. */
#include "tlsrpt.h"

#include "dns_packet.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define TEMPORARY ".new"

static void file_name(const struct report *report, struct buf *name) {
    buf_printf(name, "%lld-%s", (long long)report->begin, report->domain);
}

static bool parse_name(struct str name, int64_t *begin, struct str *domain) {
    struct dns_name checked;
    struct str number;
    return str_cut(name, '-', &number, domain) && str_to_i64(number, 0, INT64_C(1) << 50, begin) &&
           dns_name_set(&checked, *domain) && str_equal(dns_name_str(&checked), *domain) && dns_name_is_host(*domain);
}

/* ---- reading */

static bool read_file(int directory, const char *name, struct buf *text) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return false;
    bool good = true;
    for (;;) {
        char *room = buf_reserve(text, 65536);
        ssize_t got = room ? read(file, room, 65536) : -1;
        if (got < 0 && room && errno == EINTR) continue;
        if (got > 0) buf_commit(text, (size_t)got);
        good = got >= 0;
        if (got <= 0) break;
    }
    close(file);
    return good;
}

static void load_file(struct tlsrpt *tlsrpt, const char *name) {
    struct buf text = buf_make(TLSRPT_DAY_LIMIT + 65536);
    struct str domain;
    int64_t begin;
    if (parse_name(str_from(name), &begin, &domain)) {
        struct tlsrpt_day *day = read_file(tlsrpt->directory, name, &text) ? tlsrpt_day_read(buf_str(&text)) : NULL;
        if (day && str_equal(tlsrpt_day_domain(day), domain)) {
            gather_restore(tlsrpt, domain, begin, day);
        } else {
            log_warning("the results in %s are torn and do not count", name);
            (void)unlinkat(tlsrpt->directory, name, 0);
            tlsrpt_day_free(&day);
        }
    }
    buf_free(&text);
}

void journal_load(struct tlsrpt *tlsrpt) {
    const struct dirent *entry;
    int copy = openat(tlsrpt->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        log_warning("earlier results cannot be read: %s", strerror(errno));
        if (copy >= 0) close(copy);
        return;
    }
    while (tlsrpt->count < (size_t)tlsrpt->config->tlsrpt_report_limit && (entry = readdir(list)) != NULL)
        load_file(tlsrpt, entry->d_name);
    closedir(list);
}

/* ---- writing */

static bool write_all(int file, struct str text) {
    while (text.length > 0) {
        ssize_t count = write(file, text.data, text.length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        text = str_from_offset(text, (size_t)count);
    }
    return true;
}

static bool write_file(int directory, const char *name, struct str text) {
    int file = openat(directory, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return false;
    bool good = write_all(file, text);
    int error = errno;
    good = close(file) == 0 && good && renameat(directory, TEMPORARY, directory, name) == 0;
    if (error != 0 && !good) errno = error;
    return good;
}

void journal_save(struct tlsrpt *tlsrpt) {
    struct buf text = buf_make(0), name = buf_make(0);
    for (struct report *report = tlsrpt->reports; report; report = report->next) {
        if (!report->dirty) continue;
        buf_clear(&text);
        buf_clear(&name);
        tlsrpt_day_write(report->day, &text);
        file_name(report, &name);
        errno = 0;
        report->dirty = !write_file(tlsrpt->directory, buf_string(&name), buf_str(&text));
        if (!report->dirty) continue;
        log_warning("results cannot be kept: %s: %s", buf_string(&name), strerror(errno));
        break; /* the others would fare no better; it is tried again */
    }
    buf_free(&text);
    buf_free(&name);
}

void journal_remove(struct tlsrpt *tlsrpt, const struct report *report) {
    struct buf name = buf_make(0);
    file_name(report, &name);
    if (unlinkat(tlsrpt->directory, buf_string(&name), 0) < 0 && errno != ENOENT)
        log_warning("%s cannot be removed: %s", buf_string(&name), strerror(errno));
    buf_free(&name);
}
