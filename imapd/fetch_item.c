/* See fetch_item.h. */
#include "fetch_item.h"

#include "crlf_view.h"
#include "internal_date.h"
#include "kept_fields.h"
#include "preview.h"
#include "transfer_reader.h"

/* A list of fields that the cache can answer alone. */
static bool is_in_fields(const struct imap_fetch_item *item) {
    const struct imap_fetch_section *section = &item->section;
    if (item->kind != FETCH_SECTION || section->section.kind != IMAP_SECTION_FIELDS || section->section.depth > 0)
        return false;
    for (size_t i = 0; i < section->field_count; i++)
        if (!kept_fields_have(section->fields[i])) return false;
    return true;
}

static bool can_item(struct fetch_message *message, const struct imap_fetch_item *item) {
    struct str fields;
    uint64_t size;
    struct failure failure = {0};
    switch (item->kind) {
    case FETCH_INTERNALDATE:
        if (message->facts.internal_date == FOLDER_DATE_UNKNOWN)
            folder_message(message->session->folder, message->sequence, &message->facts);
        return true;
    case FETCH_FLAGS:
    case FETCH_UID:
    case FETCH_MODSEQ:
    case FETCH_THREADID:
    case FETCH_SAVEDATE:
        return true;
    case FETCH_RFC822_SIZE: /* counted once: the record learns of it later */
        if (message->facts.virtual_size > 0) return true;
        if (!folder_virtual_size(message->session->folder, message->sequence, &size, &failure)) return false;
        message->facts.virtual_size = size;
        return true;
    case FETCH_ENVELOPE:
    case FETCH_BODYSTRUCTURE:
    case FETCH_BODY:
        return fetch_message_structure(message);
    case FETCH_SECTION:
        if (is_in_fields(item)) return fetch_message_fields(message, &fields);
        return fetch_message_bytes(message) && fetch_message_parts(message);
    case FETCH_BINARY:
    case FETCH_BINARY_SIZE:
    case FETCH_RFC822:
    case FETCH_RFC822_HEADER:
    case FETCH_RFC822_TEXT:
    case FETCH_EMAILID:
    case FETCH_PREVIEW:
        return fetch_message_bytes(message) && fetch_message_parts(message);
    }
    return false;
}

/* Whether the structure is asked for, which has the size in it. */
static bool asks_structure(const struct imap_fetch *fetch) {
    for (size_t i = 0; i < fetch->count; i++)
        if (fetch->items[i].kind == FETCH_ENVELOPE || fetch->items[i].kind == FETCH_BODYSTRUCTURE ||
            fetch->items[i].kind == FETCH_BODY)
            return true;
    return false;
}

unsigned fetch_wants(const struct imap_fetch *fetch) {
    unsigned wants = asks_structure(fetch) ? AHEAD_STRUCTURE : 0;
    for (size_t i = 0; i < fetch->count; i++) {
        switch (fetch->items[i].kind) {
        case FETCH_SECTION:
            if (!is_in_fields(&fetch->items[i])) return 0;
            wants |= AHEAD_FIELDS;
            break;
        case FETCH_BINARY:
        case FETCH_BINARY_SIZE:
        case FETCH_RFC822:
        case FETCH_RFC822_HEADER:
        case FETCH_RFC822_TEXT:
        case FETCH_EMAILID:
        case FETCH_PREVIEW:
            return 0;
        case FETCH_INTERNALDATE:
        case FETCH_FLAGS:
        case FETCH_UID:
        case FETCH_MODSEQ:
        case FETCH_THREADID:
        case FETCH_SAVEDATE:
        case FETCH_RFC822_SIZE:
        case FETCH_ENVELOPE:
        case FETCH_BODYSTRUCTURE:
        case FETCH_BODY:
            break;
        }
    }
    return wants;
}

