/* thread: conversations, as THREAD answers them.
 *
 * RFC 5256 3 (ORDEREDSUBJECT, REFERENCES) and REFS of draft-ietf-morg-inthread:
 * the tree by references alone, its threads in the order of their latest sent dates.
 * Time is proportional to the number of messages and references, but for sorting
 * and for the check that a link closes no circle, which takes the logarithm of
 * the depth; nothing recurses, whatever the depth. */
#ifndef TERN_THREAD_H
#define TERN_THREAD_H

#include "buf.h"
#include "str.h"

#define THREAD_REFERENCES_MAX 100 /* of one message: the last ones are the nearest */

enum thread_algorithm {
    THREAD_ORDEREDSUBJECT,
    THREAD_REFERENCES,
    THREAD_REFS,
};

struct thread_message {
    uint32_t number;            /* what is printed: sequence number or UID; they rise through the array */
    bool reply;                 /* base_subject_append took something off */
    int64_t sent;               /* sent date, UTC */
    uint64_t message_id;        /* thread_id_hash; 0: none */
    const uint64_t *references; /* hashes, the oldest first; may be NULL if there are none */
    size_t reference_count;
    struct str subject; /* base subject, folded by casemap; empty if unknown or none */
};
/* Appends the threads, "(1)(2 3)(4 (5)(6 7))", nothing for no messages. False if
 * out's limit was reached. Subjects are not looked at for REFS, references not
 * for ORDEREDSUBJECT. */
bool thread_append(struct buf *out, enum thread_algorithm algorithm, const struct thread_message *messages,
                   size_t count);

/* The hash of a message ID: "<local@domain>" with or without quotes in the local
 * part, as RFC 5256 compares them; the same in every process, so that it can be
 * kept. 0 if the value holds none. */
uint64_t thread_id_hash(struct str value);
/* The references of a message: the IDs in its References field or, if there is
 * none in it, the first of In-Reply-To (either may be empty). Returns how many
 * were written. */
size_t thread_read_references(struct str references, struct str in_reply_to, uint64_t hashes[THREAD_REFERENCES_MAX]);

#endif
