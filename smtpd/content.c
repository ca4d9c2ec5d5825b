/* content: taking a message's content in (lib/client/intake.h says where it goes).
 *
 * The bytes pass the line scanner (content_scan) and, while they are header, the
 * header reader (content_header); nothing is kept but one piece of input. A message
 * that must be refused is read to its end all the same, so that the client hears why.
 * "250" is said only after cleanup has made the message safe. */
#include "content_state.h"
#include "log.h"
#include "received.h"
#include "smtpd.h"
#include <time.h>

static void give_up(struct content *content) {
    intake_cancel(&content->intake);
    buf_clear(&content->out);
}

static void write_out(struct content *content) {
    /* A write error is told at the commit; until then the client is read to the end. */
    if (content->intake && content->out.length) (void)intake_write(content->intake, buf_str(&content->out));
    buf_clear(&content->out);
}

/* ---- the beginning */

static int offset_minutes(int64_t seconds) {
    struct tm fields;
    time_t when = (time_t)seconds;
    return localtime_r(&when, &fields) ? (int)(fields.tm_gmtoff / 60) : 0;
}

static void append_login(const struct session *session, struct buf *line) {
    const struct client *client = &session->client;
    struct str submitter = session->transaction->submitter;
    if (client->login_method.length) buf_printf(line, ", sasl_method=%.*s", STR_ARGS(client->login_method));
    if (client->login.length) buf_printf(line, ", sasl_username=%.*s", STR_ARGS(client->login));
    if (submitter.length) buf_printf(line, ", sasl_sender=%.*s", STR_ARGS(submitter));
}

static void log_client(const struct session *session, const struct content *content) {
    const struct forwarded *forwarded = session->forwarded;
    struct buf line = buf_make(0);
    buf_printf(&line, "client=%.*s", STR_ARGS(session->client.label));
    append_login(session, &line);
    if (forwarded && forwarded->identity.length)
        buf_printf(&line, ", orig_queue_id=%.*s", STR_ARGS(forwarded->identity));
    if (forwarded && (forwarded->name.length || forwarded->address.length))
        buf_printf(&line, ", orig_client=%.*s[%.*s]",
                   STR_ARGS(forwarded->name.length ? forwarded->name : STR("unknown")),
                   STR_ARGS(forwarded->address.length ? forwarded->address : STR("unknown")));
    log_message(content_queue_id(content), "%s", buf_string(&line));
    buf_free(&line);
}

static void append_trace(const struct session *session, struct content *content, struct buf *out) {
    const struct transaction *transaction = session->transaction;
    const struct config *config = session->smtpd->config;
    struct mail_address only;
    bool single = transaction->recipient_count == 1 &&
                  mail_address_from_internal(transaction->recipients[0].address, MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG,
                                             &only) == MAIL_ADDRESS_OK;
    int64_t now = clock_date() / CLOCK_SECOND;
    bool known = session->client.login.length > 0, hidden = known && config->smtpd_hide_client_address;
    struct buf cipher = buf_make(200), details = buf_make(300);
    struct received received = {
        .helo = hidden ? STR_EMPTY : buf_str(&session->helo),
        .client_name = hidden ? STR_EMPTY : session->client.name,
        .client_address = hidden ? STR_EMPTY : session->client.address,
        .by = config->myhostname,
        .with = str_from(session_trace_protocol(session, transaction->smtputf8)),
        .queue_id = content_queue_id(content),
        .recipient = single ? &only : NULL,
        .date = now,
        .offset_minutes = offset_minutes(now),
        .tls_protocol = STR_EMPTY,
        .tls_cipher = STR_EMPTY,
        .tls_details = STR_EMPTY,
        .authenticated = known && config->smtpd_sasl_authenticated_header ? session->client.login : STR_EMPTY,
        .mail_name = config->mail_name,
        .user_id = -1,
        .priority = transaction->wish.priority,
    };
    buf_append(out, buf_str(&transaction->prepended));
    session_tls_trace(session, &cipher, &details, &received);
    received_append(out, &received);
    buf_free(&cipher);
    buf_free(&details);
}

