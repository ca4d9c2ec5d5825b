/* What the words of restriction lists have at hand: refusing, and asking once what lookup knows. See policy.h. */
#include "log.h"
#include "policy.h"

const char *policy_parameter(enum restriction_stage stage) {
    static const char *const parameters[STAGE_COUNT] = {
#define RESTRICTION_STAGE(stage, parameter, table_word) [stage] = #parameter,
#include "restrictions.def"
    };
    return parameters[stage];
}

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

void policy_log(struct policy *policy, const char *verb, const struct refusal *refusal) {
    const char *recipient = policy->recipient ? policy->recipient->text : NULL;
    reply_log(policy->session, verb, policy->where, refusal, policy->sender, recipient);
}

static enum verdict refuse(struct policy *policy, unsigned code, const char *status, const char *text) {
    struct refusal refusal;
    refusal_set(&refusal, code, status, "%s", text);
    if (policy->warn_only) {
        policy_log(policy, "reject_warning", &refusal);
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
    log_warning("%s: %s", policy_parameter(policy->stage), text);
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
