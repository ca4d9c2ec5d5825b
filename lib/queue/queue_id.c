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

static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
enum { BASE = 51, SECOND_DIGITS = 6, MICROSECOND_DIGITS = 4, TIME_DIGITS = 10, LONG_LENGTH = 15, SHORT_LENGTH = 11 };

static void format_base(uint64_t number, unsigned digits, char *to) {
    for (unsigned i = digits; i-- > 0; number /= BASE)
        to[i] = alphabet[number % BASE];
}

static bool parse_base(const char *digits, unsigned count, uint64_t *number) {
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *digit = memchr(alphabet, digits[i], BASE);
        if (!digit) return false;
        value = value * BASE + (uint64_t)(digit - alphabet);
    }
    *number = value;
    return true;
}

uint64_t queue_id_step(bool long_form) { return long_form ? 1 : 128; }

void queue_id_format(uint64_t number, bool long_form, char id[QUEUE_ID_SIZE]) {
    if (!long_form) {
        snprintf(id, QUEUE_ID_SIZE, "%011" PRIX64, number / 128);
        return;
    }
    format_base(number / 1000000, SECOND_DIGITS, id);
    format_base(number % 1000000, MICROSECOND_DIGITS, id + SECOND_DIGITS);
    id[TIME_DIGITS] = 'z';
    format_base(number % 6765201, 4, id + TIME_DIGITS + 1);
    id[LONG_LENGTH] = '\0';
}

static bool parse_short(struct str text, uint64_t *number) {
    uint64_t value = 0;
    if (text.length != SHORT_LENGTH) return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!ascii_is_digit(c) && (c < 'A' || c > 'F')) return false;
        value = value * 16 + (uint64_t)(ascii_is_digit(c) ? c - '0' : c - 'A' + 10);
    }
    *number = value * 128;
    return true;
}

bool queue_id_parse(struct str text, bool long_form, uint64_t *number) {
    if (!long_form) return parse_short(text, number);
    uint64_t seconds, microseconds;
    char again[QUEUE_ID_SIZE];
    if (text.length != LONG_LENGTH || !parse_base(text.data, SECOND_DIGITS, &seconds) ||
        !parse_base(text.data + SECOND_DIGITS, MICROSECOND_DIGITS, &microseconds) || microseconds >= 1000000)
        return false;
    uint64_t value = seconds * 1000000 + microseconds;
    queue_id_format(value, true, again); /* the last digits follow from the first */
    if (memcmp(again, text.data, LONG_LENGTH) != 0) return false;
    *number = value;
    return true;
}

bool queue_id_take(struct queue_id_source *source, uint64_t count, uint64_t *first, struct failure *failure) {
    uint64_t step = queue_id_step(source->long_form), span = count * step;
    uint64_t next = (uint64_t)clock_date();
    if (next / step <= source->last / step) next = source->last + step;
    /* Short IDs count in steps, so a range that another process had must not end in the middle of one. */
    if (next + span > source->ceiling) {
        next += step;
        if (!reserve(source, &next, failure)) return false;
        next += step;
    }
    source->last = next + span - step;
    *first = next;
    return true;
}

bool queue_id_next(struct queue_id_source *source, char id[QUEUE_ID_SIZE], struct failure *failure) {
    uint64_t number;
    if (!queue_id_take(source, 1, &number, failure)) return false;
    queue_id_format(number, source->long_form, id);
    return true;
}

bool queue_id_is_valid(struct str text) {
    if (text.length < 6 || text.length > 20) return false;
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.data[i])) return false;
    return true;
}
