/* restriction_check: restrictions of a configuration that smtpd could not follow, found before mail meets them. */
#ifndef TERN_RESTRICTION_CHECK_H
#define TERN_RESTRICTION_CHECK_H

#include "compiler.h"

struct config;
struct buf;
/* Appends a line for each word of the smtpd_*_restrictions, and of the classes, that smtpd would answer with 451:
 * "PARAMETER: what is wrong". What tables hold is not looked at. True if there is none. */
bool restriction_check(const struct config *config, struct buf *lines);

#endif
