/* folder_file: the bytes of tern-mailbox, the one file that holds a folder's truth
 * beside the messages themselves. Pure: encoding, decoding, bounds.
 *
 *   header      512 octets, FOLDER_HEADER_SIZE, with a sum
 *   keywords    names, each ended by a NUL, in the order of their bits (an empty one: the bit is free)
 *   expunged    rows of 16 octets: first UID, last UID, modseq; by rising modseq
 *   names       file names, one after the other
 *   records     64 octets a message, by rising UID
 *   journal     what has changed since: entries until the end of the file
 *
 * All numbers are little-endian. Up to the journal the file never changes: it is written whole, synced and
 * renamed into its place. Entries are appended under the folder's lock; each has a sum, and one that is torn ends
 * the journal (its writer told nobody). A file that is no longer linked has been replaced: open it anew. */
#ifndef TERN_FOLDER_FILE_H
#define TERN_FOLDER_FILE_H

#include "buf.h"
#include "compiler.h"
#include "folder.h"
#include "str.h"

#define FOLDER_FILE "tern-mailbox"

#define FOLDER_HEADER_SIZE 512
#define FOLDER_RECORD_SIZE 64
#define FOLDER_EXPUNGED_SIZE 16
#define FOLDER_NAME_MAX    255

/* When a directory was last read, and what its date was then. */
struct folder_date {
    int64_t seconds;
    uint32_t nanoseconds;
    int64_t read_at; /* microseconds: when the reading began; 0: never */
};

struct folder_header {
    uint8_t id[16];
    uint32_t uid_validity, uid_next, recent_from; /* UIDs from recent_from on were told to nobody as \Recent */
    uint64_t highest_modseq;
    uint64_t expunged_floor; /* expunges after this modseq are all in the list */
    uint32_t count, unseen, deleted, first_unseen; /* index of a record, count if there is none */
    uint64_t size, deleted_size;                   /* of the files whose size is known */
    uint64_t virtual_size;                         /* of those that are counted */
    uint32_t uncounted;                            /* messages whose virtual size is not known */
    uint32_t unsized;                              /* messages whose file's size is not known */
    struct folder_date cur, new;
    int64_t read_whole; /* seconds: when cur/ was last really read */
    uint64_t keywords_length, expunged_count, names_length; /* octets, rows, octets */
};

enum folder_place { PLACE_NEW = 0, PLACE_CUR = 1 };

struct folder_record {
    uint32_t uid;
    uint8_t system;     /* flags that count */
    uint8_t name_flags; /* flags that the file's name was last given */
    uint8_t place;      /* enum folder_place */
    uint64_t keywords, modseq;
    int64_t internal_date, save_date; /* internal_date: may be FOLDER_DATE_UNKNOWN */
    uint64_t size, virtual_size;      /* size: may be FOLDER_SIZE_UNKNOWN */
    struct str
        name; /* without the part from ':' on; or with it after a NUL where that part is not what we would write */
};

/* Offsets that follow from the header. */
uint64_t folder_expunged_offset(const struct folder_header *header);
uint64_t folder_names_offset(const struct folder_header *header);
uint64_t folder_records_offset(const struct folder_header *header);
uint64_t folder_journal_offset(const struct folder_header *header);

void folder_header_encode(const struct folder_header *header, uint8_t bytes[FOLDER_HEADER_SIZE]);
/* False: no header, damaged, or of a version to come. file_size: the sections must lie within it. */
MUST_USE bool folder_header_decode(struct str bytes, uint64_t file_size, struct folder_header *header);
/* name_offset: of the name within names. */
void folder_record_encode(const struct folder_record *record, uint64_t name_offset, uint8_t bytes[FOLDER_RECORD_SIZE]);
/* names: the section; the record's name borrows from it. Never fails: what does not fit becomes an empty name. */
void folder_record_decode(const uint8_t bytes[FOLDER_RECORD_SIZE], struct str names, struct folder_record *record);
/* The record's UID alone, for searching. */
uint32_t folder_record_uid(const uint8_t bytes[FOLDER_RECORD_SIZE]);

/* ---- the journal */

enum journal_type {
    JOURNAL_ADD = 1,     /* record: a message */
    JOURNAL_FLAGS = 2,   /* change, system, keywords, modseq, uids */
    JOURNAL_NAMED = 3,   /* place, name_flags, uids: what the files are called now */
    JOURNAL_EXPUNGE = 4, /* modseq, uids: gone for clients; the files are about to be removed */
    JOURNAL_REMOVED = 5, /* uids: the files are removed */
    JOURNAL_KEYWORD = 6, /* bit, name */
    JOURNAL_DATES = 7,   /* cur, new, read_whole */
    JOURNAL_SIZES = 8,   /* rows: UID and virtual size */
    JOURNAL_NUMBERS = 9, /* uid_next, recent_from, highest_modseq, when they are more than the rest says */
    JOURNAL_LOOKS = 10,  /* rows: UID, internal date and size of a file: somebody has looked at it */
};

struct journal_entry {
    enum journal_type type;
    struct folder_record record; /* ADD */
    uint8_t change;              /* FLAGS: enum flags_change */
    uint8_t system, name_flags, place, bit;
    uint64_t keywords, modseq;
    struct str name;   /* KEYWORD */
    struct str ranges; /* packed (first, last): journal_range */
    struct str rows;   /* SIZES, LOOKS: packed, journal_size and journal_look */
    struct folder_date cur, new;
    int64_t read_whole;
    uint32_t uid_next, recent_from;
};

/* Appends the entry. uids: for the types that have them. */
void journal_append(struct buf *bytes, const struct journal_entry *entry, const struct uid_set *uids);
void journal_append_size(struct buf *rows, uint32_t uid, uint64_t virtual_size);
void journal_append_look(struct buf *rows, uint32_t uid, int64_t date, uint64_t size);
/* The next entry at *offset; false at the end or at an entry that is torn or unknown (*offset stands before it). */
MUST_USE bool journal_next(struct str bytes, size_t *offset, struct journal_entry *entry);
/* Whether an entry is to be found anywhere behind an offset at which there is none: then what stands there is not the
 * end that a writer left who died, but damage, and what comes behind it was promised. */
MUST_USE bool journal_goes_on(struct str bytes, size_t offset);
/* Iteration over ranges and rows. */
bool journal_range(struct str ranges, size_t *offset, struct uid_range *range);
bool journal_size(struct str rows, size_t *offset, uint32_t *uid, uint64_t *virtual_size);
bool journal_look(struct str rows, size_t *offset, uint32_t *uid, int64_t *date, uint64_t *size);

#endif
