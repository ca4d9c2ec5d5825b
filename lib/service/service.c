/* The skeleton of every daemon: start, sessions, load, draining, end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config_load.h"
#include "ipc_codec.h"
#include "log.h"
#include "sandbox.h"
#include "service.h"
#include "start_arguments.h"

enum {
    SESSIONS_DEFAULT = 100,
    FILE_SIZE_BESIDE = 4 << 20, /* bytes of a queue file beyond the message as it came: header, trace, added fields */
    SESSION_STACKS_IDLE = 64,
    ACCEPT_AT_ONCE = 16,       /* connections taken per wake-up, so that other processes get theirs */
    ACCEPT_PAUSE_MS = 1000,    /* after an accept that failed for lack of resources */
    LOAD_PAUSE_MS = 1000,      /* between two reports of the number of sessions */
    FULL_QUEUE_PAUSE_MS = 20,  /* before a UNIX socket is tried again whose queue was full */
    ABANDONED_GRACE_S = 5,     /* from master's end to ours, at most */
    LEAVING_PATIENCE_MS = 5000, /* for telling master that we drain of our own accord */
    LEAVE_GRACE_S = 10,        /* from the last session's end to the process's, at most */
};

struct listening {
    struct service *service;
    int descriptor;
    unsigned number;
    struct loop_watch *watch;
};

struct session {
    struct service *service;
    int connection;
    unsigned listener;
    struct task *task;
    struct session *next, **previous;
};

struct peer_client {
    struct peer_client *next;
    struct service *service;
    char *name;
    struct ipc_client *client;
};

struct service {
    const struct service_declaration *declaration;
    const struct service_row *row;
    struct start_arguments arguments;
    struct config *config;
    struct sandbox sandbox;
    void *context;
    struct ipc_client *control;
    bool control_given; /* the inherited descriptor has been handed to the client */
    struct listening *listening;
    struct session *sessions;
    unsigned session_count;
    unsigned session_limit;
    int descriptor_room; /* a connection with this number or above takes one of the last descriptors */
    bool crowded;        /* the newest one did, and no session has ended since */
    bool accept_paused;
    struct loop_timer *accept_again;
    bool load_reporting; /* a task is telling master */
    bool full_told;
    unsigned sessions_told;
    struct loop_timer *load_timer; /* until the number of sessions is told */
    struct peer_client *peers;
    bool started;
    bool draining;
    bool leaving; /* draining because of a signal: master is to know */
    bool drain_returned;
    bool stopping; /* no successor takes over, or it did long ago */
    bool waking;
    bool abandoned; /* master has gone */
    bool failed;
    struct loop_timer *ticker;
    struct loop_timer *drain_timer; /* until sessions have had drain_time */
};

#ifdef TERN_SANITIZERS
/* LeakSanitizer traces its own process, which the sandbox forbids; and a daemon that ends frees
 * nothing on purpose. Leaks are looked for in the unit tests. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif

/* ---- what daemons ask */

const struct config *service_config(const struct service *service) { return service->config; }
struct str service_name(const struct service *service) { return service->arguments.service; }
struct str service_program(const struct service *service) { return str_from(service->declaration->program); }
void service_set_context(struct service *service, void *context) { service->context = context; }
void *service_context(const struct service *service) { return service->context; }
int service_directory(const struct service *service) { return service->sandbox.directory; }
bool service_is_draining(const struct service *service) { return service->draining; }
bool service_is_stopping(const struct service *service) { return service->stopping; }
unsigned service_sessions(const struct service *service) { return service->session_count; }
unsigned service_session_limit(const struct service *service) { return service->session_limit; }
bool service_is_last(const struct service *service) { return service->arguments.is_last; }
bool service_is_private(const struct service *service) { return service->sandbox.private_instance; }

/* ---- the end */

static void check_end(struct service *service) {
    if (service->draining && service->drain_returned && service->session_count == 0) loop_stop();
}

/* ---- load */

/* As many sessions as it may have; or so few descriptors are left that those it has may need them. Where the hard
 * limit of a system is low, that is long before session_limit, and then another process takes the next ones. */
