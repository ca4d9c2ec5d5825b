/* Fuzz target: an address header is read to its end, and what comes out stays within it. What is completed has the
 * octets that it had, and nothing left to complete. */
#include "address_complete.h"
#include "address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void complete(struct str field) {
    struct buf once = {0}, twice = {0};
    address_complete(&once, field, STR("o"));
    check(once.length >= field.length);
    size_t at = 0;
    for (size_t i = 0; i < field.length; i++, at++) {
        while (at < once.length && once.data[at] != field.data[i])
            at++;
        check(at < once.length);
    }
    if (!address_complete(&twice, buf_str(&once), STR("o"))) abort();
    check(str_equal(buf_str(&once), buf_str(&twice)));
    buf_free(&once);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str field = str_make((const char *)data, size);
    struct address_list list;
    struct address_list_item item;
    enum address_list_result result;
    size_t count = 0;
    struct buf out = {0};
    address_list_begin(&list, field, 100);
    while ((result = address_list_next(&list, &item)) == ADDRESS_LIST_ITEM || result == ADDRESS_LIST_INVALID) {
        check(++count <= 100);
        check(item.source.length <= field.length);
        if (result == ADDRESS_LIST_INVALID && !address_list_salvage(item.source, &item)) continue;
        check(item.local.length + item.domain.length <= field.length);
        buf_clear(&out);
        check(address_list_append_mailbox(&out, item.display, STR("a@b.example")));
        check(str_find(buf_str(&out), '\n') == STR_NONE);
    }
    check(result == ADDRESS_LIST_TOO_MANY || list.offset == size);
    buf_free(&out);
    address_list_free(&list);
    /* Groups open and close in turn. */
    bool open = false;
    address_list_begin(&list, field, 100);
    list.groups = true;
    while ((result = address_list_next(&list, &item)) != ADDRESS_LIST_END && result != ADDRESS_LIST_TOO_MANY) {
        if (result == ADDRESS_LIST_GROUP || result == ADDRESS_LIST_GROUP_END) {
            check(open == (result == ADDRESS_LIST_GROUP_END));
            open = !open;
        } else {
            check(item.in_group == open && item.route.length <= field.length);
        }
    }
    check(result == ADDRESS_LIST_TOO_MANY || !open);
    address_list_free(&list);
    complete(field);
    return 0;
}
