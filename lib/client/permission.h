/* permission: which accounts may ask for the queue (authorized_mailq_users, authorized_flush_users), and hand in mail
 * (authorized_submit_users, by pickup). */
#ifndef TERN_PERMISSION_H
#define TERN_PERMISSION_H

#include "failure.h"
#include "str.h"
#include <stdint.h>

struct permission_item {
    bool negated;
    bool everyone; /* static:anyone, static:all */
    uint32_t uid;
};

struct permission {
    struct permission_item *items; /* the first that fits decides; none: refused */
    size_t count;
};

/* Reads a list of account names, static:anyone and !. Asks the system for the accounts, so
 * before the sandbox; one that does not exist is left out with a warning. False for what
 * cannot be asked here: files and other tables. */
bool permission_read(struct str parameter, struct str value, struct permission *permission, struct failure *failure);
void permission_free(struct permission *permission);
bool permission_has(const struct permission *permission, uint32_t uid);

#endif
