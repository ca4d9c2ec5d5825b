/* Unit tables of IMAP's grammar: what is taken and as what, what is refused and with which text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "grammar.h"

static struct imap_parser parser_of(const char *text) {
    return (struct imap_parser){.rest = str_from(text), .arena = arena_create(0)};
}

#define assert_text(str, text) assert_true(str_equal((str), str_from(text)))

/* ---- every command's parser, each with its refusals */

enum command { FETCH, SEARCH, SORT, THREAD, STORE, COPY, SELECT, CREATE, LIST, STATUS, APPEND_MAILBOX, APPEND_MESSAGE, ID };

static bool parse(enum command command, struct imap_parser *parser) {
    struct imap_fetch fetch;
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
    switch (command) {
    case FETCH:
        return imap_parse_fetch(parser, &fetch);
    case SEARCH:
        return imap_parse_search(parser, &search);
    case SORT:
        return imap_parse_sort(parser, &search);
    case THREAD:
        return imap_parse_thread(parser, &search);
    case STORE:
        return imap_parse_store(parser, &store);
    case COPY:
        return imap_parse_copy(parser, &copy);
    case SELECT:
        return imap_parse_select(parser, &select);
    case CREATE:
        return imap_parse_create(parser, &create);
    case LIST:
        return imap_parse_list(parser, &list);
    case STATUS:
        return imap_take_status_items(parser, &items);
    case APPEND_MAILBOX:
        return imap_parse_append_mailbox(parser, &mailbox);
    case APPEND_MESSAGE:
        return imap_parse_append_message(parser, &message);
    case ID:
        return imap_parse_id(parser, &id);
    }
    return false;
}

