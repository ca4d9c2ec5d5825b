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

static bool is_made(struct str root) {
    struct buf path = buf_make(0);
    buf_append(&path, root);
    buf_append(&path, STR("/cur"));
    bool made = access(buf_string(&path), F_OK) == 0;
    buf_free(&path);
    return made;
}

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

static struct store *open_store(const struct config *config, const struct ipc_local_work *work, struct worked *worked) {
    struct store_options options = {.root = work->target,
                                    .cache = STR_EMPTY,
                                    .boot = STR_EMPTY,
                                    .host = config->myhostname,
                                    .quota_storage = work->quota_storage,
                                    .quota_messages = work->quota_messages,
                                    .auto_folders = config->mail_auto_folders,
                                    .create = true};
    struct failure failure = {0};
    struct store *store = NULL;
    if (work->target.length < 2 || work->target.data[0] != '/') {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "the mailbox has no absolute path");
        return NULL;
    }
    if (is_made(work->target)) {
        store = store_open(&options, &failure);
    } else {
        pthread_mutex_lock(&making);
        make_parents(work->target);
        store = store_open(&options, &failure);
        pthread_mutex_unlock(&making);
    }
    if (!store) worked_errno(worked, failure.error_number, "cannot open the mailbox: %s", failure.text);
    return store;
}

/* ---- which folder */

/* Nothing from outside makes a folder that mail_subaddress = create does not allow, and none fails a delivery: what
 * cannot be had is the INBOX. */
static bool make_folder(struct store *store, struct str name) {
    struct failure failure = {0};
    pthread_mutex_lock(&making);
    enum store_result result = store_create(store, name, 0, NULL, &failure);
    if (result == STORE_OK) result = store_subscribe(store, name, true, &failure);
    pthread_mutex_unlock(&making);
    if (result != STORE_OK && result != STORE_EXISTS && result != STORE_REFUSED)
        log_warning("a mailbox for a subaddress could not be made: %s", failure.text);
    return result == STORE_OK || result == STORE_EXISTS;
}

/* The folder's directory beneath the root; "." for the INBOX. A folder is a directory in which cur/ is. */
static void choose_folder(const struct config *config, const struct ipc_local_work *work, struct store *store,
                          struct buf *directory) {
    struct str name = work->extension;
    struct stat status;
    bool wanted = name.length > 0 && !str_equal(config->mail_subaddress, STR("no")) && !store_name_is_inbox(name) &&
                  store_name_to_directory(name, directory);
    if (wanted && fstatat(store_directory(store), buf_string(directory), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode))
        return;
    if (wanted && errno == ENOENT && str_equal(config->mail_subaddress, STR("create")) && make_folder(store, name))
        return;
    buf_clear(directory);
    buf_append_char(directory, '.');
}

/* ---- the delivery */

static bool deliver_into(const struct config *config, const struct ipc_local_work *work, int file, struct store *store,
                         struct worked *worked) {
    struct buf directory = buf_make(1000);
    choose_folder(config, work, store, &directory);
    bool good = maildir_deliver(config, work, file, store_directory(store), buf_str(&directory), 0, worked);
    if (good && directory.length > 1)
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "delivered to mailbox %.*s",
                   STR_ARGS(str_slice(work->extension, 0, 250)));
    else if (good)
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "delivered to mailbox");
    buf_free(&directory);
    return good;
}

/* An earlier attempt that got through has claimed its room, and has been remembered, or not: what counts is that its
 * file is found. So nothing is asked of it. */
static bool deliver_once(const struct config *config, const struct ipc_local_work *work, int file, struct store *store,
                         struct seen *seen, struct worked *worked) {
    struct quota_claim claim = {0};
    if (work->perhaps_delivered) return deliver_into(config, work, file, store, worked);
    if (seen_before(config, work, file, store_directory(store), seen))
        return worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "not stored: the mailbox has this message");
    if (!quota_claim(config, work, store, work->content_length, 1, &claim, worked)) return false;
    bool good = deliver_into(config, work, file, store, worked);
    if (good) {
        seen_note(seen);
        quota_warn(config, work, store, &claim);
    } else {
        quota_release(work, &claim);
    }
    return good;
}

bool account_deliver(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked) {
    struct seen seen = {.file = -1};
    struct store *store = open_store(config, work, worked);
    if (!store) return false;
    bool good = deliver_once(config, work, file, store, &seen, worked);
    seen_end(&seen);
    store_close(&store);
    return good;
}

bool account_has_room(const struct config *config, const struct ipc_local_work *work, struct worked *worked) {
    struct quota_claim claim = {0};
    /* What has no mailbox yet is not full, and is made by a delivery. */
    if (!is_made(work->target)) return worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "no mailbox yet");
    struct store *store = open_store(config, work, worked);
    if (!store) return false;
    bool good = quota_claim(config, work, store, work->content_length, 0, &claim, worked);
    if (good) worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "there is room");
    store_close(&store);
    return good;
}
