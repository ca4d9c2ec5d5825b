/* listeners: the sockets that services accept on.
 *
 * Master holds them open from start to stop, over restarts of the processes
 * and over reloads, so no connection is lost while nobody accepts. UNIX sockets
 * are bound by paths relative to the queue directory (master's own), which keeps
 * them under the 108 bytes of sun_path wherever the instance lies. */
#include "master.h"

#include "memory.h"
#include "str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
/* Orphans of a master that was killed may hold a port for a moment. */
#define BIND_TRIES 100
#define BIND_PAUSE_MS 50
#define SYSTEMD_FIRST_DESCRIPTOR 3

const char *service_path(const struct service *service, char *path, size_t size) {
    snprintf(path, size, "%s/%s", service->row.is_public ? "public" : "private", service->row.name);
    return path;
}

static void key_of_endpoint(const struct endpoint *endpoint, char *key, size_t size) {
    struct buf text = buf_make(100);
    endpoint_format_ip(endpoint, &text);
    snprintf(key, size, "inet:%s:%u", buf_string(&text), (unsigned)endpoint_port(endpoint));
    buf_free(&text);
}

static struct listener *listener_find(struct master *master, const char *key) {
    for (struct listener *listener = master->listeners; listener != NULL; listener = listener->next)
        if (strcmp(listener->key, key) == 0)
            return listener;
    return NULL;
}

static struct listener *listener_add(struct master *master, const char *key, int descriptor, bool is_unix) {
    struct listener *listener = MEMORY_NEW(struct listener);
    snprintf(listener->key, sizeof listener->key, "%s", key);
    listener->descriptor = descriptor;
    listener->is_unix = is_unix;
    listener->next = master->listeners;
    master->listeners = listener;
    return listener;
}

static int open_inet(const struct endpoint *endpoint, bool patient, struct failure *failure) {
    for (int attempt = 0;; attempt++) {
        int descriptor = endpoint_listen(endpoint, BACKLOG, failure);
        if (descriptor >= 0 || !patient || failure->error_number != EADDRINUSE || attempt >= BIND_TRIES)
            return descriptor;
        nanosleep(&(struct timespec){.tv_nsec = BIND_PAUSE_MS * 1000000L}, NULL);
    }
}

static int open_unix(const char *path, int type, mode_t mode, struct failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        failure_set(failure, "%s: the name is too long for a socket", path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int descriptor = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        failure_set_errno(failure, errno, "socket");
        return -1;
    }
    /* What lies there is left over: the pid file's lock says that no other master runs. */
    if ((unlink(path) < 0 && errno != ENOENT) ||
        bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, mode) < 0 ||
        listen(descriptor, BACKLOG) < 0) {
        failure_set_errno(failure, errno, "cannot listen on %s", path);
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static struct listener *inet_listener(struct service *service, const struct endpoint *endpoint,
                                      struct failure *failure) {
    char key[200];
    key_of_endpoint(endpoint, key, sizeof key);
    struct listener *listener = listener_find(service->master, key);
    if (listener != NULL)
        return listener;
    int descriptor = open_inet(endpoint, service->master->state == MASTER_STARTING, failure);
    return descriptor < 0 ? NULL : listener_add(service->master, key, descriptor, false);
}

static struct listener *unix_listener(struct service *service, struct failure *failure) {
    char path[100];
    char key[200];
    service_path(service, path, sizeof path);
    bool packets = service->row.listen == PLAN_LISTEN_PACKET;
    snprintf(key, sizeof key, "unix:%s:%s", packets ? "packets" : "stream", path);
    struct listener *listener = listener_find(service->master, key);
    if (listener != NULL)
        return listener;
    int descriptor = open_unix(path, packets ? SOCK_SEQPACKET : SOCK_STREAM, service->row.is_public ? 0666 : 0600,
                               failure);
    return descriptor < 0 ? NULL : listener_add(service->master, key, descriptor, true);
}

bool listeners_open(struct service *service, struct failure *failure) {
    struct listener *opened[PLAN_ENDPOINT_LIMIT];
    size_t count = 0;
    switch ((enum plan_listen)service->row.listen) {
    case PLAN_LISTEN_NONE:
        break;
    case PLAN_LISTEN_INET:
        for (; count < service->row.endpoint_count; count++)
            if ((opened[count] = inet_listener(service, &service->row.endpoints[count], failure)) == NULL)
                return false;
        break;
    case PLAN_LISTEN_PACKET:
    case PLAN_LISTEN_STREAM:
        if ((opened[count++] = unix_listener(service, failure)) == NULL)
            return false;
        break;
    }
    for (size_t i = 0; i < count; i++) {
        opened[i]->service = service;
        opened[i]->wanted = true;
        service->listeners[i] = opened[i];
    }
    service->listener_count = count;
    return true;
}

void listeners_adopt(struct master *master) {
    const char *process = getenv("LISTEN_PID");
    const char *number = getenv("LISTEN_FDS");
    uint64_t pid = 0;
    uint64_t count = 0;
    if (process != NULL && number != NULL && str_to_u64(str_from(process), INT32_MAX, &pid) &&
        str_to_u64(str_from(number), 1000, &count) && pid == (uint64_t)getpid())
        for (int i = 0; i < (int)count; i++) {
            int descriptor = SYSTEMD_FIRST_DESCRIPTOR + i;
            struct endpoint endpoint;
            char key[200];
            fcntl(descriptor, F_SETFD, FD_CLOEXEC);
            if (!endpoint_of_self(descriptor, &endpoint) || endpoint_is_local(&endpoint))
                continue;
            int flags = fcntl(descriptor, F_GETFL);
            fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
            key_of_endpoint(&endpoint, key, sizeof key);
            listener_add(master, key, descriptor, false);
        }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* Takes the socket file away, unless another listener has been bound there since. */
static void remove_file(const struct master *master, const struct listener *gone) {
    const char *path = strrchr(gone->key, ':') + 1;
    for (const struct listener *listener = master->listeners; listener != NULL; listener = listener->next)
        if (listener != gone && listener->is_unix && strcmp(strrchr(listener->key, ':') + 1, path) == 0)
            return;
    unlink(path);
}

void listeners_close_unused(struct master *master) {
    for (struct listener **at = &master->listeners; *at != NULL;) {
        struct listener *listener = *at;
        if (listener->wanted) {
            at = &listener->next;
            continue;
        }
        loop_watch_stop(&listener->watch);
        if (listener->is_unix)
            remove_file(master, listener);
        close(listener->descriptor);
        *at = listener->next;
        free(listener);
    }
}

void listeners_mend(struct service *service) {
    for (size_t i = 0; i < service->listener_count; i++) {
        const struct listener *listener = service->listeners[i];
        int listening = 0;
        socklen_t length = sizeof listening;
        if (getsockopt(listener->descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || listening)
            continue;
        bool mended = listen(listener->descriptor, BACKLOG) == 0;
        report(service->master, REPORT_WARNING, "service %s: a process had shut down its socket %s; %s",
               service->row.name, listener->key, mended ? "it listens again" : strerror(errno));
    }
}