/* text NULL: it is taken. */
static const struct {
    enum command command;
    const char *text, *error;
} commands[] = {
    {FETCH, "1 FLAGS", NULL},
    {FETCH, "1:* (UID FLAGS)", NULL},
    {FETCH, "$ ALL", NULL},
    {FETCH, "1 fast", NULL},
    {FETCH, "1 (BODY BODYSTRUCTURE BODY[] BODY.PEEK[1.2.MIME]<0.1> RFC822)", NULL},
    {FETCH, "1 BODY[HEADER.FIELDS (\"From\" {2}\r\nTo)]", NULL},
    {FETCH, "1 BINARY.SIZE[]", NULL},
    {FETCH, "1 PREVIEW (LAZY)", NULL},
    {FETCH, "1 UID (CHANGEDSINCE 0)", NULL},
    {FETCH, "1 UID (CHANGEDSINCE 9 VANISHED)", NULL},
    {FETCH, "1 UID (PARTIAL -1:-50 CHANGEDSINCE 7)", NULL},
    {FETCH, "", "Message numbers expected"},
    {FETCH, "0 FLAGS", "Bad message numbers"},
    {FETCH, "1:2:3 FLAGS", "Bad message numbers"},
    {FETCH, "4294967296 FLAGS", "Bad message numbers"},
    {FETCH, "1", "Space expected"},
    {FETCH, "1 ", "Unknown FETCH item"},
    {FETCH, "1 FLAGSX", "Unknown FETCH item"},
    {FETCH, "1 ()", "Unknown FETCH item"},
    {FETCH, "1 (FLAGS ALL)", "Unknown FETCH item"},
    {FETCH, "1 (FLAGS", "')' expected"},
    {FETCH, "1 (FLAGS )", "Unknown FETCH item"},
    {FETCH, "1 FLAGS x", "'(' expected"},
    {FETCH, "1 FLAGS (FOO)", "Unknown FETCH modifier"},
    {FETCH, "1 FLAGS (VANISHED)", "VANISHED needs CHANGEDSINCE"},
    {FETCH, "1 FLAGS (CHANGEDSINCE 9223372036854775808)", "Number expected"},
    {FETCH, "1 FLAGS (PARTIAL 0:5)", "Bad PARTIAL range"},
    {FETCH, "1 FLAGS (PARTIAL 1:-5)", "Bad PARTIAL range"},
    {FETCH, "1 FLAGS (PARTIAL -1:5)", "Bad PARTIAL range"},
    {FETCH, "1 FLAGS (PARTIAL 1)", "Syntax error"},
    {FETCH, "1 FLAGS (CHANGEDSINCE 1) x", "Nothing more expected"},
    {FETCH, "1 BODY[0]", "Bad section"},
    {FETCH, "1 BODY[MIME]", "Bad section"},
    {FETCH, "1 BINARY[HEADER]", NULL},
    {FETCH, "1 BINARY[1]<40>", NULL},
    {FETCH, "1 BODY[1]<40>", "Bad partial"},
    {FETCH, "1 BINARY[FOO]", "Bad section"},
    {FETCH, "1 BODY[", "Syntax error"},
    {FETCH, "1 BODY[HEADER.FIELDS]", "Space expected"},
    {FETCH, "1 BODY[HEADER.FIELDS ()]", "String expected"},
    {FETCH, "1 BODY[]<0.0>", "Bad partial"},
    {FETCH, "1 BODY[]<5>", "Bad partial"},
    {FETCH, "1 BODY[]<9223372036854775807.9223372036854775807>", NULL},
    {FETCH, "1 BODY[]<9223372036854775808.1>", "Bad partial"},
    {FETCH, "1 BINARY.SIZE[1]<0.5>", "Space expected"},
    {SEARCH, "ALL", NULL},
    {SEARCH, "RETURN () 1:5", NULL},
    {SEARCH, "RETURN (MIN MAX COUNT SAVE ALL) UNSEEN", NULL},
    {SEARCH, "return (partial -1:-5) CHARSET UTF-8 TEXT {1}\r\nx", NULL},
    {SEARCH, "OR NOT SEEN (FROM a TO b) OR 1 2", NULL},
    {SEARCH, "NOT NOT NOT DELETED", NULL},
    {SEARCH, "SINCE 1-Feb-2023 BEFORE \"28-Feb-2023\"", NULL},
    {SEARCH, "HEADER X-A \"\" KEYWORD $Forwarded UNKEYWORD k LARGER 0 OLDER 1 YOUNGER 5", NULL},
    {SEARCH, "MODSEQ 5 MODSEQ \"/flags/\\\\Seen\" all 7", NULL},
    {SEARCH, "UID $ $", NULL},
    {SEARCH, "SAVEDATESUPPORTED SAVEDBEFORE 1-Feb-2023 EMAILID M1 THREADID T1", NULL},
    {SEARCH, "", "Unknown search key"},
    {SEARCH, "FOO", "Unknown search key"},
    {SEARCH, "ALL ", "Unknown search key"},
    {SEARCH, "NOT", "Unknown search key"},
    {SEARCH, "OR ALL", "Unfinished search"},
    {SEARCH, "NOT (ALL", "Unfinished search"},
    {SEARCH, "ALL)", "Unexpected ')'"},
    {SEARCH, "(OR ALL)", "Unexpected ')'"},
    {SEARCH, "()", "Unknown search key"},
    {SEARCH, "ALLSEEN", "Unknown search key"},
    {SEARCH, "ALL\"x\"", "Space expected"},
    {SEARCH, "FROM", "Space expected"},
    {SEARCH, "FROM \"x", "Unfinished quoted string"},
    {SEARCH, "LARGER x", "Number expected"},
    {SEARCH, "LARGER -1", "Number expected"},
    {SEARCH, "OLDER 0", "Number of seconds expected"},
    {SEARCH, "YOUNGER 0", "Number of seconds expected"},
    {SEARCH, "ON 32-Jan-2023", "Bad date"},
    {SEARCH, "UID 0", "Bad message numbers"},
    {SEARCH, "RETURN (FOO) ALL", "Unknown search return option"},
    {SEARCH, "RETURN (ALL PARTIAL 1:2) ALL", "Either ALL or one PARTIAL"},
    {SEARCH, "RETURN (PARTIAL 1:2 ALL) ALL", "Either ALL or one PARTIAL"},
    {SEARCH, "RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL", "Either ALL or one PARTIAL"},
    {SEARCH, "RETURN (MIN", "Word expected"},
    {SEARCH, "RETURN (MIN)", "Space expected"},
    {SEARCH, "TEXT {5}\r\nx", "Bad literal"},
    {SORT, "(DATE) UTF-8 ALL", NULL},
    {SORT, "(REVERSE ARRIVAL SIZE CC TO DISPLAYFROM DISPLAYTO) US-ASCII 1:*", NULL},
    {SORT, "RETURN (COUNT PARTIAL 1:5) (SUBJECT) UTF-8 NOT SEEN", NULL},
    {SORT, "DATE UTF-8 ALL", "'(' expected"},
    {SORT, "() UTF-8 ALL", "Word expected"},
    {SORT, "(FOO) UTF-8 ALL", "Unknown sort key"},
    {SORT, "(REVERSE) UTF-8 ALL", "Unknown sort key"},
    {SORT, "(DATE) ALL", "Space expected"},
    {SORT, "(DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE) UTF-8 ALL",
     "Too many sort keys"},
    {THREAD, "REFERENCES UTF-8 ALL", NULL},
    {THREAD, "RETURN (COUNT) REFERENCES UTF-8 ALL", "String expected"},
    {THREAD, "REFERENCES UTF-8", "Space expected"},
    {STORE, "1 FLAGS ()", NULL},
    {STORE, "1:5 +FLAGS.SILENT (\\Seen Work)", NULL},
    {STORE, "1 -flags \\Flagged $Forwarded", NULL},
    {STORE, "$ (UNCHANGEDSINCE 5) FLAGS (a)", NULL},
    {STORE, "1", "Space expected"},
    {STORE, "1 FLAGS", "Space expected"},
    {STORE, "1 FOO (a)", "FLAGS expected"},
    {STORE, "1 FLAGSX (a)", "Space expected"},
    {STORE, "1 FLAGS (\\Recent)", "\\Recent cannot be set"},
    {STORE, "1 FLAGS (\\Foo)", "Unknown system flag"},
    {STORE, "1 FLAGS (a", "')' expected"},
    {STORE, "1 FLAGS (a))", "Nothing more expected"},
    {STORE, "1 FLAGS (\"a\")", "Word expected"},
    {STORE, "1 (FOO 1) FLAGS (a)", "Unknown STORE modifier"},
    {STORE, "1 (UNCHANGEDSINCE x) FLAGS (a)", "Number expected"},
    {COPY, "1:* Sent", NULL},
    {COPY, "1 \"a b\"", NULL},
    {COPY, "1", "Space expected"},
    {COPY, "1 ", "Mailbox name expected"},
    {COPY, "1 {3}\r\na\xc2\x84", "Bad mailbox name"},
    {COPY, "1 \"\"", "No mailbox has an empty name"},
    {COPY, "1 &AOQ", "Bad mailbox name"},
    {COPY, "1 a b", "Nothing more expected"},
    {SELECT, "INBOX", NULL},
    {SELECT, "{5}\r\ninbox (CONDSTORE)", NULL},
    {SELECT, "a (QRESYNC (1 2))", NULL},
    {SELECT, "a (QRESYNC (1 2 1:5,9))", NULL},
    {SELECT, "a (QRESYNC (1 2 (1,2 3,4)))", NULL},
    {SELECT, "a (CONDSTORE QRESYNC (1 2 1:5 (1 1)))", NULL},
    {SELECT, "", "Mailbox name expected"},
    {SELECT, "a ", "'(' expected"},
    {SELECT, "a (FOO)", "Unknown SELECT parameter"},
    {SELECT, "a (QRESYNC (0 2))", "Bad QRESYNC parameters"},
    {SELECT, "a (QRESYNC (1))", "Bad QRESYNC parameters"},
    {SELECT, "a (QRESYNC (1 2 1:*))", "Known UIDs expected"},
    {SELECT, "a (QRESYNC (1 2 $))", "Known UIDs expected"},
    {SELECT, "a (CONDSTORE) ", "Nothing more expected"},
    {CREATE, "a/b", NULL},
    {CREATE, "a (USE (\\Sent \\Trash))", NULL},
    {CREATE, "a (USE ())", NULL},
    {CREATE, "", "Mailbox name expected"},
    {CREATE, "a x", "Unknown CREATE parameter"},
    {CREATE, "a (USE (\\Foo))", NULL}, /* the command refuses it */
    {CREATE, "a (USE (Sent))", "Special use expected"},
    {CREATE, "a&b", "Bad mailbox name"},
    {CREATE, "a (USE (\\Sent)", "'))' expected"},
    {CREATE, "a (USE (\\Sent)) ", "Nothing more expected"},
    {LIST, "\"\" *", NULL},
    {LIST, "INBOX %", NULL},
    {LIST, "() \"\" (a \"b c\")", NULL},
    {LIST, "(SUBSCRIBED RECURSIVEMATCH) \"\" * RETURN (CHILDREN STATUS (UNSEEN) SUBSCRIBED SPECIAL-USE)", NULL},
    {LIST, "", "Mailbox name expected"},
    {LIST, "\"\"", "Space expected"},
    {LIST, "\"\" ", "Mailbox pattern expected"},
    {LIST, "(FOO) \"\" *", "Unknown LIST option"},
    {LIST, "(RECURSIVEMATCH) \"\" *", "RECURSIVEMATCH alone"},
    {LIST, "\"\" * x", "Unknown LIST parameter"},
    {LIST, "\"\" * RETURN (FOO)", "Unknown LIST return option"},
    {LIST, "\"\" * RETURN (STATUS)", "Unknown LIST return option"},
    {LIST, "\"\" * RETURN (CHILDREN", "Unknown LIST return option"},
    {LIST, "\"\" &AOQ", NULL},
    {STATUS, "(MESSAGES unseen DELETED-STORAGE)", NULL},
    {STATUS, "()", "STATUS item expected"},
    {STATUS, "(FOO)", "Unknown STATUS item"},
    {STATUS, "MESSAGES", "'(' expected"},
    {STATUS, "(MESSAGES", "')' expected"},
    {APPEND_MAILBOX, "INBOX ", NULL},
    {APPEND_MAILBOX, "INBOX", "Space expected"},
    {APPEND_MESSAGE, "{5}", NULL},
    {APPEND_MESSAGE, "(\\Seen a) \"17-Jul-1996 02:44:25 -0700\" ~{5+}", NULL},
    {APPEND_MESSAGE, "UTF8 (~{5}", NULL},
    {APPEND_MESSAGE, "5", "Message literal expected"},
    {APPEND_MESSAGE, "{x}", "Message literal expected"},
    {APPEND_MESSAGE, "(\\Recent) {5}", "\\Recent cannot be set"},
    {APPEND_MESSAGE, "\"17-Foo-1996 02:44:25 -0700\" {5}", "Bad date and time"},
    {APPEND_MESSAGE, "(a){5}", "Space expected"},
    {APPEND_MESSAGE, "", "Message literal expected"},
    {ID, "NIL", NULL},
    {ID, "()", NULL},
    {ID, "(\"a\" NIL \"b\" {1}\r\nc)", NULL},
    {ID, "", "NIL or '(' expected"},
    {ID, "nothing", "NIL or '(' expected"},
    {ID, "(a \"b\")", "String expected"},
    {ID, "(\"a\")", "Space expected"},
    {ID, "(\"a\" \"b\"", "String expected"},
    {ID, "NIL NIL", "Nothing more expected"},
};

