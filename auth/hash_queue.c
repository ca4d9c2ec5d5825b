/* hash_queue: see hash_queue.h. */
#include "hash_queue.h"
#include "memory.h"
#include "task.h"

#define TRUSTED_RANK 1

enum turn { TURN_WAITS, TURN_COMES, TURN_SENT_AWAY };

/* On the stack of the task that waits. */
struct waiter {
    struct waiter *next, **previous; /* what points to it */
    struct task_queue wake;
    struct str address;
    unsigned rank;
    unsigned before; /* how many of the same address and rank waited already */
    enum turn turn;
};

struct hash_queue {
    unsigned workers, busy;
    size_t limit, waiting;
    struct waiter *first; /* by rank, then by before, then by arrival */
};

struct hash_queue *hash_queue_create(unsigned workers, size_t limit) {
    struct hash_queue *queue = MEMORY_NEW(struct hash_queue);
    queue->workers = workers;
    queue->limit = limit;
    return queue;
}

size_t hash_queue_waiting(const struct hash_queue *queue) {
    return queue->waiting;
}

static bool has_place(const struct hash_queue *queue, unsigned rank) {
    unsigned kept = rank > TRUSTED_RANK && queue->workers > 1 ? 1 : 0;
    return queue->busy + kept < queue->workers;
}

static bool goes_before(const struct waiter *one, const struct waiter *other) {
    return one->rank != other->rank ? one->rank < other->rank : one->before < other->before;
}

static void enter(struct hash_queue *queue, struct waiter *waiter) {
    for (const struct waiter *at = queue->first; at; at = at->next)
        waiter->before += at->rank == waiter->rank && str_equal(at->address, waiter->address);
    struct waiter **link = &queue->first;
    while (*link && !goes_before(waiter, *link))
        link = &(*link)->next;
    waiter->next = *link;
    waiter->previous = link;
    if (waiter->next) waiter->next->previous = &waiter->next;
    *link = waiter;
    queue->waiting++;
}

static void leave(struct hash_queue *queue, struct waiter *waiter, enum turn turn) {
    *waiter->previous = waiter->next;
    if (waiter->next) waiter->next->previous = waiter->previous;
    queue->waiting--;
    waiter->turn = turn;
    (void)task_queue_wake_one(&waiter->wake);
}

static void send_last_away(struct hash_queue *queue) {
    struct waiter *last = queue->first;
    while (last && last->next)
        last = last->next;
    if (last) leave(queue, last, TURN_SENT_AWAY);
}

/* The places are given to the first ones. */
static void give_turns(struct hash_queue *queue) {
    while (queue->first && has_place(queue, queue->first->rank)) {
        queue->busy++;
        leave(queue, queue->first, TURN_COMES);
    }
}

static bool await_turn(struct hash_queue *queue, unsigned rank, struct str address, deadline until) {
    struct waiter waiter = {.address = address, .rank = rank};
    enter(queue, &waiter);
    if (queue->waiting > queue->limit) send_last_away(queue);
    while (waiter.turn == TURN_WAITS)
        if (task_queue_wait(&waiter.wake, until) != WAIT_READY && waiter.turn == TURN_WAITS)
            leave(queue, &waiter, TURN_SENT_AWAY);
    return waiter.turn == TURN_COMES;
}

bool hash_queue_run(struct hash_queue *queue, unsigned rank, struct str address, deadline until,
                    void (*function)(void *argument), void *argument) {
    bool at_once = has_place(queue, rank) && (!queue->first || rank < queue->first->rank);
    if (at_once)
        queue->busy++;
    else if (!await_turn(queue, rank, address, until))
        return false;
    task_run_blocking(function, argument);
    queue->busy--;
    give_turns(queue);
    return true;
}
