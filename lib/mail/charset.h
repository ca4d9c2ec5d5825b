/* charset: text of any character set as UTF-8.
 *
 * US-ASCII, UTF-8 and the sets of one octet are converted here; US-ASCII is
 * read as UTF-8, since that is what stands in mail that says nothing. The rest
 * goes to iconv, which may load a converter from the disk when a name is first
 * met (charset_load). What is malformed becomes U+FFFD, so that the output is always
 * well-formed UTF-8. */
#ifndef TERN_CHARSET_H
#define TERN_CHARSET_H

#include "mime.h"
#include "transfer_reader.h"

#define CHARSET_NAME_MAX 40 /* octets of a name; longer ones are unknown */

struct charset_converter;
/* A converter from the set of that name (as mail writes it, any case) to UTF-8;
 * NULL if there is none of that name. Free with charset_close. */
MUST_USE struct charset_converter *charset_open(struct str name);
/* Never NULL: an unknown name, and the empty one, give UTF-8's. */
struct charset_converter *charset_open_lenient(struct str name);
/* Appends the next piece converted; a character may be cut between two pieces.
 * final: nothing follows, an incomplete character is malformed; the next call
 * begins a new text. False if out's limit was reached. */
bool charset_convert(struct charset_converter *converter, struct str input, bool final, struct buf *out);
/* True if something was replaced since the converter was opened. */
bool charset_malformed(const struct charset_converter *converter);
void charset_close(struct charset_converter **converter);
/* Loads the code for all sets that mail comes in and that is not ours, for good: for a process whose children are locked
 * in, and can load none. */
void charset_load(void);

/* A body part as UTF-8: its transfer encoding undone, its charset converted,
 * line ends CR LF as far as the text has lines. */
struct charset_reader {
    struct transfer_reader transfer;
    struct charset_converter *converter;
    bool ended;
};
/* Begins a body; charset as Content-Type has it, empty if it has none. Free with
 * charset_reader_free. */
void charset_reader_begin(struct charset_reader *reader, struct str body, enum mime_encoding encoding,
                          struct str charset);
/* Puts the next block, a few ten kilobytes, into out (cleared before, no limit),
 * whole characters only. False, with out empty, at the end. */
MUST_USE bool charset_reader_next(struct charset_reader *reader, struct buf *out);
void charset_reader_free(struct charset_reader *reader);

#endif
