/* An opened folder: see folder.h. This file has the view: what is shown, what has to be told. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LARGE_DIRECTORY 65536 /* octets: about a thousand names, where names are what is counted */

/* ---- lists of slots */

void slot_list_add(struct slot_list *list, uint32_t slot) {
    if (list->count > 0 && list->slots[list->count - 1] == slot) return;
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->slots = memory_resize(list->slots, list->room, sizeof *list->slots);
    }
    list->slots[list->count++] = slot;
}

void slot_list_free(struct slot_list *list) {
    MEMORY_FREE(list->slots);
    list->count = list->room = 0;
}

static int compare_slots(const void *a, const void *b) {
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return first < second ? -1 : first > second;
}

static void sort_unique(struct slot_list *list) {
    size_t kept = 0;
    if (list->count > 1) qsort(list->slots, list->count, sizeof *list->slots, compare_slots);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->slots[i] != list->slots[kept - 1]) list->slots[kept++] = list->slots[i];
    list->count = kept;
}

/* ---- numbers */

uint32_t folder_count(const struct folder *folder) {
    return folder->view_slots - folder->dropped.members;
}

/* Counting may build the set's own table: no change that anyone could see. */
static struct slot_set *dropped_of(const struct folder *folder) {
    return (struct slot_set *)(uintptr_t)&folder->dropped;
}

uint32_t folder_slot(const struct folder *folder, uint32_t sequence) {
    return slot_set_nth_absent(dropped_of(folder), sequence - 1, folder->view_slots);
}

uint32_t folder_slot_sequence(const struct folder *folder, uint32_t slot) {
    return slot - slot_set_before(dropped_of(folder), slot) + 1;
}

uint32_t folder_uid(const struct folder *folder, uint32_t sequence) {
    return folder_state_uid(&folder->state, folder_slot(folder, sequence));
}

uint32_t folder_sequence(const struct folder *folder, uint32_t uid) {
    uint32_t slot = folder_state_find(&folder->state, uid);
    if (slot >= folder->view_slots || slot_set_has(&folder->dropped, slot)) return 0;
    return folder_slot_sequence(folder, slot);
}

uint32_t folder_sequence_from(const struct folder *folder, uint32_t uid) {
    uint32_t slot = folder_state_slot_from(&folder->state, uid);
    return folder_slot_sequence(folder, slot < folder->view_slots ? slot : folder->view_slots);
}

/* ---- looking */

uint32_t folder_uid_validity(const struct folder *folder) {
    return folder->state.header.uid_validity;
}

uint32_t folder_uid_next(const struct folder *folder) {
    return folder->state.header.uid_next;
}

uint64_t folder_highest_modseq(const struct folder *folder) {
    return folder->state.header.highest_modseq;
}

const uint8_t *folder_id(const struct folder *folder) {
    return folder->state.header.id;
}

struct str folder_name(const struct folder *folder) {
    return str_from(folder->name);
}

bool folder_is_read_only(const struct folder *folder) {
    return folder->read_only;
}

static bool is_recent(const struct folder *folder, uint32_t uid) {
    return uid >= folder->recent_from && uid < folder->recent_to;
}

void folder_message_known(const struct folder *folder, uint32_t sequence, struct folder_message *message) {
    struct folder_record record;
    folder_state_get(&folder->state, folder_slot(folder, sequence), &record);
    *message = (struct folder_message){
        .uid = record.uid,
        .flags = {.system = record.system | (is_recent(folder, record.uid) ? FLAG_RECENT : 0U), .keywords = record.keywords},
        .modseq = record.modseq,
        .internal_date = record.internal_date,
        .save_date = record.save_date,
        .size = record.size,
        .virtual_size = record.virtual_size,
    };
}

/* What is asked for the first time becomes part of what is known: no change to anyone. */
void folder_message(const struct folder *folder, uint32_t sequence, struct folder_message *message) {
    folder_message_known(folder, sequence, message);
    if (message->internal_date != FOLDER_DATE_UNKNOWN && message->size != FOLDER_SIZE_UNKNOWN) return;
    folder_look((struct folder *)(uintptr_t)folder, sequence, message);
}

uint32_t folder_recent(const struct folder *folder) {
    uint32_t first = folder_sequence_from(folder, folder->recent_from);
    uint32_t end = folder_sequence_from(folder, folder->recent_to);
    return end > first ? end - first : 0;
}

