/* date: formatting and reading of mail dates. */
#include "date.h"

#define DAY_SECONDS 86400
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekday_names[] = "SunMonTueWedThuFriSat";

/* Days since 1970-01-01 of a proleptic Gregorian date, years counted from March
 * so that the leap day is the last of its year. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

bool date_split(int64_t seconds, int offset_minutes, struct date_fields *fields) {
    const int64_t first = -INT64_C(2208988800), last = INT64_C(253402300799);
    if (seconds < first || seconds > last || offset_minutes < -1439 || offset_minutes > 1439) return false;
    seconds += (int64_t)offset_minutes * 60;
    if (seconds < first || seconds > last) return false;
    int64_t days = seconds / DAY_SECONDS, of_day = seconds % DAY_SECONDS;
    if (of_day < 0) {
        of_day += DAY_SECONDS;
        days--;
    }
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097; /* z > 0 from 1900 on */
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * of_year + 2) / 153;
    fields->day = (int)(of_year - (153 * month_index + 2) / 5 + 1);
    fields->month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    fields->year = (int)(year_of_era + era * 400 + (fields->month <= 2 ? 1 : 0));
    fields->hour = (int)(of_day / 3600);
    fields->minute = (int)(of_day / 60 % 60);
    fields->second = (int)(of_day % 60);
    fields->weekday = (int)((days % 7 + 11) % 7);
    return true;
}

bool date_join(const struct date_fields *f, int64_t *seconds) {
    if (f->year < 1900 || f->year > 9999 || f->month < 1 || f->month > 12 || f->day < 1) return false;
    if (f->day > days_in_month(f->year, f->month)) return false;
    if (f->hour < 0 || f->hour > 23 || f->minute < 0 || f->minute > 59 || f->second < 0 || f->second > 60) return false;
    *seconds = days_of(f->year, f->month, f->day) * DAY_SECONDS + f->hour * 3600 + f->minute * 60 + f->second;
    return true;
}

/* The fields to print, and the offset to print with them. */
static void split_or_epoch(int64_t seconds, int *offset_minutes, struct date_fields *fields) {
    if (!date_split(seconds, *offset_minutes, fields)) {
        *offset_minutes = 0;
        *fields = (struct date_fields){1970, 1, 1, 0, 0, 0, 4};
    }
}

