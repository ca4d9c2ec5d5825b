/* Worker processes: forked when first needed, kept while there is mail for them.
 *
 * The connection to a worker is a client of the IPC layer whose connector forks: a
 * worker that was lost is made anew by the next delivery. Closing the connection is
 * what ends a worker; it finishes what it has begun. Nothing is forked for a message. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "local.h"
#include "log.h"

#define WORKER_PATIENCE ((int64_t)2 * 3600 * 1000)
#define PLACE_PATIENCE  ((int64_t)60 * 1000)

struct worker {
    struct worker *next; /* of all */
    struct forker *forker;
    struct ipc_client *client;
    uint32_t uid, gid;
    char *user;
    char *key;
    unsigned in_flight;
    deadline used;
};

struct forker {
    const struct config *config;
    struct map *workers; /* by key */
    struct worker *all;
    struct task_queue place; /* tasks that wait until a worker idles */
};

struct forker *forker_create(const struct config *config) {
    struct forker *forker = MEMORY_NEW(struct forker);
    forker->config = config;
    forker->workers = map_create();
    /* Nobody waits for workers: their connection says when they are gone. */
    signal(SIGCHLD, SIG_IGN);
    return forker;
}

/* ---- the child */

/* From here on nothing of the forker's is left but memory, the log and one socket. False: something is. */
static bool leave_forker(int socket, struct failure *failure) {
    loop_abandon();
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a size limit is an error of write, not a death */
    /* Without this the worker would read what master says to the forker. */
    if (dup2(socket, INHERITED_CONTROL) < 0 || close_range(INHERITED_CONFIGURATION, ~0U, 0) < 0)
        return failure_set_errno(failure, errno, "cannot leave the forker's descriptors");
    fcntl(INHERITED_CONTROL, F_SETFL, 0);
    log_open(INHERITED_LOG, "local");
    prctl(PR_SET_NAME, "local-worker", 0, 0, 0);
    umask(077);
    return true;
}

NO_RETURN static void run_child(const struct worker *worker, int socket) {
    struct failure failure;
    const struct config *config = worker->forker->config;
    if (!leave_forker(socket, &failure) || !become_user(worker->uid, worker->gid, worker->user, &failure) ||
        (config->sandbox && !worker_lock_in(&failure))) {
        log_warning("no worker for user %u: %s", worker->uid, failure.text);
        _exit(1);
    }
    worker_run(config, INHERITED_CONTROL, (unsigned)config->local_worker_threads);
    _exit(0);
}

/* The client's connector. */
static int fork_worker(void *context, deadline until, struct failure *failure) {
    struct worker *worker = context;
    int pair[2];
    (void)until;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        failure_set_errno(failure, errno, "cannot make a socket for a worker");
        log_warning("%s; tried again", failure->text); /* as soon as that succeeds nobody else would hear of it */
        return -1;
    }
    pid_t child = fork();
    if (child == 0) run_child(worker, pair[1]);
    int reason = errno;
    close(pair[1]);
    if (child > 0) return pair[0];
    failure_set_errno(failure, reason, "cannot fork a worker");
    log_warning("%s; tried again", failure->text);
    close(pair[0]);
    return -1;
}

/* ---- the set of workers */

static void worker_end(struct worker *worker) {
    struct forker *forker = worker->forker;
    struct worker **link = &forker->all;
    while (*link != worker)
        link = &(*link)->next;
    *link = worker->next;
    map_remove(forker->workers, str_from(worker->key));
    ipc_client_destroy(&worker->client);
    MEMORY_FREE(worker->user);
    MEMORY_FREE(worker->key);
    MEMORY_FREE(worker);
}

static bool end_longest_idle(struct forker *forker) {
    struct worker *oldest = NULL;
    for (struct worker *worker = forker->all; worker; worker = worker->next)
        if (worker->in_flight == 0 && (!oldest || worker->used < oldest->used)) oldest = worker;
    if (oldest) worker_end(oldest);
    return oldest != NULL;
}

void forker_tick(struct forker *forker, bool all) {
    deadline now = clock_monotonic();
    for (struct worker *worker = forker->all, *next; worker; worker = next) {
        next = worker->next;
        if (worker->in_flight == 0 && (all || now - worker->used > forker->config->local_worker_idle * 1000))
            worker_end(worker);
    }
}

