/* What tern submission asks of qmgr: which accounts have sent what, and changes to that. See logins.h. */
#include "logins.h"
#include "log.h"
#include "login_usage.h"
#include "qmgr.h"

#define LIST_BYTES ((size_t)50000)

static int by_name(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static bool add_row(struct str login, const struct login_usage *usage, struct buf *rows, uint32_t *count) {
    int64_t now = logins_today();
    struct ipc_login_state row = {.login = login,
                                  .messages = login_usage_count(usage, LOGIN_MESSAGES, now),
                                  .recipients = login_usage_count(usage, LOGIN_RECIPIENTS, now),
                                  .bytes = login_usage_count(usage, LOGIN_BYTES, now),
                                  .window = (uint64_t)usage->limits.window,
                                  .used = (uint64_t)usage->used,
                                  .held = (uint64_t)usage->held,
                                  .reason = str_from(usage->reason)};
    return ipc_list_add(IPC_ROW_LOGIN_STATE, &row, rows, count);
}

void control_login_list(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_login_list *ask = request->message;
    struct map *usages = logins_usages(qmgr);
    struct str *names = memory_allocate(map_count(usages) + 1, sizeof *names), login;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    size_t at = 0, found = 0, shown = 0;
    void *value;
    while (map_next(usages, &at, &login, &value))
        if (str_compare(login, ask->after) > 0 && !login_usage_is_idle(value, logins_today())) names[found++] = login;
    qsort(names, found, sizeof *names, by_name);
    while (shown < found && rows.length < LIST_BYTES &&
           add_row(names[shown], map_get(usages, names[shown]), &rows, &count))
        shown++;
    struct ipc_login_listed answer = {.more = shown < found, .logins = {buf_str(&rows), count}};
    ipc_answer(request, IPC_LOGIN_LISTED, &answer, -1);
    buf_free(&rows);
    MEMORY_FREE(names);
}

static bool hold_by_hand(struct qmgr *qmgr, const struct ipc_login_change *wish) {
    struct login_usage *usage = logins_get(qmgr, wish->login);
    if (!usage) return false;
    login_usage_hold(usage, wish->reason.length ? wish->reason : STR("by the administrator"), logins_today());
    log_info("account %.*s: its mail is placed on hold: %s", STR_ARGS(wish->login), usage->reason);
    logins_note_change(qmgr, true);
    return true;
}

static bool lift(struct qmgr *qmgr, const struct ipc_login_change *wish) {
    struct login_usage *usage = logins_find(qmgr, wish->login);
    if (!usage || !usage->held) return false;
    login_usage_lift(usage);
    log_info("account %.*s: it may send again", STR_ARGS(wish->login));
    logins_note_change(qmgr, true);
    return true;
}

void control_login_change(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_login_change *wish = request->message;
    struct ipc_qmgr_changed answer = {.count = 0};
    bool good = wish->login.length > 0 && str_is_printable(wish->login);
    switch ((enum login_change)wish->change) {
    case LOGIN_CHANGE_HOLD:
        good = good && hold_by_hand(qmgr, wish);
        break;
    case LOGIN_CHANGE_LIFT:
        good = good && lift(qmgr, wish);
        break;
    case LOGIN_CHANGE_RELEASE:
        if (logins_is_held(qmgr, wish->login)) { /* it would come back at once */
            ipc_answer_failed(request, 550, "5.5.1", "its mail is still on hold: lift that first");
            return;
        }
        answer.count = good ? change_held_of_login(qmgr, wish->login, QUEUE_RELEASE) : 0;
        break;
    case LOGIN_CHANGE_DELETE:
        answer.count = good ? change_held_of_login(qmgr, wish->login, QUEUE_DELETE) : 0;
        break;
    }
    if (good)
        ipc_answer(request, IPC_QMGR_CHANGED, &answer, -1);
    else
        ipc_answer_failed(request, 550, "5.5.4", "no such account is on hold");
}
