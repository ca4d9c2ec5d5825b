/* What every subcommand of tern(8) does: complain, and load the configuration. */
#include "tern.h"

#include <stdarg.h>

void tern_complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("tern: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

struct config *tern_load(const struct tern *tern) {
    struct config *config = NULL;
    struct failure failure = {0};
    if (!config_load(tern->config_directory, NULL, 0, SCOPE_ALL, &config, NULL, &failure)) {
        tern_complain("%s", failure.text);
        return NULL;
    }
    return config;
}
