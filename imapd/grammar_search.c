/* SEARCH, SORT and THREAD: see grammar.h. Keys are read without recursion: a stack of open groups. */
#include "grammar.h"

#include "internal_date.h"

/* ---- keys with one argument, and those with none, as data */

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_FLAG,
    ARGUMENT_TEXT,
    ARGUMENT_FIELD_TEXT,
    ARGUMENT_NUMBER,
    ARGUMENT_SECONDS,
    ARGUMENT_DAY,
    ARGUMENT_KEYWORD,
    ARGUMENT_SEQUENCE,
    ARGUMENT_MODSEQ,
    ARGUMENT_WORD
};

static const struct key_row {
    struct str name;
    enum imap_key_kind kind;
    enum argument argument;
    unsigned flag;
    struct str field;
} key_rows[] = {
    {STR_INIT("ALL"), KEY_ALL, ARGUMENT_NONE, 0, STR_INIT("")},
    {STR_INIT("ANSWERED"), KEY_FLAG, ARGUMENT_FLAG, FLAG_ANSWERED, STR_INIT("")},
    {STR_INIT("BCC"), KEY_HEADER, ARGUMENT_TEXT, 0, STR_INIT("Bcc")},
    {STR_INIT("BEFORE"), KEY_BEFORE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("BODY"), KEY_BODY, ARGUMENT_TEXT, 0, STR_INIT("")},
    {STR_INIT("CC"), KEY_HEADER, ARGUMENT_TEXT, 0, STR_INIT("Cc")},
    {STR_INIT("DELETED"), KEY_FLAG, ARGUMENT_FLAG, FLAG_DELETED, STR_INIT("")},
    {STR_INIT("DRAFT"), KEY_FLAG, ARGUMENT_FLAG, FLAG_DRAFT, STR_INIT("")},
    {STR_INIT("EMAILID"), KEY_EMAIL_ID, ARGUMENT_WORD, 0, STR_INIT("")},
    {STR_INIT("FLAGGED"), KEY_FLAG, ARGUMENT_FLAG, FLAG_FLAGGED, STR_INIT("")},
    {STR_INIT("FROM"), KEY_HEADER, ARGUMENT_TEXT, 0, STR_INIT("From")},
    {STR_INIT("HEADER"), KEY_HEADER, ARGUMENT_FIELD_TEXT, 0, STR_INIT("")},
    {STR_INIT("KEYWORD"), KEY_FLAG, ARGUMENT_KEYWORD, 0, STR_INIT("")},
    {STR_INIT("LARGER"), KEY_LARGER, ARGUMENT_NUMBER, 0, STR_INIT("")},
    {STR_INIT("MODSEQ"), KEY_MODSEQ, ARGUMENT_MODSEQ, 0, STR_INIT("")},
    {STR_INIT("NEW"), KEY_NEW, ARGUMENT_NONE, 0, STR_INIT("")},
    {STR_INIT("OLD"), KEY_OLD, ARGUMENT_NONE, 0, STR_INIT("")},
    {STR_INIT("OLDER"), KEY_OLDER, ARGUMENT_SECONDS, 0, STR_INIT("")},
    {STR_INIT("ON"), KEY_ON, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("RECENT"), KEY_FLAG, ARGUMENT_FLAG, FLAG_RECENT, STR_INIT("")},
    {STR_INIT("SAVEDATESUPPORTED"), KEY_SAVE_DATE_SUPPORTED, ARGUMENT_NONE, 0, STR_INIT("")},
    {STR_INIT("SAVEDBEFORE"), KEY_SAVED_BEFORE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SAVEDON"), KEY_SAVED_ON, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SAVEDSINCE"), KEY_SAVED_SINCE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SEEN"), KEY_FLAG, ARGUMENT_FLAG, FLAG_SEEN, STR_INIT("")},
    {STR_INIT("SENTBEFORE"), KEY_SENT_BEFORE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SENTON"), KEY_SENT_ON, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SENTSINCE"), KEY_SENT_SINCE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SINCE"), KEY_SINCE, ARGUMENT_DAY, 0, STR_INIT("")},
    {STR_INIT("SMALLER"), KEY_SMALLER, ARGUMENT_NUMBER, 0, STR_INIT("")},
    {STR_INIT("SUBJECT"), KEY_HEADER, ARGUMENT_TEXT, 0, STR_INIT("Subject")},
    {STR_INIT("TEXT"), KEY_TEXT, ARGUMENT_TEXT, 0, STR_INIT("")},
    {STR_INIT("THREADID"), KEY_THREAD_ID, ARGUMENT_WORD, 0, STR_INIT("")},
    {STR_INIT("TO"), KEY_HEADER, ARGUMENT_TEXT, 0, STR_INIT("To")},
    {STR_INIT("UID"), KEY_UID, ARGUMENT_SEQUENCE, 0, STR_INIT("")},
    {STR_INIT("UNANSWERED"), KEY_NO_FLAG, ARGUMENT_FLAG, FLAG_ANSWERED, STR_INIT("")},
    {STR_INIT("UNDELETED"), KEY_NO_FLAG, ARGUMENT_FLAG, FLAG_DELETED, STR_INIT("")},
    {STR_INIT("UNDRAFT"), KEY_NO_FLAG, ARGUMENT_FLAG, FLAG_DRAFT, STR_INIT("")},
    {STR_INIT("UNFLAGGED"), KEY_NO_FLAG, ARGUMENT_FLAG, FLAG_FLAGGED, STR_INIT("")},
    {STR_INIT("UNKEYWORD"), KEY_NO_FLAG, ARGUMENT_KEYWORD, 0, STR_INIT("")},
    {STR_INIT("UNSEEN"), KEY_NO_FLAG, ARGUMENT_FLAG, FLAG_SEEN, STR_INIT("")},
    {STR_INIT("YOUNGER"), KEY_YOUNGER, ARGUMENT_SECONDS, 0, STR_INIT("")},
};

