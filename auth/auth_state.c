/* auth_state: see auth_state.h. A place is a header of 64 bytes ("tern auth state 1 NUMBER LENGTH SUM\n", filled up
 * with blanks), 32 octets of the secret, and the records as text. */
#include "auth_state.h"
#include "hash.h"
#include "memory.h"
#include "task.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE_SIZE ((size_t)64 << 20) /* the second place begins here; the file has a hole between */
#define MAGIC      "tern auth state 1 "

struct auth_state {
    int descriptor; /* -1: nothing is kept */
    bool owned, released, saving;
    uint64_t number; /* of the newest place */
    uint64_t saved;  /* failures_changes as they were written */
    bool secret_is_new;
    uint8_t secret[AUTH_STATE_SECRET];
};

/* ---- a place */

bool auth_state_pack(uint64_t number, struct str secret, struct str records, struct buf *packed) {
    uint32_t sum = crc32c(crc32c(0, secret.data, secret.length), records.data, records.length);
    size_t begin = packed->length;
    buf_printf(packed, MAGIC "%llu %zu %u\n", (unsigned long long)number, records.length, sum);
    while (packed->length - begin < AUTH_STATE_HEADER && buf_append_char(packed, ' '))
        ;
    return packed->length - begin == AUTH_STATE_HEADER && secret.length == AUTH_STATE_SECRET &&
           buf_append(packed, secret) && buf_append(packed, records);
}

bool auth_state_unpack(struct str bytes, uint64_t *number, struct str *secret, struct str *records) {
    struct str line, words[3];
    uint64_t numbers[3];
    if (bytes.length < AUTH_STATE_HEADER + AUTH_STATE_SECRET || !str_starts(bytes, STR(MAGIC))) return false;
    if (!str_cut(str_slice(bytes, sizeof MAGIC - 1, AUTH_STATE_HEADER), '\n', &line, &words[0])) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (!str_next_word(&line, " ", &words[i]) || !str_to_u64(words[i], UINT64_MAX, &numbers[i])) return false;
    struct str content = str_from_offset(bytes, AUTH_STATE_HEADER);
    if (numbers[1] > content.length - AUTH_STATE_SECRET) return false;
    content = str_slice(content, 0, AUTH_STATE_SECRET + (size_t)numbers[1]);
    if (crc32c(0, content.data, content.length) != numbers[2]) return false;
    *number = numbers[0];
    *secret = str_slice(content, 0, AUTH_STATE_SECRET);
    *records = str_from_offset(content, AUTH_STATE_SECRET);
    return true;
}

/* ---- the file */

