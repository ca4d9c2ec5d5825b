/* store_import: a tree of mailboxes that Dovecot had. */
#ifndef TERN_STORE_IMPORT_H
#define TERN_STORE_IMPORT_H

#include "store.h"

/* Whether Dovecot had this tree and tern has not been here yet; and taking it over: names of mailboxes and
 * subscriptions. */
bool store_is_foreign(const struct store *store);
MUST_USE bool store_take_over(struct store *store, struct failure *failure);

#endif
