/* The lines of main.cf and master.cf. */
#include "config_lines.h"

void config_lines_start(struct config_lines *lines, struct str text) {
    *lines = (struct config_lines){.text = text};
}

void config_lines_finish(struct config_lines *lines) {
    buf_free(&lines->joined);
}

/* The physical line at an offset, its line end included. */
static struct str physical_line(struct str text, size_t offset) {
    struct str rest = str_from_offset(text, offset);
    size_t length = str_find(rest, '\n');
    return str_slice(rest, 0, length == STR_NONE ? rest.length : length + 1);
}

static bool is_nothing(struct str physical) {
    struct str seen = str_trim(physical);
    return seen.length == 0 || seen.data[0] == '#';
}

static bool continues(struct str physical) {
    return physical.length > 0 && (physical.data[0] == ' ' || physical.data[0] == '\t');
}

static bool has_control(struct str physical) {
    struct str seen = str_trim(physical);
    for (size_t i = 0; i < seen.length; i++)
        if (((unsigned char)seen.data[i] < ' ' && seen.data[i] != '\t') || seen.data[i] == 0x7f)
            return true;
    return false;
}

/* Goes on behind a bad line and what continues it, for a caller that wants to know of all of them. */
static enum config_lines_result skip_bad(struct config_lines *lines, size_t offset, size_t number) {
    do {
        offset += physical_line(lines->text, offset).length;
        number++;
    } while (continues(physical_line(lines->text, offset)));
    lines->offset = offset;
    lines->number = number;
    return CONFIG_LINES_BAD;
}

enum config_lines_result config_lines_next(struct config_lines *lines, struct config_line *line,
                                           struct failure *failure) {
    struct config_line found = {.text = STR_EMPTY};
    bool any = false;
    size_t offset = lines->offset;
    size_t number = lines->number;

    buf_clear(&lines->joined);
    while (offset < lines->text.length) {
        struct str physical = physical_line(lines->text, offset);
        if (!is_nothing(physical)) {
            if (any && !continues(physical))
                break;
            if (has_control(physical)) {
                failure_set(failure, "line %zu: a control character; only printable text may stand here", number + 1);
                return skip_bad(lines, offset, number);
            }
            if (!any && continues(physical)) {
                failure_set(failure,
                            "line %zu: begins with white space but continues nothing; a name begins in the first column",
                            number + 1);
                return skip_bad(lines, offset, number);
            }
            if (!any)
                found = (struct config_line){.number = number + 1, .begin = offset};
            else
                buf_append_char(&lines->joined, ' ');
            any = true;
            buf_append(&lines->joined, str_trim(physical));
            found.end = offset + physical.length;
            lines->offset = found.end;
            lines->number = number + 1;
        }
        offset += physical.length;
        number++;
    }
    if (!any)
        return CONFIG_LINES_END;
    found.text = buf_str(&lines->joined);
    *line = found;
    return CONFIG_LINES_LINE;
}

size_t config_group_length(struct str text, char open, char close) {
    size_t depth = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == open)
            depth++;
        else if (text.data[i] == close && --depth == 0)
            return i + 1;
        if (depth == 0)
            return 0;
    }
    return 0;
}

enum config_word_result config_next_word(struct str *rest, struct str *word, bool *braced, struct failure *failure) {
    struct str text = str_trim(*rest);
    if (text.length == 0) {
        *rest = text;
        return CONFIG_WORD_END;
    }
    if (text.data[0] == '{') {
        size_t length = config_group_length(text, '{', '}');
        if (length == 0) {
            failure_set(failure, "\"%.*s\": the { is not closed by a }", STR_ARGS(str_slice(text, 0, 60)));
            return CONFIG_WORD_BAD;
        }
        *word = str_trim(str_slice(text, 1, length - 1));
        *rest = str_from_offset(text, length);
        *braced = true;
        return CONFIG_WORD;
    }
    size_t length = 0;
    while (length < text.length && !ascii_is_space(text.data[length]))
        length++;
    *word = str_slice(text, 0, length);
    *rest = str_from_offset(text, length);
    *braced = false;
    return CONFIG_WORD;
}

void config_squeeze(struct str text, struct buf *out) {
    struct str word;
    bool first = true;
    while (str_next_word(&text, " \t\r\n", &word)) {
        if (!first)
            buf_append_char(out, ' ');
        first = false;
        buf_append(out, word);
    }
}
