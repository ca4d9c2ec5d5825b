/* bans: what operators ask over the public socket: who is kept out, and changes to it. */
#include "auth_daemon.h"
#include "log.h"

#define ROWS_AT_ONCE 100

bool bans_is_operator(const struct ipc_request *request, const struct auth *auth) {
    uint32_t uid = ipc_peer_uid(request->peer);
    return ipc_peer_service(request->peer).length == 0 && (uid == 0 || uid == auth->owner);
}

static void list(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_bans *question = request->message;
    struct failures_ban bans[ROWS_AT_ONCE];
    struct buf rows = buf_make(60000), cursor = buf_make(300);
    struct ipc_auth_bans_given answer = {.cursor = STR_EMPTY};
    size_t count = failures_bans(auth->failures, question->after, clock_seconds(), bans, ROWS_AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        struct ipc_auth_ban row = {.kind = (uint64_t)bans[i].kind,
                                   .subject = bans[i].subject,
                                   .reason = bans[i].reason,
                                   .failures = bans[i].failures,
                                   .begun = (uint64_t)bans[i].begun,
                                   .ends = (uint64_t)bans[i].ends};
        if (!ipc_list_add(IPC_ROW_AUTH_BAN, &row, &rows, &answer.bans.count)) break; /* rows are bounded, it fits */
    }
    answer.bans.packed = buf_str(&rows);
    answer.more = count == ROWS_AT_ONCE;
    if (count && failures_cursor(&bans[count - 1], &cursor)) answer.cursor = buf_str(&cursor);
    if (!ipc_answer(request, IPC_AUTH_BANS_GIVEN, &answer, -1))
        ipc_answer_failed(request, 451, "4.3.0", "the list does not fit");
    buf_free(&rows);
    buf_free(&cursor);
}

/* An address is meant as it is counted; an account in lower case, as names are. */
static bool subject_of(struct auth *auth, const struct ipc_auth_ban_change *change, struct buf *subject) {
    struct str address;
    if (change->subject.length == 0) return true;
    if (change->kind == FAILURES_ADDRESS) {
        if (!str_cut(change->subject, '/', &address, &(struct str){0})) address = change->subject;
        return failures_address_key(address, subject);
    }
    buf_append(subject, change->subject);
    for (size_t i = 0; auth->config->auth_username_lowercase && i < subject->length; i++)
        subject->data[i] = ascii_lower(subject->data[i]);
    return true;
}

static void change(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_ban_change *wish = request->message;
    struct buf subject = buf_make(256);
    enum failures_kind kind = wish->kind == FAILURES_ADDRESS ? FAILURES_ADDRESS : FAILURES_ACCOUNT;
    const char *word = kind == FAILURES_ADDRESS ? "address" : "account";
    if (wish->kind > FAILURES_ADDRESS || !subject_of(auth, wish, &subject) || (!wish->lift && subject.length == 0)) {
        ipc_answer_failed(request, 501, "5.5.4", "no address or account");
    } else if (wish->lift && !failures_lift(auth->failures, kind, buf_str(&subject)) && subject.length) {
        ipc_answer_failed(request, 550, "5.1.1", "%s is not kept out, and nothing is counted", buf_string(&subject));
    } else {
        if (!wish->lift)
            failures_ban(auth->failures, kind, buf_str(&subject), wish->reason, (int64_t)wish->seconds,
                         clock_seconds());
        log_info("operator (uid %u): %s %s %s", ipc_peer_uid(request->peer), word,
                 subject.length ? buf_string(&subject) : "(all)", wish->lift ? "is let in again" : "is kept out");
        (void)ipc_answer(request, IPC_DONE, &(struct ipc_done){}, -1);
    }
    buf_free(&subject);
}

bool bans_serve(struct ipc_request *request, struct auth *auth) {
    if (request->type != IPC_AUTH_BANS && request->type != IPC_AUTH_BAN_CHANGE) return false;
    if (!bans_is_operator(request, auth))
        ipc_answer_failed(request, 550, "5.7.0", "only root and mail_owner may see and change who is kept out");
    else if (request->type == IPC_AUTH_BANS)
        list(request, auth);
    else
        change(request, auth);
    return true;
}
