/* folder_state: what a folder's file says, in memory: the mapped snapshot and on top of it what the
 * journal changed. Messages have slots by rising UID; a slot stays when its message is expunged, so
 * that a view can go on counting it. */
#ifndef TERN_FOLDER_STATE_H
#define TERN_FOLDER_STATE_H

#include "folder_file.h"
#include "slot_set.h"

#define FOLDER_PAGE_SLOTS 256U /* records that are copied together when one of them changes */

struct folder_state {
    int file;           /* tern-mailbox */
    const uint8_t *map; /* the snapshot */
    size_t map_size;
    struct folder_header header; /* counts kept up to date while entries are applied, section lengths as in the file */
    struct str names;
    const uint8_t *records;
    uint32_t base;                /* slots in the snapshot */
    uint64_t position;            /* how far the journal was read */
    struct folder_record **pages; /* of snapshot slots: NULL, or what they have become */
    struct folder_record *tail;   /* slots from base on; names are owned */
    uint32_t tail_count, tail_room;
    struct arena *texts; /* names of the tail, keywords */
    struct str keywords[FOLDER_KEYWORDS_MAX];
    struct slot_set gone;     /* expunged */
    struct uid_set unremoved; /* expunged, files perhaps there */
    struct {
        uint32_t first, last;
        uint64_t modseq;
    } * expunged; /* since the snapshot */
    size_t expunged_count, expunged_room;
    uint32_t first_unseen_hint; /* no unseen slot is before it */
};

void folder_state_free(struct folder_state *state);

uint32_t folder_state_slots(const struct folder_state *state);
/* A copy; the name is borrowed from the state. */
void folder_state_get(const struct folder_state *state, uint32_t slot, struct folder_record *record);
uint32_t folder_state_uid(const struct folder_state *state, uint32_t slot);
/* For changing in place. */
struct folder_record *folder_state_edit(struct folder_state *state, uint32_t slot);
/* The first slot from `slot` on that may say something else than the snapshot (one behind all: there is none). */
uint32_t folder_state_next_changed(const struct folder_state *state, uint32_t slot);
/* The first slot whose UID is at least uid. */
uint32_t folder_state_slot_from(const struct folder_state *state, uint32_t uid);
/* The slot of a UID, expunged or not; UINT32_MAX if there is none. */
uint32_t folder_state_find(const struct folder_state *state, uint32_t uid);
/* One more than the highest bit that a keyword has. */
unsigned folder_state_keyword_count(const struct folder_state *state);

/* ---- what is gone */

/* A row of the snapshot's list of expunged UIDs. */
void folder_state_expunged_row(const struct folder_state *state, uint64_t row, struct uid_range *range,
                               uint64_t *modseq);
/* See folder_expunged_since (folder.h). */
MUST_USE bool folder_state_expunged_since(const struct folder_state *state, uint64_t modseq, struct uid_set *uids);
/* Puts messages that are no more into the state, as expunged ones, so that a view can go on counting them. All records
 * then stand in the tail. */
void folder_state_add_ghosts(struct folder_state *state, const struct uid_set *ghosts);

#endif
