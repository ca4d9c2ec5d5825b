/* dns_cache: answers kept for their TTL, and questions that are being asked now.
 *
 * One entry for a name and type. An entry is open while its question is on the
 * wire (whoever asks the same waits on it) and settled afterwards; the settled
 * ones are bounded in number, the least recently used goes first. Positive and
 * negative answers alike; failures are told to those waiting and not kept. */
#ifndef TERN_DNS_CACHE_H
#define TERN_DNS_CACHE_H

#include "dns_packet.h"
#include "task.h"

struct dns_cache;

struct dns_entry {
    struct dns_question question;
    bool settled, answered;
    struct dns_response response; /* if answered */
    struct failure *failure;      /* if settled and not answered */
    struct arena *arena;          /* of the response */
    deadline born;
    struct task_queue waiting;
    struct task *task; /* that asks; NULL when it has ended */
    /* the cache's own */
    struct dns_entry *newer, *older;
    deadline expires;
    unsigned references;
    bool listed;
};

struct dns_cache *dns_cache_create(size_t entries);
/* No entry may be open any more. */
void dns_cache_destroy(struct dns_cache **cache);
/* The entry for a question, with a reference for the caller. *created: it is new and open, the caller sees to it that
 * it is settled. */
struct dns_entry *dns_cache_find(struct dns_cache *cache, const struct dns_question *question, bool *created);
/* Ends an open entry: keeps or drops it, wakes all that wait. failure: NULL if it was answered; copied. */
void dns_cache_settle(struct dns_cache *cache, struct dns_entry *entry, const struct failure *failure);
/* Another reference. */
struct dns_entry *dns_entry_hold(struct dns_entry *entry);
void dns_entry_release(struct dns_entry **entry);
/* Seconds since the answer came, for counting TTLs down. */
uint32_t dns_entry_age(const struct dns_entry *entry);
/* Cancels the tasks of all open entries. */
void dns_cache_cancel(struct dns_cache *cache);
/* Settled entries held. */
size_t dns_cache_count(const struct dns_cache *cache);

#endif
