/* address_complete: the addresses of a header field that lack a domain get one.
 *
 * What a program of this machine writes as "root" or "Ada <ada>" means nothing on
 * another one. All octets of the field stay as they are; domains are put between them. */
#ifndef TERN_ADDRESS_COMPLETE_H
#define TERN_ADDRESS_COMPLETE_H

#include "buf.h"
#include "str.h"

/* True for a field whose value is a list of addresses: From, To, Resent-Cc and their kin, in any case. */
bool address_field_is_known(struct str name);
/* Appends the field's value (folded or not), "@origin" after each address without a domain. What is no
 * address stays as it is, "<>" too. */
bool address_complete(struct buf *out, struct str value, struct str origin);

#endif
