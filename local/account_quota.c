/* Quotas of accounts at delivery: see worker.h. Counting opens every folder of a mailbox, so its result is good for a
 * few seconds, and deliveries of this process are added to it; nobody is refused by a count that is not fresh. */
#include <pthread.h>

#include "address.h"
#include "date.h"
#include "folder.h"
#include "hash.h"
#include "log.h"
#include "store.h"
#include "worker.h"

#define GOOD_FOR     10000 /* ms */
#define USAGES       256
#define PERCENTS_MAX 100
#define COUNTS_MAX   4 /* while others claim */

struct usage {
    char *root;
    uint64_t octets, messages;
    uint64_t claims; /* ever made on this place: what was counted before one does not know of it */
    deadline until;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct usage usages[USAGES]; /* by the root's hash: another's place is taken */

static struct usage *place_of(struct str root) {
    return &usages[hash_keyed(root) % USAGES];
}

static bool is_known(const struct usage *usage, struct str root) {
    return usage->root && str_equal(str_from(usage->root), root) && deadline_left(usage->until) > 0;
}

/* So near to a limit that only a fresh count is good, while nobody else saves. */
static bool is_near(const struct ipc_local_work *work, const struct usage *usage, uint64_t octets) {
    const struct store_usage all = {.octets = usage->octets,
                                    .messages = usage->messages,
                                    .octets_limit = work->quota_storage,
                                    .messages_limit = work->quota_messages};
    return store_usage_is_near(&all, octets, 1);
}

static bool fits(const struct config *config, const struct ipc_local_work *work, const struct usage *usage,
                 uint64_t octets) {
    uint64_t limit = work->quota_storage, grace = limit / 100 * (uint64_t)config->mail_quota_grace;
    if (work->quota_messages && usage->messages >= work->quota_messages) return false;
    if (limit == 0) return true;
    if (usage->octets >= limit) return false;
    return octets <= limit - usage->octets || octets - (limit - usage->octets) <= grace;
}

/* Claims from a usage that is known; mutex held. */
static bool claim_from(const struct config *config, const struct ipc_local_work *work, struct usage *usage,
                       uint64_t octets, unsigned messages, struct quota_claim *claim) {
    if (!fits(config, work, usage, octets)) return false;
    claim->octets = octets;
    claim->octets_before = usage->octets;
    claim->messages_before = usage->messages;
    claim->made = messages > 0;
    if (messages > 0) {
        usage->octets += octets;
        usage->messages += messages;
        usage->claims++;
    }
    return true;
}

static void remember(struct usage *usage, struct str root, const struct store_usage *counted) {
    if (!usage->root || !str_equal(str_from(usage->root), root)) {
        MEMORY_FREE(usage->root);
        usage->root = memory_copy_string(root);
    }
    usage->octets = counted->octets;
    usage->messages = counted->messages;
    usage->until = deadline_in(GOOD_FOR);
}

static bool refuse(const struct config *config, struct worked *worked) {
    bool later = config->mail_quota_full_tempfail;
    return worked_set(worked, later ? DELIVERY_DEFERRED : DELIVERY_FAILED, later ? "4.2.2" : "5.2.2",
                      "delivery failed: the mailbox is full");
}

bool quota_claim(const struct config *config, const struct ipc_local_work *work, struct store *store, uint64_t octets,
                 unsigned messages, struct quota_claim *claim, struct worked *worked) {
    struct usage *usage = place_of(work->target);
    if (work->quota_storage == 0 && work->quota_messages == 0) return true;
    for (int attempt = 0;; attempt++) {
        struct store_usage counted;
        struct failure failure = {0};
        pthread_mutex_lock(&mutex);
        bool near = messages > 0 && is_known(usage, work->target) && is_near(work, usage, octets);
        bool good = !near && is_known(usage, work->target) && claim_from(config, work, usage, octets, messages, claim);
        uint64_t claims = usage->claims;
        pthread_mutex_unlock(&mutex);
        if (good) return true;
        if (near && claim->lock < 0 && (claim->lock = store_quota_lock(store, &failure)) < 0)
            return worked_errno(worked, failure.error_number, "%s", failure.text);
        if (!store_usage(store, &counted, &failure))
            return worked_errno(worked, failure.error_number, "cannot count what the mailbox has: %s", failure.text);
        pthread_mutex_lock(&mutex);
        /* Others have claimed while this one counted: their messages may not be in it. */
        bool fresh = claims == usage->claims || attempt == COUNTS_MAX;
        if (fresh) {
            remember(usage, work->target, &counted);
            near = messages > 0 && is_near(work, usage, octets);
            if (near && claim->lock < 0) fresh = false; /* once more, with the lock */
        }
        if (fresh) good = claim_from(config, work, usage, octets, messages, claim);
        pthread_mutex_unlock(&mutex);
        if (fresh) return good || refuse(config, worked);
    }
}

void quota_end(struct quota_claim *claim) {
    store_quota_unlock(&claim->lock);
}

void quota_release(const struct ipc_local_work *work, const struct quota_claim *claim) {
    struct usage *usage = place_of(work->target);
    if (!claim->made) return;
    pthread_mutex_lock(&mutex);
    if (usage->root && str_equal(str_from(usage->root), work->target)) usage->until = 0; /* counted anew */
    pthread_mutex_unlock(&mutex);
}

/* ---- warnings */

static bool crosses(uint64_t before, uint64_t added, uint64_t limit, uint64_t percent) {
    uint64_t mark = limit / 100 * percent + (limit % 100 * percent + 99) / 100;
    return limit > 0 && before < mark && before + added >= mark;
}

static void write_warning(const struct config *config, const struct ipc_local_work *work, uint64_t percent,
                          struct buf *text) {
    int64_t now = clock_date();
    buf_printf(text, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\nTo: ", STR_ARGS(config->myhostname));
    mail_address_append_text(text, work->recipient);
    buf_append(text, STR("\nDate: "));
    (void)date_append_rfc5322(text, now / CLOCK_SECOND, 0);
    buf_printf(text,
               "\nMessage-ID: <quota.%llu.%.*s@%.*s>\nSubject: Your mailbox is %llu percent full\nAuto-Submitted: "
               "auto-generated\n"
               "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n"
               "Your mailbox has reached %llu percent of the room that it may take. When it\n"
               "is full, no more mail can be delivered to it. Please delete what you do not\n"
               "need any more; what is in Trash counts too.\n",
               (unsigned long long)now, STR_ARGS(work->queue_id), STR_ARGS(config->myhostname),
               (unsigned long long)percent, (unsigned long long)percent);
}

static void send_warning(const struct config *config, const struct ipc_local_work *work, struct store *store,
                         uint64_t percent) {
    enum store_result result;
    struct failure failure = {0};
    struct uid_set uids = {0};
    struct buf text = buf_make(3000);
    uint32_t validity;
    struct folder_saving *saving = folder_save_begin(store, STR("INBOX"), &result, &failure);
    write_warning(config, work, percent, &text);
    if (saving) {
        folder_save_is_delivery(saving);
        result = folder_save_message(saving, 0, NULL, 0, 0, &failure);
        if (result == STORE_OK) result = folder_save_bytes(saving, buf_str(&text), &failure);
        if (result == STORE_OK)
            result = folder_save_commit(&saving, &validity, &uids, &failure);
        else
            folder_save_abandon(&saving);
    }
    if (result != STORE_OK)
        log_message_warning(work->queue_id, "the warning of the quota could not be stored: %s", failure.text);
    uid_set_free(&uids);
    buf_free(&text);
}

void quota_warn(const struct config *config, const struct ipc_local_work *work, struct store *store,
                const struct quota_claim *claim) {
    struct str rest = config->mail_quota_warnings, word;
    uint64_t percent, crossed = 0;
    if (!claim->made) return;
    while (str_next_word(&rest, ", \t%", &word))
        if (str_to_u64(word, PERCENTS_MAX, &percent) && percent > crossed &&
            (crosses(claim->octets_before, claim->octets, work->quota_storage, percent) ||
             crosses(claim->messages_before, 1, work->quota_messages, percent)))
            crossed = percent;
    if (crossed == 0) return;
    unsigned long long octets = claim->octets_before + claim->octets, messages = claim->messages_before + 1;
    log_message(work->queue_id, "quota: the mailbox of <%.*s> is %llu%% full: %llu octets, %llu messages",
                STR_ARGS(work->recipient), (unsigned long long)crossed, octets, messages);
    if (config->mail_quota_warning_mail) send_warning(config, work, store, crossed);
}
