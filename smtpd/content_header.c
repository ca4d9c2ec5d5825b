/* content_header: see content_header.h. */
#include "content_header.h"

void content_header_begin(struct content_header *header, struct str drop, size_t field_limit) {
    *header = (struct content_header){.drop = drop, .field_limit = field_limit, .first_line = true};
}

struct str content_header_withheld(const struct content_header *header) {
    return str_make(header->withheld, header->withheld_length);
}

struct str content_header_message_id(const struct content_header *header) {
    return str_trim(str_make(header->message_id, header->message_id_length));
}

bool content_header_tls_not_required(const struct content_header *header) {
    /* One that fills the room may have been cut. */
    return header->tls_required_length < sizeof header->tls_required &&
           str_equal_nocase(str_trim(str_make(header->tls_required, header->tls_required_length)), STR("No"));
}

static bool list_has(struct str list, struct str name) {
    struct str word;
    while (str_next_word(&list, ", \t", &word))
        if (str_equal_nocase(word, name)) return true;
    return false;
}

/* The name is known: note the field. */
static void open_field(struct content_header *header) {
    struct str name = str_make(header->withheld, header->name_length);
    header->dropping = list_has(header->drop, name);
    header->cutting = false;
    header->field_bytes = 0;
    header->open_field = true;
    header->is_message_id = str_equal_nocase(name, STR("Message-ID")) && !header->has_message_id;
    if (header->is_message_id) header->has_message_id = true;
    header->is_tls_required = str_equal_nocase(name, STR("TLS-Required"));
    if (header->is_tls_required) header->tls_required_length = 0;
    if (str_equal_nocase(name, STR("Received"))) header->hops++;
    if (str_equal_nocase(name, STR("Date"))) header->has_date = true;
    if (str_equal_nocase(name, STR("From"))) header->has_from = true;
    if (str_equal_nocase(name, STR("To")) || str_equal_nocase(name, STR("Cc")) || str_equal_nocase(name, STR("Bcc")))
        header->has_recipient = true;
}

/* Bytes of a field, as far as they are kept. */
static void emit(struct content_header *header, struct str bytes, struct buf *out) {
    if (header->dropping || header->cutting) return;
    size_t room = header->field_limit > header->field_bytes ? header->field_limit - header->field_bytes : 0;
    if (bytes.length > room) {
        header->cutting = true;
        bytes.length = room;
    }
    header->field_bytes += bytes.length;
    buf_append(out, bytes);
}

static void emit_withheld(struct content_header *header, struct buf *out) {
    emit(header, content_header_withheld(header), out);
    header->withheld_length = 0;
    header->place = HEADER_IN_VALUE;
}

static void value(struct content_header *header, struct str text, struct buf *out) {
    if (header->is_message_id) {
        size_t room = sizeof header->message_id - header->message_id_length;
        size_t length = text.length < room ? text.length : room;
        memcpy(header->message_id + header->message_id_length, text.data, length);
        header->message_id_length += length;
    }
    if (header->is_tls_required) {
        size_t room = sizeof header->tls_required - header->tls_required_length;
        size_t length = text.length < room ? text.length : room;
        memcpy(header->tls_required + header->tls_required_length, text.data, length);
        header->tls_required_length += length;
    }
    emit(header, text, out);
}

/* "From " or ">From " before the first field: what mbox files and careless programs put there. */
static bool is_mbox_line(const struct content_header *header) {
    struct str name = str_make(header->withheld, header->name_length);
    return header->first_line && (str_equal(name, STR("From")) || str_equal(name, STR(">From")));
}

enum step { STEP_ON, STEP_FIELD, STEP_BODY };

/* One byte of a line whose kind is not known yet. */
static enum step judge(struct content_header *header, char c) {
    bool blank = c == ' ' || c == '\t';
    if (header->place == HEADER_AT_START) {
        if (blank && header->open_field) return STEP_FIELD;
        header->place = HEADER_IN_NAME;
        header->name_length = 0;
    }
    if (c == ':' && header->name_length > 0) return STEP_FIELD;
    if (blank && header->name_length > 0) {
        header->place = HEADER_AFTER_NAME;
        return header->withheld_length < sizeof header->withheld ? STEP_ON : STEP_BODY;
    }
    if (header->place == HEADER_AFTER_NAME) return is_mbox_line(header) ? STEP_FIELD : STEP_BODY;
    if (c <= ' ' || c > '~' || c == ':' || header->name_length == CONTENT_HEADER_NAME_MAX) return STEP_BODY;
    header->name_length++;
    return STEP_ON;
}

bool content_header_text(struct content_header *header, struct str text, struct buf *out, struct str *rest) {
    size_t used = 0;
    while (header->place != HEADER_IN_VALUE && used < text.length) {
        char c = text.data[used];
        bool continues = header->place == HEADER_AT_START;
        enum step step = judge(header, c);
        if (step == STEP_BODY) {
            header->place = HEADER_IN_BODY;
            *rest = str_from_offset(text, used);
            return true;
        }
        if (step == STEP_ON) {
            header->withheld[header->withheld_length++] = c;
            used++;
            continue;
        }
        if (continues) { /* a continuation line: the field goes on */
            header->place = HEADER_IN_VALUE;
            break;
        }
        if (c != ':') {
            struct str mark = STR("Mailbox-Line: ");
            header->dropping = header->cutting = header->is_message_id = header->is_tls_required = false;
            header->field_bytes = 0;
            header->open_field = true;
            emit(header, mark, out);
        } else {
            open_field(header);
        }
        emit_withheld(header, out);
        if (c == ':') {
            emit(header, STR(":"), out);
            used++;
        }
    }
    value(header, str_from_offset(text, used), out);
    return false;
}

bool content_header_line_end(struct content_header *header, struct buf *out) {
    bool in_field = header->place == HEADER_IN_VALUE;
    if (!in_field) { /* the empty line, or a line without a colon */
        header->place = HEADER_IN_BODY;
        return true;
    }
    header->place = HEADER_AT_START;
    header->first_line = false;
    if (header->dropping) return false;
    /* A field that is cut keeps one line end, wherever it was cut. */
    if (!header->cutting)
        buf_append_char(out, '\n');
    else if (header->field_bytes < SIZE_MAX) {
        if (header->field_bytes <= header->field_limit) buf_append_char(out, '\n');
        header->field_bytes = SIZE_MAX;
    }
    return false;
}
