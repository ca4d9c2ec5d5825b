/* start_arguments: a daemon's command line, which master writes and the skeleton
 * reads:
 *
 *   PROGRAM -n LISTENERS -s SERVICE [-l yes|no] [--] [WORD ...]
 *
 *   -n  how many listening sockets (the log daemon: pipes) follow from
 *       INHERITED_LISTEN on
 *   -s  the service's name in master.cf
 *   -l  whether this is the last process that the service may have beside those that run
 *   WORD  the program's own; the log daemon's are the tags of its pipes
 *
 * Everything else is in the sealed configuration. */
#ifndef TERN_START_ARGUMENTS_H
#define TERN_START_ARGUMENTS_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

struct start_arguments {
    unsigned listeners;
    struct str service;
    bool is_last;
    char *const *words; /* the program's own, NULL at the end */
    size_t word_count;
};

/* Borrows from arguments. */
MUST_USE bool start_arguments_read(int count, char *const *arguments, struct start_arguments *read, struct failure *failure);

#endif
