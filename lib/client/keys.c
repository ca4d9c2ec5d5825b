/* Contexts whose keys are held by the keys process.
 *
 * A link is a connection to keys, and what was made of what it said: contexts, by
 * name. The pool uses one link; when keys says that something has changed, or the
 * connection is lost, the pool lets go of it and makes a new one when next asked. The
 * old link lives until the last key that signs over it is freed, which is with the
 * last connection that was made of its contexts. */
#include "keys.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "hash.h"
#include "log.h"

enum {
    ASK_PATIENCE_MS = 10000, /* in the middle of a handshake, which has a deadline of its own */
    CHAINS_MOST = 8,
    TICKET_KEYS_MOST = 8,
    NAMES_MOST = 20000, /* remembered; strangers choose the names that are not there */
    TICKET_RETRY_MS = 1000,
};

struct keys_link {
    struct service *service;
    struct keys_pool *pool;
    struct ipc_client *client;
    bool owned;       /* the client is this link's alone */
    unsigned holders; /* the pool, and keys */
};

/* A server name that was asked for; context NULL: it has no certificates of its own. */
struct named {
    struct tls_context *context;
};

struct keys_pool {
    struct service *service;
    struct tls_server_options options;
    struct keys_link *link; /* NULL: none yet, or no more */
    struct map *names;      /* struct named; "" is the default */
    bool busy;              /* a task asks; others wait, so that each thing is asked once */
    struct task_queue waiting;
    struct tls_ticket_key tickets[TICKET_KEYS_MOST];
    size_t ticket_count;
    deadline tickets_until;   /* then they are asked for again */
    struct tls_context *lent; /* by pool_for_name, last */
};

/* ---- links */

static void link_release(struct keys_link *link) {
    if (--link->holders > 0) return;
    if (link->owned) ipc_client_destroy(&link->client);
    MEMORY_FREE(link);
}

/* What OpenSSL calls when a key is freed. */
static void key_freed(void *parent, void *link, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    if (link) link_release(link);
}

static int key_index(void) {
    static int index = -1; /* a number that the library gives once */
    if (index < 0) index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_EVP_PKEY, 0, NULL, NULL, NULL, key_freed);
    return index;
}

static void pool_let_go(struct keys_pool *pool) {
    size_t cursor = 0;
    struct str name;
    void *value;
    while (map_next(pool->names, &cursor, &name, &value)) {
        struct named *named = value;
        tls_context_release(&named->context);
        MEMORY_FREE(named);
    }
    map_destroy(&pool->names);
    pool->names = map_create();
    pool->tickets_until = 0; /* those of now go on until there are new ones */
    struct keys_link *link = pool->link;
    pool->link = NULL;
    if (link) {
        link->pool = NULL;
        link_release(link);
    }
}

static void on_lost(void *context) {
    struct keys_link *link = context;
    if (link->pool) pool_let_go(link->pool);
}

/* The pool, not the link, which may have gone until this task runs. */
static void on_notify(struct ipc_request *request, void *context) {
    if (request->type == IPC_KEYS_CHANGED) pool_let_go(context);
}

static int connect_link(void *context, deadline until, struct failure *failure) {
    const struct keys_link *link = context;
    return service_connect(link->service, STR("keys"), until, failure);
}

static struct keys_link *link_create(struct keys_pool *pool) {
    struct keys_link *link = MEMORY_NEW(struct keys_link);
    *link = (struct keys_link){.service = pool->service, .pool = pool, .owned = true, .holders = 1};
    link->client = ipc_client_create(connect_link, link, on_notify, pool);
    ipc_client_on_loss(link->client, on_lost, link);
    return link;
}

/* ---- signing */

/* A signature does no harm twice: one whose answer was lost is asked for again. */
static bool sign(void *context, struct str key_name, uint16_t scheme, struct str content, struct buf *signature,
                 struct failure *failure) {
    const struct keys_link *link = context;
    const struct ipc_keys_sign question = {.key = key_name, .scheme = scheme, .content = content};
    deadline until = deadline_in(ASK_PATIENCE_MS);
    enum ipc_result result = IPC_UNREACHABLE;
    bool good = false;
    for (unsigned attempt = 0; attempt < 3 && result == IPC_UNREACHABLE; attempt++) {
        struct arena *arena = arena_create(0);
        struct ipc_reply reply;
        result = ipc_ask(link->client, IPC_KEYS_SIGN, &question, -1, IPC_KEYS_SIGNED, until, arena, &reply, failure);
        if (result == IPC_OK) good = buf_append(signature, ((const struct ipc_keys_signed *)reply.message)->signature);
        arena_destroy(&arena);
    }
    return good;
}

/* ---- contexts */

static X509 *first_certificate(struct str pem) {
    BIO *memory = BIO_new_mem_buf(pem.data, (int)pem.length);
    X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
    BIO_free(memory);
    return certificate;
}

