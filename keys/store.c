/* Making a store of the material. */
#include "store.h"

#include <sys/stat.h>
#include <time.h>

#include "material.h"
#include "memory.h"

#define LINES_LIMIT  ((size_t)1 << 20)
#define STAPLE_LIMIT ((size_t)16000) /* certificate_chain's bound */
#define SOURCE_LIMIT 64

/* ---- making: the files by their names */

struct making {
    const struct config *config;
    const struct store *earlier;
    struct store *store;
    struct map *files; /* struct material_item * by path */
    struct material_item *items;
    size_t item_count;
};

static void add_line(struct buf *lines, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_line(struct buf *lines, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(lines, format, arguments);
    va_end(arguments);
    buf_append_char(lines, '\n');
}

static void count_items(struct making *making, struct str material) {
    struct material_item item;
    struct str rest = material;
    while (material_next(&rest, &item))
        making->item_count++;
    making->items = memory_allocate(making->item_count + 1, sizeof *making->items);
    rest = material;
    for (size_t i = 0; material_next(&rest, &making->items[i]); i++)
        if (making->items[i].kind == MATERIAL_FILE || making->items[i].kind == MATERIAL_MISSING)
            map_put(making->files, making->items[i].name, &making->items[i]);
}

/* ---- a set */

static void set_clear(struct store_set *set) {
    tls_identities_free(&set->identities);
    for (size_t i = 0; i < TLS_IDENTITY_LIMIT; i++)
        buf_free(&set->staples[i]);
    MEMORY_FREE(set->title);
}

/* The texts that a set is read from, by number (tls_identity's sources). */
struct sources {
    struct str paths[SOURCE_LIMIT];
    size_t count;
};

static bool read_file(struct making *making, struct store_set *set, struct sources *sources, struct str path,
                      struct failure *failure) {
    const struct material_item *item = map_get(making->files, path);
    if (sources->count == SOURCE_LIMIT) return failure_set(failure, "more than %d files", SOURCE_LIMIT);
    if (!item || item->kind == MATERIAL_MISSING) {
        failure_set(failure, "%.*s", STR_ARGS(item ? item->value : STR("it was not read")));
        return failure_prefix(failure, "%.*s", STR_ARGS(path));
    }
    set->identities.source = sources->count;
    sources->paths[sources->count++] = path;
    return tls_identities_read(&set->identities, item->value, failure) ||
           failure_prefix(failure, "%.*s", STR_ARGS(path));
}

/* A chain file that names nobody's key, or the wrong one, is told by its name. */
static bool finish(struct store_set *set, const struct sources *sources, struct failure *failure) {
    size_t bad = 0;
    if (tls_identities_finish(&set->identities, &bad, failure)) return true;
    const struct tls_identity *identity = &set->identities.items[bad];
    if (set->identities.count == 0) return false;
    if (identity->certificate && identity->key && identity->certificate_source != identity->key_source)
        return failure_prefix(failure, "%.*s with %.*s", STR_ARGS(sources->paths[identity->certificate_source]),
                              STR_ARGS(sources->paths[identity->key_source]));
    size_t source = identity->certificate ? identity->certificate_source : identity->key_source;
    return failure_prefix(failure, "%.*s", STR_ARGS(sources->paths[source]));
}

static void read_staples(struct making *making, struct store_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        struct buf path = buf_make(4096);
        buf_printf(&path, "%.*s.ocsp", STR_ARGS(sources->paths[set->identities.items[i].certificate_source]));
        const struct material_item *item = map_get(making->files, buf_str(&path));
        set->staples[i] = buf_make(STAPLE_LIMIT);
        if (item && item->kind == MATERIAL_FILE && !buf_append(&set->staples[i], item->value))
            add_line(&making->store->warnings, "%s: more than %zu bytes: the OCSP response is not used",
                     buf_string(&path), STAPLE_LIMIT);
        buf_free(&path);
    }
}

/* A private key that everybody can read is no secret any more, but still better than no TLS. */
static void check_modes(struct making *making, const struct store_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        const struct material_item *item = map_get(making->files, sources->paths[identity->key_source]);
        if (item && (item->mode & (S_IROTH | S_IWOTH | S_IWGRP)))
            add_line(&making->store->warnings, "%.*s holds a private key and has mode %04o: 0600 would be right",
                     STR_ARGS(item->name), item->mode);
    }
}