static const struct key_row *find_row(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(key_rows); i++)
        if (str_equal_nocase(name, key_rows[i].name)) return &key_rows[i];
    return NULL;
}

static bool take_day(struct imap_parser *parser, int64_t *day) {
    struct str text;
    return (imap_take_astring(parser, &text) && internal_date_parse_day(text, day)) ||
           imap_expected(parser, "Bad date");
}

/* MODSEQ ["/flags/..." (all|shared|priv)] number: the flag is accepted, modseqs are a message's here. */
static bool take_modseq(struct imap_parser *parser, struct imap_key *key) {
    struct str entry, kind;
    if (imap_peek_char(parser, '"'))
        if (!imap_take_string(parser, &entry) || !imap_take_space(parser) || !imap_take_atom(parser, &kind) ||
            !imap_take_space(parser))
            return false;
    return imap_take_number(parser, INT64_MAX, &key->number);
}

static bool take_keyword(struct imap_parser *parser, struct imap_key *key) {
    if (!imap_take_atom(parser, &key->keyword)) return false;
    if (str_equal_nocase(key->keyword, STR("$Forwarded"))) key->flag = FLAG_FORWARDED;
    return true;
}

static bool take_argument(struct imap_parser *parser, const struct key_row *row, struct imap_key *key) {
    if (row->argument == ARGUMENT_NONE || row->argument == ARGUMENT_FLAG) return true;
    if (!imap_take_space(parser)) return false;
    switch (row->argument) {
    case ARGUMENT_NONE:
    case ARGUMENT_FLAG:
        return true;
    case ARGUMENT_TEXT:
    case ARGUMENT_WORD:
        return imap_take_astring(parser, &key->text);
    case ARGUMENT_FIELD_TEXT:
        return imap_take_astring(parser, &key->field) && imap_take_space(parser) &&
               imap_take_astring(parser, &key->text);
    case ARGUMENT_NUMBER:
        return imap_take_number(parser, INT64_MAX, &key->number);
    case ARGUMENT_SECONDS: /* an nz-number (RFC 5032) */
        return imap_take_number(parser, INT64_MAX, &key->number) &&
               (key->number > 0 || imap_expected(parser, "Number of seconds expected"));
    case ARGUMENT_DAY:
        return take_day(parser, &key->day);
    case ARGUMENT_KEYWORD:
        return take_keyword(parser, key);
    case ARGUMENT_SEQUENCE:
        return imap_take_sequence(parser, &key->sequence);
    case ARGUMENT_MODSEQ:
        return take_modseq(parser, key);
    }
    return false;
}

/* ---- the tree */

struct key_reader {
    struct imap_parser *parser;
    struct imap_search *search;
    struct {
        struct imap_key *key;
        struct imap_key **link; /* where its next child goes */
        unsigned wanted;        /* children still to come; 0: until ')' or the end */
    } open[IMAP_DEPTH_MAX];
    size_t depth, count;
};

static struct imap_key *new_key(struct key_reader *reader, enum imap_key_kind kind) {
    struct imap_key *key = ++reader->count <= IMAP_ITEMS_MAX ? ARENA_NEW(reader->parser->arena, struct imap_key) : NULL;
    if (key) key->kind = kind;
    if (!key) reader->parser->error = "Too many search keys";
    return key;
}