/* A size or a date that is not known yet costs no second look at the file. */
static void learn_size(struct fetch_message *message) {
    if (message->facts.virtual_size > 0) {
        if (message->facts.internal_date == FOLDER_DATE_UNKNOWN) (void)!fetch_message_structure(message);
        return;
    }
    if (!fetch_message_structure(message)) return;
    message->facts.virtual_size = message->structure.size;
    if (message->facts.size == FOLDER_SIZE_UNKNOWN) {
        message->facts.size = message->structure.file_length;
        folder_note_look(message->session->folder, message->facts.uid, message->facts.internal_date,
                         message->facts.size);
    }
    folder_note_virtual_size(message->session->folder, message->facts.uid, message->structure.size);
}

bool fetch_items_can(struct fetch_message *message, const struct imap_fetch *fetch) {
    if (asks_structure(fetch)) learn_size(message);
    for (size_t i = 0; i < fetch->count; i++)
        if (!can_item(message, &fetch->items[i])) return false;
    return true;
}

/* ---- literals */

static bool say_piece(void *context, struct str piece) {
    struct imap_session *session = context;
    imap_say_bytes(session, piece);
    return !session->connection_lost;
}

/* The same in a literal, which cannot hold NUL. */
static bool say_shown(void *context, struct str piece) {
    static const char shown[] = {IMAP_NUL_SHOWN};
    struct str before, after;
    while (str_cut(piece, '\0', &before, &after)) {
        if (!say_piece(context, before) || !say_piece(context, str_make(shown, 1))) return false;
        piece = after;
    }
    return say_piece(context, piece);
}

/* What of `size` octets a partial asks for. */
static void cut(const struct imap_fetch_section *section, uint64_t size, uint64_t *offset, uint64_t *length) {
    *offset = 0;
    *length = size;
    if (!section->partial) return;
    *offset = section->offset < size ? section->offset : size;
    *length = size - *offset < section->length ? size - *offset : section->length;
}

static void say_span(struct imap_session *session, struct str span, uint64_t size,
                     const struct imap_fetch_section *section) {
    uint64_t offset, length;
    cut(section, size, &offset, &length);
    imap_say(session, "{%llu}\r\n", (unsigned long long)length);
    imap_say_view(session, span, offset, length);
}

static void say_text(struct imap_session *session, struct str text, const struct imap_fetch_section *section) {
    uint64_t offset, length;
    cut(section, text.length, &offset, &length);
    imap_say(session, "{%llu}\r\n", (unsigned long long)length);
    (void)!say_shown(session, str_slice(text, offset, offset + length));
}

/* ---- sections */

static void say_fields(struct fetch_message *message, const struct imap_fetch_section *section, struct str header) {
    struct buf text = buf_make(0);
    imap_section_append_fields(&text, header, section->fields, section->field_count,
                               section->section.kind == IMAP_SECTION_FIELDS_NOT);
    say_text(message->session, buf_str(&text), section);
    buf_free(&text);
}

static struct str span_of(const struct fetch_message *message, const struct imap_section_place *place) {
    return str_slice(message->bytes, place->offset, place->offset + place->length);
}

static void say_section_name(struct imap_session *session, const char *name, const struct imap_fetch_section *section) {
    imap_say(session, "%s%.*s", name, STR_ARGS(section->written));
    if (section->partial) imap_say(session, "<%llu>", (unsigned long long)section->offset);
    imap_say(session, " ");
}

/* The size of a section's CR LF form; the record has it for what is asked for most. */
static uint64_t view_size(const struct fetch_message *message, const struct imap_section *section,
                          const struct imap_section_place *place) {
    if (section->kind == IMAP_SECTION_WHOLE && section->depth == 0) return message->structure.size;
    if (section->kind == IMAP_SECTION_HEADER && section->depth == 0) return message->structure.header_size;
    return crlf_view_count(span_of(message, place)).size;
}

