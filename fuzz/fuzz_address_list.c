/* Fuzz target: an address header is read to its end, and what comes out stays within it. */
#include "address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
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
    return 0;
}