void folder_recent_range(const struct folder *folder, uint32_t *from, uint32_t *to) {
    *from = folder->recent_from;
    *to = folder->recent_to;
}

void folder_set_recent_range(struct folder *folder, uint32_t from, uint32_t to) {
    folder->recent_from = from;
    if (to > folder->recent_to) folder->recent_to = to;
}

uint32_t folder_first_unseen(const struct folder *folder) {
    struct folder_state *state = (struct folder_state *)(uintptr_t)&folder->state; /* the hint alone */
    struct folder_record record;
    for (uint32_t slot = state->first_unseen_hint; slot < folder->view_slots; slot++) {
        folder_state_get(state, slot, &record);
        if (slot_set_has(&state->gone, slot) || (record.system & FLAG_SEEN)) continue;
        state->first_unseen_hint = slot;
        return folder_slot_sequence(folder, slot);
    }
    state->first_unseen_hint = folder->view_slots;
    return 0;
}

struct str folder_keyword(const struct folder *folder, unsigned bit) {
    return bit < FOLDER_KEYWORDS_MAX ? folder->state.keywords[bit] : STR_EMPTY;
}

int folder_keyword_bit(const struct folder *folder, struct str name) {
    for (int bit = 0; name.length > 0 && bit < FOLDER_KEYWORDS_MAX; bit++)
        if (str_equal_nocase(folder->state.keywords[bit], name)) return bit;
    return -1;
}

bool folder_has_new_keywords(struct folder *folder) {
    bool changed = folder->keywords_changed;
    folder->keywords_changed = false;
    return changed;
}

unsigned folder_keyword_count(const struct folder *folder) {
    unsigned count = 0;
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
        if (folder->state.keywords[bit].length > 0) count = bit + 1;
    return count;
}

/* A row of the snapshot's list of expunged UIDs. */
static void expunged_row(const struct folder_state *state, uint64_t row, struct uid_range *range, uint64_t *modseq) {
    const uint8_t *at = state->map + folder_expunged_offset(&state->header) + row * FOLDER_EXPUNGED_SIZE;
    memcpy(&range->first, at, 4);
    memcpy(&range->last, at + 4, 4);
    memcpy(modseq, at + 8, 8);
    range->first = le32toh(range->first);
    range->last = le32toh(range->last);
    *modseq = le64toh(*modseq);
}

bool folder_expunged_since(const struct folder *folder, uint64_t modseq, struct uid_set *uids) {
    const struct folder_state *state = &folder->state;
    uint64_t row_modseq;
    struct uid_range range;
    if (modseq < state->header.expunged_floor) return false;
    for (uint64_t row = state->header.expunged_count; row-- > 0;) {
        expunged_row(state, row, &range, &row_modseq);
        if (row_modseq <= modseq) break;
        uid_set_add(uids, range.first, range.last);
    }
    for (size_t i = state->expunged_count; i-- > 0 && state->expunged[i].modseq > modseq;)
        uid_set_add(uids, state->expunged[i].first, state->expunged[i].last);
    return true;
}

/* ---- what happens while the journal is read */

static void note_changed(void *context, uint32_t slot) {
    struct folder *folder = context;
    if (!folder->applying_own && slot < folder->view_slots) slot_list_add(&folder->changed, slot);
}

static void note_expunged(void *context, uint32_t slot) {
    struct folder *folder = context;
    if (slot < folder->view_slots) slot_list_add(&folder->expunged, slot);
}

static void note_keyword(void *context) {
    struct folder *folder = context;
    folder->keywords_changed = true;
}

struct state_watcher folder_watcher(struct folder *folder) {
    return (struct state_watcher){
        .changed = note_changed, .expunged = note_expunged, .keyword = note_keyword, .context = folder};
}

/* ---- a view over another state */

/* UIDs that the view shows. */
static void shown_uids(const struct folder *folder, struct uid_set *uids) {
    for (uint32_t slot = 0; slot < folder->view_slots; slot++) {
        uint32_t uid = folder_state_uid(&folder->state, slot);
        if (!slot_set_has(&folder->dropped, slot)) uid_set_add(uids, uid, uid);
    }
}

/* Puts messages that are no more into the state, as expunged ones, so that the view can go on counting them. All
 * records then stand in the tail. */
