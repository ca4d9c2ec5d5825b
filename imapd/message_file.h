/* message_file: a message's open file, read into memory: all of it, or its header. No session, no folder: any thread
 * may. */
#ifndef TERN_IMAP_MESSAGE_FILE_H
#define TERN_IMAP_MESSAGE_FILE_H

#include "buf.h"
#include "compiler.h"

/* Whether a file is waited for, or only what the kernel has in memory is read. */
enum message_reading { READ_WAITING, READ_AT_HAND };

/* Reads a file of `size` octets, less than limit, in place of what is in bytes. False: it is larger than that, empty,
 * cannot be read, or is not at hand. */
MUST_USE bool message_file_read(int file, enum message_reading how, uint64_t size, size_t limit, struct buf *bytes);
/* Reads the beginning of the file: most headers end there, and small messages are read whole, which *whole says.
 * *header: up to where the header ends for sure. False: it does not end there, cannot be read, or is not at hand. */
MUST_USE bool message_file_read_header(int file, enum message_reading how, struct buf *bytes, struct str *header,
                                       bool *whole);

#endif
