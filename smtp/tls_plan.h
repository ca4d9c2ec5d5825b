/* tls_plan: what is asked of TLS with one host of one next hop.
 *
 * tls_plan_make is the one place where this is decided, in this order:
 *   1. the policy of the next hop: main.cf, smtp_tls_policy_maps    (tls_policy.h)
 *   2. DANE, where the level is dane or dane-only                   (tls_dane.h)
 *   3. MTA-STS, where DANE has found nothing and the level leaves room (tls_sts.h)
 *   4. what the message itself asks for: REQUIRETLS, TLS-Required: No
 * A look-up that fails is never a reason to ask for less: the host is left out and
 * the mail waits. What came of a plan is told to tls_result.h. */
#ifndef TERN_SMTP_TLS_PLAN_H
#define TERN_SMTP_TLS_PLAN_H

#include "tls.h"
#include "tls_policy.h"
#include "tls_question.h"
#include "trouble.h"

struct smtp;

enum tls_plan_source { TLS_BY_CONFIGURATION, TLS_BY_DANE, TLS_BY_STS };

#define TLS_PLAN_KEY_SIZE 32

/* Texts live in the arena that it was made in. */
struct tls_plan {
    enum tls_level level;        /* what counts */
    enum tls_level configured;   /* before DNS and MTA-STS were asked */
    enum tls_plan_source source; /* who decided */
    const char *downgrade; /* why level is less than configured, for the log: "nodnssec", "notlsa", ...; or NULL */
    struct str protocols, grade;       /* as in tls_policy, nothing left open */
    struct str exclude;                /* ciphers, parted by blanks */
    struct tls_client_session session; /* server name and expectations; its session is filled in by tls_client */
    bool reuse;                        /* the connection may be used again */
    bool report_only;                  /* MTA-STS testing: what does not match is only told (tls_result) */
    bool report_done;                  /* the result has been told already */
    bool require_tls;                  /* say REQUIRETLS, and only to a server that offers it */
    struct str policy_text;            /* for TLSRPT: TLSA records or MTA-STS lines, parted by LF; empty: no policy */
    struct str mx_patterns;            /* for TLSRPT: of MTA-STS, parted by blanks */
    uint8_t key[TLS_PLAN_KEY_SIZE];    /* equal for equal plans: connections and sessions are shared under it alone */
};

/* Encryption or no delivery. */
static inline bool tls_plan_is_mandatory(const struct tls_plan *plan) {
    return plan->level >= TLS_LEVEL_ENCRYPT;
}

/* False: this host may not be used now; *trouble says why. Suspends the task. */
MUST_USE bool tls_plan_make(struct smtp *smtp, const struct tls_question *question, struct arena *arena,
                            struct tls_plan *plan, struct trouble *trouble);
/* Fills plan->key; last of all. */
void tls_plan_seal(struct tls_plan *plan);

#endif
