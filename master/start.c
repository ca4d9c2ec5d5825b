/* start: from the first configuration to all that must run being ready, and
 * telling `tern start` so, or what is in the way. */
#include "master.h"

#include "str.h"

#include <unistd.h>

#define START_LIMIT_MS 10000

static struct service *first_not_ready(const struct master *master) {
    for (struct service *service = master->services; service != NULL; service = service->next) {
        if (!service->row.always_runs)
            continue;
        bool ready = false;
        for (const struct child *child = service->children; child != NULL; child = child->next)
            ready = ready || child->ready;
        if (!ready)
            return service;
    }
    return NULL;
}

void report_start_outcome(struct master *master, const char *outcome) {
    if (master->start_report < 0)
        return;
    (void)!write(master->start_report, outcome, strlen(outcome));
    (void)!write(master->start_report, "\n", 1);
    close(master->start_report);
    master->start_report = -1;
    if (!master->foreground)
        dup2(STDIN_FILENO, STDERR_FILENO); /* /dev/null: the caller's terminal is no longer ours */
}

void start_evaluate(struct master *master) {
    if (master->state != MASTER_STARTING || first_not_ready(master) != NULL)
        return;
    loop_timer_stop(&master->start_timer);
    master->state = MASTER_RUNNING;
    report_start_outcome(master, "ok");
    notify_send("READY=1\nSTATUS=running");
}

void start_fail(struct master *master, const char *why) {
    report(master, REPORT_FATAL, "%s", why);
    log_pipes_dump(master);
    report_start_outcome(master, why);
    master->exit_status = EXIT_FAILURE;
}

static void start_time_is_up(void *argument) {
    struct master *master = argument;
    struct service *service = first_not_ready(master);
    char why[300];
    loop_timer_stop(&master->start_timer);
    if (service == NULL || master->state != MASTER_STARTING)
        return;
    snprintf(why, sizeof why, "service %s is not ready after %d s (%u failures in a row); see the log",
             service->row.name, START_LIMIT_MS / 1000, service->failures);
    start_fail(master, why);
    stop_begin(master, "terminating: the start has failed");
}

void start_begin(struct master *master) {
    master->start_timer = loop_timer_start(START_LIMIT_MS, 0, start_time_is_up, master);
    start_evaluate(master);
}
