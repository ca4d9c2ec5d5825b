/* See content.h. Whole runs between line ends are found by memchr and copied at
 * once; octet by octet nothing is done. */
#include "content.h"

/* Octets of one line, without CR or LF among them. */
static void put_run(struct content_writer *writer, struct str run, struct buf *out) {
    size_t limit = writer->line_limit == 1 ? 2 : writer->line_limit; /* the space that follows a break is one */
    while (run.length > 0) {
        if (writer->column == 0 && run.data[0] == '.') buf_append_char(out, '.');
        size_t room = run.length;
        if (limit) {
            if (writer->column >= limit) {
                buf_append(out, STR("\r\n "));
                writer->column = 1;
            }
            room = limit - writer->column;
        }
        struct str part = str_slice(run, 0, room);
        buf_append(out, part);
        writer->column += part.length;
        run = str_from_offset(run, part.length);
    }
}

/* A segment without LF: a CR in it is a space, unless it is the last octet. */
static void put_segment(struct content_writer *writer, struct str segment, struct buf *out) {
    while (segment.length > 0) {
        if (writer->carriage_return) {
            writer->carriage_return = false;
            put_run(writer, STR(" "), out);
        }
        size_t at = str_find(segment, '\r');
        if (at == STR_NONE) {
            put_run(writer, segment, out);
            return;
        }
        put_run(writer, str_slice(segment, 0, at), out);
        writer->carriage_return = true;
        segment = str_from_offset(segment, at + 1);
    }
}

void content_convert(struct content_writer *writer, struct str piece, struct buf *out) {
    while (piece.length > 0) {
        size_t end = str_find(piece, '\n');
        if (end == STR_NONE) {
            put_segment(writer, piece, out);
            return;
        }
        put_segment(writer, str_slice(piece, 0, end), out);
        buf_append(out, STR("\r\n"));
        writer->carriage_return = false;
        writer->column = 0;
        piece = str_from_offset(piece, end + 1);
    }
}

void content_finish(struct content_writer *writer, struct buf *out) {
    if (writer->column > 0 || writer->carriage_return) buf_append(out, STR("\r\n"));
    writer->carriage_return = false;
    writer->column = 0;
    buf_append(out, STR(".\r\n"));
}
