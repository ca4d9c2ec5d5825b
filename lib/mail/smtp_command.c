/* smtp_command: command lines, and the arguments of those that have a grammar. */
#include "smtp_command.h"
#include "xtext.h"
#include "utf8.h"

static const struct status_code bad_arguments = {5, 5, 4};

static bool refuse(struct smtp_command_error *error, unsigned reply_code, struct status_code status, const char *text,
                   struct str what) {
    *error = (struct smtp_command_error){.reply_code = reply_code, .status = status, .text = text, .what = what};
    return false;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static struct str skip_blanks(struct str s) {
    while (s.length > 0 && is_blank(s.data[0]))
        s = str_from_offset(s, 1);
    return s;
}

bool smtp_command_split(struct str line, struct str *verb, struct str *argument) {
    line = skip_blanks(line);
    while (line.length > 0 && is_blank(line.data[line.length - 1]))
        line.length--;
    size_t end = 0;
    while (end < line.length && !is_blank(line.data[end]))
        end++;
    if (end == 0) return false;
    *verb = str_slice(line, 0, end);
    *argument = skip_blanks(str_from_offset(line, end));
    return true;
}

bool smtp_command_is_foreign(struct str verb) {
    static const struct str words[] = {
        STR_INIT("GET"),     STR_INIT("POST"),  STR_INIT("PUT"),   STR_INIT("HEAD"), STR_INIT("DELETE"),
        STR_INIT("CONNECT"), STR_INIT("PATCH"), STR_INIT("TRACE"), STR_INIT("PRI"),  STR_INIT("OPTIONS"),
    };
    if (verb.length > 1 && verb.data[verb.length - 1] == ':') return true; /* a header field */
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (str_equal_nocase(verb, words[i])) return true;
    }
    return verb.length > 0 && !ascii_is_alpha(verb.data[0]); /* a TLS hello, a proxy's binary greeting */
}

/* ---- ESMTP parameters */

/* Where a parameter's value goes: one of the two is set. */
struct target {
    unsigned offered;
    struct smtp_mail *mail;
    struct smtp_recipient *recipient;
    bool utf8;
};

/* Takes the next NAME[=value]. False at the end, or with *bad set. */
static bool next_parameter(struct str *rest, struct str *name, struct str *value, bool *has_value, bool *bad) {
    struct str word;
    if (!str_next_word(rest, " \t", &word)) return false;
    *has_value = str_cut(word, '=', name, value);
    if (!*has_value) *name = word;
    if (!*has_value) *value = STR_EMPTY;
    bool valid = name->length > 0 && ascii_is_alnum(name->data[0]) && (!*has_value || value->length > 0);
    for (size_t i = 0; i < name->length; i++) {
        if (!ascii_is_alnum(name->data[i]) && name->data[i] != '-') valid = false;
    }
    /* esmtp-value, with RFC 6531's UTF-8; '=' is let through for base64 in AUTH-like values. */
    if (!utf8_is_text(*value)) valid = false;
    *bad = !valid;
    return valid;
}

/* RFC 1870 5: 20 digits at most. A size that no number has room for is more than any limit. */
static bool read_size(struct target *target, struct str value) {
    target->mail->has_size = true;
    if (value.length > 20) return false;
    for (size_t i = 0; i < value.length; i++)
        if (!ascii_is_digit(value.data[i])) return false;
    if (!str_to_u64(value, UINT64_MAX, &target->mail->size)) target->mail->size = UINT64_MAX;
    return true;
}

static bool read_body(struct target *target, struct str value) {
    struct smtp_mail *mail = target->mail;
    mail->has_body = true;
    if (str_equal_nocase(value, STR("7BIT"))) {
        mail->body = SMTP_BODY_7BIT;
        return true;
    }
    if (str_equal_nocase(value, STR("8BITMIME"))) {
        mail->body = SMTP_BODY_8BITMIME;
        return true;
    }
    mail->body = SMTP_BODY_BINARYMIME;
    return str_equal_nocase(value, STR("BINARYMIME")) && (target->offered & SMTP_PARAMETER_BINARYMIME);
}

