/* ternalias: makes and queries alias databases, as postalias(1) does; called as
 * newaliases it makes those that alias_database names. */
#include "table_tool.h"

int main(int argc, char **argv) {
    static const struct table_tool tool = {
        .name = "ternalias",
        .format = TABLE_SOURCE_ALIASES,
        .separator = ":\t",
        .usage = "[-Nfijnoprsuvw] [-c config_dir] [-d key] [-q key] [file_type:]file_name...",
    };
    return table_tool_main(&tool, argc, argv);
}
