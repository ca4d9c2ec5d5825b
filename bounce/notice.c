/* One notice: composed around the returned message, and taken in by cleanup like
 * any other mail. The content is streamed from the queue file that came with the
 * request; nothing of it is held in memory. */
#include "bounce.h"
#include "address_complete.h"
#include "date.h"
#include "header.h"
#include "intake.h"
#include "log.h"
#include "received.h"
#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60000 /* ms for cleanup */

/* 128 random bits: nobody who writes a message can know it, so no message holds it. Without them there is no
 * notice now. */
static bool make_boundary(char *boundary, size_t size, struct failure *failure) {
    unsigned char random[16];
    static const char digits[] = "0123456789abcdef";
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return failure_set_errno(failure, errno, "no random boundary can be had");
    size_t length = 0;
    for (size_t i = 0; i < sizeof random && length + 2 < size; i++) {
        boundary[length++] = digits[random[i] >> 4];
        boundary[length++] = digits[random[i] & 15];
    }
    boundary[length] = '\0';
    return true;
}

static int local_offset_minutes(int64_t seconds) {
    time_t when = (time_t)seconds;
    struct tm fields;
    return localtime_r(&when, &fields) ? (int)(fields.tm_gmtoff / 60) : 0;
}

/* ---- the recipients' part */

static bool is_success(uint64_t action) {
    return action != DELIVERY_DEFERRED && action != DELIVERY_FAILED;
}

static enum dsn_action action_done(uint64_t action) {
    switch ((enum delivery_action)action) {
    case DELIVERY_DELIVERED:
        return DSN_ACTION_DELIVERED;
    case DELIVERY_RELAYED:
    case DELIVERY_RELAYED_DSN:
        return DSN_ACTION_RELAYED;
    case DELIVERY_EXPANDED:
        return DSN_ACTION_EXPANDED;
    case DELIVERY_DEFERRED:
        return DSN_ACTION_DELAYED;
    case DELIVERY_FAILED:
        return DSN_ACTION_FAILED;
    }
    return DSN_ACTION_FAILED;
}

static enum dsn_action action_of(enum notice_kind kind, uint64_t action) {
    switch (kind) {
    case NOTICE_FAILED:
        return DSN_ACTION_FAILED;
    case NOTICE_DELAYED:
        return DSN_ACTION_DELAYED;
    case NOTICE_SUCCESS:
    case NOTICE_REPORT:
        return action_done(action);
    case NOTICE_PROBE:
        return is_success(action) ? DSN_ACTION_DELIVERABLE : DSN_ACTION_UNDELIVERABLE;
    }
    return DSN_ACTION_FAILED;
}

/* The class of a status code that is not known (RFC 3463 section 3.1). */
static unsigned char status_class(enum notice_kind kind, uint64_t action) {
    if (kind == NOTICE_FAILED || action == DELIVERY_FAILED) return 5;
    return kind == NOTICE_DELAYED || action == DELIVERY_DEFERRED ? 4 : 2;
}

/* What an alias says need not be an address, and who sent has to hear of that one too: it is then shown as if all of it
 * were a local part. */
static void name_recipient(struct str address, struct mail_address *final) {
    unsigned flags = MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_POSTMASTER;
    if (mail_address_from_internal(address, flags, final) == MAIL_ADDRESS_OK) return;
    address = str_slice(address, 0, MAIL_ADDRESS_TEXT_MAX);
    bool text = str_is_utf8(address);
    *final = (struct mail_address){.local_length = (uint16_t)address.length};
    for (size_t i = 0; i < address.length; i++) {
        unsigned char c = (unsigned char)address.data[i];
        final->text[i] = c < ' ' || c == 0x7f || (c >= 0x80 && !text) ? '?' : (char)c;
    }
}

static bool fill_recipient(const struct ipc_bounce_send *request, enum notice_kind kind, const struct ipc_bounced *row,
                           struct arena *arena, struct mail_address *final, struct dsn_recipient *recipient) {
    name_recipient(row->address, final);
    *recipient = (struct dsn_recipient){
        .final = final,
        .action = action_of(kind, row->action),
        .diagnostic = row->diagnostic.length ? row->diagnostic : row->text,
        .diagnostic_is_smtp = row->diagnostic.length > 0,
        .remote_mta = row->remote_mta,
        .last_attempt = (int64_t)row->last_attempt,
        .will_retry_until = kind == NOTICE_DELAYED ? (int64_t)request->retry_until : 0,
    };
    struct str type, original;
    if (str_cut(row->orcpt, ';', &type, &original)) {
        recipient->original_type = type;
        recipient->original = original;
    } else if (row->original.length) {
        struct buf text = buf_make(0);
        mail_address_append_text(&text, row->original);
        bool kept = arena_copy(arena, buf_str(&text), &recipient->original);
        buf_free(&text);
        if (!kept) return false;
        recipient->original_type = str_is_ascii(recipient->original) ? STR("rfc822") : STR("utf-8");
    }
    if (!status_code_parse(row->status, &recipient->status))
        recipient->status = (struct status_code){status_class(kind, row->action), 0, 0};
    return true;
}

