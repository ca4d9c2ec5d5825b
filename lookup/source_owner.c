/* The owner of a table's file: see source_owner.h. */
#include "source_owner.h"
#include "inline_rules.h"
#include "memory.h"
#include "table_types.h"
#include "table_words.h"
#include <errno.h>
#include <sys/stat.h>

#define DEPTH_MAX 8

static bool owner_at_depth(struct str type_name, unsigned depth, uint32_t *uid, uint32_t *gid);

static bool owner_of_file(struct str path, uint32_t *uid, uint32_t *gid) {
    struct stat status;
    char *name = memory_copy_string(path);
    bool good = stat(name, &status) == 0;
    int reason = errno;
    MEMORY_FREE(name);
    errno = reason; /* the caller's caller asks whether it was a fault of this machine */
    if (!good) return false;
    *uid = (uint32_t)status.st_uid;
    *gid = (uint32_t)status.st_gid;
    return true;
}

static bool owner_of_lmdb(struct str name, uint32_t *uid, uint32_t *gid) {
    struct buf path = {0};
    bool good = table_lmdb_path(name, &path) && owner_of_file(buf_str(&path), uid, gid);
    buf_free(&path);
    return good;
}

static bool owner_of_several(struct str name, unsigned depth, uint32_t *uid, uint32_t *gid) {
    struct str rest, word;
    if (!table_word_unbrace(name, &rest)) return false;
    while (table_word_next(&rest, &word) == TABLE_WORD) {
        (void)table_word_unbrace(word, &word);
        if (!owner_at_depth(word, depth + 1, uid, gid)) return false;
        if (*uid != 0) return true;
    }
    return true;
}

static bool owner_at_depth(struct str type_name, unsigned depth, uint32_t *uid, uint32_t *gid) {
    static const struct str within_main_cf[] = {STR_INIT("inline"), STR_INIT("static"), STR_INIT("environ"),
                                                STR_INIT("randmap"), STR_INIT("fail")};
    struct str type, name;
    if (depth > DEPTH_MAX || !str_cut(type_name, ':', &type, &name)) return false;
    type = str_trim(type);
    name = str_trim(name);
    *uid = *gid = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(within_main_cf); i++)
        if (str_equal(type, within_main_cf[i])) return true;
    if (str_equal(type, STR("proxy"))) return owner_at_depth(name, depth + 1, uid, gid);
    if (str_equal(type, STR("unionmap")) || str_equal(type, STR("pipemap")))
        return owner_of_several(name, depth, uid, gid);
    if (str_equal(type, STR("lmdb")) || str_equal(type, STR("hash")) || str_equal(type, STR("btree")))
        return owner_of_lmdb(name, uid, gid);
    if (inline_rules_are(name)) return true; /* written in main.cf too */
    return name.length > 0 && name.data[0] == '/' && owner_of_file(name, uid, gid);
}

bool source_owner(struct str type_name, uint32_t *uid, uint32_t *gid) {
    return owner_at_depth(type_name, 0, uid, gid);
}
