/* cidr: networks and what they map to; the key is an IP address. */
#include "inline_rules.h"
#include "ip_prefix.h"
#include "memory.h"
#include "pattern_file.h"
#include "table_types.h"

#define RULES_FILE_MAX ((size_t)64 << 20)

struct cidr_table {
    struct pattern_rules rules;
    char *path;
    struct table_stamp stamp;
};

static void compile(const struct pattern_rules *rules, struct pattern_rule *rule, const struct table_request *request) {
    struct ip_prefix *prefix = ARENA_NEW(rules->arena, struct ip_prefix);
    rule->dead = true;
    if (prefix == NULL) return;
    enum ip_prefix_result result = ip_prefix_parse(rule->pattern, prefix);
    rule->dead = result != IP_PREFIX_OK;
    rule->compiled = prefix;
    if (result == IP_PREFIX_MALFORMED)
        table_warn(request->warnings, request->name, rule->line, "bad address pattern \"%.*s\": leaving it out",
                   STR_ARGS(rule->pattern));
    if (result == IP_PREFIX_HOST_BITS)
        table_warn(request->warnings, request->name, rule->line,
                   "non-null host address bits in \"%.*s\": leaving it out", STR_ARGS(rule->pattern));
}

static enum pattern_match cidr_test(void *context, const struct pattern_rule *rule) {
    return ip_prefix_contains(rule->compiled, context) ? PATTERN_MATCH : PATTERN_NO_MATCH;
}

static enum table_result cidr_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    const struct cidr_table *table = state;
    struct ip_prefix address;
    size_t found;
    if (!ip_address_parse(key, &address)) return TABLE_ABSENT;
    if (pattern_rules_find(&table->rules, cidr_test, &address, &found) != PATTERN_MATCH) return TABLE_ABSENT;
    return table_give(table->rules.items[found].result, value, failure);
}

static void cidr_close(void *state) {
    struct cidr_table *table = state;
    pattern_rules_free(&table->rules);
    MEMORY_FREE(table->path);
    MEMORY_FREE(table);
}

static bool cidr_changed(const void *state) {
    const struct cidr_table *table = state;
    return table_stamp_changed(table->path, &table->stamp);
}

bool table_cidr_open(const struct table_request *asked, const struct table_methods **methods, void **state,
                     struct failure *failure) {
    static const struct table_methods cidr_methods = {
        .lookup = cidr_lookup, .close = cidr_close, .changed = cidr_changed};
    struct table_request request = *asked;
    struct buf text = {0};
    struct table_stamp stamp;
    if (!rules_read(&request, RULES_FILE_MAX, &text, &stamp, failure)) {
        buf_free(&text);
        return false;
    }
    struct cidr_table *table = MEMORY_NEW(struct cidr_table);
    table->path = memory_copy_string(request.name);
    table->stamp = stamp;
    pattern_rules_parse(buf_str(&text), PATTERN_SYNTAX_CIDR, request.name, true, request.warnings, &table->rules);
    buf_free(&text);
    for (size_t i = 0; i < table->rules.count; i++) {
        struct pattern_rule *rule = &table->rules.items[i];
        if (rule->kind != PATTERN_RULE_ENDIF && !rule->dead) compile(&table->rules, rule, &request);
    }
    *state = table;
    *methods = &cidr_methods;
    return true;
}
