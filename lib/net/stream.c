/* stream: buffers, lines and flushing above a transport. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"
#include "task.h"

enum {
    BUFFER_SIZE = 16384,
    OUTPUT_LIMIT = 65536,
    INPUT_LIMIT = 16 << 20, /* stream_fill keeps no more than this */
    KEPT_BUFFERS = 32,
    MOVES_BETWEEN_YIELDS = 16, /* transfers without a wait before the others get a turn */
    SENDFILE_PIECE = 1 << 20,
};

struct piece {
    char *data; /* NULL while nothing is in it */
    size_t capacity;
    size_t start, end;
};

struct stream {
    int descriptor;
    bool is_socket;   /* until the kernel says otherwise */
    bool bare_lf;
    bool shared;      /* another task writes: reading flushes nothing */
    bool ended;       /* the peer has closed */
    bool truncated;   /* it did so without the transport's own goodbye */
    bool wait_first;  /* the last read took all there was: ask the poll, not the socket */
    unsigned moves;   /* transfers since the last wait */
    size_t line_limit;
    size_t scanned;   /* bytes from input.start that hold no LF */
    size_t borrowed;  /* bytes at input.start handed out, consumed by the next read */
    deadline until;
    struct piece input, output;
    uint64_t bytes_read, bytes_written;
    const struct stream_transport *transport;
    void *transport_state;
    struct failure *failure; /* NULL: there was none; it is large, and idle streams are many */
};

/* ---- buffers: a few of the usual size are kept for the next who needs one. Part
 * of this thread's allocator, so to say; no state that anyone can see. */

struct free_buffer {
    struct free_buffer *next;
};

static _Thread_local struct {
    struct free_buffer *first;
    size_t count;
} kept;

static void take_buffer(struct piece *piece) {
    if (piece->data) return;
    piece->start = piece->end = 0;
    piece->capacity = BUFFER_SIZE;
    if (kept.first) {
        piece->data = (char *)kept.first;
        kept.first = kept.first->next;
        kept.count--;
    } else {
        piece->data = memory_resize(NULL, BUFFER_SIZE, 1);
    }
}

static void give_buffer(struct piece *piece) {
    if (!piece->data) return;
    if (piece->capacity == BUFFER_SIZE && kept.count < KEPT_BUFFERS) {
        struct free_buffer *buffer = (struct free_buffer *)(void *)piece->data;
        buffer->next = kept.first;
        kept.first = buffer;
        kept.count++;
    } else {
        free(piece->data);
    }
    *piece = (struct piece){0};
}

static void grow_buffer(struct piece *piece, size_t capacity) {
    struct piece larger = {.data = memory_resize(NULL, capacity, 1), .capacity = capacity, .end = piece->end - piece->start};

    if (larger.end) memcpy(larger.data, piece->data + piece->start, larger.end);
    give_buffer(piece);
    *piece = larger;
}

static size_t held(const struct piece *piece) {
    return piece->end - piece->start;
}

/* ---- life */

static long plain_read(void *state, void *data, size_t length, bool *wait_for_write) {
    struct stream *stream = state;

    *wait_for_write = false;
    if (stream->is_socket) {
        ssize_t got = recv(stream->descriptor, data, length, MSG_DONTWAIT);
        if (got >= 0 || errno != ENOTSOCK) return got;
        stream->is_socket = false;
    }
    return read(stream->descriptor, data, length);
}

static long plain_write(void *state, const void *data, size_t length, bool *wait_for_write) {
    struct stream *stream = state;

    *wait_for_write = true;
    if (stream->is_socket) {
        ssize_t sent = send(stream->descriptor, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0 || errno != ENOTSOCK) return sent;
        stream->is_socket = false;
    }
    return write(stream->descriptor, data, length);
}

static const struct stream_transport plain_transport = {.read = plain_read, .write = plain_write, .plain = true};

