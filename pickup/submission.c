/* A message from this machine, taken in: the envelope is checked and completed with
 * the origin, letterhead.c does the same with its header, and cleanup makes it durable. */
#include "pickup.h"
#include "address.h"
#include "header.h"
#include "log.h"
#include "log_text.h"
#include <errno.h>
#include <unistd.h>

#define PATIENCE    60000                /* ms for cleanup */
#define HEADER_READ ((size_t)256 * 1024) /* how far missing fields are looked for */
#define PART        ((size_t)32768)
#define ADDRESS_MAX ((size_t)512) /* ipc_messages.def, RECIPIENT */

static bool refuse(struct intake_failure *failure, unsigned code, const char *status, const char *text,
                   struct str about) {
    failure->reply_code = code;
    snprintf(failure->status, sizeof failure->status, "%s", status);
    snprintf(failure->text, sizeof failure->text, "%s%s%s", text, about.length ? ": " : "",
             about.length ? LOG_TEXT(about) : "");
    return false;
}

/* ---- envelope */

/* Internal form, with the origin if it has no domain. */
static bool complete(const struct pickup *pickup, struct str text, bool smtputf8, struct arena *arena,
                     struct str *address) {
    struct mail_address parsed;
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | (smtputf8 ? MAIL_ADDRESS_UTF8 : 0);
    if (mail_address_from_internal(text, flags, &parsed) != MAIL_ADDRESS_OK) return false;
    struct buf whole = buf_make(ADDRESS_MAX);
    buf_append(&whole, mail_address_text(&parsed));
    if (parsed.domain_length == 0) buf_printf(&whole, "@%.*s", STR_ARGS(pickup->config->myorigin));
    bool good = !buf_overflowed(&whole) && arena_copy(arena, buf_str(&whole), address);
    buf_free(&whole);
    return good;
}

/* cleanup takes no control characters, whoever asks it again and again. */
static bool is_clean(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) return false;
    return true;
}

static bool fill_envelope(const struct pickup *pickup, const struct submission *submission, const char *user,
                          struct arena *arena, struct intake_envelope *envelope, struct intake_failure *failure) {
    const struct ipc_pickup_submit *request = submission->request;
    struct str sender = request->sender.length ? request->sender : str_from(user);
    if (!request->null_sender && !complete(pickup, sender, request->smtputf8, arena, &envelope->sender))
        return refuse(failure, 553, "5.1.7", "bad sender address", sender);
    if (!is_clean(request->envelope_id)) return refuse(failure, 501, "5.5.4", "bad envelope identity", STR_EMPTY);
    struct ipc_recipient *recipients = arena_allocate(arena, request->recipients.count + 1, sizeof *recipients);
    if (!recipients) return refuse(failure, 452, "4.5.3", "too many recipients", STR_EMPTY);
    size_t offset = 0, count = 0;
    struct ipc_recipient row;
    bool bad = false;
    while (count < request->recipients.count &&
           ipc_list_next(request->recipients, IPC_ROW_RECIPIENT, &offset, &row, &bad)) {
        recipients[count] = row;
        if (!complete(pickup, row.address, request->smtputf8, arena, &recipients[count].address))
            return refuse(failure, 553, "5.1.3", "bad recipient address", row.address);
        if (!is_clean(row.original) || !is_clean(row.orcpt))
            return refuse(failure, 501, "5.5.4", "bad original recipient of", row.address);
        count++;
    }
    if (bad || count == 0) return refuse(failure, 554, "5.5.1", "no recipients", STR_EMPTY);
    envelope->recipients = recipients;
    envelope->recipient_count = count;
    envelope->envelope_id = request->envelope_id;
    envelope->return_content = (enum return_content)request->return_content;
    envelope->body = request->body <= BODY_8BIT ? (enum body_type)request->body : BODY_8BIT;
    envelope->smtputf8 = request->smtputf8;
    envelope->report = (enum report_kind)request->report;
    envelope->wish.tls = request->require_tls ? TLS_WISH_REQUIRED : 0;
    envelope->client_name = STR("localhost");
    envelope->client_address = STR("local");
    envelope->protocol = STR("local");
    envelope->login = str_from(user);
    return true;
}

/* ---- content */

