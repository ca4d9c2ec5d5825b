/* SELECT, CREATE, LIST, STATUS and APPEND: see grammar.h. */
#include "grammar.h"

static bool take_set_text(struct imap_parser *parser, struct str *text) {
    struct imap_sequence sequence;
    if (!imap_take_sequence(parser, &sequence) || sequence.saved || str_find(sequence.text, '*') != STR_NONE)
        return imap_expected(parser, "Known UIDs expected");
    *text = sequence.text;
    return true;
}

/* ---- SELECT, EXAMINE */

/* "QRESYNC (validity modseq [uids] [(sequences uids)])" (RFC 7162 3.2.5) */
static bool take_qresync(struct imap_parser *parser, struct imap_select *select) {
    uint64_t validity;
    select->qresync = true;
    if (!imap_take_char(parser, '(') || !imap_take_number(parser, UINT32_MAX, &validity) || validity == 0 ||
        !imap_take_space(parser) || !imap_take_number(parser, INT64_MAX, &select->modseq))
        return imap_expected(parser, "Bad QRESYNC parameters");
    select->uid_validity = (uint32_t)validity;
    if (imap_peek_char(parser, ' ') && parser->rest.length > 1 && parser->rest.data[1] != '(')
        if (!imap_take_space(parser) || !take_set_text(parser, &select->known_uids)) return false;
    if (imap_peek_char(parser, ' '))
        if (!imap_take_space(parser) || !imap_take_char(parser, '(') ||
            !take_set_text(parser, &select->match_sequences) || !imap_take_space(parser) ||
            !take_set_text(parser, &select->match_uids) || !imap_take_char(parser, ')'))
            return false;
    return imap_take_char(parser, ')');
}

bool imap_parse_select(struct imap_parser *parser, struct imap_select *select) {
    *select = (struct imap_select){.known_uids = STR_EMPTY, .match_sequences = STR_EMPTY, .match_uids = STR_EMPTY};
    if (!imap_take_mailbox(parser, &select->mailbox)) return false;
    if (parser->rest.length == 0) return true;
    if (!imap_take_space(parser) || !imap_take_char(parser, '(')) return false;
    do {
        if (imap_take_word(parser, STR("CONDSTORE"))) {
            select->condstore = true;
        } else if (imap_take_word(parser, STR("QRESYNC "))) {
            if (!take_qresync(parser, select)) return false;
        } else {
            return imap_expected(parser, "Unknown SELECT parameter");
        }
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    return imap_take_char(parser, ')') && imap_take_end(parser);
}

/* ---- CREATE */

/* A use that is not known is for the command to refuse. */
static bool take_special(struct imap_parser *parser, struct imap_create *create) {
    static const struct {
        struct str name;
        unsigned bit;
    } words[] = {{STR_INIT("All"), SPECIAL_ALL},       {STR_INIT("Archive"), SPECIAL_ARCHIVE},
                 {STR_INIT("Drafts"), SPECIAL_DRAFTS}, {STR_INIT("Flagged"), SPECIAL_FLAGGED},
                 {STR_INIT("Junk"), SPECIAL_JUNK},     {STR_INIT("Sent"), SPECIAL_SENT},
                 {STR_INIT("Trash"), SPECIAL_TRASH},   {STR_INIT("Important"), SPECIAL_IMPORTANT}};
    struct str word;
    if (!imap_take_char(parser, '\\') || !imap_take_atom(parser, &word))
        return imap_expected(parser, "Special use expected");
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_equal_nocase(word, words[i].name)) {
            create->special |= words[i].bit;
            return true;
        }
    create->unknown_use = true;
    return true;
}

bool imap_parse_create(struct imap_parser *parser, struct imap_create *create) {
    *create = (struct imap_create){0};
    if (!imap_take_mailbox(parser, &create->mailbox)) return false;
    if (parser->rest.length == 0) return true;
    if (!imap_take_word(parser, STR(" (USE ("))) return imap_expected(parser, "Unknown CREATE parameter");
    while (!imap_peek_char(parser, ')')) {
        if (!take_special(parser, create)) return false;
        if (imap_peek_char(parser, ' ') && !imap_take_space(parser)) return false;
    }
    return (imap_take_word(parser, STR("))")) || imap_expected(parser, "'))' expected")) && imap_take_end(parser);
}

/* ---- STATUS */

