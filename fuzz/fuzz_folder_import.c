/* Fuzz target: another program's lists of UIDs and keywords; parted by a NUL. What is taken from them is what the rest
 * of the store can bear. */
#include "folder.h"
#include "folder_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), list = input, keywords = STR_EMPTY, base;
    struct folder_import import = {.texts = arena_create(0)};
    size_t cursor = 0;
    void *uid;
    (void)!str_cut(input, '\0', &list, &keywords);
    if (folder_import_list(list, &import)) {
        check(import.uid_validity > 0 && import.uids != NULL);
        while (map_next(import.uids, &cursor, &base, &uid))
            check((uintptr_t)uid > 0 && (uintptr_t)uid <= UINT32_MAX && base.length > 0 && base.data[0] != '.' &&
                  str_find(base, ':') == STR_NONE);
    }
    folder_import_keywords(keywords, &import);
    for (size_t letter = 0; letter < ARRAY_LENGTH(import.keywords); letter++) {
        check(import.keywords[letter].length <= FOLDER_KEYWORD_LENGTH);
        for (size_t i = 0; i < import.keywords[letter].length; i++)
            check(import.keywords[letter].data[i] > ' ' && import.keywords[letter].data[i] != ')');
    }
    folder_import_free(&import);
    return 0;
}
