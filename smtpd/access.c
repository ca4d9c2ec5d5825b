/* access: check_*_access, tables that say what to do with a client, a HELO name,
 * a sender or a recipient.
 *
 * Keys are tried from the particular to the general, as Postfix's access(5) has
 * them; the first that the table knows decides. */
#include "access_action.h"
#include "log.h"
#include "policy.h"

/* Asks the table for one key. *action is set if it has it. False: refused already. */
static bool ask(struct policy *policy, struct str table, struct str key, bool *found, struct str *value) {
    struct failure failure = {0};
    if (key.length == 0 || key.length > 500) return true;
    if (resolve_match(policy->smtpd->resolve, table, key, deadline_in(SMTPD_LOOKUP_TIME), policy->arena, found, value,
                      &failure) == RESOLVE_OK)
        return true;
    (void)policy_lookup_failed(policy, key, &failure);
    return false;
}

static bool matches_subdomains(const struct config *config) {
    struct str word, rest = config->parent_domain_matches_subdomains;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal(word, STR("smtpd_access_maps"))) return true;
    return false;
}

/* A domain, then its parents: "example.com", or ".example.com" where the configuration says so. */
static bool ask_domain(struct policy *policy, struct str table, struct str domain, bool *found, struct str *value) {
    size_t skip = matches_subdomains(policy->config) ? 1 : 0;
    for (unsigned labels = 0; domain.length > 0 && !*found && labels < 130; labels++) {
        if (!ask(policy, table, domain, found, value)) return false;
        struct str inner = domain.data[0] == '.' ? str_from_offset(domain, 1) : domain;
        size_t dot = domain.data[0] == '[' ? STR_NONE : str_find(inner, '.');
        domain = dot == STR_NONE ? STR_EMPTY : str_from_offset(inner, dot + skip);
    }
    return true;
}

/* "192.0.2.1", "192.0.2", ... or by colons for IPv6. */
static bool ask_address(struct policy *policy, struct str table, struct str address, bool *found, struct str *value) {
    char separator = str_find(address, ':') == STR_NONE ? '.' : ':';
    while (address.length > 0 && !*found) {
        if (!ask(policy, table, address, found, value)) return false;
        size_t cut = str_find_last(address, separator);
        address = cut == STR_NONE ? STR_EMPTY : str_slice(address, 0, cut);
        while (separator == ':' && address.length > 0 && address.data[address.length - 1] == ':')
            address.length--;
    }
    return true;
}

/* user+extension@domain, user@domain, domain and parents, user+extension@, user@ */
static bool ask_mailbox(struct policy *policy, struct str table, const struct mail_address *address, bool *found,
                        struct str *value) {
    struct str local = mail_address_local(address), domain = mail_address_domain(address), base, extension;
    bool extended = mail_address_split_extension(local, policy->config->recipient_delimiter, false, &base, &extension);
    struct buf key = buf_make(600);
    bool good = true;
    for (unsigned pass = 0; good && !*found && pass < 5; pass++) {
        bool whole = pass == 0 || pass == 3;
        if (pass == 2) {
            good = ask_domain(policy, table, domain, found, value);
            continue;
        }
        if (!whole && !extended) continue;
        buf_clear(&key);
        mail_address_append_local(&key, whole ? local : base);
        buf_append_char(&key, '@');
        if (pass < 2) buf_append(&key, domain);
        good = ask(policy, table, buf_str(&key), found, value);
    }
    buf_free(&key);
    return good;
}

/* ---- what the table's answer means */

static enum verdict note(struct policy *policy, const char *verb, struct policy_subject subject, struct str text) {
    struct refusal empty = {0};
    snprintf(empty.text, sizeof empty.text, "<%.*s>: %s%s%.*s", STR_ARGS(str_slice(subject.name, 0, 200)),
             subject.class, text.length ? " " : "", STR_ARGS(text));
    reply_log(policy->session, verb, policy->where, &empty, policy->sender,
              policy->recipient ? policy->recipient->text : NULL);
    return VERDICT_DUNNO;
}

