/* output: where the log goes: a file, standard output, or the system's logger. */
#ifndef TERN_LOG_OUTPUT_H
#define TERN_LOG_OUTPUT_H

#include "failure.h"
#include "str.h"
#include <sys/types.h>

struct output {
    int descriptor; /* -1: not open */
    int directory;  /* the file's, to open it anew after a rotation; -1: none */
    bool is_syslog;
    bool is_file;
    char name[256]; /* in the directory */
    dev_t device;
    ino_t inode;
    uint64_t lost; /* bytes that could not be written and were not told of yet */
    bool deserted; /* the system's logger has gone: only a new process can connect to the next */
};

/* Opens: an absolute path, "/dev/stdout", or empty for /dev/log. */
MUST_USE bool output_open(struct output *output, struct str maillog_file, struct failure *failure);
/* Opens the file anew if it was renamed or removed. */
void output_look_again(struct output *output);
/* Writes whole lines (one datagram for syslog). False: some could not be written, and are counted as lost. */
bool output_write(struct output *output, struct str lines);

#endif
