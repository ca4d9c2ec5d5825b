/* imap_text: quoted strings and literals. */
#include "imap_text.h"

static bool is_quotable(struct str s) {
    if (s.length > IMAP_TEXT_QUOTED_MAX) return false;
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        if (c == '\r' || c == '\n' || (unsigned char)c >= 0x80) return false;
    }
    return true;
}

void imap_text_append_string(struct buf *out, struct str s) {
    bool quoted = is_quotable(s);
    if (quoted) {
        buf_append_char(out, '"');
    } else {
        buf_printf(out, "{%zu}\r\n", s.length);
    }
    for (size_t from = 0, i = 0; i <= s.length; i++) {
        char c = i < s.length ? s.data[i] : '\0';
        if (c != '\0' && !(quoted && (c == '"' || c == '\\'))) continue;
        buf_append(out, str_slice(s, from, i));
        from = i + 1;
        if (i == s.length) break;
        if (c != '\0') buf_append_char(out, '\\');
        buf_append_char(out, c != '\0' ? c : '?');
    }
    if (quoted) buf_append_char(out, '"');
}

void imap_text_append_nstring(struct buf *out, struct str s) {
    if (s.data == NULL) {
        buf_append(out, STR("NIL"));
    } else {
        imap_text_append_string(out, s);
    }
}
