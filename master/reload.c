/* reload: from one configuration to the next, without a connection lost.
 *
 * The new plan comes from a new configuration child. If it is refused, or a new
 * socket cannot be had, all stays as it was. Otherwise every row keeps the
 * sockets it had, gets its new sealed configuration, its processes are told to
 * drain and new ones take over. Whoever asked is answered when the old processes
 * have said that they take nothing new: what comes after a reload meets the new
 * configuration. */
#include "master.h"

#include "memory.h"
#include "plan_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define RELOAD_PATIENCE_MS 3000 /* for processes with the old configuration to let go of the sockets */

/* ---- making a plan what runs */

/* What has to succeed before anything is changed: sockets and pipes of the new plan. */
static bool take_row(struct master *master, const struct plan_row *row, struct failure *failure) {
    struct service *service = service_find(master, row);
    struct service trial;
    if (service != NULL) { /* its addresses may have changed */
        trial = *service;
        trial.row = *row;
        if (!listeners_open(&trial, failure))
            return false;
        for (size_t i = 0; i < trial.listener_count; i++)
            trial.listeners[i]->service = service;
        memcpy(service->listeners, trial.listeners, sizeof service->listeners);
        service->listener_count = trial.listener_count;
    } else {
        service = service_create(master, row);
        if (!listeners_open(service, failure))
            return false;
    }
    service->wanted = true;
    return true;
}

static bool give_log_pipe(struct service *service, struct failure *failure) {
    if (service->log != NULL && strcmp(service->log->tag, service->row.log_tag) == 0)
        return true;
    struct log_pipe *fresh = log_pipe_open(service->master, service->row.log_tag, failure);
    if (fresh == NULL)
        return false;
    /* An old pipe stays for the draining processes that still write to it. */
    service->log = fresh;
    return true;
}

/* A row of the plan takes its service over: configuration, limits, peers. */
static bool commit_row(struct master *master, const struct plan_row *row, int *configuration, struct failure *failure) {
    struct service *service = service_find(master, row);
    if (service->configuration >= 0)
        close(service->configuration);
    service->configuration = *configuration;
    *configuration = -1;
    service->row = *row;
    service->failures = service->kills = 0;
    service->not_before = 0;
    loop_timer_stop(&service->retry);
    service->limit_warned = false;
    return give_log_pipe(service, failure);
}

static void mark_all(struct master *master, bool wanted) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        service->wanted = wanted;
    for (struct listener *listener = master->listeners; listener != NULL; listener = listener->next)
        listener->wanted = wanted;
}

/* Marks the sockets that the services now hold; a new service of a plan that
 * failed goes away with its sockets. */
static void give_up_new_services(struct master *master) {
    mark_all(master, false);
    for (struct service *service = master->services; service != NULL; service = service->next) {
        if (service->configuration < 0) {
            service->retired = true;
            service->listener_count = 0;
            continue;
        }
        struct failure ignored;
        (void)!listeners_open(service, &ignored); /* by the old row: these are open */
    }
    listeners_close_unused(master);
    service_free_retired(master);
}

static void drain_all(struct master *master) {
    for (struct service *service = master->services; service != NULL; service = service->next) {
        for (struct child *child = service->children; child != NULL; child = child->next)
            child_drain(child, false);
        if (!service->wanted) {
            service_watch(service, false);
            loop_timer_stop(&service->retry);
            loop_timer_stop(&service->wakeup);
            service->retired = true;
            service->listener_count = 0;
        }
    }
}

