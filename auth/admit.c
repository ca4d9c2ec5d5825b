/* admit: who may have a session, where and as whom. After a login by IMAP or POP3 auth, and nobody else, tells mailbox
 * whom to become, and gives the front a ticket for that. */
#include <errno.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <unistd.h>

#include "account_quota.h"
#include "auth_daemon.h"
#include "log.h"
#include "log_text.h"
#include "sasl_message.h"
#include "sasl_prepare.h"

#define ADMIT_TIME  10000 /* ms */
#define TICKET_SIZE 16

struct place {
    struct str login, home, user, domain;
    uint64_t uid, gid;
    bool has_gid;
    bool unsure; /* the system did not say whether there is such a user */
};

/* %u %n %d %h %%, and ~ at the beginning. False: a word that is not known, or a value that could lead elsewhere. */
static bool expand(struct str text, const struct place *place, struct buf *path) {
    if (str_starts(text, STR("~/"))) {
        buf_append(path, place->home);
        text = str_from_offset(text, 1);
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            buf_append_char(path, text.data[i]);
            continue;
        }
        char word = ++i < text.length ? text.data[i] : '\0';
        struct str value = word == 'u'   ? place->login
                           : word == 'n' ? place->user
                           : word == 'd' ? place->domain
                           : word == 'h' ? place->home
                           : word == '%' ? STR("%")
                                         : STR_EMPTY;
        if (value.length == 0 || (word != 'h' && (value.data[0] == '.' || str_find(value, '/') != STR_NONE)))
            return false;
        buf_append(path, value);
    }
    return path->length > 1 && path->data[0] == '/' && str_find(buf_str(path), '\n') == STR_NONE &&
           str_find_str(buf_str(path), STR("/../")) == STR_NONE && !str_ends(buf_str(path), STR("/.."));
}

static const struct passwd *find_system_user(struct str name, struct place *place) {
    char *text = memory_copy_string(name);
    errno = 0;
    const struct passwd *found = getpwnam(text);
    /* What getpwnam(3) may say when there is just no such user. */
    place->unsure = !found && errno != 0 && errno != ENOENT && errno != ESRCH && errno != EBADF && errno != EPERM;
    MEMORY_FREE(text);
    return found;
}

/* A number, or the name of a user of the system. */
static bool read_user(struct str text, struct place *place) {
    if (str_to_u64(text, 4294967294, &place->uid)) return true;
    const struct passwd *found = find_system_user(text, place);
    if (!found) return false;
    place->uid = found->pw_uid;
    if (!place->has_gid) place->gid = found->pw_gid;
    place->has_gid = true;
    return true;
}

static bool find_owner(const struct auth *auth, const struct auth_account *account, struct place *place,
                       struct arena *arena) {
    struct str uid = auth_account_field(account, STR("uid")), gid = auth_account_field(account, STR("gid"));
    place->home = auth_account_field(account, STR("home"));
    if (uid.length == 0) uid = auth->config->mail_uid;
    if (gid.length == 0) gid = auth->config->mail_gid;
    if (gid.length && str_to_u64(gid, 4294967294, &place->gid)) place->has_gid = true;
    if (uid.length == 0) { /* the system's user */
        const struct passwd *found = find_system_user(place->login, place);
        if (!found) return false;
        place->uid = found->pw_uid;
        if (!place->has_gid) place->gid = found->pw_gid;
        place->has_gid = true;
        if (place->home.length == 0 && !arena_copy(arena, str_from(found->pw_dir), &place->home)) return false;
    } else if (!read_user(uid, place)) {
        return false;
    }
    if (place->home.length == 0 && auth->config->mail_home.length) {
        struct buf home = buf_make(1000);
        bool good = expand(auth->config->mail_home, place, &home) && arena_copy(arena, buf_str(&home), &place->home);
        buf_free(&home);
        if (!good) return false;
    }
    return place->has_gid;
}

