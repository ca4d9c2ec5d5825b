/* A report as mail (RFC 8460 section 5.3): multipart/report with a text for people and the gzip file.
 *
 * It is sent whatever TLS with the domain is like, for it may well be about TLS
 * that does not work: TLS-Required: No, and the envelope says that no result of
 * its own delivery is gathered, so that reports never cause reports. What
 * happens to it nobody wants to know: NOTIFY=NEVER. */
#include "tlsrpt.h"

#include "base64.h"
#include "date.h"
#include "received.h"

#include <errno.h>
#include <sys/random.h>

#define PATIENCE    60000 /* ms for cleanup */
#define LINE_OCTETS 57    /* of base64's input, for lines of 76 */

void letter_report_id(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *id) {
    buf_printf(id, "%lld.%s@%.*s", (long long)report->begin, report->domain, STR_ARGS(tlsrpt->config->myhostname));
}

void letter_file_name(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *name) {
    buf_printf(name, "%.*s!%s!%lld!%lld.json.gz", STR_ARGS(tlsrpt->config->myhostname), report->domain,
               (long long)report->begin, (long long)report->end);
}

static bool make_boundary(struct buf *boundary, struct failure *failure) {
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return failure_set_errno(failure, errno, "no random boundary can be had");
    for (size_t i = 0; i < sizeof random; i++)
        buf_printf(boundary, "%02x", random[i]);
    return true;
}

static void append_base64(struct buf *out, struct str data) {
    for (size_t at = 0; at < data.length; at += LINE_OCTETS) {
        base64_encode(out, str_slice(data, at, at + LINE_OCTETS));
        buf_append_char(out, '\n');
    }
}

static void append_header(const struct tlsrpt *tlsrpt, const struct report *report, struct str address,
                          struct str queue_id, struct str message_id, struct str boundary, struct buf *out) {
    const struct config *config = tlsrpt->config;
    struct buf id = buf_make(0);
    int64_t now = tlsrpt_now();
    letter_report_id(tlsrpt, report, &id);
    buf_printf(out, "Received: by %.*s (%.*s)\n\tid %.*s; ", STR_ARGS(config->myhostname), STR_ARGS(config->mail_name),
               STR_ARGS(queue_id));
    date_append_rfc5322(out, now, 0);
    buf_append(out, STR("\nDate: "));
    date_append_rfc5322(out, now, 0);
    buf_printf(out, "\nFrom: <%.*s>\nTo: <%.*s>\n", STR_ARGS(config->tlsrpt_sender), STR_ARGS(address));
    buf_printf(out, "Subject: Report Domain: %s\n Submitter: %.*s\n Report-ID: <%s>\n", report->domain,
               STR_ARGS(config->myhostname), buf_string(&id));
    buf_printf(out, "Message-ID: %.*s\nAuto-Submitted: auto-generated\nTLS-Required: No\n", STR_ARGS(message_id));
    buf_printf(out, "TLS-Report-Domain: %s\nTLS-Report-Submitter: %.*s\n", report->domain,
               STR_ARGS(config->myhostname));
    buf_printf(out,
               "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=\"tlsrpt\";\n boundary=\"%.*s\"\n\n",
               STR_ARGS(boundary));
    buf_free(&id);
}

static void append_human_part(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *out) {
    uint64_t success, failure;
    tlsrpt_day_counts(report->day, &success, &failure);
    buf_append(out, STR("Content-Type: text/plain; charset=us-ascii\n\n"));
    buf_printf(out, "This is a report on TLS with the mail servers of %s\nby %.*s (RFC 8460).\n\nFrom  ",
               report->domain, STR_ARGS(tlsrpt->config->myhostname));
    date_append_rfc5322(out, report->begin, 0);
    buf_append(out, STR("\nuntil "));
    date_append_rfc5322(out, report->end, 0);
    buf_printf(out, ":\n%llu sessions succeeded, %llu failed.\n", (unsigned long long)success,
               (unsigned long long)failure);
}

static void append_letter(const struct tlsrpt *tlsrpt, const struct report *report, struct str address,
                          struct str queue_id, struct str message_id, struct str boundary, struct str packed,
                          struct buf *out) {
    struct buf name = buf_make(0);
    letter_file_name(tlsrpt, report, &name);
    append_header(tlsrpt, report, address, queue_id, message_id, boundary, out);
    buf_printf(out, "--%.*s\n", STR_ARGS(boundary));
    append_human_part(tlsrpt, report, out);
    buf_printf(out, "\n--%.*s\nContent-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n",
               STR_ARGS(boundary));
    buf_printf(out, "Content-Disposition: attachment;\n filename=\"%s\"\n\n", buf_string(&name));
    append_base64(out, packed);
    buf_printf(out, "--%.*s--\n", STR_ARGS(boundary));
    buf_free(&name);
}

static bool commit(struct tlsrpt *tlsrpt, struct intake **intake, struct str address, struct str message_id,
                   struct failure *failure) {
    struct ipc_recipient recipient = {.address = address, .notify = NOTIFY_NEVER};
    struct intake_envelope envelope = {.sender = tlsrpt->config->tlsrpt_sender,
                                       .body = BODY_7BIT,
                                       .client_name = STR("localhost"),
                                       .client_address = STR("local"),
                                       .protocol = STR("local"),
                                       .helo = tlsrpt->config->myhostname,
                                       .message_id = message_id,
                                       .recipients = &recipient,
                                       .recipient_count = 1,
                                       .wish = {.tls = TLS_WISH_NOT_REQUIRED | TLS_WISH_UNREPORTED}};
    struct intake_failure refused = {0};
    if (intake_commit(intake, &envelope, deadline_in(PATIENCE), &refused)) return true;
    return failure_set(failure, "%s", refused.text);
}

bool letter_send(struct tlsrpt *tlsrpt, const struct report *report, struct str address, struct str packed,
                 char queue_id[24], struct failure *failure) {
    struct intake *intake;
    struct intake_failure refused = {0};
    struct buf boundary = buf_make(0), out = buf_make(0), message_id = buf_make(400);
    bool good = make_boundary(&boundary, failure);
    if (good && !intake_open(tlsrpt->intake, packed.length * 2, deadline_in(PATIENCE), &intake, &refused))
        good = failure_set(failure, "%s", refused.text);
    if (good) {
        snprintf(queue_id, 24, "%.*s", STR_ARGS(intake_queue_id(intake)));
        message_id_append(&message_id, tlsrpt_now(), str_from(queue_id), tlsrpt->config->myhostname);
        append_letter(tlsrpt, report, address, str_from(queue_id), buf_str(&message_id), buf_str(&boundary), packed,
                      &out);
        (void)intake_write(intake, buf_str(&out)); /* what is wrong with it the commit says */
        good = commit(tlsrpt, &intake, address, buf_str(&message_id), failure);
    }
    buf_free(&boundary);
    buf_free(&out);
    buf_free(&message_id);
    return good;
}
