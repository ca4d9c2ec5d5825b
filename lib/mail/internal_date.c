/* internal_date: date-time, date, and the sent date. */
#include "internal_date.h"
#include "date.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Takes exactly count digits. */
static bool take_digits(struct str *text, size_t count, int *value) {
    uint64_t number = 0;
    if (text->length < count || !str_to_u64(str_slice(*text, 0, count), 9999, &number)) return false;
    *value = (int)number;
    *text = str_from_offset(*text, count);
    return true;
}

static bool take_char(struct str *text, char c) {
    if (text->length == 0 || text->data[0] != c) return false;
    *text = str_from_offset(*text, 1);
    return true;
}

/* "17-Jul-1996" */
static bool take_date(struct str *text, struct date_fields *fields) {
    bool two = text->length > 1 && ascii_is_digit(text->data[1]);
    if (!take_digits(text, two ? 2 : 1, &fields->day) || !take_char(text, '-')) return false;
    struct str name = str_slice(*text, 0, 3);
    for (int i = 0; i < 12; i++) {
        if (str_equal_nocase(name, str_make(month_names + 3 * i, 3))) fields->month = i + 1;
    }
    *text = str_from_offset(*text, 3);
    return fields->month > 0 && take_char(text, '-') && take_digits(text, 4, &fields->year);
}

static bool take_time(struct str *text, struct date_fields *fields) {
    return take_digits(text, 2, &fields->hour) && take_char(text, ':') && take_digits(text, 2, &fields->minute) &&
           take_char(text, ':') && take_digits(text, 2, &fields->second);
}

static bool take_zone(struct str *text, int *offset_minutes) {
    int hours = 0, minutes = 0;
    bool minus = take_char(text, '-');
    if (!minus && !take_char(text, '+')) return false;
    if (!take_digits(text, 2, &hours) || !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59) return false;
    *offset_minutes = (minus ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool internal_date_parse(struct str text, int64_t *seconds, int *offset_minutes) {
    struct date_fields fields = {0};
    int64_t moment = 0;
    int zone = 0;
    (void)take_char(&text, ' '); /* date-day-fixed */
    if (!take_date(&text, &fields) || !take_char(&text, ' ') || !take_time(&text, &fields)) return false;
    if (!take_char(&text, ' ') || !take_zone(&text, &zone) || text.length > 0) return false;
    if (!date_join(&fields, &moment)) return false;
    *seconds = moment - (int64_t)zone * 60;
    if (offset_minutes != NULL) *offset_minutes = zone;
    return true;
}

/* Exactly count digits, the last ones of a number that is not negative. */
static void put_digits(char *to, size_t count, int number) {
    for (; count-- > 0; number /= 10)
        to[count] = (char)('0' + number % 10);
}

bool internal_date_append(struct buf *out, int64_t seconds, int offset_minutes) {
    struct date_fields fields;
    if (!date_split(seconds, offset_minutes, &fields)) {
        offset_minutes = 0;
        fields = (struct date_fields){.year = 1970, .month = 1, .day = 1};
    }
    int offset = offset_minutes < 0 ? -offset_minutes : offset_minutes;
    char text[] = "dd-Mon-yyyy hh:mm:ss +hhmm"; /* no printf: this stands in each message's answer */
    put_digits(text, 2, fields.day);
    if (fields.day < 10) text[0] = ' ';
    memcpy(text + 3, month_names + 3 * (fields.month - 1), 3);
    put_digits(text + 7, 4, fields.year);
    put_digits(text + 12, 2, fields.hour);
    put_digits(text + 15, 2, fields.minute);
    put_digits(text + 18, 2, fields.second);
    if (offset_minutes < 0) text[21] = '-';
    put_digits(text + 22, 2, offset / 60);
    put_digits(text + 24, 2, offset % 60);
    return buf_append_bytes(out, text, sizeof text - 1);
}

bool internal_date_parse_day(struct str text, int64_t *day) {
    struct date_fields fields = {0};
    int64_t moment = 0;
    bool quoted = take_char(&text, '"');
    if (!take_date(&text, &fields) || (quoted && !take_char(&text, '"')) || text.length > 0) return false;
    if (!date_join(&fields, &moment)) return false;
    *day = date_day(moment, 0);
    return true;
}

struct sent_date sent_date_of(struct str field, int64_t received_seconds, int received_offset_minutes) {
    struct sent_date sent = {.seconds = received_seconds, .offset_minutes = received_offset_minutes};
    if (field.data != NULL) sent.from_header = date_parse_lenient(field, &sent.seconds, &sent.offset_minutes);
    return sent;
}
