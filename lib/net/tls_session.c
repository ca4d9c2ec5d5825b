/* tls_session: a client's sessions, out and in again. */
#include <openssl/err.h>

#include "memory.h"
#include "tls_session.h"

enum {
    FORMAT = 1,
    HEAD_LENGTH = 2 + 32, /* format, judgement, wish */
    JUDGED_TRUSTED = 1,
    JUDGED_MATCHED = 2,
    SESSION_MAX = 64 * 1024,
};

static int on_new_session(SSL *ssl, SSL_SESSION *session) {
    struct tls_connection *connection = tls_connection_of(ssl);
    SSL_SESSION_free(connection->ticket);
    connection->ticket = session;
    return 1; /* it is ours now */
}

void tls_session_callbacks(SSL_CTX *ssl) {
    SSL_CTX_sess_set_new_cb(ssl, on_new_session);
}

bool tls_session_export(struct tls_connection *connection, struct buf *session) {
    SSL_SESSION *ticket = connection->ticket;
    bool exported = false;
    if (!ticket) return false;
    int length = connection->as_wished && SSL_SESSION_is_resumable(ticket) ? i2d_SSL_SESSION(ticket, NULL) : 0;
    if (length > 0 && length <= SESSION_MAX) {
        uint8_t *encoded = memory_allocate((size_t)length, 1), *end = encoded;
        int judgement =
            (connection->facts.trusted ? JUDGED_TRUSTED : 0) | (connection->facts.matched ? JUDGED_MATCHED : 0);
        i2d_SSL_SESSION(ticket, &end);
        exported = buf_append_char(session, FORMAT) && buf_append_char(session, (char)judgement) &&
                   buf_append_bytes(session, connection->wish, sizeof connection->wish) &&
                   buf_append_bytes(session, encoded, (size_t)length);
        memory_wipe(encoded, (size_t)length);
        MEMORY_FREE(encoded);
    }
    SSL_SESSION_free(ticket);
    connection->ticket = NULL;
    ERR_clear_error();
    return exported;
}

void tls_session_import(struct tls_connection *connection, struct str exported, bool *carried) {
    if (exported.length <= HEAD_LENGTH || exported.length > HEAD_LENGTH + SESSION_MAX || exported.data[0] != FORMAT ||
        memcmp(exported.data + 2, connection->wish, sizeof connection->wish) != 0)
        return;
    const uint8_t *at = (const uint8_t *)exported.data + HEAD_LENGTH;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, (long)(exported.length - HEAD_LENGTH));
    if (session && SSL_set_session(connection->ssl, session) == 1) {
        connection->facts.trusted = exported.data[1] & JUDGED_TRUSTED;
        connection->facts.matched = exported.data[1] & JUDGED_MATCHED;
        *carried = true;
    }
    SSL_SESSION_free(session);
    ERR_clear_error();
}
