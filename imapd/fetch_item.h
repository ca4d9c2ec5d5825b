/* fetch_item: one message as FETCH shows it. */
#ifndef TERN_IMAP_FETCH_ITEM_H
#define TERN_IMAP_FETCH_ITEM_H

#include "fetch_message.h"

/* Whether all that the items need can be had; what is needed is then there. False: the message is gone. */
MUST_USE bool fetch_items_can(struct fetch_message *message, const struct imap_fetch *fetch);
/* What of the messages threads may read ahead for these items: set of enum ahead_wants; 0: an item needs the file. */
unsigned fetch_wants(const struct imap_fetch *fetch);
/* "NAME value" of one item. */
void fetch_item_say(struct fetch_message *message, const struct imap_fetch_item *item);

#endif
