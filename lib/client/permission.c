/* See permission.h. The names become numbers once, at the start: beneath the queue there is
 * no list of accounts to ask. */
#include "permission.h"
#include "log.h"
#include "memory.h"
#include <errno.h>
#include <pwd.h>

static void add(struct permission *permission, struct permission_item item) {
    permission->items = memory_resize(permission->items, permission->count + 1, sizeof *permission->items);
    permission->items[permission->count++] = item;
}

static bool add_account(struct permission *permission, struct str parameter, struct str name, bool negated,
                        struct failure *failure) {
    char *text = memory_copy_string(name);
    errno = 0;
    const struct passwd *account = getpwnam(text);
    int error_number = errno;
    MEMORY_FREE(text);
    if (account) {
        add(permission, (struct permission_item){.negated = negated, .uid = (uint32_t)account->pw_uid});
    } else if (failure_is_local(error_number)) {
        return failure_set_errno(failure, error_number, "%.*s: cannot look up the account %.*s", STR_ARGS(parameter),
                                 STR_ARGS(name));
    } else {
        log_warning("%.*s: there is no account %.*s", STR_ARGS(parameter), STR_ARGS(name));
    }
    return true;
}

static bool add_word(struct permission *permission, struct str parameter, struct str word, struct failure *failure) {
    struct str whole = word;
    bool negated = false;
    while (str_starts(word, STR("!"))) {
        negated = !negated;
        word = str_from_offset(word, 1);
    }
    if (str_equal(word, STR("static:anyone")) || str_equal(word, STR("static:all"))) {
        add(permission, (struct permission_item){.negated = negated, .everyone = true});
        return true;
    }
    if (word.length == 0 || word.data[0] == '/' || str_find(word, ':') != STR_NONE)
        return failure_set(failure, "%.*s: \"%.*s\": only account names, ! before them and static:anyone are supported",
                           STR_ARGS(parameter), STR_ARGS(whole));
    return add_account(permission, parameter, word, negated, failure);
}

bool permission_read(struct str parameter, struct str value, struct permission *permission, struct failure *failure) {
    struct permission made = {.count = 0};
    struct str word;
    while (str_next_word(&value, ", \t\r\n", &word)) {
        if (add_word(&made, parameter, word, failure)) continue;
        permission_free(&made);
        return false;
    }
    *permission = made;
    return true;
}

void permission_free(struct permission *permission) {
    MEMORY_FREE(permission->items);
    permission->count = 0;
}

bool permission_has(const struct permission *permission, uint32_t uid) {
    for (size_t i = 0; i < permission->count; i++)
        if (permission->items[i].everyone || permission->items[i].uid == uid) return !permission->items[i].negated;
    return false;
}