static bool find_root(const struct auth *auth, const struct auth_account *account, const struct place *place,
                      struct buf *root) {
    struct str location = auth_account_field(account, STR("mail"));
    if (location.length == 0) location = auth->config->mail_location;
    if (str_starts(location, STR("maildir:"))) location = str_from_offset(location, 8);
    struct str path = location, rest;
    (void)str_cut(location, ':', &path, &rest); /* Dovecot's :INDEX= and so on have no meaning here */
    if (!expand(path, place, root)) return false;
    while (root->length > 1 && root->data[root->length - 1] == '/')
        buf_truncate(root, root->length - 1);
    return true;
}

static struct account_quota quota_of(const struct auth *auth, const struct auth_account *account, struct str login) {
    struct account_quota quota = {.storage = (uint64_t)auth->config->mail_quota_storage,
                                  .messages = (uint64_t)auth->config->mail_quota_messages};
    struct str field;
    char shown[300];
    if (!account_quota_read(account, &quota, &field))
        log_warning("account %s: its field %.*s is no quota", log_text(shown, sizeof shown, login), STR_ARGS(field));
    return quota;
}

static enum admission ask(const struct auth *auth, const struct exchange *exchange, const struct place *place,
                          struct str root, struct str ticket, struct failure *failure) {
    struct ipc_reply reply = {.descriptor = -1};
    struct buf cache = buf_make(1000);
    buf_printf(&cache, "%.*s/tern-cache", STR_ARGS(root));
    struct account_quota quota = quota_of(auth, &exchange->account, place->login);
    struct ipc_mailbox_admit admit = {.ticket = ticket,
                                      .protocol = exchange->protocol,
                                      .login = place->login,
                                      .uid = place->uid,
                                      .gid = place->gid,
                                      .root = root,
                                      .cache = buf_str(&cache),
                                      .client_address = exchange->client_address,
                                      .quota_storage = quota.storage,
                                      .quota_messages = quota.messages};
    struct arena *arena = arena_create(0);
    enum ipc_result result = IPC_UNREACHABLE;
    if (!buf_overflowed(&cache) && auth->mailbox)
        result = ipc_ask(auth->mailbox, IPC_MAILBOX_ADMIT, &admit, -1, IPC_DONE, deadline_in(ADMIT_TIME), arena, &reply,
                         failure);
    const struct ipc_failed *refusal = result == IPC_REFUSED ? reply.message : NULL;
    bool for_good = buf_overflowed(&cache) || (refusal && refusal->reply_code >= 500);
    arena_destroy(&arena);
    buf_free(&cache);
    return result == IPC_OK ? ADMIT_DONE : for_good ? ADMIT_IMPOSSIBLE : ADMIT_LATER;
}

bool admit_is_wanted(struct str protocol) {
    return str_equal(protocol, STR("imap")) || str_equal(protocol, STR("pop3"));
}