/* In a raw file line ends are CR LF throughout. */
static void append_with_crlf(struct buf *out, struct str text) {
    struct str line;
    while (str_cut(text, '\n', &line, &text)) {
        buf_append(out, line);
        buf_append(out, STR("\r\n"));
    }
}

static void begin(struct session *session, struct content *content, bool dots) {
    const struct config *config = session->smtpd->config;
    content->raw = session->transaction->body == SMTP_BODY_BINARYMIME;
    content->limit = (uint64_t)config->message_size_limit;
    content_scan_begin(&content->scan, dots, session->strict_newlines && !content->raw);
    content_header_begin(&content->header, content->raw ? STR_EMPTY : config->message_drop_headers,
                         (size_t)config->header_size_limit);
    struct buf trace = buf_make(0);
    append_trace(session, content, &trace);
    if (content->raw)
        append_with_crlf(&content->out, buf_str(&trace));
    else
        buf_append(&content->out, buf_str(&trace));
    buf_free(&trace);
}

bool content_open(struct session *session, struct refusal *refusal) {
    struct intake_failure failure = {0};
    struct intake *intake = NULL;
    if (!intake_open(session->smtpd->intake, session->transaction->size, deadline_in(SMTPD_LOOKUP_TIME), &intake,
                     &failure)) {
        refusal_set(refusal, failure.reply_code, failure.status, "%s", failure.text);
        return false;
    }
    struct content *content = MEMORY_NEW(struct content);
    content->intake = intake;
    snprintf(content->queue_id, sizeof content->queue_id, "%.*s", STR_ARGS(intake_queue_id(intake)));
    session->transaction->content = content;
    log_client(session, content);
    begin(session, content, strcmp(session->where, "BDAT") != 0);
    return true;
}

/* ---- the middle */

static bool has_high_bit(struct str text) {
    uint64_t seen = 0, word;
    size_t i = 0;
    for (; i + sizeof word <= text.length; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        seen |= word;
    }
    for (; i < text.length; i++)
        seen |= (unsigned char)text.data[i];
    return (seen & UINT64_C(0x8080808080808080)) != 0;
}

/* local_header_rewrite_clients; of what it names only the login may come after the connection. */
static bool completes_header(const struct session *session) {
    const struct config *config = session->smtpd->config;
    struct str word, rest = config->local_header_rewrite_clients;
    if (session->rewrites_headers || config->always_add_missing_headers) return true;
    while (session->client.login.length && str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal_nocase(word, STR("permit_sasl_authenticated"))) return true;
    return false;
}

/* The fields that a submission lacks (RFC 6409 8.1 to 8.3), for our own clients. Sender: is never added nor taken
 * away: whose address From: may name is smtpd_sender_login_maps' business. */
static void add_missing_fields(struct session *session, struct content *content) {
    const struct config *config = session->smtpd->config;
    struct content_header *header = &content->header;
    int64_t now = clock_date() / CLOCK_SECOND;
    if (content->raw || !completes_header(session)) return;
    if (!header->has_from) {
        struct mail_address from = session->transaction->sender;
        if (!mail_address_is_null(&from) || mail_address_from_parts(STR("MAILER-DAEMON"), config->myorigin,
                                                                    MAIL_ADDRESS_LONG, &from) == MAIL_ADDRESS_OK)
            from_field_append(&content->out, STR_EMPTY, &from);
    }
    if (!header->has_date) date_field_append(&content->out, now, offset_minutes(now));
    if (!header->has_message_id) {
        struct buf id = buf_make(sizeof header->message_id);
        message_id_append(&id, now, content_queue_id(content), config->myhostname);
        buf_printf(&content->out, "Message-ID: %s\n", buf_string(&id));
        memcpy(header->message_id, buf_string(&id), id.length);
        header->message_id_length = id.length;
        buf_free(&id);
    }
    if (!header->has_recipient && config->undisclosed_recipients_header.length)
        buf_printf(&content->out, "%.*s\n", STR_ARGS(config->undisclosed_recipients_header));
}

