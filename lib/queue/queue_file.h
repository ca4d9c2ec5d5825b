/* The queue file: one message, self-describing, self-checking.
 *
 *   header    256 bytes of text, padded with spaces, ends in LF: magic, version,
 *             content offset, length, lines and CRC-32C, envelope length and
 *             CRC-32C, and a CRC-32C of the header itself. Written at commit;
 *             before that it is not there and the file is not a message.
 *   content   from byte 256, LF line ends (BINARYMIME: as it came)
 *   envelope  records, in the file until it is removed: the message's, then one for each recipient.
 *             The message's ends in what a client may ask for besides, as pairs of numbers
 *             (queue_option and value), those that were asked for alone; one that is not known
 *             is not passed over.
 *   events    records appended after commit: what happened to each recipient.
 *             A torn record at the end is recognised by its check sum and cut.
 *
 * A record is: 4 bytes length, 4 bytes CRC-32C of the rest, 1 byte type, fields.
 * Numbers are little-endian. Reading is pure (pointer, length) and fuzzed; a file
 * that does not check is set aside in corrupt/, never sent, never fatal.
 *
 * States of a message, by directory (the names are the proof's, see CONTRIBUTING):
 *   tmp/ID      being written; not promised to anyone; removed at start
 *   new/ID      durable: file and directory synced; 250 may be said
 *   cur/ID      deferred: and in the schedule index, rebuilt from here when lost
 *   hold/ID     an operator's hold
 *   corrupt/ID  did not check
 *   (none)      every recipient done: removed */
#ifndef TERN_QUEUE_FILE_H
#define TERN_QUEUE_FILE_H

#include "buf.h"
#include "compiler.h"
#include "envelope_wish.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

#define QUEUE_HEADER_SIZE    256
#define QUEUE_ENVELOPE_LIMIT ((size_t)64 << 20)

struct queue_header {
    uint64_t content_length, content_lines;
    uint32_t content_crc;
    uint64_t envelope_length;
    uint32_t envelope_crc;
};

struct queue_recipient {
    struct str address, original, orcpt;
    unsigned notify;
    /* from the events: */
    unsigned state;    /* enum queue_recipient_state */
    struct str status; /* last status code */
    struct str reason; /* last text */
    struct str remote_mta, diagnostic;
    int64_t last_attempt; /* seconds, 0: never */
    unsigned action;      /* enum delivery_action of the last event */
};
enum queue_recipient_state {
    QUEUE_RECIPIENT_WAITING = 0,   /* to be tried */
    QUEUE_RECIPIENT_DONE = 1,      /* nothing is owed any more */
    QUEUE_RECIPIENT_FAILED = 2,    /* a failure notice is owed */
    QUEUE_RECIPIENT_DELIVERED = 3, /* a success notice is owed (NOTIFY=SUCCESS) */
};

/* Of the message's record; the numbers stand in files. */
enum queue_option {
    QUEUE_OPTION_RELEASE = 1,    /* date, seconds */
    QUEUE_OPTION_DELIVER_BY = 2, /* date, seconds */
    QUEUE_OPTION_BY_MODE = 3,    /* enum deliver_by_mode, 4 more with trace */
    QUEUE_OPTION_PRIORITY = 4,   /* priority_to_number */
    QUEUE_OPTION_TLS = 5,        /* bits of enum tls_wish */
};

/* A message's envelope with all that happened; lives in one arena. */
struct queue_envelope {
    struct str queue_id;
    int64_t arrival; /* microseconds */
    struct str sender, envelope_id;
    unsigned return_content, body;
    unsigned report; /* enum report_kind */
    bool smtputf8;
    struct str client_name, client_address, helo, protocol, login, message_id;
    struct envelope_wish wish;
    struct queue_recipient *recipients;
    size_t recipient_count;
    /* from the events: */
    unsigned attempts;
    int64_t next_attempt; /* seconds; 0: at once. Before any attempt: wish.release */
    int64_t delay_notice; /* seconds when a delay notice was sent, 0: none */
    int64_t late_notice;  /* seconds when a notice was sent that the message is later than DELIVERBY asked; 0: none */
    int64_t report_sent;  /* seconds when the report was sent, 0: not yet */
    bool force_expire;
    bool on_hold;
};

/* ---- pure */
bool queue_header_format(const struct queue_header *header, char bytes[QUEUE_HEADER_SIZE]);
MUST_USE bool queue_header_parse(struct str bytes, struct queue_header *header, struct failure *failure);
bool queue_envelope_pack(const struct queue_envelope *envelope, struct buf *bytes);
/* Envelope and events; *used gets how many bytes of events were whole. */
MUST_USE bool queue_envelope_parse(struct str envelope_bytes, struct str event_bytes, struct arena *arena,
                                   struct queue_envelope *envelope, size_t *used, struct failure *failure);

enum queue_event_type {
    EVENT_RECIPIENT = 'r',
    EVENT_SCHEDULE = 's',
    EVENT_DELAY_NOTICE = 'd',
    EVENT_EXPIRE = 'x',
    EVENT_REPORT = 'v',
    EVENT_LATE_NOTICE = 'l',
};
struct queue_event {
    enum queue_event_type type;
    uint64_t index; /* RECIPIENT */
    unsigned state, action;
    struct str status, reason, remote_mta, diagnostic;
    int64_t when;      /* seconds: of the attempt, the next attempt, the notice */
    unsigned attempts; /* SCHEDULE */
};
bool queue_event_pack(const struct queue_event *event, struct buf *bytes);

/* ---- files; these block: call them by task_run_blocking where it matters */
/* Reads header, envelope and events of an open file. False with failure->error_number
 * 0 if the file is not a whole message (set it aside), non-zero for a local fault. */
MUST_USE bool queue_file_read(int file, struct arena *arena, struct queue_header *header,
                              struct queue_envelope *envelope, uint64_t *events_end, struct failure *failure);
/* The CRC-32C of the content that stands in the file. */
MUST_USE bool queue_file_sum_content(int file, uint64_t length, uint32_t *sum, struct failure *failure);
/* Compares the content with its check sum: for tern check and before the first delivery after an unclean end. */
MUST_USE bool queue_file_check_content(int file, const struct queue_header *header, struct failure *failure);

#endif
