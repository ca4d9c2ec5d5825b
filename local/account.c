/* Delivery into the mailbox of an account: which folder of its Maildir, whether there is room, whether it has the
 * message already. The file itself is maildir.c's, so it has the same name at every attempt. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store.h"
#include "store_name.h"
#include "worker.h"

/* Making mailboxes is for one thread at a time. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* ---- the tree */

struct account {
    const struct config *config;
    const struct ipc_local_work *work;
    int root;            /* the INBOX's Maildir */
    struct store *store; /* only where it is needed: NULL */
};

/* What is missing above the root; whether it can be had is found out by opening it. */
static void make_parents(struct str root) {
    char *path = memory_copy_string(root);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)!mkdir(path, 0700);
        *slash = '/';
    }
    MEMORY_FREE(path);
}

static struct store *open_store(const struct account *account, struct failure *failure) {
    const struct ipc_local_work *work = account->work;
    struct store_options options = {.root = work->target,
                                    .cache = STR_EMPTY,
                                    .boot = STR_EMPTY,
                                    .host = account->config->myhostname,
                                    .quota_storage = work->quota_storage,
                                    .quota_messages = work->quota_messages,
                                    .auto_folders = account->config->mail_auto_folders,
                                    .create = true};
    return store_open(&options, failure);
}

/* *found: the mailbox is there. False with errno: that cannot be seen, so none is made. */
static bool find_root(struct account *account, bool *found) {
    char *path = memory_copy_string(account->work->target);
    account->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MEMORY_FREE(path);
    *found = account->root >= 0 && faccessat(account->root, "cur", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (*found) return true;
    int reason = errno;
    if (account->root >= 0) close(account->root);
    account->root = -1;
    errno = reason;
    return reason == ENOENT || reason == ENOTDIR;
}

static bool has_quota(const struct account *account) {
    return account->work->quota_storage > 0 || account->work->quota_messages > 0;
}

/* Opens it, with a store where a quota asks for one; the first delivery makes it. */
static bool open_mailbox(struct account *account, struct worked *worked) {
    struct failure failure = {0};
    if (account->work->target.length < 2 || account->work->target.data[0] != '/')
        return worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "the mailbox has no absolute path");
    bool found, good = find_root(account, &found);
    if (good && !found) {
        pthread_mutex_lock(&making);
        make_parents(account->work->target);
        account->store = open_store(account, &failure);
        pthread_mutex_unlock(&making);
        good = account->store && find_root(account, &found) && found;
    } else if (good && has_quota(account)) {
        account->store = open_store(account, &failure);
        good = account->store != NULL;
    }
    return good || worked_errno(worked, failure.error_number ? failure.error_number : errno,
                                "cannot open the mailbox: %s", failure.text);
}

static void close_mailbox(struct account *account) {
    if (account->root >= 0) close(account->root);
    if (account->store) store_close(&account->store);
}

/* ---- which folder */

/* Nothing from outside makes a folder that mail_subaddress = create does not allow, and none fails a delivery: what
 * cannot be had is the INBOX. */
static bool make_folder(struct account *account, struct str name) {
    struct failure failure = {0};
    pthread_mutex_lock(&making);
    if (!account->store) account->store = open_store(account, &failure);
    enum store_result result = account->store ? store_create(account->store, name, 0, NULL, &failure) : STORE_BROKEN;
    if (result == STORE_OK) result = store_subscribe(account->store, name, true, &failure);
    pthread_mutex_unlock(&making);
    if (result != STORE_OK && result != STORE_EXISTS && result != STORE_REFUSED)
        log_warning("a mailbox for a subaddress could not be made: %s", failure.text);
    return result == STORE_OK || result == STORE_EXISTS;
}

/* The folder's directory beneath the root; "." for the INBOX. */
static void choose_folder(struct account *account, struct buf *directory) {
    struct str name = account->work->extension, how = account->config->mail_subaddress;
    struct stat status;
    bool wanted = name.length > 0 && !str_equal(how, STR("no")) && !store_name_is_inbox(name) &&
                  store_name_to_directory(name, directory);
    if (wanted && fstatat(account->root, buf_string(directory), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode))
        return;
    if (wanted && errno == ENOENT && str_equal(how, STR("create")) && make_folder(account, name)) return;
    buf_clear(directory);
    buf_append_char(directory, '.');
}

/* ---- the delivery */

static bool deliver_into(struct account *account, int file, struct worked *worked) {
    struct buf directory = buf_make(1000);
    choose_folder(account, &directory);
    bool good = maildir_deliver(account->config, account->work, file, account->root, buf_str(&directory), 0, worked);
    if (good && directory.length > 1)
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "delivered to mailbox %.*s",
                   STR_ARGS(str_slice(account->work->extension, 0, 250)));
    buf_free(&directory);
    return good;
}

/* An earlier attempt that got through has claimed its room, and has been remembered, or not: what counts is that its
 * file is found. So nothing is asked of it. */
static bool deliver_once(struct account *account, int file, struct seen *seen, struct worked *worked) {
    const struct config *config = account->config;
    const struct ipc_local_work *work = account->work;
    struct quota_claim claim = {.lock = -1};
    if (work->perhaps_delivered) return deliver_into(account, file, worked);
    if (seen_before(config, work, file, account->root, seen))
        return worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "not stored: the mailbox has this message");
    bool good = quota_claim(config, work, account->store, work->content_length, 1, &claim, worked) &&
                deliver_into(account, file, worked);
    quota_end(&claim);
    if (good) {
        seen_note(seen);
        quota_warn(config, work, account->store, &claim);
    } else {
        quota_release(work, &claim);
    }
    return good;
}

bool account_deliver(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked) {
    struct account account = {.config = config, .work = work, .root = -1};
    struct seen seen = {.file = -1};
    bool good = open_mailbox(&account, worked) && deliver_once(&account, file, &seen, worked);
    seen_end(&seen);
    close_mailbox(&account);
    return good;
}

bool account_has_room(const struct config *config, const struct ipc_local_work *work, struct worked *worked) {
    struct account account = {.config = config, .work = work, .root = -1};
    struct quota_claim claim = {.lock = -1};
    bool found = false, seen = !has_quota(&account) || find_root(&account, &found);
    if (!seen) return worked_errno(worked, errno, "cannot look for the mailbox");
    if (found) close(account.root);
    account.root = -1;
    /* What has no mailbox yet is not full, and is made by a delivery. */
    if (!found) return worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "there is room");
    bool good = open_mailbox(&account, worked) &&
                quota_claim(config, work, account.store, work->content_length, 0, &claim, worked);
    if (good) worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "there is room");
    close_mailbox(&account);
    return good;
}
