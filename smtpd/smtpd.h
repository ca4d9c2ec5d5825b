/* smtpd: the one context of the daemon, a session, a transaction, and what the
 * files of this folder offer each other.
 *
 * State is kept by lifetime: struct smtpd as long as the process, struct session
 * as long as the connection, struct transaction from MAIL to the end of the
 * message (RSET frees it whole). Nothing in a session points into a transaction
 * but the one pointer to it. */
#ifndef TERN_SMTPD_H
#define TERN_SMTPD_H

#include "address.h"
#include "auth.h"
#include "content_header.h"
#include "content_scan.h"
#include "endpoint.h"
#include "envelope_wish.h"
#include "hash.h"
#include "host_list.h"
#include "intake.h"
#include "resolve.h"
#include "restriction_list.h"
#include "service.h"
#include "smtp_command.h"
#include "stream.h"
#include "tls.h"

#define SMTPD_LOOKUP_TIME 100000 /* ms: most time an answer of lookup may take */
#define SMTPD_FORESEE_TIME 10000 /* ms: the same for answers that are only asked for ahead */
#define SMTPD_COMMIT_TIME 300000 /* ms: the same for cleanup; RFC 5321 4.5.3.2.6 lets clients wait 10 minutes */
#define SMTPD_TEXT_MAX    440    /* octets of a reply's text: the line stays below 512 (RFC 5321 4.5.3.1.5) */

/* What to tell the client, and the log, when something is refused. */
struct refusal {
    unsigned code;
    char status[12];
    char text[SMTPD_TEXT_MAX];
};

/* ---- the process */

enum restriction_stage {
    STAGE_CLIENT,
    STAGE_HELO,
    STAGE_SENDER,
    STAGE_RELAY,
    STAGE_RECIPIENT,
    STAGE_DATA,
    STAGE_END,
    STAGE_ETRN,
    STAGE_COUNT
};

struct limits;
struct keys_pool;
struct received;

enum smtpd_tls_use { SMTPD_TLS_UNUSED, SMTPD_TLS_OFFERED, SMTPD_TLS_REQUIRED };

struct smtpd {
    struct service *service;
    const struct config *config;
    struct intake_source *intake;
    struct ipc_client *cleanup;
    struct resolve *resolve;
    struct auth_client *auth; /* NULL: AUTH is not offered */
    struct match_list *sasl_filter;
    struct limits *limits;
    struct arena *arena; /* what lives as long as the process: the parsed lists */
    bool lmtp;
    unsigned sessions, session_limit;
    struct session *waiting; /* those that wait for a command */
    struct host_list networks, xclient_hosts, xforward_hosts, proxy_hosts, event_exceptions, newline_exclusions,
        sasl_exceptions;
    struct str own_addresses; /* of this machine's interfaces, space separated */
    struct restriction_list restrictions[STAGE_COUNT];
    unsigned discarded_extensions; /* bits by row of the extension table */
    enum smtpd_tls_use tls_use;
    struct tls_server_options tls_options;
    struct buf tls_roots;   /* PEM: who signs for clients */
    struct keys_pool *keys; /* NULL: no certificate is configured */
    deadline tls_complaint; /* when the log may be told again that there is none */
};

/* More than smtpd_stress_threshold_percent of the sessions are in use. */
bool smtpd_is_stressed(const struct smtpd *smtpd);

/* ---- a session */

enum session_state { SESSION_NEW = 1, SESSION_GREETED = 2, SESSION_MAIL = 4, SESSION_RCPT = 8, SESSION_CHUNKS = 16 };

enum name_status { NAME_VERIFIED, NAME_UNKNOWN, NAME_UNDECIDED };

