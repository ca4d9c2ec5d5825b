/* login: from a name and a proof to a decision; what all mechanisms share. */
#include "auth_daemon.h"
#include "ip_prefix.h"
#include "log.h"
#include "password_hash.h"
#include "sasl_message.h"
#include "sasl_prepare.h"
#include <stdarg.h>

#define BUSY_WAITING 4 /* passwords */

/* ---- ends */

enum exchange_step login_wrong(struct exchange *exchange, const char *reason) {
    snprintf(exchange->reason, sizeof exchange->reason, "%s", reason);
    exchange->counts = true;
    return STEP_DENIED;
}

enum exchange_step login_later(struct exchange *exchange, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(exchange->reason, sizeof exchange->reason, format, arguments);
    va_end(arguments);
    return STEP_LATER;
}

/* ---- names */

static bool has_realm(struct str name) {
    return str_find(name, '@') != STR_NONE;
}

bool login_name(struct exchange *exchange, struct str name, struct str *prepared) {
    const struct config *config = exchange->auth->config;
    struct buf text = buf_make(SASL_PREPARE_MAX);
    bool good = sasl_prepare(name, &text);
    struct str realm = exchange->realm.length ? exchange->realm : config->auth_default_realm;
    if (good && realm.length && !has_realm(buf_str(&text))) good = buf_printf(&text, "@%.*s", STR_ARGS(realm));
    if (config->auth_username_lowercase)
        for (size_t i = 0; i < text.length; i++)
            text.data[i] = ascii_lower(text.data[i]);
    good = good && text.length <= SASL_NAME_MAX && arena_copy(exchange->arena, buf_str(&text), prepared);
    buf_free(&text);
    return good;
}

struct source_question login_question(struct exchange *exchange) {
    return (struct source_question){.user = exchange->user,
                                    .protocol = exchange->protocol,
                                    .client_address = exchange->client_address,
                                    .until = deadline_in(exchange->auth->config->auth_source_timeout * 1000),
                                    .arena = exchange->arena};
}

/* Kept out: the answer is temporary, since it may be the owner with a client that has an old password. */
bool login_is_barred(struct exchange *exchange, enum exchange_step *step) {
    int64_t until = 0, now = clock_seconds();
    enum failures_gate gate =
        failures_check(exchange->auth->failures, exchange->address_key, exchange->user, now, &until);
    if (gate == GATE_OPEN || exchange->no_count) return false;
    exchange->barred = true;
    exchange->counts = false; /* what was found out meanwhile does not matter */
    *step = login_later(exchange, "%s kept out for %lld seconds more",
                        gate == GATE_ADDRESS_BANNED ? "address" : "account", (long long)(until - now));
    return true;
}

static enum exchange_step source_later(struct exchange *exchange, const struct failure *failure) {
    log_warning("source of accounts: %s", failure->text);
    return login_later(exchange, "a source of accounts does not answer");
}

enum login_found login_find(struct exchange *exchange, struct str name, enum exchange_step *step) {
    struct failure failure = {0};
    size_t next = 0;
    if (!login_name(exchange, name, &exchange->user)) {
        *step = login_wrong(exchange, "no name of an account");
        return LOGIN_STOP;
    }
    if (login_is_barred(exchange, step)) return LOGIN_STOP;
    struct source_question question = login_question(exchange);
    enum source_answer answer;
    /* Who can only say whether a password is right does not know names. */
    do
        answer = sources_look_up(&exchange->auth->sources, &next, &question, &exchange->account, &exchange->source,
                                 &failure);
    while (answer == SOURCE_FOUND && !exchange->source->type->look_up);
    switch (answer) {
    case SOURCE_FOUND:
        return LOGIN_FOUND;
    case SOURCE_UNKNOWN:
    case SOURCE_WRONG:
    case SOURCE_DISABLED:
        return LOGIN_UNKNOWN;
    case SOURCE_RETRY:
        break;
    }
    *step = source_later(exchange, &failure);
    return LOGIN_STOP;
}

/* ---- passwords */

bool login_compute(struct exchange *exchange, void (*function)(void *argument), void *argument) {
    struct auth *auth = exchange->auth;
    unsigned rank = failures_rank(auth->failures, exchange->address_key, exchange->user, clock_seconds());
    return hash_queue_run(auth->hashes, rank, exchange->address_key, exchange->until, function, argument);
}

struct comparison {
    struct str secret, app_secrets, password, as_sent;
    bool right, unreadable;
    struct str app; /* the name of the app password that it was */
};