struct stream *stream_create(int descriptor, size_t line_limit) {
    struct stream *stream = MEMORY_NEW(struct stream);
    int flags = fcntl(descriptor, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    stream->descriptor = descriptor;
    stream->is_socket = true;
    stream->line_limit = line_limit;
    stream->until = DEADLINE_NEVER;
    stream->transport = &plain_transport;
    stream->transport_state = stream;
    return stream;
}

void stream_destroy(struct stream **stream) {
    struct stream *gone = *stream;

    if (!gone) return;
    if (gone->transport->destroy) gone->transport->destroy(gone->transport_state);
    give_buffer(&gone->input);
    give_buffer(&gone->output);
    free(gone->failure);
    if (gone->descriptor >= 0) {
        task_forget_descriptor(gone->descriptor);
        close(gone->descriptor);
    }
    MEMORY_FREE(*stream);
}

int stream_descriptor(const struct stream *stream) {
    return stream->descriptor;
}

void stream_set_deadline(struct stream *stream, deadline until) {
    stream->until = until;
}

void stream_set_line_limit(struct stream *stream, size_t line_limit) {
    stream->line_limit = line_limit;
}

void stream_accept_bare_lf(struct stream *stream, bool accept) {
    stream->bare_lf = accept;
}

void stream_share(struct stream *stream, bool shared) {
    stream->shared = shared;
}

const struct failure *stream_failure(const struct stream *stream) {
    static const struct failure none;
    return stream->failure ? stream->failure : &none;
}

static struct failure *own_failure(struct stream *stream) {
    if (!stream->failure) stream->failure = MEMORY_NEW(struct failure);
    return stream->failure;
}

void stream_set_transport(struct stream *stream, const struct stream_transport *transport, void *state) {
    if (stream->transport->destroy) stream->transport->destroy(stream->transport_state);
    stream->transport = transport;
    stream->transport_state = state;
    stream->wait_first = false;
}

uint64_t stream_bytes_read(const struct stream *stream) {
    return stream->bytes_read;
}

uint64_t stream_bytes_written(const struct stream *stream) {
    return stream->bytes_written;
}

enum stream_result stream_fail(struct stream *stream, const char *format, ...) {
    va_list arguments;
    char text[sizeof(stream->failure->text)];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    failure_set(own_failure(stream), "%s", text);
    return STREAM_ERROR;
}

static enum stream_result broke(struct stream *stream, int error_number, const char *what) {
    failure_set_errno(own_failure(stream), error_number, "%s", what);
    return STREAM_ERROR;
}

/* ---- waiting */

static enum stream_result wait_for(struct stream *stream, bool for_write) {
    enum wait_result result = for_write ? task_wait_writable(stream->descriptor, stream->until)
                                        : task_wait_readable(stream->descriptor, stream->until);

    stream->moves = 0;
    switch (result) {
    case WAIT_READY: return STREAM_OK;
    case WAIT_TIMEOUT: return STREAM_TIMEOUT;
    case WAIT_CANCELLED: return STREAM_CANCELLED;
    }
    return STREAM_ERROR;
}

enum stream_result stream_wait(struct stream *stream, bool for_write) {
    return wait_for(stream, for_write);
}

/* A peer that always has something ready must neither keep the others from
 * running nor outlast the deadline. */
static enum stream_result take_turns(struct stream *stream) {
    if (++stream->moves < MOVES_BETWEEN_YIELDS) return STREAM_OK;
    stream->moves = 0;
    if (task_current() && task_is_cancelled(task_current())) return STREAM_CANCELLED;
    if (stream->until != DEADLINE_NEVER && deadline_left(stream->until) == 0) return STREAM_TIMEOUT;
    task_yield();
    return STREAM_OK;
}

/* ---- output */

/* Writes all of the bytes, waiting as needed. *done says how far it came. */
static enum stream_result write_out(struct stream *stream, const char *data, size_t length, size_t *done) {
    enum stream_result result;

