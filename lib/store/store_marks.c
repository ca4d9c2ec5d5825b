/* See store_marks.h. */
#include "store_marks.h"

#include <unistd.h>

#include "store_name.h"
#include "store_root.h"

/* ---- special uses: "\Sent Name" a line */

static const struct {
    struct str word;
    unsigned special;
} special_words[] = {
    {STR_INIT("\\All"), SPECIAL_ALL},       {STR_INIT("\\Archive"), SPECIAL_ARCHIVE},
    {STR_INIT("\\Drafts"), SPECIAL_DRAFTS}, {STR_INIT("\\Flagged"), SPECIAL_FLAGGED},
    {STR_INIT("\\Junk"), SPECIAL_JUNK},     {STR_INIT("\\Sent"), SPECIAL_SENT},
    {STR_INIT("\\Trash"), SPECIAL_TRASH},   {STR_INIT("\\Important"), SPECIAL_IMPORTANT},
};

unsigned store_special_from(struct str word) {
    for (size_t i = 0; i < ARRAY_LENGTH(special_words); i++)
        if (str_equal_nocase(word, special_words[i].word)) return special_words[i].special;
    return 0;
}

/* The last line may lack its end: another program has written it. */
static bool next_line(struct str *text, struct str *line) {
    if (text->length == 0) return false;
    *line = *text;
    if (!str_cut(*text, '\n', line, text)) *text = STR_EMPTY;
    return true;
}

/* The text without the lines of a name; or, to not empty, with them under another name. */
static void rewrite_special(struct str text, struct str name, struct str to, struct buf *written) {
    struct str line, word, of;
    while (next_line(&text, &line)) {
        bool ours = str_cut(line, ' ', &word, &of) && str_equal(of, name);
        if (ours && to.length == 0) continue;
        if (ours)
            buf_printf(written, "%.*s %.*s\n", STR_ARGS(word), STR_ARGS(to));
        else
            buf_printf(written, "%.*s\n", STR_ARGS(line));
    }
}

bool store_set_special(struct store *store, struct str name, unsigned special, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0);
    bool good = store_read_file(store, "tern-special-use", &text, failure);
    rewrite_special(buf_str(&text), name, STR_EMPTY, &written);
    for (size_t i = 0; i < ARRAY_LENGTH(special_words); i++)
        if (special & special_words[i].special)
            buf_printf(&written, "%.*s %.*s\n", STR_ARGS(special_words[i].word), STR_ARGS(name));
    good = good && (str_equal(buf_str(&text), buf_str(&written)) ||
                    store_write_file(store, "tern-special-use", buf_str(&written), failure));
    buf_free(&text);
    buf_free(&written);
    return good;
}

bool store_rename_special(struct store *store, struct str from, struct str to, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0);
    bool good = store_read_file(store, "tern-special-use", &text, failure);
    rewrite_special(buf_str(&text), from, to, &written);
    good = good && (str_equal(buf_str(&text), buf_str(&written)) ||
                    store_write_file(store, "tern-special-use", buf_str(&written), failure));
    buf_free(&text);
    buf_free(&written);
    return good;
}

bool store_special_next(struct str *text, struct str *name, unsigned *special) {
    struct str line, word;
    while (next_line(text, &line)) {
        if (!str_cut(line, ' ', &word, name)) continue;
        *special = store_special_from(word);
        return true;
    }
    return false;
}

/* ---- subscriptions: a name a line; "V\t2" and tabs for levels is what Dovecot 2.3 writes */

bool store_subscriptions_next(struct str *text, bool tabs, struct buf *name) {
    struct str line;
    buf_clear(name);
    while (next_line(text, &line)) {
        if (line.length == 0 || line.length > STORE_NAME_MAX) continue;
        buf_append(name, line);
        for (size_t i = 0; tabs && i < name->length; i++)
            if (name->data[i] == '\t') name->data[i] = '/';
        return true;
    }
    return false;
}

bool store_subscriptions_begin(struct str *text) {
    struct str line, rest;
    if (!str_starts(*text, STR("V\t")) || !str_cut(*text, '\n', &line, &rest)) return false;
    *text = rest;
    return true;
}

enum store_result store_subscribe(struct store *store, struct str name, bool subscribe, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0), other = buf_make(0);
    if (!store_name_is_valid(name)) {
        failure_set(failure, "no mailbox can have that name");
        return STORE_REFUSED;
    }
    if (store_name_is_inbox(name)) name = STR("INBOX");
    int lock = store_lock(store, failure);
    bool good = lock >= 0 && store_read_file(store, "subscriptions", &text, failure), had = false;
    struct str rest = buf_str(&text);
    bool tabs = store_subscriptions_begin(&rest);
    while (store_subscriptions_next(&rest, tabs, &other)) {
        bool same = str_equal(buf_str(&other), name);
        had = had || same;
        if (!same || subscribe) buf_printf(&written, "%.*s\n", STR_ARGS(buf_str(&other)));
    }
    if (subscribe && !had) buf_printf(&written, "%.*s\n", STR_ARGS(name));
    if (good && had != subscribe) good = store_write_file(store, "subscriptions", buf_str(&written), failure);
    if (lock >= 0) close(lock);
    buf_free(&text);
    buf_free(&written);
    buf_free(&other);
    return good ? STORE_OK : store_trouble(failure);
}
