/* See tls_plan.h. */
#include "tls_plan.h"
#include "domain.h"
#include "log.h"
#include "resolve.h"
#include "smtp.h"
#include "tls_dane.h"
#include "tls_result.h"
#include "tls_sts.h"

#define LOOKUP_PATIENCE 60000 /* ms for one question */
#define PROBE_PATIENCE  5000
#define LIST_SEPARATORS ", \t\r\n"

struct planning {
    struct smtp *smtp;
    const struct tls_question *question;
    struct arena *arena;
    struct tls_policy policy;
    struct tls_plan plan;
    struct trouble *trouble;
};

static const struct tls_settings *settings_of(const struct planning *planning) {
    return &planning->smtp->settings.tls;
}

/* ---- texts */

/* The same list with single blanks between its words. */
static struct str with_blanks(struct arena *arena, struct str list, const char *separators) {
    struct buf text = buf_make(0);
    struct str word;
    while (str_next_word(&list, separators, &word)) {
        if (text.length) buf_append_char(&text, ' ');
        buf_append(&text, word);
    }
    struct str kept = trouble_keep(arena, buf_str(&text));
    buf_free(&text);
    return kept;
}

/* A name as it stands in certificates: ASCII, no final dot; empty if it is no name. */
static struct str as_reference(struct arena *arena, struct str name, bool subdomains) {
    struct buf text = buf_make(0);
    struct str kept = STR_EMPTY;
    if (name.length && name.data[name.length - 1] == '.') name.length--;
    if (subdomains) buf_append_char(&text, '.');
    if (domain_is_valid(name, DOMAIN_UNDERSCORE | DOMAIN_UTF8) && domain_append_ascii(&text, name))
        kept = trouble_keep(arena, buf_str(&text));
    buf_free(&text);
    return kept;
}

/* For tls= in the log: "dane?" where nobody could say, "!dane-only" where it cannot be had. */
static void set_status(struct planning *planning, const char *before, const char *after) {
    struct buf text = buf_make(0);
    buf_printf(&text, "%s%s%s", before, tls_level_name(planning->plan.configured), after);
    planning->trouble->tls_status = trouble_keep(planning->arena, buf_str(&text));
    buf_free(&text);
}

static bool misconfigured(struct planning *planning) {
    trouble_set(planning->trouble, planning->arena, "4.7.5", "client TLS configuration problem");
    planning->trouble->local = true;
    return false;
}

/* ---- 1. the policy of the next hop */

static bool read_entry(struct planning *planning, struct str key, struct str value) {
    struct failure failure = {0};
    if (tls_policy_parse(value, &planning->policy, &failure)) return true;
    log_warning("%s, entry %.*s: %s", settings_of(planning)->policy_maps, STR_ARGS(key), failure.text);
    return misconfigured(planning);
}

static bool find_policy(struct planning *planning) {
    struct str maps = str_from(settings_of(planning)->policy_maps), key, value;
    size_t step = 0;
    planning->policy = (struct tls_policy){.level = settings_of(planning)->level};
    while (settings_of(planning)->policy_maps && tls_policy_key(planning->question->next_hop_text, &step, &key)) {
        struct failure failure = {0};
        bool found = false;
        enum resolve_result result =
            planning->smtp->resolve ? resolve_match(planning->smtp->resolve, maps, key, deadline_in(LOOKUP_PATIENCE),
                                                    planning->arena, &found, &value, &failure)
                                    : RESOLVE_RETRY;
        if (result == RESOLVE_RETRY) {
            log_warning("%.*s lookup error for %.*s: %s", STR_ARGS(maps), STR_ARGS(key), failure.text);
            return misconfigured(planning);
        }
        if (found) return read_entry(planning, key, value);
    }
    return true;
}

