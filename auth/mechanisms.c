/* The table of mechanisms. See exchange.h. */
#include "auth_daemon.h"
#include "relay.h"

static const struct mechanism *const mechanisms[] = {
    &mechanism_scram_sha_256_plus, &mechanism_scram_sha_256, &mechanism_scram_sha_1_plus,
    &mechanism_scram_sha_1,        &mechanism_plain,         &mechanism_login,
    &mechanism_oauthbearer,        &mechanism_xoauth2,       &mechanism_external,
    &mechanism_anonymous,          &mechanism_cram_md5,
};

const struct mechanism *mechanism_find(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(mechanisms); i++)
        if (str_equal_nocase(name, mechanisms[i]->name)) return mechanisms[i];
    return NULL;
}

void mechanisms_offered(const struct auth *auth, const struct ipc_auth_mechanisms *client, struct buf *names) {
    if (relay_takes(auth, client->protocol)) {
        relay_mechanisms(auth, client->encrypted, names);
        return;
    }
    struct str word, rest = auth->config->auth_mechanisms;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        const struct mechanism *mechanism = mechanism_find(word);
        if (!mechanism || !mechanism_is_available(auth, mechanism, client)) continue;
        buf_printf(names, "%s%.*s", names->length ? " " : "", STR_ARGS(mechanism->name));
    }
}
