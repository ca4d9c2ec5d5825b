/* account_quota: how much an account may store, by the fields of its source: quota_storage and quota_messages, which
 * are tern's own, and Dovecot's quota_rule, quota_rule2 to quota_rule9 ("*:storage=1G:messages=1000"). Pure functions.
 */
#ifndef TERN_AUTH_ACCOUNT_QUOTA_H
#define TERN_AUTH_ACCOUNT_QUOTA_H

#include "source.h"

struct account_quota {
    uint64_t storage;  /* octets; 0: no limit */
    uint64_t messages; /* 0: no limit */
};

/* Takes a rule over what stands in quota. Rules of single folders say nothing here. False: it is none, and quota is
 * what it was. */
MUST_USE bool quota_rule_read(struct str rule, struct account_quota *quota);
/* Takes what the account's fields say over what stands in quota. False: a field cannot be understood and has been
 * passed over; *field is its name. */
MUST_USE bool account_quota_read(const struct auth_account *account, struct account_quota *quota, struct str *field);

#endif
