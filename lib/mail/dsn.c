/* dsn: the multipart/report around a returned message. */
#include "dsn.h"
#include "date.h"
#include "header.h"
#include "log_text.h"

const char *dsn_action_text(enum dsn_action action) {
    switch (action) {
    case DSN_ACTION_FAILED:
        return "failed";
    case DSN_ACTION_DELAYED:
        return "delayed";
    case DSN_ACTION_DELIVERED:
        return "delivered";
    case DSN_ACTION_RELAYED:
        return "relayed";
    case DSN_ACTION_EXPANDED:
        return "expanded";
    case DSN_ACTION_DELIVERABLE:
        return "deliverable";
    case DSN_ACTION_UNDELIVERABLE:
        return "undeliverable";
    }
    return "failed";
}

/* The status part names an address that is not ASCII: message/global-delivery-status. */
static bool status_is_global(const struct dsn_report *report) {
    if (report->sender != NULL && !str_is_ascii(mail_address_text(report->sender))) return true;
    for (size_t i = 0; i < report->recipient_count; i++) {
        const struct dsn_recipient *recipient = &report->recipients[i];
        if (!str_is_ascii(mail_address_text(recipient->final)) || !str_is_ascii(recipient->original)) return true;
    }
    return false;
}

bool dsn_needs_utf8(const struct dsn_report *report) {
    return !str_is_ascii(report->from) || !str_is_ascii(report->to) || !str_is_ascii(report->subject) ||
           (report->returned != DSN_RETURN_NOTHING && report->returned_has_utf8_headers) || status_is_global(report);
}

/* One line of outside text: line ends become spaces, the rest is cleaned. */
static void append_one_line(struct buf *out, struct str text, bool utf8) {
    struct buf joined = buf_make(0);
    struct str rest = text, line;
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &line, &rest);
        line = str_trim(more ? line : rest);
        if (line.length > 0 && joined.length > 0) buf_append_char(&joined, ' ');
        log_text_append(&joined, line, 0);
    }
    for (size_t i = 0; i < joined.length; i++) {
        bool high = (unsigned char)joined.data[i] >= 0x80;
        buf_append_char(out, high && !utf8 ? '?' : joined.data[i]);
    }
    buf_free(&joined);
}

/* "Name: prefix value", cleaned and folded; nothing for an empty value. */
static void put_field(struct buf *out, const char *name, const char *prefix, struct str value, bool utf8) {
    if (value.length == 0) return;
    struct buf line = buf_make(0);
    buf_append(&line, str_from(prefix));
    append_one_line(&line, value, utf8);
    header_append_folded(out, str_from(name), buf_str(&line));
    buf_free(&line);
}

static void put_date(struct buf *out, const char *name, int64_t seconds, int offset_minutes) {
    if (seconds == 0) return;
    buf_append(out, str_from(name));
    buf_append(out, STR(": "));
    date_append_rfc5322(out, seconds, offset_minutes);
    buf_append_char(out, '\n');
}

/* RFC 6533 3: rfc822 for ASCII, utf-8 else. */
static void put_address(struct buf *out, const char *name, const struct mail_address *address) {
    struct buf external = buf_make(0);
    mail_address_append_external(&external, address);
    bool ascii = str_is_ascii(buf_str(&external));
    put_field(out, name, ascii ? "rfc822; " : "utf-8; ", external.length > 0 ? buf_str(&external) : STR("<>"), !ascii);
    buf_free(&external);
}

static void put_boundary(struct buf *out, const struct dsn_report *report, const char *end) {
    buf_append(out, STR("--"));
    buf_append(out, report->boundary);
    buf_append(out, str_from(end));
    buf_append_char(out, '\n');
}

static void put_header(struct buf *out, const struct dsn_report *report) {
    put_field(out, "From", "", report->from, true);
    put_field(out, "To", "", report->to, true);
    put_field(out, "Subject", "", report->subject, true);
    put_date(out, "Date", report->date, report->offset_minutes);
    put_field(out, "Message-ID", "", report->message_id, false);
    buf_append(out, STR("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
                        "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\""));
    buf_append(out, report->boundary);
    buf_append(out, STR("\"\n"));
    if (report->returned_is_8bit || !str_is_ascii(report->human_text) || dsn_needs_utf8(report)) {
        buf_append(out, STR("Content-Transfer-Encoding: 8bit\n"));
    }
    buf_append(out, STR("\nThis is a MIME-encapsulated message.\n\n"));
}

static void put_text_part(struct buf *out, const struct dsn_report *report) {
    struct str text = report->human_text, charset = report->human_charset;
    bool ascii = str_is_ascii(text);
    /* Words of a template may be ASCII, and a recipient or an answer not. */
    if (charset.length == 0 || str_equal_nocase(charset, STR("us-ascii")))
        charset = ascii ? STR("us-ascii") : STR("utf-8");
    buf_append(out, STR("Content-Description: Notification\nContent-Type: text/plain; charset="));
    append_one_line(out, charset, false);
    buf_append(out, ascii ? STR("\n\n") : STR("\nContent-Transfer-Encoding: 8bit\n\n"));
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool control = ((unsigned char)c < ' ' && c != '\n' && c != '\t') || c == 0x7f;
        buf_append_char(out, control ? '?' : c);
    }
    if (text.length > 0 && text.data[text.length - 1] != '\n') buf_append_char(out, '\n');
    buf_append_char(out, '\n');
}

