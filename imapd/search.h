/* search: finding messages by a tree of keys, for SEARCH, SORT and THREAD. */
#ifndef TERN_IMAP_SEARCH_H
#define TERN_IMAP_SEARCH_H

#include "rows.h"

/* Sequence numbers of the messages that match, rising; in memory of their own, to be freed with MEMORY_FREE. False:
 * *bad has an answer that says why (a sequence number out of range, a charset that is not known). */
struct search_result {
    uint32_t *sequences;
    size_t count;
    uint64_t highest_modseq; /* of those found */
    bool all; /* the key was ALL: whatever else changes, the same are found as long as the folder has them */
};
MUST_USE bool imap_search_run(struct imap_session *session, const struct imap_search *search,
                              struct search_result *result, struct imap_outcome *bad);

/* Which of `count` results PARTIAL asks for, negative numbers counting from the end: from *from up to but without *to,
 * in the order of the results. False: none. */
MUST_USE bool imap_search_partial(const struct imap_search *search, size_t count, size_t *from, size_t *to);

/* What RETURN (SAVE) remembers as "$", if it was given: all, or what was asked for alone of the ends and the part
 * (RFC 5182 section 2.1, RFC 9394 section 3.2). */
void imap_search_save(struct imap_session *session, const struct imap_search *search,
                      const struct search_result *result);

/* The MODSEQ of an ESEARCH answer: the highest of all that were found, or of those that were asked for alone (RFC 4731
 * section 3.2). */
uint64_t imap_search_modseq(struct imap_session *session, const struct imap_search *search,
                            const struct search_result *result);

/* The value of a header field among fields (or in a header), unfolded bytes as they stand; data NULL: none. */
struct str search_field(struct str header, struct str name);
/* The same, and an empty value for a field that is not there. */
struct str search_value(struct str header, struct str name);

/* When a message was sent: what its Date field says, or else when it was received. Seconds. */
int64_t search_sent(struct fetch_message *message, struct str fields);
/* The same of a message that has no row. */
int64_t search_sent_date(struct imap_session *session, struct rows_reader *reader, uint32_t sequence);

#endif
