/* imap_envelope: one walk over the header, then the fields in their order. */
#include "imap_envelope.h"
#include "address_list.h"
#include "header.h"
#include "imap_text.h"

enum place {
    PLACE_DATE,
    PLACE_SUBJECT,
    PLACE_FROM,
    PLACE_SENDER,
    PLACE_REPLY_TO,
    PLACE_TO,
    PLACE_CC,
    PLACE_BCC,
    PLACE_IN_REPLY_TO,
    PLACE_MESSAGE_ID,
    PLACES
};

static const struct str names[PLACES] = {
    STR_INIT("Date"), STR_INIT("Subject"), STR_INIT("From"), STR_INIT("Sender"),      STR_INIT("Reply-To"),
    STR_INIT("To"),   STR_INIT("Cc"),      STR_INIT("Bcc"),  STR_INIT("In-Reply-To"), STR_INIT("Message-ID"),
};

struct envelope {
    struct str values[PLACES]; /* data NULL: the header has no such field */
    struct buf joined[PLACES]; /* of address fields that occur again */
};

static bool is_address_field(enum place place) {
    return place >= PLACE_FROM && place <= PLACE_BCC;
}

static void take_field(struct envelope *envelope, enum place place, struct str value) {
    struct buf *joined = &envelope->joined[place];
    if (envelope->values[place].data == NULL) {
        envelope->values[place] = value;
    } else if (is_address_field(place)) {
        if (joined->length == 0) buf_append(joined, envelope->values[place]);
        buf_append(joined, STR(", "));
        buf_append(joined, value);
        envelope->values[place] = buf_str(joined);
    }
}

static void read_header(struct envelope *envelope, struct str message) {
    struct header_reader reader;
    struct header_field field;
    header_begin(&reader, message, 0);
    while (header_next(&reader, &field) == HEADER_FIELD) {
        for (enum place place = 0; place < PLACES; place++) {
            if (!str_equal_nocase(field.name, names[place])) continue;
            take_field(envelope, place, field.value);
            break;
        }
    }
}

/* ---- addresses */

static void append_nonempty(struct buf *out, struct str s) {
    imap_text_append_nstring(out, s.length > 0 ? s : (struct str){0});
}

static void append_address(struct buf *out, struct str display, struct str route, struct str local, struct str domain) {
    buf_append_char(out, '(');
    append_nonempty(out, display);
    buf_append_char(out, ' ');
    append_nonempty(out, route);
    buf_append_char(out, ' ');
    imap_text_append_string(out, local);
    buf_append_char(out, ' ');
    imap_text_append_string(out, domain);
    buf_append_char(out, ')');
}

/* What is no address: what it has of one, or as it stands, parted at its last '@' if it has one. */
static void append_invalid(struct buf *out, struct str source) {
    struct buf text = {0};
    header_append_unfolded(&text, source);
    struct address_list_item shown = {.local = buf_str(&text)};
    if (!address_list_salvage(buf_str(&text), &shown)) {
        size_t at = str_find_last(shown.local, '@');
        if (at != STR_NONE) shown.domain = str_from_offset(shown.local, at + 1);
        if (at != STR_NONE) shown.local = str_slice(shown.local, 0, at);
    }
    append_address(out, shown.display, STR_EMPTY, shown.local, shown.domain);
    buf_free(&text);
}

static void append_item(struct buf *out, const struct address_list_item *item, enum address_list_result result) {
    switch (result) {
    case ADDRESS_LIST_ITEM:
        append_address(out, item->display, item->route, item->local, item->domain);
        break;
    case ADDRESS_LIST_INVALID:
        append_invalid(out, item->source);
        break;
    case ADDRESS_LIST_GROUP:
        buf_append(out, STR("(NIL NIL "));
        imap_text_append_string(out, item->display);
        buf_append(out, STR(" NIL)"));
        break;
    case ADDRESS_LIST_GROUP_END:
        buf_append(out, STR("(NIL NIL NIL NIL)"));
        break;
    case ADDRESS_LIST_END:
    case ADDRESS_LIST_TOO_MANY:
        break;
    }
}

/* Appends the list, or NIL if nothing is in it. */
static void append_addresses(struct buf *out, struct str value) {
    struct address_list list;
    struct address_list_item item = {0};
    size_t before = out->length;
    bool in_group = false;
    address_list_begin(&list, value, 0);
    list.groups = true;
    for (;;) {
        enum address_list_result result = address_list_next(&list, &item);
        bool more = result != ADDRESS_LIST_END && result != ADDRESS_LIST_TOO_MANY;
        if (!more && in_group) result = ADDRESS_LIST_GROUP_END; /* the rest is not shown */
        if (!more && !in_group) break;
        if (out->length == before) buf_append_char(out, '(');
        append_item(out, &item, result);
        if (!more) break;
        if (result == ADDRESS_LIST_GROUP) in_group = true;
        if (result == ADDRESS_LIST_GROUP_END) in_group = false;
    }
    address_list_free(&list);
    buf_append(out, out->length == before ? STR("NIL") : STR(")"));
}

/* ---- the whole */

static void append_value(struct buf *out, struct str value) {
    struct buf text = {0};
    if (value.data != NULL) header_append_unfolded(&text, value);
    imap_text_append_nstring(out, value.data != NULL ? buf_str(&text) : value);
    buf_free(&text);
}

/* Sender and Reply-To that are absent or empty are From (RFC 9051). */
static struct str addresses_of(const struct envelope *envelope, enum place place) {
    struct str value = envelope->values[place];
    bool own = place != PLACE_SENDER && place != PLACE_REPLY_TO;
    if (!own && str_trim(value.data != NULL ? value : STR_EMPTY).length == 0) value = envelope->values[PLACE_FROM];
    return value.data != NULL ? value : STR_EMPTY;
}

void imap_envelope_append(struct buf *out, struct str message) {
    struct envelope envelope = {0};
    read_header(&envelope, message);
    for (enum place place = 0; place < PLACES; place++) {
        buf_append_char(out, place == 0 ? '(' : ' ');
        if (is_address_field(place)) {
            append_addresses(out, addresses_of(&envelope, place));
        } else {
            append_value(out, envelope.values[place]);
        }
    }
    buf_append_char(out, ')');
    for (enum place place = 0; place < PLACES; place++)
        buf_free(&envelope.joined[place]);
}
