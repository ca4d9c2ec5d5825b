/* Fuzz target: tern-mailbox. The input is taken as it is for a header, a journal and a file's name; then its sums are
 * made right, and it is opened as a folder's file. */
#include "folder_name.h"
#include "folder_state_load.h"

#include <sys/mman.h>
#include <unistd.h>

#include "hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void check_header(struct str input) {
    struct folder_header header, again;
    uint8_t bytes[FOLDER_HEADER_SIZE];
    if (!folder_header_decode(input, input.length, &header)) return;
    check(folder_journal_offset(&header) <= input.length && header.uid_validity > 0 && header.uid_next > 0);
    folder_header_encode(&header, bytes);
    check(folder_header_decode(str_make((const char *)bytes, sizeof bytes), input.length, &again));
    check(again.uid_next == header.uid_next && again.names_length == header.names_length &&
          again.new.read_at == header.new.read_at);
}

static void check_name(struct str input) {
    struct str base, info;
    struct buf text = buf_make(0);
    uint64_t size, virtual_size;
    uint8_t flags;
    bool canonical;
    if (!folder_name_split(input, &base, &info)) return;
    check(base.length > 0 && base.length + info.length == input.length);
    folder_info_parse(info, &flags, &canonical);
    folder_info_format(flags, &text);
    check(flags < 64 && canonical == str_equal(buf_str(&text), info));
    folder_name_sizes(base, &size, &virtual_size);
    check(folder_name_date(base) >= 0);
    buf_free(&text);
}

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_sum(uint8_t *at, uint32_t sum) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(sum >> (8 * i));
}

/* The sums of all entries, as far as their lengths lead. */
static void sum_entries(uint8_t *bytes, size_t size, size_t at) {
    while (at <= size && size - at >= 12) {
        size_t length = number(bytes + at + 8);
        if (length > size - at - 12) return;
        put_sum(bytes + at, crc32c(0, bytes + at + 4, length + 8));
        at += 12 + length;
    }
}

/* All that a folder asks of its state. */
static void walk(const struct folder_state *state) {
    uint64_t shown = 0;
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        struct folder_record record;
        struct buf path = buf_make(0);
        folder_state_get(state, slot, &record);
        folder_record_path(&record, &path);
        check(record.uid == folder_state_uid(state, slot) && path.length > 3);
        check(record.name.length <= FOLDER_NAME_MAX);
        check(folder_state_slot_from(state, record.uid) <= folder_state_slots(state));
        shown += !slot_set_has(&state->gone, slot);
        buf_free(&path);
    }
    struct slot_set *gone = (struct slot_set *)(uintptr_t)&state->gone;
    check(slot_set_before(gone, folder_state_slots(state)) == state->gone.members);
    check(shown + state->gone.members == folder_state_slots(state));
    for (uint32_t rank = 0; rank < shown; rank++)
        check(!slot_set_has(gone, slot_set_nth_absent(gone, rank, folder_state_slots(state))));
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
        check(state->keywords[bit].length == 0 || state->keywords[bit].data != NULL);
}

static void open_file(const uint8_t *data, size_t size) {
    struct folder_state state;
    struct folder_header header;
    struct failure failure = {0};
    uint8_t *bytes = memory_allocate(size, 1);
    memcpy(bytes, data, size);
    memcpy(bytes, "ternMBX1", 8);
    put_sum(bytes + 12, 1);
    put_sum(bytes + 8, crc32c(0, bytes + 12, FOLDER_HEADER_SIZE - 12));
    if (folder_header_decode(str_make((const char *)bytes, size), size, &header)) {
        sum_entries(bytes, size, (size_t)folder_journal_offset(&header));
        int file = memfd_create("tern-mailbox", MFD_CLOEXEC);
        check(file >= 0 && write(file, bytes, size) == (ssize_t)size);
        if (folder_state_load(file, &state, &failure)) {
            check(state.position <= size);
            walk(&state);
            folder_state_free(&state);
        } else {
            check(failure.error_number == 0);
        }
    }
    MEMORY_FREE(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size);
    struct journal_entry entry;
    size_t offset = 0;
    check_header(input);
    while (journal_next(input, &offset, &entry))
        check(offset <= size);
    (void)!journal_goes_on(input, offset);
    check_name(input);
    if (size >= FOLDER_HEADER_SIZE) open_file(data, size);
    return 0;
}
