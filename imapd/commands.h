/* commands: the handlers of the table in commands.c, each in the file named beside it. */
#ifndef TERN_IMAP_COMMANDS_H
#define TERN_IMAP_COMMANDS_H

#include "imap.h"

#define IMAP_COMMAND(name) struct imap_outcome name(struct imap_session *session, struct imap_parser *parser, bool uid)

/* cmd_misc.c */
IMAP_COMMAND(cmd_capability);
IMAP_COMMAND(cmd_noop);
IMAP_COMMAND(cmd_check);
IMAP_COMMAND(cmd_logout);
IMAP_COMMAND(cmd_id);
IMAP_COMMAND(cmd_enable);
/* imap_idle.c */
IMAP_COMMAND(cmd_idle);
/* cmd_compress.c */
IMAP_COMMAND(cmd_compress);
/* cmd_quota.c */
IMAP_COMMAND(cmd_getquota);
IMAP_COMMAND(cmd_getquotaroot);
IMAP_COMMAND(cmd_setquota);
/* cmd_select.c */
IMAP_COMMAND(cmd_select);
IMAP_COMMAND(cmd_examine);
IMAP_COMMAND(cmd_close);
IMAP_COMMAND(cmd_unselect);
/* cmd_mailbox.c */
IMAP_COMMAND(cmd_create);
IMAP_COMMAND(cmd_delete);
IMAP_COMMAND(cmd_rename);
IMAP_COMMAND(cmd_subscribe);
IMAP_COMMAND(cmd_unsubscribe);
/* cmd_list.c */
IMAP_COMMAND(cmd_list);
IMAP_COMMAND(cmd_lsub);
IMAP_COMMAND(cmd_namespace);
IMAP_COMMAND(cmd_status);
/* cmd_append.c */
IMAP_COMMAND(cmd_append);
/* cmd_store.c */
IMAP_COMMAND(cmd_store);
/* cmd_copy.c */
IMAP_COMMAND(cmd_copy);
IMAP_COMMAND(cmd_move);
IMAP_COMMAND(cmd_expunge);
/* cmd_fetch.c */
IMAP_COMMAND(cmd_fetch);
/* cmd_search.c */
IMAP_COMMAND(cmd_search);
/* cmd_sort.c */
IMAP_COMMAND(cmd_sort);
IMAP_COMMAND(cmd_thread);

/* cmd_list.c */
/* "STATUS mailbox (...)" as an untagged answer. */
enum store_result imap_say_status(struct imap_session *session, struct str mailbox, unsigned items,
                                  struct failure *failure);
/* cmd_fetch.c */
/* Says FETCH answers with flags, and MODSEQ, for the messages whose modseq is higher: QRESYNC and CHANGEDSINCE. uids:
 * only these; NULL: all. */
void imap_fetch_changed(struct imap_session *session, uint64_t modseq, const struct uid_set *uids);

#endif
