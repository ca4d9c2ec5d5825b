/* folder: one mailbox, opened: its messages, what has changed, and changing them.
 *
 * A struct folder is a client's view. Sequence numbers stand still until
 * folder_sync, which tells what has changed since; so a session needs no locks
 * and no copies of its own.
 *
 * Truth is in the folder's own directory: the files of messages, and tern-mailbox:
 * a snapshot, mapped, and behind it the journal, what has changed since, appended
 * under the lock. Flags are written to the journal first and then into
 * the file's name; a name that says something else than what we last gave it was
 * changed by another program, and counts. Opening reads the snapshot's header
 * and the journal; it reads a directory only if its date says that somebody
 * else changed it. tern-folder(5) describes the files.
 *
 * There is no folder.c: this is the contract, and folder_view.c, folder_message.c, folder_save.c ... keep it, each a
 * part (CONTRIBUTING.md has their floors). */
#ifndef TERN_FOLDER_H
#define TERN_FOLDER_H

#include "store.h"
#include "uid_set.h"

#define FOLDER_KEYWORDS_MAX 64 /* a folder's */
#define FOLDER_KEYWORD_LENGTH 100
/* An internal date that nobody has asked for yet: that of the file. */
#define FOLDER_DATE_UNKNOWN INT64_MIN
#define FOLDER_SIZE_UNKNOWN UINT64_MAX /* the same of a file's size */

enum message_flag {
    FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16,
    FLAG_FORWARDED = 32, /* Maildir's P; $Forwarded to IMAP */
    FLAG_RECENT = 64,    /* told to this session first; never stored */
};

struct message_flags {
    unsigned system;   /* set of enum message_flag */
    uint64_t keywords; /* bits by the folder's keyword table */
};

struct folder_message {
    uint32_t uid;
    struct message_flags flags;
    uint64_t modseq;
    int64_t internal_date, save_date; /* seconds; save_date 0: not known */
    uint64_t size;         /* of the file */
    uint64_t virtual_size; /* with CR LF line ends: RFC822.SIZE; 0: not counted yet (folder_virtual_size counts) */
};

struct folder;

enum folder_open_mode { FOLDER_READ_ONLY, FOLDER_READ_WRITE };

/* Opens and synchronises. *result STORE_OK or why not. */
struct folder *folder_open(struct store *store, struct str name, enum folder_open_mode mode, enum store_result *result,
                           struct failure *failure);
void folder_close(struct folder **folder);
/* Whether folder_open will take so long that whoever waits should hear something before: nobody has read the folder
 * yet, and there is much in it. False also where that cannot be told. */
bool folder_is_first_look(struct store *store, struct str name);

/* ---- looking: all of the view, none reads the directory unless it says so */

uint32_t folder_uid_validity(const struct folder *folder);
uint32_t folder_uid_next(const struct folder *folder);
uint64_t folder_highest_modseq(const struct folder *folder);
const uint8_t *folder_id(const struct folder *folder);   /* 16 octets, for ever: OBJECTID MAILBOXID and the cache */
struct str folder_name(const struct folder *folder);
bool folder_is_read_only(const struct folder *folder);
uint32_t folder_count(const struct folder *folder); /* EXISTS */
uint32_t folder_recent(const struct folder *folder);
uint32_t folder_first_unseen(const struct folder *folder); /* sequence number, 0: none */
/* sequence 1..count. Touches the file if nobody has asked for its date or size yet; folder_message_known does not, and
 * may say FOLDER_DATE_UNKNOWN and FOLDER_SIZE_UNKNOWN: for who does not want them. */
