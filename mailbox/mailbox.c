/* mailbox: the forker of sessions. See mailbox.h. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "pop3_line.h"
#include "sandbox.h"
#include "task.h"

#define TICKETS_MAX 10000
#define REQUESTS    1000
#define FINISH_TIME 2000 /* ms */

/* ---- tickets */

static bool is_acceptable(const struct mailbox *mailbox, const struct ipc_mailbox_admit *admit) {
    uint32_t own = geteuid();
    if (admit->uid == 0 || admit->root.length == 0 || admit->root.data[0] != '/' || admit->ticket.length < 16)
        return false;
    (void)mailbox;
    return own == 0 || admit->uid == own;
}

static void admit(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_mailbox_admit *message = request->message;
    if (!str_equal(ipc_peer_service(request->peer), STR("auth"))) {
        ipc_answer_failed(request, 550, "5.7.1", "only auth admits");
    } else if (!is_acceptable(mailbox, message)) {
        log_warning("account %.*s: no session as user %llu in %.*s", STR_ARGS(message->login),
                    (unsigned long long)message->uid, STR_ARGS(message->root));
        ipc_answer_failed(request, 550, "5.7.1", "no session can be had as that user");
    } else if (map_count(mailbox->tickets) >= TICKETS_MAX) {
        ipc_answer_failed(request, 451, "4.3.2", "too many logins at once");
    } else {
        struct account *account = account_make(message);
        struct ipc_done done = {.empty_ = {}};
        if (!account) {
            ipc_answer_failed(request, 451, "4.3.0", "the account is too large");
            return;
        }
        struct account *old = map_put(mailbox->tickets, message->ticket, account);
        if (old) account_free(&old);
        ipc_answer(request, IPC_DONE, &done, -1);
    }
}

static void expire_tickets(struct mailbox *mailbox) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(mailbox->tickets, &cursor, &key, &value)) {
        struct account *account = value;
        if (deadline_left(account->expires) > 0) continue;
        map_remove(mailbox->tickets, key);
        account_free(&account);
    }
}

/* ---- sessions */

/* 0 stands for any number below the limit. */
static size_t sessions_of(const struct mailbox *mailbox, const struct account *account, size_t limit) {
    size_t count = 0;
    if (crowd_is_below(mailbox, account, limit)) return 0;
    for (const struct live_session *session = mailbox->sessions; session; session = session->next)
        count += !session->leaving && str_equal(session->account.login, account->login) &&
                 str_equal(session->account.client_address, account->client_address);
    for (const struct idle_session *session = mailbox->idle; session; session = session->next)
        count +=
            str_equal(session->login, account->login) && str_equal(session->client_address, account->client_address);
    return count;
}

/* Starts a session for an account; takes the account over. */
static void start(struct ipc_request *request, struct mailbox *mailbox, struct account *account, bool is_login,
                  const uint8_t nonce[16], struct str state) {
    const struct config *config = mailbox->config;
    struct ipc_mailbox_opened opened = {.owner = account->uid};
    struct failure failure = {0};
    /* Who is in already is not kept out for being woken. */
    bool too_many = is_login && config->mail_max_userip_connections > 0 &&
                    sessions_of(mailbox, account, (size_t)config->mail_max_userip_connections) >=
                        (size_t)config->mail_max_userip_connections;
    if (too_many)
        log_warning("%.*s from %.*s: too many sessions (mail_max_userip_connections)", STR_ARGS(account->login),
                    STR_ARGS(account->client_address));
    if (too_many || mailbox->session_count >= (size_t)config->mailbox_session_limit) {
        ipc_answer_failed(request, 451, "4.3.2", "too many sessions%s", too_many ? " of this account from there" : "");
        account_free(&account);
        return;
    }
    if (process_begin(mailbox, &account, nonce, request->descriptor, state, &failure)) {
        ipc_answer(request, IPC_MAILBOX_OPENED, &opened, -1);
        return;
    }
    log_warning("cannot fork a session for %.*s: %s", STR_ARGS(account->login), failure.text);
    ipc_answer_failed(request, 451, "4.3.0", "cannot make a session now");
    account_free(&account);
}

