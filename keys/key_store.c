/* Making a store, piece by piece, and asking it. */
#include "key_store.h"

#include "memory.h"

#define LINES_LIMIT ((size_t)1 << 20)

/* ---- keys */

static struct str name_of(const struct tls_identity *identity) {
    return str_make((const char *)identity->name, sizeof identity->name);
}

/* A key that was there before stays the same object, so that a store costs no more than what is new in it. */
static void share_key(const struct key_store *earlier, struct tls_identity *identity) {
    const struct held_key *before = earlier ? map_get(earlier->keys, name_of(identity)) : NULL;
    if (!before || before->key == identity->key) return;
    EVP_PKEY_free(identity->key);
    EVP_PKEY_up_ref(before->key);
    identity->key = before->key;
}

static void add_keys(struct key_store *store, struct key_set *set, bool server) {
    for (size_t i = 0; i < set->identities.count; i++) {
        struct tls_identity *identity = &set->identities.items[i];
        struct held_key *key = map_get(store->keys, name_of(identity));
        share_key(store->earlier, identity);
        if (!key) {
            key = MEMORY_NEW(struct held_key);
            key->key = identity->key;
            map_put(store->keys, name_of(identity), key);
        }
        key->server = key->server || server;
        key->client = key->client || !server;
    }
}

/* The files are of no use: what was there before stays, if there was something. */
static void inherit(struct key_store *store, struct key_set *set, const struct key_set *earlier) {
    set->broken = !earlier || earlier->identities.count == 0;
    if (set->broken) return;
    key_set_copy(set, earlier);
    set->inherited = true;
    key_line(&store->errors, "%s: the certificates of before are kept", set->title);
}

/* ---- the sides */

static bool has_pairs(const struct material_parameters *parameters, struct str *title) {
    bool any = false;
    for (size_t i = ARRAY_LENGTH(parameters->pairs); i-- > 0;)
        if (parameters->pairs[i].certificate.length > 0) {
            any = true;
            *title = parameters->pairs[i].name;
        }
    return any;
}

static void make_side(struct key_store *store, const struct config *config, unsigned side) {
    struct material_parameters parameters = material_parameters_of(config, side);
    struct str title = parameters.chain_files_name;
    bool by_chain = parameters.chain_files.length > 0;
    bool any = by_chain || has_pairs(&parameters, &title);
    struct key_set *set = store->sides[side] = key_set_create(title);
    if (!any) return;
    bool good = by_chain ? key_set_read(set, &store->files, parameters.chain_files)
                         : key_set_read_pairs(set, &store->files, &parameters);
    if (!good) inherit(store, set, store->earlier ? store->earlier->sides[side] : NULL);
    add_keys(store, set, side == 0);
}

/* ---- names */

/* A set of the same files, which need not be read again: of another name, or of before. */
static const struct key_set *find_same(const struct key_store *store, const uint8_t digest[KEY_SET_DIGEST]) {
    struct str sum = str_make((const char *)digest, KEY_SET_DIGEST);
    const struct key_set *same = map_get(store->digests, sum);
    return same || !store->earlier ? same : map_get(store->earlier->digests, sum);
}

static void make_name(struct key_store *store, struct key_set *set) {
    const struct material_item *item = set->pending;
    set->pending = NULL;
    key_set_digest(&store->files, item->value, set->digest);
    const struct key_set *same = find_same(store, set->digest);
    bool good = same != NULL;
    if (same)
        key_set_copy(set, same);
    else
        good = key_set_read(set, &store->files, item->value);
    if (!good) inherit(store, set, store->earlier ? map_get(store->earlier->names, item->name) : NULL);
    add_keys(store, set, true);
    if (good) map_put(store->digests, str_make((const char *)set->digest, sizeof set->digest), set);
}

/* The first table that has a name counts. */
static void note_name(struct key_store *store, const struct material_item *item) {
    if (map_get(store->names, item->name)) return;
    struct buf title = buf_make(0);
    buf_printf(&title, "tls_server_sni_maps: %.*s", STR_ARGS(item->name));
    struct key_set *set = key_set_create(buf_str(&title));
    set->pending = item;
    map_put(store->names, item->name, set);
    buf_free(&title);
}

/* A table that cannot be listed just now keeps the names it had. */
static void keep_names(struct key_store *store) {
    size_t cursor = 0;
    struct str name;
    void *value;
    while (store->earlier && map_next(store->earlier->names, &cursor, &name, &value)) {
        const struct key_set *earlier = value;
        if (map_get(store->names, name) || earlier->identities.count == 0) continue;
        struct key_set *set = key_set_create(str_from(earlier->title));
        key_set_copy(set, earlier);
        set->inherited = true;
        add_keys(store, set, true);
        map_put(store->names, name, set);
    }
}

