/* See transaction.h.
 *
 * The commands are steps: XFORWARD, MAIL, RCPT for each recipient, DATA. With
 * PIPELINING up to a window of them is sent ahead of the replies; without it the
 * window is one. Replies come in the order of the commands.
 *
 * A probe ends after the last RCPT: what that was answered is what would become of
 * the recipient. The RSET, or QUIT, comes with the connection's next use, or end. */
#include "transaction.h"
#include "address.h"
#include "content.h"
#include "envelope_wish.h"
#include "log.h"
#include "recipient_outcome.h"
#include "smtp_command.h"
#include "xtext.h"
#include <errno.h>
#include <unistd.h>

#define WINDOW             50                  /* commands ahead; their replies fit into any socket's buffer */
#define PIECE              ((size_t)65536)     /* of content, read at once */
#define RAW_PIECE          ((uint64_t)1 << 20) /* of raw content, sent within one time limit */
#define LAST_WORD_PATIENCE 2000                /* ms for what a server says when it stops reading */
#define XFORWARD_LINE_MAX  500
#define HEADER_MAX         ((uint64_t)1 << 20) /* that is looked at for UTF-8 */

enum step { STEP_XFORWARD, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_END };

struct transaction {
    struct delivery *delivery;
    struct connection *connection;
    struct recipient **recipients;
    size_t count;
    bool binary, smtputf8;
    struct buf xforward[2]; /* command lines; empty: none */
    size_t xforward_count;
    size_t sent, answered; /* steps */
    bool stale_possible;   /* used before, and nothing has been heard yet */
    bool mail_refused, data_accepted, drop;
    size_t accepted;
    struct trouble trouble;
};

/* ---- the steps in their order */

static enum step step_kind(const struct transaction *transaction, size_t number) {
    if (number < transaction->xforward_count) return STEP_XFORWARD;
    number -= transaction->xforward_count;
    if (number == 0) return STEP_MAIL;
    if (number <= transaction->count) return STEP_RCPT;
    return number == transaction->count + 1 ? STEP_DATA : STEP_END;
}

static struct recipient *step_recipient(const struct transaction *transaction, size_t number) {
    return transaction->recipients[number - transaction->xforward_count - 1];
}

static bool offers(const struct transaction *transaction, enum smtp_extension extension) {
    return transaction->connection->ehlo.extensions & (unsigned)extension;
}

static const struct smtp_settings *settings_of(const struct transaction *transaction) {
    return &transaction->delivery->smtp->settings;
}

/* ---- outcomes for many */

static void trouble_all(struct transaction *transaction, const struct trouble *trouble, bool accepted_only) {
    for (size_t i = 0; i < transaction->count; i++) {
        struct recipient *recipient = transaction->recipients[i];
        if (recipient->done || (accepted_only && !recipient->accepted)) continue;
        /* What the server said about this one says more than what happened later. */
        if (!accepted_only && !recipient->accepted && recipient->session == transaction->delivery->sessions &&
            recipient->outcome.status.length)
            continue;
        recipient->accepted = false;
        recipient_troubled(transaction->delivery, recipient, transaction->connection, trouble);
    }
}

static void lost(struct transaction *transaction, enum smtp_stage stage) {
    trouble_from_loss(&transaction->trouble, transaction->delivery->arena, transaction->connection, stage);
    trouble_all(transaction, &transaction->trouble, false);
}

/* ---- what the message needs and the server lacks */

/* Octets on the wire, dots not counted (RFC 1870 section 5). */
static uint64_t wire_size(const struct ipc_deliver *request) {
    return request->content_length + (request->body == BODY_BINARY ? 0 : request->content_lines);
}

/* Some octet of the header is not ASCII. */
static bool header_is_utf8(const struct ipc_deliver *request, int file) {
    char piece[4096], before = '\n';
    uint64_t length = request->content_length < HEADER_MAX ? request->content_length : HEADER_MAX, done = 0;
    while (done < length) {
        size_t want = length - done < sizeof piece ? (size_t)(length - done) : sizeof piece;
        ssize_t got = pread(file, piece, want, (off_t)(request->content_offset + done));
        if (got <= 0) return false;
        for (ssize_t i = 0; i < got; i++) {
            if (piece[i] == '\n' && before == '\n') return false;
            if ((unsigned char)piece[i] >= 0x80) return true;
            before = piece[i];
        }
        done += (uint64_t)got;
    }
    return false;
}

