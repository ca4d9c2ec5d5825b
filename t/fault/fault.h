/* fault: one system call of a daemon made to fail, for the tests.
 *
 * A build with --enable-fault-injection links the daemons with wrappers around their
 * own system calls (calls.def; the linker's --wrap, so libraries' calls stay as they
 * are). They look at a page that the test writes: a file named fault-page beside the
 * daemon's program, mapped before main and so before the sandbox. Without the file
 * nothing is counted and nothing fails.
 *
 * The page says for whom, which call and which one of those that match. It also keeps
 * the census: each place in the code that has made a call, and how often. */
#ifndef TERN_FAULT_H
#define TERN_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    FAULT_NAME_SIZE = 24,
    FAULT_SITES = 4096, /* a power of two */
};

/* Who is meant: processes that ran already when the page was armed, or those that began since. */
enum fault_scope { FAULT_RUNNING = 1, FAULT_STARTING = 2 };

struct fault_site {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint64_t count;
    uint64_t site;
    uint32_t scope;
    uint32_t is_named; /* the names stand here */
    char process[FAULT_NAME_SIZE];
    char call[FAULT_NAME_SIZE];
};

/* The layout is that of t/e2e/fault_page.py, too. */
struct fault_page {
    /* the test's */
    _Atomic uint32_t armed;      /* written last */
    _Atomic uint32_t generation; /* of the arming: goes up each time */
    uint32_t scope;              /* a set of fault_scope */
    uint32_t variant;            /* which of a call's errors */
    uint64_t site;               /* 0: any */
    uint64_t first;              /* of the calls that match, this one fails (from 1) */
    uint64_t count;              /* and so many after it, itself counted */
    char process[FAULT_NAME_SIZE];
    char call[FAULT_NAME_SIZE]; /* empty: any */
    /* the wrappers' */
    _Atomic uint64_t seen; /* calls that matched */
    _Atomic uint32_t met;  /* failures made */
    int32_t met_error;
    uint64_t met_site;
    char met_call[FAULT_NAME_SIZE];
    struct fault_site sites[FAULT_SITES];
};

#endif
