/* sqlite:FILE, accounts in an SQLite database.
 *
 * SQLite reads files, so each question runs on a helper thread, two at most for a source:
 * a database that somebody keeps locked must not hold the threads that check passwords.
 * It is opened for reading only, and opened anew when another file has taken its name. */
#include "source_places.h"

#ifdef TERN_HAVE_SQLITE

#include <errno.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "account_builder.h"
#include "source_settings.h"
#include "sql_query.h"

enum { CONNECTIONS = 2, PROGRESS_STEPS = 1000 };

struct sqlite_settings {
    struct str dbpath, query, domain, default_pass_scheme;
    int64_t timeout;
    bool scram;
};

#define SETTING(kind, name, value, minimum, maximum)                                                                   \
    { #name, kind, offsetof(struct sqlite_settings, name), value, minimum, maximum, NULL }
static const struct source_setting settings_rows[] = {
    SETTING(SOURCE_REQUIRED, dbpath, "", 0, 0),
    SETTING(SOURCE_REQUIRED, query, "", 0, 0),
    SETTING(SOURCE_TEXT, domain, "", 0, 0),
    SETTING(SOURCE_SWITCH, scram, "no", 0, 0),
    SETTING(SOURCE_TEXT, default_pass_scheme, "CRYPT", 0, 0),
    SETTING(SOURCE_SECONDS, timeout, "10s", 1, 300),
};
#undef SETTING

struct sqlite_connection {
    sqlite3 *database;
    sqlite3_stmt *statement;
    dev_t device; /* of the file that was opened */
    ino_t inode;
    deadline until;
    bool taken;
};

struct sqlite {
    struct sqlite_settings settings;
    struct arena *arena;
    struct sql_query query;
    struct sqlite_connection connections[CONNECTIONS];
    struct source_places places;
};

static void disconnect(struct sqlite_connection *connection) {
    sqlite3_finalize(connection->statement);
    sqlite3_close(connection->database);
    connection->statement = NULL;
    connection->database = NULL;
}

static void sqlite_close(struct auth_source *source) {
    struct sqlite *sqlite = source->state;
    if (!sqlite) return;
    for (size_t i = 0; i < CONNECTIONS; i++)
        disconnect(&sqlite->connections[i]);
    arena_destroy(&sqlite->arena);
    MEMORY_FREE(sqlite);
    source->state = NULL;
}

static bool sqlite_open(struct auth_source *source, struct failure *failure) {
    struct sqlite *sqlite = MEMORY_NEW(struct sqlite);
    source->state = sqlite;
    sqlite->arena = arena_create(0);
    sqlite->places.limit = CONNECTIONS;
    bool good = source_settings_read(source->argument, settings_rows, ARRAY_LENGTH(settings_rows), &sqlite->settings,
                                     sizeof sqlite->settings, sqlite->arena, failure);
    if (good && !sql_query_parse(sqlite->settings.query, SQL_SQLITE, sqlite->arena, &sqlite->query, failure))
        good = failure_prefix(failure, "%.*s", STR_ARGS(source->argument));
    if (good && sqlite3_initialize() != SQLITE_OK) good = failure_set(failure, "SQLite does not start");
    if (!good) sqlite_close(source);
    return good;
}

/* ---- on a helper thread */

/* SQLite asks now and then whether to go on. */
static int is_late(void *context) {
    const struct sqlite_connection *connection = context;
    return deadline_left(connection->until) == 0;
}

static bool connection_open(struct sqlite_connection *connection, const struct sqlite *sqlite,
                            const struct stat *status, struct failure *failure) {
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const char *path = sqlite->settings.dbpath.data;
    const char *rest = "";
    if (sqlite3_open_v2(path, &connection->database, flags, NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(connection->database, sqlite->query.statement.data, -1, SQLITE_PREPARE_PERSISTENT,
                           &connection->statement, &rest) != SQLITE_OK)
        failure_set(failure, "%s: %s", path, connection->database ? sqlite3_errmsg(connection->database) : "no memory");
    else if (!connection->statement || str_trim(str_from(rest)).length > 0)
        failure_set(failure, "query: one statement is wanted");
    else if (!sqlite3_stmt_readonly(connection->statement))
        failure_set(failure, "query: a statement that changes nothing is wanted");
    else {
        connection->device = status->st_dev;
        connection->inode = status->st_ino;
        return true;
    }
    disconnect(connection);
    return false;
}

static bool connection_refresh(struct sqlite_connection *connection, const struct sqlite *sqlite,
                               struct failure *failure) {
    struct stat status;
    if (stat(sqlite->settings.dbpath.data, &status) < 0)
        return failure_set_errno(failure, errno, "%s", sqlite->settings.dbpath.data);
    if (connection->database && (connection->device != status.st_dev || connection->inode != status.st_ino))
        disconnect(connection);
    if (!connection->database && !connection_open(connection, sqlite, &status, failure)) return false;
    int64_t left = deadline_left(connection->until);
    sqlite3_busy_timeout(connection->database, left > 3600000 ? 3600000 : (int)left);
    sqlite3_progress_handler(connection->database, PROGRESS_STEPS, is_late, connection);
    return true;
}

static void add_columns(struct account_builder *builder, sqlite3_stmt *statement) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        if (text)
            account_add(builder, str_from(sqlite3_column_name(statement, i)),
                        str_make(text, (size_t)sqlite3_column_bytes(statement, i)));
    }
}

