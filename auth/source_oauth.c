/* oauth:FILE, bearer tokens (OAUTHBEARER, XOAUTH2).
 *
 * A signed token is checked here, with the keys that its issuer publishes (jwks_uri) or
 * that a file holds. Keys are kept, asked for again when they are old, and when a token
 * names one that is not among them, but not more than once a minute: else whoever makes
 * up key names could make us ask all day. If keys cannot be had again, the old ones stay.
 * Any other token is shown to the issuer (introspection_url), who says what it is.
 * All HTTPS is the fetch daemon's. */
#include "source_oauth.h"

#include "account_builder.h"
#include "base64.h"
#include "jwt.h"
#include "log.h"
#include "oauth_claims.h"
#include "source_places.h"
#include "source_settings.h"
#include "source_template.h"

enum {
    REFRESH_PAUSE_MS = 60000, /* between two requests for keys */
    REFRESH_FAILED_MS = 5000, /* the same while there are none at all */
    ANSWER_MAX = 65536,       /* of an introspection */
    INTROSPECTIONS = 100,     /* at once */
};

struct oauth_settings {
    struct str issuers, audience, scope, username_attribute, jwks_uri, jwks_file, introspection_url, client_id;
    struct str client_secret;
    int64_t clock_skew, jwks_max_age, timeout;
};