bool imap_take_status_items(struct imap_parser *parser, unsigned *items) {
    static const struct {
        struct str name;
        unsigned bit;
    } words[] = {{STR_INIT("MESSAGES"), STATUS_MESSAGES},       {STR_INIT("RECENT"), STATUS_RECENT},
                 {STR_INIT("UIDNEXT"), STATUS_UIDNEXT},         {STR_INIT("UIDVALIDITY"), STATUS_UIDVALIDITY},
                 {STR_INIT("UNSEEN"), STATUS_UNSEEN},           {STR_INIT("DELETED"), STATUS_DELETED},
                 {STR_INIT("SIZE"), STATUS_SIZE},               {STR_INIT("HIGHESTMODSEQ"), STATUS_HIGHESTMODSEQ},
                 {STR_INIT("APPENDLIMIT"), STATUS_APPENDLIMIT}, {STR_INIT("MAILBOXID"), STATUS_MAILBOXID},
                 {STR_INIT("DELETED-STORAGE"), STATUS_DELETED_STORAGE}};
    *items = 0;
    if (!imap_take_char(parser, '(')) return false;
    do {
        struct str word;
        unsigned bit = 0;
        if (!imap_take_atom(parser, &word)) return imap_expected(parser, "STATUS item expected");
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            if (str_equal_nocase(word, words[i].name)) bit = words[i].bit;
        if (!bit) return imap_expected(parser, "Unknown STATUS item");
        *items |= bit;
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    return imap_take_char(parser, ')');
}

/* ---- LIST (RFC 5258, 5819, 6154) */

static bool take_selection(struct imap_parser *parser, struct imap_list *list) {
    static const struct {
        struct str name;
        unsigned bit;
    } words[] = {{STR_INIT("SUBSCRIBED"), LIST_SUBSCRIBED}, {STR_INIT("REMOTE"), LIST_REMOTE},
                 {STR_INIT("RECURSIVEMATCH"), LIST_RECURSIVE_MATCH}, {STR_INIT("SPECIAL-USE"), LIST_SPECIAL_USE}};
    if (!imap_peek_char(parser, '(')) return true;
    list->extended = true;
    if (!imap_take_char(parser, '(')) return false;
    while (!imap_peek_char(parser, ')')) {
        struct str word;
        unsigned bit = 0;
        if (!imap_take_atom(parser, &word)) return false;
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            if (str_equal_nocase(word, words[i].name)) bit = words[i].bit;
        if (!bit) return imap_expected(parser, "Unknown LIST option");
        list->options |= bit;
        if (imap_peek_char(parser, ' ') && !imap_take_space(parser)) return false;
    }
    if ((list->options & LIST_RECURSIVE_MATCH) && !(list->options & (LIST_SUBSCRIBED | LIST_SPECIAL_USE)))
        return imap_expected(parser, "RECURSIVEMATCH alone");
    return imap_take_char(parser, ')') && imap_take_space(parser);
}

static bool take_list_returns(struct imap_parser *parser, struct imap_list *list) {
    if (parser->rest.length == 0) return true;
    list->extended = true;
    if (!imap_take_word(parser, STR(" RETURN ("))) return imap_expected(parser, "Unknown LIST parameter");
    while (!imap_peek_char(parser, ')')) {
        if (imap_take_word(parser, STR("STATUS "))) {
            list->options |= LIST_RETURN_STATUS;
            if (!imap_take_status_items(parser, &list->status)) return false;
        } else if (imap_take_word(parser, STR("SUBSCRIBED"))) {
            list->options |= LIST_RETURN_SUBSCRIBED;
        } else if (imap_take_word(parser, STR("CHILDREN"))) {
            list->options |= LIST_RETURN_CHILDREN;
        } else if (imap_take_word(parser, STR("SPECIAL-USE"))) {
            list->options |= LIST_RETURN_SPECIAL_USE;
        } else {
            return imap_expected(parser, "Unknown LIST return option");
        }
        if (imap_peek_char(parser, ' ') && !imap_take_space(parser)) return false;
    }
    return imap_take_char(parser, ')');
}

static bool take_patterns(struct imap_parser *parser, struct imap_list *list) {
    struct str patterns[64];
    if (!imap_peek_char(parser, '(')) {
        if (!imap_take_list_mailbox(parser, &patterns[0])) return false;
        list->pattern_count = 1;
    } else {
        list->extended = true;
        if (!imap_take_char(parser, '(')) return false;
        do {
            if (list->pattern_count == ARRAY_LENGTH(patterns)) return imap_expected(parser, "Too many patterns");
            if (!imap_take_list_mailbox(parser, &patterns[list->pattern_count++])) return false;
        } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
        if (!imap_take_char(parser, ')')) return false;
    }
    list->patterns = arena_allocate(parser->arena, list->pattern_count, sizeof *list->patterns);
    if (!list->patterns) return imap_expected(parser, "Command too long");
    memcpy(list->patterns, patterns, list->pattern_count * sizeof *patterns);
    return true;
}

bool imap_parse_list(struct imap_parser *parser, struct imap_list *list) {
    *list = (struct imap_list){0};
    return take_selection(parser, list) && imap_take_mailbox_or_empty(parser, &list->reference) &&
           imap_take_space(parser) && take_patterns(parser, list) && take_list_returns(parser, list) &&
           imap_take_end(parser);
}

/* ---- APPEND */

bool imap_parse_append_mailbox(struct imap_parser *parser, struct str *mailbox) {
    return imap_take_mailbox(parser, mailbox) && imap_take_space(parser);
}

bool imap_parse_append_message(struct imap_parser *parser, struct imap_append_message *message) {
    struct imap_literal literal;
    *message = (struct imap_append_message){0};
    if (imap_peek_char(parser, '(') && (!imap_take_flags(parser, false, &message->flags) || !imap_take_space(parser)))
        return false;
    if (imap_peek_char(parser, '"')) {
        message->has_date = true;
        if (!imap_take_date_time(parser, &message->date) || !imap_take_space(parser)) return false;
    }
    message->is_utf8 = imap_take_word(parser, STR("UTF8 ("));
    struct str head = parser->rest;
    bool starts = str_starts(head, STR("{")) || str_starts(head, STR("~{"));
    if (!starts || !imap_line_literal(head, &literal) || str_find(head, ' ') != STR_NONE)
        return imap_expected(parser, "Message literal expected");
    message->size = literal.size;
    message->synchronizing = literal.synchronizing;
    message->is_binary = literal.binary;
    parser->rest = STR_EMPTY;
    return true;
}