bool reload_apply(struct master *master, struct plan *plan, struct failure *failure) {
    mark_all(master, false);
    for (size_t i = 0; i < plan->count; i++)
        if (!take_row(master, &plan->rows[i], failure)) {
            failure_prefix(failure, "service %s", plan->rows[i].name);
            give_up_new_services(master);
            return false;
        }
    master->settings = plan->settings;
    plan_paths_free(&master->sockets);
    master->sockets = plan->sockets;
    plan->sockets = (struct plan_paths){0};
    for (size_t i = 0; i < plan->count; i++)
        if (!commit_row(master, &plan->rows[i], &plan->configurations[i], failure))
            report(master, REPORT_ERROR, "service %s: %s", plan->rows[i].name, failure->text);
    drain_all(master);
    listeners_close_unused(master);
    service_free_retired(master);
    services_evaluate_all(master);
    for (struct service *service = master->services; service != NULL; service = service->next)
        if (!service->retired)
            service_wakeup_arm(service);
    return true;
}

/* ---- the new configuration's way here */

static void end_reading(struct master *master) {
    loop_watch_stop(&master->plan_watch);
    close(master->plan_socket);
    master->plan_socket = -1;
    plan_free(&master->coming);
    bool again = master->reload_again;
    master->reload_again = false;
    if (again && master->state == MASTER_RUNNING)
        reload_begin(master);
}

static bool somebody_accepts(const struct master *master) {
    for (const struct service *service = master->services; service != NULL; service = service->next)
        for (const struct child *child = service->children; child != NULL; child = child->next)
            if (child->draining && child->ready && !child->left)
                return true;
    return false;
}

static void tell_done(struct master *master) {
    loop_timer_stop(&master->reload_patience);
    operator_reload_done(master, "ok");
}

static void patience_is_over(void *argument) { tell_done(argument); }

void reload_evaluate(struct master *master) {
    /* While the next configuration is being read its end tells them. */
    if (master->reload_patience && master->plan_socket < 0 && !somebody_accepts(master))
        tell_done(master);
}

static void refuse_reload(struct master *master, const char *why) {
    report(master, REPORT_ERROR, "reload refused: %s; the running configuration stays", why);
    notify_send("READY=1\nSTATUS=reload refused");
    operator_reload_done(master, "failed");
    end_reading(master);
}

static void hear_of_problem(bool is_error, const char *text, void *argument) {
    struct master *master = argument;
    report(master, is_error ? REPORT_ERROR : REPORT_WARNING, "%s", text);
    operator_reload_problem(master, text);
}

static void plan_readable(int descriptor, void *argument) {
    struct master *master = argument;
    struct failure failure = {0};
    if (plan_receive(descriptor, &master->coming, hear_of_problem, master, &failure))
        return;
    if (!master->coming.complete) {
        refuse_reload(master, failure.text);
        return;
    }
    if (strcmp(master->coming.settings.queue_directory, master->settings.queue_directory) != 0) {
        refuse_reload(master, "queue_directory has changed, which takes a stop and a start");
        return;
    }
    if (!reload_apply(master, &master->coming, &failure)) {
        refuse_reload(master, failure.text);
        return;
    }
    report(master, REPORT_INFO, "reload -- version %s, configuration %s", master->settings.version,
           master->settings.config_directory);
    notify_send("READY=1\nSTATUS=running");
    loop_timer_stop(&master->reload_patience);
    master->reload_patience = loop_timer_start(RELOAD_PATIENCE_MS, 0, patience_is_over, master);
    end_reading(master);
    reload_evaluate(master);
}

void reload_begin(struct master *master) {
    struct failure failure = {0};
    if (master->state != MASTER_RUNNING)
        return;
    if (master->plan_socket >= 0) { /* one is being read that may be older than what is now meant */
        master->reload_again = true;
        return;
    }
    notify_send("RELOADING=1");
    master->plan_socket = plan_start_child(master->config_directory, &master->plan_pid, &failure);
    if (master->plan_socket < 0) {
        report(master, REPORT_ERROR, "reload refused: %s", failure.text);
        operator_reload_done(master, "failed");
        return;
    }
    fcntl(master->plan_socket, F_SETFL, O_NONBLOCK);
    master->plan_watch = loop_watch_readable(master->plan_socket, plan_readable, master);
}
