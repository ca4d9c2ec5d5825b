/* policy: the stages of access policy and how the lists of each are walked.
 *
 * As in Postfix: a list ends at the first PERMIT or refusal; a PERMIT ends its own
 * list only. With smtpd_delay_reject the lists of client, HELO and sender wait for
 * RCPT (or ETRN). A temporary doubt (defer_if_permit) counts only when nothing
 * refused; defer_if_reject softens a refusal. */
#include "policy.h"
#include "log.h"

#define DEPTH_MAX 10

static const struct {
    const char *parameter;
    struct str table_word; /* what a lone type:name means there */
} stages[STAGE_COUNT] = {
    [STAGE_CLIENT] = {"smtpd_client_restrictions", STR_INIT("check_client_access")},
    [STAGE_HELO] = {"smtpd_helo_restrictions", STR_INIT("check_helo_access")},
    [STAGE_SENDER] = {"smtpd_sender_restrictions", STR_INIT("check_sender_access")},
    [STAGE_RELAY] = {"smtpd_relay_restrictions", STR_INIT("check_recipient_access")},
    [STAGE_RECIPIENT] = {"smtpd_recipient_restrictions", STR_INIT("check_recipient_access")},
    [STAGE_DATA] = {"smtpd_data_restrictions", STR_INIT("check_client_access")},
    [STAGE_END] = {"smtpd_end_of_data_restrictions", STR_INIT("check_client_access")},
    [STAGE_ETRN] = {"smtpd_etrn_restrictions", STR_INIT("check_client_access")},
};

/* ---- what restrictions use */

struct policy_subject policy_subject_of(const struct policy *policy, enum restriction_stage stage) {
    switch (stage) {
    case STAGE_CLIENT:
        return (struct policy_subject){policy->session->client.label, "Client host"};
    case STAGE_HELO:
        return (struct policy_subject){buf_str(&policy->session->helo), "Helo command"};
    case STAGE_SENDER:
        return (struct policy_subject){policy->sender ? mail_address_text(policy->sender) : STR_EMPTY,
                                       "Sender address"};
    case STAGE_RELAY:
    case STAGE_RECIPIENT:
        return (struct policy_subject){policy->recipient ? mail_address_text(policy->recipient) : STR_EMPTY,
                                       "Recipient address"};
    case STAGE_DATA:
        return (struct policy_subject){STR("DATA"), "Data command"};
    case STAGE_END:
        return (struct policy_subject){STR("END-OF-MESSAGE"), "End-of-data"};
    case STAGE_ETRN:
        return (struct policy_subject){policy->domain, "Etrn command"};
    case STAGE_COUNT:
        break;
    }
    return (struct policy_subject){STR_EMPTY, "Command"};
}

static void log_verdict(struct policy *policy, const char *verb, const struct refusal *refusal) {
    const char *recipient = policy->recipient ? policy->recipient->text : NULL;
    reply_log(policy->session, verb, policy->where, refusal, policy->sender, recipient);
}

static enum verdict refuse(struct policy *policy, unsigned code, const char *status, const char *text) {
    struct refusal refusal;
    refusal_set(&refusal, code, status, "%s", text);
    if (policy->warn_only) {
        log_verdict(policy, "reject_warning", &refusal);
        return VERDICT_DUNNO;
    }
    bool soften = policy->if_reject.active && code >= 500;
    policy->refusal = soften ? policy->if_reject.refusal : refusal;
    return VERDICT_REJECT;
}

