/* See rows.h. */
#include "rows.h"

#define MISSES_FEW 64 /* messages without rows that a command may meet before it makes any */
#define LEARNED_FEW                                                                                                    \
    8 /* fewer new rows than these are not worth writing their block again, unless it is complete then */

struct rows_learned {
    uint32_t block;
    unsigned count;
    struct arena *texts;
    bool known[MESSAGE_ROWS_MAX], refused[MESSAGE_ROWS_MAX];
    struct message_row rows[MESSAGE_ROWS_MAX], kept[MESSAGE_ROWS_MAX];
    struct str fields[MESSAGE_ROWS_MAX]; /* of those whose fields are not in the cache; else empty */
    struct message_rows_draft draft;
    struct buf bytes;
};

void rows_begin(struct rows_reader *reader, struct imap_session *session) {
    *reader = (struct rows_reader){.session = session};
    ahead_plan(session, AHEAD_FIELDS | AHEAD_ROW, folder_count(session->folder));
}

static bool open_block(const struct rows_reader *reader, uint32_t block, struct message_rows *rows) {
    const struct folder *folder = reader->session->folder;
    struct str bytes;
    return cache_get_block(reader->session->store, folder_id(folder), CACHE_ROWS, block, &bytes) &&
           message_rows_open(rows, bytes, folder_uid_validity(folder), block);
}

static void look(struct rows_reader *reader, uint32_t block) {
    reader->has_rows = open_block(reader, block, &reader->rows);
    reader->block = block;
    reader->reading = cache_reading(reader->session->store);
    reader->serial++;
    reader->looked = true;
}

bool rows_find(struct rows_reader *reader, uint32_t uid, uint32_t *place) {
    uint32_t block = uid >> MESSAGE_ROWS_BITS;
    if (!reader->looked || block != reader->block || reader->reading != cache_reading(reader->session->store))
        look(reader, block);
    return reader->has_rows && message_rows_has(&reader->rows, uid, place);
}

/* ---- learning */

/* How many messages of the view belong to a block. */
static uint32_t messages_in(const struct folder *folder, uint32_t block) {
    uint32_t first = block << MESSAGE_ROWS_BITS, last = first | (MESSAGE_ROWS_MAX - 1);
    uint32_t from = folder_sequence_from(folder, first);
    uint32_t to = last == UINT32_MAX ? folder_count(folder) + 1 : folder_sequence_from(folder, last + 1);
    return to - from;
}

/* Messages that another session sees already are left in; those that are gone for this one are not. */
static bool may_stay(const struct folder *folder, uint32_t uid) {
    return uid >= folder_uid_next(folder) || folder_sequence(folder, uid) != 0;
}

/* The block with what was in it and what is new. Returns how many messages it knows of. */
static uint32_t make_draft(struct rows_reader *reader) {
    struct rows_learned *learned = reader->learned;
    const struct folder *folder = reader->session->folder;
    struct message_rows old;
    bool has_old = open_block(reader, learned->block, &old);
    uint32_t known = 0, place;
    learned->draft = (struct message_rows_draft){.uid_validity = folder_uid_validity(folder), .block = learned->block};
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
        uint32_t uid = learned->block << MESSAGE_ROWS_BITS | i;
        if (learned->known[i]) {
            learned->draft.rows[i] = learned->refused[i] ? NULL : &learned->rows[i];
            learned->draft.refused[i] = learned->refused[i];
        } else if (has_old && message_rows_has(&old, uid, &place) && may_stay(folder, uid)) {
            if (!message_rows_get(&old, place, &learned->kept[i])) continue;
            learned->draft.rows[i] = &learned->kept[i];
        } else if (has_old && message_rows_refuses(&old, uid) && may_stay(folder, uid)) {
            learned->draft.refused[i] = true;
        } else {
            continue;
        }
        known++;
    }
    return known;
}

/* Those that get no row keep their fields. */
static void keep_fields(struct rows_reader *reader, bool written) {
    struct rows_learned *learned = reader->learned;
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++)
        if (learned->fields[i].length > 0 && (!written || learned->refused[i]))
            fetch_message_keep_fields(reader->session, learned->block << MESSAGE_ROWS_BITS | i, learned->fields[i]);
}

