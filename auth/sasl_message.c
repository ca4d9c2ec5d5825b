/* sasl_message: see sasl_message.h. */
#include "sasl_message.h"

#define SEPARATOR '\001' /* RFC 7628: kvsep */

static bool has_nul(struct str text) {
    return text.length > 0 && memchr(text.data, '\0', text.length) != NULL;
}

/* ---- PLAIN: [authzid] NUL authcid NUL passwd */

bool sasl_plain_read(struct str message, struct sasl_plain *plain) {
    struct sasl_plain read;
    if (!str_cut(message, '\0', &read.authorization, &read.name) ||
        !str_cut(read.name, '\0', &read.name, &read.password))
        return false;
    if (has_nul(read.password) || read.name.length == 0 || read.password.length == 0) return false;
    if (read.authorization.length > SASL_NAME_MAX || read.name.length > SASL_NAME_MAX ||
        read.password.length > SASL_PASSWORD_MAX)
        return false;
    if (!str_is_utf8(read.authorization) || !str_is_utf8(read.name)) return false;
    *plain = read;
    return true;
}

/* ---- SCRAM */

/* RFC 5802: value is UTF-8 without NUL, "=" and ","; a name's = comes in =2C and =3D. */
static bool is_name(struct str text) {
    if (!str_is_utf8(text) || has_nul(text) || text.length > 3 * SASL_NAME_MAX) return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == ',') return false;
        if (text.data[i] != '=') continue;
        struct str code = str_slice(text, i, i + 3);
        if (!str_equal(code, STR("=2C")) && !str_equal(code, STR("=3D"))) return false;
    }
    return true;
}

bool scram_name_decode(struct str name, struct buf *decoded) {
    if (!is_name(name)) return false;
    size_t length = decoded->length;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (c == '=') {
            c = name.data[i + 2] == 'C' ? ',' : '=';
            i += 2;
        }
        buf_append_char(decoded, c);
    }
    if (decoded->length - length <= SASL_NAME_MAX && !buf_overflowed(decoded)) return true;
    buf_truncate(decoded, length);
    return false;
}

/* printable: %x21-2B / %x2D-7E */
static bool is_nonce(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < '!' || text.data[i] > '~' || text.data[i] == ',') return false;
    return text.length > 0 && text.length <= SCRAM_NONCE_MAX;
}

static bool is_base64(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.data[i]) && text.data[i] != '+' && text.data[i] != '/' && text.data[i] != '=')
            return false;
    return text.length > 0;
}

/* cb-name: letters, digits, "." and "-". */
static bool is_binding_name(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.data[i]) && text.data[i] != '.' && text.data[i] != '-') return false;
    return text.length > 0 && text.length <= 64;
}

/* The next part up to a comma, or what is left; false if nothing is. */
static bool next_part(struct str *rest, struct str *part) {
    struct str after;
    if (rest->length == 0) return false;
    if (!str_cut(*rest, ',', part, &after)) {
        *part = *rest;
        after = STR_EMPTY;
    }
    *rest = after;
    return true;
}

/* "x=value" of that letter. */
static bool take(struct str *rest, char letter, struct str *value) {
    struct str part;
    if (!next_part(rest, &part) || part.length < 2 || part.data[0] != letter || part.data[1] != '=') return false;
    *value = str_from_offset(part, 2);
    return true;
}

static bool read_flag(struct str flag, struct scram_first *first) {
    if (str_equal(flag, STR("n")))
        first->binding = SCRAM_BINDING_NONE;
    else if (str_equal(flag, STR("y")))
        first->binding = SCRAM_BINDING_NOT_OURS;
    else if (str_starts(flag, STR("p=")) && is_binding_name(str_from_offset(flag, 2))) {
        first->binding = SCRAM_BINDING_REQUIRED;
        first->binding_name = str_from_offset(flag, 2);
    } else
        return false;
    return true;
}

