/* service: what every daemon is.
 *
 * A daemon's main() is a struct service_declaration and one call of
 * service_run. The skeleton, in this order: reads its row (services.def), the
 * inherited descriptors (control socket, log pipe, sealed configuration,
 * listening sockets), lets the daemon open what it must (prepare), then locks
 * itself in: root directory, groups and user, capabilities, no_new_privs,
 * not dumpable, rlimits, Landlock, seccomp; only then the loop runs and the
 * first connection is accepted. It accepts on all processes of a service alike
 * (the kernel shares), reports load to master, drains on reload, ends when
 * master has gone. A process may serve one session (session_limit 1) or ten
 * thousand with the same code.
 *
 * Errors before the loop: one fatal line in the log, exit 1; master backs off. */
#ifndef TERN_SERVICE_H
#define TERN_SERVICE_H

#include "config.h"
#include "ipc.h"
#include "task.h"

/* Descriptors by number at exec; master and the skeleton agree on these. */
enum inherited_descriptor {
    INHERITED_CONTROL = 3,       /* SOCK_SEQPACKET to master, IPC messages */
    INHERITED_LOG = 4,           /* this service's log pipe */
    INHERITED_CONFIGURATION = 5, /* sealed memory file */
    INHERITED_LISTEN = 6,        /* first listening socket; count in the argument -n */
};

struct service;

struct service_declaration {
    const char *program; /* its row in services.def */
    /* Before the sandbox, as the start user, without loop or tasks: open files and
     * directories that are needed later. May be NULL. */
    bool (*prepare)(struct service *service, struct failure *failure);
    /* In the loop, in a task, inside the sandbox, before the first session. May be NULL. */
    bool (*start)(struct service *service, struct failure *failure);
    /* One accepted connection, in a task of its own: owns the descriptor. NULL for
     * services without listeners. listener: which of master.cf's sockets (0..). */
    void (*session)(struct service *service, int connection, unsigned listener);
    /* master's wake-up (master.cf's wakeup column), in a task. May be NULL. */
    void (*wake)(struct service *service);
    /* A timer tick, outside tasks, for expiry and statistics. May be NULL. */
    void (*tick)(struct service *service);
    unsigned tick_seconds; /* between two ticks; 0: one */
    /* Draining has begun: give back what idles (task context). May wait: the process
     * ends once this has returned and no session is left. IPC connections being
     * served end by themselves (ipc_serve_drain). May be NULL. */
    void (*drain)(struct service *service);
    /* Sessions should end (service_is_stopping): end those that merely wait for their
     * client. Comes once, with the drain or after it; must not wait. May be NULL. */
    void (*stop)(struct service *service);
    /* Sessions a process may serve when the configuration does not say (service_session_limit). */
    unsigned session_limit;
    unsigned blocking_threads; /* 0: the loop's own default */
    void *context; /* what service_context gives from the start; may be NULL */
    bool survives_master; /* drains when master has gone instead of leaving at once (log) */
};

/* Never returns before the process is to end; returns main's exit status. */
int service_run(int argument_count, char **arguments, const struct service_declaration *declaration);

const struct config *service_config(const struct service *service);
/* master.cf's service name ("smtp", "submission", "private/relay"), and the program's. */
struct str service_name(const struct service *service);
struct str service_program(const struct service *service);
/* The daemon's own context: its one state. */
void service_set_context(struct service *service, void *context);
void *service_context(const struct service *service);
/* A client for another service, connected through master; made once, kept. NULL
 * when the service's row does not list it. Notifications as in ipc.h. */
struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *notify_context);
/* The raw connector behind it: a connected descriptor to a service, or -1. Task context. */
int service_connect(struct service *service, struct str name, deadline until, struct failure *failure);
/* A stream connection to a UNIX socket outside, made by master and handed over; or -1. Only
 * for services with RIGHT_NAMED_SOCKETS, and only to paths that the configuration names (see
 * master/unix_paths.h); no HELLO is sent. A socket whose queue is full is tried until the
 * deadline. Task context. */
int service_connect_path(struct service *service, struct str path, deadline until, struct failure *failure);
/* The row's root directory, opened by the skeleton, from prepare() on: queue_directory/queue
 * for services whose root is QUEUE, and so on; -1 for those that see /. Always open
 * files beneath it: in a private instance the process's own / is not it. */
int service_directory(const struct service *service);
bool service_is_draining(const struct service *service);
/* Draining, and sessions should end as soon as they decently can: everything stops, or a
 * successor took over (reload) and drain_time has passed since. */
bool service_is_stopping(const struct service *service);
/* Sessions under way. */
unsigned service_sessions(const struct service *service);
/* Most sessions this process serves. */
unsigned service_session_limit(const struct service *service);
/* No further process of the service may be started, so what comes when this one is full has to wait. */
bool service_is_last(const struct service *service);
/* Whether everything runs under one ordinary user (tern init DIR). */
bool service_is_private(const struct service *service);

#endif
