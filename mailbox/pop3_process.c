/* A POP3 session from a front: login's answer, the dialogue, and the end. */
#include "log.h"
#include "mailbox.h"
#include "pop3.h"

#define LINE_LIMIT 1024
#define LAST_WORD  5000 /* ms */

static void log_end(const struct pop3_session *session) {
    log_info("disconnected: %s top=%llu, retr=%llu/%llu, del=%u/%u",
             session->connection_lost ? "connection lost" : "logged out", (unsigned long long)session->topped,
             (unsigned long long)session->retrieved, (unsigned long long)session->retrieved_octets,
             session->deleted_count, session->count);
}

void pop3_process(const struct session_settings *settings, struct session_channel *channel,
                  const struct session_attachment *attachment) {
    struct failure failure = {0};
    struct pop3_session session = {.settings = settings, .mechanisms = attachment->tag, .lock = -1};
    session.stream = stream_create(attachment->connection, LINE_LIMIT);
    stream_push_back(session.stream, attachment->input);
    session.store = session_open_store(settings, &failure);
    if (!session.store) {
        log_warning("%.*s: %s", STR_ARGS(settings->login), failure.text);
        pop3_say(&session, "-ERR [%s] The mailbox cannot be opened\r\n", pop3_trouble(&failure));
    } else if (pop3_session_begin(&session)) {
        pop3_session_serve(&session);
        log_end(&session);
    }
    stream_set_deadline(session.stream, deadline_in(LAST_WORD));
    if (!session.connection_lost && stream_flush(session.stream) != STREAM_OK) session.connection_lost = true;
    pop3_session_end(&session);
    session_channel_end(channel, session.connection_lost ? STR("connection lost") : STR("logged out"),
                        stream_bytes_read(session.stream), stream_bytes_written(session.stream));
    if (session.store) store_close(&session.store);
    stream_destroy(&session.stream);
}
