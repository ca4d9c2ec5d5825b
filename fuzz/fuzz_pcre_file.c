/* Fuzz: a pcre: file; the first line is the key, the rest are the rules. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct str key = STR("key");
    struct table *table = NULL;
    struct failure failure;
    if (size > 4096) return 0;
    (void)str_cut(text, '\n', &key, &text);
    for (unsigned flags = 0; flags <= TABLE_NO_SUBSTITUTION; flags += TABLE_UTF8) {
        struct buf value = buf_make(65536);
        if (!table_open_text(STR("pcre:fuzz"), text, flags, &table, &failure)) return 0;
        (void)!table_lookup(table, key, &value, &failure);
        table_close(&table);
        buf_free(&value);
    }
    return 0;
}
