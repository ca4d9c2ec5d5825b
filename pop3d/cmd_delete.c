/* DELE, RSET, and QUIT with which what was marked goes: all of it by one entry of the folder's journal, or none. */
#include "log.h"
#include "pop3.h"

void pop3_dele(struct pop3_session *session, const struct pop3_line *line) {
    uint32_t number;
    if (!pop3_take_message(session, line->arguments[0], &number)) return;
    if (session->measured) session->octets -= pop3_message_size(session, number);
    session->deleted[number] = 1;
    session->deleted_count++;
    pop3_say(session, "+OK Goes with QUIT\r\n");
}

void pop3_rset(struct pop3_session *session, const struct pop3_line *line) {
    (void)line;
    memset(session->deleted, 0, (size_t)session->count + 1);
    session->deleted_count = 0;
    session->measured = false;
    pop3_say(session, "+OK %u messages\r\n", session->count);
}

static bool delete_marked(struct pop3_session *session) {
    struct failure failure = {0};
    struct uid_set uids = {0};
    for (uint32_t number = 1; number <= session->count; number++) {
        uint32_t uid = session->deleted[number] ? folder_uid(session->folder, number) : 0;
        if (uid > 0) uid_set_add(&uids, uid, uid);
    }
    enum store_result result = uids.count > 0 ? folder_remove(session->folder, &uids, &failure) : STORE_OK;
    if (result != STORE_OK) log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    uid_set_free(&uids);
    return result == STORE_OK;
}

void pop3_quit(struct pop3_session *session, const struct pop3_line *line) {
    (void)line;
    bool good = delete_marked(session);
    pop3_lock_release(&session->lock); /* a client that comes back at once is let in */
    pop3_say(session, good ? "+OK Bye\r\n" : "-ERR [SYS/TEMP] Some messages could not be deleted\r\n");
    session->quitting = true;
}
