/* message_ranks: a head, and the ranks of those that have one. */
#include "message_ranks.h"
#include "hash.h"

#define RANKS_MAGIC UINT32_C(0x6b6e6172)

struct ranks_head {
    uint32_t magic, sum; /* sum: of all that follows it */
    uint32_t version, uid_validity, block, column;
    uint64_t generation;
    uint64_t present[MESSAGE_ROWS_MAX / 64];
};

#define SUM_FROM offsetof(struct ranks_head, version)

void message_ranks_write(struct buf *out, const struct message_ranks *ranks, uint32_t uid_validity, uint32_t block,
                         enum message_row_column column) {
    struct ranks_head head = {.magic = RANKS_MAGIC,
                              .version = MESSAGE_ROWS_VERSION,
                              .uid_validity = uid_validity,
                              .block = block,
                              .column = (uint32_t)column,
                              .generation = ranks->generation};
    size_t begin = out->length;
    uint32_t rank;
    memcpy(head.present, ranks->present, sizeof head.present);
    buf_append_bytes(out, &head, sizeof head);
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++)
        if (message_ranks_has(ranks, i, &rank)) buf_append_bytes(out, &rank, sizeof rank);
    head.sum = crc32c(0, out->data + begin + SUM_FROM, out->length - begin - SUM_FROM);
    memcpy(out->data + begin, &head, sizeof head);
}

bool message_ranks_open(struct message_ranks *ranks, struct str bytes, uint32_t uid_validity, uint32_t block,
                        enum message_row_column column) {
    struct ranks_head head;
    uint32_t count = 0;
    if (bytes.length < sizeof head) return false;
    memcpy(&head, bytes.data, sizeof head);
    if (head.magic != RANKS_MAGIC || head.version != MESSAGE_ROWS_VERSION || head.uid_validity != uid_validity ||
        head.block != block || head.column != (uint32_t)column)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(head.present); i++)
        count += (uint32_t)__builtin_popcountll(head.present[i]);
    if (bytes.length != sizeof head + (size_t)count * sizeof ranks->ranks[0]) return false;
    if (head.sum != crc32c(0, bytes.data + SUM_FROM, bytes.length - SUM_FROM)) return false;
    ranks->generation = head.generation;
    memcpy(ranks->present, head.present, sizeof ranks->present);
    const char *at = bytes.data + sizeof head;
    for (uint32_t i = 0; i < MESSAGE_ROWS_MAX; i++) {
        if (!(head.present[i / 64] >> (i % 64) & 1)) continue;
        memcpy(&ranks->ranks[i], at, sizeof ranks->ranks[i]);
        at += sizeof ranks->ranks[i];
    }
    return true;
}

void message_ranks_set(struct message_ranks *ranks, uint32_t uid, uint32_t rank) {
    uint32_t at = uid % MESSAGE_ROWS_MAX;
    ranks->present[at / 64] |= UINT64_C(1) << (at % 64);
    ranks->ranks[at] = rank;
}

bool message_ranks_has(const struct message_ranks *ranks, uint32_t uid, uint32_t *rank) {
    uint32_t at = uid % MESSAGE_ROWS_MAX;
    if (!(ranks->present[at / 64] >> (at % 64) & 1)) return false;
    *rank = ranks->ranks[at];
    return true;
}
