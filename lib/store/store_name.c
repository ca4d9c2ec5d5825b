/* See store_name.h. */
#include "store_name.h"

#include "store.h"
#include "utf8.h"

#define DIRECTORY_MAX 250 /* octets that a file system takes as one name */
#define LEVELS_MAX    60

bool store_name_is_inbox(struct str name) {
    return str_equal_nocase(name, STR("INBOX"));
}

static bool level_is_valid(struct str level) {
    return level.length > 0 && !(level.data[0] == '~' && level.length == 1);
}

/* No control characters, those beyond ASCII neither (RFC 6855 section 3): modified UTF-7 cannot say them. */
bool store_name_is_valid(struct str name) {
    struct str rest = name, level;
    unsigned levels = 0;
    if (name.length == 0 || name.length > STORE_NAME_MAX || !utf8_is_text(name)) return false;
    for (bool more = true; more; levels++) {
        level = rest;
        more = str_cut(rest, '/', &level, &rest);
        if (!level_is_valid(level) || levels >= LEVELS_MAX) return false;
    }
    return true;
}

static void append_escaped(struct buf *directory, char c) {
    if (c == '/')
        buf_append_char(directory, '.');
    else if (c == '.' || c == '%')
        buf_printf(directory, "%%%02X", (unsigned)(unsigned char)c);
    else
        buf_append_char(directory, c);
}

bool store_name_to_directory(struct str name, struct buf *directory) {
    size_t before = directory->length;
    if (!store_name_is_valid(name)) return false;
    if (store_name_is_inbox(name)) return true;
    buf_append_char(directory, '.');
    for (size_t i = 0; i < name.length; i++)
        append_escaped(directory, name.data[i]);
    if (!buf_overflowed(directory) && directory->length - before <= DIRECTORY_MAX) return true;
    buf_truncate(directory, before);
    return false;
}

static int hexadecimal(char c) {
    if (ascii_is_digit(c)) return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool store_name_from_directory(struct str directory, struct buf *name) {
    size_t before = name->length;
    bool good = directory.length > 1 && directory.data[0] == '.' && directory.data[1] != '.' &&
                str_find(directory, '/') == STR_NONE;
    for (size_t i = 1; good && i < directory.length; i++) {
        char c = directory.data[i];
        if (c == '%') {
            int high = i + 2 < directory.length + 0 ? hexadecimal(directory.data[i + 1]) : -1;
            int low = high >= 0 ? hexadecimal(directory.data[i + 2]) : -1;
            good = low >= 0;
            c = (char)(high * 16 + low);
            i += 2;
            good = good && (c == '.' || c == '%');
            if (good) buf_append_char(name, c);
        } else {
            buf_append_char(name, c == '.' ? '/' : c);
        }
    }
    struct str made = str_from_offset(buf_str(name), before);
    good = good && store_name_is_valid(made) && !store_name_is_inbox(made);
    if (!good) buf_truncate(name, before);
    return good;
}