/* What does not go with the kind of connection. */
static bool adjust_level(struct planning *planning) {
    struct tls_plan *plan = &planning->plan;
    bool is_local = endpoint_is_local(&planning->question->host->endpoint);
    plan->level = planning->policy.level;
    if (settings_of(planning)->wrapper_mode && plan->level < TLS_LEVEL_ENCRYPT) plan->level = TLS_LEVEL_ENCRYPT;
    plan->configured = plan->level;
    if (planning->question->tls_not_required && plan->level > TLS_LEVEL_MAY && !settings_of(planning)->wrapper_mode)
        plan->level = TLS_LEVEL_MAY;
    /* RFC 8689 section 4.2.1: whoever it goes to has to be known; by DANE or, that failing, by MTA-STS. */
    if (planning->question->require_tls && !is_local && plan->level < TLS_LEVEL_FINGERPRINT &&
        planning->smtp->settings.look_in_dns)
        plan->level = TLS_LEVEL_DANE;
    if (!is_local || plan->level < TLS_LEVEL_MAY) return true;
    if (plan->level == TLS_LEVEL_MAY) plan->level = TLS_LEVEL_NONE; /* it does not leave this machine */
    if (plan->level != TLS_LEVEL_DANE && plan->level != TLS_LEVEL_DANE_ONLY) return true;
    log_warning("%.*s: the \"%s\" security level is invalid for delivery via unix-domain sockets",
                STR_ARGS(planning->question->next_hop_text), tls_level_name(plan->level));
    return misconfigured(planning);
}

/* ---- 2. DANE */

/* There is none: less, where that is allowed. */
static bool without_dane(struct planning *planning, enum tls_level instead, const char *mark, const char *why) {
    const struct host *host = planning->question->host;
    if (planning->plan.level == TLS_LEVEL_DANE_ONLY) {
        trouble_set(planning->trouble, planning->arena, "4.7.5", "%s for %.*s:%u", why, STR_ARGS(host->name),
                    endpoint_port(&host->endpoint));
        set_status(planning, "!", "");
        struct tls_result result = {.type = "dane-required", .reason = why, .helo = ""};
        tls_result_note(planning->smtp, planning->question, NULL, &result);
        return false;
    }
    planning->plan.level = instead;
    planning->plan.downgrade = mark;
    return true;
}

/* Once in a process: without a resolver that validates, level dane is no more than may, and nobody would notice. The
 * question is one whose answer everybody can validate. */
static void look_for_validation(struct planning *planning) {
    struct dns_answer answer = {0};
    struct failure failure = {0};
    if (planning->smtp->validation_looked_for) return;
    planning->smtp->validation_looked_for = true;
    enum dns_result result = dns_lookup(planning->smtp->resolver, STR("org"), DNS_TXT, deadline_in(PROBE_PATIENCE),
                                        planning->arena, &answer, &failure);
    if (result == DNS_RETRY || result == DNS_INVALID || answer.authentic) return;
    log_warning("DNSSEC validation may be unavailable: no answer says that it was validated, or none of a name server "
                "that is believed (dns_servers, dns_trust_any_server)");
}

static void add_name(struct planning *planning, struct str *names, struct str name) {
    struct tls_client_session *session = &planning->plan.session;
    struct str reference = as_reference(planning->arena, name, false);
    for (size_t i = 0; i < session->name_count; i++)
        if (str_equal_nocase(names[i], reference)) return;
    if (reference.length) names[session->name_count++] = reference;
}

/* For certificates that a trust anchor of the records has issued (RFC 7672 section 3.2.3). */
static bool set_dane_names(struct planning *planning, const struct tls_dane_records *records) {
    const struct route *route = planning->question->route;
    struct str *names = arena_allocate(planning->arena, 3, sizeof *names);
    if (!names) return false;
    planning->plan.session.names = names;
    add_name(planning, names, records->base);
    if (!route->by_mx) return true;
    add_name(planning, names, route->mx_owner);
    add_name(planning, names, planning->question->next_hop->host);
    return true;
}