/* Clients ask for SMTPUTF8 out of habit; what counts is whether there is UTF-8. */
static bool needs_smtputf8(const struct transaction *transaction) {
    const struct ipc_deliver *request = transaction->delivery->request;
    if (!str_is_ascii(request->sender)) return true;
    return request->smtputf8 && header_is_utf8(request, transaction->delivery->file);
}

static bool has_utf8_address(const struct transaction *transaction) {
    if (!str_is_ascii(transaction->delivery->request->sender)) return true;
    for (size_t i = 0; i < transaction->count; i++)
        if (!str_is_ascii(transaction->recipients[i]->row.address)) return true;
    return false;
}

static void lacks_smtputf8(const struct transaction *transaction, struct trouble *trouble) {
    trouble_set(trouble, transaction->delivery->arena, "5.6.7", "SMTPUTF8 is required, but was not offered by host %s",
                transaction->connection->peer);
}

static bool fits(struct transaction *transaction) {
    const struct ipc_deliver *request = transaction->delivery->request;
    const struct connection *connection = transaction->connection;
    struct trouble trouble = {0};
    struct arena *arena = transaction->delivery->arena;
    if (!offers(transaction, SMTP_EXTENSION_SMTPUTF8) && needs_smtputf8(transaction)) {
        lacks_smtputf8(transaction, &trouble);
    } else if (transaction->binary &&
               (!offers(transaction, SMTP_EXTENSION_BINARYMIME) || !offers(transaction, SMTP_EXTENSION_CHUNKING))) {
        trouble_set(&trouble, arena, "5.6.3", "BINARYMIME is required, but was not offered by host %s",
                    connection->peer);
    } else if (request->by_mode == DELIVER_BY_RETURN && !offers(transaction, SMTP_EXTENSION_DELIVERBY) &&
               !settings_of(transaction)->lmtp) {
        /* RFC 2852 section 4: whoever takes it must know when to give up. */
        trouble_set(&trouble, arena, "5.3.3", "DELIVERBY is required, but was not offered by host %s",
                    connection->peer);
    } else if (offers(transaction, SMTP_EXTENSION_SIZE) && connection->ehlo.size &&
               wire_size(request) > connection->ehlo.size) {
        trouble_set(&trouble, arena, "5.3.4", "message size %ju exceeds size limit %ju of server %s",
                    (uintmax_t)wire_size(request), (uintmax_t)connection->ehlo.size, connection->peer);
    } else {
        transaction->smtputf8 =
            offers(transaction, SMTP_EXTENSION_SMTPUTF8) && (request->smtputf8 || has_utf8_address(transaction));
        return true;
    }
    trouble_name_host(&trouble, arena, connection);
    trouble_all(transaction, &trouble, false);
    return false;
}

/* ---- command lines */

static bool append_path(struct buf *line, struct str text) {
    struct mail_address address;
    unsigned flags = MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_NULL | MAIL_ADDRESS_LOCAL_ONLY;
    if (mail_address_from_internal(text, flags, &address) != MAIL_ADDRESS_OK) return false;
    return mail_address_append_path(line, &address);
}

/* RFC 2852, RFC 6710, RFC 8689: what is left of the time; the rest as it came. */
static void append_wish(const struct transaction *transaction, struct buf *line) {
    const struct ipc_deliver *request = transaction->delivery->request;
    struct envelope_wish wish = {.deliver_by = (int64_t)request->deliver_by,
                                 .by_mode = (enum deliver_by_mode)request->by_mode,
                                 .by_trace = request->by_trace};
    if (wish.by_mode != DELIVER_BY_NOT && offers(transaction, SMTP_EXTENSION_DELIVERBY)) {
        buf_append(line, STR(" BY="));
        envelope_wish_append_by(line, &wish, clock_date() / CLOCK_SECOND);
    }
    if (request->tls & TLS_WISH_REQUIRED && offers(transaction, SMTP_EXTENSION_REQUIRETLS))
        buf_append(line, STR(" REQUIRETLS"));
    if (request->priority && offers(transaction, SMTP_EXTENSION_MT_PRIORITY))
        buf_printf(line, " MT-PRIORITY=%d", priority_from_number(request->priority));
}

