/* Accounts of auth_sources as mailboxes: auth says who has one and where, local whether it is full. Which addresses
 * may be accounts, mail_account_domains says. */
#include "subject.h"

#define AUTH_TIME  60000 /* ms */
#define LOCAL_TIME 10000

bool lookup_has_accounts(struct lookup *lookup, struct str domain, bool *has, struct failure *failure) {
    *has = false;
    if (!lookup->auth || domain.length == 0 || domain.data[0] == '[') return true;
    enum match_result result = list_match(lookup->mail_account_domains, domain, STR_EMPTY, failure);
    *has = result == MATCH_YES;
    return result != MATCH_RETRY;
}

/* What FAILED says, as a failure. */
static bool ask(struct ipc_client *client, enum ipc_type type, const void *question, enum ipc_type expected,
                int64_t time, struct arena *arena, struct ipc_reply *reply, struct failure *failure) {
    enum ipc_result result = ipc_ask(client, type, question, -1, expected, deadline_in(time), arena, reply, failure);
    if (result != IPC_REFUSED) return result == IPC_OK;
    const struct ipc_failed *failed = reply->message;
    return failure_set(failure, "%.*s", STR_ARGS(failed->text));
}

static bool ask_auth(struct lookup *lookup, struct str local, struct str domain, struct arena *arena,
                     struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct buf name = buf_make(600);
    struct ipc_reply reply = {.descriptor = -1};
    buf_append(&name, local);
    if (domain.length) {
        buf_append_char(&name, '@');
        buf_append(&name, domain);
    }
    struct ipc_auth_account question = {.name = buf_str(&name)};
    bool good = name.length > 512 || ask(lookup->auth, IPC_AUTH_ACCOUNT, &question, IPC_AUTH_ACCOUNT_FOUND, AUTH_TIME,
                                         arena, &reply, failure);
    buf_free(&name);
    const struct ipc_auth_account_found *found = reply.message;
    if (!good || !found || !found->found) return good;
    answer->kind = LOCAL_ACCOUNT;
    answer->user = found->login;
    answer->uid = found->uid;
    answer->gid = found->gid;
    answer->mailbox = found->root;
    answer->quota_storage = found->quota_storage;
    answer->quota_messages = found->quota_messages;
    return true;
}

/* The whole address, without its extension, and in this machine's domains the name alone. */
bool lookup_account(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                    struct ipc_lookup_local_found *answer, struct failure *failure) {
    bool has;
    if (!lookup_has_accounts(lookup, subject->domain, &has, failure)) return false;
    if (!has) return true;
    answer->extension = STR_EMPTY;
    if (!ask_auth(lookup, subject->local, subject->domain, arena, answer, failure)) return false;
    if (answer->kind == LOCAL_ACCOUNT) return true;
    if (subject->has_extension && !ask_auth(lookup, subject->base, subject->domain, arena, answer, failure))
        return false;
    if (answer->kind != LOCAL_ACCOUNT && subject->asks_bare_names &&
        !ask_auth(lookup, subject->base, STR_EMPTY, arena, answer, failure))
        return false;
    if (answer->kind == LOCAL_ACCOUNT) answer->extension = subject->extension;
    return true;
}

/* Who delivers there: it knows what it has delivered lately. */
static bool agent_of(struct lookup *lookup, struct str domain, struct ipc_client **agent, struct failure *failure) {
    enum address_class class;
    if (!lookup_classify(lookup, domain, &class, failure)) return false;
    struct str transport = class == CLASS_LOCAL ? lookup->config->local_transport : lookup->config->virtual_transport;
    *agent = str_starts(transport, STR("virtual")) ? lookup->virtual : lookup->local;
    return *agent != NULL;
}

bool lookup_quota(struct lookup *lookup, const struct ipc_lookup_quota *question, struct arena *arena,
                  struct ipc_lookup_quota_found *answer, struct failure *failure) {
    struct subject subject;
    struct ipc_reply reply = {.descriptor = -1};
    struct ipc_lookup_local_found account = {.kind = LOCAL_UNKNOWN};
    bool retry;
    *answer = (struct ipc_lookup_quota_found){.status = STR_EMPTY, .text = STR_EMPTY};
    if (!subject_make(lookup, question->address, &subject, &retry, failure)) return !retry;
    if (!lookup_account(lookup, &subject, arena, &account, failure)) return false;
    if (account.kind != LOCAL_ACCOUNT || (account.quota_storage == 0 && account.quota_messages == 0)) return true;
    struct ipc_local_quota asked = {.root = account.mailbox,
                                    .uid = account.uid,
                                    .gid = account.gid,
                                    .quota_storage = account.quota_storage,
                                    .quota_messages = account.quota_messages,
                                    .size = question->size};
    struct ipc_client *agent;
    if (!agent_of(lookup, subject.domain, &agent, failure) ||
        !ask(agent, IPC_LOCAL_QUOTA, &asked, IPC_LOOKUP_QUOTA_FOUND, LOCAL_TIME, arena, &reply, failure))
        return false;
    *answer = *(const struct ipc_lookup_quota_found *)reply.message;
    return true;
}
