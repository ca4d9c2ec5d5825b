/* login_usage: see login_usage.h. */
#include "login_usage.h"
#include "record.h"
#include <inttypes.h>

#define RECORD_LOGIN '1' /* of this form; another form has another letter */

/* ---- windows */

/* Which window runs now: what was counted moves on, or is forgotten. */
static void turn_over(int64_t *begun, int64_t window, struct login_count *counts, size_t count, int64_t now) {
    if (window <= 0) return;
    int64_t gone = now - *begun;
    if (gone >= 0 && gone < window) return;
    bool next = gone >= window && gone < 2 * window; /* else it was long ago, or the clock was set back */
    for (size_t i = 0; i < count; i++)
        counts[i] = (struct login_count){.before = next ? counts[i].now : 0};
    *begun = next ? *begun + window : now;
}

/* The windows of a moment, without changing the record. */
static struct login_usage at(const struct login_usage *usage, int64_t now) {
    struct login_usage moment = *usage;
    turn_over(&moment.begun, moment.limits.window, moment.counts, LOGIN_COUNTERS, now);
    turn_over(&moment.brake_begun, moment.limits.brake_window, moment.signs, LOGIN_SIGNS, now);
    return moment;
}

/* The part of the window before that still counts goes down as the running one goes on. */
static uint64_t sum(const struct login_count *count, int64_t begun, int64_t window, int64_t now) {
    int64_t gone = now - begun;
    if (window <= 0) return count->now;
    if (gone < 0) gone = 0;
    if (gone > window) gone = window;
    double part = 1 - (double)gone / (double)window;
    return count->now + (uint64_t)((double)count->before * part);
}

uint64_t login_usage_count(const struct login_usage *usage, enum login_counter counter, int64_t now) {
    struct login_usage moment = at(usage, now);
    return sum(&moment.counts[counter], moment.begun, moment.limits.window, now);
}

/* ---- judging */

static uint64_t amount(const struct login_event *event, enum login_counter counter) {
    switch (counter) {
    case LOGIN_MESSAGES:
        return event->messages;
    case LOGIN_RECIPIENTS:
        return event->recipients;
    case LOGIN_BYTES:
        return event->bytes;
    case LOGIN_COUNTERS:
        break;
    }
    return 0;
}

enum login_verdict login_usage_judge(const struct login_usage *usage, const struct login_event *event, int64_t now,
                                     enum login_counter *over) {
    struct login_usage moment = at(usage, now);
    if (usage->held) return LOGIN_HOLD;
    for (enum login_counter counter = 0; counter < LOGIN_COUNTERS; counter++) {
        uint64_t most = moment.limits.most[counter], more = amount(event, counter);
        if (most == 0 || more == 0) continue;
        *over = counter;
        if (more > most) return LOGIN_NEVER;
        if (sum(&moment.counts[counter], moment.begun, moment.limits.window, now) + more > most) return LOGIN_LATER;
    }
    return LOGIN_GO;
}

bool login_append_time(struct buf *out, int64_t seconds) {
    static const struct {
        int64_t seconds;
        const char *one;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i + 1 < ARRAY_LENGTH(units) && (seconds < units[i].seconds || seconds % units[i].seconds))
        i++;
    int64_t number = seconds / units[i].seconds;
    return buf_printf(out, "%" PRId64 " %s%s", number, units[i].one, number == 1 ? "" : "s");
}

static void brake(struct login_usage *usage, enum login_sign sign, uint64_t count, int64_t now) {
    static const char *const words[LOGIN_SIGNS] = {"recipients were sent to", "recipients were refused",
                                                   "recipients bounced"};
    struct buf reason = buf_make(LOGIN_REASON_MAX);
    buf_printf(&reason, "%" PRIu64 " %s within ", count, words[sign]);
    login_append_time(&reason, usage->limits.brake_window);
    login_usage_hold(usage, buf_str(&reason), now);
    buf_free(&reason);
}

void login_usage_hold(struct login_usage *usage, struct str reason, int64_t now) {
    usage->held = now;
    snprintf(usage->reason, sizeof usage->reason, "%.*s", STR_ARGS(str_slice(reason, 0, LOGIN_REASON_MAX)));
}

void login_usage_lift(struct login_usage *usage) {
    memset(usage->counts, 0, sizeof usage->counts);
    memset(usage->signs, 0, sizeof usage->signs);
    usage->held = 0;
    usage->reason[0] = '\0';
}

bool login_usage_add(struct login_usage *usage, const struct login_event *event, int64_t now) {
    const uint64_t signs[LOGIN_SIGNS] = {event->recipients, event->rejected, event->bounced};
    *usage = at(usage, now);
    usage->used = now;
    for (enum login_counter counter = 0; counter < LOGIN_COUNTERS; counter++)
        usage->counts[counter].now += amount(event, counter);
    for (enum login_sign sign = 0; sign < LOGIN_SIGNS; sign++)
        usage->signs[sign].now += signs[sign];
    for (enum login_sign sign = 0; sign < LOGIN_SIGNS && !usage->held; sign++) {
        uint64_t count = sum(&usage->signs[sign], usage->brake_begun, usage->limits.brake_window, now);
        if (usage->limits.brake[sign] == 0 || count <= usage->limits.brake[sign]) continue;
        brake(usage, sign, count, now);
        return true;
    }
    return false;
}

