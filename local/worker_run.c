/* A worker process: threads that take steps from one socket, each as soon as it is
 * free. The kernel hands a packet to one of those that wait; a thread is added when
 * none is left waiting, so a mailbox owner of many has as many syncs under way as
 * there are deliveries. It ends when the forker closes its end. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "worker.h"

#define THREAD_STACK    ((size_t)256 * 1024)
#define ANSWER_WAITS    100
#define ANSWER_PAUSE_NS 20000000

struct pool {
    const struct config *config;
    int socket;
    unsigned most;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    unsigned threads, waiting;
};

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool worker_receive(int socket, char *packet, struct ipc_local_work *work, uint32_t *serial, int *file) {
    union control control = {0};
    struct iovec part = {.iov_base = packet, .iov_len = WORK_PACKET_ROOM};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) log_warning("a delivery process cannot receive: %s; it ends", strerror(errno));
    if (got <= 0) return false;
    int received = -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&received, CMSG_DATA(header), sizeof received);
    struct str bytes = str_make(packet, (size_t)got);
    enum ipc_type type;
    if (received >= 0 && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && ipc_peek(bytes, &type, serial) &&
        type == IPC_LOCAL_WORK && ipc_decode(bytes, type, work)) {
        *file = received;
        return true;
    }
    if (received >= 0) close(received);
    return false;
}

/* The delivery has been made, and what came of it should not get lost for a moment's want of memory. */
static bool send_patiently(int socket, struct str packet) {
    unsigned waits = 0;
    while (send(socket, packet.data, packet.length, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) continue;
        bool again = (errno == ENOBUFS || errno == ENOMEM) && waits < ANSWER_WAITS;
        if (waits == 0 || !again)
            log_warning("a delivery process cannot answer: %s%s", strerror(errno), again ? "; tried again" : "");
        if (!again) return false;
        waits++;
        nanosleep(&(struct timespec){.tv_nsec = ANSWER_PAUSE_NS}, NULL);
    }
    return true;
}

bool worker_answer(int socket, uint32_t serial, const struct worked *worked) {
    struct ipc_local_worked answer = {.action = worked->action,
                                      .status = str_from(worked->status),
                                      .text = str_from(worked->text),
                                      .expanded = worked->expanded,
                                      .members = {buf_str(&worked->members), worked->member_count},
                                      .more = worked->more,
                                      .list_version = worked->list_version,
                                      .unmade = worked->unmade};
    struct buf packet = buf_make(0);
    bool good = ipc_encode(IPC_LOCAL_WORKED, serial, &answer, &packet);
    if (!good) {
        buf_clear(&packet);
        answer = (struct ipc_local_worked){
            .action = DELIVERY_DEFERRED, .status = STR("4.3.0"), .text = STR("the answer is too long")};
        good = ipc_encode(IPC_LOCAL_WORKED, serial, &answer, &packet);
    }
    bool sent = send_patiently(socket, buf_str(&packet));
    buf_free(&packet);
    return good && sent;
}

static void *serve(void *argument);

/* Called with the mutex held. */
static void add_thread(struct pool *pool) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
#ifndef TERN_SANITIZERS
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
#endif
    pool->threads++;
    int reason = pthread_create(&thread, &attributes, serve, pool);
    if (reason != 0) {
        pool->threads--;
        log_warning("cannot start a thread for deliveries: %s", strerror(reason));
    }
    pthread_attr_destroy(&attributes);
}

static void count_waiting(struct pool *pool, bool waits) {
    pthread_mutex_lock(&pool->mutex);
    if (waits)
        pool->waiting++;
    else
        pool->waiting--;
    if (!waits && pool->waiting == 0 && pool->threads < pool->most) add_thread(pool);
    pthread_mutex_unlock(&pool->mutex);
}

static bool serve_one(struct pool *pool, char *packet) {
    struct ipc_local_work work;
    uint32_t serial = 0;
    int file = -1;
    count_waiting(pool, true);
    bool received = worker_receive(pool->socket, packet, &work, &serial, &file);
    count_waiting(pool, false);
    if (!received) return false;
    struct worked worked = {0};
    worker_step(pool->config, &work, file, &worked);
    close(file);
    bool answered = worker_answer(pool->socket, serial, &worked);
    worked_free(&worked);
    return answered;
}

static void *serve(void *argument) {
    struct pool *pool = argument;
    char *packet = memory_allocate(1, WORK_PACKET_ROOM);
    while (serve_one(pool, packet)) {
    }
    MEMORY_FREE(packet);
    /* After a fault the other threads would go on and keep the socket open: whoever waits for the answer that is
     * lost must learn it now, not when its patience ends. */
    shutdown(pool->socket, SHUT_RDWR);
    pthread_mutex_lock(&pool->mutex);
    pool->most = 0; /* the end has come: no more threads */
    pool->threads--;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

void worker_run(const struct config *config, int socket, unsigned threads) {
    struct pool pool = {.config = config,
                        .socket = socket,
                        .most = threads,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&pool.mutex);
    add_thread(&pool);
    while (pool.threads > 0)
        pthread_cond_wait(&pool.ended, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
}
