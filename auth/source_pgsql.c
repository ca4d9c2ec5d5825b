/* pgsql:FILE, accounts in PostgreSQL.
 *
 * libpq is used without blocking: a server that is slow or hangs costs waiting tasks
 * and no thread. Only the resolver is asked on a helper thread. Connections are kept;
 * one that broke while it idled is made anew once. Each question is one statement with
 * parameters in the unnamed way, which poolers between us and the server understand. */
#include "source_places.h"

#ifdef TERN_HAVE_PGSQL

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <sys/socket.h>

#include "account_builder.h"
#include "source_hosts.h"
#include "source_settings.h"
#include "sql_query.h"

enum { CONNECTIONS_MAX = 64 };

struct pgsql_settings {
    struct str hosts, user, password, dbname, encoding, query, domain, default_pass_scheme, sslmode, tls_ca_cert_file;
    int64_t timeout, connections;
    bool scram;
};

#define SETTING(kind, name, value, minimum, maximum, choices)                                                          \
    { #name, kind, offsetof(struct pgsql_settings, name), value, minimum, maximum, choices }
static const struct source_setting settings_rows[] = {
    SETTING(SOURCE_TEXT, hosts, "localhost", 0, 0, NULL),
    SETTING(SOURCE_TEXT, user, "", 0, 0, NULL),
    SETTING(SOURCE_TEXT, password, "", 0, 0, NULL),
    SETTING(SOURCE_REQUIRED, dbname, "", 0, 0, NULL),
    SETTING(SOURCE_TEXT, encoding, "UTF8", 0, 0, NULL),
    SETTING(SOURCE_REQUIRED, query, "", 0, 0, NULL),
    SETTING(SOURCE_TEXT, domain, "", 0, 0, NULL),
    SETTING(SOURCE_SWITCH, scram, "no", 0, 0, NULL),
    SETTING(SOURCE_TEXT, default_pass_scheme, "CRYPT", 0, 0, NULL),
    SETTING(SOURCE_CHOICE, sslmode, "prefer", 0, 0, "disable|allow|prefer|require|verify-ca|verify-full"),
    SETTING(SOURCE_TEXT, tls_ca_cert_file, "", 0, 0, NULL),
    SETTING(SOURCE_SECONDS, timeout, "10s", 1, 300, NULL),
    SETTING(SOURCE_NUMBER, connections, "4", 1, CONNECTIONS_MAX, NULL),
};
#undef SETTING

struct pgsql {
    struct pgsql_settings settings;
    struct arena *arena;
    struct sql_query query;
    struct source_hosts hosts;
    PGconn *idle[CONNECTIONS_MAX];
    size_t idle_count;
    struct source_places places;
};

/* ---- settings */

static void pgsql_close(struct auth_source *source) {
    struct pgsql *pgsql = source->state;
    if (!pgsql) return;
    while (pgsql->idle_count > 0) {
        PGconn *connection = pgsql->idle[--pgsql->idle_count];
        if (PQsocket(connection) >= 0) task_forget_descriptor(PQsocket(connection));
        PQfinish(connection);
    }
    source_hosts_free(&pgsql->hosts);
    arena_destroy(&pgsql->arena);
    MEMORY_FREE(pgsql);
    source->state = NULL;
}

/* The resolver's modules and OpenSSL's are loaded now: later no code can be mapped. */
static void load_modules(void) {
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0) freeaddrinfo(found);
    PQinitOpenSSL(0, 0);
}

static bool pgsql_open(struct auth_source *source, struct failure *failure) {
    struct pgsql *pgsql = MEMORY_NEW(struct pgsql);
    source->state = pgsql;
    pgsql->arena = arena_create(0);
    load_modules();
    bool good = source_settings_read(source->argument, settings_rows, ARRAY_LENGTH(settings_rows), &pgsql->settings,
                                     sizeof pgsql->settings, pgsql->arena, failure);
    if (good) {
        good = source_hosts_parse(pgsql->settings.hosts, &pgsql->hosts, failure) &&
               sql_query_parse(pgsql->settings.query, SQL_POSTGRESQL, pgsql->arena, &pgsql->query, failure);
        if (!good) failure_prefix(failure, "%.*s", STR_ARGS(source->argument));
    }
    pgsql->places.limit = (unsigned)pgsql->settings.connections;
    if (!good) pgsql_close(source);
    return good;
}

/* ---- connections */

/* The first line of what libpq says, which is the reason. */
static bool say_error(const char *text, struct failure *failure) {
    struct str line = str_trim(str_from(text)), rest;
    str_cut(line, '\n', &line, &rest);
    return failure_set(failure, "%.*s", STR_ARGS(line));
}

struct resolving {
    const struct source_host *host;
    char address[64];
    const char *error;
};

static void resolve(void *argument) {
    struct resolving *resolving = argument;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(resolving->host->name, NULL, &wanted, &found);
    if (result == 0)
        result = getnameinfo(found->ai_addr, found->ai_addrlen, resolving->address, sizeof resolving->address, NULL, 0,
                             NI_NUMERICHOST);
    if (result != 0) resolving->error = gai_strerror(result);
    if (found) freeaddrinfo(found);
}

