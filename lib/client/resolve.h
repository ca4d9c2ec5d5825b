/* resolve: asking lookup, with a cache of answers that lookup itself empties
 * (LOOKUP_CHANGED) and that no entry outlives by more than 100 s. */
#ifndef TERN_RESOLVE_H
#define TERN_RESOLVE_H

#include "delivery.h"
#include "ipc.h"
#include "service.h"

struct resolve;

enum resolve_result { RESOLVE_OK, RESOLVE_RETRY };

/* Connects to lookup on first use. cache_entries 0: 4096. */
struct resolve *resolve_create(struct service *service, size_t cache_entries);
void resolve_destroy(struct resolve **resolve);

/* Texts in the arena. RESOLVE_RETRY: a table or lookup itself did not answer; failure says which. */
MUST_USE enum resolve_result resolve_recipient(struct resolve *resolve, struct str address, struct str sender,
                                               deadline until, struct arena *arena, struct ipc_lookup_resolved *answer,
                                               struct failure *failure);
/* Virtual alias expansion: rows of address_row. */
MUST_USE enum resolve_result resolve_expand(struct resolve *resolve, struct str address, deadline until,
                                            struct arena *arena, struct ipc_lookup_expanded *answer,
                                            struct failure *failure);
MUST_USE enum resolve_result resolve_local(struct resolve *resolve, struct str address, bool no_alias, deadline until,
                                           struct arena *arena, struct ipc_lookup_local_found *answer,
                                           struct failure *failure);
/* A key in a table or list parameter. */
MUST_USE enum resolve_result resolve_match(struct resolve *resolve, struct str table, struct str key, deadline until,
                                           struct arena *arena, bool *found, struct str *value,
                                           struct failure *failure);
/* Whether the mailbox of an account is full, before size octets more come. Not cached. */
MUST_USE enum resolve_result resolve_quota(struct resolve *resolve, struct str address, uint64_t size, deadline until,
                                           struct arena *arena, struct ipc_lookup_quota_found *answer,
                                           struct failure *failure);
/* Asks for those of the addresses whose answers are not known yet, in one packet: the single questions that
 * follow find them in the cache. What did not come is left to those, and so is every failure. At most
 * RESOLVE_AT_ONCE of the addresses are looked at. */
#define RESOLVE_AT_ONCE ((size_t)100)
void resolve_foresee_recipients(struct resolve *resolve, const struct str *addresses, size_t count, struct str sender,
                                deadline until);
void resolve_foresee_expansions(struct resolve *resolve, const struct str *addresses, size_t count, deadline until);
/* The verified name of a client address; empty when there is none. Not cached here (lookup's DNS cache does). */
MUST_USE enum resolve_result resolve_client_name(struct resolve *resolve, struct str address, deadline until,
                                                 struct arena *arena, struct str *name, struct str *unverified,
                                                 struct failure *failure);
/* 0 usable for mail, 1 no such domain, 2 null MX. */
MUST_USE enum resolve_result resolve_domain(struct resolve *resolve, struct str domain, deadline until,
                                            unsigned *result, struct failure *failure);

#endif