static void add_child(struct key_reader *reader, struct imap_key *key) {
    *reader->open[reader->depth - 1].link = key;
    reader->open[reader->depth - 1].link = &key->next;
}

static bool open_group(struct key_reader *reader, enum imap_key_kind kind, unsigned wanted) {
    struct imap_key *key = new_key(reader, kind);
    if (!key) return false;
    if (reader->depth == IMAP_DEPTH_MAX) return imap_expected(reader->parser, "Search keys nested too deeply");
    if (reader->depth > 0) add_child(reader, key);
    reader->open[reader->depth].key = key;
    reader->open[reader->depth].link = &key->first;
    reader->open[reader->depth++].wanted = wanted;
    return true;
}

/* After a key is complete: NOT and OR that have all they want are complete too. */
static void close_full(struct key_reader *reader) {
    while (reader->depth > 1 && reader->open[reader->depth - 1].wanted > 0 &&
           --reader->open[reader->depth - 1].wanted == 0)
        reader->depth--;
}

static bool is_sequence_start(const struct imap_parser *parser) {
    char c = parser->rest.length ? parser->rest.data[0] : ' ';
    return ascii_is_digit(c) || c == '*' || c == '$';
}

static bool take_simple_key(struct key_reader *reader) {
    struct imap_parser *parser = reader->parser;
    struct str name;
    struct imap_key *key;
    if (is_sequence_start(parser)) {
        if (!(key = new_key(reader, KEY_SEQUENCE)) || !imap_take_sequence(parser, &key->sequence)) return false;
        if (!key->sequence.saved) reader->search->has_numbers = true;
    } else {
        const struct key_row *row = imap_take_atom(parser, &name) ? find_row(name) : NULL;
        if (!row) return imap_expected(parser, "Unknown search key");
        if (!(key = new_key(reader, row->kind))) return false;
        key->flag = row->flag;
        key->field = row->field;
        if (!take_argument(parser, row, key)) return false;
        if (row->kind == KEY_MODSEQ) reader->search->has_modseq = true;
    }
    add_child(reader, key);
    return true;
}

static bool take_keys(struct key_reader *reader) {
    struct imap_parser *parser = reader->parser;
    bool want_key = true;
    if (!open_group(reader, KEY_AND, 0)) return false;
    reader->search->key = reader->open[0].key;
    while (want_key) {
        if (imap_take_word(parser, STR("("))) {
            if (!open_group(reader, KEY_AND, 0)) return false;
            continue;
        }
        if (imap_take_word(parser, STR("NOT ")) || imap_take_word(parser, STR("OR "))) {
            bool is_or = parser->rest.data[-2] == 'R' || parser->rest.data[-2] == 'r';
            if (!open_group(reader, is_or ? KEY_OR : KEY_NOT, is_or ? 2 : 1)) return false;
            continue;
        }
        if (!take_simple_key(reader)) return false;
        close_full(reader);
        while (imap_peek_char(parser, ')')) {
            if (reader->depth < 2 || reader->open[reader->depth - 1].wanted > 0)
                return imap_expected(parser, "Unexpected ')'");
            parser->rest = str_from_offset(parser->rest, 1);
            reader->depth--;
            close_full(reader);
        }
        want_key = parser->rest.length > 0;
        if (want_key && !imap_take_space(parser)) return false;
    }
    return reader->depth == 1 || imap_expected(parser, "Unfinished search");
}

/* ---- what comes before the keys */

bool imap_take_partial(struct imap_parser *parser, int32_t *first, int32_t *last) {
    int32_t bounds[2];
    bool negative = imap_peek_char(parser, '-');
    for (int i = 0; i < 2; i++) {
        uint64_t number;
        if (i == 1 && !imap_take_char(parser, ':')) return false;
        if (negative && !imap_take_char(parser, '-')) return imap_expected(parser, "Bad PARTIAL range");
        if (!imap_take_number(parser, INT32_MAX, &number) || number == 0)
            return imap_expected(parser, "Bad PARTIAL range");
        bounds[i] = negative ? -(int32_t)number : (int32_t)number;
    }
    *first = bounds[0];
    *last = bounds[1];
    return true;
}

