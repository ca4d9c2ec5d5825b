/* Gathering: files and tables, bytes only. */
#include "material.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "table_words.h"

#define READ_SIZE      ((size_t)65536)
#define FILE_LIMIT     ((size_t)1 << 20)
#define MATERIAL_LIMIT ((size_t)256 << 20) /* of all files together */
#define WATCH_LIMIT    ((size_t)200000)

/* ---- items as bytes: kind, mode, two lengths, two runs */

struct item_head {
    uint32_t kind, mode, name_length, value_length;
};

static void put_item(struct material_gathering *gathering, enum material_kind kind, uint32_t mode, struct str name,
                     struct str value) {
    struct item_head head = {(uint32_t)kind, mode, (uint32_t)name.length, (uint32_t)value.length};
    if (gathering->out->length + sizeof head + name.length + value.length > MATERIAL_LIMIT) return;
    buf_append_bytes(gathering->out, &head, sizeof head);
    buf_append(gathering->out, name);
    buf_append(gathering->out, value);
}

bool material_next(struct str *rest, struct material_item *item) {
    struct item_head head;
    if (rest->length < sizeof head) return false;
    memcpy(&head, rest->data, sizeof head);
    struct str body = str_from_offset(*rest, sizeof head);
    if (head.kind < MATERIAL_FILE || head.kind > MATERIAL_TROUBLE || head.name_length > body.length ||
        head.value_length > body.length - head.name_length)
        return false;
    *item = (struct material_item){.kind = (enum material_kind)head.kind,
                                   .mode = head.mode,
                                   .name = str_slice(body, 0, head.name_length),
                                   .value = str_slice(body, head.name_length, head.name_length + head.value_length)};
    *rest = str_from_offset(body, head.name_length + head.value_length);
    return true;
}

/* ---- which files */

bool material_next_file(struct str *rest, struct str *path) {
    return str_next_word(rest, ", \t\r\n", path);
}

static struct str unless_none(struct str value) {
    return str_equal(value, STR("none")) ? STR_EMPTY : value;
}

