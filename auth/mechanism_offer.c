/* Whether a mechanism is offered to a client. See exchange.h. */
#include "auth_daemon.h"

static bool is_listed(const struct auth *auth, const struct mechanism *mechanism) {
    struct str word, rest = auth->config->auth_mechanisms;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal_nocase(word, mechanism->name)) return true;
    return false;
}

bool mechanism_is_available(const struct auth *auth, const struct mechanism *mechanism,
                            const struct ipc_auth_mechanisms *client) {
    if (!is_listed(auth, mechanism) || (mechanism->shows_password && !client->encrypted)) return false;
    return mechanism->is_available(auth, client);
}