static bool take_returns(struct imap_parser *parser, struct imap_search *search) {
    static const struct {
        struct str name;
        unsigned bit;
    } words[] = {{STR_INIT("MIN"), RETURN_MIN},   {STR_INIT("MAX"), RETURN_MAX},
                 {STR_INIT("ALL"), RETURN_ALL},   {STR_INIT("COUNT"), RETURN_COUNT},
                 {STR_INIT("SAVE"), RETURN_SAVE}, {STR_INIT("PARTIAL"), RETURN_PARTIAL}};
    if (!imap_take_word(parser, STR("RETURN ("))) return true;
    search->extended = true;
    while (!imap_peek_char(parser, ')')) {
        struct str word;
        unsigned bit = 0;
        if (!imap_take_atom(parser, &word)) return false;
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            if (str_equal_nocase(word, words[i].name)) bit = words[i].bit;
        if (!bit) return imap_expected(parser, "Unknown search return option");
        /* One list of what was found at most (RFC 9394 section 3.1). */
        if ((bit == RETURN_PARTIAL && (search->returns & (RETURN_ALL | RETURN_PARTIAL))) ||
            (bit == RETURN_ALL && (search->returns & RETURN_PARTIAL)))
            return imap_expected(parser, "Either ALL or one PARTIAL");
        search->returns |= bit;
        if (bit == RETURN_PARTIAL &&
            (!imap_take_space(parser) || !imap_take_partial(parser, &search->partial_first, &search->partial_last)))
            return false;
        if (imap_peek_char(parser, ' ') && !imap_take_space(parser)) return false;
    }
    if (search->returns == 0) search->returns = RETURN_ALL;
    return imap_take_char(parser, ')') && imap_take_space(parser);
}

static bool take_all_keys(struct imap_parser *parser, struct imap_search *search) {
    struct key_reader *reader = ARENA_NEW(parser->arena, struct key_reader);
    if (!reader) return imap_expected(parser, "Command too long");
    reader->parser = parser;
    reader->search = search;
    return take_keys(reader);
}

bool imap_parse_search(struct imap_parser *parser, struct imap_search *search) {
    *search = (struct imap_search){.charset = STR_EMPTY};
    if (!take_returns(parser, search)) return false;
    if (imap_take_word(parser, STR("CHARSET ")) &&
        (!imap_take_astring(parser, &search->charset) || !imap_take_space(parser)))
        return false;
    return take_all_keys(parser, search);
}

static bool take_sort_keys(struct imap_parser *parser, struct imap_search *search) {
    static const struct {
        struct str name;
        enum imap_sort_key key;
    } words[] = {{STR_INIT("ARRIVAL"), SORT_ARRIVAL},
                 {STR_INIT("CC"), SORT_CC},
                 {STR_INIT("DATE"), SORT_DATE},
                 {STR_INIT("FROM"), SORT_FROM},
                 {STR_INIT("SIZE"), SORT_SIZE},
                 {STR_INIT("SUBJECT"), SORT_SUBJECT},
                 {STR_INIT("TO"), SORT_TO},
                 {STR_INIT("DISPLAYFROM"), SORT_DISPLAYFROM},
                 {STR_INIT("DISPLAYTO"), SORT_DISPLAYTO}};
    if (!imap_take_char(parser, '(')) return false;
    do {
        struct str word;
        bool reverse = imap_take_word(parser, STR("REVERSE "));
        size_t found = ARRAY_LENGTH(words);
        if (!imap_take_atom(parser, &word)) return false;
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
            if (str_equal_nocase(word, words[i].name)) found = i;
        if (found == ARRAY_LENGTH(words)) return imap_expected(parser, "Unknown sort key");
        if (search->sort_count == ARRAY_LENGTH(search->sort)) return imap_expected(parser, "Too many sort keys");
        search->sort[search->sort_count].key = words[found].key;
        search->sort[search->sort_count++].reverse = reverse;
    } while (imap_peek_char(parser, ' ') && imap_take_space(parser));
    return imap_take_char(parser, ')');
}

bool imap_parse_sort(struct imap_parser *parser, struct imap_search *search) {
    *search = (struct imap_search){.charset = STR_EMPTY};
    return take_returns(parser, search) && take_sort_keys(parser, search) && imap_take_space(parser) &&
           imap_take_astring(parser, &search->charset) && imap_take_space(parser) && take_all_keys(parser, search);
}

bool imap_parse_thread(struct imap_parser *parser, struct imap_search *search) {
    *search = (struct imap_search){.charset = STR_EMPTY};
    return imap_take_atom(parser, &search->algorithm) && imap_take_space(parser) &&
           imap_take_astring(parser, &search->charset) && imap_take_space(parser) && take_all_keys(parser, search);
}
