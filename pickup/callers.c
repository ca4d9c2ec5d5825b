/* The connections of each account, so that no user can take the places of all. root could do worse. */
#include "log.h"
#include "pickup.h"

struct caller {
    int64_t connections;
    bool told; /* the log has it that this one wants too many */
};

static struct str key_of(const uint32_t *uid) {
    return str_make((const char *)uid, sizeof *uid);
}

bool callers_enter(struct pickup *pickup, uint32_t uid) {
    struct caller *caller = map_get(pickup->callers, key_of(&uid));
    int64_t limit = pickup->config->pickup_uid_connection_limit;
    if (uid != 0 && limit > 0 && caller && caller->connections >= limit) {
        if (!caller->told)
            log_warning("uid %u has %lld connections, pickup_uid_connection_limit: it gets no more", (unsigned)uid,
                        (long long)caller->connections);
        caller->told = true;
        return false;
    }
    if (!caller) {
        caller = MEMORY_NEW(struct caller);
        map_put(pickup->callers, key_of(&uid), caller);
    }
    caller->connections++;
    return true;
}

void callers_leave(struct pickup *pickup, uint32_t uid) {
    struct caller *caller = map_get(pickup->callers, key_of(&uid));
    if (--caller->connections > 0) return;
    map_remove(pickup->callers, key_of(&uid));
    MEMORY_FREE(caller);
}
