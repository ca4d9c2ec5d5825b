/* RETR and TOP: a message in CR LF form, its lines' first dots doubled (RFC 1939 section 3). */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crlf_view.h"
#include "log.h"
#include "pop3.h"

#define PIECE    32768
#define POPULATE 262144 /* octets: a smaller file is mapped with all its pages at once */

static bool map_message(struct pop3_session *session, uint32_t number, struct str *bytes) {
    struct failure failure = {0};
    struct stat status;
    enum store_result result;
    int file = folder_message_file(session->folder, number, &result, &failure);
    if (file >= 0 && fstat(file, &status) == 0) {
        size_t size = (size_t)status.st_size;
        void *map =
            size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE | (size < POPULATE ? MAP_POPULATE : 0), file, 0) : NULL;
        close(file);
        if (map != MAP_FAILED) {
            *bytes = str_make(map, size);
            return true;
        }
        failure_set_errno(&failure, errno, "cannot read a message");
    } else if (file >= 0) {
        failure_set_errno(&failure, errno, "cannot look at a message");
        close(file);
    } else if (result == STORE_MISSING) {
        pop3_say(session, "-ERR The message is gone\r\n");
        return false;
    }
    log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    pop3_say(session, "-ERR [%s] The message cannot be read now\r\n", pop3_trouble(&failure));
    return false;
}

/* Sends a piece of the CR LF form; *line_start: it begins a line, and then whether the next one does. */
static void send_stuffed(struct pop3_session *session, struct str piece, bool *line_start) {
    if (*line_start && piece.length > 0 && piece.data[0] == '.') pop3_say_bytes(session, STR("."));
    while (piece.length > 0) {
        const char *dot = memmem(piece.data, piece.length, "\n.", 2);
        size_t length = dot ? (size_t)(dot - piece.data) + 1 : piece.length;
        pop3_say_bytes(session, str_slice(piece, 0, length));
        if (dot) pop3_say_bytes(session, STR("."));
        *line_start = piece.data[length - 1] == '\n';
        piece = str_from_offset(piece, length);
    }
}

static void send_message(struct pop3_session *session, struct str span) {
    struct crlf_cursor cursor = {0};
    struct buf piece = buf_make(0);
    bool line_start = true;
    for (uint64_t offset = 0; !session->connection_lost; offset += piece.length) {
        buf_clear(&piece);
        if (!crlf_view_append(&piece, span, offset, PIECE, &cursor) || piece.length == 0) break;
        send_stuffed(session, buf_str(&piece), &line_start);
    }
    pop3_say_bytes(session, line_start ? STR(".\r\n") : STR("\r\n.\r\n"));
    buf_free(&piece);
}

void pop3_retr(struct pop3_session *session, const struct pop3_line *line) {
    struct str bytes;
    uint32_t number;
    if (!pop3_take_message(session, line->arguments[0], &number) || !map_message(session, number, &bytes)) return;
    uint64_t size = pop3_message_size(session, number);
    pop3_say(session, "+OK %llu octets\r\n", (unsigned long long)size);
    send_message(session, bytes);
    session->retrieved++;
    session->retrieved_octets += size;
    if (bytes.length > 0) munmap((void *)(uintptr_t)bytes.data, bytes.length);
}

/* The header, the empty line, and so many lines of the body. */
static struct str cut_top(struct str bytes, uint64_t lines) {
    size_t end = 0;
    bool body = false;
    while (end < bytes.length && !(body && lines == 0)) {
        struct str rest = str_from_offset(bytes, end);
        size_t length = str_find(rest, '\n');
        length = length == STR_NONE ? rest.length : length + 1;
        if (body) lines--;
        if (length == 1 || (length == 2 && rest.data[0] == '\r')) body = true;
        end += length;
    }
    return str_slice(bytes, 0, end);
}

void pop3_top(struct pop3_session *session, const struct pop3_line *line) {
    struct str bytes;
    uint32_t number;
    uint64_t lines;
    if (!pop3_take_message(session, line->arguments[0], &number)) return;
    if (!str_to_u64(line->arguments[1], UINT32_MAX, &lines)) {
        pop3_say(session, "-ERR A number of lines expected\r\n");
        return;
    }
    if (!map_message(session, number, &bytes)) return;
    pop3_say(session, "+OK\r\n");
    send_message(session, cut_top(bytes, lines));
    session->topped++;
    if (bytes.length > 0) munmap((void *)(uintptr_t)bytes.data, bytes.length);
}
