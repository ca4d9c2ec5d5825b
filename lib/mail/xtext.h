/* xtext: the encodings of DSN parameters.
 *
 * RFC 3461 4 (xtext) and RFC 6533 3 (utf-8-addr-xtext, utf-8-addr-unitext). */
#ifndef TERN_XTEXT_H
#define TERN_XTEXT_H

#include "buf.h"
#include "str.h"

/* Appends data as xtext: '+', '=' and all outside printable ASCII as +HH. */
bool xtext_encode(struct buf *out, struct str data);
/* Appends what text encodes. False, and nothing appended, if text is no xtext.
 * The result may hold any octet: check it for its use. */
MUST_USE bool xtext_decode(struct buf *out, struct str text);

/* Appends a UTF-8 address as utf-8-addr-xtext: ASCII only, \x{HEX} for the
 * rest. False, and nothing appended, if address is not UTF-8. */
MUST_USE bool utf8_address_xtext_encode(struct buf *out, struct str address);
/* Appends a UTF-8 address as utf-8-addr-unitext: UTF-8 kept, \x{HEX} only for
 * controls, space, '\', '+' and '='. */
MUST_USE bool utf8_address_unitext_encode(struct buf *out, struct str address);
/* Reads either form. False, and nothing appended, if it is neither, or names a
 * control character. */
MUST_USE bool utf8_address_decode(struct buf *out, struct str text);

#endif