static bool is_full(const struct service *service) {
    return service->session_count >= service->session_limit || service->crowded;
}

static void load_changed(struct service *service);

/* Tells master of the load; of full and free again until what was told is what is. */
static void report_load(void *argument) {
    struct service *service = argument;
    do {
        struct ipc_load load = {.sessions = service->session_count, .full = is_full(service)};
        if (ipc_tell(service->control, IPC_LOAD, &load, DEADLINE_NEVER, NULL) != IPC_OK) {
            service->load_reporting = false;
            return;
        }
        service->full_told = load.full;
        service->sessions_told = service->session_count;
    } while (service->full_told != is_full(service) && !service->abandoned);
    service->load_reporting = false;
    if (!service->abandoned) load_changed(service);
}

static void start_load_report(struct service *service) {
    if (service->load_reporting || service->abandoned) return;
    service->load_reporting = task_start("load report", report_load, service);
    if (!service->load_reporting) log_warning("no stack to tell master of the load; it is told at the next change");
}

static void report_sessions(void *argument) {
    struct service *service = argument;
    loop_timer_stop(&service->load_timer);
    if (service->sessions_told != service->session_count) start_load_report(service);
}

/* Full and free are told at once, since master acts on them; other numbers, for tern status, within a second. */
static void load_changed(struct service *service) {
    if (service->full_told != is_full(service)) start_load_report(service);
    else if (service->sessions_told != service->session_count && !service->load_timer)
        service->load_timer = loop_timer_start(LOAD_PAUSE_MS, 0, report_sessions, service);
}

/* ---- accepting */

static void accept_pause(struct service *service, bool paused) {
    service->accept_paused = paused;
    for (unsigned i = 0; service->listening && i < service->arguments.listeners; i++)
        if (service->listening[i].watch) loop_watch_pause(service->listening[i].watch, paused);
}

static void accept_resume(void *argument) {
    struct service *service = argument;
    loop_timer_stop(&service->accept_again);
    if (service->accept_paused && !is_full(service) && !service->draining) accept_pause(service, false);
}

static void session_end(struct session *session) {
    struct service *service = session->service;
    *session->previous = session->next;
    if (session->next) session->next->previous = session->previous;
    if (session->task) task_release(&session->task);
    MEMORY_FREE(session);
    service->session_count--;
    service->crowded = false; /* if it is still so, the next connection shows it */
    load_changed(service);
    if (!service->accept_again) accept_resume(service);
    check_end(service);
}

static void run_session(void *argument) {
    struct session *session = argument;
    struct service *service = session->service;
    int connection = session->connection;
    service->declaration->session(service, connection, session->listener);
    session_end(session);
}

static void session_start(struct listening *listening, int connection) {
    struct service *service = listening->service;
    struct session *session = MEMORY_NEW(struct session);
    *session = (struct session){.service = service, .connection = connection, .listener = listening->number};
    session->next = service->sessions;
    session->previous = &service->sessions;
    if (session->next) session->next->previous = &session->next;
    service->sessions = session;
    service->session_count++;
    if (task_start_held("session", run_session, session, &session->task)) return;
    log_warning("no memory for a session");
    close(connection);
    session_end(session);
}

/* Nothing to accept (another process was faster), or a connection that ended meanwhile. */
static bool is_ordinary_accept_error(int error) {
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void accept_connections(int descriptor, void *argument) {
    struct listening *listening = argument;
    struct service *service = listening->service;
    for (unsigned i = 0; i < ACCEPT_AT_ONCE && !is_full(service) && !service->draining; i++) {
        int connection = accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection >= 0) {
            service->crowded = connection >= service->descriptor_room; /* the kernel gives the lowest number */
            session_start(listening, connection);
            continue;
        }
        if (is_ordinary_accept_error(errno)) break;
        log_warning("accept: %s", strerror(errno));
        accept_pause(service, true);
        if (!service->accept_again)
            service->accept_again = loop_timer_start(ACCEPT_PAUSE_MS, 0, accept_resume, service);
        return;
    }
    if (is_full(service)) accept_pause(service, true);
    load_changed(service);
}

