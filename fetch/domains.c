/* MTA-STS policies by domain: what is known, and how it comes to be known (RFC 8461).
 *
 * A domain whose TXT record is there is fetched when no policy of that id is
 * known. A policy counts until its max_age is over, whatever the record and the
 * server say meanwhile (section 5.1): who can hide them must not be able to
 * take it back. All policies are in memory; the files are for the next start. */
#include "fetch.h"

#include "log.h"

enum {
    DNS_MS = 15000,        /* for the TXT record */
    KNOWN_MS = 10000,      /* how long a new policy is waited for while an older one is good */
    REFRESH_AT_ONCE = 100, /* policies that one round renews */
    REFRESH_AGE = 86400,   /* seconds after which a policy that is in use is fetched again */
    FETCHES_LIMIT = 1000,  /* under way or waiting for a thread */
};

struct sts_domain {
    struct fetch *fetch;
    char *name;
    /* the policy, when there is one */
    bool known;
    struct sts_policy policy;
    uint64_t fetched;
    struct buf id, text, patterns;
    bool used; /* asked for since it was fetched */
    /* fetching */
    bool fetching;
    unsigned waiting; /* tasks that hold on to this struct */
    struct task_queue waiters;
    struct buf wanted_id; /* of the record that it is being fetched for */
    deadline retry_at;    /* 0: at once */
    const char *trouble;  /* TLSRPT result type of the last attempt; NULL: it succeeded, or there was none */
};

static uint64_t seconds_now(void) {
    return (uint64_t)(clock_date() / CLOCK_SECOND);
}

/* ---- the table */

static void domain_free(struct sts_domain *domain) {
    (void)map_remove(domain->fetch->domains, str_from(domain->name));
    buf_free(&domain->id);
    buf_free(&domain->text);
    buf_free(&domain->patterns);
    buf_free(&domain->wanted_id);
    MEMORY_FREE(domain->name);
    MEMORY_FREE(domain);
}

static bool is_idle(const struct sts_domain *domain) {
    return !domain->fetching && domain->waiting == 0;
}

/* Makes room: what failed and may be tried again first, then anything; what is on disk comes back at the next start. */
static void make_room(struct fetch *fetch) {
    for (int with_policies = 0; with_policies < 2; with_policies++) {
        size_t cursor = 0;
        struct str name;
        void *value;
        while (map_next(fetch->domains, &cursor, &name, &value)) {
            struct sts_domain *domain = value;
            if (!is_idle(domain) || (!with_policies && domain->known)) continue;
            if (with_policies) store_remove(fetch, name);
            domain_free(domain);
            if (with_policies) return;
        }
        if (map_count(fetch->domains) < (size_t)fetch->config->mta_sts_policy_limit) return;
    }
}

static struct sts_domain *domain_make(struct fetch *fetch, struct str name) {
    struct sts_domain *domain = map_get(fetch->domains, name);
    if (domain) return domain;
    if (map_count(fetch->domains) >= (size_t)fetch->config->mta_sts_policy_limit) make_room(fetch);
    domain = MEMORY_NEW(struct sts_domain);
    domain->fetch = fetch;
    domain->name = memory_copy_string(name);
    map_put(fetch->domains, name, domain);
    return domain;
}

static bool has_ended(const struct sts_domain *domain, uint64_t now) {
    return domain->known && now > domain->fetched && now - domain->fetched >= domain->policy.max_age;
}

/* What has ended counts no more. */
static void end_policy(struct sts_domain *domain) {
    if (!has_ended(domain, seconds_now())) return;
    domain->known = false;
    store_remove(domain->fetch, str_from(domain->name));
}

static bool set_policy(struct sts_domain *domain, const struct stored_policy *stored, struct failure *failure) {
    struct buf patterns = buf_make(0);
    struct sts_policy policy;
    if (!sts_policy_parse(stored->policy, &policy, &patterns, failure)) {
        buf_free(&patterns);
        return false;
    }
    buf_free(&domain->patterns);
    domain->patterns = patterns;
    domain->policy = policy;
    buf_clear(&domain->text);
    buf_append(&domain->text, stored->policy);
    buf_clear(&domain->id);
    buf_append(&domain->id, stored->id);
    domain->fetched = stored->fetched;
    domain->known = true;
    domain->used = false;
    return true;
}