#define SETTING(kind, name, value, minimum, maximum)                                                                   \
    { #name, kind, offsetof(struct oauth_settings, name), value, minimum, maximum, NULL }
static const struct source_setting settings_rows[] = {
    SETTING(SOURCE_TEXT, issuers, "", 0, 0),
    SETTING(SOURCE_TEXT, audience, "", 0, 0),
    SETTING(SOURCE_TEXT, scope, "", 0, 0),
    SETTING(SOURCE_REQUIRED, username_attribute, "email", 0, 0),
    SETTING(SOURCE_TEXT, jwks_uri, "", 0, 0),
    SETTING(SOURCE_TEXT, jwks_file, "", 0, 0),
    SETTING(SOURCE_TEXT, introspection_url, "", 0, 0),
    SETTING(SOURCE_TEXT, client_id, "", 0, 0),
    SETTING(SOURCE_TEXT, client_secret, "", 0, 0),
    SETTING(SOURCE_SECONDS, clock_skew, "60s", 0, 600),
    SETTING(SOURCE_SECONDS, jwks_max_age, "1h", 60, 604800),
    SETTING(SOURCE_SECONDS, timeout, "10s", 1, 60),
};
#undef SETTING

struct oauth {
    struct oauth_settings settings;
    struct oauth_policy policy;
    struct arena *arena;
    struct jwt_keys *keys; /* NULL: none yet */
    deadline keys_old;     /* ask anew then */
    deadline refresh_next; /* not before this */
    bool refreshing;
    struct task_queue refreshed;
    struct failure keys_failure;
    struct source_places places;
    source_oauth_http *http;
};

/* ---- HTTP */

static bool ask_fetch(struct service *service, const struct ipc_http_exchange *request, deadline until,
                      struct arena *arena, struct ipc_http_exchanged *answer, struct failure *failure) {
    struct ipc_reply reply;
    struct ipc_client *client = service ? service_client(service, "fetch", NULL, NULL) : NULL;
    if (!client) return failure_set(failure, "the fetch service cannot be reached");
    if (ipc_ask(client, IPC_HTTP_EXCHANGE, request, -1, IPC_HTTP_EXCHANGED, until, arena, &reply, failure) != IPC_OK)
        return failure_prefix(failure, "%.*s", STR_ARGS(request->url));
    *answer = *(const struct ipc_http_exchanged *)reply.message;
    return true;
}

void source_oauth_set_http(struct auth_source *source, source_oauth_http *http) {
    struct oauth *oauth = source->state;
    oauth->http = http;
}

static bool exchange(struct auth_source *source, struct ipc_http_exchange *request, deadline until, struct arena *arena,
                     struct ipc_http_exchanged *answer, struct failure *failure) {
    const struct oauth *oauth = source->state;
    if (!oauth->http(source->service, request, until, arena, answer, failure)) return false;
    return answer->status == 200 ||
           failure_set(failure, "%.*s: HTTP status %u", STR_ARGS(request->url), (unsigned)answer->status);
}

/* ---- settings */

static bool is_https(struct str url) {
    return url.length == 0 || str_starts(url, STR("https://")) || str_starts(url, STR("http://127.0.0.1:")) ||
           str_starts(url, STR("http://[::1]:"));
}

static bool check_settings(const struct oauth_settings *settings, struct failure *failure) {
    bool keys = settings->jwks_uri.length > 0 || settings->jwks_file.length > 0;
    if (!keys && settings->introspection_url.length == 0)
        return failure_set(failure, "one of jwks_uri, jwks_file and introspection_url is wanted");
    if (settings->jwks_uri.length > 0 && settings->jwks_file.length > 0)
        return failure_set(failure, "jwks_uri and jwks_file: one of them is wanted");
    if (keys && str_trim(settings->issuers).length == 0) return failure_set(failure, "issuers is not set");
    if (!is_https(settings->jwks_uri) || !is_https(settings->introspection_url))
        return failure_set(failure, "jwks_uri and introspection_url must begin with https://");
    return true;
}

static void take_keys(struct oauth *oauth, struct jwt_keys *keys) {
    jwt_keys_free(&oauth->keys);
    oauth->keys = keys;
    oauth->keys_old = deadline_in(oauth->settings.jwks_max_age * 1000);
}

/* Blocking, or before the loop. */
static struct jwt_keys *read_keys(struct str path, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct jwt_keys *keys = NULL;
    struct str text;
    size_t left_out;
    if (source_read_file(path, JWKS_BYTES_MAX, arena, &text, failure)) {
        keys = jwt_keys_parse(text, &left_out, failure);
        if (!keys) failure_prefix(failure, "%.*s", STR_ARGS(path));
    }
    arena_destroy(&arena);
    return keys;
}

static void oauth_close(struct auth_source *source) {
    struct oauth *oauth = source->state;
    if (!oauth) return;
    jwt_keys_free(&oauth->keys);
    arena_destroy(&oauth->arena);
    MEMORY_FREE(oauth);
    source->state = NULL;
}

static void make_policy(struct oauth *oauth) {
    const struct oauth_settings *settings = &oauth->settings;
    oauth->policy = (struct oauth_policy){.issuers = settings->issuers,
                                          .audience = settings->audience,
                                          .scope = settings->scope,
                                          .user = settings->username_attribute,
                                          .clock_skew = settings->clock_skew};
}

static bool oauth_open(struct auth_source *source, struct failure *failure) {
    struct oauth *oauth = MEMORY_NEW(struct oauth);
    source->state = oauth;
    oauth->arena = arena_create(0);
    oauth->places.limit = INTROSPECTIONS;
    oauth->http = ask_fetch;
    bool good = source_settings_read(source->argument, settings_rows, ARRAY_LENGTH(settings_rows), &oauth->settings,
                                     sizeof oauth->settings, oauth->arena, failure);
    if (good && !check_settings(&oauth->settings, failure))
        good = failure_prefix(failure, "%.*s", STR_ARGS(source->argument));
    make_policy(oauth);
    if (good && oauth->settings.jwks_file.length > 0) {
        struct jwt_keys *keys = read_keys(oauth->settings.jwks_file, failure);
        good = keys != NULL;
        if (keys) take_keys(oauth, keys);
    }
    if (!good) oauth_close(source);
    return good;
}

/* ---- keys */

struct reading {
    struct str path;
    struct jwt_keys *keys;
    struct failure failure;
};

static void run_reading(void *argument) {
    struct reading *reading = argument;
    reading->keys = read_keys(reading->path, &reading->failure);
}

static struct jwt_keys *fetch_keys(struct auth_source *source, deadline until, struct failure *failure) {
    struct oauth *oauth = source->state;
    struct arena *arena = arena_create(0);
    struct ipc_http_exchange request = {.method = STR("GET"),
                                        .url = oauth->settings.jwks_uri,
                                        .headers = STR("Accept: application/json"),
                                        .body = STR_EMPTY,
                                        .limit = JWKS_BYTES_MAX};
    struct ipc_http_exchanged answer;
    struct jwt_keys *keys = NULL;
    size_t left_out = 0;
    if (exchange(source, &request, until, arena, &answer, failure)) {
        keys = jwt_keys_parse(answer.body, &left_out, failure);
        if (!keys) failure_prefix(failure, "%.*s", STR_ARGS(request.url));
    }
    arena_destroy(&arena);
    return keys;
}

/* Keys anew, unless that was done a moment ago. Others who want them wait for the one who asks. */
static void refresh_keys(struct auth_source *source, deadline until) {
    struct oauth *oauth = source->state;
    struct reading reading = {.path = oauth->settings.jwks_file};
    while (oauth->refreshing)
        if (task_queue_wait(&oauth->refreshed, until) != WAIT_READY) return;
    if (deadline_left(oauth->refresh_next) > 0) return;
    oauth->refreshing = true;
    oauth->refresh_next = deadline_in(REFRESH_PAUSE_MS);
    if (reading.path.length > 0)
        task_run_blocking(run_reading, &reading);
    else
        reading.keys = fetch_keys(source, deadline_in(oauth->settings.timeout * 1000), &reading.failure);
    oauth->refreshing = false;
    if (reading.keys) {
        take_keys(oauth, reading.keys);
    } else {
        oauth->keys_failure = reading.failure;
        log_warning("oauth:%.*s: %s%s", STR_ARGS(source->argument), reading.failure.text,
                    oauth->keys ? "; the keys that are there stay in use" : "");
        if (!oauth->keys) oauth->refresh_next = deadline_in(REFRESH_FAILED_MS);
    }
    task_queue_wake_all(&oauth->refreshed);
}

/* ---- what a token says */

static enum source_answer judge_claims(struct auth_source *source, const struct source_question *question,
                                       const json_t *claims, struct oauth_policy policy, struct auth_account *account,
                                       struct failure *failure) {
    struct account_builder builder;
    struct str user = STR_EMPTY;
    (void)source;
    switch (oauth_claims_check(claims, &policy, clock_date() / CLOCK_SECOND, &user, failure)) {
    case OAUTH_FOREIGN:
        return SOURCE_UNKNOWN;
    case OAUTH_BAD:
        return SOURCE_WRONG;
    case OAUTH_GOOD:
        break;
    }
    if (!source_user_is_plain(user)) {
        failure_set(failure, "the token's user is no name of an account");
        return SOURCE_WRONG;
    }
    if (question->user.length > 0 && !str_equal_nocase(question->user, user)) {
        failure_set(failure, "the token is another user's");
        return SOURCE_WRONG;
    }
    account_begin(&builder, user, STR_EMPTY, question->arena);
    return account_finish(&builder, account, failure);
}

static enum jwt_check check_signature(struct auth_source *source, const struct jwt *jwt, deadline until) {
    struct oauth *oauth = source->state;
    if (!oauth->keys || deadline_left(oauth->keys_old) == 0) refresh_keys(source, until);
    enum jwt_check check = oauth->keys ? jwt_check(jwt, oauth->keys) : JWT_NO_KEY;
    /* A token that names no key may be by a new one, too. */
    if (check == JWT_GOOD || (check == JWT_BAD && jwt->key_id.length > 0)) return check;
    refresh_keys(source, until);
    return oauth->keys ? jwt_check(jwt, oauth->keys) : JWT_NO_KEY;
}

/* The issuer comes first: a token of another source's issuer must not make us look for keys. */
static bool is_ours(const struct oauth *oauth, const struct jwt *jwt) {
    const json_t *issuer = json_object_get(jwt->claims, "iss");
    struct str rest = oauth->settings.issuers, word;
    while (json_is_string(issuer) && str_next_word(&rest, ", \t", &word))
        if (str_equal(word, str_make(json_string_value(issuer), json_string_length(issuer)))) return true;
    return false;
}

static enum source_answer check_signed(struct auth_source *source, const struct source_question *question,
                                       struct str token, deadline until, struct auth_account *account,
                                       struct failure *failure) {
    struct oauth *oauth = source->state;
    struct oauth_policy policy = oauth->policy;
    enum source_answer answer = SOURCE_WRONG;
    struct jwt jwt;
    policy.must_name_issuer = policy.must_expire = true;
    if (!jwt_parse(token, &jwt, failure)) return SOURCE_WRONG;
    if (!is_ours(oauth, &jwt)) {
        failure_set(failure, "the token is of another issuer");
        jwt_free(&jwt);
        return SOURCE_UNKNOWN;
    }
    enum jwt_check check = check_signature(source, &jwt, until);
    if (check == JWT_GOOD) {
        answer = judge_claims(source, question, jwt.claims, policy, account, failure);
    } else if (!oauth->keys) {
        *failure = oauth->keys_failure;
        answer = SOURCE_RETRY;
    } else {
        failure_set(failure,
                    check == JWT_BAD ? "the token's signature is wrong" : "the token is signed by an unknown key");
    }
    jwt_free(&jwt);
    return answer;
}

/* ---- introspection */

/* RFC 6749 section 2.3.1: both are encoded as in a form before they are put together. */
static void add_client(const struct oauth_settings *settings, struct buf *headers) {
    struct buf pair = buf_make(0);
    buf_append(headers, STR("Content-Type: application/x-www-form-urlencoded\nAccept: application/json"));
    if (settings->client_id.length == 0) return;
    oauth_form_encode(settings->client_id, &pair);
    buf_append_char(&pair, ':');
    oauth_form_encode(settings->client_secret, &pair);
    buf_append(headers, STR("\nAuthorization: Basic "));
    base64_encode(headers, buf_str(&pair));
    buf_free_secret(&pair);
}

static enum source_answer judge_introspection(struct auth_source *source, const struct source_question *question,
                                              struct str body, struct auth_account *account, struct failure *failure) {
    const struct oauth *oauth = source->state;
    json_t *claims = jwt_json(body, ANSWER_MAX, failure);
    enum source_answer answer = SOURCE_WRONG;
    if (!claims) {
        failure_prefix(failure, "%.*s", STR_ARGS(oauth->settings.introspection_url));
        return SOURCE_RETRY;
    }
    if (json_is_true(json_object_get(claims, "active")))
        answer = judge_claims(source, question, claims, oauth->policy, account, failure);
    else
        failure_set(failure, "the token is not active");
    json_decref(claims);
    return answer;
}

static enum source_answer introspect(struct auth_source *source, const struct source_question *question,
                                     struct str token, deadline until, struct auth_account *account,
                                     struct failure *failure) {
    struct oauth *oauth = source->state;
    struct buf body = buf_make(0), headers = buf_make(0);
    struct ipc_http_exchanged answer;
    enum source_answer result = SOURCE_RETRY;
    if (!source_place_take(&oauth->places, until, failure)) return SOURCE_RETRY;
    buf_append(&body, STR("token="));
    oauth_form_encode(token, &body);
    buf_append(&body, STR("&token_type_hint=access_token"));
    add_client(&oauth->settings, &headers);
    struct ipc_http_exchange request = {.method = STR("POST"),
                                        .url = oauth->settings.introspection_url,
                                        .headers = buf_str(&headers),
                                        .body = buf_str(&body),
                                        .limit = ANSWER_MAX};
    bool reached = exchange(source, &request, until, question->arena, &answer, failure);
    source_place_give(&oauth->places, reached ? NULL : failure);
    if (reached) result = judge_introspection(source, question, answer.body, account, failure);
    buf_free_secret(&body);
    buf_free_secret(&headers);
    return result;
}

/* ---- the question */

/* RFC 6750 section 2.1: b64token. */
static bool is_bearer_token(struct str token) {
    if (token.length == 0 || token.length > JWT_TOKEN_MAX) return false;
    for (size_t i = 0; i < token.length; i++)
        if (!ascii_is_alnum(token.data[i]) && str_find(STR("-._~+/="), token.data[i]) == STR_NONE) return false;
    return true;
}

static enum source_answer oauth_verify_token(struct auth_source *source, const struct source_question *question,
                                             struct str token, struct auth_account *account, struct failure *failure) {
    const struct oauth *oauth = source->state;
    bool has_keys = oauth->settings.jwks_uri.length > 0 || oauth->settings.jwks_file.length > 0;
    deadline until = deadline_in(oauth->settings.timeout * 1000);
    if (question->until < until) until = question->until;
    if (!is_bearer_token(token)) {
        failure_set(failure, "not a bearer token");
        return SOURCE_UNKNOWN;
    }
    if (has_keys && jwt_looks_like_one(token)) return check_signed(source, question, token, until, account, failure);
    if (oauth->settings.introspection_url.length > 0)
        return introspect(source, question, token, until, account, failure);
    failure_set(failure, "not a signed token");
    return SOURCE_UNKNOWN;
}

const struct auth_source_type source_oauth = {
    .name = "oauth", .open = oauth_open, .verify_token = oauth_verify_token, .close = oauth_close};
