/* What the text of a value means: types, units and bounds, and its place in
 * struct config. */
#ifndef TERN_CONFIG_VALUE_H
#define TERN_CONFIG_VALUE_H

#include "config.h"
#include "failure.h"

/* A config of a scope in which nothing is set yet: texts are empty, numbers 0. */
struct config *config_make_empty(unsigned scope);
/* Checks an expanded value against its row and stores it in config (strings are
 * copied to its arena). False with what is wrong and what would be right; config
 * is untouched then. */
MUST_USE bool config_value_store(struct config *config, const struct parameter *parameter, struct str text,
                                 struct failure *failure);
/* The same without storing: *number gets the value of a number, time, size or
 * yes/no (1 or 0), and 0 for text. */
MUST_USE bool config_value_check(const struct parameter *parameter, struct str text, int64_t *number,
                                 struct failure *failure);
/* Seconds of "300s", "5d"; a bare number is in default_unit (s m h d w). */
MUST_USE bool config_value_time(struct str text, char default_unit, int64_t *seconds);

#endif
