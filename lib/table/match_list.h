/* Match lists: is this domain, string or address one of those named by a
 * parameter (mynetworks, mydestination, relay_domains)?
 *
 * An item is a name, .suffix, address, network/bits, type:table or /file/name
 * (whose items stand in its place); ! before it turns the answer. The first item
 * that matches decides. */
#ifndef TERN_MATCH_LIST_H
#define TERN_MATCH_LIST_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

enum match_result {
    MATCH_YES,
    MATCH_NO,
    MATCH_RETRY, /* a table or file in the list did not answer */
};

enum match_list_flags {
    MATCH_LIST_PARENT = 1 << 0,    /* "domain" matches its subdomains too (parent_domain_matches_subdomains) */
    MATCH_LIST_NAMES = 1 << 1,     /* items are names only: 1.2.3.4/8 is no network */
    MATCH_LIST_ADDRESSES = 1 << 2, /* items are addresses only: a name among them is an error */
};

struct match_list;

/* Parses the value, reads its files and opens its tables. False with the reason
 * for a malformed item; a file or table that cannot be read now is no such error
 * but makes the match MATCH_RETRY when it is reached. Blocking. */
MUST_USE bool match_list_open(struct str value, unsigned flags, struct match_list **list, struct failure *failure);
void match_list_close(struct match_list **list);

/* A domain or other string; ASCII case does not count. */
MUST_USE enum match_result match_list_name(struct match_list *list, struct str name, struct failure *failure);
/* An address in text: "192.0.2.1", "2001:db8::1", also in brackets; IPv4 mapped
 * into IPv6 counts as IPv4. What is not an address matches nothing. */
MUST_USE enum match_result match_list_address(struct match_list *list, struct str address, struct failure *failure);
/* A host by both: the first item that matches name or address decides. */
MUST_USE enum match_result match_list_host(struct match_list *list, struct str name, struct str address,
                                           struct failure *failure);

/* True if a file of the list or of a table in it changed: open the list anew. */
bool match_list_changed(const struct match_list *list);

#endif
