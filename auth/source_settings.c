/* The files that sources are described in. */
#include "source_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "config_lines.h"
#include "config_value.h"

static const struct source_setting *find_row(const struct source_setting *rows, size_t count, struct str name) {
    for (size_t i = 0; i < count; i++)
        if (str_equal(name, str_from(rows[i].name))) return &rows[i];
    return NULL;
}

static bool is_choice(const char *choices, struct str value) {
    struct str rest = str_from(choices), word;
    while (str_next_word(&rest, "|", &word))
        if (str_equal(word, value)) return true;
    return false;
}

static bool store_number(const struct source_setting *row, struct str value, void *field, struct failure *failure) {
    int64_t number = 0;
    bool good = row->kind == SOURCE_SECONDS ? config_value_time(value, 's', &number)
                                            : str_to_i64(value, row->minimum, row->maximum, &number);
    if (!good || number < row->minimum || number > row->maximum)
        return failure_set(failure, "%s: a number between %lld and %lld is wanted", row->name, (long long)row->minimum,
                           (long long)row->maximum);
    memcpy(field, &number, sizeof number);
    return true;
}

static bool store_switch(const struct source_setting *row, struct str value, void *field, struct failure *failure) {
    bool on = str_equal_nocase(value, STR("yes"));
    if (!on && !str_equal_nocase(value, STR("no"))) return failure_set(failure, "%s: yes or no is wanted", row->name);
    memcpy(field, &on, sizeof on);
    return true;
}

static bool store(const struct source_setting *row, struct str value, char *target, struct arena *arena,
                  struct failure *failure) {
    struct str copy;
    switch (row->kind) {
    case SOURCE_IGNORED:
        return true;
    case SOURCE_SWITCH:
        return store_switch(row, value, target + row->offset, failure);
    case SOURCE_NUMBER:
    case SOURCE_SECONDS:
        return store_number(row, value, target + row->offset, failure);
    case SOURCE_CHOICE:
        if (!is_choice(row->choices, value))
            return failure_set(failure, "%s: one of these is wanted: %s", row->name, row->choices);
        break;
    case SOURCE_TEXT:
    case SOURCE_REQUIRED:
        break;
    }
    if (!arena_copy(arena, value, &copy)) return failure_set(failure, "%s: too long", row->name);
    memcpy(target + row->offset, &copy, sizeof copy);
    return true;
}

static bool take_line(const struct config_line *line, const struct source_setting *rows, size_t count, char *target,
                      struct arena *arena, struct failure *failure) {
    struct str name, value;
    /* The line itself is not shown: it may hold a password. */
    if (!str_cut(line->text, '=', &name, &value)) return failure_set(failure, "a setting is written name = value");
    name = str_trim(name);
    const struct source_setting *row = find_row(rows, count, name);
    if (!row)
        return failure_set(failure, "\"%.*s\" is no setting of this kind of source", STR_ARGS(str_slice(name, 0, 64)));
    return store(row, str_trim(value), target, arena, failure);
}

static bool take_lines(struct str text, const struct source_setting *rows, size_t count, char *target,
                       struct arena *arena, struct failure *failure) {
    struct config_lines lines = {.offset = 0};
    struct config_line line;
    enum config_lines_result got;
    bool good = true;
    config_lines_start(&lines, text); /* NOLINT(clang-analyzer-core.CallAndMessage): text is the file, read whole */
    while (good && (got = config_lines_next(&lines, &line, failure)) != CONFIG_LINES_END) {
        if (got == CONFIG_LINES_BAD) {
            good = false;
        } else {
            good = take_line(&line, rows, count, target, arena, failure);
            if (!good) failure_prefix(failure, "line %zu", line.number);
        }
    }
    config_lines_finish(&lines);
    return good;
}

static bool has_required(const struct source_setting *rows, size_t count, const char *target, struct failure *failure) {
    for (size_t i = 0; i < count; i++) {
        struct str value;
        if (rows[i].kind != SOURCE_REQUIRED) continue;
        memcpy(&value, target + rows[i].offset, sizeof value);
        if (value.length == 0) return failure_set(failure, "%s is not set", rows[i].name);
    }
    return true;
}

bool source_settings_parse(struct str text, const char *file, const struct source_setting *rows, size_t count,
                           void *target, size_t target_size, struct arena *arena, struct failure *failure) {
    char *filled = memory_allocate(1, target_size);
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = store(&rows[i], str_from(rows[i].value), filled, arena, failure);
    good = good && take_lines(text, rows, count, filled, arena, failure) && has_required(rows, count, filled, failure);
    if (good)
        memcpy(target, filled, target_size);
    else
        failure_prefix(failure, "%s", file);
    MEMORY_FREE(filled);
    return good;
}

static bool read_whole(int file, const char *path, size_t limit, struct buf *text, struct failure *failure) {
    struct stat status;
    if (fstat(file, &status) < 0) return failure_set_errno(failure, errno, "%s", path);
    if (!S_ISREG(status.st_mode)) return failure_set(failure, "%s: not an ordinary file", path);
    for (;;) {
        char *room = buf_reserve(text, 4096);
        if (!room) return failure_set(failure, "%s: longer than %zu bytes", path, limit);
        ssize_t got = read(file, room, 4096);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure_set_errno(failure, errno, "%s", path);
        if (got == 0) return true;
        buf_commit(text, (size_t)got);
    }
}

bool source_read_file(struct str path, size_t limit, struct arena *arena, struct str *content,
                      struct failure *failure) {
    if (path.length == 0 || path.data[0] != '/')
        return failure_set(failure, "\"%.*s\": a file name that begins with / is wanted", STR_ARGS(path));
    char *name = memory_copy_string(path);
    struct buf text = buf_make(limit + 4096);
    int file = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool good = file >= 0 || failure_set_errno(failure, errno, "%s", name);
    good = good && read_whole(file, name, limit, &text, failure);
    if (good && !arena_copy(arena, buf_str(&text), content)) good = failure_set(failure, "%s: too long", name);
    if (file >= 0) close(file);
    buf_free_secret(&text);
    MEMORY_FREE(name);
    return good;
}

bool source_settings_read(struct str path, const struct source_setting *rows, size_t count, void *target,
                          size_t target_size, struct arena *arena, struct failure *failure) {
    struct str text;
    if (!source_read_file(path, SOURCE_SETTINGS_MAX_BYTES, arena, &text, failure)) return false;
    char *name = memory_copy_string(path);
    bool good = source_settings_parse(text, name, rows, count, target, target_size, arena, failure);
    MEMORY_FREE(name);
    return good;
}
