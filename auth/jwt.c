/* Tokens: the parser. */
#include "jwt.h"

#include "base64.h"
#include "buf.h"

#define TOKEN_PART_MAX ((size_t)9216) /* what JWT_TOKEN_MAX of base64 can hold */

static bool split(struct str token, struct str parts[3]) {
    struct str rest;
    return str_cut(token, '.', &parts[0], &rest) && str_cut(rest, '.', &parts[1], &parts[2]) &&
           str_find(parts[2], '.') == STR_NONE && parts[0].length > 0 && parts[1].length > 0;
}

bool jwt_looks_like_one(struct str token) {
    struct str parts[3];
    return split(token, parts);
}

static json_t *decode_part(struct str part, const char *name, struct failure *failure) {
    struct buf text = buf_make(TOKEN_PART_MAX);
    json_t *value = NULL;
    if (!jwt_base64url(part, &text))
        failure_set(failure, "not in base64url");
    else
        value = jwt_json(buf_str(&text), TOKEN_PART_MAX, failure);
    if (!value) failure_prefix(failure, "token, %s", name);
    buf_free_secret(&text);
    return value;
}

/* The text of a member; false if it is there and no text. Absent: empty. */
static bool text_member(const json_t *object, const char *name, struct str *text) {
    const json_t *value = json_object_get(object, name);
    *text = STR_EMPTY;
    if (!value) return true;
    if (!json_is_string(value)) return false;
    *text = str_make(json_string_value(value), json_string_length(value));
    return true;
}

static bool read_header(struct jwt *jwt, struct failure *failure) {
    if (!text_member(jwt->header, "alg", &jwt->algorithm) || jwt->algorithm.length == 0)
        return failure_set(failure, "token: it names no algorithm");
    if (!jwt_algorithm_is_known(jwt->algorithm))
        return failure_set(failure, "token: the algorithm \"%.*s\" is not accepted",
                           STR_ARGS(str_slice(jwt->algorithm, 0, 20)));
    if (!text_member(jwt->header, "kid", &jwt->key_id) || jwt->key_id.length > JWT_KID_MAX)
        return failure_set(failure, "token: the key's name is not understood");
    /* RFC 7515 section 4.1.11: what is critical must be understood; 7797: a content that is not encoded. */
    if (json_object_get(jwt->header, "crit") || json_object_get(jwt->header, "b64"))
        return failure_set(failure, "token: it has critical extensions");
    return true;
}

bool jwt_parse(struct str token, struct jwt *jwt, struct failure *failure) {
    struct str parts[3];
    struct jwt made = {.signature = buf_make(2048)};
    *jwt = (struct jwt){0};
    if (token.length > JWT_TOKEN_MAX) return failure_set(failure, "token: too long");
    if (!split(token, parts)) return failure_set(failure, "token: not of three parts");
    made.input = str_slice(token, 0, parts[0].length + 1 + parts[1].length);
    bool good = (made.header = decode_part(parts[0], "header", failure)) != NULL && read_header(&made, failure) &&
                (made.claims = decode_part(parts[1], "claims", failure)) != NULL;
    if (good && (!jwt_base64url(parts[2], &made.signature) || made.signature.length == 0))
        good = failure_set(failure, "token: no signature, or not in base64url");
    if (good)
        *jwt = made;
    else
        jwt_free(&made);
    return good;
}

void jwt_free(struct jwt *jwt) {
    json_decref(jwt->header);
    json_decref(jwt->claims);
    buf_free(&jwt->signature);
    *jwt = (struct jwt){0};
}
