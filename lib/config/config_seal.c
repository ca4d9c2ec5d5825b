/* The sealed configuration: the slice that a daemon may see, as name and value,
 * in a memory file that nobody can alter.
 *
 *   "ternconf1\n" scope(4) count(4), then for each: name length(2) value length(4) name value,
 *   then a CRC-32C(4) of all before. Numbers are little-endian. The first entry has an
 *   empty name and holds what has no row (config->extra). */
#include "config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_sheet.h"
#include "config_value.h"
#include "hash.h"
#include "memory.h"

#define MAGIC STR("ternconf1\n")
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define ENTRIES_MAX 5000

static void put_number(struct buf *out, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        buf_append_char(out, (char)(unsigned char)(number >> (8 * i)));
}

static bool take_number(struct str *rest, size_t bytes, uint32_t *number) {
    uint32_t value = 0;
    if (rest->length < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint32_t)(unsigned char)rest->data[i] << (8 * i);
    *rest = str_from_offset(*rest, bytes);
    *number = value;
    return true;
}

static bool take_bytes(struct str *rest, size_t length, struct str *bytes) {
    if (rest->length < length)
        return false;
    *bytes = str_slice(*rest, 0, length);
    *rest = str_from_offset(*rest, length);
    return true;
}

static void put_entry(struct buf *out, struct str name, struct str value) {
    put_number(out, name.length, 2);
    put_number(out, value.length, 4);
    buf_append(out, name);
    buf_append(out, value);
}

/* Classes and transports are for those who see the parameters that name them. */
static struct str visible_extra(const struct config *config, unsigned scope) {
    return scope & (SCOPE_SMTPD | SCOPE_LOOKUP | SCOPE_QMGR | SCOPE_LOCAL) ? config->extra : STR_EMPTY;
}

void config_encode(const struct config *config, unsigned scope, struct buf *encoded) {
    struct buf entries = buf_make(0), out = buf_make(0);
    uint32_t count = 1;
    scope &= config->scope & SCOPE_ALL;
    put_entry(&entries, STR_EMPTY, visible_extra(config, scope));
    for (size_t i = 0; i < parameter_count; i++) {
        struct config_number scratch;
        if (!(parameter_table[i].scope & scope))
            continue;
        put_entry(&entries, parameter_table[i].name, config_value(config, &parameter_table[i], &scratch));
        count++;
    }
    buf_append(&out, MAGIC);
    put_number(&out, scope, 4);
    put_number(&out, count, 4);
    buf_append(&out, buf_str(&entries));
    put_number(&out, crc32c(0, out.data, out.length), 4);
    buf_append(encoded, buf_str(&out));
    buf_free(&entries);
    buf_free(&out);
}

/* Checks the frame; *body gets what is between count and check sum. */
static bool open_frame(struct str encoded, struct str *body, uint32_t *scope, uint32_t *count,
                       struct failure *failure) {
    struct str rest = encoded;
    uint32_t sum;
    if (encoded.length < MAGIC.length + 12 || !str_starts(encoded, MAGIC))
        return failure_set(failure, "no sealed configuration");
    struct str last = str_from_offset(encoded, encoded.length - 4);
    if (!take_number(&last, 4, &sum) || sum != crc32c(0, encoded.data, encoded.length - 4))
        return failure_set(failure, "a sealed configuration with a wrong check sum");
    rest = str_slice(encoded, MAGIC.length, encoded.length - 4);
    if (!take_number(&rest, 4, scope) || !take_number(&rest, 4, count) || *count > ENTRIES_MAX ||
        (*scope & ~(uint32_t)SCOPE_ALL))
        return failure_set(failure, "a sealed configuration that is malformed");
    *body = rest;
    return true;
}

/* Values that another version of tern sealed may lack a row or have one too many:
 * the one gets its default, the other is passed over. */
static bool fill_missing(struct config *config, const bool *seen, struct failure *failure) {
    struct config_system machine = {.hostname = STR("localhost"), .networks_host = STR_EMPTY,
                                    .networks_subnet = STR_EMPTY, .networks_class = STR_EMPTY,
                                    .config_directory = STR_EMPTY};
    struct config_sheet *sheet = NULL;
    bool done = true;
    for (size_t i = 0; done && i < parameter_count; i++) {
        struct buf value = buf_make(0);
        if (seen[i] || !(parameter_table[i].scope & config->scope))
            continue;
        done = (sheet || config_sheet_create(STR_EMPTY, "defaults", &machine, NULL, 0, &sheet, failure)) &&
               config_sheet_value(sheet, &parameter_table[i], &value, failure) &&
               config_value_store(config, &parameter_table[i], buf_str(&value), failure);
        buf_free(&value);
    }
    config_sheet_free(&sheet);
    return done;
}

