/* See operator_session.h. */
#include "operator_session.h"

#include "memory.h"
#include "str.h"

#include <sys/socket.h>
#include <unistd.h>

void operator_say(struct operator_session *session, const struct buf *text) {
    (void)!send(session->descriptor, buf_string(text), text->length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void operator_end(struct operator_session *session) {
    struct operator_session **at = &session->master->operators;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    loop_watch_stop(&session->watch);
    close(session->descriptor);
    free(session);
}

void operator_reload_problem(struct master *master, const char *problem) {
    struct buf text = buf_make(2000);
    buf_printf(&text, "%s\n", problem);
    for (struct operator_session *session = master->operators; session != NULL; session = session->next)
        if (session->awaits_reload)
            operator_say(session, &text);
    buf_free(&text);
}

void operator_reload_done(struct master *master, const char *outcome) {
    struct buf text = buf_make(200);
    buf_printf(&text, "%s\n", outcome);
    for (struct operator_session *session = master->operators, *next; session != NULL; session = next) {
        next = session->next;
        if (!session->awaits_reload)
            continue;
        operator_say(session, &text);
        operator_end(session);
    }
    buf_free(&text);
}
