/* The texts of notices: see notice_template.h. */
#include "notice_template.h"

static const struct bounce_templates built_in = {
    .failure =
        {
            .charset = STR_INIT("us-ascii"),
            .from = STR_INIT("Mail Delivery System <MAILER-DAEMON>"),
            .subject = STR_INIT("Undelivered Mail Returned to Sender"),
            .postmaster_subject = STR_INIT("Postmaster Copy: Undelivered Mail"),
            .body = STR_INIT("This is the mail system at host $myhostname.\n\n"
                             "I am sorry to tell you that your message could not be delivered to the\n"
                             "recipients below. I have given up on them; there is nothing more that\n"
                             "I will try by myself. Your message, or its header, is attached.\n\n"
                             "If you need help, please write to postmaster and include this report.\n\n"
                             "                   The mail system\n"),
        },
    .delay =
        {
            .charset = STR_INIT("us-ascii"),
            .from = STR_INIT("Mail Delivery System <MAILER-DAEMON>"),
            .subject = STR_INIT("Delayed Mail (still being retried)"),
            .postmaster_subject = STR_INIT("Postmaster Warning: Delayed Mail"),
            .body = STR_INIT("This is the mail system at host $myhostname.\n\n"
                             "THIS IS A WARNING ONLY. YOU NEED NOT SEND YOUR MESSAGE AGAIN.\n\n"
                             "Your message has waited for $delay_warning_time_hours hours and could not yet be\n"
                             "delivered to the recipients below. I go on trying until it is\n"
                             "$maximal_queue_lifetime_days days old.\n\n"
                             "                   The mail system\n"),
        },
    .success =
        {
            .charset = STR_INIT("us-ascii"),
            .from = STR_INIT("Mail Delivery System <MAILER-DAEMON>"),
            .subject = STR_INIT("Successful Mail Delivery Report"),
            .postmaster_subject = STR_INIT(""),
            .body = STR_INIT("This is the mail system at host $myhostname.\n\n"
                             "You asked to be told: your message was delivered to the recipients\n"
                             "below. If it went on to another mail system, you may hear from that one\n"
                             "should it not arrive there.\n\n"
                             "                   The mail system\n"),
        },
    .verify =
        {
            .charset = STR_INIT("us-ascii"),
            .from = STR_INIT("Mail Delivery System <MAILER-DAEMON>"),
            .subject = STR_INIT("Mail Delivery Status Report"),
            .postmaster_subject = STR_INIT(""),
            .body = STR_INIT("This is the mail system at host $myhostname.\n\n"
                             "Enclosed is the mail delivery report that you requested.\n\n"
                             "                   The mail system\n"),
        },
};

void bounce_templates_default(struct bounce_templates *templates) {
    *templates = built_in;
}

/* ---- reading a file */

static bool next_line(struct str *rest, struct str *line) {
    if (rest->length == 0) return false;
    size_t end = str_find(*rest, '\n');
    *line = str_slice(*rest, 0, end);
    *rest = end == STR_NONE ? STR_EMPTY : str_from_offset(*rest, end + 1);
    return true;
}

static bool read_header_line(struct str line, struct bounce_template *template, struct failure *failure) {
    struct str name, value;
    if (!str_cut(line, ':', &name, &value))
        return failure_set(failure, "expected \"Name: value\", found \"%.*s\"", STR_ARGS(line));
    value = str_trim(value);
    if (str_equal_nocase(name, STR("Charset")))
        template->charset = value;
    else if (str_equal_nocase(name, STR("From")))
        template->from = value;
    else if (str_equal_nocase(name, STR("Subject")))
        template->subject = value;
    else if (str_equal_nocase(name, STR("Postmaster-Subject")))
        template->postmaster_subject = value;
    else
        return failure_set(failure, "\"%.*s\" is none of Charset, From, Subject, Postmaster-Subject", STR_ARGS(name));
    return true;
}

/* One template: header lines, an empty line, the body, up to the end word. */
static bool read_template(struct str *rest, struct str end_word, struct bounce_template *template,
                          struct failure *failure) {
    struct str line;
    for (;;) {
        if (!next_line(rest, &line))
            return failure_set(failure, "no line \"%.*s\" ends the template", STR_ARGS(end_word));
        if (str_trim(line).length == 0) break;
        if (!read_header_line(line, template, failure)) return false;
    }
    const char *begin = rest->data;
    for (;;) {
        const char *here = rest->data;
        if (!next_line(rest, &line))
            return failure_set(failure, "no line \"%.*s\" ends the template", STR_ARGS(end_word));
        if (!str_equal(str_trim(line), end_word)) continue;
        template->body = str_make(begin, (size_t)(here - begin));
        return true;
    }
}

static struct bounce_template *template_named(struct bounce_templates *templates, struct str name) {
    if (str_equal(name, STR("failure_template"))) return &templates->failure;
    if (str_equal(name, STR("delay_template"))) return &templates->delay;
    if (str_equal(name, STR("success_template"))) return &templates->success;
    if (str_equal(name, STR("verify_template"))) return &templates->verify;
    return NULL;
}

bool bounce_templates_parse(struct str text, struct bounce_templates *templates, struct failure *failure) {
    struct bounce_templates parsed = *templates;
    struct bounce_template ignored; /* of a name that is not known */
    struct str rest = text, line, name, value;
    while (next_line(&rest, &line)) {
        line = str_trim(line);
        if (line.length == 0 || line.data[0] == '#') continue;
        if (!str_cut(line, '=', &name, &value))
            return failure_set(failure, "expected \"name = <<END\", found \"%.*s\"", STR_ARGS(line));
        name = str_trim(name);
        value = str_trim(value);
        if (!str_starts(value, STR("<<")) || value.length < 3)
            return failure_set(failure, "the value of %.*s must begin with << and a word", STR_ARGS(name));
        struct bounce_template *template = template_named(&parsed, name);
        if (!read_template(&rest, str_trim(str_from_offset(value, 2)), template ? template : &ignored, failure))
            return failure_prefix(failure, "%.*s", STR_ARGS(name));
    }
    *templates = parsed;
    return true;
}

/* ---- expansion */

static const struct bounce_word *find_word(struct str name, const struct bounce_word *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (str_equal(name, str_from(words[i].name))) return &words[i];
    return NULL;
}

/* The name after a dollar sign: letters, digits and _, perhaps in braces. *length: bytes it takes in all. */
static struct str name_after_dollar(struct str text, size_t *length) {
    bool braced = text.length > 0 && text.data[0] == '{';
    size_t begin = braced ? 1 : 0, end = begin;
    while (end < text.length && (ascii_is_alnum(text.data[end]) || text.data[end] == '_'))
        end++;
    if (braced && (end >= text.length || text.data[end] != '}')) return STR_EMPTY;
    *length = end + (braced ? 1 : 0);
    return str_slice(text, begin, end);
}

bool bounce_template_expand(struct str text, const struct bounce_word *words, size_t count, struct buf *out) {
    while (text.length > 0) {
        size_t dollar = str_find(text, '$');
        buf_append(out, str_slice(text, 0, dollar));
        if (dollar == STR_NONE) break;
        text = str_from_offset(text, dollar + 1);
        size_t length = 0;
        struct str name = name_after_dollar(text, &length);
        const struct bounce_word *word = name.length ? find_word(name, words, count) : NULL;
        if (word) {
            buf_append(out, word->value);
            text = str_from_offset(text, length);
        } else {
            buf_append_char(out, '$');
        }
    }
    return !buf_overflowed(out);
}
