/* answers: what SORT and THREAD said of all of a large folder, kept in the cache for the next time: a client that shows
 * a list asks again for each page of it. */
#ifndef TERN_IMAP_ANSWERS_H
#define TERN_IMAP_ANSWERS_H

#include "imap.h"

#define ANSWERS_SLOTS 64 /* of a folder: where an answer is kept, and thrown out by the next one that is kept there */

/* Says the answer to what key stands for, if it is known and the selected folder has the same messages as then. */
MUST_USE bool answers_say(struct imap_session *session, unsigned slot, struct str key);
/* Keeps an answer that is about all of the folder's messages and depends on nothing else; flushes the cache. */
void answers_keep(struct imap_session *session, unsigned slot, struct str key, struct str answer);

#endif
