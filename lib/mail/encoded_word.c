/* encoded_word: one pass over the value, words and what stands between. */
#include "encoded_word.h"
#include "charset.h"

#define CHARSET_PART_MAX 80 /* charset and language */
/* Converters that one value may open: opening one may load it. Words beyond that count as UTF-8. */
#define CONVERTERS_MAX 50

struct word {
    struct str charset;
    struct str text;
    bool base64;
    size_t length; /* "=?" to "?=" */
};

struct decoder {
    struct buf *out;
    struct buf bytes; /* of one word */
    struct str charset;
    struct charset_converter *converter; /* of that charset; kept for the next word */
    unsigned converters;
    bool in_words; /* what came last was a word */
};

/* A word at the start of rest. Its parts hold no '?', so each look ends at the next one. */
static bool take_word(struct str rest, struct word *word) {
    struct str charset, text, encoding;
    if (!str_starts(rest, STR("=?"))) return false;
    struct str body = str_from_offset(rest, 2);
    struct str near = str_slice(body, 0, CHARSET_PART_MAX + 1);
    if (!str_cut(near, '?', &charset, &text) || charset.length == 0) return false;
    body = str_from_offset(body, charset.length + 1);
    encoding = str_slice(body, 0, 2);
    if (encoding.length < 2 || encoding.data[1] != '?') return false;
    char c = ascii_lower(encoding.data[0]);
    if (c != 'b' && c != 'q') return false;
    body = str_from_offset(body, 2);
    size_t end = str_find(body, '?');
    if (end == STR_NONE || end + 1 >= body.length || body.data[end + 1] != '=') return false;
    struct str name = charset, language;
    (void)!str_cut(charset, '*', &name, &language);
    word->charset = name;
    word->text = str_slice(body, 0, end);
    word->base64 = c == 'b';
    word->length = (size_t)(body.data - rest.data) + end + 2;
    return true;
}

static int hex_value(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode_q(struct str text, struct buf *out) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '_') {
            c = ' ';
        } else if (c == '=' && i + 2 < text.length) {
            int high = hex_value(text.data[i + 1]), low = hex_value(text.data[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        buf_append_char(out, c);
    }
}

static void decode_b(struct str text, struct buf *out) {
    struct transfer_reader reader;
    char block[256];
    size_t got;
    transfer_reader_begin(&reader, text, MIME_BASE64);
    while ((got = transfer_reader_next(&reader, block, sizeof block)) > 0)
        buf_append_bytes(out, block, got);
}

/* The words so far end. */
static void end_words(struct decoder *decoder) {
    if (decoder->in_words) (void)!charset_convert(decoder->converter, STR_EMPTY, true, decoder->out);
    decoder->in_words = false;
}

static void choose_charset(struct decoder *decoder, struct str charset) {
    if (decoder->converter != NULL && str_equal_nocase(decoder->charset, charset)) return;
    end_words(decoder);
    charset_close(&decoder->converter);
    decoder->converter = charset_open_lenient(decoder->converters++ < CONVERTERS_MAX ? charset : STR_EMPTY);
    decoder->charset = charset;
}

static void add_word(struct decoder *decoder, const struct word *word) {
    choose_charset(decoder, word->charset);
    decoder->in_words = true;
    buf_clear(&decoder->bytes);
    if (word->base64) {
        decode_b(word->text, &decoder->bytes);
    } else {
        decode_q(word->text, &decoder->bytes);
    }
    (void)!charset_convert(decoder->converter, buf_str(&decoder->bytes), false, decoder->out);
}

static void append_unfolded(struct buf *out, struct str text) {
    for (size_t at = 0, end; at < text.length; at = end + 1) {
        for (end = at; end < text.length && text.data[end] != '\r' && text.data[end] != '\n';)
            end++;
        buf_append(out, str_slice(text, at, end));
    }
}

/* Text between words, unfolded. */
static void add_plain(struct decoder *decoder, struct str text) {
    end_words(decoder);
    if (str_is_ascii(text)) {
        append_unfolded(decoder->out, text);
        return;
    }
    buf_clear(&decoder->bytes);
    append_unfolded(&decoder->bytes, text);
    struct charset_converter *converter = charset_open_lenient(STR_EMPTY);
    (void)!charset_convert(converter, buf_str(&decoder->bytes), true, decoder->out);
    charset_close(&converter);
}

static bool is_white(struct str text) {
    return str_trim(text).length == 0;
}

/* Offset of the next "=?", or the length. */
static size_t next_word(struct str value, size_t from) {
    for (; from < value.length; from++) {
        const char *found = memchr(value.data + from, '=', value.length - from);
        if (found == NULL) break;
        from = (size_t)(found - value.data);
        if (from + 1 < value.length && value.data[from + 1] == '?') return from;
    }
    return value.length;
}

static void blank_controls(struct buf *out, size_t from) {
    for (size_t i = from; i < out->length; i++) {
        unsigned char c = (unsigned char)out->data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) out->data[i] = ' ';
    }
}

bool encoded_word_decode(struct str value, struct buf *out) {
    struct decoder decoder = {.out = out};
    size_t from = out->length, plain = 0;
    value = str_trim(value);
    for (size_t at = next_word(value, 0); at < value.length && !buf_overflowed(out);) {
        struct word word;
        if (!take_word(str_from_offset(value, at), &word)) {
            at = next_word(value, at + 1);
            continue;
        }
        struct str between = str_slice(value, plain, at);
        bool adjacent = decoder.in_words && is_white(between);
        if (!adjacent && between.length > 0) add_plain(&decoder, between);
        add_word(&decoder, &word);
        plain = at + word.length;
        at = next_word(value, plain);
    }
    end_words(&decoder);
    if (plain < value.length) add_plain(&decoder, str_from_offset(value, plain));
    charset_close(&decoder.converter);
    buf_free(&decoder.bytes);
    blank_controls(out, from);
    return !buf_overflowed(out);
}

bool encoded_word_is_needed(struct str value) {
    return !str_is_ascii(value) || str_find_str(value, STR("=?")) != STR_NONE;
}
