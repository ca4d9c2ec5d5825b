/* Quota: the sum of the folders' own totals. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "folder_journal.h"
#include "folder_message.h"
#include "folder_view.h"
#include "store_root.h"

bool store_usage(struct store *store, struct store_usage *usage, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct store_entry *entries;
    size_t count;
    struct store_usage sum = {.octets_limit = store->options.quota_storage,
                              .messages_limit = store->options.quota_messages};
    bool good = store_list(store, arena, &entries, &count, failure);
    for (size_t i = 0; good && i < count; i++) {
        enum store_result result;
        if (entries[i].attributes & STORE_NO_SELECT) continue;
        struct folder *folder = folder_open(store, entries[i].name, FOLDER_READ_ONLY, &result, failure);
        if (!folder && result == STORE_MISSING) continue; /* deleted meanwhile */
        good = folder != NULL;
        if (!folder) continue;
        if (folder->state.header.unsized > 0) folder_size_all(folder);
        sum.octets += folder->state.header.size;
        sum.messages += folder->state.header.count;
        folder_close(&folder);
    }
    arena_destroy(&arena);
    if (good) *usage = sum;
    return good;
}

enum store_result store_quota_look(struct store *store, struct store_usage *usage, struct failure *failure) {
    *usage = (struct store_usage){0};
    if (store->options.quota_storage == 0 && store->options.quota_messages == 0) return STORE_OK;
    return store_usage(store, usage, failure) ? STORE_OK : store_trouble(failure);
}

enum store_result store_usage_allows(const struct store_usage *usage, uint64_t octets, uint64_t messages,
                                     struct failure *failure) {
    bool fits = (usage->octets_limit == 0 ||
                 (usage->octets <= usage->octets_limit && octets <= usage->octets_limit - usage->octets)) &&
                (usage->messages_limit == 0 ||
                 (usage->messages <= usage->messages_limit && messages <= usage->messages_limit - usage->messages));
    if (fits) return STORE_OK;
    failure_set(failure, "the mailbox is full");
    return STORE_OVER_QUOTA;
}

enum store_result store_quota_allows(struct store *store, uint64_t octets, uint64_t messages, struct failure *failure) {
    struct store_usage usage;
    enum store_result result = store_quota_look(store, &usage, failure);
    return result == STORE_OK ? store_usage_allows(&usage, octets, messages, failure) : result;
}

/* ---- near a limit
 *
 * Who saves looks at the usage before, and others may save what they have meanwhile. Far from the limits that does no
 * harm; near to them one waits for the other, so that both together do not go beyond. */

#define NEAR          8 /* an eighth of the limit is left, or ... */
#define NEAR_OCTETS   ((uint64_t)1 << 20)
#define NEAR_MESSAGES 50

/* Nor would another one fit that is as large. */
static bool is_near(uint64_t used, uint64_t more, uint64_t least, uint64_t limit) {
    uint64_t room = limit / NEAR > least ? limit / NEAR : least;
    if (more > room) room = more;
    return limit > 0 && (used > limit || more > limit - used || room > limit - used - more);
}

bool store_usage_is_near(const struct store_usage *usage, uint64_t octets, uint64_t messages) {
    return is_near(usage->octets, octets, NEAR_OCTETS, usage->octets_limit) ||
           is_near(usage->messages, messages, NEAR_MESSAGES, usage->messages_limit);
}

int store_quota_lock(struct store *store, struct failure *failure) {
    int lock = openat(store->root, "tern-quota-lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        failure_set_errno(failure, errno, "cannot open the quota's lock");
    else if (!folder_wait_for_lock(lock, failure))
        store_quota_unlock(&lock);
    return lock;
}

void store_quota_unlock(int *lock) {
    if (*lock >= 0) close(*lock);
    *lock = -1;
}

enum store_result store_quota_claim(struct store *store, const struct store_usage *seen, uint64_t octets,
                                    uint64_t messages, int *lock, struct failure *failure) {
    struct store_usage usage;
    enum store_result result = STORE_OK;
    *lock = -1;
    if (seen)
        usage = *seen;
    else
        result = store_quota_look(store, &usage, failure);
    if (result == STORE_OK) result = store_usage_allows(&usage, octets, messages, failure);
    if (result != STORE_OK || !store_usage_is_near(&usage, octets, messages)) return result;
    if ((*lock = store_quota_lock(store, failure)) < 0) return store_trouble(failure);
    result = store_quota_allows(store, octets, messages, failure);
    if (result != STORE_OK) store_quota_unlock(lock);
    return result;
}
