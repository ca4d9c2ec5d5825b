/* Quota: the sum of the folders' own totals. */
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

enum store_result store_quota_allows(struct store *store, uint64_t octets, uint64_t messages, struct failure *failure) {
    struct store_usage usage;
    if (store->options.quota_storage == 0 && store->options.quota_messages == 0) return STORE_OK;
    if (!store_usage(store, &usage, failure)) return store_trouble(failure);
    bool fits = (usage.octets_limit == 0 ||
                 (usage.octets <= usage.octets_limit && octets <= usage.octets_limit - usage.octets)) &&
                (usage.messages_limit == 0 ||
                 (usage.messages <= usage.messages_limit && messages <= usage.messages_limit - usage.messages));
    if (fits) return STORE_OK;
    failure_set(failure, "the mailbox is full");
    return STORE_OVER_QUOTA;
}