/* The directory belongs to mail_owner: no link of that account's is followed. */
static int open_file(struct str data_directory, struct failure *failure) {
    char *path = memory_copy_string(data_directory);
    int base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder = -1, file = -1;
    if (base >= 0 && (mkdirat(base, "auth", 0700) == 0 || errno == EEXIST))
        folder = openat(base, "auth", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0) file = openat(folder, "state", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    int error = errno;
    struct stat status;
    if (file >= 0 && (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)) {
        close(file);
        file = -1;
        error = EINVAL;
    }
    if (file < 0) failure_set_errno(failure, error, "%s/auth/state", path);
    if (folder >= 0) close(folder);
    if (base >= 0) close(base);
    MEMORY_FREE(path);
    return file;
}

struct auth_state *auth_state_open(struct str data_directory, struct failure *failure) {
    struct auth_state *state = MEMORY_NEW(struct auth_state);
    state->descriptor = open_file(data_directory, failure);
    state->secret_is_new = true;
    if (RAND_bytes(state->secret, sizeof state->secret) != 1) failure_set(failure, "no random numbers are to be had");
    return state;
}

const uint8_t *auth_state_secret(const struct auth_state *state) {
    return state->secret;
}

static bool read_place(int descriptor, size_t place, struct buf *bytes) {
    struct stat status;
    size_t offset = place * PLACE_SIZE;
    if (fstat(descriptor, &status) < 0 || (size_t)status.st_size <= offset) return false;
    size_t room = (size_t)status.st_size - offset < PLACE_SIZE ? (size_t)status.st_size - offset : PLACE_SIZE;
    while (bytes->length < room) {
        size_t part = room - bytes->length < 65536 ? room - bytes->length : 65536;
        char *to = buf_reserve(bytes, part);
        ssize_t count = to ? pread(descriptor, to, part, (off_t)(offset + bytes->length)) : -1;
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        buf_commit(bytes, (size_t)count);
        /* What lies behind the content of this place is a hole, or older. */
        struct str header = str_slice(buf_str(bytes), 0, AUTH_STATE_HEADER);
        if (bytes->length == part && !str_starts(header, STR(MAGIC))) break;
        uint64_t number;
        struct str secret, records;
        if (auth_state_unpack(buf_str(bytes), &number, &secret, &records)) break;
    }
    return bytes->length > 0;
}

static void take(struct auth_state *state, const struct buf *bytes, struct failures *failures, int64_t now) {
    uint64_t number = 0;
    struct str secret, records;
    if (!auth_state_unpack(buf_str(bytes), &number, &secret, &records) || number <= state->number) return;
    state->number = number;
    state->secret_is_new = false;
    memcpy(state->secret, secret.data, sizeof state->secret);
    (void)failures_read(failures, records, now);
}

void auth_state_adopt(struct auth_state *state, struct failures *failures, int64_t now) {
    if (state->descriptor < 0 || state->owned || state->released) return;
    if (flock(state->descriptor, LOCK_EX | LOCK_NB) < 0) return;
    state->owned = true;
    for (size_t place = 0; place < 2; place++) {
        struct buf bytes = buf_make(PLACE_SIZE);
        if (read_place(state->descriptor, place, &bytes)) take(state, &bytes, failures, now);
        buf_free_secret(&bytes);
    }
}

/* ---- writing */

struct writing {
    int descriptor;
    size_t offset;
    struct str bytes;
    int error;
};

/* On a helper thread. */
static void write_place(void *argument) {
    struct writing *writing = argument;
    for (size_t done = 0; done < writing->bytes.length;) {
        ssize_t count = pwrite(writing->descriptor, writing->bytes.data + done, writing->bytes.length - done,
                               (off_t)(writing->offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            writing->error = errno;
            return;
        }
        done += (size_t)count;
    }
    if (fdatasync(writing->descriptor) < 0) writing->error = errno;
}

bool auth_state_wants(const struct auth_state *state, const struct failures *failures) {
    return state->owned && !state->released && !state->saving &&
           (failures_changes(failures) != state->saved || state->secret_is_new);
}

bool auth_state_save(struct auth_state *state, const struct failures *failures, int64_t now, struct failure *failure) {
    uint64_t changes = failures_changes(failures);
    if (!auth_state_wants(state, failures)) return true;
    struct buf records = buf_make(PLACE_SIZE - AUTH_STATE_HEADER - AUTH_STATE_SECRET), packed = buf_make(PLACE_SIZE);
    struct str secret = str_make((const char *)state->secret, sizeof state->secret);
    struct writing writing = {.descriptor = state->descriptor, .offset = (state->number + 1) % 2 * PLACE_SIZE};
    bool good = failures_write(failures, now, &records) &&
                auth_state_pack(state->number + 1, secret, buf_str(&records), &packed);
    if (good) {
        writing.bytes = buf_str(&packed);
        state->saving = true;
        task_run_blocking(write_place, &writing);
        state->saving = false;
    }
    buf_free_secret(&packed);
    buf_free(&records);
    if (!good) return failure_set(failure, "the records do not fit into the file");
    if (writing.error) return failure_set_errno(failure, writing.error, "data_directory/auth/state");
    state->number++;
    state->saved = changes;
    state->secret_is_new = false;
    return true;
}

void auth_state_release(struct auth_state *state) {
    state->released = true;
    if (state->owned) (void)flock(state->descriptor, LOCK_UN);
    state->owned = false;
}