static bool read_smtputf8(struct target *target, struct str value) {
    target->mail->smtputf8 = true;
    return value.length == 0;
}

static bool read_requiretls(struct target *target, struct str value) {
    target->mail->requiretls = true;
    return value.length == 0;
}

bool smtp_parse_ret(struct str value, enum smtp_ret *ret) {
    bool full = str_equal_nocase(value, STR("FULL"));
    if (!full && !str_equal_nocase(value, STR("HDRS"))) return false;
    *ret = full ? SMTP_RET_FULL : SMTP_RET_HDRS;
    return true;
}

static bool read_ret(struct target *target, struct str value) {
    return smtp_parse_ret(value, &target->mail->ret);
}

/* xtext of at most maximum octets whose content is printable ASCII. */
static bool is_printable_xtext(struct str value, size_t maximum) {
    if (value.length > maximum) return false;
    struct buf decoded = buf_make(maximum);
    bool good = xtext_decode(&decoded, value) && str_is_printable(buf_str(&decoded));
    buf_free(&decoded);
    return good;
}

static bool read_envid(struct target *target, struct str value) {
    target->mail->envid = value;
    return is_printable_xtext(value, SMTP_ENVID_MAX);
}

static bool read_auth(struct target *target, struct str value) {
    target->mail->has_auth = true;
    target->mail->auth = value;
    return str_equal(value, STR("<>")) || is_printable_xtext(value, SMTP_AUTH_IDENTITY_MAX);
}

/* RFC 2852 4: by-time ";" by-mode [by-trace]. */
static bool read_by(struct target *target, struct str value) {
    struct str time, mode;
    struct smtp_mail *mail = target->mail;
    mail->has_by = true;
    if (!str_cut(value, ';', &time, &mode) || mode.length < 1 || mode.length > 2) return false;
    if (!str_to_i64(time, -999999999, 999999999, &mail->by_time)) return false;
    mail->by_mode = ascii_upper(mode.data[0]);
    mail->by_trace = mode.length == 2;
    if (mail->by_trace && ascii_upper(mode.data[1]) != 'T') return false;
    return mail->by_mode == 'N' || (mail->by_mode == 'R' && mail->by_time > 0);
}

static bool read_priority(struct target *target, struct str value) {
    int64_t number = 0;
    target->mail->has_priority = true;
    if (!str_to_i64(value, -9, 9, &number)) return false;
    target->mail->priority = (int)number;
    return true;
}

static bool read_holdfor(struct target *target, struct str value) {
    uint64_t seconds = 0;
    target->mail->holdfor = value;
    return target->mail->holduntil.length == 0 && str_to_u64(value, 999999999, &seconds);
}

static bool read_holduntil(struct target *target, struct str value) {
    target->mail->holduntil = value;
    return target->mail->holdfor.length == 0 && value.length <= 40 && str_is_printable(value);
}

