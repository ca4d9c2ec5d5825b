/* The list of table types. To add one, add a row and a file with its open
 * function (declared in table_types.h). */
#include "table_types.h"

const struct table_type table_types[] = {
    /* hash and btree are the names in every tutorial and main.cf; Berkeley DB is
     * gone from distributions, so they mean the LMDB file of the same name. */
    {STR_INIT("btree"), table_lmdb_open, true, STR_INIT("file"),
     STR_INIT("Another name of lmdb, for existing configurations: btree:/x opens /x.lmdb.")},
    {STR_INIT("cidr"), table_cidr_open, false, STR_INIT("file or { { rule }, ... }"),
     STR_INIT("Networks in CIDR notation; the key is an IP address.")},
    {STR_INIT("environ"), table_environ_open, false, STR_INIT("ignored"),
     STR_INIT("The process environment; the key is a variable's name.")},
    {STR_INIT("fail"), table_fail_open, false, STR_INIT("text"),
     STR_INIT("Never answers; each lookup is a temporary failure. For tests.")},
    {STR_INIT("hash"), table_lmdb_open, true, STR_INIT("file"),
     STR_INIT("Another name of lmdb, for existing configurations: hash:/x opens /x.lmdb.")},
    {STR_INIT("inline"), table_inline_open, false, STR_INIT("{ key=value, { key = text } }"),
     STR_INIT("Entries written in the parameter itself.")},
    {STR_INIT("lmdb"), table_lmdb_open, true, STR_INIT("file"),
     STR_INIT("An LMDB file that ternmap makes: lmdb:/x opens /x.lmdb.")},
    {STR_INIT("pcre"), table_pcre_open, false, STR_INIT("file or { { rule }, ... }"), STR_INIT("Perl-compatible regular expressions.")},
    {STR_INIT("pipemap"), table_pipemap_open, false, STR_INIT("{ type:name, ... }"),
     STR_INIT("Each table's result is the key of the next; the last one's is the answer.")},
    {STR_INIT("proxy"), table_proxy_open, false, STR_INIT("type:name"),
     STR_INIT("The table it names; tern's tables are always held by the lookup service.")},
    {STR_INIT("randmap"), table_randmap_open, false, STR_INIT("{ result, { result }, ... }"),
     STR_INIT("One of the results by chance, whatever the key.")},
    {STR_INIT("regexp"), table_regexp_open, false, STR_INIT("file or { { rule }, ... }"), STR_INIT("POSIX extended regular expressions.")},
    {STR_INIT("static"), table_static_open, false, STR_INIT("text or { text }"),
     STR_INIT("The text, whatever the key.")},
    {STR_INIT("texthash"), table_texthash_open, false, STR_INIT("file"),
     STR_INIT("The text that ternmap would read, held in memory; no ternmap needed.")},
    {STR_INIT("unionmap"), table_unionmap_open, false, STR_INIT("{ type:name, ... }"),
     STR_INIT("The results of all tables that have the key, parted by commas.")},
};
const size_t table_types_count = ARRAY_LENGTH(table_types);

const struct table_type *table_type_find(struct str name) {
    for (size_t i = 0; i < table_types_count; i++)
        if (str_equal(table_types[i].name, name)) return &table_types[i];
    return NULL;
}
