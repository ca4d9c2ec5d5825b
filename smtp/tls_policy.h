/* tls_policy: how a destination is spoken to, as main.cf and smtp_tls_policy_maps say it. Pure.
 *
 * A policy is of a next hop. What it comes to for one of its hosts, after DANE and
 * MTA-STS have been asked, is a plan: tls_plan.h. */
#ifndef TERN_SMTP_TLS_POLICY_H
#define TERN_SMTP_TLS_POLICY_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

/* In order: from ENCRYPT on no mail goes out in plain text, from FINGERPRINT on none
 * to a server that is not the one expected. */
#define TLS_LEVEL_TABLE(X)                                                                                             \
    X(NONE, "none")                                                                                                    \
    X(MAY, "may")                                                                                                      \
    X(ENCRYPT, "encrypt")                                                                                              \
    X(FINGERPRINT, "fingerprint")                                                                                      \
    X(HALF_DANE, "half-dane") /* by TLSA records, of a host whose name is from an unsigned answer; never configured */ \
    X(DANE, "dane")           /* as configured: DANE where there is any, else MAY */                                   \
    X(DANE_ONLY, "dane-only")                                                                                          \
    X(VERIFY, "verify")                                                                                                \
    X(SECURE, "secure")

enum tls_level {
#define TLS_LEVEL_ENUM(name, text) TLS_LEVEL_##name,
    TLS_LEVEL_TABLE(TLS_LEVEL_ENUM)
#undef TLS_LEVEL_ENUM
};

const char *tls_level_name(enum tls_level level);
/* By name, without case. HALF_DANE is none that may be asked for. */
MUST_USE bool tls_level_parse(struct str text, enum tls_level *level);

#define TLS_POLICY_WORDS_MAX 64 /* of each list */

/* Words that stand for themselves, parted by blanks, commas, colons or |. */
struct tls_words {
    struct str words[TLS_POLICY_WORDS_MAX];
    size_t count;
};

/* What a policy says; texts are borrowed. An empty text: what main.cf says for all. */
struct tls_policy {
    enum tls_level level;
    struct str protocols, grade; /* of ciphers: high, medium, null ... */
    struct tls_words exclude;    /* ciphers */
    bool has_exclude;            /* although there may be none in it */
    struct tls_words match;      /* names for VERIFY and SECURE, else fingerprints */
    struct str server_name;      /* for SNI: a name, "hostname" or "nexthop" */
    bool has_reuse, reuse;       /* connection_reuse= */
};

/* Reads one right-hand side of smtp_tls_policy_maps: a level, then attributes
 * (protocols= ciphers= exclude= match= servername= connection_reuse= enable_rpk=). */
MUST_USE bool tls_policy_parse(struct str text, struct tls_policy *policy, struct failure *failure);

/* The keys to look up, one after the other, for a next hop as it is written; start with *step 0.
 * A domain is followed by its parents, each with a dot before it. False at the end. */
MUST_USE bool tls_policy_key(struct str next_hop, size_t *step, struct str *key);

/* Adds the words of a list; false if there are too many, nothing then added. */
MUST_USE bool tls_words_add(struct tls_words *words, struct str list, const char *separators);

#endif
