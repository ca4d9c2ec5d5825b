/* preview: choosing the part, and two readers, of plain text and of HTML, that feed one writer. */
#include "preview.h"
#include "charset.h"
#include "part_text.h"
#include "preview_html.h"
#include "preview_writer.h"
#include "utf8.h"

/* ---- plain text: lines that begin with '>' are quoted */

struct plain_reader {
    struct preview_writer *writer;
    bool with_quoted;
    bool line_began; /* something other than blanks stood in the line */
    bool quoted;
};

static void read_plain(struct plain_reader *reader, uint32_t c) {
    if (c == '\n') {
        reader->line_began = reader->quoted = false;
    } else if (!reader->line_began && !preview_is_blank(c)) {
        reader->line_began = true;
        reader->quoted = c == '>';
    }
    bool shown = !reader->quoted || (reader->with_quoted && c != '>');
    preview_write(reader->writer, shown ? c : ' ');
}

/* ---- a text, block by block */

struct reading {
    struct preview_writer writer;
    struct plain_reader plain;
    struct preview_html html;
    bool is_html;
    size_t read; /* octets so far */
};

static void reading_begin(struct reading *reading, struct buf *out, bool html, bool with_quoted) {
    *reading = (struct reading){.writer = {.out = out, .limit = PREVIEW_CHARACTERS}, .is_html = html};
    reading->plain = (struct plain_reader){.writer = &reading->writer, .with_quoted = with_quoted};
    preview_html_begin(&reading->html, &reading->writer, with_quoted);
}

/* False if no more is wanted. */
static bool reading_next(struct reading *reading, struct str block) {
    reading->read += block.length;
    while (block.length > 0 && !reading->writer.full) {
        uint32_t c = 0;
        size_t taken = utf8_decode(block, &c);
        if (taken == 0) {
            c = 0xfffd;
            taken = 1;
        }
        block = str_from_offset(block, taken);
        if (reading->is_html) {
            preview_html_read(&reading->html, c);
        } else {
            read_plain(&reading->plain, c);
        }
    }
    return !reading->writer.full && reading->read < PREVIEW_READ_MAX;
}

static void reading_end(struct reading *reading) {
    if (reading->is_html) preview_html_end(&reading->html);
}

void preview_append_text(struct buf *out, struct str text, bool html) {
    size_t before = out->length;
    for (int quoted = 0; quoted < 2 && out->length == before; quoted++) {
        struct reading reading;
        reading_begin(&reading, out, html, quoted == 1);
        (void)reading_next(&reading, str_slice(text, 0, PREVIEW_READ_MAX));
        reading_end(&reading);
    }
}

/* ---- choosing a part */

struct text_part {
    struct str body;
    struct part_text text;
    enum mime_encoding encoding;
};

static bool is_readable(const struct part_text *text) {
    return !text->attachment && (text->html || text->plain);
}

/* True if no part above, but the message itself, is a message. */
static bool is_own(const struct imap_part *parts, size_t index) {
    while (index != 0) {
        index = parts[index].parent;
        if (parts[index].kind == IMAP_PART_MESSAGE) return false;
    }
    return true;
}

#define PARTS_LOOKED_AT 100

/* The first readable part; a plain one beside it counts more than HTML. */
static bool choose(struct str message, const struct imap_part *parts, size_t count, struct text_part *chosen) {
    bool found = false;
    uint32_t parent = 0;
    for (size_t i = 0; i < count && i < PARTS_LOOKED_AT; i++) {
        const struct imap_part *part = &parts[i];
        struct text_part text = {.encoding = part->encoding};
        if (part->kind != IMAP_PART_TEXT || part->body_length == 0 || !is_own(parts, i)) continue;
        if (found && part->parent != parent) break;
        size_t header = (size_t)part->header_offset, body = (size_t)part->body_offset;
        part_text_read(str_slice(message, header, body), &text.text);
        if (!is_readable(&text.text)) continue;
        text.body = str_slice(message, body, body + (size_t)part->body_length);
        if (!found || !text.text.html) *chosen = text;
        found = true;
        parent = part->parent;
        if (!text.text.html) return true;
    }
    return found;
}

static void append_part(struct buf *out, const struct text_part *text, bool with_quoted) {
    struct charset_reader reader;
    struct reading reading;
    struct buf block = {0};
    charset_reader_begin(&reader, text->body, text->encoding, str_from(text->text.charset));
    reading_begin(&reading, out, text->text.html, with_quoted);
    while (charset_reader_next(&reader, &block) && reading_next(&reading, buf_str(&block)))
        continue;
    reading_end(&reading);
    charset_reader_free(&reader);
    buf_free(&block);
}

void preview_append(struct buf *out, struct str message, const struct imap_part *parts, size_t part_count) {
    struct text_part text = {0};
    size_t before = out->length;
    if (!choose(message, parts, part_count, &text)) return;
    append_part(out, &text, false);
    if (out->length == before) append_part(out, &text, true);
}
