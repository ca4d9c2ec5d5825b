/* An IMAP session from a front: login's answer or the wake from an IDLE, the dialogue, and back to the front. */
#include "imap_idle.h"
#include "log.h"
#include "mailbox.h"

static void greet(struct imap_session *session, struct str tag) {
    struct buf text = buf_make(0);
    imap_capabilities(session, &text);
    imap_say(session, "%.*s OK [CAPABILITY %.*s] Logged in\r\n", STR_ARGS(tag), STR_ARGS(buf_str(&text)));
    buf_free(&text);
}

void imap_process(const struct session_settings *settings, struct session_channel *channel,
                  const struct session_attachment *attachment) {
    struct failure failure = {0};
    struct imap_session session = {.settings = settings, .channel = channel, .inotify = attachment->inotify};
    bool goes_on = true;
    session.stream = stream_create(attachment->connection, settings->line_limit);
    stream_push_back(session.stream, attachment->input);
    session.store = session_open_store(settings, &failure);
    if (!session.store) {
        log_warning("%.*s: %s", STR_ARGS(settings->login), failure.text);
        imap_say(&session, "%.*s NO [UNAVAILABLE] Mailbox trouble, try again later\r\n* BYE\r\n",
                 STR_ARGS(attachment->tag.length ? attachment->tag : STR("*")));
        imap_flush(&session);
        goes_on = false;
    } else if (attachment->reason == WAKE_LOGIN) {
        greet(&session, attachment->tag);
    } else {
        goes_on = imap_wake(&session, attachment->state, attachment->reason);
    }
    if (goes_on && !session.idle_wanted) imap_session_serve(&session);
    bool idles = goes_on && session.idle_wanted && !session.connection_lost && imap_give_back(&session);
    if (!idles)
        session_channel_end(channel, session.connection_lost ? STR("connection lost") : STR("logged out"),
                            stream_bytes_read(session.stream), stream_bytes_written(session.stream));
    imap_session_end(&session);
    if (session.store) store_close(&session.store);
    stream_destroy(&session.stream);
}
