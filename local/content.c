/* The message as it goes into a mailbox: prepended lines, then the content of the
 * queue file from content_offset on. A small message is one read and one write. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "date.h"
#include "header.h"
#include "worker.h"

#define PIECE ((size_t)256 * 1024)

/* Addresses were checked when they came in; this keeps a fault there from adding a line here. */
static void append_safe(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        buf_append_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
    }
}

/* A line with an address, as headers have them: a local part in quotes where it needs them. */
static void append_line(struct buf *out, const char *name, const char *open, struct str value, const char *close_with) {
    struct buf text = buf_make(0);
    mail_address_append_text(&text, value);
    buf_append(out, str_from(name));
    buf_append(out, str_from(open));
    append_safe(out, buf_str(&text));
    buf_append(out, str_from(close_with));
    buf_append_char(out, '\n');
    buf_free(&text);
}

/* A virtual mailbox, and an account's, always has it, as with Postfix. */
static bool wants_delivered_to(const struct config *config, uint64_t step) {
    struct str rest = config->prepend_delivered_header, word;
    if (step == STEP_VIRTUAL || step == STEP_ACCOUNT) return true;
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal(word, step == STEP_COMMAND ? STR("command") : STR("file"))) return true;
    return false;
}

void content_make_prefix(struct content *content, const struct config *config) {
    const struct ipc_local_work *work = content->work;
    struct str original = work->original.length ? work->original : work->recipient;
    append_line(&content->prefix, "Return-Path: ", "<", work->sender, ">");
    if (config->enable_original_recipient) append_line(&content->prefix, "X-Original-To: ", "", original, "");
    if (wants_delivered_to(config, work->step))
        append_line(&content->prefix, "Delivered-To: ", "", work->recipient, "");
}

void content_append_from_line(struct buf *out, struct str sender, int64_t date) {
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    struct date_fields fields = {.month = 1, .day = 1, .year = 1970};
    time_t seconds = (time_t)(date / CLOCK_SECOND);
    struct tm local;
    long offset = localtime_r(&seconds, &local) ? local.tm_gmtoff : 0;
    if (!date_split(seconds, (int)(offset / 60), &fields))
        fields = (struct date_fields){.month = 1, .day = 1, .year = 1970};
    buf_append(out, STR("From "));
    struct str name = sender.length ? sender : STR("MAILER-DAEMON");
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];
        buf_append_char(out, c <= ' ' || c == 0x7f ? '-' : (char)c);
    }
    buf_printf(out, "  %s %s %2d %02d:%02d:%02d %04d\n", days[fields.weekday % 7], months[(fields.month - 1) % 12],
               fields.day, fields.hour, fields.minute, fields.second, fields.year);
}

