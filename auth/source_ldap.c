/* ldap:FILE, accounts in an LDAP directory.
 *
 * The entry is looked for as bind_dn. With auth_bind = yes the password is then tried by
 * binding as that entry, on a connection of its own; without, the entry's password
 * attribute is compared as any other source's.
 *
 * libldap blocks, so a question runs on a helper thread, two at most for a source: a
 * directory that hangs must not hold the threads that check passwords. Every step has
 * what is left of the question's time. A name is a value in filters and distinguished
 * names, whatever it is made of. An empty password is never tried: servers take such a
 * bind for an anonymous one and say yes (RFC 4513 section 5.1.2). */
#include "source_places.h"

#ifdef TERN_HAVE_LDAP

#include <ldap.h>
#include <sys/time.h>

#include "account_builder.h"
#include "ldap_escape.h"
#include "source_settings.h"
#include "source_template.h"

enum { CONNECTIONS = 2, ATTRIBUTES_MAX = 30, ENTRIES_MAX = 2 };

struct ldap_settings {
    struct str server_host, search_base, query_filter, result_attribute, bind, bind_dn, bind_pw, scope, domain;
    struct str tls_ca_cert_file, auth_bind_userdn, default_pass_scheme;
    int64_t server_port, version, timeout, connections;
    bool auth_bind, scram, start_tls, tls_require_cert;
};

