/* The process that starts commands: forked before local locks itself in, because a
 * filter and no_new_privs would reach into the command and a set-gid sendmail would not
 * work there. It is root, reads nothing but packets of its parent, and forks for each
 * command a process that becomes the user at once and does the rest (command.c). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"
#include "log.h"

struct commands {
    int socket;
    struct ipc_client *client;
    struct service *service;
    int64_t time_limit, limit;
    int64_t in_flight;
    struct task_queue place; /* tasks that wait until a command ends */
};

/* ---- the child */

NO_RETURN static void run_one(const struct config *config, int socket, const struct ipc_local_work *work,
                              uint32_t serial, int file) {
    struct failure failure;
    struct worked worked = {0};
    char *user = memory_copy_string(work->user);
    prctl(PR_SET_NAME, "local-command", 0, 0, 0);
    if (!become_user((uint32_t)work->uid, (uint32_t)work->gid, user, &failure))
        worked_set(&worked, DELIVERY_DEFERRED, "4.3.5", "cannot run a command: %s", failure.text);
    else
        command_deliver(config, work, file, &worked);
    worker_answer(socket, serial, &worked);
    _exit(0);
}

NO_RETURN static void run_commands(const struct config *config, int socket) {
    char *packet = memory_allocate(1, WORK_PACKET_ROOM);
    struct ipc_local_work work;
    uint32_t serial = 0;
    int file = -1;
    fcntl(socket, F_SETFL, 0);
    prctl(PR_SET_NAME, "local-commands", 0, 0, 0);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* it ends with its parent, after the commands' answers */
    signal(SIGHUP, SIG_IGN);
    umask(077);
    while (worker_receive(socket, packet, &work, &serial, &file)) {
        pid_t child = fork();
        if (child == 0) run_one(config, socket, &work, serial, file);
        if (child < 0) {
            struct worked worked = {0};
            worked_errno(&worked, errno, "cannot fork");
            worker_answer(socket, serial, &worked);
        }
        close(file);
    }
    _exit(0);
}

bool commands_prepare(const struct config *config, struct commands **commands, struct failure *failure) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set_errno(failure, errno, "cannot make a socket for commands");
    pid_t child = fork();
    if (child < 0) return failure_set_errno(failure, errno, "cannot fork the process for commands");
    if (child == 0) {
        log_open(INHERITED_LOG, "local");
        if (dup2(pair[1], INHERITED_CONTROL) < 0 || close_range(INHERITED_CONFIGURATION, ~0U, 0) < 0) {
            log_warning("no process for commands: cannot leave local's descriptors: %s", strerror(errno));
            _exit(1);
        }
        run_commands(config, INHERITED_CONTROL);
    }
    close(pair[1]);
    *commands = MEMORY_NEW(struct commands);
    (*commands)->socket = pair[0];
    (*commands)->time_limit = config->command_time_limit;
    (*commands)->limit = config->local_worker_limit;
    return true;
}

/* ---- the parent */

/* There is one connection in a life. */
static int connect_once(void *context, deadline until, struct failure *failure) {
    struct commands *commands = context;
    int socket = commands->socket;
    (void)until;
    commands->socket = -1;
    if (socket < 0) failure_set(failure, "the process for commands has gone");
    return socket;
}

static void on_loss(void *context) {
    const struct commands *commands = context;
    if (!service_is_draining(commands->service))
        log_error("the process for commands has gone: ending, to be started anew");
    loop_stop();
}

void commands_start(struct commands *commands, struct service *service) {
    commands->service = service;
    commands->client = ipc_client_create(connect_once, commands, NULL, NULL);
    ipc_client_on_loss(commands->client, on_loss, commands);
}

void commands_step(struct commands *commands, const struct ipc_local_work *work, int file, struct arena *arena,
                   struct step_answer *answer) {
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    deadline until = deadline_in((2 * commands->time_limit + 60) * 1000);
    *answer = (struct step_answer){
        .action = DELIVERY_DEFERRED, .status = STR("4.3.0"), .text = STR("commands cannot be started now")};
    if (work->uid == 0) {
        answer->status = STR("4.3.5");
        answer->text = STR("commands are not run as root");
        return;
    }
    while (commands->in_flight >= commands->limit) {
        if (task_queue_wait(&commands->place, until) == WAIT_READY) continue;
        answer->status = STR("4.3.2");
        answer->text = STR("too many commands are running");
        return;
    }
    commands->in_flight++;
    enum ipc_result result =
        ipc_ask(commands->client, IPC_LOCAL_WORK, work, file, IPC_LOCAL_WORKED, until, arena, &reply, &failure);
    commands->in_flight--;
    task_queue_wake_one(&commands->place);
    if (result != IPC_OK) {
        struct str kept;
        if (failure.text[0] && arena_copy(arena, str_from(failure.text), &kept)) answer->text = kept;
        return;
    }
    const struct ipc_local_worked *worked = reply.message;
    *answer = (struct step_answer){.action = (unsigned)worked->action, .status = worked->status, .text = worked->text};
}
