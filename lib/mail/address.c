/* address: reading, checking and writing of envelope addresses. */
#include <arpa/inet.h>
#include "address.h"
#include "utf8.h"

/* What stands at an offset of the text being read. */
struct scanner {
    struct str text;
    size_t at;
    unsigned flags;
    char local[MAIL_ADDRESS_LOCAL_LONG_MAX];
    size_t local_length;
    struct str domain;
};

const char *mail_address_result_text(enum mail_address_result result) {
    switch (result) {
    case MAIL_ADDRESS_OK:
        return "ok";
    case MAIL_ADDRESS_SYNTAX:
        return "bad address syntax";
    case MAIL_ADDRESS_BAD_CHARACTER:
        return "bad character in address";
    case MAIL_ADDRESS_NEEDS_UTF8:
        return "non-ASCII address needs SMTPUTF8";
    case MAIL_ADDRESS_TOO_LONG:
        return "address too long";
    case MAIL_ADDRESS_BAD_DOMAIN:
        return "bad domain syntax in address";
    case MAIL_ADDRESS_NO_DOMAIN:
        return "address without domain";
    case MAIL_ADDRESS_NULL_REFUSED:
        return "null address not allowed here";
    }
    return "bad address";
}

static bool is_atext(char c) {
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) || (unsigned char)c >= 0x80;
}

