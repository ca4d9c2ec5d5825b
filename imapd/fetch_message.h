/* fetch_message: what one message is shown, searched and sorted from. The file, the parsed structure and the header
 * fields are fetched when they are first needed: from the cache where that has them, or as threads have read ahead. */
#ifndef TERN_IMAP_FETCH_MESSAGE_H
#define TERN_IMAP_FETCH_MESSAGE_H

#include "ahead.h"
#include "imap.h"
#include "imap_structure.h"

struct fetch_message {
    struct imap_session *session;
    uint32_t sequence;
    struct folder_message facts;
    bool file_tried, structure_tried;
    struct str bytes; /* the file: in session->file, or mapped */
    bool mapped;
    struct buf record, fields; /* fields: read from the file */
    bool fields_held;          /* the cache is not to keep them: whoever set it does, or has a row of them */
    const struct ahead_message *ahead; /* what a thread has read of it; NULL: nothing */
    struct imap_structure structure;
    bool has_structure;
    struct imap_part *parts;
};

void fetch_message_begin(struct fetch_message *message, struct imap_session *session, uint32_t sequence);
/* The same with folder_message_known: the date is looked up when an item asks for it. */
void fetch_message_begin_known(struct fetch_message *message, struct imap_session *session, uint32_t sequence);
void fetch_message_end(struct fetch_message *message);

/* The file's bytes, the structure, its parts; false if the message is gone. */
MUST_USE bool fetch_message_bytes(struct fetch_message *message);
MUST_USE bool fetch_message_structure(struct fetch_message *message);
MUST_USE bool fetch_message_parts(struct fetch_message *message);
/* The header fields that the cache keeps, as they stand in the file; until fetch_message_end or the cache's flush. */
MUST_USE bool fetch_message_fields(struct fetch_message *message, struct str *fields);
/* The cache shall keep them. */
void fetch_message_keep_fields(struct imap_session *session, uint32_t uid, struct str fields);
/* EMAILID: of what the file's bytes are, which are there. */
void fetch_message_email_id(const struct fetch_message *message, char text[34]);
bool fetch_message_email_id_is(struct fetch_message *message, struct str id);

#endif
