/* Logical lines: joined from physical ones, without comments. */
#include "logical_lines.h"

void logical_lines_start(struct logical_lines *lines, struct str text) {
    *lines = (struct logical_lines){.rest = text};
}

void logical_lines_finish(struct logical_lines *lines) { buf_free(&lines->joined); }

/* The physical line at the cursor, without its line end; the cursor stays. */
static struct str physical_line(const struct logical_lines *lines, struct str *rest) {
    size_t end = str_find(lines->rest, '\n');
    struct str line = end == STR_NONE ? lines->rest : str_slice(lines->rest, 0, end);
    *rest = end == STR_NONE ? STR_EMPTY : str_from_offset(lines->rest, end + 1);
    if (line.length > 0 && line.data[line.length - 1] == '\r') line.length--;
    return line;
}

static bool does_not_count(struct str line) {
    struct str visible = str_trim(line);
    return visible.length == 0 || visible.data[0] == '#';
}

bool logical_lines_next(struct logical_lines *lines, struct str *line, size_t *number) {
    struct str first = STR_EMPTY;
    bool found = false;
    while (!found && lines->rest.length > 0) {
        first = physical_line(lines, &lines->rest);
        lines->line++;
        found = !does_not_count(first);
    }
    if (!found) return false;
    *number = lines->line;
    bool joined = false;
    while (lines->rest.length > 0) {
        struct str rest;
        struct str more = physical_line(lines, &rest);
        bool counts = !does_not_count(more);
        if (counts && more.data[0] != ' ' && more.data[0] != '\t') break;
        lines->rest = rest;
        lines->line++;
        if (!counts) continue;
        if (!joined) {
            buf_clear(&lines->joined);
            buf_append(&lines->joined, first);
            joined = true;
        }
        buf_append(&lines->joined, more);
    }
    *line = str_trim(joined ? buf_str(&lines->joined) : first);
    return true;
}
