/* local: becomes the recipient and delivers.
 *
 *   DELIVER   one recipient (virtual: several): recipient.c
 *
 * The process that qmgr talks to is a forker: it asks lookup who a recipient is, and
 * hands every step to a process that is that user: mailboxes, .forward and lists to a
 * worker that stays (forker.c, worker*.c), commands to one that is started for them
 * (commands.c, command.c). It hands on the queue file's descriptor and reads nothing
 * from it; a copy to other addresses goes from file to file inside the kernel (resend.c).
 *
 * The same program serves the services local and virtual; what a recipient is, lookup
 * says. Without root (a private instance) it delivers as its own user only. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "delivery_log.h"
#include "local.h"
#include "log.h"

/* ---- DELIVER */

struct deliveries;

struct delivery {
    struct deliveries *all;
    struct ipc_recipient recipient;
    struct ipc_outcome outcome;
    struct arena *arena;
};

struct deliveries {
    struct local *local;
    const struct ipc_deliver *request;
    int file;
    unsigned running;
    struct task_queue ended;
};

static void run_delivery(void *argument) {
    struct delivery *delivery = argument;
    struct deliveries *all = delivery->all;
    deliver_recipient(all->local, all->request, all->file, &delivery->recipient, delivery->arena, &delivery->outcome);
    all->running--;
    task_queue_wake_all(&all->ended);
}

/* All but the last in tasks of their own, so that their syncs run side by side. */
static void run_all(struct deliveries *all, struct delivery *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        all->running++;
        if (i + 1 == count || !task_start("recipient", run_delivery, &items[i])) run_delivery(&items[i]);
    }
    while (all->running > 0) {
        if (task_queue_wait(&all->ended, DEADLINE_NEVER) == WAIT_READY) continue;
        /* Cancelled: the tasks still use what is on this stack; each step has its own deadline. */
        task_yield();
    }
}

static struct delivery *read_recipients(struct ipc_request *request, const struct ipc_deliver *message,
                                        struct deliveries *all) {
    struct delivery *items = arena_allocate(request->arena, message->recipients.count + 1, sizeof *items);
    struct ipc_recipient row;
    size_t offset = 0, count = 0;
    bool bad = false;
    if (!items) return NULL;
    while (count < message->recipients.count &&
           ipc_list_next(message->recipients, IPC_ROW_RECIPIENT, &offset, &row, &bad))
        items[count++] = (struct delivery){.all = all, .recipient = row, .arena = request->arena};
    return !bad && count > 0 && count == message->recipients.count ? items : NULL;
}

static void deliver(struct ipc_request *request, struct local *local) {
    const struct ipc_deliver *message = request->message;
    struct deliveries all = {.local = local, .request = message, .file = request->descriptor};
    struct delivery *items = read_recipients(request, message, &all);
    if (!items) {
        ipc_answer_failed(request, 451, "4.3.0", "the recipients of a delivery cannot be read");
        return;
    }
    run_all(&all, items, message->recipients.count);
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    bool good = true;
    for (size_t i = 0; i < message->recipients.count && good; i++)
        good = ipc_list_add(IPC_ROW_OUTCOME, &items[i].outcome, &rows, &count);
    struct ipc_delivered answer = {.outcomes = {buf_str(&rows), count}};
    if (!good || !ipc_answer(request, IPC_DELIVERED, &answer, -1))
        log_message_warning(message->queue_id, "the queue manager did not take what became of the recipients");
    buf_free(&rows);
}

