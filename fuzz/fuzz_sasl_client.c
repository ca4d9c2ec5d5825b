/* Fuzz target: what a server says in a SASL exchange. The first line is the list of mechanisms it offers, each further
 * line a challenge. */
#include "sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void converse(struct str offered, struct str rest, bool token) {
    static const struct sasl_binding binding = {
        .exporter = STR_INIT("0123456789abcdef0123456789abcdef"), .end_point = STR_INIT(""), .possible = true};
    const struct sasl_credentials credentials = {
        .user = STR("user"), .password = STR("pencil"), .token = token, .host = STR("h.test"), .port = 25};
    const struct sasl_mechanism *mechanism = sasl_client_choose(offered, STR_EMPTY, 0, token, &binding);
    if (!mechanism) return;
    struct sasl_client *client = sasl_client_create(mechanism, &credentials, &binding, STR("rOprNGfwEbeRWgbNEkqO"));
    struct buf response = buf_make(0);
    struct failure failure = {0};
    struct str line;
    if (sasl_mechanism_begins(mechanism)) sasl_client_begin(client, &response);
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &line, &rest);
        if (!more) line = rest;
        buf_clear(&response);
        if (!sasl_client_answer(client, line, &response, &failure)) more = false;
    }
    if (sasl_client_accept(client, &failure)) buf_clear(&response);
    buf_free_secret(&response);
    sasl_client_free(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), offered, rest, bad;
    unsigned security = 0;
    if (!str_cut(input, '\n', &offered, &rest)) return 0;
    converse(offered, rest, false);
    converse(offered, rest, true);
    if (sasl_security_parse(offered, &security, &bad) && security > 63) abort();
    return 0;
}
