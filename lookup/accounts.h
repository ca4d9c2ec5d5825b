/* accounts: the system's users, asked on helper threads and remembered for a
 * minute (ten seconds where there is none). */
#ifndef TERN_LOOKUP_ACCOUNTS_H
#define TERN_LOOKUP_ACCOUNTS_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

struct accounts;

enum account_result { ACCOUNT_FOUND, ACCOUNT_ABSENT, ACCOUNT_RETRY };

struct account {
    struct str name, home; /* in the arena that was given */
    uint32_t uid, gid;
};

/* Helper threads do the asking: the system's functions block. */
struct accounts *accounts_create(void);
void accounts_destroy(struct accounts **accounts);
/* By name, or by number in decimal after '#'. arena and account may be NULL when
 * only the result matters. Suspends. */
MUST_USE enum account_result accounts_find(struct accounts *accounts, struct str name, struct arena *arena,
                                           struct account *account, struct failure *failure);
/* Forgets all. */
void accounts_clear(struct accounts *accounts);
/* Lets the C library load what it needs, before the sandbox. */
void accounts_prepare(void);

#endif