static bool is_right(struct comparison *comparison, struct str secret) {
    enum password_match match = password_hash_check(secret, comparison->password);
    /* What was hashed before names and passwords were prepared, or in another character set. */
    if (match == PASSWORD_WRONG && !str_equal(comparison->password, comparison->as_sent))
        match = password_hash_check(secret, comparison->as_sent);
    if (match == PASSWORD_UNREADABLE) comparison->unreadable = true;
    return match == PASSWORD_RIGHT;
}

/* On a helper thread. */
static void compare(void *argument) {
    struct comparison *comparison = argument;
    struct str word, rest = comparison->app_secrets;
    if (comparison->secret.length && is_right(comparison, comparison->secret)) comparison->right = true;
    for (unsigned i = 0; i < PASSWORD_APPS_MAX && !comparison->right && str_next_word(&rest, " ", &word); i++) {
        struct str name, secret;
        if (!str_cut(word, '=', &name, &secret) || !is_right(comparison, secret)) continue;
        comparison->right = true;
        comparison->app = name;
    }
}

static bool was_right_before(struct exchange *exchange, struct comparison *comparison) {
    struct auth *auth = exchange->auth;
    struct str word, rest = comparison->app_secrets;
    if (password_cache_has(auth->cache, exchange->user, comparison->secret, comparison->as_sent)) return true;
    for (unsigned i = 0; i < PASSWORD_APPS_MAX && str_next_word(&rest, " ", &word); i++) {
        if (!password_cache_has(auth->cache, exchange->user, word, comparison->as_sent)) continue;
        (void)str_cut(word, '=', &comparison->app, &word);
        return true;
    }
    return false;
}

static void remember_right(struct exchange *exchange, const struct comparison *comparison) {
    struct str word, rest = comparison->app_secrets;
    struct str secret = comparison->secret;
    while (comparison->app.length && str_next_word(&rest, " ", &word))
        if (str_starts(word, comparison->app) && word.length > comparison->app.length &&
            word.data[comparison->app.length] == '=')
            secret = word;
    password_cache_add(exchange->auth->cache, exchange->user, secret, comparison->as_sent);
}

/* So that what a login to no account is hashed against costs what those of this site cost. */
static void note_typical(struct auth *auth, struct str secret) {
    struct str now = buf_str(&auth->typical);
    if (secret.length == 0 || str_equal(str_slice(secret, 0, 12), str_slice(now, 0, 12))) return;
    memory_wipe(auth->typical.data, auth->typical.length);
    buf_clear(&auth->typical);
    buf_append(&auth->typical, secret);
}

static void compare_nothing(void *argument) {
    (void)argument;
}

/* Until the first account was seen: making a secret costs what comparing with it does. */
static void hash_anew(void *argument) {
    struct buf secret = buf_make(0);
    struct failure ignored = {0};
    (void)argument;
    bool made = password_hash_make(STR("CRYPT"), STR("nobody's"), &secret, &ignored);
    (void)made;
    buf_free_secret(&secret);
}

/* Takes as long as a wrong password does. When others wait it takes its turn as well but no processor: what is wrong
 * is answered late anyway (auth_failure_delay), and guesses at names that are not there may not slow others down. */
static enum exchange_step wrong_for_nobody(struct exchange *exchange, const struct comparison *given,
                                           const char *reason) {
    struct comparison comparison = *given;
    struct buf secret = buf_make(0);
    buf_append(&secret, buf_str(&exchange->auth->typical));
    comparison.secret = buf_str(&secret);
    comparison.app_secrets = STR_EMPTY;
    void (*function)(void *argument) = secret.length > 0 ? compare : hash_anew;
    if (hash_queue_waiting(exchange->auth->hashes) > BUSY_WAITING) function = compare_nothing;
    bool done = login_compute(exchange, function, &comparison);
    buf_free_secret(&secret);
    return done ? login_wrong(exchange, reason) : login_later(exchange, "too many logins wait");
}

static enum exchange_step check_secrets(struct exchange *exchange, struct comparison *comparison) {
    comparison->secret = exchange->account.secret;
    comparison->app_secrets = exchange->account.app_secrets;
    note_typical(exchange->auth, comparison->secret);
    if (!was_right_before(exchange, comparison)) {
        if (!login_compute(exchange, compare, comparison)) return login_later(exchange, "too many logins wait");
        if (comparison->unreadable)
            log_warning("account %.*s: a stored password has no scheme that is known", STR_ARGS(exchange->user));
        if (!comparison->right) return login_wrong(exchange, "wrong password");
        remember_right(exchange, comparison);
    }
    if (comparison->app.length &&
        !auth_account_add(&exchange->account, exchange->arena, STR("app_password"), comparison->app))
        return login_later(exchange, "out of room");
    return STEP_GRANTED;
}

