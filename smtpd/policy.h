/* policy: one evaluation of the restriction lists, as the restrictions see it.
 *
 * policy.c walks the lists of a stage; restrictions.c has the words; access.c the
 * tables; a word says DUNNO, PERMIT, or refuses through policy_refuse. */
#ifndef TERN_SMTPD_POLICY_H
#define TERN_SMTPD_POLICY_H

#include "smtpd.h"

enum verdict { VERDICT_DUNNO, VERDICT_PERMIT, VERDICT_REJECT };

struct policy_deferral {
    bool active;
    struct refusal refusal;
};

/* What lookup says of an address; asked once an evaluation. */
struct policy_route {
    bool asked;
    enum resolve_result result;
    struct ipc_lookup_resolved answer;
};

struct policy {
    struct session *session;
    const struct smtpd *smtpd;
    const struct config *config;
    struct arena *arena;
    const char *where; /* RCPT, ...: for the log */
    enum restriction_stage stage;
    const struct mail_address *sender, *recipient; /* NULL: not known at this stage */
    bool recipient_incomplete;                     /* came without a domain */
    bool unlisted_checked;                         /* reject_unlisted_recipient stood in a list */
    struct str domain;                             /* ETRN's */
    struct refusal refusal;                        /* with VERDICT_REJECT */
    struct policy_deferral if_permit, if_reject;
    struct policy_route sender_route, recipient_route;
    bool warn_only;
    unsigned depth; /* of lists within lists */
    /* Evaluates a list given as text, which an access table has for a result; policy.c's. */
    enum verdict (*evaluate)(struct policy *policy, struct str text);
};

/* What is judged: "<NAME>: CLASS rejected: TEXT". */
struct policy_subject {
    struct str name;
    const char *class;
};
/* ---- policy_words.c */
struct policy_subject policy_subject_of(const struct policy *policy, enum restriction_stage stage);

/* Refuses: code and status are made to agree. Under warn_if_reject only a log line, and DUNNO. */
enum verdict policy_refuse(struct policy *policy, unsigned code, const char *status, const char *format, ...)
    PRINTF_LIKE(4, 5);
enum verdict policy_refuse_subject(struct policy *policy, struct policy_subject subject, unsigned code,
                                   const char *status, const char *format, ...) PRINTF_LIKE(5, 6);
/* What a restriction does that could not be evaluated: an action word of *_tempfail_action. */
enum verdict policy_tempfail(struct policy *policy, struct str action, const char *status, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* 451 4.3.0 Temporary lookup failure, with the reason in the log. */
enum verdict policy_lookup_failed(struct policy *policy, struct str what, const struct failure *failure);
/* 451 4.3.5, with the reason in the log. */
enum verdict policy_misconfigured(struct policy *policy, const char *format, ...) PRINTF_LIKE(2, 3);
/* What lookup knows of the recipient or sender; NULL if it does not answer (and refused already). */
const struct ipc_lookup_resolved *policy_recipient_route(struct policy *policy);
const struct ipc_lookup_resolved *policy_sender_route(struct policy *policy);

/* The parameter that has a stage's list. */
const char *policy_parameter(enum restriction_stage stage);
/* Logs a refusal, or what would be one, with what the evaluation is about. */
void policy_log(struct policy *policy, const char *verb, const struct refusal *refusal);

/* access.c */
enum verdict access_check_client(struct policy *policy, struct str table);
enum verdict access_check_certificate(struct policy *policy, struct str table);
enum verdict access_check_helo(struct policy *policy, struct str table);
enum verdict access_check_sender(struct policy *policy, struct str table);
enum verdict access_check_recipient(struct policy *policy, struct str table);

/* sender_login.c: reject_sender_login_mismatch and its kin */
enum verdict sender_login_check(struct policy *policy, struct str argument);
enum verdict sender_login_check_known(struct policy *policy, struct str argument);
enum verdict sender_login_check_authenticated(struct policy *policy, struct str argument);
enum verdict sender_login_check_unauthenticated(struct policy *policy, struct str argument);

/* restrictions.c */
/* What a word with a row says. */
enum verdict restriction_ask(struct policy *policy, const struct restriction_item *item);
enum verdict restriction_unlisted_recipient(struct policy *policy, struct str argument);
enum verdict restriction_unlisted_sender(struct policy *policy, struct str argument);

#endif