static void test_commands(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        struct imap_parser parser = parser_of(commands[i].text);
        struct arena *arena = parser.arena;
        bool taken = parse(commands[i].command, &parser);
        if (taken != !commands[i].error) fail_msg("%s: %s", commands[i].text, taken ? "taken" : parser.error);
        if (!taken && strcmp(parser.error, commands[i].error) != 0)
            fail_msg("%s: \"%s\" instead of \"%s\"", commands[i].text, parser.error, commands[i].error);
        arena_destroy(&arena);
    }
}

/* ---- limits */

static void assert_refused(enum command command, struct buf *text, const char *error) {
    struct imap_parser parser = {.rest = buf_str(text), .arena = arena_create(0)};
    struct arena *arena = parser.arena;
    assert_false(parse(command, &parser));
    assert_string_equal(parser.error, error);
    arena_destroy(&arena);
    buf_clear(text);
}

static void repeat(struct buf *text, const char *piece, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        buf_append(text, str_from(piece));
}

static void test_limits(void **state) {
    (void)state;
    struct buf text = buf_make(0);
    repeat(&text, "NOT ", IMAP_DEPTH_MAX);
    buf_append(&text, STR("ALL"));
    assert_refused(SEARCH, &text, "Search keys nested too deeply");
    repeat(&text, "(", IMAP_DEPTH_MAX);
    assert_refused(SEARCH, &text, "Search keys nested too deeply");
    repeat(&text, "ALL ", IMAP_ITEMS_MAX);
    buf_append(&text, STR("ALL"));
    assert_refused(SEARCH, &text, "Too many search keys");
    buf_append(&text, STR("1 ("));
    repeat(&text, "FLAGS ", 2 * IMAP_FETCH_MAX);
    buf_append(&text, STR("UID)"));
    assert_refused(FETCH, &text, "Too many FETCH items");
    buf_append(&text, STR("1 BODY[HEADER.FIELDS ("));
    repeat(&text, "a ", IMAP_ITEMS_MAX);
    buf_append(&text, STR("a)]"));
    assert_refused(FETCH, &text, "Too many header names");
    buf_append(&text, STR("1 FLAGS ("));
    repeat(&text, "a ", IMAP_ITEMS_MAX);
    buf_append(&text, STR("a)"));
    assert_refused(STORE, &text, "Too many flags");
    buf_append(&text, STR("\"\" ("));
    repeat(&text, "a ", 64);
    buf_append(&text, STR("a)"));
    assert_refused(LIST, &text, "Too many patterns");
    repeat(&text, "1,", IMAP_RANGES_MAX);
    buf_append(&text, STR("1 FLAGS"));
    assert_refused(FETCH, &text, "Bad message numbers");
    buf_free(&text);
}