static bool fill_recipients(const struct ipc_bounce_send *request, enum notice_kind kind, struct arena *arena,
                            struct dsn_report *report) {
    struct dsn_recipient *recipients = arena_allocate(arena, request->recipients.count + 1, sizeof *recipients);
    struct mail_address *finals = arena_allocate(arena, request->recipients.count + 1, sizeof *finals);
    if (!recipients || !finals) return false;
    size_t offset = 0, count = 0;
    struct ipc_bounced row;
    bool bad = false;
    for (; ipc_list_next(request->recipients, IPC_ROW_BOUNCED, &offset, &row, &bad); count++)
        if (!fill_recipient(request, kind, &row, arena, &finals[count], &recipients[count])) return false;
    report->recipients = recipients;
    report->recipient_count = count;
    return count > 0;
}

/* ---- the text part */

static bool write_human_text(const struct bounce *bounce, const struct notice *notice, const struct dsn_report *report,
                             struct buf *text) {
    const struct config *config = bounce->config;
    char hours[24], days[24], size[24];
    snprintf(hours, sizeof hours, "%lld", (long long)config->delay_warning_time / 3600);
    snprintf(days, sizeof days, "%lld", (long long)config->maximal_queue_lifetime / 86400);
    snprintf(size, sizeof size, "%lld", (long long)config->bounce_size_limit);
    const struct bounce_word words[] = {{"myhostname", config->myhostname},
                                        {"mydomain", config->mydomain},
                                        {"myorigin", config->myorigin},
                                        {"mail_name", config->mail_name},
                                        {"delay_warning_time_hours", str_from(hours)},
                                        {"maximal_queue_lifetime_days", str_from(days)},
                                        {"bounce_size_limit", str_from(size)}};
    bounce_template_expand(notice->template->body, words, ARRAY_LENGTH(words), text);
    buf_append_char(text, '\n');
    for (size_t i = 0; i < report->recipient_count && text->length < 100000; i++)
        dsn_append_recipient_text(text, &report->recipients[i],
                                  notice->kind == NOTICE_REPORT || notice->kind == NOTICE_PROBE);
    return !buf_overflowed(text);
}

/* ---- the returned message */

/* Where the header ends: after its last line, without the empty one; or at the limit, if there is no end before.
 * On failure errno says why. */
bool notice_find_header_end(int content, uint64_t offset, uint64_t length, uint64_t limit, uint64_t *end) {
    char bytes[8192];
    char before = '\n';
    if (length > limit) length = limit;
    for (uint64_t done = 0; done < length;) {
        ssize_t got = pread(content, bytes, length - done < sizeof bytes ? (size_t)(length - done) : sizeof bytes,
                            (off_t)(offset + done));
        if (got == 0) errno = ENODATA;
        if (got <= 0) return false;
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\n' && before == '\n') {
                *end = done + (uint64_t)i;
                return true;
            }
            before = bytes[i];
        }
        done += (uint64_t)got;
    }
    *end = length;
    return true;
}

static bool copy_content(int content, uint64_t offset, uint64_t length, struct intake *intake,
                         struct failure *failure) {
    char bytes[32768], last = '\n';
    for (uint64_t done = 0; done < length;) {
        ssize_t got = pread(content, bytes, length - done < sizeof bytes ? (size_t)(length - done) : sizeof bytes,
                            (off_t)(offset + done));
        if (got < 0) return failure_set_errno(failure, errno, "the queue file cannot be read");
        if (got == 0) return failure_set(failure, "the queue file is cut short");
        if (!intake_write(intake, str_make(bytes, (size_t)got))) return false;
        last = bytes[got - 1];
        done += (uint64_t)got;
    }
    return last == '\n' || intake_write(intake, STR("\n"));
}

/* ---- all of it */

static void write_trace(const struct bounce *bounce, struct str queue_id, int64_t now, int offset, struct buf *out) {
    buf_printf(out, "Received: by %.*s (%.*s)\n\tid %.*s; ", STR_ARGS(bounce->config->myhostname),
               STR_ARGS(bounce->config->mail_name), STR_ARGS(queue_id));
    date_append_rfc5322(out, now, offset);
    buf_append_char(out, '\n');
}

static void write_from(const struct bounce *bounce, const struct notice *notice, struct buf *from) {
    address_complete(from, notice->template->from, bounce->config->myorigin);
}