static void append_hexadecimal(struct buf *text, struct str data) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.length; i++) {
        unsigned char byte = (unsigned char)data.data[i];
        buf_append_char(text, digits[byte >> 4]);
        buf_append_char(text, digits[byte & 15]);
    }
}

/* For reports: "3 1 1 01ab..." */
static struct str records_text(struct arena *arena, const struct tls_dane_records *records) {
    struct buf text = buf_make(8000);
    for (size_t i = 0; i < records->count; i++) {
        const struct tls_tlsa *record = &records->records[i];
        buf_printf(&text, "%s%u %u %u ", i ? "\n" : "", record->usage, record->selector, record->matching);
        append_hexadecimal(&text, record->data);
    }
    struct str kept = trouble_keep(arena, buf_str(&text));
    buf_free(&text);
    return kept;
}

static bool use_records(struct planning *planning, const struct tls_dane_records *records) {
    struct tls_plan *plan = &planning->plan;
    const struct route *route = planning->question->route;
    plan->source = TLS_BY_DANE;
    plan->policy_text = records_text(planning->arena, records);
    if (route->by_mx && !route->mx_authentic) {
        plan->downgrade = "halfdane";
        plan->level = settings_of(planning)->insecure_mx == TLS_LEVEL_DANE ? TLS_LEVEL_HALF_DANE : TLS_LEVEL_ENCRYPT;
        if (plan->level == TLS_LEVEL_ENCRYPT) return true;
    }
    plan->session.expect = TLS_EXPECT_DANE;
    plan->session.tlsa = records->records;
    plan->session.tlsa_count = records->count;
    plan->session.server_name = as_reference(planning->arena, records->base, false);
    return set_dane_names(planning, records);
}

static bool dane_unknown(struct planning *planning, const char *why) {
    const struct host *host = planning->question->host;
    struct tls_result result = {.type = "dnssec-invalid", .reason = why, .helo = ""};
    log_warning("TLSA lookup error for %.*s:%u: %s", STR_ARGS(host->name), endpoint_port(&host->endpoint), why);
    trouble_set(planning->trouble, planning->arena, "4.7.5", "TLSA lookup error for %.*s:%u", STR_ARGS(host->name),
                endpoint_port(&host->endpoint));
    set_status(planning, "", "?");
    tls_result_note(planning->smtp, planning->question, NULL, &result);
    return false;
}

static bool ask_dane(struct planning *planning) {
    struct tls_dane_records records = {0};
    struct failure failure = {0};
    switch (tls_dane_find(planning->smtp->resolver, planning->question->host, settings_of(planning)->force_tlsa,
                          deadline_in(LOOKUP_PATIENCE), planning->arena, &records, &failure)) {
    case TLS_DANE_FOUND:
        return use_records(planning, &records) || misconfigured(planning);
    case TLS_DANE_UNSIGNED:
        return without_dane(planning, TLS_LEVEL_MAY, "nodnssec", "non DNSSEC destination");
    case TLS_DANE_ABSENT:
        return without_dane(planning, TLS_LEVEL_MAY, "notlsa", "no TLSA records found");
    case TLS_DANE_UNUSABLE:
        planning->plan.source = TLS_BY_DANE;
        return without_dane(planning, TLS_LEVEL_ENCRYPT, "unusable", "TLSA records unusable");
    case TLS_DANE_RETRY:
        break;
    }
    return dane_unknown(planning, failure.text);
}

static bool apply_dane(struct planning *planning) {
    const struct route *route = planning->question->route;
    enum tls_level insecure_mx = settings_of(planning)->insecure_mx;
    if (!planning->smtp->settings.look_in_dns) {
        log_warning("%.*s: dane configured with DNS lookups disabled", STR_ARGS(planning->question->next_hop_text));
        return misconfigured(planning);
    }
    if (route->mx_unknown) {
        log_warning("%.*s: dane configured while ignoring MX lookup errors",
                    STR_ARGS(planning->question->next_hop_text));
        return misconfigured(planning);
    }
    bool insecure = route->by_mx && !route->mx_authentic;
    if (insecure || !planning->question->host->authentic) look_for_validation(planning);
    if (insecure && (planning->plan.level == TLS_LEVEL_DANE_ONLY || insecure_mx == TLS_LEVEL_MAY))
        return without_dane(planning, TLS_LEVEL_MAY, "nodnssec", "non DNSSEC destination");
    return ask_dane(planning);
}