    while (*done < length) {
        bool for_write = true;
        long sent = stream->transport->write(stream->transport_state, data + *done, length - *done, &for_write);
        if (sent > 0) {
            *done += (size_t)sent;
            stream->bytes_written += (uint64_t)sent;
            if (*done < length && (result = take_turns(stream)) != STREAM_OK) return result;
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if ((result = wait_for(stream, for_write)) != STREAM_OK) return result;
        } else if (sent == 0 || errno != EINTR) {
            return broke(stream, sent == 0 ? EPIPE : errno, "write");
        }
    }
    return STREAM_OK;
}

enum stream_result stream_flush(struct stream *stream) {
    struct piece *output = &stream->output;
    enum stream_result result;
    size_t done = 0;

    if (held(output) == 0) return STREAM_OK;
    result = write_out(stream, output->data + output->start, held(output), &done);
    output->start += done;
    if (held(output) == 0) give_buffer(output);
    return result;
}

enum stream_result stream_write(struct stream *stream, struct str bytes) {
    struct piece *output = &stream->output;
    enum stream_result result;
    size_t done = 0;

    if (held(output) + bytes.length > OUTPUT_LIMIT && (result = stream_flush(stream)) != STREAM_OK) return result;
    if (held(output) == 0 && bytes.length >= BUFFER_SIZE) /* a copy would gain nothing */
        return write_out(stream, bytes.data, bytes.length, &done);
    if (bytes.length == 0) return STREAM_OK;
    take_buffer(output);
    if (output->capacity - output->end < bytes.length) grow_buffer(output, OUTPUT_LIMIT);
    memcpy(output->data + output->end, bytes.data, bytes.length);
    output->end += bytes.length;
    return STREAM_OK;
}

enum stream_result stream_printf(struct stream *stream, const char *format, ...) {
    struct buf text = buf_make(0);
    enum stream_result result;
    va_list arguments;
    char line[1024];
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0) return broke(stream, EINVAL, "format");
    if ((size_t)length < sizeof(line)) return stream_write(stream, str_make(line, (size_t)length));
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    result = stream_write(stream, buf_str(&text));
    buf_free(&text);
    return result;
}

/* Through a buffer: where sendfile cannot, or must not (TLS). */
static enum stream_result copy_file(struct stream *stream, int file, uint64_t offset, uint64_t length) {
    struct piece block = {0};
    enum stream_result result = STREAM_OK;

    take_buffer(&block);
    while (length > 0 && result == STREAM_OK) {
        size_t want = length < block.capacity ? (size_t)length : block.capacity;
        ssize_t got = pread(file, block.data, want, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            result = broke(stream, errno, "read of the file");
        else if (got == 0)
            result = stream_fail(stream, "the file is shorter than it was");
        else
            result = stream_write(stream, str_make(block.data, (size_t)got));
        if (got > 0) {
            offset += (uint64_t)got;
            length -= (uint64_t)got;
        }
    }
    give_buffer(&block);
    return result;
}

enum stream_result stream_send_file(struct stream *stream, int file, uint64_t offset, uint64_t length) {
    enum stream_result result;

    /* What fits into the buffer goes out in one write with what comes before and after. */
    if (!stream->transport->plain || !stream->is_socket || held(&stream->output) + length <= BUFFER_SIZE)
        return copy_file(stream, file, offset, length);
    if ((result = stream_flush(stream)) != STREAM_OK) return result;
    while (length > 0) {
        off_t from = (off_t)offset;
        ssize_t sent = sendfile(stream->descriptor, file, &from, length < SENDFILE_PIECE ? (size_t)length : SENDFILE_PIECE);
        if (sent > 0) {
            offset += (uint64_t)sent;
            length -= (uint64_t)sent;
            stream->bytes_written += (uint64_t)sent;
            if (length > 0 && (result = take_turns(stream)) != STREAM_OK) return result;
        } else if (sent == 0) {
            return stream_fail(stream, "the file is shorter than it was");
        } else if (errno == EAGAIN) {
            if ((result = wait_for(stream, true)) != STREAM_OK) return result;
        } else if (errno == EINVAL || errno == ENOSYS || errno == EOVERFLOW) {
            return copy_file(stream, file, offset, length);
        } else if (errno != EINTR) {
            return broke(stream, errno, "sendfile");
        }
    }
    return STREAM_OK;
}

enum stream_result stream_end_output(struct stream *stream) {
    enum stream_result result = stream_flush(stream);

