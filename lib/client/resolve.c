/* Asking lookup, with a cache: see resolve.h. An answer is kept as its packed
 * message, so one cache serves all kinds of questions. */
#include "resolve.h"
#include "hash.h"

#define CACHE_SECONDS   100
#define ACCOUNT_SECONDS 5 /* what other programs keep: nobody tells of changes */
#define CACHE_ENTRIES   ((size_t)4096)
#define CACHE_ANSWER_LIMIT                                                                                             \
    ((size_t)8192) /* a large expansion is asked for each time: the cache is bounded in bytes too */

struct cached {
    deadline expires;
    struct str packet;
    struct cached *older, *newer; /* in order of arrival: the oldest goes when it is full */
    char key[];                   /* NUL-terminated only for reading in a debugger */
};

struct resolve {
    struct ipc_client *lookup;
    struct map *cache;
    size_t limit;
    struct cached *oldest, *newest;
};

static void forget(struct resolve *resolve, struct cached *cached, struct str key) {
    map_remove(resolve->cache, key);
    if (cached->older)
        cached->older->newer = cached->newer;
    else
        resolve->oldest = cached->newer;
    if (cached->newer)
        cached->newer->older = cached->older;
    else
        resolve->newest = cached->older;
    free((void *)(uintptr_t)cached->packet.data);
    MEMORY_FREE(cached);
}

static void forget_all(struct resolve *resolve) {
    while (resolve->oldest)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the oldest has no older one, so the list moves on */
        forget(resolve, resolve->oldest, str_from(resolve->oldest->key));
}

/* What lookup had to tell in the meantime is not known. */
static void on_loss(void *context) {
    forget_all(context);
}

static void on_notify(struct ipc_request *request, void *context) {
    if (request->type == IPC_LOOKUP_CHANGED) forget_all(context);
}

struct resolve *resolve_create(struct service *service, size_t cache_entries) {
    struct resolve *resolve = MEMORY_NEW(struct resolve);
    resolve->cache = map_create();
    resolve->limit = cache_entries ? cache_entries : CACHE_ENTRIES;
    resolve->lookup = service_client(service, "lookup", on_notify, resolve);
    if (resolve->lookup) ipc_client_on_loss(resolve->lookup, on_loss, resolve);
    return resolve;
}

void resolve_destroy(struct resolve **resolve) {
    if (!*resolve) return;
    forget_all(*resolve);
    map_destroy(&(*resolve)->cache);
    MEMORY_FREE(*resolve);
}

/* ms that an answer is good for. */
static int64_t lifetime(enum ipc_type type, const void *answer) {
    bool account =
        (type == IPC_LOOKUP_RESOLVED && ((const struct ipc_lookup_resolved *)answer)->account) ||
        (type == IPC_LOOKUP_LOCAL_FOUND && ((const struct ipc_lookup_local_found *)answer)->kind == LOCAL_ACCOUNT);
    return (account ? ACCOUNT_SECONDS : CACHE_SECONDS) * 1000;
}

static void remember(struct resolve *resolve, struct str key, enum ipc_type type, const void *message) {
    struct buf packet = buf_make(CACHE_ANSWER_LIMIT);
    /* A key with a NUL could not be found again by forget_all; addresses have none. */
    if (memchr(key.data, '\0', key.length) || !ipc_encode(type, 0, message, &packet)) {
        buf_free(&packet);
        return;
    }
    struct cached *before = map_get(resolve->cache, key);
    if (before) forget(resolve, before, key);
    while (map_count(resolve->cache) >= resolve->limit)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in forget_all */
        forget(resolve, resolve->oldest, str_from(resolve->oldest->key));
    struct cached *cached = memory_allocate(1, sizeof *cached + key.length + 1);
    memcpy(cached->key, key.data, key.length);
    cached->packet = str_make(memory_copy_string(buf_str(&packet)), packet.length);
    cached->expires = deadline_in(lifetime(type, message));
    cached->older = resolve->newest;
    if (resolve->newest)
        resolve->newest->newer = cached;
    else
        resolve->oldest = cached;
    resolve->newest = cached;
    map_put(resolve->cache, key, cached);
    buf_free(&packet);
}