enum verdict policy_refuse(struct policy *policy, unsigned code, const char *status, const char *format, ...) {
    char text[SMTPD_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return refuse(policy, code, status, text);
}

enum verdict policy_refuse_subject(struct policy *policy, struct policy_subject subject, unsigned code,
                                   const char *status, const char *format, ...) {
    char reason[SMTPD_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return policy_refuse(policy, code, status, "<%.*s>: %s rejected: %s", STR_ARGS(str_slice(subject.name, 0, 200)),
                         subject.class, reason);
}

enum verdict policy_tempfail(struct policy *policy, struct str action, const char *status, const char *format, ...) {
    char text[SMTPD_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (str_equal(action, STR("permit"))) return VERDICT_PERMIT;
    if (str_equal(action, STR("defer"))) return refuse(policy, 450, status, text);
    if (str_equal(action, STR("reject"))) return refuse(policy, 550, status, text);
    struct policy_deferral *deferral =
        str_equal(action, STR("defer_if_reject")) ? &policy->if_reject : &policy->if_permit;
    if (deferral->active) return VERDICT_DUNNO;
    deferral->active = true;
    refusal_set(&deferral->refusal, 450, status, "%s", text);
    return VERDICT_DUNNO;
}

enum verdict policy_lookup_failed(struct policy *policy, struct str what, const struct failure *failure) {
    log_warning("%.*s: lookup of <%.*s> failed: %s", STR_ARGS(policy->session->client.label),
                STR_ARGS(str_slice(what, 0, 200)), failure->text);
    policy->warn_only = false;
    return policy_refuse(policy, 451, "4.3.0", "<%.*s>: Temporary lookup failure", STR_ARGS(str_slice(what, 0, 200)));
}

enum verdict policy_misconfigured(struct policy *policy, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_warning("%s: %s", stages[policy->stage].parameter, text);
    policy->warn_only = false;
    return refuse(policy, 451, "4.3.5", "Server configuration error");
}

static const struct ipc_lookup_resolved *ask_route(struct policy *policy, struct policy_route *route,
                                                   const struct mail_address *address) {
    struct failure failure = {0};
    if (!address) return NULL;
    if (!route->asked) {
        struct str sender = policy->sender ? mail_address_text(policy->sender) : STR_EMPTY;
        route->asked = true;
        route->result = resolve_recipient(policy->smtpd->resolve, mail_address_text(address), sender,
                                          deadline_in(SMTPD_LOOKUP_TIME), policy->arena, &route->answer, &failure);
        if (route->result != RESOLVE_OK) (void)policy_lookup_failed(policy, mail_address_text(address), &failure);
    }
    return route->result == RESOLVE_OK ? &route->answer : NULL;
}

const struct ipc_lookup_resolved *policy_recipient_route(struct policy *policy) {
    return ask_route(policy, &policy->recipient_route, policy->recipient);
}

const struct ipc_lookup_resolved *policy_sender_route(struct policy *policy) {
    return ask_route(policy, &policy->sender_route, policy->sender);
}

/* ---- walking lists */

static enum verdict evaluate(struct policy *policy, const struct restriction_list *list);

/* A word without a row: the name of a class of main.cf, or a mistake. */
static enum verdict evaluate_word(struct policy *policy, struct str name) {
    struct str word, rest = policy->config->smtpd_restriction_classes, value;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        if (!str_equal(word, name)) continue;
        if (config_user_value(policy->config, name, &value)) return policy_evaluate_text(policy, value);
        return policy_misconfigured(policy, "the restriction class %.*s is not defined", STR_ARGS(name));
    }
    return policy_misconfigured(policy, "tern does not have the restriction \"%.*s\"",
                                STR_ARGS(str_slice(name, 0, 100)));
}

static enum verdict evaluate(struct policy *policy, const struct restriction_list *list) {
    enum verdict verdict = VERDICT_DUNNO;
    for (size_t i = 0; i < list->count && verdict == VERDICT_DUNNO; i++) {
        const struct restriction_item *item = &list->items[i];
        bool outer = policy->warn_only;
        policy->warn_only = outer || item->warn_only;
        verdict =
            item->restriction ? item->restriction->check(policy, item->argument) : evaluate_word(policy, item->name);
        policy->warn_only = outer;
    }
    return verdict;
}

enum verdict policy_evaluate_text(struct policy *policy, struct str text) {
    struct restriction_list list;
    if (policy->depth >= DEPTH_MAX)
        return policy_misconfigured(policy, "restrictions within restrictions are too deep");
    if (!restriction_list_parse(text, STR_EMPTY, policy->arena, &list))
        return policy_misconfigured(policy, "bad list of restrictions: %.*s", STR_ARGS(str_slice(text, 0, 100)));
    policy->depth++;
    enum verdict verdict = evaluate(policy, &list);
    policy->depth--;
    return verdict;
}

static bool run_stage(struct policy *policy, enum restriction_stage stage) {
    policy->stage = stage;
    return evaluate(policy, &policy->smtpd->restrictions[stage]) != VERDICT_REJECT;
}

static struct policy begin(struct session *session, const char *where) {
    return (struct policy){
        .session = session,
        .smtpd = session->smtpd,
        .config = session->smtpd->config,
        .arena = arena_create((size_t)4 << 20),
        .where = where,
        .sender = session->transaction ? &session->transaction->sender : NULL,
        .domain = STR_EMPTY,
    };
}

/* Ends an evaluation: a doubt that is left becomes a deferral; a refusal is logged. */
static bool conclude(struct policy *policy, bool permitted) {
    if (permitted && policy->if_permit.active) {
        policy->refusal = policy->if_permit.refusal;
        permitted = false;
    }
    if (!permitted) log_verdict(policy, "reject", &policy->refusal);
    arena_destroy(&policy->arena);
    return permitted;
}

static bool conclude_and_say(struct policy *policy, bool permitted) {
    if (conclude(policy, permitted)) return true;
    reply_refusal(policy->session, &policy->refusal);
    return false;
}

/* ---- the stages */

bool policy_connect(struct session *session, struct refusal *refusal) {
    if (session->smtpd->config->smtpd_delay_reject) return true;
    struct policy policy = begin(session, "CONNECT");
    if (conclude(&policy, run_stage(&policy, STAGE_CLIENT))) return true;
    *refusal = policy.refusal;
    return false;
}

bool policy_helo(struct session *session, const char *where) {
    if (session->smtpd->config->smtpd_delay_reject) return true;
    struct policy policy = begin(session, where);
    return conclude_and_say(&policy, run_stage(&policy, STAGE_HELO));
}

bool policy_mail(struct session *session) {
    if (session->smtpd->config->smtpd_delay_reject) return true;
    struct policy policy = begin(session, "MAIL");
    bool permitted = run_stage(&policy, STAGE_SENDER);
    if (permitted && policy.config->smtpd_reject_unlisted_sender)
        permitted = restriction_unlisted_sender(&policy, STR_EMPTY) != VERDICT_REJECT;
    return conclude_and_say(&policy, permitted);
}

/* What was put off until there is a recipient. */
static bool run_delayed(struct policy *policy) {
    if (!policy->config->smtpd_delay_reject) return true;
    if (!run_stage(policy, STAGE_CLIENT) || !run_stage(policy, STAGE_HELO)) return false;
    if (!policy->sender) return true;
    if (!run_stage(policy, STAGE_SENDER)) return false;
    return !policy->config->smtpd_reject_unlisted_sender ||
           restriction_unlisted_sender(policy, STR_EMPTY) != VERDICT_REJECT;
}

static bool run_recipient(struct policy *policy) {
    bool relay_first = policy->config->smtpd_relay_before_recipient_restrictions;
    if (!run_stage(policy, relay_first ? STAGE_RELAY : STAGE_RECIPIENT)) return false;
    if (!run_stage(policy, relay_first ? STAGE_RECIPIENT : STAGE_RELAY)) return false;
    policy->stage = STAGE_RECIPIENT;
    if (!policy->config->smtpd_reject_unlisted_recipient || policy->unlisted_checked) return true;
    return restriction_unlisted_recipient(policy, STR_EMPTY) != VERDICT_REJECT;
}

/* An account's mailbox that is full already takes no more: better said now than by a bounce. That nobody can tell is
 * found out by the delivery. */
static bool has_room(struct policy *policy) {
    const struct ipc_lookup_resolved *route = policy_recipient_route(policy);
    struct ipc_lookup_quota_found found;
    struct failure failure = {0};
    if (!route || !route->quota) return true;
    uint64_t size = policy->session->transaction ? policy->session->transaction->size : 0;
    if (resolve_quota(policy->smtpd->resolve, mail_address_text(policy->recipient), size, deadline_in(SMTPD_LOOKUP_TIME),
                      policy->arena, &found, &failure) != RESOLVE_OK ||
        !found.full)
        return true;
    bool later = str_starts(found.status, STR("4"));
    (void)policy_refuse(policy, later ? 452 : 552, later ? "4.2.2" : "5.2.2", "<%.*s>: Recipient address rejected: Mailbox is full",
                        STR_ARGS(str_slice(mail_address_text(policy->recipient), 0, 200)));
    return false;
}

bool policy_rcpt(struct session *session, const char *where, const struct mail_address *recipient, bool incomplete) {
    struct policy policy = begin(session, where);
    policy.recipient = recipient;
    policy.recipient_incomplete = incomplete;
    return conclude_and_say(&policy, run_delayed(&policy) && run_recipient(&policy) && has_room(&policy));
}

/* The recipient is a subject of DATA and of the end of data only if there is just one. */
static void single_recipient(struct policy *policy, struct mail_address *room) {
    const struct transaction *transaction = policy->session->transaction;
    if (transaction->recipient_count != 1) return;
    if (mail_address_from_internal(transaction->recipients[0].address, MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG, room) ==
        MAIL_ADDRESS_OK)
        policy->recipient = room;
}

bool policy_data(struct session *session, const char *where) {
    if (session->smtpd->restrictions[STAGE_DATA].count == 0) return true;
    struct mail_address room;
    struct policy policy = begin(session, where);
    single_recipient(&policy, &room);
    return conclude_and_say(&policy, run_stage(&policy, STAGE_DATA));
}

bool policy_end_of_data(struct session *session, struct refusal *refusal) {
    if (session->smtpd->restrictions[STAGE_END].count == 0) return true;
    struct mail_address room;
    struct policy policy = begin(session, "END-OF-MESSAGE");
    single_recipient(&policy, &room);
    if (conclude(&policy, run_stage(&policy, STAGE_END))) return true;
    *refusal = policy.refusal;
    return false;
}

bool policy_etrn(struct session *session, struct str domain) {
    struct policy policy = begin(session, "ETRN");
    policy.domain = domain;
    return conclude_and_say(&policy, run_delayed(&policy) && run_stage(&policy, STAGE_ETRN));
}

/* ---- at start */

static bool list_refuses_strangers(const struct restriction_list *list) {
    static const struct str words[] = {
        STR_INIT("reject_unauth_destination"),
        STR_INIT("defer_unauth_destination"),
        STR_INIT("reject"),
        STR_INIT("defer"),
        STR_INIT("defer_if_permit"),
    };
    for (size_t i = 0; i < list->count; i++)
        for (size_t w = 0; w < ARRAY_LENGTH(words); w++)
            if (str_equal_nocase(list->items[i].name, words[w]) && !list->items[i].warn_only) return true;
    return false;
}

static bool is_class(const struct config *config, struct str name) {
    struct str word, rest = config->smtpd_restriction_classes;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal(word, name)) return true;
    return false;
}

static void prepare_stage(struct smtpd *smtpd, enum restriction_stage stage, struct str text) {
    struct restriction_list *list = &smtpd->restrictions[stage];
    if (!restriction_list_parse(text, stages[stage].table_word, smtpd->arena, list)) {
        log_warning("%s: the list is malformed; mail is deferred until that is mended", stages[stage].parameter);
        if (!restriction_list_parse(STR("malformed_list"), STR_EMPTY, smtpd->arena, list)) memory_exhausted(0);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].restriction || is_class(smtpd->config, list->items[i].name)) continue;
        log_warning("%s: tern does not have the restriction \"%.*s\"; where it is reached, mail is deferred",
                    stages[stage].parameter, STR_ARGS(list->items[i].name));
    }
}