/* ---- what is expected of the certificate */

static struct str name_for(const struct planning *planning, struct str word) {
    struct str host = planning->question->host->name, next_hop = planning->question->next_hop->host;
    if (str_equal_nocase(word, STR("hostname"))) return as_reference(planning->arena, host, false);
    if (str_equal_nocase(word, STR("nexthop"))) return as_reference(planning->arena, next_hop, false);
    if (str_equal_nocase(word, STR("dot-nexthop"))) return as_reference(planning->arena, next_hop, true);
    if (word.length > 1 && word.data[0] == '.') return as_reference(planning->arena, str_from_offset(word, 1), true);
    return as_reference(planning->arena, word, false);
}

static bool expect_names(struct planning *planning, struct str from_settings) {
    struct tls_client_session *session = &planning->plan.session;
    struct tls_words *words = &planning->policy.match;
    if (words->count == 0 && !tls_words_add(words, from_settings, LIST_SEPARATORS)) return misconfigured(planning);
    struct str *names = arena_allocate(planning->arena, words->count + 1, sizeof *names);
    if (!names) return misconfigured(planning);
    session->names = names;
    for (size_t i = 0; i < words->count; i++) {
        struct str name = name_for(planning, words->words[i]);
        if (name.length) names[session->name_count++] = name;
    }
    session->expect = TLS_EXPECT_NAME;
    return true;
}

static bool expect_fingerprints(struct planning *planning) {
    struct tls_client_session *session = &planning->plan.session;
    struct tls_words *words = &planning->policy.match;
    if (words->count == 0 && !tls_words_add(words, settings_of(planning)->fingerprint_match, LIST_SEPARATORS))
        return misconfigured(planning);
    struct str *prints = arena_allocate(planning->arena, words->count + 1, sizeof *prints);
    if (!prints) return misconfigured(planning);
    for (size_t i = 0; i < words->count; i++) {
        struct buf lower = buf_make(0);
        for (size_t at = 0; at < words->words[i].length; at++)
            buf_append_char(&lower, ascii_lower(words->words[i].data[at]));
        prints[i] = trouble_keep(planning->arena, buf_str(&lower));
        buf_free(&lower);
    }
    session->fingerprints = prints;
    session->fingerprint_count = words->count;
    session->expect = TLS_EXPECT_FINGERPRINT;
    if (words->count) return true;
    log_warning("%.*s: security level fingerprint without any fingerprint",
                STR_ARGS(planning->question->next_hop_text));
    return misconfigured(planning);
}

static bool set_expectation(struct planning *planning) {
    switch (planning->plan.level) {
    case TLS_LEVEL_FINGERPRINT:
        return expect_fingerprints(planning);
    case TLS_LEVEL_VERIFY:
        return expect_names(planning, settings_of(planning)->verify_match);
    case TLS_LEVEL_SECURE:
        return expect_names(planning, settings_of(planning)->secure_match);
    case TLS_LEVEL_NONE:
    case TLS_LEVEL_MAY:
    case TLS_LEVEL_ENCRYPT:
    case TLS_LEVEL_HALF_DANE:
    case TLS_LEVEL_DANE:
    case TLS_LEVEL_DANE_ONLY:
        return true; /* DANE's are set where its records were found */
    }
    return true;
}

/* ---- the rest */

