/* See url.h. */
#include "url.h"

#include "dns_packet.h"
#include "endpoint.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

/* RFC 3986 section 2: what may stand in a URL at all. */
static bool is_url_text(struct str text) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' ||
            c == '{' || c == '|' || c == '}' || c == '#')
            return false;
    }
    return true;
}

static size_t authority_length(struct str rest) {
    size_t length = 0;
    while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?')
        length++;
    return length;
}

static bool read_port(struct str text, struct url *url) {
    uint64_t port;
    if (text.length == 0) return true;
    if (text.data[0] != ':' || !str_to_u64(str_from_offset(text, 1), 65535, &port) || port == 0) return false;
    url->port = (uint16_t)port;
    return true;
}

static bool read_literal(struct str authority, struct url *url) {
    struct endpoint ignored;
    size_t end = str_find(authority, ']');
    if (end == STR_NONE) return false;
    url->host = str_slice(authority, 1, end);
    url->is_address = true;
    return str_find(url->host, ':') != STR_NONE && endpoint_from_ip(url->host, 0, &ignored) &&
           read_port(str_from_offset(authority, end + 1), url);
}

static bool read_authority(struct str authority, struct url *url) {
    struct endpoint ignored;
    struct dns_name name;
    size_t colon = str_find(authority, ':');
    if (authority.length > 0 && authority.data[0] == '[') return read_literal(authority, url);
    url->host = colon == STR_NONE ? authority : str_slice(authority, 0, colon);
    url->is_address = endpoint_from_ip(url->host, 0, &ignored);
    if (!url->is_address && (!dns_name_set(&name, url->host) || !dns_name_is_host(url->host))) return false;
    return colon == STR_NONE || read_port(str_from_offset(authority, colon), url);
}

bool url_parse(struct str text, struct url *url) {
    struct url read = {.port = PORT_HTTP};
    if (text.length > URL_LIMIT || !is_url_text(text)) return false;
    if (str_starts_nocase(text, STR("https://"))) {
        read.secure = true;
        read.port = PORT_HTTPS;
        text = str_from_offset(text, 8);
    } else if (str_starts_nocase(text, STR("http://"))) {
        text = str_from_offset(text, 7);
    } else {
        return false;
    }
    size_t length = authority_length(text);
    read.target = str_from_offset(text, length);
    if (!read_authority(str_slice(text, 0, length), &read)) return false;
    *url = read;
    return true;
}
