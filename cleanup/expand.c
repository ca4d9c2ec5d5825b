/* The envelope's expansion: every recipient becomes what virtual_alias_maps make of
 * it (lookup follows the chain), and an address that comes twice is kept once. */
#include "cleanup.h"
#include "hash.h"

#define ADDRESS_LIMIT      512   /* what later packets hold (ipc_messages.def, RECIPIENT) */
#define EXPANSION_PATIENCE 30000 /* ms for one message's questions to lookup */

struct expansion {
    struct pending *result; /* recipients of the arena we build into */
    struct map *seen;
};

/* Whoever asked to be told of one way to an address is told of it (RFC 3461 section 4.1: none given is
 * failure and delay). */
static uint64_t join_notify(uint64_t one, uint64_t other) {
    if (one == other) return one;
    uint64_t joined = ((one ? one : NOTIFY_FAILURE | NOTIFY_DELAY) | (other ? other : NOTIFY_FAILURE | NOTIFY_DELAY)) &
                      ~(uint64_t)NOTIFY_NEVER;
    return joined ? joined : NOTIFY_NEVER;
}

/* Compared without regard to the domain's case; the local part as it is. */
static bool add_once(struct expansion *expansion, const struct ipc_recipient *recipient) {
    char key[ADDRESS_LIMIT];
    struct str address = recipient->address;
    if (address.length == 0 || address.length > sizeof key) return false;
    size_t at = str_find_last(address, '@');
    for (size_t i = 0; i < address.length; i++)
        key[i] = i > at ? ascii_lower(address.data[i]) : address.data[i];
    struct pending *result = expansion->result;
    /* Kept is the number, for the rows move when they grow; and no map holds 0. */
    uintptr_t kept = (uintptr_t)map_get(expansion->seen, str_make(key, address.length));
    if (kept) {
        struct ipc_recipient *known = &result->recipients[kept - 1];
        known->notify = join_notify(known->notify, recipient->notify);
        return true;
    }
    if (result->recipient_count == result->recipient_room) {
        size_t room = result->recipient_room ? result->recipient_room * 2 : 8;
        struct ipc_recipient *grown = arena_allocate(result->arena, room, sizeof *grown);
        if (!grown) return false;
        if (result->recipient_count) memcpy(grown, result->recipients, result->recipient_count * sizeof *grown);
        result->recipients = grown;
        result->recipient_room = room;
    }
    result->recipients[result->recipient_count++] = *recipient;
    map_put(expansion->seen, str_make(key, address.length), (void *)(uintptr_t)result->recipient_count);
    return true;
}

static bool expand_one(struct cleanup *cleanup, struct expansion *expansion, const struct ipc_recipient *recipient,
                       deadline until, struct failure *failure) {
    struct ipc_lookup_expanded answer = {.addresses = {STR_EMPTY, 0}};
    struct arena *arena = expansion->result->arena;
    if (resolve_expand(cleanup->resolve, recipient->address, until, arena, &answer, failure) != RESOLVE_OK)
        return false;
    size_t offset = 0;
    struct ipc_address_row row;
    bool bad = false, good = true;
    while (good && ipc_list_next(answer.addresses, IPC_ROW_ADDRESS, &offset, &row, &bad)) {
        struct ipc_recipient expanded = *recipient;
        if (!str_equal(row.value, recipient->address)) {
            expanded.address = row.value;
            if (expanded.original.length == 0) expanded.original = recipient->address;
        }
        good = add_once(expansion, &expanded);
    }
    return (good && !bad) || failure_set(failure, "the expansion of a recipient is too large, or an address in it is");
}

/* The questions about the next recipients, all in one: a message to a thousand is not a thousand ways to lookup. */
static void foresee(struct cleanup *cleanup, const struct pending *pending, size_t from, deadline until) {
    struct str addresses[RESOLVE_AT_ONCE];
    size_t count = 0;
    while (count < RESOLVE_AT_ONCE && from + count < pending->recipient_count) {
        addresses[count] = pending->recipients[from + count].address;
        count++;
    }
    if (count > 1) resolve_foresee_expansions(cleanup->resolve, addresses, count, until);
}

bool cleanup_expand(struct cleanup *cleanup, struct pending *pending, struct failure *failure) {
    struct pending result = {.arena = pending->arena};
    struct expansion expansion = {.result = &result, .seen = map_create()};
    deadline until = deadline_in(EXPANSION_PATIENCE);
    bool good = true;
    for (size_t i = 0; good && i < pending->recipient_count; i++) {
        if (i % RESOLVE_AT_ONCE == 0) foresee(cleanup, pending, i, until);
        good = expand_one(cleanup, &expansion, &pending->recipients[i], until, failure);
    }
    map_destroy(&expansion.seen);
    if (!good) return false;
    pending->recipients = result.recipients;
    pending->recipient_count = result.recipient_count;
    pending->recipient_room = result.recipient_room;
    return true;
}
