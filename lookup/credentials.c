/* LOOKUP_CREDENTIALS: the account with which mail is handed to another server.
 *
 * As Postfix looks for it in smtp_sasl_password_maps: by the sender, where that was
 * asked (user+extension@domain, user@domain, @domain), by the server's name, by the
 * next hop as it is written. The answer goes to the program smtp and to nobody else;
 * nothing of it is logged, and copies are wiped. */
#include "lookup.h"
#include "address.h"

#define GRANT_WORD STR("{oauth2}")

/* One key; *value is set if the table has it. False: a table does not answer. */
static bool ask(struct lookup *lookup, struct table_maps *maps, struct str key, struct buf *value, bool *found,
                struct failure *failure) {
    if (*found || key.length == 0) return true;
    buf_clear(value);
    enum table_result result = maps_lookup(lookup->tables, maps, key, false, value, NULL, failure);
    *found = result == TABLE_FOUND;
    return result != TABLE_RETRY;
}

static bool ask_for_sender(struct lookup *lookup, struct table_maps *maps, struct str sender, struct buf *value,
                           bool *found, struct failure *failure) {
    struct mail_address address;
    struct str base, extension, domain;
    if (sender.length == 0) return true;
    if (!ask(lookup, maps, sender, value, found, failure)) return false;
    if (*found ||
        mail_address_from_internal(sender, MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG, &address) != MAIL_ADDRESS_OK)
        return true;
    struct buf key = buf_make(600);
    bool good = true;
    domain = mail_address_domain(&address);
    if (mail_address_split_extension(mail_address_local(&address), lookup->config->recipient_delimiter, false, &base,
                                     &extension)) {
        buf_printf(&key, "%.*s@%.*s", STR_ARGS(base), STR_ARGS(domain));
        good = ask(lookup, maps, buf_str(&key), value, found, failure);
    }
    buf_clear(&key);
    buf_printf(&key, "@%.*s", STR_ARGS(domain));
    good = good && ask(lookup, maps, buf_str(&key), value, found, failure);
    buf_free(&key);
    return good;
}

/* The row that a password {oauth2}NAME speaks of. */
static bool find_grant(struct lookup *lookup, struct str name, struct arena *arena, struct str *grant,
                       struct failure *failure) {
    struct table_maps *maps = tables_of(lookup->tables, STR("smtp_sasl_oauth2_maps"));
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    bool found = false, good = maps && ask(lookup, maps, name, &value, &found, failure);
    if (good && !found) good = failure_set(failure, "smtp_sasl_oauth2_maps has no %.*s", STR_ARGS(name));
    if (good && (value.length > 8000 || !arena_copy(arena, buf_str(&value), grant)))
        good = failure_set(failure, "smtp_sasl_oauth2_maps: the row %.*s is too long", STR_ARGS(name));
    buf_free_secret(&value);
    return good;
}

static bool split(struct lookup *lookup, bool lmtp, struct str row, struct arena *arena,
                  struct ipc_lookup_credentials_given *answer, struct failure *failure) {
    const struct config *config = lookup->config;
    struct str delimiter =
        lmtp ? config->lmtp_sasl_password_result_delimiter : config->smtp_sasl_password_result_delimiter;
    struct str user = row, password = STR_EMPTY;
    size_t at = delimiter.length ? str_find_str(row, delimiter) : STR_NONE;
    if (at != STR_NONE) {
        user = str_slice(row, 0, at);
        password = str_from_offset(row, at + delimiter.length);
    }
    if (user.length > 500 || password.length > 2000)
        return failure_set(failure, "an account at another server is too long");
    if (!arena_copy(arena, user, &answer->user)) return failure_set(failure, "out of memory");
    answer->password = answer->grant = STR_EMPTY;
    answer->found = true;
    if (str_starts(password, GRANT_WORD))
        return find_grant(lookup, str_from_offset(password, GRANT_WORD.length), arena, &answer->grant, failure);
    return arena_copy(arena, password, &answer->password) || failure_set(failure, "out of memory");
}

bool lookup_credentials(struct lookup *lookup, const struct ipc_lookup_credentials *question, struct arena *arena,
                        struct ipc_lookup_credentials_given *answer, struct failure *failure) {
    struct table_maps *maps =
        tables_of(lookup->tables, question->lmtp ? STR("lmtp_sasl_password_maps") : STR("smtp_sasl_password_maps"));
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    struct ipc_lookup_credentials_given given = {
        .found = false, .user = STR_EMPTY, .password = STR_EMPTY, .grant = STR_EMPTY};
    bool found = false;
    bool good = maps && ask_for_sender(lookup, maps, question->sender, &value, &found, failure) &&
                ask(lookup, maps, question->host, &value, &found, failure) &&
                ask(lookup, maps, question->nexthop, &value, &found, failure) &&
                (!found || split(lookup, question->lmtp, buf_str(&value), arena, &given, failure));
    buf_free_secret(&value);
    if (good) *answer = given;
    return good;
}
