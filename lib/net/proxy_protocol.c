/* PROXY protocol, versions 1 (a text line) and 2 (binary), as haproxy's
 * proxy-protocol.txt has them. TLVs of version 2 are passed over. */
#include "proxy_protocol.h"

enum {
    LINE_MAXIMUM = 107,
    LINE_MINIMUM = 15, /* "PROXY UNKNOWN" CR LF: no header of either kind is shorter */
    BINARY_FIXED = 16,
    BINARY_MAXIMUM = 536,
    BINARY_IPV4 = 12,
    BINARY_IPV6 = 36,
    BINARY_UNIX = 216,
};

static const struct str line_signature = STR_INIT("PROXY ");
static const struct str binary_signature = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

/* ---- version 1 */

static bool take_port(struct str text, uint16_t *port) {
    uint64_t number;

    if (text.length > 1 && text.data[0] == '0') return false;
    if (!str_to_u64(text, 65535, &number)) return false;
    *port = (uint16_t)number;
    return true;
}

static bool parse_addresses(struct str text, bool ipv6, struct proxy_header *header) {
    struct str client, server, client_port_text;
    uint16_t client_port, server_port;

    if (!str_cut(text, ' ', &client, &text)) return false;
    if (!str_cut(text, ' ', &server, &text)) return false;
    if (!str_cut(text, ' ', &client_port_text, &text)) return false;
    if (!take_port(client_port_text, &client_port) || !take_port(text, &server_port)) return false;
    if (!endpoint_from_ip(client, client_port, &header->client)) return false;
    if (!endpoint_from_ip(server, server_port, &header->server)) return false;
    return endpoint_is_ipv6(&header->client) == ipv6 && endpoint_is_ipv6(&header->server) == ipv6;
}

static enum proxy_result parse_line(struct str bytes, struct proxy_header *header) {
    struct proxy_header made = {0};
    struct str window = str_slice(bytes, 0, LINE_MAXIMUM), line;
    size_t end = str_find(window, '\n');

    if (end == STR_NONE) return bytes.length >= LINE_MAXIMUM ? PROXY_INVALID : PROXY_MORE;
    if (window.data[end - 1] != '\r') return PROXY_INVALID;
    made.length = end + 1;
    line = str_slice(window, line_signature.length, end - 1);
    if (!str_is_printable(line)) return PROXY_INVALID;
    if (str_starts(line, STR("TCP4 "))) {
        if (!parse_addresses(str_from_offset(line, 5), false, &made)) return PROXY_INVALID;
    } else if (str_starts(line, STR("TCP6 "))) {
        if (!parse_addresses(str_from_offset(line, 5), true, &made)) return PROXY_INVALID;
    } else if (str_equal(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN "))) {
        made.local = true;
    } else {
        return PROXY_INVALID;
    }
    *header = made;
    return PROXY_DONE;
}

/* ---- version 2 */

static void set_ipv4(struct endpoint *endpoint, const char *address, const char *port) {
    endpoint->address.ipv4.sin_family = AF_INET;
    memcpy(&endpoint->address.ipv4.sin_addr, address, 4);
    memcpy(&endpoint->address.ipv4.sin_port, port, 2);
    endpoint->length = sizeof(endpoint->address.ipv4);
}

static void set_ipv6(struct endpoint *endpoint, const char *address, const char *port) {
    endpoint->address.ipv6.sin6_family = AF_INET6;
    memcpy(&endpoint->address.ipv6.sin6_addr, address, 16);
    memcpy(&endpoint->address.ipv6.sin6_port, port, 2);
    endpoint->length = sizeof(endpoint->address.ipv6);
}

static void set_unix(struct endpoint *endpoint, const char *path) {
    endpoint->address.local.sun_family = AF_UNIX;
    memcpy(endpoint->address.local.sun_path, path, sizeof(endpoint->address.local.sun_path));
    endpoint->length = sizeof(endpoint->address.local);
}

static enum proxy_result parse_proxied(const char *body, size_t length, unsigned family, struct proxy_header *header) {
    switch (family) {
    case 0x00: header->local = true; return PROXY_DONE; /* "unspecified": keep the connection's own */
    case 0x11:
        if (length < BINARY_IPV4) return PROXY_INVALID;
        set_ipv4(&header->client, body, body + 8);
        set_ipv4(&header->server, body + 4, body + 10);
        return PROXY_DONE;
    case 0x21:
        if (length < BINARY_IPV6) return PROXY_INVALID;
        set_ipv6(&header->client, body, body + 32);
        set_ipv6(&header->server, body + 16, body + 34);
        return PROXY_DONE;
    case 0x31:
        if (length < BINARY_UNIX) return PROXY_INVALID;
        set_unix(&header->client, body);
        set_unix(&header->server, body + 108);
        return PROXY_DONE;
    default: return PROXY_INVALID; /* datagrams, families unknown to the specification */
    }
}

static size_t binary_length(struct str bytes) {
    return BINARY_FIXED + ((size_t)(unsigned char)bytes.data[14] << 8 | (unsigned char)bytes.data[15]);
}

static enum proxy_result parse_binary(struct str bytes, struct proxy_header *header) {
    struct proxy_header made = {0};
    enum proxy_result result = PROXY_DONE;
    unsigned command;

    if (bytes.length < BINARY_FIXED) return PROXY_MORE;
    command = (unsigned char)bytes.data[12];
    if (command != 0x20 && command != 0x21) return PROXY_INVALID;
    made.length = binary_length(bytes);
    if (made.length > BINARY_MAXIMUM) return PROXY_INVALID;
    if (bytes.length < made.length) return PROXY_MORE;
    if (command == 0x20)
        made.local = true;
    else
        result = parse_proxied(bytes.data + BINARY_FIXED, made.length - BINARY_FIXED, (unsigned char)bytes.data[13], &made);
    if (result == PROXY_DONE) *header = made;
    return result;
}

/* True if one begins with the other. */
static bool agrees(struct str bytes, struct str signature) {
    size_t length = bytes.length < signature.length ? bytes.length : signature.length;

    return str_equal(str_slice(bytes, 0, length), str_slice(signature, 0, length));
}

enum proxy_result proxy_parse(struct str bytes, struct proxy_header *header) {
    if (agrees(bytes, line_signature))
        return bytes.length < line_signature.length ? PROXY_MORE : parse_line(bytes, header);
    if (agrees(bytes, binary_signature))
        return bytes.length < binary_signature.length ? PROXY_MORE : parse_binary(bytes, header);
    return PROXY_INVALID;
}

/* How many bytes are surely still part of a header that is not complete. What
 * follows the header may be a TLS hello, which must stay in the socket. */
static size_t surely_missing(struct str bytes) {
    if (bytes.length < LINE_MINIMUM) return LINE_MINIMUM - bytes.length;
    if (agrees(bytes, binary_signature))
        return bytes.length < BINARY_FIXED ? BINARY_FIXED - bytes.length : binary_length(bytes) - bytes.length;
    return bytes.data[bytes.length - 1] == '\r' ? 1 : 2;
}

enum stream_result proxy_read(struct stream *stream, struct proxy_header *header) {
    for (;;) {
        struct str bytes = stream_peek(stream);
        enum stream_result result;

        switch (proxy_parse(bytes, header)) {
        case PROXY_DONE: stream_consume(stream, header->length); return STREAM_OK;
        case PROXY_INVALID: return stream_fail(stream, "no valid PROXY protocol header");
        case PROXY_MORE:
            result = stream_fill_at_most(stream, bytes.length, surely_missing(bytes));
            if (result != STREAM_OK) return result;
        }
    }
}
