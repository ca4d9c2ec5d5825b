/* Tables that change: noticed once a second, opened anew on a helper thread, and
 * every caller that keeps answers is told to forget them. */
#include "lookup.h"
#include "log.h"

void lookup_tell(struct peer *peer) {
    struct ipc_lookup_changed changed = {};
    uint64_t generation = tables_generation(peer->lookup->tables);
    if (peer->being_told || peer->told == generation) return;
    peer->being_told = true;
    peer->told = generation;
    (void)ipc_notify(peer->connection, IPC_LOOKUP_CHANGED, &changed);
    peer->being_told = false;
}

/* The list may change while one is being told: from the start again after each. */
static void tell_all(struct lookup *lookup) {
    uint64_t generation = tables_generation(lookup->tables);
    for (struct peer *peer = lookup->peers; peer;) {
        if (peer->told == generation || peer->being_told) {
            peer = peer->next;
            continue;
        }
        lookup_tell(peer);
        peer = lookup->peers;
    }
}

bool lookup_refresh(struct lookup *lookup) {
    if (!tables_have_changed(lookup->tables) || !tables_refresh(lookup->tables)) return false;
    log_info("tables have changed and were opened anew");
    tell_all(lookup);
    return true;
}

static void refresh_task(void *argument) {
    struct lookup *lookup = argument;
    lookup_refresh(lookup);
    lookup->refreshing = false;
}

void lookup_tick(struct lookup *lookup) {
    if (lookup->refreshing || !tables_have_changed(lookup->tables)) return;
    lookup->refreshing = task_start("refresh", refresh_task, lookup);
}
