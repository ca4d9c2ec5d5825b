/* See search.h. The cheap keys first: what the record of a message says decides before its header is read, the
 * header before the body. A tree is walked without recursion deeper than the grammar allows. */
#include "search.h"

#include <time.h>

#include "casemap.h"
#include "charset.h"
#include "clock.h"
#include "date.h"
#include "encoded_word.h"
#include "header.h"
#include "internal_date.h"
#include "kept_fields.h"

struct str search_field(struct str header, struct str name) {
    struct str line, found = {NULL, 0};
    while (header.length > 0) {
        line = header;
        if (!str_cut(header, '\n', &line, &header)) header = STR_EMPTY;
        struct str field_name, value;
        /* Most lines are other fields, told by their first letter. */
        if (name.length > 0 && line.length > 2 && ascii_lower(line.data[0]) != ascii_lower(name.data[0])) continue;
        if (header_line_kind(line) == HEADER_LINE_EMPTY) break;
        if (header_line_kind(line) != HEADER_LINE_FIELD || !header_line_split(line, &field_name, &value) ||
            !str_equal_nocase(field_name, name))
            continue;
        /* With its continuations. */
        const char *end = line.data + line.length;
        while (header.length > 0 && (header.data[0] == ' ' || header.data[0] == '\t')) {
            if (!str_cut(header, '\n', &line, &header)) {
                line = header;
                header = STR_EMPTY;
            }
            end = line.data + line.length;
        }
        found = str_make(value.data, (size_t)(end - value.data));
        break;
    }
    return found;
}

struct str search_value(struct str header, struct str name) {
    struct str value = search_field(header, name);
    return value.data ? value : STR_EMPTY;
}

/* The internal date, which may be the file's: it is looked at for this alone. */
static int64_t arrival(const struct imap_session *session, uint32_t sequence, struct folder_message *facts) {
    if (facts->internal_date == FOLDER_DATE_UNKNOWN) {
        struct folder_message now;
        folder_message(session->folder, sequence, &now);
        facts->internal_date = now.internal_date;
    }
    return facts->internal_date;
}

int64_t search_sent(struct fetch_message *message, struct str fields) {
    struct sent_date sent = sent_date_of(search_field(fields, STR("Date")), 0, 0);
    return sent.from_header ? sent.seconds : arrival(message->session, message->sequence, &message->facts);
}

int64_t search_sent_date(struct imap_session *session, struct rows_reader *reader, uint32_t sequence) {
    struct fetch_message message;
    struct str fields;
    fetch_message_begin_known(&message, session, sequence);
    rows_read_fields(reader, &message, &fields);
    int64_t sent = search_sent(&message, fields);
    fetch_message_end(&message);
    return sent;
}

/* ---- a key made ready */

struct ready_key {
    const struct imap_key *key;
    struct casemap_search search; /* of keys with text */
    struct uid_set numbers;       /* KEY_SEQUENCE, KEY_UID: UIDs */
    enum message_row_column column;          /* KEY_HEADER: what of a row is searched; ROW_COLUMNS: nothing */
    uint64_t hits[MESSAGE_ROWS_MAX / 64];    /* of the block of rows at hand: where the text was found */
    uint64_t hits_serial;                    /* which block that is */
    int keyword_bit;
    struct ready_key *first, *next;
    unsigned cost; /* 0 record, 1 header, 2 body */
};

struct search_run {
    struct imap_session *session;
    struct rows_reader rows;
    struct fetch_message message;
    bool message_open;
    int64_t now;
    struct buf text;
};

static unsigned cost_of(enum imap_key_kind kind, struct str field) {
    switch (kind) {
    case KEY_BODY:
    case KEY_TEXT:
    case KEY_EMAIL_ID:
        return 3;
    case KEY_HEADER:
        return kept_fields_have(field) ? 1 : 2;
    case KEY_SENT_BEFORE:
    case KEY_SENT_ON:
    case KEY_SENT_SINCE:
        return 1;
    case KEY_ALL:
    case KEY_AND:
    case KEY_OR:
    case KEY_NOT:
    case KEY_FLAG:
    case KEY_NO_FLAG:
    case KEY_NEW:
    case KEY_OLD:
    case KEY_SEQUENCE:
    case KEY_UID:
    case KEY_LARGER:
    case KEY_SMALLER:
    case KEY_BEFORE:
    case KEY_ON:
    case KEY_SINCE:
    case KEY_SAVED_BEFORE:
    case KEY_SAVED_ON:
    case KEY_SAVED_SINCE:
    case KEY_SAVE_DATE_SUPPORTED:
    case KEY_OLDER:
    case KEY_YOUNGER:
    case KEY_MODSEQ:
    case KEY_THREAD_ID:
        return 0;
    }
    return 0;
}