static bool write_all(int to, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(to, data, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

/* Reads the piece at an offset of the content; what is expected and not there is a fault of the queue file. */
static bool read_piece(const struct content *content, uint64_t offset, char *into, size_t length) {
    while (length > 0) {
        ssize_t got = pread(content->file, into, length, (off_t)(content->work->content_offset + offset));
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = ENODATA;
        if (got <= 0) return false;
        into += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return true;
}

static size_t piece_of(uint64_t left, size_t room) {
    return left < room ? (size_t)left : room;
}

enum content_result content_write(const struct content *content, int to) {
    uint64_t total = content->work->content_length, offset = 0;
    size_t used = content->prefix.length, room = used + piece_of(total, PIECE);
    enum content_result result = CONTENT_WRITTEN;
    char *bytes = memory_allocate(1, room + 1);
    memcpy(bytes, buf_string(&content->prefix), used);
    do {
        size_t piece = piece_of(total - offset, room - used);
        if (!read_piece(content, offset, bytes + used, piece))
            result = CONTENT_READ_FAILED;
        else if (!write_all(to, bytes, used + piece))
            result = CONTENT_WRITE_FAILED;
        offset += piece;
        used = 0;
    } while (result == CONTENT_WRITTEN && offset < total);
    int reason = errno;
    MEMORY_FREE(bytes);
    errno = reason;
    return result;
}

/* ---- with quoted From lines */

/* Copies a piece into out, a '>' before each line that begins with any number of '>' and "From ". held keeps
 * a line's beginning of which that is not decided yet. */
struct quoting {
    struct buf out;
    size_t line;   /* bytes of the line's beginning that may still become ">>>From " */
    size_t arrows; /* of them, '>' */
    bool deciding;
};

static void quote_byte(struct quoting *quoting, char c) {
    static const char word[] = "From ";
    if (quoting->deciding) {
        size_t letters = quoting->line - quoting->arrows;
        if (c == word[letters]) {
            if (letters == 4) {
                buf_insert(&quoting->out, quoting->out.length - quoting->line, STR(">"));
                quoting->deciding = false;
            }
        } else if (letters == 0 && c == '>') {
            quoting->arrows++;
        } else {
            quoting->deciding = false;
        }
        quoting->line++;
    }
    buf_append_char(&quoting->out, c);
    if (c == '\n') {
        quoting->deciding = true;
        quoting->line = quoting->arrows = 0;
    }
}

/* Writes what is decided; a run of '>' without end is decided at a thousand. */
static bool quote_flush(struct quoting *quoting, int to, bool all) {
    if (quoting->deciding && quoting->line > 1000) quoting->deciding = false;
    size_t keep = quoting->deciding && !all ? quoting->line : 0;
    bool good = write_all(to, buf_string(&quoting->out), quoting->out.length - keep);
    buf_remove(&quoting->out, 0, quoting->out.length - keep);
    return good;
}

enum content_result content_write_quoted(const struct content *content, int to) {
    struct quoting quoting = {.deciding = true};
    enum content_result result = CONTENT_WRITTEN;
    size_t room = 64 * 1024;
    char *bytes = memory_allocate(1, room);
    char last = '\n';
    buf_append(&quoting.out, buf_str(&content->prefix));
    uint64_t total = content->work->content_length;
    for (uint64_t offset = 0; offset < total && result == CONTENT_WRITTEN;) {
        size_t piece = piece_of(total - offset, room);
        if (!read_piece(content, offset, bytes, piece)) {
            result = CONTENT_READ_FAILED;
            break;
        }
        for (size_t i = 0; i < piece; i++)
            quote_byte(&quoting, bytes[i]);
        last = bytes[piece - 1];
        offset += piece;
        if (!quote_flush(&quoting, to, false)) result = CONTENT_WRITE_FAILED;
    }
    if (result == CONTENT_WRITTEN) {
        buf_append(&quoting.out, last == '\n' ? STR("\n") : STR("\n\n"));
        if (!quote_flush(&quoting, to, true)) result = CONTENT_WRITE_FAILED;
    }
    int reason = errno;
    buf_free(&quoting.out);
    MEMORY_FREE(bytes);
    errno = reason;
    return result;
}

/* ---- loops */

enum content_loop header_look_for_loop(struct str bytes, struct str recipient, uint64_t hop_limit) {
    struct header_reader reader;
    struct header_field field;
    struct buf name = buf_make(0);
    bool here = false;
    uint64_t hops = 0;
    mail_address_append_text(&name, recipient);
    header_begin(&reader, bytes, 0);
    while (!here && header_next(&reader, &field) == HEADER_FIELD) {
        here = str_equal_nocase(field.name, STR("Delivered-To")) &&
               str_equal_nocase(str_trim(field.value), buf_str(&name));
        if (str_equal_nocase(field.name, STR("Received"))) hops++;
    }
    buf_free(&name);
    return here ? LOOP_DELIVERED : hops > hop_limit ? LOOP_HOPS : LOOP_NONE;
}

enum content_loop content_look_for_loop(int file, uint64_t offset, uint64_t length, struct str recipient,
                                        uint64_t hop_limit) {
    struct ipc_local_work work = {.content_offset = offset, .content_length = length};
    struct content content = {.work = &work, .file = file};
    enum content_loop found = LOOP_NONE;
    size_t room = 16 * 1024;
    for (;;) {
        size_t piece = piece_of(length, room);
        char *bytes = memory_allocate(1, piece + 1);
        if (!read_piece(&content, 0, bytes, piece)) {
            found = LOOP_UNREADABLE;
        } else {
            struct str text = str_make(bytes, piece);
            bool whole = piece == length || room >= HEADER_BYTES_MAX || (piece && bytes[0] == '\n') ||
                         str_find_str(text, STR("\n\n")) != STR_NONE;
            found = header_look_for_loop(text, recipient, hop_limit);
            if (!whole && found == LOOP_NONE) {
                MEMORY_FREE(bytes);
                room *= 8;
                continue;
            }
        }
        MEMORY_FREE(bytes);
        return found;
    }
}
