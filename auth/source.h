/* source: where accounts come from. auth_sources lists them as type:argument, in the
 * order in which they are asked; the first that knows the account decides.
 *
 * A source can look up what it knows of an account (then every mechanism works that
 * the stored secret allows), or only say whether a password is right (PAM, LDAP bind,
 * another auth server), or take a token (OAuth). A type fills in what it can do. */
#ifndef TERN_AUTH_SOURCE_H
#define TERN_AUTH_SOURCE_H

#include "clock.h"
#include "config.h"
#include "failure.h"
#include "memory.h"
#include "service.h"
#include "str.h"

enum source_answer {
    SOURCE_FOUND,    /* looked up; or: the password (token) is right */
    SOURCE_UNKNOWN,  /* no such account here: the next source is asked */
    SOURCE_WRONG,    /* the account is here and the password is wrong */
    SOURCE_DISABLED, /* the account is here and may not come in */
    SOURCE_RETRY,    /* the source does not answer: temporary; no other source is asked */
};

struct auth_field {
    struct str name, value;
};

/* What is known of an account. Texts in the arena of the question; the two secrets are wiped there, so they are no
 * constants. */
struct auth_account {
    struct str login;          /* as the source spells it */
    struct str secret;         /* "{SCHEME}..." or a crypt(3) hash; empty: none */
    struct str app_secrets;    /* further ones (app passwords), parted by blanks, each "name={SCHEME}..." */
    struct auth_field *fields; /* mail, home, uid, gid, quota, proto=... */
    size_t field_count;
};
/* The value of a field that a source gave; empty if there is none. */
struct str auth_account_field(const struct auth_account *account, struct str name);
/* Adds a field; false if the arena is full. Texts are borrowed. */
MUST_USE bool auth_account_add(struct auth_account *account, struct arena *arena, struct str name, struct str value);

/* Who asks. */
struct source_question {
    struct str user;     /* as prepared (SASLprep), with the domain that auth_default_realm added */
    struct str protocol; /* smtp, imap, pop3 */
    struct str client_address;
    deadline until;
    struct arena *arena;
};

struct auth_source;

struct auth_source_type {
    const char *name; /* "passwd-file" */
    /* Before the sandbox, as the start user (root): reads configuration files that ordinary users must not. */
    bool (*open)(struct auth_source *source, struct failure *failure);
    /* In a task, inside the sandbox; may suspend (task_run_blocking for libraries that block). NULL where it cannot. */
    enum source_answer (*look_up)(struct auth_source *source, const struct source_question *question,
                                  struct auth_account *account, struct failure *failure);
    enum source_answer (*verify)(struct auth_source *source, const struct source_question *question,
                                 struct str password, struct auth_account *account, struct failure *failure);
    /* OAUTHBEARER, XOAUTH2: user may be empty (the token says); account->login is set from the token. */
    enum source_answer (*verify_token)(struct auth_source *source, const struct source_question *question,
                                       struct str token, struct auth_account *account, struct failure *failure);
    /* Whether any account here may have a secret from which SCRAM by that digest ("SHA-256") works; NULL: perhaps. */
    bool (*has_scram)(struct auth_source *source, struct str digest);
    void (*close)(struct auth_source *source);
};

struct auth_source {
    const struct auth_source_type *type;
    struct service *service;
    struct str argument; /* after "type:" */
    void *state;         /* the type's own */
};

/* One row for each type that was built in; NULL name at the end. */
extern const struct auth_source_type *const auth_source_types[];

#endif
