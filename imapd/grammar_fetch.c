/* FETCH and STORE, COPY: see grammar.h. */
#include "grammar.h"

/* ---- sections */

static bool take_fields(struct imap_parser *parser, struct imap_fetch_section *section) {
    size_t room = 0;
    if (!imap_take_space(parser) || !imap_take_char(parser, '(')) return false;
    do {
        struct str name;
        if (!imap_take_astring(parser, &name)) return false;
        if (section->field_count == room) {
            size_t more = room ? room * 2 : 16;
            struct str *grown = more <= IMAP_ITEMS_MAX ? arena_allocate(parser->arena, more, sizeof *grown) : NULL;
            if (!grown) return imap_expected(parser, "Too many header names");
            if (section->field_count) memcpy(grown, section->fields, section->field_count * sizeof *grown);
            section->fields = grown;
            room = more;
        }
        section->fields[section->field_count++] = name;
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    return imap_take_char(parser, ')');
}

/* What stands between the brackets, up to the list of names. */
static bool take_section_text(struct imap_parser *parser, struct imap_fetch_section *section) {
    size_t length = 0;
    while (length < parser->rest.length && parser->rest.data[length] != ']' && parser->rest.data[length] != ' ')
        length++;
    struct str text = str_slice(parser->rest, 0, length);
    if (!imap_section_parse(text, &section->section)) return imap_expected(parser, "Bad section");
    section->written = text;
    parser->rest = str_from_offset(parser->rest, length);
    bool fields = section->section.kind == IMAP_SECTION_FIELDS || section->section.kind == IMAP_SECTION_FIELDS_NOT;
    return !fields || take_fields(parser, section);
}

static bool take_partial(struct imap_parser *parser, bool binary, struct imap_fetch_section *section) {
    uint64_t offset, length = INT64_MAX;
    if (!imap_peek_char(parser, '<')) return true;
    if (!imap_take_char(parser, '<') || !imap_take_number(parser, INT64_MAX, &offset))
        return imap_expected(parser, "Bad partial");
    /* "<40>" of BINARY is all the rest to Dovecot, and to its test suite. */
    bool rest = binary && imap_peek_char(parser, '>');
    if (!rest && (!imap_take_char(parser, '.') || !imap_take_number(parser, INT64_MAX, &length) || length == 0))
        return imap_expected(parser, "Bad partial");
    if (!imap_take_char(parser, '>')) return imap_expected(parser, "Bad partial");
    section->partial = true;
    section->offset = offset;
    section->length = length;
    return true;
}

/* A name that is an atom stands bare: the form that every client knows. */
static void append_field(struct buf *text, struct str name) {
    struct imap_parser parser = {.rest = name};
    struct str atom;
    if (imap_take_atom(&parser, &atom) && parser.rest.length == 0)
        buf_append(text, name);
    else
        imap_append_string(text, name, false);
}

/* As it stands in the answer: words in upper case, names of fields as the client wrote them. */
static bool write_section(struct imap_parser *parser, struct imap_fetch_section *section) {
    struct buf text = buf_make(0);
    buf_append_char(&text, '[');
    for (size_t i = 0; i < section->written.length; i++)
        buf_append_char(&text, ascii_upper(section->written.data[i]));
    for (size_t i = 0; i < section->field_count; i++) {
        buf_append(&text, i ? STR(" ") : STR(" ("));
        append_field(&text, section->fields[i]);
    }
    if (section->field_count > 0) buf_append_char(&text, ')');
    buf_append_char(&text, ']');
    bool good = arena_copy(parser->arena, buf_str(&text), &section->written);
    buf_free(&text);
    return good || imap_expected(parser, "Command too long");
}

static bool take_section(struct imap_parser *parser, bool binary, bool partial, struct imap_fetch_section *section) {
    return imap_take_char(parser, '[') && take_section_text(parser, section) && imap_take_char(parser, ']') &&
           (!partial || take_partial(parser, binary, section)) && write_section(parser, section);
}

/* ---- items */

struct item_list {
    struct imap_fetch_item *items;
    size_t count, room;
};

static const struct {
    struct str name;
    enum imap_fetch_kind kind;
} plain_items[] = {
    /* Longer names before those that they begin with. */
    {STR_INIT("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE}, {STR_INIT("ENVELOPE"), FETCH_ENVELOPE},
    {STR_INIT("FLAGS"), FETCH_FLAGS},                 {STR_INIT("INTERNALDATE"), FETCH_INTERNALDATE},
    {STR_INIT("UID"), FETCH_UID},                     {STR_INIT("RFC822.SIZE"), FETCH_RFC822_SIZE},
    {STR_INIT("RFC822.HEADER"), FETCH_RFC822_HEADER}, {STR_INIT("RFC822.TEXT"), FETCH_RFC822_TEXT},
    {STR_INIT("RFC822"), FETCH_RFC822},               {STR_INIT("MODSEQ"), FETCH_MODSEQ},
    {STR_INIT("EMAILID"), FETCH_EMAILID},             {STR_INIT("THREADID"), FETCH_THREADID},
    {STR_INIT("SAVEDATE"), FETCH_SAVEDATE},           {STR_INIT("PREVIEW"), FETCH_PREVIEW},
};

static bool is_item_end(const struct imap_parser *parser) {
    return parser->rest.length == 0 || parser->rest.data[0] == ' ' || parser->rest.data[0] == ')';
}

static bool take_plain(struct imap_parser *parser, struct imap_fetch_item *item) {
    for (size_t i = 0; i < ARRAY_LENGTH(plain_items); i++) {
        struct imap_parser before = *parser;
        if (imap_take_word(parser, plain_items[i].name) && is_item_end(parser)) {
            item->kind = plain_items[i].kind;
            item->peek = item->kind != FETCH_RFC822 && item->kind != FETCH_RFC822_TEXT;
            if (item->kind == FETCH_PREVIEW) item->lazy = imap_take_word(parser, STR(" (LAZY)"));
            return true;
        }
        *parser = before;
    }
    return imap_expected(parser, "Unknown FETCH item");
}

static bool take_item(struct imap_parser *parser, struct imap_fetch_item *item) {
    struct imap_parser before = *parser;
    *item = (struct imap_fetch_item){.kind = FETCH_SECTION};
    if (imap_take_word(parser, STR("BODY.PEEK["))) {
        item->peek = true;
        parser->rest = (struct str){parser->rest.data - 1, parser->rest.length + 1};
        return take_section(parser, false, true, &item->section);
    }
    if (imap_take_word(parser, STR("BODY["))) {
        parser->rest = (struct str){parser->rest.data - 1, parser->rest.length + 1};
        return take_section(parser, false, true, &item->section);
    }
    if (imap_take_word(parser, STR("BINARY.SIZE["))) {
        parser->rest = (struct str){parser->rest.data - 1, parser->rest.length + 1};
        item->kind = FETCH_BINARY_SIZE;
        item->peek = true;
        return take_section(parser, true, false, &item->section);
    }
    item->peek = imap_take_word(parser, STR("BINARY.PEEK["));
    if (item->peek || imap_take_word(parser, STR("BINARY["))) {
        parser->rest = (struct str){parser->rest.data - 1, parser->rest.length + 1};
        item->kind = FETCH_BINARY;
        return take_section(parser, true, true, &item->section);
    }
    if (imap_take_word(parser, STR("BODY")) && is_item_end(parser)) {
        item->kind = FETCH_BODY;
        item->peek = true;
        return true;
    }
    *parser = before;
    return take_plain(parser, item);
}

static bool add_item(struct imap_parser *parser, struct item_list *list, const struct imap_fetch_item *item) {
    if (list->count == list->room) {
        size_t more = list->room ? list->room * 2 : 8;
        struct imap_fetch_item *grown =
            more <= IMAP_FETCH_MAX * 2 ? arena_allocate(parser->arena, more, sizeof *grown) : NULL;
        if (!grown) return imap_expected(parser, "Too many FETCH items");
        if (list->count) memcpy(grown, list->items, list->count * sizeof *grown);
        list->items = grown;
        list->room = more;
    }
    list->items[list->count++] = *item;
    return true;
}

/* ALL, FAST, FULL. */
static bool take_macro(struct imap_parser *parser, struct item_list *list) {
    static const enum imap_fetch_kind kinds[] = {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_RFC822_SIZE, FETCH_ENVELOPE,
                                                 FETCH_BODY};
    static const struct {
        struct str name;
        size_t count;
    } macros[] = {{STR_INIT("FAST"), 3}, {STR_INIT("ALL"), 4}, {STR_INIT("FULL"), 5}};
    for (size_t i = 0; i < ARRAY_LENGTH(macros); i++) {
        struct imap_parser before = *parser;
        if (imap_take_word(parser, macros[i].name) && is_item_end(parser)) {
            for (size_t k = 0; k < macros[i].count; k++) {
                struct imap_fetch_item item = {.kind = kinds[k], .peek = true};
                if (!add_item(parser, list, &item)) return false;
            }
            return true;
        }
        *parser = before;
    }
    return false;
}

static bool take_items(struct imap_parser *parser, struct item_list *list) {
    struct imap_fetch_item item;
    if (take_macro(parser, list)) return true;
    if (!imap_peek_char(parser, '(')) return take_item(parser, &item) && add_item(parser, list, &item);
    if (!imap_take_char(parser, '(')) return false;
    do {
        if (!take_item(parser, &item) || !add_item(parser, list, &item)) return false;
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    return imap_take_char(parser, ')');
}

/* " (CHANGEDSINCE 12345 VANISHED)" */
static bool take_fetch_modifiers(struct imap_parser *parser, struct imap_fetch *fetch) {
    if (parser->rest.length == 0) return true;
    if (!imap_take_space(parser) || !imap_take_char(parser, '(')) return false;
    do {
        if (imap_take_word(parser, STR("CHANGEDSINCE "))) {
            fetch->has_changed_since = true;
            if (!imap_take_number(parser, INT64_MAX, &fetch->changed_since)) return false;
        } else if (imap_take_word(parser, STR("VANISHED"))) {
            fetch->vanished = true;
        } else if (imap_take_word(parser, STR("PARTIAL "))) {
            if (!imap_take_partial(parser, &fetch->partial_first, &fetch->partial_last)) return false;
        } else {
            return imap_expected(parser, "Unknown FETCH modifier");
        }
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    if (fetch->vanished && !fetch->has_changed_since) return imap_expected(parser, "VANISHED needs CHANGEDSINCE");
    return imap_take_char(parser, ')');
}

bool imap_parse_fetch(struct imap_parser *parser, struct imap_fetch *fetch) {
    struct item_list list = {0};
    *fetch = (struct imap_fetch){0};
    if (!imap_take_sequence(parser, &fetch->sequence) || !imap_take_space(parser) || !take_items(parser, &list) ||
        !take_fetch_modifiers(parser, fetch) || !imap_take_end(parser))
        return false;
    fetch->items = list.items;
    fetch->count = list.count;
    return true;
}

/* ---- STORE, COPY */

static bool take_store_modifiers(struct imap_parser *parser, struct imap_store *store) {
    if (!imap_peek_char(parser, '(')) return true;
    if (!imap_take_char(parser, '(') || !imap_take_word(parser, STR("UNCHANGEDSINCE ")))
        return imap_expected(parser, "Unknown STORE modifier");
    store->has_unchanged_since = true;
    return imap_take_number(parser, INT64_MAX, &store->unchanged_since) && imap_take_char(parser, ')') &&
           imap_take_space(parser);
}

bool imap_parse_store(struct imap_parser *parser, struct imap_store *store) {
    *store = (struct imap_store){.change = FLAGS_REPLACE};
    if (!imap_take_sequence(parser, &store->sequence) || !imap_take_space(parser) ||
        !take_store_modifiers(parser, store))
        return false;
    if (imap_peek_char(parser, '+'))
        store->change = FLAGS_ADD;
    else if (imap_peek_char(parser, '-'))
        store->change = FLAGS_REMOVE;
    if (store->change != FLAGS_REPLACE) parser->rest = str_from_offset(parser->rest, 1);
    if (!imap_take_word(parser, STR("FLAGS"))) return imap_expected(parser, "FLAGS expected");
    store->silent = imap_take_word(parser, STR(".SILENT"));
    return imap_take_space(parser) && imap_take_flags(parser, true, &store->flags) && imap_take_end(parser);
}

bool imap_parse_copy(struct imap_parser *parser, struct imap_copy *copy) {
    return imap_take_sequence(parser, &copy->sequence) && imap_take_space(parser) &&
           imap_take_mailbox(parser, &copy->mailbox) && imap_take_end(parser);
}
