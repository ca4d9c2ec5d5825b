/* Editing the text of main.cf and master.cf. */
#include "config_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_lines.h"
#include "main_cf.h"
#include "memory.h"

/* ---- texts */

/* What to look for and what to put there; one of name and row's name and type. */
struct edit {
    enum config_edit_action action;
    struct str name;
    bool is_row;
    enum master_cf_type type;
    struct str replacement; /* whole text of the new line, without line end */
};

static bool edit_matches(const struct edit *edit, struct str line) {
    struct str word, type;
    if (!edit->is_row) {
        struct str value;
        struct failure ignored;
        return main_cf_split(line, &word, &value, &ignored) && str_equal(word, edit->name);
    }
    return str_next_word(&line, " \t", &word) && str_next_word(&line, " \t", &type) && str_equal(word, edit->name) &&
           str_equal(type, master_cf_type_name(edit->type));
}

static void put_line(struct buf *out, struct str line) {
    buf_append(out, line);
    buf_append_char(out, '\n');
}

/* Copies the physical lines of an entry, edited. */
static void edit_entry(const struct edit *edit, struct str entry, struct buf *out) {
    bool first = true;
    while (entry.length > 0) {
        size_t end = str_find(entry, '\n');
        struct str line = str_slice(entry, 0, end == STR_NONE ? entry.length : end);
        struct str seen = str_trim(line);
        entry = str_from_offset(entry, line.length + 1);
        if (seen.length == 0 || seen.data[0] == '#') {
            put_line(out, line);
            continue;
        }
        if (edit->action == CONFIG_EDIT_SET && first)
            put_line(out, edit->replacement);
        if (edit->action == CONFIG_EDIT_COMMENT) {
            buf_append_char(out, '#');
            put_line(out, line);
        }
        first = false;
    }
}

static bool edit_text(struct str text, const struct edit *edit, struct buf *edited, size_t *count,
                      struct failure *failure) {
    struct buf out = buf_make(0);
    struct config_lines lines;
    struct config_line line;
    enum config_lines_result result;
    size_t copied = 0, found = 0;

    config_lines_start(&lines, text);
    while ((result = config_lines_next(&lines, &line, failure)) == CONFIG_LINES_LINE) {
        if (!edit_matches(edit, line.text))
            continue;
        buf_append(&out, str_slice(text, copied, line.begin));
        edit_entry(edit, str_slice(text, line.begin, line.end), &out);
        copied = line.end;
        found++;
    }
    config_lines_finish(&lines);
    buf_append(&out, str_from_offset(text, copied));
    if (edit->action == CONFIG_EDIT_SET && found == 0) {
        if (out.length > 0 && out.data[out.length - 1] != '\n')
            buf_append_char(&out, '\n');
        put_line(&out, edit->replacement);
    }
    if (result == CONFIG_LINES_END) {
        buf_append(edited, buf_str(&out));
        *count = found;
    }
    buf_free(&out);
    return result == CONFIG_LINES_END;
}

static bool one_line(struct str text, struct failure *failure) {
    if (str_find(text, '\n') != STR_NONE || str_find(text, '\0') != STR_NONE)
        return failure_set(failure, "a value has to be one line");
    return true;
}

bool config_edit_setting(struct str text, enum config_edit_action action, struct str name, struct str value,
                         struct buf *edited, size_t *count, struct failure *failure) {
    struct buf line = buf_make(0);
    struct edit edit = {.action = action, .name = name};
    if (!main_cf_is_name(name))
        return failure_set(failure, "\"%.*s\" is no name; names are made of letters, digits and underscores",
                           STR_ARGS(name));
    if (!one_line(value, failure))
        return false;
    buf_append(&line, name);
    buf_append(&line, value.length > 0 ? STR(" = ") : STR(" ="));
    buf_append(&line, value);
    edit.replacement = buf_str(&line);
    bool done = edit_text(text, &edit, edited, count, failure);
    buf_free(&line);
    return done;
}

bool config_edit_row(struct str text, enum config_edit_action action, struct str name, enum master_cf_type type,
                     struct str replacement, struct buf *edited, size_t *count, struct failure *failure) {
    struct edit edit = {
        .action = action, .name = name, .is_row = true, .type = type, .replacement = replacement};
    return edit_text(text, &edit, edited, count, failure);
}

/* ---- formatting */

#define FOLD_COLUMNS 80

