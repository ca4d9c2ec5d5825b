/* IPC: how tern's processes talk.
 *
 * A connection is a UNIX SOCK_SEQPACKET socket; a packet is one message of the
 * table in ipc_messages.def, with the descriptors it is declared to carry and a
 * serial number that pairs an answer with its request. Many requests may be
 * under way on one connection. Decoding checks every bound; a peer that sends
 * what does not decode loses its connection, never our process.
 *
 * From the table: enum ipc_type (IPC_DELIVER ...), struct ipc_deliver ...,
 * and a description of each for the one encoder and decoder. */
#ifndef TERN_IPC_H
#define TERN_IPC_H

#include "buf.h"
#include "clock.h"
#include "compiler.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

#define IPC_PACKET_LIMIT ((size_t)180000)
#define IPC_DESCRIPTOR_LIMIT 1

/* Packed rows of one row type: iterate with ipc_list_next. */
struct ipc_list {
    struct str packed;
    uint32_t count;
};

/* ---- types made from the table */
#define TEXT(field, maximum, meaning) struct str field;
#define NUMBER(field, maximum, meaning) uint64_t field;
#define FLAG(field, meaning) bool field;
#define LIST(field, ROW_NAME, maximum, meaning) struct ipc_list field;
#define ROW(NAME, name, meaning, FIELDS) struct ipc_##name { FIELDS };
#define MESSAGE(NAME, name, descriptors, meaning, FIELDS) struct ipc_##name { FIELDS char empty_[0]; };
#include "ipc_messages.def"
#undef ROW
#undef MESSAGE
#undef TEXT
#undef NUMBER
#undef FLAG
#undef LIST

#define TEXT(field, maximum, meaning)
#define NUMBER(field, maximum, meaning)
#define FLAG(field, meaning)
#define LIST(field, ROW_NAME, maximum, meaning)
enum ipc_type {
    IPC_NOTHING = 0,
#define ROW(NAME, name, meaning, FIELDS)
#define MESSAGE(NAME, name, descriptors, meaning, FIELDS) IPC_##NAME,
#include "ipc_messages.def"
#undef MESSAGE
#undef ROW
    IPC_TYPE_COUNT
};
enum ipc_row_type {
#define MESSAGE(NAME, name, descriptors, meaning, FIELDS)
#define ROW(NAME, name, meaning, FIELDS) IPC_ROW_##NAME,
#include "ipc_messages.def"
#undef MESSAGE
#undef ROW
    IPC_ROW_COUNT
};
#undef TEXT
#undef NUMBER
#undef FLAG
#undef LIST

/* ---- packing; pure */

/* Appends the packed message (header and fields) to packet. message is the
 * struct of that type. False if a field breaks its bound. */
MUST_USE bool ipc_encode(enum ipc_type type, uint32_t serial, const void *message, struct buf *packet);
/* Reads a packet. *type and *serial first (ipc_peek), then the fields into
 * the struct of that type; texts and lists borrow from the packet. */
MUST_USE bool ipc_peek(struct str packet, enum ipc_type *type, uint32_t *serial);
MUST_USE bool ipc_decode(struct str packet, enum ipc_type type, void *message);
/* Adds a row to a list being built in rows; *count goes up. */
MUST_USE bool ipc_list_add(enum ipc_row_type type, const void *row, struct buf *rows, uint32_t *count);
/* The next row of a list: start with *offset 0. False at the end. Lists that came
 * through ipc_decode are well-formed; in others a bad row ends the list and sets *bad. */
MUST_USE bool ipc_list_next(struct ipc_list list, enum ipc_row_type type, size_t *offset, void *row, bool *bad);
/* Version text for HELLO: package version and digest of the message table. */
struct str ipc_version(void);
const char *ipc_type_name(enum ipc_type type);

/* ---- a connection with many requests under way; for tasks */

struct ipc_peer;

/* A message that came in. Borrowed until the handler returns; the arena is the
 * request's own. A descriptor not taken (set to -1) is closed after the handler. */
struct ipc_request {
    struct ipc_peer *peer;
    enum ipc_type type;
    uint32_t serial;
    const void *message;
    int descriptor; /* -1 if none */
    struct arena *arena;
};
typedef void ipc_handler(struct ipc_request *request, void *context);

/* Serves a connection: each request runs in a task of its own, through handler
 * (which answers with ipc_answer, at any time before it returns). Returns when
 * the peer has gone or the task is cancelled, after all handlers have ended.
 * at_once: most requests under way; more wait in the socket. An account that is neither root nor ours has one at once,
 * and few connections: one too many is closed. */
