/* LOOKUP_MANY: the answers that somebody will ask for in a moment, in one packet. What could not be found
 * out, and whom nobody knows, has an empty row: the single question that follows gets the whole care
 * (tables of this moment, a reason why not). */
#include "lookup.h"

#define ANSWERS_LIMIT ((size_t)160000) /* ipc_messages.def, LOOKUP_MANY_FOUND and PACKED */
#define ANSWER_LIMIT  ((size_t)8192)

static bool answer_resolve(struct lookup *lookup, struct str packet, struct arena *arena, struct buf *packed) {
    struct ipc_lookup_resolve question;
    struct ipc_lookup_resolved answer;
    struct failure failure;
    return ipc_decode(packet, IPC_LOOKUP_RESOLVE, &question) &&
           lookup_resolve(lookup, question.address, question.sender, arena, &answer, &failure) && answer.known &&
           ipc_encode(IPC_LOOKUP_RESOLVED, 0, &answer, packed);
}

static bool answer_expand(struct lookup *lookup, struct str packet, struct arena *arena, struct buf *packed) {
    struct ipc_lookup_expand question;
    struct ipc_lookup_expanded answer;
    struct failure failure;
    return ipc_decode(packet, IPC_LOOKUP_EXPAND, &question) &&
           lookup_expand(lookup, question.address, arena, &answer, &failure) &&
           ipc_encode(IPC_LOOKUP_EXPANDED, 0, &answer, packed);
}

/* The row for one question. False: there is no room for it. */
static bool add_answer(struct lookup *lookup, struct str packet, struct buf *rows, uint32_t *count) {
    struct arena *arena = arena_create(0);
    struct buf packed = buf_make(ANSWER_LIMIT);
    enum ipc_type type = IPC_NOTHING;
    uint32_t serial;
    bool found = ipc_peek(packet, &type, &serial);
    if (found && type == IPC_LOOKUP_RESOLVE)
        found = answer_resolve(lookup, packet, arena, &packed);
    else
        found = found && type == IPC_LOOKUP_EXPAND && answer_expand(lookup, packet, arena, &packed);
    struct ipc_packed row = {.message = found ? buf_str(&packed) : STR_EMPTY};
    bool room = ipc_list_add(IPC_ROW_PACKED, &row, rows, count);
    buf_free(&packed);
    arena_destroy(&arena);
    return room;
}

void lookup_many(struct lookup *lookup, const struct ipc_lookup_many *questions, struct buf *rows,
                 struct ipc_lookup_many_found *answer) {
    struct ipc_packed question;
    size_t offset = 0;
    uint32_t count = 0;
    bool bad = false, room = true;
    *rows = buf_make(ANSWERS_LIMIT);
    while (room && ipc_list_next(questions->questions, IPC_ROW_PACKED, &offset, &question, &bad))
        room = add_answer(lookup, question.message, rows, &count);
    answer->answers = (struct ipc_list){buf_str(rows), count};
}