static void add_ghosts(struct folder_state *state, const struct uid_set *ghosts) {
    uint32_t old = folder_state_slots(state);
    uint64_t extra = uid_set_size(ghosts);
    struct folder_record *all = memory_allocate((size_t)(old + extra), sizeof *all);
    struct slot_set gone = {0};
    uint32_t count = 0, slot = 0;
    for (size_t i = 0; i <= ghosts->count; i++) {
        uint32_t until = i < ghosts->count ? ghosts->ranges[i].first : UINT32_MAX;
        for (; slot < old && folder_state_uid(state, slot) < until; slot++) {
            folder_state_get(state, slot, &all[count]);
            if (slot_set_has(&state->gone, slot)) slot_set_add(&gone, count);
            count++;
        }
        for (uint64_t uid = until; i < ghosts->count && uid <= ghosts->ranges[i].last; uid++) {
            all[count] = (struct folder_record){.uid = (uint32_t)uid, .system = FLAG_SEEN, .place = PLACE_CUR, .name = STR_EMPTY};
            slot_set_add(&gone, count++);
        }
    }
    for (uint32_t page = 0; page <= state->base / 256; page++)
        MEMORY_FREE(state->pages[page]);
    MEMORY_FREE(state->tail);
    slot_set_free(&state->gone);
    state->tail = all;
    state->tail_count = count;
    state->tail_room = (uint32_t)(old + extra);
    state->base = 0;
    state->gone = gone;
    state->first_unseen_hint = 0;
}

/* Lays the view of someone who has seen all up to told_next and modseq over the state; shown: the UIDs that he
 * sees, of which those that are no more must be told. */
static void lay_view(struct folder *folder, uint32_t told_next, uint64_t modseq, const struct uid_set *shown) {
    struct folder_state *state = &folder->state;
    struct uid_set ghosts = {0}, present = {0};
    uid_set_copy(shown, &ghosts);
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        uint32_t uid = folder_state_uid(state, slot);
        uid_set_add(&present, uid, uid);
    }
    uid_set_subtract(&ghosts, &present);
    uid_set_free(&present);
    if (ghosts.count > 0) add_ghosts(state, &ghosts);
    uid_set_free(&ghosts);
    slot_set_free(&folder->dropped);
    folder->changed.count = folder->expunged.count = 0;
    folder->view_slots = folder_state_slot_from(state, told_next);
    for (uint32_t slot = 0; slot < folder->view_slots; slot++) {
        struct folder_record record;
        folder_state_get(state, slot, &record);
        if (!uid_set_has(shown, record.uid))
            slot_set_add(&folder->dropped, slot);
        else if (slot_set_has(&state->gone, slot))
            slot_list_add(&folder->expunged, slot);
        else if (record.modseq > modseq)
            slot_list_add(&folder->changed, slot);
    }
}

