/* fetch_item: one message as FETCH shows it. What an item needs (the file, the parsed structure, the header fields)
 * is fetched when it is first needed: from the cache where that has it. */
#ifndef TERN_IMAP_FETCH_ITEM_H
#define TERN_IMAP_FETCH_ITEM_H

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
/* Whether all that the items need can be had; what is needed is then there. False: the message is gone. */
MUST_USE bool fetch_message_can(struct fetch_message *message, const struct imap_fetch *fetch);
/* What of the messages threads may read ahead for these items: set of enum ahead_wants; 0 if any item needs the file. */
unsigned fetch_wants(const struct imap_fetch *fetch);
/* "NAME value" of one item. */
void fetch_item_say(struct fetch_message *message, const struct imap_fetch_item *item);

/* The file's bytes, the structure; false if the message is gone. */
MUST_USE bool fetch_message_bytes(struct fetch_message *message);
MUST_USE bool fetch_message_structure(struct fetch_message *message);
/* The header fields that the cache keeps, as they stand in the file; until fetch_message_end or the cache's flush. */
MUST_USE bool fetch_message_fields(struct fetch_message *message, struct str *fields);
/* Appends them out of a header, with more behind it perhaps. Pure. */
void fetch_append_kept_fields(struct buf *fields, struct str header);
/* The cache shall keep them. */
void fetch_message_keep_fields(struct imap_session *session, uint32_t uid, struct str fields);
/* Whether EMAILID is this. */
bool fetch_email_id_is(struct fetch_message *message, struct str id);
/* Whether the cache keeps a field of that name. */
bool fetch_field_is_kept(struct str name);

#endif