/* Extensions after what is known are ignored; m= (mandatory ones), which would come first, is not taken. */
bool scram_first_read(struct str message, struct scram_first *first) {
    struct scram_first read = {.binding_name = STR_EMPTY, .authorization = STR_EMPTY};
    struct str flag, authorization, rest;
    if (!str_cut(message, ',', &flag, &rest) || !read_flag(flag, &read)) return false;
    if (!str_cut(rest, ',', &authorization, &rest)) return false;
    if (authorization.length) {
        if (!str_starts(authorization, STR("a="))) return false;
        read.authorization = str_from_offset(authorization, 2);
        if (read.authorization.length == 0 || !is_name(read.authorization)) return false;
    }
    read.bare = rest;
    read.header = str_slice(message, 0, message.length - rest.length);
    if (!take(&rest, 'n', &read.name) || read.name.length == 0 || !is_name(read.name)) return false;
    if (!take(&rest, 'r', &read.nonce) || !is_nonce(read.nonce)) return false;
    *first = read;
    return true;
}

bool scram_final_read(struct str message, struct scram_final *final) {
    struct scram_final read;
    struct str rest = message, part;
    bool has_proof = false;
    if (has_nul(message) || !take(&rest, 'c', &read.binding) || !is_base64(read.binding)) return false;
    if (!take(&rest, 'r', &read.nonce)) return false;
    while (!has_proof && next_part(&rest, &part)) {
        if (!str_starts(part, STR("p="))) continue; /* an extension */
        read.proof = str_from_offset(part, 2);
        /* The proof is the last, and a comma stands before it. */
        read.without_proof = str_make(message.data, (size_t)(part.data - message.data) - 1);
        has_proof = true;
    }
    if (!has_proof || rest.length || !is_base64(read.proof) || message.data[message.length - 1] == ',') return false;
    *final = read;
    return true;
}

/* ---- OAuth */

/* "auth=Bearer TOKEN" among the key-value pairs; RFC 6750: b64token. */
static bool read_pairs(struct str rest, struct str *user, struct str *token) {
    struct str pair, value;
    bool has_token = false, ended = false;
    while (str_cut(rest, SEPARATOR, &pair, &rest)) {
        ended = pair.length == 0; /* an empty pair follows the last */
        if (ended) break;
        if (!str_cut(pair, '=', &pair, &value)) return false;
        if (user && str_equal(pair, STR("user"))) *user = value;
        if (!str_equal(pair, STR("auth"))) continue;
        if (has_token || !str_starts_nocase(value, STR("Bearer "))) return false;
        *token = str_trim(str_from_offset(value, 7));
        has_token = true;
    }
    if (!has_token || !ended || rest.length || token->length == 0) return false;
    for (size_t i = 0; i < token->length; i++)
        if (token->data[i] <= ' ' || token->data[i] > '~') return false;
    return true;
}

bool sasl_oauthbearer_read(struct str message, struct sasl_token *token) {
    struct sasl_token read = {.name = STR_EMPTY, .token = STR_EMPTY};
    struct str flag, authorization, rest;
    if (has_nul(message) || !str_cut(message, ',', &flag, &rest) || !str_cut(rest, ',', &authorization, &rest))
        return false;
    if (!str_equal(flag, STR("n")) && !str_equal(flag, STR("y"))) return false; /* no binding is defined */
    if (authorization.length) {
        if (!str_starts(authorization, STR("a="))) return false;
        read.name = str_from_offset(authorization, 2);
        if (!is_name(read.name)) return false;
    }
    if (rest.length == 0 || rest.data[0] != SEPARATOR) return false;
    if (!read_pairs(str_from_offset(rest, 1), NULL, &read.token)) return false;
    *token = read;
    return true;
}

bool sasl_xoauth2_read(struct str message, struct sasl_token *token) {
    struct sasl_token read = {.name = STR_EMPTY, .token = STR_EMPTY};
    if (has_nul(message) || !read_pairs(message, &read.name, &read.token)) return false;
    if (read.name.length == 0 || read.name.length > SASL_NAME_MAX || !str_is_utf8(read.name)) return false;
    *token = read;
    return true;
}
