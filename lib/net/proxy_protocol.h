/* PROXY protocol v1 and v2 (haproxy): who is really connected.
 *
 * A pure parser over the first bytes of a connection, and the reader that feeds
 * it from a stream before the greeting. */
#ifndef TERN_PROXY_PROTOCOL_H
#define TERN_PROXY_PROTOCOL_H

#include "endpoint.h"
#include "stream.h"

enum proxy_result { PROXY_DONE, PROXY_MORE, PROXY_INVALID };

struct proxy_header {
    size_t length;   /* bytes that the header took */
    bool local;      /* LOCAL or UNKNOWN: keep the connection's own addresses */
    struct endpoint client, server;
};

/* Looks at the bytes so far. At most 107 bytes (v1) or 536 (v2) are ever needed. */
MUST_USE enum proxy_result proxy_parse(struct str bytes, struct proxy_header *header);
/* Reads the header from a stream. */
MUST_USE enum stream_result proxy_read(struct stream *stream, struct proxy_header *header);

#endif
