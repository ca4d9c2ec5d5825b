/* See slot_set.h. */
#include "slot_set.h"

#include <string.h>

#define WORD        64U
#define BLOCK_WORDS 8U /* a count for each 512 slots */
#define BLOCK       (WORD * BLOCK_WORDS)

void slot_set_free(struct slot_set *set) {
    MEMORY_FREE(set->words);
    MEMORY_FREE(set->before);
    *set = (struct slot_set){0};
}

void slot_set_add(struct slot_set *set, uint32_t slot) {
    size_t word = slot / WORD;
    if (word >= set->words_room) {
        size_t room = set->words_room * 2 > word + BLOCK_WORDS ? set->words_room * 2 : word + BLOCK_WORDS;
        room = (room + BLOCK_WORDS - 1) / BLOCK_WORDS * BLOCK_WORDS;
        set->words = memory_resize(set->words, room, sizeof *set->words);
        memset(set->words + set->words_room, 0, (room - set->words_room) * sizeof *set->words);
        set->words_room = room;
    }
    uint64_t bit = (uint64_t)1 << slot % WORD;
    if (set->words[word] & bit) return;
    set->words[word] |= bit;
    set->members++;
    set->counted = false;
}

bool slot_set_has(const struct slot_set *set, uint32_t slot) {
    size_t word = slot / WORD;
    return word < set->words_room && (set->words[word] >> slot % WORD & 1);
}

static void count(struct slot_set *set) {
    size_t blocks = set->words_room / BLOCK_WORDS;
    uint32_t members = 0;
    set->before = memory_resize(set->before, blocks + 1, sizeof *set->before);
    for (size_t block = 0; block < blocks; block++) {
        set->before[block] = members;
        for (size_t i = 0; i < BLOCK_WORDS; i++)
            members += (uint32_t)__builtin_popcountll(set->words[block * BLOCK_WORDS + i]);
    }
    set->before[blocks] = members;
    set->counted = true;
}

uint32_t slot_set_before(struct slot_set *set, uint32_t slot) {
    if (set->members == 0) return 0;
    if (!set->counted) count(set);
    size_t word = slot / WORD, block = slot / BLOCK;
    if (word >= set->words_room) return set->members;
    uint32_t members = set->before[block];
    for (size_t i = block * BLOCK_WORDS; i < word; i++)
        members += (uint32_t)__builtin_popcountll(set->words[i]);
    uint64_t lower = ((uint64_t)1 << slot % WORD) - 1;
    return members + (uint32_t)__builtin_popcountll(set->words[word] & lower);
}

uint32_t slot_set_nth_absent(struct slot_set *set, uint32_t rank, uint32_t slots) {
    if (set->members == 0) return rank;
    if (!set->counted) count(set);
    /* The last block with at most `rank` absent ones before it; behind the words all are absent. */
    size_t low = 0, high = set->words_room / BLOCK_WORDS;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if ((uint64_t)middle * BLOCK - set->before[middle] <= rank)
            low = middle;
        else
            high = middle - 1;
    }
    uint32_t slot = (uint32_t)low * BLOCK, absent = slot - set->before[low];
    for (; slot < slots; slot++) {
        if (slot_set_has(set, slot)) continue;
        if (absent++ == rank) return slot;
    }
    return slots;
}
