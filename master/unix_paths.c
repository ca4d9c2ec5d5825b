/* See unix_paths.h. */
#include "unix_paths.h"
#include "table_words.h"

#include <sys/un.h>

#define DEPTH_MAX 8
#define PATH_MAX_LENGTH (sizeof ((struct sockaddr_un *)0)->sun_path - 1)

struct search {
    unix_paths_teller *teller;
    void *context;
};

static void tell(const struct search *search, struct str path) {
    if (path.length > 0 && path.length <= PATH_MAX_LENGTH && str_find(path, '\0') == STR_NONE)
        search->teller(path, search->context);
}

/* ---- "unix:PATH" within a text */

static bool ends_path(char c) { return ascii_is_space(c) || c == ',' || c == '{' || c == '}'; }

/* "lmtp:unix:/x" and "unix:/x", but not "myunix:/x". */
static bool begins_here(struct str text, size_t at) {
    if (!str_starts_nocase(str_from_offset(text, at), STR("unix:")))
        return false;
    return at == 0 || text.data[at - 1] == ':' || text.data[at - 1] == '=' || ends_path(text.data[at - 1]);
}

static void search_text(const struct search *search, struct str text) {
    for (size_t at = 0; at < text.length; at++) {
        if (!begins_here(text, at))
            continue;
        size_t start = at + STR("unix:").length;
        size_t end = start;
        while (end < text.length && !ends_path(text.data[end]))
            end++;
        tell(search, str_slice(text, start, end));
        at = end;
    }
}

/* ---- maps */

static bool take_prefix(struct str *text, struct str prefix) {
    if (!str_starts(*text, prefix))
        return false;
    *text = str_from_offset(*text, prefix.length);
    return true;
}

/* A table whose entries stand in the list itself; *word becomes them. */
static bool take_inline_table(struct str *word) {
    static const struct str always[] = {STR_INIT("inline:"), STR_INIT("static:"), STR_INIT("randmap:")};
    static const struct str by_braces[] = {STR_INIT("pcre:"), STR_INIT("regexp:"), STR_INIT("cidr:")};
    for (size_t i = 0; i < ARRAY_LENGTH(always); i++)
        if (take_prefix(word, always[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LENGTH(by_braces); i++)
        if (take_prefix(word, by_braces[i]))
            return str_starts(*word, STR("{"));
    return false;
}

static void search_tables(const struct search *search, struct str list, unsigned depth) {
    struct str word;
    struct str inside;
    while (table_word_next(&list, &word) == TABLE_WORD) {
        while (take_prefix(&word, STR("proxy:")))
            ;
        if (take_inline_table(&word))
            search_text(search, word);
        else if ((take_prefix(&word, STR("unionmap:")) || take_prefix(&word, STR("pipemap:"))) && depth < DEPTH_MAX &&
                 table_word_unbrace(word, &inside))
            search_tables(search, inside, depth + 1);
    }
}

/* ---- by parameter */

static void search_list(const struct search *search, struct str list) {
    struct str word;
    while (str_next_word(&list, ", \t\r\n", &word)) {
        (void)take_prefix(&word, STR("unix:"));
        tell(search, word);
    }
}

void unix_paths_each(struct str parameter, struct str value, unix_paths_teller *teller, void *context) {
    const struct search search = {teller, context};
    if (str_equal(parameter, STR("lmtp_unix_sockets")))
        search_list(&search, value);
    else if (str_equal(parameter, STR("relayhost")) || str_equal(parameter, STR("content_filter")) ||
             str_equal(parameter, STR("default_filter_nexthop")) || str_ends(parameter, STR("_transport")) ||
             str_ends(parameter, STR("_fallback_relay")))
        search_text(&search, value);
    else if (str_ends(parameter, STR("_maps")))
        search_tables(&search, value, 0);
}
