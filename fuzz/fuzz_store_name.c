/* Fuzz target: a mailbox's name and its directory's lead to each other, and no name leads out of the store. */
#include "store.h"
#include "store_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void check_name(struct str name) {
    struct buf directory = buf_make(0), again = buf_make(0);
    if (store_name_to_directory(name, &directory)) {
        struct str made = buf_str(&directory);
        check(store_name_is_valid(name) && made.length <= 250 && (made.length == 0) == store_name_is_inbox(name));
        check(str_find(made, '/') == STR_NONE && str_find(made, '\0') == STR_NONE);
        check(made.length == 0 || (made.data[0] == '.' && made.length > 1 && made.data[1] != '.'));
        if (made.length > 0) check(store_name_from_directory(made, &again) && str_equal(buf_str(&again), name));
    } else {
        check(directory.length == 0);
    }
    buf_free(&directory);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size);
    struct buf name = buf_make(0), again = buf_make(0);
    check_name(input);
    if (store_name_from_directory(input, &name)) {
        check(store_name_is_valid(buf_str(&name)));
        check_name(buf_str(&name));
        if (store_name_to_directory(buf_str(&name), &again)) check(str_equal(buf_str(&again), input));
    } else {
        check(name.length == 0);
    }
    buf_free(&name);
    buf_free(&again);
    return 0;
}
