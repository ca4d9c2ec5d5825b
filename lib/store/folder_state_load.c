/* See folder_state_load.h. */
#include "folder_state_load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_LIMIT ((uint64_t)1 << 30)

int folder_state_open(int directory) {
    return openat(directory, FOLDER_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* whole: all that the file has is read, so that damage can be told from a torn end. */
static bool read_journal(struct folder_state *state, const struct state_watcher *watcher, bool whole,
                         struct failure *failure) {
    struct stat status;
    struct journal_entry entry;
    if (fstat(state->file, &status) < 0) return failure_set_errno(failure, errno, "cannot look at tern-mailbox");
    uint64_t size = (uint64_t)status.st_size;
    if (size < state->position || size - state->position > JOURNAL_LIMIT)
        return failure_set(failure, "tern-mailbox is shorter than it was, or has grown beyond all measure");
    if (size == state->position) return true;
    size_t length = (size_t)(size - state->position), have = 0, offset = 0;
    char *bytes = memory_allocate(length, 1);
    while (have < length) {
        ssize_t got = pread(state->file, bytes + have, length - have, (off_t)(state->position + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += (size_t)got;
    }
    while (journal_next(str_make(bytes, have), &offset, &entry))
        folder_state_apply(state, &entry, watcher);
    state->position += offset;
    bool damaged = whole && offset < have && journal_goes_on(str_make(bytes, have), offset);
    MEMORY_FREE(bytes);
    return !damaged || failure_set(failure, "tern-mailbox is damaged");
}

bool folder_state_read(struct folder_state *state, const struct state_watcher *watcher, struct failure *failure) {
    return read_journal(state, watcher, false, failure);
}

static void read_keywords(struct folder_state *state) {
    struct str rest = str_make((const char *)state->map + FOLDER_HEADER_SIZE, state->header.keywords_length), name;
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX && str_cut(rest, '\0', &name, &rest); bit++)
        state->keywords[bit] = name;
}

/* The sections of a mapped file. */
static void find_sections(struct folder_state *state) {
    const struct folder_header *header = &state->header;
    const char *bytes = (const char *)state->map;
    state->names = str_make(bytes + folder_names_offset(header), header->names_length);
    state->records = state->map + folder_records_offset(header);
    state->base = header->count;
    state->position = folder_journal_offset(header);
    state->first_unseen_hint = header->first_unseen;
    state->pages = memory_allocate(state->base / FOLDER_PAGE_SLOTS + 1, sizeof *state->pages);
    state->texts = arena_create(0);
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
        state->keywords[bit] = STR_EMPTY;
    read_keywords(state);
}

static bool map_snapshot(struct folder_state *state, struct failure *failure) {
    char bytes[FOLDER_HEADER_SIZE];
    struct stat status;
    if (fstat(state->file, &status) < 0) return failure_set_errno(failure, errno, "cannot look at tern-mailbox");
    ssize_t got = pread(state->file, bytes, sizeof bytes, 0);
    if (got < 0) return failure_set_errno(failure, errno, "cannot read tern-mailbox");
    if (!folder_header_decode(str_make(bytes, (size_t)got), (uint64_t)status.st_size, &state->header))
        return failure_set(failure, "tern-mailbox is damaged");
    state->map_size = folder_journal_offset(&state->header);
    void *map = mmap(NULL, state->map_size, PROT_READ, MAP_SHARED, state->file, 0);
    if (map == MAP_FAILED) return failure_set_errno(failure, errno, "cannot map tern-mailbox");
    state->map = map;
    return true;
}

bool folder_state_load(int file, struct folder_state *state, struct failure *failure) {
    struct folder_state loaded = {.file = file};
    if (!map_snapshot(&loaded, failure)) {
        close(file);
        return false;
    }
    find_sections(&loaded);
    if (!read_journal(&loaded, NULL, true, failure)) {
        folder_state_free(&loaded);
        return false;
    }
    *state = loaded;
    return true;
}
