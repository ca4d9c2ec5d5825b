/* reap: taking note of the end of processes, and of what follows from it. */
#include "master.h"

#include <sys/wait.h>
#include <unistd.h>

static struct child **find_child(struct master *master, pid_t pid) {
    for (struct service *service = master->services; service != NULL; service = service->next)
        for (struct child **at = &service->children; *at != NULL; at = &(*at)->next)
            if ((*at)->pid == pid)
                return at;
    return NULL;
}

static void child_ended(struct master *master, pid_t pid, int wait_status) {
    struct child **at = find_child(master, pid);
    if (at == NULL)
        return; /* the configuration child, or as process 1 of a container somebody's orphan */
    struct child *child = *at;
    struct service *service = child->service;
    *at = child->next;
    loop_watch_stop(&child->watch);
    close(child->control);
    service_child_ended(service, child, wait_status);
    free(child);
}

void children_reap(int signal_number, void *argument) {
    struct master *master = argument;
    int wait_status;
    pid_t pid;
    (void)signal_number;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
        child_ended(master, pid, wait_status);
    reload_evaluate(master);
    service_free_retired(master);
    if (master->state == MASTER_STOPPING)
        stop_evaluate(master);
}
