/* The texts of getting an access token: the row that says how, the request, the answer. Pure; see access_token.h. */
#include "access_token.h"
#include <jansson.h>

#define TOKEN_MAX 8000

static bool decode_percent(struct buf *out, struct str value) {
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        if (c == '%') {
            unsigned octet = 0;
            if (i + 2 >= value.length) return false;
            for (size_t j = 1; j <= 2; j++) {
                char digit = ascii_lower(value.data[i + j]);
                if (ascii_is_digit(digit))
                    octet = octet * 16 + (unsigned)(digit - '0');
                else if (digit >= 'a' && digit <= 'f')
                    octet = octet * 16 + (unsigned)(digit - 'a' + 10);
                else
                    return false;
            }
            i += 2;
            c = (char)octet;
        }
        buf_append_char(out, c);
    }
    return true;
}

bool token_grant_parse(struct str row, struct token_grant *grant, struct failure *failure) {
    *grant = (struct token_grant){buf_make(2000), buf_make(2000), buf_make(2000), buf_make(6000), buf_make(2000)};
    const struct {
        struct str name;
        struct buf *value;
    } fields[] = {{STR("endpoint"), &grant->endpoint},
                  {STR("client_id"), &grant->client_id},
                  {STR("client_secret"), &grant->client_secret},
                  {STR("refresh_token"), &grant->refresh_token},
                  {STR("scope"), &grant->scope}};
    struct str word, name, value;
    while (str_next_word(&row, " \t\r\n", &word)) {
        size_t i = 0;
        if (!str_cut(word, '=', &name, &value)) return failure_set(failure, "a word that is not name=value");
        while (i < ARRAY_LENGTH(fields) && !str_equal(fields[i].name, name))
            i++;
        if (i == ARRAY_LENGTH(fields)) return failure_set(failure, "a name that is not known");
        buf_clear(fields[i].value);
        if (!decode_percent(fields[i].value, value)) return failure_set(failure, "a bad %% in a value");
    }
    if (!grant->endpoint.length || !grant->client_id.length || !grant->refresh_token.length)
        return failure_set(failure, "endpoint, client_id and refresh_token are needed");
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (buf_overflowed(fields[i].value)) return failure_set(failure, "a value is too long");
    return str_starts(buf_str(&grant->endpoint), STR("https://")) || failure_set(failure, "endpoint is no https: URL");
}

void token_grant_free(struct token_grant *grant) {
    buf_free(&grant->endpoint);
    buf_free(&grant->client_id);
    buf_free_secret(&grant->client_secret);
    buf_free_secret(&grant->refresh_token);
    buf_free(&grant->scope);
}

static void append_parameter(struct buf *out, const char *name, struct str value) {
    if (value.length == 0) return;
    if (out->length) buf_append_char(out, '&');
    buf_printf(out, "%s=", name);
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        if (ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            buf_append_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

bool token_request_append(struct buf *out, const struct token_grant *grant) {
    append_parameter(out, "grant_type", STR("refresh_token"));
    append_parameter(out, "client_id", buf_str(&grant->client_id));
    append_parameter(out, "client_secret", buf_str(&grant->client_secret));
    append_parameter(out, "refresh_token", buf_str(&grant->refresh_token));
    append_parameter(out, "scope", buf_str(&grant->scope));
    return !buf_overflowed(out);
}

/* b64token of RFC 6750 section 2.1, and what providers use besides: no blank, no control character. */
static bool is_token(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f) return false;
    return text.length > 0 && text.length <= TOKEN_MAX;
}

static bool read_token(const json_t *object, struct buf *token, uint64_t *seconds, struct failure *failure) {
    const json_t *access = json_object_get(object, "access_token"), *time = json_object_get(object, "expires_in");
    struct str text =
        json_is_string(access) ? str_make(json_string_value(access), json_string_length(access)) : STR_EMPTY;
    if (!is_token(text)) return failure_set(failure, "the answer has no access_token");
    json_int_t number = json_is_integer(time) ? json_integer_value(time) : 0;
    buf_append(token, text);
    *seconds = number > 0 ? (uint64_t)number : 0;
    return true;
}

bool token_answer_parse(unsigned status, struct str body, struct buf *token, uint64_t *seconds,
                        struct failure *failure) {
    json_t *object = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *error = json_object_get(object, "error");
    bool good = false;
    if (status == 200 && json_is_object(object)) {
        good = read_token(object, token, seconds, failure);
    } else {
        struct str word =
            json_is_string(error) ? str_make(json_string_value(error), json_string_length(error)) : STR_EMPTY;
        if (!str_is_printable(word) || word.length > 100) word = STR_EMPTY;
        failure_set(failure, "the token server said %u %.*s", status, STR_ARGS(word));
    }
    json_decref(object);
    return good;
}
