/* stop: everybody drains, in an order in which nobody misses whom he needs.
 *
 * First what lets mail in, then the queue, then agents, cleanup, lookup, and the
 * log last. Who has not ended when the time is up is killed: the queue is safe
 * from that at every moment. */
#include "master.h"

#include <signal.h>

#define LOG_LIMIT_MS 2000

static void drain_phase(struct master *master) {
    for (struct service *service = master->services; service != NULL; service = service->next) {
        if (service->row.stop_phase > (uint32_t)master->stop_phase)
            continue;
        service_watch(service, false);
        loop_timer_stop(&service->retry);
        loop_timer_stop(&service->wakeup);
        for (struct child *child = service->children; child != NULL; child = child->next)
            child_drain(child, true);
    }
}

static void kill_all_but_log(struct master *master) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        for (struct child *child = service->children; child != NULL; child = child->next)
            if (service->row.stop_phase < PLAN_STOP_LOG) {
                report(master, REPORT_WARNING, "service %s pid %d did not end in time: killing it", service->row.name,
                       (int)child->pid);
                child_kill(child, SIGKILL);
            }
}

static void kill_log(void *argument) {
    struct master *master = argument;
    loop_timer_stop(&master->stop_timer);
    for (struct service *service = master->services; service != NULL; service = service->next)
        for (struct child *child = service->children; child != NULL; child = child->next)
            child_kill(child, SIGKILL);
}

static void time_is_up(void *argument) {
    struct master *master = argument;
    loop_timer_stop(&master->stop_timer);
    master->stop_phase = PLAN_STOP_LOOKUP;
    drain_phase(master);
    kill_all_but_log(master);
    stop_evaluate(master);
}

void stop_evaluate(struct master *master) {
    while (master->stop_phase < PLAN_STOP_LOG && children_gone(master, master->stop_phase)) {
        master->stop_phase++;
        if (master->stop_phase == PLAN_STOP_LOG) {
            loop_timer_stop(&master->stop_timer);
            master->stop_timer = loop_timer_start(LOG_LIMIT_MS, 0, kill_log, master);
        }
        drain_phase(master);
    }
    if (master->stop_phase == PLAN_STOP_LOG && children_gone(master, PLAN_STOP_LOG))
        loop_stop();
}

void stop_begin(struct master *master, const char *why) {
    if (master->state == MASTER_STOPPING)
        return;
    report(master, REPORT_INFO, "%s", why);
    notify_send("STOPPING=1");
    master->state = MASTER_STOPPING;
    master->stop_phase = PLAN_STOP_INTAKE;
    master->stop_timer = loop_timer_start(master->settings.stop_time * 1000, 0, time_is_up, master);
    drain_phase(master);
    stop_evaluate(master);
}
