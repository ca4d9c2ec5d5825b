/* Fuzz: the tables that a parameter names, each asked for "a". Inputs that name files are skipped, and
 * regular expressions that nothing bounds. */
#include "table.h"
#include "table_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether that type stands anywhere without its rules right behind it. */
static bool names_file_of(struct str text, struct str type) {
    size_t at;
    while ((at = str_find_str(text, type)) != STR_NONE) {
        text = str_from_offset(text, at + type.length);
        if (!str_starts(text, STR(":{"))) return true;
    }
    return false;
}

static bool names_files(struct str text) {
    static const char *const types[] = {"regexp", "texthash", "hash", "btree", "lmdb"};
    if (names_file_of(text, STR("pcre")) || names_file_of(text, STR("cidr"))) return true;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        if (str_find_str(text, str_from(types[i])) != STR_NONE) return true;
    return false;
}

static void ask(struct str type_name) {
    struct table *table = NULL;
    struct failure failure;
    struct buf value = buf_make(65536);
    if (table_open(type_name, TABLE_FOLD, &table, &failure)) (void)!table_lookup(table, STR("a"), &value, &failure);
    table_close(&table);
    buf_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str word, text = str_make((const char *)data, size);
    if (size > 4096 || names_files(text)) return 0;
    while (table_word_next(&text, &word) == TABLE_WORD) {
        (void)table_word_unbrace(word, &word);
        ask(word);
    }
    return 0;
}