static void say_section(struct fetch_message *message, const struct imap_fetch_item *item) {
    struct imap_session *session = message->session;
    const struct imap_fetch_section *section = &item->section;
    struct imap_section_place place;
    struct str fields;
    say_section_name(session, "BODY", section);
    if (is_in_fields(item) && fetch_message_fields(message, &fields)) {
        say_fields(message, section, fields);
    } else if (!fetch_message_parts(message) || !imap_section_find(&section->section, message->parts, &place)) {
        imap_say(session, "NIL");
    } else if (section->section.kind == IMAP_SECTION_FIELDS || section->section.kind == IMAP_SECTION_FIELDS_NOT) {
        say_fields(message, section, span_of(message, &place));
    } else {
        say_span(session, span_of(message, &place), view_size(message, &section->section, &place), section);
    }
}

/* Whether a section is what a Content-Transfer-Encoding is about: a part, or the text of the message. Its header is
 * not, nor is the whole message, whose encoding is its body's. */
static bool is_encoded(const struct imap_section *section) {
    return section->kind == (section->depth > 0 ? IMAP_SECTION_WHOLE : IMAP_SECTION_TEXT);
}

static void say_binary_fields(struct fetch_message *message, const struct imap_fetch_item *item, struct str header) {
    struct buf text = buf_make(0);
    imap_section_append_fields(&text, header, item->section.fields, item->section.field_count,
                               item->section.section.kind == IMAP_SECTION_FIELDS_NOT);
    if (item->kind == FETCH_BINARY)
        say_text(message->session, buf_str(&text), &item->section);
    else
        imap_say_number(message->session, text.length);
    buf_free(&text);
}

/* RFC 3516 has parts alone; HEADER, TEXT and MIME are Dovecot's, and its test suite asks for them. */
static void say_binary(struct fetch_message *message, const struct imap_fetch_item *item) {
    struct imap_session *session = message->session;
    const struct imap_fetch_section *section = &item->section;
    struct imap_section_place place;
    uint64_t offset, length;
    say_section_name(session, item->kind == FETCH_BINARY ? "BINARY" : "BINARY.SIZE", section);
    if (!fetch_message_parts(message) || !imap_section_find(&section->section, message->parts, &place)) {
        imap_say(session, item->kind == FETCH_BINARY ? "NIL" : "0");
        return;
    }
    if (section->field_count > 0) {
        say_binary_fields(message, item, span_of(message, &place));
        return;
    }
    bool encoded = is_encoded(&section->section);
    if (encoded && imap_section_is_unknown_encoding(place.part)) {
        session->unknown_encoding = true;
        imap_say(session, item->kind == FETCH_BINARY ? "NIL" : "0");
        return;
    }
    struct str body = span_of(message, &place);
    enum mime_encoding encoding = encoded ? imap_section_encoding(place.part) : MIME_BINARY;
    uint64_t size = transfer_reader_size(body, encoding);
    if (item->kind == FETCH_BINARY_SIZE) {
        imap_say(session, "%llu", (unsigned long long)size);
        return;
    }
    cut(section, size, &offset, &length);
    imap_say(session, "~{%llu}\r\n", (unsigned long long)length);
    if (length > 0 && !transfer_reader_write(body, encoding, offset, length, say_piece, session)) return;
}

static void say_rfc822(struct fetch_message *message, enum imap_fetch_kind kind) {
    static const struct imap_fetch_section all = {.partial = false};
    struct imap_section section = {.kind = kind == FETCH_RFC822          ? IMAP_SECTION_WHOLE
                                           : kind == FETCH_RFC822_HEADER ? IMAP_SECTION_HEADER
                                                                         : IMAP_SECTION_TEXT};
    struct imap_section_place place;
    imap_say(message->session, kind == FETCH_RFC822          ? "RFC822 "
                               : kind == FETCH_RFC822_HEADER ? "RFC822.HEADER "
                                                             : "RFC822.TEXT ");
    if (!fetch_message_parts(message) || !imap_section_find(&section, message->parts, &place)) {
        imap_say(message->session, "NIL");
        return;
    }
    struct str span = span_of(message, &place);
    say_span(message->session, span, crlf_view_count(span).size, &all);
}

/* ---- the others */

/* The same for copies: what the message is, not where it lies (RFC 8474 section 5.1). */
static void say_email_id(const struct fetch_message *message) {
    char text[34];
    fetch_message_email_id(message, text);
    imap_say(message->session, "EMAILID (%s)", text);
}

