/* See hosts_file.h. */
#include "hosts_file.h"

static bool names(struct str line, struct str name, struct endpoint *address) {
    struct str rest, word, comment;
    if (str_cut(line, '#', &rest, &comment)) line = rest;
    rest = line;
    if (!str_next_word(&rest, " \t\r", &word)) return false;
    struct str ip = word;
    while (str_next_word(&rest, " \t\r", &word))
        if (str_equal_nocase(word, name)) return endpoint_from_ip(ip, 0, address);
    return false;
}

bool hosts_file_next(struct str text, size_t *offset, struct str name, struct endpoint *address) {
    while (*offset < text.length) {
        struct str rest = str_from_offset(text, *offset), line = rest, after = STR_EMPTY;
        bool last = !str_cut(rest, '\n', &line, &after);
        *offset = last ? text.length : text.length - after.length;
        struct endpoint found;
        if (!names(line, name, &found)) continue;
        *address = found;
        return true;
    }
    return false;
}