static bool recall(struct resolve *resolve, struct str key, enum ipc_type type, struct arena *arena, void *answer) {
    struct cached *cached = map_get(resolve->cache, key);
    struct str packet;
    if (!cached) return false;
    if (deadline_left(cached->expires) == 0) {
        forget(resolve, cached, key);
        return false;
    }
    return arena_copy(arena, cached->packet, &packet) && ipc_decode(packet, type, answer);
}

/* "No such recipient" is not kept: a user who was just added must not be refused on old knowledge. */
static bool is_worth_keeping(enum ipc_type type, const void *answer) {
    if (type == IPC_LOOKUP_RESOLVED) return ((const struct ipc_lookup_resolved *)answer)->known;
    if (type == IPC_LOOKUP_LOCAL_FOUND) return ((const struct ipc_lookup_local_found *)answer)->kind != LOCAL_UNKNOWN;
    return true;
}

/* A message for lookup, and the one that answers it. */
struct question {
    struct str key; /* of the cache; empty: the answer is not kept */
    enum ipc_type type, expected;
    const void *message;
    size_t answer_size; /* of the answer's struct */
};

/* By the cache or by lookup. */
static enum resolve_result ask(struct resolve *resolve, const struct question *question, deadline until,
                               struct arena *arena, void *answer, struct failure *failure) {
    if (question->key.length && recall(resolve, question->key, question->expected, arena, answer)) return RESOLVE_OK;
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = ipc_ask(resolve->lookup, question->type, question->message, -1, question->expected, until,
                                     arena, &reply, failure);
    if (result == IPC_OK) {
        memcpy(answer, reply.message, question->answer_size);
        if (question->key.length && is_worth_keeping(question->expected, answer))
            remember(resolve, question->key, question->expected, answer);
        return RESOLVE_OK;
    }
    if (result == IPC_REFUSED) {
        const struct ipc_failed *failed = reply.message;
        failure_set(failure, "%.*s", STR_ARGS(failed->text));
    }
    return RESOLVE_RETRY;
}

/* "KIND first SPACE second": neither part has a space that matters, for a quoted local part
 * only makes the key unlike others. */
static struct str make_key(struct buf *key, char kind, struct str first, struct str second) {
    buf_append_char(key, kind);
    buf_append(key, first);
    buf_append_char(key, '\n');
    buf_append(key, second);
    return buf_overflowed(key) ? STR_EMPTY : buf_str(key);
}

/* ---- many questions at once */

#define FORESIGHT_LIMIT ((size_t)60000) /* ipc_messages.def, LOOKUP_MANY */

struct foresight {
    struct resolve *resolve;
    enum ipc_type expected; /* of every answer */
    struct buf questions, keys;
    size_t lengths[RESOLVE_AT_ONCE]; /* of the keys, which follow each other */
    uint32_t count;
};

static struct foresight foresight_make(struct resolve *resolve, enum ipc_type expected) {
    return (struct foresight){.resolve = resolve, .expected = expected, .questions = buf_make(FORESIGHT_LIMIT)};
}

/* False: there is no room for more. */
static bool foresee_one(struct foresight *foresight, struct str key, enum ipc_type type, const void *question) {
    if (key.length == 0 || map_get(foresight->resolve->cache, key)) return true;
    struct buf packet = buf_make(2000);
    struct ipc_packed row;
    bool good = ipc_encode(type, 0, question, &packet);
    row.message = buf_str(&packet);
    good = good && ipc_list_add(IPC_ROW_PACKED, &row, &foresight->questions, &foresight->count);
    buf_free(&packet);
    if (!good) return false;
    buf_append(&foresight->keys, key);
    foresight->lengths[foresight->count - 1] = key.length;
    return true;
}

