/* See tls_sts.h. fetch knows the policies; what it said is kept for a moment, so that not every
 * delivery asks. */
#include "tls_sts.h"
#include "domain.h"
#include "log.h"
#include "service.h"
#include "smtp.h"
#include "sts_policy.h"
#include "tls_result.h"

enum {
    PATIENCE = 90000,       /* ms: fetch has limits of its own */
    KEPT_MS = 60000,        /* how long an answer counts */
    KEPT_FAILURE_MS = 5000, /* the same of "fetch does not answer" */
    KEPT_LIMIT = 2000,
    ATTEMPTS = 3,
};

struct sts_answer {
    deadline until;
    bool failed;
    enum sts_mode mode;
    struct buf patterns, policy;
    char trouble[64]; /* TLSRPT result type; empty: none */
};

struct sts_cache {
    struct map *answers; /* by domain */
};

/* ---- asking */

static void answer_free(struct sts_answer *answer) {
    buf_free(&answer->patterns);
    buf_free(&answer->policy);
    MEMORY_FREE(answer);
}

static void drop_old(struct sts_cache *cache) {
    bool all = true;
    for (int round = 0; round < 2 && all; round++) {
        size_t cursor = 0;
        struct str domain;
        void *value;
        while (map_next(cache->answers, &cursor, &domain, &value)) {
            struct sts_answer *answer = value;
            if (round == 0 && deadline_left(answer->until) > 0) continue;
            (void)map_remove(cache->answers, domain);
            answer_free(answer);
        }
        all = map_count(cache->answers) >= KEPT_LIMIT;
    }
}

static void keep_answer(struct sts_cache *cache, struct str domain, struct sts_answer *answer) {
    if (map_count(cache->answers) >= KEPT_LIMIT) drop_old(cache);
    struct sts_answer *before = map_put(cache->answers, domain, answer);
    if (before) answer_free(before);
}

/* Asks fetch; the answer is made for the cache. */
static struct sts_answer *ask(struct smtp *smtp, struct str domain) {
    struct arena *arena = arena_create(0);
    struct ipc_sts_policy question = {.domain = domain};
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    struct sts_answer *answer = MEMORY_NEW(struct sts_answer);
    struct ipc_client *fetch = service_client(smtp->service, "fetch", NULL, NULL);
    deadline until = deadline_in(PATIENCE);
    enum ipc_result result = IPC_UNREACHABLE;
    /* One that is being replaced closes the connection: the next finds its successor. */
    for (unsigned attempt = 0; attempt < ATTEMPTS && result == IPC_UNREACHABLE; attempt++)
        result = ipc_ask(fetch, IPC_STS_POLICY, &question, -1, IPC_STS_POLICY_GIVEN, until, arena, &reply, &failure);
    answer->failed = result != IPC_OK;
    if (answer->failed) {
        log_warning("MTA-STS policy of %.*s: %s", STR_ARGS(domain), failure.text);
    } else {
        const struct ipc_sts_policy_given *given = reply.message;
        answer->mode = given->mode <= STS_ENFORCE ? (enum sts_mode)given->mode : STS_NONE;
        buf_append(&answer->patterns, given->patterns);
        buf_append(&answer->policy, given->policy);
        snprintf(answer->trouble, sizeof answer->trouble, "%.*s", STR_ARGS(given->trouble));
    }
    answer->until = deadline_in(answer->failed ? KEPT_FAILURE_MS : KEPT_MS);
    arena_destroy(&arena);
    return answer;
}

/* *is_new: it was not known before. Borrowed until the task waits. */
static const struct sts_answer *find_answer(struct smtp *smtp, struct str domain, bool *is_new) {
    if (!smtp->sts) {
        smtp->sts = MEMORY_NEW(struct sts_cache);
        smtp->sts->answers = map_create();
    }
    struct sts_answer *answer = map_get(smtp->sts->answers, domain);
    *is_new = !answer || deadline_left(answer->until) == 0;
    if (!*is_new) return answer;
    answer = ask(smtp, domain);
    keep_answer(smtp->sts, domain, answer);
    return answer;
}

