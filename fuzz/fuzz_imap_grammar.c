/* Fuzz target: IMAP's commands. The first octet says which parser the rest is for; what is refused is refused with a
 * text and the words of the grammar then leave the parser where it was; what is taken can be said again. */
#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* ---- words: untouched if refused */

static void check_word(bool taken, const struct imap_parser *before, const struct imap_parser *after) {
    if (taken) {
        check(after->rest.length <= before->rest.length);
    } else {
        check(after->error != NULL);
        check(after->rest.data == before->rest.data && after->rest.length == before->rest.length);
    }
}

static void check_string(struct imap_parser parser) {
    struct imap_parser before = parser;
    struct str string, again;
    struct buf text = buf_make(0);
    bool taken = imap_take_string(&parser, &string);
    check_word(taken, &before, &parser);
    if (taken) {
        imap_append_string(&text, string, parser.utf8);
        struct imap_parser second = {.rest = buf_str(&text), .arena = parser.arena, .utf8 = parser.utf8};
        check(imap_take_string(&second, &again) && second.rest.length == 0 && str_equal(again, string));
    }
    buf_free(&text);
}

static void check_mailbox(struct imap_parser parser) {
    struct imap_parser before = parser;
    struct str name, again;
    struct buf text = buf_make(0);
    bool taken = imap_take_mailbox(&parser, &name);
    check_word(taken, &before, &parser);
    if (taken) {
        check(name.length > 0 && str_is_utf8(name));
        imap_append_mailbox(&text, name, parser.utf8);
    }
    if (taken && name.length <= STORE_NAME_MAX) { /* a longer one may be too long for us as it is said; no mailbox has it */
        struct imap_parser second = {.rest = buf_str(&text), .arena = parser.arena, .utf8 = parser.utf8};
        check(imap_take_mailbox(&second, &again) && second.rest.length == 0 && str_equal(again, name));
    }
    buf_free(&text);
}

static void check_words(struct imap_parser parser) {
    struct imap_parser now;
    struct str text;
    struct imap_flags flags;
    struct imap_sequence sequence;
    uint64_t value;
    int64_t seconds;
    bool is_nil;
#define WORD(call) (now = parser, check_word((call), &parser, &now))
    WORD(imap_take_tag(&now, &text));
    WORD(imap_take_atom(&now, &text));
    WORD(imap_take_number(&now, UINT32_MAX, &value));
    WORD(imap_take_astring(&now, &text));
    WORD(imap_take_nstring(&now, &text, &is_nil));
    WORD(imap_take_mailbox_or_empty(&now, &text));
    WORD(imap_take_list_mailbox(&now, &text));
    WORD(imap_take_sequence(&now, &sequence));
    WORD(imap_take_flags(&now, false, &flags));
    WORD(imap_take_flags(&now, true, &flags));
    WORD(imap_take_date_time(&now, &seconds));
    check_string(parser);
    check_mailbox(parser);
}

/* ---- commands */

static void check_fetch(struct imap_parser *parser) {
    struct imap_fetch fetch;
    if (!imap_parse_fetch(parser, &fetch)) return;
    check(fetch.count > 0 && parser->rest.length == 0);
    check(!fetch.vanished || fetch.has_changed_since);
    for (size_t i = 0; i < fetch.count; i++) {
        const struct imap_fetch_item *item = &fetch.items[i];
        check(item->kind != FETCH_SECTION ||
              (item->section.written.length >= 2 && item->section.written.data[0] == '['));
        check(!item->section.partial || item->section.length > 0);
    }
}

/* Counts the keys without recursion's depth going beyond what the grammar allows. */
static size_t count_keys(const struct imap_key *key, unsigned depth) {
    size_t count = 0;
    check(depth <= IMAP_DEPTH_MAX + 2);
    for (; key; key = key->next) {
        count += 1 + count_keys(key->first, depth + 1);
        check(key->kind != KEY_NOT || (key->first && !key->first->next));
        check(key->kind != KEY_OR || (key->first && key->first->next && !key->first->next->next));
        check(key->kind != KEY_AND || key->first);
        check((key->kind != KEY_OLDER && key->kind != KEY_YOUNGER) || key->number > 0);
    }
    return count;
}

static void check_search(bool taken, const struct imap_search *search) {
    if (!taken) return;
    check(count_keys(search->key, 1) <= IMAP_ITEMS_MAX);
    if (search->returns & RETURN_PARTIAL) check((int64_t)search->partial_first * search->partial_last > 0);
    check(search->sort_count <= ARRAY_LENGTH(search->sort));
}

static bool parse_command(unsigned which, struct imap_parser *parser) {
    bool taken = false;
    struct imap_search search;
    struct imap_store store;
    struct imap_copy copy;
    struct imap_select select;
    struct imap_create create;
    struct imap_list list;
    struct imap_append_message message;
    struct imap_id id;
    struct str mailbox;
    unsigned items;
    switch (which) {
    case 0:
        check_fetch(parser);
        return true; /* looked at in there */
    case 1:
        check_search(taken = imap_parse_search(parser, &search), &search);
        return taken;
    case 2:
        check_search(taken = imap_parse_sort(parser, &search), &search);
        return taken;
    case 3:
        check_search(taken = imap_parse_thread(parser, &search), &search);
        return taken;
    case 4:
        return imap_parse_store(parser, &store);
    case 5:
        return imap_parse_copy(parser, &copy);
    case 6:
        return imap_parse_select(parser, &select);
    case 7:
        return imap_parse_create(parser, &create);
    case 8:
        return imap_parse_list(parser, &list);
    case 9:
        return imap_take_status_items(parser, &items);
    case 10:
        return imap_parse_append_mailbox(parser, &mailbox) && imap_parse_append_message(parser, &message);
    case 11:
        return imap_parse_id(parser, &id);
    default:
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct imap_literal literal;
    if (size == 0) return 0;
    unsigned which = data[0] & 31U;
    struct str input = str_make((const char *)data + 1, size - 1);
    struct imap_parser parser = {.rest = input, .arena = arena_create(0), .utf8 = (data[0] & 32U) == 0};
    (void)imap_line_literal(input, &literal);
    struct arena *arena = parser.arena;
    if (which <= 11) {
        bool taken = parse_command(which, &parser);
        check(taken || parser.error != NULL);
    } else {
        check_words(parser);
    }
    arena_destroy(&arena);
    return 0;
}