#define SETTING(kind, name, value, minimum, maximum, choices)                                                          \
    { #name, kind, offsetof(struct ldap_settings, name), value, minimum, maximum, choices }
static const struct source_setting settings_rows[] = {
    SETTING(SOURCE_TEXT, server_host, "localhost", 0, 0, NULL),
    SETTING(SOURCE_NUMBER, server_port, "389", 1, 65535, NULL),
    SETTING(SOURCE_TEXT, search_base, "", 0, 0, NULL),
    SETTING(SOURCE_TEXT, query_filter, "(&(objectClass=posixAccount)(uid=%u))", 0, 0, NULL),
    SETTING(SOURCE_TEXT, result_attribute, "", 0, 0, NULL),
    SETTING(SOURCE_CHOICE, bind, "yes", 0, 0, "yes|no|simple|none"),
    SETTING(SOURCE_TEXT, bind_dn, "", 0, 0, NULL),
    SETTING(SOURCE_TEXT, bind_pw, "", 0, 0, NULL),
    SETTING(SOURCE_CHOICE, scope, "sub", 0, 0, "sub|base|one"),
    SETTING(SOURCE_TEXT, domain, "", 0, 0, NULL),
    SETTING(SOURCE_NUMBER, version, "3", 3, 3, NULL),
    SETTING(SOURCE_SECONDS, timeout, "10s", 1, 300, NULL),
    SETTING(SOURCE_NUMBER, connections, "2", 1, CONNECTIONS, NULL),
    SETTING(SOURCE_SWITCH, start_tls, "no", 0, 0, NULL),
    SETTING(SOURCE_SWITCH, tls_require_cert, "yes", 0, 0, NULL),
    SETTING(SOURCE_TEXT, tls_ca_cert_file, "", 0, 0, NULL),
    SETTING(SOURCE_SWITCH, auth_bind, "yes", 0, 0, NULL),
    SETTING(SOURCE_TEXT, auth_bind_userdn, "", 0, 0, NULL),
    SETTING(SOURCE_SWITCH, scram, "no", 0, 0, NULL),
    SETTING(SOURCE_TEXT, default_pass_scheme, "CLEARTEXT", 0, 0, NULL),
    {"chase_referrals", SOURCE_IGNORED, 0, "", 0, 0, NULL}, /* never: they would carry passwords elsewhere */
    {"dereference", SOURCE_IGNORED, 0, "", 0, 0, NULL},
    {"debuglevel", SOURCE_IGNORED, 0, "", 0, 0, NULL},
    {"size_limit", SOURCE_IGNORED, 0, "", 0, 0, NULL},
    {"expansion_limit", SOURCE_IGNORED, 0, "", 0, 0, NULL},
};
#undef SETTING

struct ldap_connection {
    LDAP *search; /* bound as bind_dn */
    LDAP *user;   /* bound as whoever came last */
    bool taken;
};

struct ldap_source {
    struct ldap_settings settings;
    struct arena *arena;
    char *uri; /* libldap tries the servers in it in order */
    int scope;
    char *attributes[ATTRIBUTES_MAX + 1];
    struct str names[ATTRIBUTES_MAX]; /* what each attribute is called here */
    size_t attribute_count;
    struct ldap_connection connections[CONNECTIONS];
    struct source_places places;
};

/* In place of source_ldap where passwords are not tried but read. */
static const struct auth_source_type lookup_type;

/* ---- settings */

/* server_host: URLs, or hosts with or without a port, as Postfix takes them. */
static bool make_uri(struct ldap_source *ldap, struct failure *failure) {
    struct buf uri = buf_make(2000);
    struct str rest = ldap->settings.server_host, word;
    while (str_next_word(&rest, ", \t", &word)) {
        bool is_url = str_find_str(word, STR("://")) != STR_NONE;
        bool has_port = str_find(word, ':') != STR_NONE;
        if (uri.length > 0) buf_append_char(&uri, ' ');
        if (is_url)
            buf_append(&uri, word);
        else if (has_port)
            buf_printf(&uri, "ldap://%.*s", STR_ARGS(word));
        else
            buf_printf(&uri, "ldap://%.*s:%d", STR_ARGS(word), (int)ldap->settings.server_port);
    }
    bool good = uri.length > 0 && !buf_overflowed(&uri);
    if (good) ldap->uri = memory_copy_string(buf_str(&uri));
    buf_free(&uri);
    return good || failure_set(failure, "server_host: no server, or too many");
}

static bool add_attribute(struct ldap_source *ldap, struct str attribute, struct str name, struct failure *failure) {
    if (ldap->attribute_count == ATTRIBUTES_MAX)
        return failure_set(failure, "result_attribute: more than %d", ATTRIBUTES_MAX);
    ldap->attributes[ldap->attribute_count] = memory_copy_string(attribute);
    ldap->names[ldap->attribute_count++] = name;
    return true;
}

/* "mail, homeDirectory=home": an attribute, and under which name it is known here. */
static bool read_attributes(struct ldap_source *ldap, struct failure *failure) {
    struct str rest = ldap->settings.result_attribute, word;
    bool has_secret = false;
    while (str_next_word(&rest, ", \t", &word)) {
        struct str attribute = word, name = word;
        str_cut(word, '=', &attribute, &name);
        if (attribute.length == 0 || name.length == 0) return failure_set(failure, "result_attribute: attribute=name");
        has_secret = has_secret || str_equal_nocase(name, STR("password")) || str_equal_nocase(name, STR("secret"));
        if (!add_attribute(ldap, attribute, name, failure)) return false;
    }
    if (!ldap->settings.auth_bind && !has_secret && !add_attribute(ldap, STR("userPassword"), STR("password"), failure))
        return false;
    /* No attribute at all would mean all of them. */
    return ldap->attribute_count > 0 || add_attribute(ldap, STR("1.1"), STR("none"), failure);
}

static bool check_settings(struct ldap_source *ldap, struct failure *failure) {
    const struct ldap_settings *settings = &ldap->settings;
    ldap->scope = str_equal(settings->scope, STR("base"))  ? LDAP_SCOPE_BASE
                  : str_equal(settings->scope, STR("one")) ? LDAP_SCOPE_ONELEVEL
                                                           : LDAP_SCOPE_SUBTREE;
    if (settings->auth_bind_userdn.length > 0 && !settings->auth_bind)
        return failure_set(failure, "auth_bind_userdn wants auth_bind = yes");
    if (settings->auth_bind_userdn.length > 0 && !source_template_varies(settings->auth_bind_userdn))
        return failure_set(failure, "auth_bind_userdn: it has no place for the user, such as %%u");
    if (!source_template_varies(settings->query_filter) && !source_template_varies(settings->search_base))
        return failure_set(failure, "query_filter: it has no place for the user, such as %%u");
    return source_template_check(settings->query_filter, "query_filter", failure) &&
           source_template_check(settings->search_base, "search_base", failure) &&
           source_template_check(settings->auth_bind_userdn, "auth_bind_userdn", failure);
}

static void connection_end(LDAP **connection) {
    if (*connection) ldap_unbind_ext_s(*connection, NULL, NULL);
    *connection = NULL;
}

static void source_ldap_close(struct auth_source *source) {
    struct ldap_source *ldap = source->state;
    if (!ldap) return;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        connection_end(&ldap->connections[i].search);
        connection_end(&ldap->connections[i].user);
    }
    for (size_t i = 0; i < ldap->attribute_count; i++)
        MEMORY_FREE(ldap->attributes[i]);
    MEMORY_FREE(ldap->uri);
    arena_destroy(&ldap->arena);
    MEMORY_FREE(ldap);
    source->state = NULL;
}

