/* hijacked: what the daemons in an attacker's hands have in common (hijacked_smtpd.c, hijacked_imapd.c): words and
 * answers of an attack, the system calls that are tried, packets to other services. */
#ifndef TERN_HIJACKED_H
#define TERN_HIJACKED_H

#include "buf.h"
#include "service.h"

#define ANSWER_TIME 30000 /* ms: the test waits for no longer */
#define KEPT_MAX    12000

struct attack {
    int connection;   /* the client's */
    struct str words; /* what is left of the command */
    struct buf out;   /* lines */
};

/* What an attack leaves open for the next one, until "release". */
extern int kept[KEPT_MAX];
extern size_t kept_count;
/* How long a full socket is waited for, in ms. */
extern int patience;

void attack_say(struct attack *attack, const char *format, ...) PRINTF_LIKE(2, 3);
/* The next word, or number, of the command; empty or 0 if there is none. */
struct str attack_word(struct attack *attack);
uint64_t attack_number(struct attack *attack);
void attack_keep(int descriptor);
void append_repeated(struct buf *out, char byte, size_t count);
void append_unhex(struct buf *out, struct str text);

/* A packet as it stands; 0 or an errno. descriptor -1: none. */
int raw_send(int socket, struct str packet, int descriptor);
int send_typed(int socket, enum ipc_type type, uint32_t serial, const void *message, int descriptor);
bool readable_within(int descriptor, int milliseconds);
/* A packet of that serial number; false when the connection ends or nothing comes. */
bool raw_receive(int socket, uint32_t serial, struct buf *packet, enum ipc_type *type, int *descriptor);
/* Asks master as the skeleton does not: without a look at the own row. The descriptor that came; -1: none. */
int attack_ask_master(struct attack *attack, enum ipc_type type, const void *message, bool loud);

/* Attacks. */
void attack_release(struct attack *attack);
void attack_calls(struct attack *attack);
void attack_call(struct attack *attack);
void attack_descriptors(struct attack *attack);
void attack_connect(struct attack *attack);
void attack_connect_path(struct attack *attack);
void attack_types(struct attack *attack);
void attack_hello(struct attack *attack);

#endif
