/* rights: what a row of services.def leaves a process beyond reading and writing
 * what it holds open. */
#ifndef TERN_RIGHTS_H
#define TERN_RIGHTS_H

enum {
    RIGHT_ACCEPT = 1 << 0,    /* take connections from the sockets it was given */
    RIGHT_NETWORK = 1 << 1,   /* make connections by IPv4 and IPv6 */
    RIGHT_FILES = 1 << 2,     /* open, make, name and remove files beneath its root directory */
    RIGHT_THREADS = 1 << 3,   /* helper threads */
    RIGHT_MAP_FILES = 1 << 4, /* map files into memory (LMDB) */
    RIGHT_FORK = 1 << 5,      /* make processes, execute programs, signal its children */
    RIGHT_BECOME = 1 << 6,    /* change user and groups, give files away */
    RIGHT_SYSLOG = 1 << 7,    /* a datagram socket to the system's log */
    RIGHT_LOCAL_SOCKETS = 1 << 8, /* connect to UNIX sockets: socketmap servers, the system's account services */
    RIGHT_NAMED_SOCKETS = 1 << 9, /* be connected, by master, to the UNIX sockets that the configuration names */
    RIGHT_PAIRS = 1 << 10, /* make pairs of sockets, to lend one side of; end watches of what comes back */
};

/* Processes that a service with RIGHT_FORK makes inherit no_new_privs and the filter.
 * What must run without them (users' commands, which may run a set-gid sendmail) is
 * forked by a helper that the daemon makes in prepare(), before the sandbox. */

#endif
