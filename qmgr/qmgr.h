/* qmgr: the queue manager's structures, by lifetime, and what its files offer each other.
 *
 *   message      one queue file taken up (active): its envelope, its descriptors, its jobs
 *   job          a message's recipients for one destination, in order
 *   destination  (transport, nexthop): a window of concurrent deliveries, senders in turn
 *   transport    a service that delivers; destinations in turn
 *
 * Who is next: transports independently; within a transport the destinations with
 * work and a free place in their window, in turn; within a destination the priorities
 * (MT-PRIORITY), by weight; within a priority the senders, in turn; within a sender the
 * jobs, in order. A turn is one delivery of at most destination_recipient_limit
 * recipients, so a bulk job gives way after each.
 *
 * Three steps of priority double a weight. Each priority that has work comes to its
 * turns: nothing that is more urgent starves it. */
#ifndef TERN_QMGR_H
#define TERN_QMGR_H

#include "delivery.h"
#include "directory_sync.h"
#include "hash.h"
#include "ipc.h"
#include "permission.h"
#include "queue_file.h"
#include "queue_id.h"
#include "resolve.h"
#include "schedule.h"
#include "service.h"

#define FAULT_PAUSE 10000 /* ms until what a local fault kept from us is looked at again */

struct direct;
struct incoming;
struct message;
struct job;
struct destination;
struct transport;

struct incoming_line {
    struct incoming *first, *last;
    size_t count;
};

/* Jobs of one envelope sender, and one priority, at one destination. */
struct sender_line {
    struct sender_line *next, *previous; /* the priority's ring */
    char *key;                           /* in the destination's map */
    uint8_t band;
    struct job *first, *last;
};

/* Senders of one priority at one destination. */
struct band {
    struct sender_line *turn; /* ring; NULL: no work */
    uint64_t pass;            /* goes up with each turn, the less the higher the priority: the lowest is next */
};

struct destination {
    struct transport *transport;
    char *name;    /* among the transport's; the next hop, or a recipient there */
    char *nexthop; /* as the agent gets it */
    struct band bands[PRIORITY_COUNT]; /* by priority from -9 */
    uint64_t pass;                     /* of the last turn: where a band begins that gets work anew */
    struct map *senders;               /* priority and sender to sender_line */
    unsigned in_flight;
    double window;                 /* deliveries at once, with feedback */
    double success, failure_count; /* feedback gathered since the window last moved */
    unsigned failed_cohorts;
    deadline dead_until; /* 0: alive */
    char *dead_reason;
    bool ready; /* in the transport's ring */
    struct destination *next, *previous;
    size_t jobs;
    unsigned holds; /* messages being resolved that mean to queue jobs here */
    /* IDs of new messages that came while it was crowded */
    struct incoming_line parked;
    bool ripe; /* in qmgr's list: it is not so crowded any more */
    struct destination *next_ripe;
    double pace;    /* ms that a delivery takes, smoothed; 0: not known */
};

struct transport {
    struct qmgr *qmgr;
    char *name;
    struct ipc_client *client; /* NULL: error, retry, discard, which qmgr serves itself */
    struct map *destinations;
    struct destination *turn; /* ring of those ready */
    unsigned in_flight, limit;
    unsigned concurrency_limit, recipient_limit, initial_concurrency, cohort_limit;
    bool deferred; /* named in defer_transports */
    double pace;   /* ms that a delivery takes, smoothed; 0: not known */
};

struct job {
    struct message *message;
    struct destination *destination;
    struct sender_line *line;
    struct job *next, *previous; /* in the line */
    struct job *sibling;         /* in the message */
    size_t *indexes;             /* recipient numbers */
    size_t count, room, taken;
};

