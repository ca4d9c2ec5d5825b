/* log_text: outside bytes made safe for one line of log or reply.
 *
 * What came from outside may hold line ends, terminal escapes and malformed
 * UTF-8; none of it may reach a log, a reply or a notice as it is. */
#ifndef TERN_LOG_TEXT_H
#define TERN_LOG_TEXT_H

#include "buf.h"
#include "str.h"

/* Appends text with control characters (C0, DEL, C1, line and paragraph
 * separator, bidirectional overrides) and malformed UTF-8 as '?'; at most
 * maximum octets of text are taken (0: all), "..." marks a cut. */
bool log_text_append(struct buf *out, struct str text, size_t maximum);
/* The same into a fixed array, NUL-terminated, cut to fit. Returns array. */
const char *log_text(char *array, size_t size, struct str text);
#define LOG_TEXT(text) log_text((char[256]){0}, 256, (text))

#endif
