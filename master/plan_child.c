/* plan_child: the one part of master that reads files, in a process of its own
 * without privileges: main.cf, master.cf and services.def become the plan. */
#include "plan_child.h"

#include "config_load.h"
#include "interfaces.h"
#include "master_cf.h"
#include "memory.h"
#include "restriction_check.h"
#include "service_table.h"
#include "str.h"
#include "unix_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What master itself has to know of each program; its rights are in services.def. */
static const struct program {
    struct str name;
    unsigned scope; /* of its sealed configuration */
    enum plan_stop_phase stop_phase;
    bool always_runs;
    bool is_agent;
    bool speaks_lines; /* on a UNIX socket too: no IPC */
} programs[] = {
    {STR_INIT("smtpd"), SCOPE_SMTPD, PLAN_STOP_INTAKE, false, false, true},
    {STR_INIT("pickup"), SCOPE_PICKUP, PLAN_STOP_INTAKE, false, false, false},
    {STR_INIT("qmgr"), SCOPE_QMGR, PLAN_STOP_QUEUE, true, false, false},
    {STR_INIT("local"), SCOPE_LOCAL, PLAN_STOP_AGENTS, false, true, false},
    {STR_INIT("smtp"), SCOPE_SMTP, PLAN_STOP_AGENTS, false, true, false},
    {STR_INIT("bounce"), SCOPE_BOUNCE, PLAN_STOP_AGENTS, false, false, false},
    {STR_INIT("cleanup"), SCOPE_CLEANUP, PLAN_STOP_CLEANUP, false, false, false},
    {STR_INIT("lookup"), SCOPE_LOOKUP, PLAN_STOP_LOOKUP, true, false, false},
    {STR_INIT("auth"), SCOPE_AUTH, PLAN_STOP_LOOKUP, false, false, false},
    {STR_INIT("fetch"), SCOPE_FETCH, PLAN_STOP_LOOKUP, false, false, false},
    {STR_INIT("tlsrpt"), SCOPE_TLSRPT, PLAN_STOP_AGENTS, false, false, false},
    {STR_INIT("keys"), SCOPE_KEYS, PLAN_STOP_LOOKUP, false, false, false},
    {STR_INIT("mailbox"), SCOPE_MAILBOX, PLAN_STOP_AGENTS, false, false, false},
    {STR_INIT("imapd"), SCOPE_IMAPD, PLAN_STOP_INTAKE, false, false, true},
    {STR_INIT("pop3d"), SCOPE_POP3D, PLAN_STOP_INTAKE, false, false, true},
    {STR_INIT("pam"), SCOPE_PAM, PLAN_STOP_LOOKUP, false, false, false},
    {STR_INIT("log"), SCOPE_LOG, PLAN_STOP_LOG, true, false, false},
};

/* Postfix's programs under other names here, so that its master.cf can be used. */
static const struct {
    struct str name, ours;
} synonyms[] = {
    {STR_INIT("lmtp"), STR_INIT("smtp")},
    {STR_INIT("virtual"), STR_INIT("local")},
    {STR_INIT("postlogd"), STR_INIT("log")},
};

/* Services that the others cannot do without, for a master.cf that was Postfix's. */
static const struct {
    struct str name;
    bool single;
    bool is_public;
} required[] = {
    {STR_INIT("cleanup"), false, false}, {STR_INIT("qmgr"), true, true}, {STR_INIT("bounce"), false, false},
    {STR_INIT("lookup"), false, false},  {STR_INIT("auth"), true, true},  {STR_INIT("keys"), true, false},
    {STR_INIT("fetch"), true, false},    {STR_INIT("log"), true, false},
};

#define READER_ACCOUNT "tern-queue"

/* UNIX sockets already told to master. */
struct sent_paths {
    char *paths[PLAN_PATH_LIMIT];
    size_t count;
};

struct reader {
    int socket;
    const char *config_directory; /* its name, for messages */
    struct sent_paths *sent;
    struct buf *override_values; /* all that -o of master.cf sets, comma separated */
};

#define OPENED_DIRECTORY "." /* config_directory, entered before the privileges went */
#define OVERRIDE_LIMIT 100

static void say(const struct reader *reader, enum plan_packet_type type, const char *text) {
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    bool relative = strncmp(text, OPENED_DIRECTORY "/", 2) == 0; /* a file that others know by its whole name */
    packet->type = type;
    snprintf(packet->u.text, sizeof packet->u.text, "%s%s", relative ? reader->config_directory : "",
             relative ? text + 1 : text);
    (void)!plan_send(reader->socket, packet, -1);
    MEMORY_FREE(packet);
}

