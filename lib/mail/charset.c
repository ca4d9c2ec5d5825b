/* charset: the converters, and bodies read through them. */
#include "charset.h"
#include "memory.h"
#include "utf8.h"
#include <errno.h>
#include <iconv.h>

#define PENDING_MAX 16 /* octets of one character in any set, escape sequences included */
#define REPLACEMENT 0xfffd

enum kind {
    KIND_UTF8,
    KIND_SINGLE, /* an octet is a character */
    KIND_ICONV,
};

struct charset_converter {
    enum kind kind;
    iconv_t iconv;
    const uint16_t
        *high; /* KIND_SINGLE: what 0x80 to 0xff stand for, 0: nothing; NULL: for the code points of that number */
    bool malformed;
    size_t pending_length;
    char pending[PENDING_MAX]; /* the beginning of a character */
};

/* ---- names */

static const struct str utf8_names[] = {STR_INIT("utf-8"), STR_INIT("utf8"), STR_INIT("us-ascii"), STR_INIT("ascii"),
                                        STR_INIT("ansi_x3.4-1968")};
static const struct str latin1_names[] = {STR_INIT("iso-8859-1"), STR_INIT("iso8859-1"), STR_INIT("iso_8859-1"),
                                          STR_INIT("latin1")};

/* The sets of one octet are ours: glibc has a file to be loaded for each. */
static const struct {
    const char *names;
    uint16_t high[128];
} single_sets[] = {
#define SINGLE(names, ...) {names, {__VA_ARGS__}},
#include "charset_single.def"
#undef SINGLE
};

/* What is left to iconv. Other sets are converted too, where code may be loaded when they are met. */
static const char *const iconv_sets[] = {"CP932",      "CP949",  "GB18030",      "BIG5",
                                         "BIG5-HKSCS", "EUC-JP", "ISO-2022-JP",  "ISO-2022-KR",
                                         "UTF-16",     "UTF-7",  "WINDOWS-1255", "WINDOWS-1258"};

/* Names that mail uses, and the set that holds what is really sent under them. */
static const struct {
    struct str name;
    const char *set;
} other_names[] = {
    {STR_INIT("gb2312"), "GB18030"}, {STR_INIT("gbk"), "GB18030"},          {STR_INIT("shift_jis"), "CP932"},
    {STR_INIT("x-sjis"), "CP932"},   {STR_INIT("ks_c_5601-1987"), "CP949"}, {STR_INIT("euc-kr"), "CP949"},
};

/* Letters, digits and "-_.:+" only: '/' would give iconv options. */
static bool name_is_valid(struct str name) {
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!ascii_is_alnum(c) && (c == '\0' || strchr("-_.:+", c) == NULL)) return false;
    }
    return name.length > 0 && name.length <= CHARSET_NAME_MAX;
}

static bool open_iconv(struct str name, iconv_t *handle) {
    char text[CHARSET_NAME_MAX + 1] = {0};
    const char *set = text;
    memcpy(text, name.data, name.length);
    for (size_t i = 0; i < ARRAY_LENGTH(other_names); i++) {
        if (str_equal_nocase(name, other_names[i].name)) set = other_names[i].set;
    }
    *handle = iconv_open("UTF-8", set);
    return *handle != (iconv_t)-1;
}

static struct charset_converter *make(enum kind kind) {
    struct charset_converter *converter = MEMORY_NEW(struct charset_converter);
    converter->kind = kind;
    converter->iconv = (iconv_t)-1;
    return converter;
}

static bool is_among(struct str name, const struct str *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (str_equal_nocase(name, names[i])) return true;
    return false;
}

static struct charset_converter *make_single(const uint16_t *high) {
    struct charset_converter *converter = make(KIND_SINGLE);
    converter->high = high;
    return converter;
}

/* NULL: none of ours. */
static struct charset_converter *open_single(struct str name) {
    if (is_among(name, latin1_names, ARRAY_LENGTH(latin1_names))) return make_single(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(single_sets); i++) {
        struct str rest = str_from(single_sets[i].names), word;
        while (str_next_word(&rest, " ", &word))
            if (str_equal_nocase(name, word)) return make_single(single_sets[i].high);
    }
    return NULL;
}