static void take_text(struct session *session, struct content *content, struct str text) {
    struct str rest;
    content->received += text.length;
    content->line_open = true;
    if (!content->eight_bit) content->eight_bit = has_high_bit(text);
    if (content->header.place == HEADER_IN_BODY) {
        buf_append(&content->out, text);
    } else if (content_header_text(&content->header, text, &content->out, &rest)) {
        add_missing_fields(session, content);
        buf_append_char(&content->out, '\n');
        buf_append(&content->out, content_header_withheld(&content->header));
        buf_append(&content->out, rest);
    }
}

static void take_line_end(struct session *session, struct content *content) {
    content->received += 2;
    content->line_open = false;
    if (content->header.place == HEADER_IN_BODY) {
        buf_append_char(&content->out, '\n');
    } else if (content_header_line_end(&content->header, &content->out)) {
        struct str withheld = content_header_withheld(&content->header);
        add_missing_fields(session, content);
        buf_append_char(&content->out, '\n');
        if (withheld.length) buf_printf(&content->out, "%.*s\n", STR_ARGS(withheld));
    }
}

static void check_size(struct content *content) {
    if (content->limit == 0 || content->too_big || content->received <= content->limit) return;
    content->too_big = true;
    log_message_warning(content_queue_id(content), "queue file size limit exceeded");
    give_up(content);
}

static enum content_progress scan(struct session *session, struct content *content, struct str *input) {
    struct str text;
    for (;;) {
        switch (content_scan_next(&content->scan, input, &text)) {
        case CONTENT_SCAN_MORE:
            return CONTENT_MORE;
        case CONTENT_SCAN_TEXT:
            take_text(session, content, text);
            break;
        case CONTENT_SCAN_LINE_END:
            take_line_end(session, content);
            break;
        case CONTENT_SCAN_DATA_END:
            return CONTENT_END;
        case CONTENT_SCAN_BARE_CR:
            return CONTENT_BARE_CR;
        case CONTENT_SCAN_BARE_LF:
            return CONTENT_BARE_LF;
        }
        if (content->too_big) buf_clear(&content->out);
    }
}

/* The header is read for hops and Message-ID; the bytes go into the file as they are. */
static enum content_progress take_raw(struct session *session, struct content *content, struct str bytes) {
    uint64_t received = content->received + bytes.length;
    struct buf kept = content->out;
    if (content->header.place != HEADER_IN_BODY) {
        struct str input = bytes;
        content->out = buf_make(0);
        (void)scan(session, content, &input);
        buf_free(&content->out);
        content->out = kept;
    } else if (!content->eight_bit) {
        content->eight_bit = has_high_bit(bytes);
    }
    content->received = received;
    buf_append(&content->out, bytes);
    return CONTENT_MORE;
}

enum content_progress content_take(struct session *session, struct str bytes, size_t *used) {
    struct content *content = session->transaction->content;
    struct str input = bytes;
    enum content_progress progress;
    if (content->raw) {
        progress = take_raw(session, content, bytes);
        input = STR_EMPTY;
    } else {
        progress = scan(session, content, &input);
    }
    *used = bytes.length - input.length;
    check_size(content);
    write_out(content);
    return progress;
}

deadline content_deadline(const struct session *session, deadline until, size_t bytes) {
    int64_t most = session_timeout(session);
    if (!session->smtpd->config->smtpd_per_request_deadline) return deadline_in(most);
    deadline earned = until + (int64_t)bytes * 1000 / session->smtpd->config->smtpd_min_data_rate;
    deadline latest = deadline_in(most);
    return earned < latest ? earned : latest;
}

void content_refuse_newline(struct session *session, bool is_cr) {
    unsigned code = (unsigned)session->smtpd->config->smtpd_forbid_bare_newline_reject_code;
    log_info("bare <%s> received after %s from %.*s", is_cr ? "CR" : "LF", session->where,
             STR_ARGS(session->client.label));
    session_reset(session);
    session->closing = true;
    reply(session, code, "5.5.2", "Error: bare <%s> received", is_cr ? "CR" : "LF");
}

/* ---- the end */

