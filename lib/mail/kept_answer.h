/* kept_answer: a long answer about all of a mailbox, kept in pieces for as long as the mailbox has the same messages.
 *
 * Kept in a cache, never the truth: pieces bear a version, the mailbox's UIDVALIDITY, sums, and
 * one generation for all of an answer's. The first says what was asked and of which UIDs. Pure. */
#ifndef TERN_KEPT_ANSWER_H
#define TERN_KEPT_ANSWER_H

#include "buf.h"
#include "str.h"

#define KEPT_ANSWER_PIECE      ((size_t)512 * 1024) /* octets of the answer in one */
#define KEPT_ANSWER_PIECES     32
#define KEPT_ANSWER_RANGES_MAX 8192

struct kept_range {
    uint32_t first, last; /* UIDs, all of which are messages */
};

struct kept_answer {
    uint32_t uid_validity;
    uint64_t generation;
    uint32_t pieces;
    struct str key;    /* what was asked */
    struct str ranges; /* struct kept_range, not aligned */
    struct str part;   /* of the answer */
};

/* How many pieces an answer has; 0: it is too long. */
uint32_t kept_answer_pieces(struct str answer);
/* Appends a piece; answer->part is the whole answer, pieces what kept_answer_pieces says. */
void kept_answer_write(struct buf *out, const struct kept_answer *answer, uint32_t piece);
/* Opens the first piece. False: it is none, or damaged. */
MUST_USE bool kept_answer_open(struct kept_answer *answer, struct str bytes, uint32_t uid_validity);
/* What another piece of the same answer says. */
MUST_USE bool kept_answer_part(const struct kept_answer *answer, struct str bytes, uint32_t piece, struct str *part);
/* A range; number 0 to ranges.length / sizeof (struct kept_range) - 1. */
struct kept_range kept_answer_range(const struct kept_answer *answer, size_t number);

#endif
