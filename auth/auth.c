/* auth: says who somebody is. */
#include "auth.h"
#include "log.h"

static void dispatch(struct ipc_request *request, void *context) {
    (void)context;
    ipc_answer_failed(request, 454, "4.7.0", "auth does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 10000, dispatch, service_context(service));
}

static bool prepare(struct service *service, struct failure *failure) {
    struct auth *auth = MEMORY_NEW(struct auth);
    auth->service = service;
    auth->config = service_config(service);
    service_set_context(service, auth);
    return sources_open(&auth->sources, service, auth->config->auth_sources, failure);
}

static const struct service_declaration declaration = {
    .program = "auth",
    .prepare = prepare,
    .session = session,
    .session_limit = 10000,
    .blocking_threads = 8,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