static bool chain_fill(struct keys_link *link, const struct ipc_certificate_chain *row, struct tls_chain *chain,
                       struct failure *failure) {
    X509 *certificate = first_certificate(row->pem);
    if (!certificate) return failure_set(failure, "keys gave a certificate that cannot be read");
    EVP_PKEY *key = tls_key_create(certificate, sign, link, failure);
    X509_free(certificate);
    if (!key) return false;
    if (!EVP_PKEY_set_ex_data(key, key_index(), link)) {
        EVP_PKEY_free(key);
        return failure_set(failure, "out of memory");
    }
    link->holders++;
    *chain = (struct tls_chain){.pem = row->pem, .staple = row->staple, .key = key};
    return true;
}

/* The answer's rows as chains; the keys are the caller's to free. Texts live in the answer. */
static bool chains_of(struct keys_link *link, struct ipc_list list, struct tls_chain *chains, size_t *count,
                      struct failure *failure) {
    struct ipc_certificate_chain row;
    size_t offset = 0;
    bool bad = false, good = true;
    while (good && *count < CHAINS_MOST && ipc_list_next(list, IPC_ROW_CERTIFICATE_CHAIN, &offset, &row, &bad)) {
        good = chain_fill(link, &row, &chains[*count], failure);
        *count += good;
    }
    ERR_clear_error();
    return good;
}

static void free_chains(struct tls_chain *chains, size_t count) {
    for (size_t i = 0; i < count; i++)
        EVP_PKEY_free(chains[i].key);
}

static bool ask_chains(struct keys_link *link, unsigned side, struct str name, deadline until, struct arena *arena,
                       struct ipc_list *chains, struct failure *failure) {
    const struct ipc_keys_chains question = {.side = side, .server_name = name};
    struct ipc_reply reply;
    if (ipc_ask(link->client, IPC_KEYS_CHAINS, &question, -1, IPC_KEYS_CHAINS_GIVEN, until, arena, &reply, failure) !=
        IPC_OK)
        return false;
    *chains = ((const struct ipc_keys_chains_given *)reply.message)->chains;
    return true;
}

/* ---- the pool */

static bool pool_enter(struct keys_pool *pool, deadline until, struct failure *failure) {
    while (pool->busy)
        if (task_queue_wait(&pool->waiting, until) != WAIT_READY)
            return failure_set(failure, "no answer of keys in time");
    pool->busy = true;
    if (!pool->link) pool->link = link_create(pool);
    return true;
}

static void pool_leave(struct keys_pool *pool) {
    pool->busy = false;
    task_queue_wake_one(&pool->waiting);
}

static size_t pool_tickets(void *context, struct tls_ticket_key *keys, size_t room) {
    const struct keys_pool *pool = context;
    size_t count = pool->ticket_count < room ? pool->ticket_count : room;
    memcpy(keys, pool->tickets, count * sizeof *keys);
    return count;
}

static void take_tickets(struct keys_pool *pool, const struct ipc_keys_tickets_given *given) {
    struct ipc_ticket_key row;
    size_t offset = 0;
    bool bad = false;
    pool->ticket_count = 0;
    while (pool->ticket_count < TICKET_KEYS_MOST &&
           ipc_list_next(given->keys, IPC_ROW_TICKET_KEY, &offset, &row, &bad)) {
        struct tls_ticket_key *key = &pool->tickets[pool->ticket_count];
        if (row.name.length != sizeof key->name || row.secret.length != sizeof key->cipher + sizeof key->mac) continue;
        memcpy(key->name, row.name.data, sizeof key->name);
        memcpy(key->cipher, row.secret.data, sizeof key->cipher);
        memcpy(key->mac, row.secret.data + sizeof key->cipher, sizeof key->mac);
        pool->ticket_count++;
    }
    pool->tickets_until = deadline_in((int64_t)given->good_for * 1000);
}

/* Without them handshakes go on as they are, in full or with the keys of before. */
static void renew_tickets(struct keys_pool *pool, const struct keys_link *link, deadline until) {
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    if (!pool->options.tickets || deadline_left(pool->tickets_until) > 0) return;
    pool->tickets_until = deadline_in(TICKET_RETRY_MS);
    struct arena *arena = arena_create(0);
    if (ipc_ask(link->client, IPC_KEYS_TICKETS, &(struct ipc_keys_tickets){}, -1, IPC_KEYS_TICKETS_GIVEN, until, arena,
                &reply, &failure) == IPC_OK)
        take_tickets(pool, reply.message);
    arena_destroy(&arena);
}

static struct tls_context *pool_for_name(void *context, struct str server_name);

static struct tls_context *make_context(struct keys_pool *pool, struct ipc_list list, struct keys_link *link,
                                        struct failure *failure) {
    struct tls_chain chains[CHAINS_MOST] = {{.key = NULL}};
    size_t count = 0;
    struct tls_server_options options = pool->options;
    struct tls_context *made = NULL;
    options.ticket_keys = options.tickets ? pool_tickets : NULL;
    options.for_name = pool_for_name;
    options.context = pool;
    options.chains = chains;
    if (chains_of(link, list, chains, &count, failure)) {
        options.chain_count = count;
        made = tls_server_context(&options, failure);
    }
    free_chains(chains, count);
    return made;
}