static void keep_foreseen(struct foresight *foresight, struct str key, struct str packet) {
    union {
        struct ipc_lookup_resolved resolved;
        struct ipc_lookup_expanded expanded;
        struct ipc_lookup_local_found local;
    } answer;
    if (packet.length && ipc_decode(packet, foresight->expected, &answer) &&
        is_worth_keeping(foresight->expected, &answer))
        remember(foresight->resolve, key, foresight->expected, &answer);
}

static void ask_foreseen(struct foresight *foresight, deadline until) {
    struct arena *arena = arena_create(0);
    struct ipc_lookup_many question = {.questions = {buf_str(&foresight->questions), foresight->count}};
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure;
    if (foresight->count > 1 && ipc_ask(foresight->resolve->lookup, IPC_LOOKUP_MANY, &question, -1,
                                        IPC_LOOKUP_MANY_FOUND, until, arena, &reply, &failure) == IPC_OK) {
        const struct ipc_lookup_many_found *found = reply.message;
        struct str keys = buf_str(&foresight->keys);
        size_t offset = 0;
        struct ipc_packed row;
        bool bad = false;
        for (uint32_t i = 0; i < foresight->count && ipc_list_next(found->answers, IPC_ROW_PACKED, &offset, &row, &bad);
             i++) {
            keep_foreseen(foresight, str_slice(keys, 0, foresight->lengths[i]), row.message);
            keys = str_from_offset(keys, foresight->lengths[i]);
        }
    }
    arena_destroy(&arena);
    buf_free(&foresight->questions);
    buf_free(&foresight->keys);
}

enum resolve_result resolve_recipient(struct resolve *resolve, struct str address, struct str sender, deadline until,
                                      struct arena *arena, struct ipc_lookup_resolved *answer,
                                      struct failure *failure) {
    struct buf key = buf_make(2000);
    struct ipc_lookup_resolve message = {.address = address, .sender = sender};
    const struct question question = {.key = make_key(&key, 'r', address, sender),
                                      .type = IPC_LOOKUP_RESOLVE,
                                      .expected = IPC_LOOKUP_RESOLVED,
                                      .message = &message,
                                      .answer_size = sizeof *answer};
    enum resolve_result result = ask(resolve, &question, until, arena, answer, failure);
    buf_free(&key);
    return result;
}

enum resolve_result resolve_expand(struct resolve *resolve, struct str address, deadline until, struct arena *arena,
                                   struct ipc_lookup_expanded *answer, struct failure *failure) {
    struct buf key = buf_make(2000);
    struct ipc_lookup_expand message = {.address = address};
    const struct question question = {.key = make_key(&key, 'e', address, STR_EMPTY),
                                      .type = IPC_LOOKUP_EXPAND,
                                      .expected = IPC_LOOKUP_EXPANDED,
                                      .message = &message,
                                      .answer_size = sizeof *answer};
    enum resolve_result result = ask(resolve, &question, until, arena, answer, failure);
    buf_free(&key);
    return result;
}

enum resolve_result resolve_local(struct resolve *resolve, struct str address, bool no_alias, deadline until,
                                  struct arena *arena, struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct buf key = buf_make(2000);
    struct ipc_lookup_local message = {.address = address, .no_alias = no_alias};
    const struct question question = {.key = make_key(&key, no_alias ? 'L' : 'l', address, STR_EMPTY),
                                      .type = IPC_LOOKUP_LOCAL,
                                      .expected = IPC_LOOKUP_LOCAL_FOUND,
                                      .message = &message,
                                      .answer_size = sizeof *answer};
    enum resolve_result result = ask(resolve, &question, until, arena, answer, failure);
    buf_free(&key);
    return result;
}