static void load_domain(struct fetch *fetch, struct str name) {
    struct buf text = buf_make(0);
    struct stored_policy stored;
    if (!store_read(fetch, name, &text, &stored)) {
        log_warning("the file of the MTA-STS policy of %.*s is torn and does not count", STR_ARGS(name));
        store_remove(fetch, name);
    } else {
        struct sts_domain *domain = domain_make(fetch, name);
        uint64_t now = seconds_now();
        if (stored.fetched > now) stored.fetched = now; /* the clock was wrong, then or now */
        if (set_policy(domain, &stored, NULL)) end_policy(domain);
        if (!domain->known) domain_free(domain);
    }
    buf_free(&text);
}

void domains_load(struct fetch *fetch) {
    fetch->domains = map_create();
    store_each(fetch, (size_t)fetch->config->mta_sts_policy_limit, load_domain);
}

/* ---- the record */

/* The id in DNS; false if the domain says that it has no policy, or nothing can be heard. */
static bool find_record(struct fetch *fetch, struct str domain, struct arena *arena, struct str *id) {
    struct buf name = buf_make(300);
    struct dns_answer answer;
    struct str record = STR_EMPTY;
    size_t count = 0;
    buf_printf(&name, "_mta-sts.%.*s", STR_ARGS(domain));
    enum dns_result result =
        dns_lookup(fetch->resolver, buf_str(&name), DNS_TXT, deadline_in(DNS_MS), arena, &answer, NULL);
    buf_free(&name);
    for (size_t i = 0; result == DNS_FOUND && i < answer.count; i++) {
        if (answer.records[i].type != DNS_TXT || !sts_record_is_one(answer.records[i].data)) continue;
        record = answer.records[i].data;
        count++;
    }
    return count == 1 && sts_record_parse(record, id);
}

/* ---- fetching */

static const char *trouble_of(enum http_result result) {
    return result == HTTP_CERTIFICATE ? "sts-webpki-invalid" : "sts-policy-fetch-error";
}

/* Section 3.2: text/plain, with or without parameters. */
static bool is_plain_text(struct str content_type) {
    struct str type, parameters;
    if (!str_cut(content_type, ';', &type, &parameters)) type = content_type;
    return str_equal_nocase(str_trim(type), STR("text/plain"));
}

/* The policy's text; what is wrong goes into trouble. */
static const char *fetch_text(struct sts_domain *domain, struct arena *arena, struct str *text,
                              struct failure *failure) {
    struct fetch *fetch = domain->fetch;
    struct buf url = buf_make(0);
    struct http_answer answer;
    buf_printf(&url, "https://mta-sts.%s/.well-known/mta-sts.txt", domain->name);
    struct http_request request = {.url = buf_str(&url),
                                   .limit = STS_POLICY_LIMIT,
                                   .may_private = fetch->config->fetch_private_addresses,
                                   .port = (uint16_t)fetch->config->mta_sts_https_port,
                                   .patience = fetch->config->fetch_timeout * 1000};
    enum http_result result = http_exchange(fetch, &request, arena, &answer, failure);
    buf_free(&url);
    if (result != HTTP_ANSWERED) return trouble_of(result);
    if (answer.status != 200) {
        failure_set(failure, "the server answers with status %u", answer.status);
        return "sts-policy-fetch-error";
    }
    if (!is_plain_text(answer.content_type)) {
        failure_set(failure, "its media type is not text/plain");
        return "sts-policy-invalid";
    }
    *text = answer.body;
    return NULL;
}

static void fetch_once(struct sts_domain *domain, struct arena *arena) {
    struct stored_policy stored = {.fetched = seconds_now()};
    struct failure failure = {0};
    const char *trouble = fetch_text(domain, arena, &stored.policy, &failure);
    stored.id = buf_str(&domain->wanted_id);
    if (!trouble && !set_policy(domain, &stored, &failure)) trouble = "sts-policy-invalid";
    domain->trouble = trouble;
    if (trouble) {
        domain->retry_at = deadline_in(domain->fetch->config->mta_sts_retry_time * 1000);
        log_warning("MTA-STS policy of %s, id %s: %s%s: %s", domain->name, buf_string(&domain->wanted_id), trouble,
                    domain->known ? " (an earlier one counts)" : "", failure.text);
        return;
    }
    domain->retry_at = 0;
    store_write(domain->fetch, str_from(domain->name), &stored);
    log_info("MTA-STS policy of %s, id %s: mode=%s, max_age=%llu", domain->name, buf_string(&domain->id),
             sts_mode_name(domain->policy.mode), (unsigned long long)domain->policy.max_age);
}

static void run_fetch(void *argument) {
    struct sts_domain *domain = argument;
    struct arena *arena = arena_create(0);
    fetch_once(domain, arena);
    arena_destroy(&arena);
    domain->fetch->at_once--;
    domain->fetching = false;
    task_queue_wake_all(&domain->waiters);
}