/* ---- what is taken, as what */

static void test_fetch(void **state) {
    (void)state;
    struct imap_fetch fetch;
    struct imap_parser parser = parser_of(
        "2:4 (BODY[1.header.fields (date \"a b\")]<5.7> BODY.PEEK[TEXT] BINARY.PEEK[2] RFC822.TEXT PREVIEW (LAZY) "
        "RFC822.SIZE) (CHANGEDSINCE 12 PARTIAL -3:-1)");
    struct arena *arena = parser.arena;
    assert_true(imap_parse_fetch(&parser, &fetch));
    assert_text(fetch.sequence.text, "2:4");
    assert_int_equal(fetch.count, 6);
    assert_int_equal(fetch.items[0].kind, FETCH_SECTION);
    assert_false(fetch.items[0].peek);
    assert_text(fetch.items[0].section.written, "[1.HEADER.FIELDS (date \"a b\")]");
    assert_int_equal(fetch.items[0].section.field_count, 2);
    assert_true(fetch.items[0].section.partial);
    assert_int_equal(fetch.items[0].section.offset, 5);
    assert_int_equal(fetch.items[0].section.length, 7);
    assert_true(fetch.items[1].peek);
    assert_text(fetch.items[1].section.written, "[TEXT]");
    assert_true(fetch.items[2].kind == FETCH_BINARY && fetch.items[2].peek);
    assert_true(fetch.items[3].kind == FETCH_RFC822_TEXT && !fetch.items[3].peek);
    assert_true(fetch.items[4].kind == FETCH_PREVIEW && fetch.items[4].lazy);
    assert_true(fetch.items[5].kind == FETCH_RFC822_SIZE);
    assert_true(fetch.has_changed_since && !fetch.vanished);
    assert_int_equal(fetch.changed_since, 12);
    assert_int_equal(fetch.partial_first, -3);
    assert_int_equal(fetch.partial_last, -1);
    arena_destroy(&arena);
}

