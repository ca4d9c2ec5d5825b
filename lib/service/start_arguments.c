/* A daemon's command line. */
#include "start_arguments.h"

enum { LISTENERS_MAX = 4096 };

bool start_arguments_read(int count, char *const *arguments, struct start_arguments *read, struct failure *failure) {
    struct start_arguments result = {0};
    bool have_listeners = false;
    int at = 1;
    for (; at + 1 < count; at += 2) {
        struct str option = str_from(arguments[at]);
        struct str value = str_from(arguments[at + 1]);
        uint64_t number;
        if (str_equal(option, STR("-n")) && str_to_u64(value, LISTENERS_MAX, &number)) {
            result.listeners = (unsigned)number;
            have_listeners = true;
        } else if (str_equal(option, STR("-s"))) {
            result.service = value;
        } else if (str_equal(option, STR("-l"))) {
            result.is_last = str_equal(value, STR("yes"));
        } else {
            break;
        }
    }
    if (at < count && str_equal(str_from(arguments[at]), STR("--"))) at++;
    else if (at < count) return failure_set(failure, "argument %s is not known; daemons are started by master", arguments[at]);
    if (!have_listeners || result.service.length == 0)
        return failure_set(failure, "this program is started by master, with -n and -s");
    result.words = arguments + at;
    result.word_count = (size_t)(count - at);
    *read = result;
    return true;
}
