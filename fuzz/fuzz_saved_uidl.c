/* Fuzz target: a dovecot-uidlist with unique IDs, whose UIDVALIDITY is 7. */
#include "pop3_line.h"
#include "saved_uidl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct saved_uidls saved = {0};
    buf_append_bytes(&saved.text, (const char *)data, size);
    saved_uidls_parse(7, &saved);
    for (size_t i = 0; i < saved.count; i++) {
        const struct saved_uidl *row = &saved.rows[i];
        if (i > 0 && saved.rows[i - 1].uid > row->uid) __builtin_trap();
        if (row->uidl.length > POP3_UIDL_MAX || row->name.length == 0) __builtin_trap();
        struct str found = saved_uidls_find(&saved, row->uid, row->name);
        /* Of two rows of one UID either may be found. */
        if (found.length == 0 && (i == 0 || saved.rows[i - 1].uid != row->uid) &&
            (i + 1 == saved.count || saved.rows[i + 1].uid != row->uid))
            __builtin_trap();
    }
    saved_uidls_free(&saved);
    return 0;
}
