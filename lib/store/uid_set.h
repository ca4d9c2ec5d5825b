/* uid_set: sets of message numbers (UIDs or sequence numbers) as sorted ranges.
 * What IMAP writes as 1:5,9,12:* once "*" is known. Pure. */
#ifndef TERN_UID_SET_H
#define TERN_UID_SET_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

struct uid_range {
    uint32_t first, last; /* both belong to it; first <= last, first > 0 */
};

/* Sorted, disjoint and not adjacent. A zeroed struct is the empty set. */
struct uid_set {
    struct uid_range *ranges;
    size_t count, room;
};

void uid_set_free(struct uid_set *set);
void uid_set_clear(struct uid_set *set);
/* Appending in rising order costs nothing; anywhere else a search and a move. */
void uid_set_add(struct uid_set *set, uint32_t first, uint32_t last);
void uid_set_remove(struct uid_set *set, uint32_t first, uint32_t last);
bool uid_set_has(const struct uid_set *set, uint32_t number);
uint64_t uid_set_size(const struct uid_set *set);
/* Reads "1:5,9,*" (RFC 9051 sequence-set); star is what * stands for (0: then * is 0 and matches nothing but is
 * accepted), "4:2" is "2:4". At most ranges_limit ranges. False: no such thing. */
MUST_USE bool uid_set_parse(struct str text, uint32_t star, size_t ranges_limit, struct uid_set *set);
/* "1:5,9", appended; nothing for the empty set. */
void uid_set_format(const struct uid_set *set, struct buf *text);
void uid_set_copy(const struct uid_set *from, struct uid_set *to);
void uid_set_add_set(struct uid_set *set, const struct uid_set *more);
/* Takes away what is in `less`; one walk over both. */
void uid_set_subtract(struct uid_set *set, const struct uid_set *less);
void uid_set_intersect(struct uid_set *set, const struct uid_set *with);

#endif