/* In the order of their cost; the order of AND's and OR's children is nobody's business. */
static void insert_child(struct ready_key *parent, struct ready_key *child) {
    struct ready_key **link = &parent->first;
    while (*link && (*link)->cost <= child->cost)
        link = &(*link)->next;
    child->next = *link;
    *link = child;
    if (child->cost > parent->cost) parent->cost = child->cost;
}

/* The search text in UTF-8. */
static bool convert_text(struct imap_session *session, struct charset_converter *converter, struct str text,
                         struct str *converted) {
    struct buf out = buf_make(0);
    bool good = charset_convert(converter, text, true, &out) && arena_copy(session->arena, buf_str(&out), converted);
    buf_free(&out);
    return good;
}

static struct ready_key *make_ready(struct imap_session *session, const struct imap_key *key,
                                    struct charset_converter *converter, struct imap_outcome *bad) {
    struct ready_key *ready = ARENA_NEW(session->arena, struct ready_key);
    struct str text;
    if (!ready) {
        *bad = (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("Search too large")};
        return NULL;
    }
    ready->key = key;
    ready->cost = cost_of(key->kind, key->field);
    if (key->kind == KEY_SEQUENCE || key->kind == KEY_UID) {
        if (!imap_match_sequence(session, &key->sequence, key->kind == KEY_UID, &ready->numbers)) {
            *bad = (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("Too many message numbers")};
            return NULL;
        }
    } else if (key->kind == KEY_HEADER || key->kind == KEY_BODY || key->kind == KEY_TEXT) {
        if (!convert_text(session, converter, key->text, &text)) text = key->text;
        casemap_search_begin(&ready->search, text);
        ready->column = key->kind == KEY_HEADER ? message_row_searched_column(key->field) : ROW_COLUMNS;
        if (str_find(buf_str(&ready->search.key), '\0') != STR_NONE)
            ready->column = ROW_COLUMNS; /* it ends texts there */
    } else if ((key->kind == KEY_FLAG || key->kind == KEY_NO_FLAG) && !key->flag) {
        ready->keyword_bit = folder_keyword_bit(session->folder, key->keyword);
    }
    for (const struct imap_key *child = key->first; child; child = child->next) {
        struct ready_key *made = make_ready(session, child, converter, bad);
        if (!made) return NULL;
        insert_child(ready, made);
    }
    return ready;
}

static void free_ready(struct ready_key *ready) {
    for (struct ready_key *child = ready ? ready->first : NULL; child; child = child->next)
        free_ready(child);
    if (!ready) return;
    const enum imap_key_kind kind = ready->key->kind;
    if (kind == KEY_HEADER || kind == KEY_BODY || kind == KEY_TEXT) casemap_search_free(&ready->search);
    uid_set_free(&ready->numbers);
}

/* ---- matching */

static void open_message(struct search_run *run, uint32_t sequence) {
    if (run->message_open) return;
    fetch_message_begin_known(&run->message, run->session, sequence);
    run->message_open = true;
}

static bool contains_decoded(struct search_run *run, struct casemap_search *search, struct str value) {
    if (!encoded_word_is_needed(value) && !memchr(value.data, '\n', value.length))
        return casemap_contains(search, value);
    buf_clear(&run->text);
    return encoded_word_decode(value, &run->text) && casemap_contains(search, buf_str(&run->text));
}

static struct str whole_header(struct search_run *run) {
    struct fetch_message *message = &run->message;
    if (!fetch_message_bytes(message) || !fetch_message_structure(message)) return STR_EMPTY;
    if (!message->parts) message->parts = imap_structure_parts(&message->structure);
    if (!message->parts) return STR_EMPTY;
    return str_slice(message->bytes, message->parts[0].header_offset,
                     message->parts[0].header_offset + message->parts[0].header_length);
}

/* Whether a row answers, and how. A block's texts are searched at once. */
static bool match_in_row(struct search_run *run, struct ready_key *ready, uint32_t uid, bool *found) {
    uint32_t place;
    if (ready->column == ROW_COLUMNS || !rows_find(&run->rows, uid, &place)) return false;
    if (ready->hits_serial != run->rows.serial) {
        if (!message_rows_search(&run->rows.rows, ready->column, buf_str(&ready->search.key), ready->hits))
            return false;
        ready->hits_serial = run->rows.serial;
    }
    *found = ready->hits[place / 64] >> (place % 64) & 1;
    return true;
}

