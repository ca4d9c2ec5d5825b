/* texthash: the text source of a table, read into memory. */
#include "entry_map.h"
#include "memory.h"
#include "table_source.h"
#include "table_types.h"

static void fill(struct entry_map *entries, struct str text, const struct table_request *request) {
    struct table_source source;
    table_source_start(&source, TABLE_SOURCE_MAP, text);
    for (;;) {
        struct table_entry entry;
        struct failure why;
        enum table_source_result result = table_source_next(&source, &entry, &why);
        if (result == TABLE_SOURCE_END) break;
        if (result == TABLE_SOURCE_MALFORMED) {
            table_warn(request->warnings, request->name, entry.line, "%s", why.text);
        } else if (!entry_map_add(entries, entry.key, entry.value, (request->flags & TABLE_FOLD) != 0)) {
            table_warn(request->warnings, request->name, entry.line, "duplicate entry: \"%.*s\"",
                       STR_ARGS(entry.key));
        }
    }
    table_source_finish(&source);
}

bool table_texthash_open(const struct table_request *request, const struct table_methods **methods, void **state,
                         struct failure *failure) {
    static const struct table_methods texthash_methods = {.lookup = entry_map_lookup,
                                                          .close = entry_map_close,
                                                          .changed = entry_map_changed,
                                                          .each = entry_map_each,
                                                          .fixed_keys = true};
    struct buf text = {0};
    struct table_stamp stamp;
    if (!table_request_read(request, TABLE_FILE_MAX, &text, &stamp, failure)) {
        buf_free(&text);
        return false;
    }
    struct entry_map *entries = entry_map_create();
    entries->path = memory_copy_string(request->name);
    entries->stamp = stamp;
    fill(entries, buf_str(&text), request);
    buf_free(&text);
    *state = entries;
    *methods = &texthash_methods;
    return true;
}
