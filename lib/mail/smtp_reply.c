/* smtp_reply: reading a server's replies and its list of extensions. */
#include "smtp_reply.h"
#include "log_text.h"

bool smtp_reply_parse_line(struct str line, struct smtp_reply_line *reply) {
    if (line.length < 3 || line.data[0] < '2' || line.data[0] > '5') return false;
    if (!ascii_is_digit(line.data[1]) || !ascii_is_digit(line.data[2])) return false;
    char separator = line.length > 3 ? line.data[3] : ' ';
    if (separator != ' ' && separator != '-') return false;
    reply->code =
        (unsigned)(line.data[0] - '0') * 100 + (unsigned)(line.data[1] - '0') * 10 + (unsigned)(line.data[2] - '0');
    reply->last = separator == ' ';
    reply->text = str_from_offset(line, line.length > 3 ? 4 : 3);
    return true;
}

struct smtp_reply smtp_reply_make(void) {
    return (struct smtp_reply){.text = buf_make(SMTP_REPLY_TEXT_MAX)};
}

void smtp_reply_clear(struct smtp_reply *reply) {
    buf_clear(&reply->text);
    *reply = (struct smtp_reply){.text = reply->text};
}

void smtp_reply_free(struct smtp_reply *reply) {
    buf_free(&reply->text);
    smtp_reply_clear(reply);
}

/* What fits of s goes in; a reply's text may be cut, its code stands. */
static void append_cut(struct buf *text, struct str s) {
    size_t room = SMTP_REPLY_TEXT_MAX - text->length;
    buf_append(text, str_slice(s, 0, room));
}

enum smtp_reply_result smtp_reply_add(struct smtp_reply *reply, struct str line) {
    struct smtp_reply_line got;
    if (!smtp_reply_parse_line(line, &got)) return SMTP_REPLY_BAD;
    if (reply->lines > 0 && got.code != reply->code) return SMTP_REPLY_BAD;
    if (reply->lines >= SMTP_REPLY_LINES_MAX) return SMTP_REPLY_TOO_LONG;
    if (reply->lines == 0) {
        struct str text = got.text;
        struct status_code status;
        reply->code = got.code;
        if (status_code_take(&text, &status) && status.class == got.code / 100) reply->status = status;
    } else {
        append_cut(&reply->text, STR("\n"));
    }
    append_cut(&reply->text, got.text);
    reply->lines++;
    return got.last ? SMTP_REPLY_DONE : SMTP_REPLY_MORE;
}

bool smtp_reply_append_line(struct buf *out, const struct smtp_reply *reply) {
    struct str rest = buf_str(&reply->text), line;
    buf_printf(out, "%03u", reply->code % 1000);
    for (bool more = true, first = true; more; first = false) {
        more = str_cut(rest, '\n', &line, &rest);
        if (!more) line = rest;
        /* A multi-line reply repeats its enhanced code on each line. */
        struct status_code status;
        if (!first && status_code_is_set(reply->status)) status_code_take(&line, &status);
        line = str_trim(line);
        if (line.length > 0) buf_append_char(out, ' ');
        log_text_append(out, line, 0);
    }
    return !buf_overflowed(out);
}

struct status_code smtp_reply_status(const struct smtp_reply *reply) {
    if (status_code_is_set(reply->status)) return reply->status;
    unsigned class = reply->code / 100;
    return (struct status_code){.class = (uint8_t)(class == 2 || class == 4 ? class : 5)};
}

/* ---- EHLO */

static const struct str keywords[SMTP_EXTENSION_COUNT] = {
#define SMTP_EXTENSION_KEYWORD(name, keyword) STR_INIT(keyword),
    SMTP_EXTENSION_TABLE(SMTP_EXTENSION_KEYWORD)
#undef SMTP_EXTENSION_KEYWORD
};

unsigned smtp_extension_from_keyword(struct str keyword) {
    for (size_t i = 0; i < SMTP_EXTENSION_COUNT; i++) {
        if (str_equal_nocase(keyword, keywords[i])) return 1U << i;
    }
    return 0;
}

static void read_limits(struct str arguments, struct smtp_ehlo *ehlo) {
    struct str word, name, value;
    while (str_next_word(&arguments, " \t", &word)) {
        uint64_t number = 0;
        if (!str_cut(word, '=', &name, &value) || !str_to_u64(value, 1000000, &number)) continue;
        if (str_equal_nocase(name, STR("RCPTMAX"))) ehlo->rcpt_max = number;
        if (str_equal_nocase(name, STR("MAILMAX"))) ehlo->mail_max = number;
        if (str_equal_nocase(name, STR("RCPTDOMAINMAX"))) ehlo->rcpt_domain_max = number;
    }
}

static void read_keyword(struct str line, unsigned ignore, struct smtp_ehlo *ehlo) {
    size_t end = 0;
    while (end < line.length && line.data[end] != ' ' && line.data[end] != '\t' && line.data[end] != '=')
        end++;
    bool old_spelling = end < line.length && line.data[end] == '='; /* "AUTH=PLAIN LOGIN" */
    unsigned bit = smtp_extension_from_keyword(str_slice(line, 0, end)) & ~ignore;
    struct str arguments = str_trim(str_from_offset(line, end + 1));
    if (bit == 0 || (old_spelling && bit != SMTP_EXTENSION_AUTH)) return;
    bool again = ehlo->extensions & bit;
    ehlo->extensions |= bit;
    if (bit == SMTP_EXTENSION_SIZE && !str_to_u64(arguments, UINT64_MAX, &ehlo->size)) ehlo->size = 0;
    if (bit == SMTP_EXTENSION_AUTH && (!again || !old_spelling)) ehlo->auth = arguments;
    if (bit == SMTP_EXTENSION_XCLIENT) ehlo->xclient = arguments;
    if (bit == SMTP_EXTENSION_XFORWARD) ehlo->xforward = arguments;
    if (bit == SMTP_EXTENSION_LIMITS) read_limits(arguments, ehlo);
}

void smtp_ehlo_parse(struct str reply_text, unsigned ignore, struct smtp_ehlo *ehlo) {
    *ehlo = (struct smtp_ehlo){.auth = STR_EMPTY, .xclient = STR_EMPTY, .xforward = STR_EMPTY};
    struct str line, rest = reply_text;
    bool more = str_cut(rest, '\n', &line, &rest); /* the greeting */
    while (more) {
        more = str_cut(rest, '\n', &line, &rest);
        read_keyword(str_trim(more ? line : rest), ignore, ehlo);
    }
}
