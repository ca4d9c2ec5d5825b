/* What ternmap and ternalias take from main.cf. */
#ifndef TERN_TABLE_TOOL_CONFIG_H
#define TERN_TABLE_TOOL_CONFIG_H

#include "compiler.h"
#include "failure.h"

struct table_tool_config {
    char *default_type;   /* default_database_type */
    char *alias_database; /* as written: type:name elements */
    bool utf8;            /* smtputf8_enable */
};

/* Reads main.cf in directory (NULL: the usual one). */
MUST_USE bool table_tool_config_load(const char *directory, struct table_tool_config *config,
                                     struct failure *failure);

#endif
