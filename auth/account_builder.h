/* account_builder: an account from the columns of a row, the attributes of an entry, or
 * the claims of a token. The names mean the same whatever the source:
 *
 *   login user username        the account's name as the source spells it
 *   password secret            its hash, or the password itself
 *   app_passwords app_secrets  further ones, parted by blanks, each name={SCHEME}...
 *   disabled nologin           the account may not come in, unless empty, 0, no, n, false or f
 *   anything else              a field: mail, home, uid, gid, quota; userdb_ before it is taken off
 *
 * Pure. */
#ifndef TERN_ACCOUNT_BUILDER_H
#define TERN_ACCOUNT_BUILDER_H

#include "source.h"

#define ACCOUNT_FIELDS_MAX      32
#define ACCOUNT_FIELD_NAME_MAX  64
#define ACCOUNT_FIELD_VALUE_MAX 1000
#define ACCOUNT_SECRET_MAX      1024
#define ACCOUNT_APP_SECRETS_MAX 8000

struct account_builder {
    struct auth_account account;
    struct arena *arena;
    struct str scheme; /* of a secret that names none; empty or CRYPT: left as it is */
    bool disabled;
    bool full; /* something did not fit */
};

/* Begins; login counts until something else is added. */
void account_begin(struct account_builder *builder, struct str login, struct str scheme, struct arena *arena);
/* Adds a value, copied; the first of a name counts. */
void account_add(struct account_builder *builder, struct str name, struct str value);
/* SOURCE_FOUND or SOURCE_DISABLED and *account, or SOURCE_RETRY with the reason. */
MUST_USE enum source_answer account_finish(struct account_builder *builder, struct auth_account *account,
                                           struct failure *failure);

#endif
