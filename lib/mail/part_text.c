/* part_text: Content-Type and Content-Disposition. */
#include "part_text.h"
#include "header.h"

static void take_type(struct part_text *text, const struct mime_value *value) {
    bool is_text = str_equal_nocase(value->type, STR("text"));
    text->plain = is_text && str_equal_nocase(value->subtype, STR("plain"));
    text->html = is_text && str_equal_nocase(value->subtype, STR("html"));
    const struct mime_parameter *charset = mime_value_find(value, "charset");
    if (charset == NULL || charset->value.length > CHARSET_NAME_MAX) return;
    memcpy(text->charset, charset->value.data, charset->value.length);
    text->charset[charset->value.length] = '\0';
}

void part_text_read(struct str header, struct part_text *text) {
    struct header_field field;
    struct mime_value value = {0};
    *text = (struct part_text){.plain = true};
    if (header_find(header, "Content-Type", &field) && mime_value_parse(&value, field.value) &&
        value.subtype.length > 0) {
        take_type(text, &value);
    }
    if (header_find(header, "Content-Disposition", &field) && mime_value_parse(&value, field.value))
        text->attachment = str_equal_nocase(value.type, STR("attachment"));
    mime_value_free(&value);
}