bool smtp_parse_notify(struct str value, unsigned *notify) {
    static const struct {
        struct str word;
        unsigned bit;
    } words[] = {
        {STR_INIT("NEVER"), SMTP_NOTIFY_NEVER},
        {STR_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
        {STR_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
        {STR_INIT("DELAY"), SMTP_NOTIFY_DELAY},
    };
    unsigned bits = 0;
    for (bool more = true; more;) {
        struct str word = value;
        unsigned bit = 0;
        more = str_cut(value, ',', &word, &value);
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
            if (str_equal_nocase(word, words[i].word)) bit = words[i].bit;
        }
        if (bit == 0) return false;
        bits |= bit;
    }
    if (bits & SMTP_NOTIFY_NEVER && bits != SMTP_NOTIFY_NEVER) return false;
    *notify = bits;
    return true;
}

bool smtp_append_notify(struct buf *out, unsigned notify) {
    static const char *const names[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    bool first = true;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (!(notify & 1U << i)) continue;
        if (!first) buf_append_char(out, ',');
        buf_append(out, str_from(names[i]));
        first = false;
    }
    return !buf_overflowed(out);
}

static bool read_notify(struct target *target, struct str value) {
    return smtp_parse_notify(value, &target->recipient->notify);
}

/* RFC 3461 4.2, RFC 6533 3: type ";" address. */
static bool read_orcpt(struct target *target, struct str value) {
    struct str type, address;
    if (value.length > SMTP_ORCPT_MAX || !str_cut(value, ';', &type, &address)) return false;
    if (type.length == 0 || address.length == 0) return false;
    for (size_t i = 0; i < type.length; i++) {
        if (!ascii_is_alnum(type.data[i]) && type.data[i] != '-') return false;
    }
    target->recipient->orcpt_type = type;
    target->recipient->orcpt = address;
    if (!str_is_ascii(address) && !target->utf8) return false;
    if (!str_equal_nocase(type, STR("utf-8"))) return is_printable_xtext(address, SMTP_ORCPT_MAX);
    struct buf decoded = buf_make(0);
    /* Some senders put plain xtext under utf-8; RFC 6533 3 lets it be read. */
    bool good = utf8_address_decode(&decoded, address) || is_printable_xtext(address, SMTP_ORCPT_MAX);
    buf_free(&decoded);
    return good;
}

struct parameter_row {
    struct str name;
    unsigned needs; /* bits of enum smtp_parameter, any of them */
    bool (*read)(struct target *target, struct str value);
    const char *error;
};

static const struct parameter_row mail_parameters[] = {
    {STR_INIT("SIZE"), SMTP_PARAMETER_SIZE, read_size, "bad message size"},
    {STR_INIT("BODY"), SMTP_PARAMETER_8BITMIME | SMTP_PARAMETER_BINARYMIME, read_body, "bad BODY value"},
    {STR_INIT("SMTPUTF8"), SMTP_PARAMETER_SMTPUTF8, read_smtputf8, "SMTPUTF8 takes no value"},
    {STR_INIT("RET"), SMTP_PARAMETER_DSN, read_ret, "bad RET value"},
    {STR_INIT("ENVID"), SMTP_PARAMETER_DSN, read_envid, "bad ENVID value"},
    {STR_INIT("AUTH"), SMTP_PARAMETER_AUTH, read_auth, "bad AUTH value"},
    {STR_INIT("REQUIRETLS"), SMTP_PARAMETER_REQUIRETLS, read_requiretls, "REQUIRETLS takes no value"},
    {STR_INIT("BY"), SMTP_PARAMETER_DELIVERBY, read_by, "bad BY value"},
    {STR_INIT("MT-PRIORITY"), SMTP_PARAMETER_MT_PRIORITY, read_priority, "bad MT-PRIORITY value"},
    {STR_INIT("HOLDFOR"), SMTP_PARAMETER_FUTURERELEASE, read_holdfor, "bad HOLDFOR value"},
    {STR_INIT("HOLDUNTIL"), SMTP_PARAMETER_FUTURERELEASE, read_holduntil, "bad HOLDUNTIL value"},
};

static const struct parameter_row rcpt_parameters[] = {
    {STR_INIT("NOTIFY"), SMTP_PARAMETER_DSN, read_notify, "bad NOTIFY value"},
    {STR_INIT("ORCPT"), SMTP_PARAMETER_DSN, read_orcpt, "bad ORCPT value"},
};

static bool read_parameters(struct str rest, const struct parameter_row *rows, size_t row_count, struct target *target,
                            struct smtp_command_error *error) {
    struct str name, value;
    unsigned seen = 0;
    size_t count = 0;
    bool has_value = false, bad = false;
    while (next_parameter(&rest, &name, &value, &has_value, &bad)) {
        size_t row = 0;
        if (++count > SMTP_PARAMETERS_MAX) return refuse(error, 501, bad_arguments, "too many parameters", STR_EMPTY);
        while (row < row_count && !str_equal_nocase(rows[row].name, name))
            row++;
        if (row == row_count || !(rows[row].needs & target->offered)) {
            return refuse(error, 555, bad_arguments, "unsupported parameter", name);
        }
        if (seen & 1U << row) return refuse(error, 501, bad_arguments, "parameter given twice", name);
        seen |= 1U << row;
        bool wants_value = rows[row].read != read_smtputf8 && rows[row].read != read_requiretls;
        if (has_value != wants_value || !rows[row].read(target, value)) {
            return refuse(error, 501, bad_arguments, rows[row].error, has_value ? value : name);
        }
    }
    return bad ? refuse(error, 501, bad_arguments, "bad parameter syntax", name) : true;
}

static bool refuse_address(struct smtp_command_error *error, enum mail_address_result result,
                           enum status_code_name syntax, struct str what) {
    bool utf8 = result == MAIL_ADDRESS_NEEDS_UTF8;
    struct status_code status = status_code_make(5, utf8 ? STATUS_UTF8_ADDRESS : syntax);
    unsigned utf8_code = syntax == STATUS_SENDER_SYNTAX ? 550 : 553; /* RFC 6531 3.5 */
    return refuse(error, utf8 ? utf8_code : 501, status, mail_address_result_text(result), what);
}

/* What follows "FROM:" or "TO:". */
static bool take_keyword(struct str argument, struct str keyword, struct str *rest) {
    if (!str_starts_nocase(argument, keyword)) return false;
    *rest = str_from_offset(argument, keyword.length);
    return true;
}

bool smtp_parse_mail(struct str argument, unsigned offered, unsigned address_flags, struct smtp_mail *mail,
                     struct smtp_command_error *error) {
    struct smtp_mail got = {.envid = STR_EMPTY, .auth = STR_EMPTY, .holdfor = STR_EMPTY, .holduntil = STR_EMPTY};
    struct target target = {.offered = offered, .mail = &got};
    struct str path, rest;
    if (!take_keyword(argument, STR("FROM:"), &path)) {
        return refuse(error, 501, bad_arguments, "syntax: MAIL FROM:<address>", argument);
    }
    /* UTF-8 is read first and judged when SMTPUTF8 has been looked for. */
    unsigned flags = (address_flags & ~(unsigned)MAIL_ADDRESS_UTF8) | MAIL_ADDRESS_NULL;
    if (offered & SMTP_PARAMETER_SMTPUTF8) flags |= MAIL_ADDRESS_UTF8;
    enum mail_address_result result = mail_address_parse_path(path, flags, &got.sender, &rest);
    if (result != MAIL_ADDRESS_OK) return refuse_address(error, result, STATUS_SENDER_SYNTAX, path);
    if (!read_parameters(rest, mail_parameters, ARRAY_LENGTH(mail_parameters), &target, error)) return false;
    if (!got.smtputf8 && !str_is_ascii(mail_address_text(&got.sender))) {
        return refuse_address(error, MAIL_ADDRESS_NEEDS_UTF8, STATUS_SENDER_SYNTAX, path);
    }
    *mail = got;
    return true;
}

bool smtp_parse_rcpt(struct str argument, unsigned offered, unsigned address_flags, struct smtp_recipient *recipient,
                     struct smtp_command_error *error) {
    struct smtp_recipient got = {.orcpt_type = STR_EMPTY, .orcpt = STR_EMPTY};
    struct target target = {.offered = offered, .recipient = &got, .utf8 = address_flags & MAIL_ADDRESS_UTF8};
    struct str path, rest;
    if (!take_keyword(argument, STR("TO:"), &path)) {
        return refuse(error, 501, bad_arguments, "syntax: RCPT TO:<address>", argument);
    }
    unsigned flags = (address_flags & ~(unsigned)MAIL_ADDRESS_NULL) | MAIL_ADDRESS_POSTMASTER;
    enum mail_address_result result = mail_address_parse_path(path, flags, &got.recipient, &rest);
    if (result != MAIL_ADDRESS_OK) return refuse_address(error, result, STATUS_MAILBOX_SYNTAX, path);
    if (!read_parameters(rest, rcpt_parameters, ARRAY_LENGTH(rcpt_parameters), &target, error)) return false;
    *recipient = got;
    return true;
}

bool smtp_parse_bdat(struct str argument, uint64_t maximum, uint64_t *size, bool *last,
                     struct smtp_command_error *error) {
    struct str number, word, rest = argument;
    uint64_t got = 0;
    if (!str_next_word(&rest, " \t", &number) || !str_to_u64(number, UINT64_MAX, &got)) {
        return refuse(error, 501, bad_arguments, "syntax: BDAT size [LAST]", argument);
    }
    if (got > maximum) {
        return refuse(error, 552, status_code_make(5, STATUS_SYSTEM_MESSAGE_SIZE), "chunk too big", number);
    }
    bool final = str_next_word(&rest, " \t", &word);
    if (final && (!str_equal_nocase(word, STR("LAST")) || skip_blanks(rest).length > 0)) {
        return refuse(error, 501, bad_arguments, "syntax: BDAT size [LAST]", argument);
    }
    *size = got;
    *last = final;
    return true;
}

/* ---- XCLIENT and XFORWARD */

static bool read_attribute(struct str value, struct buf *values, struct smtp_attribute *attribute) {
    size_t before = values->length;
    attribute->temporary = str_equal_nocase(value, STR("[TEMPUNAVAIL]"));
    attribute->unavailable = attribute->temporary || str_equal_nocase(value, STR("[UNAVAILABLE]"));
    attribute->value = STR_EMPTY;
    if (attribute->unavailable) return true;
    if (!xtext_decode(values, value)) return false;
    attribute->value.length = values->length - before;
    return attribute->value.length <= SMTP_ATTRIBUTE_VALUE_MAX &&
           utf8_is_text(str_from_offset(buf_str(values), before));
}

bool smtp_parse_attributes(struct str argument, struct buf *values,
                           struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX], size_t *count,
                           struct smtp_command_error *error) {
    struct str word, rest = argument;
    size_t found = 0, base = values->length;
    while (str_next_word(&rest, " \t", &word)) {
        struct str value;
        if (found == SMTP_ATTRIBUTES_MAX) return refuse(error, 501, bad_arguments, "too many attributes", STR_EMPTY);
        struct smtp_attribute *attribute = &attributes[found++];
        if (!str_cut(word, '=', &attribute->name, &value) || attribute->name.length == 0) {
            return refuse(error, 501, bad_arguments, "attribute=value expected", word);
        }
        if (!read_attribute(value, values, attribute)) {
            return refuse(error, 501, bad_arguments, "bad attribute value", word);
        }
    }
    if (found == 0) return refuse(error, 501, bad_arguments, "attribute=value expected", STR_EMPTY);
    /* Only now do the bytes move no more. */
    for (size_t i = 0; i < found; i++) {
        attributes[i].value = str_slice(buf_str(values), base, base + attributes[i].value.length);
        base += attributes[i].value.length;
    }
    *count = found;
    return true;
}

