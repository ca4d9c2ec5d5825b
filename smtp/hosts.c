/* See hosts.h. */
#include "hosts.h"

static unsigned family_rank(const struct host *host, enum address_preference family) {
    switch (family) {
    case PREFER_ANY:
        return 0;
    case PREFER_IPV4:
        return endpoint_is_ipv6(&host->endpoint);
    case PREFER_IPV6:
        return !endpoint_is_ipv6(&host->endpoint);
    }
    return 0;
}

static bool comes_after(const struct host *a, const struct host *b, enum address_preference family) {
    if (a->preference != b->preference) return a->preference > b->preference;
    return family_rank(a, family) > family_rank(b, family);
}

/* By insertion, so that equals keep their (shuffled) order; the lists are short. */
static void sort(struct host *hosts, size_t count, enum address_preference family) {
    for (size_t i = 1; i < count; i++) {
        struct host host = hosts[i];
        size_t at = i;
        for (; at > 0 && comes_after(&hosts[at - 1], &host, family); at--)
            hosts[at] = hosts[at - 1];
        hosts[at] = host;
    }
}

static void shuffle(struct host *hosts, size_t count, const struct hosts_order *order) {
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)(order->random(order->state) % i);
        struct host swapped = hosts[i - 1];
        hosts[i - 1] = hosts[other];
        hosts[other] = swapped;
    }
}

/* A family of which there is little leaves its unused share to the other. */
static void cut_balanced(struct host *hosts, size_t *count, size_t limit) {
    size_t of_ipv6 = 0, kept = 0;
    for (size_t i = 0; i < *count; i++)
        of_ipv6 += endpoint_is_ipv6(&hosts[i].endpoint);
    size_t of_ipv4 = *count - of_ipv6, half = limit / 2;
    size_t room_ipv6 = of_ipv4 < limit - half ? limit - of_ipv4 : half;
    if (room_ipv6 == 0 && endpoint_is_ipv6(&hosts[0].endpoint)) room_ipv6 = 1;
    if (room_ipv6 > of_ipv6) room_ipv6 = of_ipv6;
    size_t room_ipv4 = limit - room_ipv6;
    for (size_t i = 0; i < *count; i++) {
        size_t *room = endpoint_is_ipv6(&hosts[i].endpoint) ? &room_ipv6 : &room_ipv4;
        if (*room == 0) continue;
        (*room)--;
        hosts[kept++] = hosts[i];
    }
    *count = kept;
}

void hosts_sort(struct host *hosts, size_t *count, const struct hosts_order *order) {
    if (order->randomise && order->random) shuffle(hosts, *count, order);
    sort(hosts, *count, order->family);
    if (order->limit == 0 || *count <= order->limit) return;
    if (order->balance)
        cut_balanced(hosts, count, order->limit);
    else
        *count = order->limit;
}

bool hosts_cut_at_self(const struct host *hosts, size_t *count, bool (*is_self)(const struct host *host, void *state),
                       void *state) {
    for (size_t i = 0; i < *count; i++) {
        if (!is_self(&hosts[i], state)) continue;
        size_t left = i;
        while (left > 0 && hosts[left - 1].preference == hosts[i].preference)
            left--;
        *count = left;
        return true;
    }
    return false;
}