/* Who is served: from the connection, the PROXY header or XCLIENT. The texts live in its arena. */
struct client {
    struct arena *arena;
    struct str name;         /* verified, or "unknown" */
    struct str reverse_name; /* PTR name, verified or not; "unknown" */
    struct str address;
    struct str label; /* name[address], for logs */
    struct str login;        /* who it is, by AUTH or XCLIENT; empty */
    struct str login_method; /* the SASL mechanism, or XCLIENT */
    uint16_t port;
    enum name_status name_status, reverse_status;
};

/* XFORWARD: for whom a filter in front speaks. Only for logs and the next hop. */
struct forwarded {
    struct arena *arena;
    struct str name, address, port, helo, protocol, identity, source;
};

#define SMTPD_COMMANDS_MAX 24
#define SMTPD_BCC_MAX      10 /* addresses that BCC may add to a message */

struct transaction;

struct session {
    struct smtpd *smtpd;
    struct stream *stream;
    struct task *task;                            /* the one that serves it */
    struct session *next_waiting, **link_waiting; /* in smtpd->waiting while it waits for a command */
    struct client client;
    struct forwarded *forwarded;
    struct transaction *transaction; /* NULL outside of one */
    struct buf mechanisms;           /* those that EHLO named, space separated; empty: AUTH is not offered */
    struct buf helo;                 /* made safe for logs; empty before HELO */
    struct str rate_key;             /* what limits.c counts this client under; empty: not counted */
    struct endpoint peer;            /* the connection's own other end */
    struct tls_connection *tls;      /* NULL: in clear */
    const char *where;               /* the command of the last line, for logs */
    deadline ends;
    uint32_t succeeded[SMTPD_COMMANDS_MAX], tried[SMTPD_COMMANDS_MAX], unknown;
    uint32_t errors, junk, discarded_extensions, messages;
    uint32_t rejected; /* recipients refused to who has logged in, not told of yet (login_limits.c) */
    uint8_t greeting;     /* enum session_state without a transaction: NEW or GREETED */
    bool extended;        /* EHLO or LHLO */
    bool closing;         /* after this reply */
    bool connection_lost; /* nothing can be said any more */
    bool utf8_reply;      /* to this command, whatever the message is */
    bool telling_each;    /* what became of each recipient: no errors of the client's */
    bool pipelined;       /* sent ahead where it must not (logged once) */
    bool tls_possible;    /* STARTTLS can be offered: looked at before EHLO's answer */
    bool claimed;         /* XCLIENT said who the client is */
    bool xclient_allowed, xforward_allowed, strict_newlines, rewrites_headers;
    struct refusal *denied; /* every command but QUIT is refused; NULL */
};

/* What the dispatcher goes by. */
enum session_state session_state(const struct session *session);
/* Ends a message: forgets the transaction and what belongs to it. */
void session_reset(struct session *session);
/* "QUEUEID" once a file is open, else "NOQUEUE". */
struct str session_queue_id(const struct session *session);
/* "SMTP", "ESMTP", "LMTP", "UTF8SMTP"...: for Received; for logs without UTF8. */
const char *session_protocol(const struct session *session, bool utf8);
/* The same with what RFC 3848 adds for AUTH: for Received. */
const char *session_trace_protocol(const struct session *session, bool utf8);
/* The client has proved who it is. Texts are copied. */
void session_set_login(struct session *session, struct str login, struct str method);
/* A line of the client, by the time that it has for a command; borrowed until the next read. */
MUST_USE enum stream_result session_read_line(struct session *session, struct str *line);
/* The time a client has for one command, in ms: shorter under stress and while draining. */
int64_t session_timeout(const struct session *session);
/* A read or write failed: says and logs what is fitting, ends the session. bytes: of
 * content, or -1 outside of it. */
void session_broken(struct session *session, enum stream_result result, int64_t bytes);
/* "WHAT after WHERE from CLIENT"; bytes as above. */
void session_log_end(const struct session *session, const char *what, int64_t bytes);
/* Bytes that came before their time: logs; true if the session is to end (it has been told). */
bool session_refuse_pipelining(struct session *session);
/* Everything stops: wakes the sessions that wait for a command; they say 421 and end. The
 * others do so after the command that they are in. */
