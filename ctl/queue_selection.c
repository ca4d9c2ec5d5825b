/* Which messages an operator means: see queue_selection.h. */
#include "queue_selection.h"
#include "queue_change.h"
#include <fnmatch.h>

static bool fits_pattern(const char *pattern, struct str address) {
    char *text = memory_copy_string(address.length ? address : STR("<>"));
    bool fits = fnmatch(pattern, text, FNM_CASEFOLD) == 0;
    MEMORY_FREE(text);
    return fits;
}

static bool fits_recipient(const char *pattern, struct ipc_list list) {
    struct ipc_queued_recipient recipient;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(list, IPC_ROW_QUEUED_RECIPIENT, &offset, &recipient, &bad))
        if (fits_pattern(pattern, recipient.address) ||
            (recipient.original.length && fits_pattern(pattern, recipient.original)))
            return true;
    return false;
}

bool queue_selection_is_set(const struct queue_selection *selection) {
    return selection->sender || selection->recipient || selection->arrived_before;
}

bool queue_selection_fits(const struct queue_selection *selection, const struct ipc_queued *row) {
    if (!queue_is_named(selection->queues, row->queue)) return false;
    if (selection->arrived_before && row->arrival >= (uint64_t)selection->arrived_before) return false;
    if (selection->sender && !fits_pattern(selection->sender, row->sender)) return false;
    return !selection->recipient || fits_recipient(selection->recipient, row->recipients);
}
