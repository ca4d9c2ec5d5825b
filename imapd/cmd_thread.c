/* THREAD (RFC 5256). */
#include "answers.h"
#include "base_subject.h"
#include "casemap.h"
#include "commands.h"
#include "search.h"
#include "thread.h"

struct gathering {
    struct imap_session *session;
    struct rows_reader reader;
    enum thread_algorithm algorithm;
    struct arena *arena;
    struct buf text;
    uint64_t copied_serial; /* of the reader's block whose texts are in the arena */
    struct str subjects;
    const uint64_t *ids;
};

static uint32_t number_of(const struct imap_session *session, uint32_t sequence) {
    return session->uid_command ? folder_uid(session->folder, sequence) : sequence;
}

/* ---- from a row */

/* All that a block has of subjects and IDs, in memory that stays. */
static bool copy_block(struct gathering *g, const struct message_rows_texts *subjects,
                       const struct message_rows_texts *ids) {
    if (g->copied_serial == g->reader.serial) return true;
    uint64_t *kept = arena_allocate(g->arena, ids->all.length / sizeof *kept + 1, sizeof *kept);
    if (!kept || !arena_copy(g->arena, subjects->all, &g->subjects)) return false;
    memcpy(kept, ids->all.data, ids->all.length / sizeof *kept * sizeof *kept);
    g->ids = kept;
    g->copied_serial = g->reader.serial;
    return true;
}

/* The first of a row's IDs is its own. False: the column is not what it should be. */
static bool take_ids(struct gathering *g, const struct message_rows_texts *ids, uint32_t place,
                     struct thread_message *message) {
    uint32_t from = message_rows_text_offset(ids, place), to = message_rows_text_offset(ids, place + 1);
    if (from % sizeof *g->ids != 0 || to % sizeof *g->ids != 0 || to <= from) return false;
    message->message_id = g->ids[from / sizeof *g->ids];
    message->references = g->ids + from / sizeof *g->ids + 1;
    message->reference_count = (to - from) / sizeof *g->ids - 1;
    return true;
}

static bool take_row(struct gathering *g, uint32_t sequence, struct thread_message *message) {
    struct message_rows *rows = &g->reader.rows;
    struct message_rows_texts subjects, ids;
    struct message_row row;
    struct folder_message facts;
    struct thread_message got = {.subject = STR_EMPTY};
    uint32_t place, uid = folder_uid(g->session->folder, sequence);
    if (!rows_find(&g->reader, uid, &place) || !message_rows_dates(rows, place, &row)) return false;
    if (!message_rows_texts(rows, ROW_SORT_SUBJECT, &subjects) || !message_rows_texts(rows, ROW_THREAD_IDS, &ids))
        return false;
    if (!copy_block(g, &subjects, &ids)) return false;
    if (g->algorithm != THREAD_ORDEREDSUBJECT && !take_ids(g, &ids, place, &got)) return false;
    if (g->algorithm != THREAD_REFS) {
        got.reply = row.reply;
        got.subject = str_slice(g->subjects, message_rows_text_offset(&subjects, place),
                                message_rows_text_offset(&subjects, place + 1));
    }
    got.sent = row.sent;
    if (!row.dated) {
        folder_message(g->session->folder, sequence, &facts);
        got.sent = facts.internal_date;
    }
    got.number = g->session->uid_command ? uid : sequence;
    *message = got;
    return true;
}

/* ---- from the header */

static bool keep_ids(struct gathering *g, struct str fields, struct thread_message *message) {
    uint64_t hashes[THREAD_REFERENCES_MAX];
    message->message_id = thread_id_hash(search_value(fields, STR("Message-ID")));
    message->reference_count = thread_read_references(search_value(fields, STR("References")),
                                                      search_value(fields, STR("In-Reply-To")), hashes);
    uint64_t *kept = arena_allocate(g->arena, message->reference_count + 1, sizeof *kept);
    if (kept && message->reference_count) memcpy(kept, hashes, message->reference_count * sizeof *kept);
    message->references = kept;
    return kept != NULL;
}