enum resolve_result resolve_match(struct resolve *resolve, struct str table, struct str key_text, deadline until,
                                  struct arena *arena, bool *found, struct str *value, struct failure *failure) {
    struct buf key = buf_make(2000);
    struct ipc_lookup_match message = {.table = table, .key = key_text};
    struct ipc_lookup_matched answer;
    const struct question question = {.key = make_key(&key, 'm', table, key_text),
                                      .type = IPC_LOOKUP_MATCH,
                                      .expected = IPC_LOOKUP_MATCHED,
                                      .message = &message,
                                      .answer_size = sizeof answer};
    enum resolve_result result = ask(resolve, &question, until, arena, &answer, failure);
    buf_free(&key);
    if (result == RESOLVE_OK) {
        *found = answer.found;
        *value = answer.value;
    }
    return result;
}

enum resolve_result resolve_quota(struct resolve *resolve, struct str address, uint64_t size, deadline until,
                                  struct arena *arena, struct ipc_lookup_quota_found *answer, struct failure *failure) {
    struct ipc_lookup_quota message = {.address = address, .size = size};
    const struct question question = {.type = IPC_LOOKUP_QUOTA,
                                      .expected = IPC_LOOKUP_QUOTA_FOUND,
                                      .message = &message,
                                      .answer_size = sizeof *answer};
    return ask(resolve, &question, until, arena, answer, failure);
}

enum resolve_result resolve_client_name(struct resolve *resolve, struct str address, deadline until,
                                        struct arena *arena, struct str *name, struct str *unverified,
                                        struct failure *failure) {
    struct ipc_lookup_name message = {.address = address};
    struct ipc_lookup_named answer;
    const struct question question = {
        .type = IPC_LOOKUP_NAME, .expected = IPC_LOOKUP_NAMED, .message = &message, .answer_size = sizeof answer};
    enum resolve_result result = ask(resolve, &question, until, arena, &answer, failure);
    if (result == RESOLVE_OK) {
        *name = answer.name;
        *unverified = answer.unverified;
    }
    return result;
}

enum resolve_result resolve_domain(struct resolve *resolve, struct str domain, deadline until, unsigned *result_code,
                                   struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_lookup_dns message = {.domain = domain};
    struct ipc_lookup_dns_found answer;
    const struct question question = {
        .type = IPC_LOOKUP_DNS, .expected = IPC_LOOKUP_DNS_FOUND, .message = &message, .answer_size = sizeof answer};
    enum resolve_result result = ask(resolve, &question, until, arena, &answer, failure);
    arena_destroy(&arena);
    if (result != RESOLVE_OK) return result;
    if (answer.result == 3) {
        failure_set(failure, "the domain's name servers do not answer");
        return RESOLVE_RETRY;
    }
    *result_code = (unsigned)answer.result;
    return RESOLVE_OK;
}

void resolve_foresee_recipients(struct resolve *resolve, const struct str *addresses, size_t count, struct str sender,
                                deadline until) {
    struct foresight foresight = foresight_make(resolve, IPC_LOOKUP_RESOLVED);
    bool room = true;
    for (size_t i = 0; room && i < count && i < RESOLVE_AT_ONCE; i++) {
        struct buf key = buf_make(2000);
        struct ipc_lookup_resolve question = {.address = addresses[i], .sender = sender};
        room = foresee_one(&foresight, make_key(&key, 'r', addresses[i], sender), IPC_LOOKUP_RESOLVE, &question);
        buf_free(&key);
    }
    ask_foreseen(&foresight, until);
}

void resolve_foresee_expansions(struct resolve *resolve, const struct str *addresses, size_t count, deadline until) {
    struct foresight foresight = foresight_make(resolve, IPC_LOOKUP_EXPANDED);
    bool room = true;
    for (size_t i = 0; room && i < count && i < RESOLVE_AT_ONCE; i++) {
        struct buf key = buf_make(2000);
        struct ipc_lookup_expand question = {.address = addresses[i]};
        room = foresee_one(&foresight, make_key(&key, 'e', addresses[i], STR_EMPTY), IPC_LOOKUP_EXPAND, &question);
        buf_free(&key);
    }
    ask_foreseen(&foresight, until);
}
