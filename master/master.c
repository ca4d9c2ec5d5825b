/* master: the supervisor.
 *
 *   read the configuration (in a child without privileges)    plan_child.c, plan.c
 *   be the only master here                                   pid_file.c
 *   open the sockets                                          listeners.c
 *   start processes, restart them, limit them                 services.c, children.c
 *   hear what they say, connect them to each other            control.c
 *   obey the operator: reload, stop, status                   operator.c, reload.c, stop.c
 *
 * usage: master -c config_directory [-f] [-r descriptor]
 *   -f  stay in the foreground: no session of its own, log to standard error until the log daemon runs
 *   -r  descriptor that is told the outcome of the start, by one line */
#include "master.h"

#include "log.h"
#include "memory.h"
#include "plan_child.h"
#include "str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool read_arguments(struct master *master, int count, char **arguments) {
    int option;
    uint64_t descriptor;
    while ((option = getopt(count, arguments, "c:fr:")) != -1)
        switch (option) {
        case 'c':
            master->config_directory = optarg;
            break;
        case 'f':
            master->foreground = true;
            break;
        case 'r':
            if (!str_to_u64(str_from(optarg), 1000, &descriptor))
                return false;
            master->start_report = (int)descriptor;
            fcntl(master->start_report, F_SETFD, FD_CLOEXEC);
            break;
        default:
            return false;
        }
    return optind == count && master->config_directory != NULL;
}

static void settle_process(const struct master *master) {
    struct rlimit files;
    umask(0077);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* every child may be given as many as its row says */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null > STDERR_FILENO) {
        dup2(null, STDIN_FILENO);
        if (!master->foreground) /* whoever started us may be reading there until the end of file */
            dup2(null, STDOUT_FILENO);
        close(null);
    }
}

/* ---- the first configuration */

static void hear_at_start(bool is_error, const char *text, void *argument) {
    struct master *master = argument;
    report(master, is_error ? REPORT_ERROR : REPORT_WARNING, "%s", text);
}

static bool read_configuration(struct master *master, struct plan *plan, struct failure *failure) {
    int socket = plan_start_child(master->config_directory, &master->plan_pid, failure);
    if (socket < 0)
        return false;
    while (plan_receive(socket, plan, hear_at_start, master, failure))
        ;
    close(socket);
    while (waitpid(master->plan_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return plan->complete;
}

/* ---- signals */

static void on_stop_signal(int signal_number, void *master) {
    char why[60];
    snprintf(why, sizeof why, "terminating on signal %d", signal_number);
    stop_begin(master, why);
}

static void on_reload_signal(int signal_number, void *master) {
    (void)signal_number;
    reload_begin(master);
}

static bool set_up_loop(struct master *master, struct failure *failure) {
    if (!loop_create(NULL, failure))
        return false;
    loop_on_signal(SIGCHLD, children_reap, master);
    loop_on_signal(SIGTERM, on_stop_signal, master);
    loop_on_signal(SIGINT, on_stop_signal, master);
    loop_on_signal(SIGHUP, on_reload_signal, master);
    return true;
}

/* ---- start */

static bool start(struct master *master, struct failure *failure) {
    struct plan plan = {0};
    bool good = read_configuration(master, &plan, failure);
    if (good && chdir(plan.settings.queue_directory) < 0)
        good = failure_set_errno(failure, errno, "queue_directory %s", plan.settings.queue_directory);
    good = good && pid_file_take(failure) && set_up_loop(master, failure);
    if (good) {
        char tag[2 * PLAN_NAME_LIMIT];
        master->settings = plan.settings;
        snprintf(tag, sizeof tag, "%s/master", plan.settings.syslog_name);
        master->own_log = log_pipe_open(master, tag, failure);
        good = master->own_log != NULL && operator_open(master, failure);
        if (good)
            log_open(master->own_log->write_end, "master");
    }
    listeners_adopt(master);
    if (good)
        report(master, REPORT_INFO, "daemon started -- version %s, configuration %s", plan.settings.version,
               plan.settings.config_directory);
    good = good && reload_apply(master, &plan, failure);
    plan_free(&plan);
    return good;
}

int main(int count, char **arguments) {
    struct master *master = MEMORY_NEW(struct master);
    struct failure failure = {0};
    master->start_report = -1;
    master->plan_socket = -1;
    master->operator_socket = -1;
    master->hear_child = control_readable;
    if (!read_arguments(master, count, arguments)) {
        fprintf(stderr, "usage: master -c config_directory [-f] [-r descriptor]\n");
        return 64;
    }
    settle_process(master);
    if (!start(master, &failure)) {
        start_fail(master, failure.text);
        return EXIT_FAILURE;
    }
    notify_start_watchdog();
    start_begin(master);
    loop_run();
    operator_close(master);
    return master->exit_status;
}
