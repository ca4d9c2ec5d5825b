/* stream: a task's buffered connection over a descriptor.
 *
 * Reads and writes suspend the task. Every operation ends by the stream's
 * deadline (stream_set_deadline: one absolute moment for the whole command or
 * reply, not for a byte). The buffers go back while nothing is in them, so an
 * idle connection costs no buffer; output still buffered goes out before a read
 * waits, so answers to pipelined commands leave together. TLS comes in beneath
 * (the transport table) without the callers changing.
 *
 * Line discipline: a line ends in CR LF, nothing else. A bare CR, a bare LF or
 * a NUL inside the bytes up to the line's end is reported by its own result
 * (lessons.md section 1, end-of-data disagreement). */
#ifndef TERN_STREAM_H
#define TERN_STREAM_H

#include "buf.h"
#include "clock.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

struct stream;

enum stream_result {
    STREAM_OK,
    STREAM_EOF,       /* the peer closed, nothing (more) to read */
    STREAM_TIMEOUT,   /* the deadline came */
    STREAM_CANCELLED, /* the task was cancelled (process is draining) */
    STREAM_ERROR,     /* the connection broke; stream_failure says how */
    STREAM_TOO_LONG,  /* no line end within the limit; the bytes up to the next line end are skipped */
    STREAM_BARE_CR,   /* a CR without LF stands before the next CR LF; *line has the bytes */
    STREAM_BARE_LF,   /* an LF without CR; *line has the bytes before it */
    STREAM_NUL,       /* a NUL byte in the line */
};

/* Takes the descriptor over (it is made non-blocking). line_limit: longest line
 * with its line end, in bytes. */
struct stream *stream_create(int descriptor, size_t line_limit);
/* Flushes nothing; closes the descriptor; sets *stream to NULL. */
void stream_destroy(struct stream **stream);
int stream_descriptor(const struct stream *stream);
void stream_set_deadline(struct stream *stream, deadline until);
void stream_set_line_limit(struct stream *stream, size_t line_limit);
/* When set (LMTP peers, sendmail -bs), a lone LF also ends a line. Never for the network. */
void stream_accept_bare_lf(struct stream *stream, bool accept);
/* While two tasks share the stream, one that reads and one that writes and flushes: reading then flushes nothing. */
void stream_share(struct stream *stream, bool shared);
const struct failure *stream_failure(const struct stream *stream);
/* For a layer above: makes this the stream's failure and returns STREAM_ERROR. */
enum stream_result stream_fail(struct stream *stream, const char *format, ...) PRINTF_LIKE(2, 3);

/* The next line without its line end; borrowed until the next read. */
MUST_USE enum stream_result stream_read_line(struct stream *stream, struct str *line);
/* At least one byte and at most maximum, borrowed until the next read: for BDAT. */
MUST_USE enum stream_result stream_read_some(struct stream *stream, size_t maximum, struct str *bytes);
/* What is in the buffer now, without reading: for message content. Consume it
 * with stream_consume. stream_fill waits until there is more than `have`. */
struct str stream_peek(const struct stream *stream);
MUST_USE enum stream_result stream_fill(struct stream *stream, size_t have);
void stream_consume(struct stream *stream, size_t length);
/* stream_fill that takes at most maximum bytes at a time from the connection, so
 * that what follows them is left for another transport. */
MUST_USE enum stream_result stream_fill_at_most(struct stream *stream, size_t have, size_t maximum);
/* Puts bytes before all that is to be read: what was read ahead by somebody else. */
void stream_push_back(struct stream *stream, struct str bytes);
/* Bytes received and not yet read: pipelining, and what must not cross STARTTLS. */
size_t stream_pending(const struct stream *stream);
/* True if a read would find bytes or an end at once (asks the kernel). */
bool stream_readable_now(struct stream *stream);
/* Waits until the descriptor is ready, by the stream's deadline: for a transport that
 * has a dialogue of its own before it carries anything. */
MUST_USE enum stream_result stream_wait(struct stream *stream, bool for_write);

/* Adds to the output buffer; flushes by itself when that is full (64 KiB). */
MUST_USE enum stream_result stream_write(struct stream *stream, struct str bytes);
MUST_USE enum stream_result stream_printf(struct stream *stream, const char *format, ...) PRINTF_LIKE(2, 3);
MUST_USE enum stream_result stream_flush(struct stream *stream);
/* Sends length bytes of a file from an offset, after what is buffered; zero-copy
 * where the transport allows (sendfile). */
MUST_USE enum stream_result stream_send_file(struct stream *stream, int file, uint64_t offset, uint64_t length);

/* Nothing more will be written: says so to the peer (TLS's close_notify, then the end of
 * the connection's one direction), after what is buffered. What it still sends can be read. */
MUST_USE enum stream_result stream_end_output(struct stream *stream);

/* Totals since the start. */
uint64_t stream_bytes_read(const struct stream *stream);
uint64_t stream_bytes_written(const struct stream *stream);

/* What moves the bytes: a plain socket, or TLS on one. Each call returns bytes
 * moved, 0 at the end, or -1 with errno (EAGAIN: *wait_for_write says for what;
 * ENODATA: the connection ended where the transport's own rules have it go on). */
struct stream_transport {
    long (*read)(void *state, void *data, size_t length, bool *wait_for_write);
    long (*write)(void *state, const void *data, size_t length, bool *wait_for_write);
    void (*destroy)(void *state);
    bool plain;               /* sendfile may be used on the descriptor */
    bool (*end)(void *state); /* says that no more will be written; false: when there is room. NULL: nothing to say */
    bool (*drained)(
        void *state); /* the last read took all there was: wait first. NULL: the stream judges by the length */
};
/* Puts a transport in place (STARTTLS). Only with an empty input buffer. */
void stream_set_transport(struct stream *stream, const struct stream_transport *transport, void *state);

#endif
