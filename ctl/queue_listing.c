/* A row of the listing as text: see queue_listing.h. */
#include "queue_listing.h"
#include "address.h"
#include "envelope_wish.h"
#include "queue_tool.h"
#include <jansson.h>
#include <time.h>

#define REASON_END  76 /* the column at which reasons end */
#define NULL_SENDER STR("MAILER-DAEMON")

/* The two layouts: widths of ID, size and time, and the heading. */
static const struct layout {
    int id, size, time;
    const char *heading;
} layouts[2] = {
    {11, 7, 20, "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"},
    {17, 8, 19, "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"},
};

/* "Thu Oct  3 21:11:35", local time, whatever the locale. */
static void format_date(uint64_t arrival, char text[32]) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)arrival;
    struct tm date;
    if (!localtime_r(&seconds, &date)) {
        snprintf(text, 32, "-");
        return;
    }
    snprintf(text, 32, "%.3s %.3s %2d %02d:%02d:%02d", days + 3 * (date.tm_wday % 7), months + 3 * (date.tm_mon % 12),
             date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec);
}

static const char *mark_of(const struct ipc_queued *row) {
    if (str_equal(row->queue, STR("active"))) return "*";
    if (str_equal(row->queue, STR("hold"))) return "!";
    return row->forced_expire ? "#" : "";
}

/* In external form: a local part with blanks is quoted, and splits nothing. */
static void append_address(struct buf *out, struct str address) {
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_POSTMASTER;
    struct mail_address parsed;
    if (mail_address_from_internal(address, flags, &parsed) == MAIL_ADDRESS_OK)
        mail_address_append_external(out, &parsed);
    else
        queue_tool_printable(out, address);
}

static void add_reason(struct str reason, struct buf *out) {
    struct buf text = buf_make(0);
    queue_tool_printable(&text, reason);
    int padding = text.length < REASON_END ? REASON_END - (int)text.length : 0;
    buf_printf(out, "%*s(%s)\n", padding, "", buf_string(&text));
    buf_free(&text);
}

/* FUTURERELEASE: no reason, but a date. */
static void add_release(uint64_t release, struct buf *out) {
    char date[32], text[80];
    format_date(release, date);
    snprintf(text, sizeof text, "to be released %s", date);
    add_reason(str_from(text), out);
}

/* A reason stands before the recipients that share it. */
static void add_recipients(const struct layout *layout, struct ipc_list list, uint64_t release, struct buf *out) {
    struct ipc_queued_recipient recipient;
    struct str last = STR_EMPTY;
    size_t offset = 0;
    bool bad = false;
    if (release) add_release(release, out);
    while (ipc_list_next(list, IPC_ROW_QUEUED_RECIPIENT, &offset, &recipient, &bad)) {
        if (!str_equal(recipient.reason, last))
            add_reason(recipient.reason.length ? recipient.reason : STR("reason unavailable"), out);
        last = recipient.reason;
        buf_printf(out, "%*s", layout->id + layout->size + layout->time + 3, "");
        append_address(out, recipient.address);
        buf_append_char(out, '\n');
    }
}

void queue_listing_message(struct queue_listing *listing, const struct ipc_queued *row, struct buf *out) {
    const struct layout *layout = &layouts[listing->long_ids];
    char id[40], date[32];
    buf_append(out, str_from(listing->messages == 0 ? layout->heading : "\n"));
    snprintf(id, sizeof id, "%.*s%s", STR_ARGS(row->queue_id), mark_of(row));
    format_date(row->arrival, date);
    buf_printf(out, "%-*s %*llu %-*s ", layout->id, id, layout->size, (unsigned long long)row->size, layout->time,
               date);
    append_address(out, row->sender.length ? row->sender : NULL_SENDER);
    buf_append_char(out, '\n');
    add_recipients(layout, row->recipients, row->release, out);
    listing->messages++;
    listing->bytes += row->size;
}

void queue_listing_end(const struct queue_listing *listing, struct buf *out) {
    if (listing->messages == 0)
        buf_append(out, STR("Mail queue is empty\n"));
    else
        buf_printf(out, "\n-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(listing->bytes / 1024),
                   (unsigned long long)listing->messages, listing->messages == 1 ? "" : "s");
}

/* ---- JSON */

static json_t *json_text(struct str text) {
    struct buf copy = buf_make(0);
    json_t *value;
    if (str_is_utf8(text)) return json_stringn(text.data, text.length);
    queue_tool_printable(&copy, text);
    value = json_stringn(buf_string(&copy), copy.length);
    buf_free(&copy);
    return value;
}

static json_t *json_address(struct str address) {
    struct buf external = buf_make(0);
    append_address(&external, address);
    json_t *value = json_text(buf_str(&external));
    buf_free(&external);
    return value;
}

static bool add_json_recipients(struct ipc_list list, json_t *array) {
    struct ipc_queued_recipient recipient;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(list, IPC_ROW_QUEUED_RECIPIENT, &offset, &recipient, &bad)) {
        json_t *object = json_object();
        bool good = json_object_set_new(object, "address", json_address(recipient.address)) == 0;
        if (good && recipient.original.length && !str_equal(recipient.original, recipient.address))
            good = json_object_set_new(object, "orig_address", json_address(recipient.original)) == 0;
        if (good && recipient.reason.length)
            good = json_object_set_new(object, "delay_reason", json_text(recipient.reason)) == 0;
        if (json_array_append_new(array, object) != 0 || !good) return false;
    }
    return true;
}

static int append_dump(const char *bytes, size_t length, void *out) {
    return buf_append_bytes(out, bytes, length) ? 0 : -1;
}

bool queue_listing_json(const struct ipc_queued *row, struct buf *out) {
    json_t *object = json_object(), *recipients = json_array();
    bool good = add_json_recipients(row->recipients, recipients);
    good = json_object_set_new(object, "queue_name", json_text(row->queue)) == 0 && good;
    good = json_object_set_new(object, "queue_id", json_text(row->queue_id)) == 0 && good;
    good = json_object_set_new(object, "arrival_time", json_integer((json_int_t)row->arrival)) == 0 && good;
    good = json_object_set_new(object, "message_size", json_integer((json_int_t)row->size)) == 0 && good;
    if (row->release)
        good = json_object_set_new(object, "release_time", json_integer((json_int_t)row->release)) == 0 && good;
    if (row->priority)
        good = json_object_set_new(object, "priority", json_integer(priority_from_number(row->priority))) == 0 && good;
    good = json_object_set_new(object, "forced_expire", json_boolean(row->forced_expire)) == 0 && good;
    good = json_object_set_new(object, "sender", json_address(row->sender.length ? row->sender : NULL_SENDER)) == 0 &&
           good;
    good = json_object_set_new(object, "recipients", recipients) == 0 && good;
    good = good && json_dump_callback(object, append_dump, out, 0) == 0 && buf_append_char(out, '\n');
    json_decref(object);
    return good;
}