static bool mail_line(const struct transaction *transaction, struct buf *line) {
    const struct ipc_deliver *request = transaction->delivery->request;
    buf_append(line, STR("MAIL FROM:"));
    if (!append_path(line, request->sender)) return false;
    if (offers(transaction, SMTP_EXTENSION_SIZE)) buf_printf(line, " SIZE=%ju", (uintmax_t)wire_size(request));
    if (transaction->binary)
        buf_append(line, STR(" BODY=BINARYMIME"));
    else if (offers(transaction, SMTP_EXTENSION_8BITMIME) && request->body == BODY_8BIT)
        buf_append(line, STR(" BODY=8BITMIME"));
    if (transaction->smtputf8) buf_append(line, STR(" SMTPUTF8"));
    append_wish(transaction, line);
    if (offers(transaction, SMTP_EXTENSION_DSN)) {
        if (request->return_content != RETURN_NOT_GIVEN)
            buf_append(line, request->return_content == RETURN_FULL ? STR(" RET=FULL") : STR(" RET=HDRS"));
        if (request->envelope_id.length) {
            buf_append(line, STR(" ENVID="));
            xtext_encode(line, request->envelope_id);
        }
    }
    return buf_append(line, STR("\r\n"));
}

/* The kept form is type;address, decoded (RFC 3461 4.2, RFC 6533 3). What gets too long when it is encoded for this
 * server stays behind: it would have the recipient refused. */
static void append_orcpt(const struct transaction *transaction, struct str orcpt, struct buf *line) {
    struct str type, address;
    size_t before = line->length;
    if (!str_cut(orcpt, ';', &type, &address)) return;
    bool plain = str_is_ascii(address);
    buf_printf(line, " ORCPT=%.*s;", STR_ARGS(plain || str_equal_nocase(type, STR("utf-8")) ? type : STR("utf-8")));
    if (plain && !str_equal_nocase(type, STR("utf-8")))
        xtext_encode(line, address);
    else if (!(transaction->smtputf8 ? utf8_address_unitext_encode(line, address)
                                     : utf8_address_xtext_encode(line, address)))
        xtext_encode(line, address);
    if (line->length - before > strlen(" ORCPT=") + SMTP_ORCPT_MAX) buf_truncate(line, before);
}

static bool rcpt_line(const struct transaction *transaction, const struct ipc_recipient *row, struct buf *line) {
    buf_append(line, STR("RCPT TO:"));
    if (!append_path(line, row->address)) return false;
    if (offers(transaction, SMTP_EXTENSION_DSN)) {
        if (row->notify) {
            buf_append(line, STR(" NOTIFY="));
            smtp_append_notify(line, (unsigned)row->notify);
        }
        if (row->orcpt.length) append_orcpt(transaction, row->orcpt, line);
    }
    return buf_append(line, STR("\r\n"));
}

/* ---- XFORWARD */

static bool wants_attribute(struct str offered, const char *name) {
    struct str word;
    while (str_next_word(&offered, " \t", &word))
        if (str_equal_nocase(word, str_from(name))) return true;
    return false;
}

static void xforward_add(struct transaction *transaction, const char *name, struct str value) {
    struct buf part = buf_make(0);
    if (!wants_attribute(transaction->connection->ehlo.xforward, name)) return;
    buf_printf(&part, " %s=", name);
    if (value.length)
        xtext_encode(&part, value);
    else
        buf_append(&part, STR("[UNAVAILABLE]"));
    struct buf *line = &transaction->xforward[transaction->xforward_count ? transaction->xforward_count - 1 : 0];
    if (transaction->xforward_count == 0 || line->length + part.length > XFORWARD_LINE_MAX) {
        if (transaction->xforward_count == ARRAY_LENGTH(transaction->xforward)) {
            buf_free(&part);
            return;
        }
        line = &transaction->xforward[transaction->xforward_count++];
        buf_append(line, STR("XFORWARD"));
    }
    buf_append(line, buf_str(&part));
    buf_free(&part);
}

