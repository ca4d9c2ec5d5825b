/* tls_client_hello: the server_name extension (RFC 6066 section 3). */
#include "tls_client_hello.h"

enum { NAME_TYPE_HOST = 0, LABEL_MAX = 63 };

static bool take_number(struct str *rest, unsigned octets, size_t *number) {
    size_t value = 0;
    if (rest->length < octets) return false;
    for (unsigned i = 0; i < octets; i++)
        value = value << 8 | (uint8_t)rest->data[i];
    *rest = str_from_offset(*rest, octets);
    *number = value;
    return true;
}

static bool is_host_name(struct str name) {
    size_t label = 0;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (c != '.' && !ascii_is_alnum(c) && c != '-' && c != '_') return false;
        if (c == '.' && label == 0) return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) return false;
    }
    return label > 0;
}

bool tls_server_name_parse(struct str extension, char name[TLS_SERVER_NAME_MAX + 1]) {
    struct str rest = extension;
    size_t list, type, length;
    if (!take_number(&rest, 2, &list) || list != rest.length) return false;
    if (!take_number(&rest, 1, &type) || type != NAME_TYPE_HOST) return false;
    if (!take_number(&rest, 2, &length) || length != rest.length) return false; /* one name, no more */
    if (str_ends(rest, STR("."))) rest.length--;
    if (rest.length > TLS_SERVER_NAME_MAX || !is_host_name(rest)) return false;
    for (size_t i = 0; i < rest.length; i++)
        name[i] = ascii_lower(rest.data[i]);
    name[rest.length] = '\0';
    return true;
}
