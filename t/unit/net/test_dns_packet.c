/* DNS messages: what is built, and a table of what may come back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "dns_packet.h"

#define ID 0x1234

/* Pieces of packets. "\xc0\x0c" points to the question's name. */
#define HEAD(flags, rcode) "\x12\x34" flags rcode
#define COUNTS(answers, authority, additional) "\0\1\0" answers "\0" authority "\0" additional
#define ANSWER_FLAGS "\x81" /* QR RD */
#define RECURSIVE "\x80"
#define EXAMPLE "\7example\3org\0"
#define IN_MX "\0\x0f\0\1"
#define IN_A "\0\1\0\1"
#define IN_CNAME "\0\5\0\1"
#define IN_TXT "\0\x10\0\1"
#define IN_PTR "\0\x0c\0\1"
#define IN_SOA "\0\6\0\1"
#define TTL_300 "\0\0\1\x2c"
#define TTL_60 "\0\0\0\x3c"
#define MX_HEAD(answers) HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS(answers, "\0", "\0") EXAMPLE IN_MX
/* SOA: m.example.org h.example.org, minimum 60 */
#define SOA "\xc0\x0c" IN_SOA TTL_300 "\0\x1c\1m\xc0\x0c\1h\xc0\x0c\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x3c"

struct row {
    const char *what;
    struct str bytes;
    enum dns_type type;
    enum dns_packet_result result;
    enum dns_outcome outcome;
    size_t count;
    uint32_t ttl;
    unsigned aliases;
    const char *owner;
    const char *first; /* name or data of the first record */
};

