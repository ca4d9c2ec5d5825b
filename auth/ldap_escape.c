/* Escapes of LDAP. */
#include "ldap_escape.h"

static void append_octet(struct buf *out, char octet) {
    buf_printf(out, "\\%02x", (unsigned)(unsigned char)octet);
}

static bool is_control(char c) {
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_among(char c, struct str set) {
    return str_find(set, c) != STR_NONE;
}

void ldap_escape_filter(struct buf *out, struct str value) {
    for (size_t i = 0; i < value.length; i++) {
        if (is_control(value.data[i]) || is_among(value.data[i], STR("*()\\")))
            append_octet(out, value.data[i]);
        else
            buf_append_char(out, value.data[i]);
    }
}

void ldap_escape_dn(struct buf *out, struct str value) {
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        bool at_end = i == 0 || i + 1 == value.length;
        if (is_control(c) || is_among(c, STR("\"+,;<>=#\\")) || (c == ' ' && at_end))
            append_octet(out, c);
        else
            buf_append_char(out, c);
    }
}
