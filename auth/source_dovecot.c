/* dovecot:PATH, the accounts that Dovecot's auth service knows, by its UNIX socket. A
 * password is tried by the mechanism PLAIN. Dovecot does not say whether an account is
 * unknown or its password wrong: no source that is listed after this one is asked. */
#include "buf.h"
#include "dovecot_client.h"
#include "source_places.h"
#include "source_template.h"

#define TRIED_MS 30000

static bool dovecot_open(struct auth_source *source, struct failure *failure) {
    struct str path = source->argument;
    if (path.length == 0 || path.data[0] != '/')
        return failure_set(failure, "the path of its socket is wanted, as in dovecot:/run/dovecot/auth-client");
    source->state = dovecot_client_create(path);
    return true;
}

static void dovecot_close(struct auth_source *source) {
    struct dovecot_client *client = source->state;
    dovecot_client_destroy(&client);
    source->state = NULL;
}

static enum source_answer dovecot_verify(struct auth_source *source, const struct source_question *question,
                                         struct str password, struct auth_account *account, struct failure *failure) {
    struct dovecot_client *client = source->state;
    struct dovecot_exchange *exchange = NULL;
    struct dovecot_answer answer;
    struct buf initial = buf_make(4096);
    deadline until = deadline_in(TRIED_MS);
    if (question->until < until) until = question->until;
    if (!source_user_is_plain(question->user)) return SOURCE_UNKNOWN;
    if (password.length == 0 || memchr(password.data, '\0', password.length)) return SOURCE_WRONG;
    if (!buf_reserve(&initial, 4095)) return SOURCE_RETRY; /* all at once: what a buf grows out of is not wiped */
    buf_append_char(&initial, '\0');
    buf_append(&initial, question->user);
    buf_append_char(&initial, '\0');
    buf_append(&initial, password);
    if (buf_overflowed(&initial)) {
        buf_free_secret(&initial);
        return SOURCE_WRONG;
    }
    const struct dovecot_opening opening = {
        .protocol = question->protocol,
        .client_address = question->client_address,
        .encrypted = true, /* the password was shown to us over a connection that was good enough for that */
        .mechanism = STR("PLAIN"),
        .has_initial = true,
        .initial = buf_str(&initial)};
    dovecot_begin(client, &opening, until, question->arena, &exchange, &answer, failure);
    buf_free_secret(&initial);
    switch (answer.outcome) {
    case DOVECOT_GRANTED:
        *account = answer.account;
        return SOURCE_FOUND;
    case DOVECOT_REFUSED:
        return SOURCE_WRONG;
    case DOVECOT_DISABLED:
        return SOURCE_DISABLED;
    case DOVECOT_GO_ON: /* PLAIN has nothing more to ask */
        dovecot_cancel(&exchange);
        failure_set(failure, "it wants more than PLAIN has to say");
        return SOURCE_RETRY;
    case DOVECOT_LATER:
        break;
    }
    return SOURCE_RETRY;
}

const struct auth_source_type source_dovecot = {
    .name = "dovecot", .open = dovecot_open, .verify = dovecot_verify, .close = dovecot_close};
