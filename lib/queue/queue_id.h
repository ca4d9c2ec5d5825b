/* Queue IDs: names of messages that never repeat.
 *
 * An ID stands for a 64-bit number that only goes up: the date in microseconds,
 * or one more than the last if the clock stood still or went back. The ceiling
 * of what was given out is kept in a file (queue_directory/queue/id-ceiling),
 * reserved an hour ahead, so that neither a crash nor a clock set back by years
 * brings an ID twice. Each process reserves hours of its own, so that several may
 * give out IDs at once.
 *   long form   10 characters of base 51 (no vowels) and "z" and 4 more: the
 *               form and the place of the "z" are those that Postfix's readers know
 *   short form  upper-case hexadecimal of the number in units of 128 us, 11 digits
 * (enable_long_queue_ids). Both fit \w+ and [0-9A-Za-z]{6,20}. */
#ifndef TERN_QUEUE_ID_H
#define TERN_QUEUE_ID_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

#define QUEUE_ID_SIZE 24 /* with the NUL */

struct queue_id_source {
    int directory; /* the queue folder */
    bool long_form;
    uint64_t last, ceiling;
};

/* Reads and reserves. Blocks. A damaged ceiling file is replaced by one above the date. */
MUST_USE bool queue_id_open(struct queue_id_source *source, int directory, bool long_form, struct failure *failure);
/* The next ID, NUL-terminated. Blocks once an hour, to reserve. False for a local fault. */
MUST_USE bool queue_id_next(struct queue_id_source *source, char id[QUEUE_ID_SIZE], struct failure *failure);
/* The same for many at once: count numbers from *first on, queue_id_step apart, are the
 * caller's for ever. */
MUST_USE bool queue_id_take(struct queue_id_source *source, uint64_t count, uint64_t *first, struct failure *failure);
/* From one number to the next: the short form counts in steps of 128 us, so that 11 digits last. */
uint64_t queue_id_step(bool long_form);
/* The ID that stands for a number. */
void queue_id_format(uint64_t number, bool long_form, char id[QUEUE_ID_SIZE]);
/* The number of an ID in that form (the short form's first one); false if it is none. Pure. */
MUST_USE bool queue_id_parse(struct str text, bool long_form, uint64_t *number);
/* Is this text of a form that could be a queue ID: 6 to 20 ASCII letters and digits. */
bool queue_id_is_valid(struct str text);

#endif