static void listen_start(struct service *service) {
    if (!service->declaration->session) return;
    service->listening = memory_allocate(service->arguments.listeners + 1, sizeof(*service->listening));
    for (unsigned i = 0; i < service->arguments.listeners; i++) {
        int descriptor = INHERITED_LISTEN + (int)i;
        int flags = fcntl(descriptor, F_GETFL);
        fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
        service->listening[i] = (struct listening){.service = service, .descriptor = descriptor, .number = i};
        service->listening[i].watch = loop_watch_readable(descriptor, accept_connections, &service->listening[i]);
    }
}

/* The sockets are closed too: no connection waits in a queue that nobody reads. */
static void listen_stop(struct service *service) {
    loop_timer_stop(&service->accept_again);
    for (unsigned i = 0; service->listening && i < service->arguments.listeners; i++) {
        if (!service->listening[i].watch) continue;
        loop_watch_stop(&service->listening[i].watch);
        close(service->listening[i].descriptor);
    }
}

/* ---- draining, waking, and master's end */

static void run_drain(void *argument) {
    struct service *service = argument;
    /* From here on nothing new is taken: master waits for that before it calls a reload done, and else would count on
     * us, and send nobody else to the sockets, until the last session has ended. */
    if (ipc_tell(service->control, IPC_LEAVING, &(struct ipc_leaving){}, deadline_in(LEAVING_PATIENCE_MS), NULL) != IPC_OK &&
        service->leaving)
        log_warning("master cannot be told that this process leaves");
    if (service->declaration->drain) service->declaration->drain(service);
    service->drain_returned = true;
    check_end(service);
}

static void begin_stop(struct service *service) {
    loop_timer_stop(&service->drain_timer);
    if (service->stopping) return;
    service->stopping = true;
    if (service->started && service->declaration->stop) service->declaration->stop(service);
}

static void drain_time_is_up(void *argument) { begin_stop(argument); }

static void drain_begin(struct service *service) {
    if (service->draining) return;
    service->draining = true;
    listen_stop(service);
    ipc_serve_drain();
    if (service->started && !task_start("drain", run_drain, service)) service->drain_returned = true;
    service->drain_timer = loop_timer_start(service->config->drain_time * 1000, 0, drain_time_is_up, service);
    check_end(service);
}

static void on_terminate(int signal_number, void *argument) {
    struct service *service = argument;
    (void)signal_number;
    service->leaving = !service->draining;
    drain_begin(service);
}

/* Whoever has no master would hold sockets and queue files against the next one. */
static void on_master_gone(void *argument) {
    struct service *service = argument;
    if (service->abandoned) return;
    service->abandoned = true;
    if (service->declaration->survives_master) {
        drain_begin(service);
        return;
    }
    log_warning("master has gone");
    listen_stop(service);
    service->draining = true;
    alarm(ABANDONED_GRACE_S);
    loop_stop(); /* loop_destroy cancels what is under way */
}

static void on_control_message(struct ipc_request *request, void *argument) {
    struct service *service = argument;
    if (request->type == IPC_DRAIN) {
        const struct ipc_drain *drain = request->message;
        drain_begin(service);
        if (drain->stopping) begin_stop(service);
    } else if (request->type == IPC_WAKE && service->declaration->wake && service->started && !service->waking) {
        service->waking = true;
        service->declaration->wake(service);
        service->waking = false;
    }
}

/* ---- connections to others */

static int give_control(void *argument, deadline until, struct failure *failure) {
    struct service *service = argument;
    (void)until;
    if (service->control_given) {
        failure_set(failure, "master has gone");
        return -1;
    }
    service->control_given = true;
    return INHERITED_CONTROL;
}

