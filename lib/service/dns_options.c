/* See dns_options.h. */
#include "dns_options.h"

#define PORT_DNS 53

static bool read_server(struct str word, struct endpoint *server, struct failure *failure) {
    if (endpoint_from_ip(word, PORT_DNS, server)) return true;
    if (word.length > 2 && word.data[0] == '[' && word.data[word.length - 1] == ']' &&
        endpoint_from_ip(str_slice(word, 1, word.length - 1), PORT_DNS, server))
        return true;
    return endpoint_parse(word, server, failure) || failure_prefix(failure, "dns_servers: %.*s", STR_ARGS(word));
}

bool dns_options_read(const struct config *config, struct resolver_options *options, struct failure *failure) {
    struct resolver_options read = {.timeout = config->dns_timeout * 1000,
                                    .attempts = (unsigned)config->dns_attempts,
                                    .cache_entries = (size_t)config->dns_cache_limit,
                                    .trust_any_server = config->dns_trust_any_server};
    struct str rest = config->dns_servers, word;
    while (read.server_count < ARRAY_LENGTH(read.servers) && str_next_word(&rest, ", \t\r\n", &word))
        if (!read_server(word, &read.servers[read.server_count++], failure)) return false;
    *options = read;
    return true;
}
