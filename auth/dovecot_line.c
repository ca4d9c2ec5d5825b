/* Lines of Dovecot's auth protocol. */
#include "dovecot_line.h"

#define ESCAPE '\001'

static struct str next_word(struct str *rest) {
    struct str word = *rest, after = STR_EMPTY;
    str_cut(*rest, '\t', &word, &after);
    *rest = after;
    return word;
}

/* "OK\t12\t...": the number, or the line means nothing. */
static bool take_number(struct dovecot_line *line, struct str *rest, struct failure *failure) {
    struct str word = next_word(rest);
    return str_to_u64(word, UINT32_MAX, &line->number) || failure_set(failure, "a line without its number");
}

bool dovecot_line_parse(struct str text, struct dovecot_line *parsed, struct failure *failure) {
    struct dovecot_line line = {.kind = DOVECOT_OTHER, .name = STR_EMPTY, .parameters = STR_EMPTY};
    struct str rest = text, verb = next_word(&rest);
    if (memchr(text.data, '\0', text.length)) return failure_set(failure, "a NUL in a line");
    if (str_equal(verb, STR("VERSION")))
        line.kind = DOVECOT_VERSION;
    else if (str_equal(verb, STR("MECH")))
        line.kind = DOVECOT_MECHANISM;
    else if (str_equal(verb, STR("DONE")))
        line.kind = DOVECOT_HELLO_END;
    else if (str_equal(verb, STR("CONT")))
        line.kind = DOVECOT_CONTINUE;
    else if (str_equal(verb, STR("OK")))
        line.kind = DOVECOT_OK;
    else if (str_equal(verb, STR("FAIL")))
        line.kind = DOVECOT_FAIL;
    bool numbered = line.kind == DOVECOT_VERSION || line.kind == DOVECOT_CONTINUE || line.kind == DOVECOT_OK ||
                    line.kind == DOVECOT_FAIL;
    if (numbered && !take_number(&line, &rest, failure)) return false;
    if (line.kind == DOVECOT_MECHANISM || line.kind == DOVECOT_CONTINUE) line.name = next_word(&rest);
    if (line.kind == DOVECOT_MECHANISM && line.name.length == 0)
        return failure_set(failure, "a mechanism without a name");
    line.parameters = rest;
    *parsed = line;
    return true;
}

static char unescaped(char c) {
    switch (c) {
    case '0':
        return '\0';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    default: /* 1, and what nobody should send */
        return c == '1' ? ESCAPE : c;
    }
}

bool dovecot_parameter_next(struct str *rest, struct str *name, struct buf *value) {
    struct str word, text = STR_EMPTY;
    do {
        if (rest->length == 0) return false;
        word = next_word(rest);
    } while (word.length == 0);
    *name = word;
    str_cut(word, '=', name, &text);
    buf_clear(value);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == ESCAPE && i + 1 < text.length)
            buf_append_char(value, unescaped(text.data[++i]));
        else
            buf_append_char(value, text.data[i]);
    }
    return true;
}

bool dovecot_mechanism_is_usable(const struct dovecot_line *line) {
    struct str rest = line->parameters, word, name = line->name;
    while (str_cut(rest, '\t', &word, &rest) || ((word = rest).length > 0 && (rest = STR_EMPTY, true)))
        if (str_equal(word, STR("private"))) return false;
    if (name.length > 20 || str_ends(name, STR("-PLUS"))) return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!(c >= 'A' && c <= 'Z') && !ascii_is_digit(c) && c != '-' && c != '_') return false;
    }
    return name.length > 0;
}

void dovecot_parameter_append(struct buf *line, const char *name, struct str value) {
    static const struct {
        char octet, letter;
    } escapes[] = {{'\0', '0'}, {ESCAPE, '1'}, {'\t', 't'}, {'\r', 'r'}, {'\n', 'n'}};
    buf_printf(line, "\t%s=", name);
    for (size_t i = 0; i < value.length; i++) {
        char letter = 0;
        for (size_t k = 0; k < ARRAY_LENGTH(escapes); k++)
            if (escapes[k].octet == value.data[i]) letter = escapes[k].letter;
        if (letter) buf_append_char(line, ESCAPE);
        buf_append_char(line, letter ? letter : value.data[i]);
    }
}
