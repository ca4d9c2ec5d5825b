/* ternman: what its pages share. Everything goes to standard output, as mdoc. */
#ifndef TERN_TERNMAN_H
#define TERN_TERNMAN_H

#include "str.h"

/* Text inside a line, with what mdoc would read differently escaped. */
void put_mdoc(struct str text);
/* A paragraph: every sentence begins a line. No line end after the last. */
void put_sentences(struct str text);
/* One argument of a macro, in quotes. */
void put_argument(struct str text);

/* The page tern-ipc(7): all messages and rows of ipc_messages.def. */
void write_messages(void);
/* The page tern-services(7): all rows of services.def. False if a row has a right without a name here. */
MUST_USE bool write_services(void);

#endif
