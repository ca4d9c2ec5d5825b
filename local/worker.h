/* worker: what a process that has become the recipient does.
 *
 * One call per step of a delivery (struct ipc_local_work), blocking, several at a
 * time on threads of one process. Everything a step needs is its arguments; what
 * came of it is a struct worked. Nothing here is called by the forker.
 *
 *   worker_run.c  the process: threads that take steps from the forker's socket
 *   worker.c      which step is what
 *   worker_lock.c the filter
 *   beneath.c     opening directories and files without following a link
 *   content.c     the message: prepended header, reading, the Delivered-To check
 *   maildir.c mbox.c forward.c command.c */
#ifndef TERN_LOCAL_WORKER_H
#define TERN_LOCAL_WORKER_H

#include "become_user.h"
#include "buf.h"
#include "config.h"
#include "delivery.h"
#include "ipc.h"

enum local_step {
    STEP_VIRTUAL = 0, /* the mailbox target, which lies beneath virtual_mailbox_base */
    STEP_USER = 1,    /* .forward if there is one, else the user's mailbox */
    STEP_FORWARD = 2, /* .forward if there is one, else nothing (a mailbox_command follows) */
    STEP_MAILBOX = 3, /* the user's mailbox */
    STEP_FILE = 4,    /* the file, or Maildir if it ends in /, target */
    STEP_INCLUDE = 5, /* read the list target */
    STEP_CHECK = 6,   /* only look for a loop */
    STEP_ACCOUNT = 8, /* the mailbox of an account, whose Maildir is target */
    STEP_QUOTA = 9,   /* whether content_length octets more fit there */
    STEP_MAKE = 10,   /* make the user's mailbox in mail_spool_directory, as one of its group */
    STEP_COMMAND = 7, /* the command target; by the command forker only */
};

/* What a step came to. Zeroed: nothing said yet. */
struct worked {
    unsigned action; /* enum delivery_action */
    char status[12];
    char text[900];
    bool expanded;
    struct buf members; /* packed rows of address_row */
    uint32_t member_count;
    bool more; /* members that did not fit: the next step begins after these */
    uint64_t list_version;
    bool unmade; /* no mailbox, and no right to make one */
};

