/* Which messages a mailbox has got lately: the file tern-delivered beside its folders, a ring of digests with dates.
 *
 * A Message-ID alone is no proof: whoever knows one could keep the true message out by sending another with it first.
 * So the digest is of Message-ID, From, Date, Subject and the whole body; what is left out for having been seen
 * is what the mailbox has. The file may be deleted at any time. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "header.h"
#include "worker.h"

#define SEEN_FILE   "tern-delivered"
#define SEEN_MAX    1000
#define PAUSE_FIRST 1000000 /* ns */
#define PAUSE_MOST  30000000
#define HEADER_MOST ((size_t)256 * 1024) /* of a message that is remembered */

struct record {
    uint8_t digest[16];
    uint64_t date; /* seconds; this machine's order of octets */
};

/* ---- the digest */

static bool add(EVP_MD_CTX *digest, struct str text) {
    uint64_t length = text.length;
    return EVP_DigestUpdate(digest, &length, sizeof length) == 1 &&
           EVP_DigestUpdate(digest, text.data, text.length) == 1;
}

static bool add_header(EVP_MD_CTX *digest, struct str message) {
    static const char *const names[] = {"Message-ID", "From", "Date", "Subject"};
    struct header_field field;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        bool found = header_find(message, names[i], &field);
        if (i == 0 && !found) return false;
        if (!add(digest, found ? str_trim(field.value) : STR_EMPTY)) return false;
    }
    return true;
}

static bool add_body(EVP_MD_CTX *digest, const struct ipc_local_work *work, int file, uint64_t from, char *room,
                     size_t size) {
    while (from < work->content_length) {
        uint64_t left = work->content_length - from;
        ssize_t got = pread(file, room, left < size ? (size_t)left : size, (off_t)(work->content_offset + from));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || EVP_DigestUpdate(digest, room, (size_t)got) != 1) return false;
        from += (uint64_t)got;
    }
    return true;
}

/* Where the body begins; 0: further on than anybody looks. */
static size_t body_begin(struct str bytes) {
    struct header_reader reader;
    struct header_field field;
    enum header_result result;
    header_begin(&reader, bytes, 0);
    while ((result = header_next(&reader, &field)) == HEADER_FIELD)
        continue;
    return result == HEADER_CUT ? 0 : reader.offset;
}

static bool make_digest(const struct ipc_local_work *work, int file, uint8_t made[16]) {
    char *room = memory_allocate(1, HEADER_MOST);
    uint8_t whole[EVP_MAX_MD_SIZE];
    size_t most = work->content_length < HEADER_MOST ? (size_t)work->content_length : HEADER_MOST;
    ssize_t got = pread(file, room, most, (off_t)work->content_offset);
    struct str head = str_make(room, got > 0 ? (size_t)got : 0);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    size_t body = body_begin(head);
    bool good = digest && body > 0 && (size_t)got == most && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                add_header(digest, str_slice(head, 0, body)) && add_body(digest, work, file, body, room, HEADER_MOST) &&
                EVP_DigestFinal_ex(digest, whole, NULL) == 1;
    EVP_MD_CTX_free(digest);
    MEMORY_FREE(room);
    if (good) memcpy(made, whole, 16);
    return good;
}

/* ---- the file */

static size_t read_records(int file, struct record *records) {
    ssize_t got = pread(file, records, SEEN_MAX * sizeof *records, 0);
    return got < 0 ? 0 : (size_t)got / sizeof *records;
}

static uint64_t now(void) {
    return (uint64_t)(clock_date() / CLOCK_SECOND);
}

/* Others deliver meanwhile, and soon are done. Who holds it for longer than anybody waits for a mailbox's lock keeps
 * no mail away: it is stored, and not remembered. */
static bool lock_patiently(const struct config *config, int file) {
    deadline until = deadline_in(config->deliver_lock_attempts * config->deliver_lock_delay * 1000);
    struct timespec pause = {.tv_nsec = PAUSE_FIRST};
    while (flock(file, LOCK_EX | LOCK_NB) < 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || deadline_left(until) == 0) return false;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < PAUSE_MOST) pause.tv_nsec *= 2;
    }
    return true;
}

bool seen_before(const struct config *config, const struct ipc_local_work *work, int file, int directory,
                 struct seen *seen) {
    bool found = false;
    seen->file = -1;
    if (config->mail_duplicate_window == 0 || !make_digest(work, file, seen->digest)) return false;
    seen->file = openat(directory, SEEN_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (seen->file < 0) return false;
    if (!lock_patiently(config, seen->file)) {
        seen_end(seen);
        return false;
    }
    struct record *records = memory_allocate(SEEN_MAX, sizeof *records);
    size_t count = read_records(seen->file, records);
    uint64_t since = now() - (uint64_t)config->mail_duplicate_window;
    for (size_t i = 0; i < count && !found; i++)
        found = records[i].date >= since && memcmp(records[i].digest, seen->digest, sizeof seen->digest) == 0;
    MEMORY_FREE(records);
    return found;
}

/* Over its own place, or the oldest. */
void seen_note(const struct seen *seen) {
    if (seen->file < 0) return;
    struct record *records = memory_allocate(SEEN_MAX, sizeof *records), record = {.date = now()};
    size_t count = read_records(seen->file, records), place = count < SEEN_MAX ? count : 0;
    memcpy(record.digest, seen->digest, sizeof record.digest);
    for (size_t i = 1; count == SEEN_MAX && i < count; i++)
        if (records[i].date < records[place].date) place = i;
    for (size_t i = 0; i < count; i++)
        if (memcmp(records[i].digest, seen->digest, sizeof seen->digest) == 0) place = i;
    (void)!pwrite(seen->file, &record, sizeof record, (off_t)(place * sizeof record));
    MEMORY_FREE(records);
}

void seen_end(struct seen *seen) {
    if (seen->file >= 0) close(seen->file);
    seen->file = -1;
}
