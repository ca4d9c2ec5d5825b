/* pam: asks PAM for auth, and answers one question: is this the user's password, and may
 * the user come in.
 *
 *   PAM_CHECK  from auth alone: handed on to a process that stays root (checker.c)
 *
 * The daemon itself is nobody, in an empty root, and holds nothing but the sockets to auth
 * and to that process. It bounds how many checks run at once; more wait here. */
#include "pam.h"

#include "log.h"
#include "service.h"

struct pam {
    struct service *service;
    const struct config *config;
    int socket; /* to the process for checks, until the client has it */
    struct ipc_client *checker;
    int64_t running;
    struct task_queue place; /* tasks that wait until a check ends */
};

/* ---- the process for checks */

/* There is one connection in a life. */
static int connect_once(void *context, deadline until, struct failure *failure) {
    struct pam *pam = context;
    int socket = pam->socket;
    (void)until;
    pam->socket = -1;
    if (socket < 0) failure_set(failure, "the process for checks has gone");
    return socket;
}

static void on_loss(void *context) {
    const struct pam *pam = context;
    if (!service_is_draining(pam->service)) log_error("the process for checks has gone: ending, to be started anew");
    loop_stop();
}

/* ---- PAM_CHECK */

static bool take_place(struct pam *pam, deadline until) {
    while (pam->running >= pam->config->pam_check_limit)
        if (task_queue_wait(&pam->place, until) != WAIT_READY) return false;
    pam->running++;
    return true;
}

static void check(struct ipc_request *request, struct pam *pam) {
    static const struct ipc_done done;
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    int64_t limit = pam->config->pam_time_limit * 1000;
    if (!take_place(pam, deadline_in(limit))) {
        ipc_answer_failed(request, 454, "4.7.0", "too many checks are waiting for PAM");
        return;
    }
    enum ipc_result result = ipc_ask(pam->checker, IPC_PAM_CHECK, request->message, -1, IPC_DONE,
                                     deadline_in(limit + 5000), request->arena, &reply, &failure);
    pam->running--;
    task_queue_wake_one(&pam->place);
    if (result == IPC_OK) {
        ipc_answer(request, IPC_DONE, &done, -1);
    } else if (result == IPC_REFUSED) {
        ipc_answer(request, IPC_FAILED, reply.message, -1);
    } else {
        ipc_answer_failed(request, 454, "4.7.0", "%s", failure.text);
    }
}

static void dispatch(struct ipc_request *request, void *context) {
    if (request->type == IPC_PAM_CHECK && str_equal(ipc_peer_service(request->peer), STR("auth")))
        check(request, context);
    else
        ipc_answer_failed(request, 454, "4.7.0", "pam does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 2000, dispatch, service_context(service));
}

/* ---- the daemon */

static bool prepare(struct service *service, struct failure *failure) {
    struct pam *pam = MEMORY_NEW(struct pam);
    service_set_context(service, pam);
    pam->service = service;
    pam->config = service_config(service);
    return checker_prepare(pam->config, &pam->socket, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct pam *pam = service_context(service);
    (void)failure;
    pam->checker = ipc_client_create(connect_once, pam, NULL, NULL);
    ipc_client_on_loss(pam->checker, on_loss, pam);
    return true;
}

static const struct service_declaration declaration = {
    .program = "pam",
    .prepare = prepare,
    .start = start,
    .session = session,
    .session_limit = 100,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