static void write_learned(struct rows_reader *reader) {
    struct rows_learned *learned = reader->learned;
    struct imap_session *session = reader->session;
    if (learned->count == 0) return;
    uint32_t known = make_draft(reader);
    bool written = learned->count >= LEARNED_FEW || known >= messages_in(session->folder, learned->block);
    if (written) {
        buf_clear(&learned->bytes);
        message_rows_write(&learned->bytes, &learned->draft);
        cache_put_block(session->store, folder_id(session->folder), CACHE_ROWS, learned->block,
                        buf_str(&learned->bytes));
    }
    keep_fields(reader, written);
    learned->count = 0;
    memset(learned->known, 0, sizeof learned->known);
    memset(learned->refused, 0, sizeof learned->refused);
    memset(learned->fields, 0, sizeof learned->fields);
    arena_destroy(&learned->texts);
    learned->texts = arena_create(0);
}

/* What is known to have no row because it would be too long. */
static bool is_refused(struct rows_reader *reader, uint32_t uid) {
    uint32_t place;
    (void)rows_find(reader, uid, &place);
    return reader->has_rows && message_rows_refuses(&reader->rows, uid);
}

/* A row that a thread has made; false: it has refused. */
static bool copy_row(struct message_row *row, const struct ahead_message *ahead, struct arena *texts) {
    if (ahead->row_refused) return false;
    *row = ahead->row;
    for (size_t i = 0; i < ARRAY_LENGTH(row->texts); i++)
        if (row->texts[i].length == 0)
            row->texts[i] = STR_EMPTY;
        else if (!arena_copy(texts, row->texts[i], &row->texts[i]))
            return false;
    return true;
}

/* fields: read from the file, if from_file; else out of the cache. */
static void learn(struct rows_reader *reader, const struct fetch_message *message, struct str fields, bool from_file) {
    struct rows_learned *learned = reader->learned;
    uint32_t uid = message->facts.uid, at = uid % MESSAGE_ROWS_MAX;
    bool made = message->ahead && message->ahead->has_row;
    if (learned->count > 0 && uid >> MESSAGE_ROWS_BITS != learned->block) write_learned(reader);
    learned->block = uid >> MESSAGE_ROWS_BITS;
    if (learned->known[at]) return;
    learned->known[at] = true;
    learned->refused[at] = made ? !copy_row(&learned->rows[at], message->ahead, learned->texts)
                                : !message_row_make(&learned->rows[at], fields, learned->texts);
    learned->count++;
    if (from_file) (void)!arena_copy(learned->texts, fields, &learned->fields[at]);
}

/* Whether a row is to be made of it: not of the first ones, nor of what is too long, nor where there is no cache. */
static bool is_wanted(struct rows_reader *reader, uint32_t uid) {
    if (!cache_is_there(reader->session->store) || is_refused(reader, uid) || ++reader->misses <= MISSES_FEW)
        return false;
    if (!reader->learned) {
        reader->learned = MEMORY_NEW(struct rows_learned);
        reader->learned->texts = arena_create(0);
    }
    return true;
}

bool rows_fields_and_row(struct rows_reader *reader, struct fetch_message *message, struct str *fields,
                         const struct message_row **row) {
    bool wanted = message->fields.length == 0 && is_wanted(reader, message->facts.uid);
    message->fields_held = wanted;
    *row = NULL;
    if (!fetch_message_fields(message, fields)) return false;
    if (!wanted) return true;
    learn(reader, message, *fields, message->fields.length > 0);
    uint32_t at = message->facts.uid % MESSAGE_ROWS_MAX;
    if (!reader->learned->refused[at]) *row = &reader->learned->rows[at];
    return true;
}

bool rows_fields(struct rows_reader *reader, struct fetch_message *message, struct str *fields) {
    const struct message_row *row;
    return rows_fields_and_row(reader, message, fields, &row);
}

void rows_read_fields(struct rows_reader *reader, struct fetch_message *message, struct str *fields) {
    if (rows_fields(reader, message, fields)) return;
    reader->unread = true;
    *fields = STR_EMPTY;
}

void rows_flush(struct rows_reader *reader) {
    if (!reader->learned) return;
    write_learned(reader);
    cache_flush(reader->session->store);
}

void rows_end(struct rows_reader *reader) {
    if (!reader->learned) return;
    write_learned(reader);
    rows_drop_dead(reader->session, CACHE_ROWS);
    arena_destroy(&reader->learned->texts);
    buf_free(&reader->learned->bytes);
    MEMORY_FREE(reader->learned);
}

void rows_drop_dead(struct imap_session *session, unsigned kind) {
    const struct folder *folder = session->folder;
    struct str bytes;
    uint32_t last_block = folder_uid_next(folder) >> MESSAGE_ROWS_BITS; /* may yet get messages */
    for (uint32_t block = 0;
         block < last_block && cache_next_block(session->store, folder_id(folder), kind, &block, &bytes); block++)
        if (block < last_block && messages_in(folder, block) == 0)
            cache_put_block(session->store, folder_id(folder), kind, block, STR_EMPTY);
}