struct message {
    struct qmgr *qmgr;
    char queue_id[QUEUE_ID_SIZE];
    struct arena *arena;
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    int file;                /* read and write: events are appended here; -1 while it is not in the queue */
    int shared;              /* what agents get: read-only, or a sealed memory file */
    uint64_t content_offset; /* in shared */
    int memory;              /* what shared was before the message came into the queue, while deliveries that
                              * began with it go on; else -1 */
    unsigned memory_users;
    struct direct *direct; /* NULL once it is in the queue */
    void (*direct_finish)(struct message *message); /* while it is not, this is told at the end of the pass */
    bool deferred;         /* stands in cur/, else in new/ */
    bool held;             /* the pass has ended in hold/ */
    bool crowded_out;      /* not in the queue yet, and its destinations are crowded */
    bool perhaps_delivered;
    bool unsynced;     /* events were appended and not synced */
    bool tried;        /* some recipient was answered "later" in this pass */
    bool unnoted;      /* an outcome could not be written down: it must be before the message is let go */
    int64_t activated; /* microseconds */
    struct job *jobs;
    size_t unfinished; /* jobs' recipients not yet answered, and deliveries under way; 0 before the jobs
                        * are in line and after the last answer */
    /* operators' wishes, obeyed when the pass ends */
    bool wish_delete, wish_hold, wish_expire, wish_requeue;
    unsigned wishes; /* how many came */
};

struct qmgr {
    struct service *service;
    const struct config *config;
    struct resolve *resolve;
    struct ipc_client *bounce;
    struct intake_source *intake;
    struct logins *logins;
    struct permission may_list, may_flush;
    int queue, new, cur, hold, corrupt;
    struct directory_sync syncs[4]; /* of new, cur, hold, corrupt */
    struct schedule *schedule;
    struct map *active;  /* queue ID to message */
    struct map *leaving; /* queue IDs whose files are being removed or requeued: nobody else may touch them */
    struct map *transports;
    size_t active_recipients;
    /* incoming: IDs told by cleanup or found by a scan, in order; bounded */
    struct incoming_line incoming;
    struct incoming_line large;                     /* those with so many recipients that there was no room for them */
    struct destination *ripe; /* those with messages that are parked, and room for them */
    size_t parked_count;
    struct map *incoming_ids;                       /* the IDs that are noted in either */
    bool incoming_overflow;                         /* more stand in new/ than were noted: scan again */
    deadline next_scan;                             /* not before */
    struct task_queue incoming_wait, deferred_wait; /* for something to arrive, or room; to be due, or room */
    deadline starting;                              /* until then new/ is scanned again and again */
    /* what is due: where the walk stands that ran out of room, and when to look next */
    int64_t due_position, due_at; /* seconds */
    char due_id[24];
    deadline next_misdated; /* dates beyond any wait are looked for again, not before */
    bool due_waits;         /* for room */
    bool flush_locked_met;  /* the same, by the walk of a flush */
    bool locked_met;        /* a draining predecessor still has something: look again soon */
    bool fault_met;         /* a local fault kept something from us: look again in FAULT_PAUSE */
    /* flush: everything scheduled up to here is due now */
    int64_t flush_position;
    char flush_id[24];
    bool flush_all;
    unsigned flush_rounds; /* walks over the index that met something locked */
    bool flush_waits;      /* for the next of them */
    deadline flush_next;   /* when it is due */
    int64_t flush_started; /* microseconds */
    char flush_site[256];
    /* removals gather for one helper call */
    struct removal *removals;
    struct removal *stuck_removals; /* to be tried again at that moment */
    deadline stuck_until;
    bool removing;
    bool index_broken;     /* to be made anew */
    deadline next_rebuild; /* not before */
    bool rebuilding;
    int index_lock; /* on the folder of the index: one qmgr at a time has it */
    bool draining;  /* the successor has the queue; only what is in flight is ended here */
    bool stopping;  /* and that has to be soon */
    char boot_identity[64];
};

/* incoming.c: what arrives */
struct incoming {
    struct incoming *next;
    char queue_id[QUEUE_ID_SIZE];
    int file;
    bool recovered;
};
/* file: the queue file, open and locked, which becomes ours; -1: to be opened by its name. recovered: see
 * message_activate. */
void incoming_note(struct qmgr *qmgr, struct str queue_id, int file, bool recovered);
/* A message that waits here is to be changed: the descriptor that came with it is closed, and its lock gone. */
void incoming_let_go(struct qmgr *qmgr, struct str queue_id);
bool incoming_scan(struct qmgr *qmgr);
/* Scans new/ again, but not before milliseconds have passed. */
void incoming_again(struct qmgr *qmgr, int64_t milliseconds);
/* Scans new/ if there is a reason to, and it is time. */
void incoming_look(struct qmgr *qmgr);
/* The next of those that wait here for which there may be room; NULL: none. The caller frees it. */
struct incoming *incoming_take(struct qmgr *qmgr);
/* A message that was taken up, and has more recipients than there is room for, waits here on. The descriptor becomes
 * ours. */