/* libpq would ask the resolver in the middle of the loop. */
static bool find_address(const struct source_host *host, struct resolving *resolving, struct failure *failure) {
    struct in6_addr scratch;
    *resolving = (struct resolving){.host = host};
    if (host->local) return true;
    if (inet_pton(AF_INET, host->name, &scratch) == 1 || inet_pton(AF_INET6, host->name, &scratch) == 1) {
        snprintf(resolving->address, sizeof resolving->address, "%s", host->name);
        return true;
    }
    task_run_blocking(resolve, resolving);
    return !resolving->error || failure_set(failure, "%s: %s", host->name, resolving->error);
}

static PGconn *begin_connection(const struct pgsql *pgsql, const struct source_host *host, const char *address) {
    const struct pgsql_settings *settings = &pgsql->settings;
    const char *names[16] = {0}, *values[16] = {0};
    size_t count = 0;
    const struct {
        const char *name, *value;
    } rows[] = {
        {"host", host->name},
        {"hostaddr", address},
        {"port", host->port},
        {"user", settings->user.data},
        {"password", settings->password.data},
        {"dbname", settings->dbname.data},
        {"client_encoding", settings->encoding.data},
        {"sslmode", settings->sslmode.data},
        {"sslrootcert", settings->tls_ca_cert_file.data},
        {"application_name", "tern"},
        {"gssencmode", "disable"},
        {"options", "-c default_transaction_read_only=on"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (rows[i].value[0] == '\0') continue;
        names[count] = rows[i].name;
        values[count++] = rows[i].value;
    }
    return PQconnectStartParams(names, values, 0);
}

/* libpq may go to another socket of the same number between two steps. */
static bool wait_for(PGconn *connection, bool writing, deadline until, struct failure *failure) {
    int descriptor = PQsocket(connection);
    enum wait_result waited = writing ? task_wait_writable(descriptor, until) : task_wait_readable(descriptor, until);
    task_forget_descriptor(descriptor);
    return waited == WAIT_READY || failure_set(failure, "the server does not answer in time");
}

static bool finish_connection(PGconn *connection, deadline until, struct failure *failure) {
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return say_error(connection ? PQerrorMessage(connection) : "out of memory", failure);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (!wait_for(connection, status == PGRES_POLLING_WRITING, until, failure)) return false;
        status = PQconnectPoll(connection);
        if (status == PGRES_POLLING_FAILED) return say_error(PQerrorMessage(connection), failure);
    }
    return PQsetnonblocking(connection, 1) == 0 || say_error(PQerrorMessage(connection), failure);
}

static PGconn *connect_to(const struct pgsql *pgsql, const struct source_host *host, deadline until,
                          struct failure *failure) {
    struct resolving resolving;
    if (!find_address(host, &resolving, failure)) return NULL;
    PGconn *connection = begin_connection(pgsql, host, resolving.address);
    if (finish_connection(connection, until, failure)) return connection;
    failure_prefix(failure, "%s", host->name);
    PQfinish(connection);
    return NULL;
}

/* The first host that answers. */
static PGconn *connect_any(struct pgsql *pgsql, deadline until, struct failure *failure) {
    struct source_host *order[SOURCE_HOSTS_MAX];
    size_t count = pgsql->hosts.count;
    PGconn *connection = NULL;
    source_hosts_order(&pgsql->hosts, order);
    for (size_t i = 0; i < count && !connection; i++) {
        /* One that hangs must leave time for the next. */
        deadline patience = deadline_in(deadline_left(until) / (int64_t)(count - i));
        connection = connect_to(pgsql, order[i], patience, failure);
        source_host_note(order[i], connection != NULL);
    }
    return connection;
}

static void discard(PGconn *connection) {
    if (PQsocket(connection) >= 0) task_forget_descriptor(PQsocket(connection));
    PQfinish(connection);
}

/* ---- questions */

enum asked { ASKED, BROKEN, LATE };

static enum asked transfer(PGconn *connection, deadline until, struct failure *failure) {
    int left;
    while ((left = PQflush(connection)) == 1)
        if (!wait_for(connection, true, until, failure)) return LATE;
    if (left < 0) return BROKEN;
    while (PQisBusy(connection)) {
        if (!wait_for(connection, false, until, failure)) return LATE;
        if (PQconsumeInput(connection) == 0) return BROKEN;
    }
    return ASKED;
}

/* The next result, NULL after the last. PQgetResult would wait in the middle of the loop for what has not come yet. */
static enum asked next_result(PGconn *connection, deadline until, PGresult **result, struct failure *failure) {
    enum asked asked = transfer(connection, until, failure);
    *result = asked == ASKED ? PQgetResult(connection) : NULL;
    return asked;
}

/* A server that begins to copy, which nobody asked it for, would give results without end. */
static bool is_copying(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH;
}