    while (result == STREAM_OK && stream->transport->end && !stream->transport->end(stream->transport_state))
        result = wait_for(stream, true);
    if (result == STREAM_OK && shutdown(stream->descriptor, SHUT_WR) < 0) return broke(stream, errno, "shutdown");
    return result;
}

/* ---- input */

/* What was handed out is used no longer. */
static void settle(struct stream *stream) {
    stream_consume(stream, 0);
}

/* Room for at least one byte more. */
static void make_room(struct piece *input) {
    take_buffer(input);
    if (input->end < input->capacity) return;
    if (input->start > 0) {
        memmove(input->data, input->data + input->start, held(input));
        input->end -= input->start;
        input->start = 0;
    } else {
        grow_buffer(input, input->capacity * 2);
    }
}

enum read_outcome { READ_BYTES, READ_NOTHING, READ_END, READ_BROKEN };

/* One read of at most maximum bytes. */
static enum read_outcome read_once(struct stream *stream, size_t maximum, bool *for_write) {
    struct piece *input = &stream->input;
    size_t room;
    long got;

    if (stream->ended) return READ_END;
    make_room(input);
    room = input->capacity - input->end;
    if (room > maximum) room = maximum;
    do {
        *for_write = false;
        got = stream->transport->read(stream->transport_state, input->data + input->end, room, for_write);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        input->end += (size_t)got;
        stream->bytes_read += (uint64_t)got;
        stream->wait_first = stream->transport->drained ? stream->transport->drained(stream->transport_state)
                                                        : stream->transport->plain && (size_t)got < room;
        return READ_BYTES;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return READ_NOTHING;
    if (got < 0 && errno == ENODATA) {
        stream->truncated = true;
        stream_fail(stream, "the connection was cut off");
        return READ_BROKEN;
    }
    if (got < 0) {
        broke(stream, errno, "read");
        return READ_BROKEN;
    }
    stream->ended = true;
    return READ_END;
}

/* Before a wait: answers that the peer may be waiting for go out, and an empty
 * buffer goes back. */
static enum stream_result wait_for_input(struct stream *stream, bool for_write) {
    enum stream_result result = stream->shared ? STREAM_OK : stream_flush(stream);

    if (result != STREAM_OK) return result;
    if (held(&stream->input) == 0) give_buffer(&stream->input);
    return wait_for(stream, for_write);
}

void stream_push_back(struct stream *stream, struct str bytes) {
    struct piece *input = &stream->input;
    settle(stream);
    if (bytes.length == 0) return;
    struct piece larger = {.capacity = bytes.length + held(input) + BUFFER_SIZE};
    larger.data = memory_resize(NULL, larger.capacity, 1);
    memcpy(larger.data, bytes.data, bytes.length);
    if (held(input)) memcpy(larger.data + bytes.length, input->data + input->start, held(input));
    larger.end = bytes.length + held(input);
    give_buffer(input);
    *input = larger;
    stream->scanned = 0;
}

/* At least one byte more, at most maximum. */
static enum stream_result read_more(struct stream *stream, size_t maximum) {
    enum stream_result result;
    bool for_write = false;

    if (stream->ended) return STREAM_EOF;
    if (stream->wait_first && (stream->until == DEADLINE_NEVER || deadline_left(stream->until) > 0)) {
        stream->wait_first = false;
        if ((result = wait_for_input(stream, false)) != STREAM_OK) return result;
    } else if ((result = take_turns(stream)) != STREAM_OK) {
        return result;
    }
    for (;;) {
        switch (read_once(stream, maximum, &for_write)) {
        case READ_BYTES: return STREAM_OK;
        case READ_END: return STREAM_EOF;
        case READ_BROKEN: return STREAM_ERROR;
        case READ_NOTHING:
            if ((result = wait_for_input(stream, for_write)) != STREAM_OK) return result;
        }
    }
}

struct str stream_peek(const struct stream *stream) {
    const struct piece *input = &stream->input;

