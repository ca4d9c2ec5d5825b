/* preview_html: one state and a word. */
#include "preview_html.h"
#include "str.h"

void preview_html_begin(struct preview_html *html, struct preview_writer *writer, bool with_quoted) {
    *html = (struct preview_html){.writer = writer, .with_quoted = with_quoted};
}

static void show(struct preview_html *html, uint32_t c) {
    if (html->skipped[0] == '\0') preview_write(html->writer, c);
}

static struct str word_of(const struct preview_html *html) {
    return str_make(html->word, html->word_length);
}

/* ---- character references */

static const struct {
    struct str name;
    uint32_t c;
} references[] = {
    {STR_INIT("amp"), '&'},      {STR_INIT("lt"), '<'},        {STR_INIT("gt"), '>'},       {STR_INIT("quot"), '"'},
    {STR_INIT("apos"), '\''},    {STR_INIT("nbsp"), 0xa0},     {STR_INIT("copy"), 0xa9},    {STR_INIT("reg"), 0xae},
    {STR_INIT("euro"), 0x20ac},  {STR_INIT("hellip"), 0x2026}, {STR_INIT("ndash"), 0x2013}, {STR_INIT("mdash"), 0x2014},
    {STR_INIT("lsquo"), 0x2018}, {STR_INIT("rsquo"), 0x2019},  {STR_INIT("ldquo"), 0x201c}, {STR_INIT("rdquo"), 0x201d},
    {STR_INIT("bdquo"), 0x201e}, {STR_INIT("laquo"), 0xab},    {STR_INIT("raquo"), 0xbb},   {STR_INIT("bull"), 0x2022},
    {STR_INIT("middot"), 0xb7},  {STR_INIT("zwnj"), 0x200c},   {STR_INIT("zwj"), 0x200d},   {STR_INIT("shy"), 0xad},
    {STR_INIT("auml"), 0xe4},    {STR_INIT("ouml"), 0xf6},     {STR_INIT("uuml"), 0xfc},    {STR_INIT("Auml"), 0xc4},
    {STR_INIT("Ouml"), 0xd6},    {STR_INIT("Uuml"), 0xdc},     {STR_INIT("szlig"), 0xdf},   {STR_INIT("eacute"), 0xe9},
    {STR_INIT("egrave"), 0xe8},  {STR_INIT("agrave"), 0xe0},   {STR_INIT("aacute"), 0xe1},  {STR_INIT("ccedil"), 0xe7},
    {STR_INIT("ntilde"), 0xf1},  {STR_INIT("oacute"), 0xf3},   {STR_INIT("iacute"), 0xed},  {STR_INIT("uacute"), 0xfa},
};

/* "#228" or "#xE4". */
static bool numeric(struct str word, uint32_t *c) {
    uint32_t value = 0;
    bool hex = word.length > 1 && ascii_lower(word.data[1]) == 'x';
    size_t begin = hex ? 2 : 1;
    if (word.length <= begin) return false;
    for (size_t i = begin; i < word.length; i++) {
        char digit = ascii_lower(word.data[i]);
        uint32_t add;
        if (ascii_is_digit(digit)) {
            add = (uint32_t)(digit - '0');
        } else if (hex && digit >= 'a' && digit <= 'f') {
            add = (uint32_t)(digit - 'a' + 10);
        } else {
            return false;
        }
        value = value * (hex ? 16 : 10) + add;
        if (value > 0x10ffff) return false;
    }
    *c = value;
    return true;
}

static bool reference(struct str word, uint32_t *c) {
    if (str_starts(word, STR("#"))) return numeric(word, c);
    for (size_t i = 0; i < ARRAY_LENGTH(references); i++) {
        if (!str_equal(word, references[i].name)) continue;
        *c = references[i].c;
        return true;
    }
    return false;
}

/* The reference ends: its character, or what stood there. */
static void end_reference(struct preview_html *html, bool closed) {
    uint32_t c = 0;
    html->state = PREVIEW_HTML_TEXT;
    if (reference(word_of(html), &c)) {
        show(html, c);
        return;
    }
    show(html, '&');
    for (size_t i = 0; i < html->word_length; i++)
        show(html, (unsigned char)html->word[i]);
    if (closed) show(html, ';');
}

/* ---- tags */

static bool is_one_of(struct str word, const char *const *names) {
    for (; *names != NULL; names++) {
        if (str_equal(word, str_from(*names))) return true;
    }
    return false;
}

static void end_skipped(struct preview_html *html) {
    html->skipped[0] = '\0';
    html->depth = 0;
}