static void say_failure(const struct reader *reader, struct str service, const struct failure *failure) {
    struct buf text = buf_make(2 * PLAN_TEXT_LIMIT);
    if (service.length > 0)
        buf_printf(&text, "service %.*s: ", STR_ARGS(service));
    buf_printf(&text, "%s", failure->text);
    say(reader, PLAN_PROBLEM, buf_string(&text));
    buf_free(&text);
}

static const struct program *find_program(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(synonyms); i++)
        if (str_equal(name, synonyms[i].name))
            name = synonyms[i].ours;
    for (size_t i = 0; i < ARRAY_LENGTH(programs); i++)
        if (str_equal(name, programs[i].name))
            return &programs[i];
    return NULL;
}

static bool put_text(char *to, size_t size, struct str text) {
    if (text.length >= size)
        return false;
    memcpy(to, text.data, text.length);
    to[text.length] = '\0';
    return true;
}

/* ---- settings */

static bool send_settings(const struct reader *reader, const struct config *config, struct failure *failure) {
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    struct plan_settings *settings = &packet->u.settings;
    packet->type = PLAN_SETTINGS;
    settings->stop_time = config->stop_time;
    settings->throttle_time = config->service_throttle_time;
    bool good = put_text(settings->queue_directory, sizeof settings->queue_directory, config->queue_directory) &&
                put_text(settings->daemon_directory, sizeof settings->daemon_directory, config->daemon_directory) &&
                put_text(settings->config_directory, sizeof settings->config_directory,
                         str_from(reader->config_directory)) &&
                put_text(settings->syslog_name, sizeof settings->syslog_name, config->syslog_name) &&
                put_text(settings->version, sizeof settings->version, STR(PACKAGE_VERSION));
    if (!good)
        failure_set(failure, "a directory's name is longer than %d bytes", PLAN_TEXT_LIMIT - 1);
    else if (!plan_send(reader->socket, packet, -1))
        good = failure_set_errno(failure, errno, "master has gone");
    MEMORY_FREE(packet);
    return good;
}

/* ---- main.cf */

/* With a row's overrides; config_directory keeps the name that it has for others. */
static bool load(const struct reader *reader, const struct config_override *overrides, size_t count,
                 struct config **config, struct buf *warnings, struct failure *failure) {
    struct config_override all[OVERRIDE_LIMIT];
    if (count + 1 > OVERRIDE_LIMIT)
        return failure_set(failure, "more than %d overrides", OVERRIDE_LIMIT - 1);
    if (count > 0)
        memcpy(all, overrides, count * sizeof *all);
    all[count] = (struct config_override){STR("config_directory"), str_from(reader->config_directory)};
    return config_load(OPENED_DIRECTORY, all, count + 1, SCOPE_ALL, config, warnings, failure);
}

/* ---- rows */

struct line {
    struct str name;
    struct str command;
    bool is_inet;
    bool is_public;
    uint32_t process_limit;
    uint32_t wakeup;
    bool wakeup_only_if_used;
    const struct config_override *overrides;
    size_t override_count;
};

static enum plan_listen listen_kind(const struct line *line, const struct program *program, unsigned rights) {
    if (line->is_inet)
        return PLAN_LISTEN_INET;
    if (!(rights & RIGHT_ACCEPT))
        return PLAN_LISTEN_NONE;
    return program->speaks_lines ? PLAN_LISTEN_STREAM : PLAN_LISTEN_PACKET;
}

/* What log readers know: the program's name, but "virtual" and "lmtp", which are programs of their
 * own in Postfix, by the service's. */
static struct str log_name(const struct line *line, const struct program *program, const struct config *config) {
    struct str name = program->name;
    bool lmtp = str_equal(name, STR("smtp")) && str_equal(config->smtp_protocol, STR("lmtp"));
    return str_equal(name, STR("local")) || lmtp ? line->name : name;
}

static bool fill_row(struct plan_row *row, const struct line *line, const struct program *program,
                     const struct config *config, struct failure *failure) {
    const struct service_row *rights = service_row_find(program->name);
    struct buf tag = buf_make(sizeof row->log_tag - 1);
    size_t count = 0;
    if (rights == NULL)
        return failure_set(failure, "%.*s is not in the table of services", STR_ARGS(program->name));
    buf_printf(&tag, "%.*s/%.*s", STR_ARGS(config->syslog_name), STR_ARGS(log_name(line, program, config)));
    bool good = put_text(row->name, sizeof row->name, line->name) &&
                put_text(row->program, sizeof row->program, program->name) &&
                put_text(row->log_tag, sizeof row->log_tag, buf_str(&tag)) &&
                put_text(row->peers, sizeof row->peers, str_from(rights->peers));
    good = (good && !buf_overflowed(&tag)) || failure_set(failure, "a name is too long");
    buf_free(&tag);
    row->listen = listen_kind(line, program, rights->rights);
    row->stop_phase = program->stop_phase;
    row->process_limit = line->process_limit;
    row->wakeup = line->wakeup;
    row->wakeup_only_if_used = line->wakeup_only_if_used;
    row->is_public = line->is_public;
    row->always_runs = program->always_runs;
    row->is_agent = program->is_agent;
    row->reaches_paths = (rights->rights & RIGHT_NAMED_SOCKETS) != 0;
    if (good && line->is_inet)
        good = interfaces_of_service(config, line->name, row->endpoints, PLAN_ENDPOINT_LIMIT, &count, failure);
    row->endpoint_count = (uint32_t)count;
    return good;
}