bool date_append_rfc5322(struct buf *out, int64_t seconds, int offset_minutes) {
    struct date_fields f;
    split_or_epoch(seconds, &offset_minutes, &f);
    int offset = offset_minutes < 0 ? -offset_minutes : offset_minutes;
    return buf_printf(out, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02d%02d", weekday_names + 3 * f.weekday, f.day,
                      month_names + 3 * (f.month - 1), f.year, f.hour, f.minute, f.second,
                      offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
}

bool date_append_rfc3339(struct buf *out, int64_t microseconds, int offset_minutes, unsigned digits) {
    int64_t seconds = microseconds / 1000000, fraction = microseconds % 1000000;
    if (fraction < 0) {
        fraction += 1000000;
        seconds--;
    }
    struct date_fields f;
    split_or_epoch(seconds, &offset_minutes, &f);
    int offset = offset_minutes < 0 ? -offset_minutes : offset_minutes;
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", f.year, f.month, f.day, f.hour, f.minute, f.second);
    if (digits > 0) {
        char text[8];
        snprintf(text, sizeof text, ".%06u", (unsigned)fraction % 1000000U);
        buf_append(out, str_slice(str_from(text), 0, 1 + (size_t)(digits > 6 ? 6 : digits)));
    }
    return buf_printf(out, "%c%02d:%02d", offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
}

/* ---- reading */

/* Passes blanks and comments (to any depth: a counter suffices). */
static void skip_blanks(struct str *text) {
    size_t i = 0, depth = 0;
    for (; i < text->length; i++) {
        char c = text->data[i];
        if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (depth == 0 && !ascii_is_space(c)) {
            break;
        } else if (depth > 0 && c == '\\') {
            i++;
        }
    }
    *text = str_from_offset(*text, i);
}

/* Takes between least and most digits. */
static bool take_number(struct str *text, size_t least, size_t most, int *value) {
    size_t i = 0;
    int number = 0;
    while (i < text->length && i < most && ascii_is_digit(text->data[i]))
        number = number * 10 + (text->data[i++] - '0');
    if (i < least) return false;
    *text = str_from_offset(*text, i);
    *value = number;
    return true;
}

static bool take_char(struct str *text, char c) {
    if (text->length == 0 || text->data[0] != c) return false;
    *text = str_from_offset(*text, 1);
    return true;
}

static struct str take_letters(struct str *text) {
    size_t i = 0;
    while (i < text->length && ascii_is_alpha(text->data[i]))
        i++;
    struct str word = str_slice(*text, 0, i);
    *text = str_from_offset(*text, i);
    return word;
}

/* Index of a three-letter name in a run of such; longer words count by their start. */
static int name_index(const char *names, size_t count, struct str word) {
    if (word.length < 3) return -1;
    for (size_t i = 0; i < count; i++) {
        if (str_equal_nocase(str_make(names + 3 * i, 3), str_slice(word, 0, 3))) return (int)i;
    }
    return -1;
}

/* Minutes of a named zone of RFC 5322 4.3; military and unknown ones are 0. */
static int zone_offset(struct str name) {
    static const struct {
        struct str name;
        int hours;
    } zones[] = {
        {STR_INIT("EST"), -5}, {STR_INIT("EDT"), -4}, {STR_INIT("CST"), -6}, {STR_INIT("CDT"), -5},
        {STR_INIT("MST"), -7}, {STR_INIT("MDT"), -6}, {STR_INIT("PST"), -8}, {STR_INIT("PDT"), -7},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(zones); i++) {
        if (str_equal_nocase(name, zones[i].name)) return zones[i].hours * 60;
    }
    return 0;
}

/* "+0100", "GMT"; nothing counts as -0000. */
static bool take_zone(struct str *text, int *minutes) {
    *minutes = 0;
    if (text->length == 0) return true;
    bool minus = text->data[0] == '-';
    if (minus || text->data[0] == '+') {
        int digits = 0;
        *text = str_from_offset(*text, 1);
        if (!take_number(text, 4, 4, &digits) || digits / 100 > 23 || digits % 100 > 59) return false;
        int offset = digits / 100 * 60 + digits % 100;
        *minutes = minus ? -offset : offset;
        return true;
    }
    struct str name = take_letters(text);
    *minutes = zone_offset(name);
    return name.length > 0;
}

static bool take_day(struct str *text, struct date_fields *f) {
    struct str saved = *text;
    struct str weekday = take_letters(text);
    if (weekday.length > 0) {
        if (name_index(weekday_names, 7, weekday) < 0) return false;
        skip_blanks(text);
        take_char(text, ',');
        skip_blanks(text);
    } else {
        *text = saved;
    }
    if (!take_number(text, 1, 2, &f->day)) return false;
    skip_blanks(text);
    take_char(text, '-'); /* "23-Nov-2026" occurs */
    f->month = name_index(month_names, 12, take_letters(text)) + 1;
    if (f->month == 0) return false;
    skip_blanks(text);
    take_char(text, '-');
    size_t before = text->length;
    if (!take_number(text, 2, 5, &f->year)) return false;
    size_t digits = before - text->length;
    if (digits == 2) f->year += f->year < 50 ? 2000 : 1900;
    if (digits == 3) f->year += 1900;
    return true;
}

static bool take_time(struct str *text, struct date_fields *f) {
    f->second = 0;
    if (!take_number(text, 1, 2, &f->hour)) return false;
    skip_blanks(text);
    if (!take_char(text, ':')) return false;
    skip_blanks(text);
    if (!take_number(text, 2, 2, &f->minute)) return false;
    skip_blanks(text);
    if (!take_char(text, ':')) return true;
    skip_blanks(text);
    return take_number(text, 2, 2, &f->second);
}

bool date_parse_rfc5322(struct str text, int64_t *seconds, int *offset_minutes) {
    struct date_fields f = {0};
    int zone = 0;
    int64_t moment = 0;
    skip_blanks(&text);
    if (!take_day(&text, &f)) return false;
    skip_blanks(&text);
    if (!take_time(&text, &f)) return false;
    skip_blanks(&text);
    if (!take_zone(&text, &zone) || !date_join(&f, &moment)) return false;
    skip_blanks(&text);
    if (text.length > 0) return false;
    *seconds = moment - (int64_t)zone * 60;
    if (offset_minutes != NULL) *offset_minutes = zone;
    return true;
}

/* "Nov 23 13:08:03 [UTC] 2026", after the weekday: the year is found behind the time. */
static bool take_ctime_day(struct str *text, struct date_fields *f) {
    struct str rest = *text;
    f->month = name_index(month_names, 12, take_letters(&rest)) + 1;
    skip_blanks(&rest);
    if (f->month == 0 || !take_number(&rest, 1, 2, &f->day)) return false;
    skip_blanks(&rest);
    *text = rest;
    while (rest.length > 0) {
        struct str word = str_slice(rest, 0, 4);
        bool alone = rest.length == 4 || (rest.length > 4 && ascii_is_space(rest.data[4]));
        if (alone && take_number(&word, 4, 4, &f->year)) return true;
        while (rest.length > 0 && !ascii_is_space(rest.data[0]))
            rest = str_from_offset(rest, 1);
        skip_blanks(&rest);
    }
    return false;
}

/* Day, month and year in either form, whatever the weekday. */
static bool take_lenient_day(struct str *text, struct date_fields *f) {
    struct str rest = *text;
    if (take_day(&rest, f)) {
        *text = rest;
        return true;
    }
    rest = *text;
    (void)take_letters(&rest);
    skip_blanks(&rest);
    (void)take_char(&rest, ',');
    skip_blanks(&rest);
    *text = rest;
    return take_day(text, f) || (*text = rest, take_ctime_day(text, f));
}

bool date_parse_lenient(struct str text, int64_t *seconds, int *offset_minutes) {
    struct date_fields f = {0};
    int zone = 0;
    int64_t moment = 0;
    skip_blanks(&text);
    if (!take_lenient_day(&text, &f)) return false;
    skip_blanks(&text);
    bool timed = take_time(&text, &f);
    skip_blanks(&text);
    if (!timed || !take_zone(&text, &zone)) zone = 0;
    if (!timed || !date_join(&f, &moment)) {
        f.hour = f.minute = f.second = 0;
        if (!date_join(&f, &moment)) return false;
    }
    *seconds = moment - (int64_t)zone * 60;
    if (offset_minutes != NULL) *offset_minutes = zone;
    return true;
}

int64_t date_day(int64_t seconds, int offset_minutes) {
    int64_t local = seconds + (int64_t)offset_minutes * 60;
    return local / DAY_SECONDS - (local % DAY_SECONDS < 0 ? 1 : 0);
}

/* ".123" in microseconds; further digits are read and dropped. */
static bool take_fraction(struct str *text, int64_t *microseconds) {
    *microseconds = 0;
    if (!take_char(text, '.')) return true;
    size_t digits = 0;
    for (; digits < text->length && ascii_is_digit(text->data[digits]); digits++) {
        if (digits < 6) *microseconds = *microseconds * 10 + (text->data[digits] - '0');
    }
    for (size_t i = digits; i < 6; i++)
        *microseconds *= 10;
    *text = str_from_offset(*text, digits);
    return digits > 0;
}

static bool take_rfc3339_zone(struct str *text, int *minutes) {
    *minutes = 0;
    if (take_char(text, 'Z') || take_char(text, 'z')) return true;
    bool minus = take_char(text, '-');
    int hours = 0, rest = 0;
    if (!minus && !take_char(text, '+')) return false;
    if (!take_number(text, 2, 2, &hours) || !take_char(text, ':') || !take_number(text, 2, 2, &rest)) return false;
    if (hours > 23 || rest > 59) return false;
    *minutes = (minus ? -1 : 1) * (hours * 60 + rest);
    return true;
}

bool date_parse_rfc3339(struct str text, int64_t *microseconds, int *offset_minutes) {
    struct date_fields f = {0};
    int64_t moment = 0, fraction = 0;
    int zone = 0;
    if (!take_number(&text, 4, 4, &f.year) || !take_char(&text, '-') || !take_number(&text, 2, 2, &f.month) ||
        !take_char(&text, '-') || !take_number(&text, 2, 2, &f.day)) {
        return false;
    }
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' ')) return false;
    if (!take_number(&text, 2, 2, &f.hour) || !take_char(&text, ':') || !take_number(&text, 2, 2, &f.minute) ||
        !take_char(&text, ':') || !take_number(&text, 2, 2, &f.second)) {
        return false;
    }
    if (!take_fraction(&text, &fraction) || !take_rfc3339_zone(&text, &zone) || text.length > 0) return false;
    if (!date_join(&f, &moment)) return false;
    *microseconds = (moment - (int64_t)zone * 60) * 1000000 + fraction;
    if (offset_minutes != NULL) *offset_minutes = zone;
    return true;
}
