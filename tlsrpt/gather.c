/* Results become counts: one open report for each domain, closed when its day is over. */
#include "tlsrpt.h"

#include "dns_packet.h"
#include "log.h"

#define DOMAIN_LIMIT 240 /* so that the name of the file fits */

int64_t tlsrpt_now(void) {
    return clock_date() / CLOCK_SECOND;
}

static int64_t day_begin(int64_t date) {
    return date - date % SECONDS_OF_DAY;
}

/* ---- the list */

static struct report *report_make(struct tlsrpt *tlsrpt, struct str domain, int64_t begin, struct tlsrpt_day *day) {
    struct report *report = MEMORY_NEW(struct report);
    report->day = day;
    report->domain = memory_copy_string(domain);
    report->begin = begin;
    report->next = tlsrpt->reports;
    report->previous = &tlsrpt->reports;
    if (report->next) report->next->previous = &report->next;
    tlsrpt->reports = report;
    tlsrpt->count++;
    return report;
}

void gather_drop(struct tlsrpt *tlsrpt, struct report *report) {
    if (map_get(tlsrpt->open, str_from(report->domain)) == report)
        (void)map_remove(tlsrpt->open, str_from(report->domain));
    *report->previous = report->next;
    if (report->next) report->next->previous = report->previous;
    tlsrpt->count--;
    tlsrpt_day_free(&report->day);
    MEMORY_FREE(report->domain);
    MEMORY_FREE(report);
}

/* ---- closing */

/* A domain's own moment, the same each day (RFC 8460 section 4.1 asks for a delay). */
static int64_t delay_of(const struct tlsrpt *tlsrpt, const struct report *report) {
    struct str host = tlsrpt->config->myhostname;
    uint32_t number = crc32c(crc32c(0, report->domain, strlen(report->domain)), host.data, host.length);
    return number % (tlsrpt->config->tlsrpt_delay_limit + 1);
}

static void close_report(struct tlsrpt *tlsrpt, struct report *report, int64_t end, int64_t due) {
    if (map_get(tlsrpt->open, str_from(report->domain)) == report)
        (void)map_remove(tlsrpt->open, str_from(report->domain));
    report->closed = true;
    report->end = end;
    report->due = due;
    report->give_up = due + SECONDS_OF_DAY; /* section 5.5 */
}

static void close_day(struct tlsrpt *tlsrpt, struct report *report) {
    int64_t end = day_begin(report->begin) + SECONDS_OF_DAY;
    close_report(tlsrpt, report, end - 1, end + delay_of(tlsrpt, report));
}

void gather_close_days(struct tlsrpt *tlsrpt) {
    int64_t today = day_begin(tlsrpt_now());
    for (struct report *report = tlsrpt->reports; report; report = report->next)
        if (!report->closed && report->begin < today) close_day(tlsrpt, report);
}

void gather_close_now(struct tlsrpt *tlsrpt, struct report *report) {
    int64_t now = tlsrpt_now();
    if (report->closed)
        report->due = now;
    else
        close_report(tlsrpt, report, now > report->begin ? now : report->begin, now);
}

/* ---- results */

static struct report *open_report(struct tlsrpt *tlsrpt, struct str domain, struct str record) {
    int64_t now = tlsrpt_now(), begin = day_begin(now);
    struct report *report = map_get(tlsrpt->open, domain);
    if (report && report->begin >= begin) return report;
    if (report) close_day(tlsrpt, report);
    if (tlsrpt->count >= (size_t)tlsrpt->config->tlsrpt_report_limit) {
        if (!tlsrpt->limit_told) log_warning("results of further domains are not gathered: tlsrpt_report_limit");
        tlsrpt->limit_told = true;
        return NULL;
    }
    /* After one that was closed early the next begins there: two never have the same name. */
    for (const struct report *other = tlsrpt->reports; other; other = other->next)
        if (other->closed && other->end >= begin && str_equal(str_from(other->domain), domain)) begin = other->end + 1;
    report = report_make(tlsrpt, domain, begin, tlsrpt_day_create(domain, record));
    map_put(tlsrpt->open, domain, report);
    return report;
}

void gather_result(struct tlsrpt *tlsrpt, const struct ipc_tlsrpt_result *result) {
    struct tlsrpt_outcome outcome = {.policy_type = (enum tlsrpt_policy_type)result->policy_type,
                                     .policy = result->policy,
                                     .mx_patterns = result->mx_patterns,
                                     .success = result->success,
                                     .result_type = result->result_type,
                                     .sending_address = result->sending_address,
                                     .receiving_host = result->receiving_host,
                                     .receiving_address = result->receiving_address,
                                     .receiving_helo = result->receiving_helo,
                                     .reason = result->reason};
    struct tlsrpt_record record;
    struct dns_name domain;
    if (result->policy_type > TLSRPT_NO_POLICY || !dns_name_set(&domain, result->domain) ||
        !dns_name_is_host(dns_name_str(&domain)) || domain.length > DOMAIN_LIMIT ||
        !tlsrpt_record_parse(result->record, &record))
        return;
    struct report *report = open_report(tlsrpt, dns_name_str(&domain), result->record);
    if (!report) return;
    tlsrpt_day_add(report->day, &outcome, result->record);
    report->dirty = true;
}

void gather_restore(struct tlsrpt *tlsrpt, struct str domain, int64_t begin, struct tlsrpt_day *day) {
    struct report *report = report_make(tlsrpt, domain, begin, day);
    struct report *other = map_get(tlsrpt->open, domain);
    if (other && other->begin > begin) {
        close_day(tlsrpt, report);
        report->end = other->begin - 1;
        return;
    }
    if (other) {
        close_day(tlsrpt, other);
        other->end = begin - 1;
    }
    map_put(tlsrpt->open, domain, report);
}
