/* queue_tool: what ternqueue, ternsuper, terncat and ternshape have in common:
 * their name and complaints, the configuration, the way to qmgr and to the folders. */
#ifndef TERN_QUEUE_TOOL_H
#define TERN_QUEUE_TOOL_H

#include "config_load.h"
#include "failure.h"
#include <sys/types.h>

struct queue_tool {
    const char *program;          /* the last part of argv[0]: postqueue stays postqueue */
    const char *config_directory; /* -c; NULL: the usual one */
    struct config *config;
    bool verbose;
};

/* The last part of a path. */
const char *queue_tool_name(const char *path);
/* "program: fatal: text" on standard error; returns status. */
int queue_tool_fatal(const struct queue_tool *tool, int status, const char *format, ...) PRINTF_LIKE(3, 4);
void queue_tool_warn(const struct queue_tool *tool, const char *format, ...) PRINTF_LIKE(2, 3);
/* "program: text". */
void queue_tool_say(const struct queue_tool *tool, const char *format, ...) PRINTF_LIKE(2, 3);
/* Loads the configuration and makes queue_directory the working directory, so that
 * paths of sockets stay short. Returns EX_OK, or complains and returns the status. */
MUST_USE int queue_tool_load(struct queue_tool *tool);
/* Only the configuration. */
MUST_USE int queue_tool_load_config(struct queue_tool *tool);
/* Connects to qmgr; -1: it does not serve. */
MUST_USE int queue_tool_connect(struct failure *failure);
/* Opens queue_directory/queue; -1 with the failure. */
MUST_USE int queue_tool_open_queue(struct failure *failure);
/* Opens a folder of the queue. */
MUST_USE int queue_tool_open_folder(int queue, const char *name, struct failure *failure);
/* Root lays down its rights and works on as the owner of the queue, so that nothing the
 * owner put there is touched with more rights than its own. */
MUST_USE bool queue_tool_become_owner(int queue, struct failure *failure);
/* Appends text for a terminal: control characters, and high bytes that are no UTF-8, as '?'. */
void queue_tool_printable(struct buf *out, struct str text);

#endif