static bool is_control(char c) {
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool ended(const struct scanner *s) {
    return s->at >= s->text.length;
}

static bool next_is(const struct scanner *s, char c) {
    return !ended(s) && s->text.data[s->at] == c;
}

/* ---- making the value */

static unsigned domain_flags(unsigned flags) {
    unsigned wanted = flags & MAIL_ADDRESS_STRICT ? 0 : (unsigned)DOMAIN_UNDERSCORE | DOMAIN_TRAILING_DOT;
    return wanted | (flags & MAIL_ADDRESS_UTF8 ? (unsigned)DOMAIN_UTF8 : 0);
}

static enum mail_address_result check_local(struct str local, unsigned flags) {
    for (size_t i = 0; i < local.length; i++) {
        if (is_control(local.data[i])) return MAIL_ADDRESS_BAD_CHARACTER;
    }
    if (local.length > (flags & MAIL_ADDRESS_LONG ? MAIL_ADDRESS_LOCAL_LONG_MAX : MAIL_ADDRESS_LOCAL_MAX)) {
        return MAIL_ADDRESS_TOO_LONG;
    }
    if (str_is_ascii(local)) return MAIL_ADDRESS_OK;
    if (!(flags & MAIL_ADDRESS_UTF8)) return MAIL_ADDRESS_NEEDS_UTF8;
    return utf8_is_text(local) ? MAIL_ADDRESS_OK : MAIL_ADDRESS_BAD_CHARACTER;
}

static enum mail_address_result check_domain(struct str domain, unsigned flags) {
    if (domain.length > DOMAIN_LENGTH_MAX + 1) return MAIL_ADDRESS_TOO_LONG;
    if (!str_is_ascii(domain) && !(flags & MAIL_ADDRESS_UTF8)) return MAIL_ADDRESS_NEEDS_UTF8;
    if (domain_classify(domain, domain_flags(flags)) != DOMAIN_INVALID) return MAIL_ADDRESS_OK;
    for (size_t i = 0; i < domain.length; i++) {
        if (is_control(domain.data[i])) return MAIL_ADDRESS_BAD_CHARACTER;
    }
    return MAIL_ADDRESS_BAD_DOMAIN;
}

/* Without a domain: only what the flags allow. A '@' in the local part would
 * make the internal form mean another address. */
static enum mail_address_result check_no_domain(struct str local, unsigned flags) {
    if (flags & MAIL_ADDRESS_POSTMASTER && str_equal_nocase(local, STR("postmaster"))) return MAIL_ADDRESS_OK;
    bool allowed = (flags & MAIL_ADDRESS_LOCAL_ONLY) && str_find(local, '@') == STR_NONE;
    return allowed ? MAIL_ADDRESS_OK : MAIL_ADDRESS_NO_DOMAIN;
}

enum mail_address_result mail_address_from_parts(struct str local, struct str domain, unsigned flags,
                                                 struct mail_address *address) {
    if (local.length == 0 && domain.length == 0) {
        if (!(flags & MAIL_ADDRESS_NULL)) return MAIL_ADDRESS_NULL_REFUSED;
        memset(address, 0, sizeof *address);
        return MAIL_ADDRESS_OK;
    }
    /* <""@domain> is refused: its internal form is a table's catch-all key. */
    if (local.length == 0) return MAIL_ADDRESS_SYNTAX;
    enum mail_address_result result = check_local(local, flags);
    if (result != MAIL_ADDRESS_OK) return result;
    result = domain.length > 0 ? check_domain(domain, flags) : check_no_domain(local, flags);
    if (result != MAIL_ADDRESS_OK) return result;
    if (domain.length > 1 && domain.data[domain.length - 1] == '.') domain.length--;
    size_t total = local.length + (domain.length > 0 ? domain.length + 1 : 0);
    size_t limit = flags & MAIL_ADDRESS_LONG ? MAIL_ADDRESS_TEXT_MAX : MAIL_ADDRESS_PATH_MAX - 2;
    if (domain.length > DOMAIN_LENGTH_MAX || total > limit) return MAIL_ADDRESS_TOO_LONG;
    struct mail_address made = {.local_length = (uint16_t)local.length, .domain_length = (uint16_t)domain.length};
    memcpy(made.text, local.data, local.length);
    if (domain.length > 0) {
        made.text[local.length] = '@';
        memcpy(made.text + local.length + 1, domain.data, domain.length);
    }
    *address = made;
    return MAIL_ADDRESS_OK;
}

enum mail_address_result mail_address_from_internal(struct str text, unsigned flags, struct mail_address *address) {
    size_t at = str_find_last(text, '@');
    if (at == STR_NONE) return mail_address_from_parts(text, STR_EMPTY, flags, address);
    if (at + 1 == text.length) return MAIL_ADDRESS_BAD_DOMAIN;
    return mail_address_from_parts(str_slice(text, 0, at), str_from_offset(text, at + 1), flags, address);
}

/* ---- reading external form */

static enum mail_address_result put_local(struct scanner *s, char c) {
    if (s->local_length >= sizeof s->local) return MAIL_ADDRESS_TOO_LONG;
    if (is_control(c)) return MAIL_ADDRESS_BAD_CHARACTER;
    s->local[s->local_length++] = c;
    return MAIL_ADDRESS_OK;
}

/* Quoted-string, RFC 5321 4.1.2; the opening quote is at s->at. */
static enum mail_address_result scan_quoted(struct scanner *s) {
    for (s->at++; !ended(s); s->at++) {
        char c = s->text.data[s->at];
        if (c == '"') {
            s->at++;
            return MAIL_ADDRESS_OK;
        }
        if (c == '\\') {
            if (++s->at >= s->text.length) return MAIL_ADDRESS_SYNTAX;
            c = s->text.data[s->at];
        }
        enum mail_address_result result = put_local(s, c);
        if (result != MAIL_ADDRESS_OK) return result;
    }
    return MAIL_ADDRESS_SYNTAX;
}

/* Dot-string; leniently also words of both kinds and dots anywhere. */
static enum mail_address_result scan_local(struct scanner *s) {
    bool strict = s->flags & MAIL_ADDRESS_STRICT, after_word = false, any = false;
    enum mail_address_result result = MAIL_ADDRESS_OK;
    while (!ended(s) && result == MAIL_ADDRESS_OK) {
        char c = s->text.data[s->at];
        if (c == '"') {
            if (after_word || (strict && any)) return MAIL_ADDRESS_SYNTAX;
            result = scan_quoted(s);
            if (strict) return result;
            after_word = any = true;
        } else if (c == '.') {
            if (strict && !after_word) return MAIL_ADDRESS_SYNTAX;
            after_word = false;
            any = true;
            s->at++;
            result = put_local(s, c);
        } else if (is_atext(c)) {
            after_word = any = true;
            s->at++;
            result = put_local(s, c);
        } else {
            break;
        }
    }
    if (result != MAIL_ADDRESS_OK) return result;
    if (!ended(s) && is_control(s->text.data[s->at]) && s->text.data[s->at] != '\t') return MAIL_ADDRESS_BAD_CHARACTER;
    return any && (after_word || !strict) ? MAIL_ADDRESS_OK : MAIL_ADDRESS_SYNTAX;
}

/* To the end of a domain or literal: '>', ',', ':', blank or the end. */
static struct str scan_domain(struct scanner *s) {
    size_t begin = s->at;
    bool literal = next_is(s, '[');
    while (!ended(s)) {
        char c = s->text.data[s->at];
        if (c == '>' || c == ' ' || c == '\t' || (!literal && (c == ',' || c == ':'))) break;
        s->at++;
        if (literal && c == ']') break;
    }
    return str_slice(s->text, begin, s->at);
}

static enum mail_address_result scan_mailbox(struct scanner *s) {
    enum mail_address_result result = scan_local(s);
    if (result != MAIL_ADDRESS_OK || !next_is(s, '@')) return result;
    s->at++;
    s->domain = scan_domain(s);
    return s->domain.length > 0 ? MAIL_ADDRESS_OK : MAIL_ADDRESS_BAD_DOMAIN;
}

/* A-d-l of RFC 5321 4.1.2, "@one,@two:": read and forgotten. */
static enum mail_address_result scan_route(struct scanner *s) {
    size_t begin = s->at;
    while (next_is(s, '@')) {
        s->at++;
        enum mail_address_result result = check_domain(scan_domain(s), s->flags);
        if (result != MAIL_ADDRESS_OK) return result;
        if (s->at - begin > MAIL_ADDRESS_ROUTE_MAX) return MAIL_ADDRESS_TOO_LONG;
        bool more = next_is(s, ',');
        if (!more && !next_is(s, ':')) return MAIL_ADDRESS_SYNTAX;
        s->at++;
        if (!more) return MAIL_ADDRESS_OK;
    }
    return s->at == begin ? MAIL_ADDRESS_OK : MAIL_ADDRESS_SYNTAX;
}

static enum mail_address_result scan_path(struct scanner *s) {
    if (!next_is(s, '<')) return s->flags & MAIL_ADDRESS_STRICT ? MAIL_ADDRESS_SYNTAX : scan_mailbox(s);
    s->at++;
    if (next_is(s, '>')) {
        s->at++;
        return s->flags & MAIL_ADDRESS_NULL ? MAIL_ADDRESS_OK : MAIL_ADDRESS_NULL_REFUSED;
    }
    enum mail_address_result result = scan_route(s);
    if (result == MAIL_ADDRESS_OK) result = scan_mailbox(s);
    if (result != MAIL_ADDRESS_OK) return result;
    if (s->local_length == 0 || !next_is(s, '>')) return MAIL_ADDRESS_SYNTAX;
    s->at++;
    return MAIL_ADDRESS_OK;
}

static void skip_blanks(struct scanner *s) {
    while (next_is(s, ' ') || next_is(s, '\t'))
        s->at++;
}

enum mail_address_result mail_address_parse_path(struct str argument, unsigned flags, struct mail_address *address,
                                                 struct str *rest) {
    struct scanner s = {.text = argument, .flags = flags, .domain = STR_EMPTY};
    if (!(flags & MAIL_ADDRESS_STRICT)) skip_blanks(&s);
    enum mail_address_result result = scan_path(&s);
    if (result != MAIL_ADDRESS_OK) return result;
    if (!ended(&s) && !next_is(&s, ' ') && !next_is(&s, '\t')) return MAIL_ADDRESS_SYNTAX;
    result = mail_address_from_parts(str_make(s.local, s.local_length), s.domain, flags, address);
    if (result != MAIL_ADDRESS_OK) return result;
    skip_blanks(&s);
    *rest = str_from_offset(argument, s.at);
    return MAIL_ADDRESS_OK;
}

enum mail_address_result mail_address_parse(struct str text, unsigned flags, struct mail_address *address) {
    if (text.length == 0) return mail_address_from_parts(text, text, flags, address);
    struct scanner s = {.text = text, .flags = flags, .domain = STR_EMPTY};
    enum mail_address_result result = scan_mailbox(&s);
    if (result != MAIL_ADDRESS_OK) return result;
    if (!ended(&s) || s.local_length == 0) return MAIL_ADDRESS_SYNTAX;
    return mail_address_from_parts(str_make(s.local, s.local_length), s.domain, flags, address);
}

/* ---- writing */

static bool needs_quotes(struct str local) {
    bool after_dot = true;
    for (size_t i = 0; i < local.length; i++) {
        char c = local.data[i];
        if (c == '.' ? after_dot : !is_atext(c)) return true;
        after_dot = c == '.';
    }
    return after_dot; /* empty, or a dot at the end */
}

unsigned mail_address_traits(const struct mail_address *address) {
    struct str local = mail_address_local(address);
    unsigned traits = 0;
    if (local.length == 0) return 0;
    if (local.data[0] == '-') traits |= MAIL_ADDRESS_LEADING_DASH;
    for (size_t i = 0; i < local.length; i++) {
        if (strchr("@%!", local.data[i]) != NULL && local.data[i] != '\0') traits |= MAIL_ADDRESS_ROUTED;
    }
    if (needs_quotes(local)) traits |= MAIL_ADDRESS_QUOTED;
    if (!str_is_ascii(mail_address_text(address))) traits |= MAIL_ADDRESS_NON_ASCII;
    return traits;
}

bool mail_address_append_local(struct buf *out, struct str local) {
    if (!needs_quotes(local)) return buf_append(out, local);
    buf_append_char(out, '"');
    for (size_t i = 0; i < local.length; i++) {
        if (local.data[i] == '"' || local.data[i] == '\\') buf_append_char(out, '\\');
        buf_append_char(out, local.data[i]);
    }
    return buf_append_char(out, '"');
}

bool mail_address_append_external(struct buf *out, const struct mail_address *address) {
    if (mail_address_is_null(address)) return true;
    mail_address_append_local(out, mail_address_local(address));
    if (address->domain_length == 0) return !buf_overflowed(out);
    buf_append_char(out, '@');
    return buf_append(out, mail_address_domain(address));
}

bool mail_address_append_path(struct buf *out, const struct mail_address *address) {
    buf_append_char(out, '<');
    mail_address_append_external(out, address);
    return buf_append_char(out, '>');
}

bool mail_address_append_text(struct buf *out, struct str internal) {
    struct mail_address address;
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_NULL;
    if (mail_address_from_internal(internal, flags, &address) != MAIL_ADDRESS_OK) return buf_append(out, internal);
    return mail_address_append_external(out, &address);
}

static bool append_lower(struct buf *out, struct str s) {
    for (size_t i = 0; i < s.length; i++)
        buf_append_char(out, ascii_lower(s.data[i]));
    return !buf_overflowed(out);
}

/* One IPv6 address has many spellings; inet_ntop has one. */
static bool append_literal_key(struct buf *out, struct str domain) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    struct str inside = domain_literal_address(domain);
    if (str_find(inside, ':') == STR_NONE || inside.length >= sizeof text) return append_lower(out, domain);
    memcpy(text, inside.data, inside.length);
    text[inside.length] = '\0';
    if (inet_pton(AF_INET6, text, &binary) != 1 || inet_ntop(AF_INET6, &binary, text, sizeof text) == NULL) {
        return append_lower(out, domain);
    }
    return buf_printf(out, "[ipv6:%s]", text);
}

