/* saved_uidl: unique IDs that messages had on a server before Dovecot, and that Dovecot has saved: the P fields of its
 * dovecot-uidlist. They count more than pop3_uidl_format, as they do with Dovecot. The parser is pure. */
#ifndef TERN_POP3_SAVED_UIDL_H
#define TERN_POP3_SAVED_UIDL_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

struct saved_uidl {
    uint32_t uid;
    struct str uidl; /* what may stand in an answer; empty: the file's name is it */
    struct str name; /* of the file, perhaps with flags */
};

struct saved_uidls {
    struct buf text;         /* the file */
    struct saved_uidl *rows; /* by UID; they point into the text */
    size_t count;
};

/* Reads what stands in saved->text, which is kept; uid_validity: of the folder as it is now. A list of another
 * UIDVALIDITY, or of another form, says nothing. */
void saved_uidls_parse(uint32_t uid_validity, struct saved_uidls *saved);
/* Reads the list in a mailbox's directory, if there is one. False (errno): it is there, and cannot be read. */
MUST_USE bool saved_uidls_read(int directory, uint32_t uid_validity, struct saved_uidls *saved);
/* The unique ID that was saved for the message of that UID, if it still is the message in that file (a name without
 * flags); else empty. */
struct str saved_uidls_find(const struct saved_uidls *saved, uint32_t uid, struct str name);
void saved_uidls_free(struct saved_uidls *saved);

#endif
