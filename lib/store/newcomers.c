/* See newcomers.h. */
#include "newcomers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "folder_name.h"

struct newcomer {
    struct str name; /* base, or base NUL info */
    uint32_t uid;    /* from an import; else UINT32_MAX */
    int64_t date;
    uint8_t base;         /* length of the name's base */
    uint8_t place, flags; /* flags: of the name */
    uint8_t system;       /* those, and what is a flag here and a keyword elsewhere */
    uint64_t keywords;
    uint64_t size, virtual_size; /* as the name says them; 0: it does not */
    bool regular;                /* the directory says that it is a file */
};

static void import_keywords(const struct folder_import *import, struct str info, struct newcomer *newcomer) {
    for (size_t i = 3; str_starts(info, STR(":2,")) && i < info.length; i++) {
        unsigned letter = (unsigned)(unsigned char)info.data[i] - 'a';
        if (letter >= ARRAY_LENGTH(import->keywords) || import->keywords[letter].length == 0) continue;
        if (str_equal_nocase(import->keywords[letter], STR("$Forwarded"))) /* Maildir's P here */
            newcomer->system |= FLAG_FORWARDED;
        else
            newcomer->keywords |= (uint64_t)1 << letter;
    }
}

/* The name as a record has it: with what follows the base only if we would not write that. */
static bool keep_name(struct newcomers *newcomers, struct str base, struct str info, bool odd, struct str *kept) {
    if (!odd) return arena_copy(newcomers->arena, base, kept);
    struct buf name = buf_make(FOLDER_NAME_MAX);
    buf_append(&name, base);
    buf_append_char(&name, '\0');
    buf_append(&name, info);
    bool good = !buf_overflowed(&name) && arena_copy(newcomers->arena, buf_str(&name), kept);
    buf_free(&name);
    return good;
}

void newcomers_add(struct newcomers *newcomers, struct str base, struct str info, enum folder_place place,
                   bool regular) {
    struct newcomer newcomer = {.place = (uint8_t)place,
                                .base = (uint8_t)base.length,
                                .uid = UINT32_MAX,
                                .date = folder_name_date(base),
                                .regular = regular};
    bool canonical;
    folder_info_parse(info, &newcomer.flags, &canonical);
    newcomer.system = newcomer.flags;
    folder_name_sizes(base, &newcomer.size, &newcomer.virtual_size); /* now, while it is in the processor's cache */
    if (newcomers->import) {
        void *uid = map_get(newcomers->import->uids, base);
        if (uid) newcomer.uid = (uint32_t)(uintptr_t)uid;
        import_keywords(newcomers->import, info, &newcomer);
    }
    if (!keep_name(newcomers, base, info, place == PLACE_NEW ? info.length > 0 : !canonical, &newcomer.name)) return;
    if (newcomers->count == newcomers->room) {
        newcomers->room = newcomers->room ? newcomers->room * 2 : 64;
        newcomers->all = memory_resize(newcomers->all, newcomers->room, sizeof *newcomers->all);
    }
    newcomers->all[newcomers->count++] = newcomer;
}

void newcomers_free(struct newcomers *newcomers) {
    MEMORY_FREE(newcomers->all);
    newcomers->count = newcomers->room = 0;
    arena_destroy(&newcomers->arena);
}

size_t newcomers_to_rename(const struct newcomers *newcomers) {
    size_t renamed = 0;
    for (size_t i = 0; i < newcomers->count; i++) {
        const struct newcomer *newcomer = &newcomers->all[i];
        renamed += newcomer->place == PLACE_NEW || newcomer->system != newcomer->flags ||
                   newcomer->name.length != newcomer->base;
    }
    return renamed;
}

/* ---- in their order */

/* What newcomers are sorted by; the names are looked at only if they must be. */
struct newcomer_key {
    int64_t date;
    uint32_t uid;
    const struct newcomer *newcomer;
};

static int compare_keys(const void *a, const void *b) {
    const struct newcomer_key *first = a, *second = b;
    if (first->uid != second->uid) return first->uid < second->uid ? -1 : 1;
    if (first->date != second->date) return first->date < second->date ? -1 : 1;
    return str_compare(first->newcomer->name, second->newcomer->name);
}

