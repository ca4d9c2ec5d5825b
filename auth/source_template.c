/* Texts with places for the one who logs in. */
#include "source_template.h"

static struct str domain_of(struct str user) {
    size_t at = str_find_last(user, '@');
    return at == STR_NONE ? STR_EMPTY : str_from_offset(user, at + 1);
}

static struct str local_part_of(struct str user) {
    size_t at = str_find_last(user, '@');
    return at == STR_NONE ? user : str_slice(user, 0, at);
}

/* What stands for the letter; false if none does. */
static bool place(char letter, const struct source_question *question, struct str *value) {
    switch (letter) {
    case 'u':
    case 's':
        *value = question->user;
        return true;
    case 'n':
        *value = local_part_of(question->user);
        return true;
    case 'd':
        *value = domain_of(question->user);
        return true;
    case 'r':
        *value = question->client_address;
        return true;
    case 'P':
        *value = question->protocol;
        return true;
    default:
        return false;
    }
}

bool source_template_check(struct str template, const char *what, struct failure *failure) {
    static const struct source_question nobody = {0};
    for (size_t i = 0; i < template.length; i++) {
        struct str value;
        if (template.data[i] != '%') continue;
        char letter = ++i < template.length ? template.data[i] : ' ';
        if (letter == '%' || place(letter, &nobody, &value)) continue;
        return failure_set(failure, "%s: %%%c is not known; there are %%u %%s %%n %%d %%r %%P and %%%%", what, letter);
    }
    return true;
}

bool source_template_varies(struct str template) {
    for (size_t i = 0; i + 1 < template.length; i++) {
        if (template.data[i] != '%') continue;
        if (template.data[++i] != '%') return true;
    }
    return false;
}

enum source_template_result source_template_expand(struct str template, const struct source_question *question,
                                                   void (*append)(struct buf *out, struct str value), struct buf *out) {
    for (size_t i = 0; i < template.length; i++) {
        struct str value;
        char letter = template.data[i];
        if (letter != '%' || i + 1 == template.length) {
            buf_append_char(out, letter);
            continue;
        }
        letter = template.data[++i];
        if (!place(letter, question, &value)) {
            buf_append_char(out, letter);
            continue;
        }
        if (letter == 'd' && value.length == 0) return SOURCE_TEMPLATE_NO_DOMAIN;
        if (append)
            append(out, value);
        else
            buf_append(out, value);
    }
    return buf_overflowed(out) ? SOURCE_TEMPLATE_TOO_LONG : SOURCE_TEMPLATE_DONE;
}

bool source_user_is_plain(struct str user) {
    if (user.length == 0 || user.length > SOURCE_USER_MAX || !str_is_utf8(user)) return false;
    for (size_t i = 0; i < user.length; i++)
        if ((unsigned char)user.data[i] < ' ' || user.data[i] == 0x7f) return false;
    return true;
}

bool source_user_in_domains(struct str user, struct str domains) {
    struct str rest = domains, word, domain = domain_of(user);
    if (str_trim(domains).length == 0) return true;
    while (str_next_word(&rest, ", \t", &word))
        if (domain.length > 0 && str_equal_nocase(word, domain)) return true;
    return false;
}
