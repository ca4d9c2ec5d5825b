/* LOOKUP_MATCH: a key in a table, in the tables of a parameter, or in a list
 * parameter.
 *
 *   type:name          a table that the configuration names somewhere
 *   smtpd_..._maps     a parameter that is a list of tables
 *   mynetworks         a parameter that is a match list; the key is a name, an address,
 *                      or NAME[ADDRESS] for a client by both
 *
 * Tables of parameters that are marked as secret (of passwords) are not among them, whoever else may name them:
 * credentials.c alone asks those. Other tables are refused, so that a daemon taken over from the network cannot have
 * files opened that the administrator did not name. */
#include "lookup.h"
#include "hash.h"
#include "table_types.h"
#include "table_words.h"

#define DEPTH_MAX 8

/* ---- which tables */

static bool names_table(struct str text, struct str wanted, unsigned depth) {
    struct str word, inside;
    if (depth > DEPTH_MAX) return false;
    while (table_word_next(&text, &word) == TABLE_WORD) {
        if (str_equal(word, wanted)) return true;
        if (table_word_unbrace(word, &inside) && (str_equal(inside, wanted) || names_table(inside, wanted, depth + 1)))
            return true;
    }
    return false;
}

/* It is named where passwords are looked for. */
static bool is_secret(const struct lookup *lookup, struct str type_name) {
    struct config_number scratch;
    for (size_t i = 0; i < parameter_count; i++)
        if (parameter_table[i].scope & PARAMETER_SECRET &&
            names_table(config_value(lookup->config, &parameter_table[i], &scratch), type_name, 0))
            return true;
    return false;
}

static bool is_secret_parameter(struct str name) {
    const struct parameter *row = parameter_find(name);
    return row && row->scope & PARAMETER_SECRET;
}

static void permit_in(struct lookup *lookup, struct str text, unsigned depth);

static void permit_word(struct lookup *lookup, struct str word, unsigned depth) {
    struct str inside, type, name;
    while (word.length > 0 && word.data[0] == '!')
        word = str_from_offset(word, 1);
    if (table_word_unbrace(word, &inside)) {
        permit_word(lookup, inside, depth + 1);
        permit_in(lookup, inside, depth + 1);
        return;
    }
    if (str_cut(word, ':', &type, &name) && (table_type_find(type) || str_equal(type, STR("unix"))) &&
        !is_secret(lookup, word))
        tables_permit(lookup->tables, word);
}

static void permit_in(struct lookup *lookup, struct str text, unsigned depth) {
    struct str word;
    if (depth > DEPTH_MAX) return;
    while (table_word_next(&text, &word) == TABLE_WORD)
        permit_word(lookup, word, depth);
}

void lookup_permit_tables(struct lookup *lookup) {
    struct config_number scratch;
    for (size_t i = 0; i < parameter_count; i++) {
        const struct parameter *row = &parameter_table[i];
        if ((row->type == PARAMETER_TABLES || row->type == PARAMETER_LIST || row->type == PARAMETER_TEXT) &&
            row->scope & SCOPE_LOOKUP && !(row->scope & PARAMETER_SECRET))
            permit_in(lookup, config_value(lookup->config, row, &scratch), 0);
    }
    struct str rest = lookup->config->smtpd_restriction_classes, word, value;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (config_user_value(lookup->config, word, &value)) permit_in(lookup, value, 0);
}

/* ---- asking */

static enum match_answer answer_table(struct lookup *lookup, struct table_maps *maps, struct str key,
                                      struct arena *arena, struct ipc_lookup_matched *answer, struct failure *failure) {
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    enum table_result result = maps_lookup(lookup->tables, maps, key, false, &value, NULL, failure);
    struct str found = STR_EMPTY;
    if (result == TABLE_FOUND && (value.length > 2000 || !arena_copy(arena, buf_str(&value), &found))) {
        failure_set(failure, "%s: a value of %zu bytes is too long", maps->count ? maps->sources[0]->name : "",
                    value.length);
        result = TABLE_RETRY;
    }
    buf_free(&value);
    if (result == TABLE_RETRY) return MATCH_TABLE_FAILED;
    *answer = (struct ipc_lookup_matched){.found = result == TABLE_FOUND, .value = found};
    return MATCH_ANSWERED;
}

static enum match_answer answer_list(struct domain_list *list, struct str key, struct ipc_lookup_matched *answer,
                                     struct failure *failure) {
    struct str name = key, address = STR_EMPTY;
    struct endpoint endpoint;
    size_t bracket = str_find(key, '[');
    if (endpoint_from_ip(key, 0, &endpoint)) {
        name = STR_EMPTY;
        address = key;
    } else if (bracket != STR_NONE && bracket > 0 && key.data[key.length - 1] == ']') {
        name = str_slice(key, 0, bracket);
        address = str_slice(key, bracket + 1, key.length - 1);
    }
    enum match_result result = list_match(list, name, address, failure);
    if (result == MATCH_RETRY) return MATCH_TABLE_FAILED;
    *answer = (struct ipc_lookup_matched){.found = result == MATCH_YES, .value = STR_EMPTY};
    return MATCH_ANSWERED;
}

enum match_answer lookup_match(struct lookup *lookup, struct str table, struct str key, struct arena *arena,
                               struct ipc_lookup_matched *answer, struct failure *failure) {
    struct table_maps *maps = NULL;
    struct domain_list *list = NULL;
    if (str_find(table, ':') != STR_NONE) {
        if (tables_is_permitted(lookup->tables, table)) maps = tables_single(lookup->tables, table);
    } else if (!is_secret_parameter(table)) {
        maps = tables_of(lookup->tables, table);
        if (!maps) list = tables_list(lookup->tables, table);
    }
    if (maps) return answer_table(lookup, maps, key, arena, answer, failure);
    if (list) return answer_list(list, key, answer, failure);
    failure_set(failure, "the table %.*s is not named in the configuration", STR_ARGS(table));
    return MATCH_NOT_PERMITTED;
}