struct charset_converter *charset_open(struct str name) {
    iconv_t handle;
    name = str_trim(name);
    if (!name_is_valid(name)) return NULL;
    if (is_among(name, utf8_names, ARRAY_LENGTH(utf8_names))) return make(KIND_UTF8);
    struct charset_converter *converter = open_single(name);
    if (converter || !open_iconv(name, &handle)) return converter;
    converter = make(KIND_ICONV);
    converter->iconv = handle;
    return converter;
}

void charset_load(void) {
    for (size_t i = 0; i < ARRAY_LENGTH(iconv_sets); i++) {
        iconv_t ignored = iconv_open("UTF-8", iconv_sets[i]); /* never closed: it keeps its code */
        (void)ignored;
    }
}

struct charset_converter *charset_open_lenient(struct str name) {
    struct charset_converter *converter = charset_open(name);
    return converter != NULL ? converter : make(KIND_UTF8);
}

bool charset_malformed(const struct charset_converter *converter) {
    return converter->malformed;
}

void charset_close(struct charset_converter **converter) {
    if (*converter == NULL) return;
    if ((*converter)->kind == KIND_ICONV) iconv_close((*converter)->iconv);
    MEMORY_FREE(*converter);
}

/* ---- converting: each gives how many octets it took; what it leaves begins a character */

static void replace(struct charset_converter *converter, struct buf *out) {
    converter->malformed = true;
    utf8_append(out, REPLACEMENT);
}

/* Octets without the high bit at from. */
static size_t ascii_run(struct str input, size_t from) {
    size_t at = from;
    for (uint64_t word; input.length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, input.data + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    while (at < input.length && (unsigned char)input.data[at] < 0x80)
        at++;
    return at - from;
}

/* How many octets at the start of a malformed or cut sequence belong together;
 * *cut if only octets that would follow are missing. */
static size_t broken_length(struct str rest, bool *cut) {
    unsigned char first = (unsigned char)rest.data[0];
    size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2, have = 1;
    *cut = false;
    if (first < 0xc2 || first > 0xf4) return 1;
    while (have < wanted && have < rest.length && ((unsigned char)rest.data[have] & 0xc0) == 0x80)
        have++;
    /* Overlong forms, surrogates and what is past U+10FFFF show in the second octet. */
    if (have > 1) {
        unsigned char second = (unsigned char)rest.data[1];
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) || (first == 0xf0 && second < 0x90) ||
            (first == 0xf4 && second >= 0x90))
            return 1;
    }
    *cut = have == rest.length && have < wanted;
    return have;
}

static size_t convert_utf8(struct charset_converter *converter, struct str input, bool final, struct buf *out) {
    size_t at = 0;
    while (at < input.length) {
        /* A run of what is well-formed goes over at once. */
        size_t begin = at, taken = 1;
        uint32_t c = 0;
        for (; at < input.length && taken > 0; at += taken) {
            at += ascii_run(input, at);
            taken = utf8_decode(str_from_offset(input, at), &c);
        }
        buf_append(out, str_slice(input, begin, at));
        if (at == input.length) break;
        bool cut;
        size_t broken = broken_length(str_from_offset(input, at), &cut);
        if (cut && !final) break;
        replace(converter, out);
        at += broken;
    }
    return at;
}

static size_t convert_single(struct charset_converter *converter, struct str input, struct buf *out) {
    for (size_t at = 0; at < input.length;) {
        size_t run = ascii_run(input, at);
        buf_append(out, str_slice(input, at, at + run));
        at += run;
        if (at == input.length) break;
        uint32_t c = (unsigned char)input.data[at++];
        if (converter->high) c = converter->high[c - 0x80];
        if (c == 0) {
            replace(converter, out);
        } else {
            utf8_append(out, c);
        }
    }
    return input.length;
}

