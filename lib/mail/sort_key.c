/* sort_key: numbers with the highest octet first, texts with an end that sorts first. */
#include "sort_key.h"
#include "address_list.h"
#include "base_subject.h"
#include "casemap.h"
#include "encoded_word.h"

static void put(struct buf *key, unsigned octet, bool reverse) {
    buf_append_char(key, (char)(reverse ? ~octet & 0xff : octet));
}

void sort_key_append_number(struct buf *key, int64_t number, bool reverse) {
    uint64_t bits = (uint64_t)number ^ UINT64_C(1) << 63; /* negative numbers first */
    for (int shift = 56; shift >= 0; shift -= 8)
        put(key, (unsigned)(bits >> shift & 0xff), reverse);
}

/* NUL ends the text; one within it is followed by 255, the end by NUL. */
void sort_key_append_text(struct buf *key, struct str folded, bool reverse) {
    folded = str_slice(folded, 0, SORT_KEY_TEXT_MAX);
    for (size_t i = 0; i < folded.length; i++) {
        unsigned char octet = (unsigned char)folded.data[i];
        put(key, octet, reverse);
        if (octet == 0) put(key, 255, reverse);
    }
    put(key, 0, reverse);
    put(key, 0, reverse);
}

void sort_text_subject(struct buf *out, struct str field) {
    struct buf base = {0};
    (void)base_subject_append(&base, field);
    (void)!casemap_append(out, buf_str(&base));
    buf_free(&base);
}

/* The first member of an address field, a group being one. False if there is none. */
static bool first_member(struct address_list *list, struct str field, struct address_list_item *item, bool *group) {
    address_list_begin(list, field, 2);
    list->groups = true;
    enum address_list_result result = address_list_next(list, item);
    *group = result == ADDRESS_LIST_GROUP;
    if (result == ADDRESS_LIST_INVALID && !address_list_salvage(item->source, item)) item->local = item->source; /* as ENVELOPE shows it */
    return *group || result == ADDRESS_LIST_ITEM || result == ADDRESS_LIST_INVALID;
}

static void append_decoded(struct buf *out, struct str text) {
    struct buf decoded = {0};
    (void)!encoded_word_decode(text, &decoded);
    (void)!casemap_append(out, buf_str(&decoded));
    buf_free(&decoded);
}

static void append_display(struct buf *out, const struct address_list_item *item, bool group) {
    if (item->display.length > 0) {
        append_decoded(out, item->display);
        return;
    }
    (void)!casemap_append(out, item->local);
    if (group || item->domain.length == 0) return;
    buf_append_char(out, '@');
    (void)!casemap_append(out, item->domain);
}

void sort_texts_address(struct buf *address, struct buf *display, struct str field) {
    struct address_list list;
    struct address_list_item item = {0};
    bool group = false;
    if (first_member(&list, field, &item, &group)) {
        if (address) (void)!casemap_append(address, group ? item.display : item.local);
        if (display) append_display(display, &item, group);
    }
    address_list_free(&list);
}

void sort_text_address(struct buf *out, struct str field) {
    sort_texts_address(out, NULL, field);
}

void sort_text_display(struct buf *out, struct str field) {
    sort_texts_address(NULL, out, field);
}
