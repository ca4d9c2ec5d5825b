/* restrictions: the words of the restriction language, one row and one function each.
 *
 * To add a restriction is to add a row to restrictions.def and a function here. A
 * function that has nothing to judge at its stage (no sender yet, no HELO) says
 * DUNNO, as Postfix does. */
#include "domain.h"
#include "log.h"
#include "policy.h"
#include "status_code.h"

/* ---- the plain words */

static enum verdict permit(struct policy *policy, struct str argument) {
    (void)policy, (void)argument;
    return VERDICT_PERMIT;
}

static enum verdict reject(struct policy *policy, struct str argument) {
    (void)argument;
    return policy_refuse_subject(policy, policy_subject_of(policy, policy->stage),
                                 (unsigned)policy->config->reject_code, "5.7.1", "Access denied");
}

static enum verdict defer(struct policy *policy, struct str argument) {
    (void)argument;
    return policy_refuse_subject(policy, policy_subject_of(policy, policy->stage), (unsigned)policy->config->defer_code,
                                 "4.3.2", "Try again later");
}

static enum verdict defer_if(struct policy *policy, const char *action) {
    struct policy_subject subject = policy_subject_of(policy, policy->stage);
    return policy_tempfail(policy, str_from(action), "4.3.0", "<%.*s>: %s rejected: %s requested",
                           STR_ARGS(subject.name), subject.class, action);
}
static enum verdict defer_if_permit(struct policy *policy, struct str argument) {
    (void)argument;
    return defer_if(policy, "defer_if_permit");
}
static enum verdict defer_if_reject(struct policy *policy, struct str argument) {
    (void)argument;
    return defer_if(policy, "defer_if_reject");
}

static enum verdict sleep_seconds(struct policy *policy, struct str argument) {
    uint64_t seconds = 0;
    if (!str_to_u64(argument, RESTRICTION_SLEEP_MAX, &seconds))
        return policy_misconfigured(policy, "sleep: not a number of seconds up to %d", RESTRICTION_SLEEP_MAX);
    task_sleep((int64_t)seconds * 1000);
    return VERDICT_DUNNO;
}

/* ---- the client */

static enum verdict permit_mynetworks(struct policy *policy, struct str argument) {
    (void)argument;
    struct smtpd *smtpd = policy->session->smtpd;
    const struct client *client = &policy->session->client;
    switch (host_list_match(&smtpd->networks, smtpd->resolve, STR_EMPTY, client->address)) {
    case MATCH_YES:
        return VERDICT_PERMIT;
    case MATCH_NO:
        return VERDICT_DUNNO;
    case MATCH_RETRY:
        break;
    }
    return policy_lookup_failed(policy, client->address, &(struct failure){.text = "mynetworks"});
}

static enum verdict permit_inet_interfaces(struct policy *policy, struct str argument) {
    (void)argument;
    struct str word, rest = policy->smtpd->own_addresses;
    while (str_next_word(&rest, " ", &word))
        if (str_equal(word, policy->session->client.address)) return VERDICT_PERMIT;
    return VERDICT_DUNNO;
}

/* The login that an authorised XCLIENT named; AUTH will set the same field. */
static enum verdict permit_sasl_authenticated(struct policy *policy, struct str argument) {
    (void)argument;
    return policy->session->client.login.length ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict reject_plaintext_session(struct policy *policy, struct str argument) {
    (void)argument;
    if (policy->session->tls) return VERDICT_DUNNO;
    return policy_refuse(policy, (unsigned)policy->config->plaintext_reject_code, "5.7.1",
                         "Session encryption is required");
}

/* The certificate that the client has shown; NULL if it has shown none. */
static const struct tls_facts *certificate_of(const struct policy *policy) {
    const struct tls_facts *facts = policy->session->tls ? tls_connection_facts(policy->session->tls) : NULL;
    return facts && facts->has_certificate ? facts : NULL;
}

/* Who holds the key of a listed certificate is permitted, whoever signed it. */
static enum verdict permit_tls_clientcerts(struct policy *policy, struct str argument) {
    const struct tls_facts *facts = certificate_of(policy);
    struct str value = STR_EMPTY;
    (void)argument;
    if (!facts || policy->config->relay_clientcerts.length == 0) return VERDICT_DUNNO;
    const struct str keys[] = {str_from(facts->fingerprint), str_from(facts->public_key_fingerprint)};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct failure failure = {0};
        bool found = false;
        if (keys[i].length == 0) continue;
        if (resolve_match(policy->smtpd->resolve, STR("relay_clientcerts"), keys[i], deadline_in(SMTPD_LOOKUP_TIME),
                          policy->arena, &found, &value, &failure) != RESOLVE_OK)
            return policy_lookup_failed(policy, keys[i], &failure);
        if (found) return VERDICT_PERMIT;
    }
    return VERDICT_DUNNO;
}