/* RFC 3464 2.3, in the RFC's order. */
static void put_recipient(struct buf *out, const struct dsn_recipient *recipient, bool utf8, int offset_minutes) {
    buf_append_char(out, '\n');
    if (recipient->original.length > 0) {
        struct buf type = buf_make(0);
        append_one_line(&type, recipient->original_type.length > 0 ? recipient->original_type : STR("rfc822"), false);
        buf_append(&type, STR("; "));
        put_field(out, "Original-Recipient", buf_string(&type), recipient->original, utf8);
        buf_free(&type);
    }
    put_address(out, "Final-Recipient", recipient->final);
    buf_printf(out, "Action: %s\nStatus: ", dsn_action_text(recipient->action));
    status_code_append(out, recipient->status);
    buf_append_char(out, '\n');
    put_field(out, "Remote-MTA", "dns; ", recipient->remote_mta, utf8);
    put_field(out, "Diagnostic-Code", recipient->diagnostic_is_smtp ? "smtp; " : "x-tern; ", recipient->diagnostic,
              utf8);
    put_date(out, "Last-Attempt-Date", recipient->last_attempt, offset_minutes);
    put_date(out, "Will-Retry-Until", recipient->will_retry_until, offset_minutes);
}

static void put_status_part(struct buf *out, const struct dsn_report *report) {
    bool global = status_is_global(report);
    buf_append(out, STR("Content-Description: Delivery report\nContent-Type: "));
    buf_append(out, global ? STR("message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n\n")
                           : STR("message/delivery-status\n\n"));
    put_field(out, "Original-Envelope-Id", "", report->original_envelope_id, global);
    put_field(out, "Reporting-MTA", "dns; ", report->reporting_mta, global);
    put_field(out, "X-Tern-Queue-ID", "", report->queue_id, false);
    if (report->sender != NULL) put_address(out, "X-Tern-Sender", report->sender);
    put_date(out, "Arrival-Date", report->arrival_date, report->offset_minutes);
    for (size_t i = 0; i < report->recipient_count; i++) {
        put_recipient(out, &report->recipients[i], global, report->offset_minutes);
    }
    buf_append_char(out, '\n');
}

static void put_returned_part(struct buf *out, const struct dsn_report *report) {
    bool full = report->returned == DSN_RETURN_FULL, global = report->returned_has_utf8_headers;
    buf_append(out, report->kind == DSN_FAILED    ? STR("Content-Description: Undelivered Message")
                    : report->kind == DSN_DELAYED ? STR("Content-Description: Delayed Message")
                                                  : STR("Content-Description: Message"));
    buf_append(out, full ? STR("\nContent-Type: ") : STR(" Headers\nContent-Type: "));
    buf_append(out, full ? (global ? STR("message/global") : STR("message/rfc822"))
                         : (global ? STR("message/global-headers") : STR("text/rfc822-headers")));
    buf_append(out, report->returned_is_8bit || global ? STR("\nContent-Transfer-Encoding: 8bit\n\n") : STR("\n\n"));
}

bool dsn_append_prefix(struct buf *out, const struct dsn_report *report) {
    put_header(out, report);
    put_boundary(out, report, "");
    put_text_part(out, report);
    put_boundary(out, report, "");
    put_status_part(out, report);
    if (report->returned != DSN_RETURN_NOTHING) {
        put_boundary(out, report, "");
        put_returned_part(out, report);
    }
    return !buf_overflowed(out);
}

bool dsn_append_suffix(struct buf *out, const struct dsn_report *report) {
    if (report->returned != DSN_RETURN_NOTHING) buf_append_char(out, '\n');
    put_boundary(out, report, "--");
    return !buf_overflowed(out);
}

bool dsn_append_recipient_text(struct buf *out, const struct dsn_recipient *recipient, bool with_action) {
    struct buf line = buf_make(0);
    mail_address_append_path(&line, recipient->final);
    buf_append(&line, STR(": "));
    if (with_action) buf_printf(&line, "%s: ", dsn_action_text(recipient->action));
    append_one_line(&line, recipient->diagnostic, true);
    size_t column = 0;
    struct str word, rest = buf_str(&line);
    while (str_next_word(&rest, " ", &word)) {
        if (column > 0 && column + 1 + word.length > 78) {
            buf_append(out, STR("\n    "));
            column = 4;
        } else if (column > 0) {
            buf_append_char(out, ' ');
            column++;
        }
        buf_append(out, word);
        column += word.length;
    }
    buf_free(&line);
    return buf_append_char(out, '\n');
}
