/* tls_connection: the handshake, and then the transport beneath a stream. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sys/socket.h>

#include "memory.h"
#include "tls_internal.h"
#include "tls_session.h"

/* ---- the library's way to the socket
 *
 * Where the last recv took all there was, another one would find nothing: the poll is asked first. And one call
 * of the library reads only so often: what carries no content (KeyUpdate and its like) never ends its loop, and a
 * peer that has plenty of it must not keep the other tasks from running. */

enum { READS_AT_ONCE = 4 };

static void allow_reads(struct tls_connection *connection) {
    connection->reads_left = READS_AT_ONCE;
}

static int socket_write(BIO *bio, const char *data, size_t length, size_t *done) {
    struct tls_connection *connection = BIO_get_data(bio);
    ssize_t sent;
    BIO_clear_retry_flags(bio);
    do {
        sent = send(connection->descriptor, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    if (sent < 0) return 0;
    *done = (size_t)sent;
    return 1;
}

static int socket_read(BIO *bio, char *data, size_t length, size_t *done) {
    struct tls_connection *connection = BIO_get_data(bio);
    ssize_t got;
    BIO_clear_retry_flags(bio);
    if (connection->drained || connection->reads_left == 0) {
        connection->drained = false;
        BIO_set_retry_read(bio);
        return 0;
    }
    connection->reads_left--;
    do {
        got = recv(connection->descriptor, data, length, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    connection->drained = got > 0 && (size_t)got < length;
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    if (got <= 0) return 0;
    *done = (size_t)got;
    return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void make_method(void) {
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!socket_method || !BIO_meth_set_write_ex(socket_method, socket_write) ||
        !BIO_meth_set_read_ex(socket_method, socket_read) || !BIO_meth_set_ctrl(socket_method, socket_control))
        memory_exhausted(sizeof(BIO *));
}

static BIO *make_bio(struct tls_connection *connection) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = BIO_new(socket_method);
    if (!bio) memory_exhausted(sizeof *connection);
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- life */

/* What a side says in two records must not wait for the peer's acknowledgement of the first (RFC 896): a
 * ticket, and then the answer to a command. */
static void send_at_once(int descriptor) {
    int on = 1;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct tls_connection *begin_connection(struct stream *stream, struct tls_context *context, bool server) {
    struct tls_connection *connection = MEMORY_NEW(struct tls_connection);
    ERR_clear_error();
    connection->context = tls_context_hold(context);
    connection->server = server;
    connection->descriptor = stream_descriptor(stream);
    connection->ssl = SSL_new(context->ssl);
    if (!connection->ssl || SSL_set_app_data(connection->ssl, connection) != 1) memory_exhausted(sizeof *connection);
    BIO *bio = make_bio(connection);
    SSL_set_bio(connection->ssl, bio, bio);
    send_at_once(connection->descriptor);
    if (server)
        SSL_set_accept_state(connection->ssl);
    else
        SSL_set_connect_state(connection->ssl);
    return connection;
}

static void free_connection(struct tls_connection *connection) {
    SSL_SESSION_free(connection->ticket);
    SSL_free(connection->ssl);
    tls_context_release(&connection->named);
    tls_context_release(&connection->context);
    ERR_clear_error();
    MEMORY_FREE(connection);
}

/* ---- the transport */

/* What an operation that did not succeed has to say: 0 at the end, else -1 and errno. */
static long explain(struct tls_connection *connection, int result, bool *wait_for_write) {
    int error = errno;
    *wait_for_write = false;
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *wait_for_write = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        connection->unusable = true;
        errno = error ? error : ENODATA;
        break;
    default:
        connection->unusable = true;
        errno = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? ENODATA : EPROTO;
    }
    error = errno;
    ERR_clear_error();
    errno = error;
    return -1;
}

static long read_some(void *state, void *data, size_t length, bool *wait_for_write) {
    struct tls_connection *connection = state;
    size_t got = 0;
    ERR_clear_error();
    errno = 0;
    allow_reads(connection);
    int result = SSL_read_ex(connection->ssl, data, length, &got);
    return result == 1 ? (long)got : explain(connection, result, wait_for_write);
}

static long write_some(void *state, const void *data, size_t length, bool *wait_for_write) {
    struct tls_connection *connection = state;
    size_t sent = 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(connection->ssl, data, length, &sent);
    if (result == 1) return (long)sent;
    long outcome = explain(connection, result, wait_for_write);
    if (outcome < 0) return outcome;
    errno = EPIPE;
    return -1;
}

/* close_notify is said once; its alert may still wait for room in the socket. */
static bool end_output(void *state) {
    struct tls_connection *connection = state;
    if (connection->unusable || connection->ended) return true;
    ERR_clear_error();
    int result = SSL_shutdown(connection->ssl);
    connection->ended = result >= 0 || SSL_get_error(connection->ssl, result) != SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return connection->ended;
}

static bool is_drained(void *state) {
    struct tls_connection *connection = state;
    bool drained = connection->drained && !SSL_has_pending(connection->ssl);
    if (drained) connection->drained = false; /* whoever asks waits before the next read */
    return drained;
}

static void destroy(void *state) {
    (void)end_output(state);
    free_connection(state);
}

static const struct stream_transport tls_transport = {
    .read = read_some, .write = write_some, .destroy = destroy, .end = end_output, .drained = is_drained};

/* ---- the handshake */

/* The context of the name that the client asked for. The task may wait here. */
static void choose_named(struct tls_connection *connection) {
    struct tls_context *context = connection->context;
    struct tls_context *named = context->for_name(context->context, str_from(connection->facts.server_name));
    connection->name_wanted = false;
    ERR_clear_error();
    if (!named || named == context) return;
    connection->named = tls_context_hold(named);
    SSL_set_SSL_CTX(connection->ssl, named->ssl);
}

static bool wait_is_over(enum stream_result result, struct failure *failure) {
    if (result == STREAM_OK) return true;
    if (result == STREAM_CANCELLED) return failure_set_errno(failure, ECANCELED, "TLS handshake");
    return failure_set_errno(failure, result == STREAM_TIMEOUT ? ETIMEDOUT : ECONNRESET, "TLS handshake");
}

static bool broke(struct tls_connection *connection, int error, struct failure *failure) {
    connection->unusable = true;
    bool gone = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (gone || ERR_peek_error() == 0) {
        ERR_clear_error();
        return failure_set_errno(failure, error && !gone ? error : ECONNRESET, "TLS handshake");
    }
    return tls_library_failed(failure, "");
}

static bool shake_hands(struct stream *stream, struct tls_connection *connection, struct failure *failure) {
    for (;;) {
        ERR_clear_error();
        errno = 0;
        allow_reads(connection);
        int result = SSL_do_handshake(connection->ssl), error = errno;
        if (result == 1) return true;
        switch (SSL_get_error(connection->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            if (!wait_is_over(stream_wait(stream, false), failure)) return false;
            break;
        case SSL_ERROR_WANT_WRITE:
            if (!wait_is_over(stream_wait(stream, true), failure)) return false;
            break;
        case SSL_ERROR_WANT_CLIENT_HELLO_CB:
            choose_named(connection);
            break;
        default:
            return broke(connection, error, failure);
        }
    }
}

static bool is_clean(struct stream *stream, struct failure *failure) {
    if (stream_pending(stream) > 0) return failure_set(failure, "bytes came before the TLS handshake");
    return wait_is_over(stream_flush(stream), failure);
}

static void take_over(struct stream *stream, struct tls_connection *connection, struct tls_connection **result) {
    stream_set_transport(stream, &tls_transport, connection);
    *result = connection;
}

/* The first ticket is made only where there are keys for it. */
static void choose_tickets(struct tls_connection *connection) {
    struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
    if (!connection->context->tickets || tls_server_ticket_keys(connection->context, keys) > 0) {
        OPENSSL_cleanse(keys, sizeof keys);
        return;
    }
    SSL_set_num_tickets(connection->ssl, 0);
    SSL_set_options(connection->ssl, SSL_OP_NO_TICKET);
}

bool tls_accept(struct stream *stream, struct tls_context *context, struct tls_connection **connection,
                struct failure *failure) {
    if (!is_clean(stream, failure)) return false;
    struct tls_connection *begun = begin_connection(stream, context, true);
    choose_tickets(begun);
    if (!shake_hands(stream, begun, failure)) {
        free_connection(begun);
        return false;
    }
    tls_note_facts(begun, buf_str(&context->digest));
    tls_judge_client(begun);
    take_over(stream, begun, connection);
    return true;
}

static bool set_name(struct tls_connection *connection, struct str name, struct failure *failure) {
    char *text;
    if (name.length == 0) return true;
    if (name.length >= sizeof connection->facts.server_name) return failure_set(failure, "server name is too long");
    text = memory_copy_string(name);
    bool good = SSL_set_tlsext_host_name(connection->ssl, text) == 1 || tls_library_failed(failure, "server name");
    snprintf(connection->facts.server_name, sizeof connection->facts.server_name, "%s", text);
    MEMORY_FREE(text);
    return good;
}

static bool set_alpn(struct tls_connection *connection, struct str protocol, struct failure *failure) {
    uint8_t list[256];
    if (protocol.length == 0) return true;
    if (protocol.length > 255) return failure_set(failure, "ALPN protocol is too long");
    list[0] = (uint8_t)protocol.length;
    memcpy(list + 1, protocol.data, protocol.length);
    return SSL_set_alpn_protos(connection->ssl, list, (unsigned)protocol.length + 1) == 0 ||
           tls_library_failed(failure, "ALPN");
}

bool tls_connect(struct stream *stream, struct tls_context *context, const struct tls_client_session *session,
                 struct tls_connection **connection, struct failure *failure) {
    bool carried = false;
    if (!is_clean(stream, failure)) return false;
    struct tls_connection *begun = begin_connection(stream, context, false);
    tls_wish(session, begun->wish);
    if (!set_name(begun, session->server_name, failure) || !set_alpn(begun, session->alpn, failure) ||
        !tls_expect(begun, session, failure)) {
        free_connection(begun);
        return false;
    }
    tls_session_import(begun, session->session, &carried);
    if (!shake_hands(stream, begun, failure)) {
        free_connection(begun);
        return false;
    }
    tls_note_facts(begun, session->fingerprint_digest);
    tls_judge(begun, session, carried && begun->facts.reused);
    take_over(stream, begun, connection);
    return true;
}

const struct tls_facts *tls_connection_facts(const struct tls_connection *connection) {
    return &connection->facts;
}
