/* ldap_escape: values put into LDAP filters (RFC 4515 section 3) and distinguished
 * names (RFC 4514 section 2.4) so that they stay values. Pure. */
#ifndef TERN_LDAP_ESCAPE_H
#define TERN_LDAP_ESCAPE_H

#include "buf.h"
#include "str.h"

/* Appends value: * ( ) \ NUL and control characters become \xx. */
void ldap_escape_filter(struct buf *out, struct str value);
/* Appends value: " + , ; < > = # \ and control characters become \xx, and so does a blank at either end. */
void ldap_escape_dn(struct buf *out, struct str value);

#endif
