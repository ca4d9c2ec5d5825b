/* Making a store of the material. */
#include "key_store.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <sys/stat.h>
#include <time.h>

#include "material.h"
#include "memory.h"

#define LINES_LIMIT  ((size_t)1 << 20)
#define STAPLE_LIMIT ((size_t)7000) /* certificate_chain's bound */
#define SOURCE_LIMIT 64
#define NAMES_A_TURN 8
#define CLOCK_LEAVE  300 /* seconds that clocks may differ */

/* ---- making: the files by their names */

struct making {
    const struct config *config;
    const struct key_store *earlier;
    struct key_store *store;
    struct map *files; /* struct material_item * by path */
    struct material_item *items;
    size_t item_count;
    int64_t now;
    void (*pause)(void);
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

static void set_clear(struct key_set *set) {
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

static bool read_file(struct making *making, struct key_set *set, struct sources *sources, struct str path,
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
static bool finish(struct key_set *set, const struct sources *sources, struct failure *failure) {
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

/* ---- OCSP responses: what a client could not use is not given to it */

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *time) {
    struct tm parts;
    return time && ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : INT64_MAX;
}

/* *until: the date that the response gives for its end. The signature is for clients to judge. */
static bool judge_response(struct str der, int64_t now, int64_t *until, struct failure *failure) {
    const unsigned char *next = (const unsigned char *)der.data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, (long)der.length);
    OCSP_BASICRESP *basic = response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
                                ? OCSP_response_get1_basic(response)
                                : NULL;
    OCSP_SINGLERESP *single = basic ? OCSP_resp_get0(basic, 0) : NULL;
    ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
    int status = single ? OCSP_single_get0_status(single, NULL, NULL, &begin, &end) : -1;
    int64_t from = seconds_of(begin);
    *until = seconds_of(end);
    bool good = single || failure_set(failure, "it is no OCSP response with an answer");
    if (good && status != V_OCSP_CERTSTATUS_GOOD)
        good = failure_set(failure, "it says that the certificate is %s", OCSP_cert_status_str(status));
    if (good && (from > now + CLOCK_LEAVE || *until <= now))
        good = failure_set(failure, "it is not of now: a fresh one would be right");
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return good;
}

static void take_staple(struct making *making, struct key_set *set, size_t index, const char *path, struct str der) {
    struct failure failure = {0};
    if (der.length > STAPLE_LIMIT)
        failure_set(&failure, "it has more than %zu bytes", STAPLE_LIMIT);
    else if (judge_response(der, making->now, &set->staples_until[index], &failure))
        buf_append(&set->staples[index], der);
    if (failure.text[0]) add_line(&making->store->warnings, "%s is not used: %s", path, failure.text);
}

static void read_staples(struct making *making, struct key_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        struct buf path = buf_make(4096);
        buf_printf(&path, "%.*s.ocsp", STR_ARGS(sources->paths[set->identities.items[i].certificate_source]));
        const struct material_item *item = map_get(making->files, buf_str(&path));
        set->staples[i] = buf_make(STAPLE_LIMIT);
        if (item && item->kind == MATERIAL_FILE) take_staple(making, set, i, buf_string(&path), item->value);
        buf_free(&path);
    }
}

static size_t drop_staples_of(struct key_set *set, int64_t now, struct buf *lines) {
    size_t dropped = 0;
    for (size_t i = 0; i < set->identities.count; i++) {
        if (set->staples[i].length == 0 || set->staples_until[i] > now) continue;
        buf_clear(&set->staples[i]);
        add_line(lines, "%s: the OCSP response of the %s certificate is no longer good: a fresh one would be right",
                 set->title, tls_identity_kind(&set->identities.items[i]));
        dropped++;
    }
    return dropped;
}

size_t key_store_drop_staples(struct key_store *store, int64_t now, struct buf *lines) {
    size_t cursor = 0, dropped = 0;
    struct str name;
    void *value;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        dropped += drop_staples_of(&store->sides[side], now, lines);
    while (map_next(store->names, &cursor, &name, &value))
        dropped += drop_staples_of(value, now, lines);
    return dropped;
}

/* A private key that everybody can read is no secret any more, but still better than no TLS. */
static void check_modes(struct making *making, const struct key_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        const struct material_item *item = map_get(making->files, sources->paths[identity->key_source]);
        if (item && (item->mode & (S_IROTH | S_IWOTH | S_IWGRP)))
            add_line(&making->store->warnings, "%.*s holds a private key and has mode %04o: 0600 would be right",
                     STR_ARGS(item->name), item->mode);
    }
}

static void inherit(struct key_set *set, const struct key_set *earlier) {
    tls_identities_free(&set->identities);
    set->broken = !earlier || earlier->identities.count == 0;
    if (set->broken || !tls_identities_add(&set->identities, &earlier->identities)) return;
    set->inherited = true;
    for (size_t i = 0; i < set->identities.count; i++) {
        set->staples[i] = buf_make(STAPLE_LIMIT);
        buf_append(&set->staples[i], buf_str(&earlier->staples[i]));
        set->staples_until[i] = earlier->staples_until[i];
    }
}

