/* Fuzz: a cidr: file; the first line is the key, the rest are the rules. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct str key = STR("192.0.2.1");
    struct table *table = NULL;
    struct failure failure;
    struct buf value = {0};
    (void)str_cut(text, '\n', &key, &text);
    if (!table_open_text(STR("cidr:fuzz"), text, 0, &table, &failure)) return 0;
    (void)!table_lookup(table, key, &value, &failure);
    (void)!table_lookup(table, STR("::1"), &value, &failure);
    table_close(&table);
    buf_free(&value);
    return 0;
}