void folder_message(const struct folder *folder, uint32_t sequence, struct folder_message *message);
void folder_message_known(const struct folder *folder, uint32_t sequence, struct folder_message *message);
uint32_t folder_uid(const struct folder *folder, uint32_t sequence);
/* How many messages from a sequence number on have UIDs that follow one another. */
uint32_t folder_uid_run(const struct folder *folder, uint32_t sequence);
/* The UIDs of `count` messages from a sequence number on. */
void folder_uids(const struct folder *folder, uint32_t sequence, uint32_t count, uint32_t *uids);
/* The sequence number of a UID; 0 if there is no such message in the view. */
uint32_t folder_sequence(const struct folder *folder, uint32_t uid);
/* The first sequence number whose UID is at least uid; count + 1 if there is none. */
uint32_t folder_sequence_from(const struct folder *folder, uint32_t uid);
/* The name of a keyword's bit; empty if the bit is free. keyword_bit: -1 if there is none of that name (no case). */
struct str folder_keyword(const struct folder *folder, unsigned bit);
int folder_keyword_bit(const struct folder *folder, struct str name);
unsigned folder_keyword_count(const struct folder *folder);
/* Whether there are others than those that folder_sync, or this, has told of last. */
bool folder_has_new_keywords(struct folder *folder);
/* UIDs expunged after a modseq (RFC 7162). False if that is not known any more (then every UID that is
 * not there counts as expunged). */
MUST_USE bool folder_expunged_since(const struct folder *folder, uint64_t modseq, struct uid_set *uids);
/* The open file of a message, read-only, or -1: *result STORE_MISSING if another program has removed it. */
int folder_message_file(struct folder *folder, uint32_t sequence, enum store_result *result, struct failure *failure);
/* Appends the name of a message's file, without folder and flags. */
void folder_file_name(const struct folder *folder, uint32_t sequence, struct buf *name);
/* Appends where the file should be, beneath the folder's directory; and that directory's descriptor, which stays the
 * folder's. For who opens it elsewhere: what cannot be opened so folder_message_file may still find. */
void folder_file_path(const struct folder *folder, uint32_t sequence, struct buf *path);
int folder_descriptor(const struct folder *folder);
/* Counts the CR LF size if it is not known, and remembers it. */
MUST_USE bool folder_virtual_size(struct folder *folder, uint32_t sequence, uint64_t *size, struct failure *failure);
/* Counts all of them that are not known, with the store's threads, and remembers them. */
MUST_USE enum store_result folder_count_all(struct folder *folder, struct failure *failure);
/* The same size, where the caller has counted it for other reasons: it is remembered. */
void folder_note_virtual_size(struct folder *folder, uint32_t uid, uint64_t size);
/* The date and the size of a file, where the caller has looked at it for other reasons; the date may be unknown. */
void folder_note_look(struct folder *folder, uint32_t uid, int64_t date, uint64_t size);

struct folder_status { /* STATUS, without opening a view where the files can say it */
    uint32_t messages, recent, unseen, deleted, uid_next, uid_validity;
    uint64_t highest_modseq, size, deleted_size;
    uint8_t id[16];
};
/* sizes: size and deleted_size are wanted, for which files may have to be looked at, or read. */
MUST_USE enum store_result folder_status(struct store *store, struct str name, bool sizes, struct folder_status *status,
                                         struct failure *failure);

/* ---- synchronising */

struct folder_changes {
    uint32_t *expunged;      /* sequence numbers in the order in which to tell them, each as those before leave it */
    size_t expunged_count;
    struct uid_set expunged_uids;
    uint32_t *changed;       /* sequence numbers (after expunging) whose flags or modseq changed */
    size_t changed_count;
    bool grew;               /* more messages, or recent ones */
    bool keywords_changed;   /* FLAGS is to be told again */
    bool renewed;            /* UIDVALIDITY changed: the view is of no use, the client has to go */
};
/* Brings the view up to date with the journal, and with the directories if their dates say so. keep_expunged: no
 * sequence number may change now (FETCH, STORE, SEARCH): expunged messages stay in the view until the next time.
 * changes is for folder_changes_free; NULL: not wanted. */
MUST_USE enum store_result folder_sync(struct folder *folder, bool keep_expunged, struct folder_changes *changes,
                                       struct failure *failure);
void folder_changes_free(struct folder_changes *changes);
/* Reads the directories again whatever their dates say. UIDs, flags and keywords stay. */
MUST_USE enum store_result folder_read_again(struct folder *folder, struct failure *failure);
#define FOLDER_WATCHES 3
/* inotify: adds what has to be watched for this folder; any event means "call folder_sync". The watches' numbers. */
MUST_USE bool folder_watch(struct folder *folder, int inotify, int watches[FOLDER_WATCHES], struct failure *failure);

