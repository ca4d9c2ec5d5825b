/* queue_shape: how many recipients (or messages) wait for each domain, by age. Pure. */
#ifndef TERN_QUEUE_SHAPE_H
#define TERN_QUEUE_SHAPE_H

#include "buf.h"
#include "hash.h"
#include "str.h"

#define QUEUE_SHAPE_BUCKETS 30

struct queue_shape {
    unsigned buckets;        /* the last is for all that is older; 2 to QUEUE_SHAPE_BUCKETS */
    int64_t first_minutes;   /* upper bound of the first bucket */
    bool linear;             /* bounds grow by the first, else they double */
    bool parents;            /* rows for parent domains too */
    uint64_t parent_minimum; /* ... of at least so many domains below */
    unsigned width;          /* of the screen */
    struct map *domains;     /* to struct queue_shape_row */
    uint64_t total[QUEUE_SHAPE_BUCKETS], all;
};

void queue_shape_begin(struct queue_shape *shape);
/* Counts one of an age; address: its domain counts, in lower case. */
void queue_shape_add(struct queue_shape *shape, struct str address, int64_t age_seconds);
/* Appends heading, total, and a row for each domain, most first. */
void queue_shape_format(struct queue_shape *shape, struct buf *out);
void queue_shape_end(struct queue_shape *shape);

#endif
