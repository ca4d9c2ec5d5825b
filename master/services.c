/* services: when a service gets a process, and when it must wait for one.
 *
 * Back-off: failures in a row make the pause before the next process 0.1 s,
 * doubling up to service_throttle_time; a process that ran well, or was killed by a signal that
 * somebody sent it, costs none. Many such kills in a row are no person's but, perhaps, for want of
 * memory at every start: then there is a pause of a second. */
#include "master.h"

#include "ipc.h"
#include "memory.h"
#include "str.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define GOOD_RUN_MS 10000
#define KILLS_IN_A_ROW 10
#define KILLS_PAUSE_MS 1000

struct service *service_create(struct master *master, const struct plan_row *row) {
    struct service *service = MEMORY_NEW(struct service);
    service->master = master;
    service->row = *row;
    service->configuration = -1;
    struct service **last = &master->services;
    while (*last != NULL)
        last = &(*last)->next;
    *last = service;
    return service;
}

static bool same_kind(const struct plan_row *a, const struct plan_row *b) {
    return strcmp(a->name, b->name) == 0 && a->listen == b->listen && strcmp(a->program, b->program) == 0;
}

struct service *service_find(const struct master *master, const struct plan_row *row) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        if (!service->retired && same_kind(&service->row, row))
            return service;
    return NULL;
}

struct service *service_by_name(const struct master *master, struct str name) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        if (!service->retired && service->row.listen == PLAN_LISTEN_PACKET &&
            str_equal(str_from(service->row.name), name))
            return service;
    return NULL;
}

static bool somebody_accepts(const struct service *service) {
    for (const struct child *child = service->children; child != NULL; child = child->next)
        if (!child->draining && !child->full)
            return true;
    return false;
}

/* Those that drain do not count: a slow delivery must not hold up the successor.
 * What may have one owner only (the queue's index, a queue file) is locked there. */
static bool at_limit(const struct service *service) {
    uint32_t limit = service->row.process_limit;
    return limit != 0 && service_processes(service, false) >= limit;
}

static bool may_run(const struct service *service) {
    const struct master *master = service->master;
    return !service->retired &&
           (master->state != MASTER_STOPPING || service->row.stop_phase > (uint32_t)master->stop_phase);
}

static void retry_now(void *argument) {
    struct service *service = argument;
    loop_timer_stop(&service->retry);
    service_evaluate(service);
}

/* True if the service has to wait; a timer will evaluate it again. */
static bool backs_off(struct service *service) {
    int64_t left = service->not_before == 0 ? 0 : deadline_left(service->not_before);
    if (left == 0)
        return false;
    if (service->retry == NULL)
        service->retry = loop_timer_start(left, 0, retry_now, service);
    return true;
}

static void warn_of_limit(struct service *service) {
    if (service->row.process_limit <= 1 || service->limit_warned)
        return;
    service->limit_warned = true;
    report(service->master, REPORT_WARNING,
           "service \"%s\" has reached its process limit \"%u\": new clients may experience noticeable delays",
           service->row.name, (unsigned)service->row.process_limit);
}

static void connection_waits(int descriptor, void *argument) {
    struct listener *listener = argument;
    (void)descriptor;
    listener->service->used = true;
    service_start_process(listener->service);
}

void service_watch(struct service *service, bool on) {
    for (size_t i = 0; i < service->listener_count; i++) {
        struct listener *listener = service->listeners[i];
        if (listener->watch == NULL && on)
            listener->watch = loop_watch_readable(listener->descriptor, connection_waits, listener);
        else if (listener->watch != NULL)
            loop_watch_pause(listener->watch, !on);
    }
}

void service_evaluate(struct service *service) {
    if (!may_run(service) || somebody_accepts(service)) {
        service_watch(service, false);
        return;
    }
    if (at_limit(service)) {
        service_watch(service, false);
        if (service_processes(service, false) >= service->row.process_limit)
            warn_of_limit(service);
        return;
    }
    if (backs_off(service)) {
        service_watch(service, false);
        return;
    }
    if ((service->row.always_runs || service->wake_wanted) && service_processes(service, false) == 0)
        service_start_process(service);
    else
        service_watch(service, true);
}

void services_evaluate_all(struct master *master) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        service_evaluate(service);
}

/* Counts a failure; the pause before the next process, in ms. */
static int64_t back_off(struct service *service) {
    int64_t longest = service->master->settings.throttle_time * 1000;
    int64_t pause = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < service->failures && pause < longest; i++)
        pause *= 2;
    if (pause > longest)
        pause = longest;
    service->failures++;
    service->not_before = deadline_in(pause);
    return pause;
}

void service_start_process(struct service *service) {
    struct failure failure = {0};
    listeners_mend(service);
    if (child_start(service, &failure) == NULL) {
        int64_t pause = back_off(service);
        report(service->master, REPORT_WARNING, "service %s: no process could be started: %s; trying again in %.1f s",
               service->row.name, failure.text, (double)pause / 1000);
    }
    service_evaluate(service);
}

