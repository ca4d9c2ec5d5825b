/* casemap: text for comparing, i;unicode-casemap.
 *
 * RFC 5051: each character by its titlecase form, that by its decomposition, and
 * so on until nothing changes; then octet by octet. What is not UTF-8 stays as it
 * is. Searching works on blocks as they are decoded, in time proportional to
 * their length. */
#ifndef TERN_CASEMAP_H
#define TERN_CASEMAP_H

#include "buf.h"
#include "str.h"

/* Appends text folded. False if out's limit was reached. */
bool casemap_append(struct buf *out, struct str text);
/* True if both fold to the same. */
bool casemap_equal(struct str a, struct str b);

/* Looks for a key in text that comes in blocks. */
struct casemap_search {
    struct buf key;    /* folded */
    struct buf window; /* what of the text so far a match may begin in, folded */
    size_t cut_length;
    char cut[4]; /* the beginning of a character that the last block ended in */
};
/* Begins a search for key (UTF-8, any case). Free with casemap_search_free. */
void casemap_search_begin(struct casemap_search *search, struct str key);
/* Takes the next block of UTF-8; true if the key has been found, at its end or
 * before. An empty key is found at once. */
MUST_USE bool casemap_search_next(struct casemap_search *search, struct str block);
/* Begins another text with the same key. */
void casemap_search_restart(struct casemap_search *search);
void casemap_search_free(struct casemap_search *search);
/* Appends what casemap_contains would look for a key in: text folded, without a character that is cut at its end. */
void casemap_append_searched(struct buf *out, struct str text);
/* True if text holds key. */
MUST_USE bool casemap_contains(struct casemap_search *search, struct str text);

#endif