/* Nothing is begun while the last failure is fresh or too much is under way. */
static void start_fetch(struct sts_domain *domain, struct str id) {
    if (domain->fetching || (domain->retry_at != 0 && deadline_left(domain->retry_at) > 0)) return;
    if (domain->fetch->at_once >= FETCHES_LIMIT || !task_start("fetch policy", run_fetch, domain)) return;
    buf_clear(&domain->wanted_id);
    buf_append(&domain->wanted_id, id);
    domain->fetching = true;
    domain->fetch->at_once++;
}

static void wait_for_fetch(struct sts_domain *domain) {
    int64_t patience = domain->known ? KNOWN_MS : domain->fetch->config->fetch_timeout * 1000 + DNS_MS;
    deadline until = deadline_in(patience);
    while (domain->fetching && task_queue_wait(&domain->waiters, until) == WAIT_READY)
        ;
}

/* ---- answering */

static bool give(struct sts_domain *domain, struct arena *arena, struct ipc_sts_policy_given *answer) {
    struct ipc_sts_policy_given given = {.mode = STS_NONE, .patterns = STR_EMPTY, .policy = STR_EMPTY};
    given.trouble = domain->trouble ? str_from(domain->trouble) : STR_EMPTY;
    if (domain->known) {
        given.mode = (uint64_t)domain->policy.mode;
        domain->used = true;
        if (!arena_copy(arena, buf_str(&domain->patterns), &given.patterns) ||
            !arena_copy(arena, buf_str(&domain->text), &given.policy))
            return false;
    }
    *answer = given;
    return true;
}

bool domains_policy(struct fetch *fetch, struct str name, struct arena *arena, struct ipc_sts_policy_given *answer,
                    struct failure *failure) {
    struct str id = STR_EMPTY;
    bool announced = find_record(fetch, name, arena, &id);
    struct sts_domain *domain = map_get(fetch->domains, name);
    if (domain) end_policy(domain);
    if (!announced && (!domain || !domain->known)) {
        *answer = (struct ipc_sts_policy_given){
            .mode = STS_NONE, .patterns = STR_EMPTY, .policy = STR_EMPTY, .trouble = STR_EMPTY};
        return true;
    }
    domain = domain_make(fetch, name);
    domain->waiting++;
    if (announced && (!domain->known || !str_equal(id, buf_str(&domain->id)))) {
        start_fetch(domain, id);
        wait_for_fetch(domain);
        if (!domain->known && domain->fetching) domain->trouble = "sts-policy-fetch-error";
    }
    bool good = give(domain, arena, answer);
    domain->waiting--;
    return good || failure_set(failure, "the answer does not fit into memory");
}

/* ---- in the background */

static bool is_due(const struct sts_domain *domain, uint64_t now) {
    uint64_t age = now > domain->fetched ? now - domain->fetched : 0;
    uint64_t half = domain->policy.max_age / 2;
    return domain->known && domain->used && is_idle(domain) && age >= (half < REFRESH_AGE ? half : REFRESH_AGE) &&
           (domain->retry_at == 0 || deadline_left(domain->retry_at) == 0);
}

static void refresh_one(struct sts_domain *domain) {
    struct arena *arena = arena_create(0);
    struct str id;
    domain->waiting++;
    if (find_record(domain->fetch, str_from(domain->name), arena, &id))
        start_fetch(domain, id);
    else /* not announced any more: it is asked again, and then ends by itself */
        domain->retry_at = deadline_in(domain->fetch->config->mta_sts_retry_time * 1000);
    domain->waiting--;
    arena_destroy(&arena);
}

/* What is due now; forgets what has ended and what failed long enough ago. */
static size_t gather_due(struct fetch *fetch, struct sts_domain **due) {
    uint64_t now = seconds_now();
    size_t cursor = 0, count = 0;
    struct str name;
    void *value;
    while (count < REFRESH_AT_ONCE && map_next(fetch->domains, &cursor, &name, &value)) {
        struct sts_domain *domain = value;
        if (is_idle(domain)) end_policy(domain);
        if (is_due(domain, now)) {
            domain->waiting++; /* nobody frees it meanwhile */
            due[count++] = domain;
        } else if (!domain->known && is_idle(domain) && deadline_left(domain->retry_at) == 0) {
            domain_free(domain);
        }
    }
    return count;
}

void domains_refresh(struct fetch *fetch) {
    struct sts_domain *due[REFRESH_AT_ONCE];
    size_t count = gather_due(fetch, due);
    for (size_t i = 0; i < count; i++) {
        due[i]->waiting--;
        refresh_one(due[i]);
    }
}
