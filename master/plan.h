/* plan: what master is to run, as its configuration child read it.
 *
 * master.cf and main.cf are read in a forked child without privileges, which
 * sends plain fixed-size records and one sealed configuration a service over a
 * socket. Master itself parses no file; it checks the records (a name has no
 * slash, a text ends) because it will bind and execute by them. */
#ifndef TERN_MASTER_PLAN_H
#define TERN_MASTER_PLAN_H

#include "endpoint.h"
#include "failure.h"
#include <limits.h>

#define PLAN_NAME_LIMIT 64
#define PLAN_TEXT_LIMIT 512
#define PLAN_ENDPOINT_LIMIT 32
#define PLAN_ROW_LIMIT 500
#define PLAN_PATH_LIMIT 200

enum plan_listen {
    PLAN_LISTEN_NONE,   /* no socket: the service listens to nobody (log) */
    PLAN_LISTEN_INET,   /* the endpoints */
    PLAN_LISTEN_PACKET, /* UNIX SOCK_SEQPACKET: IPC */
    PLAN_LISTEN_STREAM, /* UNIX SOCK_STREAM: a protocol of lines (smtpd on a UNIX socket) */
};

/* When a service is stopped: those that let mail in go first, those that
 * others still need go last. */
enum plan_stop_phase {
    PLAN_STOP_INTAKE,
    PLAN_STOP_QUEUE,
    PLAN_STOP_AGENTS,
    PLAN_STOP_CLEANUP,
    PLAN_STOP_LOOKUP,
    PLAN_STOP_LOG,
    PLAN_STOP_PHASES,
};

struct plan_settings {
    char queue_directory[PLAN_TEXT_LIMIT];
    char daemon_directory[PLAN_TEXT_LIMIT];
    char config_directory[PLAN_TEXT_LIMIT];
    char syslog_name[PLAN_NAME_LIMIT];
    char version[PLAN_NAME_LIMIT];
    int64_t stop_time;     /* seconds */
    int64_t throttle_time; /* seconds */
};

/* One line of master.cf joined with its program's row in services.def. */
struct plan_row {
    char name[PLAN_NAME_LIMIT];    /* master.cf's first column */
    char program[PLAN_NAME_LIMIT]; /* file in daemon_directory */
    char log_tag[2 * PLAN_NAME_LIMIT]; /* "postfix/submission/smtpd" */
    char peers[PLAN_TEXT_LIMIT];   /* services it may be connected to */
    uint32_t listen;               /* enum plan_listen */
    uint32_t stop_phase;           /* enum plan_stop_phase */
    uint32_t process_limit;        /* 0: none */
    uint32_t wakeup;               /* seconds, 0: never */
    bool wakeup_only_if_used;      /* master.cf "300?" */
    bool is_public;                /* socket in public/, not private/ */
    bool always_runs;
    bool is_agent;                 /* what the peer word *agents stands for */
    bool reaches_paths;            /* may be connected to the sockets of plan_paths */
    uint32_t endpoint_count;
    struct endpoint endpoints[PLAN_ENDPOINT_LIMIT];
};

/* The UNIX sockets outside that services may be connected to: what the configuration names. */
struct plan_paths {
    char **paths;
    size_t count;
};

struct plan {
    struct plan_settings settings;
    struct plan_paths sockets;
    struct plan_row *rows;
    int *configurations; /* sealed memory file of each row */
    size_t count;
    bool complete;
    bool refused; /* the child said what is wrong, in problems */
};

enum plan_packet_type { PLAN_SETTINGS = 1, PLAN_ROW, PLAN_PROBLEM, PLAN_WARNING, PLAN_PATH, PLAN_END };

/* What travels: a type and one of these. */
struct plan_packet {
    uint32_t type;
    union {
        struct plan_settings settings;
        struct plan_row row;
        char text[2 * PLAN_TEXT_LIMIT];
    } u;
};

/* Told each problem and warning the child reports, as it comes. */
typedef void plan_report(bool is_error, const char *text, void *argument);

/* Sends a packet with a descriptor (-1: none). */
MUST_USE bool plan_send(int socket, const struct plan_packet *packet, int descriptor);
/* Takes one packet. True: go on receiving; false: the end, good (plan->complete)
 * or not (failure or plan->refused). Waits if the socket blocks. */
bool plan_receive(int socket, struct plan *plan, plan_report *report, void *argument, struct failure *failure);
bool plan_paths_have(const struct plan_paths *paths, struct str path);
void plan_paths_free(struct plan_paths *paths);
/* Closes the configurations that are still in it and empties it. */
void plan_free(struct plan *plan);

#endif