/* The first bytes, at most HEADER_READ. */
static bool read_begin(const struct submission *submission, struct buf *begin) {
    uint64_t length = submission->request->content_length;
    size_t wanted = length < HEADER_READ ? (size_t)length : HEADER_READ;
    char *room = buf_reserve(begin, wanted ? wanted : 1);
    for (size_t have = 0; room && have < wanted;) {
        ssize_t got = pread(submission->file, room + have, wanted - have, (off_t)(submission->offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += (size_t)got;
    }
    buf_commit(begin, wanted);
    return room != NULL;
}

static bool copy_rest(const struct submission *submission, uint64_t from, struct intake *intake, char *last) {
    char bytes[PART];
    for (uint64_t done = from; done < submission->request->content_length;) {
        uint64_t left = submission->request->content_length - done;
        ssize_t got =
            pread(submission->file, bytes, left < PART ? (size_t)left : PART, (off_t)(submission->offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        intake_write(intake, str_make(bytes, (size_t)got));
        *last = bytes[got - 1];
        done += (uint64_t)got;
    }
    return true;
}

/* A message whose first line is no header line begins with its body: it gets an empty line before it. */
static bool needs_empty_line(struct str begin) {
    enum header_line kind = header_line_kind(str_slice(begin, 0, str_find(begin, '\n')));
    return kind != HEADER_LINE_FIELD && kind != HEADER_LINE_EMPTY;
}

static bool write_content(const struct pickup *pickup, const struct submission *submission,
                          struct intake_envelope *envelope, struct intake *intake, struct buf *message_id,
                          struct intake_failure *failure) {
    struct buf begin = buf_make(0), out = buf_make(0);
    struct letterhead present = {0};
    int64_t now = clock_date() / CLOCK_SECOND;
    bool good =
        read_begin(submission, &begin) || refuse(failure, 451, "4.3.0", "the content cannot be read", STR_EMPTY);
    struct str text = buf_str(&begin);
    /* An mbox separator line that some callers send first is no header field. */
    while (header_line_kind(str_slice(text, 0, str_find(text, '\n'))) == HEADER_LINE_MBOX) {
        size_t end = str_find(text, '\n');
        text = end == STR_NONE ? STR_EMPTY : str_from_offset(text, end + 1);
    }
    letterhead_look(text, &present, message_id);
    if (present.tls_not_required && envelope->wish.tls == 0 && pickup->config->tls_required_enable)
        envelope->wish.tls = TLS_WISH_NOT_REQUIRED;
    if (good && present.hops > (size_t)pickup->config->hopcount_limit)
        good = refuse(failure, 554, "5.4.6", "too many hops", STR_EMPTY);
    letterhead_trace(pickup, submission->uid, intake_queue_id(intake), now, &out);
    letterhead_missing(pickup, submission, &present, envelope->sender, intake_queue_id(intake), now, &out, message_id);
    if (needs_empty_line(text)) buf_append_char(&out, '\n');
    char last = text.length ? text.data[text.length - 1] : '\n';
    text = str_from_offset(text, letterhead_copy(pickup->config, text, &out));
    intake_write(intake, buf_str(&out));
    intake_write(intake, text);
    if (good && !copy_rest(submission, begin.length, intake, &last))
        good = refuse(failure, 451, "4.3.0", "the content cannot be read", STR_EMPTY);
    if (last != '\n') intake_write(intake, STR("\n"));
    buf_free(&begin);
    buf_free(&out);
    envelope->message_id = buf_str(message_id);
    return good;
}

bool submission_take(struct pickup *pickup, const struct submission *submission, struct arena *arena, char queue_id[24],
                     struct intake_failure *failure) {
    char user[64];
    struct intake_envelope envelope = {.sender = STR_EMPTY};
    struct intake *intake;
    int64_t limit = pickup->config->message_size_limit;
    if (submission->uid != 0 && !permission_has(&pickup->may_submit, submission->uid)) {
        log_warning("uid %u is not allowed to submit mail (authorized_submit_users)", (unsigned)submission->uid);
        return refuse(failure, 550, "5.7.0", "not allowed to submit mail (authorized_submit_users)", STR_EMPTY);
    }
    if (limit > 0 && submission->request->content_length > (uint64_t)limit)
        return refuse(failure, 552, "5.3.4", "message size exceeds message_size_limit", STR_EMPTY);
    snprintf(user, sizeof user, "%u", (unsigned)submission->uid); /* an empty root has no account file */
    if (!fill_envelope(pickup, submission, user, arena, &envelope, failure)) return false;
    if (!intake_open(pickup->intake, submission->request->content_length, deadline_in(PATIENCE), &intake, failure))
        return false;
    snprintf(queue_id, 24, "%.*s", STR_ARGS(intake_queue_id(intake)));
    log_message(str_from(queue_id), "uid=%u from=<%.*s>", (unsigned)submission->uid, STR_ARGS(envelope.sender));
    struct buf message_id = buf_make(250);
    bool good = write_content(pickup, submission, &envelope, intake, &message_id, failure);
    if (good)
        good = intake_commit(&intake, &envelope, deadline_in(PATIENCE), failure);
    else
        intake_cancel(&intake);
    buf_free(&message_id);
    if (!good)
        log_message_warning(str_from(queue_id), "not accepted: %u %s %s; the caller is told", failure->reply_code,
                            failure->status, failure->text);
    return good;
}
