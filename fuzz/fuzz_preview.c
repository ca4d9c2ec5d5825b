/* Fuzz target: a preview is one line of well-formed UTF-8 without controls, and short. */
#include "memory.h"
#include "preview.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_preview(struct str preview) {
    size_t count = 0;
    if (!utf8_is_text(preview)) abort();
    for (size_t i = 0; i < preview.length; i++)
        count += ((unsigned char)preview.data[i] & 0xc0) != 0x80;
    if (count > PREVIEW_CHARACTERS) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct buf out = {0}, record = {0};
    for (int html = 0; html < 2; html++) {
        preview_append_text(&out, text, html == 1);
        check_preview(buf_str(&out));
        buf_clear(&out);
    }
    struct imap_structure structure;
    imap_structure_build(text, &record);
    if (!imap_structure_open(buf_str(&record), &structure)) abort();
    struct imap_part *parts = imap_structure_parts(&structure);
    if (parts == NULL) abort();
    preview_append(&out, text, parts, structure.part_count);
    check_preview(buf_str(&out));
    MEMORY_FREE(parts);
    buf_free(&out);
    buf_free(&record);
    return 0;
}
