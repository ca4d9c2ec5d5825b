/* See uid_set.h. */
#include "uid_set.h"

#include "memory.h"

void uid_set_free(struct uid_set *set) {
    MEMORY_FREE(set->ranges);
    set->count = set->room = 0;
}

void uid_set_clear(struct uid_set *set) {
    set->count = 0;
}

/* The index of the first range that ends at or after a number. */
static size_t find(const struct uid_set *set, uint32_t number) {
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Replaces `old` ranges from index at by one. */
static void splice(struct uid_set *set, size_t at, size_t old, struct uid_range range) {
    if (old == 0) {
        if (set->count == set->room) {
            set->room = set->room ? set->room * 2 : 8;
            set->ranges = memory_resize(set->ranges, set->room, sizeof *set->ranges);
        }
        memmove(&set->ranges[at + 1], &set->ranges[at], (set->count - at) * sizeof *set->ranges);
        set->count++;
    } else if (old > 1) {
        memmove(&set->ranges[at + 1], &set->ranges[at + old], (set->count - at - old) * sizeof *set->ranges);
        set->count -= old - 1;
    }
    set->ranges[at] = range;
}

void uid_set_add(struct uid_set *set, uint32_t first, uint32_t last) {
    struct uid_range range = {first, last};
    if (first == 0 || first > last) return;
    /* The usual case: behind or within the last range. */
    struct uid_range *end = set->count ? &set->ranges[set->count - 1] : NULL;
    if (end && first >= end->first && first <= end->last + (uint64_t)1) {
        if (last > end->last) end->last = last;
        return;
    }
    size_t at = find(set, first > 1 ? first - 1 : first), old = 0;
    while (at + old < set->count && set->ranges[at + old].first <= (uint64_t)last + 1) {
        const struct uid_range *met = &set->ranges[at + old++];
        if (met->first < range.first) range.first = met->first;
        if (met->last > range.last) range.last = met->last;
    }
    splice(set, at, old, range);
}

void uid_set_remove(struct uid_set *set, uint32_t first, uint32_t last) {
    if (first == 0 || first > last) return;
    for (size_t at = find(set, first); at < set->count && set->ranges[at].first <= last;) {
        struct uid_range met = set->ranges[at];
        if (met.first < first && met.last > last) {
            set->ranges[at].last = first - 1;
            splice(set, at + 1, 0, (struct uid_range){last + 1, met.last});
            return;
        }
        if (met.first < first) {
            set->ranges[at++].last = first - 1;
        } else if (met.last > last) {
            set->ranges[at].first = last + 1;
            return;
        } else {
            memmove(&set->ranges[at], &set->ranges[at + 1], (set->count - at - 1) * sizeof *set->ranges);
            set->count--;
        }
    }
}

bool uid_set_has(const struct uid_set *set, uint32_t number) {
    size_t at = find(set, number);
    return number > 0 && at < set->count && set->ranges[at].first <= number;
}

uint64_t uid_set_size(const struct uid_set *set) {
    uint64_t size = 0;
    for (size_t i = 0; i < set->count; i++)
        size += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
    return size;
}

static bool parse_number(struct str text, uint32_t star, uint32_t *number) {
    uint64_t value;
    if (str_equal(text, STR("*"))) {
        *number = star;
        return true;
    }
    if (text.length == 0 || text.data[0] == '0' || !str_to_u64(text, UINT32_MAX, &value)) return false;
    *number = (uint32_t)value;
    return true;
}

bool uid_set_parse(struct str text, uint32_t star, size_t ranges_limit, struct uid_set *set) {
    struct uid_set parsed = {0};
    bool good = text.length > 0, more = good;
    for (size_t count = 0; good && more; count++) {
        struct str item = text, from, to;
        uint32_t first, last;
        more = str_cut(text, ',', &item, &text);
        if (!str_cut(item, ':', &from, &to)) from = to = item;
        good = count < ranges_limit && parse_number(from, star, &first) && parse_number(to, star, &last);
        if (good) uid_set_add(&parsed, first < last ? first : last, first < last ? last : first);
    }
    if (!good) {
        uid_set_free(&parsed);
        return false;
    }
    uid_set_free(set);
    *set = parsed;
    return true;
}

void uid_set_format(const struct uid_set *set, struct buf *text) {
    for (size_t i = 0; i < set->count; i++) {
        const struct uid_range *range = &set->ranges[i];
        buf_printf(text, "%s%u", i ? "," : "", range->first);
        if (range->last != range->first) buf_printf(text, ":%u", range->last);
    }
}

void uid_set_copy(const struct uid_set *from, struct uid_set *to) {
    uid_set_clear(to);
    uid_set_add_set(to, from);
}

void uid_set_add_set(struct uid_set *set, const struct uid_set *more) {
    for (size_t i = 0; i < more->count; i++)
        uid_set_add(set, more->ranges[i].first, more->ranges[i].last);
}

void uid_set_subtract(struct uid_set *set, const struct uid_set *less) {
    struct uid_set left = {0};
    for (size_t i = 0, k = 0; i < set->count; i++) {
        uint64_t first = set->ranges[i].first, last = set->ranges[i].last;
        while (k < less->count && less->ranges[k].last < first)
            k++;
        for (size_t at = k; at < less->count && less->ranges[at].first <= last && first <= last; at++) {
            if (less->ranges[at].first > first) uid_set_add(&left, (uint32_t)first, less->ranges[at].first - 1);
            first = (uint64_t)less->ranges[at].last + 1;
        }
        if (first <= last) uid_set_add(&left, (uint32_t)first, (uint32_t)last);
    }
    uid_set_free(set);
    *set = left;
}

void uid_set_intersect(struct uid_set *set, const struct uid_set *with) {
    struct uid_set both = {0};
    for (size_t i = 0, k = 0; i < set->count && k < with->count;) {
        const struct uid_range *a = &set->ranges[i], *b = &with->ranges[k];
        uint32_t first = a->first > b->first ? a->first : b->first, last = a->last < b->last ? a->last : b->last;
        if (first <= last) uid_set_add(&both, first, last);
        if (a->last < b->last)
            i++;
        else
            k++;
    }
    uid_set_free(set);
    *set = both;
}