static enum verdict permit_tls_all_clientcerts(struct policy *policy, struct str argument) {
    const struct tls_facts *facts = certificate_of(policy);
    (void)argument;
    return facts && facts->trusted ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict refuse_name(struct policy *policy, enum name_status status, const char *what) {
    if (status == NAME_VERIFIED) return VERDICT_DUNNO;
    unsigned code = status == NAME_UNDECIDED ? 450 : (unsigned)policy->config->unknown_client_reject_code;
    return policy_refuse(policy, code, "4.7.25", "Client host rejected: cannot find your %s, [%.*s]", what,
                         STR_ARGS(policy->session->client.address));
}
static enum verdict reject_unknown_client_hostname(struct policy *policy, struct str argument) {
    (void)argument;
    return refuse_name(policy, policy->session->client.name_status, "hostname");
}
static enum verdict reject_unknown_reverse_client_hostname(struct policy *policy, struct str argument) {
    (void)argument;
    return refuse_name(policy, policy->session->client.reverse_status, "reverse hostname");
}

/* ---- HELO */

static enum verdict judge_helo(struct policy *policy, bool need_qualified) {
    struct policy_subject subject = policy_subject_of(policy, STAGE_HELO);
    if (subject.name.length == 0) return VERDICT_DUNNO;
    switch (smtp_helo_classify(subject.name, true)) {
    case SMTP_HELO_FQDN:
    case SMTP_HELO_LITERAL:
        return VERDICT_DUNNO;
    case SMTP_HELO_NAME:
        if (!need_qualified) return VERDICT_DUNNO;
        break;
    case SMTP_HELO_MISSING:
    case SMTP_HELO_INVALID:
    case SMTP_HELO_BAD_LITERAL:
    case SMTP_HELO_ADDRESS:
        if (!need_qualified)
            return policy_refuse_subject(policy, subject, (unsigned)policy->config->invalid_hostname_reject_code,
                                         "5.5.2", "Invalid name");
        break;
    }
    return policy_refuse_subject(policy, subject, (unsigned)policy->config->non_fqdn_reject_code, "5.5.2",
                                 "need fully-qualified hostname");
}
static enum verdict reject_invalid_helo_hostname(struct policy *policy, struct str argument) {
    (void)argument;
    return judge_helo(policy, false);
}
static enum verdict reject_non_fqdn_helo_hostname(struct policy *policy, struct str argument) {
    (void)argument;
    return judge_helo(policy, true);
}

static enum verdict reject_unknown_helo_hostname(struct policy *policy, struct str argument) {
    (void)argument;
    struct policy_subject subject = policy_subject_of(policy, STAGE_HELO);
    struct failure failure = {0};
    unsigned result = 0;
    if (subject.name.length == 0 || subject.name.data[0] == '[') return VERDICT_DUNNO;
    if (!domain_is_valid(subject.name, (unsigned)DOMAIN_UNDERSCORE | DOMAIN_TRAILING_DOT))
        return judge_helo(policy, false);
    if (resolve_domain(policy->smtpd->resolve, subject.name, deadline_in(SMTPD_LOOKUP_TIME), &result, &failure) !=
        RESOLVE_OK)
        return policy_tempfail(policy, policy->config->unknown_helo_hostname_tempfail_action, "4.7.1",
                               "<%.*s>: Helo command rejected: Host not found", STR_ARGS(subject.name));
    if (result != 1) return VERDICT_DUNNO;
    return policy_refuse_subject(policy, subject, (unsigned)policy->config->unknown_hostname_reject_code, "4.7.1",
                                 "Host not found");
}

/* ---- addresses */

static bool is_qualified(const struct mail_address *address, bool incomplete) {
    struct str domain = mail_address_domain(address);
    return !incomplete && (domain.length == 0 || domain.data[0] == '[' ||
                           domain_is_valid(domain, (unsigned)DOMAIN_QUALIFIED | DOMAIN_UNDERSCORE | DOMAIN_UTF8));
}

static enum verdict reject_non_fqdn_sender(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->sender || mail_address_is_null(policy->sender)) return VERDICT_DUNNO;
    if (is_qualified(policy->sender, policy->session->transaction->sender_incomplete)) return VERDICT_DUNNO;
    return policy_refuse_subject(policy, policy_subject_of(policy, STAGE_SENDER),
                                 (unsigned)policy->config->non_fqdn_reject_code, "5.5.2",
                                 "need fully-qualified address");
}

