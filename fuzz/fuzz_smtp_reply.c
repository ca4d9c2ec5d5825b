/* Fuzz target: a server's replies, line by line, and its list of extensions. */
#include "smtp_reply.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str rest = str_make((const char *)data, size), line;
    struct smtp_reply reply = smtp_reply_make();
    struct smtp_ehlo ehlo;
    struct buf out = {0};
    enum smtp_reply_result result = SMTP_REPLY_MORE;
    for (bool more = true; more && result == SMTP_REPLY_MORE;) {
        more = str_cut(rest, '\n', &line, &rest);
        result = smtp_reply_add(&reply, more ? line : rest);
        check(reply.text.length <= SMTP_REPLY_TEXT_MAX && reply.lines <= SMTP_REPLY_LINES_MAX);
    }
    check(smtp_reply_append_line(&out, &reply) && utf8_is_text(buf_str(&out)));
    if (reply.lines > 0) check(smtp_reply_status(&reply).class >= 2);
    smtp_ehlo_parse(buf_str(&reply.text), 0, &ehlo);
    smtp_ehlo_parse(str_make((const char *)data, size), 0, &ehlo);
    buf_free(&out);
    smtp_reply_free(&reply);
    return 0;
}
