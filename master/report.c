/* report: master's own lines. Until everything that must run is ready they also
 * go to standard error, where whoever started master sees why it does not. */
#include "master.h"

#include "log.h"

#include <stdarg.h>

#define TEXT_LIMIT 1500

void report(struct master *master, enum report_level level, const char *format, ...) {
    static const char *const words[] = {"", "warning: ", "error: ", "fatal: "};
    char text[TEXT_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (master->state == MASTER_STARTING && (level != REPORT_INFO || master->own_log == NULL))
        fprintf(stderr, "master: %s%s\n", words[level], text);
    if (master->own_log == NULL)
        return;
    switch (level) {
    case REPORT_INFO:
        log_info("%s", text);
        break;
    case REPORT_WARNING:
        log_warning("%s", text);
        break;
    case REPORT_ERROR:
        log_error("%s", text);
        break;
    case REPORT_FATAL:
        log_fatal_text("%s", text);
        break;
    }
}
