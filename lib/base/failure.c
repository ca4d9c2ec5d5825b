/* failure: what went wrong, in words for a person. */
#include "failure.h"
#include <errno.h>
#include <stdarg.h>

#define TEXT_SIZE sizeof(((struct failure *)NULL)->text)

static void set_text(struct failure *failure, const char *text) {
    size_t i = 0;
    for (; i < TEXT_SIZE - 1 && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        failure->text[i] = c < ' ' || c == 0x7f ? '?' : text[i];
    }
    failure->text[i] = '\0';
}

/* The words in front, then ": " and the words behind; if both do not fit it is the front that is
 * cut, for the reason matters most. Works in memory of its own: an argument may be failure->text. */
static void store_joined(struct failure *failure, const char *behind, const char *format, va_list arguments) {
    char text[TEXT_SIZE];
    size_t behind_length = strlen(behind);
    if (behind_length > TEXT_SIZE / 2) behind_length = TEXT_SIZE / 2;
    size_t room = TEXT_SIZE - behind_length - 2;
    int length = vsnprintf(text, room, format, arguments);
    size_t at = length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
    (void)snprintf(text + at, TEXT_SIZE - at, ": %s", behind);
    set_text(failure, text);
}

bool failure_set(struct failure *failure, const char *format, ...) {
    if (!failure) return false;
    char text[TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    set_text(failure, text);
    failure->error_number = 0;
    return false;
}

bool failure_set_errno(struct failure *failure, int error_number, const char *format, ...) {
    if (!failure) return false;
    va_list arguments;
    va_start(arguments, format);
    /* strerror has a buffer per thread in the C libraries that we run on. */
    store_joined(failure, strerror(error_number), format, arguments);
    va_end(arguments);
    failure->error_number = error_number;
    return false;
}

bool failure_prefix(struct failure *failure, const char *format, ...) {
    if (!failure) return false;
    char before[TEXT_SIZE];
    memcpy(before, failure->text, TEXT_SIZE);
    va_list arguments;
    va_start(arguments, format);
    store_joined(failure, before, format, arguments);
    va_end(arguments);
    return false;
}

bool failure_is_local(int error_number) {
    switch (error_number) {
    /* What this machine has run out of. */
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EMLINK:
    case ENOBUFS:
    case ENOLCK:
    case EUSERS:
    /* A disk or a file system in trouble. */
    case EIO:
    case EROFS:
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
    case ESTALE:
    case EREMOTEIO:
    case EUCLEAN:
    case ENOLINK:
    case ESHUTDOWN:
    /* Somebody else has it, or it took too long. */
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETXTBSY:
    case EDEADLK:
    case ETIMEDOUT:
    case ECANCELED:
    /* The network below a remote file system or another process of ours. */
    case ENETDOWN:
    case ENETUNREACH:
    case ENETRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE:
    /* A kernel or a sandbox that does not let us. */
    case ENOSYS:
        return true;
    default:
        return false;
    }
}