static enum verdict reject_non_fqdn_recipient(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->recipient) return VERDICT_DUNNO;
    bool postmaster =
        policy->recipient_incomplete && str_equal_nocase(mail_address_local(policy->recipient), STR("postmaster"));
    if (postmaster || is_qualified(policy->recipient, policy->recipient_incomplete)) return VERDICT_DUNNO;
    return policy_refuse_subject(policy, policy_subject_of(policy, STAGE_RECIPIENT),
                                 (unsigned)policy->config->non_fqdn_reject_code, "5.5.2",
                                 "need fully-qualified address");
}

/* Does the domain take mail, as far as DNS says. Domains of our own are not asked for. */
static enum verdict judge_domain(struct policy *policy, const struct mail_address *address,
                                 const struct ipc_lookup_resolved *route, bool is_sender) {
    struct str domain = mail_address_domain(address);
    struct policy_subject subject = policy_subject_of(policy, is_sender ? STAGE_SENDER : STAGE_RECIPIENT);
    const char *status = is_sender ? "4.1.8" : "4.1.2";
    struct failure failure = {0};
    unsigned result = 0;
    if (!route) return VERDICT_REJECT;
    if (route->address_class != CLASS_DEFAULT || domain.length == 0 || domain.data[0] == '[') return VERDICT_DUNNO;
    if (resolve_domain(policy->smtpd->resolve, domain, deadline_in(SMTPD_LOOKUP_TIME), &result, &failure) != RESOLVE_OK)
        return policy_tempfail(policy, policy->config->unknown_address_tempfail_action, status,
                               "<%.*s>: %s rejected: Domain not found", STR_ARGS(subject.name), subject.class);
    if (result == 2)
        return policy_refuse_subject(policy, subject, is_sender ? 550 : 556, is_sender ? "5.7.27" : "5.1.10",
                                     "Domain %.*s does not accept mail (nullMX)", STR_ARGS(domain));
    if (result != 1) return VERDICT_DUNNO;
    return policy_refuse_subject(policy, subject, (unsigned)policy->config->unknown_address_reject_code, status,
                                 "Domain not found");
}

static enum verdict reject_unknown_sender_domain(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->sender || mail_address_is_null(policy->sender)) return VERDICT_DUNNO;
    return judge_domain(policy, policy->sender, policy_sender_route(policy), true);
}

static enum verdict reject_unknown_recipient_domain(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->recipient) return VERDICT_DUNNO;
    return judge_domain(policy, policy->recipient, policy_recipient_route(policy), false);
}

/* ---- relaying */

/* Our own domains and those we relay for; an address with a route in its local part does
 * not count, or a stranger could send to anyone through a relay behind us. */
static enum verdict is_authorised(struct policy *policy, bool *authorised) {
    const struct ipc_lookup_resolved *route = policy_recipient_route(policy);
    if (!route) return VERDICT_REJECT;
    bool routed =
        (mail_address_traits(policy->recipient) & MAIL_ADDRESS_ROUTED) != 0 && !policy->config->allow_untrusted_routing;
    *authorised = route->address_class != CLASS_DEFAULT && !routed;
    return VERDICT_DUNNO;
}

