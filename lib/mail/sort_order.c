/* sort_order: by digits of 11 bits from the lowest on; a digit in which all keys agree costs nothing. */
#include "sort_order.h"
#include "memory.h"

#define DIGIT_BITS 11
#define DIGITS     (1U << DIGIT_BITS)

struct keyed {
    uint64_t key;
    uint32_t thing;
};

void sort_order_begin(uint32_t *order, size_t count) {
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
}

uint64_t sort_order_key(int64_t number) {
    return (uint64_t)number ^ UINT64_C(1) << 63;
}

static unsigned digit_of(uint64_t key, unsigned shift) {
    return (unsigned)(key >> shift) & (DIGITS - 1);
}

static void sort_by_digit(const struct keyed *from, struct keyed *to, size_t count, unsigned shift) {
    size_t places[DIGITS] = {0}, before = 0;
    for (size_t i = 0; i < count; i++)
        places[digit_of(from[i].key, shift)]++;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        size_t here = places[digit];
        places[digit] = before;
        before += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[digit_of(from[i].key, shift)]++] = from[i];
}

/* Few are sorted by putting each into its place. */
static void sort_few(struct keyed *keyed, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct keyed one = keyed[i];
        size_t at = i;
        for (; at > 0 && keyed[at - 1].key > one.key; at--)
            keyed[at] = keyed[at - 1];
        keyed[at] = one;
    }
}

static void sort_keyed(struct keyed *keyed, size_t count) {
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++)
        differing |= keyed[i].key ^ keyed[0].key;
    if (differing == 0) return;
    if (count <= 32) {
        sort_few(keyed, count);
        return;
    }
    struct keyed *other = memory_allocate(count, sizeof *other), *from = keyed, *to = other;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        if (digit_of(differing, shift) == 0) continue;
        sort_by_digit(from, to, count, shift);
        struct keyed *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keyed) memcpy(keyed, from, count * sizeof *keyed);
    MEMORY_FREE(other);
}

/* ---- numbers that are not far apart: a pair is a single number, the key above, the thing below */

#define THING_BITS 32

/* Bits that a number has. */
static unsigned bits_of(uint64_t number) {
    return number == 0 ? 0 : 64 - (unsigned)__builtin_clzll(number);
}

static void sort_packed_by_digit(const uint64_t *from, uint64_t *to, size_t count, unsigned shift, unsigned bits) {
    uint32_t places[DIGITS] = {0}, before = 0;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    for (size_t i = 0; i < count; i++)
        places[from[i] >> shift & mask]++;
    for (uint64_t digit = 0; digit <= mask; digit++) {
        uint32_t here = places[digit];
        places[digit] = before;
        before += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[from[i] >> shift & mask]++] = from[i];
}

/* Keys from lowest to highest, which are less than 32 bits apart. */
static void sort_near(uint32_t *order, size_t count, const uint64_t *keys, uint64_t lowest, uint64_t highest,
                      bool reverse) {
    uint64_t *from = memory_allocate(count, sizeof *from), *to = memory_allocate(count, sizeof *to);
    unsigned width = bits_of(highest - lowest);
    unsigned digits = (width + DIGIT_BITS - 1) / DIGIT_BITS;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[order[i]];
        from[i] = (reverse ? highest - key : key - lowest) << THING_BITS | order[i];
    }
    for (unsigned done = 0; digits > 0; digits--) {
        unsigned bits = (width - done + digits - 1) / digits; /* of all digits about the same */
        sort_packed_by_digit(from, to, count, THING_BITS + done, bits);
        uint64_t *swapped = from;
        from = to;
        to = swapped;
        done += bits;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)from[i];
    MEMORY_FREE(from);
    MEMORY_FREE(to);
}

