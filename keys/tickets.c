/* The list of ticket keys, ordered by date. */
#include "tickets.h"

#include "memory.h"

static int64_t date_of(const uint8_t name[TICKET_KEY_NAME]) {
    uint64_t date = 0;
    for (size_t i = 0; i < 8; i++)
        date = date << 8 | name[i];
    return date > INT64_MAX ? INT64_MAX : (int64_t)date;
}

static void set_date(uint8_t name[TICKET_KEY_NAME], int64_t date) {
    for (size_t i = 0; i < 8; i++)
        name[i] = (uint8_t)((uint64_t)date >> (56 - 8 * i));
}

/* A minute's leave for a clock that was set back. */
static bool is_good(const struct tickets *tickets, const uint8_t name[TICKET_KEY_NAME], int64_t now) {
    int64_t date = date_of(name);
    return date <= now + 60 && date > now - 2 * tickets->life;
}

static void insert(struct tickets *tickets, size_t at, const struct ticket_key_pair *key) {
    if (tickets->count == TICKET_KEYS) tickets->count--;
    memmove(&tickets->keys[at + 1], &tickets->keys[at], (tickets->count - at) * sizeof *tickets->keys);
    tickets->keys[at] = *key;
    tickets->count++;
}

static void drop_bad(struct tickets *tickets, int64_t now) {
    size_t kept = 0;
    for (size_t i = 0; i < tickets->count; i++)
        if (is_good(tickets, tickets->keys[i].name, now)) tickets->keys[kept++] = tickets->keys[i];
    if (kept < tickets->count) memory_wipe(&tickets->keys[kept], (tickets->count - kept) * sizeof *tickets->keys);
    tickets->count = kept;
}

bool tickets_renew(struct tickets *tickets, int64_t now, tickets_random *random) {
    drop_bad(tickets, now);
    if (tickets->count > 0 && date_of(tickets->keys[0].name) > now - tickets->life) return true;
    struct ticket_key_pair key;
    bool good = random(&key, sizeof key);
    if (good) {
        set_date(key.name, now);
        insert(tickets, 0, &key);
    }
    memory_wipe(&key, sizeof key);
    return good;
}

int64_t tickets_good_for(const struct tickets *tickets, int64_t now) {
    int64_t left = tickets->count > 0 ? date_of(tickets->keys[0].name) + tickets->life - now : 0;
    return left < 1 ? 1 : left > tickets->life ? tickets->life : left;
}

bool tickets_take(struct tickets *tickets, int64_t now, struct str name, struct str secret) {
    struct ticket_key_pair key;
    if (name.length != sizeof key.name || secret.length != sizeof key.secret) return false;
    memcpy(key.name, name.data, sizeof key.name);
    memcpy(key.secret, secret.data, sizeof key.secret);
    size_t at = 0;
    bool good = is_good(tickets, key.name, now);
    for (size_t i = 0; i < tickets->count; i++) {
        if (memcmp(tickets->keys[i].name, key.name, sizeof key.name) == 0) good = false;
        if (date_of(tickets->keys[i].name) > date_of(key.name)) at = i + 1;
    }
    good = good && at < TICKET_KEYS;
    if (good) insert(tickets, at, &key);
    memory_wipe(&key, sizeof key);
    return good;
}

void tickets_wipe(struct tickets *tickets) {
    memory_wipe(tickets->keys, sizeof tickets->keys);
    tickets->count = 0;
}