void incoming_put_by(struct qmgr *qmgr, struct str queue_id, int file, bool recovered);
/* A message all of whose destinations are crowded waits at this one. */
void incoming_park(struct qmgr *qmgr, struct destination *destination, struct str queue_id, bool recovered);
/* All that wait here are the successor's: their descriptors are closed, and the locks gone. */
void incoming_let_go_all(struct qmgr *qmgr);

/* take_up.c: who is taken up next */
void incoming_task(void *qmgr);
void deferred_task(void *qmgr);

/* activate.c: taking up */
/* Opens, reads, resolves and queues for delivery. file: as in incoming_note. deferred: from cur/. recovered: not fresh
 * from cleanup, so its content is checked, and an earlier attempt may have got through. flushed: even if its time has
 * not come. */
void message_activate(struct qmgr *qmgr, struct str queue_id, int file, bool deferred, bool recovered, bool flushed);
/* Logs, resolves the recipients, and puts them in line. The message may be gone, or waiting for its file, when
 * this returns. */
void message_begin(struct message *message);

/* message.c: what is known of a message, and written down about it */
/* For one more message, however many recipients it has. */
bool qmgr_has_room(const struct qmgr *qmgr, bool for_deferred);
/* For one more new message, if it has few recipients (qmgr_message_recipient_minimum). */
bool qmgr_has_room_for_small(const struct qmgr *qmgr);
/* For the recipients of a new message. */
bool qmgr_has_room_for(const struct qmgr *qmgr, size_t recipient_count);
/* Notes an operator's wish, which the end of the pass obeys, and message_cancel_jobs hastens. False: it cannot be had. */
bool message_wish(struct message *message, enum queue_change change);
/* A message in the making: in the map of the active ones, and nothing else. */
struct message *message_create(struct qmgr *qmgr, struct str queue_id);
void message_free(struct message **message);
/* A delivery that began with the memory file has ended. */
void message_memory_unused(struct message *message);
/* Appends an event; the file is synced when the pass ends. False and logged on a local fault. */
bool message_event(struct message *message, const struct queue_event *event);
/* Writes a recipient's state down. */
void message_note(struct message *message, size_t index);
/* What is owed to a recipient after this outcome: an enum queue_recipient_state. */
unsigned message_state_after(const struct message *message, const struct queue_recipient *recipient, unsigned action);
/* Nothing of it is delivered, tried again or bounced; its report is all that comes of it. */
bool message_is_probe(const struct message *message);
/* A report was asked for, there is somebody to send it to, and it has not been sent. */
bool message_owes_report(const struct message *message);
/* Seconds: the date from which its age counts. */
int64_t message_begun(const struct message *message);
/* DELIVERBY's time is over, and it is to be returned. */
bool message_is_out_of_time(const struct message *message, int64_t now);
/* A notice to the postmaster, of our own making: what fails with it is told to nobody. */
bool message_is_postmaster_notice(const struct message *message);
/* Marks a recipient's outcome in memory and file. */
void message_outcome(struct message *message, const struct ipc_outcome *said);

