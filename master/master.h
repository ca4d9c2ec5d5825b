/* master: the supervisor's one state, and what its parts offer each other.
 *
 * Everything runs in loop functions outside tasks; nothing here blocks. */
#ifndef TERN_MASTER_H
#define TERN_MASTER_H

#include "buf.h"
#include "clock.h"
#include "plan.h"
#include "task.h"
#include <sys/types.h>

struct master;

/* One listening socket. It outlives reloads while some row wants it. */
struct listener {
    struct listener *next;
    char key[200]; /* "inet:127.0.0.1:25", "unix:private/cleanup" */
    int descriptor;
    bool is_unix;
    bool wanted; /* mark of the current reload */
    struct loop_watch *watch;
    struct service *service; /* who is started when it becomes readable */
};

/* A service's line to the log daemon. Both ends stay open here, so that lines
 * wait in the pipe while no log daemon runs. */
struct log_pipe {
    struct log_pipe *next;
    char tag[2 * PLAN_NAME_LIMIT];
    int read_end;
    int write_end;
    unsigned users; /* services (and master) that hold it */
};

struct child {
    struct child *next;
    struct service *service;
    pid_t pid;
    int control;
    struct loop_watch *watch;
    deadline started;
    bool ready;
    bool full;
    bool draining;
    bool stopping; /* it was told that the drain is a stop */
    bool left;     /* it has said that it takes nothing new */
    bool killed_by_us;
    unsigned forbidden; /* how often it asked for what its row does not list */
    uint64_t sessions;
};

struct service {
    struct service *next;
    struct master *master;
    struct plan_row row;
    int configuration;
    struct listener *listeners[PLAN_ENDPOINT_LIMIT];
    size_t listener_count;
    struct log_pipe *log;
    struct child *children;
    unsigned failures;   /* in a row */
    unsigned kills;      /* in a row, of processes that had not run long */
    deadline not_before; /* back-off */
    struct loop_timer *retry;
    struct loop_timer *wakeup;
    bool wake_wanted; /* wake the next process that becomes ready */
    bool used;        /* had a process or a connection since the start: for wakeup_only_if_used */
    bool limit_warned;
    bool retired; /* gone from master.cf; its children are draining */
    bool wanted;  /* mark of the current reload */
};

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

struct master {
    const char *config_directory;
    void (*hear_child)(int descriptor, void *child); /* control_readable */
    bool foreground;
    int start_report; /* pipe to `tern start`, -1 when told or none */
    enum master_state state;
    struct plan_settings settings;
    struct plan_paths sockets; /* what children may be connected to outside */
    struct service *services;
    struct listener *listeners;
    struct log_pipe *log_pipes;
    struct log_pipe *own_log;
    /* reload under way */
    struct plan coming;
    int plan_socket; /* -1: none */
    struct loop_watch *plan_watch;
    pid_t plan_pid;
    bool reload_again;
    bool reload_refused;
    struct loop_timer *reload_patience; /* the new configuration runs, old processes may still accept; NULL: none */
    /* stop under way */
    enum plan_stop_phase stop_phase;
    struct loop_timer *stop_timer;
    struct loop_timer *start_timer;
    struct operator_session *operators;
    int operator_socket;
    struct loop_watch *operator_watch;
    int exit_status;
};

/* ---- report.c: master's own lines */
enum report_level { REPORT_INFO, REPORT_WARNING, REPORT_ERROR, REPORT_FATAL };
void report(struct master *master, enum report_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* `tern start` is told the outcome and let go: "ok", or what is wrong. */
void report_start_outcome(struct master *master, const char *outcome);

/* ---- log_pipes.c */
struct log_pipe *log_pipe_open(struct master *master, const char *tag, struct failure *failure);
void log_pipe_release(struct master *master, struct log_pipe **pipe);
/* Prints what waits in the pipes to standard error: for a start that failed before there was a log. */
void log_pipes_dump(struct master *master);

/* ---- listeners.c */
/* Opens or finds the sockets of a row; service->listeners is replaced. */
MUST_USE bool listeners_open(struct service *service, struct failure *failure);
/* Takes over the sockets that systemd passed, to be matched by address. */
void listeners_adopt(struct master *master);
/* Closes those that no service holds. */
void listeners_close_unused(struct master *master);
/* A process shares its sockets with master: what one that was taken over has shut down listens again. */
void listeners_mend(struct service *service);

/* ---- children.c */
/* Starts a process of the service; NULL (with a failure) if none could be made. */
struct child *child_start(struct service *service, struct failure *failure);
/* Accept no more, finish and end. stopping: for good, not to make way for a successor;
 * this is told even to those that drain already. */
void child_drain(struct child *child, bool stopping);
void child_kill(struct child *child, int signal_number);
/* No process is left of services up to this phase. */
bool children_gone(const struct master *master, enum plan_stop_phase phase);
unsigned service_processes(const struct service *service, bool with_draining);

/* ---- reap.c */
/* Looks after those that ended. */
void children_reap(int signal_number, void *master);

/* ---- control.c: what a child says */
void control_readable(int descriptor, void *child);

/* ---- control_send.c: what it is told; true if it was sent. descriptor -1: none. */
bool control_send(struct child *child, int type, uint32_t serial, const void *message, int descriptor);
/* The same over any such socket. */
bool control_send_on(int socket, int type, uint32_t serial, const void *message, int descriptor);

/* ---- services.c */
struct service *service_create(struct master *master, const struct plan_row *row);
struct service *service_find(const struct master *master, const struct plan_row *row);
/* The service that a CONNECT means: one with a packet socket of that name. */
struct service *service_by_name(const struct master *master, struct str name);
/* Whether a connection that waits in a socket of its starts a process. */
void service_watch(struct service *service, bool on);
/* Starts processes or watches the sockets, as things stand. */
void service_evaluate(struct service *service);
/* Starts one process more; if that fails, the service backs off. */
void service_start_process(struct service *service);
/* A child ended; says how and what follows, and sees to it. */
void service_child_ended(struct service *service, const struct child *child, int wait_status);
void service_free_retired(struct master *master);
void services_evaluate_all(struct master *master);
void service_wakeup_arm(struct service *service);
void service_wake_now(struct service *service);
const char *service_path(const struct service *service, char *path, size_t size);

/* ---- reload.c */
/* Makes the plan what runs. At the start a socket that cannot be had is fatal. */
MUST_USE bool reload_apply(struct master *master, struct plan *plan, struct failure *failure);
void reload_begin(struct master *master);
/* After a process has let go of the sockets or ended: if none with the old configuration accepts any more, whoever asked
 * for the reload is told so. */
void reload_evaluate(struct master *master);
/* At the start: if all that must run is ready, says so to whoever waits. */
void start_evaluate(struct master *master);
/* Gives what must run its time to become ready. */
void start_begin(struct master *master);
/* The start has failed: says why; the exit status will tell. */
void start_fail(struct master *master, const char *why);

/* ---- stop.c */
void stop_begin(struct master *master, const char *why);
/* Goes on if the phase's processes are gone. */
void stop_evaluate(struct master *master);

/* ---- operator.c: the socket that tern(8) uses; operator_session.c */
MUST_USE bool operator_open(struct master *master, struct failure *failure);
void operator_close(struct master *master);
/* The sessions that wait for the reload hear its outcome. */
void operator_reload_done(struct master *master, const char *outcome);
void operator_reload_problem(struct master *master, const char *text);

/* ---- pid_file.c */
MUST_USE bool pid_file_take(struct failure *failure);

/* ---- notify.c: the service manager, if there is one */
void notify_send(const char *text);
void notify_start_watchdog(void);

#endif
