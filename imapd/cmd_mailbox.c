/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8). */
#include "commands.h"

static struct imap_outcome outcome_of(enum store_result result, const struct failure *failure) {
    return result == STORE_OK ? imap_ok("Done") : imap_store_trouble(result, failure);
}

IMAP_COMMAND(cmd_create) {
    struct imap_create create;
    struct failure failure = {0};
    char id[40] = "";
    (void)uid;
    if (!imap_parse_create(parser, &create)) return imap_bad(parser);
    if (create.unknown_use) return imap_no("USEATTR", "No such special use"); /* RFC 6154 section 3 */
    /* A name that ends in the delimiter says that others will be below it; here every name may have some. */
    if (create.mailbox.length > 1 && create.mailbox.data[create.mailbox.length - 1] == '/') create.mailbox.length--;
    enum store_result result = store_create(session->store, create.mailbox, create.special, id, &failure);
    struct imap_outcome outcome = outcome_of(result, &failure);
    if (result == STORE_OK) snprintf(outcome.code_text, sizeof outcome.code_text, "MAILBOXID (%s)", id);
    return outcome;
}

/* What is selected must not be pulled from under the session. */
static bool is_selected(const struct imap_session *session, struct str mailbox) {
    return session->folder && str_equal(folder_name(session->folder), mailbox);
}

IMAP_COMMAND(cmd_delete) {
    struct str mailbox;
    struct failure failure = {0};
    (void)uid;
    if (!imap_take_mailbox(parser, &mailbox) || !imap_take_end(parser)) return imap_bad(parser);
    if (is_selected(session, mailbox) && !str_equal(mailbox, STR("INBOX"))) { /* which stays */
        if (imap_leave(session, false, &failure) != STORE_OK)
            return imap_no("UNAVAILABLE", "Server trouble, try again later");
        imap_say(session, "* OK [CLOSED] Mailbox closed\r\n");
    }
    return outcome_of(store_delete(session->store, mailbox, &failure), &failure);
}

IMAP_COMMAND(cmd_rename) {
    struct str from, to;
    struct failure failure = {0};
    (void)uid;
    if (!imap_take_mailbox(parser, &from) || !imap_take_space(parser) || !imap_take_mailbox(parser, &to) ||
        !imap_take_end(parser))
        return imap_bad(parser);
    return outcome_of(store_rename(session->store, from, to, &failure), &failure);
}

static struct imap_outcome subscribe(struct imap_session *session, struct imap_parser *parser, bool on) {
    struct str mailbox;
    struct failure failure = {0};
    if (!imap_take_mailbox(parser, &mailbox) || !imap_take_end(parser)) return imap_bad(parser);
    return outcome_of(store_subscribe(session->store, mailbox, on, &failure), &failure);
}

IMAP_COMMAND(cmd_subscribe) {
    (void)uid;
    return subscribe(session, parser, true);
}

IMAP_COMMAND(cmd_unsubscribe) {
    (void)uid;
    return subscribe(session, parser, false);
}
