/* CLEANUP_IDS: queue IDs in reserve, so that who takes a message in can name it without asking.
 *
 * An ID is good for one message. Those that this connection got are checked off; one that it got from
 * another process of cleanup (before a reload, say) is looked for wherever it could stand, for the writer
 * is not believed: an ID that comes twice would let one message take another's place. */
#include "cleanup.h"
#include <fcntl.h>
#include <unistd.h>

void cleanup_ids(struct ipc_request *request, struct writer *writer) {
    struct cleanup *cleanup = writer->cleanup;
    struct failure failure = {0};
    uint64_t first;
    if (!queue_id_take(&cleanup->ids, ID_RANGE, &first, &failure)) {
        ipc_answer_failed(request, 451, "4.3.0", "%s", failure.text);
        return;
    }
    writer->newest = (writer->newest + 1) % ID_RANGES;
    writer->ranges[writer->newest] = (struct id_range){.first = first};
    struct ipc_cleanup_ids_given given = {
        .first = first, .count = ID_RANGE, .long_form = cleanup->ids.long_form};
    ipc_answer(request, IPC_CLEANUP_IDS_GIVEN, &given, -1);
}

/* The range of a number and its place there; NULL if it is in none. */
static struct id_range *find_range(struct writer *writer, uint64_t number, uint64_t *place) {
    uint64_t step = queue_id_step(writer->cleanup->ids.long_form);
    for (unsigned i = 0; i < ID_RANGES; i++) {
        struct id_range *range = &writer->ranges[i];
        if (range->first == 0 || number / step < range->first / step) continue;
        *place = number / step - range->first / step;
        if (*place < ID_RANGE) return range;
    }
    return NULL;
}

static bool stands_somewhere(struct cleanup *cleanup, struct str queue_id) {
    const int folders[] = {cleanup->tmp, cleanup->new, cleanup->cur, cleanup->hold};
    char name[QUEUE_ID_SIZE];
    if (map_get(cleanup->committing, queue_id)) return true;
    snprintf(name, sizeof name, "%.*s", STR_ARGS(queue_id));
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        if (faccessat(folders[i], name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
    return false;
}

bool id_claim(struct writer *writer, struct str queue_id) {
    struct cleanup *cleanup = writer->cleanup;
    uint64_t number, place;
    if (!queue_id_parse(queue_id, cleanup->ids.long_form, &number)) return false;
    struct id_range *range = find_range(writer, number, &place);
    if (!range) return number <= cleanup->ids.ceiling && !stands_somewhere(cleanup, queue_id);
    uint64_t bit = UINT64_C(1) << (place % 64);
    if (range->used[place / 64] & bit) return false;
    range->used[place / 64] |= bit;
    return true;
}