/* Asks one source after the other; exchange->account is whose password it was. */
static enum exchange_step find_by_password(struct exchange *exchange, struct comparison *comparison) {
    struct auth *auth = exchange->auth;
    struct source_question question = login_question(exchange);
    struct failure failure = {0};
    for (size_t next = 0;;) {
        enum source_answer answer =
            sources_look_up(&auth->sources, &next, &question, &exchange->account, &exchange->source, &failure);
        bool has_secret = exchange->account.secret.length || exchange->account.app_secrets.length;
        if (answer == SOURCE_FOUND && has_secret) return check_secrets(exchange, comparison);
        if (answer == SOURCE_FOUND && exchange->source->type->verify)
            answer = exchange->source->type->verify(exchange->source, &question, comparison->password,
                                                    &exchange->account, &failure);
        else if (answer == SOURCE_FOUND)
            answer = SOURCE_DISABLED; /* neither a secret, nor a way to ask */
        switch (answer) {
        case SOURCE_FOUND:
            return STEP_GRANTED;
        case SOURCE_WRONG:
            return login_wrong(exchange, "wrong password");
        case SOURCE_DISABLED:
            return wrong_for_nobody(exchange, comparison, "the account is closed");
        case SOURCE_RETRY:
            return source_later(exchange, &failure);
        case SOURCE_UNKNOWN:
            break;
        }
        if (next >= auth->sources.count) return wrong_for_nobody(exchange, comparison, "no such account");
    }
}

enum exchange_step login_by_password(struct exchange *exchange, struct str authorization, struct str name,
                                     struct str password) {
    enum exchange_step step = STEP_DENIED;
    if (!login_name(exchange, name, &exchange->user)) return login_wrong(exchange, "no name of an account");
    if (login_is_barred(exchange, &step)) return step;
    struct buf prepared = buf_make(SASL_PREPARE_MAX);
    struct comparison comparison = {.as_sent = password, .password = password, .app = STR_EMPTY};
    if (sasl_prepare(password, &prepared)) comparison.password = buf_str(&prepared);
    step = find_by_password(exchange, &comparison);
    buf_free_secret(&prepared);
    if (step != STEP_LATER && login_is_barred(exchange, &step)) return step;
    return step == STEP_GRANTED ? login_grant(exchange, authorization) : step;
}

/* ---- may it come in, and as whom */

static bool list_has(struct str list, struct str word) {
    struct str item;
    while (str_next_word(&list, ", \t\r\n", &item))
        if (str_equal_nocase(item, word)) return true;
    return false;
}

static bool is_from(struct str networks, struct str address) {
    struct ip_prefix client, network;
    struct str item;
    if (!ip_address_parse(address, &client)) return false;
    while (str_next_word(&networks, ", \t", &item))
        if (ip_prefix_parse(item, &network) == IP_PREFIX_OK && ip_prefix_contains(&network, &client)) return true;
    return false;
}

/* Dovecot's words: proto (a list of protocols), allow_nets. */
static const char *why_not(const struct exchange *exchange) {
    const struct auth_account *account = &exchange->account;
    struct str protocols = auth_account_field(account, STR("proto"));
    struct str networks = auth_account_field(account, STR("allow_nets"));
    if (protocols.length && !list_has(protocols, exchange->protocol)) return "the account is not for this protocol";
    if (networks.length && !is_from(networks, exchange->client_address)) return "the account is not for this address";
    return NULL;
}

/* A master user becomes the account that it names, if there is such a one. */
static enum exchange_step become(struct exchange *exchange, struct str other) {
    struct str master = exchange->user;
    enum exchange_step step = STEP_DENIED;
    if (!list_has(exchange->auth->config->auth_master_users, master))
        return login_wrong(exchange, "may not log in as somebody else");
    enum login_found found = login_find(exchange, other, &step);
    struct str other_user = exchange->user;
    exchange->user = master;
    if (found == LOGIN_STOP) return step;
    if (found == LOGIN_UNKNOWN) return login_wrong(exchange, "no such account to log in as");
    if (!auth_account_add(&exchange->account, exchange->arena, STR("master_user"), master))
        return login_later(exchange, "out of room");
    log_info("master user %.*s logs in as %.*s", STR_ARGS(master), STR_ARGS(other_user));
    return STEP_GRANTED;
}

enum exchange_step login_grant(struct exchange *exchange, struct str authorization) {
    struct str other;
    const char *reason = why_not(exchange);
    if (reason) return login_wrong(exchange, reason);
    if (authorization.length) {
        if (!login_name(exchange, authorization, &other)) return login_wrong(exchange, "no name of an account");
        if (!str_equal(other, exchange->user)) {
            enum exchange_step step = become(exchange, authorization);
            if (step != STEP_GRANTED) return step;
        }
    }
    exchange->login = exchange->account.login.length ? exchange->account.login : exchange->user;
    return STEP_GRANTED;
}
