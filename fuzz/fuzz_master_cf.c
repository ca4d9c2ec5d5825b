/* master.cf: rows, and that a row printed and read again is the same. */
#include "config_edit.h"
#include "master_cf.h"
#include "memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const struct master_cf_row *row) {
    struct buf printed = buf_make(0), again = buf_make(0);
    struct arena *arena = arena_create(0);
    struct master_cf_row reread;
    struct failure failure;
    master_cf_format(row, false, &printed);
    if (master_cf_parse_row(buf_str(&printed), arena, &reread, &failure)) {
        master_cf_format(&reread, false, &again);
        if (!str_equal(buf_str(&printed), buf_str(&again)))
            abort();
    }
    buf_clear(&printed);
    master_cf_format(row, true, &printed);
    buf_free(&printed);
    buf_free(&again);
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct master_cf *services = NULL;
    struct failure failure = {0};
    if (!master_cf_parse(str_make((const char *)data, size), "master.cf", &services, &failure)) {
        if (failure.text[0] == '\0')
            abort();
        return 0;
    }
    for (size_t i = 0; i < services->count; i++)
        check_row(&services->rows[i]);
    master_cf_free(&services);
    return 0;
}
