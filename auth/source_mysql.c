/* mysql:FILE, accounts in MySQL or MariaDB.
 *
 * The library blocks, so each question runs on a helper thread, two at most for a source,
 * and never longer than the setting timeout waits for a packet. A statement is prepared
 * once for a connection; a connection that broke while it idled is made anew once. */
#ifdef TERN_HAVE_MYSQL
/* First: it has macros with functions that tern's own code may not call. */
#include <mysql.h>
#include <errmsg.h>
#endif

#include "source_places.h"

#ifdef TERN_HAVE_MYSQL

#include "account_builder.h"
#include "source_hosts.h"
#include "source_settings.h"
#include "sql_query.h"

/* Of mysql/client_plugin.h, which some packages ship without what it includes. */
enum { AUTHENTICATION_PLUGIN = 2 };

enum { CONNECTIONS = 2, COLUMNS_MAX = 40, VALUE_ROOM = 8192 };

struct mysql_settings {
    struct str hosts, user, password, dbname, charset, query, domain, default_pass_scheme, tls_CAfile;
    int64_t timeout;
    bool scram, tls_verify_cert;
};

#define SETTING(kind, name, value, minimum, maximum)                                                                   \
    { #name, kind, offsetof(struct mysql_settings, name), value, minimum, maximum, NULL }
static const struct source_setting settings_rows[] = {
    SETTING(SOURCE_TEXT, hosts, "localhost", 0, 0),
    SETTING(SOURCE_TEXT, user, "", 0, 0),
    SETTING(SOURCE_TEXT, password, "", 0, 0),
    SETTING(SOURCE_REQUIRED, dbname, "", 0, 0),
    SETTING(SOURCE_TEXT, charset, "utf8mb4", 0, 0),
    SETTING(SOURCE_REQUIRED, query, "", 0, 0),
    SETTING(SOURCE_TEXT, domain, "", 0, 0),
    SETTING(SOURCE_SWITCH, scram, "no", 0, 0),
    SETTING(SOURCE_TEXT, default_pass_scheme, "CRYPT", 0, 0),
    SETTING(SOURCE_TEXT, tls_CAfile, "", 0, 0),
    SETTING(SOURCE_SWITCH, tls_verify_cert, "yes", 0, 0),
    SETTING(SOURCE_SECONDS, timeout, "10s", 1, 300),
    {"option_file", SOURCE_IGNORED, 0, "", 0, 0, NULL},
    {"option_group", SOURCE_IGNORED, 0, "", 0, 0, NULL},
    {"require_result_set", SOURCE_IGNORED, 0, "", 0, 0, NULL},
};
#undef SETTING

struct mysql_connection {
    MYSQL *server;
    MYSQL_STMT *statement;
    bool taken;
};

struct mysql_source {
    struct mysql_settings settings;
    struct arena *arena;
    struct sql_query query;
    struct source_hosts hosts;
    struct mysql_connection connections[CONNECTIONS];
    struct source_places places;
};

static void disconnect(struct mysql_connection *connection) {
    if (connection->statement) mysql_stmt_close(connection->statement);
    if (connection->server) mysql_close(connection->server);
    connection->statement = NULL;
    connection->server = NULL;
}

static void source_mysql_close(struct auth_source *source) {
    struct mysql_source *mysql = source->state;
    if (!mysql) return;
    for (size_t i = 0; i < CONNECTIONS; i++)
        disconnect(&mysql->connections[i]);
    source_hosts_free(&mysql->hosts);
    arena_destroy(&mysql->arena);
    MEMORY_FREE(mysql);
    source->state = NULL;
}

/* Ways to log in to the server that the library keeps in files of their own: later no code can be mapped. */
static void load_modules(void) {
    static const char *const names[] = {"caching_sha2_password", "sha256_password", "client_ed25519"};
    MYSQL *scratch = mysql_init(NULL);
    if (!scratch) return;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        (void)mysql_client_find_plugin(scratch, names[i], AUTHENTICATION_PLUGIN);
    mysql_close(scratch);
}

static bool source_mysql_open(struct auth_source *source, struct failure *failure) {
    struct mysql_source *mysql = MEMORY_NEW(struct mysql_source);
    source->state = mysql;
    mysql->arena = arena_create(0);
    mysql->places.limit = CONNECTIONS;
    bool good = source_settings_read(source->argument, settings_rows, ARRAY_LENGTH(settings_rows), &mysql->settings,
                                     sizeof mysql->settings, mysql->arena, failure);
    if (good && (!source_hosts_parse(mysql->settings.hosts, &mysql->hosts, failure) ||
                 !sql_query_parse(mysql->settings.query, SQL_MYSQL, mysql->arena, &mysql->query, failure)))
        good = failure_prefix(failure, "%.*s", STR_ARGS(source->argument));
    if (good && mysql_library_init(0, NULL, NULL) != 0) good = failure_set(failure, "libmariadb does not start");
    if (good) load_modules();
    if (!good) source_mysql_close(source);
    return good;
}

/* ---- on a helper thread */

struct mysql_job {
    struct mysql_source *mysql;
    struct mysql_connection *connection;
    const struct source_question *question;
    const struct sql_values *values;
    deadline until;
    struct auth_account *account;
    struct failure *failure;
    enum source_answer answer;
    bool unreachable;
    struct source_host *order[SOURCE_HOSTS_MAX]; /* to be tried */
    size_t tried;
    bool connected; /* the last that was tried answered */
};

static bool set_options(MYSQL *server, const struct mysql_job *job) {
    const struct mysql_settings *settings = &job->mysql->settings;
    unsigned seconds = (unsigned)((deadline_left(job->until) + 999) / 1000);
    const unsigned off = 0;
    my_bool verify = settings->tls_verify_cert, enforce = 1;
    if (seconds == 0) seconds = 1;
    bool good = mysql_options(server, MYSQL_OPT_CONNECT_TIMEOUT, &seconds) == 0 &&
                mysql_options(server, MYSQL_OPT_READ_TIMEOUT, &seconds) == 0 &&
                mysql_options(server, MYSQL_OPT_WRITE_TIMEOUT, &seconds) == 0 &&
                mysql_options(server, MYSQL_OPT_LOCAL_INFILE, &off) == 0 &&
                mysql_options(server, MYSQL_SET_CHARSET_NAME, settings->charset.data) == 0 &&
                mysql_options(server, MYSQL_INIT_COMMAND, "SET SESSION TRANSACTION READ ONLY") == 0;
    if (settings->tls_CAfile.length == 0) return good;
    return good && mysql_ssl_set(server, NULL, NULL, settings->tls_CAfile.data, NULL, NULL) == 0 &&
           mysql_options(server, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify) == 0 &&
           mysql_options(server, MYSQL_OPT_SSL_ENFORCE, &enforce) == 0;
}

static bool connect_to(struct mysql_job *job, const struct source_host *host) {
    const struct mysql_settings *settings = &job->mysql->settings;
    MYSQL *server = mysql_init(NULL);
    uint64_t port = 0;
    if (!str_to_u64(str_from(host->port), 65535, &port)) port = 0;
    bool good = server && set_options(server, job) &&
                mysql_real_connect(server, host->local ? NULL : host->name, settings->user.data,
                                   settings->password.data, settings->dbname.data, (unsigned)port,
                                   host->local ? host->name : NULL, CLIENT_REMEMBER_OPTIONS);
    if (good) {
        job->connection->server = server;
        return true;
    }
    failure_set(job->failure, "%s: %s", host->name, server ? mysql_error(server) : "no memory");
    if (server) mysql_close(server);
    return false;
}

static bool connect_any(struct mysql_job *job) {
    job->connected = false;
    for (job->tried = 0; job->tried < job->mysql->hosts.count && !job->connected && deadline_left(job->until) > 0;)
        job->connected = connect_to(job, job->order[job->tried++]);
    job->unreachable = !job->connected;
    return job->connected;
}

static bool fail_statement(struct mysql_job *job, MYSQL_STMT *statement) {
    unsigned number = mysql_stmt_errno(statement);
    job->unreachable = number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
    return failure_set(job->failure, "%s", mysql_stmt_error(statement));
}

static bool prepare(struct mysql_job *job) {
    struct mysql_connection *connection = job->connection;
    struct str text = job->mysql->query.statement;
    connection->statement = mysql_stmt_init(connection->server);
    if (!connection->statement) return failure_set(job->failure, "no memory");
    if (mysql_stmt_prepare(connection->statement, text.data, text.length) == 0 &&
        mysql_stmt_param_count(connection->statement) == job->mysql->query.count)
        return true;
    fail_statement(job, connection->statement);
    if (job->failure->text[0] == '\0') failure_set(job->failure, "query: its places are not understood");
    return false;
}

static bool execute(struct mysql_job *job) {
    MYSQL_STMT *statement = job->connection->statement;
    MYSQL_BIND parameters[SQL_PARAMETERS_MAX] = {0};
    for (size_t i = 0; i < job->values->count; i++) {
        parameters[i].buffer_type = MYSQL_TYPE_STRING;
        parameters[i].buffer = job->values->values[i];
        parameters[i].buffer_length = strlen(job->values->values[i]);
    }
    if (mysql_stmt_bind_param(statement, parameters) == 0 && mysql_stmt_execute(statement) == 0) return true;
    return fail_statement(job, statement);
}

struct columns {
    unsigned count;
    MYSQL_RES *names;
    MYSQL_BIND binds[COLUMNS_MAX];
    unsigned long lengths[COLUMNS_MAX];
    my_bool nulls[COLUMNS_MAX], cut[COLUMNS_MAX];
    char *room;
};

static bool bind_columns(struct mysql_job *job, struct columns *columns) {
    MYSQL_STMT *statement = job->connection->statement;
    columns->names = mysql_stmt_result_metadata(statement);
    columns->count = mysql_stmt_field_count(statement);
    if (!columns->names || columns->count > COLUMNS_MAX)
        return failure_set(job->failure, "query: no rows, or too many columns");
    columns->room = memory_allocate(columns->count, VALUE_ROOM);
    for (unsigned i = 0; i < columns->count; i++) {
        columns->binds[i].buffer_type = MYSQL_TYPE_STRING;
        columns->binds[i].buffer = columns->room + (size_t)i * VALUE_ROOM;
        columns->binds[i].buffer_length = VALUE_ROOM;
        columns->binds[i].length = &columns->lengths[i];
        columns->binds[i].is_null = &columns->nulls[i];
        columns->binds[i].error = &columns->cut[i];
    }
    if (mysql_stmt_bind_result(statement, columns->binds) == 0) return true;
    return fail_statement(job, statement);
}

static void add_columns(const struct columns *columns, struct account_builder *builder) {
    const MYSQL_FIELD *fields = mysql_fetch_fields(columns->names);
    for (unsigned i = 0; i < columns->count; i++) {
        if (columns->nulls[i]) continue;
        if (columns->lengths[i] > VALUE_ROOM)
            builder->full = true;
        else
            account_add(builder, str_from(fields[i].name), str_make(columns->binds[i].buffer, columns->lengths[i]));
    }
}

static enum source_answer fetch(struct mysql_job *job, const struct columns *columns) {
    MYSQL_STMT *statement = job->connection->statement;
    struct account_builder builder;
    int got = mysql_stmt_fetch(statement);
    if (got == MYSQL_NO_DATA) return SOURCE_UNKNOWN;
    if (got == 0 || got == MYSQL_DATA_TRUNCATED) {
        account_begin(&builder, job->question->user, job->mysql->settings.default_pass_scheme, job->question->arena);
        add_columns(columns, &builder);
        got = mysql_stmt_fetch(statement);
        if (got == MYSQL_NO_DATA) return account_finish(&builder, job->account, job->failure);
        if (got == 0 || got == MYSQL_DATA_TRUNCATED) {
            failure_set(job->failure, "the query gives more than one row");
            return SOURCE_RETRY;
        }
    }
    fail_statement(job, statement);
    return SOURCE_RETRY;
}

static enum source_answer read_result(struct mysql_job *job) {
    struct columns columns = {.count = 0};
    enum source_answer answer = bind_columns(job, &columns) ? fetch(job, &columns) : SOURCE_RETRY;
    if (columns.room) memory_wipe(columns.room, (size_t)columns.count * VALUE_ROOM);
    MEMORY_FREE(columns.room);
    if (columns.names) mysql_free_result(columns.names);
    mysql_stmt_free_result(job->connection->statement);
    return answer;
}

static void run_job(void *argument) {
    struct mysql_job *job = argument;
    bool kept = job->connection->server != NULL;
    job->answer = SOURCE_RETRY;
    mysql_thread_init();
    for (;;) {
        bool ready = (job->connection->server || connect_any(job)) && (job->connection->statement || prepare(job));
        if (ready && execute(job)) {
            job->answer = read_result(job);
            job->unreachable = job->unreachable && job->answer == SOURCE_RETRY;
            break;
        }
        disconnect(job->connection);
        if (!kept || deadline_left(job->until) == 0) break;
        kept = false; /* it had gone meanwhile: once more */
    }
    if (job->answer == SOURCE_RETRY) disconnect(job->connection);
    mysql_thread_end();
}

/* ---- in the task */

static enum source_answer source_mysql_look_up(struct auth_source *source, const struct source_question *question,
                                               struct auth_account *account, struct failure *failure) {
    struct mysql_source *mysql = source->state;
    struct sql_values values;
    size_t i = 0;
    if (!source_user_is_plain(question->user) || !source_user_in_domains(question->user, mysql->settings.domain))
        return SOURCE_UNKNOWN;
    if (sql_query_values(&mysql->query, question, &values) != SOURCE_TEMPLATE_DONE) return SOURCE_UNKNOWN;
    deadline until = deadline_in(mysql->settings.timeout * 1000);
    if (question->until < until) until = question->until;
    if (!source_place_take(&mysql->places, until, failure)) return SOURCE_RETRY;
    while (mysql->connections[i].taken) /* whoever has a place finds one */
        i++;
    struct mysql_job job = {.mysql = mysql,
                            .connection = &mysql->connections[i],
                            .question = question,
                            .values = &values,
                            .until = until,
                            .account = account,
                            .failure = failure};
    source_hosts_order(&mysql->hosts, job.order);
    job.connection->taken = true;
    task_run_blocking(run_job, &job);
    job.connection->taken = false;
    for (i = 0; i < job.tried; i++)
        source_host_note(job.order[i], i + 1 == job.tried && job.connected);
    source_place_give(&mysql->places, job.answer == SOURCE_RETRY && job.unreachable ? failure : NULL);
    return job.answer;
}

/* The accounts are not here to be looked at; the settings say it. */
static bool mysql_has_scram(struct auth_source *source, struct str digest) {
    const struct mysql_source *mysql = source->state;
    (void)digest;
    return mysql->settings.scram;
}

const struct auth_source_type source_mysql = {.name = "mysql",
                                              .open = source_mysql_open,
                                              .look_up = source_mysql_look_up,
                                              .has_scram = mysql_has_scram,
                                              .close = source_mysql_close};

#else

static bool source_mysql_open(struct auth_source *source, struct failure *failure) {
    return source_not_built(source, "--with-mysql, libmariadb", failure);
}

const struct auth_source_type source_mysql = {.name = "mysql", .open = source_mysql_open};

#endif
