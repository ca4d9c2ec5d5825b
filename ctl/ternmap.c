/* ternmap: makes and queries lookup tables, as postmap(1) does. */
#include "table_tool.h"

int main(int argc, char **argv) {
    static const struct table_tool tool = {
        .name = "ternmap",
        .format = TABLE_SOURCE_MAP,
        .separator = "\t",
        .usage = "[-NUfijnoprsuvw] [-c config_dir] [-d key] [-q key] [file_type:]file_name...",
    };
    return table_tool_main(&tool, argc, argv);
}
