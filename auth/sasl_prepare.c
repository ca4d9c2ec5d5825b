/* sasl_prepare: libidn's tables of Unicode 3.2 do the work; ASCII, which is nearly all, is looked through here. */
#include "sasl_prepare.h"
#include "memory.h"
#include <stringprep.h>

bool sasl_prepare(struct str text, struct buf *prepared) {
    if (text.length == 0 || text.length > SASL_PREPARE_MAX) return false;
    if (str_is_printable(text)) return buf_append(prepared, text);
    if (!str_is_utf8(text) || memchr(text.data, '\0', text.length)) return false;
    /* Normal form KC may lengthen a character; the longest is 18 times as long. */
    size_t room = text.length * 18 + 1;
    char *work = memory_allocate(room, 1);
    memcpy(work, text.data, text.length);
    bool good = stringprep(work, room, 0, stringprep_saslprep) == STRINGPREP_OK && work[0] != '\0' &&
                strlen(work) <= SASL_PREPARE_MAX && buf_append(prepared, str_from(work));
    memory_wipe(work, room);
    MEMORY_FREE(work);
    return good;
}
