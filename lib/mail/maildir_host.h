/* maildir_host: the host's part of a Maildir file name. */
#ifndef TERN_MAILDIR_HOST_H
#define TERN_MAILDIR_HOST_H

#include "buf.h"

/* Appends at most 100 octets of it, without what would part the name ("/" and ":" as octal numbers, "," and what is no
 * sign as "_"); "localhost" for none. Pure. */
void maildir_append_host(struct buf *name, struct str host);

#endif
