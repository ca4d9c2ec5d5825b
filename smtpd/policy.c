/* policy: the stages of access policy and how the lists of each are walked.
 *
 * As in Postfix: a list ends at the first PERMIT or refusal; a PERMIT ends its own
 * list only. With smtpd_delay_reject the lists of client, HELO and sender wait for
 * RCPT (or ETRN). A temporary doubt (defer_if_permit) counts only when nothing
 * refused; defer_if_reject softens a refusal. */
#include "policy.h"
#include "log.h"
#include "restriction_check.h"

#define DEPTH_MAX 10

/* What a lone type:name means in a stage. */
static const struct str table_words[STAGE_COUNT] = {
#define RESTRICTION_STAGE(stage, parameter, table_word) [stage] = STR_INIT(#table_word),
#include "restrictions.def"
};

/* ---- walking lists */

static enum verdict evaluate_text(struct policy *policy, struct str text);

/* A word without a row: the name of a class of main.cf, or a mistake. */
static enum verdict evaluate_word(struct policy *policy, struct str name) {
    struct str word, rest = policy->config->smtpd_restriction_classes, value;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        if (!str_equal(word, name)) continue;
        if (config_user_value(policy->config, name, &value)) return evaluate_text(policy, value);
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
            item->restriction ? restriction_ask(policy, item) : evaluate_word(policy, item->name);
        policy->warn_only = outer;
    }
    return verdict;
}

static enum verdict evaluate_text(struct policy *policy, struct str text) {
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
        .evaluate = evaluate_text,
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
    if (!permitted) policy_log(policy, "reject", &policy->refusal);
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
    policy.sender = NULL; /* of the message that a greeting ends */
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
    if (resolve_quota(policy->smtpd->resolve, mail_address_text(policy->recipient), size,
                      deadline_in(SMTPD_LOOKUP_TIME), policy->arena, &found, &failure) != RESOLVE_OK ||
        !found.full)
        return true;
    bool later = str_starts(found.status, STR("4"));
    (void)policy_refuse(policy, later ? 452 : 552, later ? "4.2.2" : "5.2.2",
                        "<%.*s>: Recipient address rejected: Mailbox is full",
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

static bool run_content_stage(struct session *session, enum restriction_stage stage, const char *where,
                              struct refusal *refusal) {
    if (session->smtpd->restrictions[stage].count == 0) return true;
    struct mail_address room;
    struct policy policy = begin(session, where);
    single_recipient(&policy, &room);
    if (conclude(&policy, run_stage(&policy, stage))) return true;
    *refusal = policy.refusal;
    return false;
}

bool policy_data(struct session *session, const char *where, struct refusal *refusal) {
    return run_content_stage(session, STAGE_DATA, where, refusal);
}

bool policy_end_of_data(struct session *session, struct refusal *refusal) {
    return run_content_stage(session, STAGE_END, "END-OF-MESSAGE", refusal);
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

static void prepare_stage(struct smtpd *smtpd, enum restriction_stage stage, struct str text) {
    struct restriction_list *list = &smtpd->restrictions[stage];
    if (!restriction_list_parse(text, table_words[stage], smtpd->arena, list) &&
        !restriction_list_parse(STR("malformed_list"), STR_EMPTY, smtpd->arena, list))
        memory_exhausted(0);
}

static void warn_of_mistakes(const struct config *config) {
    struct buf lines = buf_make(0);
    struct str line;
    if (!restriction_check(config, &lines))
        for (struct str rest = buf_str(&lines); str_next_word(&rest, "\n", &line);)
            log_warning("%.*s; where that is reached, mail is deferred", STR_ARGS(line));
    buf_free(&lines);
}

void policy_prepare(struct smtpd *smtpd) {
    const struct config *config = smtpd->config;
    warn_of_mistakes(config);
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