/* The tree as text. */
static void describe(const struct imap_key *key, struct buf *text) {
    for (const char *blank = ""; key; key = key->next, blank = " ") {
        buf_printf(text, "%s%d", blank, (int)key->kind);
        if (!key->first) continue;
        buf_append_char(text, '(');
        describe(key->first, text);
        buf_append_char(text, ')');
    }
}

static void test_search(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int kinds[12];
        const char *shape; /* d for a kind */
    } rows[] = {
        {"ALL", {KEY_AND, KEY_ALL}, "%d(%d)"},
        {"1 $", {KEY_AND, KEY_SEQUENCE, KEY_SEQUENCE}, "%d(%d %d)"},
        {"OR SEEN NOT UNSEEN NEW", {KEY_AND, KEY_OR, KEY_FLAG, KEY_NOT, KEY_NO_FLAG, KEY_NEW}, "%d(%d(%d %d(%d)) %d)"},
        {"OR (OLD FROM a) OR 1 2",
         {KEY_AND, KEY_OR, KEY_AND, KEY_OLD, KEY_HEADER, KEY_OR, KEY_SEQUENCE, KEY_SEQUENCE},
         "%d(%d(%d(%d %d) %d(%d %d)))"},
        {"NOT (NOT ALL)", {KEY_AND, KEY_NOT, KEY_AND, KEY_NOT, KEY_ALL}, "%d(%d(%d(%d(%d))))"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct imap_parser parser = parser_of(rows[i].text);
        struct arena *arena = parser.arena;
        struct imap_search search;
        struct buf text = buf_make(0), wanted = buf_make(0);
        const int *kind = rows[i].kinds;
        assert_true(imap_parse_search(&parser, &search));
        describe(search.key, &text);
        for (const char *at = rows[i].shape; *at; at++) {
            if (*at == '%')
                buf_printf(&wanted, "%d", *kind++);
            else if (*at != 'd')
                buf_append_char(&wanted, *at);
        }
        assert_string_equal(buf_string(&text), buf_string(&wanted));
        buf_free(&text);
        buf_free(&wanted);
        arena_destroy(&arena);
    }
}

