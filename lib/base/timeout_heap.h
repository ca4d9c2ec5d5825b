/* timeout_heap: the moments at which waiting tasks want to be looked at.
 *
 * A binary heap of (moment, owner). An entry is left in place when its task
 * stops waiting and is often right for the next wait too (a later deadline is
 * looked at when the earlier moment comes), so that a wait usually costs nothing
 * here. */
#ifndef TERN_TIMEOUT_HEAP_H
#define TERN_TIMEOUT_HEAP_H

#include "clock.h"
#include "compiler.h"

struct task;

/* Embedded in the owner. Zeroed: not in the heap. */
struct timeout_entry {
    size_t place; /* index + 1 */
};

struct timeout_slot {
    deadline moment;
    struct task *owner;
};

struct timeout_heap {
    struct timeout_slot *slots;
    size_t count, capacity;
};

/* Sees to it that the owner is looked at no later than a moment. */
void timeout_heap_want(struct timeout_heap *heap, struct task *owner, deadline moment);
void timeout_heap_remove(struct timeout_heap *heap, struct task *owner);
/* DEADLINE_NEVER when empty. */
static inline deadline timeout_heap_earliest(const struct timeout_heap *heap) {
    return heap->count ? heap->slots[0].moment : DEADLINE_NEVER;
}
/* Takes out the earliest if it is not after now; else NULL. */
struct task *timeout_heap_pop(struct timeout_heap *heap, deadline now);
void timeout_heap_free(struct timeout_heap *heap);

#endif
