/* access_token: OAuth access tokens for other servers (RFC 6749 section 6), had by a
 * refresh token and kept in memory until shortly before they expire.
 *
 * The HTTPS request is made by fetch. The answer is JSON; nothing of it but the token
 * and its time is used, and a refusal's error word. */
#ifndef TERN_SMTP_ACCESS_TOKEN_H
#define TERN_SMTP_ACCESS_TOKEN_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

struct smtp;
struct access_tokens;

struct access_tokens *access_tokens_create(void);
/* Appends the token that a grant gives (a row of smtp_sasl_oauth2_maps). False: failure says why, which is no secret.
 * Suspends the task. */
MUST_USE bool access_token_get(struct smtp *smtp, struct access_tokens *tokens, struct str grant, struct buf *token,
                               struct failure *failure);
/* It was refused: the next one is asked for anew. */
void access_token_forget(struct access_tokens *tokens, struct str grant);

/* ---- pure */

struct token_grant {
    struct buf endpoint, client_id, client_secret, refresh_token, scope;
};
/* Reads a row "endpoint=https://... client_id=... refresh_token=... [client_secret=...] [scope=...]", with %XX in
 * values. False fills failure; *grant is to be freed in either case. */
MUST_USE bool token_grant_parse(struct str row, struct token_grant *grant, struct failure *failure);
void token_grant_free(struct token_grant *grant);
/* The request's content, application/x-www-form-urlencoded. */
bool token_request_append(struct buf *out, const struct token_grant *grant);
/* Reads the answer. *seconds: how long the token is good; 0: not said. */
MUST_USE bool token_answer_parse(unsigned status, struct str body, struct buf *token, uint64_t *seconds,
                                 struct failure *failure);

#endif
