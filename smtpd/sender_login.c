/* sender_login: whose address the sender's is, by smtpd_sender_login_maps, and
 * whether it is the client's who uses it.
 *
 * The table says for an address which logins own it. Keys are tried from the
 * particular to the general as Postfix has them: user+extension@domain, user@domain,
 * for a domain of this machine the local parts alone, @domain. */
#include "policy.h"

/* Asks the table for one key. False: refused already. */
static bool ask(struct policy *policy, struct str key, bool *found, struct str *owners) {
    struct failure failure = {0};
    if (resolve_match(policy->smtpd->resolve, STR("smtpd_sender_login_maps"), key, deadline_in(SMTPD_LOOKUP_TIME),
                      policy->arena, found, owners, &failure) == RESOLVE_OK)
        return true;
    (void)policy_lookup_failed(policy, key, &failure);
    return false;
}

/* One form of the address: this local part, alone or with the domain. */
static bool ask_form(struct policy *policy, struct str local, struct str domain, bool *found, struct str *owners) {
    struct buf key = buf_make(600);
    if (local.length) mail_address_append_local(&key, local);
    if (domain.length) {
        buf_append_char(&key, '@');
        buf_append(&key, domain);
    }
    bool good = buf_overflowed(&key) || ask(policy, buf_str(&key), found, owners);
    buf_free(&key);
    return good;
}

static bool find_owners(struct policy *policy, bool *found, struct str *owners) {
    struct str local = mail_address_local(policy->sender), domain = mail_address_domain(policy->sender);
    struct str base, extension;
    bool extended = mail_address_split_extension(local, policy->config->recipient_delimiter, false, &base, &extension);
    if (!ask_form(policy, local, domain, found, owners)) return false;
    if (!*found && extended && !ask_form(policy, base, domain, found, owners)) return false;
    if (*found) return true;
    const struct ipc_lookup_resolved *route = policy_sender_route(policy);
    if (!route) return false;
    if (route->address_class == CLASS_LOCAL) {
        if (!ask_form(policy, local, STR_EMPTY, found, owners)) return false;
        if (!*found && extended && !ask_form(policy, base, STR_EMPTY, found, owners)) return false;
    }
    return *found || ask_form(policy, STR_EMPTY, domain, found, owners);
}

static bool is_among(struct str owners, struct str login) {
    struct str owner;
    while (str_next_word(&owners, ", \t\r\n", &owner))
        if (str_equal_nocase(owner, login)) return true;
    return false;
}

static enum verdict refuse(struct policy *policy, const char *why, struct str login) {
    return policy_refuse_subject(policy, policy_subject_of(policy, STAGE_SENDER), 553, "5.7.1", "%s%.*s", why,
                                 STR_ARGS(login));
}

/* unknown_too: an address that the table does not have is refused to who has logged in. */
static enum verdict judge(struct policy *policy, bool unknown_too) {
    struct str owners = STR_EMPTY, login = policy->session->client.login;
    bool found = false;
    if (!policy->sender || mail_address_is_null(policy->sender)) return VERDICT_DUNNO;
    if (policy->config->smtpd_sender_login_maps.length == 0) return VERDICT_DUNNO;
    if (!find_owners(policy, &found, &owners)) return VERDICT_REJECT;
    if (login.length == 0) return found ? refuse(policy, "not logged in", STR_EMPTY) : VERDICT_DUNNO;
    if (found ? is_among(owners, login) : !unknown_too) return VERDICT_DUNNO;
    return refuse(policy, "not owned by user ", login);
}

enum verdict sender_login_check(struct policy *policy, struct str argument) {
    (void)argument;
    return judge(policy, true);
}

enum verdict sender_login_check_known(struct policy *policy, struct str argument) {
    (void)argument;
    return judge(policy, false);
}

enum verdict sender_login_check_authenticated(struct policy *policy, struct str argument) {
    (void)argument;
    return policy->session->client.login.length ? judge(policy, true) : VERDICT_DUNNO;
}

enum verdict sender_login_check_unauthenticated(struct policy *policy, struct str argument) {
    (void)argument;
    return policy->session->client.login.length ? VERDICT_DUNNO : judge(policy, true);
}