static int open_file(int directory) {
    return openat(directory, FOLDER_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

bool folder_reload(struct folder *folder, struct failure *failure) {
    struct folder_state loaded;
    struct uid_set shown = {0};
    int file = open_file(folder->directory);
    if (file < 0) return failure_set_errno(failure, errno, "cannot open tern-mailbox");
    if (!folder_state_load(file, &loaded, failure)) return false;
    if (loaded.header.uid_validity != folder->state.header.uid_validity) folder->renewed = true;
    uint32_t told_next =
        folder->view_slots > 0 ? folder_state_uid(&folder->state, folder->view_slots - 1) + 1 : 1;
    uint64_t modseq = folder->state.header.highest_modseq;
    /* What waits to be told is told by its modseq again, so those that changed count as seen before the change. */
    for (size_t i = 0; i < folder->changed.count; i++) {
        struct folder_record record;
        folder_state_get(&folder->state, folder->changed.slots[i], &record);
        if (record.modseq <= modseq && record.modseq > 0) modseq = record.modseq - 1;
    }
    shown_uids(folder, &shown);
    folder_state_free(&folder->state);
    folder->state = loaded;
    lay_view(folder, told_next, modseq, &shown);
    folder->keywords_changed = true;
    uid_set_free(&shown);
    return true;
}

bool folder_restore_view(struct folder *folder, uint32_t uid_validity, uint32_t uid_next, uint64_t modseq) {
    struct uid_set shown = {0}, expunged = {0};
    if (uid_validity != folder->state.header.uid_validity || !folder_expunged_since(folder, modseq, &expunged)) {
        uid_set_free(&expunged);
        return false;
    }
    uint32_t end = folder_state_slot_from(&folder->state, uid_next);
    for (uint32_t slot = 0; slot < end; slot++) {
        uint32_t uid = folder_state_uid(&folder->state, slot);
        if (!slot_set_has(&folder->state.gone, slot)) uid_set_add(&shown, uid, uid);
    }
    uid_set_remove(&expunged, uid_next, UINT32_MAX);
    uid_set_add_set(&shown, &expunged);
    lay_view(folder, uid_next, modseq, &shown);
    uid_set_free(&shown);
    uid_set_free(&expunged);
    return true;
}

/* ---- opening */

/* An octet in tern-lock says that the folder has had a tern-mailbox: if that is lost, the UIDs that another program's old
 * files know may have gone to other messages meanwhile. Without the octet no more than that is lost. */
static bool was_ours(const struct folder *folder) {
    struct stat status;
    return fstat(folder->lock, &status) == 0 && status.st_size > 0;
}

static void mark_ours(const struct folder *folder) {
    (void)!pwrite(folder->lock, "\n", 1, 0);
}

/* The file of a folder that tern opens for the first time, or whose file is damaged: UIDs begin anew then. */
static bool make_file(struct folder *folder, bool damaged, struct failure *failure) {
    struct folder_import import = {0};
    uint32_t validity = 0;
    bool good = damaged || was_ours(folder) || folder_import_read(folder->directory, &import, failure);
    if (good)
        good = import.found ? store_note_validity(folder->store, import.uid_validity, failure)
                            : store_next_validity(folder->store, &validity, failure);
    good = good && folder_make_file(folder->directory, import.found ? &import : NULL, validity, failure);
    folder_import_free(&import);
    if (good) mark_ours(folder);
    return good;
}

/* Makes the file under the lock unless somebody else just did; what is damaged is set aside. */
static bool make_first_file(struct folder *folder, bool damaged, struct failure *failure) {
    if (!folder_lock_alone(folder, failure)) return false;
    int file = open_file(folder->directory);
    bool good = true;
    bool whole = file >= 0 && damaged && folder_state_load(file, &folder->state, failure); /* takes the file over */
    if (file >= 0 && damaged && !whole) {
        good = renameat(folder->directory, FOLDER_FILE, folder->directory, FOLDER_FILE ".damaged") == 0;
    } else if (file >= 0) { /* somebody else has made it */
        if (whole)
            folder_state_free(&folder->state);
        else
            close(file);
        folder_unlock(folder);
        return true;
    }
    good = good && make_file(folder, damaged, failure);
    folder_unlock(folder);
    return good;
}

static bool load(struct folder *folder, struct failure *failure) {
    for (int attempt = 0;; attempt++) {
        int file = open_file(folder->directory);
        bool missing = file < 0 && errno == ENOENT;
        if (file < 0 && !missing) return failure_set_errno(failure, errno, "cannot open tern-mailbox");
        if (file >= 0 && folder_state_load(file, &folder->state, failure)) return true;
        /* Only a file that was read and makes no sense is damaged; one that cannot be read is a fault of now. */
        bool damaged = !missing && failure->error_number == 0;
        if (attempt > 0 || (!missing && !damaged) || !make_first_file(folder, damaged, failure)) return false;
    }
}

/* Everything that is there is shown. */
static void show_all(struct folder *folder) {
    folder->view_slots = folder_state_slots(&folder->state);
    slot_set_free(&folder->dropped);
    for (uint32_t slot = 0; folder->state.gone.members > 0 && slot < folder->view_slots; slot++)
        if (slot_set_has(&folder->state.gone, slot)) slot_set_add(&folder->dropped, slot);
    folder->changed.count = folder->expunged.count = 0;
}

/* Messages that no session was told yet are recent in this one, and in no other. */
static enum store_result claim_recent(struct folder *folder, struct failure *failure) {
    struct folder_header *header = &folder->state.header;
    if (folder->read_only || header->recent_from >= header->uid_next) {
        if (folder->read_only) {
            folder->recent_from = header->recent_from;
            folder->recent_to = header->uid_next;
        }
        return STORE_OK;
    }
    if (!folder_lock(folder, failure)) return folder_trouble(failure);
    struct buf entries = buf_make(0);
    uint32_t from = header->recent_from, to = header->uid_next;
    struct journal_entry numbers = {.type = JOURNAL_NUMBERS, .uid_next = to, .recent_from = to};
    journal_append(&entries, &numbers, NULL);
    enum store_result result = from < to ? folder_append(folder, &entries, 0, failure) : STORE_OK;
    folder_unlock(folder);
    buf_free(&entries);
    if (result != STORE_OK) return result;
    if (folder->recent_to != from || folder->recent_from == folder->recent_to) folder->recent_from = from;
    folder->recent_to = to;
    return STORE_OK;
}

static enum store_result read_directories(struct folder *folder, struct failure *failure) {
    if (!folder_is_stale(folder)) return STORE_OK;
    if (!folder_lock(folder, failure)) return folder_trouble(failure);
    enum store_result result = folder_scan(folder, failure);
    folder_unlock(folder);
    return result;
}

/* With what its file says. NULL: *result. */
static struct folder *open_loaded(struct store *store, struct str name, enum folder_open_mode mode,
                                  enum store_result *result, struct failure *failure) {
    int directory = store_folder_directory(store, name, result, failure);
    if (directory < 0) return NULL;
    struct folder *folder = MEMORY_NEW(struct folder);
    folder->store = store;
    folder->name = memory_copy_string(name);
    folder->read_only = mode == FOLDER_READ_ONLY;
    folder->directory = directory;
    folder->lock = folder->places[PLACE_NEW] = folder->places[PLACE_CUR] = -1;
    folder->state.file = -1;
    *result = load(folder, failure) ? STORE_OK : folder_trouble(failure);
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

struct folder *folder_open(struct store *store, struct str name, enum folder_open_mode mode, enum store_result *result,
                           struct failure *failure) {
    struct folder *folder = open_loaded(store, name, mode, result, failure);
    if (!folder) return NULL;
    folder_plan_reading(folder);
    *result = read_directories(folder, failure);
    if (*result == STORE_OK) show_all(folder);
    if (*result == STORE_OK) *result = claim_recent(folder, failure);
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

struct folder *folder_open_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure) {
    struct folder *folder = open_loaded(store, name, FOLDER_READ_ONLY, result, failure);
    if (!folder || folder->state.header.cur.read_at != 0) return folder;
    *result = read_directories(folder, failure); /* UIDs that another program gave come first */
    if (*result != STORE_OK) folder_close(&folder);
    return folder;
}

void folder_close(struct folder **folder) {
    struct folder *gone = *folder;
    if (!gone) return;
    buf_free(&gone->counted);
    buf_free(&gone->looks);
    if (gone->state.texts) folder_state_free(&gone->state);
    if (gone->lock >= 0) close(gone->lock);
    for (size_t i = 0; i < ARRAY_LENGTH(gone->places); i++)
        if (gone->places[i] >= 0) close(gone->places[i]);
    close(gone->directory);
    slot_set_free(&gone->dropped);
    slot_list_free(&gone->changed);
    slot_list_free(&gone->expunged);
    MEMORY_FREE(gone->name);
    MEMORY_FREE(*folder);
}

bool folder_is_first_look(struct store *store, struct str name) {
    enum store_result ignored_result;
    struct failure ignored = {0};
    struct stat status;
    int directory = store_folder_directory(store, name, &ignored_result, &ignored);
    if (directory < 0) return false;
    bool is_new = fstatat(directory, FOLDER_FILE, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    bool is_large = fstatat(directory, "cur", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size > LARGE_DIRECTORY;
    close(directory);
    return is_new && is_large;
}

enum store_result folder_status(struct store *store, struct str name, struct folder_status *status,
                                struct failure *failure) {
    enum store_result result;
    struct folder *folder = folder_open(store, name, FOLDER_READ_ONLY, &result, failure);
    if (!folder) return result;
    const struct folder_header *header = &folder->state.header;
    if (header->uncounted > 0) result = folder_count_all(folder, failure);
    if (header->unsized > 0) folder_size_all(folder);
    *status = (struct folder_status){.messages = header->count,
                                     .recent = folder_recent(folder),
                                     .unseen = header->unseen,
                                     .deleted = header->deleted,
                                     .uid_next = header->uid_next,
                                     .uid_validity = header->uid_validity,
                                     .highest_modseq = header->highest_modseq,
                                     .size = header->virtual_size,
                                     .deleted_size = header->deleted_size};
    memcpy(status->id, header->id, sizeof status->id);
    folder_close(&folder);
    return result;
}

/* ---- synchronising */

/* The numbers of those that go, each as those before leave it: from the end, none moves another. */
static void tell_expunged(struct folder *folder, struct folder_changes *changes) {
    sort_unique(&folder->expunged);
    if (changes && folder->expunged.count > 0) changes->expunged = memory_allocate(folder->expunged.count, sizeof *changes->expunged);
    for (size_t i = folder->expunged.count; i-- > 0;) {
        uint32_t slot = folder->expunged.slots[i], uid = folder_state_uid(&folder->state, slot);
        if (slot_set_has(&folder->dropped, slot) || !changes) continue;
        changes->expunged[changes->expunged_count++] = folder_slot_sequence(folder, slot);
        uid_set_add(&changes->expunged_uids, uid, uid);
    }
    for (size_t i = 0; i < folder->expunged.count; i++)
        slot_set_add(&folder->dropped, folder->expunged.slots[i]);
    folder->expunged.count = 0;
}

/* New messages enter the view; those that are gone already never do. */
static void show_new(struct folder *folder, struct folder_changes *changes) {
    uint32_t slots = folder_state_slots(&folder->state), before = folder_count(folder);
    for (uint32_t slot = folder->view_slots; slot < slots; slot++)
        if (slot_set_has(&folder->state.gone, slot)) slot_set_add(&folder->dropped, slot);
    folder->view_slots = slots;
    if (changes) changes->grew = folder_count(folder) != before;
}

static void tell_changed(struct folder *folder, struct folder_changes *changes) {
    sort_unique(&folder->changed);
    if (changes && folder->changed.count > 0) changes->changed = memory_allocate(folder->changed.count, sizeof *changes->changed);
    for (size_t i = 0; changes && i < folder->changed.count; i++) {
        uint32_t slot = folder->changed.slots[i];
        if (slot_set_has(&folder->dropped, slot) || slot_set_has(&folder->state.gone, slot)) continue;
        changes->changed[changes->changed_count++] = folder_slot_sequence(folder, slot);
    }
    folder->changed.count = 0;
    if (changes) changes->keywords_changed = folder->keywords_changed;
    folder->keywords_changed = false;
}

enum store_result folder_sync(struct folder *folder, bool keep_expunged, struct folder_changes *changes,
                              struct failure *failure) {
    if (changes) *changes = (struct folder_changes){0};
    struct stat status;
    struct state_watcher watcher = folder_watcher(folder);
    if (fstat(folder->state.file, &status) < 0) {
        failure_set_errno(failure, errno, "cannot look at tern-mailbox");
        return STORE_BROKEN;
    }
    bool good = status.st_nlink == 0 ? folder_reload(folder, failure) : folder_state_read(&folder->state, &watcher, failure);
    if (!good) return folder_trouble(failure);
    enum store_result result = read_directories(folder, failure);
    if (result == STORE_OK) result = claim_recent(folder, failure);
    if (result != STORE_OK) return result;
    if (changes) changes->renewed = folder->renewed;
    if (!keep_expunged) tell_expunged(folder, changes);
    show_new(folder, changes);
    tell_changed(folder, changes);
    return STORE_OK;
}

void folder_changes_free(struct folder_changes *changes) {
    MEMORY_FREE(changes->expunged);
    MEMORY_FREE(changes->changed);
    uid_set_free(&changes->expunged_uids);
    *changes = (struct folder_changes){0};
}

/* inotify knows paths only, and a process that may not be looked into has none for its descriptors: it goes there. */
bool folder_watch(struct folder *folder, int inotify, int watches[FOLDER_WATCHES], struct failure *failure) {
    int numbers[FOLDER_WATCHES];
    static const char *const names[FOLDER_WATCHES] = {FOLDER_FILE, "new", "cur"};
    static const uint32_t events[FOLDER_WATCHES] = {IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB,
                                      IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM,
                                      IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM};
    if (fchdir(folder->directory) < 0) return failure_set_errno(failure, errno, "cannot watch the folder");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if ((numbers[i] = inotify_add_watch(inotify, names[i], events[i])) < 0)
            return failure_set_errno(failure, errno, "cannot watch the folder");
    memcpy(watches, numbers, sizeof numbers);
    return true;
}
