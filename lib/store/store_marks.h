/* store_marks: what is marked of mailboxes by name, in small files beneath the root: which are subscribed
 * (subscriptions), which serve a special use (tern-special-use). store_subscribe is in store.h. */
#ifndef TERN_STORE_MARKS_H
#define TERN_STORE_MARKS_H

#include "store.h"

/* special-use flags: words as in IMAP, "\Sent". 0: unknown. */
unsigned store_special_from(struct str word);
/* Sets the special use of a mailbox; 0 takes it away. Lock held. */
MUST_USE bool store_set_special(struct store *store, struct str name, unsigned special, struct failure *failure);
/* The mailbox has another name now. Lock held. */
MUST_USE bool store_rename_special(struct store *store, struct str from, struct str to, struct failure *failure);
/* The next line of the text of tern-special-use: a name, and a use of it (0: unknown). False: that was the last. */
bool store_special_next(struct str *text, struct str *name, unsigned *special);

/* Takes the line away with which Dovecot begins the text of subscriptions; whether it was there: levels are parted by
 * tabs then. */
bool store_subscriptions_begin(struct str *text);
/* The next name. False: that was the last. */
bool store_subscriptions_next(struct str *text, bool tabs, struct buf *name);

#endif
