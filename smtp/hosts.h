/* hosts: the servers of a destination, in the order in which they are tried. Pure. */
#ifndef TERN_HOSTS_H
#define TERN_HOSTS_H

#include "endpoint.h"
#include "str.h"

struct host {
    struct str name;          /* for people and logs */
    struct str address;       /* text form of the endpoint; a path for a UNIX socket */
    struct endpoint endpoint; /* with port */
    uint16_t preference;      /* of the MX record */
    struct str canonical;     /* the name after CNAMEs, where DNS gave the address; else empty */
    bool authentic;           /* the address is from a validated answer, all CNAMEs included */
    bool alias_authentic;     /* as authentic, of the first CNAME alone */
};

enum address_preference { PREFER_ANY, PREFER_IPV4, PREFER_IPV6 };

struct hosts_order {
    bool randomise; /* among those of equal preference */
    enum address_preference family;
    bool balance; /* keep both families when limit cuts */
    size_t limit; /* most hosts; 0: all */
    uint64_t (*random)(void *state);
    void *state;
};

/* Sorts by preference, then by family where one is preferred; equals in random
 * order; then cuts. *count is what is left. */
void hosts_sort(struct host *hosts, size_t *count, const struct hosts_order *order);

/* RFC 5321 5.1: who is an MX host itself sends only to better ones. Cuts the
 * (sorted) list before the preference of the first host for which is_self is
 * true; false if there was none. */
bool hosts_cut_at_self(const struct host *hosts, size_t *count, bool (*is_self)(const struct host *host, void *state),
                       void *state);

#endif