/* A last chunk may end within a line, or within the header. */
static bool end_lines(struct session *session, struct content *content) {
    bool bare_cr = false;
    if (content->scan.dots || content->raw) return true;
    content_scan_finish(&content->scan, &bare_cr);
    if (bare_cr && content->scan.strict) return false;
    if (content->line_open || bare_cr) take_line_end(session, content);
    return true;
}

bool content_fits(struct session *session, struct refusal *refusal) {
    if (!session->transaction->content->too_big) return true;
    refusal_set(refusal, 552, "5.3.4", "Error: message file too big");
    reply_log(session, "reject", session->where, refusal, &session->transaction->sender, NULL);
    return false;
}

static bool may_be_accepted(struct session *session, struct content *content, struct refusal *refusal) {
    int64_t hops = session->smtpd->config->hopcount_limit;
    if (!content_fits(session, refusal)) return false;
    if ((int64_t)content->header.hops <= hops)
        return policy_end_of_data(session, refusal) && login_may_send(session, content->received, refusal);
    refusal_set(refusal, 554, "5.4.6", "Error: too many hops");
    reply_log(session, "reject", "END-OF-MESSAGE", refusal, &session->transaction->sender, NULL);
    return false;
}

static bool goes_elsewhere(const struct transaction *transaction) {
    return transaction->redirect.length > 0 || transaction->bcc_count > 0;
}

/* The recipients as REDIRECT and BCC of access tables make them; to be freed. */
static struct ipc_recipient *final_recipients(const struct transaction *transaction, size_t *count) {
    struct ipc_recipient *rows =
        memory_allocate(transaction->recipient_count + SMTPD_BCC_MAX + 1, sizeof(struct ipc_recipient));
    *count = 0;
    if (transaction->redirect.length > 0) {
        rows[(*count)++] = (struct ipc_recipient){
            .address = transaction->redirect, .original = STR_EMPTY, .orcpt = STR_EMPTY, .notify = NOTIFY_NONE};
        return rows;
    }
    memcpy(rows, transaction->recipients, transaction->recipient_count * sizeof *rows);
    *count = transaction->recipient_count;
    for (size_t i = 0; i < transaction->bcc_count; i++, (*count)++)
        rows[*count] = (struct ipc_recipient){.address = transaction->bcc[i],
                                              .original = STR_EMPTY,
                                              .orcpt = STR_EMPTY,
                                              .notify = NOTIFY_NEVER,
                                              .index = *count};
    return rows;
}

static bool commit(struct session *session, struct content *content, struct intake_refusal *refusals, struct refusal *refusal) {
    const struct transaction *transaction = session->transaction;
    const struct forwarded *forwarded = session->forwarded;
    const struct client *client = &session->client;
    struct intake_failure failure = {0};
    struct str protocol = str_from(session_protocol(session, false));
    struct envelope_wish wish = transaction->wish;
    /* RFC 8689 section 5: REQUIRETLS counts more than the header field. */
    if (wish.tls == 0 && session->smtpd->config->tls_required_enable &&
        content_header_tls_not_required(&content->header))
        wish.tls = TLS_WISH_NOT_REQUIRED;
    size_t recipient_count = transaction->recipient_count;
    struct ipc_recipient *elsewhere =
        goes_elsewhere(transaction) ? final_recipients(transaction, &recipient_count) : NULL;
    const struct intake_envelope envelope = {
        .sender = mail_address_text(&transaction->sender),
        .envelope_id = transaction->envelope_id,
        .return_content = transaction->return_content,
        .body = content->raw         ? BODY_BINARY
                : content->eight_bit ? BODY_8BIT
                                     : BODY_7BIT,
        .smtputf8 = transaction->smtputf8,
        .client_name = forwarded && forwarded->name.length ? forwarded->name : client->name,
        .client_address =
            forwarded && forwarded->address.length ? str_slice(forwarded->address, 0, 64) : client->address,
        .helo = forwarded && forwarded->helo.length ? forwarded->helo : buf_str(&session->helo),
        .protocol = forwarded && forwarded->protocol.length ? str_slice(forwarded->protocol, 0, 16) : protocol,
        .login = client->login,
        .message_id = content_header_message_id(&content->header),
        .hold_reason = transaction->hold_reason,
        .wish = wish,
        .recipients = elsewhere ? elsewhere : transaction->recipients,
        .recipient_count = recipient_count,
        .refusals = refusals,
    };
    bool good = intake_commit(&content->intake, &envelope, deadline_in(SMTPD_COMMIT_TIME), &failure);
    MEMORY_FREE(elsewhere);
    if (good) return true;
    refusal_set(refusal, failure.reply_code, failure.status, "%s", failure.text);
    reply_log(session, "reject", "END-OF-MESSAGE", refusal, &transaction->sender, NULL);
    return false;
}