void ipc_serve(int descriptor, size_t at_once, ipc_handler *handler, void *context);
/* The same for whoever calls, and returns too when nothing came for idle_ms and nothing is under way; 0: never so. */
void ipc_serve_while_used(int descriptor, size_t at_once, int64_t idle_ms, ipc_handler *handler, void *context);
/* Answers a request. False if the peer is gone. descriptor -1: none. */
bool ipc_answer(struct ipc_request *request, enum ipc_type type, const void *message, int descriptor);
bool ipc_answer_failed(struct ipc_request *request, uint64_t reply_code, const char *status, const char *format, ...) PRINTF_LIKE(4, 5);
/* Sends without being asked, to the peer of a connection being served. */
bool ipc_notify(struct ipc_peer *peer, enum ipc_type type, const void *message);
/* HELLO's service name of the caller ("" for one that came by a public socket),
 * and the uid of the process at the other end. */
struct str ipc_peer_service(const struct ipc_peer *peer);
uint32_t ipc_peer_uid(const struct ipc_peer *peer);
/* Which program the caller runs, as master says; "" if it does not. Names of services are the administrator's: what is
 * for one program alone is asked by this. */
struct str ipc_peer_program(const struct ipc_peer *peer);
/* The same of a connected socket; UINT32_MAX if the kernel does not say. */
uint32_t ipc_descriptor_uid(int descriptor);
/* State a service keeps for a connection; freed by its own function at the end. */
void ipc_peer_set_state(struct ipc_peer *peer, void *state, void (*destroy)(void *state));
void *ipc_peer_state(struct ipc_peer *peer);
/* Draining ends connections between two requests. A peer that is held (once or
 * more) is left alone: something of it is open over several requests, such as a
 * queue file between CLEANUP_OPEN and CLEANUP_COMMIT. */
void ipc_peer_hold(struct ipc_peer *peer);
void ipc_peer_unhold(struct ipc_peer *peer);
/* The peer can send no more: what would need a second request must not be begun. */
bool ipc_peer_is_draining(const struct ipc_peer *peer);
/* Draining begins: every ipc_serve of this process takes no new requests (the
 * peer's ipc_client then connects anew, to another process), answers what it has
 * and returns. The skeleton calls it. */
void ipc_serve_drain(void);

/* ---- a connection one asks over */

struct ipc_client;
enum ipc_result {
    IPC_OK,
    IPC_REFUSED,   /* the answer was FAILED (it is in the reply) */
    IPC_UNREACHABLE, /* no connection, or it broke before the answer: try again later */
    IPC_TIMEOUT,
    IPC_CANCELLED,
};
struct ipc_reply {
    enum ipc_type type;
    const void *message; /* struct of that type, in the arena */
    int descriptor;      /* -1 if none; the caller's to close */
};
/* How the client gets its connection: returns a connected descriptor or -1. May suspend. */
typedef int ipc_connector(void *context, deadline until, struct failure *failure);
/* A client that connects when first asked and again after a loss (with a pause
 * that grows from 20 ms to 1 s). on_notify, may be NULL, gets unasked messages. */
struct ipc_client *ipc_client_create(ipc_connector *connector, void *context, ipc_handler *on_notify, void *notify_context);
void ipc_client_destroy(struct ipc_client **client);
/* Connects now, if it is not connected; for those who wait for notifications. */
MUST_USE bool ipc_client_connect(struct ipc_client *client, deadline until, struct failure *failure);
/* Calls function, outside any request, each time a connection is lost. */
void ipc_client_on_loss(struct ipc_client *client, void (*function)(void *context), void *context);
/* Asks and waits. expected: the type of a good answer; anything else but FAILED
 * is a broken peer. A request whose connection broke before the answer is NOT sent
 * again. descriptor -1: none; it stays the caller's. */
MUST_USE enum ipc_result ipc_ask(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                                 enum ipc_type expected, deadline until, struct arena *arena, struct ipc_reply *reply,
                                 struct failure *failure);
/* Sends and waits for nothing: the serial is 0, an answer to it is not sent. */
MUST_USE enum ipc_result ipc_tell(struct ipc_client *client, enum ipc_type type, const void *message, deadline until, struct failure *failure);
/* The same with a descriptor, which stays the caller's. */
MUST_USE enum ipc_result ipc_tell_with(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                                       deadline until, struct failure *failure);

/* ---- without a loop: for command line tools; blocks */
/* Connects to a public socket by path. */
MUST_USE int ipc_connect_path(const char *path, struct failure *failure);
/* IPC_UNREACHABLE with EPIPE in failure: the other side is leaving, or wants no more connections, and did not take the
 * request; connect anew. */
MUST_USE enum ipc_result ipc_ask_blocking(int descriptor, enum ipc_type type, const void *message, int sent_descriptor,
                                          enum ipc_type expected, int64_t timeout_ms, struct arena *arena,
                                          struct ipc_reply *reply, struct failure *failure);

#endif
