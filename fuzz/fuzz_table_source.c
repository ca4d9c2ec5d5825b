/* Fuzz: map and aliases text, and a texthash table made of it. */
#include "table.h"
#include "table_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(enum table_source_format format, struct str text) {
    struct table_source source;
    struct table_entry entry;
    struct failure failure;
    enum table_source_result result;
    table_source_start(&source, format, text);
    while ((result = table_source_next(&source, &entry, &failure)) != TABLE_SOURCE_END)
        if (result == TABLE_SOURCE_ENTRY && (entry.key.length == 0 || entry.value.length == 0)) __builtin_trap();
    table_source_finish(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct table *table = NULL;
    struct failure failure;
    struct buf value = {0};
    read_as(TABLE_SOURCE_MAP, text);
    read_as(TABLE_SOURCE_ALIASES, text);
    if (!table_open_text(STR("texthash:fuzz"), text, TABLE_FOLD, &table, &failure)) return 0;
    (void)!table_lookup(table, STR("a"), &value, &failure);
    table_close(&table);
    buf_free(&value);
    return 0;
}