/* The first result, once the server has said that it is the only one that counts. */
static enum asked take_result(PGconn *connection, deadline until, PGresult **result, struct failure *failure) {
    enum asked asked = next_result(connection, until, result, failure);
    bool more = asked == ASKED && *result;
    if (more && is_copying(*result)) return BROKEN;
    while (more) {
        PGresult *other = NULL;
        asked = deadline_left(until) > 0 ? next_result(connection, until, &other, failure) : LATE;
        more = asked == ASKED && other;
        if (more && is_copying(other)) asked = BROKEN;
        PQclear(other);
        if (asked != ASKED) break;
    }
    return asked;
}

/* *result, if the server answered at all. */
static enum asked ask(PGconn *connection, const struct sql_query *query, const struct sql_values *values,
                      deadline until, PGresult **result, struct failure *failure) {
    const char *texts[SQL_PARAMETERS_MAX];
    for (size_t i = 0; i < values->count; i++)
        texts[i] = values->values[i];
    if (!PQsendQueryParams(connection, query->statement.data, (int)values->count, NULL, texts, NULL, NULL, 0)) {
        say_error(PQerrorMessage(connection), failure);
        return BROKEN;
    }
    enum asked asked = take_result(connection, until, result, failure);
    if (asked == ASKED && *result && PQstatus(connection) == CONNECTION_OK) return ASKED;
    if (asked != LATE) say_error(PQerrorMessage(connection), failure);
    PQclear(*result);
    *result = NULL;
    return asked == LATE ? LATE : BROKEN;
}

static enum source_answer read_result(const struct pgsql *pgsql, const struct source_question *question,
                                      const PGresult *result, struct auth_account *account, struct failure *failure) {
    struct account_builder builder;
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        say_error(message ? message : "the query gives no rows", failure);
        return SOURCE_RETRY;
    }
    int rows = PQntuples(result);
    if (rows == 0) return SOURCE_UNKNOWN;
    if (rows > 1) {
        failure_set(failure, "the query gives more than one row");
        return SOURCE_RETRY;
    }
    account_begin(&builder, question->user, pgsql->settings.default_pass_scheme, question->arena);
    for (int i = 0; i < PQnfields(result); i++)
        if (!PQgetisnull(result, 0, i))
            account_add(&builder, str_from(PQfname(result, i)),
                        str_make(PQgetvalue(result, 0, i), (size_t)PQgetlength(result, 0, i)));
    return account_finish(&builder, account, failure);
}

/* With a connection that idled, or else a new one; a kept one may have gone meanwhile. */
static enum source_answer ask_server(struct pgsql *pgsql, const struct source_question *question,
                                     const struct sql_values *values, deadline until, struct auth_account *account,
                                     bool *reached, struct failure *failure) {
    enum source_answer answer = SOURCE_RETRY;
    PGresult *result = NULL;
    bool kept = true;
    *reached = false;
    while (kept) {
        kept = pgsql->idle_count > 0;
        PGconn *connection = kept ? pgsql->idle[--pgsql->idle_count] : connect_any(pgsql, until, failure);
        if (!connection) return SOURCE_RETRY;
        enum asked asked = ask(connection, &pgsql->query, values, until, &result, failure);
        if (asked == ASKED) {
            *reached = true;
            answer = read_result(pgsql, question, result, account, failure);
            PQclear(result);
            pgsql->idle[pgsql->idle_count++] = connection; /* there are as many places as connections */
            return answer;
        }
        discard(connection);
        if (asked == LATE) break;
    }
    return answer;
}

static enum source_answer pgsql_look_up(struct auth_source *source, const struct source_question *question,
                                        struct auth_account *account, struct failure *failure) {
    struct pgsql *pgsql = source->state;
    struct sql_values values;
    bool reached;
    if (!source_user_is_plain(question->user) || !source_user_in_domains(question->user, pgsql->settings.domain))
        return SOURCE_UNKNOWN;
    switch (sql_query_values(&pgsql->query, question, &values)) {
    case SOURCE_TEMPLATE_NO_DOMAIN:
    case SOURCE_TEMPLATE_TOO_LONG:
        return SOURCE_UNKNOWN;
    case SOURCE_TEMPLATE_DONE:
        break;
    }
    deadline until = deadline_in(pgsql->settings.timeout * 1000);
    if (question->until < until) until = question->until;
    if (!source_place_take(&pgsql->places, until, failure)) return SOURCE_RETRY;
    enum source_answer answer = ask_server(pgsql, question, &values, until, account, &reached, failure);
    source_place_give(&pgsql->places, reached ? NULL : failure);
    return answer;
}

/* The accounts are not here to be looked at; the settings say it. */
static bool pgsql_has_scram(struct auth_source *source, struct str digest) {
    const struct pgsql *pgsql = source->state;
    (void)digest;
    return pgsql->settings.scram;
}

const struct auth_source_type source_pgsql = {
    .name = "pgsql", .open = pgsql_open, .look_up = pgsql_look_up, .has_scram = pgsql_has_scram, .close = pgsql_close};

#else

static bool pgsql_open(struct auth_source *source, struct failure *failure) {
    return source_not_built(source, "--with-pgsql, libpq", failure);
}

const struct auth_source_type source_pgsql = {.name = "pgsql", .open = pgsql_open};

#endif
