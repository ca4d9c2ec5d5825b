/* The envelope of a queue file as text and JSON: see cat_envelope.h. */
#include "cat_envelope.h"
#include "clock.h"
#include "delivery.h"
#include "hash.h"
#include "queue_tool.h"
#include "record.h"
#include <jansson.h>
#include <time.h>

struct sheet {
    struct buf *out;
    bool with_offsets;
    uint64_t offset; /* of what is shown now */
};

static const char *const state_words[] = {"waiting", "done", "failure notice owed", "success notice owed"};
static const char *const action_words[] = {"delivered", "relayed", "relayed", "expanded", "deferred", "failed"};
static const char *const body_words[] = {"7BIT", "8BITMIME", "BINARYMIME"};
static const char *const return_words[] = {"", "FULL", "HDRS"};
static const char *const tls_words[TLS_WISH_ALL + 1] = {
    "", "required", "not-required", "not-required", "unreported", "required, unreported", "not-required, unreported",
    "not-required, unreported"};
static const char *const by_words[] = {"", "notify", "return"};
static const char *const report_words[] = {"", "after delivery", "verify only"};

static const char *word(const char *const *words, size_t count, uint64_t number) {
    return number < count ? words[number] : "unknown";
}
#define WORD(words, number) word((words), ARRAY_LENGTH(words), (number))

static void begin(struct sheet *sheet, const char *label) {
    if (sheet->with_offsets) buf_printf(sheet->out, "%9llu ", (unsigned long long)sheet->offset);
    buf_printf(sheet->out, "%s: ", label);
}

static void text(struct sheet *sheet, const char *label, struct str value) {
    begin(sheet, label);
    queue_tool_printable(sheet->out, value);
    buf_append_char(sheet->out, '\n');
}

/* As text, but not if there is nothing to say. */
static void optional(struct sheet *sheet, const char *label, struct str value) {
    if (value.length) text(sheet, label, value);
}

/* "named_attribute: name=value", as postcat has what is known of the client: scripts look for sasl_username=. */
static void attribute(struct sheet *sheet, const char *name, struct str value) {
    if (value.length == 0) return;
    begin(sheet, "named_attribute");
    buf_printf(sheet->out, "%s=", name);
    queue_tool_printable(sheet->out, value);
    buf_append_char(sheet->out, '\n');
}

static void number(struct sheet *sheet, const char *label, uint64_t value) {
    begin(sheet, label);
    buf_printf(sheet->out, "%llu\n", (unsigned long long)value);
}

static void append_date(struct buf *out, int64_t seconds) {
    time_t moment = (time_t)seconds;
    struct tm date;
    char written[64];
    if (localtime_r(&moment, &date) && strftime(written, sizeof written, "%a %b %e %H:%M:%S %Y", &date))
        buf_append(out, str_from(written));
    else
        buf_printf(out, "%lld", (long long)seconds);
}

static void date(struct sheet *sheet, const char *label, int64_t seconds) {
    begin(sheet, label);
    append_date(sheet->out, seconds);
    buf_append_char(sheet->out, '\n');
}

/* ---- the envelope */

static void append_notify(struct sheet *sheet, unsigned notify) {
    static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    const char *comma = "";
    if (notify == 0) return;
    begin(sheet, "notify");
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (notify & 1u << i) {
            buf_printf(sheet->out, "%s%s", comma, words[i]);
            comma = ",";
        }
    buf_append_char(sheet->out, '\n');
}

static void show_message(struct sheet *sheet, const struct queue_envelope *envelope) {
    text(sheet, "queue_id", envelope->queue_id);
    date(sheet, "message_arrival_time", envelope->arrival / CLOCK_SECOND);
    text(sheet, "sender", envelope->sender);
    attribute(sheet, "envelope_id", envelope->envelope_id);
    optional(sheet, "dsn_return", str_from(WORD(return_words, envelope->return_content)));
    text(sheet, "body_type", str_from(WORD(body_words, envelope->body)));
    if (envelope->smtputf8) text(sheet, "smtputf8", STR("yes"));
    if (envelope->wish.release) date(sheet, "release_time", envelope->wish.release);
    if (envelope->wish.by_mode) {
        date(sheet, "deliver_by_time", envelope->wish.deliver_by);
        text(sheet, "deliver_by_mode", str_from(WORD(by_words, envelope->wish.by_mode)));
        if (envelope->wish.by_trace) text(sheet, "deliver_by_trace", STR("yes"));
    }
    if (envelope->wish.tls) text(sheet, "tls", str_from(tls_words[envelope->wish.tls & TLS_WISH_ALL]));
    if (envelope->wish.priority) {
        begin(sheet, "priority");
        buf_printf(sheet->out, "%d\n", envelope->wish.priority);
    }
    optional(sheet, "report", str_from(WORD(report_words, envelope->report)));
    attribute(sheet, "client_name", envelope->client_name);
    attribute(sheet, "client_address", envelope->client_address);
    attribute(sheet, "helo_name", envelope->helo);
    attribute(sheet, "protocol_name", envelope->protocol);
    attribute(sheet, "sasl_username", envelope->login);
    optional(sheet, "message_id", envelope->message_id);
}

