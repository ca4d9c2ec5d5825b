/* ipc_codec: the message table as data, for whoever walks over all messages:
 * the codec itself, the connection code, tests, the fuzz target, documentation. */
#ifndef TERN_IPC_CODEC_H
#define TERN_IPC_CODEC_H

#include "ipc.h"

enum ipc_field_kind { IPC_FIELD_TEXT, IPC_FIELD_NUMBER, IPC_FIELD_FLAG, IPC_FIELD_LIST };

struct ipc_field {
    const char *name;
    const char *meaning;
    uint64_t maximum; /* bytes of a text or a list, or the greatest number */
    size_t offset;    /* in the struct */
    enum ipc_field_kind kind;
    enum ipc_row_type row; /* of a list */
};

struct ipc_layout {
    const char *name;
    const char *meaning;
    const struct ipc_field *fields;
    size_t count;
    size_t size;          /* of the struct */
    unsigned descriptors; /* that travel with the message, 2: one or none; 0 for rows */
};

/* The layout of a message or a row; NULL for a number that names none. */
const struct ipc_layout *ipc_message_layout(enum ipc_type type);
const struct ipc_layout *ipc_row_layout(enum ipc_row_type type);

#endif