static void inherit(struct store_set *set, const struct store_set *earlier) {
    tls_identities_free(&set->identities);
    set->broken = !earlier || earlier->identities.count == 0;
    if (set->broken || !tls_identities_add(&set->identities, &earlier->identities)) return;
    set->inherited = true;
    for (size_t i = 0; i < set->identities.count; i++) {
        set->staples[i] = buf_make(STAPLE_LIMIT);
        buf_append(&set->staples[i], buf_str(&earlier->staples[i]));
    }
}

static void add_keys(struct store *store, const struct store_set *set, bool server) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        struct str name = str_make((const char *)identity->name, sizeof identity->name);
        struct store_key *key = map_get(store->keys, name);
        if (!key) {
            key = MEMORY_NEW(struct store_key);
            key->key = identity->key;
            map_put(store->keys, name, key);
        }
        key->server = key->server || server;
        key->client = key->client || !server;
    }
}

/* What was read becomes the set, or the earlier one stays in its place. */
static void settle(struct making *making, struct store_set *set, const struct store_set *earlier,
                   const struct sources *sources, bool good, const struct failure *failure, bool server) {
    if (good) {
        read_staples(making, set, sources);
        check_modes(making, set, sources);
    } else {
        inherit(set, earlier);
        add_line(&making->store->errors, "%s: %s%s", set->title, failure->text,
                 set->inherited ? "; the certificates of before are kept" : "");
    }
    add_keys(making->store, set, server);
}

/* ---- the sides */

static bool read_list(struct making *making, struct store_set *set, struct sources *sources, struct str list,
                      struct failure *failure) {
    struct str path;
    bool good = true;
    while (good && material_next_file(&list, &path))
        good = read_file(making, set, sources, path, failure);
    return good;
}

static bool read_pairs(struct making *making, struct store_set *set, struct sources *sources,
                       const struct material_parameters *parameters, struct failure *failure) {
    bool good = true;
    for (size_t i = 0; good && i < ARRAY_LENGTH(parameters->pairs); i++) {
        struct str certificate = parameters->pairs[i].certificate, key = parameters->pairs[i].key;
        if (certificate.length == 0) continue;
        good = read_file(making, set, sources, certificate, failure);
        if (good && key.length > 0 && !str_equal(key, certificate))
            good = read_file(making, set, sources, key, failure);
    }
    return good;
}

static void make_side(struct making *making, unsigned side) {
    struct material_parameters parameters = material_parameters_of(making->config, side);
    struct store_set *set = &making->store->sides[side];
    const struct store_set *earlier = making->earlier ? &making->earlier->sides[side] : NULL;
    struct sources sources = {.count = 0};
    struct failure failure = {0};
    bool by_chain = parameters.chain_files.length > 0, any = by_chain;
    struct str title = parameters.chain_files_name;
    for (size_t i = ARRAY_LENGTH(parameters.pairs); !by_chain && i-- > 0;)
        if (parameters.pairs[i].certificate.length > 0) {
            any = true;
            title = parameters.pairs[i].name;
        }
    set->title = memory_copy_string(title);
    if (!any) return;
    bool good = by_chain ? read_list(making, set, &sources, parameters.chain_files, &failure)
                         : read_pairs(making, set, &sources, &parameters, &failure);
    good = good && finish(set, &sources, &failure);
    settle(making, set, earlier, &sources, good, &failure, side == 0);
}

/* ---- names */

static void make_name(struct making *making, const struct material_item *item) {
    if (map_get(making->store->names, item->name)) return; /* the first table that has it counts */
    struct store_set *set = MEMORY_NEW(struct store_set);
    struct sources sources = {.count = 0};
    struct failure failure = {0};
    const struct store_set *earlier = making->earlier ? map_get(making->earlier->names, item->name) : NULL;
    struct buf title = buf_make(2000);
    buf_printf(&title, "tls_server_sni_maps: %.*s", STR_ARGS(item->name));
    set->title = memory_copy_string(buf_str(&title));
    buf_free(&title);
    bool good = read_list(making, set, &sources, item->value, &failure) && finish(set, &sources, &failure);
    settle(making, set, earlier, &sources, good, &failure, true);
    map_put(making->store->names, item->name, set);
}

static void make_names(struct making *making) {
    for (size_t i = 0; i < making->item_count; i++) {
        const struct material_item *item = &making->items[i];
        if (item->kind == MATERIAL_NAME) make_name(making, item);
        if (item->kind == MATERIAL_TROUBLE)
            add_line(&making->store->errors, "tls_server_sni_maps: %.*s: %.*s", STR_ARGS(item->name),
                     STR_ARGS(item->value));
    }
}