#define ROW(what, type, result, bytes, ...) {what, STR_INIT(bytes), type, DNS_PACKET_##result, __VA_ARGS__}
#define BAD(what, type, result, bytes) ROW(what, type, result, bytes, DNS_OUTCOME_FOUND, 0, 0, 0, "", "")
#define ANSWER(what, type, outcome, count, ttl, aliases, owner, first, bytes) \
    ROW(what, type, ANSWER, bytes, DNS_OUTCOME_##outcome, count, ttl, aliases, owner, first)

static const struct row rows[] = {
    /* answers */
    ANSWER("MX", DNS_MX, FOUND, 1, 300, 0, "example.org", "mx.example.org",
           MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    ANSWER("question in capitals", DNS_MX, FOUND, 1, 300, 0, "example.org", "mx.example.org",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") "\7eXAMPLe\3Org\0" IN_MX "\xc0\x0c" IN_MX TTL_300
           "\0\7\0\x0a\2mx\xc0\x0c"),
    ANSWER("null MX", DNS_MX, FOUND, 1, 300, 0, "example.org", "",
           MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\3\0\0\0"),
    ANSWER("one MX of nonsense beside a good one", DNS_MX, FOUND, 1, 60, 0, "example.org", "mx.example.org",
           MX_HEAD("\2") "\xc0\x0c" IN_MX TTL_60 "\0\6\0\x0a\1(\xc0\x0c\xc0\x0c" IN_MX TTL_300
           "\0\7\0\x0a\2mx\xc0\x0c"),
    ANSWER("TXT strings are joined", DNS_TXT, FOUND, 1, 300, 0, "example.org", "v=spf1 -all",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_TXT "\xc0\x0c" IN_TXT TTL_300
           "\0\x0d\6v=spf1\5 -all"),
    ANSWER("TTL with its top bit set is 0", DNS_TXT, FOUND, 1, 0, 0, "example.org", "a",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_TXT "\xc0\x0c" IN_TXT "\x80\0\0\1"
           "\0\2\1a"),
    ANSWER("alias and its target", DNS_MX, FOUND, 1, 60, 1, "b.example.org", "mx.example.org",
           MX_HEAD("\2") "\xc0\x0c" IN_CNAME TTL_60 "\0\4\1b\xc0\x0c\1b\xc0\x0c" IN_MX TTL_300
           "\0\7\0\x0a\2mx\xc0\x0c"),
    ANSWER("alias that leads out of the packet", DNS_MX, ALIAS, 0, 60, 1, "b.example.org", "",
           MX_HEAD("\1") "\xc0\x0c" IN_CNAME TTL_60 "\0\4\1b\xc0\x0c"),
    ANSWER("CNAME asked for", DNS_CNAME, FOUND, 1, 60, 0, "example.org", "b.example.org",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_CNAME "\xc0\x0c" IN_CNAME TTL_60
           "\0\4\1b\xc0\x0c"),
    ANSWER("alias to itself", DNS_MX, FOUND, 0, 0, DNS_ALIAS_LIMIT + 1, "", "",
           MX_HEAD("\1") "\xc0\x0c" IN_CNAME TTL_60 "\0\2\xc0\x0c"),
    ANSWER("records of other names are left out", DNS_MX, NO_DATA, 0, 0, 0, "example.org", "",
           MX_HEAD("\1") "\5other\0" IN_MX TTL_300 "\0\7\0\x0a\2mx\xc0\x0c"),
    ANSWER("no such name, with SOA", DNS_MX, NO_NAME, 0, 60, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, "\x83") COUNTS("\0", "\1", "\0") EXAMPLE IN_MX SOA),
    ANSWER("no such name, without SOA", DNS_MX, NO_NAME, 0, 0, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, "\x83") COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    ANSWER("no data, with SOA", DNS_MX, NO_DATA, 0, 60, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\1", "\0") EXAMPLE IN_MX SOA),
    ANSWER("SOA of another zone does not count", DNS_MX, NO_DATA, 0, 0, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\1", "\0") EXAMPLE IN_MX "\5other\0" IN_SOA TTL_300
           "\0\x16\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x3c"),
    ANSWER("authoritative without recursion", DNS_MX, NO_DATA, 0, 60, 0, "example.org", "",
           HEAD("\x85", "\0") COUNTS("\0", "\1", "\0") EXAMPLE IN_MX SOA),
    ANSWER("PTR to nonsense is none", DNS_PTR, NO_DATA, 0, 0, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_PTR "\xc0\x0c" IN_PTR TTL_300
           "\0\5\3(a)\0"),
    ANSWER("PTR to digits is none", DNS_PTR, NO_DATA, 0, 0, 0, "example.org", "",
           HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_PTR "\xc0\x0c" IN_PTR TTL_300
           "\0\5\1" "1" "\1" "2" "\0"),

    /* not ours */
    BAD("empty", DNS_MX, FOREIGN, ""),
    BAD("eleven bytes", DNS_MX, FOREIGN, "\x12\x34\x81\x80\0\1\0\0\0\0\0"),
    BAD("other ID", DNS_MX, FOREIGN,
        "\x12\x35" ANSWER_FLAGS RECURSIVE COUNTS("\1", "\0", "\0") EXAMPLE IN_MX "\xc0\x0c" IN_MX TTL_300
        "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("a question", DNS_MX, FOREIGN, HEAD("\1", "\0") COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    BAD("a notify", DNS_MX, FOREIGN, HEAD("\xa1", "\0") COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    BAD("other name", DNS_MX, FOREIGN,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\0", "\0") "\7example\3net\0" IN_MX),
    BAD("other type", DNS_MX, FOREIGN, HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\0", "\0") EXAMPLE IN_A),
    BAD("other class", DNS_MX, FOREIGN, HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\0", "\0") EXAMPLE "\0\x0f\0\3"),
    BAD("no question", DNS_MX, FOREIGN, HEAD(ANSWER_FLAGS, RECURSIVE) "\0\0\0\0\0\0\0\0"),
    BAD("two questions", DNS_MX, FOREIGN,
        HEAD(ANSWER_FLAGS, RECURSIVE) "\0\2\0\0\0\0\0\0" EXAMPLE IN_MX EXAMPLE IN_MX),
    BAD("question's name points to itself", DNS_MX, FOREIGN,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\0", "\0") "\xc0\x0c" IN_MX),

    /* no answers */
    BAD("truncated", DNS_MX, TRUNCATED, HEAD("\x83", RECURSIVE) COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    BAD("SERVFAIL", DNS_MX, REFUSED, HEAD(ANSWER_FLAGS, "\x82") COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    BAD("REFUSED", DNS_MX, REFUSED, HEAD(ANSWER_FLAGS, "\x85") COUNTS("\0", "\0", "\0") EXAMPLE IN_MX),
    BAD("FORMERR, nothing but a header", DNS_MX, REFUSED, HEAD(ANSWER_FLAGS, "\x81") "\0\0\0\0\0\0\0\0"),
    BAD("BADVERS, in the OPT record", DNS_MX, REFUSED,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\0", "\0", "\1") EXAMPLE IN_MX "\0\0\x29\4\xd0\1\0\0\0\0\0"),
    BAD("lame: a referral", DNS_MX, REFUSED,
        HEAD(ANSWER_FLAGS, "\0") COUNTS("\0", "\1", "\0") EXAMPLE IN_MX "\3org\0\0\2\0\1" TTL_300 "\0\4\2ns\0"),

    /* broken */
    BAD("more records promised than there are", DNS_MX, MALFORMED,
        MX_HEAD("\2") "\xc0\x0c" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("data longer than the packet", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\x08\0\x0a\2MX\xc0\x0c"),
    BAD("name longer than the data", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\6\0\x0a\2MX\xc0\x0c"),
    BAD("data longer than the name", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\x08\0\x0a\2MX\xc0\x0c."),
    BAD("owner points to itself", DNS_MX, MALFORMED, MX_HEAD("\1") "\xc0\x1d" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("owner points ahead", DNS_MX, MALFORMED, MX_HEAD("\1") "\xc0\x2b" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("owner points into the header", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\2" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("a label that runs into its own pointer", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\1a\xc0\x1d" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("reserved label kind", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\x80\x0c" IN_MX TTL_300 "\0\7\0\x0a\2MX\xc0\x0c"),
    BAD("only an MX of nonsense", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\6\0\x0a\1(\xc0\x0c"),
    BAD("MX of an address", DNS_MX, MALFORMED,
        MX_HEAD("\1") "\xc0\x0c" IN_MX TTL_300 "\0\x0b\0\x0a\1" "1\1" "2\1" "3\1" "4\0"),
    BAD("A of three bytes", DNS_A, MALFORMED,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_A "\xc0\x0c" IN_A TTL_300 "\0\3\x7f\0\1"),
    BAD("A of five bytes", DNS_A, MALFORMED,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_A "\xc0\x0c" IN_A TTL_300
        "\0\5\x7f\0\0\1\1"),
    BAD("TXT string over its end", DNS_TXT, MALFORMED,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE IN_TXT "\xc0\x0c" IN_TXT TTL_300 "\0\2\2a"),
    BAD("TLSA of two bytes", DNS_TLSA, MALFORMED,
        HEAD(ANSWER_FLAGS, RECURSIVE) COUNTS("\1", "\0", "\0") EXAMPLE "\0\x34\0\1\xc0\x0c\0\x34\0\1" TTL_300
        "\0\2\3\1"),
    BAD("short SOA", DNS_MX, MALFORMED,
        HEAD(ANSWER_FLAGS, "\x83") COUNTS("\0", "\1", "\0") EXAMPLE IN_MX "\xc0\x0c" IN_SOA TTL_300
        "\0\6\0\0\0\0\0\1"),
    BAD("alias to no name", DNS_MX, MALFORMED, MX_HEAD("\1") "\xc0\x0c" IN_CNAME TTL_60 "\0\4\2\x01\x02\0"),
};

static struct dns_question question_of(enum dns_type type) {
    struct dns_question question = {.type = type};
    assert_true(dns_name_set(&question.name, STR("example.org")));
    return question;
}

/* Parses a copy that ends where the bytes end, so that ASan sees a read past it. */
static enum dns_packet_result parse_tight(struct str bytes, const struct dns_question *question, struct arena *arena,
                                          struct dns_response *response) {
    char *copy = malloc(bytes.length + (bytes.length == 0));
    memcpy(copy, bytes.data, bytes.length);
    enum dns_packet_result result = dns_packet_parse(str_make(copy, bytes.length), question, ID, arena, response);
    free(copy);
    return result;
}

static void check_response(const struct row *row, const struct dns_response *response) {
    assert_int_equal(response->aliases, row->aliases);
    if (row->aliases > DNS_ALIAS_LIMIT) return;
    assert_int_equal(response->outcome, row->outcome);
    assert_int_equal(response->count, row->count);
    assert_int_equal(response->ttl, row->ttl);
    assert_true(str_equal(response->name, str_from(row->owner)));
    if (row->count == 0) return;
    struct str first = row->type == DNS_TXT ? response->records[0].data : response->records[0].name;
    assert_true(str_equal(first, str_from(row->first)));
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct row *row = &rows[i];
        struct arena *arena = arena_create(0);
        struct dns_response response = {.name = STR_EMPTY};
        struct dns_question question = question_of(row->type);
        enum dns_packet_result result = parse_tight(row->bytes, &question, arena, &response);
        if (result != row->result) print_message("row: %s\n", row->what);
        assert_int_equal(result, row->result);
        if (result == DNS_PACKET_ANSWER) check_response(row, &response);
        arena_destroy(&arena);
    }
}

/* No beginning of a good packet passes for the packet. */
static void test_cut_short(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct row *row = &rows[i];
        if (row->result != DNS_PACKET_ANSWER) continue;
        for (size_t length = 0; length < row->bytes.length; length++) {
            struct arena *arena = arena_create(0);
            struct dns_response response = {.name = STR_EMPTY};
            struct dns_question question = question_of(row->type);
            enum dns_packet_result result = parse_tight(str_slice(row->bytes, 0, length), &question, arena, &response);
            assert_true(result == DNS_PACKET_FOREIGN || result == DNS_PACKET_MALFORMED);
            arena_destroy(&arena);
        }
    }
}

/* Every byte of every packet, altered: no crash, and no loop. */
static void test_altered(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str bytes = rows[i].bytes;
        struct dns_question question = question_of(rows[i].type);
        char *copy = malloc(bytes.length + 1);
        for (size_t at = 0; at < bytes.length * 3; at++) {
            static const char changes[] = {'\x01', '\x40', '\x7f'};
            struct arena *arena = arena_create(0);
            struct dns_response response = {.name = STR_EMPTY};
            memcpy(copy, bytes.data, bytes.length);
            copy[at / 3] = (char)(copy[at / 3] ^ changes[at % 3]);
            enum dns_packet_result result = parse_tight(str_make(copy, bytes.length), &question, arena, &response);
            assert_true(result <= DNS_PACKET_MALFORMED);
            arena_destroy(&arena);
        }
        free(copy);
    }
}

/* More than a message can be, and more records than we take. */
static void test_large(void **state) {
    (void)state;
    struct buf bytes = {0};
    struct arena *arena = arena_create(0);
    struct dns_response response = {.name = STR_EMPTY};
    struct dns_question question = question_of(DNS_A);
    buf_append(&bytes, STR("\x12\x34\x81\x80\0\1\x0f\xa0\0\0\0\0" EXAMPLE IN_A)); /* 4000 answers */
    for (int i = 0; i < 4000; i++) buf_append(&bytes, STR("\xc0\x0c" IN_A TTL_300 "\0\4\x7f\0\0\1"));
    assert_int_equal(parse_tight(buf_str(&bytes), &question, arena, &response), DNS_PACKET_ANSWER);
    assert_int_equal(response.count, DNS_RECORD_LIMIT);
    buf_append(&bytes, STR("more"));
    while (bytes.length <= UINT16_MAX) buf_append_char(&bytes, 'x');
    assert_int_equal(parse_tight(buf_str(&bytes), &question, arena, &response), DNS_PACKET_FOREIGN);
    buf_free(&bytes);
    arena_destroy(&arena);
}

static void test_query(void **state) {
    (void)state;
    struct buf wire = {0};
    struct dns_question question = question_of(DNS_MX);
    assert_true(dns_packet_query(&question, ID, true, &wire));
    struct str expected = STR("\x12\x34\1\x20\0\1\0\0\0\0\0\1" EXAMPLE IN_MX "\0\0\x29\4\xd0\0\0\x80\0\0\0");
    assert_true(str_equal(buf_str(&wire), expected));
    buf_clear(&wire);
    assert_true(dns_packet_query(&question, ID, false, &wire));
    assert_true(str_equal(buf_str(&wire), STR("\x12\x34\1\x20\0\1\0\0\0\0\0\0" EXAMPLE IN_MX)));
    buf_free(&wire);
}

static void test_names(void **state) {
    (void)state;
#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"
    static const struct {
        struct str text;
        const char *name; /* NULL: no DNS name */
        bool host;
    } names[] = {
        {STR_INIT("Example.ORG."), "example.org", true},
        {STR_INIT("org"), "org", true},
        {STR_INIT("_25._tcp.mx.example.org"), "_25._tcp.mx.example.org", true},
        {STR_INIT("0/25.2.0.192.in-addr.arpa"), "0/25.2.0.192.in-addr.arpa", false},
        {STR_INIT("192.0.2.1"), "192.0.2.1", false},
        {STR_INIT("4"), "4", false},
        {STR_INIT(LABEL_63 ".org"), LABEL_63 ".org", true},
        {STR_INIT(LABEL_63 "4.org"), NULL, false},
        {STR_INIT(LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63), NULL, false},
        {STR_INIT(""), NULL, false},
        {STR_INIT("."), NULL, false},
        {STR_INIT(".org"), NULL, false},
        {STR_INIT("a..org"), NULL, false},
        {STR_INIT("example.org.."), NULL, false},
        {STR_INIT("a b.org"), NULL, false},
        {STR_INIT("a\0b.org"), NULL, false},
        {STR_INIT("a\\.org"), NULL, false},
        {STR_INIT("m\xc3\xbcnchen.example"), NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct dns_name name;
        assert_int_equal(dns_name_set(&name, names[i].text), names[i].name != NULL);
        assert_int_equal(dns_name_is_host(names[i].text), names[i].host);
        if (names[i].name) assert_string_equal(name.text, names[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_cut_short), cmocka_unit_test(test_altered),
        cmocka_unit_test(test_large), cmocka_unit_test(test_query),     cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
