/* Queue IDs: see queue_id.h. */
#include "queue_id.h"
#include "clock.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

#define CEILING_NAME     "id-ceiling"
#define CEILING_NEW_NAME "id-ceiling.new"
#define RESERVE          ((uint64_t)3600 * 1000000)

/* The file is one decimal number and a line end; anything else counts as absent. A file that cannot be read is
 * another matter: what was taken according to it would be taken again. */
static bool read_ceiling(int directory, uint64_t *ceiling, struct failure *failure) {
    char bytes[32];
    uint64_t number = 0;
    int file = openat(directory, CEILING_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 && failure_is_local(errno)) return failure_set_errno(failure, errno, "cannot open %s", CEILING_NAME);
    ssize_t length = file < 0 ? 0 : read(file, bytes, sizeof bytes);
    int reason = errno;
    if (file >= 0) close(file);
    if (length < 0) return failure_set_errno(failure, reason, "cannot read %s", CEILING_NAME);
    if (length > 0 && !str_to_u64(str_trim(str_make(bytes, (size_t)length)), INT64_MAX, &number)) number = 0;
    *ceiling = number;
    return true;
}

/* Written anew, synced and renamed into place, so that a power cut leaves the old or the new one. */
static bool write_ceiling(int directory, uint64_t ceiling, struct failure *failure) {
    int file = openat(directory, CEILING_NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failure_set_errno(failure, errno, "cannot write %s", CEILING_NEW_NAME);
    char bytes[32];
    int length = snprintf(bytes, sizeof bytes, "%" PRIu64 "\n", ceiling);
    bool good = length > 0 && write(file, bytes, (size_t)length) == length && fsync(file) == 0;
    int reason = errno;
    close(file);
    if (good && renameat(directory, CEILING_NEW_NAME, directory, CEILING_NAME) == 0 && fsync(directory) == 0)
        return true;
    return failure_set_errno(failure, good ? errno : reason, "cannot write %s", CEILING_NAME);
}

/* Takes the next hour of numbers that no other process has, nor ever had. *from may go up. */
static bool reserve(struct queue_id_source *source, uint64_t *from, struct failure *failure) {
    if (flock(source->directory, LOCK_EX) < 0) return failure_set_errno(failure, errno, "cannot lock %s", CEILING_NAME);
    uint64_t before = 0;
    bool good = read_ceiling(source->directory, &before, failure);
    /* A ceiling ahead of the clock: another process's, one that was not used up, or a clock that went back. */
    if (before > *from) *from = before;
    good = good && write_ceiling(source->directory, *from + RESERVE, failure);
    flock(source->directory, LOCK_UN);
    if (good) source->ceiling = *from + RESERVE;
    return good;
}

bool queue_id_open(struct queue_id_source *source, int directory, bool long_form, struct failure *failure) {
    *source = (struct queue_id_source){.directory = directory, .long_form = long_form, .last = (uint64_t)clock_date()};
    return reserve(source, &source->last, failure);
}

static void format_base(uint64_t number, unsigned digits, char *to) {
    static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    for (unsigned i = digits; i-- > 0; number /= 51)
        to[i] = alphabet[number % 51];
}

bool queue_id_next(struct queue_id_source *source, char id[QUEUE_ID_SIZE], struct failure *failure) {
    /* The short form counts in steps of 128 us, so that 11 digits last. */
    uint64_t step = source->long_form ? 1 : 128;
    uint64_t next = (uint64_t)clock_date();
    if (next / step <= source->last / step) next = source->last + step;
    /* Short IDs count in steps, so a range that another process had must not end in the middle of one. */
    if (next + step > source->ceiling) {
        next += step;
        if (!reserve(source, &next, failure)) return false;
        next += step;
    }
    source->last = next;
    if (source->long_form) {
        format_base(next / 1000000, 6, id);
        format_base(next % 1000000, 4, id + 6);
        id[10] = 'z';
        format_base(next % 6765201, 4, id + 11);
        id[15] = '\0';
    } else {
        snprintf(id, QUEUE_ID_SIZE, "%011" PRIX64, next / 128);
    }
    return true;
}

bool queue_id_is_valid(struct str text) {
    if (text.length < 6 || text.length > 20) return false;
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.data[i])) return false;
    return true;
}
