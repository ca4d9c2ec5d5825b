/* children: making the processes, and telling them to end. */
#include "master.h"

#include "ipc.h"
#include "memory.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ARGUMENT_LIMIT 600

unsigned service_processes(const struct service *service, bool with_draining) {
    unsigned count = 0;
    for (const struct child *child = service->children; child != NULL; child = child->next)
        count += with_draining || !child->draining;
    return count;
}

/* ---- what a process is given */

struct birth {
    char path[PLAN_TEXT_LIMIT + PLAN_NAME_LIMIT];
    char count[20];
    const char *arguments[ARGUMENT_LIMIT];
    int argument_count;
    int descriptors[ARGUMENT_LIMIT]; /* for 3, 4, 5 ... */
    int descriptor_count;
    int standard_error;
    bool outlives_master; /* the log daemon writes out what is left */
};

static void add_argument(struct birth *birth, const char *argument) {
    if (birth->argument_count < ARGUMENT_LIMIT - 1)
        birth->arguments[birth->argument_count++] = argument;
}

static void add_descriptor(struct birth *birth, int descriptor) {
    if (birth->descriptor_count < ARGUMENT_LIMIT)
        birth->descriptors[birth->descriptor_count++] = descriptor;
}

static bool is_log_daemon(const struct service *service) { return service->row.stop_phase == PLAN_STOP_LOG; }

/* The log daemon's "listeners" are the read ends of all log pipes; their tags are its arguments. */
static void give_log_pipes(struct birth *birth, const struct master *master) {
    for (const struct log_pipe *pipe = master->log_pipes; pipe != NULL; pipe = pipe->next)
        add_descriptor(birth, pipe->read_end);
    snprintf(birth->count, sizeof birth->count, "%d", birth->descriptor_count - (INHERITED_LISTEN - INHERITED_CONTROL));
}

static void prepare_birth(struct birth *birth, const struct service *service, int control) {
    const struct master *master = service->master;
    snprintf(birth->path, sizeof birth->path, "%s/%s", master->settings.daemon_directory, service->row.program);
    add_descriptor(birth, control);
    add_descriptor(birth, service->log->write_end);
    add_descriptor(birth, service->configuration);
    snprintf(birth->count, sizeof birth->count, "%zu", service->listener_count);
    if (is_log_daemon(service))
        give_log_pipes(birth, master);
    for (size_t i = 0; i < service->listener_count; i++)
        add_descriptor(birth, service->listeners[i]->descriptor);
    birth->outlives_master = is_log_daemon(service);
    /* What a dying process says goes where its log lines go. */
    birth->standard_error = master->foreground ? STDERR_FILENO : service->log->write_end;

    add_argument(birth, service->row.program);
    add_argument(birth, "-n");
    add_argument(birth, birth->count);
    add_argument(birth, "-s");
    add_argument(birth, service->row.name);
    add_argument(birth, "-l");
    uint32_t limit = service->row.process_limit;
    add_argument(birth, limit != 0 && service_processes(service, false) + 1 >= limit ? "yes" : "no");
    if (is_log_daemon(service)) {
        add_argument(birth, "--");
        for (const struct log_pipe *pipe = master->log_pipes; pipe != NULL; pipe = pipe->next)
            add_argument(birth, pipe->tag);
    }
    birth->arguments[birth->argument_count] = NULL;
}

/* The environment is master's own choice, not what master was started with. */
static char **clean_environment(char **space, size_t size) {
    static const char *const kept[] = {"TZ=", "LANG=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    static char path[] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
    size_t count = 0;
    space[count++] = path;
    for (char **variable = environ; *variable != NULL; variable++)
        for (size_t i = 0; i < ARRAY_LENGTH(kept) && count + 1 < size; i++)
            if (strncmp(*variable, kept[i], strlen(kept[i])) == 0)
                space[count++] = *variable;
    space[count] = NULL;
    return space;
}

/* ---- in the new process, between fork and exec */

static void arrange_descriptors(const struct birth *birth) {
    int moved[ARGUMENT_LIMIT];
    int above = INHERITED_CONTROL + birth->descriptor_count; /* all that the child is given */
    int standard_error = fcntl(birth->standard_error, F_DUPFD_CLOEXEC, above);
    for (int i = 0; i < birth->descriptor_count; i++)
        if ((moved[i] = fcntl(birth->descriptors[i], F_DUPFD_CLOEXEC, above)) < 0)
            _exit(126);
    for (int i = 0; i < birth->descriptor_count; i++)
        if (dup2(moved[i], INHERITED_CONTROL + i) < 0) /* dup2 clears close-on-exec */
            _exit(126);
    if (standard_error >= 0)
        dup2(standard_error, STDERR_FILENO);
    close_range((unsigned)above, ~0U, 0);
}

static void default_signals(void) {
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

NO_RETURN static void become_child(const struct birth *birth, pid_t master_pid) {
    char *environment[20];
    default_signals();
    if (!birth->outlives_master)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master_pid)
        _exit(0);
    clean_environment(environment, ARRAY_LENGTH(environment));
    arrange_descriptors(birth);
    execve(birth->path, (char *const *)(uintptr_t)birth->arguments, environment);
    _exit(127);
}

/* ---- in master */

struct child *child_start(struct service *service, struct failure *failure) {
    int pair[2];
    char path[PLAN_TEXT_LIMIT + PLAN_NAME_LIMIT];
    snprintf(path, sizeof path, "%s/%s", service->master->settings.daemon_directory, service->row.program);
    if (access(path, X_OK) < 0) {
        failure_set_errno(failure, errno, "%s", path);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        failure_set_errno(failure, errno, "socketpair");
        return NULL;
    }
    struct birth *birth = MEMORY_NEW(struct birth);
    prepare_birth(birth, service, pair[1]);
    pid_t master_pid = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become_child(birth, master_pid);
    int fork_error = errno;
    free(birth);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        failure_set_errno(failure, fork_error, "fork");
        return NULL;
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    struct child *child = MEMORY_NEW(struct child);
    child->service = service;
    child->pid = pid;
    child->control = pair[0];
    child->started = deadline_in(0);
    child->watch = loop_watch_readable(child->control, service->master->hear_child, child);
    child->next = service->children;
    service->children = child;
    return child;
}

void child_drain(struct child *child, bool stopping) {
    if (child->draining && (child->stopping || !stopping))
        return;
    child->draining = true;
    child->stopping = stopping;
    if (!control_send(child, IPC_DRAIN, 0, &(struct ipc_drain){.stopping = stopping}, -1))
        child_kill(child, SIGTERM);
}

void child_kill(struct child *child, int signal_number) {
    child->killed_by_us = true;
    kill(child->pid, signal_number);
}

bool children_gone(const struct master *master, enum plan_stop_phase phase) {
    for (const struct service *service = master->services; service != NULL; service = service->next)
        if (service->row.stop_phase <= (uint32_t)phase && service->children != NULL)
            return false;
    return true;
}