static void show_recipient(struct sheet *sheet, const struct queue_recipient *recipient) {
    attribute(sheet, "dsn_orig_rcpt", recipient->orcpt);
    append_notify(sheet, recipient->notify);
    optional(sheet, "original_recipient", recipient->original);
    text(sheet, recipient->state == QUEUE_RECIPIENT_DONE ? "done_recipient" : "recipient", recipient->address);
    if (recipient->state != QUEUE_RECIPIENT_WAITING)
        text(sheet, "recipient_state", str_from(WORD(state_words, recipient->state)));
}

/* Of an envelope that does not check: the addresses in records that do. */
static void show_readable(struct sheet *sheet, struct str bytes) {
    uint64_t offset = sheet->offset;
    struct str rest = bytes, fields, value;
    uint64_t when;
    char type;
    for (; record_next(&rest, &type, &fields); sheet->offset = offset + (bytes.length - rest.length)) {
        if (!record_read_text(&fields, &value)) continue;
        if (type == 'R') text(sheet, "recipient", value);
        if (type != 'm') continue;
        text(sheet, "queue_id", value);
        if (record_read_number(&fields, &when) && record_read_text(&fields, &value)) {
            date(sheet, "message_arrival_time", (int64_t)(when / (uint64_t)CLOCK_SECOND));
            text(sheet, "sender", value);
        }
    }
}

/* ---- events, in the order in which they were written */

static void show_recipient_event(struct sheet *sheet, struct str fields, uint64_t when,
                                 const struct queue_envelope *envelope) {
    uint64_t index, state, action;
    struct str status, reason, remote, diagnostic;
    if (!record_read_number(&fields, &index) || !record_read_number(&fields, &state) ||
        !record_read_number(&fields, &action) || !record_read_text(&fields, &status) ||
        !record_read_text(&fields, &reason) || !record_read_text(&fields, &remote) ||
        !record_read_text(&fields, &diagnostic))
        return;
    begin(sheet, "delivery_event");
    append_date(sheet->out, (int64_t)when);
    buf_append(sheet->out, STR(" to=<"));
    if (index < envelope->recipient_count)
        queue_tool_printable(sheet->out, envelope->recipients[index].address);
    else
        buf_printf(sheet->out, "recipient %llu", (unsigned long long)index);
    buf_printf(sheet->out, ">, %s, dsn=", WORD(action_words, action));
    queue_tool_printable(sheet->out, status);
    buf_printf(sheet->out, ", then %s (", WORD(state_words, state));
    queue_tool_printable(sheet->out, reason);
    buf_append(sheet->out, STR(")\n"));
    optional(sheet, "remote_mta", remote);
    optional(sheet, "diagnostic", diagnostic);
}

static void show_event(struct sheet *sheet, char type, struct str fields, const struct queue_envelope *envelope) {
    uint64_t when, attempts;
    if (!record_read_number(&fields, &when) || when > INT64_MAX) return;
    switch (type) {
    case EVENT_RECIPIENT:
        show_recipient_event(sheet, fields, when, envelope);
        break;
    case EVENT_SCHEDULE:
        date(sheet, "next_attempt_time", (int64_t)when);
        if (record_read_number(&fields, &attempts)) number(sheet, "attempts", attempts);
        break;
    case EVENT_DELAY_NOTICE:
        date(sheet, "delay_notice_time", (int64_t)when);
        break;
    case EVENT_EXPIRE:
        date(sheet, "forced_expire_time", (int64_t)when);
        break;
    case EVENT_LATE_NOTICE:
        date(sheet, "late_notice_time", (int64_t)when);
        break;
    case EVENT_REPORT:
        date(sheet, "report_time", (int64_t)when);
        break;
    default:
        text(sheet, "unknown_event", str_make(&type, 1));
        break;
    }
}

static void show_events(struct sheet *sheet, struct str bytes, const struct queue_envelope *envelope) {
    uint64_t offset = sheet->offset;
    struct str rest = bytes, fields;
    char type;
    while (record_next(&rest, &type, &fields)) {
        show_event(sheet, type, fields, envelope);
        sheet->offset = offset + (bytes.length - rest.length);
    }
    if (rest.length) {
        begin(sheet, "torn_event");
        buf_printf(sheet->out, "%zu bytes at the end are no whole record (a crash while writing; harmless)\n",
                   rest.length);
    }
}

bool cat_envelope_format(const struct queue_header *header, struct str tail, uint64_t offset, bool with_offsets,
                         struct buf *out, struct failure *failure) {
    struct sheet sheet = {.out = out, .with_offsets = with_offsets, .offset = 0};
    struct arena *arena = arena_create(0);
    struct queue_envelope envelope = {.arrival = 0};
    struct str bytes = str_slice(tail, 0, (size_t)header->envelope_length),
               events = str_from_offset(tail, bytes.length);
    size_t used;
    bool good = bytes.length == header->envelope_length || failure_set(failure, "the envelope is cut short");
    if (good && crc32c(0, bytes.data, bytes.length) != header->envelope_crc)
        good = failure_set(failure, "the envelope does not match its check sum; shown is what can be read");
    begin(&sheet, "message_size");
    buf_printf(out, "%15llu %15llu lines\n", (unsigned long long)header->content_length,
               (unsigned long long)header->content_lines);
    sheet.offset = offset;
    good = good && queue_envelope_parse(bytes, events, arena, &envelope, &used, failure);
    if (good) {
        show_message(&sheet, &envelope);
        for (size_t i = 0; i < envelope.recipient_count; i++)
            show_recipient(&sheet, &envelope.recipients[i]);
    } else {
        show_readable(&sheet, bytes);
    }
    sheet.offset = offset + bytes.length;
    show_events(&sheet, events, &envelope);
    arena_destroy(&arena);
    return good;
}