/* libldap reads its files and loads its modules with the first handle; later no code can be mapped. */
static bool try_handle(const struct ldap_source *ldap, struct failure *failure) {
    LDAP *handle = NULL;
    int result = ldap_initialize(&handle, ldap->uri);
    if (result != LDAP_SUCCESS) return failure_set(failure, "server_host: %s", ldap_err2string(result));
    connection_end(&handle);
    return true;
}

static bool source_ldap_open(struct auth_source *source, struct failure *failure) {
    struct ldap_source *ldap = MEMORY_NEW(struct ldap_source);
    source->state = ldap;
    ldap->arena = arena_create(0);
    bool good = source_settings_read(source->argument, settings_rows, ARRAY_LENGTH(settings_rows), &ldap->settings,
                                     sizeof ldap->settings, ldap->arena, failure);
    if (good) {
        good = check_settings(ldap, failure) && make_uri(ldap, failure) && read_attributes(ldap, failure) &&
               try_handle(ldap, failure);
        if (!good) failure_prefix(failure, "%.*s", STR_ARGS(source->argument));
    }
    ldap->places.limit = (unsigned)ldap->settings.connections;
    if (!good) {
        source_ldap_close(source);
        return false;
    }
    if (!ldap->settings.auth_bind) source->type = &lookup_type;
    return true;
}

/* ---- on a helper thread */

struct ldap_job {
    struct ldap_source *ldap;
    struct ldap_connection *connection;
    const struct source_question *question;
    deadline until;
    bool verify;
    struct str password;
    struct auth_account *account;
    struct failure *failure;
    enum source_answer answer;
    bool unreachable;
};

