/* ternman: its pages. Everything goes to standard output, as mdoc. */
#ifndef TERN_TERNMAN_H
#define TERN_TERNMAN_H

#include "str.h"

/* The page tern-ipc(7): all messages and rows of ipc_messages.def. */
void write_messages(void);
/* The page tern-services(7): all rows of services.def. False if a row has a right without a name here. */
MUST_USE bool write_services(void);

#endif