/* ---- HELO and EHLO */

static bool is_bare_address(struct str argument) {
    struct buf literal = buf_make(64);
    domain_append_literal(&literal, argument);
    enum domain_kind kind = buf_overflowed(&literal) ? DOMAIN_INVALID : domain_classify(buf_str(&literal), 0);
    buf_free(&literal);
    return kind == DOMAIN_LITERAL_IPV4 || kind == DOMAIN_LITERAL_IPV6;
}

enum smtp_helo_kind smtp_helo_classify(struct str argument, bool underscores) {
    unsigned flags = (unsigned)DOMAIN_TRAILING_DOT | (underscores ? (unsigned)DOMAIN_UNDERSCORE : 0);
    if (argument.length == 0) return SMTP_HELO_MISSING;
    switch (domain_classify(argument, flags)) {
    case DOMAIN_LITERAL_IPV4:
    case DOMAIN_LITERAL_IPV6:
        return SMTP_HELO_LITERAL;
    case DOMAIN_LITERAL_GENERAL:
        return SMTP_HELO_BAD_LITERAL;
    case DOMAIN_NAME:
        return domain_is_valid(argument, flags | DOMAIN_QUALIFIED) ? SMTP_HELO_FQDN : SMTP_HELO_NAME;
    case DOMAIN_INVALID:
        break;
    }
    if (argument.data[0] == '[') return SMTP_HELO_BAD_LITERAL;
    return is_bare_address(argument) ? SMTP_HELO_ADDRESS : SMTP_HELO_INVALID;
}