static bool commit(const struct bounce *bounce, const struct notice *notice, const struct dsn_report *report,
                   unsigned tls, struct intake **intake, struct failure *failure) {
    struct ipc_recipient recipient = {.address = notice->to, .notify = NOTIFY_NEVER};
    struct intake_envelope envelope = {.sender = notice->envelope_sender,
                                       .body = BODY_8BIT,
                                       .smtputf8 = dsn_needs_utf8(report),
                                       .client_name = STR("localhost"),
                                       .client_address = STR("local"),
                                       .protocol = STR("local"),
                                       .helo = bounce->config->myhostname,
                                       .message_id = report->message_id,
                                       .wish = {.tls = tls},
                                       .recipients = &recipient,
                                       .recipient_count = 1};
    struct intake_failure refused = {0};
    if (intake_commit(intake, &envelope, deadline_in(PATIENCE), &refused)) return true;
    return failure_set(failure, "%s", refused.text);
}

static bool write_parts(struct bounce *bounce, const struct notice *notice, struct dsn_report *report,
                        struct intake *intake, struct failure *failure) {
    const struct ipc_bounce_send *request = notice->request;
    failure_set(failure, "the notice cannot be written");
    struct buf text = buf_make(200000), out = buf_make(0);
    uint64_t length = request->content_length;
    bool good = write_human_text(bounce, notice, report, &text);
    report->human_text = buf_str(&text);
    if (good && notice->headers_only)
        good = notice_find_header_end(notice->content, request->content_offset, request->content_length,
                                      (uint64_t)bounce->config->bounce_size_limit, &length) ||
               failure_set_errno(failure, errno, "the queue file cannot be read");
    write_trace(bounce, intake_queue_id(intake), report->date, report->offset_minutes, &out);
    good = good && dsn_append_prefix(&out, report) && intake_write(intake, buf_str(&out)) &&
           copy_content(notice->content, request->content_offset, length, intake, failure);
    buf_clear(&out);
    good = good && dsn_append_suffix(&out, report) && intake_write(intake, buf_str(&out));
    buf_free(&text);
    buf_free(&out);
    return good;
}

/* What the message, the configuration and the template say of it. */
static struct dsn_report report_of(const struct bounce *bounce, const struct notice *notice) {
    const struct ipc_bounce_send *request = notice->request;
    bool to_postmaster = notice->envelope_sender.length > 0;
    return (struct dsn_report){.kind = notice->kind == NOTICE_FAILED    ? DSN_FAILED
                                       : notice->kind == NOTICE_DELAYED ? DSN_DELAYED
                                                                        : DSN_SUCCESS,
                               .subject = to_postmaster && notice->template->postmaster_subject.length
                                              ? notice->template->postmaster_subject
                                              : notice->template->subject,
                               .human_charset = notice->template->charset,
                               .reporting_mta = bounce->config->myhostname,
                               .original_envelope_id = request->envelope_id,
                               .arrival_date = (int64_t)request->arrival,
                               .queue_id = request->queue_id,
                               .returned = notice->headers_only ? DSN_RETURN_HEADERS : DSN_RETURN_FULL,
                               .returned_has_utf8_headers = request->smtputf8,
                               .returned_is_8bit = true};
}

bool notice_write(struct bounce *bounce, const struct notice *notice, char queue_id[24], struct failure *failure) {
    const struct ipc_bounce_send *request = notice->request;
    struct intake *intake;
    struct intake_failure refused = {0};
    char boundary[40];
    if (!make_boundary(boundary, sizeof boundary, failure)) return false;
    if (!intake_open(bounce->intake, request->content_length, deadline_in(PATIENCE), &intake, &refused))
        return failure_set(failure, "%s", refused.text);
    snprintf(queue_id, 24, "%.*s", STR_ARGS(intake_queue_id(intake)));
    struct buf from = buf_make(1000), to = buf_make(1000), message_id = buf_make(400);
    struct mail_address sender;
    bool has_sender =
        mail_address_from_internal(request->sender,
                                   MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_NULL | MAIL_ADDRESS_LOCAL_ONLY,
                                   &sender) == MAIL_ADDRESS_OK;
    int64_t now = clock_date() / CLOCK_SECOND;
    write_from(bounce, notice, &from);
    mail_address_append_text(&to, notice->to);
    message_id_append(&message_id, now, str_from(queue_id), bounce->config->myhostname);
    struct dsn_report report = report_of(bounce, notice);
    report.from = buf_str(&from);
    report.to = buf_str(&to);
    report.message_id = buf_str(&message_id);
    report.date = now;
    report.offset_minutes = local_offset_minutes(now);
    report.boundary = str_from(boundary);
    report.sender = has_sender ? &sender : NULL;
    bool good = fill_recipients(request, notice->kind, notice->arena, &report);
    if (!good) failure_set(failure, "none of the recipients can be named");
    good = good && write_parts(bounce, notice, &report, intake, failure);
    if (good)
        good = commit(bounce, notice, &report, (unsigned)request->tls, &intake, failure);
    else
        intake_cancel(&intake);
    buf_free(&from);
    buf_free(&to);
    buf_free(&message_id);
    return good;
}
