/* See ternman_text.h. */
#include "ternman_text.h"

#include <stdio.h>

/* Text for mdoc: a backslash is \e, and no line may begin with a dot or quote. */
void put_mdoc(struct str text) {
    if (text.length > 0 && (text.data[0] == '.' || text.data[0] == '\''))
        printf("\\&");
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '\\')
            printf("\\e");
        else if (c == '-')
            printf("\\-");
        else
            putchar(c);
    }
}

/* Every sentence begins a line, as mdoc wants it. */
void put_sentences(struct str text) {
    size_t end;
    while ((end = str_find_str(text, STR(". "))) != STR_NONE) {
        put_mdoc(str_slice(text, 0, end + 1));
        putchar('\n');
        text = str_from_offset(text, end + 2);
    }
    put_mdoc(text);
}

/* An argument of a macro: in quotes, where two stand for one. */
void put_argument(struct str text) {
    putchar('"');
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"')
            putchar('"');
        put_mdoc(str_slice(text, i, i + 1));
    }
    putchar('"');
}
