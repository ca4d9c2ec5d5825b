/* See compress.h. */
#include "compress.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "memory.h"

#define WINDOW_BITS (-15) /* raw deflate */
#define LEVEL       6
#define ROOM        16384

struct compress {
    int descriptor;
    z_stream in, out;
    char input[ROOM];   /* compressed bytes that were read */
    char output[ROOM];  /* compressed bytes to be written */
    size_t output_start, output_end;
    bool flush_pending; /* what was taken has to leave before more is taken */
    bool ended;
};

static ssize_t receive(struct compress *compress) {
    ssize_t got = recv(compress->descriptor, compress->input, sizeof compress->input, MSG_DONTWAIT);
    if (got < 0 && errno == ENOTSOCK) got = read(compress->descriptor, compress->input, sizeof compress->input);
    return got;
}

static long compress_read(void *state, void *data, size_t length, bool *wait_for_write) {
    struct compress *compress = state;
    *wait_for_write = false;
    for (;;) {
        compress->in.next_out = data;
        compress->in.avail_out = (uInt)length;
        int result = inflate(&compress->in, Z_SYNC_FLUSH);
        size_t made = length - compress->in.avail_out;
        if (made > 0) return (long)made;
        if (result == Z_STREAM_END) return 0;
        if (result != Z_OK && result != Z_BUF_ERROR) {
            errno = EBADMSG;
            return -1;
        }
        ssize_t got = receive(compress);
        if (got <= 0) return got;
        compress->in.next_in = (Bytef *)compress->input;
        compress->in.avail_in = (uInt)got;
    }
}

/* Sends what is compressed. False: errno says why not all of it. */
static bool send_output(struct compress *compress) {
    while (compress->output_start < compress->output_end) {
        const char *from = compress->output + compress->output_start;
        size_t length = compress->output_end - compress->output_start;
        ssize_t sent = send(compress->descriptor, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == ENOTSOCK) sent = write(compress->descriptor, from, length);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        compress->output_start += (size_t)sent;
    }
    compress->output_start = compress->output_end = 0;
    return true;
}

/* Each write is flushed: the stream above gathers until an answer is complete. Bytes that were taken are reported when
 * all that came of them has been sent, so that the stream waits for as long as that takes. */
static long compress_write(void *state, const void *data, size_t length, bool *wait_for_write) {
    struct compress *compress = state;
    *wait_for_write = true;
    if (!compress->flush_pending) {
        compress->out.next_in = (Bytef *)(uintptr_t)data;
        compress->out.avail_in = (uInt)(length < 65536 ? length : 65536);
        compress->flush_pending = true;
    }
    size_t taken = length < 65536 ? length : 65536;
    for (;;) {
        if (!send_output(compress)) return -1;
        compress->out.next_out = (Bytef *)compress->output;
        compress->out.avail_out = sizeof compress->output;
        int result = deflate(&compress->out, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR) {
            errno = EIO;
            return -1;
        }
        compress->output_end = sizeof compress->output - compress->out.avail_out;
        bool all = compress->out.avail_out > 0 && compress->out.avail_in == 0;
        if (compress->output_end > 0 && !send_output(compress)) return -1;
        if (all) break;
    }
    compress->flush_pending = false;
    return (long)taken;
}

static void compress_destroy(void *state) {
    struct compress *compress = state;
    inflateEnd(&compress->in);
    deflateEnd(&compress->out);
    MEMORY_FREE(compress);
}

static const struct stream_transport compress_transport = {
    .read = compress_read, .write = compress_write, .destroy = compress_destroy, .plain = false};

bool compress_begin(struct stream *stream, struct str first) {
    struct compress *compress = MEMORY_NEW(struct compress);
    compress->descriptor = stream_descriptor(stream);
    bool good = inflateInit2(&compress->in, WINDOW_BITS) == Z_OK &&
                deflateInit2(&compress->out, LEVEL, Z_DEFLATED, WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
                first.length <= ROOM;
    if (!good) {
        compress_destroy(compress);
        return false;
    }
    if (first.length > 0) {
        memcpy(compress->input, first.data, first.length);
        compress->in.next_in = (Bytef *)compress->input;
        compress->in.avail_in = (uInt)first.length;
    }
    stream_set_transport(stream, &compress_transport, compress);
    return true;
}