static void test_search_head(void **state) {
    (void)state;
    struct imap_search search;
    struct imap_parser parser = parser_of(
        "RETURN (MIN COUNT PARTIAL 3:9) CHARSET utf-8 MODSEQ 7 KEYWORD $forwarded SENTON 2-Jan-1970 YOUNGER 60");
    struct arena *arena = parser.arena;
    assert_true(imap_parse_search(&parser, &search));
    assert_true(search.extended && search.has_modseq);
    assert_int_equal(search.returns, RETURN_MIN | RETURN_COUNT | RETURN_PARTIAL);
    assert_int_equal(search.partial_first, 3);
    assert_int_equal(search.partial_last, 9);
    assert_text(search.charset, "utf-8");
    const struct imap_key *key = search.key->first;
    assert_int_equal(key->number, 7);
    assert_int_equal((key = key->next)->flag, FLAG_FORWARDED);
    assert_int_equal((key = key->next)->day, 1);
    assert_int_equal((key = key->next)->number, 60);
    assert_null(key->next);
    parser.rest = STR("RETURN () ALL");
    assert_true(imap_parse_search(&parser, &search));
    assert_int_equal(search.returns, RETURN_ALL);
    parser.rest = STR("(REVERSE DATE SUBJECT) UTF-8 ALL");
    assert_true(imap_parse_sort(&parser, &search));
    assert_int_equal(search.sort_count, 2);
    assert_true(search.sort[0].key == SORT_DATE && search.sort[0].reverse);
    assert_true(search.sort[1].key == SORT_SUBJECT && !search.sort[1].reverse);
    parser.rest = STR("orderedsubject UTF-8 ALL");
    assert_true(imap_parse_thread(&parser, &search));
    assert_text(search.algorithm, "orderedsubject");
    arena_destroy(&arena);
}