/* Fills it; returns true for DELIVERY_DELIVERED. */
bool worked_set(struct worked *worked, enum delivery_action action, const char *status, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A system call failed: deferred, with the status code that fits the errno value. Returns false. */
bool worked_errno(struct worked *worked, int error_number, const char *format, ...) PRINTF_LIKE(3, 4);
void worked_free(struct worked *worked);

/* Does one step. file: the queue file, stays the caller's. */
void worker_step(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked);

/* ---- worker_run.c */
/* Serves the socket until the other end closes it. threads: at most. */
void worker_run(const struct config *config, int socket, unsigned threads);
#define WORK_PACKET_ROOM ((size_t)16384)
/* Receives a step; the packet's bytes go into packet (of WORK_PACKET_ROOM bytes). False at the end or on a fault. */
MUST_USE bool worker_receive(int socket, char *packet, struct ipc_local_work *work, uint32_t *serial, int *file);
/* Sends what came of it. */
bool worker_answer(int socket, uint32_t serial, const struct worked *worked);

/* ---- worker_lock.c */
/* No new privileges, and a filter that leaves what mailboxes need. */
MUST_USE bool worker_lock_in(struct failure *failure);

/* ---- beneath.c: paths relative to a directory descriptor, none of whose components may be a link */
/* Opens a directory; "" or "." is the directory itself. create: makes what is missing, mode 0700. -1 with errno. */
int beneath_directory(int directory, struct str path, bool create);
/* Opens the directory of an absolute path's last component; *name is that component. */
int beneath_parent(int directory, struct str path, bool create, struct str *name);
int beneath_open(int directory, const char *name, int flags, unsigned mode);

/* ---- content.c */
struct content {
    const struct ipc_local_work *work;
    int file;
    struct buf prefix; /* what stands before the content */
};
/* Return-Path, X-Original-To and Delivered-To lines into prefix, the last as prepend_delivered_header wants it
 * for the step. */
void content_make_prefix(struct content *content, const struct config *config);
/* Appends "From sender date" and LF, as an mbox has it. */
void content_append_from_line(struct buf *out, struct str sender, int64_t date);
enum content_result {
    CONTENT_WRITTEN,
    CONTENT_READ_FAILED,  /* of the queue file; errno says why */
    CONTENT_WRITE_FAILED, /* errno */
};
/* Prefix and content to a descriptor as they are. */
MUST_USE enum content_result content_write(const struct content *content, int to);
/* The same with lines "From " quoted by '>', one more LF at the end. */
MUST_USE enum content_result content_write_quoted(const struct content *content, int to);
enum content_loop {
    LOOP_NONE,
    LOOP_DELIVERED,  /* the header has Delivered-To: recipient */
    LOOP_HOPS,       /* it has more than hop_limit Received fields */
    LOOP_UNREADABLE, /* the file could not be read */
};
/* Whether the message has come round. */
MUST_USE enum content_loop content_look_for_loop(int file, uint64_t offset, uint64_t length, struct str recipient,
                                                 uint64_t hop_limit);
/* The same for bytes in memory; pure. */
MUST_USE enum content_loop header_look_for_loop(struct str bytes, struct str recipient, uint64_t hop_limit);

/* ---- maildir.c, mbox.c: true if the message is there, durably */
bool maildir_deliver(const struct config *config, const struct ipc_local_work *work, int file, int base,
                     struct str path, int64_t size_limit, struct worked *worked);
/* What a message is called in new/: the same at every attempt. */
void maildir_name(const struct ipc_local_work *work, struct str host, struct buf *name);
bool mbox_deliver(const struct config *config, const struct ipc_local_work *work, int file, int base, struct str path,
                  struct str locks, int64_t size_limit, const char *what, struct worked *worked);
/* An empty mailbox file of that name, if there is none. */
bool mbox_make(int directory, struct str name, struct worked *worked);

/* ---- account.c: the mailbox of an account, in lib/store's terms */
bool account_deliver(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked);
/* Whether it is full: delivered means that there is room. */
bool account_has_room(const struct config *config, const struct ipc_local_work *work, struct worked *worked);
/* ---- account_quota.c: what the mailboxes of this process's user have, counted now and then */
struct store;
struct quota_claim {
    uint64_t octets; /* that were claimed */
    uint64_t octets_before, messages_before;
    bool made;
    int lock; /* near a limit: nobody else saves until quota_end */
};
/* Claims room for a message (messages 0: only asks). False: worked says why. */
bool quota_claim(const struct config *config, const struct ipc_local_work *work, struct store *store, uint64_t octets,
                 unsigned messages, struct quota_claim *claim, struct worked *worked);
void quota_end(struct quota_claim *claim);
/* The message did not come to lie there. */
void quota_release(const struct ipc_local_work *work, const struct quota_claim *claim);
/* It did: says it where that crosses one of mail_quota_warnings. */
void quota_warn(const struct config *config, const struct ipc_local_work *work, struct store *store,
                const struct quota_claim *claim);

/* ---- account_seen.c: what a mailbox has got lately, in its file tern-delivered */
struct seen {
    int file; /* locked until seen_end; -1: nothing is remembered */
    uint8_t digest[16];
};
/* True if the message is one of them. Others wait with theirs until seen_end, so that of two at the same time one is
 * stored. */
bool seen_before(const struct config *config, const struct ipc_local_work *work, int file, int directory, struct seen *seen);
/* Remembers it. That it cannot is no reason to do anything. */
void seen_note(const struct seen *seen);
void seen_end(struct seen *seen);

/* ---- forward.c */
enum forward_result {
    FORWARD_NONE,
    FORWARD_MEMBERS, /* worked->members */
    FORWARD_FAILED,  /* worked says why */
};
enum forward_result forward_read(const struct config *config, const struct ipc_local_work *work, struct worked *worked);
/* Reads an :include: file, from members_before on. True: members. */
bool include_read(const struct ipc_local_work *work, struct worked *worked);
/* Puts $name and ${name} of a delivery into a template, each value filtered. Also ${name?{text}} forms are
 * reduced to ${name?text} and ${name:text}. */
bool expand_template(struct str template, const struct ipc_local_work *work, const struct config *config,
                     struct str filter, struct buf *out);

/* ---- command.c */
/* Runs the command line as the present user and tells what came of it. */
bool command_deliver(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked);
/* What a command's exit status means (sysexits.h); output is what it printed. */
void command_judge(struct str command, int wait_status, struct str output, struct worked *worked);

#endif
