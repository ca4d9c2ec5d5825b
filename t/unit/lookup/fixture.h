/* A lookup context made of the text of a main.cf, without daemon or loop. */
#ifndef TERN_TEST_LOOKUP_FIXTURE_H
#define TERN_TEST_LOOKUP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lookup.h"

struct fixture {
    struct config *config;
    struct lookup *lookup;
    struct arena *arena;
};

/* myhostname is mail.example.com; 192.0.2.1 and 2001:db8::1 are this machine's addresses. */
void fixture_make(struct fixture *fixture, const char *main_cf);
void fixture_end(struct fixture *fixture);
/* Fails the test unless the texts are equal. */
void expect_text(const char *about, struct str got, const char *wanted);

#endif