static size_t convert_iconv(struct charset_converter *converter, struct str input, bool final, struct buf *out) {
    char block[4096];
    char *from = (char *)(uintptr_t)input.data; /* iconv does not write there */
    size_t left = input.length;
    while (left > 0 && !buf_overflowed(out)) {
        char *to = block;
        size_t room = sizeof block, before = left;
        bool failed = iconv(converter->iconv, &from, &left, &to, &room) == (size_t)-1;
        int error = failed ? errno : 0;
        /* Some sets of glibc can name what is no code point: looked at once more. */
        (void)convert_utf8(converter, str_make(block, sizeof block - room), true, out);
        if (!failed) break;
        bool stuck = left == before && room == sizeof block;
        if (error == EINVAL && !final && left <= PENDING_MAX) break;
        if (error == E2BIG && !stuck) continue;
        replace(converter, out);
        if (error == EINVAL && final) left = 0;
        if (left > 0) {
            from++;
            left--;
        }
    }
    return input.length - left;
}

static size_t convert(struct charset_converter *converter, struct str input, bool final, struct buf *out) {
    switch (converter->kind) {
    case KIND_UTF8:
        return convert_utf8(converter, input, final, out);
    case KIND_SINGLE:
        return convert_single(converter, input, out);
    case KIND_ICONV:
        return convert_iconv(converter, input, final, out);
    }
    return input.length;
}

/* The end of a text: back to the set's first state. */
static void finish(struct charset_converter *converter, struct buf *out) {
    if (converter->kind != KIND_ICONV) return;
    char block[64], *to = block;
    size_t room = sizeof block;
    (void)iconv(converter->iconv, NULL, NULL, &to, &room);
    buf_append_bytes(out, block, sizeof block - room);
    (void)iconv(converter->iconv, NULL, NULL, NULL, NULL);
}

/* Completes the character that is pending with the first octets of *input. */
static void convert_pending(struct charset_converter *converter, struct str *input, bool final, struct buf *out) {
    while (converter->pending_length > 0 && (input->length > 0 || final)) {
        char joined[2 * PENDING_MAX];
        size_t before = converter->pending_length;
        size_t more = input->length < PENDING_MAX ? input->length : PENDING_MAX;
        memcpy(joined, converter->pending, before);
        memcpy(joined + before, input->data, more);
        bool last = final && more == input->length;
        size_t taken = convert(converter, str_make(joined, before + more), last, out);
        if (taken >= before) {
            converter->pending_length = 0;
            *input = str_from_offset(*input, taken - before);
        } else if (taken == 0 && before + more > PENDING_MAX) { /* no character is that long */
            replace(converter, out);
            converter->pending_length = 0;
        } else {
            size_t rest = before + more - taken;
            if (rest > PENDING_MAX) rest = PENDING_MAX;
            memcpy(converter->pending, joined + taken, rest);
            *input = str_from_offset(*input, rest - (before - taken));
            converter->pending_length = rest;
            if (buf_overflowed(out)) return;
        }
    }
}

bool charset_convert(struct charset_converter *converter, struct str input, bool final, struct buf *out) {
    convert_pending(converter, &input, final, out);
    if (converter->pending_length == 0 && input.length > 0) {
        size_t taken = convert(converter, input, final, out);
        struct str rest = str_from_offset(input, taken);
        if (!buf_overflowed(out) && rest.length <= PENDING_MAX) {
            memcpy(converter->pending, rest.data, rest.length);
            converter->pending_length = rest.length;
        }
    }
    if (final) {
        converter->pending_length = 0;
        finish(converter, out);
    }
    return !buf_overflowed(out);
}

/* ---- bodies */

void charset_reader_begin(struct charset_reader *reader, struct str body, enum mime_encoding encoding,
                          struct str charset) {
    *reader = (struct charset_reader){.converter = charset_open_lenient(charset)};
    transfer_reader_begin(&reader->transfer, body, encoding);
}

bool charset_reader_next(struct charset_reader *reader, struct buf *out) {
    char block[16384];
    buf_clear(out);
    while (!reader->ended && out->length == 0) {
        size_t got = transfer_reader_next(&reader->transfer, block, sizeof block);
        reader->ended = got == 0;
        (void)!charset_convert(reader->converter, str_make(block, got), reader->ended, out);
    }
    return out->length > 0;
}

void charset_reader_free(struct charset_reader *reader) {
    charset_close(&reader->converter);
}