static void note_names(struct key_store *store) {
    bool trouble = false;
    for (size_t i = 0; i < store->item_count; i++) {
        const struct material_item *item = &store->items[i];
        if (item->kind == MATERIAL_NAME) note_name(store, item);
        if (item->kind != MATERIAL_TROUBLE) continue;
        key_line(&store->errors, "tls_server_sni_maps: %.*s: %.*s", STR_ARGS(item->name), STR_ARGS(item->value));
        trouble = true;
    }
    if (trouble) keep_names(store);
}

/* ---- life */

static void take_items(struct key_store *store) {
    struct material_item item;
    struct str rest = buf_str(&store->material);
    while (material_next(&rest, &item))
        store->item_count++;
    store->items = memory_allocate(store->item_count + 1, sizeof *store->items);
    rest = buf_str(&store->material);
    for (size_t i = 0; material_next(&rest, &store->items[i]); i++)
        if (store->items[i].kind == MATERIAL_FILE || store->items[i].kind == MATERIAL_MISSING)
            map_put(store->files.items, store->items[i].name, &store->items[i]);
}

/* All is made: the files' bytes are needed no more. */
static void end_making(struct key_store *store) {
    map_destroy(&store->files.items);
    MEMORY_FREE(store->items);
    buf_free_secret(&store->material);
    store->item_count = store->next = 0;
    store->earlier = NULL;
}

struct key_store *key_store_create(const struct config *config, struct buf *material, const struct key_store *earlier,
                                   int64_t now) {
    struct key_store *store = MEMORY_NEW(struct key_store);
    *store = (struct key_store){.names = map_create(),
                                .keys = map_create(),
                                .digests = map_create(),
                                .errors = buf_make(LINES_LIMIT),
                                .warnings = buf_make(LINES_LIMIT),
                                .earlier = earlier,
                                .material = *material};
    *material = buf_make(0);
    store->files =
        (struct key_files){.items = map_create(), .now = now, .errors = &store->errors, .warnings = &store->warnings};
    take_items(store);
    for (unsigned side = 0; side < STORE_SIDES; side++)
        make_side(store, config, side);
    note_names(store);
    return store;
}

bool key_store_work(struct key_store *store, size_t count) {
    for (; store->next < store->item_count && count > 0; store->next++) {
        const struct material_item *item = &store->items[store->next];
        struct key_set *set = item->kind == MATERIAL_NAME ? map_get(store->names, item->name) : NULL;
        if (!set || set->pending != item) continue;
        make_name(store, set);
        count--;
    }
    if (store->next < store->item_count) return true;
    if (store->items) end_making(store);
    return false;
}

void key_store_destroy(struct key_store **store) {
    struct key_store *ending = *store;
    size_t cursor = 0;
    struct str name;
    void *value;
    if (!ending) return;
    *store = NULL;
    end_making(ending);
    for (unsigned side = 0; side < STORE_SIDES; side++)
        key_set_free(ending->sides[side]);
    while (map_next(ending->names, &cursor, &name, &value))
        key_set_free(value);
    cursor = 0;
    while (map_next(ending->keys, &cursor, &name, &value))
        free(value);
    map_destroy(&ending->names);
    map_destroy(&ending->keys);
    map_destroy(&ending->digests);
    buf_free(&ending->errors);
    buf_free(&ending->warnings);
    MEMORY_FREE(ending);
}

/* ---- asking it */

static const struct key_set *find_name(struct key_store *store, struct str name) {
    struct key_set *set = map_get(store->names, name);
    if (set && set->pending) make_name(store, set);
    return set;
}

const struct key_set *key_store_find(struct key_store *store, unsigned side, struct str name) {
    if (side >= STORE_SIDES) return NULL;
    if (name.length == 0 || side != 0) return store->sides[side];
    const struct key_set *set = find_name(store, name);
    while (!set) {
        size_t dot = str_find(str_from_offset(name, 1), '.');
        if (dot == STR_NONE || dot + 2 >= name.length) return NULL;
        name = str_from_offset(name, dot + 1);
        set = find_name(store, name);
    }
    return set;
}

const struct held_key *key_store_key(const struct key_store *store, struct str name) {
    return map_get(store->keys, name);
}

size_t key_store_drop_staples(struct key_store *store, int64_t now, struct buf *lines) {
    size_t cursor = 0, dropped = 0;
    struct str name;
    void *value;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        dropped += key_set_drop_staples(store->sides[side], now, lines);
    while (map_next(store->names, &cursor, &name, &value))
        dropped += key_set_drop_staples(value, now, lines);
    return dropped;
}

void key_store_check_dates(const struct key_store *store, int64_t warn_time, int64_t now, struct buf *lines) {
    size_t cursor = 0;
    struct str name;
    void *value;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        key_set_check_dates(store->sides[side], warn_time, now, lines);
    while (map_next(store->names, &cursor, &name, &value))
        key_set_check_dates(value, warn_time, now, lines);
}
