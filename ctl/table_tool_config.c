/* Reading the three parameters that ternmap and ternalias need. */
#include "config_load.h"
#include "memory.h"
#include "table_tool_config.h"

bool table_tool_config_load(const char *directory, struct table_tool_config *config, struct failure *failure) {
    struct config *loaded = NULL;
    if (directory == NULL) directory = config_default_directory();
    if (!config_load(directory, NULL, 0, SCOPE_COMMANDS, &loaded, NULL, failure)) return false;
    config->default_type = memory_copy_string(loaded->default_database_type);
    config->alias_database = memory_copy_string(loaded->alias_database);
    config->utf8 = loaded->smtputf8_enable;
    config_free(&loaded);
    return true;
}
