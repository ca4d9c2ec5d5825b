/* See tlsrpt_report.h. The counts are held as the JSON that they will be: an object with
 * "domain", "record", "sent" and "policies", the last as RFC 8460 section 4.4 has it. */
#include "tlsrpt_report.h"

#include "date.h"
#include "log_text.h"
#include "memory.h"

#include <jansson.h>

#define COUNT_MOST INT64_C(1000000000000000)
#define JSON_DEPTH 8

struct tlsrpt_day {
    json_t *root;
    json_t *policies; /* within root */
};

/* ---- JSON without surprises: running out of memory ends the process, as everywhere */

static json_t *have(json_t *value) {
    if (!value) memory_exhausted(0);
    return value;
}

/* Texts come from other people's servers. */
static json_t *text_of(struct str text) {
    struct buf safe = buf_make(0);
    log_text_append(&safe, text, 0);
    json_t *value = have(json_stringn(buf_string(&safe), safe.length));
    buf_free(&safe);
    return value;
}

static void set(json_t *object, const char *name, json_t *value) {
    if (json_object_set_new(object, name, value) != 0) memory_exhausted(0);
}

static void add(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) memory_exhausted(0);
}

static struct str get_text(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value)) : STR_EMPTY;
}

static json_int_t get_count(const json_t *object, const char *name) {
    return json_integer_value(json_object_get(object, name));
}

static void count_one(json_t *object, const char *name) {
    json_int_t count = get_count(object, name);
    set(object, name, have(json_integer(count < COUNT_MOST ? count + 1 : count)));
}

/* ---- days */

static struct tlsrpt_day *day_of(json_t *root) {
    struct tlsrpt_day *day = MEMORY_NEW(struct tlsrpt_day);
    day->root = root;
    day->policies = json_object_get(root, "policies");
    return day;
}

struct tlsrpt_day *tlsrpt_day_create(struct str domain, struct str record) {
    json_t *root = have(json_object());
    set(root, "domain", text_of(domain));
    set(root, "record", text_of(record));
    set(root, "sent", have(json_array()));
    set(root, "policies", have(json_array()));
    return day_of(root);
}

void tlsrpt_day_free(struct tlsrpt_day **day) {
    if (!*day) return;
    json_decref((*day)->root);
    MEMORY_FREE(*day);
}

struct str tlsrpt_day_domain(const struct tlsrpt_day *day) {
    return get_text(day->root, "domain");
}
struct str tlsrpt_day_record(const struct tlsrpt_day *day) {
    return get_text(day->root, "record");
}

void tlsrpt_day_counts(const struct tlsrpt_day *day, uint64_t *success, uint64_t *failure) {
    uint64_t good = 0, bad = 0;
    for (size_t i = 0; i < json_array_size(day->policies); i++) {
        const json_t *summary = json_object_get(json_array_get(day->policies, i), "summary");
        good += (uint64_t)get_count(summary, "total-successful-session-count");
        bad += (uint64_t)get_count(summary, "total-failure-session-count");
    }
    *success = good;
    *failure = bad;
}

void tlsrpt_day_note_sent(struct tlsrpt_day *day, struct str place) {
    if (!tlsrpt_day_was_sent(day, place)) add(json_object_get(day->root, "sent"), text_of(place));
}

bool tlsrpt_day_was_sent(const struct tlsrpt_day *day, struct str place) {
    const json_t *sent = json_object_get(day->root, "sent");
    for (size_t i = 0; i < json_array_size(sent); i++) {
        const json_t *value = json_array_get(sent, i);
        if (str_equal(str_make(json_string_value(value), json_string_length(value)), place)) return true;
    }
    return false;
}

/* ---- counting */

static const char *policy_type_name(enum tlsrpt_policy_type type) {
    switch (type) {
    case TLSRPT_TLSA:
        return "tlsa";
    case TLSRPT_STS:
        return "sts";
    case TLSRPT_NO_POLICY:
        return "no-policy-found";
    }
    return "no-policy-found";
}

static json_t *words_of(struct str text, const char *separators) {
    json_t *array = have(json_array());
    struct str word;
    while (str_next_word(&text, separators, &word))
        add(array, text_of(word));
    return array;
}

static json_t *make_policy(const struct tlsrpt_outcome *outcome, struct str domain) {
    json_t *policy = have(json_object()), *summary = have(json_object()), *entry = have(json_object());
    set(policy, "policy-type", have(json_string(policy_type_name(outcome->policy_type))));
    if (outcome->policy.length > 0) set(policy, "policy-string", words_of(outcome->policy, "\r\n"));
    set(policy, "policy-domain", text_of(domain));
    if (outcome->mx_patterns.length > 0) set(policy, "mx-host", words_of(outcome->mx_patterns, " "));
    set(summary, "total-successful-session-count", have(json_integer(0)));
    set(summary, "total-failure-session-count", have(json_integer(0)));
    set(entry, "policy", policy);
    set(entry, "summary", summary);
    return entry;
}

/* The entry of that policy; past the limit, the last one. */
static json_t *find_policy(struct tlsrpt_day *day, const struct tlsrpt_outcome *outcome) {
    json_t *wanted = make_policy(outcome, tlsrpt_day_domain(day));
    size_t count = json_array_size(day->policies);
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_array_get(day->policies, i);
        if (!json_equal(json_object_get(entry, "policy"), json_object_get(wanted, "policy"))) continue;
        json_decref(wanted);
        return entry;
    }
    if (count < TLSRPT_POLICY_LIMIT) {
        add(day->policies, wanted);
        return wanted;
    }
    json_decref(wanted);
    return json_array_get(day->policies, count - 1);
}

