/* fetch_probe: asks a running fetch over its socket, or tells tlsrpt, for test_mta_sts.py and test_tlsrpt.py.
 *
 *   fetch_probe SOCKET SERVICE policy DOMAIN
 *   fetch_probe SOCKET SERVICE get URL LIMIT
 *   fetch_probe SOCKET SERVICE post URL BODY
 *   fetch_probe SOCKET SERVICE result NAME=VALUE...     fields of TLSRPT_RESULT
 *
 * SERVICE is who it says that it is; empty: nobody. */
#include <stdio.h>
#include <unistd.h>

#include "ipc_socket.h"

static void say_hello(int socket, const char *service) {
    struct ipc_hello hello = {.service = str_from(service), .version = ipc_version(), .process = (uint64_t)getpid()};
    struct ipc_socket connection;
    if (service[0] == '\0') return;
    ipc_socket_open(&connection, socket);
    if (ipc_socket_send(&connection, IPC_HELLO, 0, &hello, -1, deadline_in(5000)) != IPC_TRANSFER_DONE)
        fprintf(stderr, "fetch_probe: nobody listens\n");
}

static void print_policy(const struct ipc_sts_policy_given *given) {
    printf("mode=%u\npatterns=%.*s\ntrouble=%.*s\npolicy=%.*s\n", (unsigned)given->mode, STR_ARGS(given->patterns),
           STR_ARGS(given->trouble), STR_ARGS(given->policy));
}

static void print_exchanged(const struct ipc_http_exchanged *answer) {
    printf("status=%u\ntype=%.*s\nbody=%.*s\n", (unsigned)answer->status, STR_ARGS(answer->content_type),
           STR_ARGS(answer->body));
}

static void set_field(struct ipc_tlsrpt_result *result, struct str name, struct str value) {
    const struct {
        const char *name;
        struct str *text;
    } texts[] = {{"domain", &result->domain},           {"record", &result->record},
                 {"policy", &result->policy},           {"mx_patterns", &result->mx_patterns},
                 {"result_type", &result->result_type}, {"receiving_host", &result->receiving_host},
                 {"reason", &result->reason},           {"receiving_address", &result->receiving_address},
                 {"helo", &result->receiving_helo},     {"sending_address", &result->sending_address}};
    if (str_equal(name, STR("success"))) result->success = true;
    if (str_equal(name, STR("type")) && !str_to_u64(value, 3, &result->policy_type)) result->policy_type = 2;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (str_equal(name, str_from(texts[i].name))) *texts[i].text = value;
}

static int tell_result(int socket, char **arguments) {
    struct ipc_tlsrpt_result result = {.policy_type = 2};
    struct ipc_socket connection;
    struct str name, value;
    for (; *arguments; arguments++)
        if (str_cut(str_from(*arguments), '=', &name, &value)) set_field(&result, name, value);
    ipc_socket_open(&connection, socket);
    return ipc_socket_send(&connection, IPC_TLSRPT_RESULT, 0, &result, -1, deadline_in(5000)) == IPC_TRANSFER_DONE ? 0
                                                                                                                   : 1;
}

int main(int count, char **arguments) {
    struct failure failure = {0};
    struct ipc_reply reply = {.descriptor = -1};
    if (count < 5) return 2;
    int socket = ipc_connect_path(arguments[1], &failure);
    const char *verb = arguments[3], *fourth = count > 5 ? arguments[5] : "";
    bool policy = strcmp(verb, "policy") == 0, post = strcmp(verb, "post") == 0;
    enum ipc_result result = IPC_UNREACHABLE;
    if (socket >= 0) say_hello(socket, arguments[2]);
    if (socket >= 0 && strcmp(verb, "result") == 0) return tell_result(socket, arguments + 4);
    struct arena *arena = arena_create(0);
    if (socket >= 0 && policy) {
        struct ipc_sts_policy question = {.domain = str_from(arguments[4])};
        result = ipc_ask_blocking(socket, IPC_STS_POLICY, &question, -1, IPC_STS_POLICY_GIVEN, 60000, arena, &reply,
                                  &failure);
    } else if (socket >= 0) {
        struct ipc_http_exchange question = {.method = post ? STR("POST") : STR("GET"),
                                             .url = str_from(arguments[4]),
                                             .headers = post ? STR("Content-Type: text/x-test\nX-Test: 1") : STR_EMPTY,
                                             .body = post ? str_from(fourth) : STR_EMPTY,
                                             .limit = 1000};
        if (!post && !str_to_u64(str_from(fourth), 150000, &question.limit)) question.limit = 1000;
        result = ipc_ask_blocking(socket, IPC_HTTP_EXCHANGE, &question, -1, IPC_HTTP_EXCHANGED, 60000, arena, &reply,
                                  &failure);
    }
    if (result == IPC_OK && policy)
        print_policy(reply.message);
    else if (result == IPC_OK)
        print_exchanged(reply.message);
    else
        printf("failed=%s\n", failure.text);
    arena_destroy(&arena);
    return 0;
}
