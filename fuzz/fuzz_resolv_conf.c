/* Fuzz target: resolv.conf. */
#include "resolv_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct resolv_conf conf;
    resolv_conf_parse(str_make((const char *)data, size), &conf);
    check(conf.server_count >= 1 && conf.server_count <= RESOLV_CONF_SERVERS);
    check(conf.timeout >= 0 && conf.timeout <= 30000 && conf.attempts <= 5);
    for (size_t i = 0; i < conf.server_count; i++) check(endpoint_port(&conf.servers[i]) == 53);
    return 0;
}
