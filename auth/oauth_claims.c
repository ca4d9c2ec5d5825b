/* Claims of tokens. */
#include "oauth_claims.h"

#include <math.h>

enum { AUDIENCES_MAX = 100 };

static bool is_listed(struct str list, struct str wanted) {
    struct str rest = list, word;
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal(word, wanted)) return true;
    return false;
}

static struct str text_of(const json_t *value) {
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value)) : STR_EMPTY;
}

/* RFC 7519 section 2: seconds, perhaps with a fraction. False if it is there and no such number. */
static bool date_of(const json_t *claims, const char *name, bool *there, double *date) {
    const json_t *value = json_object_get(claims, name);
    *there = value != NULL;
    if (!value) return true;
    if (!json_is_number(value)) return false;
    *date = json_number_value(value);
    return isfinite(*date);
}

static bool check_dates(const json_t *claims, const struct oauth_policy *policy, int64_t now, struct failure *failure) {
    double date = 0;
    bool there;
    if (!date_of(claims, "exp", &there, &date)) return failure_set(failure, "the token's exp is no date");
    if (!there && policy->must_expire) return failure_set(failure, "the token never expires");
    if (there && date + (double)policy->clock_skew <= (double)now) return failure_set(failure, "the token has expired");
    if (!date_of(claims, "nbf", &there, &date)) return failure_set(failure, "the token's nbf is no date");
    if (there && date - (double)policy->clock_skew > (double)now)
        return failure_set(failure, "the token is not valid yet");
    return true;
}

/* A text, or an array of texts (RFC 7519 section 4.1.3). */
static bool check_audience(const json_t *claims, const struct oauth_policy *policy, struct failure *failure) {
    const json_t *audience = json_object_get(claims, "aud");
    if (str_trim(policy->audience).length == 0) return true;
    if (json_is_string(audience) && is_listed(policy->audience, text_of(audience))) return true;
    size_t count = json_is_array(audience) ? json_array_size(audience) : 0;
    for (size_t i = 0; i < count && i < AUDIENCES_MAX; i++)
        if (is_listed(policy->audience, text_of(json_array_get(audience, i)))) return true;
    return failure_set(failure, "the token is for another audience");
}

/* scope is words in a text (RFC 8693 section 4.2); some servers have an array, or scp. */
static bool has_scope(const json_t *claims, struct str wanted) {
    static const char *const names[] = {"scope", "scp"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const json_t *scope = json_object_get(claims, names[i]);
        struct str rest = text_of(scope), word;
        while (str_next_word(&rest, " ", &word))
            if (str_equal(word, wanted)) return true;
        size_t count = json_is_array(scope) ? json_array_size(scope) : 0;
        for (size_t k = 0; k < count && k < AUDIENCES_MAX; k++)
            if (str_equal(text_of(json_array_get(scope, k)), wanted)) return true;
    }
    return false;
}

static bool check_scope(const json_t *claims, const struct oauth_policy *policy, struct failure *failure) {
    struct str rest = policy->scope, word;
    while (str_next_word(&rest, ", \t", &word))
        if (!has_scope(claims, word)) return failure_set(failure, "the token has not the scope %.*s", STR_ARGS(word));
    return true;
}

enum oauth_verdict oauth_claims_check(const json_t *claims, const struct oauth_policy *policy, int64_t now,
                                      struct str *user, struct failure *failure) {
    struct str issuer = text_of(json_object_get(claims, "iss"));
    char name[65];
    if ((issuer.length > 0 || policy->must_name_issuer) && !is_listed(policy->issuers, issuer)) {
        failure_set(failure, "the token is of another issuer");
        return OAUTH_FOREIGN;
    }
    if (!check_dates(claims, policy, now, failure) || !check_audience(claims, policy, failure) ||
        !check_scope(claims, policy, failure))
        return OAUTH_BAD;
    snprintf(name, sizeof name, "%.*s", STR_ARGS(policy->user));
    struct str found = text_of(json_object_get(claims, name));
    if (found.length == 0 || found.length > 256) {
        failure_set(failure, "the token has no %s that could be an account's name", name);
        return OAUTH_BAD;
    }
    *user = found;
    return OAUTH_GOOD;
}

void oauth_form_encode(struct str text, struct buf *out) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            buf_append_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}
