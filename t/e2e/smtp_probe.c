/* smtp_probe: the SMTP client's code, driven by lines instead of by qmgr, for
 * test_smtp_client.py.
 *
 *   smtp_probe [-l] [-d DNS-SERVER:PORT] [-o name=value]...
 *   smtp_probe -s SOCKET
 *
 * -l speaks LMTP; -s asks a running smtp daemon over its socket, as qmgr does. Each line of standard input is a
 * delivery: fields parted by tabs, "name=value": id, file, nexthop, sender, rcpt (several; address or
 * address,notify,orcpt), body, smtputf8, ret, envid, client, helo. They run at
 * once, each as a task. An answer is lines "id outcome ..." and one "id end". */
#include "config_load.h"
#include "deliver.h"
#include "log.h"
#include "queue_file.h"
#include "stream.h"
#include "task.h"
#include "tls_client.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define OVERRIDES_MAX 64

struct probe {
    struct smtp smtp;
    const char *socket;
    struct ipc_client *daemon; /* NULL: the code runs here */
};

struct job {
    struct probe *probe;
    struct ipc_deliver request;
    struct buf rows;
    struct str id;
    int file;
    struct arena *arena;
};

static void set_recipient(struct job *job, struct str value) {
    struct ipc_recipient row = {.index = job->request.recipients.count};
    struct str notify = STR_EMPTY, rest;
    row.address = value;
    if (str_cut(value, ',', &row.address, &rest) && !str_cut(rest, ',', &notify, &row.orcpt)) notify = rest;
    uint64_t number = 0;
    if (str_to_u64(notify, 15, &number)) row.notify = number;
    if (!ipc_list_add(IPC_ROW_RECIPIENT, &row, &job->rows, &job->request.recipients.count)) return;
    job->request.recipients.packed = buf_str(&job->rows);
}