/* Signals that come from people and the kernel's memory killer, not from the program's own fault. */
static bool is_outside_signal(int signal_number) {
    return signal_number == SIGKILL || signal_number == SIGTERM || signal_number == SIGINT ||
           signal_number == SIGHUP || signal_number == SIGQUIT || signal_number == SIGUSR1 ||
           signal_number == SIGUSR2 || signal_number == SIGALRM;
}

/* What follows for a service whose process ended by a fault or a signal, in words. */
static void say_what_follows(struct service *service, const struct child *child, bool failed, char *text, size_t size) {
    if (!may_run(service))
        snprintf(text, size, "%s", service->retired ? "the service is gone from master.cf" : "stopping");
    else if (child->draining && service_processes(service, false) > 0)
        snprintf(text, size, "its successor is running");
    else if (!failed && deadline_in(0) - child->started < GOOD_RUN_MS && ++service->kills > KILLS_IN_A_ROW) {
        service->not_before = deadline_in(KILLS_PAUSE_MS);
        snprintf(text, size, "%s in %.1f s (killed %u times in a row)",
                 service->row.always_runs ? "restarting" : "the next may start", KILLS_PAUSE_MS / 1000.0, service->kills);
    } else if (failed && deadline_in(0) - child->started < GOOD_RUN_MS) {
        unsigned failures = service->failures + 1;
        int64_t pause = back_off(service);
        snprintf(text, size, "%s in %.1f s (failure %u in a row)",
                 service->row.always_runs ? "restarting" : "the next may start", (double)pause / 1000, failures);
    } else
        snprintf(text, size, "%s", service->row.always_runs ? "restarting at once" : "the next starts when it is wanted");
}

void service_child_ended(struct service *service, const struct child *child, int wait_status) {
    char path[PLAN_TEXT_LIMIT + PLAN_NAME_LIMIT];
    char next[100];
    snprintf(path, sizeof path, "%s/%s", service->master->settings.daemon_directory, service->row.program);
    bool good_run = deadline_in(0) - child->started >= GOOD_RUN_MS;
    if (good_run)
        service->failures = service->kills = 0;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        /* Leaving when idle is good manners in a service that runs on demand; leaving before it was
         * ready, or from one that always runs, is not. */
        if (!child->draining && !good_run && may_run(service) && (!child->ready || service->row.always_runs)) {
            say_what_follows(service, child, true, next, sizeof next);
            report(service->master, REPORT_WARNING, "process %s pid %d ended by itself; service %s: %s", path,
                   (int)child->pid, service->row.name, next);
        } else if (!child->draining)
            service->failures = 0;
    } else if (WIFEXITED(wait_status)) {
        say_what_follows(service, child, true, next, sizeof next);
        report(service->master, REPORT_WARNING, "process %s pid %d exit status %d; service %s: %s", path,
               (int)child->pid, WEXITSTATUS(wait_status), service->row.name, next);
    } else if (!child->killed_by_us) {
        int signal_number = WTERMSIG(wait_status);
        say_what_follows(service, child, !is_outside_signal(signal_number), next, sizeof next);
        report(service->master, REPORT_WARNING, "process %s pid %d killed by signal %d; service %s: %s", path,
               (int)child->pid, signal_number, service->row.name, next);
    }
    service->limit_warned = false;
    service_evaluate(service);
}

static void service_free(struct service *service) {
    struct master *master = service->master;
    loop_timer_stop(&service->retry);
    loop_timer_stop(&service->wakeup);
    if (service->configuration >= 0)
        close(service->configuration);
    log_pipe_release(master, &service->log);
    free(service);
}

void service_free_retired(struct master *master) {
    for (struct service **at = &master->services; *at != NULL;) {
        struct service *service = *at;
        if (!service->retired || service->children != NULL) {
            at = &service->next;
            continue;
        }
        *at = service->next;
        service_free(service);
    }
}

/* ---- master.cf's wakeup column */

void service_wake_now(struct service *service) {
    if (!may_run(service))
        return;
    for (struct child *child = service->children; child != NULL; child = child->next)
        if (child->ready && !child->draining) {
            service->wake_wanted = !control_send(child, IPC_WAKE, 0, &(struct ipc_wake){}, -1);
            return;
        }
    service->wake_wanted = true; /* the next process that is ready gets it */
    service_evaluate(service);
}

static void wakeup_time(void *argument) {
    struct service *service = argument;
    if (service->used || !service->row.wakeup_only_if_used)
        service_wake_now(service);
}

void service_wakeup_arm(struct service *service) {
    loop_timer_stop(&service->wakeup);
    if (service->row.wakeup == 0)
        return;
    int64_t period = (int64_t)service->row.wakeup * 1000;
    service->wakeup = loop_timer_start(period, period, wakeup_time, service);
    if (!service->row.wakeup_only_if_used)
        service_wake_now(service);
}
