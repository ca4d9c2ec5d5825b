/* NOOP, CHECK, LOGOUT, ID, ENABLE. */
#include "commands.h"
#include "log.h"
#include "log_text.h"

IMAP_COMMAND(cmd_noop) {
    (void)session;
    (void)uid;
    return imap_take_end(parser) ? imap_ok("Done") : imap_bad(parser);
}

IMAP_COMMAND(cmd_check) {
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    imap_settle(session);
    return imap_ok("Done");
}

IMAP_COMMAND(cmd_logout) {
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    session->logging_out = true;
    imap_say(session, "* BYE Logging out\r\n");
    return imap_ok("Done");
}

/* RFC 2971: what a client says of itself is logged, within reason. */
IMAP_COMMAND(cmd_id) {
    struct buf said = buf_make(600);
    struct imap_id id;
    (void)uid;
    bool good = imap_parse_id(parser, &id);
    for (unsigned i = 0; good && i < id.count; i++) {
        if (!id.values[i].data) continue;
        buf_append_char(&said, ' ');
        log_text_append(&said, str_slice(id.names[i], 0, 30), 0);
        buf_append_char(&said, '=');
        log_text_append(&said, str_slice(id.values[i], 0, 100), 0);
    }
    if (said.length > 0)
        log_info("%.*s: client says%.*s", STR_ARGS(session->settings->login), STR_ARGS(buf_str(&said)));
    buf_free(&said);
    if (!good) return imap_bad(parser);
    imap_say(session, "* ID (\"name\" \"tern\")\r\n");
    return imap_ok("Done");
}

IMAP_COMMAND(cmd_enable) {
    static const struct {
        struct str word;
        unsigned features;
    } words[] = {{STR_INIT("CONDSTORE"), FEATURE_CONDSTORE},
                 {STR_INIT("QRESYNC"), FEATURE_QRESYNC | FEATURE_CONDSTORE},
                 {STR_INIT("UTF8=ACCEPT"), FEATURE_UTF8},
                 {STR_INIT("IMAP4rev2"), FEATURE_REV2}};
    struct buf enabled = buf_make(0);
    struct str word;
    bool good;
    (void)uid;
    do {
        good = imap_take_atom(parser, &word);
        for (size_t i = 0; good && i < ARRAY_LENGTH(words); i++) {
            if (!str_equal_nocase(word, words[i].word) || (session->features & words[i].features) == words[i].features)
                continue;
            if (words[i].features & FEATURE_CONDSTORE) imap_use_condstore(session);
            session->features |= words[i].features;
            buf_printf(&enabled, " %.*s", STR_ARGS(words[i].word));
        }
    } while (good && imap_peek_char(parser, ' ') && imap_take_space(parser));
    good = good && imap_take_end(parser);
    if (good) imap_say(session, "* ENABLED%.*s\r\n", STR_ARGS(buf_str(&enabled)));
    buf_free(&enabled);
    return good ? imap_ok("Done") : imap_bad(parser);
}
