/* The envelope's expansion: every recipient becomes what virtual_alias_maps make of
 * it (lookup follows the chain), and an address that comes twice is kept once. */
#include "cleanup.h"
#include "hash.h"

#define EXPANSION_PATIENCE 30000 /* ms for one message's questions to lookup */

struct expansion {
    struct pending *result; /* recipients of the arena we build into */
    struct map *seen;
};

/* Compared without regard to the domain's case; the local part as it is. */
static bool add_once(struct expansion *expansion, const struct ipc_recipient *recipient) {
    char key[600];
    struct str address = str_slice(recipient->address, 0, sizeof key);
    size_t at = str_find_last(address, '@');
    for (size_t i = 0; i < address.length; i++) key[i] = i > at ? ascii_lower(address.data[i]) : address.data[i];
    struct pending *result = expansion->result;
    if (map_put(expansion->seen, str_make(key, address.length), result)) return true;
    if (result->recipient_count == result->recipient_room) {
        size_t room = result->recipient_room ? result->recipient_room * 2 : 8;
        struct ipc_recipient *grown = arena_allocate(result->arena, room, sizeof *grown);
        if (!grown) return false;
        if (result->recipient_count) memcpy(grown, result->recipients, result->recipient_count * sizeof *grown);
        result->recipients = grown;
        result->recipient_room = room;
    }
    result->recipients[result->recipient_count++] = *recipient;
    return true;
}

static bool expand_one(struct cleanup *cleanup, struct expansion *expansion, const struct ipc_recipient *recipient,
                       deadline until, struct failure *failure) {
    struct ipc_lookup_expanded answer = {.addresses = {STR_EMPTY, 0}};
    struct arena *arena = expansion->result->arena;
    if (resolve_expand(cleanup->resolve, recipient->address, until, arena, &answer, failure) != RESOLVE_OK) return false;
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
    return (good && !bad) || failure_set(failure, "the expansion of a recipient is too large");
}

bool cleanup_expand(struct cleanup *cleanup, struct pending *pending, struct failure *failure) {
    struct pending result = {.arena = pending->arena};
    struct expansion expansion = {.result = &result, .seen = map_create()};
    deadline until = deadline_in(EXPANSION_PATIENCE);
    bool good = true;
    for (size_t i = 0; good && i < pending->recipient_count; i++)
        good = expand_one(cleanup, &expansion, &pending->recipients[i], until, failure);
    map_destroy(&expansion.seen);
    if (!good) return false;
    pending->recipients = result.recipients;
    pending->recipient_count = result.recipient_count;
    pending->recipient_room = result.recipient_room;
    return true;
}
