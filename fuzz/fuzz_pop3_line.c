/* Fuzz target: POP3's command lines, in both states, and a format of unique IDs, which is the first line. */
#include "pop3_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) __builtin_trap();
}

static void try_line(struct str text, enum pop3_state state) {
    struct pop3_line line;
    struct buf answer = buf_make(0);
    uint32_t number = 0;
    bool good = pop3_line_parse(text, state, &line);
    check(good == (line.word != POP3_NONE) && good == (line.error == NULL) && line.count <= POP3_ARGUMENTS_MAX);
    for (unsigned i = 0; i < line.count; i++) {
        struct str argument = line.arguments[i];
        check(argument.length == 0 ||
              (argument.data >= text.data && argument.data + argument.length <= text.data + text.length));
        if (pop3_number(argument, 1000, &number)) check(number >= 1 && number <= 1000);
    }
    if (line.word == POP3_LANG) {
        pop3_language(line.count > 0, line.arguments[0], &answer);
        check(str_ends(buf_str(&answer), STR("\r\n")));
    }
    buf_free(&answer);
}

static void try_format(struct str format) {
    struct buf one = buf_make(0), other = buf_make(0);
    pop3_uidl_append(format, 4294967295U, 7, STR("1700000000.M1P2.host,S=3\xff"), &one);
    pop3_uidl_append(format, 1, 7, STR("1700000001.M1P2.host"), &other);
    check(one.length <= POP3_UIDL_MAX);
    for (size_t i = 0; i < one.length; i++)
        check(one.data[i] >= 0x21 && one.data[i] <= 0x7e);
    if (pop3_uidl_is_valid(format) && one.length < POP3_UIDL_MAX)
        check(one.length > 0 && !str_equal(buf_str(&one), buf_str(&other)));
    (void)pop3_uidl_wants_name(format);
    buf_free(&one);
    buf_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), line = input;
    if (!str_cut(input, '\n', &line, &input)) input = STR_EMPTY;
    try_format(line);
    while (str_cut(input, '\n', &line, &input)) {
        try_line(line, POP3_AUTHORIZATION);
        try_line(line, POP3_TRANSACTION);
    }
    return 0;
}
