/* tls_suite: versions and ciphers of TLS as main.cf grades them, for either side. */
#ifndef TERN_TLS_SUITE_H
#define TERN_TLS_SUITE_H

#include "config.h"
#include "failure.h"
#include "memory.h"
#include "tls.h"

/* protocols: as tls.h has them. grade: intermediate, high, medium, null; low and export are medium.
 * exclude: words parted by blanks, commas or colons. Texts live in the arena or in the configuration. False: failure
 * says what is wrong. */
MUST_USE bool tls_suite_read(const struct config *config, struct str protocols, struct str grade, struct str exclude,
                             struct arena *arena, struct tls_suite_options *suite, struct failure *failure);

#endif