/* In the order in which they get UIDs. */
static struct newcomer_key *sort_newcomers(const struct newcomers *newcomers) {
    struct newcomer_key *keys = memory_allocate(newcomers->count + 1, sizeof *keys);
    for (size_t i = 0; i < newcomers->count; i++)
        keys[i] = (struct newcomer_key){newcomers->all[i].date, newcomers->all[i].uid, &newcomers->all[i]};
    if (newcomers->count > 1) qsort(keys, newcomers->count, sizeof *keys, compare_keys);
    return keys;
}

/* The file itself. False: it is not there any more, or no file. */
static bool look_at(int directory, struct folder_record *record) {
    struct buf path = buf_make(0);
    struct stat status;
    folder_record_path(record, &path);
    bool good = fstatat(directory, buf_string(&path), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    buf_free(&path);
    if (!good) return false;
    record->size = (uint64_t)status.st_size;
    record->internal_date = status.st_mtim.tv_sec;
    return true;
}

/* What the name says, and the file where that is not enough. */
static bool fill_record(const struct newcomer_reader *reader, const struct newcomer *newcomer, bool alone,
                        struct folder_record *record) {
    *record = (struct folder_record){.system = newcomer->system,
                                     .name_flags = newcomer->flags,
                                     .place = newcomer->place,
                                     .keywords = newcomer->keywords,
                                     .internal_date = FOLDER_DATE_UNKNOWN,
                                     .save_date = reader->now,
                                     .size = newcomer->size,
                                     .virtual_size = newcomer->virtual_size,
                                     .name = newcomer->name};
    if (record->size == 0 && record->virtual_size == 0) record->size = FOLDER_SIZE_UNKNOWN;
    return (newcomer->regular && alone && record->size > 0) || look_at(reader->directory, record);
}

/* Whether two newcomers are one message: it was moved while we read, or somebody has copied it under its name. */
static bool are_same(const struct newcomer_key *first, const struct newcomer_key *second) {
    const struct newcomer *one = first->newcomer, *other = second->newcomer;
    return first->date == second->date && first->uid == second->uid && one->base == other->base &&
           memcmp(one->name.data, other->name.data, one->base) == 0;
}

void newcomers_read_begin(const struct newcomers *newcomers, int directory, int64_t now, uint32_t uid_next,
                          struct newcomer_reader *reader) {
    *reader = (struct newcomer_reader){.newcomers = newcomers,
                                       .keys = sort_newcomers(newcomers),
                                       .directory = directory,
                                       .now = now,
                                       .uid_next = uid_next};
}

/* What the import does not list is newer than all that it ever has listed. */
static void pass_import(struct newcomer_reader *reader) {
    const struct folder_import *import = reader->newcomers->import;
    if (import && import->uid_next > reader->uid_next) reader->uid_next = import->uid_next;
}

/* The record of the one at an index; false: its file is gone, or there is no UID left for it. */
static bool read_one(struct newcomer_reader *reader, size_t at, bool alone, struct folder_record *record) {
    const struct newcomer *newcomer = reader->keys[at].newcomer;
    if (newcomer->uid == UINT32_MAX) pass_import(reader);
    if (reader->uid_next == UINT32_MAX || !fill_record(reader, newcomer, alone, record)) return false;
    record->uid = newcomer->uid != UINT32_MAX && newcomer->uid >= reader->uid_next ? newcomer->uid : reader->uid_next;
    reader->uid_next = record->uid + 1;
    return true;
}

bool newcomers_read(struct newcomer_reader *reader, struct folder_record *record) {
    const struct newcomer_key *keys = reader->keys;
    size_t count = reader->newcomers->count;
    while (reader->at < count) {
        size_t at = reader->at++;
        bool first = at == 0 || !are_same(&keys[at], &keys[at - 1]);
        bool last = at + 1 == count || !are_same(&keys[at], &keys[at + 1]);
        if (!first && reader->added) continue;
        reader->added = read_one(reader, at, first && last, record);
        if (reader->added) return true;
    }
    return false;
}

void newcomers_read_end(struct newcomer_reader *reader) {
    MEMORY_FREE(reader->keys);
}
