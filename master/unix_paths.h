/* unix_paths: which UNIX sockets a configuration names as destinations of mail. Pure.
 *
 * Master connects services to these and to no others. They are found where a next hop
 * "unix:PATH" can stand: in transports and relay hosts, in the entries of maps that
 * are written out in main.cf (inline, static, randmap), and in lmtp_unix_sockets, which
 * lists those that stand in table files. A socketmap's own socket is none of them. */
#ifndef TERN_MASTER_UNIX_PATHS_H
#define TERN_MASTER_UNIX_PATHS_H

#include "str.h"

typedef void unix_paths_teller(struct str path, void *context);

/* Tells each path that this parameter's value names; too long ones are left out. */
void unix_paths_each(struct str parameter, struct str value, unix_paths_teller *teller, void *context);

#endif
