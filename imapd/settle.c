/* What was put off in the selected folder, and leaving it. */
#include "imap.h"

#include "log.h"

#define SETTLE_AFTER 1000 /* ms */

void imap_note_change(struct imap_session *session) {
    if (session->unsettled == DEADLINE_NEVER) session->unsettled = deadline_in(SETTLE_AFTER);
}

void imap_settle(struct imap_session *session) {
    struct failure failure = {0};
    if (session->folder && folder_is_unsettled(session->folder) && !folder_settle(session->folder, &failure))
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    cache_flush(session->store);
    cache_end(session->store);
    session->unsettled = DEADLINE_NEVER;
}

enum store_result imap_leave(struct imap_session *session, bool expunge, struct failure *failure) {
    enum store_result result = STORE_OK;
    if (!session->folder) return STORE_OK;
    if (expunge && !folder_is_read_only(session->folder)) result = folder_expunge(session->folder, NULL, failure);
    imap_settle(session);
    folder_close(&session->folder);
    uid_set_clear(&session->saved);
    return result;
}
