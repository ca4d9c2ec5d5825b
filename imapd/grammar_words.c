/* The words that IMAP commands are made of: see grammar.h. */
#include "grammar.h"

#include "internal_date.h"
#include "mutf7.h"
#include "utf8.h"

static bool expected(struct imap_parser *parser, const char *what) {
    if (!parser->error) parser->error = what;
    return false;
}

/* The same of what is well formed and names nothing. */
static bool refused(struct imap_parser *parser, const char *what) {
    parser->refused = true;
    return expected(parser, what);
}

static void advance(struct imap_parser *parser, size_t length) {
    parser->rest = str_from_offset(parser->rest, length);
    parser->error = NULL;
}

/* ---- single characters */

bool imap_peek_char(const struct imap_parser *parser, char c) {
    return parser->rest.length > 0 && parser->rest.data[0] == c;
}

bool imap_take_char(struct imap_parser *parser, char c) {
    if (!imap_peek_char(parser, c))
        return expected(parser, c == '(' ? "'(' expected" : c == ')' ? "')' expected" : "Syntax error");
    advance(parser, 1);
    return true;
}

bool imap_take_space(struct imap_parser *parser) {
    if (!imap_peek_char(parser, ' ')) return expected(parser, "Space expected");
    advance(parser, 1);
    return true;
}

bool imap_take_end(struct imap_parser *parser) {
    return parser->rest.length == 0 || expected(parser, "Nothing more expected");
}

/* ---- atoms */

/* CHAR but atom-specials: ( ) { SP CTL % * " \ ] */
static bool is_atom_char(char c) {
    unsigned char u = (unsigned char)c;
    return u > ' ' && u < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\' &&
           c != ']';
}

static bool is_tag_char(char c) {
    return (is_atom_char(c) || c == ']') && c != '+';
}

/* astring: atoms with "]"; UTF-8 in neither */
static bool is_astring_char(char c) {
    return is_atom_char(c) || c == ']';
}

static bool is_list_char(char c) {
    return is_astring_char(c) || c == '%' || c == '*';
}

static bool take_run(struct imap_parser *parser, bool (*belongs)(char), const char *what, struct str *run) {
    size_t length = 0;
    while (length < parser->rest.length && belongs(parser->rest.data[length]))
        length++;
    if (length == 0) return expected(parser, what);
    *run = str_slice(parser->rest, 0, length);
    advance(parser, length);
    return true;
}

bool imap_take_tag(struct imap_parser *parser, struct str *tag) {
    struct imap_parser before = *parser;
    struct str run;
    if (!take_run(parser, is_tag_char, "Tag expected", &run)) return false;
    if (run.length <= 250) {
        *tag = run;
        return true;
    }
    *parser = before;
    return expected(parser, "Tag too long");
}

bool imap_take_atom(struct imap_parser *parser, struct str *atom) {
    return take_run(parser, is_atom_char, "Word expected", atom);
}

bool imap_take_number(struct imap_parser *parser, uint64_t maximum, uint64_t *number) {
    size_t length = 0;
    while (length < parser->rest.length && ascii_is_digit(parser->rest.data[length]))
        length++;
    if (length == 0 || !str_to_u64(str_slice(parser->rest, 0, length), maximum, number))
        return expected(parser, "Number expected");
    advance(parser, length);
    return true;
}

/* ---- strings */

/* Quoted: \" and \\ are the only escapes; no CR, LF, NUL. */
static bool take_quoted(struct imap_parser *parser, struct str *string) {
    struct str rest = parser->rest;
    size_t end = 1, escapes = 0;
    for (; end < rest.length && rest.data[end] != '"'; end++) {
        char c = rest.data[end];
        if (c == '\\') {
            escapes++;
            end++;
            if (end == rest.length || (rest.data[end] != '"' && rest.data[end] != '\\'))
                return expected(parser, "Bad quoted string");
        } else if (c == '\r' || c == '\n' || c == '\0') {
            return expected(parser, "Bad quoted string");
        }
    }
    if (end >= rest.length) return expected(parser, "Unfinished quoted string");
    struct str raw = str_slice(rest, 1, end);
    if (escapes > 0) {
        char *decoded = arena_allocate(parser->arena, raw.length + 1, 1);
        size_t length = 0;
        if (!decoded) return expected(parser, "Command too long");
        for (size_t i = 0; i < raw.length; i++)
            decoded[length++] = raw.data[i] == '\\' ? raw.data[++i] : raw.data[i];
        raw = str_make(decoded, length);
    }
    /* RFC 6855 section 3; from other clients come octets of any kind. */
    if (parser->utf8 && !str_is_utf8(raw)) return expected(parser, "A quoted string is UTF-8");
    *string = raw;
    advance(parser, end + 1);
    return true;
}