void sessions_stop(struct service *service);
/* The accepted connection, in a task of its own. */
void session_serve(struct service *service, int connection, unsigned listener);
/* Takes a new identity over (texts are copied; the old ones are freed) and decides
 * what follows from it. False: over a limit, the session has been told. */
bool session_set_client(struct session *session, const struct client *client);
/* It is counted no more among the client's sessions. */
void session_leave_limits(struct session *session);
/* Who it is by the connection itself: its address, name, and what follows from them. False as above. */
bool session_identify(struct session *session);
/* Around a wait for the client that sessions_stop is to end. */
void session_enter_waiting(struct session *session);
void session_leave_waiting(struct session *session);
/* The greeting, or what stands in its place. */
void session_greet(struct session *session);

/* ---- a transaction */

struct transaction {
    struct arena *arena;
    struct mail_address sender;
    bool sender_incomplete; /* came without a domain */
    bool smtputf8;
    bool discard; /* an access table said DISCARD */
    bool refused_recipients;
    bool chunks;         /* BDAT has begun */
    bool chunks_refused; /* a chunk was refused: the rest is read and refused too */
    uint8_t body;        /* enum smtp_body */
    uint64_t size;       /* MAIL's SIZE, which nobody has to believe; 0: not given */
    enum return_content return_content;
    struct str envelope_id, hold_reason;
    struct envelope_wish wish;
    bool priority_changed; /* the client asked for a higher one */
    struct str submitter;  /* MAIL's AUTH parameter (RFC 4954 5), as Postfix logs it: sasl_sender; empty: none */
    struct buf prepended;  /* header lines of PREPEND */
    struct str redirect;   /* REDIRECT: it goes there instead; empty: it does not */
    struct str bcc[SMTPD_BCC_MAX]; /* BCC: and there too */
    size_t bcc_count;
    struct ipc_recipient *recipients;
    size_t recipient_count, recipient_room, overshoot;
    size_t foreseen; /* RCPTs to come whose addresses were looked up together */
    struct content *content; /* from DATA or the first BDAT */
};

struct transaction *transaction_begin(struct session *session);
void transaction_free(struct transaction **transaction);
/* Once, however often; false: too many. */
MUST_USE bool transaction_add_bcc(struct transaction *transaction, struct str address);
/* False: out of the room that a transaction may take. */
MUST_USE bool transaction_add_recipient(struct transaction *transaction, struct str address, struct str orcpt,
                                        unsigned notify);

/* ---- commands.c, extensions.c: the tables */

enum command_flag {
    COMMAND_LAST = 1,   /* must be the last of a pipelined group (RFC 2920 3.1) */
    COMMAND_JUNK = 2,   /* counted against smtpd_junk_command_limit */
    COMMAND_SMTP = 4,   /* not in LMTP */
    COMMAND_LMTP = 8,   /* only in LMTP */
    COMMAND_CLEAR = 16, /* may come before STARTTLS where TLS is required */
};

struct command {
    const char *verb;
    unsigned states; /* set of enum session_state in which the handler may run */
    unsigned flags;
    bool (*handle)(struct session *session, struct str argument); /* true: a 2xx or 3xx was said */
    const char *sequence_error;                                   /* said in any other state */
    const char *help;
};
extern const struct command smtpd_commands[];
extern const size_t smtpd_command_count;

struct extension {
    const char *keyword;
    unsigned parameters; /* set of enum smtp_parameter that come with it */
    bool (*offered)(const struct session *session);
    void (*argument)(const struct session *session, struct buf *line); /* NULL: none */
};
extern const struct extension smtpd_extensions[];
extern const size_t smtpd_extension_count;
/* Set of enum smtp_parameter that this session may use. */
unsigned smtpd_parameters(const struct session *session);
bool smtpd_extension_is_offered(const struct session *session, size_t row);
/* True if the configuration withholds it from this client. */
bool smtpd_extension_is_discarded(const struct session *session, const char *keyword);
/* The rows that a list of keywords names, as bits. */
unsigned smtpd_extension_bits(struct str keywords);
/* Runs the command on a line: verb, state, pipelining, then the handler. */
void command_dispatch(struct session *session, struct str line);

