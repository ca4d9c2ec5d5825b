/* lookup: the one context of the daemon, and what its files offer each other.
 *
 * The functions that decide (resolve, expand, local, match) know nothing of
 * connections: they return true with an answer, or false with the failure of a
 * table that did not answer, which the caller turns into 451. They may suspend the
 * task (opening a table, asking the system for an account). */
#ifndef TERN_LOOKUP_H
#define TERN_LOOKUP_H

#include "accounts.h"
#include "config.h"
#include "delivery.h"
#include "dns.h"
#include "ipc.h"
#include "service.h"
#include "tables.h"

#define LOOKUP_VALUE_MAX ((size_t)60000) /* bytes of one table value that lookup takes */

/* The parameters whose tables are opened at start. */
#define LOOKUP_MAPS(MAP)                                                                                               \
    MAP(alias_maps)                                                                                                    \
    MAP(canonical_maps)                                                                                                \
    MAP(recipient_canonical_maps)                                                                                      \
    MAP(local_recipient_maps)                                                                                          \
    MAP(relay_recipient_maps)                                                                                          \
    MAP(relocated_maps)                                                                                                \
    MAP(sender_dependent_default_transport_maps)                                                                       \
    MAP(sender_dependent_relayhost_maps)                                                                               \
    MAP(transport_maps)                                                                                                \
    MAP(virtual_alias_maps)                                                                                            \
    MAP(virtual_gid_maps)                                                                                              \
    MAP(virtual_mailbox_maps)                                                                                          \
    MAP(virtual_uid_maps)
/* The lists of domains that make the address classes. */
#define LOOKUP_LISTS(LIST)                                                                                             \
    LIST(mail_account_domains)                                                                                         \
    LIST(mydestination)                                                                                                \
    LIST(relay_domains)                                                                                                \
    LIST(virtual_alias_domains)                                                                                        \
    LIST(virtual_mailbox_domains)

struct peer {
    struct peer *next, **previous;
    struct lookup *lookup;
    struct ipc_peer *connection;
    uint64_t told; /* the generation of tables that this caller has been told of */
    bool being_told;
};

struct lookup {
    struct service *service; /* NULL in tests */
    const struct config *config;
    struct tables *tables;
    struct accounts *accounts;
    struct resolver *resolver;
    struct peer *peers;
    struct endpoint *interfaces; /* this machine's addresses */
    size_t interface_count;
    bool refreshing;
    struct ipc_client *auth, *local, *virtual; /* of mail_account.c; NULL in tests */
#define MEMBER(name) struct table_maps *name;
    LOOKUP_MAPS(MEMBER)
#undef MEMBER
#define MEMBER(name) struct domain_list *name;
    LOOKUP_LISTS(MEMBER)
#undef MEMBER
};

/* context.c */
/* A context that answers by this configuration; opens no table yet. The
 * configuration must outlive it. */
struct lookup *lookup_create(const struct config *config);
void lookup_destroy(struct lookup **lookup);
/* Opens what LOOKUP_MAPS and LOOKUP_LISTS name. Suspends. */
void lookup_open_tables(struct lookup *lookup);
/* Asks the system for this machine's addresses; before the sandbox. */
bool lookup_find_interfaces(struct lookup *lookup, struct failure *failure);
/* True for an address of this machine, by inet_interfaces and proxy_interfaces. */
bool lookup_is_own_address(const struct lookup *lookup, struct str ip);

/* classify.c */
/* The class of a domain (or literal) alone. */
MUST_USE bool lookup_classify(struct lookup *lookup, struct str domain, enum address_class *class,
                              struct failure *failure);

/* resolve.c */
MUST_USE bool lookup_resolve(struct lookup *lookup, struct str address, struct str sender, struct arena *arena,
                             struct ipc_lookup_resolved *answer, struct failure *failure);

/* route.c: which transport and next hop; the answer has class and recipient already */
struct subject;
MUST_USE bool lookup_route(struct lookup *lookup, const struct subject *subject, struct str sender, struct arena *arena,
                           struct ipc_lookup_resolved *answer, struct failure *failure);

/* expand.c */
MUST_USE bool lookup_expand(struct lookup *lookup, struct str address, struct arena *arena,
                            struct ipc_lookup_expanded *answer, struct failure *failure);

/* many.c: the answers to several questions. They borrow from rows, which is made here and the caller's to free. */
void lookup_many(struct lookup *lookup, const struct ipc_lookup_many *questions, struct buf *rows,
                 struct ipc_lookup_many_found *answer);

/* local.c and mailbox.c */
MUST_USE bool lookup_local(struct lookup *lookup, struct str address, bool no_alias, struct arena *arena,
                           struct ipc_lookup_local_found *answer, struct failure *failure);
MUST_USE bool lookup_mailbox(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                             struct ipc_lookup_local_found *answer, struct failure *failure);

/* mail_account.c */
/* Whether addresses of that domain may be accounts of auth_sources. */
MUST_USE bool lookup_has_accounts(struct lookup *lookup, struct str domain, bool *has, struct failure *failure);
/* The account whose address this is: kind LOCAL_ACCOUNT, or the answer stays as it is. Suspends. */
MUST_USE bool lookup_account(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                             struct ipc_lookup_local_found *answer, struct failure *failure);
/* Whether an account's mailbox takes so much more: asks local. Suspends. */
MUST_USE bool lookup_quota(struct lookup *lookup, const struct ipc_lookup_quota *question, struct arena *arena,
                           struct ipc_lookup_quota_found *answer, struct failure *failure);

/* match.c */
enum match_answer { MATCH_ANSWERED, MATCH_TABLE_FAILED, MATCH_NOT_PERMITTED };
/* Notes every type:name in the configuration: only those may be asked for. */
void lookup_permit_tables(struct lookup *lookup);
MUST_USE enum match_answer lookup_match(struct lookup *lookup, struct str table, struct str key, struct arena *arena,
                                        struct ipc_lookup_matched *answer, struct failure *failure);

/* credentials.c */
MUST_USE bool lookup_credentials(struct lookup *lookup, const struct ipc_lookup_credentials *question,
                                 struct arena *arena, struct ipc_lookup_credentials_given *answer,
                                 struct failure *failure);

/* names.c */
MUST_USE bool lookup_open_resolver(struct lookup *lookup, struct failure *failure);
MUST_USE bool lookup_name(struct lookup *lookup, struct str address, struct arena *arena,
                          struct ipc_lookup_named *answer, struct failure *failure);
MUST_USE bool lookup_dns(struct lookup *lookup, struct str domain, struct arena *arena,
                         struct ipc_lookup_dns_found *answer, struct failure *failure);

/* refresh.c */
/* Once a second, outside tasks: notices tables that changed and has them opened anew. */
/* Opens anew what changed, and tells the callers; true if anything had. In a task. */
bool lookup_refresh(struct lookup *lookup);
void lookup_tick(struct lookup *lookup);
/* Tells a caller that has answers of older tables. In a task. */
void lookup_tell(struct peer *peer);

#endif