static bool has_address(struct search_run *run, struct ready_key *ready, struct str value) {
    if (ready->column > ROW_BCC) return false;
    buf_clear(&run->text);
    message_row_append_addresses(&run->text, value);
    return run->text.length > 0 && casemap_contains(&ready->search, buf_str(&run->text));
}

/* The fields that one of the key's name is among. *row: what answers in their place, or NULL. */
static bool fields_of(struct search_run *run, const struct ready_key *ready, struct str *fields,
                      const struct message_row **row) {
    *row = NULL;
    if (!kept_fields_have(ready->key->field)) {
        *fields = whole_header(run);
        return true;
    }
    if (ready->column == ROW_COLUMNS) return fetch_message_fields(&run->message, fields);
    return rows_fields_and_row(&run->rows, &run->message, fields, row);
}

/* Every field of that name; an empty text asks whether there is one. */
static bool match_header(struct search_run *run, struct ready_key *ready, uint32_t sequence, uint32_t uid) {
    const struct message_row *row;
    struct str fields, value;
    bool found;
    if (match_in_row(run, ready, uid, &found)) return found;
    open_message(run, sequence);
    if (!fields_of(run, ready, &fields, &row)) return false;
    if (row) return message_row_has(row, ready->column, buf_str(&ready->search.key));
    while ((value = search_field(fields, ready->key->field)).data) {
        if (contains_decoded(run, &ready->search, value) || has_address(run, ready, value)) return true;
        fields = str_from_offset(fields, (size_t)(value.data + value.length - fields.data));
        size_t next = str_find(fields, '\n');
        if (next == STR_NONE) break;
        fields = str_from_offset(fields, next + 1);
    }
    return false;
}

/* All fields, decoded one by one: text that is cut by a fold is found too. */
static bool match_whole_header(struct search_run *run, struct ready_key *ready) {
    struct str header = whole_header(run), line;
    while (header.length > 0) {
        const char *begin = header.data;
        size_t end = 0;
        do {
            size_t at = str_find(str_from_offset(header, end), '\n');
            end = at == STR_NONE ? header.length : end + at + 1;
        } while (end < header.length && (header.data[end] == ' ' || header.data[end] == '\t'));
        line = str_make(begin, end);
        header = str_from_offset(header, end);
        if (contains_decoded(run, &ready->search, line)) return true;
    }
    return false;
}

static bool match_part(struct search_run *run, struct ready_key *ready, const struct imap_part *part) {
    struct charset_reader reader;
    struct mime_value type = {0};
    struct str body = str_slice(run->message.bytes, part->body_offset, part->body_offset + part->body_length),
               charset = STR_EMPTY;
    struct str header = str_slice(run->message.bytes, part->header_offset, part->header_offset + part->header_length);
    struct str field = search_field(header, STR("Content-Type"));
    bool found = false;
    if (field.data && mime_value_parse(&type, field)) {
        const struct mime_parameter *parameter = mime_value_find(&type, "charset");
        if (parameter) charset = parameter->value;
    }
    charset_reader_begin(&reader, body, part->encoding, charset);
    casemap_search_restart(&ready->search);
    while (!found && charset_reader_next(&reader, &run->text))
        found = casemap_search_next(&ready->search, buf_str(&run->text));
    charset_reader_free(&reader);
    mime_value_free(&type);
    return found;
}

/* Text parts, and the headers of messages within; what is attached as octets is not text. */
static bool match_body(struct search_run *run, struct ready_key *ready, uint32_t sequence, bool with_header) {
    struct fetch_message *message = &run->message;
    open_message(run, sequence);
    if (!fetch_message_bytes(message) || !fetch_message_structure(message)) return false;
    if (with_header && match_whole_header(run, ready)) return true;
    if (!message->parts) message->parts = imap_structure_parts(&message->structure);
    for (size_t i = 0; message->parts && i < message->structure.part_count; i++) {
        const struct imap_part *part = &message->parts[i];
        if (part->kind == IMAP_PART_TEXT && match_part(run, ready, part)) return true;
        if (part->kind == IMAP_PART_MESSAGE && part->child &&
            contains_decoded(
                run, &ready->search,
                str_slice(message->bytes, message->parts[part->child].header_offset,
                          message->parts[part->child].header_offset + message->parts[part->child].header_length)))
            return true;
    }
    return false;
}

static bool match_flag(const struct ready_key *ready, const struct folder_message *facts) {
    if (ready->key->flag) return facts->flags.system & ready->key->flag;
    return ready->keyword_bit >= 0 && (facts->flags.keywords >> ready->keyword_bit & 1);
}

static int64_t day_of(int64_t seconds) {
    return seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400;
}