int service_connect(struct service *service, struct str name, deadline until, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_connect wanted = {.service = name};
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_UNREACHABLE;
    if (!service_row_has_peer(service->row, name))
        failure_set(failure, "%s has no business with %.*s", service->row->program, STR_ARGS(name));
    else
        result = ipc_ask(service->control, IPC_CONNECT, &wanted, -1, IPC_CONNECTED, until, arena, &reply, failure);
    arena_destroy(&arena);
    return result == IPC_OK ? reply.descriptor : -1;
}

/* One question to master. *again: the socket's queue was full. */
static int ask_for_path(struct service *service, struct str path, deadline until, bool *again,
                        struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_connect_path wanted = {.path = path};
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result =
        ipc_ask(service->control, IPC_CONNECT_PATH, &wanted, -1, IPC_CONNECTED, until, arena, &reply, failure);
    *again = result == IPC_REFUSED && ((const struct ipc_failed *)reply.message)->reply_code == 421;
    arena_destroy(&arena);
    return result == IPC_OK ? reply.descriptor : -1;
}

int service_connect_path(struct service *service, struct str path, deadline until, struct failure *failure) {
    bool again = true;
    int descriptor = -1;
    if (!(service->row->rights & RIGHT_NAMED_SOCKETS)) {
        failure_set(failure, "%s has no business with UNIX sockets", service->row->program);
        return -1;
    }
    while (again) {
        descriptor = ask_for_path(service, path, until, &again, failure);
        if (again && (deadline_left(until) == 0 || task_sleep(FULL_QUEUE_PAUSE_MS) == WAIT_CANCELLED)) break;
    }
    return descriptor;
}

static int connect_peer(void *argument, deadline until, struct failure *failure) {
    const struct peer_client *peer = argument;
    return service_connect(peer->service, str_from(peer->name), until, failure);
}

struct ipc_client *service_client(struct service *service, const char *name, ipc_handler *on_notify, void *notify_context) {
    if (!service_row_has_peer(service->row, str_from(name))) return NULL;
    for (struct peer_client *peer = service->peers; peer; peer = peer->next)
        if (strcmp(peer->name, name) == 0) return peer->client;
    struct peer_client *peer = MEMORY_NEW(struct peer_client);
    peer->service = service;
    peer->name = memory_copy_string(str_from(name));
    peer->client = ipc_client_create(connect_peer, peer, on_notify, notify_context);
    peer->next = service->peers;
    service->peers = peer;
    return peer->client;
}

static void peers_free(struct service *service) {
    while (service->peers) {
        struct peer_client *peer = service->peers;
        service->peers = peer->next;
        ipc_client_destroy(&peer->client);
        MEMORY_FREE(peer->name);
        MEMORY_FREE(peer);
    }
}

/* ---- start */

static void on_tick(void *argument) {
    struct service *service = argument;
    service->declaration->tick(service);
}

static void start_failed(struct service *service, const struct failure *failure) {
    if (!service->abandoned) log_fatal_text("%s", failure->text);
    service->failed = true;
    loop_stop();
}

/* The first task: the control connection, the daemon's own start, then the listeners. */
static void run_start(void *argument) {
    struct service *service = argument;
    struct failure failure = {0};
    if (!ipc_client_connect(service->control, DEADLINE_NEVER, &failure)) {
        start_failed(service, &failure);
        return;
    }
    if (service->declaration->start && !service->declaration->start(service, &failure)) {
        start_failed(service, &failure);
        return;
    }
    service->started = true;
    if (service->draining) { /* it was told so meanwhile */
        run_drain(service);
        return;
    }
    listen_start(service);
    int64_t pause = service->declaration->tick_seconds ? 1000 * (int64_t)service->declaration->tick_seconds : 1000;
    if (service->declaration->tick) service->ticker = loop_timer_start(pause, pause, on_tick, service);
    if (ipc_tell(service->control, IPC_READY, &(struct ipc_ready){}, DEADLINE_NEVER, &failure) != IPC_OK)
        start_failed(service, &failure);
}

