/* stack: guarded stacks for tasks, reused, with their memory given back.
 *
 * A stack is a mapping of its own with an inaccessible page below it, so that
 * running over its end is a fault in that task and not a write into another's.
 * A few free ones are kept; what they held goes back to the kernel when they have
 * lain unused for a while. */
#ifndef TERN_STACK_H
#define TERN_STACK_H

#include "compiler.h"

/* Lives at the very top of the mapping it describes. */
struct stack {
    struct stack *next;
    char *low;       /* lowest usable byte; the guard page is below */
    unsigned age;    /* sweep in which it was put into the pool */
    bool trimmed;
    unsigned valgrind;
};

struct stack_pool {
    struct stack *free; /* last given first; the untrimmed ones stand before the trimmed ones */
    size_t count, limit;
    size_t size; /* of a stack, without guard */
};

/* size is rounded up to pages, 16 KiB at least. */
void stack_pool_init(struct stack_pool *pool, size_t size, size_t limit);
void stack_pool_clear(struct stack_pool *pool);
/* NULL when the kernel gives none. The bytes from ->low up to the struct stack
 * itself are the caller's. */
MUST_USE struct stack *stack_take(struct stack_pool *pool);
/* age: a number that grows, for stack_pool_trim. */
void stack_give(struct stack_pool *pool, struct stack *stack, unsigned age);
/* Gives back the memory of free stacks put into the pool before an age; true if
 * younger ones are left untrimmed. */
bool stack_pool_trim(struct stack_pool *pool, unsigned before);
/* Gives back the whole pages below an address of the stack. */
void stack_trim_below(struct stack *stack, const void *address);

#endif
