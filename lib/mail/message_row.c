/* message_row: a row worked out of a header: each field is found once, then decoded and folded as its columns want it.
 */
#include "address_list.h"
#include "base_subject.h"
#include "casemap.h"
#include "encoded_word.h"
#include "header.h"
#include "internal_date.h"
#include "message_rows.h"
#include "sort_key.h"
#include "thread.h"

#define TEXT_USUAL 1024 /* octets: so much is allocated at once */

/* The fields that a row is made of; first value of each (search_field's: data NULL if there is none). */
enum row_field {
    FIELD_FROM,
    FIELD_TO,
    FIELD_CC,
    FIELD_BCC,
    FIELD_SUBJECT,
    FIELD_MESSAGE_ID,
    FIELD_DATE,
    FIELD_REFERENCES,
    FIELD_IN_REPLY_TO,
    FIELDS
};

static const struct str field_names[FIELDS] = {
    STR_INIT("From"),       STR_INIT("To"),   STR_INIT("Cc"),         STR_INIT("Bcc"),         STR_INIT("Subject"),
    STR_INIT("Message-ID"), STR_INIT("Date"), STR_INIT("References"), STR_INIT("In-Reply-To"),
};

enum message_row_column message_row_searched_column(struct str field) {
    for (int i = FIELD_FROM; i <= FIELD_MESSAGE_ID; i++)
        if (str_equal_nocase(field, field_names[i])) return (enum message_row_column)(ROW_FROM + i);
    return ROW_COLUMNS;
}

static int field_of(struct str name) {
    for (int i = 0; i < FIELDS; i++)
        if (str_equal_nocase(name, field_names[i])) return i;
    return FIELDS;
}

void message_row_append_addresses(struct buf *out, struct str value) {
    struct address_list list;
    struct address_list_item item;
    enum address_list_result result;
    if (!memchr(value.data, '(', value.length)) return;
    address_list_begin(&list, value, 0);
    while ((result = address_list_next(&list, &item)) != ADDRESS_LIST_END && result != ADDRESS_LIST_TOO_MANY) {
        if (result != ADDRESS_LIST_ITEM || item.domain.length == 0) continue;
        buf_append_char(out, '\n');
        buf_append(out, item.local);
        buf_append_char(out, '@');
        buf_append(out, item.domain);
    }
    address_list_free(&list);
}

static void append_searched(struct buf *out, struct str value, bool addresses) {
    struct buf decoded = {0}, plain = {0};
    if (addresses) message_row_append_addresses(&plain, value);
    if (encoded_word_is_needed(value) || memchr(value.data, '\n', value.length)) {
        encoded_word_decode(value, &decoded);
        value = buf_str(&decoded);
    }
    casemap_append_searched(out, value);
    casemap_append_searched(out, buf_str(&plain));
    buf_append_char(out, '\0');
    buf_free(&decoded);
    buf_free(&plain);
}

/* ---- the fields, walked over once */

#define VALUES_MAX 32 /* fields of those names; a header with more of them gets no row */

struct made {
    struct str fields[FIELDS]; /* the first of each name; data NULL: there is none */
    struct {
        enum row_field field;
        struct str value;
    } values[VALUES_MAX]; /* all that are searched, in their order */
    size_t values_count;
    struct buf scratch, display;
    size_t display_to; /* where in display that of To begins */
};

/* The next field, its value with all continuations and without the last line end. As search_field walks over them. */
static bool next_field(struct str *header, struct str *name, struct str *value) {
    while (header->length > 0) {
        struct str line = *header;
        if (!str_cut(*header, '\n', &line, header)) *header = STR_EMPTY;
        enum header_line kind = header_line_read(line, name, value);
        if (kind == HEADER_LINE_EMPTY) return false;
        if (kind != HEADER_LINE_FIELD) continue;
        const char *end = line.data + line.length;
        while (header->length > 0 && (header->data[0] == ' ' || header->data[0] == '\t')) {
            if (!str_cut(*header, '\n', &line, header)) {
                line = *header;
                *header = STR_EMPTY;
            }
            end = line.data + line.length;
        }
        *value = str_make(value->data, (size_t)(end - value->data));
        return true;
    }
    return false;
}

