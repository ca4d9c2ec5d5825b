/* An account as mailbox knows it: from auth, or as it stands before a session's state. */
#include "clock.h"
#include "mailbox.h"

#define TICKET_TIME 30000 /* ms */

void account_free(struct account **account) {
    arena_destroy(&(*account)->arena);
    MEMORY_FREE(*account);
}

struct account *account_make(const struct ipc_mailbox_admit *admit) {
    struct account *account = MEMORY_NEW(struct account);
    account->arena = arena_create(16384);
    account->uid = (uint32_t)admit->uid;
    account->gid = (uint32_t)admit->gid;
    account->quota_storage = admit->quota_storage;
    account->quota_messages = admit->quota_messages;
    account->begun = clock_date() / CLOCK_SECOND;
    account->turn = 1;
    account->expires = deadline_in(TICKET_TIME);
    bool good = arena_copy(account->arena, admit->protocol, &account->protocol) &&
                arena_copy(account->arena, admit->login, &account->login) &&
                arena_copy(account->arena, admit->root, &account->root) &&
                arena_copy(account->arena, admit->cache, &account->cache) &&
                arena_copy(account->arena, admit->client_address, &account->client_address);
    if (!good) account_free(&account);
    return account;
}

/* ---- states: what stands before a session's own is ours */

/* The account goes with the state, so that waking needs no question to auth: packed before what the session says, in
 * SESSION_ACCOUNT_LINES lines, to which the session's key is bound. */
void account_pack(const struct account *account, struct buf *text) {
    buf_printf(text, "%u %u %llu %llu %lld %u %.*s\n%.*s\n%.*s\n%.*s\n", account->uid, account->gid,
               (unsigned long long)account->quota_storage, (unsigned long long)account->quota_messages,
               (long long)account->begun, account->turn, STR_ARGS(account->protocol), STR_ARGS(account->root),
               STR_ARGS(account->cache), STR_ARGS(account->client_address));
}

static bool take_line(struct str *rest, struct str *line) {
    return str_cut(*rest, '\n', line, rest);
}

static bool take_number(struct str *line, uint64_t maximum, uint64_t *number) {
    struct str word;
    return str_next_word(line, " ", &word) && str_to_u64(word, maximum, number);
}

struct account *account_unpack(struct str login, struct str *state) {
    struct str line, root, cache, address, protocol;
    uint64_t uid, gid, storage, messages, begun, turn;
    if (!take_line(state, &line) || !take_number(&line, UINT32_MAX - 1, &uid) ||
        !take_number(&line, UINT32_MAX - 1, &gid) || !take_number(&line, UINT64_MAX, &storage) ||
        !take_number(&line, UINT64_MAX, &messages) || !take_number(&line, INT64_MAX, &begun) ||
        !take_number(&line, UINT32_MAX - 1, &turn) || !str_next_word(&line, " ", &protocol) ||
        !take_line(state, &root) || !take_line(state, &cache) || !take_line(state, &address) || uid == 0 ||
        root.length == 0 || root.data[0] != '/')
        return NULL;
    struct ipc_mailbox_admit admitted = {.protocol = protocol,
                                         .login = login,
                                         .uid = uid,
                                         .gid = gid,
                                         .root = root,
                                         .cache = cache,
                                         .client_address = address,
                                         .quota_storage = storage,
                                         .quota_messages = messages,
                                         .ticket = STR("0123456789abcdef")};
    struct account *account = account_make(&admitted);
    if (!account) return NULL;
    account->begun = (int64_t)begun;
    account->turn = (uint32_t)turn;
    return account;
}
