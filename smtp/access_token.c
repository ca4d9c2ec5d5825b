/* See access_token.h. */
#include "access_token.h"
#include "clock.h"
#include "hash.h"
#include "ipc.h"
#include "memory.h"
#include "smtp.h"
#include <openssl/evp.h>

#define FETCH_PATIENCE 60000 /* ms */
#define TOKENS_MOST    200
#define SPARE_SECONDS  60  /* before it expires a token is asked for anew */
#define USUAL_SECONDS  300 /* where the server does not say how long it is good */
#define MOST_SECONDS   86400
#define ANSWER_MAX     65536

struct kept_token {
    struct buf token;
    deadline until;
};

struct access_tokens {
    struct map *kept; /* digest of the grant to kept_token */
};

struct access_tokens *access_tokens_create(void) {
    struct access_tokens *tokens = MEMORY_NEW(struct access_tokens);
    tokens->kept = map_create();
    return tokens;
}

#define KEY_SIZE 32

static struct str key_of(struct str grant, unsigned char key[KEY_SIZE]) {
    if (EVP_Digest(grant.data, grant.length, key, NULL, EVP_sha256(), NULL) != 1) memory_exhausted(0);
    return str_make((const char *)key, KEY_SIZE);
}

static void forget(struct access_tokens *tokens, struct str key) {
    struct kept_token *kept = map_get(tokens->kept, key);
    if (!kept) return;
    map_remove(tokens->kept, key);
    buf_free_secret(&kept->token);
    MEMORY_FREE(kept);
}

void access_token_forget(struct access_tokens *tokens, struct str grant) {
    unsigned char key[KEY_SIZE];
    if (grant.length) forget(tokens, key_of(grant, key));
}

static void keep(struct access_tokens *tokens, struct str key, struct str token, uint64_t seconds) {
    if (seconds == 0) seconds = USUAL_SECONDS;
    if (seconds > MOST_SECONDS) seconds = MOST_SECONDS;
    forget(tokens, key);
    if (map_count(tokens->kept) >= TOKENS_MOST || seconds <= SPARE_SECONDS) return;
    struct kept_token *kept = MEMORY_NEW(struct kept_token);
    kept->token = buf_make(0);
    buf_append(&kept->token, token);
    kept->until = deadline_in((int64_t)(seconds - SPARE_SECONDS) * 1000);
    map_put(tokens->kept, key, kept);
}

static bool ask_server(struct smtp *smtp, const struct token_grant *grant, struct buf *token, uint64_t *seconds,
                       struct failure *failure) {
    struct buf body = buf_make(20000);
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    token_request_append(&body, grant);
    struct ipc_http_exchange question = {
        .method = STR("POST"),
        .url = buf_str(&grant->endpoint),
        .headers = STR("Content-Type: application/x-www-form-urlencoded\nAccept: application/json"),
        .body = buf_str(&body),
        .limit = ANSWER_MAX};
    enum ipc_result result = smtp->fetch ? ipc_ask(smtp->fetch, IPC_HTTP_EXCHANGE, &question, -1, IPC_HTTP_EXCHANGED,
                                                   deadline_in(FETCH_PATIENCE), arena, &reply, failure)
                                         : IPC_UNREACHABLE;
    bool good = false;
    if (result == IPC_OK) {
        const struct ipc_http_exchanged *answer = reply.message;
        good = token_answer_parse((unsigned)answer->status, answer->body, token, seconds, failure);
        if (answer->body.length) memory_wipe((void *)(uintptr_t)answer->body.data, answer->body.length);
    } else if (result == IPC_REFUSED) {
        const struct ipc_failed *failed = reply.message;
        failure_set(failure, "%.*s", STR_ARGS(failed->text));
    } else if (!failure->text[0]) {
        failure_set(failure, "the service fetch does not answer");
    }
    arena_destroy(&arena);
    buf_free_secret(&body);
    return good;
}

bool access_token_get(struct smtp *smtp, struct access_tokens *tokens, struct str grant, struct buf *token,
                      struct failure *failure) {
    unsigned char digest[KEY_SIZE];
    struct str key = key_of(grant, digest);
    struct kept_token *kept = map_get(tokens->kept, key);
    if (kept && deadline_left(kept->until) > 0) return buf_append(token, buf_str(&kept->token));
    struct token_grant parsed;
    uint64_t seconds = 0;
    bool good = token_grant_parse(grant, &parsed, failure) && ask_server(smtp, &parsed, token, &seconds, failure);
    if (good) keep(tokens, key, buf_str(token), seconds);
    token_grant_free(&parsed);
    return good;
}
