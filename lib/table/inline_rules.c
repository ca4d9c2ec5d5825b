/* Rules in the parameter: { { rule }, { rule } } becomes the text that a file would be. */
#include "inline_rules.h"
#include "table_words.h"

bool inline_rules_are(struct str name) { return str_starts(name, STR("{")); }

/* A rule is one line, however the parameter was broken into lines. */
static void add_line(struct str rule, struct buf *text) {
    for (size_t i = 0; i < rule.length; i++)
        buf_append_char(text, rule.data[i] == '\n' || rule.data[i] == '\r' ? ' ' : rule.data[i]);
    buf_append_char(text, '\n');
}

bool inline_rules_text(struct str name, struct buf *text, struct failure *failure) {
    struct str rest;
    size_t before = text->length;
    bool good = table_word_unbrace(name, &rest) || failure_set(failure, "expected { { rule }, { rule } ... }");
    while (good) {
        struct str word, rule;
        enum table_word taken = table_word_next(&rest, &word);
        if (taken == TABLE_WORD_END) return true;
        if (taken == TABLE_WORD_UNBALANCED)
            good = failure_set(failure, "braces are not balanced");
        else if (!table_word_unbrace(word, &rule))
            good = failure_set(failure, "a rule is to be in { }: \"%.*s\"", STR_ARGS(word));
        else
            add_line(rule, text);
    }
    buf_truncate(text, before);
    return false;
}

bool rules_read(struct table_request *request, size_t limit, struct buf *text, struct table_stamp *stamp,
                struct failure *failure) {
    if (request->text != NULL || !inline_rules_are(request->name))
        return table_request_read(request, limit, text, stamp, failure);
    if (!inline_rules_text(request->name, text, failure)) return false;
    request->name = STR("inline rules");
    *stamp = (struct table_stamp){0};
    return true;
}
