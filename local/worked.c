/* What came of a step, in the words of the log and the notice: see worker.h. */
#include <errno.h>

#include "worker.h"

bool worked_set(struct worked *worked, enum delivery_action action, const char *status, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    worked->action = (unsigned)action;
    snprintf(worked->status, sizeof worked->status, "%s", status);
    snprintf(worked->text, sizeof worked->text, "%s", buf_string(&text));
    buf_free(&text);
    return action == DELIVERY_DELIVERED;
}

bool worked_errno(struct worked *worked, int error_number, const char *format, ...) {
    struct failure words;
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    const char *status = error_number == ENOSPC   ? "4.3.1"
                         : error_number == EDQUOT ? "4.2.2"
                         : error_number == EFBIG  ? "4.2.2"
                                                  : "4.2.0";
    if (error_number == EIO || error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM ||
        error_number == EROFS)
        status = "4.3.0";
    failure_set_errno(&words, error_number, "%s", buf_string(&text));
    buf_free(&text);
    return worked_set(worked, DELIVERY_DEFERRED, status, "%s", words.text);
}

void worked_free(struct worked *worked) {
    buf_free(&worked->members);
}
