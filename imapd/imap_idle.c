/* See imap_idle.h. */
#include "imap_idle.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clock.h"
#include "commands.h"
#include "log.h"

/* ---- the state: "2 FEATURES SELECTED READONLY VALIDITY NEXT MODSEQ RECENT RECENT\nTAG\nMAILBOX\nSAVED\n" */

void idle_state_format(const struct idle_state *state, struct buf *text) {
    buf_printf(text, "2 %u %u %u %u %u %llu %u %u\n%.*s\n%.*s\n%.*s\n", state->features, state->selected,
               state->read_only, state->uid_validity, state->uid_next, (unsigned long long)state->modseq,
               state->recent_from, state->recent_to, STR_ARGS(state->tag), STR_ARGS(state->mailbox),
               STR_ARGS(state->saved));
}

static bool take_number(struct str *line, uint64_t maximum, uint64_t *number) {
    struct str word;
    return str_next_word(line, " ", &word) && str_to_u64(word, maximum, number);
}

bool idle_state_parse(struct str text, struct idle_state *state) {
    struct str line;
    uint64_t numbers[9];
    static const uint64_t limits[9] = {2, UINT32_MAX, 1, 1, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX};
    struct idle_state read = {.tag = STR_EMPTY};
    if (str_find(text, '\0') != STR_NONE || !str_cut(text, '\n', &line, &text)) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        if (!take_number(&line, limits[i], &numbers[i])) return false;
    read.features = (unsigned)numbers[1];
    read.selected = numbers[2];
    read.read_only = numbers[3];
    read.uid_validity = (uint32_t)numbers[4];
    read.uid_next = (uint32_t)numbers[5];
    read.modseq = numbers[6];
    read.recent_from = (uint32_t)numbers[7];
    read.recent_to = (uint32_t)numbers[8];
    if (numbers[0] != 2 || !str_cut(text, '\n', &read.tag, &text) || !str_cut(text, '\n', &read.mailbox, &text) ||
        !str_cut(text, '\n', &read.saved, &text))
        return false;
    *state = read;
    return true;
}

/* ---- giving back */

enum { LOOKS = 3 };

static int take_inotify(struct imap_session *session, struct failure *failure) {
    int inotify = session->inotify;
    session->inotify = -1;
    if (inotify < 0) inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inotify < 0) failure_set_errno(failure, errno, "cannot make an inotify instance");
    return inotify;
}

/* Settles, looks and tells. True: there was nothing new, and nothing was written. */
static bool look(struct imap_session *session, struct idle_state *state) {
    struct failure failure = {0};
    imap_settle(session);
    if (imap_tell_changes(session, false, &failure) != STORE_OK) return true;
    bool same =
        state->uid_next == folder_uid_next(session->folder) && state->modseq == folder_highest_modseq(session->folder);
    state->uid_next = folder_uid_next(session->folder);
    state->modseq = folder_highest_modseq(session->folder);
    folder_recent_range(session->folder, &state->recent_from, &state->recent_to);
    imap_flush(session);
    return same && !folder_is_unsettled(session->folder);
}

/* False: it cannot be watched. What we write ourselves comes before the watches, or the front would wake the next
 * session for it; what others have written since is looked at after them. */
static bool watch(struct imap_session *session, struct idle_state *state, int inotify, struct buf *watches,
                  struct failure *failure) {
    int numbers[FOLDER_WATCHES];
    look(session, state);
    bool watched = inotify >= 0 && folder_watch(session->folder, inotify, numbers, failure);
    for (int i = 0; i < LOOKS && !look(session, state); i++)
        continue;
    imap_settle(session);
    for (size_t i = 0; watched && i < FOLDER_WATCHES; i++)
        buf_printf(watches, "%s%d", i > 0 ? " " : "", numbers[i]);
    return watched;
}

bool imap_give_back(struct imap_session *session) {
    struct idle_state state = {
        .features = session->features, .tag = session->tag, .mailbox = STR_EMPTY, .saved = STR_EMPTY};
    struct buf text = buf_make(0), saved = buf_make(0), watches = buf_make(0);
    struct failure failure = {0};
    int inotify = -1;
    bool unwatched = false;
    buf_append(&text, session->settings->state_prefix);
    if (session->folder) {
        state.selected = true;
        state.read_only = folder_is_read_only(session->folder);
        state.uid_validity = folder_uid_validity(session->folder);
        state.uid_next = folder_uid_next(session->folder);
        state.modseq = folder_highest_modseq(session->folder);
        state.mailbox = folder_name(session->folder);
        folder_recent_range(session->folder, &state.recent_from, &state.recent_to);
        uid_set_format(&session->saved, &saved);
        state.saved = buf_str(&saved);
        inotify = take_inotify(session, &failure);
        unwatched = !watch(session, &state, inotify, &watches, &failure);
        if (unwatched)
            log_info("%.*s: %s: the mailbox is looked at from time to time", STR_ARGS(session->settings->login),
                     failure.text);
    }
    idle_state_format(&state, &text);
    bool good = session_channel_idle(session->channel, session->settings, buf_str(&text), stream_peek(session->stream),
                                     inotify, buf_str(&watches), unwatched);
    if (inotify >= 0) close(inotify);
    buf_free(&text);
    buf_free(&saved);
    buf_free(&watches);
    return good;
}

