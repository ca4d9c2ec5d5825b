/* domain: syntax of names and literals, A-labels and U-labels. */
#include <arpa/inet.h>
#include "domain.h"
#include "idn.h"
#include "utf8.h"

static struct str without_dot(struct str name) {
    return name.length > 1 && name.data[name.length - 1] == '.' ? str_slice(name, 0, name.length - 1) : name;
}

/* One label of letters, digits and hyphens. */
static bool label_is_valid(struct str label, bool underscore) {
    if (label.length == 0 || label.length > DOMAIN_LABEL_LENGTH_MAX) return false;
    if (label.data[0] == '-' || label.data[label.length - 1] == '-') return false;
    for (size_t i = 0; i < label.length; i++) {
        char c = label.data[i];
        if (!ascii_is_alnum(c) && c != '-' && !(c == '_' && underscore)) return false;
    }
    return true;
}

static bool all_digits(struct str s) {
    for (size_t i = 0; i < s.length; i++) {
        if (!ascii_is_digit(s.data[i])) return false;
    }
    return s.length > 0;
}

static bool ascii_is_valid(struct str name, unsigned flags) {
    size_t labels = 0;
    struct str rest = name, label = name;
    for (bool more = true; more; labels++) {
        more = str_cut(rest, '.', &label, &rest);
        if (!more) label = rest;
        if (!label_is_valid(label, flags & DOMAIN_UNDERSCORE)) return false;
    }
    /* A last label of digits would be an address, not a name (RFC 1123 2.1). */
    return !all_digits(label) && (!(flags & DOMAIN_QUALIFIED) || labels > 1);
}

bool domain_is_valid(struct str name, unsigned flags) {
    if (flags & DOMAIN_TRAILING_DOT) name = without_dot(name);
    if (name.length == 0 || name.length > DOMAIN_LENGTH_MAX) return false;
    if (str_is_ascii(name)) return ascii_is_valid(name, flags);
    if (!(flags & DOMAIN_UTF8) || name.data[name.length - 1] == '.') return false;
    /* UTS #46 maps these to '.'; in an address they would part labels that nobody compares so. */
    if (str_find_str(name, STR("\343\200\202")) != STR_NONE || str_find_str(name, STR("\357\274\216")) != STR_NONE ||
        str_find_str(name, STR("\357\275\241")) != STR_NONE) {
        return false;
    }
    struct buf ascii = buf_make(DOMAIN_LENGTH_MAX);
    bool valid = domain_append_ascii(&ascii, name) && ascii_is_valid(buf_str(&ascii), flags);
    buf_free(&ascii);
    return valid;
}

/* The address as a string for inet_pton. */
static bool address_is_valid(int family, struct str address) {
    char text[INET6_ADDRSTRLEN], binary[16];
    if (address.length == 0 || address.length >= sizeof text) return false;
    memcpy(text, address.data, address.length);
    text[address.length] = '\0';
    return strlen(text) == address.length && inet_pton(family, text, binary) == 1;
}

/* "tag:content" of RFC 5321 4.1.3: Ldh-str ":" 1*dcontent; no '@', so that the
 * last one in an address always parts local part and domain. */
static bool general_is_valid(struct str inside) {
    struct str tag, content;
    if (!str_cut(inside, ':', &tag, &content) || content.length == 0 || tag.length == 0) return false;
    if (tag.data[tag.length - 1] == '-') return false;
    for (size_t i = 0; i < tag.length; i++) {
        if (!ascii_is_alnum(tag.data[i]) && tag.data[i] != '-') return false;
    }
    for (size_t i = 0; i < content.length; i++) {
        char c = content.data[i];
        if (c < '!' || c > '~' || c == '[' || c == ']' || c == '\\' || c == '@') return false;
    }
    return true;
}

enum domain_kind domain_classify(struct str text, unsigned flags) {
    if (text.length == 0 || text.data[0] != '[') return domain_is_valid(text, flags) ? DOMAIN_NAME : DOMAIN_INVALID;
    if (text.length < 3 || text.length > DOMAIN_LITERAL_MAX || text.data[text.length - 1] != ']') return DOMAIN_INVALID;
    struct str inside = str_slice(text, 1, text.length - 1);
    if (str_starts_nocase(inside, STR("IPv6:"))) {
        return address_is_valid(AF_INET6, str_from_offset(inside, 5)) ? DOMAIN_LITERAL_IPV6 : DOMAIN_INVALID;
    }
    if (address_is_valid(AF_INET, inside)) return DOMAIN_LITERAL_IPV4;
    return general_is_valid(inside) ? DOMAIN_LITERAL_GENERAL : DOMAIN_INVALID;
}

struct str domain_literal_address(struct str text) {
    enum domain_kind kind = text.length > 0 && text.data[0] == '[' ? domain_classify(text, 0) : DOMAIN_INVALID;
    if (kind == DOMAIN_LITERAL_IPV4) return str_slice(text, 1, text.length - 1);
    if (kind == DOMAIN_LITERAL_IPV6) return str_slice(text, 6, text.length - 1);
    return STR_EMPTY;
}

bool domain_append_literal(struct buf *out, struct str address) {
    buf_append(out, str_find(address, ':') != STR_NONE ? STR("[IPv6:") : STR("["));
    buf_append(out, address);
    return buf_append_char(out, ']');
}

static bool append_lower(struct buf *out, struct str s) {
    char *to = buf_reserve(out, s.length + 1);
    if (to == NULL) return false;
    for (size_t i = 0; i < s.length; i++)
        to[i] = ascii_lower(s.data[i]);
    buf_commit(out, s.length);
    return true;
}

/* libidn2's IDN2_USE_STD3_ASCII_RULES drops what it forbids ("b\u00fc@r" would
 * pass as "b\u00fcr"), so the ASCII in a U-label is looked at here; what mapping
 * may bring in is looked at in the result. */
static bool ascii_part_is_valid(struct str name) {
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if ((unsigned char)c < 0x80 && !ascii_is_alnum(c) && c != '-' && c != '.') return false;
    }
    return true;
}

bool domain_append_ascii(struct buf *out, struct str name) {
    name = without_dot(name);
    if (name.length == 0 || name.length > DOMAIN_LENGTH_MAX) return false;
    if (str_is_ascii(name)) return ascii_is_valid(name, DOMAIN_UNDERSCORE) && append_lower(out, name);
    if (!utf8_is_text(name) || !ascii_part_is_valid(name) || name.data[name.length - 1] == '.') return false;
    struct buf converted = buf_make(0);
    bool done = idn_append_ascii(&converted, name);
    struct str ascii = without_dot(buf_str(&converted));
    done = done && ascii.length <= DOMAIN_LENGTH_MAX && str_is_ascii(ascii) && ascii_is_valid(ascii, 0) &&
           append_lower(out, ascii);
    buf_free(&converted);
    return done;
}

bool domain_append_unicode(struct buf *out, struct str name) {
    struct buf ascii = buf_make(DOMAIN_LENGTH_MAX);
    if (!domain_append_ascii(&ascii, name)) {
        buf_free(&ascii);
        return false;
    }
    struct buf converted = buf_make(0);
    bool has_ace = str_starts(buf_str(&ascii), STR("xn--")) || str_find_str(buf_str(&ascii), STR(".xn--")) != STR_NONE;
    struct str unicode = buf_str(&ascii);
    if (has_ace && idn_append_unicode(&converted, unicode) && utf8_is_text(buf_str(&converted)))
        unicode = buf_str(&converted);
    bool done = buf_append(out, unicode);
    buf_free(&converted);
    buf_free(&ascii);
    return done;
}