static void prepare_xforward(struct transaction *transaction) {
    const struct ipc_deliver *request = transaction->delivery->request;
    if (!settings_of(transaction)->send_xforward || !offers(transaction, SMTP_EXTENSION_XFORWARD)) return;
    struct buf address = buf_make(0);
    bool local = request->client_address.length == 0;
    if (str_find(request->client_address, ':') != STR_NONE) buf_append(&address, STR("IPv6:"));
    buf_append(&address, request->client_address);
    xforward_add(transaction, "NAME",
                 str_equal(request->client_name, STR("unknown")) ? STR_EMPTY : request->client_name);
    xforward_add(transaction, "ADDR", buf_str(&address));
    xforward_add(transaction, "PROTO", local ? STR_EMPTY : request->protocol);
    xforward_add(transaction, "HELO", request->helo);
    xforward_add(transaction, "IDENT", request->queue_id);
    xforward_add(transaction, "SOURCE", local ? STR("LOCAL") : STR("REMOTE"));
    for (size_t i = 0; i < transaction->xforward_count; i++)
        buf_append(&transaction->xforward[i], STR("\r\n"));
    buf_free(&address);
}

/* ---- replies */

static int64_t step_timeout(const struct smtp_settings *settings, enum step kind) {
    switch (kind) {
    case STEP_XFORWARD:
        return settings->xforward_timeout;
    case STEP_MAIL:
        return settings->mail_timeout;
    case STEP_RCPT:
        return settings->rcpt_timeout;
    case STEP_DATA:
        return settings->data_init_timeout;
    case STEP_END:
        break;
    }
    return settings->data_done_timeout;
}

static enum smtp_stage step_stage(enum step kind) {
    switch (kind) {
    case STEP_XFORWARD:
        return STAGE_XFORWARD;
    case STEP_MAIL:
        return STAGE_MAIL;
    case STEP_RCPT:
        return STAGE_RCPT;
    case STEP_DATA:
        return STAGE_DATA;
    case STEP_END:
        break;
    }
    return STAGE_END;
}

/* RFC 5321 4.5.3.1.10: who has had some recipients and says 452 of another has no room for more in this message; some
 * say 552 for it. That a mailbox is full, or the message too large, has a code of its own. */
static bool means_too_many(const struct transaction *transaction, enum smtp_stage stage) {
    const struct smtp_reply *reply = &transaction->connection->reply;
    bool other = status_code_is_set(reply->status) && (reply->status.subject != 5 || reply->status.detail != 3);
    return stage == STAGE_RCPT && (reply->code == 452 || reply->code == 552) && transaction->accepted > 0 && !other;
}

static struct reply_judgement judge(struct transaction *transaction, enum smtp_stage stage) {
    const struct connection *connection = transaction->connection;
    struct reply_judgement judgement =
        means_too_many(transaction, stage)
            ? reply_judge(stage, 452, status_code_make(4, STATUS_TOO_MANY_RECIPIENTS), true)
            : reply_judge(stage, connection->reply.code, connection->reply.status, true);
    if (judgement.verdict != REPLY_GOOD)
        trouble_from_reply(&transaction->trouble, transaction->delivery->arena, connection, stage, &judgement);
    return judgement;
}

/* What a good or bad answer to one command means for the rest. */
static void apply_reply(struct transaction *transaction, size_t number) {
    enum step kind = step_kind(transaction, number);
    struct reply_judgement judgement = judge(transaction, step_stage(kind));
    bool good = judgement.verdict == REPLY_GOOD;
    switch (kind) {
    case STEP_XFORWARD:
        if (!good)
            log_message_warning(transaction->delivery->request->queue_id, "%.*s", STR_ARGS(transaction->trouble.text));
        break;
    case STEP_MAIL:
        transaction->connection->needs_reset = good;
        transaction->mail_refused = !good;
        if (!good) trouble_all(transaction, &transaction->trouble, false);
        break;
    case STEP_RCPT: {
        struct recipient *recipient = step_recipient(transaction, number);
        if (transaction->mail_refused || recipient->done) break;
        recipient->accepted = good;
        if (good) transaction->accepted++;
        if (good && transaction->delivery->request->probe)
            recipient_sent(transaction->delivery, recipient, transaction->connection);
        else if (!good)
            recipient_troubled(transaction->delivery, recipient, transaction->connection, &transaction->trouble);
        if (means_too_many(transaction, STAGE_RCPT)) recipient->session = 0; /* the next message may have it */
        break;
    }
    case STEP_DATA:
        transaction->data_accepted = good;
        if (!good && transaction->accepted) trouble_all(transaction, &transaction->trouble, true);
        break;
    case STEP_END:
        break;
    }
}