/* The day in the sender's own zone; false: no Date tells it, or the message is gone. */
static bool sent_day(struct search_run *run, uint32_t sequence, const struct folder_message *facts, int64_t *day) {
    struct message_row row;
    struct str fields;
    uint32_t place;
    if (rows_find(&run->rows, facts->uid, &place) && message_rows_dates(&run->rows.rows, place, &row)) {
        *day = day_of(row.sent + row.offset_minutes * 60);
        return row.dated;
    }
    open_message(run, sequence);
    if (!rows_fields(&run->rows, &run->message, &fields)) return false;
    struct sent_date sent = sent_date_of(search_field(fields, STR("Date")), 0, 0);
    *day = day_of(sent.seconds + sent.offset_minutes * 60);
    return sent.from_header;
}

static bool match_sent(struct search_run *run, const struct ready_key *ready, uint32_t sequence,
                       struct folder_message *facts) {
    int64_t day;
    if (!sent_day(run, sequence, facts, &day)) return false;
    return ready->key->kind == KEY_SENT_BEFORE ? day < ready->key->day
           : ready->key->kind == KEY_SENT_ON   ? day == ready->key->day
                                               : day >= ready->key->day;
}

static bool match_size(struct search_run *run, const struct ready_key *ready, uint32_t sequence) {
    struct failure failure = {0};
    uint64_t size;
    if (!folder_virtual_size(run->session->folder, sequence, &size, &failure)) return false;
    return ready->key->kind == KEY_LARGER ? size > ready->key->number : size < ready->key->number;
}

static bool match(struct search_run *run, struct ready_key *ready, uint32_t sequence, struct folder_message *facts);

static bool match_group(struct search_run *run, struct ready_key *ready, uint32_t sequence,
                        struct folder_message *facts) {
    bool is_or = ready->key->kind == KEY_OR;
    for (struct ready_key *child = ready->first; child; child = child->next)
        if (match(run, child, sequence, facts) == is_or) return is_or;
    return !is_or;
}

/* One key; groups recurse as deep as the grammar lets them (IMAP_DEPTH_MAX). */
static bool match(struct search_run *run, struct ready_key *ready, uint32_t sequence, struct folder_message *facts) {
    const struct imap_key *key = ready->key;
    switch (key->kind) {
    case KEY_ALL:
    case KEY_SAVE_DATE_SUPPORTED:
        return true;
    case KEY_AND:
    case KEY_OR:
        return match_group(run, ready, sequence, facts);
    case KEY_NOT:
        return !match(run, ready->first, sequence, facts);
    case KEY_FLAG:
        return match_flag(ready, facts);
    case KEY_NO_FLAG:
        return !match_flag(ready, facts);
    case KEY_NEW:
        return (facts->flags.system & FLAG_RECENT) && !(facts->flags.system & FLAG_SEEN);
    case KEY_OLD:
        return !(facts->flags.system & FLAG_RECENT);
    case KEY_SEQUENCE:
    case KEY_UID:
        return uid_set_has(&ready->numbers, facts->uid);
    case KEY_HEADER:
        return match_header(run, ready, sequence, facts->uid);
    case KEY_BODY:
    case KEY_TEXT:
        return match_body(run, ready, sequence, key->kind == KEY_TEXT);
    case KEY_LARGER:
    case KEY_SMALLER:
        return match_size(run, ready, sequence);
    case KEY_BEFORE:
        return day_of(arrival(run->session, sequence, facts)) < key->day;
    case KEY_ON:
        return day_of(arrival(run->session, sequence, facts)) == key->day;
    case KEY_SINCE:
        return day_of(arrival(run->session, sequence, facts)) >= key->day;
    case KEY_SENT_BEFORE:
    case KEY_SENT_ON:
    case KEY_SENT_SINCE:
        return match_sent(run, ready, sequence, facts);
    case KEY_SAVED_BEFORE:
        return day_of(facts->save_date) < key->day;
    case KEY_SAVED_ON:
        return day_of(facts->save_date) == key->day;
    case KEY_SAVED_SINCE:
        return day_of(facts->save_date) >= key->day;
    case KEY_OLDER:
        return (uint64_t)(run->now - arrival(run->session, sequence, facts)) >= key->number ||
               facts->internal_date > run->now;
    case KEY_YOUNGER:
        return run->now - arrival(run->session, sequence, facts) <= (int64_t)key->number;
    case KEY_MODSEQ:
        return facts->modseq >= key->number;
    case KEY_EMAIL_ID:
    case KEY_THREAD_ID:
        return key->kind == KEY_EMAIL_ID &&
               (open_message(run, sequence), fetch_message_email_id_is(&run->message, key->text));
    }
    return false;
}

/* ---- running */

