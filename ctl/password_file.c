/* password_file: see password_file.h. */
#include "password_file.h"
#include "memory.h"

#define EXTRA_FIELD 7 /* of user:secret:uid:gid:gecos:home:shell:extra */

static bool next_line(struct str *rest, struct str *line) {
    struct str after;
    if (rest->length == 0) return false;
    if (!str_cut(*rest, '\n', line, &after)) {
        *line = *rest;
        after = STR_EMPTY;
    }
    *rest = after;
    return true;
}

/* Names differ in more than case only where nobody can log in by both. */
static bool is_of(struct str line, struct str user) {
    struct str name, rest;
    return line.length && line.data[0] != '#' && str_cut(line, ':', &name, &rest) && str_equal_nocase(name, user);
}

bool password_file_find(struct str content, struct str user, struct str *line) {
    struct str at;
    while (next_line(&content, &at)) {
        if (!is_of(at, user)) continue;
        *line = at;
        return true;
    }
    return false;
}

/* The text with the user's lines in another form: the first becomes replacement (none if it is empty), others go. */
static bool replace(struct buf *content, struct str user, struct str replacement) {
    struct buf changed = buf_make(0);
    struct str rest = buf_str(content), line;
    bool found = false;
    while (next_line(&rest, &line)) {
        bool own = is_of(line, user);
        struct str put = own ? (found ? STR_EMPTY : replacement) : line;
        found = found || own;
        if (own && put.length == 0) continue;
        buf_append(&changed, put);
        buf_append_char(&changed, '\n');
    }
    buf_free_secret(content);
    *content = changed;
    return found;
}

void password_file_set(struct buf *content, struct str user, struct str secret) {
    struct buf line = buf_make(0);
    struct str old, name, fields = STR_EMPTY, ignored;
    bool known = password_file_find(buf_str(content), user, &old) && str_cut(old, ':', &name, &fields);
    buf_printf(&line, "%.*s:%.*s", STR_ARGS(known ? name : user), STR_ARGS(secret));
    if (known && str_cut(fields, ':', &ignored, &fields)) buf_printf(&line, ":%.*s", STR_ARGS(fields));
    if (!known && content->length && content->data[content->length - 1] != '\n') buf_append_char(content, '\n');
    if (!known) {
        buf_append(content, buf_str(&line));
        buf_append_char(content, '\n');
    } else if (!replace(content, user, buf_str(&line))) {
        memory_exhausted(0); /* it was found above */
    }
    buf_free_secret(&line);
}

bool password_file_remove(struct buf *content, struct str user) {
    return replace(content, user, STR_EMPTY);
}

/* ---- app passwords: "app_LABEL={SCHEME}secret" among the extra fields */

bool password_file_is_label(struct str label) {
    for (size_t i = 0; i < label.length; i++) {
        char c = label.data[i];
        if (!ascii_is_alnum(c) && c != '-' && c != '_' && c != '.') return false;
    }
    return label.length > 0 && label.length <= PASSWORD_FILE_LABEL_MAX;
}

/* What stands before the extra fields, with the colon before them if it is there, and they. */
static struct str split_extra(struct str line, size_t *colons) {
    *colons = 0;
    for (size_t i = 0; i < line.length; i++)
        if (line.data[i] == ':' && ++*colons == EXTRA_FIELD) return str_from_offset(line, i + 1);
    return STR_EMPTY;
}

static bool app_label(struct str word, struct str *label) {
    struct str name, value;
    if (!str_starts(word, STR("app_")) || !str_cut(word, '=', &name, &value)) return false;
    *label = str_from_offset(name, 4);
    return true;
}

bool password_file_next_app(struct str line, size_t *offset, struct str *label) {
    size_t colons;
    struct str extra = split_extra(line, &colons), word;
    struct str rest = str_from_offset(extra, *offset);
    while (str_next_word(&rest, " \t", &word)) {
        *offset = extra.length - rest.length;
        if (app_label(word, label)) return true;
    }
    return false;
}

/* Whether a word is the field of that name; then its value. */
static bool is_field(struct str word, struct str name, struct str *value) {
    struct str key;
    if (str_cut(word, '=', &key, value)) return str_equal(key, name);
    *value = STR_EMPTY;
    return str_equal(word, name);
}

bool password_file_field(struct str line, struct str name, struct str *value) {
    size_t colons;
    struct str extra = split_extra(line, &colons), word, found;
    while (str_next_word(&extra, " \t", &word)) {
        if (!is_field(word, name, &found)) continue;
        *value = found;
        return true;
    }
    return false;
}

bool password_file_set_field(struct buf *content, struct str user, struct str name, struct str value) {
    struct str line, word, ignored;
    struct buf changed = buf_make(0);
    size_t colons;
    bool had = false;
    if (!password_file_find(buf_str(content), user, &line)) return false;
    struct str extra = split_extra(line, &colons);
    buf_append(&changed, str_slice(line, 0, line.length - extra.length));
    for (; colons < EXTRA_FIELD; colons++)
        buf_append_char(&changed, ':');
    const char *blank = "";
    while (str_next_word(&extra, " \t", &word)) {
        if (is_field(word, name, &ignored)) {
            had = true;
            continue;
        }
        buf_printf(&changed, "%s%.*s", blank, STR_ARGS(word));
        blank = " ";
    }
    if (value.length) buf_printf(&changed, "%s%.*s=%.*s", blank, STR_ARGS(name), STR_ARGS(value));
    bool good = (value.length || had) && replace(content, user, buf_str(&changed));
    buf_free_secret(&changed);
    return good;
}

bool password_file_set_app(struct buf *content, struct str user, struct str label, struct str secret) {
    struct buf name = buf_make(PASSWORD_FILE_LABEL_MAX + 10);
    buf_printf(&name, "app_%.*s", STR_ARGS(label));
    bool good = !buf_overflowed(&name) && password_file_set_field(content, user, buf_str(&name), secret);
    buf_free(&name);
    return good;
}