bool login_usage_is_idle(const struct login_usage *usage, int64_t now) {
    int64_t longest =
        usage->limits.window > usage->limits.brake_window ? usage->limits.window : usage->limits.brake_window;
    return !usage->held && now > usage->used + 2 * longest;
}

/* ---- overrides */

bool login_limits_parse(struct str text, struct login_limits *limits, struct str *bad) {
    struct login_limits read = *limits;
    const struct {
        struct str name;
        uint64_t *limit;
    } names[] = {{STR("messages"), &read.most[LOGIN_MESSAGES]},  {STR("recipients"), &read.most[LOGIN_RECIPIENTS]},
                 {STR("bytes"), &read.most[LOGIN_BYTES]},        {STR("sudden"), &read.brake[LOGIN_SUDDEN]},
                 {STR("rejected"), &read.brake[LOGIN_REJECTED]}, {STR("bounced"), &read.brake[LOGIN_BOUNCED]}};
    struct str word, name, value;
    while (str_next_word(&text, ", \t\r\n", &word)) {
        size_t i = 0;
        *bad = word;
        if (str_equal_nocase(word, STR("unlimited"))) {
            memset(read.most, 0, sizeof read.most);
            memset(read.brake, 0, sizeof read.brake);
            continue;
        }
        if (!str_cut(word, '=', &name, &value)) return false;
        while (i < ARRAY_LENGTH(names) && !str_equal_nocase(names[i].name, name))
            i++;
        if (i == ARRAY_LENGTH(names) || !str_to_u64(value, INT64_MAX, names[i].limit)) return false;
    }
    *limits = read;
    return true;
}

/* ---- the file */

bool login_usage_pack(struct buf *out, struct str login, const struct login_usage *usage) {
    size_t begin = record_begin(out, RECORD_LOGIN);
    record_text(out, login);
    for (size_t i = 0; i < LOGIN_COUNTERS; i++)
        record_number(out, usage->limits.most[i]);
    record_number(out, (uint64_t)usage->limits.window);
    for (size_t i = 0; i < LOGIN_SIGNS; i++)
        record_number(out, usage->limits.brake[i]);
    record_number(out, (uint64_t)usage->limits.brake_window);
    record_number(out, (uint64_t)usage->begun);
    for (size_t i = 0; i < LOGIN_COUNTERS; i++) {
        record_number(out, usage->counts[i].now);
        record_number(out, usage->counts[i].before);
    }
    record_number(out, (uint64_t)usage->brake_begun);
    for (size_t i = 0; i < LOGIN_SIGNS; i++) {
        record_number(out, usage->signs[i].now);
        record_number(out, usage->signs[i].before);
    }
    record_number(out, (uint64_t)usage->used);
    record_number(out, (uint64_t)usage->held);
    record_text(out, str_from(usage->reason));
    return record_end(out, begin);
}

static bool read_date(struct str *fields, int64_t *date) {
    uint64_t number;
    if (!record_read_number(fields, &number) || number > INT64_MAX / 4) return false;
    *date = (int64_t)number;
    return true;
}

static bool read_counts(struct str *fields, struct login_count *counts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!record_read_number(fields, &counts[i].now) || !record_read_number(fields, &counts[i].before)) return false;
    return true;
}

static bool read_limits(struct str *fields, uint64_t *limits, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!record_read_number(fields, &limits[i])) return false;
    return true;
}

bool login_usage_next(struct str *rest, struct str *login, struct login_usage *usage) {
    struct str fields, name, reason, after = *rest;
    struct login_usage read = {.begun = 0};
    char type;
    if (!record_next(&after, &type, &fields) || type != RECORD_LOGIN) return false;
    if (!record_read_text(&fields, &name) || name.length == 0 || name.length > LOGIN_NAME_MAX ||
        !read_limits(&fields, read.limits.most, LOGIN_COUNTERS) || !read_date(&fields, &read.limits.window) ||
        !read_limits(&fields, read.limits.brake, LOGIN_SIGNS) || !read_date(&fields, &read.limits.brake_window) ||
        !read_date(&fields, &read.begun) || !read_counts(&fields, read.counts, LOGIN_COUNTERS) ||
        !read_date(&fields, &read.brake_begun) || !read_counts(&fields, read.signs, LOGIN_SIGNS) ||
        !read_date(&fields, &read.used) || !read_date(&fields, &read.held) || !record_read_text(&fields, &reason) ||
        reason.length > LOGIN_REASON_MAX)
        return false;
    snprintf(read.reason, sizeof read.reason, "%.*s", STR_ARGS(reason));
    *rest = after;
    *login = name;
    *usage = read;
    return true;
}