/* ---- what it means for the plan */

static bool is_asked_for(const struct smtp *smtp, const struct tls_question *question) {
    return smtp->config->smtp_tls_mta_sts && smtp->service && !smtp->settings.lmtp &&
           question->next_hop->kind == NEXT_HOP_DOMAIN && smtp->settings.look_in_dns && smtp->settings.use_mx;
}

static bool lookup_failed(const struct tls_question *question, struct arena *arena, struct trouble *trouble) {
    trouble_set(trouble, arena, "4.7.5", "the MTA-STS policy of %.*s cannot be found out now",
                STR_ARGS(question->next_hop->host));
    trouble->local = true;
    return false;
}

static bool expect_host(const struct tls_question *question, struct arena *arena, struct tls_plan *plan) {
    struct str *name = ARENA_NEW(arena, struct str);
    if (!name) return false;
    *name = question->host->name;
    if (str_ends(*name, STR("."))) name->length--;
    plan->session.expect = TLS_EXPECT_NAME;
    plan->session.names = name;
    plan->session.name_count = 1;
    plan->session.server_name = *name; /* RFC 8461 section 4.1 */
    return true;
}

/* The host is none of those that the policy names. */
static bool host_unknown(struct smtp *smtp, const struct tls_question *question, struct arena *arena,
                         struct tls_plan *plan, bool enforced, struct trouble *trouble) {
    struct tls_result result = {
        .type = "validation-failure", .reason = "the MX host is not in the MTA-STS policy", .helo = ""};
    log_info("%.*s: MX host %.*s is not in the MTA-STS policy%s", STR_ARGS(question->next_hop->host),
             STR_ARGS(question->host->name), enforced ? "" : " (testing)");
    tls_result_note(smtp, question, plan, &result);
    if (!enforced) return true;
    trouble_set(trouble, arena, "4.7.5", "MX host %.*s is not in the MTA-STS policy of %.*s",
                STR_ARGS(question->host->name), STR_ARGS(question->next_hop->host));
    return false;
}

static bool obey(struct smtp *smtp, const struct tls_question *question, const struct sts_answer *answer,
                 struct arena *arena, struct tls_plan *plan, struct trouble *trouble) {
    bool enforced = answer->mode == STS_ENFORCE;
    bool known = sts_patterns_match(buf_str(&answer->patterns), question->host->name);
    plan->source = TLS_BY_STS;
    plan->policy_text = trouble_keep(arena, str_trim(buf_str(&answer->policy)));
    plan->mx_patterns = trouble_keep(arena, buf_str(&answer->patterns));
    plan->report_only = !enforced;
    if (!known && !host_unknown(smtp, question, arena, plan, enforced, trouble)) return false;
    if (enforced) plan->level = TLS_LEVEL_SECURE;
    /* While it is being tested, a host that is not in it has been reported; what it does besides does not count. */
    if (!known) plan->report_done = true;
    return (known && expect_host(question, arena, plan)) || (!known && !enforced) ||
           lookup_failed(question, arena, trouble);
}

bool tls_sts_apply(struct smtp *smtp, const struct tls_question *question, struct arena *arena, struct tls_plan *plan,
                   struct trouble *trouble) {
    bool is_new;
    if (!is_asked_for(smtp, question)) return true;
    struct str domain = tls_question_domain(question, arena);
    if (domain.length == 0) return true;
    const struct sts_answer *answer = find_answer(smtp, domain, &is_new);
    if (answer->failed) return lookup_failed(question, arena, trouble);
    if (answer->mode != STS_NONE) return obey(smtp, question, answer, arena, plan, trouble);
    if (is_new && answer->trouble[0]) {
        struct tls_result result = {.type = answer->trouble, .reason = "", .helo = "", .is_sts = true};
        tls_result_note(smtp, question, NULL, &result);
    }
    return true;
}