/* The handlers, each in the file of its name. */
bool cmd_helo(struct session *session, struct str argument);
bool cmd_ehlo(struct session *session, struct str argument);
bool cmd_lhlo(struct session *session, struct str argument);
bool cmd_mail(struct session *session, struct str argument);
bool cmd_rcpt(struct session *session, struct str argument);
bool cmd_data(struct session *session, struct str argument);
bool cmd_bdat(struct session *session, struct str argument);
bool cmd_rset(struct session *session, struct str argument);
bool cmd_noop(struct session *session, struct str argument);
bool cmd_quit(struct session *session, struct str argument);
bool cmd_vrfy(struct session *session, struct str argument);
bool cmd_expn(struct session *session, struct str argument);
bool cmd_help(struct session *session, struct str argument);
bool cmd_etrn(struct session *session, struct str argument);
bool cmd_starttls(struct session *session, struct str argument);
bool cmd_auth(struct session *session, struct str argument);
bool cmd_xclient(struct session *session, struct str argument);
bool cmd_xforward(struct session *session, struct str argument);

/* ---- reply.c */

/* Says "CODE STATUS text". Outside bytes in the text are made safe, its length is
 * cut, errors are counted and slowed down. Returns true for 2xx and 3xx. */
bool reply(struct session *session, unsigned code, const char *status, const char *format, ...) PRINTF_LIKE(4, 5);
/* Says a line of a reply of several without enhanced code; last: the final one. */
void reply_line(struct session *session, unsigned code, bool last, struct str text);
bool reply_refusal(struct session *session, const struct refusal *refusal);
bool reply_command_error(struct session *session, const struct smtp_command_error *error);
/* Logs "NOQUEUE: VERB: WHERE from CLIENT: REPLY; from=<> to=<> proto= helo=<>". sender
 * and recipient: NULL if there is none yet. */
void reply_log(struct session *session, const char *verb, const char *where, const struct refusal *refusal,
               const struct mail_address *sender, const char *recipient);
void refusal_set(struct refusal *refusal, unsigned code, const char *status, const char *format, ...) PRINTF_LIKE(4, 5);

/* ---- session_tls.c */

/* Reads the settings and the authorities' certificates, before the sandbox. */
MUST_USE bool session_tls_prepare(struct smtpd *smtpd, struct failure *failure);
void session_tls_start(struct smtpd *smtpd);
/* Whether STARTTLS can be offered now: asks keys if there is a certificate. */
bool session_tls_offered(struct session *session);
/* TLS is required and has not begun. */
bool session_needs_tls(const struct session *session);
/* The handshake, and what it changes: all that was said before is forgotten. ready is called when there is
 * a certificate, right before. False: the session is over, or has been told that there is none. */
bool session_start_tls(struct session *session, bool (*ready)(struct session *session));
/* For the Received: line, if it is to tell of TLS; cipher and details hold its texts. */
void session_tls_trace(const struct session *session, struct buf *cipher, struct buf *details,
                       struct received *received);

/* ---- sasl.c: what AUTH needs to know of a session */

/* Finds out, for EHLO, which mechanisms there are for the session (session->mechanisms). May suspend. */
void sasl_offer(struct session *session);
/* True if the client's lines may be as long as AUTH needs them. */
bool sasl_is_offered(const struct session *session);
/* What a connection's TLS ties a login to. */
struct sasl_bindings {
    uint8_t exporter[32], end_point[64];
    size_t exporter_length, end_point_length;
};
/* Who it is about; texts are borrowed from the session and from bindings. */
struct auth_subject sasl_subject(const struct session *session, struct sasl_bindings *bindings);