/* ---- the UNIX sockets that services may be connected to */

struct path_sending {
    const struct reader *reader;
    bool too_many;
    bool good;
};

static void send_path(struct str path, void *context) {
    struct path_sending *sending = context;
    struct sent_paths *sent = sending->reader->sent;
    for (size_t i = 0; i < sent->count; i++)
        if (str_equal(str_from(sent->paths[i]), path))
            return;
    if (sent->count == PLAN_PATH_LIMIT) {
        sending->too_many = true;
        return;
    }
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    packet->type = PLAN_PATH;
    sent->paths[sent->count++] = memory_copy_string(path);
    if (!put_text(packet->u.text, sizeof packet->u.text, path) || !plan_send(sending->reader->socket, packet, -1))
        sending->good = false;
    MEMORY_FREE(packet);
}

static bool send_paths(const struct reader *reader, const struct config *config, struct failure *failure) {
    struct path_sending sending = {.reader = reader, .good = true};
    for (size_t i = 0; i < parameter_count; i++) {
        struct config_number scratch;
        unix_paths_each(parameter_table[i].name, config_value(config, &parameter_table[i], &scratch), send_path,
                        &sending);
    }
    if (sending.too_many)
        return failure_set(failure, "the configuration names more than %d UNIX sockets", PLAN_PATH_LIMIT);
    return sending.good || failure_set_errno(failure, errno, "master has gone");
}

/* Lookup serves the tables that its configuration names; those that only an override of another
 * service names are added to lookup_tables. */
static bool load_row(const struct reader *reader, const struct line *line, const struct program *program,
                     struct config **config, struct failure *failure) {
    if (program->scope != SCOPE_LOOKUP || reader->override_values->length == 0)
        return load(reader, line->overrides, line->override_count, config, NULL, failure);
    struct config_override *overrides = memory_allocate(line->override_count + 1, sizeof *overrides);
    if (line->override_count > 0)
        memcpy(overrides, line->overrides, line->override_count * sizeof *overrides);
    overrides[line->override_count] =
        (struct config_override){.name = STR("lookup_tables"), .value = buf_str(reader->override_values)};
    bool good = load(reader, overrides, line->override_count + 1, config, NULL, failure);
    MEMORY_FREE(overrides);
    return good;
}

static void gather_override_values(const struct config *config, const struct master_cf *file, struct buf *values) {
    buf_append(values, config->lookup_tables);
    for (size_t i = 0; i < file->count; i++)
        for (size_t j = 0; j < file->rows[i].override_count; j++) {
            struct str value = file->rows[i].overrides[j].value;
            if (str_find(value, ':') == STR_NONE)
                continue;
            buf_append(values, STR(", "));
            buf_append(values, value);
        }
}

static bool send_row(const struct reader *reader, const struct line *line, const struct program *program,
                     struct failure *failure) {
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    struct config *config = NULL;
    int descriptor = -1;
    packet->type = PLAN_ROW;
    bool good = load_row(reader, line, program, &config, failure) &&
                fill_row(&packet->u.row, line, program, config, failure) && send_paths(reader, config, failure) &&
                config_seal(config, program->scope, &descriptor, failure);
    if (good && !plan_send(reader->socket, packet, descriptor))
        good = failure_set_errno(failure, errno, "master has gone");
    if (descriptor >= 0)
        close(descriptor);
    config_free(&config);
    MEMORY_FREE(packet);
    return good;
}

/* ---- master.cf */

static bool send_line(const struct reader *reader, const struct line *line) {
    const struct program *program = find_program(line->command);
    struct failure failure = {0};
    if (program == NULL) {
        char text[300];
        snprintf(text, sizeof text, "service %.*s: tern has no program %.*s; the line is left out",
                 STR_ARGS(line->name), STR_ARGS(line->command));
        say(reader, PLAN_WARNING, text);
        return true;
    }
    if (send_row(reader, line, program, &failure))
        return true;
    say_failure(reader, line->name, &failure);
    return false;
}