/* destination.c: windows and turns */
struct delivery {
    struct message *message;
    struct destination *destination;
    size_t *indexes;
    size_t count;
    bool from_memory; /* began before the message had a queue file */
};
struct transport *transport_find(struct qmgr *qmgr, struct str name);
/* By its name; made with that next hop if it is not there. */
struct destination *destination_find(struct transport *transport, struct str name, struct str nexthop);
void destination_add_job(struct destination *destination, struct job *job);
void destination_remove_job(struct destination *destination, struct job *job);
void destination_succeeded(struct destination *destination);
/* True: it is dead now, and what waits there is to be settled. */
MUST_USE bool destination_failed(struct destination *destination, struct str reason);
/* The job whose turn it is; NULL: none waits. */
struct job *destination_next_job(struct destination *destination);
bool destination_is_dead(const struct destination *destination);
/* So much waits here and is under way that what is new must wait outside, lest there be no room for anybody else's. */
bool destination_is_crowded(const struct destination *destination);
/* How long a message that comes now would wait here for its delivery's end, in ms, as far as can be told. */
double destination_outlook(const struct destination *destination);
/* Takes note of how long a delivery took, in ms. */
void destination_took(struct destination *destination, int64_t milliseconds);
/* A delivery's place is free again; may free the destination. */
void destination_delivery_ended(struct destination *destination);
/* The same for one that did not start; frees nothing and starts nothing. */
void destination_place_freed(struct destination *destination);
/* Forgets destinations that nothing waits for. */
void destinations_sweep(struct qmgr *qmgr);
/* The next delivery, which has its place in the windows from here on. False: there is none, or no room for it. */
MUST_USE bool transport_next(struct transport *transport, struct delivery *delivery);

/* deliver.c: deliveries */
/* Starts as many as windows allow. */
void transport_dispatch(struct transport *transport);

/* direct.c: delivery ahead of the queue */
void control_direct(struct ipc_request *request, struct qmgr *qmgr);
void control_forget(struct ipc_request *request, struct qmgr *qmgr);
/* A message that cleanup was told to store is in new/: it goes on as any other. True if it was one of these; the
 * descriptor is then taken. */
bool direct_adopt(struct ipc_request *request, struct qmgr *qmgr);

/* finish.c: when every recipient of this pass is answered */
void message_finish(struct message *message);

/* deferred.c: the next attempt */
int64_t next_attempt_after(const struct config *config, int64_t arrival, int64_t now);
/* Waits for a predecessor to let go of the index. */
bool deferred_open(struct qmgr *qmgr, struct failure *failure);
void deferred_close(struct qmgr *qmgr);
/* After an error nothing that stands in the index can be relied on: it is made anew. */
void deferred_repair(struct qmgr *qmgr);
/* Writes down what has changed in the index. */
void deferred_commit(struct qmgr *qmgr);
/* ---- of an entry: is one of its recipients there (or may be, if there are many)? */
bool deferred_is_for_site(struct str sites, const char *site);
/* The sender wishes that it waits. */
bool deferred_is_for_release(struct str sites);
/* When its last attempt began; microseconds. */
int64_t deferred_last_attempt(struct str sites);
bool deferred_put(struct qmgr *qmgr, struct message *message, int64_t when);
void deferred_forget(struct qmgr *qmgr, struct str queue_id);

/* list.c */
void control_list(struct ipc_request *request, struct qmgr *qmgr);

/* change.c: operators' wishes */
void control_flush(struct ipc_request *request, struct qmgr *qmgr);
void control_change(struct ipc_request *request, struct qmgr *qmgr);
/* Takes what is not yet under way out of the line; the pass then ends early. */
void message_cancel_jobs(struct message *message);
/* The same for all. */
void messages_cut_short(struct qmgr *qmgr);
/* The messages on hold that an account has sent; how many it met. Waits. */
uint64_t change_held_of_login(struct qmgr *qmgr, struct str login, enum queue_change change);

/* change_at_rest.c: the same for a message that is not under way. False: there is none, or it cannot be changed so. */
bool change_at_rest(struct qmgr *qmgr, const char *name, enum queue_change change);

/* requeue.c */
/* Sends a message once more through cleanup, under a new ID, with the recipients it came
 * with, and removes the old one. */
bool queue_requeue(struct qmgr *qmgr, int folder, struct str queue_id);

/* move.c */
/* Moves a message; durable when it returns. False: it stands where it stood. Waits, so the caller
 * must have the message in active or in leaving. */
MUST_USE bool queue_move(struct qmgr *qmgr, int from, int to, const char *name, int *error_number);
/* After a crash in the middle of a move: true if the message stands in a folder that counts more;
 * its name in this one is then removed. */
bool queue_has_other_name(struct qmgr *qmgr, int folder, const char *name);

/* remove.c */
/* file: the message's descriptor, which carries its lock; closed when the name is gone. */
void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id, int file);
/* Goes on with what could not be removed. */
void queue_remove_again(struct qmgr *qmgr);

#endif