/* A table that cannot be listed just now keeps the names it had. */
static void keep_names(struct making *making) {
    bool trouble = false;
    size_t cursor = 0;
    struct str name;
    void *value;
    for (size_t i = 0; i < making->item_count; i++)
        trouble = trouble || making->items[i].kind == MATERIAL_TROUBLE;
    while (trouble && making->earlier && map_next(making->earlier->names, &cursor, &name, &value)) {
        const struct store_set *earlier = value;
        if (map_get(making->store->names, name)) continue;
        struct store_set *set = MEMORY_NEW(struct store_set);
        set->title = memory_copy_string(str_from(earlier->title));
        inherit(set, earlier);
        add_keys(making->store, set, true);
        map_put(making->store->names, name, set);
    }
}

struct store *store_create(const struct config *config, struct str material, const struct store *earlier, int64_t now) {
    struct store *store = MEMORY_NEW(struct store);
    *store = (struct store){.names = map_create(),
                            .keys = map_create(),
                            .errors = buf_make(LINES_LIMIT),
                            .warnings = buf_make(LINES_LIMIT)};
    struct making making = {.config = config, .earlier = earlier, .store = store, .files = map_create()};
    count_items(&making, material);
    for (unsigned side = 0; side < STORE_SIDES; side++)
        make_side(&making, side);
    make_names(&making);
    keep_names(&making);
    store_check_dates(store, config->tls_certificate_warn_time, now, &store->warnings);
    map_destroy(&making.files);
    MEMORY_FREE(making.items);
    return store;
}

void store_destroy(struct store **store) {
    struct store *ending = *store;
    size_t cursor = 0;
    struct str name;
    void *value;
    if (!ending) return;
    *store = NULL;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        set_clear(&ending->sides[side]);
    while (map_next(ending->names, &cursor, &name, &value)) {
        struct store_set *set = value;
        set_clear(set);
        MEMORY_FREE(set);
    }
    cursor = 0;
    while (map_next(ending->keys, &cursor, &name, &value))
        free(value);
    map_destroy(&ending->names);
    map_destroy(&ending->keys);
    buf_free(&ending->errors);
    buf_free(&ending->warnings);
    MEMORY_FREE(ending);
}

/* ---- asking it */

const struct store_set *store_find(const struct store *store, unsigned side, struct str name) {
    if (side >= STORE_SIDES) return NULL;
    if (name.length == 0 || side != 0) return &store->sides[side];
    const struct store_set *set = map_get(store->names, name);
    while (!set) {
        size_t dot = str_find(str_from_offset(name, 1), '.');
        if (dot == STR_NONE) return NULL;
        name = str_from_offset(name, dot + 1);
        set = name.length > 1 ? map_get(store->names, name) : NULL;
        if (name.length <= 1) return NULL;
    }
    return set;
}

const struct store_key *store_key(const struct store *store, struct str name) {
    return map_get(store->keys, name);
}

bool store_has_all_keys(const struct store *store, const struct store *other) {
    size_t cursor = 0;
    struct str name;
    void *value;
    while (map_next(other->keys, &cursor, &name, &value)) {
        const struct store_key *old = value, *new = map_get(store->keys, name);
        if (!new || (old->server && !new->server) || (old->client && !new->client)) return false;
    }
    return true;
}

/* ---- dates */

static void add_date_line(struct buf *lines, const char *title, const struct tls_identity *identity, const char *words,
                          int64_t date) {
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)date;
    if (!gmtime_r(&seconds, &parts) || strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) == 0) text[0] = '\0';
    add_line(lines, "%s: the %s certificate %s on %s: a renewed one would be right", title, tls_identity_kind(identity),
             words, text);
}

static void check_set_dates(const struct store_set *set, int64_t warn_time, int64_t now, struct buf *lines) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        int64_t from, until;
        if (!tls_identity_dates(identity, &from, &until)) continue;
        if (until <= now)
            add_date_line(lines, set->title, identity, "expired", until);
        else if (until - warn_time <= now)
            add_date_line(lines, set->title, identity, "expires", until);
        if (from > now + 60) add_date_line(lines, set->title, identity, "becomes valid only", from);
    }
}

void store_check_dates(const struct store *store, int64_t warn_time, int64_t now, struct buf *lines) {
    size_t cursor = 0;
    struct str name;
    void *value;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        check_set_dates(&store->sides[side], warn_time, now, lines);
    while (map_next(store->names, &cursor, &name, &value))
        check_set_dates(value, warn_time, now, lines);
}