/* The tag's name is known. */
static void take_tag(struct preview_html *html) {
    static const char *const passed[] = {"head", "style", "script", "title", NULL};
    static const char *const inside[] = {"a", "b",  "i",   "u",   "em",   "strong", "span", "font", "small", "big",
                                         "s", "tt", "sub", "sup", "code", "mark",   "img",  "wbr",  NULL};
    struct str name = word_of(html);
    bool closing = str_starts(name, STR("/"));
    if (closing) name = str_from_offset(name, 1);
    if (html->skipped[0] != '\0') {
        if (str_equal(name, STR("body"))) end_skipped(html); /* a head that nobody closed */
        if (!str_equal(name, str_from(html->skipped))) return;
        if (!closing) html->depth++;
        if (closing && --html->depth == 0) end_skipped(html);
        return;
    }
    if (!is_one_of(name, inside)) show(html, ' ');
    bool quote = str_equal(name, STR("blockquote")) && !html->with_quoted;
    if (closing || !(quote || is_one_of(name, passed))) return;
    memcpy(html->skipped, name.data, name.length);
    html->skipped[name.length] = '\0';
    html->depth = 1;
}

static void begin_word(struct preview_html *html, enum preview_html_state state) {
    html->state = state;
    html->word_length = 0;
}

/* False if the word is full. */
static bool add_to_word(struct preview_html *html, uint32_t c) {
    if (html->word_length == PREVIEW_HTML_WORD_MAX || c >= 0x80) return false;
    html->word[html->word_length++] = (char)c;
    return true;
}

static bool is_letter(uint32_t c) {
    return c < 0x80 && ascii_is_alnum((char)c);
}

static void read_text(struct preview_html *html, uint32_t c) {
    if (c == '<') {
        begin_word(html, PREVIEW_HTML_NAME);
    } else if (c == '&' && html->skipped[0] == '\0') {
        begin_word(html, PREVIEW_HTML_REFERENCE);
    } else {
        show(html, c);
    }
}

static void read_reference(struct preview_html *html, uint32_t c) {
    bool part = is_letter(c) || (c == '#' && html->word_length == 0);
    if (part && add_to_word(html, c)) return;
    end_reference(html, c == ';');
    if (c != ';') read_text(html, c);
}

static void read_tag(struct preview_html *html, uint32_t c) {
    if (c == '>') {
        html->state = PREVIEW_HTML_TEXT;
    } else if (c == '"' || c == '\'') {
        html->state = PREVIEW_HTML_QUOTED;
        html->quote = c;
    }
}

static void read_name(struct preview_html *html, uint32_t c) {
    struct str word = word_of(html);
    if (str_equal(word, STR("!-")) && c == '-') {
        html->state = PREVIEW_HTML_COMMENT;
        html->dashes = 0;
        return;
    }
    bool first = word.length == 0 && (c == '/' || c == '!' || c == '?');
    if (word.length == 0 && !first && !is_letter(c)) { /* "a < b" */
        html->state = PREVIEW_HTML_TEXT;
        show(html, '<');
        read_text(html, c);
        return;
    }
    bool part = first || is_letter(c) || (c == '-' && str_equal(word, STR("!")));
    if (part && add_to_word(html, c < 0x80 ? (unsigned char)ascii_lower((char)c) : c)) return;
    take_tag(html);
    html->state = PREVIEW_HTML_TAG;
    read_tag(html, c);
}

static void read_comment(struct preview_html *html, uint32_t c) {
    if (c == '>' && html->dashes >= 2) html->state = PREVIEW_HTML_TEXT;
    if (c != '-') html->dashes = 0;
    if (c == '-' && html->dashes < 2) html->dashes++;
}

void preview_html_read(struct preview_html *html, uint32_t c) {
    switch (html->state) {
    case PREVIEW_HTML_TEXT:
        read_text(html, c);
        break;
    case PREVIEW_HTML_REFERENCE:
        read_reference(html, c);
        break;
    case PREVIEW_HTML_NAME:
        read_name(html, c);
        break;
    case PREVIEW_HTML_TAG:
        read_tag(html, c);
        break;
    case PREVIEW_HTML_QUOTED:
        if (c == html->quote) html->state = PREVIEW_HTML_TAG;
        break;
    case PREVIEW_HTML_COMMENT:
        read_comment(html, c);
        break;
    }
}

void preview_html_end(struct preview_html *html) {
    if (html->state == PREVIEW_HTML_REFERENCE) end_reference(html, false);
}
