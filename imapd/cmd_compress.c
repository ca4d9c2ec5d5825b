/* COMPRESS DEFLATE (RFC 4978). */
#include "commands.h"
#include "compress.h"

IMAP_COMMAND(cmd_compress) {
    struct str algorithm;
    (void)uid;
    if (!imap_take_atom(parser, &algorithm) || !imap_take_end(parser)) return imap_bad(parser);
    if (!str_equal_nocase(algorithm, STR("DEFLATE"))) return imap_no("CANNOT", "Unknown algorithm");
    if (session->compressed) return imap_no("COMPRESSIONACTIVE", "Compression is on already");
    imap_say(session, "%.*s OK Compression begins\r\n", STR_ARGS(session->tag));
    if (!imap_flush(session)) return (struct imap_outcome){.answer = ANSWER_SAID};
    struct str first = stream_peek(session->stream);
    struct buf copy = buf_make(0);
    buf_append(&copy, first);
    stream_consume(session->stream, first.length);
    session->compressed = compress_begin(session->stream, buf_str(&copy));
    if (!session->compressed) session->connection_lost = session->logging_out = true;
    buf_free(&copy);
    return (struct imap_outcome){.answer = ANSWER_SAID};
}
