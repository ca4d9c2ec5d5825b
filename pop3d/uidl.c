/* Unique IDs, in the forms that Dovecot and Courier have written them in: who moves here keeps them. */
#include "pop3_line.h"

#define WIDTH_MAX 20

struct word {
    unsigned width;
    bool zeroes, hexadecimal;
    char letter; /* u, v, f, % */
};

/* The word behind a %; takes it off *format. */
static bool take_word(struct str *format, struct word *word) {
    size_t i = 0;
    *word = (struct word){0};
    if (i < format->length && format->data[i] == '0') word->zeroes = true;
    for (; i < format->length && ascii_is_digit(format->data[i]) && word->width <= WIDTH_MAX; i++)
        word->width = word->width * 10 + (unsigned)(format->data[i] - '0');
    if (i < format->length && format->data[i] == 'X') {
        word->hexadecimal = true;
        i++;
    }
    if (i == format->length || word->width > WIDTH_MAX) return false;
    word->letter = format->data[i++];
    *format = str_from_offset(*format, i);
    if (word->letter == 'u' || word->letter == 'v') return true;
    return (word->letter == 'f' || word->letter == '%') && word->width == 0 && !word->zeroes && !word->hexadecimal;
}

static bool take_piece(struct str *format, char *plain, struct word *word) {
    *plain = format->data[0];
    *format = str_from_offset(*format, 1);
    return *plain != '%' || take_word(format, word);
}

bool pop3_uidl_is_valid(struct str format) {
    bool tells_apart = false; /* without the UID or the name all messages would be one */
    while (format.length > 0) {
        struct word word;
        char plain;
        if (!take_piece(&format, &plain, &word)) return false;
        if (plain != '%' && (plain < 0x21 || plain > 0x7e)) return false;
        if (plain == '%') tells_apart = tells_apart || word.letter == 'u' || word.letter == 'f';
    }
    return tells_apart;
}

bool pop3_uidl_wants_name(struct str format) {
    while (format.length > 0) {
        struct word word;
        char plain;
        if (!take_piece(&format, &plain, &word)) return false;
        if (plain == '%' && word.letter == 'f') return true;
    }
    return false;
}

/* By hand: UIDL of a large mailbox is nothing but this. */
static void append_number(const struct word *word, uint32_t number, struct buf *text) {
    char digits[WIDTH_MAX];
    unsigned base = word->hexadecimal ? 16 : 10, at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (sizeof digits - at < word->width)
        digits[--at] = word->zeroes ? '0' : ' ';
    buf_append_bytes(text, digits + at, sizeof digits - at);
}

void pop3_uidl_append(struct str format, uint32_t uid, uint32_t uid_validity, struct str file_name, struct buf *text) {
    size_t begin = text->length;
    while (format.length > 0) {
        struct word word;
        char plain;
        if (!take_piece(&format, &plain, &word)) break;
        if (plain != '%')
            buf_append_char(text, plain);
        else if (word.letter == 'f')
            buf_append(text, file_name);
        else if (word.letter == '%')
            buf_append_char(text, '%');
        else
            append_number(&word, word.letter == 'u' ? uid : uid_validity, text);
    }
    if (text->length > begin + POP3_UIDL_MAX) buf_truncate(text, begin + POP3_UIDL_MAX);
    for (size_t i = begin; i < text->length; i++)
        if (text->data[i] < 0x21 || text->data[i] > 0x7e) text->data[i] = '_';
}
