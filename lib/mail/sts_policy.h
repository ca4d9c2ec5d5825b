/* sts_policy: MTA-STS (RFC 8461), the record in DNS and the policy on the web.
 *
 * Pure functions. What is read borrows from the text. Unknown fields are passed
 * over, of fields that may stand once the first counts (section 3.2). */
#ifndef TERN_STS_POLICY_H
#define TERN_STS_POLICY_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

#define STS_POLICY_LIMIT ((size_t)16000)    /* octets of a policy that is read */
#define STS_MAX_AGE      UINT64_C(31557600) /* seconds; what is more counts as that (section 3.2) */

enum sts_mode { STS_NONE = 0, STS_TESTING = 1, STS_ENFORCE = 2 };

struct sts_policy {
    enum sts_mode mode;
    uint64_t max_age; /* seconds */
};

/* The id of a TXT record at _mta-sts.DOMAIN (section 3.1). False if it is no such record. */
MUST_USE bool sts_record_parse(struct str record, struct str *id);
/* True for records that count as MTA-STS records at all; if not exactly one of a name's does, there is no policy. */
bool sts_record_is_one(struct str record);

/* Reads a policy; mx patterns are appended to patterns, lower case, parted by single spaces. False (policy and
 * patterns untouched): failure says what is wrong. */
MUST_USE bool sts_policy_parse(struct str text, struct sts_policy *policy, struct buf *patterns,
                               struct failure *failure);

/* Whether one of the patterns is the host, or stands for it: "*.example.org" is any name of one label more
 * (section 4.1). */
bool sts_patterns_match(struct str patterns, struct str host);

const char *sts_mode_name(enum sts_mode mode);

#endif