/* Whether an account's mailbox takes more. The worker wants a file, and gets none worth reading. */
static void tell_quota(struct ipc_request *request, struct local *local) {
    const struct ipc_local_quota *question = request->message;
    struct ipc_local_work work = {.step = STEP_QUOTA, .uid = question->uid, .gid = question->gid, .user = STR_EMPTY,
                                  .home = STR_EMPTY, .target = question->root, .queue_id = STR_EMPTY, .sender = STR_EMPTY,
                                  .recipient = STR_EMPTY, .original = STR_EMPTY, .local = STR_EMPTY, .domain = STR_EMPTY,
                                  .extension = STR_EMPTY, .content_length = question->size,
                                  .quota_storage = question->quota_storage, .quota_messages = question->quota_messages};
    struct step_answer step = {.action = DELIVERY_DEFERRED};
    if (!str_equal(ipc_peer_service(request->peer), STR("lookup"))) {
        ipc_answer_failed(request, 550, "5.7.1", "only lookup may ask");
        return;
    }
    forker_step(local->forker, &work, local->nothing, request->arena, &step);
    bool full = step.action != DELIVERY_DELIVERED && str_ends(step.status, STR(".2.2"));
    struct ipc_lookup_quota_found answer = {.full = full, .status = step.status, .text = str_slice(step.text, 0, 300)};
    if (step.action != DELIVERY_DELIVERED && !full)
        ipc_answer_failed(request, 451, "4.3.0", "%.*s", STR_ARGS(str_slice(step.text, 0, 200)));
    else
        (void)ipc_answer(request, IPC_LOOKUP_QUOTA_FOUND, &answer, -1);
}

static void dispatch(struct ipc_request *request, void *context) {
    if (request->type == IPC_DELIVER)
        deliver(request, context);
    else if (request->type == IPC_LOCAL_QUOTA)
        tell_quota(request, context);
    else
        ipc_answer_failed(request, 451, "4.3.0", "local does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 5000, dispatch, service_context(service));
}

/* ---- start */

static bool find_default_user(struct local *local, struct failure *failure) {
    const char *name = local->config->default_privs.length ? local->config->default_privs.data : "nobody";
    const struct passwd *entry = getpwnam(name);
    if (!entry || entry->pw_uid == 0) return failure_set(failure, "default_privs: %s is no ordinary user", name);
    local->default_uid = entry->pw_uid;
    local->default_gid = entry->pw_gid;
    local->default_user = memory_copy_string(str_from(entry->pw_name));
    return true;
}

/* A spool directory in which a group's members make files, and not everybody. */
static bool find_spool_group(const struct config *config, uint32_t *gid, struct failure *failure) {
    struct stat status;
    *gid = 0;
    if (config->mail_spool_directory.length == 0) return true;
    if (stat(config->mail_spool_directory.data, &status) < 0)
        return !failure_is_local(errno) ||
               failure_set_errno(failure, errno, "cannot look at %s", config->mail_spool_directory.data);
    if ((status.st_mode & S_IWGRP) && !(status.st_mode & S_IWOTH)) *gid = status.st_gid;
    return true;
}

static bool prepare(struct service *service, struct failure *failure) {
    struct local *local = MEMORY_NEW(struct local);
    service_set_context(service, local);
    local->service = service;
    local->config = service_config(service);
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* workers make digests, and open no files of it */
    local->nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (local->nothing < 0) return failure_set_errno(failure, errno, "cannot open /dev/null");
    return find_spool_group(local->config, &local->spool_gid, failure) && find_default_user(local, failure) &&
           commands_prepare(local->config, &local->commands, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct local *local = service_context(service);
    (void)failure;
    local->resolve = resolve_create(service, 0);
    local->cleanup = service_client(service, "cleanup", NULL, NULL);
    local->forker = forker_create(local->config);
    commands_start(local->commands, service);
    return true;
}

static void tick(struct service *service) {
    const struct local *local = service_context(service);
    if (local->forker) forker_tick(local->forker, false);
}

static void drain(struct service *service) {
    const struct local *local = service_context(service);
    if (local->forker) forker_tick(local->forker, true);
}

static const struct service_declaration declaration = {
    .program = "local",
    .prepare = prepare,
    .start = start,
    .session = session,
    .tick = tick,
    .drain = drain,
    .session_limit = 1000,
    .blocking_threads = 8,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
