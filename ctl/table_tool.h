/* What ternmap and ternalias have in common: all but their text format. */
#ifndef TERN_TABLE_TOOL_H
#define TERN_TABLE_TOOL_H

#include "table_source.h"

struct table_tool {
    const char *name;                /* what the program is called if argv[0] does not say */
    enum table_source_format format; /* of the text sources */
    const char *separator;           /* between key and value, for -s and -q - */
    const char *usage;
};

/* main() of both. Exit status: 0 done or found, 1 not found or a table that could
 * not be made, 64 usage, 75 a table that does not answer. */
int table_tool_main(const struct table_tool *tool, int argc, char **argv);

#endif