/* ---- limits.c: concurrency and rates by client */

enum limited_event { LIMITED_CONNECTION, LIMITED_MESSAGE, LIMITED_RECIPIENT, LIMITED_TLS, LIMITED_AUTH, LIMITED_COUNT };

struct limits *limits_create(const struct config *config);
/* What a client is counted under: its address, cut to the configured prefix. */
bool limits_key(const struct config *config, const struct endpoint *address, struct buf *key);
/* Counts an event; false if its limit is passed (*count is how many there were). For
 * LIMITED_CONNECTION concurrency is counted by limits_enter. */
bool limits_count(struct limits *limits, struct str key, enum limited_event event, uint64_t *count);
/* True if the next such event would be over the limit; counts nothing. */
bool limits_reached(struct limits *limits, struct str key, enum limited_event event);
bool limits_enter(struct limits *limits, struct str key, uint64_t *count);
void limits_leave(struct limits *limits, struct str key);
/* Forgets clients that are gone; call it about once a second. */
void limits_expire(struct limits *limits);
/* Logs "warning: WHAT limit exceeded: N from CLIENT for service S". */
void limits_log(const struct session *session, const char *what, uint64_t count);

/* ---- login_limits.c: what an account may send, counted in one place for all processes */

/* At MAIL: may it send a message now? False: it was told why not. */
bool login_may_begin(struct session *session);
/* A recipient was refused to it. */
void login_rejected(struct session *session);
/* At the end of the content, which is counted: true if it is taken, perhaps on hold (the transaction's hold_reason). */
bool login_may_send(struct session *session, uint64_t bytes, struct refusal *refusal);

/* ---- policy.c: access policy by stage. True: go on. False: refused, the refusal is
 * logged and, where there is no *refusal to fill, said. */

/* Parses all restriction lists; warns of what it does not know. */
void policy_prepare(struct smtpd *smtpd);
bool policy_connect(struct session *session, struct refusal *refusal);
bool policy_helo(struct session *session, const char *where);
bool policy_mail(struct session *session);
bool policy_rcpt(struct session *session, const char *where, const struct mail_address *recipient, bool incomplete);
bool policy_data(struct session *session, const char *where, struct refusal *refusal);
bool policy_end_of_data(struct session *session, struct refusal *refusal);
bool policy_etrn(struct session *session, struct str domain);

/* ---- content.c: taking the content in */

enum content_progress { CONTENT_MORE, CONTENT_END, CONTENT_BARE_CR, CONTENT_BARE_LF };

struct content;
/* Opens the queue file and writes the trace field. False fills *refusal. */
MUST_USE bool content_open(struct session *session, struct refusal *refusal);
void content_free(struct content **content);
struct str content_queue_id(const struct content *content);
/* Takes bytes of DATA (up to the final dot) or of a chunk; *used says how many. */
enum content_progress content_take(struct session *session, struct str bytes, size_t *used);
/* The client's bytes so far. */
uint64_t content_received(const struct content *content);
/* The content is complete: checks it, commits it, answers. True: it was accepted. */
bool content_finish(struct session *session);
/* False, with *refusal filled and logged, once there is more than a message may have. */
MUST_USE bool content_fits(struct session *session, struct refusal *refusal);
/* Says that the content is refused: one reply, in LMTP as many as there are recipients. Always false. */
bool content_refuse(struct session *session, const struct refusal *refusal);
/* Answers bare line ends and ends the session. */
void content_refuse_newline(struct session *session, bool is_cr);
/* The moment by which content has to go on: smtpd_timeout at first; each byte earns time
 * at smtpd_min_data_rate, never more than smtpd_timeout in stock. */
deadline content_deadline(const struct session *session, deadline until, size_t bytes);

#endif
