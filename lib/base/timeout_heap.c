/* The heap of timeouts. */
#include "loop_internal.h"
#include "memory.h"

static void put(struct timeout_heap *heap, size_t index, struct timeout_slot slot) {
    heap->slots[index] = slot;
    slot.owner->timeout.place = index + 1;
}

static void move_up(struct timeout_heap *heap, size_t index, struct timeout_slot slot) {
    while (index > 0 && heap->slots[(index - 1) / 2].moment > slot.moment) {
        put(heap, index, heap->slots[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(heap, index, slot);
}

static void move_down(struct timeout_heap *heap, size_t index, struct timeout_slot slot) {
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && heap->slots[child + 1].moment < heap->slots[child].moment) child++;
        if (heap->slots[child].moment >= slot.moment) break;
        put(heap, index, heap->slots[child]);
        index = child;
    }
    put(heap, index, slot);
}

void timeout_heap_want(struct timeout_heap *heap, struct task *owner, deadline moment) {
    struct timeout_slot slot = {moment, owner};

    if (owner->timeout.place) {
        size_t index = owner->timeout.place - 1;
        if (heap->slots[index].moment > moment) move_up(heap, index, slot);
        return;
    }
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->slots = memory_resize(heap->slots, heap->capacity, sizeof(*heap->slots));
    }
    move_up(heap, heap->count++, slot);
}

void timeout_heap_remove(struct timeout_heap *heap, struct task *owner) {
    size_t index = owner->timeout.place - 1;
    struct timeout_slot last;

    if (!owner->timeout.place) return;
    owner->timeout.place = 0;
    last = heap->slots[--heap->count];
    if (index == heap->count) return;
    if (index > 0 && heap->slots[(index - 1) / 2].moment > last.moment)
        move_up(heap, index, last);
    else
        move_down(heap, index, last);
}

struct task *timeout_heap_pop(struct timeout_heap *heap, deadline now) {
    struct task *owner;

    if (timeout_heap_earliest(heap) > now) return NULL;
    owner = heap->slots ? heap->slots[0].owner : NULL;
    if (owner) timeout_heap_remove(heap, owner);
    return owner;
}

void timeout_heap_free(struct timeout_heap *heap) {
    MEMORY_FREE(heap->slots);
    *heap = (struct timeout_heap){0};
}