/* "{5}", "{5+}", "~{5}" and what follows the line end. */
static bool take_literal(struct imap_parser *parser, struct str *string) {
    struct str rest = parser->rest, digits;
    uint64_t size;
    if (rest.length > 0 && rest.data[0] == '~') rest = str_from_offset(rest, 1);
    size_t close = str_find(rest, '}');
    if (rest.length == 0 || rest.data[0] != '{' || close == STR_NONE) return expected(parser, "String expected");
    digits = str_slice(rest, 1, close);
    if (digits.length > 0 && digits.data[digits.length - 1] == '+') digits.length--;
    if (!str_to_u64(digits, SIZE_MAX / 2, &size)) return expected(parser, "Bad literal");
    rest = str_from_offset(rest, close + 1);
    if (!str_starts(rest, STR("\r\n")) || rest.length - 2 < size) return expected(parser, "Bad literal");
    *string = str_slice(rest, 2, 2 + (size_t)size);
    advance(parser, parser->rest.length - rest.length + 2 + (size_t)size);
    return true;
}

bool imap_take_string(struct imap_parser *parser, struct str *string) {
    struct str taken = STR_EMPTY;
    struct imap_parser before = *parser;
    if (imap_peek_char(parser, '"') ? !take_quoted(parser, &taken) : !take_literal(parser, &taken)) return false;
    /* Octets beyond ASCII came from clients long before they were allowed; NUL in a literal8 alone. */
    if (memchr(taken.data, '\0', taken.length)) {
        *parser = before;
        return expected(parser, "NUL in a string");
    }
    *string = taken;
    return true;
}

bool imap_take_astring(struct imap_parser *parser, struct str *string) {
    if (imap_peek_char(parser, '"') || imap_peek_char(parser, '{')) return imap_take_string(parser, string);
    return take_run(parser, is_astring_char, "String expected", string);
}

bool imap_take_nstring(struct imap_parser *parser, struct str *string, bool *is_nil) {
    struct str atom;
    struct imap_parser before = *parser;
    if (imap_peek_char(parser, '"') || imap_peek_char(parser, '{')) {
        if (!imap_take_string(parser, string)) return false;
        *is_nil = false;
        return true;
    }
    if (imap_take_atom(parser, &atom) && str_equal_nocase(atom, STR("NIL"))) {
        *string = STR_EMPTY;
        *is_nil = true;
        return true;
    }
    *parser = before;
    return expected(parser, "String or NIL expected");
}

/* ---- ID */

static bool take_id_pair(struct imap_parser *parser, struct imap_id *id) {
    struct str name, value;
    bool is_nil;
    if (id->count == IMAP_ID_MAX) return expected(parser, "Too much of an ID");
    if (!imap_take_string(parser, &name) || !imap_take_space(parser) || !imap_take_nstring(parser, &value, &is_nil))
        return false;
    id->names[id->count] = name;
    id->values[id->count++] = is_nil ? (struct str){NULL, 0} : value;
    return true;
}

bool imap_parse_id(struct imap_parser *parser, struct imap_id *id) {
    struct str nil;
    *id = (struct imap_id){.count = 0};
    if (!imap_peek_char(parser, '('))
        return ((imap_take_atom(parser, &nil) && str_equal_nocase(nil, STR("NIL"))) ||
                imap_expected(parser, "NIL or '(' expected")) &&
               imap_take_end(parser);
    if (!imap_take_char(parser, '(')) return false;
    while (!imap_peek_char(parser, ')'))
        if (!take_id_pair(parser, id) || (imap_peek_char(parser, ' ') && !imap_take_space(parser))) return false;
    return imap_take_char(parser, ')') && imap_take_end(parser);
}

/* ---- mailboxes */

static bool is_inbox(struct str name) {
    return str_equal_nocase(name, STR("INBOX"));
}

/* Modified UTF-7 to UTF-8; UTF-8 that a client sends unasked is taken for what it is. */
static bool decode_mailbox(struct imap_parser *parser, struct str raw, struct str *mailbox) {
    struct buf text = buf_make(4 * STORE_NAME_MAX);
    bool good = raw.length <= 4 * STORE_NAME_MAX;
    if (good && (parser->utf8 || !str_is_ascii(raw)))
        good = buf_append(&text, raw) && utf8_is_text(raw);
    else
        good = good && mutf7_decode(&text, raw);
    if (good && (is_inbox(buf_str(&text)) ||
                 (text.length > 6 && is_inbox(str_slice(buf_str(&text), 0, 5)) && text.data[5] == '/')))
        memcpy(text.data, "INBOX", 5);
    good = good && arena_copy(parser->arena, buf_str(&text), mailbox);
    buf_free(&text);
    return good || refused(parser, "Bad mailbox name");
}