bool mail_address_append_key(struct buf *out, const struct mail_address *address, unsigned flags) {
    struct str domain = mail_address_domain(address);
    char folded[MAIL_ADDRESS_LOCAL_LONG_MAX];
    struct str local = mail_address_local(address);
    if (flags & MAIL_FOLD_LOCAL) {
        for (size_t i = 0; i < local.length; i++)
            folded[i] = ascii_lower(local.data[i]);
        local = str_make(folded, local.length);
    }
    if (flags & MAIL_FOLD_EXTERNAL && local.length > 0) {
        mail_address_append_local(out, local);
    } else {
        buf_append(out, local);
    }
    if (domain.length == 0) return !buf_overflowed(out);
    buf_append_char(out, '@');
    if (domain.data[0] == '[') return append_literal_key(out, domain);
    if (flags & MAIL_FOLD_ASCII_DOMAIN && !str_is_ascii(domain) && domain_append_ascii(out, domain)) return true;
    return append_lower(out, domain);
}

bool mail_address_equal(const struct mail_address *a, const struct mail_address *b) {
    return str_equal(mail_address_local(a), mail_address_local(b)) &&
           str_equal_nocase(mail_address_domain(a), mail_address_domain(b));
}

static bool is_never_split(struct str local, struct str delimiters, bool owner_request) {
    if (str_equal_nocase(local, STR("postmaster")) || str_equal_nocase(local, STR("mailer-daemon")) ||
        str_equal_nocase(local, STR("double-bounce"))) {
        return true;
    }
    return owner_request && str_find(delimiters, '-') != STR_NONE &&
           (str_starts_nocase(local, STR("owner-")) || str_ends_nocase(local, STR("-request")));
}

bool mail_address_split_extension(struct str local, struct str delimiters, bool owner_request, struct str *base,
                                  struct str *extension) {
    *base = local;
    if (is_never_split(local, delimiters, owner_request)) return false;
    for (size_t i = 0; i < local.length; i++) {
        if (str_find(delimiters, local.data[i]) == STR_NONE) continue;
        if (i == 0) return false;
        *base = str_slice(local, 0, i);
        *extension = str_from_offset(local, i + 1);
        return true;
    }
    return false;
}
