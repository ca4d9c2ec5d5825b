/* See trouble.h. */
#include "trouble.h"
#include "log_text.h"
#include "session.h"
#include <stdarg.h>

#define REPLY_TEXT_MAX   700
#define TROUBLE_TEXT_MAX 900

struct str trouble_keep(struct arena *arena, struct str text) {
    struct str copy = STR_EMPTY;
    return arena_copy(arena, text, &copy) ? copy : STR("(no memory for the text)");
}

static struct str keep_status(struct arena *arena, struct status_code status) {
    char text[16];
    int length = snprintf(text, sizeof text, "%u.%u.%u", status.class, status.subject, status.detail);
    return trouble_keep(arena, str_make(text, (size_t)length));
}

void trouble_set(struct trouble *trouble, struct arena *arena, const char *status, const char *format, ...) {
    char text[TROUBLE_TEXT_MAX];
    struct buf safe = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_text_append(&safe, str_from(text), 0);
    *trouble = (struct trouble){.permanent = status[0] == '5',
                                .status = trouble_keep(arena, str_from(status)),
                                .text = trouble_keep(arena, str_slice(buf_str(&safe), 0, TROUBLE_TEXT_MAX))};
    buf_free(&safe);
}

void trouble_name_host(struct trouble *trouble, struct arena *arena, const struct connection *connection) {
    trouble->relay = trouble_keep(arena, str_slice(str_from(connection->relay), 0, 300));
    trouble->remote_mta = trouble_keep(arena, str_slice(str_from(connection->name), 0, 256));
}

void trouble_from_reply(struct trouble *trouble, struct arena *arena, const struct connection *connection,
                        enum smtp_stage stage, const struct reply_judgement *judgement) {
    bool refused = stage == STAGE_GREETING || stage == STAGE_EHLO || stage == STAGE_HELO || stage == STAGE_LHLO;
    struct buf whole = buf_make(0), reply = buf_make(0), text = buf_make(0);
    smtp_reply_append_line(&whole, &connection->reply);
    log_text_append(&reply, buf_str(&whole), REPLY_TEXT_MAX);
    if (judgement->protocol_error) buf_append(&text, STR("Protocol error: "));
    if (refused)
        buf_printf(&text, "host %s refused to talk to me: %.*s", connection->peer, STR_ARGS(buf_str(&reply)));
    else
        buf_printf(&text, "host %s said: %.*s (in reply to %s)", connection->peer, STR_ARGS(buf_str(&reply)),
                   smtp_stage_command(stage));
    *trouble = (struct trouble){.permanent = judgement->verdict == REPLY_FAIL,
                                .status = keep_status(arena, judgement->status),
                                .text = trouble_keep(arena, str_slice(buf_str(&text), 0, 1000)),
                                .diagnostic = trouble_keep(arena, buf_str(&reply))};
    trouble_name_host(trouble, arena, connection);
    buf_free(&whole);
    buf_free(&reply);
    buf_free(&text);
}

void trouble_from_loss(struct trouble *trouble, struct arena *arena, const struct connection *connection,
                       enum smtp_stage stage) {
    const char *state = smtp_stage_state(stage);
    switch (connection->loss) {
    case LOSS_NONE:
    case LOSS_CLOSED:
        trouble_set(trouble, arena, "4.4.2", "lost connection with %s while %s", connection->peer, state);
        break;
    case LOSS_TIMEOUT:
        trouble_set(trouble, arena, "4.4.2", "conversation with %s timed out while %s", connection->peer, state);
        break;
    case LOSS_CANCELLED:
        trouble_set(trouble, arena, "4.3.2", "the delivery was interrupted while %s: this mail system is stopping",
                    state);
        trouble->local = trouble->last = true;
        break;
    case LOSS_PROTOCOL:
        trouble_set(trouble, arena, "4.5.0", "host %s sent what is no SMTP reply while %s", connection->peer, state);
        break;
    case LOSS_FILE:
        trouble_set(trouble, arena, "4.3.0", "queue file read error");
        trouble->local = trouble->last = true;
        break;
    }
    if (stage == STAGE_END) trouble->last = true; /* elsewhere it would arrive twice */
    trouble_name_host(trouble, arena, connection);
}