/* Reads the reply to the oldest command that waits for one. False: the connection is of no more use. */
static bool take_reply(struct transaction *transaction) {
    struct connection *connection = transaction->connection;
    enum step kind = step_kind(transaction, transaction->answered);
    if (!connection_read_reply(connection, step_timeout(settings_of(transaction), kind))) {
        if (!transaction->stale_possible || connection->loss != LOSS_CLOSED) lost(transaction, step_stage(kind));
        return false;
    }
    /* 503 to a first MAIL is about the messages before this one. */
    if (transaction->stale_possible && kind == STEP_MAIL && connection->reply.code == 503) connection->closing = true;
    if (connection->closing && transaction->stale_possible) return false;
    transaction->stale_possible = false;
    size_t number = transaction->answered++;
    apply_reply(transaction, number);
    if (connection->closing) { /* what it says of one command holds for those after it */
        trouble_all(transaction, &transaction->trouble, false);
        return false;
    }
    return true;
}

/* ---- commands */

static bool send_line(struct transaction *transaction, struct str line) {
    struct connection *connection = transaction->connection;
    enum step kind = step_kind(transaction, transaction->sent);
    stream_set_deadline(connection->stream, deadline_in(step_timeout(settings_of(transaction), kind)));
    enum stream_result result = stream_write(connection->stream, line);
    if (result == STREAM_OK) {
        transaction->sent++;
        return true;
    }
    connection_lost(connection, result);
    if (!transaction->stale_possible || connection->loss != LOSS_CLOSED) lost(transaction, step_stage(kind));
    return false;
}

/* With no command open there is nothing to answer: whoever speaks all the same is
 * out of step, and its next words would be taken for what they are not. */
static bool is_out_of_step(struct transaction *transaction, enum smtp_stage stage) {
    struct connection *connection = transaction->connection;
    if (transaction->sent != transaction->answered || stream_pending(connection->stream) == 0) return false;
    connection->loss = LOSS_PROTOCOL;
    lost(transaction, stage);
    return true;
}

static bool send_step(struct transaction *transaction) {
    struct buf line = buf_make(0);
    bool good = true;
    size_t number = transaction->sent;
    if (is_out_of_step(transaction, step_stage(step_kind(transaction, number)))) return false;
    switch (step_kind(transaction, number)) {
    case STEP_XFORWARD:
        buf_append(&line, buf_str(&transaction->xforward[number]));
        break;
    case STEP_MAIL:
        good = mail_line(transaction, &line);
        break;
    case STEP_RCPT:
        good = rcpt_line(transaction, &step_recipient(transaction, number)->row, &line);
        break;
    case STEP_DATA:
        buf_append(&line, STR("DATA\r\n"));
        break;
    case STEP_END:
        break;
    }
    if (good) good = send_line(transaction, buf_str(&line));
    buf_free(&line);
    return good;
}

/* Everything up to the answer to DATA (or, for BDAT and probes, to the last RCPT). False:
 * the connection is of no more use. */
static bool send_commands(struct transaction *transaction) {
    size_t last = transaction->xforward_count + 1 + transaction->count; /* DATA */
    bool probe = transaction->delivery->request->probe;
    size_t end = transaction->binary || probe ? last : last + 1;
    size_t window = offers(transaction, SMTP_EXTENSION_PIPELINING) ? WINDOW : 1;
    while (transaction->answered < end) {
        bool nobody = transaction->answered == last && transaction->accepted == 0;
        bool hopeless = transaction->mail_refused || nobody;
        if (hopeless && transaction->sent == transaction->answered) break;
        bool room = transaction->sent < end && transaction->sent - transaction->answered < window && !hopeless;
        if (room ? !send_step(transaction) : !take_reply(transaction)) return false;
    }
    return true;
}

/* ---- content */

static bool content_lost(struct transaction *transaction, enum stream_result result) {
    return connection_lost(transaction->connection, result);
}

