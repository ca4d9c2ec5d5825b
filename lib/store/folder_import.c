/* What Dovecot or Courier knew of a folder: UIDs, UIDVALIDITY, keywords; so that clients download nothing again.
 *
 * dovecot-uidlist, version 3: "3 V<validity> N<next> G<id in hexadecimal> ...", then lines
 * "<uid> [<letter><value> ...] :<file name>"; version 1, and courierimapuiddb: "1 <validity> <next>", then
 * "<uid> <file name>". dovecot-keywords: "<number> <keyword>", number 0 for the letter a. */
#include "folder_import.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "folder_name.h"

#define IMPORT_MAX ((size_t)512 << 20)

static bool read_file(int directory, const char *name, struct buf *text, bool *found, struct failure *failure) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *found = file >= 0;
    if (file < 0) return errno == ENOENT || failure_set_errno(failure, errno, "cannot open %s", name);
    for (;;) {
        char *room = buf_reserve(text, 262144);
        ssize_t got = read(file, room, 262144);
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) buf_commit(text, (size_t)got);
        if (got > 0 && text->length <= IMPORT_MAX) continue;
        if (got < 0) failure_set_errno(failure, errno, "cannot read %s", name);
        close(file);
        return got == 0;
    }
}

static bool next_line(struct str *text, struct str *line) {
    if (text->length == 0) return false;
    *line = *text;
    if (!str_cut(*text, '\n', line, text)) *text = STR_EMPTY;
    return true;
}

static bool take_number(struct str text, uint32_t *number) {
    uint64_t value;
    if (!str_to_u64(text, UINT32_MAX, &value) || value == 0) return false;
    *number = (uint32_t)value;
    return true;
}

static bool take_id(struct str text, uint8_t id[16]) {
    static const char digits[] = "0123456789abcdef";
    if (text.length != 32) return false;
    for (size_t i = 0; i < 32; i++) {
        const char *at = memchr(digits, ascii_lower(text.data[i]), 16);
        if (!at) return false;
        id[i / 2] = (uint8_t)(i % 2 ? id[i / 2] | (at - digits) : (at - digits) << 4);
    }
    return true;
}

static bool read_head(struct str line, struct folder_import *import, bool *extended) {
    struct str version, word;
    if (!str_next_word(&line, " ", &version)) return false;
    *extended = str_equal(version, STR("3"));
    if (str_equal(version, STR("1")))
        return str_next_word(&line, " ", &word) && take_number(word, &import->uid_validity) &&
               str_next_word(&line, " ", &word) && take_number(word, &import->uid_next);
    while (*extended && str_next_word(&line, " ", &word)) {
        struct str value = str_from_offset(word, 1);
        if (word.data[0] == 'V' && !take_number(value, &import->uid_validity)) return false;
        if (word.data[0] == 'N' && !take_number(value, &import->uid_next)) return false;
        if (word.data[0] == 'G') import->has_id = take_id(value, import->id);
    }
    return *extended && import->uid_validity > 0;
}

static void read_row(struct str line, bool extended, struct folder_import *import) {
    struct str word, name, base, info;
    uint32_t uid;
    if (!str_next_word(&line, " ", &word) || !take_number(word, &uid)) return;
    if (extended) {
        size_t colon = str_find_str(line, STR(" :"));
        if (colon == STR_NONE) {
            if (!str_starts(line, STR(":"))) return;
            name = str_from_offset(line, 1);
        } else {
            name = str_from_offset(line, colon + 2);
        }
    } else if (!str_next_word(&line, " ", &name)) {
        return;
    }
    if (folder_name_split(name, &base, &info)) map_put(import->uids, base, (void *)(uintptr_t)uid);
}

bool folder_import_list(struct str text, struct folder_import *import) {
    struct str line;
    bool extended;
    if (!next_line(&text, &line) || !read_head(line, import, &extended)) return false;
    import->uids = map_create();
    while (next_line(&text, &line))
        read_row(line, extended, import);
    return true;
}

/* A flag-keyword of IMAP: an atom. */
static bool is_keyword(struct str name) {
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || memchr("(){%*\"\\]", name.data[i], 9)) return false;
    return name.length > 0 && name.length <= FOLDER_KEYWORD_LENGTH;
}

void folder_import_keywords(struct str text, struct folder_import *import) {
    struct str line, number, name;
    uint64_t letter;
    while (next_line(&text, &line))
        if (str_cut(line, ' ', &number, &name) && str_to_u64(number, 25, &letter) && is_keyword(name) &&
            !arena_copy(import->texts, name, &import->keywords[letter]))
            return;
}

bool folder_import_read(int directory, struct folder_import *import, struct failure *failure) {
    static const char *const lists[] = {"dovecot-uidlist", "courierimapuiddb"};
    struct buf text = buf_make(0);
    *import = (struct folder_import){.texts = arena_create(0)};
    bool good = true, found = false;
    for (size_t i = 0; good && !found && i < ARRAY_LENGTH(lists); i++) {
        buf_clear(&text);
        good = read_file(directory, lists[i], &text, &found, failure);
        import->found = good && found && folder_import_list(buf_str(&text), import);
    }
    buf_clear(&text);
    if (good && import->found && (good = read_file(directory, "dovecot-keywords", &text, &found, failure)))
        folder_import_keywords(buf_str(&text), import);
    buf_free(&text);
    return good;
}

void folder_import_free(struct folder_import *import) {
    if (import->uids) map_destroy(&import->uids);
    if (import->texts) arena_destroy(&import->texts);
    *import = (struct folder_import){0};
}
