/* tern mailbox, tern user quota: an account's mailboxes, as their owner.
 *
 * auth says whose they are and where; then this process becomes that user, so that nothing it makes belongs to
 * anybody else, and works on the files as a session does. */
#include "tern.h"

#include "become_user.h"
#include "folder.h"
#include "ipc.h"
#include "log_text.h"
#include "memory.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 60000 /* ms */
#define TEXT_MAX ((size_t)4 * STORE_NAME_MAX + 1)

struct work {
    struct store *store;
    struct failure failure;
    json_t *json; /* an array; NULL: lines */
    char **words; /* after USER */
    int count;
};

static int usage(void) {
    tern_complain(
        "usage: tern mailbox [--json] list USER | status USER [MAILBOX] | create USER MAILBOX | delete USER MAILBOX | "
        "rename USER MAILBOX NEW | rebuild USER [MAILBOX]");
    return 64;
}

/* ---- whose */

static bool ask_auth(const struct config *config, const char *name, struct arena *arena,
                     const struct ipc_auth_account_found **found, struct failure *failure) {
    struct buf path = buf_make(4096);
    struct ipc_auth_account question = {.name = str_from(name)};
    struct ipc_reply reply = {.descriptor = -1};
    buf_printf(&path, "%.*s/public/auth", STR_ARGS(config->queue_directory));
    int socket = ipc_connect_path(buf_string(&path), failure);
    buf_free(&path);
    if (socket < 0) return failure_prefix(failure, "auth cannot be asked (is tern running?)");
    enum ipc_result result = ipc_ask_blocking(socket, IPC_AUTH_ACCOUNT, &question, -1, IPC_AUTH_ACCOUNT_FOUND, PATIENCE,
                                              arena, &reply, failure);
    close(socket);
    if (result == IPC_REFUSED) {
        const struct ipc_failed *failed = reply.message;
        return failure_set(failure, "%.*s", STR_ARGS(failed->text));
    }
    if (result != IPC_OK) return false;
    *found = reply.message;
    return (*found)->found || failure_set(failure, "no account %s", name);
}

static struct store *open_store(const struct config *config, const struct ipc_auth_account_found *account, bool create,
                                struct failure *failure) {
    struct store_options options = {.root = account->root,
                                    .cache = STR_EMPTY,
                                    .boot = STR_EMPTY,
                                    .host = config->myhostname,
                                    .quota_storage = account->quota_storage,
                                    .quota_messages = account->quota_messages,
                                    .auto_folders = config->mail_auto_folders,
                                    .create = create};
    if (account->uid == 0) {
        failure_set(failure, "its mailbox belongs to root");
        return NULL;
    }
    if (geteuid() == 0 && !become_user((uint32_t)account->uid, (uint32_t)account->gid, "", failure)) return NULL;
    umask(077);
    return store_open(&options, failure);
}

/* ---- what is done */

static const char *shown(char text[TEXT_MAX], struct str name) {
    return log_text(text, TEXT_MAX, name);
}

static const char *special_word(unsigned attributes) {
    static const char *const words[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                        "\\Junk", "\\Sent",    "\\Trash",  "\\Important"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (attributes & (1U << (STORE_SPECIAL_SHIFT + i))) return words[i];
    return "";
}

static bool list(struct work *work) {
    struct arena *arena = arena_create(0);
    struct store_entry *entries;
    size_t count = 0;
    bool good = store_list(work->store, arena, &entries, &count, &work->failure);
    for (size_t i = 0; good && i < count; i++) {
        char text[TEXT_MAX];
        bool subscribed = entries[i].attributes & STORE_SUBSCRIBED;
        bool there = !(entries[i].attributes & (STORE_NO_SELECT | STORE_NON_EXISTENT));
        shown(text, entries[i].name);
        if (work->json)
            json_array_append_new(work->json,
                                  json_pack("{s:s, s:b, s:b, s:s}", "name", text, "selectable", there, "subscribed",
                                            subscribed, "special_use", special_word(entries[i].attributes)));
        else if (there)
            printf("%s\n", text);
    }
    arena_destroy(&arena);
    return good;
}

static bool status_of(struct work *work, struct str name) {
    struct folder_status status;
    char text[TEXT_MAX];
    if (folder_status(work->store, name, true, &status, &work->failure) != STORE_OK) return false;
    shown(text, name);
    if (work->json)
        json_array_append_new(work->json,
                              json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", text, "messages",
                                        (json_int_t)status.messages, "unseen", (json_int_t)status.unseen, "deleted",
                                        (json_int_t)status.deleted, "size", (json_int_t)status.size, "uid_next",
                                        (json_int_t)status.uid_next, "uid_validity", (json_int_t)status.uid_validity,
                                        "highest_modseq", (json_int_t)status.highest_modseq));
    else
        printf("%-30s messages=%u unseen=%u size=%llu uidnext=%u uidvalidity=%u highestmodseq=%llu\n", text,
               status.messages, status.unseen, (unsigned long long)status.size, status.uid_next, status.uid_validity,
               (unsigned long long)status.highest_modseq);
    return true;
}

