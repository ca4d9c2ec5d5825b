/* tlsrpt_report: what became of TLS with one domain in one day, and the report on it (RFC 8460 section 4).
 *
 * A day is kept as counts: one entry for each policy that was in force, one for
 * each kind of failure with a host. It is written as JSON, in a form of our own
 * for the journal and in the RFC's for the report; jansson does the syntax.
 * Everything is bounded; what no longer fits is counted without details. */
#ifndef TERN_TLSRPT_REPORT_H
#define TERN_TLSRPT_REPORT_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

#define TLSRPT_POLICY_LIMIT 16
#define TLSRPT_DETAIL_LIMIT 100               /* of a policy */
#define TLSRPT_DAY_LIMIT    ((size_t)8 << 20) /* octets of a day's text that is read */

enum tlsrpt_policy_type { TLSRPT_TLSA = 0, TLSRPT_STS = 1, TLSRPT_NO_POLICY = 2 };

/* One session, or one attempt that failed. */
struct tlsrpt_outcome {
    enum tlsrpt_policy_type policy_type;
    struct str policy;      /* its strings, parted by LF */
    struct str mx_patterns; /* parted by blanks */
    bool success;
    struct str result_type;
    struct str sending_address, receiving_host, receiving_address, receiving_helo;
    struct str reason; /* failure-reason-code */
};

/* Who reports, and when. */
struct tlsrpt_sender {
    struct str organization, contact, report_id;
    int64_t begin, end; /* seconds; end is the last one that is reported on */
};

struct tlsrpt_day;

/* What a domain's reports of a day are made of. domain and record, its TLSRPT record, are copied. */
struct tlsrpt_day *tlsrpt_day_create(struct str domain, struct str record);
void tlsrpt_day_free(struct tlsrpt_day **day);
/* Counts an outcome. The record that says where reports go is that of the last outcome. */
void tlsrpt_day_add(struct tlsrpt_day *day, const struct tlsrpt_outcome *outcome, struct str record);
/* Adds what another day of the same domain has counted. */
void tlsrpt_day_merge(struct tlsrpt_day *day, const struct tlsrpt_day *other);
struct str tlsrpt_day_domain(const struct tlsrpt_day *day);
struct str tlsrpt_day_record(const struct tlsrpt_day *day);
void tlsrpt_day_counts(const struct tlsrpt_day *day, uint64_t *success, uint64_t *failure);
/* Places that have had the report are remembered with the day. */
void tlsrpt_day_note_sent(struct tlsrpt_day *day, struct str place);
bool tlsrpt_day_was_sent(const struct tlsrpt_day *day, struct str place);

/* The journal's form, appended; and back. NULL: the text is no whole day. */
void tlsrpt_day_write(const struct tlsrpt_day *day, struct buf *text);
MUST_USE struct tlsrpt_day *tlsrpt_day_read(struct str text);
/* The report's JSON, appended. */
void tlsrpt_day_report(const struct tlsrpt_day *day, const struct tlsrpt_sender *sender, struct buf *text);

#endif
