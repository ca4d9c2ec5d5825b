/* record: reading a service's line, writing the log's. */
#include "log_line.h"

#include "clock.h"

#include <time.h>

#define PROCESS_LIMIT UINT64_C(4194304) /* Linux has no greater pid */

/* By syslog's number; the text of a line begins with the word and a colon, but for info's. */
static const struct str severity_words[] = {
    STR_INIT("panic"),   STR_INIT("panic"),  STR_INIT("fatal"), STR_INIT("error"),
    STR_INIT("warning"), STR_INIT("notice"), STR_INIT("info"),  STR_INIT("debug"),
};

struct record record_parse(struct str line) {
    struct record whole = {.severity = RECORD_WARNING, .text = line};
    struct record record = {0};
    struct str severity;
    struct str process;
    struct str date;
    struct str rest;
    uint64_t number = 0;
    if (!str_cut(line, ' ', &severity, &rest) || severity.length != 1 ||
        !str_to_u64(severity, ARRAY_LENGTH(severity_words) - 1, &number))
        return whole;
    record.severity = (unsigned)number;
    if (!str_cut(rest, ' ', &process, &rest) || !str_to_u64(process, PROCESS_LIMIT, &record.process) ||
        !str_cut(rest, ' ', &date, &record.text) || !str_to_i64(date, 0, INT64_MAX, &record.date))
        return whole;
    return record;
}

void record_set_time(struct record_frame *frame, int64_t date) {
    time_t second = (time_t)(date / CLOCK_SECOND);
    struct tm local;
    if (second == frame->second || localtime_r(&second, &local) == NULL) return;
    frame->second = second;
    strftime(frame->traditional, sizeof frame->traditional, "%b %e %H:%M:%S", &local);
    strftime(frame->iso, sizeof frame->iso, "%Y-%m-%dT%H:%M:%S%z", &local);
}

/* Whether the byte may not reach a terminal: C0, DEL, what is no UTF-8, and both bytes of C1 in UTF-8. */
static bool is_control(struct str text, size_t i, bool utf8) {
    unsigned char c = (unsigned char)text.data[i];
    if (c < 0x20 || c == 0x7f || (!utf8 && c >= 0x80)) return true;
    if (c == 0xc2) return (unsigned char)text.data[i + 1] < 0xa0; /* there is one, for it is UTF-8 */
    return c < 0xa0 && i > 0 && (unsigned char)text.data[i - 1] == 0xc2 && c >= 0x80;
}

static void append_plain(struct buf *out, struct str text) {
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.length; i++) {
        buf_append_char(out, is_control(text, i, utf8) ? '?' : text.data[i]);
    }
}

static void append_json(struct buf *out, struct str text) {
    bool utf8 = str_is_utf8(text);
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '"' || c == '\\') buf_append_char(out, '\\');
        buf_append_char(out, is_control(text, i, utf8) ? '?' : c);
    }
    buf_append_char(out, '"');
}

/* JSON has the severity as a member; the word goes out of the text. */
static void append_json_severity(struct buf *out, const struct record *record) {
    static const struct str words[] = {STR_INIT("warning: "), STR_INIT("error: "), STR_INIT("fatal: "),
                                       STR_INIT("panic: ")};
    struct str severity = severity_words[record->severity];
    struct str text = record->text;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_starts(text, words[i])) {
            severity = str_slice(words[i], 0, words[i].length - 2);
            text = str_from_offset(text, words[i].length);
            break;
        }
    buf_printf(out, ",\"pid\":%llu,\"severity\":\"%.*s\",\"text\":", (unsigned long long)record->process,
               STR_ARGS(severity));
    append_json(out, text);
}

static void append_tag(struct buf *out, struct str tag, const struct record *record) {
    append_plain(out, tag);
    buf_append_char(out, '[');
    buf_append_u64(out, record->process);
    buf_append(out, STR("]: "));
}

static void append_priority(struct buf *out, const struct record_frame *frame, const struct record *record) {
    buf_printf(out, "<%u>%s ", frame->facility * 8 + record->severity, frame->traditional);
}

static void append_object(struct buf *out, const struct record_frame *frame, struct str tag,
                          const struct record *record) {
    buf_printf(out, "{\"time\":\"%s\",\"host\":", frame->iso);
    append_json(out, frame->host);
    buf_append(out, STR(",\"service\":"));
    append_json(out, tag);
    append_json_severity(out, record);
    buf_append_char(out, '}');
}

bool record_form_is_datagram(enum record_form form) {
    return form == RECORD_FORM_SYSLOG || form == RECORD_FORM_SYSLOG_JSON;
}

void record_format(const struct record_frame *frame, struct str tag, const struct record *record, struct buf *out) {
    switch (frame->form) {
    case RECORD_FORM_TEXT:
        buf_append(out, str_from(frame->traditional));
        buf_append_char(out, ' ');
        buf_append(out, frame->host);
        buf_append_char(out, ' ');
        append_tag(out, tag, record);
        append_plain(out, record->text);
        buf_append_char(out, '\n');
        break;
    case RECORD_FORM_SYSLOG:
        append_priority(out, frame, record);
        append_tag(out, tag, record);
        append_plain(out, record->text);
        break;
    case RECORD_FORM_SYSLOG_JSON:
        append_priority(out, frame, record);
        append_tag(out, tag, record);
        append_object(out, frame, tag, record);
        break;
    case RECORD_FORM_JSON:
        append_object(out, frame, tag, record);
        buf_append_char(out, '\n');
        break;
    }
}
