/* terncat: shows what is in a queue file: envelope, what happened to it, headers, body.
 * Of a damaged file it shows what can be read, and says what cannot. Also called postcat. */
#include "cat_envelope.h"
#include "queue_id.h"
#include "queue_tool.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum part { PART_ENVELOPE = 1, PART_HEADER = 2, PART_BODY = 4, PART_ALL = 7 };

struct cat {
    struct queue_tool tool;
    unsigned parts;
    bool by_id, offsets, json;
    int status;
};

static void damaged(struct cat *cat, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
static void damaged(struct cat *cat, const char *name, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    queue_tool_warn(&cat->tool, "%s: %s", name, buf_string(&text));
    buf_free(&text);
    if (cat->status == EX_OK) cat->status = EX_DATAERR;
}

static void heading(const struct cat *cat, const char *what, const char *name) {
    struct buf text = buf_make(0);
    if (!(cat->parts & PART_ENVELOPE)) return; /* -bh is the message and nothing else */
    queue_tool_printable(&text, str_from(name));
    printf("*** %s %s ***\n", what, buf_string(&text));
    buf_free(&text);
}

/* ---- content: line by line in bounded memory, the header first */

struct content {
    const struct cat *cat;
    const char *name;
    bool in_body, line_begins;
    uint64_t offset; /* of the next byte, in the file */
};

static bool is_wanted(const struct content *content) {
    return (content->cat->parts & (content->in_body ? PART_BODY : PART_HEADER)) != 0;
}

/* Shows a piece that holds at most one LF, at its end. */
static void show_piece(struct content *content, struct str piece) {
    bool ends = piece.length && piece.data[piece.length - 1] == '\n';
    bool separator = content->line_begins && !content->in_body && piece.length == 1 && ends;
    /* The empty line is the body's, so that -h and -b one after the other are the message. */
    if (separator) content->in_body = true;
    if (is_wanted(content)) {
        if (content->cat->offsets && content->line_begins) printf("%9llu ", (unsigned long long)content->offset);
        fwrite(piece.data, 1, piece.length, stdout);
    }
    content->line_begins = ends;
    content->offset += piece.length;
}

static bool content_is_done(const struct content *content) {
    return content->in_body && !(content->cat->parts & PART_BODY);
}

static void show_bytes(struct content *content, struct str bytes) {
    while (bytes.length && !content_is_done(content)) {
        size_t end = str_find(bytes, '\n');
        size_t length = end == STR_NONE ? bytes.length : end + 1;
        show_piece(content, str_slice(bytes, 0, length));
        bytes = str_from_offset(bytes, length);
    }
}

/* Up to length bytes from where the content begins; less if the file is shorter. */
static void show_content(struct cat *cat, int file, const char *name, uint64_t length) {
    struct content content = {.cat = cat, .name = name, .line_begins = true, .offset = QUEUE_HEADER_SIZE};
    char bytes[32768];
    if (!(cat->parts & (PART_HEADER | PART_BODY))) return;
    heading(cat, "MESSAGE CONTENTS", name);
    for (uint64_t done = 0; done < length && !content_is_done(&content);) {
        size_t part = length - done < sizeof bytes ? (size_t)(length - done) : sizeof bytes;
        ssize_t got = pread(file, bytes, part, (off_t)(QUEUE_HEADER_SIZE + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) damaged(cat, name, "cannot be read: %s", strerror(errno));
        if (got <= 0) break;
        show_bytes(&content, str_make(bytes, (size_t)got));
        done += (uint64_t)got;
    }
    if (!content.line_begins && (cat->parts & PART_ENVELOPE)) putchar('\n');
}

/* ---- a file */

/* Envelope and events as bytes; false: they cannot be had. */
static bool read_tail(struct cat *cat, int file, const char *name, const struct queue_header *header,
                      struct buf *tail) {
    struct stat status;
    uint64_t offset = QUEUE_HEADER_SIZE + header->content_length;
    if (fstat(file, &status) < 0 || (uint64_t)status.st_size <= offset) {
        damaged(cat, name, "the file is cut short: it has no envelope");
        return false;
    }
    uint64_t length = (uint64_t)status.st_size - offset;
    if (length > 2 * QUEUE_ENVELOPE_LIMIT) length = 2 * QUEUE_ENVELOPE_LIMIT;
    char *bytes = buf_reserve(tail, (size_t)length);
    for (uint64_t done = 0; bytes && done < length;) {
        ssize_t got = pread(file, bytes + done, (size_t)(length - done), (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (uint64_t)got;
        buf_commit(tail, (size_t)got);
    }
    return true;
}

static void show_envelope(struct cat *cat, const char *name, const struct queue_header *header, struct str tail) {
    struct failure why = {0};
    struct buf out = buf_make(0);
    uint64_t offset = QUEUE_HEADER_SIZE + header->content_length;
    heading(cat, "ENVELOPE RECORDS", name);
    if (!cat_envelope_format(header, tail, offset, cat->offsets, &out, &why)) damaged(cat, name, "%s", why.text);
    fwrite(out.data ? out.data : "", 1, out.length, stdout);
    buf_free(&out);
}

static void show_json(struct cat *cat, int file, const char *name) {
    struct failure why = {0};
    struct buf out = buf_make(0);
    if (cat_envelope_json(file, &out, &why))
        fwrite(out.data, 1, out.length, stdout);
    else
        damaged(cat, name, "%s", why.text);
    buf_free(&out);
}

static void show_whole(struct cat *cat, int file, const char *name, const struct queue_header *header) {
    struct failure why = {0};
    struct buf tail = buf_make(0);
    bool have_tail = (cat->parts & PART_ENVELOPE) && read_tail(cat, file, name, header, &tail);
    if (have_tail) show_envelope(cat, name, header, buf_str(&tail));
    buf_free(&tail);
    if ((cat->parts & (PART_HEADER | PART_BODY)) && !queue_file_check_content(file, header, &why))
        damaged(cat, name, "%s", why.text);
    show_content(cat, file, name, header->content_length);
    heading(cat, "MESSAGE FILE END", name);
}

static void show_file(struct cat *cat, int file, const char *name) {
    char bytes[QUEUE_HEADER_SIZE];
    struct queue_header header;
    struct failure why = {0};
    ssize_t got = pread(file, bytes, sizeof bytes, 0);
    if (got < 0) {
        damaged(cat, name, "cannot be read: %s", strerror(errno));
    } else if (cat->json) {
        show_json(cat, file, name);
    } else if (queue_header_parse(str_make(bytes, (size_t)got), &header, &why)) {
        show_whole(cat, file, name, &header);
    } else {
        damaged(cat, name, "%s; what follows is all that stands after the header's place", why.text);
        show_content(cat, file, name, UINT64_MAX);
        heading(cat, "MESSAGE FILE END", name);
    }
}

static bool show_opened(struct cat *cat, int file, const char *name) {
    struct stat status;
    bool plain = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    if (plain)
        show_file(cat, file, name);
    else
        damaged(cat, name, "not a plain file");
    close(file);
    return plain;
}

static void show_path(struct cat *cat, const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        cat->status = queue_tool_fatal(&cat->tool, errno == EACCES ? EX_NOPERM : EX_NOINPUT, "open %s: %s", path,
                                       strerror(errno));
    else
        show_opened(cat, file, path);
}

/* A message may move from folder to folder while it is looked for, so they are gone through twice. */
static void show_id(struct cat *cat, int queue, const char *id) {
    static const char *const folders[] = {"new", "cur", "hold", "corrupt", "tmp"};
    char path[64];
    if (!queue_id_is_valid(str_from(id))) {
        cat->status = queue_tool_fatal(&cat->tool, EX_USAGE, "bad mail queue ID: %s", id);
        return;
    }
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i % ARRAY_LENGTH(folders)], id);
        int file = openat(queue, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (file < 0) continue;
        show_opened(cat, file, path);
        return;
    }
    cat->status = queue_tool_fatal(&cat->tool, EX_NOINPUT, "open queue file %s: no such message", id);
}

/* ---- */

static int show_ids(struct cat *cat, int count, char **ids) {
    struct failure failure = {0};
    int status = queue_tool_load(&cat->tool);
    if (status != EX_OK) return status;
    int queue = queue_tool_open_queue(&failure);
    if (queue < 0)
        return queue_tool_fatal(&cat->tool, failure.error_number == EACCES ? EX_NOPERM : EX_OSERR, "%s", failure.text);
    if (queue_tool_become_owner(queue, &failure))
        for (int i = 0; i < count; i++)
            show_id(cat, queue, ids[i]);
    else
        cat->status = queue_tool_fatal(&cat->tool, EX_OSERR, "%s", failure.text);
    close(queue);
    return cat->status;
}

static int usage(const struct cat *cat) {
    return queue_tool_fatal(
        &cat->tool, EX_USAGE,
        "usage: %1$s [-behjorv] [-c directory] file... | %1$s -q [-behjorv] [-c directory] queueid...",
        cat->tool.program);
}

static int read_options(struct cat *cat, int count, char **words) {
    for (int letter; (letter = getopt(count, words, "bc:dehjoqrv")) != -1;) {
        switch (letter) {
        case 'b':
            cat->parts |= PART_BODY;
            break;
        case 'c':
            cat->tool.config_directory = optarg;
            break;
        case 'd':
        case 'r':
            break;
        case 'e':
            cat->parts |= PART_ENVELOPE;
            break;
        case 'h':
            cat->parts |= PART_HEADER;
            break;
        case 'j':
            cat->json = true;
            break;
        case 'o':
            cat->offsets = true;
            break;
        case 'q':
            cat->by_id = true;
            break;
        case 'v':
            cat->tool.verbose = true;
            break;
        default:
            return usage(cat);
        }
    }
    if (cat->parts == 0) cat->parts = PART_ALL;
    return optind < count ? EX_OK : usage(cat);
}

int main(int count, char **words) {
    struct cat cat = {.tool = {.program = queue_tool_name(words[0])}};
    int status = read_options(&cat, count, words);
    if (status == EX_OK && cat.by_id) {
        status = show_ids(&cat, count - optind, words + optind);
    } else if (status == EX_OK) {
        for (int i = optind; i < count; i++)
            show_path(&cat, words[i]);
        status = cat.status;
    }
    if (fflush(stdout) != 0 && status == EX_OK) status = queue_tool_fatal(&cat.tool, EX_IOERR, "cannot write");
    config_free(&cat.tool.config);
    return status;
}
