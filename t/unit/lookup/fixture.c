/* A lookup context for unit tests: see fixture.h. */
#include "fixture.h"
#include "config_load.h"

static const struct config_system machine = {
    .hostname = STR_INIT("mail.example.com"),
    .networks_host = STR_INIT("192.0.2.1/32"),
    .networks_subnet = STR_INIT("192.0.2.0/24"),
    .networks_class = STR_INIT("192.0.2.0/24"),
};

static void add_address(struct lookup *lookup, const char *ip) {
    lookup->interfaces = memory_resize(lookup->interfaces, lookup->interface_count + 1, sizeof *lookup->interfaces);
    assert_true(endpoint_from_ip(str_from(ip), 0, &lookup->interfaces[lookup->interface_count++]));
}

void fixture_make(struct fixture *fixture, const char *main_cf) {
    struct failure failure = {0};
    if (!config_evaluate(str_from(main_cf), "main.cf", &machine, NULL, 0, SCOPE_LOOKUP, &fixture->config, NULL,
                         &failure))
        fail_msg("%s", failure.text);
    fixture->lookup = lookup_create(fixture->config);
    fixture->arena = arena_create(0);
    add_address(fixture->lookup, "192.0.2.1");
    add_address(fixture->lookup, "2001:db8::1");
}

void fixture_end(struct fixture *fixture) {
    arena_destroy(&fixture->arena);
    lookup_destroy(&fixture->lookup);
    config_free(&fixture->config);
}

void expect_text(const char *about, struct str got, const char *wanted) {
    if (!str_equal(got, str_from(wanted))) fail_msg("%s: got \"%.*s\", wanted \"%s\"", about, STR_ARGS(got), wanted);
}
