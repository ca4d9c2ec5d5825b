/* host_list: see host_list.h. */
#include "host_list.h"
#include "clock.h"
#include "ip_prefix.h"

#define LOOKUP_TIME 100000

bool host_list_has_table(struct str value) {
    struct str word, rest = value;
    struct ip_prefix prefix;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        if (word.data[0] == '!') word = str_from_offset(word, 1);
        size_t colon = str_find(word, ':');
        if (colon == STR_NONE || word.length == 0 || word.data[0] == '[' || word.data[0] == '/') continue;
        if (ip_prefix_parse(word, &prefix) == IP_PREFIX_MALFORMED) return true;
    }
    return false;
}

bool host_list_open(struct host_list *list, const char *parameter, struct str value, unsigned flags,
                    struct failure *failure) {
    list->parameter = str_from(parameter);
    list->value = value;
    list->literal = NULL;
    return host_list_has_table(value) || match_list_open(value, flags, &list->literal, failure) ||
           failure_prefix(failure, "%s", parameter);
}

static enum match_result ask(struct host_list *list, struct resolve *resolve, struct str key) {
    struct arena *arena = arena_create(0);
    struct str value;
    struct failure failure;
    bool found = false;
    enum resolve_result result =
        resolve_match(resolve, list->parameter, key, deadline_in(LOOKUP_TIME), arena, &found, &value, &failure);
    arena_destroy(&arena);
    return result != RESOLVE_OK ? MATCH_RETRY : found ? MATCH_YES : MATCH_NO;
}

enum match_result host_list_match(struct host_list *list, struct resolve *resolve, struct str name,
                                  struct str address) {
    struct failure failure;
    if (list->literal) return match_list_host(list->literal, name, address, &failure);
    if (name.length == 0 || str_equal(name, STR("unknown"))) return ask(list, resolve, address);
    struct buf key = buf_make(0);
    buf_printf(&key, "%.*s[%.*s]", STR_ARGS(name), STR_ARGS(address));
    enum match_result result = ask(list, resolve, buf_str(&key));
    buf_free(&key);
    return result;
}