/* WARN and INFO: the table's own words alone. */
static enum verdict remark(struct policy *policy, const char *verb, struct str text) {
    struct refusal empty = {0};
    snprintf(empty.text, sizeof empty.text, "%.*s", STR_ARGS(text));
    reply_log(policy->session, verb, policy->where, &empty, policy->sender,
              policy->recipient ? policy->recipient->text : NULL);
    return VERDICT_DUNNO;
}

static enum verdict hold(struct policy *policy, struct policy_subject subject, struct str text) {
    struct transaction *transaction = policy->session->transaction;
    if (!transaction || policy->warn_only) return VERDICT_DUNNO;
    struct str reason = text.length ? str_slice(text, 0, 190) : STR("access table");
    if (!arena_copy(transaction->arena, reason, &transaction->hold_reason))
        transaction->hold_reason = STR("access table");
    return note(policy, "hold", subject, text.length ? text : STR("triggers HOLD action"));
}

static enum verdict discard(struct policy *policy, struct policy_subject subject, struct str text) {
    if (!policy->session->transaction || policy->warn_only) return VERDICT_DUNNO;
    policy->session->transaction->discard = true;
    note(policy, "discard", subject, text.length ? text : STR("triggers DISCARD action"));
    return VERDICT_PERMIT;
}

static enum verdict prepend(struct policy *policy, struct policy_subject subject, struct str text) {
    struct transaction *transaction = policy->session->transaction;
    size_t colon = str_find(text, ':');
    if (!transaction || policy->warn_only) return VERDICT_DUNNO;
    if (colon == STR_NONE || colon == 0 || !str_is_printable(text))
        return policy_misconfigured(policy, "PREPEND needs \"name: value\": %.*s", STR_ARGS(str_slice(text, 0, 100)));
    if (transaction->prepended.length + text.length < 65536) {
        buf_append(&transaction->prepended, text);
        buf_append_char(&transaction->prepended, '\n');
    }
    return note(policy, "prepend", subject, text);
}

/* REDIRECT and BCC, which need a whole address. */
static enum verdict send_to(struct policy *policy, struct policy_subject subject, enum access_kind kind,
                            struct str text) {
    struct transaction *transaction = policy->session->transaction;
    struct mail_address address;
    const char *verb = kind == ACCESS_BCC ? "BCC" : "REDIRECT";
    char words[400];
    if (!transaction || policy->warn_only) return VERDICT_DUNNO;
    if (mail_address_parse(text, MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8, &address) != MAIL_ADDRESS_OK)
        return policy_misconfigured(policy, "%s needs user@domain: %.*s", verb, STR_ARGS(str_slice(text, 0, 100)));
    bool good = kind == ACCESS_BCC
                    ? transaction_add_bcc(transaction, mail_address_text(&address))
                    : arena_copy(transaction->arena, mail_address_text(&address), &transaction->redirect);
    if (!good) return policy_misconfigured(policy, "more than %d different addresses of BCC", SMTPD_BCC_MAX);
    snprintf(words, sizeof words, "triggers %s %.*s", verb, STR_ARGS(text));
    return note(policy, kind == ACCESS_BCC ? "bcc" : "redirect", subject, str_from(words));
}

static enum verdict refuse(struct policy *policy, struct policy_subject subject, int64_t code, const char *status,
                           const struct access_action *action) {
    char given[16];
    struct str text = action->text.length ? action->text : code >= 500 ? STR("Access denied") : STR("Try again later");
    snprintf(given, sizeof given, "%.*s", STR_ARGS(action->status));
    return policy_refuse_subject(policy, subject, (unsigned)code, action->status.length ? given : status, "%.*s",
                                 STR_ARGS(text));
}