static void set_suite(struct planning *planning) {
    const struct tls_settings *settings = settings_of(planning);
    const struct tls_policy *policy = &planning->policy;
    struct tls_plan *plan = &planning->plan;
    bool mandatory = tls_plan_is_mandatory(plan);
    const struct tls_grade_settings *base = mandatory ? &settings->mandatory : &settings->opportunistic;
    struct buf exclude = buf_make(0);
    plan->protocols = policy->protocols.length ? with_blanks(planning->arena, policy->protocols, ":, \t")
                                               : with_blanks(planning->arena, base->protocols, LIST_SEPARATORS);
    plan->grade = policy->grade.length ? policy->grade : base->grade;
    if (policy->has_exclude) {
        for (size_t i = 0; i < policy->exclude.count; i++)
            buf_printf(&exclude, "%.*s ", STR_ARGS(policy->exclude.words[i]));
    } else {
        buf_printf(&exclude, "%.*s ", STR_ARGS(settings->exclude));
        if (mandatory) buf_printf(&exclude, "%.*s ", STR_ARGS(settings->mandatory_exclude));
    }
    if (plan->level >= TLS_LEVEL_FINGERPRINT) buf_append(&exclude, STR("aNULL")); /* nobody would be there to know */
    plan->exclude = with_blanks(planning->arena, buf_str(&exclude), ":, \t\r\n");
    buf_free(&exclude);
}

static void set_server_name(struct planning *planning) {
    struct tls_client_session *session = &planning->plan.session;
    struct str name = planning->policy.server_name;
    if (name.length == 0) name = settings_of(planning)->server_name;
    if (session->server_name.length || name.length == 0) return;
    session->server_name = name_for(planning, name);
}

/* REQUIRETLS to a server of which nothing could tell whether it is the right one. */
static bool is_unknown_server(struct planning *planning) {
    const struct tls_plan *plan = &planning->plan;
    const struct tls_question *question = planning->question;
    bool known = plan->level >= TLS_LEVEL_FINGERPRINT && plan->level != TLS_LEVEL_HALF_DANE && !plan->report_only;
    if (known || !question->require_tls || endpoint_is_local(&question->host->endpoint)) return false;
    trouble_set(planning->trouble, planning->arena, "4.7.30",
                "REQUIRETLS is required, but nothing says how to verify host %.*s", STR_ARGS(question->host->name));
    planning->trouble->local = true;
    planning->trouble->at_end = "5.7.30";
    set_status(planning, "!", "");
    return true;
}

static bool complete(struct planning *planning) {
    struct tls_plan *plan = &planning->plan;
    plan->reuse = planning->policy.has_reuse ? planning->policy.reuse : settings_of(planning)->reuse;
    plan->require_tls = planning->question->require_tls && !endpoint_is_local(&planning->question->host->endpoint);
    plan->session.fingerprint_digest = settings_of(planning)->fingerprint_digest;
    if (plan->level == TLS_LEVEL_NONE) {
        plan->reuse = true;
    } else {
        if (plan->source != TLS_BY_STS && !set_expectation(planning)) return false;
        set_suite(planning);
        set_server_name(planning);
    }
    tls_plan_seal(plan);
    return true;
}

bool tls_plan_make(struct smtp *smtp, const struct tls_question *question, struct arena *arena, struct tls_plan *plan,
                   struct trouble *trouble) {
    struct planning *planning = ARENA_NEW(arena, struct planning); /* not on a task's small stack */
    if (!planning) return false;
    *planning = (struct planning){.smtp = smtp, .question = question, .arena = arena, .trouble = trouble};
    struct tls_plan *made = &planning->plan;
    if (!find_policy(planning) || !adjust_level(planning)) return false;
    if ((made->level == TLS_LEVEL_DANE || made->level == TLS_LEVEL_DANE_ONLY) && !apply_dane(planning)) return false;
    if (made->source == TLS_BY_CONFIGURATION && made->level == TLS_LEVEL_MAY && !question->tls_not_required &&
        !tls_sts_apply(smtp, question, arena, made, trouble))
        return false;
    if (is_unknown_server(planning) || !complete(planning)) return false;
    *plan = *made;
    return true;
}