    if (held(input) <= stream->borrowed) return STR_EMPTY;
    return str_make(input->data + input->start + stream->borrowed, held(input) - stream->borrowed);
}

void stream_consume(struct stream *stream, size_t length) {
    struct piece *input = &stream->input;

    if (stream->borrowed) {
        input->start += stream->borrowed;
        stream->borrowed = 0;
    }
    if (length > held(input)) length = held(input);
    input->start += length;
    stream->scanned = 0;
    if (held(input) == 0) input->start = input->end = 0;
}

size_t stream_pending(const struct stream *stream) {
    return held(&stream->input) - stream->borrowed;
}

enum stream_result stream_fill_at_most(struct stream *stream, size_t have, size_t maximum) {
    enum stream_result result;

    if (stream->borrowed) settle(stream);
    while (held(&stream->input) <= have) {
        if (have >= INPUT_LIMIT) return STREAM_TOO_LONG;
        if ((result = read_more(stream, maximum)) != STREAM_OK) return result;
    }
    return STREAM_OK;
}

enum stream_result stream_fill(struct stream *stream, size_t have) {
    return stream_fill_at_most(stream, have, SIZE_MAX);
}

enum stream_result stream_read_some(struct stream *stream, size_t maximum, struct str *bytes) {
    enum stream_result result = stream_fill(stream, 0);
    size_t length;

    if (result != STREAM_OK) return result;
    length = held(&stream->input) < maximum ? held(&stream->input) : maximum;
    *bytes = str_make(stream->input.data + stream->input.start, length);
    stream->borrowed = length;
    return STREAM_OK;
}

bool stream_readable_now(struct stream *stream) {
    bool for_write;

    if (stream_pending(stream) > 0) return true;
    if (stream->borrowed) settle(stream);
    if (read_once(stream, SIZE_MAX, &for_write) != READ_NOTHING) return true;
    give_buffer(&stream->input);
    return false;
}

/* ---- lines */

/* Throws bytes away up to the line's end. */
static enum stream_result skip_line(struct stream *stream) {
    struct piece *input = &stream->input;
    enum stream_result result;
    bool after_cr = false;

    for (;;) {
        const char *data = input->data + input->start, *end = input->data + input->end;
        for (const char *at = data; at < end; at++) {
            if (*at == '\n' && (after_cr || stream->bare_lf)) {
                stream_consume(stream, (size_t)(at - data) + 1);
                return STREAM_TOO_LONG;
            }
            after_cr = *at == '\r';
        }
        stream_consume(stream, held(input));
        if ((result = read_more(stream, SIZE_MAX)) != STREAM_OK) return result;
    }
}

/* The bytes up to the LF are a line: which kind? */
static enum stream_result judge_line(struct stream *stream, const char *data, size_t length, struct str *line) {
    bool has_cr = length > 0 && data[length - 1] == '\r';
    struct str text = str_make(data, has_cr ? length - 1 : length);

    stream->borrowed = length + 1;
    stream->scanned = 0;
    *line = text;
    if (!has_cr && !stream->bare_lf) return STREAM_BARE_LF;
    if (text.length > 0 && memchr(text.data, '\r', text.length)) return STREAM_BARE_CR;
    if (text.length > 0 && memchr(text.data, '\0', text.length)) return STREAM_NUL;
    return STREAM_OK;
}

enum stream_result stream_read_line(struct stream *stream, struct str *line) {
    struct piece *input = &stream->input;
    enum stream_result result;

    if (stream->borrowed) settle(stream);
    for (;;) {
        size_t have = held(input);
        if (have > stream->scanned) {
            const char *data = input->data + input->start;
            const char *lf = memchr(data + stream->scanned, '\n', have - stream->scanned);
            if (lf && (size_t)(lf - data) < stream->line_limit) return judge_line(stream, data, (size_t)(lf - data), line);
            stream->scanned = have;
            if (lf || have >= stream->line_limit) return skip_line(stream);
        }
        result = read_more(stream, SIZE_MAX);
        if (result == STREAM_ERROR && stream->truncated && held(input) == 0) return STREAM_EOF; /* between lines */
        if (result != STREAM_OK) return result;
    }
}
