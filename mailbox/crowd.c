/* How many sessions an account can have from an address, at the most: a count for each hash of both, so that a login
 * walks through all sessions only where mail_max_userip_connections may be reached. */
#include "mailbox.h"

#define COUNTS ((uint32_t)65536)

static uint32_t count_of(struct str login, struct str client_address) {
    return (uint32_t)((hash_keyed(login) ^ hash_keyed(client_address)) % COUNTS);
}

void crowd_enter(struct mailbox *mailbox, struct str login, struct str client_address, uint32_t *place) {
    uint32_t count = count_of(login, client_address);
    if (!mailbox->crowd) mailbox->crowd = memory_allocate(COUNTS, sizeof *mailbox->crowd);
    crowd_leave(mailbox, place);
    mailbox->crowd[count]++;
    *place = count + 1;
}

void crowd_leave(struct mailbox *mailbox, uint32_t *place) {
    if (*place > 0) mailbox->crowd[*place - 1]--;
    *place = 0;
}

bool crowd_is_below(const struct mailbox *mailbox, const struct account *account, size_t limit) {
    return !mailbox->crowd || mailbox->crowd[count_of(account->login, account->client_address)] < limit;
}
