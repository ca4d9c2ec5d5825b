/* See kept_fields.h. */
#include "kept_fields.h"

#include "imap_section.h"

/* The fields that ENVELOPE, SEARCH, SORT, THREAD and most clients' lists are made of. */
static const struct str kept_fields[] = {
    STR_INIT("Date"),
    STR_INIT("From"),
    STR_INIT("Sender"),
    STR_INIT("Reply-To"),
    STR_INIT("To"),
    STR_INIT("Cc"),
    STR_INIT("Bcc"),
    STR_INIT("Subject"),
    STR_INIT("Message-ID"),
    STR_INIT("In-Reply-To"),
    STR_INIT("References"),
    STR_INIT("List-Id"),
    STR_INIT("List-Post"),
    STR_INIT("X-Priority"),
    STR_INIT("Importance"),
    STR_INIT("Priority"),
    STR_INIT("Content-Type"),
    STR_INIT("Newsgroups"),
    STR_INIT("Disposition-Notification-To"),
};

bool kept_fields_have(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(kept_fields); i++)
        if (str_equal_nocase(name, kept_fields[i])) return true;
    return false;
}

void kept_fields_append(struct buf *fields, struct str header) {
    imap_section_append_fields(fields, header, kept_fields, ARRAY_LENGTH(kept_fields), false);
}