/* A key that was there before stays the same object, so that a store costs no more than what is new in it. */
static void share_key(const struct key_store *earlier, struct tls_identity *identity, struct str name) {
    const struct held_key *before = earlier ? map_get(earlier->keys, name) : NULL;
    if (!before || before->key == identity->key) return;
    EVP_PKEY_free(identity->key);
    EVP_PKEY_up_ref(before->key);
    identity->key = before->key;
}

static void add_keys(struct making *making, struct key_set *set, bool server) {
    for (size_t i = 0; i < set->identities.count; i++) {
        struct tls_identity *identity = &set->identities.items[i];
        struct str name = str_make((const char *)identity->name, sizeof identity->name);
        struct held_key *key = map_get(making->store->keys, name);
        share_key(making->earlier, identity, name);
        if (!key) {
            key = MEMORY_NEW(struct held_key);
            key->key = identity->key;
            map_put(making->store->keys, name, key);
        }
        key->server = key->server || server;
        key->client = key->client || !server;
    }
}

/* What was read becomes the set, or the earlier one stays in its place. */
static void settle(struct making *making, struct key_set *set, const struct key_set *earlier,
                   const struct sources *sources, bool good, const struct failure *failure, bool server) {
    if (good) {
        read_staples(making, set, sources);
        check_modes(making, set, sources);
    } else {
        inherit(set, earlier);
        add_line(&making->store->errors, "%s: %s%s", set->title, failure->text,
                 set->inherited ? "; the certificates of before are kept" : "");
    }
    add_keys(making, set, server);
}

/* ---- the sides */

static bool read_list(struct making *making, struct key_set *set, struct sources *sources, struct str list,
                      struct failure *failure) {
    struct str path;
    bool good = true;
    while (good && material_next_file(&list, &path))
        good = read_file(making, set, sources, path, failure);
    return good;
}

static bool read_pairs(struct making *making, struct key_set *set, struct sources *sources,
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
    struct key_set *set = &making->store->sides[side];
    const struct key_set *earlier = making->earlier ? &making->earlier->sides[side] : NULL;
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
    struct key_set *set = MEMORY_NEW(struct key_set);
    struct sources sources = {.count = 0};
    struct failure failure = {0};
    const struct key_set *earlier = making->earlier ? map_get(making->earlier->names, item->name) : NULL;
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
        if (item->kind == MATERIAL_NAME) {
            make_name(making, item);
            if (making->pause && i % NAMES_A_TURN == 0) making->pause();
        }
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
        const struct key_set *earlier = value;
        if (map_get(making->store->names, name)) continue;
        struct key_set *set = MEMORY_NEW(struct key_set);
        set->title = memory_copy_string(str_from(earlier->title));
        inherit(set, earlier);
        add_keys(making, set, true);
        map_put(making->store->names, name, set);
    }
}

struct key_store *key_store_create(const struct config *config, struct str material, const struct key_store *earlier,
                                   int64_t now, void (*pause)(void)) {
    struct key_store *store = MEMORY_NEW(struct key_store);
    *store = (struct key_store){.names = map_create(),
                                .keys = map_create(),
                                .errors = buf_make(LINES_LIMIT),
                                .warnings = buf_make(LINES_LIMIT)};
    struct making making = {
        .config = config, .earlier = earlier, .store = store, .files = map_create(), .now = now, .pause = pause};
    count_items(&making, material);
    for (unsigned side = 0; side < STORE_SIDES; side++)
        make_side(&making, side);
    make_names(&making);
    keep_names(&making);
    key_store_check_dates(store, config->tls_certificate_warn_time, now, &store->warnings);
    map_destroy(&making.files);
    MEMORY_FREE(making.items);
    return store;
}

void key_store_destroy(struct key_store **store) {
    struct key_store *ending = *store;
    size_t cursor = 0;
    struct str name;
    void *value;
    if (!ending) return;
    *store = NULL;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        set_clear(&ending->sides[side]);
    while (map_next(ending->names, &cursor, &name, &value)) {
        struct key_set *set = value;
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

const struct key_set *key_store_find(const struct key_store *store, unsigned side, struct str name) {
    if (side >= STORE_SIDES) return NULL;
    if (name.length == 0 || side != 0) return &store->sides[side];
    const struct key_set *set = map_get(store->names, name);
    while (!set) {
        size_t dot = str_find(str_from_offset(name, 1), '.');
        if (dot == STR_NONE) return NULL;
        name = str_from_offset(name, dot + 1);
        set = name.length > 1 ? map_get(store->names, name) : NULL;
        if (name.length <= 1) return NULL;
    }
    return set;
}

const struct held_key *key_store_key(const struct key_store *store, struct str name) {
    return map_get(store->keys, name);
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

static void check_set_dates(const struct key_set *set, int64_t warn_time, int64_t now, struct buf *lines) {
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

void key_store_check_dates(const struct key_store *store, int64_t warn_time, int64_t now, struct buf *lines) {
    size_t cursor = 0;
    struct str name;
    void *value;
    for (unsigned side = 0; side < STORE_SIDES; side++)
        check_set_dates(&store->sides[side], warn_time, now, lines);
    while (map_next(store->names, &cursor, &name, &value))
        check_set_dates(value, warn_time, now, lines);
}
