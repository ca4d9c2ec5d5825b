/* file_count: how long a message's file is with CR LF line ends, as IMAP and POP3 count it (RFC 9051 section 2.3.4, RFC
 * 1939 section 11). No folder: any thread may. */
#ifndef TERN_FILE_COUNT_H
#define TERN_FILE_COUNT_H

#include <stdint.h>

#include "compiler.h"

/* Reads the file of `size` octets from its beginning. False, with errno: it cannot be read. */
MUST_USE bool file_count(int file, uint64_t size, uint64_t *virtual_size);

#endif