/* For one mailbox, or each. */
static bool each(struct work *work, bool (*function)(struct work *work, struct str name)) {
    struct arena *arena = arena_create(0);
    struct store_entry *entries;
    size_t count = 0;
    if (work->count > 0) {
        arena_destroy(&arena);
        return function(work, str_from(work->words[0]));
    }
    bool good = store_list(work->store, arena, &entries, &count, &work->failure);
    for (size_t i = 0; good && i < count; i++)
        if (!(entries[i].attributes & (STORE_NO_SELECT | STORE_NON_EXISTENT))) good = function(work, entries[i].name);
    arena_destroy(&arena);
    return good;
}

static bool status(struct work *work) {
    return each(work, status_of);
}

static bool rebuild_one(struct work *work, struct str name) {
    enum store_result result;
    struct folder *folder = folder_open(work->store, name, FOLDER_READ_WRITE, &result, &work->failure);
    bool good = folder != NULL;
    if (good) good = folder_read_again(folder, &work->failure) == STORE_OK && folder_settle(folder, &work->failure);
    if (folder) folder_close(&folder);
    return good && status_of(work, name);
}

/* The cache is of no importance: a session that has it open goes on with what is no longer there. */
static bool remove_cache(struct work *work) {
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    int cache = openat(store_directory(work->store), "tern-cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (cache < 0) return errno == ENOENT || failure_set_errno(&work->failure, errno, "cannot open the cache");
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (unlinkat(cache, files[i], 0) < 0 && errno != ENOENT)
            good = failure_set_errno(&work->failure, errno, "cannot remove the cache");
    close(cache);
    return good;
}

static bool rebuild(struct work *work) {
    return remove_cache(work) && each(work, rebuild_one);
}

static bool create(struct work *work) {
    struct str name = str_from(work->words[0]);
    return store_create(work->store, name, 0, NULL, &work->failure) == STORE_OK &&
           store_subscribe(work->store, name, true, &work->failure) == STORE_OK;
}

static bool delete (struct work *work) {
    struct str name = str_from(work->words[0]);
    return store_delete(work->store, name, &work->failure) == STORE_OK &&
           store_subscribe(work->store, name, false, &work->failure) == STORE_OK;
}

static bool rename_mailbox(struct work *work) {
    return store_rename(work->store, str_from(work->words[0]), str_from(work->words[1]), &work->failure) == STORE_OK;
}

static bool quota(struct work *work) {
    struct store_usage usage;
    if (!store_usage(work->store, &usage, &work->failure)) return false;
    if (work->json)
        json_array_append_new(work->json,
                              json_pack("{s:I, s:I, s:I, s:I}", "storage", (json_int_t)usage.octets, "storage_limit",
                                        (json_int_t)usage.octets_limit, "messages", (json_int_t)usage.messages,
                                        "messages_limit", (json_int_t)usage.messages_limit));
    else
        printf("storage=%llu limit=%llu messages=%llu limit=%llu\n", (unsigned long long)usage.octets,
               (unsigned long long)usage.octets_limit, (unsigned long long)usage.messages,
               (unsigned long long)usage.messages_limit);
    return true;
}

/* ---- the command line */

static const struct verb {
    const char *name;
    bool (*function)(struct work *work);
    int least, most; /* words after USER */
    bool shows;      /* has an answer */
} verbs[] = {
    {"list", list, 0, 0, true},      {"status", status, 0, 1, true},          {"create", create, 1, 1, false},
    {"delete", delete, 1, 1, false}, {"rename", rename_mailbox, 2, 2, false}, {"rebuild", rebuild, 0, 1, true},
};
static const struct verb quota_verb = {"quota", quota, 0, 0, true};

static int run(const struct tern *tern, const struct verb *verb, char **words, int count, bool json) {
    struct work work = {.words = words + 1, .count = count - 1, .json = json && verb->shows ? json_array() : NULL};
    struct arena *arena = arena_create(0);
    struct config *config = tern_load(tern);
    const struct ipc_auth_account_found *account = NULL;
    bool good = config && ask_auth(config, words[0], arena, &account, &work.failure);
    if (good && account) work.store = open_store(config, account, strcmp(verb->name, "create") == 0, &work.failure);
    good = good && work.store && verb->function(&work);
    if (good && work.json) {
        json_dumpf(verb == &quota_verb ? json_array_get(work.json, 0) : work.json, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    if (config && !good) tern_complain("%s", work.failure.text);
    json_decref(work.json);
    if (work.store) store_close(&work.store);
    arena_destroy(&arena);
    if (config) config_free(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --json may stand first. */
static bool take_json(char ***words, int *count) {
    bool json = *count > 0 && strcmp((*words)[0], "--json") == 0;
    *words += json;
    *count -= json;
    return json;
}

int tern_mailbox(const struct tern *tern) {
    char **words = tern->arguments;
    int count = tern->argument_count;
    bool json = take_json(&words, &count);
    for (size_t i = 0; count > 1 && i < ARRAY_LENGTH(verbs); i++)
        if (strcmp(words[0], verbs[i].name) == 0 && count - 2 >= verbs[i].least && count - 2 <= verbs[i].most)
            return run(tern, &verbs[i], words + 1, count - 1, json);
    return usage();
}

int tern_user_quota(const struct tern *tern, const char *name, bool json) {
    char *words[] = {memory_copy_string(str_from(name)), NULL};
    int status = run(tern, &quota_verb, words, 1, json);
    MEMORY_FREE(words[0]);
    return status;
}
