/* pickup: takes in what the sendmail command hands over.
 *
 *   PICKUP_SUBMIT    over the public socket; the kernel says who calls
 *   drop_folder.c    files that set-gid drop left while the server was down
 *   callers.c        how many connections an account may have
 *   submission.c     envelope, content, commit
 *   letterhead.c     trace, missing fields, domains for addresses without one
 *
 * It runs as tern-pickup, may touch the drop folder alone, and talks to cleanup. */
#include "pickup.h"
#include "log.h"
#include <fcntl.h>
#include <unistd.h>

/* Only a sealed memory file: it cannot change while it is read, and reading it cannot hold up the others, as a
 * file system made by the caller could. */
static bool is_sealed(int file) {
    int wanted = F_SEAL_WRITE | F_SEAL_SHRINK;
    int seals = fcntl(file, F_GET_SEALS);
    return seals >= 0 && (seals & wanted) == wanted;
}

static void submit(struct ipc_request *request, struct pickup *pickup) {
    struct submission submission = {
        .request = request->message, .file = request->descriptor, .uid = ipc_peer_uid(request->peer)};
    struct intake_failure failure = {0};
    char queue_id[24];
    if (request->descriptor < 0 || !is_sealed(request->descriptor)) {
        ipc_answer_failed(request, 550, "5.5.4", "no content came with the message, or not in a sealed memory file");
    } else if (submission_take(pickup, &submission, request->arena, queue_id, &failure)) {
        struct ipc_pickup_accepted answer = {.queue_id = str_from(queue_id)};
        ipc_answer(request, IPC_PICKUP_ACCEPTED, &answer, -1);
    } else {
        ipc_answer_failed(request, failure.reply_code, failure.status, "%s", failure.text);
    }
}

static void dispatch(struct ipc_request *request, void *context) {
    if (request->type == IPC_PICKUP_SUBMIT)
        submit(request, context);
    else
        ipc_answer_failed(request, 550, "5.5.1", "pickup does not serve %s", ipc_type_name(request->type));
}

/* One message at a time for each connection, and a number of connections for each account: a user's flood waits
 * behind itself. Who has too many is not answered, since waiting for the question would take the place away from
 * others; sendmail knows by the end of the connection that its question was not read. */
static void session(struct service *service, int connection, unsigned listener) {
    struct pickup *pickup = service_context(service);
    uint32_t uid = ipc_descriptor_uid(connection);
    (void)listener;
    if (!callers_enter(pickup, uid)) {
        close(connection);
        return;
    }
    ipc_serve_while_used(connection, 1, pickup->config->pickup_timeout * 1000, dispatch, pickup);
    callers_leave(pickup, uid);
}

static void wake(struct service *service) {
    drop_folder_scan(service_context(service));
}

static void tick(struct service *service) {
    drop_folder_tick(service_context(service));
}

/* Names of accounts are looked up while there is a list of them. */
static bool prepare(struct service *service, struct failure *failure) {
    struct pickup *pickup = MEMORY_NEW(struct pickup);
    service_set_context(service, pickup);
    pickup->service = service;
    pickup->config = service_config(service);
    return permission_read(STR("authorized_submit_users"), pickup->config->authorized_submit_users, &pickup->may_submit,
                           failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct pickup *pickup = service_context(service);
    (void)failure;
    pickup->intake = intake_source_create(service_client(service, "cleanup", NULL, NULL), pickup->config);
    pickup->folder = service_directory(service);
    pickup->callers = map_create();
    pickup->put_off = map_create();
    drop_folder_scan(pickup);
    return true;
}

static const struct service_declaration declaration = {
    .program = "pickup",
    .prepare = prepare,
    .start = start,
    .session = session,
    .wake = wake,
    .tick = tick,
    .session_limit = 200,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
