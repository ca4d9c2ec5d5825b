/* A queue manager's context for tests: see qmgr_fixture.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "qmgr_fixture.h"
#include "logins.h"
#include "config_load.h"

static const struct config_system machine = {
    .hostname = STR_INIT("mail.example.com"),
    .networks_host = STR_INIT("192.0.2.1/32"),
    .networks_subnet = STR_INIT("192.0.2.0/24"),
    .networks_class = STR_INIT("192.0.2.0/24"),
};

void qmgr_fixture_make(struct qmgr_fixture *fixture, const char *main_cf) {
    struct failure failure = {0};
    *fixture = (struct qmgr_fixture){.config = NULL};
    if (!config_evaluate(str_from(main_cf), "main.cf", &machine, NULL, 0, SCOPE_QMGR, &fixture->config, NULL, &failure))
        fail_msg("%s", failure.text);
    fixture->qmgr.config = fixture->config;
    fixture->qmgr.active = map_create();
    fixture->qmgr.leaving = map_create();
    fixture->qmgr.incoming_ids = map_create();
    fixture->qmgr.transports = map_create();
}

void qmgr_fixture_end(struct qmgr_fixture *fixture) {
    struct qmgr *qmgr = &fixture->qmgr;
    size_t at = 0;
    struct str name;
    void *value;
    destinations_sweep(qmgr);
    while (map_next(qmgr->transports, &at, &name, &value)) {
        struct transport *transport = value;
        if (map_count(transport->destinations)) fail_msg("destinations of %s are left", transport->name);
        map_destroy(&transport->destinations);
        MEMORY_FREE(transport->name);
        MEMORY_FREE(transport);
    }
    if (map_count(qmgr->active) || map_count(qmgr->leaving)) fail_msg("messages are left");
    map_destroy(&qmgr->active);
    map_destroy(&qmgr->leaving);
    map_destroy(&qmgr->incoming_ids);
    map_destroy(&qmgr->transports);
    config_free(&fixture->config);
}

/* The account "held" is on hold, and none is counted, where logins.c is not linked. */
bool logins_is_held(const struct qmgr *qmgr, struct str login) {
    (void)qmgr;
    return str_equal(login, STR("held"));
}
void logins_bounced(struct qmgr *qmgr, struct str login) {
    (void)qmgr, (void)login;
}

void expect_text(const char *about, const char *got, const char *wanted) {
    if (!str_equal(str_from(got), str_from(wanted))) fail_msg("%s: got \"%s\", wanted \"%s\"", about, got, wanted);
}