void sort_order_by_numbers(uint32_t *order, size_t count, const uint64_t *keys, bool reverse) {
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[order[i]];
        if (key < lowest) lowest = key;
        if (key > highest) highest = key;
    }
    if (lowest >= highest) return; /* all the same, or none */
    if (highest - lowest <= UINT32_MAX) {
        sort_near(order, count, keys, lowest, highest, reverse);
        return;
    }
    struct keyed *keyed = memory_allocate(count, sizeof *keyed);
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){reverse ? ~keys[order[i]] : keys[order[i]], order[i]};
    sort_keyed(keyed, count);
    for (size_t i = 0; i < count; i++)
        order[i] = keyed[i].thing;
    MEMORY_FREE(keyed);
}

/* ---- texts */

/* Eight octets of a text from an offset on; what is behind its end counts as 0. */
static uint64_t octets_at(struct str text, size_t offset) {
    uint64_t octets = 0;
    size_t there = text.length > offset ? text.length - offset : 0;
    if (there > sizeof octets) there = sizeof octets;
    memcpy(&octets, text.data + offset, there);
    return __builtin_bswap64(octets);
}

struct text_run {
    size_t from, count, offset; /* of texts that are the same up to offset */
};

struct text_sort {
    const struct str *texts;
    struct keyed *keyed;
    struct text_run *waiting;
    size_t waiting_count, waiting_room;
};

static void add_run(struct text_sort *sort, struct text_run run) {
    if (sort->waiting_count == sort->waiting_room) {
        sort->waiting_room = sort->waiting_room ? sort->waiting_room * 2 : 64;
        sort->waiting = memory_resize(sort->waiting, sort->waiting_room, sizeof *sort->waiting);
    }
    sort->waiting[sort->waiting_count++] = run;
}

/* Where a text ends within the eight octets from an offset on; 8: not before their end. What ends comes first: "A"
 * before "A" and NUL, whose octets are the same. */
static uint64_t end_of(struct str text, size_t offset) {
    return text.length >= offset + 8 ? 8 : text.length > offset ? text.length - offset : 0;
}

/* Of a run in which the octets at its offset are the same too: sorts it by where the texts end. Those that end at the
 * same place are the same; those that go on are a run of their own. */
static void sort_ends(struct text_sort *sort, struct text_run run) {
    struct keyed *keyed = sort->keyed + run.from;
    for (size_t i = 0; i < run.count; i++)
        keyed[i].key = end_of(sort->texts[keyed[i].thing], run.offset);
    sort_keyed(keyed, run.count);
    size_t ended = run.count;
    while (ended > 0 && keyed[ended - 1].key == 8)
        ended--;
    if (run.count - ended > 1) add_run(sort, (struct text_run){run.from + ended, run.count - ended, run.offset + 8});
}

static void sort_run(struct text_sort *sort, struct text_run run) {
    struct keyed *keyed = sort->keyed + run.from;
    for (size_t i = 0; i < run.count; i++)
        keyed[i].key = octets_at(sort->texts[keyed[i].thing], run.offset);
    sort_keyed(keyed, run.count);
    for (size_t from = 0, to; from < run.count; from = to) {
        uint64_t key = keyed[from].key;
        for (to = from + 1; to < run.count && keyed[to].key == key;)
            to++;
        if (to - from > 1) sort_ends(sort, (struct text_run){run.from + from, to - from, run.offset});
    }
}

void sort_order_rank_texts(const struct str *texts, size_t count, uint64_t *ranks) {
    struct text_sort sort = {.texts = texts, .keyed = memory_allocate(count + 1, sizeof *sort.keyed)};
    for (size_t i = 0; i < count; i++)
        sort.keyed[i].thing = (uint32_t)i;
    if (count > 0) add_run(&sort, (struct text_run){0, count, 0});
    while (sort.waiting_count > 0)
        sort_run(&sort, sort.waiting[--sort.waiting_count]);
    uint64_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && !str_equal(texts[sort.keyed[i - 1].thing], texts[sort.keyed[i].thing])) rank++;
        ranks[sort.keyed[i].thing] = rank;
    }
    MEMORY_FREE(sort.waiting);
    MEMORY_FREE(sort.keyed);
}
