/* Fuzz target: HOLDFOR, HOLDUNTIL and BY of a MAIL command, and what is relayed of them. */
#include "envelope_wish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW     INT64_C(1795439283)
#define LONGEST INT64_C(86400)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct smtp_mail mail;
    struct smtp_command_error error;
    struct envelope_wish wish = {.release = 0};
    struct buf line = buf_make(100);
    if (!smtp_parse_mail(str_make((const char *)data, size), ~0U, 0, &mail, &error)) return 0;
    if (envelope_wish_release(&mail, NOW, LONGEST, &wish.release) && wish.release != 0 &&
        (wish.release < NOW || wish.release > NOW + LONGEST))
        abort();
    envelope_wish_deliver_by(&mail, envelope_wish_begin(&wish, NOW), &wish);
    if (!envelope_wish_append_by(&line, &wish, NOW) || line.length > 14) abort();
    if (mail.has_by != (wish.by_mode != DELIVER_BY_NOT)) abort();
    buf_free(&line);
    return 0;
}
