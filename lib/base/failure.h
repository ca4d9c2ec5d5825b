/* failure: what went wrong, in words for a person.
 *
 * Functions that can fail return a typed result and, if there is more to say
 * than that, take a `struct failure *` that they fill on failure only. Library
 * code neither logs nor exits: its caller does, with this text. */
#ifndef TERN_FAILURE_H
#define TERN_FAILURE_H

#include "compiler.h"

struct failure {
    int error_number;  /* errno where a system call failed, else 0 */
    char text[500];    /* one line, no control characters, NUL-terminated */
};

/* Sets the text (cut to fit; control characters become '?'), error_number 0.
 * failure may be NULL. Returns false, so that `return failure_set(...)` reads. */
bool failure_set(struct failure *failure, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same with ": " and the words for an errno value added. */
bool failure_set_errno(struct failure *failure, int error_number, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts "prefix: " before what is there, as an error climbs. */
bool failure_prefix(struct failure *failure, const char *format, ...) PRINTF_LIKE(2, 3);

/* True for an errno that says "this machine, not this message": ENOSPC, EDQUOT,
 * EIO, EMFILE, ENFILE, ENOMEM, EROFS, EAGAIN, EINTR, ETIMEDOUT ... Such a
 * failure is always a deferral (promise 1). */
bool failure_is_local(int error_number);

#endif
