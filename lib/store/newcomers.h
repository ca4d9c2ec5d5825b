/* newcomers: the messages that a scan of a folder meets and nobody knows: what their names say, in which order they get
 * UIDs, and their records. A file is looked at only if the directory does not say that it is one: its date, and its
 * size where the name does not say it, are had when somebody asks for them. */
#ifndef TERN_NEWCOMERS_H
#define TERN_NEWCOMERS_H

#include "folder_file.h"
#include "folder_import.h"

struct newcomer;
struct newcomers {
    const struct folder_import *import; /* what another program knew, or NULL; borrowed */
    struct arena *arena;                /* of names; made by who makes this, freed with it */
    struct newcomer *all;
    size_t count, room;
};
/* Reads them off in the order in which they get UIDs. */
struct newcomer_reader {
    const struct newcomers *newcomers;
    struct newcomer_key *keys;
    size_t at;
    bool added;        /* of the names that are one message, one has been read off */
    int directory;     /* of the folder */
    int64_t now;       /* seconds: their save date */
    uint32_t uid_next; /* of what is read off next */
};

/* regular: the directory says that it is a file. */
void newcomers_add(struct newcomers *newcomers, struct str base, struct str info, enum folder_place place,
                   bool regular);
void newcomers_free(struct newcomers *newcomers);
/* How many of them have names that settling would change. */
size_t newcomers_to_rename(const struct newcomers *newcomers);
void newcomers_read_begin(const struct newcomers *newcomers, int directory, int64_t now, uint32_t uid_next,
                          struct newcomer_reader *reader);
/* The next one's record, with its UID and without a modseq; the name is the arena's. False: there is none any more. */
MUST_USE bool newcomers_read(struct newcomer_reader *reader, struct folder_record *record);
void newcomers_read_end(struct newcomer_reader *reader);

#endif