/* RFC 6710 section 4: a priority that is not the one asked for is told, first of all. */
static bool say_accepted(struct session *session, const char *who) {
    const struct transaction *transaction = session->transaction;
    const char *queue_id = transaction->content->queue_id;
    if (transaction->priority_changed)
        return reply(session, 250, "2.3.6", "%d is the new priority assigned to the message; %sOk: queued as %s",
                     transaction->wish.priority, who, queue_id);
    return reply(session, 250, "2.0.0", "%sOk: queued as %s", who, queue_id);
}

/* The final reply to one recipient in LMTP. A notice text may have what no reply has room for. */
static void say_refused(struct session *session, struct str address, const struct intake_refusal *refusal) {
    struct str status = str_from(refusal->status);
    bool later = str_starts(status, STR("4."));
    bool full = str_ends(status, STR(".2.2")) || str_equal(status, STR("4.3.1"));
    reply(session, later ? (full ? 452 : 451) : full ? 552 : 550, refusal->status, "<%.*s> %s", STR_ARGS(str_slice(address, 0, 200)), refusal->text);
}

/* One reply; in LMTP one for each recipient (RFC 2033 4.2): what is known of it by now. Who is delivered to later
 * counts as accepted. */
static bool answer(struct session *session, bool accepted, const struct intake_refusal *refusals,
                   const struct refusal *refusal) {
    const struct transaction *transaction = session->transaction;
    if (!session->smtpd->lmtp) return accepted ? say_accepted(session, "") : reply_refusal(session, refusal);
    for (size_t i = 0; transaction && i < transaction->recipient_count; i++) {
        struct str address = transaction->recipients[i].address;
        char who[SMTPD_TEXT_MAX];
        snprintf(who, sizeof who, "<%.*s> ", STR_ARGS(str_slice(address, 0, SMTPD_TEXT_MAX - 10)));
        session->telling_each = accepted || i > 0;
        if (accepted && refusals && refusals[i].refused)
            say_refused(session, address, &refusals[i]);
        else if (accepted)
            say_accepted(session, who);
        else
            reply(session, refusal->code, refusal->status, "<%.*s> %s", STR_ARGS(address), refusal->text);
    }
    session->telling_each = false;
    return accepted;
}

bool content_refuse(struct session *session, const struct refusal *refusal) {
    return answer(session, false, NULL, refusal);
}

bool content_finish(struct session *session) {
    struct content *content = session->transaction->content;
    struct refusal refusal = {0};
    /* What is sent elsewhere is not told of by recipient. */
    bool each = session->smtpd->lmtp && !goes_elsewhere(session->transaction);
    struct intake_refusal *refusals =
        each ? memory_allocate(session->transaction->recipient_count + 1, sizeof *refusals) : NULL;
    session->where = "END-OF-MESSAGE";
    if (!end_lines(session, content)) {
        content_refuse_newline(session, true);
        MEMORY_FREE(refusals);
        return false;
    }
    if (content->header.place != HEADER_IN_BODY && !content->too_big) add_missing_fields(session, content);
    write_out(content);
    bool accepted = may_be_accepted(session, content, &refusal);
    if (!accepted || session->transaction->discard)
        give_up(content);
    else
        accepted = commit(session, content, refusals, &refusal);
    if (accepted) session->errors = session->junk = 0;
    bool good = answer(session, accepted, refusals, &refusal);
    MEMORY_FREE(refusals);
    return good;
}