static void say_date(struct imap_session *session, struct str name, int64_t seconds) {
    imap_say_bytes(session, name);
    (void)!internal_date_append(&session->out, seconds, 0);
    imap_say_bytes(session, STR("\""));
}

static void say_preview(struct fetch_message *message) {
    struct imap_session *session = message->session;
    const uint8_t *id = folder_id(session->folder);
    struct str cached;
    struct buf text = buf_make(0), said = buf_make(0);
    if (cache_get(session->store, id, message->facts.uid, CACHE_PREVIEW, &cached)) {
        buf_append(&text, cached);
    } else {
        preview_append(&text, message->bytes, message->parts, message->structure.part_count);
        cache_put(session->store, id, message->facts.uid, CACHE_PREVIEW, buf_str(&text));
    }
    imap_append_string(&said, buf_str(&text), imap_is_utf8(session));
    imap_say(session, "PREVIEW ");
    imap_say_bytes(session, buf_str(&said));
    buf_free(&text);
    buf_free(&said);
}

static const struct imap_body_text *body_text(const struct fetch_message *message) {
    return &message->structure.body[(message->session->features & FEATURE_REV2) != 0];
}

static void say_body(struct fetch_message *message) {
    struct buf text = buf_make(0);
    imap_say(message->session, "BODY ");
    if (imap_structure_append_body(&text, body_text(message)))
        imap_say_bytes(message->session, buf_str(&text));
    else
        imap_say(message->session, "NIL");
    buf_free(&text);
}

static void say_flags(struct fetch_message *message) {
    imap_say_bytes(message->session, STR("FLAGS "));
    imap_say_flags(message->session, &message->facts.flags);
}

static void say_size(struct fetch_message *message) {
    const struct folder_message *facts = &message->facts; /* fetch_items_can has counted */
    imap_say_bytes(message->session, STR("RFC822.SIZE "));
    imap_say_number(message->session, facts->virtual_size ? facts->virtual_size : facts->size);
}

void fetch_item_say(struct fetch_message *message, const struct imap_fetch_item *item) {
    struct imap_session *session = message->session;
    switch (item->kind) {
    case FETCH_FLAGS:
        say_flags(message);
        break;
    case FETCH_UID:
        imap_say_bytes(session, STR("UID "));
        imap_say_number(session, message->facts.uid);
        break;
    case FETCH_INTERNALDATE:
        say_date(session, STR("INTERNALDATE \""), message->facts.internal_date);
        break;
    case FETCH_RFC822_SIZE:
        say_size(message);
        break;
    case FETCH_ENVELOPE:
        imap_say_bytes(session, STR("ENVELOPE "));
        imap_say_bytes(session, message->structure.envelope);
        break;
    case FETCH_BODYSTRUCTURE:
        imap_say_bytes(session, STR("BODYSTRUCTURE "));
        imap_say_bytes(session, body_text(message)->text);
        break;
    case FETCH_BODY:
        say_body(message);
        break;
    case FETCH_SECTION:
        say_section(message, item);
        break;
    case FETCH_BINARY:
    case FETCH_BINARY_SIZE:
        say_binary(message, item);
        break;
    case FETCH_RFC822:
    case FETCH_RFC822_HEADER:
    case FETCH_RFC822_TEXT:
        say_rfc822(message, item->kind);
        break;
    case FETCH_MODSEQ:
        imap_say_bytes(session, STR("MODSEQ ("));
        imap_say_number(session, message->facts.modseq);
        imap_say_bytes(session, STR(")"));
        break;
    case FETCH_EMAILID:
        say_email_id(message);
        break;
    case FETCH_THREADID:
        imap_say(session, "THREADID NIL");
        break;
    case FETCH_SAVEDATE:
        if (message->facts.save_date)
            say_date(session, STR("SAVEDATE \""), message->facts.save_date);
        else
            imap_say(session, "SAVEDATE NIL");
        break;
    case FETCH_PREVIEW:
        say_preview(message);
        break;
    }
}