void policy_prepare(struct smtpd *smtpd) {
    const struct config *config = smtpd->config;
    prepare_stage(smtpd, STAGE_CLIENT, config->smtpd_client_restrictions);
    prepare_stage(smtpd, STAGE_HELO, config->smtpd_helo_restrictions);
    prepare_stage(smtpd, STAGE_SENDER, config->smtpd_sender_restrictions);
    prepare_stage(smtpd, STAGE_RELAY, config->smtpd_relay_restrictions);
    prepare_stage(smtpd, STAGE_RECIPIENT, config->smtpd_recipient_restrictions);
    prepare_stage(smtpd, STAGE_DATA, config->smtpd_data_restrictions);
    prepare_stage(smtpd, STAGE_END, config->smtpd_end_of_data_restrictions);
    prepare_stage(smtpd, STAGE_ETRN, config->smtpd_etrn_restrictions);
    if (list_refuses_strangers(&smtpd->restrictions[STAGE_RELAY]) ||
        list_refuses_strangers(&smtpd->restrictions[STAGE_RECIPIENT]))
        return;
    log_warning(
        "neither smtpd_relay_restrictions nor smtpd_recipient_restrictions has reject_unauth_destination or its like: "
        "\"permit_mynetworks, reject_unauth_destination\" is used for smtpd_relay_restrictions, so that this is no "
        "open relay");
    prepare_stage(smtpd, STAGE_RELAY, STR("permit_mynetworks, reject_unauth_destination"));
}