static struct timeval time_left(const struct ldap_job *job) {
    int64_t left = deadline_left(job->until);
    if (left < 1) left = 1;
    return (struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
}

/* What the server said to a request, or what went wrong on the way to it. */
static bool fail_ldap(struct ldap_job *job, LDAP *handle, int result, const char *step) {
    char *words = NULL;
    if (handle) ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
    failure_set(job->failure, "%s: %s%s%s", step, ldap_err2string(result), words && words[0] ? ": " : "",
                words ? words : "");
    ldap_memfree(words);
    job->unreachable = LDAP_API_ERROR(result) || result == LDAP_UNAVAILABLE || result == LDAP_BUSY;
    return false;
}

static bool set_options(const struct ldap_job *job, LDAP *handle) {
    const struct ldap_settings *settings = &job->ldap->settings;
    struct timeval left = time_left(job);
    const int version = LDAP_VERSION3;
    const int demand = settings->tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
    const int fresh = 0;
    bool good = ldap_set_option(handle, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS &&
                ldap_set_option(handle, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
                ldap_set_option(handle, LDAP_OPT_NETWORK_TIMEOUT, &left) == LDAP_OPT_SUCCESS &&
                ldap_set_option(handle, LDAP_OPT_TIMEOUT, &left) == LDAP_OPT_SUCCESS &&
                ldap_set_option(handle, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) == LDAP_OPT_SUCCESS;
    if (good && settings->tls_ca_cert_file.length > 0)
        good = ldap_set_option(handle, LDAP_OPT_X_TLS_CACERTFILE, settings->tls_ca_cert_file.data) == LDAP_OPT_SUCCESS;
    /* A context of this handle's own, with what was set above. */
    return good && ldap_set_option(handle, LDAP_OPT_X_TLS_NEWCTX, &fresh) == LDAP_OPT_SUCCESS;
}

static bool connection_begin(struct ldap_job *job, LDAP **connection) {
    LDAP *handle = NULL;
    int result = ldap_initialize(&handle, job->ldap->uri);
    if (result != LDAP_SUCCESS) return fail_ldap(job, NULL, result, "cannot begin");
    bool good = set_options(job, handle) || fail_ldap(job, handle, LDAP_OTHER, "cannot set options");
    if (good && job->ldap->settings.start_tls) {
        result = ldap_start_tls_s(handle, NULL, NULL);
        good = result == LDAP_SUCCESS || fail_ldap(job, handle, result, "STARTTLS");
    }
    if (good)
        *connection = handle;
    else
        connection_end(&handle);
    return good;
}

/* The result of a simple bind; anything else than an answer is an API error (below 0). */
static int bind_as(const struct ldap_job *job, LDAP *handle, const char *name, struct str password) {
    struct berval secret = {.bv_val = memory_copy_string(password), .bv_len = password.length};
    struct timeval left = time_left(job);
    LDAPMessage *message = NULL;
    int number = 0, answer = LDAP_OTHER;
    ldap_set_option(handle, LDAP_OPT_NETWORK_TIMEOUT, &left);
    int result = ldap_sasl_bind(handle, name, LDAP_SASL_SIMPLE, &secret, NULL, NULL, &number);
    memory_wipe(secret.bv_val, secret.bv_len);
    MEMORY_FREE(secret.bv_val);
    if (result != LDAP_SUCCESS) return result;
    left = time_left(job);
    result = ldap_result(handle, number, LDAP_MSG_ALL, &left, &message);
    if (result == 0) return LDAP_TIMEOUT;
    if (result < 0) return LDAP_SERVER_DOWN;
    result = ldap_parse_result(handle, message, &answer, NULL, NULL, NULL, NULL, 1);
    return result == LDAP_SUCCESS ? answer : result;
}

static bool search_begin(struct ldap_job *job) {
    const struct ldap_settings *settings = &job->ldap->settings;
    bool anonymous = str_equal(settings->bind, STR("no")) || str_equal(settings->bind, STR("none"));
    if (job->connection->search) return true;
    if (!connection_begin(job, &job->connection->search)) return false;
    if (anonymous || settings->bind_dn.length == 0) return true;
    int result = bind_as(job, job->connection->search, settings->bind_dn.data, settings->bind_pw);
    if (result == LDAP_SUCCESS) return true;
    fail_ldap(job, job->connection->search, result, "bind as bind_dn");
    connection_end(&job->connection->search);
    return false;
}

static int search(const struct ldap_job *job, const char *base, const char *filter, LDAPMessage **found) {
    LDAP *handle = job->connection->search;
    struct timeval left = time_left(job);
    int number = 0, answer = LDAP_OTHER;
    int result = ldap_search_ext(handle, base, job->ldap->scope, filter, job->ldap->attributes, 0, NULL, NULL, &left,
                                 ENTRIES_MAX, &number);
    if (result != LDAP_SUCCESS) return result;
    result = ldap_result(handle, number, LDAP_MSG_ALL, &left, found);
    if (result == 0) return LDAP_TIMEOUT;
    if (result < 0) return LDAP_SERVER_DOWN;
    result = ldap_parse_result(handle, *found, &answer, NULL, NULL, NULL, NULL, 0);
    return result == LDAP_SUCCESS ? answer : result;
}

/* The entries that fit. A kept connection may have gone meanwhile: then once more, with a new one. */
static bool search_entries(struct ldap_job *job, const char *base, const char *filter, LDAPMessage **found) {
    bool kept = job->connection->search != NULL;
    for (;;) {
        if (!search_begin(job)) return false;
        int result = search(job, base, filter, found);
        if (result == LDAP_SUCCESS || result == LDAP_NO_SUCH_OBJECT || result == LDAP_SIZELIMIT_EXCEEDED) return true;
        fail_ldap(job, job->connection->search, result, "search");
        ldap_msgfree(*found);
        *found = NULL;
        connection_end(&job->connection->search);
        if (!kept || result == LDAP_TIMEOUT) return false;
        kept = false;
    }
}

static void add_attributes(const struct ldap_job *job, LDAPMessage *entry, struct account_builder *builder) {
    for (size_t i = 0; i < job->ldap->attribute_count; i++) {
        struct berval **values = ldap_get_values_len(job->connection->search, entry, job->ldap->attributes[i]);
        if (values && values[0])
            account_add(builder, job->ldap->names[i], str_make(values[0]->bv_val, values[0]->bv_len));
        ldap_value_free_len(values);
    }
}

/* What the entry says; *dn is its name, to be freed with ldap_memfree. */
static enum source_answer read_entry(struct ldap_job *job, LDAPMessage *found, struct auth_account *account,
                                     char **dn) {
    LDAP *handle = job->connection->search;
    LDAPMessage *entry = ldap_first_entry(handle, found);
    struct account_builder builder;
    if (!entry) return SOURCE_UNKNOWN;
    if (ldap_next_entry(handle, entry)) {
        failure_set(job->failure, "more than one entry fits");
        return SOURCE_RETRY;
    }
    account_begin(&builder, job->question->user, job->ldap->settings.default_pass_scheme, job->question->arena);
    add_attributes(job, entry, &builder);
    *dn = ldap_get_dn(handle, entry);
    return account_finish(&builder, account, job->failure);
}

static enum source_answer find_entry(struct ldap_job *job, struct auth_account *account, char **dn) {
    const struct ldap_settings *settings = &job->ldap->settings;
    struct buf base = buf_make(4096), filter = buf_make(4096);
    LDAPMessage *found = NULL;
    enum source_answer answer = SOURCE_UNKNOWN;
    if (source_template_expand(settings->search_base, job->question, ldap_escape_dn, &base) == SOURCE_TEMPLATE_DONE &&
        source_template_expand(settings->query_filter, job->question, ldap_escape_filter, &filter) ==
            SOURCE_TEMPLATE_DONE)
        answer = search_entries(job, buf_string(&base), buf_string(&filter), &found)
                     ? read_entry(job, found, account, dn)
                     : SOURCE_RETRY;
    ldap_msgfree(found);
    buf_free(&base);
    buf_free(&filter);
    return answer;
}

/* Active Directory says in words why it refuses a right password: disabled, expired, locked, not now. */
static bool is_disabled_by_directory(LDAP *handle) {
    static const char *const codes[] = {"data 530,", "data 531,", "data 532,", "data 533,",
                                        "data 701,", "data 773,", "data 775,"};
    char *words = NULL;
    bool found = false;
    ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
    for (size_t i = 0; words && i < ARRAY_LENGTH(codes); i++)
        found = found || strstr(words, codes[i]);
    ldap_memfree(words);
    return found;
}

static enum source_answer judge_bind(struct ldap_job *job, int result) {
    if (result == LDAP_SUCCESS) return SOURCE_FOUND;
    if (result == LDAP_INVALID_CREDENTIALS && !is_disabled_by_directory(job->connection->user)) return SOURCE_WRONG;
    if (result == LDAP_INAPPROPRIATE_AUTH || result == LDAP_INVALID_DN_SYNTAX || result == LDAP_NO_SUCH_OBJECT)
        return SOURCE_WRONG;
    if (result == LDAP_INVALID_CREDENTIALS || result == LDAP_CONSTRAINT_VIOLATION) {
        failure_set(job->failure, "the directory does not let the account in");
        return SOURCE_DISABLED;
    }
    fail_ldap(job, job->connection->user, result, "bind as the user");
    connection_end(&job->connection->user);
    return SOURCE_RETRY;
}

/* A kept connection may have gone meanwhile. */
static enum source_answer try_password(struct ldap_job *job, const char *dn) {
    bool kept = job->connection->user != NULL;
    for (;;) {
        if (!job->connection->user && !connection_begin(job, &job->connection->user)) return SOURCE_RETRY;
        int result = bind_as(job, job->connection->user, dn, job->password);
        if (!kept || !LDAP_API_ERROR(result) || result == LDAP_TIMEOUT) return judge_bind(job, result);
        connection_end(&job->connection->user);
        kept = false;
    }
}

static enum source_answer verify_by_template(struct ldap_job *job, struct auth_account *account) {
    struct buf dn = buf_make(4096);
    struct account_builder builder;
    enum source_answer answer = SOURCE_UNKNOWN;
    if (source_template_expand(job->ldap->settings.auth_bind_userdn, job->question, ldap_escape_dn, &dn) ==
        SOURCE_TEMPLATE_DONE)
        answer = try_password(job, buf_string(&dn));
    if (answer == SOURCE_FOUND) {
        account_begin(&builder, job->question->user, STR_EMPTY, job->question->arena);
        answer = account_finish(&builder, account, job->failure);
    }
    buf_free(&dn);
    return answer;
}

static void run_job(void *argument) {
    struct ldap_job *job = argument;
    struct auth_account account = {0};
    char *dn = NULL;
    if (job->verify && job->ldap->settings.auth_bind_userdn.length > 0) {
        job->answer = verify_by_template(job, job->account);
        return;
    }
    job->answer = find_entry(job, &account, &dn);
    /* That an account is disabled is for those who know its password. */
    if (job->verify && (job->answer == SOURCE_FOUND || job->answer == SOURCE_DISABLED)) {
        enum source_answer tried = dn && dn[0] ? try_password(job, dn) : SOURCE_WRONG;
        if (tried != SOURCE_FOUND) job->answer = tried;
    }
    if (job->answer == SOURCE_FOUND || job->answer == SOURCE_DISABLED) *job->account = account;
    ldap_memfree(dn);
}

/* ---- in the task */

static enum source_answer run(struct auth_source *source, struct ldap_job *job) {
    struct ldap_source *ldap = source->state;
    size_t i = 0;
    if (!source_user_is_plain(job->question->user) ||
        !source_user_in_domains(job->question->user, ldap->settings.domain))
        return SOURCE_UNKNOWN;
    job->ldap = ldap;
    job->until = deadline_in(ldap->settings.timeout * 1000);
    if (job->question->until < job->until) job->until = job->question->until;
    if (!source_place_take(&ldap->places, job->until, job->failure)) return SOURCE_RETRY;
    while (ldap->connections[i].taken) /* whoever has a place finds one */
        i++;
    job->connection = &ldap->connections[i];
    job->connection->taken = true;
    task_run_blocking(run_job, job);
    job->connection->taken = false;
    source_place_give(&ldap->places, job->answer == SOURCE_RETRY && job->unreachable ? job->failure : NULL);
    return job->answer;
}

static enum source_answer source_ldap_look_up(struct auth_source *source, const struct source_question *question,
                                              struct auth_account *account, struct failure *failure) {
    struct ldap_job job = {.question = question, .account = account, .failure = failure};
    return run(source, &job);
}

static enum source_answer source_ldap_verify(struct auth_source *source, const struct source_question *question,
                                             struct str password, struct auth_account *account,
                                             struct failure *failure) {
    struct ldap_job job = {
        .question = question, .account = account, .failure = failure, .verify = true, .password = password};
    if (password.length == 0 || memchr(password.data, '\0', password.length)) return SOURCE_WRONG;
    return run(source, &job);
}

/* The accounts are not here to be looked at; the settings say it. */
static bool ldap_has_scram(struct auth_source *source, struct str digest) {
    const struct ldap_source *ldap = source->state;
    (void)digest;
    return ldap->settings.scram;
}

const struct auth_source_type source_ldap = {
    .name = "ldap", .open = source_ldap_open, .verify = source_ldap_verify, .close = source_ldap_close};
static const struct auth_source_type lookup_type = {.name = "ldap",
                                                    .open = source_ldap_open,
                                                    .look_up = source_ldap_look_up,
                                                    .has_scram = ldap_has_scram,
                                                    .close = source_ldap_close};

#else

static bool source_ldap_open(struct auth_source *source, struct failure *failure) {
    return source_not_built(source, "--with-ldap, libldap", failure);
}

const struct auth_source_type source_ldap = {.name = "ldap", .open = source_ldap_open};

#endif