static enum verdict permit_auth_destination(struct policy *policy, struct str argument) {
    (void)argument;
    bool authorised = false;
    if (!policy->recipient) return VERDICT_DUNNO;
    if (is_authorised(policy, &authorised) == VERDICT_REJECT) return VERDICT_REJECT;
    return authorised ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict refuse_unauthorised(struct policy *policy, unsigned code, const char *status) {
    bool authorised = false;
    if (!policy->recipient) return VERDICT_DUNNO;
    if (is_authorised(policy, &authorised) == VERDICT_REJECT) return VERDICT_REJECT;
    if (authorised) return VERDICT_DUNNO;
    return policy_refuse(policy, code, status, "<%.*s>: Relay access denied",
                         STR_ARGS(mail_address_text(policy->recipient)));
}
static enum verdict reject_unauth_destination(struct policy *policy, struct str argument) {
    (void)argument;
    return refuse_unauthorised(policy, (unsigned)policy->config->relay_domains_reject_code, "5.7.1");
}
static enum verdict defer_unauth_destination(struct policy *policy, struct str argument) {
    (void)argument;
    unsigned code = (unsigned)policy->config->relay_domains_reject_code;
    return refuse_unauthorised(policy, code >= 500 ? code - 100 : code, "4.7.1");
}

/* ---- addresses that do not exist */

/* By transport_maps or relocated_maps: the next hop of error and retry is "5.2.1 text", or a text. */
static enum verdict refuse_by_transport(struct policy *policy, const struct ipc_lookup_resolved *route,
                                        struct policy_subject subject, const char *status) {
    bool later = str_equal(route->transport, STR("retry"));
    struct str text = route->nexthop;
    struct status_code code;
    struct buf given = buf_make(0);
    if (status_code_take(&text, &code)) {
        status_code_append(&given, code);
        later = later || code.class == 4;
        status = buf_string(&given);
    }
    text = str_trim(text);
    enum verdict verdict = policy_refuse_subject(policy, subject, later ? 450 : 550, status, "%.*s",
                                                 STR_ARGS(text.length ? text : STR("mail is not delivered here")));
    buf_free(&given);
    return verdict;
}

static enum verdict judge_listed(struct policy *policy, const struct ipc_lookup_resolved *route,
                                 struct policy_subject subject, const char *status) {
    static const char *const tables[] = {
        [CLASS_LOCAL] = " in local recipient table",
        [CLASS_VIRTUAL_ALIAS] = " in virtual alias table",
        [CLASS_VIRTUAL_MAILBOX] = " in virtual mailbox table",
        [CLASS_RELAY] = " in relay recipient table",
        [CLASS_DEFAULT] = "",
    };
    const struct config *config = policy->config;
    const int64_t codes[] = {
        [CLASS_LOCAL] = config->unknown_local_recipient_reject_code,
        [CLASS_VIRTUAL_ALIAS] = config->unknown_virtual_alias_reject_code,
        [CLASS_VIRTUAL_MAILBOX] = config->unknown_virtual_mailbox_reject_code,
        [CLASS_RELAY] = config->unknown_relay_recipient_reject_code,
        [CLASS_DEFAULT] = 550,
    };
    if (!route) return VERDICT_REJECT;
    if (route->refused) return refuse_by_transport(policy, route, subject, status);
    if (route->known) return VERDICT_DUNNO;
    size_t class = route->address_class < ARRAY_LENGTH(tables) ? (size_t)route->address_class : CLASS_DEFAULT;
    if (class == CLASS_DEFAULT && route->reject_text.length)
        return policy_refuse_subject(policy, subject, 550, status, "%.*s", STR_ARGS(route->reject_text));
    return policy_refuse_subject(policy, subject, (unsigned)codes[class], status, "User unknown%s",
                                 config->show_user_unknown_table_name ? tables[class] : "");
}

enum verdict restriction_unlisted_recipient(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->recipient) return VERDICT_DUNNO;
    policy->unlisted_checked = true;
    return judge_listed(policy, policy_recipient_route(policy), policy_subject_of(policy, STAGE_RECIPIENT), "5.1.1");
}

enum verdict restriction_unlisted_sender(struct policy *policy, struct str argument) {
    (void)argument;
    if (!policy->sender || mail_address_is_null(policy->sender)) return VERDICT_DUNNO;
    return judge_listed(policy, policy_sender_route(policy), policy_subject_of(policy, STAGE_SENDER), "5.1.0");
}

/* ---- the dialogue */

static enum verdict reject_unauth_pipelining(struct policy *policy, struct str argument) {
    (void)argument;
    struct session *session = policy->session;
    bool early = session->pipelined ||
                 (stream_pending(session->stream) > 0 && (!session->extended || policy->stage == STAGE_DATA));
    if (!early) return VERDICT_DUNNO;
    return policy_refuse_subject(policy, policy_subject_of(policy, policy->stage), 503, "5.5.0",
                                 "Improper use of SMTP command pipelining");
}

static enum verdict reject_multi_recipient_bounce(struct policy *policy, struct str argument) {
    (void)argument;
    const struct transaction *transaction = policy->session->transaction;
    if (!policy->sender || !mail_address_is_null(policy->sender) || !transaction || transaction->recipient_count <= 1)
        return VERDICT_DUNNO;
    return policy_refuse_subject(policy, policy_subject_of(policy, policy->stage),
                                 (unsigned)policy->config->multi_recipient_bounce_reject_code, "5.5.3",
                                 "Multi-recipient bounce");
}

/* ---- the rows */

enum verdict restriction_ask(struct policy *policy, const struct restriction_item *item) {
    static enum verdict (*const functions[])(struct policy *policy, struct str argument) = {
#define RESTRICTION(name, takes_argument, function) function,
#include "restrictions.def"
    };
    return functions[item->restriction - restriction_table](policy, item->argument);
}
