/* transfer_reader: a body without its Content-Transfer-Encoding, block by block.
 *
 * RFC 2045 6.7 and 6.8, read as leniently as mail needs: octets outside the
 * base64 alphabet are passed over, a broken quoted-printable escape stays as it
 * is; both are told by `malformed`. Text that is not encoded, and
 * quoted-printable's own line ends, come with CR LF. The input is all there (a
 * mapped file); only the output is in blocks. */
#ifndef TERN_TRANSFER_READER_H
#define TERN_TRANSFER_READER_H

#include "crlf_view.h"
#include "mime.h"

#define TRANSFER_ROOM_LEAST 8

struct transfer_reader {
    struct str body;
    size_t offset;
    enum mime_encoding encoding;
    bool malformed;
    struct crlf_cursor cursor; /* of bodies that are not encoded */
    uint32_t bits;             /* base64: sextets that are no group yet */
    unsigned sextets;
    size_t blanks_end; /* quoted-printable: blanks up to here are known to stay */
};

/* Begins a body as it lies in the file. MIME_ENCODING_UNKNOWN is read as 8bit:
 * ask before where that matters (BINARY's UNKNOWN-CTE). */
void transfer_reader_begin(struct transfer_reader *reader, struct str body, enum mime_encoding encoding);
/* Writes up to room (at least TRANSFER_ROOM_LEAST) octets of what is decoded; 0
 * at the end only. */
size_t transfer_reader_next(struct transfer_reader *reader, char *to, size_t room);
/* Octets of the whole body decoded. */
uint64_t transfer_reader_size(struct str body, enum mime_encoding encoding);
/* Gives octets [offset, offset + count) of the decoded body to the sink. False
 * if the sink refused. */
bool transfer_reader_write(struct str body, enum mime_encoding encoding, uint64_t offset, uint64_t count,
                           crlf_view_sink sink, void *context);

#endif
