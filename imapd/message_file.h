/* message_file: a message's open file, read into memory: all of it, or its header. No session, no folder: any thread
 * may. */
#ifndef TERN_IMAP_MESSAGE_FILE_H
#define TERN_IMAP_MESSAGE_FILE_H

#include "buf.h"
#include "compiler.h"

/* Reads a file of `size` octets, less than limit, in place of what is in bytes. False: it is larger than that, empty,
 * or cannot be read. */
MUST_USE bool message_file_read(int file, uint64_t size, size_t limit, struct buf *bytes);
/* Reads the beginning of the file: most headers end there, and small messages are read whole, which *whole says.
 * *header: up to where the header ends for sure. False: it does not end there, or cannot be read. */
MUST_USE bool message_file_read_header(int file, struct buf *bytes, struct str *header, bool *whole);

#endif
