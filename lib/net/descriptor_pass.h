/* descriptor_pass: a packet on a UNIX socket that may carry a descriptor. */
#ifndef TERN_DESCRIPTOR_PASS_H
#define TERN_DESCRIPTOR_PASS_H

#include "str.h"
#include <sys/types.h>

/* One sendmsg with MSG_NOSIGNAL and these flags, begun anew after a signal; descriptor -1: none. */
ssize_t descriptor_pass(int socket, struct str bytes, int descriptor, int flags);

#endif