static enum verdict act(struct policy *policy, struct policy_subject subject, struct str value) {
    struct access_action action = access_action_parse(value);
    struct str text = str_slice(action.text, 0, 300);
    switch (action.kind) {
    case ACCESS_DUNNO:
        return VERDICT_DUNNO;
    case ACCESS_OK:
        return VERDICT_PERMIT;
    case ACCESS_REJECT:
        return refuse(policy, subject, policy->config->access_map_reject_code, "5.7.1", &action);
    case ACCESS_DEFER:
        return refuse(policy, subject, policy->config->access_map_defer_code, "4.7.1", &action);
    case ACCESS_CODE:
        return refuse(policy, subject, action.code, action.code >= 500 ? "5.7.1" : "4.7.1", &action);
    case ACCESS_DEFER_IF_PERMIT:
    case ACCESS_DEFER_IF_REJECT:
        return policy_tempfail(policy,
                               action.kind == ACCESS_DEFER_IF_PERMIT ? STR("defer_if_permit") : STR("defer_if_reject"),
                               "4.7.1", "<%.*s>: %s rejected: %.*s", STR_ARGS(str_slice(subject.name, 0, 200)),
                               subject.class, STR_ARGS(text.length ? text : STR("Service unavailable")));
    case ACCESS_HOLD:
        return hold(policy, subject, text);
    case ACCESS_DISCARD:
        return discard(policy, subject, text);
    case ACCESS_WARN:
        return remark(policy, "warn", text);
    case ACCESS_INFO:
        return remark(policy, "info", text);
    case ACCESS_REDIRECT:
    case ACCESS_BCC:
        return send_to(policy, subject, action.kind, text);
    case ACCESS_PREPEND:
        return prepend(policy, subject, action.text);
    case ACCESS_UNSUPPORTED:
        return policy_misconfigured(policy, "tern does not have the action of \"%.*s\"",
                                    STR_ARGS(str_slice(value, 0, 100)));
    case ACCESS_RESTRICTIONS:
        return policy->evaluate(policy, action.text);
    }
    return VERDICT_DUNNO;
}

static enum verdict decide(struct policy *policy, bool asked, bool found, struct str value,
                           enum restriction_stage stage) {
    if (!asked) return VERDICT_REJECT;
    return found ? act(policy, policy_subject_of(policy, stage), value) : VERDICT_DUNNO;
}

/* ---- the restrictions */

enum verdict access_check_client(struct policy *policy, struct str table) {
    const struct client *client = &policy->session->client;
    bool found = false;
    struct str value = STR_EMPTY;
    bool asked = ask_domain(policy, table, client->name, &found, &value) &&
                 (found || ask_address(policy, table, client->address, &found, &value));
    return decide(policy, asked, found, value, STAGE_CLIENT);
}

/* By the fingerprint of the client's certificate, then by that of its public key. */
enum verdict access_check_certificate(struct policy *policy, struct str table) {
    const struct tls_facts *facts = policy->session->tls ? tls_connection_facts(policy->session->tls) : NULL;
    bool found = false;
    struct str value = STR_EMPTY;
    if (!facts || !facts->has_certificate) return VERDICT_DUNNO;
    if (!ask(policy, table, str_from(facts->fingerprint), &found, &value)) return VERDICT_REJECT;
    if (!found && !ask(policy, table, str_from(facts->public_key_fingerprint), &found, &value)) return VERDICT_REJECT;
    struct policy_subject subject = {policy->session->client.label, "Client certificate"};
    return found ? act(policy, subject, value) : VERDICT_DUNNO;
}

enum verdict access_check_helo(struct policy *policy, struct str table) {
    bool found = false;
    struct str value = STR_EMPTY, helo = buf_str(&policy->session->helo);
    bool asked = ask_domain(policy, table, helo, &found, &value);
    return decide(policy, asked, found, value, STAGE_HELO);
}

enum verdict access_check_sender(struct policy *policy, struct str table) {
    bool found = false;
    struct str value = STR_EMPTY;
    if (!policy->sender) return VERDICT_DUNNO;
    bool asked = mail_address_is_null(policy->sender)
                     ? ask(policy, table, policy->config->smtpd_null_access_lookup_key, &found, &value)
                     : ask_mailbox(policy, table, policy->sender, &found, &value);
    return decide(policy, asked, found, value, STAGE_SENDER);
}

enum verdict access_check_recipient(struct policy *policy, struct str table) {
    bool found = false;
    struct str value = STR_EMPTY;
    if (!policy->recipient) return VERDICT_DUNNO;
    /* A statement of its own: found is read after it is set. */
    bool asked = ask_mailbox(policy, table, policy->recipient, &found, &value);
    return decide(policy, asked, found, value, STAGE_RECIPIENT);
}
