/* GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root, named "". */
#include "commands.h"

static bool say_quota(struct imap_session *session, struct failure *failure) {
    struct store_usage usage;
    if (!store_usage(session->store, &usage, failure)) return false;
    imap_say(session, "* QUOTA \"\" (");
    if (usage.octets_limit)
        imap_say(session, "STORAGE %llu %llu", (unsigned long long)((usage.octets + 1023) / 1024),
                 (unsigned long long)(usage.octets_limit / 1024));
    if (usage.messages_limit)
        imap_say(session, "%sMESSAGE %llu %llu", usage.octets_limit ? " " : "", (unsigned long long)usage.messages,
                 (unsigned long long)usage.messages_limit);
    imap_say(session, ")\r\n");
    return true;
}

IMAP_COMMAND(cmd_getquota) {
    struct str root;
    struct failure failure = {0};
    (void)uid;
    if (!imap_take_astring(parser, &root) || !imap_take_end(parser)) return imap_bad(parser);
    if (root.length > 0) return imap_no("NONEXISTENT", "No such quota root");
    return say_quota(session, &failure) ? imap_ok("Done") : imap_store_trouble(STORE_BROKEN, &failure);
}

IMAP_COMMAND(cmd_getquotaroot) {
    struct str mailbox;
    struct failure failure = {0};
    struct buf name = buf_make(0);
    (void)uid;
    if (!imap_take_mailbox(parser, &mailbox) || !imap_take_end(parser)) return imap_bad(parser);
    imap_append_mailbox(&name, mailbox, imap_is_utf8(session));
    imap_say(session, "* QUOTAROOT %.*s \"\"\r\n", STR_ARGS(buf_str(&name)));
    buf_free(&name);
    return say_quota(session, &failure) ? imap_ok("Done") : imap_store_trouble(STORE_BROKEN, &failure);
}

IMAP_COMMAND(cmd_setquota) {
    (void)session;
    (void)parser;
    (void)uid;
    return imap_no("NOPERM", "Quotas are the administrator's");
}
