/* See pop3_line.h: lines, CAPA, LANG. */
#include "pop3_line.h"

static const struct row {
    struct str word;
    unsigned states, least, most;
    const char *capability;
} rows[] = {
#define POP3_COMMAND(word, states, least, most, capability)                                                            \
    [POP3_##word] = {STR_INIT(#word), states, least, most, capability},
#include "pop3_commands.def"
#undef POP3_COMMAND
};

static enum pop3_word find_word(struct str name) {
    for (unsigned i = POP3_NONE + 1; i < POP3_WORDS; i++)
        if (str_equal_nocase(name, rows[i].word)) return (enum pop3_word)i;
    return POP3_NONE;
}

/* Arguments are parted by one space; more of them, and some at the end, are forgiven. */
static bool take_arguments(struct str rest, unsigned most, struct pop3_line *line) {
    struct str word;
    while (str_next_word(&rest, " ", &word)) {
        if (line->count == most || line->count == POP3_ARGUMENTS_MAX) return false;
        line->arguments[line->count++] = word;
    }
    return true;
}

static bool refuse(struct pop3_line *line, const char *error) {
    *line = (struct pop3_line){.word = POP3_NONE, .error = error};
    return false;
}

bool pop3_line_parse(struct str text, enum pop3_state state, struct pop3_line *line) {
    struct str name = text, rest = STR_EMPTY;
    bool has_rest = str_cut(text, ' ', &name, &rest);
    *line = (struct pop3_line){.word = find_word(name)};
    const struct row *row = &rows[line->word];
    if (line->word == POP3_NONE) return refuse(line, "Unknown command");
    if (!(row->states & (unsigned)state)) return refuse(line, state == POP3_TRANSACTION ? "Not now" : "Log in first");
    if (row->most == POP3_WHOLE) {
        line->arguments[0] = rest;
        line->count = has_rest;
    } else if (!take_arguments(rest, row->most, line)) {
        return refuse(line, "Too many arguments");
    }
    return line->count >= row->least || refuse(line, "Argument expected");
}

bool pop3_number(struct str text, uint32_t count, uint32_t *number) {
    uint64_t value;
    if (!str_to_u64(text, count, &value) || value == 0) return false;
    *number = (uint32_t)value;
    return true;
}

void pop3_capabilities(unsigned login_delay, struct buf *text) {
    for (unsigned i = 0; i < POP3_WORDS; i++)
        if (rows[i].capability[0]) buf_printf(text, "%s\r\n", rows[i].capability);
    buf_append(text, STR("PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n"));
    if (login_delay > 0) buf_printf(text, "LOGIN-DELAY %u\r\n", login_delay);
    buf_append(text, STR("IMPLEMENTATION tern\r\n"));
}

void pop3_logins(struct str mechanisms, struct buf *text) {
    buf_append(text, STR("USER\r\n"));
    if (mechanisms.length > 0) buf_printf(text, "SASL %.*s\r\n", STR_ARGS(mechanisms));
}

void pop3_language(bool has_argument, struct str argument, struct buf *text) {
    if (!has_argument)
        buf_append(text, STR("+OK Languages follow\r\nen English\r\ni-default English\r\n.\r\n"));
    else if (str_equal_nocase(argument, STR("en")) || str_equal_nocase(argument, STR("i-default")) ||
             str_equal(argument, STR("*")))
        buf_printf(text, "+OK %s English it is\r\n", str_equal_nocase(argument, STR("en")) ? "en" : "i-default");
    else
        buf_append(text, STR("-ERR No such language\r\n"));
}