static void open_session(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_mailbox_open *message = request->message;
    uint8_t nonce[16];
    struct str login, state = STR_EMPTY;
    struct account *account = NULL;
    handover_take(mailbox);
    if (message->ticket.length > 0) {
        account = map_remove(mailbox->tickets, message->ticket);
        if (account && deadline_left(account->expires) <= 0) account_free(&account);
        if (account && getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) account_free(&account);
    } else if (session_unseal(mailbox->seal_master, message->state, &login, nonce, &state)) {
        if (!mailbox->given) account = account_unpack(login, &state); /* else the front asks the successor */
        if (account && !idle_is_good(mailbox, nonce, account->turn)) account_free(&account);
        if (account) account->turn++;
    }
    if (account)
        start(request, mailbox, account, message->ticket.length > 0, nonce, state);
    else
        ipc_answer_failed(request, 550, "5.7.1", "no such ticket or state");
}

static void waits(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_session_waits *message = request->message;
    uint8_t nonce[16];
    struct str login, state;
    struct account *account = NULL;
    handover_take(mailbox);
    if (session_unseal(mailbox->seal_master, message->state, &login, nonce, &state))
        account = account_unpack(login, &state);
    if (account && idle_is_good(mailbox, nonce, account->turn)) {
        struct live_session *session = process_find(mailbox, nonce);
        idle_begin(request, mailbox, account, nonce);
        if (session) session->leaving = true;
        if (session) at_work_forget(session);
    }
    if (account) account_free(&account);
}

/* ---- operators */

struct listing {
    struct ipc_session_listed listed;
    struct buf rows;
    uint64_t after, at;
};

/* False: there is no more room. */
static bool list_one(struct listing *listing, struct str login, struct str protocol, struct str client_address,
                     pid_t process, int64_t begun, const uint8_t nonce[16]) {
    char number[40];
    if (listing->listed.more) return false;
    if (listing->at++ < listing->after) return true;
    session_number(nonce, number);
    struct ipc_session_row row = {.login = login,
                                  .protocol = protocol,
                                  .client_address = client_address,
                                  .process = (uint64_t)process,
                                  .begun = (uint64_t)begun,
                                  .session = str_from(number)};
    if (ipc_list_add(IPC_ROW_SESSION_ROW, &row, &listing->rows, &listing->listed.sessions.count)) return true;
    listing->listed.more = true;
    listing->at--;
    return false;
}

static void list_sessions(struct ipc_request *request, struct mailbox *mailbox) {
    struct listing listing = {.listed = {.cursor = STR_EMPTY}, .rows = buf_make(60000)};
    struct buf cursor = buf_make(0);
    const struct ipc_session_list *list = request->message;
    bool room = true;
    handover_take(mailbox);
    if (!str_to_u64(list->after, UINT64_MAX, &listing.after)) listing.after = 0;
    for (const struct live_session *session = mailbox->sessions; room && session; session = session->next)
        room = session->leaving ||
               list_one(&listing, session->account.login, session->account.protocol, session->account.client_address,
                        session->process, session->account.begun, session->nonce);
    for (const struct idle_session *session = mailbox->idle; room && session; session = session->next)
        room = list_one(&listing, session->login, session->protocol, session->client_address, 0, session->begun,
                        session->nonce);
    buf_printf(&cursor, "%llu", (unsigned long long)listing.at);
    listing.listed.cursor = buf_str(&cursor);
    listing.listed.sessions.packed = buf_str(&listing.rows);
    ipc_answer(request, IPC_SESSION_LISTED, &listing.listed, -1);
    buf_free(&listing.rows);
    buf_free(&cursor);
}

/* Whoever is to go leaves nothing behind, not even a process that waits. */
static void kick_one(struct mailbox *mailbox, struct live_session *session, uint64_t *count) {
    session->kicked = true;
    *count += kill(session->process, SIGTERM) == 0;
    process_end_waiting(mailbox, session->account.login);
}

static void kick(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_session_kick *message = request->message;
    struct ipc_session_kicked kicked = {0};
    handover_take(mailbox);
    for (struct live_session *session = mailbox->sessions; session; session = session->next) {
        char number[40];
        session_number(session->nonce, number);
        if (!session->leaving && (message->login.length == 0 || str_equal(message->login, session->account.login)) &&
            (message->session.length == 0 || str_equal(message->session, str_from(number))))
            kick_one(mailbox, session, &kicked.count);
    }
    if (message->session.length == 0) process_end_waiting(mailbox, message->login);
    kicked.count += idle_kick(mailbox, message->login, message->session);
    ipc_answer(request, IPC_SESSION_KICKED, &kicked, -1);
}

/* Connections that master made, for fronts and auth, look like root's: those are no operators. */
static bool is_operator(const struct ipc_request *request) {
    uint32_t uid = ipc_peer_uid(request->peer);
    return ipc_peer_service(request->peer).length == 0 && (uid == 0 || uid == geteuid());
}