bool imap_take_mailbox_or_empty(struct imap_parser *parser, struct str *mailbox) {
    struct imap_parser before = *parser;
    struct str raw;
    bool plain = !imap_peek_char(parser, '"') && !imap_peek_char(parser, '{');
    if (!imap_take_astring(parser, &raw)) {
        if (plain) parser->error = "Mailbox name expected";
        return false;
    }
    if (decode_mailbox(parser, raw, mailbox)) return true;
    parser->rest = before.rest;
    return false;
}

bool imap_take_mailbox(struct imap_parser *parser, struct str *mailbox) {
    struct imap_parser before = *parser;
    struct str name;
    if (!imap_take_mailbox_or_empty(parser, &name)) return false;
    if (name.length > 0) {
        *mailbox = name;
        return true;
    }
    parser->rest = before.rest;
    return refused(parser, "No mailbox has an empty name");
}

bool imap_take_list_mailbox(struct imap_parser *parser, struct str *pattern) {
    struct str raw;
    bool quoted = imap_peek_char(parser, '"') || imap_peek_char(parser, '{');
    if (quoted ? !imap_take_string(parser, &raw) : !take_run(parser, is_list_char, "Mailbox pattern expected", &raw))
        return false;
    if (!decode_mailbox(parser, raw, pattern)) {
        *pattern = STR(IMAP_PATTERN_OF_NONE); /* passed over in silence (RFC 9051 6.3.9) */
        parser->error = NULL;
        parser->refused = false;
    }
    return true;
}

/* ---- sequences, flags, dates */

