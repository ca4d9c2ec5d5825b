/* idn: libidn2's conversions. */
#include "idn.h"
#include <idn2.h>
#include "memory.h"

static bool take(struct buf *out, int result, char *converted) {
    bool done = result == IDN2_OK && converted != NULL && buf_append(out, str_from(converted));
    idn2_free(converted);
    return done;
}

bool idn_append_ascii(struct buf *out, struct str name) {
    char *text = memory_copy_string(name), *converted = NULL;
    int result = idn2_to_ascii_8z(text, &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    MEMORY_FREE(text);
    return take(out, result, converted);
}

bool idn_append_unicode(struct buf *out, struct str name) {
    char *text = memory_copy_string(name), *converted = NULL;
    int result = idn2_to_unicode_8z8z(text, &converted, 0);
    MEMORY_FREE(text);
    return take(out, result, converted);
}