static void handle(struct ipc_request *request, void *context) {
    struct mailbox *mailbox = context;
    if (request->type == IPC_MAILBOX_ADMIT)
        admit(request, mailbox);
    else if (request->type == IPC_MAILBOX_OPEN)
        open_session(request, mailbox);
    else if (request->type == IPC_SESSION_WAITS && ipc_peer_service(request->peer).length > 0)
        waits(request, mailbox);
    else if (request->type == IPC_SESSION_GONE)
        idle_gone(request, mailbox);
    else if (request->type == IPC_SESSION_LIST && is_operator(request))
        list_sessions(request, mailbox);
    else if (request->type == IPC_SESSION_KICK && is_operator(request))
        kick(request, mailbox);
    else
        ipc_answer_failed(request, 550, "5.7.1", "mailbox does not do that");
}

/* ---- the daemon */

static void serve(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, REQUESTS, handle, service_context(service));
}

static void read_boot(struct mailbox *mailbox) {
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, mailbox->boot, sizeof mailbox->boot - 1);
    if (file >= 0) close(file);
    struct str boot = str_trim(str_make(mailbox->boot, length > 0 ? (size_t)length : 0));
    mailbox->boot[boot.length] = '\0';
}

/* The key of the seals outlives a reload, or every idle client would be thrown out by it: it lies in the data
 * directory, readable by root alone. The directory is another user's, so it has to be ours: who gave us a key could
 * seal. */
static bool load_master(struct mailbox *mailbox, struct failure *failure) {
    struct buf path = buf_make(0);
    buf_printf(&path, "%.*s/session-seal", STR_ARGS(mailbox->config->data_directory));
    int file = open(buf_string(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat status;
    bool good = file >= 0 && fstat(file, &status) == 0;
    if (!good) failure_set_errno(failure, errno, "cannot open %s", buf_string(&path));
    if (good && (status.st_uid != geteuid() || (status.st_mode & 077)))
        good = failure_set(failure, "%s is not its own, or others may read it: remove it", buf_string(&path));
    if (good &&
        pread(file, mailbox->seal_master, sizeof mailbox->seal_master, 0) != (ssize_t)sizeof mailbox->seal_master)
        good = (RAND_bytes(mailbox->seal_master, sizeof mailbox->seal_master) == 1 &&
                pwrite(file, mailbox->seal_master, sizeof mailbox->seal_master, 0) ==
                    (ssize_t)sizeof mailbox->seal_master) ||
               failure_set(failure, "cannot make %s", buf_string(&path));
    if (file >= 0) close(file);
    buf_free(&path);
    return good;
}

static bool prepare(struct service *service, struct failure *failure) {
    struct mailbox *mailbox = MEMORY_NEW(struct mailbox);
    service_set_context(service, mailbox);
    mailbox->service = service;
    mailbox->config = service_config(service);
    mailbox->tickets = map_create();
    mailbox->at_work = -1;
    mailbox->idle_by_nonce = map_create();
    mailbox->live_by_nonce = map_create();
    mailbox->expected_end = &mailbox->expected;
    read_boot(mailbox);
    if (!pop3_uidl_is_valid(mailbox->config->pop3_uidl_format))
        return failure_set(failure,
                           "pop3_uidl_format = %.*s: there must be %%u or %%f, and of other words only %%v and %%%%",
                           STR_ARGS(mailbox->config->pop3_uidl_format));
    session_prepare();
    return load_master(mailbox, failure) &&
           seccomp_make(RIGHT_FILES | RIGHT_MAP_FILES | RIGHT_THREADS, &mailbox->filter, failure);
}

static void tick(struct service *service) {
    handover_take(service_context(service));
    expire_tickets(service_context(service));
    process_expire(service_context(service));
    idle_expire(service_context(service));
}

/* What was in the sockets when this process was told to drain is still answered: sessions of which a successor has to
 * know. */
static void finish_requests(const struct service *service) {
    for (deadline until = deadline_in(FINISH_TIME); service_sessions(service) > 0 && deadline_left(until) > 0;)
        if (task_sleep(5) == WAIT_CANCELLED) return;
}

static void drain(struct service *service) {
    process_end_waiting(service_context(service), STR_EMPTY);
    if (service_is_stopping(service)) return;
    finish_requests(service);
    handover_give(service_context(service));
}

static const struct service_declaration declaration = {
    .program = "mailbox", .prepare = prepare, .session = serve, .tick = tick, .drain = drain, .session_limit = 2000};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