static void set_if(json_t *object, const char *name, struct str text) {
    if (text.length > 0) set(object, name, text_of(text));
}

static json_t *make_detail(const struct tlsrpt_outcome *outcome) {
    json_t *detail = have(json_object());
    set(detail, "result-type", text_of(outcome->result_type));
    set_if(detail, "sending-mta-ip", outcome->sending_address);
    set_if(detail, "receiving-mx-hostname", outcome->receiving_host);
    set_if(detail, "receiving-mx-helo", outcome->receiving_helo);
    set_if(detail, "receiving-ip", outcome->receiving_address);
    set_if(detail, "failure-reason-code", outcome->reason);
    return detail;
}

/* Whether a detail is the wanted one but for its count. */
static bool is_detail(const json_t *detail, json_t *wanted) {
    const char *name;
    json_t *value;
    if (json_object_size(detail) != json_object_size(wanted) + 1) return false;
    json_object_foreach(wanted, name, value) {
        if (!json_equal(json_object_get(detail, name), value)) return false;
    }
    return true;
}

static void count_failure(json_t *entry, const struct tlsrpt_outcome *outcome) {
    json_t *details = json_object_get(entry, "failure-details"), *wanted = make_detail(outcome);
    if (!details) {
        details = have(json_array());
        set(entry, "failure-details", details);
    }
    size_t count = json_array_size(details);
    for (size_t i = 0; i < count; i++) {
        json_t *detail = json_array_get(details, i);
        if (!is_detail(detail, wanted)) continue;
        count_one(detail, "failed-session-count");
        json_decref(wanted);
        return;
    }
    set(wanted, "failed-session-count", have(json_integer(1)));
    if (count < TLSRPT_DETAIL_LIMIT)
        add(details, wanted);
    else
        json_decref(wanted);
}

void tlsrpt_day_add(struct tlsrpt_day *day, const struct tlsrpt_outcome *outcome, struct str record) {
    json_t *entry = find_policy(day, outcome), *summary = json_object_get(entry, "summary");
    if (!str_equal(tlsrpt_day_record(day), record)) set(day->root, "record", text_of(record));
    count_one(summary, outcome->success ? "total-successful-session-count" : "total-failure-session-count");
    if (!outcome->success) count_failure(entry, outcome);
}

/* ---- text */

static void append_json(const json_t *value, size_t flags, struct buf *text) {
    char *dump = json_dumps(value, flags);
    if (!dump) memory_exhausted(0);
    buf_append(text, str_from(dump));
    free(dump);
}

void tlsrpt_day_write(const struct tlsrpt_day *day, struct buf *text) {
    append_json(day->root, JSON_COMPACT, text);
    buf_append_char(text, '\n');
}

static bool is_count(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= COUNT_MOST;
}

static bool are_strings(const json_t *array) {
    if (!json_is_array(array)) return false;
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i))) return false;
    return true;
}

static bool is_entry(const json_t *entry) {
    const json_t *summary = json_object_get(entry, "summary"), *details = json_object_get(entry, "failure-details");
    if (!json_is_object(json_object_get(entry, "policy")) || !is_count(summary, "total-successful-session-count") ||
        !is_count(summary, "total-failure-session-count") || (details && !json_is_array(details)))
        return false;
    for (size_t i = 0; i < json_array_size(details); i++)
        if (!is_count(json_array_get(details, i), "failed-session-count")) return false;
    return json_array_size(details) <= TLSRPT_DETAIL_LIMIT;
}

static bool is_day(const json_t *root) {
    const json_t *policies = json_object_get(root, "policies");
    if (!json_is_string(json_object_get(root, "domain")) || !json_is_string(json_object_get(root, "record")) ||
        !are_strings(json_object_get(root, "sent")) || !json_is_array(policies) ||
        json_array_size(policies) > TLSRPT_POLICY_LIMIT)
        return false;
    for (size_t i = 0; i < json_array_size(policies); i++)
        if (!is_entry(json_array_get(policies, i))) return false;
    return true;
}

/* jansson goes into the depth by recursion, up to a limit of its own of 2048; our own texts are flat. */
static bool is_flat(struct str text) {
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '"') in_string = !in_string;
        if (in_string && c == '\\') i++;
        if (in_string) continue;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && depth > 0) depth--;
        if (depth > JSON_DEPTH) return false;
    }
    return true;
}

struct tlsrpt_day *tlsrpt_day_read(struct str text) {
    if (text.length == 0 || text.length > TLSRPT_DAY_LIMIT || !is_flat(text)) return NULL;
    json_t *root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    if (root && is_day(root)) return day_of(root);
    json_decref(root);
    return NULL;
}

static json_t *date_of(int64_t seconds) {
    struct date_fields fields;
    char text[40];
    if (!date_split(seconds, 0, &fields)) return have(json_string(""));
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", fields.year, fields.month, fields.day, fields.hour,
             fields.minute, fields.second);
    return have(json_string(text));
}

void tlsrpt_day_report(const struct tlsrpt_day *day, const struct tlsrpt_sender *sender, struct buf *text) {
    json_t *root = have(json_object()), *range = have(json_object());
    set(root, "organization-name", text_of(sender->organization));
    set(range, "start-datetime", date_of(sender->begin));
    set(range, "end-datetime", date_of(sender->end));
    set(root, "date-range", range);
    set(root, "contact-info", text_of(sender->contact));
    set(root, "report-id", text_of(sender->report_id));
    set(root, "policies", json_incref(day->policies));
    append_json(root, JSON_INDENT(1), text);
    json_decref(root);
}