static bool keep_subject(struct gathering *g, struct str fields, struct thread_message *message) {
    struct buf base = buf_make(0);
    struct str field = search_field(fields, STR("Subject"));
    if (!field.data) return true;
    buf_clear(&g->text);
    message->reply = base_subject_append(&base, field);
    bool good = casemap_append(&g->text, buf_str(&base)) && arena_copy(g->arena, buf_str(&g->text), &message->subject);
    buf_free(&base);
    return good;
}

static bool take_message(struct gathering *g, uint32_t sequence, struct thread_message *row) {
    struct fetch_message message;
    struct str fields;
    bool good = true;
    fetch_message_begin_known(&message, g->session, sequence);
    rows_read_fields(&g->reader, &message, &fields);
    *row = (struct thread_message){
        .number = number_of(g->session, sequence), .sent = search_sent(&message, fields), .subject = STR_EMPTY};
    if (g->algorithm != THREAD_ORDEREDSUBJECT) good = keep_ids(g, fields, row);
    if (g->algorithm != THREAD_REFS) good = good && keep_subject(g, fields, row);
    fetch_message_end(&message);
    return good;
}

/* ---- the command */

/* *unread: not all headers could be read. */
static bool thread(struct imap_session *session, enum thread_algorithm algorithm, const struct search_result *result,
                   struct buf *answer, bool *unread) {
    struct gathering g = {.session = session, .algorithm = algorithm, .arena = arena_create(0)};
    struct thread_message *rows = memory_allocate(result->count + 1, sizeof *rows);
    bool good = true;
    rows_begin(&g.reader, session);
    for (size_t i = 0; good && i < result->count; i++)
        good = take_row(&g, result->sequences[i], &rows[i]) || take_message(&g, result->sequences[i], &rows[i]);
    rows_end(&g.reader);
    *unread = g.reader.unread;
    good = good && thread_append(answer, algorithm, rows, result->count);
    buf_free(&g.text);
    arena_destroy(&g.arena);
    MEMORY_FREE(rows);
    return good;
}

static bool say_threads(struct imap_session *session, enum thread_algorithm algorithm,
                        const struct search_result *result) {
    const char asked[] = {'T', session->uid_command ? 'u' : 's', (char)('0' + algorithm)};
    struct str key = str_make(asked, sizeof asked);
    unsigned slot = (unsigned)algorithm * 2 + session->uid_command;
    struct buf answer = buf_make(0);
    bool unread;
    if (result->all && answers_say(session, slot, key)) return true;
    buf_append(&answer, result->count > 0 ? STR("* THREAD ") : STR("* THREAD"));
    bool good = thread(session, algorithm, result, &answer, &unread);
    buf_append(&answer, STR("\r\n"));
    if (good && result->all && !unread) answers_keep(session, slot, key, buf_str(&answer));
    if (good) imap_say_bytes(session, buf_str(&answer));
    buf_free(&answer);
    return good;
}

IMAP_COMMAND(cmd_thread) {
    static const struct {
        struct str name;
        enum thread_algorithm algorithm;
    } names[] = {{STR_INIT("ORDEREDSUBJECT"), THREAD_ORDEREDSUBJECT},
                 {STR_INIT("REFERENCES"), THREAD_REFERENCES},
                 {STR_INIT("REFS"), THREAD_REFS}};
    struct imap_search search;
    struct search_result result;
    struct imap_outcome bad;
    size_t which = ARRAY_LENGTH(names);
    (void)uid;
    if (!imap_parse_thread(parser, &search)) return imap_bad(parser);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal_nocase(search.algorithm, names[i].name)) which = i;
    if (which == ARRAY_LENGTH(names))
        return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("Unknown thread algorithm")};
    if (search.has_modseq) imap_use_condstore(session);
    if (!imap_search_run(session, &search, &result, &bad)) return bad;
    bool good = say_threads(session, names[which].algorithm, &result);
    MEMORY_FREE(result.sequences);
    return good ? imap_ok("Done") : imap_no("LIMIT", "Too many messages");
}