/* Ours alone, not the programs' that we might execute. */
static void mark_inherited(unsigned listeners) {
    for (int descriptor = INHERITED_CONTROL; descriptor < INHERITED_LISTEN + (int)listeners; descriptor++)
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

static unsigned choose_session_limit(const struct service *service) {
    int64_t configured = service->config->service_session_limit;
    if (configured > 0) return (unsigned)configured;
    return service->declaration->session_limit ? service->declaration->session_limit : SESSIONS_DEFAULT;
}

/* The directory part of maillog_file; empty when there is none or it is a device. */
static struct str log_directory(const struct config *config) {
    struct str file = config->maillog_file;
    size_t slash = str_find_last(file, '/');
    if (slash == STR_NONE || str_starts(file, STR("/dev/"))) return STR_EMPTY;
    return str_slice(file, 0, slash ? slash : 1);
}

/* Of a queue file that is being written: the largest message, and what is put before it. 0: no limit. */
static uint64_t largest_file(const struct config *config) {
    return config->message_size_limit ? (uint64_t)config->message_size_limit + FILE_SIZE_BESIDE : 0;
}

/* An eighth is kept for what sessions open while they are at work. */
static int find_descriptor_room(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX) return INT_MAX;
    return (int)(limit.rlim_cur - limit.rlim_cur / 8);
}

/* Everything before the loop. */
static bool set_up(struct service *service, struct failure *failure) {
    service->row = service_row_find(service_program(service));
    if (!service->row) return failure_set(failure, "no row in the service table");
    if (!config_unseal(INHERITED_CONFIGURATION, &service->config, failure)) return false;
    close(INHERITED_CONFIGURATION);
    service->session_limit = choose_session_limit(service);
    const struct sandbox_options options = {.queue_directory = service->config->queue_directory,
                                            .data_directory = service->config->data_directory,
                                            .log_directory = log_directory(service->config),
                                            .mail_owner = service->config->mail_owner,
                                            .sessions = service->session_limit,
                                            .file_size = largest_file(service->config)};
    if (!sandbox_plan(service->row, &options, &service->sandbox, failure)) return false;
    if (service->declaration->prepare && !service->declaration->prepare(service, failure)) return false;
    if (!sandbox_enter(&service->sandbox, failure)) return false;
    service->descriptor_room = find_descriptor_room();
    struct loop_options loop = {.idle_stacks = SESSION_STACKS_IDLE,
                                .blocking_threads = service->declaration->blocking_threads};
    return loop_create(&loop, failure);
}

static void run_loop(struct service *service) {
    loop_on_signal(SIGTERM, on_terminate, service);
    service->control = ipc_client_create(give_control, service, on_control_message, service);
    ipc_client_on_loss(service->control, on_master_gone, service);
    if (task_start("start", run_start, service)) loop_run();
    else service->failed = true;
    /* What hangs now must not hold the process. */
    if (!service->abandoned) alarm(LEAVE_GRACE_S);
    listen_stop(service);
    loop_timer_stop(&service->ticker);
    loop_timer_stop(&service->load_timer);
    loop_timer_stop(&service->drain_timer);
    service->abandoned = true; /* the end of the control connection is our own doing */
    /* Tasks that are cancelled here still tell what came of their work: the clients go after them. */
    loop_destroy();
    peers_free(service);
    ipc_client_destroy(&service->control);
}

int service_run(int argument_count, char **arguments, const struct service_declaration *declaration) {
    struct service *service = MEMORY_NEW(struct service);
    struct failure failure = {0};
    service->declaration = declaration;
    service->context = declaration->context;
    if (!start_arguments_read(argument_count, arguments, &service->arguments, &failure)) {
        fprintf(stderr, "%s: %s\n", declaration->program, failure.text);
        MEMORY_FREE(service);
        return EXIT_FAILURE;
    }
    mark_inherited(service->arguments.listeners);
    log_open(INHERITED_LOG, declaration->program);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* a terminal's, which is meant for master */
    if (set_up(service, &failure)) {
        run_loop(service);
    } else {
        log_fatal_text("%s", failure.text);
        service->failed = true;
    }
    bool failed = service->failed;
    if (service->config) config_free(&service->config);
    MEMORY_FREE(service->listening);
    MEMORY_FREE(service);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
