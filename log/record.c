/* record: reading a service's line, writing the log's. */
#include "record.h"

#include "clock.h"

#include <time.h>

static const struct str severity_words[] = {
    [RECORD_INFO] = STR_INIT("info"),
    [RECORD_WARNING] = STR_INIT("warning"),
    [RECORD_ERROR] = STR_INIT("error"),
    [RECORD_FATAL] = STR_INIT("fatal"),
};

/* syslog's numbers: info, warning, err, crit. */
static const unsigned syslog_severity[] = {
    [RECORD_INFO] = 6,
    [RECORD_WARNING] = 4,
    [RECORD_ERROR] = 3,
    [RECORD_FATAL] = 2,
};

void record_set_time(struct record_frame *frame, int64_t date) {
    time_t second = (time_t)(date / CLOCK_SECOND);
    struct tm local;
    if (second == frame->second || localtime_r(&second, &local) == NULL)
        return;
    frame->second = second;
    strftime(frame->traditional, sizeof frame->traditional, "%b %e %H:%M:%S", &local);
    strftime(frame->iso, sizeof frame->iso, "%Y-%m-%dT%H:%M:%S%z", &local);
}

static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

static void append_plain(struct buf *out, struct str text) {
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        buf_append_char(out, is_control(c) || (!utf8 && (c & 0x80)) ? '?' : c);
    }
}

static void append_json(struct buf *out, struct str text) {
    bool utf8 = str_is_utf8(text);
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '"' || c == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, is_control(c) || (!utf8 && (c & 0x80)) ? '?' : c);
    }
    buf_append_char(out, '"');
}

static void append_tag(struct buf *out, struct str tag, const struct record *record) {
    append_plain(out, tag);
    buf_append_char(out, '[');
    buf_append_u64(out, record->process);
    buf_append(out, STR("]: "));
    if (record->severity != RECORD_INFO) {
        buf_append(out, severity_words[record->severity]);
        buf_append(out, STR(": "));
    }
    append_plain(out, record->text);
}

void record_format(const struct record_frame *frame, struct str tag, const struct record *record, struct buf *out) {
    switch (frame->form) {
    case RECORD_FORM_TEXT:
        buf_append(out, str_from(frame->traditional));
        buf_append_char(out, ' ');
        buf_append(out, frame->host);
        buf_append_char(out, ' ');
        append_tag(out, tag, record);
        buf_append_char(out, '\n');
        break;
    case RECORD_FORM_SYSLOG:
        buf_printf(out, "<%u>%s ", frame->facility * 8 + syslog_severity[record->severity], frame->traditional);
        append_tag(out, tag, record);
        break;
    case RECORD_FORM_JSON:
        buf_printf(out, "{\"time\":\"%s\",\"host\":", frame->iso);
        append_json(out, frame->host);
        buf_append(out, STR(",\"service\":"));
        append_json(out, tag);
        buf_printf(out, ",\"pid\":%llu,\"severity\":\"%s\",\"text\":", (unsigned long long)record->process,
                   severity_words[record->severity].data);
        append_json(out, record->text);
        buf_append(out, STR("}\n"));
        break;
    }
}
