/* The shapes of what TLS signs. */
#include "tls_signed.h"

enum {
    RANDOMS = 64, /* the client's and the server's, 32 octets each */
    SPACES = 64,
    CURVE_NAMED = 3,
    PRIME_LEAST = 128, /* octets of a group's prime: 1024 bits */
    PRIME_MOST = 1024,
    HELLO_CLIENT = 1,
    HELLO_SERVER = 2,
    CERTIFICATE = 11,
    KEY_EXCHANGE_SERVER = 12,
    CERTIFICATE_REQUEST = 13,
    HELLO_DONE = 14,
    KEY_EXCHANGE_CLIENT = 16,
    CERTIFICATE_STATUS = 22,
};

static unsigned octet(struct str s, size_t at) {
    return (unsigned char)s.data[at];
}

static size_t number_16(struct str s, size_t at) {
    return (size_t)octet(s, at) << 8 | octet(s, at + 1);
}

/* ---- TLS 1.3 */

static bool is_sentence(struct str content, struct str sentence) {
    for (size_t i = 0; i < SPACES; i++)
        if (content.data[i] != ' ') return false;
    struct str rest = str_from_offset(content, SPACES);
    if (!str_starts(rest, sentence)) return false;
    rest = str_from_offset(rest, sentence.length);
    /* A zero and the hash of the handshake, SHA-256 or SHA-384. */
    return rest.length > 0 && rest.data[0] == '\0' && (rest.length == 1 + 32 || rest.length == 1 + 48);
}

/* ---- TLS 1.2, server */

/* Octets of a public value in a named group; 0: not a group we know. */
static size_t point_length(size_t group) {
    switch (group) {
    case 23: /* P-256 */
    case 26: /* brainpoolP256r1 */
        return 65;
    case 24:
    case 27:
        return 97;
    case 28:
        return 129;
    case 25:
        return 133;
    case 29: /* X25519 */
        return 32;
    case 30: /* X448 */
        return 56;
    }
    return 0;
}

static bool is_curve_exchange(struct str parameters) {
    if (parameters.length < 5 || octet(parameters, 0) != CURVE_NAMED) return false;
    size_t group = number_16(parameters, 1), length = octet(parameters, 3);
    if (length == 0 || length != point_length(group) || parameters.length != 4 + length) return false;
    return group == 29 || group == 30 || octet(parameters, 4) == 4; /* an uncompressed point */
}

/* Takes a run of octets with its length before it. */
static bool take_run(struct str *rest, size_t least, size_t most, size_t *length) {
    if (rest->length < 2) return false;
    size_t wanted = number_16(*rest, 0);
    if (wanted < least || wanted > most || rest->length < 2 + wanted) return false;
    *rest = str_from_offset(*rest, 2 + wanted);
    *length = wanted;
    return true;
}

static bool is_prime_exchange(struct str parameters) {
    size_t prime, other;
    return take_run(&parameters, PRIME_LEAST, PRIME_MOST, &prime) && take_run(&parameters, 1, prime, &other) &&
           take_run(&parameters, 1, prime, &other) && parameters.length == 0;
}

/* ---- TLS 1.2, client */

static bool is_flight_message(unsigned type) {
    return type == CERTIFICATE || type == KEY_EXCHANGE_SERVER || type == CERTIFICATE_REQUEST || type == HELLO_DONE ||
           type == KEY_EXCHANGE_CLIENT || type == CERTIFICATE_STATUS;
}

/* The messages from the client's hello to its key exchange, whole. */
static bool is_transcript(struct str content) {
    unsigned type = 0;
    for (size_t count = 0; content.length > 0; count++) {
        if (content.length < 4) return false;
        size_t length = octet(content, 1) * (size_t)65536 + number_16(content, 2);
        type = octet(content, 0);
        if (count == 0 ? type != HELLO_CLIENT : count == 1 ? type != HELLO_SERVER : !is_flight_message(type))
            return false;
        /* The hellos begin with the version, 3 and a small number, and 32 random octets. */
        if (content.length < 4 + length || (count < 2 && (length < 34 || octet(content, 4) != 3))) return false;
        content = str_from_offset(content, 4 + length);
    }
    return type == KEY_EXCHANGE_CLIENT;
}

enum tls_signed tls_signed_content(struct str content) {
    if (content.length <= RANDOMS) return TLS_SIGNED_BY_NOBODY;
    if (is_sentence(content, STR("TLS 1.3, server CertificateVerify"))) return TLS_SIGNED_BY_SERVER;
    if (is_sentence(content, STR("TLS 1.3, client CertificateVerify"))) return TLS_SIGNED_BY_CLIENT;
    if (is_transcript(content)) return TLS_SIGNED_BY_CLIENT;
    struct str parameters = str_from_offset(content, RANDOMS);
    if (is_curve_exchange(parameters) || is_prime_exchange(parameters)) return TLS_SIGNED_BY_SERVER;
    return TLS_SIGNED_BY_NOBODY;
}