/* What keys says of a name; it is kept, also that there is nothing. If the link went meanwhile, what was made serves
 * this connection and is not kept. */
static struct tls_context *fetch_context(struct keys_pool *pool, struct keys_link *link, struct str name,
                                         deadline until, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_list list = {.count = 0};
    struct tls_context *made = NULL;
    bool good = ask_chains(link, KEYS_SERVER, name, until, arena, &list, failure);
    if (good && list.count > 0) good = (made = make_context(pool, list, link, failure)) != NULL;
    if (good && pool->link == link) {
        if (map_count(pool->names) >= NAMES_MOST) {
            pool_let_go(pool);
        } else {
            struct named *named = MEMORY_NEW(struct named);
            named->context = made ? tls_context_hold(made) : NULL;
            map_put(pool->names, name, named);
        }
    }
    if (good && !made) failure_set(failure, "there is no certificate");
    arena_destroy(&arena);
    return made;
}

/* The context of a name, held for the caller; NULL: none. */
static struct tls_context *pool_find(struct keys_pool *pool, struct str name, deadline until, struct failure *failure) {
    struct tls_context *found = NULL;
    bool tickets_wanted = pool->options.tickets && deadline_left(pool->tickets_until) == 0;
    const struct named *named = map_get(pool->names, name);
    if (!named || tickets_wanted) {
        if (!pool_enter(pool, until, failure)) return NULL;
        struct keys_link *link = pool->link; /* the pool may let go of it meanwhile */
        link->holders++;
        renew_tickets(pool, link, until);
        named = map_get(pool->names, name);
        if (!named) found = fetch_context(pool, link, name, until, failure);
        pool_leave(pool);
        link_release(link);
        if (!named) return found;
    }
    if (!named->context) failure_set(failure, "there is no certificate");
    return named->context ? tls_context_hold(named->context) : NULL;
}

/* Borrowed: tls_accept holds it at once, so one that was not kept has to live until the next is lent. */
static struct tls_context *pool_for_name(void *context, struct str server_name) {
    struct keys_pool *pool = context;
    struct failure failure = {0};
    struct tls_context *found = pool_find(pool, server_name, deadline_in(ASK_PATIENCE_MS), &failure);
    tls_context_release(&pool->lent);
    pool->lent = found;
    return found;
}

struct keys_pool *keys_pool_create(struct service *service, const struct tls_server_options *options) {
    struct keys_pool *pool = MEMORY_NEW(struct keys_pool);
    *pool = (struct keys_pool){.service = service, .options = *options, .names = map_create()};
    return pool;
}

struct tls_context *keys_pool_context(struct keys_pool *pool, deadline until, struct failure *failure) {
    return pool_find(pool, STR_EMPTY, until, failure);
}

/* ---- the client's side */

static bool has_certificates(const struct config *config, bool lmtp) {
    const struct str values[] = {
        lmtp ? config->lmtp_tls_chain_files : config->smtp_tls_chain_files,
        lmtp ? config->lmtp_tls_cert_file : config->smtp_tls_cert_file,
        lmtp ? config->lmtp_tls_eccert_file : config->smtp_tls_eccert_file,
        lmtp ? config->lmtp_tls_dcert_file : config->smtp_tls_dcert_file,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        if (values[i].length > 0 && !str_equal(values[i], STR("none"))) return true;
    return false;
}

/* Over the process's one client, which connects anew by itself. */
static struct tls_context *client_context(struct service *service, const struct tls_client_options *options, bool lmtp,
                                          deadline until, struct failure *failure) {
    struct ipc_client *client = service_client(service, "keys", NULL, NULL);
    struct tls_chain chains[CHAINS_MOST] = {{.key = NULL}};
    size_t count = 0;
    struct ipc_list list = {.count = 0};
    struct tls_context *made = NULL;
    if (!client) {
        failure_set(failure, "no way to keys");
        return NULL;
    }
    struct keys_link *link = MEMORY_NEW(struct keys_link);
    *link = (struct keys_link){.service = service, .client = client, .holders = 1};
    struct arena *arena = arena_create(0);
    struct tls_client_options own = *options;
    if (ask_chains(link, lmtp ? KEYS_LMTP_CLIENT : KEYS_CLIENT, STR_EMPTY, until, arena, &list, failure) &&
        chains_of(link, list, chains, &count, failure)) {
        own.chains = chains;
        own.chain_count = count;
        made = tls_client_context(&own, failure);
    }
    free_chains(chains, count);
    arena_destroy(&arena);
    link_release(link);
    return made;
}

struct tls_context *keys_client_context(struct service *service, const struct tls_client_options *options,
                                        deadline until, struct failure *failure) {
    const struct config *config = service_config(service);
    bool lmtp = str_equal(config->smtp_protocol, STR("lmtp"));
    if (has_certificates(config, lmtp)) return client_context(service, options, lmtp, until, failure);
    return tls_client_context(options, failure);
}