static bool send_lines(struct transaction *transaction) {
    const struct ipc_deliver *request = transaction->delivery->request;
    struct connection *connection = transaction->connection;
    const struct smtp_settings *settings = settings_of(transaction);
    struct content_writer writer = {.line_limit = (size_t)settings->line_length_limit};
    char *piece = memory_allocate(1, PIECE);
    struct buf wire = buf_make(0);
    uint64_t offset = request->content_offset, left = request->content_length;
    enum stream_result result = STREAM_OK;
    while (left > 0 && result == STREAM_OK) {
        ssize_t got = pread(transaction->delivery->file, piece, left < PIECE ? (size_t)left : PIECE, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            connection->loss = LOSS_FILE;
            log_message_warning(request->queue_id, "cannot read the queue file: %s",
                                got < 0 ? strerror(errno) : "it is cut short");
            break;
        }
        buf_clear(&wire);
        content_convert(&writer, str_make(piece, (size_t)got), &wire);
        stream_set_deadline(connection->stream, deadline_in(settings->data_xfer_timeout));
        result = stream_write(connection->stream, buf_str(&wire));
        offset += (uint64_t)got;
        left -= (uint64_t)got;
    }
    if (left == 0 && result == STREAM_OK) {
        buf_clear(&wire);
        content_finish(&writer, &wire);
        result = stream_write(connection->stream, buf_str(&wire));
    }
    if (result == STREAM_OK && connection->loss == LOSS_NONE) result = stream_flush(connection->stream);
    if (result != STREAM_OK) content_lost(transaction, result);
    buf_free(&wire);
    MEMORY_FREE(piece);
    return connection->loss == LOSS_NONE;
}

/* As it is in the file, in one chunk (RFC 3030). */
static bool send_raw(struct transaction *transaction) {
    const struct ipc_deliver *request = transaction->delivery->request;
    struct connection *connection = transaction->connection;
    uint64_t offset = request->content_offset, left = request->content_length;
    stream_set_deadline(connection->stream, deadline_in(settings_of(transaction)->data_xfer_timeout));
    enum stream_result result = stream_printf(connection->stream, "BDAT %ju LAST\r\n", (uintmax_t)left);
    while (left > 0 && result == STREAM_OK) {
        uint64_t piece = left < RAW_PIECE ? left : RAW_PIECE;
        stream_set_deadline(connection->stream, deadline_in(settings_of(transaction)->data_xfer_timeout));
        result = stream_send_file(connection->stream, transaction->delivery->file, offset, piece);
        offset += piece;
        left -= piece;
    }
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK) content_lost(transaction, result);
    return connection->loss == LOSS_NONE;
}

/* A server that stops reading may have said why. */
static bool last_word(struct transaction *transaction) {
    struct connection *connection = transaction->connection;
    if (connection->loss != LOSS_CLOSED) return false;
    bool heard = connection_read_reply(connection, LAST_WORD_PATIENCE);
    connection->loss = LOSS_CLOSED;
    if (!heard || connection->reply.code / 100 < 4) return false;
    judge(transaction, STAGE_END);
    trouble_all(transaction, &transaction->trouble, true);
    return true;
}

/* One reply for all, or, in LMTP, one for each (RFC 2033 section 4.2). */
static void take_results(struct transaction *transaction) {
    struct connection *connection = transaction->connection;
    bool each = settings_of(transaction)->lmtp, heard = false;
    for (size_t i = 0; i < transaction->count; i++) {
        struct recipient *recipient = transaction->recipients[i];
        if (!recipient->accepted || recipient->done) continue;
        if (each || !heard) {
            if (!connection_read_reply(connection, settings_of(transaction)->data_done_timeout)) {
                lost(transaction, STAGE_END);
                return;
            }
            heard = true;
        }
        struct reply_judgement judgement = judge(transaction, STAGE_END);
        recipient->accepted = false;
        if (judgement.verdict == REPLY_GOOD)
            recipient_sent(transaction->delivery, recipient, connection);
        else
            recipient_troubled(transaction->delivery, recipient, connection, &transaction->trouble);
        if (each && connection->closing) {
            trouble_all(transaction, &transaction->trouble, true);
            return;
        }
    }
    connection->needs_reset = false;
}

/* DATA was sent ahead and taken, but there is nobody to send to. */
static void send_nothing(struct transaction *transaction) {
    struct connection *connection = transaction->connection;
    if (transaction->mail_refused || settings_of(transaction)->lmtp) {
        connection->closing = true; /* a server that confused is left alone */
        return;
    }
    stream_set_deadline(connection->stream, deadline_in(settings_of(transaction)->data_done_timeout));
    enum stream_result result = stream_write(connection->stream, STR(".\r\n"));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK || !connection_read_reply(connection, settings_of(transaction)->data_done_timeout))
        connection->closing = true;
    connection->needs_reset = false;
}

