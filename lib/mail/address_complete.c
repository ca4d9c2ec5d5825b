/* address_complete: see address_complete.h. */
#include "address_complete.h"
#include "address_list.h"

bool address_field_is_known(struct str name) {
    static const struct str names[] = {
        STR_INIT("From"),
        STR_INIT("To"),
        STR_INIT("Cc"),
        STR_INIT("Bcc"),
        STR_INIT("Sender"),
        STR_INIT("Reply-To"),
        STR_INIT("Resent-From"),
        STR_INIT("Resent-To"),
        STR_INIT("Resent-Cc"),
        STR_INIT("Resent-Bcc"),
        STR_INIT("Errors-To"),
        STR_INIT("Resent-Reply-To"),
        STR_INIT("Resent-Sender"),
        STR_INIT("Apparently-To"),
        STR_INIT("Return-Receipt-To"),
        STR_INIT("Disposition-Notification-To"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal_nocase(names[i], name)) return true;
    return false;
}

/* Where the local part of a member without a domain ends: behind its last octet outside comments, within "<>"
 * if it has them. */
static size_t local_end(struct str member) {
    size_t end = 0, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < member.length; i++) {
        char c = member.data[i];
        if (c == '\\' && (quoted || depth > 0)) {
            i++;
        } else if (quoted) {
            quoted = c != '"';
            end = i + 1;
        } else if (c == '(') {
            depth++;
        } else if (depth > 0) {
            depth -= c == ')' ? 1 : 0;
        } else if (c == '>') {
            return end;
        } else if (!ascii_is_space(c)) {
            quoted = c == '"';
            end = i + 1;
        }
    }
    return end;
}

bool address_complete(struct buf *out, struct str value, struct str origin) {
    struct address_list list;
    struct address_list_item item;
    enum address_list_result result;
    size_t done = 0;
    address_list_begin(&list, value, 0);
    while ((result = address_list_next(&list, &item)) == ADDRESS_LIST_ITEM || result == ADDRESS_LIST_INVALID) {
        if (result == ADDRESS_LIST_INVALID || item.local.length == 0 || item.domain.length + item.route.length > 0)
            continue;
        size_t end = (size_t)(item.source.data - value.data) + local_end(item.source);
        buf_append(out, str_slice(value, done, end));
        buf_append_char(out, '@');
        buf_append(out, origin);
        done = end;
    }
    address_list_free(&list);
    return buf_append(out, str_from_offset(value, done));
}
