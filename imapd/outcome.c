/* What a command comes to: its tagged answer. */
#include "imap.h"

#include "log.h"

struct imap_outcome imap_ok(const char *text) {
    return (struct imap_outcome){.answer = ANSWER_OK, .text = str_from(text)};
}

struct imap_outcome imap_no(const char *code, const char *text) {
    return (struct imap_outcome){.answer = ANSWER_NO, .code = code, .text = str_from(text)};
}

struct imap_outcome imap_bad(const struct imap_parser *parser) {
    if (parser->refused) return imap_no("CANNOT", parser->error);
    return (struct imap_outcome){.answer = ANSWER_BAD,
                                 .text = str_from(parser->error ? parser->error : "Syntax error")};
}

struct imap_outcome imap_store_trouble(enum store_result result, const struct failure *failure) {
    static const struct {
        const char *code, *text;
    } words[] = {
        [STORE_OK] = {"", ""},
        [STORE_MISSING] = {"NONEXISTENT", "No such mailbox"},
        [STORE_EXISTS] = {"ALREADYEXISTS", "Mailbox already exists"},
        [STORE_REFUSED] = {"CANNOT", "Not possible"},
        [STORE_OVER_QUOTA] = {"OVERQUOTA", "Quota exceeded"},
        [STORE_LIMIT] = {"LIMIT", "Too many"},
        [STORE_FULL] = {"UNAVAILABLE", "No room on the server's disk, try again later"},
        [STORE_BROKEN] = {"UNAVAILABLE", "Server trouble, try again later"},
        [STORE_GONE] = {"EXPUNGEISSUED", "Some of the messages no longer exist"},
    };
    if (result == STORE_FULL || result == STORE_BROKEN) log_warning("mailbox trouble: %s", failure->text);
    return (struct imap_outcome){.answer = ANSWER_NO, .code = words[result].code, .text = str_from(words[result].text)};
}
