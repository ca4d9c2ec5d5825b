/* What is wrong with lists of restrictions: see restriction_check.h. */
#include "restriction_check.h"

#include "buf.h"
#include "config.h"
#include "restriction_list.h"

static bool is_class(const struct config *config, struct str name) {
    struct str word, rest = config->smtpd_restriction_classes;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal(word, name)) return true;
    return false;
}

/* ---- one list */

static void say_unknown(struct str parameter, struct str name, struct buf *lines) {
    struct str near = restriction_nearest(name);
    buf_printf(lines, "%.*s: tern does not have the restriction \"%.*s\"", STR_ARGS(parameter),
               STR_ARGS(str_slice(name, 0, 100)));
    if (restriction_is_later(name))
        buf_append(lines, STR(" of Postfix's yet: the list without it would be right\n"));
    else if (near.length > 0)
        buf_printf(lines, ": %.*s would be right\n", STR_ARGS(near));
    else if (str_find(name, ':') != STR_NONE)
        buf_printf(lines, ": check_client_access %.*s, or another check_..._access, would be right\n",
                   STR_ARGS(str_slice(name, 0, 100)));
    else
        buf_append(lines, STR(": tern-smtpd(8) has those that would be right\n"));
}

/* After a word that is not known: what can only be its argument is not said to be wrong, too. */
static bool is_argument(struct str word) {
    return str_find(word, ':') != STR_NONE || str_find(word, '.') != STR_NONE || str_starts(word, STR("{"));
}

static void check_item(const struct config *config, struct str parameter, const struct restriction_item *item,
                       bool *follows_unknown, struct buf *lines) {
    struct str ignored;
    uint64_t number;
    bool argument = *follows_unknown && is_argument(item->restriction ? item->argument : item->name);
    *follows_unknown = false;
    if (argument) return;
    if (item->restriction) {
        if (str_equal_nocase(item->name, STR("sleep")) && !str_to_u64(item->argument, RESTRICTION_SLEEP_MAX, &number))
            buf_printf(lines, "%.*s: sleep %.*s: a number of seconds up to %d would be right\n", STR_ARGS(parameter),
                       STR_ARGS(str_slice(item->argument, 0, 100)), RESTRICTION_SLEEP_MAX);
    } else if (!is_class(config, item->name)) {
        say_unknown(parameter, item->name, lines);
        *follows_unknown = true;
    } else if (!config_user_value(config, item->name, &ignored)) {
        buf_printf(lines, "%.*s: the restriction class %.*s is not defined: %.*s = ... would be right\n",
                   STR_ARGS(parameter), STR_ARGS(item->name), STR_ARGS(item->name));
    }
}

static void check_list(const struct config *config, struct str parameter, struct str table_word, struct str text,
                       struct buf *lines) {
    struct arena *arena = arena_create(0);
    struct restriction_list list;
    bool follows_unknown = false;
    if (!restriction_list_parse(text, table_word, arena, &list))
        buf_printf(lines,
                   "%.*s: the list is malformed: braces in pairs, and a table after each check_..._access, would be "
                   "right\n",
                   STR_ARGS(parameter));
    else
        for (size_t i = 0; i < list.count; i++)
            check_item(config, parameter, &list.items[i], &follows_unknown, lines);
    arena_destroy(&arena);
}

/* ---- all lists */

bool restriction_check(const struct config *config, struct buf *lines) {
    const struct {
        struct str parameter, table_word, text;
    } lists[] = {
#define RESTRICTION_STAGE(stage, parameter, table_word) {STR(#parameter), STR(#table_word), config->parameter},
#include "restrictions.def"
    };
    size_t before = lines->length;
    struct str name, text, rest = config->smtpd_restriction_classes;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        check_list(config, lists[i].parameter, lists[i].table_word, lists[i].text, lines);
    while (str_next_word(&rest, ", \t\r\n", &name))
        if (config_user_value(config, name, &text)) check_list(config, name, STR_EMPTY, text, lines);
    return lines->length == before;
}
