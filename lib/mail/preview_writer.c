/* preview_writer: draws blanks together, counts characters. */
#include "preview_writer.h"
#include "utf8.h"

bool preview_is_blank(uint32_t c) {
    return c == ' ' || utf8_is_control(c) || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* What newsletters fill their first line with, and other characters without a width. */
static bool is_invisible(uint32_t c) {
    return c == 0xad || c == 0x34f || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

void preview_write(struct preview_writer *writer, uint32_t c) {
    if (is_invisible(c)) return;
    if (preview_is_blank(c)) {
        writer->blank = writer->count > 0;
        return;
    }
    size_t needed = writer->blank ? 2 : 1;
    if (writer->count + needed > writer->limit) writer->full = true;
    if (writer->full) return;
    if (writer->blank) buf_append_char(writer->out, ' ');
    utf8_append(writer->out, c);
    writer->count += needed;
    writer->blank = false;
}