static int open_file(struct str name) {
    char *path = memory_copy_string(name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    MEMORY_FREE(path);
    return file;
}

static void count_lines(struct job *job) {
    char piece[4096];
    ssize_t got;
    while ((got = pread(job->file, piece, sizeof piece, (off_t)job->request.content_length)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            job->request.content_lines += piece[i] == '\n';
        job->request.content_length += (uint64_t)got;
    }
}

static void set_field(struct job *job, struct str name, struct str value) {
    uint64_t number = 0;
    if (!str_to_u64(value, UINT32_MAX, &number)) number = 0;
    if (str_equal(name, STR("id")))
        job->id = value;
    else if (str_equal(name, STR("file")))
        job->file = open_file(value);
    else if (str_equal(name, STR("nexthop")))
        job->request.nexthop = value;
    else if (str_equal(name, STR("sender")))
        job->request.sender = value;
    else if (str_equal(name, STR("rcpt")))
        set_recipient(job, value);
    else if (str_equal(name, STR("body")))
        job->request.body = number;
    else if (str_equal(name, STR("smtputf8")))
        job->request.smtputf8 = number;
    else if (str_equal(name, STR("ret")))
        job->request.return_content = number;
    else if (str_equal(name, STR("envid")))
        job->request.envelope_id = value;
    else if (str_equal(name, STR("client")))
        job->request.client_address = value;
    else if (str_equal(name, STR("helo")))
        job->request.helo = value;
    else if (str_equal(name, STR("length")))
        job->request.content_length = number;
}

static int connect_daemon(void *context, deadline until, struct failure *failure) {
    const struct probe *probe = context;
    (void)until;
    return ipc_connect_path(probe->socket, failure);
}

static struct ipc_delivered deliver(struct job *job, struct buf *rows) {
    struct ipc_delivered answer = {.dead_host = STR_EMPTY};
    struct ipc_reply reply;
    struct failure failure = {0};
    if (!job->probe->daemon) {
        smtp_deliver(&job->probe->smtp, &job->request, job->file, job->arena, rows, &answer);
        return answer;
    }
    enum ipc_result result = ipc_ask(job->probe->daemon, IPC_DELIVER, &job->request, job->file, IPC_DELIVERED,
                                     deadline_in(60000), job->arena, &reply, &failure);
    if (result == IPC_OK) return *(const struct ipc_delivered *)reply.message;
    fprintf(stderr, "smtp_probe: %s\n", failure.text);
    return answer;
}

static void run(void *argument) {
    struct job *job = argument;
    struct buf rows = buf_make(0);
    struct ipc_outcome outcome;
    size_t offset = 0;
    bool bad = false;
    struct ipc_delivered answer = deliver(job, &rows);
    while (ipc_list_next(answer.outcomes, IPC_ROW_OUTCOME, &offset, &outcome, &bad))
        printf("%.*s\toutcome\t%d\t%d\t%.*s\t%.*s\t%.*s\t%d\t%.*s\t%.*s\n", STR_ARGS(job->id), (int)outcome.index,
               (int)outcome.action, STR_ARGS(outcome.status), STR_ARGS(outcome.relay), STR_ARGS(outcome.remote_mta),
               (int)outcome.connection_use, STR_ARGS(outcome.text), STR_ARGS(outcome.diagnostic));
    printf("%.*s\tend\t%.*s\n", STR_ARGS(job->id), STR_ARGS(answer.dead_host));
    fflush(stdout);
    close(job->file);
    buf_free(&rows);
    buf_free(&job->rows);
    struct arena *arena = job->arena;
    arena_destroy(&arena);
}

static void start_job(struct probe *probe, struct str line) {
    struct arena *arena = arena_create(0);
    struct job *job = ARENA_NEW(arena, struct job);
    struct str rest, word, name, value;
    if (!job || !arena_copy(arena, line, &rest)) return;
    *job = (struct job){.probe = probe, .arena = arena, .file = -1, .id = STR("0")};
    job->request.queue_id = STR("4probe");
    job->request.transport = STR("smtp");
    job->request.client_name = STR("client.example");
    job->request.protocol = STR("ESMTP");
    job->request.arrival = job->request.activated = (uint64_t)clock_date();
    while (str_next_word(&rest, "\t", &word))
        if (str_cut(word, '=', &name, &value)) set_field(job, name, value);
    if (job->request.content_length == 0) count_lines(job);
    if (!task_start("delivery", run, job)) _exit(3);
}

static void read_jobs(void *argument) {
    struct stream *input = stream_create(0, 60000);
    struct str line;
    struct probe *probe = argument;
    stream_accept_bare_lf(input, true);
    while (stream_read_line(input, &line) == STREAM_OK)
        start_job(probe, line);
    stream_destroy(&input);
    probe->smtp.settings.cache_on_demand = false;
    connection_cache_clear(&probe->smtp.cache);
    if (probe->daemon) loop_stop();
}

static bool configure(struct smtp *smtp, const struct config_override *overrides, size_t count, bool lmtp,
                      struct failure *failure) {
    struct config_system system = {.hostname = STR("probe.example"),
                                   .networks_host = STR("127.0.0.1"),
                                   .networks_subnet = STR("127.0.0.0/8"),
                                   .networks_class = STR("127.0.0.0/8")};
    struct config *config = NULL;
    struct buf warnings = buf_make(0);
    bool good =
        config_evaluate(STR_EMPTY, "main.cf", &system, overrides, count, SCOPE_SMTP, &config, &warnings, failure) &&
        smtp_settings_read(config, lmtp, &smtp->settings, failure);
    buf_free(&warnings);
    smtp->config = config;
    if (!good) return false;
    own_addresses_read(config, &smtp->own);
    buf_append(&smtp->hosts_text, STR("127.0.0.1 localhost hosts.test\n"));
    smtp->cache.limit = (size_t)config->smtp_connection_cache_limit;
    smtp->cache.time_limit = smtp->settings.cache_time_limit;
    tls_client_read_roots(&smtp->settings.tls, &smtp->roots);
    smtp->tls = tls_client_create(smtp, buf_str(&smtp->roots));
    return true;
}

int main(int argument_count, char **arguments) {
    struct config_override overrides[OVERRIDES_MAX];
    struct resolver_options options = {.timeout = 500, .attempts = 2};
    struct failure failure = {0};
    struct loop_options loop = {0};
    static struct probe probe;
    struct smtp *smtp = &probe.smtp;
    size_t count = 0;
    bool lmtp = false;
    int option;
    while ((option = getopt(argument_count, arguments, "ld:o:s:")) != -1) {
        struct str value = str_from(optarg);
        if (option == 'l')
            lmtp = true;
        else if (option == 's')
            probe.socket = optarg;
        else if (option == 'd' && endpoint_parse(value, &options.servers[0], &failure))
            options.server_count = 1;
        else if (option == 'o' && count < OVERRIDES_MAX &&
                 str_cut(value, '=', &overrides[count].name, &overrides[count].value))
            count++;
        else
            return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    log_open(-1, "smtp");
    bool good = configure(smtp, overrides, count, lmtp, &failure);
    options.trust_any_server = good && smtp->config->dns_trust_any_server;
    if (good) smtp->resolver = resolver_create(&options, &failure);
    if (!smtp->resolver || !loop_create(&loop, &failure) ||
        !task_start("input", read_jobs, &probe)) {
        fprintf(stderr, "smtp_probe: %s\n", failure.text);
        return 1;
    }
    if (probe.socket) probe.daemon = ipc_client_create(connect_daemon, &probe, NULL, NULL);
    loop_run();
    if (probe.daemon) ipc_client_destroy(&probe.daemon);
    loop_destroy();
    tls_client_destroy(&smtp->tls);
    return 0;
}
