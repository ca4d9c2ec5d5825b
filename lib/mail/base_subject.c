/* base_subject: the six steps of RFC 5256 2.1. */
#include "base_subject.h"
#include "encoded_word.h"

/* Step 1, second half: blanks to spaces, runs of them to one. */
static void collapse(struct buf *text) {
    size_t kept = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->data[i] == '\t' ? ' ' : text->data[i];
        if (c == ' ' && kept > 0 && text->data[kept - 1] == ' ') continue;
        text->data[kept++] = c;
    }
    buf_truncate(text, kept);
}

/* Step 2: *subj-trailer. */
static bool remove_trailers(struct str *text) {
    bool removed = false;
    for (;;) {
        if (str_ends(*text, STR(" "))) {
            text->length--;
        } else if (str_ends_nocase(*text, STR("(fwd)"))) {
            text->length -= 5;
            removed = true;
        } else {
            return removed;
        }
    }
}

static size_t skip_spaces(struct str text, size_t at) {
    while (at < text.length && text.data[at] == ' ')
        at++;
    return at;
}

/* Where a subj-blob at `at` ends, or `at` itself if there is none. */
static size_t blob_end(struct str text, size_t at) {
    if (at >= text.length || text.data[at] != '[') return at;
    size_t end = at + 1;
    while (end < text.length && text.data[end] != '[' && text.data[end] != ']' && text.data[end] != '\0')
        end++;
    if (end >= text.length || text.data[end] != ']') return at;
    return skip_spaces(text, end + 1);
}

/* Where a subj-refwd at `at` ends, or `at` itself. */
static size_t refwd_end(struct str text, size_t at) {
    struct str rest = str_from_offset(text, at);
    size_t word = 0;
    if (str_starts_nocase(rest, STR("re")) || str_starts_nocase(rest, STR("fw"))) word = 2;
    if (str_starts_nocase(rest, STR("fwd"))) word = 3;
    if (word == 0) return at;
    size_t end = blob_end(text, skip_spaces(text, at + word));
    return end < text.length && text.data[end] == ':' ? end + 1 : at;
}

/* Steps 3 to 5. A run of blobs is looked at once: if no subj-refwd follows it,
 * none of its blobs is part of a leader, and step 4 takes them off one by one as
 * long as something is left. */
static bool remove_leaders(struct str *text) {
    bool removed = false;
    for (;;) {
        size_t begin = skip_spaces(*text, 0), at = begin, last = begin, end;
        while ((end = blob_end(*text, at)) != at) {
            last = at;
            at = end;
        }
        end = refwd_end(*text, at);
        if (end == at) {
            *text = str_from_offset(*text, at < text->length ? at : last);
            return removed;
        }
        *text = str_from_offset(*text, end);
        removed = true;
    }
}

/* Step 6. */
static bool remove_forward(struct str *text) {
    if (!str_starts_nocase(*text, STR("[fwd:")) || !str_ends(*text, STR("]"))) return false;
    *text = str_slice(*text, 5, text->length - 1);
    return true;
}

bool base_subject_append(struct buf *out, struct str field) {
    struct buf decoded = {0};
    bool again, removed = false;
    encoded_word_decode(field, &decoded);
    collapse(&decoded);
    struct str text = buf_str(&decoded);
    do {
        if (remove_trailers(&text)) removed = true;
        if (remove_leaders(&text)) removed = true;
        again = remove_forward(&text);
        if (again) removed = true;
    } while (again);
    buf_append(out, text);
    buf_free(&decoded);
    return removed;
}