#define PARAMETERS(side)                                                                                               \
    {                                                                                                                  \
        .chain_files = config->side##_tls_chain_files, .chain_files_name = STR(#side "_tls_chain_files"),              \
        .pairs = {                                                                                                     \
            {unless_none(config->side##_tls_cert_file), unless_none(config->side##_tls_key_file),                      \
             STR(#side "_tls_cert_file")},                                                                             \
            {unless_none(config->side##_tls_eccert_file), unless_none(config->side##_tls_eckey_file),                  \
             STR(#side "_tls_eccert_file")},                                                                           \
            {unless_none(config->side##_tls_dcert_file), unless_none(config->side##_tls_dkey_file),                    \
             STR(#side "_tls_dcert_file")},                                                                            \
        },                                                                                                             \
    }

struct material_parameters material_parameters_of(const struct config *config, unsigned side) {
    const struct material_parameters sides[MATERIAL_SIDES] = {PARAMETERS(smtpd), PARAMETERS(smtp), PARAMETERS(lmtp)};
    return sides[side < MATERIAL_SIDES ? side : 0];
}

/* ---- files */

static void watch(struct material_gathering *gathering, const char *path, struct str name) {
    if (gathering->watch_count == WATCH_LIMIT) return;
    if (gathering->watch_count == gathering->watch_room) {
        gathering->watch_room = gathering->watch_room ? gathering->watch_room * 2 : 16;
        gathering->watches = memory_resize(gathering->watches, gathering->watch_room, sizeof *gathering->watches);
    }
    gathering->watches[gathering->watch_count++] =
        (struct material_watch){.path = memory_copy_string(str_from(path)), .stamp = table_stamp_of(name)};
}

static bool read_bytes(int file, struct buf *content, struct failure *failure) {
    for (;;) {
        char *room = buf_reserve(content, READ_SIZE);
        ssize_t got = room ? read(file, room, READ_SIZE) : 0;
        if (!room) return failure_set(failure, "the file is larger than %zu bytes", FILE_LIMIT);
        if (got < 0) return failure_set(failure, "%s", strerror(errno));
        if (got == 0) return true;
        buf_commit(content, (size_t)got);
    }
}

static bool read_file(const char *path, struct buf *content, uint32_t *mode, struct failure *failure) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return failure_set_errno(failure, errno, "it cannot be opened");
    bool good = fstat(file, &status) == 0 || failure_set_errno(failure, errno, "fstat");
    if (good && !S_ISREG(status.st_mode)) good = failure_set(failure, "it is no regular file");
    if (good) good = read_bytes(file, content, failure);
    if (good) *mode = status.st_mode & 07777;
    close(file);
    return good;
}

/* Stamped before it is read: what is written meanwhile is another state. A file that need not be
 * there is no trouble when it is not. */
static void add_path(struct material_gathering *gathering, struct str name, bool optional) {
    if (map_get(gathering->seen, name)) return;
    map_put(gathering->seen, name, gathering);
    char *path = memory_copy_string(name);
    struct buf content = buf_make(FILE_LIMIT);
    struct failure failure = {0};
    uint32_t mode = 0;
    watch(gathering, path, name);
    (void)!buf_reserve(&content, 2 * READ_SIZE + 1); /* most fit, and growing leaves copies */
    if (read_file(path, &content, &mode, &failure))
        put_item(gathering, MATERIAL_FILE, mode, name, buf_str(&content));
    else if (!optional || failure.error_number != ENOENT)
        put_item(gathering, MATERIAL_MISSING, 0, name, str_from(failure.text));
    buf_free_secret(&content);
    MEMORY_FREE(path);
}

static void add_file(struct material_gathering *gathering, struct str name) {
    struct buf staple = buf_make(4096);
    add_path(gathering, name, false);
    buf_printf(&staple, "%.*s.ocsp", STR_ARGS(name));
    if (!buf_overflowed(&staple)) add_path(gathering, buf_str(&staple), true);
    buf_free(&staple);
}

static void add_list(struct material_gathering *gathering, struct str list) {
    struct str path;
    while (material_next_file(&list, &path))
        add_file(gathering, path);
}

static void add_side(struct material_gathering *gathering, unsigned side) {
    struct material_parameters parameters = material_parameters_of(gathering->config, side);
    add_list(gathering, parameters.chain_files);
    if (parameters.chain_files.length > 0) return;
    for (size_t i = 0; i < ARRAY_LENGTH(parameters.pairs); i++) {
        if (parameters.pairs[i].certificate.length == 0) continue;
        add_file(gathering, parameters.pairs[i].certificate);
        add_path(gathering, parameters.pairs[i].key, false);
    }
}

/* ---- tables */

static bool add_name(void *context, struct str key, struct str value) {
    struct material_gathering *gathering = context;
    put_item(gathering, MATERIAL_NAME, 0, key, value);
    add_list(gathering, value);
    return true;
}

static void add_table(struct material_gathering *gathering, struct str type_name) {
    struct table *table = NULL;
    struct failure failure = {0};
    if (table_open(type_name, TABLE_FOLD, &table, &failure)) {
        gathering->tables = memory_resize(gathering->tables, gathering->table_count + 1, sizeof(struct table *));
        gathering->tables[gathering->table_count++] = table;
        if (table_each(table, add_name, gathering, &failure)) return;
    }
    put_item(gathering, MATERIAL_TROUBLE, 0, type_name, str_from(failure.text));
}

static void add_tables(struct material_gathering *gathering) {
    struct str rest = gathering->config->tls_server_sni_maps, word;
    while (table_word_next(&rest, &word) == TABLE_WORD)
        add_table(gathering, word);
}

/* ---- all of it */

void material_gather(struct material_gathering *gathering, const struct config *config, struct buf *out) {
    (void)!buf_reserve(out, FILE_LIMIT);
    *gathering = (struct material_gathering){.config = config, .out = out, .seen = map_create()};
    for (unsigned side = 0; side < MATERIAL_SIDES; side++)
        add_side(gathering, side);
    add_tables(gathering);
    gathering->out = NULL;
}

bool material_changed(const struct material_gathering *gathering) {
    for (size_t i = 0; i < gathering->table_count; i++)
        if (table_changed(gathering->tables[i])) return true;
    for (size_t i = 0; i < gathering->watch_count; i++) {
        struct table_stamp now = table_stamp_of(str_from(gathering->watches[i].path));
        if (!table_stamp_equal(&now, &gathering->watches[i].stamp)) return true;
    }
    return false;
}

void material_free(struct material_gathering *gathering) {
    for (size_t i = 0; i < gathering->watch_count; i++)
        MEMORY_FREE(gathering->watches[i].path);
    for (size_t i = 0; i < gathering->table_count; i++)
        table_close(&gathering->tables[i]);
    MEMORY_FREE(gathering->watches);
    MEMORY_FREE(gathering->tables);
    map_destroy(&gathering->seen);
}
