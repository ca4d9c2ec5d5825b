/* header: walking over header fields, unfolding and folding. */
#include "header.h"

/* Offset just past the line that begins at from: past its LF, or the end. */
static size_t line_end(struct str message, size_t from) {
    const char *lf = from < message.length ? memchr(message.data + from, '\n', message.length - from) : NULL;
    return lf != NULL ? (size_t)(lf - message.data) + 1 : message.length;
}

static struct str without_line_end(struct str line) {
    if (line.length > 0 && line.data[line.length - 1] == '\n') {
        line.length--;
        if (line.length > 0 && line.data[line.length - 1] == '\r') line.length--;
    }
    return line;
}

bool header_name_is_valid(struct str name) {
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':') return false;
    }
    return name.length > 0;
}

bool header_line_split(struct str line, struct str *name, struct str *value) {
    struct str before, after;
    line = without_line_end(line);
    if (!str_cut(line, ':', &before, &after)) return false;
    while (before.length > 0 && (before.data[before.length - 1] == ' ' || before.data[before.length - 1] == '\t')) {
        before.length--;
    }
    if (!header_name_is_valid(before)) return false;
    *name = before;
    *value = after;
    return true;
}

enum header_line header_line_read(struct str line, struct str *name, struct str *value) {
    line = without_line_end(line);
    if (line.length == 0) return HEADER_LINE_EMPTY;
    if (line.data[0] == ' ' || line.data[0] == '\t') return HEADER_LINE_CONTINUATION;
    if (header_line_split(line, name, value)) return HEADER_LINE_FIELD;
    if (str_starts(line, STR("From ")) || str_starts(line, STR(">From "))) return HEADER_LINE_MBOX;
    return HEADER_LINE_OTHER;
}

enum header_line header_line_kind(struct str line) {
    struct str name, value;
    return header_line_read(line, &name, &value);
}

void header_begin(struct header_reader *reader, struct str message, size_t limit) {
    *reader = (struct header_reader){.message = message, .limit = limit > 0 ? limit : HEADER_BYTES_MAX};
}

/* Offset past a field's last continuation line; false if the limit is in the way. */
static bool field_end(const struct header_reader *reader, size_t *end) {
    struct str message = reader->message;
    while (*end < message.length && *end <= reader->limit &&
           (message.data[*end] == ' ' || message.data[*end] == '\t')) {
        *end = line_end(message, *end);
    }
    return *end <= reader->limit;
}

enum header_result header_next(struct header_reader *reader, struct header_field *field) {
    struct str message = reader->message;
    if (reader->offset >= message.length) return HEADER_CUT;
    size_t end = line_end(message, reader->offset);
    struct str line = str_slice(message, reader->offset, end);
    struct header_field got = {0};
    struct str first_value = STR_EMPTY;
    enum header_line kind = header_line_read(line, &got.name, &first_value);
    /* An mbox separator may be on top and is passed over. */
    if (kind == HEADER_LINE_MBOX && reader->offset == 0) {
        reader->offset = end;
        return header_next(reader, field);
    }
    if (kind == HEADER_LINE_EMPTY) {
        reader->offset = end;
        return HEADER_END;
    }
    if (kind != HEADER_LINE_FIELD) return HEADER_NO_EMPTY;
    if (reader->count >= HEADER_FIELDS_MAX || !field_end(reader, &end)) return HEADER_TOO_LONG;
    got.raw = str_slice(message, reader->offset, end);
    size_t value_offset = (size_t)(first_value.data - message.data);
    got.value = without_line_end(str_slice(message, value_offset, end));
    *field = got;
    reader->offset = end;
    reader->count++;
    return HEADER_FIELD;
}

bool header_find(struct str message, const char *name, struct header_field *field) {
    struct header_reader reader;
    struct header_field got;
    header_begin(&reader, message, 0);
    while (header_next(&reader, &got) == HEADER_FIELD) {
        if (!str_equal_nocase(got.name, str_from(name))) continue;
        *field = got;
        return true;
    }
    return false;
}

bool header_append_unfolded(struct buf *out, struct str value) {
    value = str_trim(value);
    while (value.length > 0) {
        size_t lf = str_find(value, '\n');
        struct str line = lf == STR_NONE ? value : without_line_end(str_slice(value, 0, lf + 1));
        buf_append(out, line);
        value = lf == STR_NONE ? STR_EMPTY : str_from_offset(value, lf + 1);
    }
    return !buf_overflowed(out);
}

static bool append_clean(struct buf *out, struct str s) {
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        buf_append_char(out, ((unsigned char)c < ' ' && c != '\t') || c == 0x7f ? '?' : c);
    }
    return !buf_overflowed(out);
}

bool header_append_folded(struct buf *out, struct str name, struct str value) {
    append_clean(out, name);
    buf_append_char(out, ':');
    size_t column = name.length + 1;
    bool first = true;
    while (value.length > 0) {
        /* A word with the blanks before it; a fold goes before those blanks. */
        size_t blanks = 0, end;
        while (blanks < value.length && (value.data[blanks] == ' ' || value.data[blanks] == '\t'))
            blanks++;
        for (end = blanks; end < value.length && value.data[end] != ' ' && value.data[end] != '\t';)
            end++;
        if (end == blanks) break; /* blanks at the end */
        struct str word = str_slice(value, 0, end);
        size_t needed = word.length + (blanks == 0 ? 1 : 0);
        if (!first && column + needed > 78) {
            buf_append_char(out, '\n');
            column = 0;
        }
        if (blanks == 0) buf_append_char(out, ' ');
        append_clean(out, word);
        column += needed;
        value = str_from_offset(value, end);
        first = false;
    }
    return buf_append_char(out, '\n');
}