static struct worker *worker_make(struct forker *forker, const struct ipc_local_work *work, struct str key) {
    struct worker *worker = MEMORY_NEW(struct worker);
    worker->forker = forker;
    worker->uid = (uint32_t)work->uid;
    worker->gid = (uint32_t)work->gid;
    worker->user = memory_copy_string(work->user);
    worker->key = memory_copy_string(key);
    worker->client = ipc_client_create(fork_worker, worker, NULL, NULL);
    worker->next = forker->all;
    forker->all = worker;
    map_put(forker->workers, key, worker);
    return worker;
}

/* The worker for a step; NULL if all places stay in use. It counts as in use when this returns. */
static struct worker *worker_take(struct forker *forker, const struct ipc_local_work *work) {
    struct buf key = buf_make(400);
    struct worker *worker = NULL;
    deadline patience = deadline_in(PLACE_PATIENCE);
    buf_printf(&key, "%llu:%llu:%.*s", (unsigned long long)work->uid, (unsigned long long)work->gid,
               STR_ARGS(work->user));
    for (;;) {
        worker = map_get(forker->workers, buf_str(&key));
        if (worker) break;
        if ((int64_t)map_count(forker->workers) < forker->config->local_worker_limit || end_longest_idle(forker)) {
            worker = worker_make(forker, work, buf_str(&key));
            break;
        }
        if (task_queue_wait(&forker->place, patience) != WAIT_READY) break;
    }
    if (worker) worker->in_flight++;
    buf_free(&key);
    return worker;
}

static void worker_give_back(struct worker *worker) {
    worker->used = clock_monotonic();
    if (--worker->in_flight == 0) task_queue_wake_one(&worker->forker->place);
}

/* ---- steps */

static void answer_deferred(struct step_answer *answer, struct arena *arena, const char *status, const char *text) {
    struct str kept = STR("local trouble");
    if (!arena_copy(arena, str_from(text), &kept)) kept = STR("out of memory");
    *answer = (struct step_answer){.action = DELIVERY_DEFERRED, .status = str_from(status), .text = kept};
}

/* A user that this process cannot become is not asked for again and again. */
static bool can_become(const struct ipc_local_work *work, struct step_answer *answer, struct arena *arena) {
    if (work->uid == 0) {
        answer_deferred(answer, arena, "4.3.5", "mail is not delivered as root: make an alias for this recipient");
        return false;
    }
    if (geteuid() == 0 || work->uid == geteuid()) return true;
    struct failure words;
    failure_set(&words, "cannot deliver as user %llu: this server runs without root as user %u",
                (unsigned long long)work->uid, (unsigned)geteuid());
    answer_deferred(answer, arena, "4.3.5", words.text);
    return false;
}

static bool may_ask_again(const struct ipc_local_work *work) {
    if (work->step == STEP_ACCOUNT || work->step == STEP_QUOTA) return true;
    return (work->step == STEP_VIRTUAL || work->step == STEP_FILE) && str_ends(work->target, STR("/"));
}

void forker_step(struct forker *forker, const struct ipc_local_work *work, int file, struct arena *arena,
                 struct step_answer *answer) {
    if (!can_become(work, answer, arena)) return;
    struct worker *worker = worker_take(forker, work);
    if (!worker) {
        answer_deferred(answer, arena, "4.3.2", "too many deliveries for other users are under way");
        return;
    }
    struct ipc_local_work asked = *work;
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    enum ipc_result result = IPC_UNREACHABLE;
    /* A Maildir shows whether the lost worker had got through; elsewhere the queue manager has to wait. */
    for (unsigned attempt = 0; attempt < 2 && result == IPC_UNREACHABLE; attempt++) {
        if (attempt > 0 && !may_ask_again(work)) break;
        asked.perhaps_delivered |= attempt > 0;
        result = ipc_ask(worker->client, IPC_LOCAL_WORK, &asked, file, IPC_LOCAL_WORKED, deadline_in(WORKER_PATIENCE),
                         arena, &reply, &failure);
    }
    worker_give_back(worker);
    if (result != IPC_OK) {
        failure_prefix(&failure, "delivery process lost");
        answer_deferred(answer, arena, "4.3.0", failure.text);
        return;
    }
    const struct ipc_local_worked *worked = reply.message;
    *answer = (struct step_answer){.action = (unsigned)worked->action,
                                   .status = worked->status,
                                   .text = worked->text,
                                   .expanded = worked->expanded,
                                   .members = worked->members,
                                   .more = worked->more,
                                   .list_version = worked->list_version,
                                   .unmade = worked->unmade};
}