/* ALL, alone or with itself. */
static bool is_all(const struct ready_key *ready) {
    bool all = ready->key->kind == KEY_ALL || ready->key->kind == KEY_AND;
    for (const struct ready_key *child = ready->first; all && child; child = child->next)
        all = is_all(child);
    return all;
}

static void take_all(const struct folder *folder, struct search_result *result) {
    result->all = true;
    result->count = folder_count(folder);
    result->sequences = memory_allocate((size_t)result->count + 1, sizeof *result->sequences);
    for (uint32_t sequence = 1; sequence <= result->count; sequence++)
        result->sequences[sequence - 1] = sequence;
}

static void match_all(struct search_run *run, struct ready_key *ready, struct search_result *result) {
    struct folder *folder = run->session->folder;
    uint32_t count = folder_count(folder);
    size_t room = 0;
    for (uint32_t sequence = 1; sequence <= count; sequence++) {
        struct folder_message facts;
        folder_message_known(folder, sequence, &facts);
        bool found = match(run, ready, sequence, &facts);
        if (run->message_open) fetch_message_end(&run->message);
        run->message_open = false;
        if (!found) continue;
        if (result->count == room) {
            room = room ? room * 2 : 64;
            result->sequences = memory_resize(result->sequences, room, sizeof *result->sequences);
        }
        result->sequences[result->count++] = sequence;
        if (facts.modseq > result->highest_modseq) result->highest_modseq = facts.modseq;
    }
}

bool imap_search_run(struct imap_session *session, const struct imap_search *search, struct search_result *result,
                     struct imap_outcome *bad) {
    struct search_run run = {.session = session, .now = clock_date() / CLOCK_SECOND};
    struct charset_converter *converter = charset_open(search->charset.length ? search->charset : STR("UTF-8"));
    *result = (struct search_result){0};
    if (search->has_numbers) session->keeps_numbers = true;
    if (!converter) {
        *bad = imap_no("BADCHARSET (UTF-8 US-ASCII)", "Unknown charset");
        return false;
    }
    struct ready_key *ready = make_ready(session, search->key, converter, bad);
    rows_begin(&run.rows, session);
    if (ready && !search->has_modseq && is_all(ready))
        take_all(session->folder, result);
    else if (ready)
        match_all(&run, ready, result);
    rows_end(&run.rows);
    free_ready(ready);
    charset_close(&converter);
    buf_free(&run.text);
    cache_flush(session->store);
    return ready != NULL;
}

bool imap_search_partial(const struct imap_search *search, size_t count, size_t *from, size_t *to) {
    int64_t first = search->partial_first, last = search->partial_last, all = (int64_t)count;
    if (first < 0) {
        first = all + 1 + first;
        last = all + 1 + last;
    }
    if (first > last) {
        int64_t other = first;
        first = last;
        last = other;
    }
    if (first < 1) first = 1;
    if (last > all) last = all;
    if (first > last) return false;
    *from = (size_t)first - 1;
    *to = (size_t)last;
    return true;
}

/* Whether one of `count` results is an end or in the part that was asked for. */
static bool is_asked(const struct imap_search *search, size_t count, size_t i) {
    size_t from, to;
    if ((search->returns & RETURN_MIN) && i == 0) return true;
    if ((search->returns & RETURN_MAX) && i == count - 1) return true;
    return (search->returns & RETURN_PARTIAL) && imap_search_partial(search, count, &from, &to) && i >= from && i < to;
}

/* Whether ends or a part were asked for, and not all. */
static bool is_some(const struct imap_search *search) {
    return (search->returns & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL)) &&
           !(search->returns & (RETURN_ALL | RETURN_COUNT));
}

uint64_t imap_search_modseq(struct imap_session *session, const struct imap_search *search,
                            const struct search_result *result) {
    uint64_t highest = 0;
    if (!is_some(search)) return result->highest_modseq;
    for (size_t i = 0; i < result->count; i++) {
        struct folder_message facts;
        if (!is_asked(search, result->count, i)) continue;
        folder_message_known(session->folder, result->sequences[i], &facts);
        if (facts.modseq > highest) highest = facts.modseq;
    }
    return highest;
}

void imap_search_save(struct imap_session *session, const struct imap_search *search,
                      const struct search_result *result) {
    if (!(search->returns & RETURN_SAVE)) return;
    uid_set_clear(&session->saved);
    bool some = is_some(search);
    for (size_t i = 0; i < result->count; i++) {
        uint32_t uid = folder_uid(session->folder, result->sequences[i]);
        if (!some || is_asked(search, result->count, i)) uid_set_add(&session->saved, uid, uid);
    }
}