static enum source_answer run_statement(const struct sqlite_connection *connection, const struct sqlite *sqlite,
                                        const struct source_question *question, struct auth_account *account,
                                        struct failure *failure) {
    struct account_builder builder;
    int result = sqlite3_step(connection->statement);
    if (result == SQLITE_DONE) return SOURCE_UNKNOWN;
    if (result == SQLITE_ROW) {
        account_begin(&builder, question->user, sqlite->settings.default_pass_scheme, question->arena);
        add_columns(&builder, connection->statement);
        result = sqlite3_step(connection->statement);
        if (result == SQLITE_DONE) return account_finish(&builder, account, failure);
    }
    failure_set(failure, "%s",
                result == SQLITE_ROW         ? "the query gives more than one row"
                : result == SQLITE_INTERRUPT ? "the database does not answer in time"
                                             : sqlite3_errmsg(connection->database));
    return SOURCE_RETRY;
}

struct sqlite_job {
    const struct sqlite *sqlite;
    struct sqlite_connection *connection;
    const struct source_question *question;
    const struct sql_values *values;
    struct auth_account *account;
    struct failure *failure;
    enum source_answer answer;
};

static void run_job(void *argument) {
    struct sqlite_job *job = argument;
    sqlite3_stmt *statement;
    job->answer = SOURCE_RETRY;
    if (!connection_refresh(job->connection, job->sqlite, job->failure)) return;
    statement = job->connection->statement;
    for (size_t i = 0; i < job->values->count; i++)
        if (sqlite3_bind_text(statement, (int)i + 1, job->values->values[i], -1, SQLITE_STATIC) != SQLITE_OK) {
            failure_set(job->failure, "%s", sqlite3_errmsg(job->connection->database));
            disconnect(job->connection);
            return;
        }
    job->answer = run_statement(job->connection, job->sqlite, job->question, job->account, job->failure);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    /* A database that was damaged or made anew beneath us is opened anew. */
    if (job->answer == SOURCE_RETRY) disconnect(job->connection);
}

/* ---- in the task */

static struct sqlite_connection *take_connection(struct sqlite *sqlite) {
    size_t i = 0;
    while (sqlite->connections[i].taken) /* whoever has a place finds one */
        i++;
    sqlite->connections[i].taken = true;
    return &sqlite->connections[i];
}

static enum source_answer sqlite_look_up(struct auth_source *source, const struct source_question *question,
                                         struct auth_account *account, struct failure *failure) {
    struct sqlite *sqlite = source->state;
    struct sql_values values;
    if (!source_user_is_plain(question->user) || !source_user_in_domains(question->user, sqlite->settings.domain))
        return SOURCE_UNKNOWN;
    if (sql_query_values(&sqlite->query, question, &values) != SOURCE_TEMPLATE_DONE) return SOURCE_UNKNOWN;
    deadline until = deadline_in(sqlite->settings.timeout * 1000);
    if (question->until < until) until = question->until;
    if (!source_place_take(&sqlite->places, until, failure)) return SOURCE_RETRY;
    struct sqlite_connection *connection = take_connection(sqlite);
    struct sqlite_job job = {.sqlite = sqlite,
                             .connection = connection,
                             .question = question,
                             .values = &values,
                             .account = account,
                             .failure = failure};
    connection->until = until;
    task_run_blocking(run_job, &job);
    connection->taken = false;
    /* A file that could not be read is asked again at once: that costs nothing. */
    source_place_give(&sqlite->places, job.answer == SOURCE_RETRY && deadline_left(until) == 0 ? failure : NULL);
    return job.answer;
}

/* The accounts are not here to be looked at; the settings say it. */
static bool sqlite_has_scram(struct auth_source *source, struct str digest) {
    const struct sqlite *sqlite = source->state;
    (void)digest;
    return sqlite->settings.scram;
}

const struct auth_source_type source_sqlite = {.name = "sqlite",
                                               .open = sqlite_open,
                                               .look_up = sqlite_look_up,
                                               .has_scram = sqlite_has_scram,
                                               .close = sqlite_close};

#else

static bool sqlite_open(struct auth_source *source, struct failure *failure) {
    return source_not_built(source, "--with-sqlite, libsqlite3", failure);
}

const struct auth_source_type source_sqlite = {.name = "sqlite", .open = sqlite_open};

#endif
