/* See tlsrpt_record.h. */
#include "tlsrpt_record.h"

#include "address.h"
#include "url.h"

static struct str trim_blanks(struct str text) {
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = str_from_offset(text, 1);
    while (text.length > 0 && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* Takes what stands before the next separator, or all. */
static struct str next_part(struct str *rest, char separator) {
    struct str part;
    if (!str_cut(*rest, separator, &part, rest)) {
        part = *rest;
        *rest = STR_EMPTY;
    }
    return trim_blanks(part);
}

bool tlsrpt_record_is_one(struct str text) {
    struct str version, rest;
    return str_starts(text, STR("v=")) && str_cut(text, ';', &version, &rest) &&
           str_equal(trim_blanks(version), STR("v=TLSRPTv1"));
}

/* ---- places */

static int hex_digit(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool append_decoded(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            buf_append_char(out, text.data[i]);
            continue;
        }
        int high = i + 2 < text.length ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (low < 0) return false;
        buf_append_char(out, (char)(high * 16 + low));
        i += 2;
    }
    return true;
}

bool tlsrpt_place_mailbox(struct str place, struct buf *address) {
    struct buf decoded = buf_make(MAIL_ADDRESS_TEXT_MAX);
    struct mail_address checked;
    struct str query;
    if (!str_starts_nocase(place, STR("mailto:"))) return false;
    place = str_from_offset(place, 7);
    if (str_cut(place, '?', &place, &query)) (void)query; /* a subject and so on: not for us */
    bool good = append_decoded(&decoded, place) && !buf_overflowed(&decoded) && str_is_ascii(buf_str(&decoded)) &&
                mail_address_from_internal(buf_str(&decoded), MAIL_ADDRESS_LONG, &checked) == MAIL_ADDRESS_OK &&
                checked.domain_length > 0;
    if (good) buf_append(address, buf_str(&decoded));
    buf_free(&decoded);
    return good;
}

static bool is_place(struct str uri) {
    struct buf ignored = {0};
    struct url url;
    bool good = tlsrpt_place_mailbox(uri, &ignored) || (url_parse(uri, &url) && url.secure);
    buf_free(&ignored);
    return good;
}

static void read_places(struct str value, struct tlsrpt_record *record) {
    while (value.length > 0) {
        struct str uri = next_part(&value, ',');
        if (record->count < TLSRPT_ADDRESS_LIMIT && is_place(uri)) record->places[record->count++] = uri;
    }
}

bool tlsrpt_record_parse(struct str text, struct tlsrpt_record *record) {
    struct tlsrpt_record read = {.count = 0};
    bool found = false;
    struct str name, value, rest = text;
    if (!tlsrpt_record_is_one(text)) return false;
    (void)next_part(&rest, ';');
    while (rest.length > 0) {
        struct str field = next_part(&rest, ';');
        if (field.length == 0 && rest.length == 0) break; /* the delimiter at the end */
        if (!str_cut(field, '=', &name, &value) || name.length == 0) return false;
        if (!str_equal(name, STR("rua")) || found) continue;
        found = true;
        read_places(value, &read);
    }
    if (read.count == 0) return false;
    *record = read;
    return true;
}