/* ---- waking */

static bool restore(struct imap_session *session, const struct idle_state *state) {
    struct failure failure = {0};
    enum store_result result;
    session->features = state->features;
    if (!state->selected) return true;
    session->folder = folder_open(session->store, state->mailbox,
                                  state->read_only ? FOLDER_READ_ONLY : FOLDER_READ_WRITE, &result, &failure);
    if (!session->folder) return false;
    if (state->saved.length > 0 && !uid_set_parse(state->saved, 0, IMAP_RANGES_MAX, &session->saved)) return false;
    folder_set_recent_range(session->folder, state->recent_from, state->recent_to);
    return folder_restore_view(session->folder, state->uid_validity, state->uid_next, state->modseq);
}

static void take_done(struct imap_session *session, struct str tag) {
    struct str line;
    if (!imap_read_line(session, &line)) return;
    if (str_equal_nocase(line, STR("DONE")))
        imap_say(session, "%.*s OK Idle completed\r\n", STR_ARGS(tag));
    else
        imap_say(session, "%.*s BAD DONE expected\r\n", STR_ARGS(tag));
    session->idle_wanted = false;
}

bool imap_wake(struct imap_session *session, struct str text, enum session_wake reason) {
    struct idle_state state;
    struct failure failure = {0};
    session->unsettled = DEADLINE_NEVER;
    if (!idle_state_parse(text, &state) || !restore(session, &state)) {
        imap_say(session, "* BYE The mailbox has changed too much, log in again\r\n");
        imap_flush(session);
        return false;
    }
    session->idle_wanted = true;
    session->tag = state.tag;
    if (session->folder && imap_tell_changes(session, false, &failure) != STORE_OK)
        log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    if (reason == WAKE_INPUT || stream_pending(session->stream) > 0) take_done(session, state.tag);
    return imap_flush(session) && !session->logging_out;
}

/* ---- IDLE for which the process stays */

enum {
    LOOK_EVERY = 30000, /* ms, where inotify cannot be had */
    SAVED_MAX = 30000,  /* octets of "$" in a state */
};

/* Not what cannot be kept: a compressor's memory, very many ranges of "$"; nor a client that has gone on already. */
static bool may_leave(const struct imap_session *session) {
    struct buf saved = buf_make(0);
    if (!session->channel || session->compressed || stream_pending(session->stream) > 0) return false;
    uid_set_format(&session->saved, &saved);
    bool good = saved.length < SAVED_MAX;
    buf_free(&saved);
    return good;
}

/* True: the client has said something. */
static bool wait_here(struct imap_session *session, int inotify, deadline ends) {
    char events[4096];
    for (;;) {
        struct pollfd polled[2] = {{.fd = stream_descriptor(session->stream), .events = POLLIN},
                                   {.fd = inotify, .events = POLLIN}};
        int64_t left = deadline_left(ends);
        /* What was decompressed is nothing that the descriptor knows of. */
        if (left == 0 || stream_readable_now(session->stream)) return true;
        int ready = poll(polled, inotify >= 0 ? 2 : 1, (int)(inotify < 0 && left > LOOK_EVERY ? LOOK_EVERY : left));
        if (ready < 0 && errno != EINTR) return true;
        if (ready > 0 && polled[0].revents) continue;
        while (inotify >= 0 && read(inotify, events, sizeof events) > 0)
            continue;
        return false;
    }
}

static void idle_here(struct imap_session *session) {
    struct failure failure = {0};
    deadline ends = deadline_in(session->settings->idle_timeout);
    int inotify = session->folder ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1, ignored_numbers[FOLDER_WATCHES];
    if (inotify >= 0 && !folder_watch(session->folder, inotify, ignored_numbers, &failure)) {
        close(inotify);
        inotify = -1;
    }
    do {
        if (session->folder && imap_tell_changes(session, false, &failure) != STORE_OK) log_warning("%s", failure.text);
        imap_settle(session);
    } while (imap_flush(session) && !session->logging_out && !wait_here(session, inotify, ends));
    if (inotify >= 0) close(inotify);
}

IMAP_COMMAND(cmd_idle) {
    struct str line;
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    if (!imap_continue(session, "idling")) return (struct imap_outcome){.answer = ANSWER_SAID};
    if (may_leave(session)) {
        session->idle_wanted = true;
        return (struct imap_outcome){.answer = ANSWER_SAID};
    }
    idle_here(session);
    if (!session->connection_lost && !session->logging_out && !stream_readable_now(session->stream)) {
        imap_say(session, "* BYE Disconnected for inactivity\r\n");
        session->logging_out = true;
    }
    if (session->connection_lost || session->logging_out || !imap_read_line(session, &line))
        return (struct imap_outcome){.answer = ANSWER_SAID};
    if (str_equal_nocase(line, STR("DONE"))) return imap_ok("Idle completed");
    return (struct imap_outcome){.answer = ANSWER_BAD, .text = STR("DONE expected")};
}
