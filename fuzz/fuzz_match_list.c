/* Fuzz: a match list, asked for a host. Inputs that name files are skipped. */
#include "match_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A / that does not follow digits, ] or : may start a file's name. */
static bool names_files(struct str text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '/') continue;
        if (i == 0) return true;
        char before = text.data[i - 1];
        if (!ascii_is_digit(before) && before != ']') return true;
    }
    return str_find_str(text, STR("hash:")) != STR_NONE || str_find_str(text, STR("lmdb:")) != STR_NONE ||
           str_find_str(text, STR("btree:")) != STR_NONE || str_find_str(text, STR("pcre:")) != STR_NONE ||
           str_find_str(text, STR("regexp:")) != STR_NONE || str_find_str(text, STR("cidr:")) != STR_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    if (size > 4096 || names_files(text)) return 0;
    for (unsigned flags = 0; flags < 8; flags++) {
        struct match_list *list = NULL;
        struct failure failure;
        if (!match_list_open(text, flags, &list, &failure)) continue;
        (void)!match_list_host(list, STR("a.example.com"), STR("192.0.2.1"), &failure);
        (void)!match_list_address(list, STR("2001:db8::1"), &failure);
        match_list_close(&list);
    }
    return 0;
}
