/* The commands and the capabilities: what a client may say, and what it is told that it may. */
#include "commands.h"

#define ANY      (IMAP_AUTHENTICATED | IMAP_SELECTED)
#define SELECTED IMAP_SELECTED

const struct imap_command imap_commands[] = {
    {"APPEND", ANY, COMMAND_RAW, cmd_append},
    {"CAPABILITY", ANY, 0, cmd_capability},
    {"CHECK", SELECTED, 0, cmd_check},
    {"CLOSE", SELECTED, 0, cmd_close},
    {"COMPRESS", ANY, 0, cmd_compress},
    {"COPY", SELECTED, COMMAND_UID, cmd_copy},
    {"CREATE", ANY, 0, cmd_create},
    {"DELETE", ANY, 0, cmd_delete},
    {"ENABLE", ANY, 0, cmd_enable},
    {"EXAMINE", ANY, 0, cmd_examine},
    {"EXPUNGE", SELECTED, COMMAND_UID, cmd_expunge},
    {"FETCH", SELECTED, COMMAND_UID | COMMAND_NUMBERS, cmd_fetch},
    {"GETQUOTA", ANY, 0, cmd_getquota},
    {"GETQUOTAROOT", ANY, 0, cmd_getquotaroot},
    {"ID", ANY, 0, cmd_id},
    {"IDLE", ANY, COMMAND_RAW, cmd_idle},
    {"LIST", ANY, 0, cmd_list},
    {"LOGOUT", ANY, 0, cmd_logout},
    {"LSUB", ANY, 0, cmd_lsub},
    {"MOVE", SELECTED, COMMAND_UID, cmd_move},
    {"NAMESPACE", ANY, 0, cmd_namespace},
    {"NOOP", ANY, 0, cmd_noop},
    {"RENAME", ANY, 0, cmd_rename},
    {"SEARCH", SELECTED, COMMAND_UID | COMMAND_NUMBERS, cmd_search},
    {"SELECT", ANY, 0, cmd_select},
    {"SETQUOTA", ANY, 0, cmd_setquota},
    {"SORT", SELECTED, COMMAND_UID | COMMAND_NUMBERS, cmd_sort},
    {"STATUS", ANY, 0, cmd_status},
    {"STORE", SELECTED, COMMAND_UID | COMMAND_NUMBERS, cmd_store},
    {"SUBSCRIBE", ANY, 0, cmd_subscribe},
    {"THREAD", SELECTED, COMMAND_UID | COMMAND_NUMBERS, cmd_thread},
    {"UNSELECT", SELECTED, 0, cmd_unselect},
    {"UNSUBSCRIBE", ANY, 0, cmd_unsubscribe},
};
const size_t imap_command_count = ARRAY_LENGTH(imap_commands);

/* Each capability with the command that provides it: what has no command here is not named. NULL: no command of its
 * own. */
static const struct {
    const char *word;
    struct imap_outcome (*provider)(struct imap_session *session, struct imap_parser *parser, bool uid);
} capabilities[] = {
    {"IMAP4rev1", NULL},
    {"IMAP4rev2", NULL},
    {"LITERAL+", NULL},
    {"ID", cmd_id},
    {"ENABLE", cmd_enable},
    {"IDLE", cmd_idle},
    {"NAMESPACE", cmd_namespace},
    {"UIDPLUS", cmd_expunge},
    {"MOVE", cmd_move},
    {"UNSELECT", cmd_unselect},
    {"CHILDREN", cmd_list},
    {"LIST-EXTENDED", cmd_list},
    {"LIST-STATUS", cmd_list},
    {"SPECIAL-USE", cmd_list},
    {"CREATE-SPECIAL-USE", cmd_create},
    {"STATUS=SIZE", cmd_status},
    {"APPENDLIMIT", NULL}, /* with its number */
    {"MULTIAPPEND", cmd_append},
    {"CONDSTORE", cmd_store},
    {"QRESYNC", cmd_select},
    {"ESEARCH", cmd_search},
    {"SEARCHRES", cmd_search},
    {"WITHIN", cmd_search},
    {"PARTIAL", cmd_search},
    {"SORT", cmd_sort},
    {"SORT=DISPLAY", cmd_sort},
    {"ESORT", cmd_sort},
    {"THREAD=ORDEREDSUBJECT", cmd_thread},
    {"THREAD=REFERENCES", cmd_thread},
    {"THREAD=REFS", cmd_thread},
    {"BINARY", cmd_fetch},
    {"PREVIEW", cmd_fetch},
    {"OBJECTID", cmd_fetch},
    {"SAVEDATE", cmd_fetch},
    {"QUOTA", cmd_getquota},
    {"QUOTA=RES-STORAGE", cmd_getquota},
    {"QUOTA=RES-MESSAGE", cmd_getquota},
    {"UTF8=ACCEPT", cmd_enable},
    {"I18NLEVEL=1", cmd_search},
    {"COMPRESS=DEFLATE", cmd_compress},
};

void imap_capabilities(const struct imap_session *session, struct buf *text) {
    const char *blank = "";
    for (size_t i = 0; i < ARRAY_LENGTH(capabilities); i++) {
        if (capabilities[i].provider == cmd_compress && session->compressed) continue;
        buf_printf(text, "%s%s", blank, capabilities[i].word);
        blank = " ";
        if (str_equal(str_from(capabilities[i].word), STR("APPENDLIMIT")))
            buf_printf(text, "=%llu", (unsigned long long)session->settings->append_limit);
    }
}

IMAP_COMMAND(cmd_capability) {
    struct buf text = buf_make(0);
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    imap_capabilities(session, &text);
    imap_say(session, "* CAPABILITY %.*s\r\n", STR_ARGS(buf_str(&text)));
    buf_free(&text);
    return imap_ok("Done");
}