static bool decode_entries(struct str body, uint32_t count, struct config *config, bool *seen,
                           struct failure *failure) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t name_length = 0, value_length = 0;
        struct str name = STR_EMPTY, value = STR_EMPTY;
        if (!take_number(&body, 2, &name_length) || !take_number(&body, 4, &value_length) ||
            !take_bytes(&body, name_length, &name) || !take_bytes(&body, value_length, &value))
            return failure_set(failure, "a sealed configuration that is cut off");
        if (name.length == 0) {
            if (!arena_copy(config->arena, value, &config->extra))
                return failure_set(failure, "a sealed configuration that is too large");
            continue;
        }
        const struct parameter *parameter = parameter_find(name);
        if (!parameter || !(parameter->scope & config->scope))
            continue;
        /* Numbers were sealed in seconds, whatever unit a bare one has in main.cf. */
        struct parameter plain = *parameter;
        if (plain.type == PARAMETER_TIME)
            plain.type = PARAMETER_NUMBER;
        if (!config_value_store(config, &plain, value, failure))
            return failure_prefix(failure, "sealed configuration: %.*s", STR_ARGS(name));
        seen[parameter - parameter_table] = true;
    }
    return body.length == 0 || failure_set(failure, "a sealed configuration with bytes after its end");
}

bool config_decode(struct str encoded, struct config **config, struct failure *failure) {
    struct str body = STR_EMPTY;
    uint32_t scope = 0, count = 0;
    if (encoded.length > CONFIG_FILE_MAX)
        return failure_set(failure, "a sealed configuration of more than %zu bytes", CONFIG_FILE_MAX);
    if (!open_frame(encoded, &body, &scope, &count, failure))
        return false;
    struct config *made = config_make_empty(scope);
    bool *seen = memory_allocate(parameter_count, sizeof(*seen));
    bool done = decode_entries(body, count, made, seen, failure) && fill_missing(made, seen, failure);
    MEMORY_FREE(seen);
    if (!done) {
        config_free(&made);
        return false;
    }
    *config = made;
    return true;
}

static bool write_all(int descriptor, struct str bytes, struct failure *failure) {
    while (bytes.length > 0) {
        ssize_t done = write(descriptor, bytes.data, bytes.length);
        if (done < 0 && errno != EINTR)
            return failure_set_errno(failure, errno, "sealing the configuration");
        if (done > 0)
            bytes = str_from_offset(bytes, (size_t)done);
    }
    return true;
}

bool config_seal(const struct config *config, unsigned scope, int *descriptor, struct failure *failure) {
    struct buf encoded = buf_make(0);
    int made = memfd_create("tern-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return failure_set_errno(failure, errno, "sealing the configuration");
    config_encode(config, scope, &encoded);
    bool done = write_all(made, buf_str(&encoded), failure);
    buf_free(&encoded);
    if (done && (fcntl(made, F_ADD_SEALS, SEALS) < 0 || lseek(made, 0, SEEK_SET) < 0))
        done = failure_set_errno(failure, errno, "sealing the configuration");
    if (!done) {
        close(made);
        return false;
    }
    *descriptor = made;
    return true;
}

bool config_unseal(int descriptor, struct config **config, struct failure *failure) {
    struct buf content = buf_make(CONFIG_FILE_MAX);
    struct stat status;
    int seals = fcntl(descriptor, F_GET_SEALS);
    const int all_seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    if (seals < 0)
        return failure_set_errno(failure, errno, "the seals of the configuration cannot be read");
    if ((seals & all_seals) != all_seals)
        return failure_set(failure, "the configuration is not sealed");
    if (fstat(descriptor, &status) < 0)
        return failure_set_errno(failure, errno, "the sealed configuration");
    if (status.st_size < 0 || (uint64_t)status.st_size > CONFIG_FILE_MAX)
        return failure_set(failure, "a sealed configuration of more than %zu bytes", CONFIG_FILE_MAX);

    size_t wanted = (size_t)status.st_size;
    char *room = buf_reserve(&content, wanted + 1);
    size_t got = 0;
    int error = 0;
    while (room && got < wanted) {
        /* By offset: many processes share the descriptor's position. */
        ssize_t piece = pread(descriptor, room + got, wanted - got, (off_t)got);
        if (piece < 0 && errno == EINTR)
            continue;
        if (piece < 0)
            error = errno;
        if (piece <= 0)
            break;
        got += (size_t)piece;
    }
    buf_commit(&content, got);
    bool done = false;
    if (got == wanted)
        done = config_decode(buf_str(&content), config, failure);
    else if (error)
        failure_set_errno(failure, error, "the sealed configuration cannot be read");
    else
        failure_set(failure, "the sealed configuration cannot be read");
    buf_free(&content);
    return done;
}
