/* ternconf: what it says of trouble. */
#include "ternconf.h"

#include <errno.h>
#include <stdarg.h>

static void say(const char *kind, const char *format, va_list arguments) {
    struct buf text = buf_make(0);
    buf_vprintf(&text, format, arguments);
    fflush(stdout);
    /* ternconf, or postconf where it is called so */
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, kind, buf_string(&text));
    buf_free(&text);
}

void ternconf_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("warning", format, arguments);
    va_end(arguments);
}

void ternconf_fatal(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("fatal", format, arguments);
    va_end(arguments);
    exit(EXIT_FAILURE);
}
