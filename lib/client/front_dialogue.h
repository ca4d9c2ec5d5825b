/* front_dialogue: the dialogue before the login, as far as IMAP and POP3 have it in common: what is said and asked, the
 * turn of commands, their end, and the loan to a session; and the daemon around it. What a command is, and means, says
 * the protocol. */
#ifndef TERN_FRONT_DIALOGUE_H
#define TERN_FRONT_DIALOGUE_H

#include "front.h"

#define FRONT_TAG_MAX 256 /* octets of login_tag */

struct front_dialogue {
    struct front_client *client;
    struct arena *arena; /* of the command */
    struct buf command;  /* whole; wiped after it */
    unsigned bad;        /* commands that were none */
    bool over;
    struct buf ticket; /* of a login that went well: the session answers it */
    /* the protocol's own */
    struct str tag;       /* IMAP: of the command */
    struct buf login_tag; /* for the session: IMAP's of the login; POP3: the mechanisms, for CAPA */
    struct buf user;      /* POP3: of USER */
};

struct front_protocol {
    struct service_declaration daemon; /* program, session_limit; the rest is filled in */
    struct str name;                   /* "imap", "pop3" */
    struct str crowded;                /* said to a client with too many connections */
    struct str too_many_bad;           /* said at the end of the patience with commands that are none */
    struct str lost;                   /* as of front_serve_session */
    struct str still_here;             /* said now and then to one that idles; empty: never */
    void (*greet)(struct front_dialogue *dialogue);
    /* The next command, whole. False: it is over, and why has been said. */
    bool (*read)(struct front_dialogue *dialogue);
    void (*run)(struct front_dialogue *dialogue);
};

/* Says it, buffered. */
void front_say(struct front_dialogue *dialogue, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sends what was said. False: the client is gone. */
MUST_USE bool front_say_now(struct front_dialogue *dialogue);
/* front_ask, where context is the dialogue: a line that begins with + and is Base64, as is the answer; * gives up. */
bool front_ask_client(void *context, struct str challenge, struct buf *response);
/* Whether the client has named too many wrong passwords. */
bool front_has_guessed_enough(const struct front_dialogue *dialogue);
/* The daemon's main. */
int front_main(int argument_count, char **arguments, const struct front_protocol *protocol);

#endif