static void send_content(struct transaction *transaction) {
    if (transaction->delivery->request->probe) return;
    if (transaction->accepted == 0) {
        if (transaction->data_accepted) send_nothing(transaction);
        return;
    }
    if (!transaction->binary && !transaction->data_accepted) return;
    if (is_out_of_step(transaction, STAGE_BODY)) return;
    if (transaction->binary ? send_raw(transaction) : send_lines(transaction))
        take_results(transaction);
    else if (!last_word(transaction))
        lost(transaction, STAGE_BODY);
}

/* ---- the whole */

static bool has_bad_address(struct transaction *transaction, struct str address, const char *status) {
    struct buf line = buf_make(0);
    bool bad = !append_path(&line, address);
    buf_free(&line);
    if (bad)
        trouble_set(&transaction->trouble, transaction->delivery->arena, status, "bad address syntax: \"%.*s\"",
                    STR_ARGS(str_slice(address, 0, 300)));
    return bad;
}

/* This server cannot be told of such a recipient. */
static bool cannot_be_named(struct transaction *transaction, struct str address) {
    if (has_bad_address(transaction, address, "5.1.3")) return true;
    if (str_is_ascii(address) || offers(transaction, SMTP_EXTENSION_SMTPUTF8)) return false;
    lacks_smtputf8(transaction, &transaction->trouble);
    trouble_name_host(&transaction->trouble, transaction->delivery->arena, transaction->connection);
    return true;
}

/* One recipient more would not make it more domains than the server takes at once (RFC 9422). */
static bool domain_fits(const struct transaction *transaction, struct str address) {
    uint64_t limit = transaction->connection->ehlo.rcpt_domain_max, count = 1;
    size_t at = str_find_last(address, '@');
    struct str domain = at == STR_NONE ? STR_EMPTY : str_from_offset(address, at);
    if (limit == 0) return true;
    for (size_t i = 0; i < transaction->count; i++) {
        struct str other = transaction->recipients[i]->row.address;
        if (str_ends_nocase(other, domain)) return true;
        bool first = true;
        size_t begin = str_find_last(other, '@');
        for (size_t j = 0; j < i && first && begin != STR_NONE; j++)
            first = !str_ends_nocase(transaction->recipients[j]->row.address, str_from_offset(other, begin));
        if (first) count++;
    }
    return count <= limit;
}

/* The recipients of this transaction: at most as many as the server takes at once. */
static bool choose_recipients(struct transaction *transaction) {
    struct delivery *delivery = transaction->delivery;
    size_t limit =
        transaction->connection->ehlo.rcpt_max ? (size_t)transaction->connection->ehlo.rcpt_max : delivery->count;
    transaction->recipients = memory_allocate(delivery->count, sizeof(struct recipient *));
    bool bad_sender = has_bad_address(transaction, delivery->request->sender, "5.1.7");
    for (size_t i = 0; i < delivery->count && transaction->count < limit; i++) {
        struct recipient *recipient = &delivery->recipients[i];
        if (recipient->done || recipient->session == delivery->sessions) continue;
        if (!domain_fits(transaction, recipient->row.address)) continue;
        recipient->session = delivery->sessions;
        recipient->accepted = false;
        recipient->outcome.status = STR_EMPTY;
        if (bad_sender || cannot_be_named(transaction, recipient->row.address))
            recipient_troubled(delivery, recipient, transaction->connection, &transaction->trouble);
        else
            transaction->recipients[transaction->count++] = recipient;
    }
    return transaction->count > 0;
}

/* Recipients of a transaction that never was are as they were before. */
static void forget(struct transaction *transaction) {
    for (size_t i = 0; i < transaction->count; i++)
        transaction->recipients[i]->session = 0;
}

enum transaction_end transaction_run(struct delivery *delivery, struct connection *connection) {
    struct transaction transaction = {
        .delivery = delivery, .connection = connection, .binary = delivery->request->body == BODY_BINARY};
    enum transaction_end end = TRANSACTION_ENDED;
    if (choose_recipients(&transaction) && fits(&transaction)) {
        transaction.stale_possible = connection->uses > 0;
        connection->uses++;
        prepare_xforward(&transaction);
        if (send_commands(&transaction))
            send_content(&transaction);
        else if (transaction.stale_possible && (connection->loss == LOSS_CLOSED || connection->closing)) {
            forget(&transaction);
            end = TRANSACTION_STALE;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(transaction.xforward); i++)
        buf_free(&transaction.xforward[i]);
    MEMORY_FREE(transaction.recipients);
    return end;
}