static void test_others(void **state) {
    (void)state;
    struct imap_store store;
    struct imap_select select;
    struct imap_create create;
    struct imap_list list;
    struct imap_append_message message;
    struct imap_parser parser = parser_of("5 (UNCHANGEDSINCE 9) -FLAGS.silent (\\seen Work $FORWARDED)");
    struct arena *arena = parser.arena;
    assert_true(imap_parse_store(&parser, &store));
    assert_true(store.change == FLAGS_REMOVE && store.silent && store.has_unchanged_since &&
                store.unchanged_since == 9);
    assert_int_equal(store.flags.system, FLAG_SEEN | FLAG_FORWARDED);
    assert_int_equal(store.flags.keyword_count, 1);
    assert_text(store.flags.keywords[0], "Work");
    parser.rest = STR("inbox/x (QRESYNC (1 2 3:4 (5 6)))");
    assert_true(imap_parse_select(&parser, &select));
    assert_text(select.mailbox, "INBOX/x");
    assert_true(select.qresync && select.uid_validity == 1 && select.modseq == 2);
    assert_text(select.known_uids, "3:4");
    assert_text(select.match_sequences, "5");
    assert_text(select.match_uids, "6");
    parser.rest = STR("Entw&APw-rfe (USE (\\drafts \\All))");
    assert_true(imap_parse_create(&parser, &create));
    assert_text(create.mailbox, "Entw\xc3\xbcrfe");
    assert_int_equal(create.special, SPECIAL_DRAFTS | SPECIAL_ALL);
    parser.rest = STR("(SUBSCRIBED) \"\" (% \"x*\") RETURN (STATUS (SIZE))");
    assert_true(imap_parse_list(&parser, &list));
    assert_true(list.extended && list.pattern_count == 2 && list.reference.length == 0);
    assert_int_equal(list.options, LIST_SUBSCRIBED | LIST_RETURN_STATUS);
    assert_int_equal(list.status, STATUS_SIZE);
    parser.rest = STR("(\\Draft) \" 7-Jul-1996 00:00:10 +0000\" ~{12+}");
    assert_true(imap_parse_append_message(&parser, &message));
    assert_true(message.has_date && message.is_binary && !message.is_utf8 && !message.synchronizing &&
                message.size == 12);
    assert_int_equal(message.date, 836697610);
    arena_destroy(&arena);
}

/* ---- words */

