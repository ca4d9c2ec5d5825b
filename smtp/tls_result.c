/* See tls_result.h. Each result is told to tlsrpt by a task of its own, so that no delivery waits for it; the
 * domain's record, which says whether anybody wants to know, comes from DNS. */
#include "tls_result.h"
#include "dns.h"
#include "service.h"
#include "smtp.h"
#include "tlsrpt_record.h"
#include "tlsrpt_report.h"

enum {
    LOOKUP_MS = 15000,
    TELL_MS = 10000,
    AT_ONCE = 500, /* results being told; more are dropped, they are statistics */
};

struct telling {
    struct smtp *smtp;
    struct arena *arena;
    struct ipc_tlsrpt_result result;
};

/* ---- the task */

/* The record, if there is exactly one and it can be read. */
static bool find_record(struct telling *telling, struct str *record) {
    struct buf name = buf_make(300);
    struct dns_answer answer;
    struct tlsrpt_record parsed;
    size_t count = 0;
    buf_printf(&name, "_smtp._tls.%.*s", STR_ARGS(telling->result.domain));
    enum dns_result found = dns_lookup(telling->smtp->resolver, buf_str(&name), DNS_TXT, deadline_in(LOOKUP_MS),
                                       telling->arena, &answer, NULL);
    buf_free(&name);
    for (size_t i = 0; found == DNS_FOUND && i < answer.count; i++) {
        if (answer.records[i].type != DNS_TXT || !tlsrpt_record_is_one(answer.records[i].data)) continue;
        *record = answer.records[i].data;
        count++;
    }
    return count == 1 && record->length <= 1000 && tlsrpt_record_parse(*record, &parsed);
}

static void tell(void *argument) {
    struct telling *telling = argument;
    struct smtp *smtp = telling->smtp;
    if (find_record(telling, &telling->result.record)) {
        enum ipc_result ignored = ipc_tell(service_client(smtp->service, "tlsrpt", NULL, NULL), IPC_TLSRPT_RESULT,
                                           &telling->result, deadline_in(TELL_MS), NULL);
        (void)ignored; /* one is lost: the counts of a day are not exact */
    }
    smtp->results_at_once--;
    arena_destroy(&telling->arena);
    MEMORY_FREE(telling);
}

/* ---- what is told */

static enum tlsrpt_policy_type type_of(const struct tls_plan *plan, const struct tls_result *result) {
    if (!plan) return result->is_sts ? TLSRPT_STS : TLSRPT_TLSA; /* other look-ups that go wrong are of TLSA records */
    switch (plan->source) {
    case TLS_BY_DANE:
        return TLSRPT_TLSA;
    case TLS_BY_STS:
        return TLSRPT_STS;
    case TLS_BY_CONFIGURATION:
        break;
    }
    return TLSRPT_NO_POLICY;
}

static void fill(struct telling *telling, const struct tls_question *question, const struct tls_plan *plan,
                 const struct tls_result *result) {
    struct arena *arena = telling->arena;
    enum tlsrpt_policy_type type = type_of(plan, result);
    struct str patterns = plan ? plan->mx_patterns : STR_EMPTY;
    if (type == TLSRPT_TLSA) patterns = question->host->name;
    telling->result = (struct ipc_tlsrpt_result){
        .domain = tls_question_domain(question, arena),
        .record = STR_EMPTY,
        .policy_type = (uint64_t)type,
        .policy = trouble_keep(arena, str_slice(plan ? plan->policy_text : STR_EMPTY, 0, 20000)),
        .mx_patterns = trouble_keep(arena, str_slice(patterns, 0, 16000)),
        .success = result->type == NULL,
        .result_type = trouble_keep(arena, str_slice(str_from(result->type), 0, 40)),
        .receiving_host = trouble_keep(arena, str_slice(question->host->name, 0, 256)),
        .receiving_address = trouble_keep(arena, str_slice(question->host->address, 0, 64)),
        .receiving_helo = trouble_keep(arena, str_slice(str_from(result->helo), 0, 256)),
        .reason = trouble_keep(arena, str_slice(result->type ? str_from(result->reason) : STR_EMPTY, 0, 300)),
        .sending_address = trouble_keep(arena, str_slice(str_from(result->from), 0, 64))};
}

/* Results are of domains, and of what their MX records lead to. */
static bool is_wanted(const struct smtp *smtp, const struct tls_question *question, const struct tls_plan *plan,
                      const struct tls_result *result) {
    if (!smtp->config->smtp_tlsrpt_enable || !smtp->service || smtp->settings.lmtp || question->unreported)
        return false;
    if (question->next_hop->kind != NEXT_HOP_DOMAIN || smtp->results_at_once >= AT_ONCE) return false;
    if (plan && plan->report_done) return false;
    return !(result->reused && smtp->config->smtp_tlsrpt_skip_reused_handshakes);
}

void tls_result_note(struct smtp *smtp, const struct tls_question *question, const struct tls_plan *plan,
                     const struct tls_result *result) {
    if (!is_wanted(smtp, question, plan, result)) return;
    struct telling *telling = MEMORY_NEW(struct telling);
    telling->smtp = smtp;
    telling->arena = arena_create(0);
    fill(telling, question, plan, result);
    smtp->results_at_once++;
    if (task_start("tls result", tell, telling)) return;
    smtp->results_at_once--;
    arena_destroy(&telling->arena);
    MEMORY_FREE(telling);
}