/* ---- JSON */

static void json_text(json_t *object, const char *name, struct str value) {
    struct buf clean = buf_make(0);
    if (str_is_utf8(value))
        buf_append(&clean, value);
    else
        queue_tool_printable(&clean, value);
    json_object_set_new(object, name, json_stringn(buf_string(&clean), clean.length));
    buf_free(&clean);
}

static void json_optional(json_t *object, const char *name, struct str value) {
    if (value.length) json_text(object, name, value);
}

static void json_number(json_t *object, const char *name, int64_t value) {
    json_object_set_new(object, name, json_integer(value));
}

static json_t *json_recipient(const struct queue_recipient *recipient) {
    json_t *object = json_object();
    json_text(object, "address", recipient->address);
    json_optional(object, "orig_address", recipient->original);
    json_optional(object, "orcpt", recipient->orcpt);
    json_number(object, "notify", recipient->notify);
    json_text(object, "state", str_from(WORD(state_words, recipient->state)));
    if (recipient->last_attempt) {
        json_number(object, "last_attempt", recipient->last_attempt);
        json_text(object, "action", str_from(WORD(action_words, recipient->action)));
    }
    json_optional(object, "status", recipient->status);
    json_optional(object, "reason", recipient->reason);
    json_optional(object, "remote_mta", recipient->remote_mta);
    json_optional(object, "diagnostic", recipient->diagnostic);
    return object;
}

static json_t *json_envelope(const struct queue_header *header, const struct queue_envelope *envelope) {
    json_t *object = json_object(), *recipients = json_array();
    json_text(object, "queue_id", envelope->queue_id);
    json_number(object, "arrival_time", envelope->arrival / CLOCK_SECOND);
    json_number(object, "message_size", (int64_t)header->content_length);
    json_number(object, "message_lines", (int64_t)header->content_lines);
    json_text(object, "sender", envelope->sender);
    json_optional(object, "envelope_id", envelope->envelope_id);
    json_optional(object, "return", str_from(WORD(return_words, envelope->return_content)));
    json_text(object, "body_type", str_from(WORD(body_words, envelope->body)));
    json_object_set_new(object, "smtputf8", json_boolean(envelope->smtputf8));
    if (envelope->wish.release) json_number(object, "release_time", envelope->wish.release);
    if (envelope->wish.by_mode) {
        json_number(object, "deliver_by_time", envelope->wish.deliver_by);
        json_text(object, "deliver_by_mode", str_from(WORD(by_words, envelope->wish.by_mode)));
    }
    if (envelope->wish.priority) json_number(object, "priority", envelope->wish.priority);
    if (envelope->wish.tls) json_text(object, "tls", str_from(tls_words[envelope->wish.tls & TLS_WISH_ALL]));
    json_optional(object, "report", str_from(WORD(report_words, envelope->report)));
    json_optional(object, "client_name", envelope->client_name);
    json_optional(object, "client_address", envelope->client_address);
    json_optional(object, "helo_name", envelope->helo);
    json_optional(object, "protocol_name", envelope->protocol);
    json_optional(object, "sasl_username", envelope->login);
    json_optional(object, "message_id", envelope->message_id);
    json_number(object, "attempts", envelope->attempts);
    if (envelope->next_attempt) json_number(object, "next_attempt", envelope->next_attempt);
    if (envelope->delay_notice) json_number(object, "delay_notice", envelope->delay_notice);
    if (envelope->late_notice) json_number(object, "late_notice", envelope->late_notice);
    if (envelope->report_sent) json_number(object, "report_sent", envelope->report_sent);
    json_object_set_new(object, "forced_expire", json_boolean(envelope->force_expire));
    for (size_t i = 0; i < envelope->recipient_count; i++)
        json_array_append_new(recipients, json_recipient(&envelope->recipients[i]));
    json_object_set_new(object, "recipients", recipients);
    return object;
}

static int append_dump(const char *bytes, size_t length, void *out) {
    return buf_append_bytes(out, bytes, length) ? 0 : -1;
}

bool cat_envelope_json(int file, struct buf *out, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    bool good = queue_file_read(file, arena, &header, &envelope, &events_end, failure);
    if (good) {
        json_t *object = json_envelope(&header, &envelope);
        good = (json_dump_callback(object, append_dump, out, 0) == 0 && buf_append_char(out, '\n')) ||
               failure_set(failure, "out of memory");
        json_decref(object);
    }
    arena_destroy(&arena);
    return good;
}