static bool is_disabled(const struct config *config, const struct master_cf_row *row) {
    struct str row_type = master_cf_type_name(row->type);
    struct str rest = config->master_service_disable;
    struct str word;
    struct str name;
    struct str type;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_cut(word, '/', &name, &type) ? str_equal(name, row->name) && str_equal(type, row_type)
                                             : str_equal(word, row_type))
            return true;
    return false;
}

static uint32_t limit_of(const struct config *config, const struct master_cf_row *row) {
    return (uint32_t)(row->process_limit < 0 ? config->default_process_limit : row->process_limit);
}

/* A master.cf that was Postfix's lacks what tern has in place of other programs. */
static bool send_required(const struct reader *reader, const struct config *config, const struct master_cf *file) {
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(required); i++) {
        bool found = false;
        for (size_t j = 0; j < file->count; j++)
            found = found || (str_equal(file->rows[j].name, required[i].name) &&
                              find_program(file->rows[j].command) == find_program(required[i].name));
        struct line line = {.name = required[i].name, .command = required[i].name};
        line.process_limit = required[i].single ? 1 : (uint32_t)config->default_process_limit;
        line.is_public = required[i].is_public;
        good = (found || send_line(reader, &line)) && good;
    }
    return good;
}

static bool send_master_cf(const struct reader *reader, const struct config *config, const struct master_cf *file) {
    bool good = true;
    for (size_t i = 0; i < file->count; i++) {
        const struct master_cf_row *row = &file->rows[i];
        if (is_disabled(config, row))
            continue;
        if (row->type == MASTER_CF_PASS) {
            say(reader, PLAN_WARNING, "a service of type pass is left out: tern has no postscreen to pass it connections");
            continue;
        }
        struct line line = {
            .name = row->name,
            .command = row->command,
            .is_inet = row->type == MASTER_CF_INET,
            .is_public = !row->is_private,
            .process_limit = limit_of(config, row),
            .wakeup = (uint32_t)row->wakeup,
            .wakeup_only_if_used = row->wakeup_only_if_used,
            .overrides = row->overrides,
            .override_count = row->override_count,
        };
        good = send_line(reader, &line) && good;
    }
    return send_required(reader, config, file) && good;
}

/* ---- the process */

static void send_warnings(const struct reader *reader, const struct buf *warnings) {
    struct str rest = buf_str(warnings);
    struct str line;
    while (str_next_word(&rest, "\n", &line)) {
        char *text = memory_copy_string(line);
        say(reader, PLAN_WARNING, text);
        MEMORY_FREE(text);
    }
}

static bool read_and_send(const struct reader *reader) {
    struct failure failure = {0};
    struct buf warnings = buf_make(CONFIG_FILE_MAX);
    struct config *config = NULL;
    struct master_cf *file = NULL;
    bool good = load(reader, NULL, 0, &config, &warnings, &failure);
    if (good) (void)restriction_check(config, &warnings); /* smtpd defers what it cannot judge */
    send_warnings(reader, &warnings);
    good = good && send_settings(reader, config, &failure) && master_cf_load(OPENED_DIRECTORY, &file, &failure);
    if (!good)
        say_failure(reader, STR_EMPTY, &failure);
    else {
        gather_override_values(config, file, reader->override_values);
        good = send_master_cf(reader, config, file);
    }
    master_cf_free(&file);
    config_free(&config);
    buf_free(&warnings);
    return good;
}

/* Into the directory first: it may lie where the account has no way to. */
static bool drop_privileges(const char *config_directory, struct failure *failure) {
    if (chdir(config_directory) < 0)
        return failure_set_errno(failure, errno, "configuration directory %s", config_directory);
    if (geteuid() != 0)
        return true;
    const struct passwd *account = getpwnam(READER_ACCOUNT);
    if (account == NULL)
        account = getpwnam("nobody");
    if (account == NULL)
        return failure_set(failure, "there is no account " READER_ACCOUNT " to read the configuration");
    if (setgroups(0, NULL) < 0 || setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
        setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0)
        return failure_set_errno(failure, errno, "cannot become %s", account->pw_name);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return true;
}

static void default_signals(void) {
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int plan_child(const char *config_directory, int socket) {
    static struct sent_paths sent;
    struct buf override_values = buf_make(CONFIG_FILE_MAX);
    struct reader reader = {.socket = socket, .config_directory = config_directory, .sent = &sent,
                            .override_values = &override_values};
    struct failure failure = {0};
    default_signals();
    bool good = drop_privileges(config_directory, &failure);
    if (!good)
        say_failure(&reader, STR_EMPTY, &failure);
    else
        good = read_and_send(&reader);
    struct plan_packet *end = MEMORY_NEW(struct plan_packet);
    end->type = PLAN_END;
    (void)!plan_send(socket, end, -1);
    MEMORY_FREE(end);
    buf_free(&override_values);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
