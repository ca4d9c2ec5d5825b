/* saved_uidl: see saved_uidl.h. The form of the file is told in lib/store/folder_import.c. */
#include "saved_uidl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "memory.h"
#include "pop3_line.h"

#define FILE_LIMIT ((size_t)256 << 20)

static bool next_line(struct str *text, struct str *line) {
    if (text->length == 0) return false;
    *line = *text;
    if (!str_cut(*text, '\n', line, text)) *text = STR_EMPTY;
    return true;
}

static bool is_uidl(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) return false;
    return text.length <= POP3_UIDL_MAX;
}

static bool is_of(struct str head, uint32_t uid_validity) {
    struct str word;
    uint64_t value;
    if (!str_next_word(&head, " ", &word) || !str_equal(word, STR("3"))) return false;
    while (str_next_word(&head, " ", &word))
        if (word.data[0] == 'V')
            return str_to_u64(str_from_offset(word, 1), UINT32_MAX, &value) && value == uid_validity;
    return false;
}

/* "<uid> [<letter><value> ...] :<file name>". False: it has no unique ID. */
static bool read_row(struct str line, struct saved_uidl *row) {
    struct str word;
    uint64_t uid;
    bool has = false;
    if (!str_next_word(&line, " ", &word) || !str_to_u64(word, UINT32_MAX, &uid) || uid == 0) return false;
    *row = (struct saved_uidl){.uid = (uint32_t)uid, .uidl = STR_EMPTY};
    while (!str_starts(line, STR(":"))) {
        if (!str_next_word(&line, " ", &word)) return false;
        if (word.data[0] == ':') return false; /* more than one blank stands before the name */
        if (word.data[0] == 'P') {
            row->uidl = str_from_offset(word, 1);
            has = is_uidl(row->uidl);
        }
        while (str_starts(line, STR(" ")))
            line = str_from_offset(line, 1);
    }
    row->name = str_from_offset(line, 1);
    return has && row->name.length > 0;
}

static int by_uid(const void *one, const void *other) {
    uint32_t a = ((const struct saved_uidl *)one)->uid, b = ((const struct saved_uidl *)other)->uid;
    return a < b ? -1 : a > b;
}

void saved_uidls_parse(uint32_t uid_validity, struct saved_uidls *saved) {
    struct str text = buf_str(&saved->text), line;
    size_t room = 0;
    /* Most lists have none: one look tells. */
    if (str_find_str(text, STR(" P")) == STR_NONE || !next_line(&text, &line) || !is_of(line, uid_validity)) return;
    while (next_line(&text, &line)) {
        struct saved_uidl row;
        if (!read_row(line, &row)) continue;
        if (saved->count == room) {
            room = room ? 2 * room : 64;
            saved->rows = memory_resize(saved->rows, room, sizeof *saved->rows);
        }
        saved->rows[saved->count++] = row;
    }
    if (saved->count > 0) qsort(saved->rows, saved->count, sizeof *saved->rows, by_uid);
}

bool saved_uidls_read(int directory, uint32_t uid_validity, struct saved_uidls *saved) {
    int file = openat(directory, "dovecot-uidlist", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = 1;
    if (file < 0) return errno == ENOENT;
    while (got > 0 && saved->text.length < FILE_LIMIT) {
        char *room = buf_reserve(&saved->text, 65536);
        got = read(file, room, 65536);
        if (got > 0) buf_commit(&saved->text, (size_t)got);
        if (got < 0 && errno == EINTR) got = 1;
    }
    int error_number = errno;
    close(file);
    errno = error_number;
    if (got == 0) saved_uidls_parse(uid_validity, saved);
    if (saved->count == 0) buf_free(&saved->text);
    return got >= 0;
}

struct str saved_uidls_find(const struct saved_uidls *saved, uint32_t uid, struct str name) {
    struct saved_uidl wanted = {.uid = uid};
    if (saved->count == 0) return STR_EMPTY;
    const struct saved_uidl *row = bsearch(&wanted, saved->rows, saved->count, sizeof *saved->rows, by_uid);
    if (!row || !str_starts(row->name, name)) return STR_EMPTY;
    if (row->name.length > name.length && row->name.data[name.length] != ':') return STR_EMPTY;
    return row->uidl.length > 0 ? row->uidl : name;
}

void saved_uidls_free(struct saved_uidls *saved) {
    buf_free(&saved->text);
    MEMORY_FREE(saved->rows);
    saved->count = 0;
}