/* A view of the past: as a client knew the folder that has seen everything up to a modseq and UIDNEXT. The first
 * folder_sync then tells all that has happened since. False: not to be had any more. */
MUST_USE bool folder_restore_view(struct folder *folder, uint32_t uid_validity, uint32_t uid_next, uint64_t modseq);

/* UIDs that are \Recent in this session: from, up to but without to. For a view that another process goes on with. */
void folder_recent_range(const struct folder *folder, uint32_t *from, uint32_t *to);
void folder_set_recent_range(struct folder *folder, uint32_t from, uint32_t to);

/* ---- changing */

enum flags_change { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };
/* What becomes of messages' flags. */
struct flags_wish {
    enum flags_change change;
    unsigned system;            /* FLAG_SEEN ... */
    const struct str *keywords; /* their names, borrowed */
    size_t keyword_count;
    uint64_t unchanged_since; /* 0: no matter; else messages with a higher modseq are left alone */
};
/* For the messages of a set of UIDs. Those left alone for their modseq get into *modified, those that really changed
 * into *changed (UIDs; both may be NULL). New modseqs are in the view at once, new keywords get bits (STORE_LIMIT:
 * there are too many). */
MUST_USE enum store_result folder_store(struct folder *folder, const struct uid_set *uids,
                                        const struct flags_wish *flags, struct uid_set *modified,
                                        struct uid_set *changed, struct failure *failure);
/* Expunges the \Deleted ones among uids (NULL: all). They leave the view at the next folder_sync. */
MUST_USE enum store_result folder_expunge(struct folder *folder, const struct uid_set *uids, struct failure *failure);

/* Expunges these, whatever their flags, by one entry of the journal. They leave the view at the next folder_sync; those
 * that are gone already do not matter. */
MUST_USE enum store_result folder_remove(struct folder *folder, const struct uid_set *uids, struct failure *failure);

/* Saving: begin, write, then commit one or several together: all are there whole and durable, with UIDs, or none is. */
struct folder_saving;
/* internal_date 0: now. The target folder need not be open: name. */
MUST_USE struct folder_saving *folder_save_begin(struct store *store, struct str name, enum store_result *result,
                                                 struct failure *failure);
/* Begins the next message; then its bytes come (CR LF is stored as LF). keywords as in folder_store. */
MUST_USE enum store_result folder_save_message(struct folder_saving *saving, unsigned system,
                                               const struct str *keywords, size_t keyword_count, int64_t internal_date,
                                               struct failure *failure);
MUST_USE enum store_result folder_save_bytes(struct folder_saving *saving, struct str bytes, struct failure *failure);
/* What is saved is new mail: it goes to new/, for other programs to see it as such. Before the commit. */
void folder_save_is_delivery(struct folder_saving *saving);
/* The messages get UIDs in their order: *uid_validity, *uids. Frees saving. */
MUST_USE enum store_result folder_save_commit(struct folder_saving **saving, uint32_t *uid_validity,
                                              struct uid_set *uids, struct failure *failure);
void folder_save_abandon(struct folder_saving **saving);
/* Copies messages of a view (by hard links; flags, keywords and dates go along). COPYUID: *from in the order of
 * *to. move: they leave the source as if expunged; no message is ever in neither. What is expunged already, though the
 * view still shows it, is not moved; copying all of them or none, STORE_GONE. */
MUST_USE enum store_result folder_copy(struct folder *folder, const struct uid_set *uids, struct str target, bool move,
                                       uint32_t *uid_validity, struct uid_set *from, struct uid_set *to,
                                       struct failure *failure);
/* Within about a second of the last change everything is on disk even after a power cut: call it when a second has
 * passed since, and before the process ends. Writes what was put off (file names, snapshot). */
MUST_USE bool folder_settle(struct folder *folder, struct failure *failure);
bool folder_is_unsettled(const struct folder *folder);

#endif
