/* operator: the socket private/master by which tern(8) speaks to a running
 * master. Only master's own user can reach it (the directory's mode).
 *
 * One line comes in: "pids", "status", "reload" or "stop". Lines go back, the
 * last one "ok" or "failed", and the connection is closed. */
#include "master.h"
#include "operator_session.h"

#include "memory.h"
#include "str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPERATOR_PATH "private/master"
#define OPERATOR_BACKLOG 16
#define SESSION_LIMIT 16

/* ---- the commands */

static void tell_pids(struct operator_session *session) {
    struct buf text = buf_make(0);
    buf_printf(&text, "master %d\n", (int)getpid());
    for (const struct service *service = session->master->services; service != NULL; service = service->next)
        for (const struct child *child = service->children; child != NULL; child = child->next)
            buf_printf(&text, "%s %d%s\n", service->row.name, (int)child->pid, child->draining ? " draining" : "");
    buf_append(&text, STR("ok\n"));
    operator_say(session, &text);
    buf_free(&text);
}

static const char *state_of(const struct service *service) {
    if (service->retired)
        return "ending";
    if (service_processes(service, false) > 0)
        return "running";
    return service->failures > 0 ? "failing" : "idle"; /* idle: starts when it is needed */
}

/* "smtp (smtpd)    running   2 processes, 14 sessions" */
static void tell_service(const struct service *service, struct buf *text) {
    char name[2 * PLAN_NAME_LIMIT + 4];
    unsigned processes = service_processes(service, false);
    unsigned draining = service_processes(service, true) - processes;
    uint64_t sessions = 0;
    for (const struct child *child = service->children; child != NULL; child = child->next)
        sessions += child->sessions;
    if (strcmp(service->row.name, service->row.program) == 0)
        snprintf(name, sizeof name, "%s", service->row.name);
    else
        snprintf(name, sizeof name, "%s (%s)", service->row.name, service->row.program);
    buf_printf(text, "%-20s %-8s %u process%s, %llu session%s", name, state_of(service), processes,
               processes == 1 ? "" : "es", (unsigned long long)sessions, sessions == 1 ? "" : "s");
    if (draining > 0)
        buf_printf(text, ", %u draining", draining);
    if (service->failures > 0)
        buf_printf(text, ", %u failure%s in a row", service->failures, service->failures == 1 ? "" : "s");
    buf_append_char(text, '\n');
}

static void tell_status(struct operator_session *session) {
    static const char *const states[] = {"starting", "running", "stopping"};
    const struct master *master = session->master;
    struct buf text = buf_make(0);
    buf_printf(&text, "%-20s %-8s pid %d, version %s, configuration %s\n", "master", states[master->state],
               (int)getpid(), master->settings.version, master->settings.config_directory);
    for (const struct service *service = master->services; service != NULL; service = service->next)
        tell_service(service, &text);
    buf_append(&text, STR("ok\n"));
    operator_say(session, &text);
    buf_free(&text);
}

/* True if the session is over. */
static bool obey(struct operator_session *session, struct str command) {
    struct master *master = session->master;
    struct buf text = buf_make(200);
    bool over = true;
    if (str_equal(command, STR("pids"))) {
        tell_pids(session);
    } else if (str_equal(command, STR("status"))) {
        tell_status(session);
    } else if (str_equal(command, STR("reload")) && master->state == MASTER_RUNNING) {
        session->awaits_reload = true;
        reload_begin(master);
        return false; /* operator_reload_done ends it, perhaps it has already */
    } else if (str_equal(command, STR("stop"))) {
        buf_append(&text, STR("ok\n"));
        operator_say(session, &text);
        stop_begin(master, "terminating on command");
    } else {
        buf_append(&text, STR("not now, or not a command\nfailed\n"));
        operator_say(session, &text);
    }
    buf_free(&text);
    return over;
}

/* ---- connections */

static void session_readable(int descriptor, void *argument) {
    struct operator_session *session = argument;
    ssize_t got = recv(descriptor, session->line + session->length, sizeof session->line - session->length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        operator_end(session);
        return;
    }
    session->length += (size_t)got;
    struct str line;
    struct str rest;
    if (!str_cut(str_make(session->line, session->length), '\n', &line, &rest)) {
        if (session->length == sizeof session->line)
            operator_end(session);
        return;
    }
    session->length = 0;
    if (obey(session, line))
        operator_end(session);
}

static void somebody_calls(int descriptor, void *argument) {
    struct master *master = argument;
    size_t count = 0;
    int connection = accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0)
        return;
    for (const struct operator_session *session = master->operators; session != NULL; session = session->next)
        count++;
    if (count >= SESSION_LIMIT) {
        close(connection);
        return;
    }
    struct operator_session *session = MEMORY_NEW(struct operator_session);
    session->master = master;
    session->descriptor = connection;
    session->next = master->operators;
    master->operators = session;
    session->watch = loop_watch_readable(connection, session_readable, session);
}

bool operator_open(struct master *master, struct failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = OPERATOR_PATH};
    master->operator_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (master->operator_socket < 0)
        return failure_set_errno(failure, errno, "socket");
    if ((unlink(OPERATOR_PATH) < 0 && errno != ENOENT) ||
        bind(master->operator_socket, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(OPERATOR_PATH, 0600) < 0 || listen(master->operator_socket, OPERATOR_BACKLOG) < 0)
        return failure_set_errno(failure, errno, "cannot listen on %s", OPERATOR_PATH);
    master->operator_watch = loop_watch_readable(master->operator_socket, somebody_calls, master);
    return true;
}

void operator_close(struct master *master) {
    while (master->operators != NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): operator_end takes it off the list */
        operator_end(master->operators);
    loop_watch_stop(&master->operator_watch);
    if (master->operator_socket >= 0)
        close(master->operator_socket);
    master->operator_socket = -1;
    unlink(OPERATOR_PATH);
}
