/* The system's accounts, with a cache: see accounts.h. */
#include "accounts.h"
#include "clock.h"
#include "hash.h"
#include "task.h"
#include <errno.h>
#include <pwd.h>
#include <sys/types.h>

#define KNOWN_FOR      60000 /* ms */
#define UNKNOWN_FOR    10000
#define CACHED_MAX     ((size_t)20000)
#define NAME_MAX_BYTES ((size_t)255)
#define ENTRY_MAX      ((size_t)1 << 20) /* bytes of one passwd entry */

struct cached {
    deadline until;
    bool exists;
    uint32_t uid, gid;
    char *name, *home;
};

struct accounts {
    struct map *cache;
};

struct question {
    const char *name;
    uint64_t uid;
    bool by_number;
    struct cached answer;
    int error_number;
};

static void ask_system(void *argument) {
    struct question *question = argument;
    struct passwd entry, *found = NULL;
    size_t size = 4096;
    char *bytes = memory_allocate(size, 1);
    do {
        question->error_number = question->by_number ? getpwuid_r((uid_t)question->uid, &entry, bytes, size, &found)
                                                     : getpwnam_r(question->name, &entry, bytes, size, &found);
        if (question->error_number == ERANGE && size < ENTRY_MAX)
            bytes = memory_resize(bytes, size *= 2, 1);
        else if (question->error_number != EINTR)
            break;
    } while (true);
    /* Some systems say so for a name that is simply not there; the rest are faults of this machine. */
    if (question->error_number == ENOENT || question->error_number == ESRCH) question->error_number = 0;
    if (question->error_number == 0 && found) {
        question->answer =
            (struct cached){.exists = true, .uid = (uint32_t)entry.pw_uid, .gid = (uint32_t)entry.pw_gid};
        question->answer.name = memory_copy_string(str_from(entry.pw_name));
        question->answer.home = memory_copy_string(str_from(entry.pw_dir));
    }
    MEMORY_FREE(bytes);
}

static void cached_free(struct cached *cached) {
    MEMORY_FREE(cached->name);
    MEMORY_FREE(cached->home);
    MEMORY_FREE(cached);
}

void accounts_clear(struct accounts *accounts) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(accounts->cache, &cursor, &key, &value))
        cached_free(value);
    map_destroy(&accounts->cache);
    accounts->cache = map_create();
}

struct accounts *accounts_create(void) {
    struct accounts *accounts = MEMORY_NEW(struct accounts);
    accounts->cache = map_create();
    return accounts;
}

void accounts_destroy(struct accounts **accounts) {
    if (!*accounts) return;
    accounts_clear(*accounts);
    map_destroy(&(*accounts)->cache);
    MEMORY_FREE(*accounts);
}

void accounts_prepare(void) {
    struct question question = {.name = "root"};
    ask_system(&question);
    MEMORY_FREE(question.answer.name);
    MEMORY_FREE(question.answer.home);
}

static struct cached *remember(struct accounts *accounts, struct str name, const struct cached *answer) {
    if (map_count(accounts->cache) >= CACHED_MAX) accounts_clear(accounts);
    struct cached *cached = MEMORY_NEW(struct cached);
    *cached = *answer;
    cached->until = deadline_in(answer->exists ? KNOWN_FOR : UNKNOWN_FOR);
    struct cached *before = map_put(accounts->cache, name, cached);
    if (before) cached_free(before);
    return cached;
}

static enum account_result give(const struct cached *cached, struct arena *arena, struct account *account,
                                struct failure *failure) {
    if (!cached->exists) return ACCOUNT_ABSENT;
    if (!account) return ACCOUNT_FOUND;
    *account = (struct account){.uid = cached->uid, .gid = cached->gid};
    if (arena_copy(arena, str_from(cached->name), &account->name) &&
        arena_copy(arena, str_from(cached->home), &account->home))
        return ACCOUNT_FOUND;
    failure_set(failure, "an account's entry is too long");
    return ACCOUNT_RETRY;
}

enum account_result accounts_find(struct accounts *accounts, struct str name, struct arena *arena,
                                  struct account *account, struct failure *failure) {
    if (name.length == 0 || name.length > NAME_MAX_BYTES || str_find(name, '\0') != STR_NONE) return ACCOUNT_ABSENT;
    struct cached *cached = map_get(accounts->cache, name);
    if (cached && deadline_left(cached->until) > 0) return give(cached, arena, account, failure);
    char *text = memory_copy_string(name);
    struct question question = {.name = text};
    question.by_number = str_to_u64(str_from_offset(name, 1), UINT32_MAX - 1, &question.uid) && name.data[0] == '#';
    task_run_blocking(ask_system, &question);
    enum account_result result = ACCOUNT_RETRY;
    if (question.error_number)
        failure_set_errno(failure, question.error_number, "cannot ask the system for the account %s", text);
    else
        result = give(remember(accounts, str_from(text), &question.answer), arena, account, failure);
    MEMORY_FREE(text);
    return result;
}
