/* See tls_suite.h. */
#include "tls_suite.h"

#define SEPARATORS ":, \t\r\n"

static bool list_of_grade(const struct config *config, struct str grade, struct str *list) {
    if (str_equal_nocase(grade, STR("high")))
        *list = config->tls_high_cipherlist;
    else if (str_equal_nocase(grade, STR("intermediate")))
        *list = config->tls_intermediate_cipherlist;
    else if (str_equal_nocase(grade, STR("null")))
        *list = config->tls_null_cipherlist;
    else if (str_equal_nocase(grade, STR("medium")) || str_equal_nocase(grade, STR("low")) ||
             str_equal_nocase(grade, STR("export")))
        *list = config->tls_medium_cipherlist;
    else
        return false;
    return true;
}

/* What OpenSSL has in names of ciphers and kinds: no character that would begin another rule. */
static bool is_cipher_word(struct str word) {
    for (size_t i = 0; i < word.length; i++)
        if (!ascii_is_alnum(word.data[i]) && !strchr("+-_.=@", word.data[i])) return false;
    return word.length > 0 && ascii_is_alnum(word.data[0]);
}

static bool add_exclusions(struct buf *list, struct str exclude, struct failure *failure) {
    struct str word;
    while (str_next_word(&exclude, SEPARATORS, &word)) {
        if (!is_cipher_word(word)) return failure_set(failure, "bad cipher to exclude \"%.*s\"", STR_ARGS(word));
        buf_printf(list, ":!%.*s", STR_ARGS(word));
    }
    return true;
}

static bool join(struct str list, struct arena *arena, struct str *joined) {
    struct buf text = buf_make(0);
    struct str word;
    while (str_next_word(&list, SEPARATORS, &word))
        buf_printf(&text, "%s%.*s", text.length ? ":" : "", STR_ARGS(word));
    bool good = arena_copy(arena, buf_str(&text), joined);
    buf_free(&text);
    return good;
}

bool tls_suite_read(const struct config *config, struct str protocols, struct str grade, struct str exclude,
                    struct arena *arena, struct tls_suite_options *suite, struct failure *failure) {
    struct tls_suite_options read = {.protocols = protocols};
    struct buf list = buf_make(0);
    struct str of_grade = STR_EMPTY;
    bool good = list_of_grade(config, grade, &of_grade) ||
                failure_set(failure, "unknown grade of ciphers \"%.*s\"", STR_ARGS(grade));
    buf_append(&list, of_grade);
    good = good && add_exclusions(&list, exclude, failure) &&
           ((arena_copy(arena, buf_str(&list), &read.ciphers) &&
             join(config->tls_eecdh_auto_curves, arena, &read.groups)) ||
            failure_set(failure, "no memory for a list of ciphers"));
    buf_free(&list);
    if (!good) return false;
    *suite = read;
    return true;
}
