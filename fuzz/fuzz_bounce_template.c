/* The file of notices' texts, and the expansion of what is in it. */
#include "notice_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct str part, struct str whole, struct str otherwise) {
    if (part.data == otherwise.data) return true;
    return part.length == 0 || (part.data >= whole.data && part.data + part.length <= whole.data + whole.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct bounce_word words[] = {{"myhostname", STR_INIT("mail.test")}, {"x", STR_INIT("$myhostname")}};
    struct str text = str_make((const char *)data, size);
    struct bounce_templates templates, built_in;
    struct failure failure = {0};
    bounce_templates_default(&templates);
    bounce_templates_default(&built_in);
    if (bounce_templates_parse(text, &templates, &failure)) {
        if (!is_within(templates.failure.body, text, built_in.failure.body) ||
            !is_within(templates.delay.subject, text, built_in.delay.subject))
            abort();
    } else if (!failure.text[0]) {
        abort();
    }
    struct buf out = buf_make(0);
    if (!bounce_template_expand(text, words, ARRAY_LENGTH(words), &out) || out.length > size * 11) abort();
    buf_free(&out);
    return 0;
}