/* Hexadecimal: it is a field's text. */
static bool make_ticket(char ticket[2 * TICKET_SIZE + 1]) {
    uint8_t bytes[TICKET_SIZE];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ticket + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* Whose the account's mailbox is, and where. */
static bool find_place(const struct auth *auth, const struct auth_account *account, struct str login,
                       struct place *place, struct arena *arena, struct buf *root, struct failure *failure) {
    *place = (struct place){.login = login, .user = login, .domain = STR_EMPTY, .home = STR_EMPTY};
    (void)str_cut(login, '@', &place->user, &place->domain);
    if (!find_owner(auth, account, place, arena))
        return failure_set(failure, place->unsure ? "the system's users cannot be looked up now"
                                                  : "nothing says to which user of the system its mailbox belongs");
    if (place->uid != geteuid() && place->uid < (uint64_t)auth->config->first_valid_uid)
        return failure_set(failure, "user %llu is below first_valid_uid", (unsigned long long)place->uid);
    return find_root(auth, account, place, root) || failure_set(failure, "its mail_location makes no path");
}

enum admission admit_session(const struct auth *auth, struct exchange *exchange, char ticket[ADMIT_TICKET_SIZE]) {
    struct place place;
    struct buf root = buf_make(1000);
    struct failure failure = {0};
    char shown[300];
    enum admission admission = ADMIT_LATER;
    if (!find_place(auth, &exchange->account, exchange->login, &place, exchange->arena, &root, &failure))
        admission = place.unsure ? ADMIT_LATER : ADMIT_IMPOSSIBLE;
    else if (!make_ticket(ticket))
        failure_set(&failure, "no random numbers");
    else
        admission = ask(auth, exchange, &place, buf_str(&root), str_from(ticket), &failure);
    if (admission != ADMIT_DONE)
        log_warning("account %s: no session: %s", log_text(shown, sizeof shown, exchange->login), failure.text);
    buf_free(&root);
    return admission;
}

/* ---- for deliveries and operators */

static enum source_answer find_account(struct auth *auth, struct str name, struct arena *arena,
                                       struct auth_account *account, struct failure *failure) {
    struct source_question question = {.user = name, .protocol = STR("lmtp"), .client_address = STR_EMPTY,
                                       .until = deadline_in(auth->config->auth_source_timeout * 1000), .arena = arena};
    struct auth_source *source = NULL;
    enum source_answer answer;
    size_t next = 0;
    /* Who can only say whether a password is right does not know names. */
    do
        answer = sources_look_up(&auth->sources, &next, &question, account, &source, failure);
    while (answer == SOURCE_FOUND && !source->type->look_up);
    return answer;
}

/* As login_name, for an address. */
static bool prepare_name(const struct auth *auth, struct str name, struct arena *arena, struct str *prepared) {
    struct buf text = buf_make(SASL_PREPARE_MAX);
    bool good = sasl_prepare(name, &text) && text.length <= SASL_NAME_MAX;
    if (auth->config->auth_username_lowercase)
        for (size_t i = 0; i < text.length; i++)
            text.data[i] = ascii_lower(text.data[i]);
    good = good && arena_copy(arena, buf_str(&text), prepared);
    buf_free(&text);
    return good;
}

void admit_tell_account(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_account *question = request->message;
    struct ipc_auth_account_found answer = {.login = STR_EMPTY, .root = STR_EMPTY};
    struct auth_account account = {.login = STR_EMPTY};
    struct failure failure = {0};
    struct place place;
    struct str name;
    char shown[300];
    if (!prepare_name(auth, question->name, request->arena, &name)) { /* no account is called so */
        (void)ipc_answer(request, IPC_AUTH_ACCOUNT_FOUND, &answer, -1);
        return;
    }
    enum source_answer found = find_account(auth, name, request->arena, &account, &failure);
    if (account.secret.length) memory_wipe((void *)(uintptr_t)account.secret.data, account.secret.length);
    if (account.app_secrets.length)
        memory_wipe((void *)(uintptr_t)account.app_secrets.data, account.app_secrets.length);
    struct buf root = buf_make(1000);
    bool good = true;
    if (found == SOURCE_RETRY) {
        good = false;
    } else if (found == SOURCE_FOUND || found == SOURCE_DISABLED) { /* who may not come in gets mail all the same */
        struct str login = account.login.length ? account.login : name;
        struct account_quota quota = quota_of(auth, &account, login);
        good = find_place(auth, &account, login, &place, request->arena, &root, &failure);
        if (good)
            answer = (struct ipc_auth_account_found){
                .found = true, .login = login, .uid = place.uid, .gid = place.gid, .root = buf_str(&root),
                .quota_storage = quota.storage, .quota_messages = quota.messages};
    }
    if (!good) {
        log_warning("account %s: no mailbox: %s", log_text(shown, sizeof shown, name), failure.text);
        ipc_answer_failed(request, 451, "4.3.0", "a source of accounts does not answer");
    } else if (!ipc_answer(request, IPC_AUTH_ACCOUNT_FOUND, &answer, -1)) {
        ipc_answer_failed(request, 451, "4.3.0", "the answer does not fit");
    }
    buf_free(&root);
}