/* The next word with its braces; false at the end. */
static bool whole_word(struct str *rest, struct str *word) {
    struct str text = str_trim(*rest);
    size_t length = 0;
    if (text.length > 0 && text.data[0] == '{')
        length = config_group_length(text, '{', '}');
    while (length < text.length && !ascii_is_space(text.data[length]))
        length++;
    *word = str_slice(text, 0, length);
    *rest = str_from_offset(text, length);
    return length > 0;
}

void config_fold(struct str text, size_t column, struct buf *out) {
    struct str word;
    bool first = true;
    while (whole_word(&text, &word)) {
        if (!first && column + 1 + word.length > FOLD_COLUMNS) {
            buf_append(out, STR("\n    "));
            column = 4;
        } else if (!first) {
            buf_append_char(out, ' ');
            column++;
        }
        buf_append(out, word);
        column += word.length;
        first = false;
    }
}

static void format_command(struct str command, size_t column, struct buf *out) {
    struct buf plain = buf_make(0);
    struct str word, setting;
    bool broken = false;
    /* Overrides stand on lines of their own; runs of other words are folded. */
    while (whole_word(&command, &word)) {
        bool is_override = str_equal(word, STR("-o")) && whole_word(&command, &setting);
        if (!is_override) {
            buf_append_char(&plain, ' ');
            buf_append(&plain, word);
            if (command.length > 0)
                continue;
        }
        if (plain.length > 0) {
            if (broken)
                buf_append(out, STR("\n    "));
            config_fold(buf_str(&plain), broken ? 4 : column, out);
            buf_clear(&plain);
            broken = true;
        }
        if (is_override) {
            buf_append(out, STR("\n    -o "));
            buf_append(out, setting);
        }
    }
    buf_free(&plain);
}

void master_cf_format(const struct master_cf_row *row, bool folded, struct buf *out) {
    static const int widths[MASTER_CF_FIELDS] = {10, 5, 7, 7, 7, 7, 7, 0};
    size_t begin = out->length;
    for (int i = 0; i < MASTER_CF_FIELD_COMMAND; i++)
        buf_printf(out, "%-*.*s ", widths[i], STR_ARGS(row->fields[i]));
    if (folded)
        format_command(row->fields[MASTER_CF_FIELD_COMMAND], out->length - begin, out);
    else
        buf_append(out, row->fields[MASTER_CF_FIELD_COMMAND]);
}

/* ---- files */

static bool write_all(int descriptor, struct str bytes) {
    while (bytes.length > 0) {
        ssize_t done = write(descriptor, bytes.data, bytes.length);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0)
            bytes = str_from_offset(bytes, (size_t)done);
    }
    return true;
}

/* Fills the new file and gives it the old one's mode and owner; errno says what failed. */
static bool fill(int descriptor, const struct stat *old, struct str content) {
    if (!write_all(descriptor, content))
        return false;
    if (old) {
        bool ours = old->st_uid == geteuid() && old->st_gid == getegid();
        if (!ours && fchown(descriptor, old->st_uid, old->st_gid) < 0)
            return false;
    }
    if (fchmod(descriptor, old ? old->st_mode & 07777 : 0644) < 0)
        return false;
    return fsync(descriptor) == 0;
}

static bool replace_in(int directory, const char *name, const char *path, struct str content,
                       struct failure *failure) {
    struct buf temporary = buf_make(0);
    struct stat old;
    bool exists = fstatat(directory, name, &old, 0) == 0;
    buf_printf(&temporary, "%s.tern-%ld", name, (long)getpid());

    int descriptor = openat(directory, buf_string(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = descriptor >= 0;
    if (done) {
        done = fill(descriptor, exists ? &old : NULL, content);
        done = close(descriptor) == 0 && done;
        done = done && renameat(directory, buf_string(&temporary), directory, name) == 0 && fsync(directory) == 0;
    }
    if (!done) {
        int reason = errno;
        if (descriptor >= 0)
            unlinkat(directory, buf_string(&temporary), 0);
        failure_set_errno(failure, reason, "%s", path);
    }
    buf_free(&temporary);
    return done;
}

bool config_edit_replace(const char *path, struct str content, struct failure *failure) {
    /* A link is followed, so that it stays one. */
    char *real = realpath(path, NULL);
    char *for_directory = memory_copy_string(str_from(real ? real : path));
    char *for_name = memory_copy_string(str_from(real ? real : path));
    int directory = open(dirname(for_directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done;
    if (directory < 0) {
        done = failure_set_errno(failure, errno, "%s", path);
    } else {
        done = replace_in(directory, basename(for_name), path, content, failure);
        close(directory);
    }
    MEMORY_FREE(real);
    MEMORY_FREE(for_directory);
    MEMORY_FREE(for_name);
    return done;
}