static bool take_fields(struct made *made, struct str header) {
    struct str name, value;
    while (next_field(&header, &name, &value)) {
        int field = field_of(name);
        if (field == FIELDS) continue;
        if (made->fields[field].data == NULL) made->fields[field] = value;
        if (field > FIELD_MESSAGE_ID) continue;
        if (made->values_count == VALUES_MAX) return false;
        made->values[made->values_count].field = (enum row_field)field;
        made->values[made->values_count++].value = value;
    }
    return true;
}

/* ---- the columns */

static struct str value_of(const struct made *made, enum row_field field) {
    return made->fields[field].data != NULL ? made->fields[field] : STR_EMPTY;
}

static void append_ids(const struct made *made, struct buf *out) {
    uint64_t hashes[THREAD_REFERENCES_MAX];
    uint64_t own = thread_id_hash(value_of(made, FIELD_MESSAGE_ID));
    size_t count = thread_read_references(value_of(made, FIELD_REFERENCES), value_of(made, FIELD_IN_REPLY_TO), hashes);
    buf_append_bytes(out, &own, sizeof own);
    buf_append_bytes(out, hashes, count * sizeof hashes[0]);
}

static void append_all_searched(const struct made *made, enum row_field field, struct buf *out) {
    for (size_t i = 0; i < made->values_count; i++)
        if (made->values[i].field == field) append_searched(out, made->values[i].value, field <= FIELD_BCC);
}

static void append_column(struct made *made, enum message_row_column column, struct message_row *row, struct buf *out) {
    switch (column) {
    case ROW_FROM:
    case ROW_TO:
    case ROW_CC:
    case ROW_BCC:
    case ROW_SUBJECT:
    case ROW_MESSAGE_ID:
        append_all_searched(made, FIELD_FROM + (column - ROW_FROM), out);
        break;
    case ROW_SORT_SUBJECT:
        row->reply = base_subject_append(&made->scratch, value_of(made, FIELD_SUBJECT));
        casemap_append(out, buf_str(&made->scratch));
        break;
    case ROW_SORT_FROM:
        sort_texts_address(out, &made->display, value_of(made, FIELD_FROM));
        made->display_to = made->display.length;
        break;
    case ROW_SORT_TO:
        sort_texts_address(out, &made->display, value_of(made, FIELD_TO));
        break;
    case ROW_SORT_CC:
        sort_text_address(out, value_of(made, FIELD_CC));
        break;
    case ROW_DISPLAY_FROM:
        buf_append(out, str_slice(buf_str(&made->display), 0, made->display_to)); /* ROW_SORT_FROM came before */
        break;
    case ROW_DISPLAY_TO:
        buf_append(out, str_from_offset(buf_str(&made->display), made->display_to));
        break;
    case ROW_THREAD_IDS:
        append_ids(made, out);
        break;
    case ROW_COLUMNS:
        break;
    }
}

static bool make_texts(struct made *made, struct message_row *row, struct arena *arena) {
    struct buf text = {0};
    struct str all;
    size_t ends[ROW_COLUMNS];
    (void)!buf_reserve(&text, TEXT_USUAL);
    for (int column = 0; column < ROW_COLUMNS; column++) {
        append_column(made, (enum message_row_column)column, row, &text);
        ends[column] = text.length;
    }
    bool good = text.length <= MESSAGE_ROW_OCTETS && arena_copy(arena, buf_str(&text), &all);
    for (int column = 0; good && column < ROW_COLUMNS; column++)
        row->texts[column] = str_slice(all, column > 0 ? ends[column - 1] : 0, ends[column]);
    buf_free(&text);
    return good;
}

bool message_row_make(struct message_row *row, struct str fields, struct arena *arena) {
    struct made made = {0};
    struct message_row got = {.dated = false};
    bool good = take_fields(&made, fields);
    struct sent_date sent = sent_date_of(made.fields[FIELD_DATE], 0, 0);
    got.dated = sent.from_header;
    got.sent = sent.seconds;
    got.offset_minutes = (int16_t)sent.offset_minutes;
    good = good && sent.offset_minutes == got.offset_minutes && make_texts(&made, &got, arena);
    buf_free(&made.scratch);
    buf_free(&made.display);
    if (good) *row = got;
    return good;
}

bool message_row_has(const struct message_row *row, enum message_row_column column, struct str text) {
    struct str all = row->texts[column];
    return text.length == 0 ? all.length > 0 : str_find_str(all, text) != STR_NONE;
}
