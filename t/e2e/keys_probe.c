/* keys_probe: stands in for smtpd in test_keys.py. A connection is TLS from its first
 * byte, with certificates and tickets of a keys_pool; then lines are sent back, with the
 * process's number before them. It is never installed. */
#include "keys.h"
#include "log.h"
#include "service.h"
#include "stream.h"
#include "tls.h"

#include <unistd.h>

#define PATIENCE_MS 30000

static void serve_lines(struct stream *stream, const struct tls_facts *facts) {
    struct str line;
    while (stream_read_line(stream, &line) == STREAM_OK) {
        if (stream_printf(stream, "%d %s %.*s\r\n", (int)getpid(), facts->reused ? "reused" : "full", STR_ARGS(line)) !=
                STREAM_OK ||
            stream_flush(stream) != STREAM_OK)
            return;
    }
}

static void session(struct service *service, int connection, unsigned listener) {
    struct failure failure = {0};
    struct stream *stream = stream_create(connection, 1000);
    struct tls_connection *tls;
    (void)listener;
    stream_set_deadline(stream, deadline_in(PATIENCE_MS));
    struct tls_context *context = keys_pool_context(service_context(service), deadline_in(PATIENCE_MS), &failure);
    if (!context)
        log_warning("probe: no context: %s", failure.text);
    else if (!tls_accept(stream, context, &tls, &failure))
        log_warning("probe: handshake: %s", failure.text);
    else
        serve_lines(stream, tls_connection_facts(tls));
    tls_context_release(&context);
    stream_destroy(&stream);
}

static bool start(struct service *service, struct failure *failure) {
    static const struct tls_server_options options = {
        .tickets = true, .suite = {.protocols = STR_INIT(">=TLSv1.2")}, .session_context = STR_INIT("probe")};
    (void)failure;
    service_set_context(service, keys_pool_create(service, &options));
    return true;
}

static const struct service_declaration declaration = {
    .program = "smtpd", .start = start, .session = session, .session_limit = 1000};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
