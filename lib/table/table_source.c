/* Entries of map and aliases text. */
#include "alias_members.h"
#include "memory.h"
#include "table_source.h"

void table_source_start(struct table_source *source, enum table_source_format format, struct str text) {
    *source = (struct table_source){.format = format};
    logical_lines_start(&source->lines, text);
}

void table_source_finish(struct table_source *source) {
    logical_lines_finish(&source->lines);
    buf_free(&source->key);
}

/* Where the key ends: white space (or what stop says) outside of double quotes. */
static bool find_key_end(struct str line, bool stop_at_colon, size_t *end) {
    bool quoted = false;
    size_t i = 0;
    for (; i < line.length; i++) {
        char c = line.data[i];
        if (c == '\\') i++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && (ascii_is_space(c) || (stop_at_colon && c == ':'))) break;
    }
    *end = i < line.length ? i : line.length;
    return !quoted;
}

static bool parse_map_line(struct str line, struct table_entry *entry, struct failure *failure) {
    size_t end;
    if (!find_key_end(line, false, &end)) return failure_set(failure, "unbalanced '\"'");
    entry->key = str_slice(line, 0, end);
    entry->value = str_trim(str_from_offset(line, end));
    if (entry->value.length == 0) return failure_set(failure, "expected format: key whitespace value");
    if (entry->key.data[end - 1] == ':')
        return failure_set(failure, "the entry is in \"key: value\" format; is this an alias file?");
    return true;
}

/* Appends name without its quotes and backslashes. */
static void unquote(struct str name, struct buf *plain) {
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] == '"') continue;
        if (name.data[i] == '\\' && i + 1 < name.length) i++;
        (void)buf_append_char(plain, name.data[i]);
    }
}

static bool parse_alias_line(struct table_source *source, struct str line, struct table_entry *entry,
                             struct failure *failure) {
    size_t end;
    if (!find_key_end(line, true, &end)) return failure_set(failure, "unbalanced '\"'");
    struct str after = str_trim(str_from_offset(line, end));
    if (after.length == 0 || after.data[0] != ':') return failure_set(failure, "expected format: name: value");
    buf_clear(&source->key);
    unquote(str_slice(line, 0, end), &source->key);
    entry->key = buf_str(&source->key);
    entry->value = str_trim(str_from_offset(after, 1));
    if (entry->key.length == 0) return failure_set(failure, "the name before the colon is missing");
    if (entry->value.length == 0) return failure_set(failure, "the value after the colon is missing");
    struct arena *arena = arena_create(0);
    struct alias_members members;
    bool sound = alias_members_parse(entry->value, ALIAS_MEMBERS_MAX, arena, &members, failure);
    if (sound && members.count == 0) sound = failure_set(failure, "the value after the colon is missing");
    arena_destroy(&arena);
    return sound;
}

enum table_source_result table_source_next(struct table_source *source, struct table_entry *entry,
                                           struct failure *failure) {
    struct str line;
    size_t number;
    if (!logical_lines_next(&source->lines, &line, &number)) return TABLE_SOURCE_END;
    *entry = (struct table_entry){.key = STR_EMPTY, .value = STR_EMPTY, .line = number};
    bool sound = false;
    if (str_find(line, '\0') != STR_NONE) {
        (void)failure_set(failure, "a NUL byte in the line");
    } else if (source->format == TABLE_SOURCE_MAP) {
        sound = parse_map_line(line, entry, failure);
    } else {
        sound = parse_alias_line(source, line, entry, failure);
    }
    return sound ? TABLE_SOURCE_ENTRY : TABLE_SOURCE_MALFORMED;
}
