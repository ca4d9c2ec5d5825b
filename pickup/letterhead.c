/* The header of a message from this machine: Received and what is missing of From, Date and Message-ID stand before it
 * (RFC 5321 section 4.4, RFC 6409 section 8), or of their Resent- kin where somebody sends a message again; fields of
 * message_drop_headers (Bcc) go, and addresses without a domain get the origin, as those of the envelope do. */
#include "address_complete.h"
#include "date.h"
#include "header.h"
#include "pickup.h"
#include "received.h"
#include <time.h>

/* ---- what there is */

static void note(struct letterhead *present, struct str name) {
    if (str_equal_nocase(name, STR("From")))
        present->from = true;
    else if (str_equal_nocase(name, STR("Date")))
        present->date = true;
    else if (str_equal_nocase(name, STR("Message-ID")))
        present->message_id = true;
}

void letterhead_look(struct str begin, struct letterhead *present, struct buf *message_id) {
    struct header_reader reader;
    struct header_field field;
    struct letterhead first = {0}, again = {0};
    struct str resent = STR("Resent-");
    header_begin(&reader, begin, begin.length ? begin.length : 1);
    while (header_next(&reader, &field) == HEADER_FIELD) {
        if (str_equal_nocase(field.name, STR("Received"))) first.hops++;
        if (str_equal_nocase(field.name, STR("TLS-Required")))
            first.tls_not_required = str_equal_nocase(str_trim(field.value), STR("No"));
        if (str_equal_nocase(field.name, STR("Message-ID")) && !first.message_id)
            header_append_unfolded(message_id, field.value);
        note(&first, field.name);
        if (!str_equal_nocase(str_slice(field.name, 0, resent.length), resent)) continue;
        again.resent = true;
        note(&again, str_from_offset(field.name, resent.length));
    }
    *present = again.resent ? again : first;
    present->hops = first.hops;
    present->tls_not_required = first.tls_not_required;
}

/* ---- what it is given */

static int local_offset_minutes(int64_t seconds) {
    time_t when = (time_t)seconds;
    struct tm fields;
    return localtime_r(&when, &fields) ? (int)(fields.tm_gmtoff / 60) : 0;
}

void letterhead_trace(const struct pickup *pickup, uint32_t uid, struct str queue_id, int64_t now, struct buf *out) {
    buf_printf(out, "Received: by %.*s (%.*s, from userid %u)\n\tid %.*s; ", STR_ARGS(pickup->config->myhostname),
               STR_ARGS(pickup->config->mail_name), (unsigned)uid, STR_ARGS(queue_id));
    date_append_rfc5322(out, now, local_offset_minutes(now));
    buf_append_char(out, '\n');
}

/* Of the null sender it is the mail system itself. */
static bool author(const struct pickup *pickup, struct str sender, struct mail_address *address) {
    unsigned flags = MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY;
    if (sender.length == 0)
        return mail_address_from_parts(STR("MAILER-DAEMON"), pickup->config->myorigin, flags, address) ==
               MAIL_ADDRESS_OK;
    return mail_address_from_internal(sender, flags, address) == MAIL_ADDRESS_OK;
}

void letterhead_missing(const struct pickup *pickup, const struct submission *submission,
                        const struct letterhead *present, struct str sender, struct str queue_id, int64_t now,
                        struct buf *out, struct buf *message_id) {
    struct str prefix = present->resent ? STR("Resent-") : STR_EMPTY;
    struct str name = sender.length ? submission->request->full_name : STR_EMPTY;
    struct mail_address address;
    if (!present->date) {
        buf_append(out, prefix);
        date_field_append(out, now, local_offset_minutes(now));
    }
    if (!present->message_id) {
        buf_append(out, prefix);
        message_id_field_append(out, now, queue_id, pickup->config->myhostname);
        if (message_id->length == 0) message_id_append(message_id, now, queue_id, pickup->config->myhostname);
    }
    if (!present->from && author(pickup, sender, &address)) {
        buf_append(out, prefix);
        from_field_append(out, name, &address);
    }
}

/* ---- what becomes of what there is */

static bool is_dropped(const struct config *config, struct str name) {
    struct str word, rest = config->message_drop_headers;
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal_nocase(word, name)) return true;
    return false;
}

size_t letterhead_copy(const struct config *config, struct str begin, struct buf *out) {
    struct header_reader reader;
    struct header_field field;
    size_t done = 0;
    header_begin(&reader, begin, begin.length ? begin.length : 1);
    while (header_next(&reader, &field) == HEADER_FIELD) {
        done = reader.offset;
        if (is_dropped(config, field.name)) continue;
        if (!config->append_at_myorigin || !address_field_is_known(field.name)) {
            buf_append(out, field.raw);
            continue;
        }
        size_t value = (size_t)(field.value.data - field.raw.data);
        buf_append(out, str_slice(field.raw, 0, value));
        address_complete(out, field.value, config->myorigin);
        buf_append(out, str_from_offset(field.raw, value + field.value.length));
    }
    return done;
}
