/* sort_order: what comes before what, where there is very much of it.
 *
 * An order is a list of the numbers of things, 0 to count - 1, permuted. Sorting is
 * stable, so that several criteria are sorted by one after the other, the last first. */
#ifndef TERN_SORT_ORDER_H
#define TERN_SORT_ORDER_H

#include "compiler.h"
#include "str.h"

/* The order in which things stand. */
void sort_order_begin(uint32_t *order, size_t count);
/* Sorts an order by the things' keys (keys[0] is thing 0's), the lowest first; reverse: the highest first, and things
 * with the same key stay as they were. */
void sort_order_by_numbers(uint32_t *order, size_t count, const uint64_t *keys, bool reverse);
/* A key that compares as the number does. */
uint64_t sort_order_key(int64_t number);
/* For each of count texts its rank: from 0 on, the same for the same text, in the order of octets (str_compare). */
void sort_order_rank_texts(const struct str *texts, size_t count, uint64_t *ranks);

#endif
