/* ternconf: printing a name and its value. */
#include "ternconf.h"

#include "config_edit.h"

static void put(struct str text) {
    fwrite(text.data, 1, text.length, stdout);
}

/* A JSON string (RFC 8259 section 7); bytes that are no UTF-8 become U+FFFD. */
static void put_json(struct str text) {
    bool utf8 = str_is_utf8(text);
    putchar('"');
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < ' ')
            printf("\\u%04x", c);
        else if (c >= 0x80 && !utf8)
            printf("\\ufffd");
        else
            putchar(c);
    }
    putchar('"');
}

static void print_json(struct str name, struct str value) {
    putchar('{');
    put_json(name);
    printf(": ");
    put_json(value);
    printf("}\n");
}

void ternconf_print(const struct ternconf *run, struct str name, struct str value) {
    struct buf line = buf_make(0);
    if (run->json) {
        print_json(name, value);
        return;
    }
    if (run->no_values) {
        buf_append(&line, name);
    } else {
        if (!run->no_names) {
            buf_append(&line, name);
            buf_append(&line, value.length > 0 ? STR(" = ") : STR(" ="));
        }
        if (run->fold)
            config_fold(value, line.length, &line);
        else
            buf_append(&line, value);
    }
    put(buf_str(&line));
    putchar('\n');
    buf_free(&line);
}
