/* See jwt_text.h. */
#include "jwt_text.h"

#include "base64.h"

/* jansson goes as deep as 2048 by recursion, which is more than a task's stack should have to bear. */
static bool is_shallow(struct str text) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

json_t *jwt_json(struct str text, size_t most, struct failure *failure) {
    json_error_t error;
    if (text.length > most || !is_shallow(text)) {
        failure_set(failure, "JSON too long or too deep");
        return NULL;
    }
    json_t *value = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(value)) return value;
    failure_set(failure, "%s", value ? "JSON, but not an object" : error.text);
    json_decref(value);
    return NULL;
}

bool jwt_base64url(struct str text, struct buf *out) {
    struct buf plain = buf_make(0);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '+' || c == '/' || c == '=') c = '*'; /* no letter of either alphabet */
        buf_append_char(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (plain.length % 4 != 0)
        buf_append_char(&plain, '=');
    bool good = base64_decode(out, buf_str(&plain));
    buf_free_secret(&plain);
    return good;
}
