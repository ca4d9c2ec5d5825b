/* kept_answer: each piece a head and octets; the first has what was asked and the ranges before the answer. */
#include "kept_answer.h"
#include "hash.h"
#include "message_rows.h"

#define PIECE_MAGIC UINT32_C(0x72776e61)

struct piece_head {
    uint32_t magic, sum; /* sum: of all that follows it */
    uint32_t version, uid_validity;
    uint64_t generation;
    uint32_t piece, pieces, key_length, ranges_length;
};

#define SUM_FROM offsetof(struct piece_head, version)

uint32_t kept_answer_pieces(struct str answer) {
    size_t pieces = answer.length / KEPT_ANSWER_PIECE + 1;
    return pieces <= KEPT_ANSWER_PIECES ? (uint32_t)pieces : 0;
}

void kept_answer_write(struct buf *out, const struct kept_answer *answer, uint32_t piece) {
    struct piece_head head = {.magic = PIECE_MAGIC,
                              .version = MESSAGE_ROWS_VERSION,
                              .uid_validity = answer->uid_validity,
                              .generation = answer->generation,
                              .piece = piece,
                              .pieces = answer->pieces};
    size_t begin = out->length;
    if (piece == 0) {
        head.key_length = (uint32_t)answer->key.length;
        head.ranges_length = (uint32_t)answer->ranges.length;
    }
    buf_append_bytes(out, &head, sizeof head);
    if (piece == 0) {
        buf_append(out, answer->key);
        buf_append(out, answer->ranges);
    }
    buf_append(out, str_slice(answer->part, piece * KEPT_ANSWER_PIECE, (piece + 1) * KEPT_ANSWER_PIECE));
    head.sum = crc32c(0, out->data + begin + SUM_FROM, out->length - begin - SUM_FROM);
    memcpy(out->data + begin, &head, sizeof head);
}

static bool open_piece(struct piece_head *head, struct str *rest, struct str bytes, uint32_t uid_validity,
                       uint32_t piece) {
    if (bytes.length < sizeof *head) return false;
    memcpy(head, bytes.data, sizeof *head);
    if (head->magic != PIECE_MAGIC || head->version != MESSAGE_ROWS_VERSION || head->uid_validity != uid_validity ||
        head->piece != piece)
        return false;
    if (head->sum != crc32c(0, bytes.data + SUM_FROM, bytes.length - SUM_FROM)) return false;
    *rest = str_from_offset(bytes, sizeof *head);
    return true;
}

bool kept_answer_open(struct kept_answer *answer, struct str bytes, uint32_t uid_validity) {
    struct piece_head head;
    struct str rest;
    if (!open_piece(&head, &rest, bytes, uid_validity, 0)) return false;
    if (head.key_length > rest.length || head.ranges_length > rest.length - head.key_length) return false;
    if (head.ranges_length % sizeof(struct kept_range) != 0 || head.pieces == 0 || head.pieces > KEPT_ANSWER_PIECES)
        return false;
    *answer = (struct kept_answer){.uid_validity = uid_validity, .generation = head.generation, .pieces = head.pieces};
    answer->key = str_slice(rest, 0, head.key_length);
    answer->ranges = str_slice(rest, head.key_length, (size_t)head.key_length + head.ranges_length);
    answer->part = str_from_offset(rest, (size_t)head.key_length + head.ranges_length);
    return true;
}

bool kept_answer_part(const struct kept_answer *answer, struct str bytes, uint32_t piece, struct str *part) {
    struct piece_head head;
    struct str rest;
    if (!open_piece(&head, &rest, bytes, answer->uid_validity, piece)) return false;
    if (head.generation != answer->generation || head.pieces != answer->pieces) return false;
    *part = rest;
    return true;
}

struct kept_range kept_answer_range(const struct kept_answer *answer, size_t number) {
    struct kept_range range;
    memcpy(&range, answer->ranges.data + number * sizeof range, sizeof range);
    return range;
}
