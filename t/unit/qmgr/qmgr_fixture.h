/* qmgr_fixture: a queue manager's context around a made-up configuration, for tests that link some of its files. */
#ifndef TERN_QMGR_FIXTURE_H
#define TERN_QMGR_FIXTURE_H

#include "qmgr.h"

struct qmgr_fixture {
    struct qmgr qmgr;
    struct config *config;
};

/* The maps, and main.cf's text evaluated; no folders. */
void qmgr_fixture_make(struct qmgr_fixture *fixture, const char *main_cf);
void qmgr_fixture_end(struct qmgr_fixture *fixture);
/* Fails the test unless the two are equal. */
void expect_text(const char *about, const char *got, const char *wanted);

#endif