static bool is_sequence_char(char c) {
    return ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

bool imap_take_sequence(struct imap_parser *parser, struct imap_sequence *sequence) {
    struct uid_set set = {0};
    struct str run;
    struct imap_parser before = *parser;
    if (imap_peek_char(parser, '$')) {
        *sequence = (struct imap_sequence){.text = STR("$"), .saved = true};
        advance(parser, 1);
        return true;
    }
    if (!take_run(parser, is_sequence_char, "Message numbers expected", &run)) return false;
    bool good = uid_set_parse(run, 1, IMAP_RANGES_MAX, &set);
    uid_set_free(&set);
    if (good) {
        *sequence = (struct imap_sequence){.text = run};
        return true;
    }
    *parser = before;
    return expected(parser, "Bad message numbers");
}

static const struct {
    struct str name;
    unsigned flag;
} system_flags[] = {
    {STR_INIT("Seen"), FLAG_SEEN},       {STR_INIT("Answered"), FLAG_ANSWERED}, {STR_INIT("Flagged"), FLAG_FLAGGED},
    {STR_INIT("Deleted"), FLAG_DELETED}, {STR_INIT("Draft"), FLAG_DRAFT},       {STR_INIT("Recent"), FLAG_RECENT},
};

static bool add_flag(struct imap_parser *parser, struct str name, bool backslash, struct imap_flags *flags,
                     size_t *room) {
    for (size_t i = 0; backslash && i < ARRAY_LENGTH(system_flags); i++) {
        if (!str_equal_nocase(name, system_flags[i].name)) continue;
        if (system_flags[i].flag == FLAG_RECENT) return expected(parser, "\\Recent cannot be set");
        flags->system |= system_flags[i].flag;
        return true;
    }
    if (backslash) return expected(parser, "Unknown system flag");
    if (str_equal_nocase(name, STR("$Forwarded"))) { /* Maildir has a letter for it */
        flags->system |= FLAG_FORWARDED;
        return true;
    }
    if (flags->keyword_count == *room) {
        size_t more = *room ? *room * 2 : 8;
        struct str *grown = more <= IMAP_ITEMS_MAX ? arena_allocate(parser->arena, more, sizeof *grown) : NULL;
        if (!grown) return expected(parser, "Too many flags");
        if (flags->keyword_count) memcpy(grown, flags->keywords, flags->keyword_count * sizeof *grown);
        flags->keywords = grown;
        *room = more;
    }
    flags->keywords[flags->keyword_count++] = name;
    return true;
}

static bool take_flag(struct imap_parser *parser, struct imap_flags *flags, size_t *room) {
    struct str name;
    bool backslash = imap_peek_char(parser, '\\');
    if (backslash) advance(parser, 1);
    return imap_take_atom(parser, &name) && add_flag(parser, name, backslash, flags, room);
}

bool imap_take_flags(struct imap_parser *parser, bool loose, struct imap_flags *flags) {
    struct imap_parser before = *parser;
    struct imap_flags taken = {0};
    size_t room = 0;
    bool parentheses = imap_peek_char(parser, '('), good = true;
    if (!parentheses && !loose) return expected(parser, "Flag list expected");
    if (parentheses) advance(parser, 1);
    while (good && !(parentheses && imap_peek_char(parser, ')'))) {
        good = take_flag(parser, &taken, &room);
        if (!imap_peek_char(parser, ' ')) break;
        if (good) advance(parser, 1);
    }
    good = good && (!parentheses || imap_take_char(parser, ')'));
    if (good) {
        *flags = taken;
        return true;
    }
    parser->rest = before.rest;
    return expected(parser, "Bad flag list");
}

bool imap_take_date_time(struct imap_parser *parser, int64_t *seconds) {
    struct imap_parser before = *parser;
    struct str text;
    if (!imap_peek_char(parser, '"') || !imap_take_string(parser, &text))
        return expected(parser, "Date and time expected");
    if (internal_date_parse(text, seconds, NULL)) return true;
    *parser = before;
    return expected(parser, "Bad date and time");
}

/* ---- literals at a line's end */

bool imap_line_literal(struct str line, struct imap_literal *literal) {
    struct imap_literal found = {.synchronizing = true};
    if (line.length < 3 || line.data[line.length - 1] != '}') return false;
    size_t open = str_find_last(line, '{');
    if (open == STR_NONE) return false;
    struct str digits = str_slice(line, open + 1, line.length - 1);
    if (digits.length > 0 && digits.data[digits.length - 1] == '+') {
        found.synchronizing = false;
        digits.length--;
    }
    if (!str_to_u64(digits, UINT64_MAX, &found.size)) return false;
    found.binary = open > 0 && line.data[open - 1] == '~';
    *literal = found;
    return true;
}

/* ---- answers */

static bool fits_quoted(struct str string, bool utf8) {
    if (string.length > 1000) return false;
    for (size_t i = 0; i < string.length; i++) {
        unsigned char c = (unsigned char)string.data[i];
        if (c == '\r' || c == '\n' || c == 0 || (c >= 0x80 && !utf8)) return false;
    }
    return !utf8 || str_is_utf8(string);
}

void imap_hide_nuls(struct buf *text, size_t from) {
    if (buf_overflowed(text)) return;
    for (char *at; from < text->length && (at = memchr(text->data + from, '\0', text->length - from));
         from = (size_t)(at - text->data) + 1)
        *at = IMAP_NUL_SHOWN;
}

void imap_append_string(struct buf *text, struct str string, bool utf8) {
    if (!fits_quoted(string, utf8)) {
        buf_printf(text, "{%zu}\r\n", string.length);
        size_t begin = text->length;
        buf_append(text, string);
        imap_hide_nuls(text, begin);
        return;
    }
    buf_append_char(text, '"');
    for (size_t i = 0; i < string.length; i++) {
        if (string.data[i] == '"' || string.data[i] == '\\') buf_append_char(text, '\\');
        buf_append_char(text, string.data[i]);
    }
    buf_append_char(text, '"');
}

void imap_append_mailbox(struct buf *text, struct str mailbox, bool utf8) {
    struct buf name = buf_make(0);
    if (utf8)
        buf_append(&name, mailbox);
    else
        (void)!mutf7_encode(&name, mailbox); /* every name that there is can be encoded */
    bool atom = name.length > 0 && !str_equal_nocase(buf_str(&name), STR("NIL"));
    for (size_t i = 0; atom && i < name.length; i++)
        atom = is_astring_char(name.data[i]);
    if (atom)
        buf_append(text, buf_str(&name));
    else
        imap_append_string(text, buf_str(&name), utf8);
    buf_free(&name);
}

/* In the order in which they are said. */
static const struct {
    unsigned flag;
    struct str text;
} said_flags[] = {
    {FLAG_SEEN, STR_INIT("\\Seen ")},          {FLAG_ANSWERED, STR_INIT("\\Answered ")},
    {FLAG_FLAGGED, STR_INIT("\\Flagged ")},    {FLAG_DELETED, STR_INIT("\\Deleted ")},
    {FLAG_DRAFT, STR_INIT("\\Draft ")},        {FLAG_RECENT, STR_INIT("\\Recent ")},
    {FLAG_FORWARDED, STR_INIT("$Forwarded ")},
};

void imap_append_flags(struct buf *text, const struct folder *folder, const struct message_flags *flags) {
    buf_append_char(text, '(');
    size_t begin = text->length;
    for (size_t i = 0; i < ARRAY_LENGTH(said_flags); i++)
        if (flags->system & said_flags[i].flag) buf_append(text, said_flags[i].text);
    for (uint64_t left = flags->keywords; left; left &= left - 1) {
        struct str name = folder_keyword(folder, (unsigned)__builtin_ctzll(left));
        if (name.length == 0) continue;
        buf_append(text, name);
        buf_append_char(text, ' ');
    }
    if (text->length > begin) buf_truncate(text, text->length - 1);
    buf_append_char(text, ')');
}
