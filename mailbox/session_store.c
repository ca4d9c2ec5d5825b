/* The mailboxes of the user whose session a process is, as its settings have them: the same for IMAP and POP3. */
#include "mailbox.h"
#include "store.h"

struct store *session_open_store(const struct session_settings *settings, struct failure *failure) {
    struct store_options options = {.root = settings->root,
                                    .cache = settings->cache,
                                    .host = settings->host,
                                    .boot = settings->boot,
                                    .quota_storage = settings->quota_storage,
                                    .quota_messages = settings->quota_messages,
                                    .auto_folders = settings->auto_folders,
                                    .read_threads = settings->read_threads,
                                    .create = true};
    return store_open(&options, failure);
}