static void test_strings(void **state) {
    (void)state;
    static const struct {
        struct str text;
        const char *string, *error;
    } rows[] = {
        {STR_INIT("\"a\\\"b\\\\c\""), "a\"b\\c", NULL},
        {STR_INIT("\"\""), "", NULL},
        {STR_INIT("{3}\r\na\"b"), "a\"b", NULL},
        {STR_INIT("{0+}\r\n"), "", NULL},
        {STR_INIT("~{2}\r\nab"), "ab", NULL},
        {STR_INIT("\"\xc3\xa4\xff\""), "\xc3\xa4\xff", NULL},
        {STR_INIT("\"a"), NULL, "Unfinished quoted string"},
        {STR_INIT("\"a\\x\""), NULL, "Bad quoted string"},
        {STR_INIT("\"a\\"), NULL, "Bad quoted string"},
        {STR_INIT("\"a\r\n\""), NULL, "Bad quoted string"},
        {STR_INIT("\"a\0\""), NULL, "Bad quoted string"},
        {STR_INIT("{3}\r\na\0b"), NULL, "NUL in a string"},
        {STR_INIT("{3}\r\nab"), NULL, "Bad literal"},
        {STR_INIT("{3}ab"), NULL, "Bad literal"},
        {STR_INIT("{-1}\r\n"), NULL, "Bad literal"},
        {STR_INIT("{}\r\n"), NULL, "Bad literal"},
        {STR_INIT("{99999999999999999999}\r\n"), NULL, "Bad literal"},
        {STR_INIT("a"), NULL, "String expected"},
        {STR_INIT("~"), NULL, "String expected"},
        {STR_INIT(""), NULL, "String expected"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct imap_parser parser = {.rest = rows[i].text, .arena = arena_create(0)};
        struct arena *arena = parser.arena;
        struct str string;
        if (imap_take_string(&parser, &string)) {
            assert_non_null(rows[i].string);
            assert_text(string, rows[i].string);
            assert_int_equal(parser.rest.length, 0);
        } else {
            assert_non_null(rows[i].error);
            assert_string_equal(parser.error, rows[i].error);
            assert_int_equal(parser.rest.length, rows[i].text.length);
        }
        arena_destroy(&arena);
    }
}

static void test_line_literal(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool found;
        uint64_t size;
        bool synchronizing, binary;
    } rows[] = {
        {"a {5}", true, 5, true, false},    {"{0+}", true, 0, false, false}, {"a ~{7+}", true, 7, false, true},
        {"a {5} ", false, 0, false, false}, {"{}", false, 0, false, false},  {"{+}", false, 0, false, false},
        {"{5++}", false, 0, false, false},  {"5}", false, 0, false, false},  {"\"{5}\"", false, 0, false, false},
        {"{{5}", true, 5, true, false},     {"", false, 0, false, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct imap_literal literal = {0};
        assert_int_equal(imap_line_literal(str_from(rows[i].line), &literal), rows[i].found);
        assert_int_equal(literal.size, rows[i].size);
        assert_int_equal(literal.synchronizing, rows[i].synchronizing);
        assert_int_equal(literal.binary, rows[i].binary);
    }
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        struct str string;
        bool utf8;
        const char *said;
        size_t length;
    } rows[] = {
        {STR_INIT("a\"b\\"), false, "\"a\\\"b\\\\\"", 8},
        {STR_INIT(""), false, "\"\"", 2},
        {STR_INIT("\xc3\xa4"), false, "{2}\r\n\xc3\xa4", 7},
        {STR_INIT("\xc3\xa4"), true, "\"\xc3\xa4\"", 4},
        {STR_INIT("\xff"), true, "{1}\r\n\xff", 6},
        {STR_INIT("a\r\nb"), false, "{4}\r\na\r\nb", 9},
        {STR_INIT("\0a\0\0"), false,
         "{4}\r\n\x80"
         "a\x80\x80",
         9}, /* no literal holds a NUL */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf text = buf_make(0);
        imap_append_string(&text, rows[i].string, rows[i].utf8);
        assert_int_equal(text.length, rows[i].length);
        assert_memory_equal(text.data, rows[i].said, rows[i].length);
        buf_free(&text);
    }
    static const struct {
        const char *mailbox, *said;
    } names[] = {{"INBOX", "INBOX"}, {"a b", "\"a b\""}, {"nil", "\"nil\""}, {"\xc3\xa4", "&AOQ-"},
                 {"a&b", "a&-b"},    {"a*", "\"a*\""},   {"a]", "a]"}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf text = buf_make(0);
        imap_append_mailbox(&text, str_from(names[i].mailbox), false);
        assert_string_equal(buf_string(&text), names[i].said);
        buf_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_limits),       cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_search_head),  cmocka_unit_test(test_others),
        cmocka_unit_test(test_strings),  cmocka_unit_test(test_line_literal), cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
