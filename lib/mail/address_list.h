/* address_list: the addresses of a header field, one by one.
 *
 * RFC 5322 3.4 with the obsolete syntax of 4.4: groups, comments, routes,
 * display names with dots, empty list members, ';' in place of ','. For `sendmail -t`, for
 * notices and for IMAP's ENVELOPE. Reads once from left to right; comments may nest (a counter follows
 * them, no stack). */
#ifndef TERN_ADDRESS_LIST_H
#define TERN_ADDRESS_LIST_H

#include "buf.h"
#include "str.h"

#define ADDRESS_LIST_MAX      10000
#define ADDRESS_LIST_ITEM_MAX 4096 /* octets of one display name, local part or domain */

enum address_list_result {
    ADDRESS_LIST_ITEM,    /* *item is set */
    ADDRESS_LIST_INVALID, /* a member that is no address was passed over; item->source is set; go on */
    ADDRESS_LIST_END,
    ADDRESS_LIST_TOO_MANY, /* the limit of items is reached; the rest is not read */
    /* Only where list->groups was set after address_list_begin: */
    ADDRESS_LIST_GROUP,     /* a group begins; item->display is its name */
    ADDRESS_LIST_GROUP_END, /* and ends, by ';' or with the field */
};

struct address_list_item {
    struct str local;   /* unquoted, comments removed; empty for "<>" */
    struct str domain;  /* empty if there is none; literals keep their brackets */
    struct str display; /* display name, or the trailing comment in the old style; unquoted, encoded
                           words (RFC 2047) left as they are; may be empty */
    struct str route;   /* "@one,@two" of an obsolete source route; may be empty */
    struct str source;  /* the member's own bytes in the field */
    bool in_group;
};

struct address_list {
    struct str field;
    size_t offset;
    size_t count; /* items and invalid members so far */
    size_t limit;
    bool in_group;
    bool groups;      /* set by the caller: groups are told */
    bool group_ended; /* ADDRESS_LIST_GROUP_END is owed */
    struct buf local;
    struct buf domain;
    struct buf display;
    struct buf comment;
    struct buf route;
};

/* Begins reading a field's value (folded or not). limit 0 means
 * ADDRESS_LIST_MAX. Free with address_list_free. The field stays the caller's. */
void address_list_begin(struct address_list *list, struct str field, size_t limit);
/* The next member. An item's local, domain, display and route live until the next call. */
MUST_USE enum address_list_result address_list_next(struct address_list *list, struct address_list_item *item);
void address_list_free(struct address_list *list);
/* What is shown of a member that was no address and has one in angle brackets all the same, as "a@b <a@b>" and "[x] <a@b>"
 * have: sets display, local and domain, which are pieces of its source; nothing is unquoted. False, and nothing set: it has
 * none. */
MUST_USE bool address_list_salvage(struct str source, struct address_list_item *item);

/* Appends "Display Name <local@domain>" with quotes where needed, or the bare
 * addr-spec if display is empty. Control characters in display become spaces. */
bool address_list_append_mailbox(struct buf *out, struct str display, struct str address_external);

#endif
