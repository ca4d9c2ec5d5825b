/* source_probe: asks one source of accounts, as auth would, for tests.
 *
 *   source_probe TYPE:ARGUMENT      reads questions from standard input, a line each:
 *     look USER                     words are parted by tabs
 *     verify USER PASSWORD
 *     token USER TOKEN
 *     mechanisms                    the last three: dovecot only
 *     begin MECHANISM BASE64
 *     respond BASE64
 *   and answers each with "ANSWER", and then "name=value" words, or the reason; parted by tabs.
 *   A line that begins with & is asked in the background; its answer begins with its number.
 * oauth asks http://127.0.0.1:PORT/ itself here; there is no fetch daemon. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base64.h"
#include "dovecot_client.h"
#include "source_oauth.h"
#include "source_places.h"
#include "sources.h"
#include "stream.h"
#include "task.h"

struct probe {
    struct auth_source *source;
    struct dovecot_exchange *exchange;
    unsigned number;
};

struct question {
    struct probe *probe;
    char *line;
    unsigned number; /* 0: in the foreground */
};

static const char *const answer_words[] = {"FOUND", "UNKNOWN", "WRONG", "DISABLED", "RETRY"};

/* ---- HTTP without TLS */

struct http {
    const struct ipc_http_exchange *request;
    struct buf answer;
    bool good;
};

static void run_http(void *argument) {
    struct http *http = argument;
    struct buf text = buf_make(0);
    struct str rest = http->request->url, host, port, path;
    uint64_t number = 0;
    str_cut(rest, '/', &host, &rest); /* "http:" */
    str_cut(rest, '/', &host, &rest); /* "" */
    if (!str_cut(rest, '/', &host, &path) || !str_cut(host, ':', &host, &port) || !str_to_u64(port, 65535, &number))
        return;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    buf_printf(&text, "%.*s /%.*s HTTP/1.0\r\nContent-Length: %zu\r\n", STR_ARGS(http->request->method), STR_ARGS(path),
               http->request->body.length);
    for (struct str headers = http->request->headers, line; headers.length > 0;) {
        line = headers;
        if (!str_cut(headers, '\n', &line, &headers)) headers = STR_EMPTY;
        buf_printf(&text, "%.*s\r\n", STR_ARGS(line));
    }
    buf_append(&text, STR("\r\n"));
    buf_append(&text, http->request->body);
    http->good = connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0 &&
                 write(descriptor, text.data, text.length) == (ssize_t)text.length;
    while (http->good) {
        char *room = buf_reserve(&http->answer, 4096);
        ssize_t got = room ? read(descriptor, room, 4096) : -1;
        if (got <= 0) break;
        buf_commit(&http->answer, (size_t)got);
    }
    close(descriptor);
    buf_free(&text);
}

static bool ask_http(struct service *service, const struct ipc_http_exchange *request, deadline until,
                     struct arena *arena, struct ipc_http_exchanged *answer, struct failure *failure) {
    struct http http = {.request = request};
    (void)service;
    (void)until;
    task_run_blocking(run_http, &http);
    struct str text = buf_str(&http.answer);
    size_t body = str_find_str(text, STR("\r\n\r\n"));
    bool good = http.good && body != STR_NONE && text.length > 12 &&
                str_to_u64(str_slice(text, 9, 12), 999, &answer->status) &&
                arena_copy(arena, str_from_offset(text, body + 4), &answer->body);
    buf_free(&http.answer);
    return good || failure_set(failure, "no answer from %.*s", STR_ARGS(request->url));
}

/* ---- questions */

static void say(const struct question *question, const struct buf *text) {
    if (question->number) printf("%u\t", question->number);
    printf("%s\n", buf_string(text));
    fflush(stdout);
}

static void describe(const struct auth_account *account, struct buf *text) {
    buf_printf(text, "\tlogin=%.*s", STR_ARGS(account->login));
    if (account->secret.length > 0) buf_printf(text, "\tsecret=%.*s", STR_ARGS(account->secret));
    if (account->app_secrets.length > 0) buf_printf(text, "\tapp_secrets=%.*s", STR_ARGS(account->app_secrets));
    for (size_t i = 0; i < account->field_count; i++)
        buf_printf(text, "\t%.*s=%.*s", STR_ARGS(account->fields[i].name), STR_ARGS(account->fields[i].value));
}

static void ask_source(struct question *question, struct str verb, struct str rest, struct arena *arena,
                       struct buf *text) {
    struct auth_source *source = question->probe->source;
    struct source_question asked = {.user = rest,
                                    .protocol = STR("smtp"),
                                    .client_address = STR("192.0.2.1"),
                                    .until = deadline_in(20000),
                                    .arena = arena};
    struct auth_account account = {0};
    struct failure failure = {0};
    enum source_answer answer = SOURCE_RETRY;
    struct str secret = STR_EMPTY;
    str_cut(rest, '\t', &asked.user, &secret);
    if (str_equal(verb, STR("look")) && source->type->look_up)
        answer = source->type->look_up(source, &asked, &account, &failure);
    else if (str_equal(verb, STR("verify")) && source->type->verify)
        answer = source->type->verify(source, &asked, secret, &account, &failure);
    else if (str_equal(verb, STR("token")) && source->type->verify_token)
        answer = source->type->verify_token(source, &asked, secret, &account, &failure);
    else
        failure_set(&failure, "this source cannot do that");
    buf_append(text, str_from(answer_words[answer]));
    if (answer == SOURCE_FOUND)
        describe(&account, text);
    else
        buf_printf(text, "\t%s", failure.text);
}

static void ask_dovecot(struct question *question, struct str verb, struct str rest, struct arena *arena,
                        struct buf *text) {
    static const char *const words[] = {"GO_ON", "GRANTED", "REFUSED", "DISABLED", "LATER"};
    struct probe *probe = question->probe;
    struct dovecot_client *client = probe->source->state;
    struct dovecot_opening opening = {.protocol = STR("smtp"),
                                      .client_address = STR("192.0.2.1"),
                                      .encrypted = true,
                                      .mechanism = STR_EMPTY,
                                      .has_initial = true};
    struct dovecot_answer answer = {.outcome = DOVECOT_LATER};
    struct failure failure = {0};
    struct buf bytes = buf_make(0);
    struct str list, encoded = rest;
    deadline until = deadline_in(20000);
    if (str_equal(verb, STR("mechanisms"))) {
        bool good = dovecot_mechanisms(client, true, until, arena, &list, &failure);
        buf_printf(text, "%.*s", STR_ARGS(good ? list : str_from(failure.text)));
        return;
    }
    bool begins = str_equal(verb, STR("begin"));
    if (begins) str_cut(rest, '\t', &opening.mechanism, &encoded);
    bool decoded = base64_decode(&bytes, encoded);
    opening.initial = buf_str(&bytes);
    if (!decoded)
        failure_set(&failure, "no base64");
    else if (begins)
        dovecot_begin(client, &opening, until, arena, &probe->exchange, &answer, &failure);
    else if (probe->exchange)
        dovecot_respond(&probe->exchange, buf_str(&bytes), until, arena, &answer, &failure);
    buf_printf(text, "%s\t", words[answer.outcome]);
    base64_encode(text, answer.data);
    if (answer.outcome == DOVECOT_GRANTED)
        describe(&answer.account, text);
    else
        buf_printf(text, "\t%s", failure.text);
    buf_free(&bytes);
}

static void run_question(void *argument) {
    struct question *question = argument;
    struct arena *arena = arena_create(1 << 20);
    struct buf text = buf_make(0);
    struct str rest = str_from(question->line), verb;
    verb = rest;
    if (!str_cut(rest, '\t', &verb, &rest)) rest = STR_EMPTY;
    bool relays =
        str_equal(verb, STR("mechanisms")) || str_equal(verb, STR("begin")) || str_equal(verb, STR("respond"));
    if (relays)
        ask_dovecot(question, verb, rest, arena, &text);
    else
        ask_source(question, verb, rest, arena, &text);
    say(question, &text);
    buf_free(&text);
    arena_destroy(&arena);
    MEMORY_FREE(question->line);
    MEMORY_FREE(question);
}

static void take_line(struct probe *probe, struct str line) {
    bool background = str_starts(line, STR("&"));
    struct question *question = MEMORY_NEW(struct question);
    if (background) line = str_from_offset(line, 1);
    question->probe = probe;
    question->line = memory_copy_string(line);
    if (background) question->number = ++probe->number;
    if (!background || !task_start("question", run_question, question)) run_question(question);
}

static void run_probe(void *argument) {
    struct probe *probe = argument;
    struct stream *stream = stream_create(dup(STDIN_FILENO), 32768);
    struct str line;
    stream_accept_bare_lf(stream, true);
    stream_set_deadline(stream, DEADLINE_NEVER);
    while (stream_read_line(stream, &line) == STREAM_OK)
        take_line(probe, line);
    while (loop_task_count() > (probe->source->type == &source_dovecot && probe->source->state ? 2 : 1))
        if (task_sleep(5) == WAIT_CANCELLED) break;
    stream_destroy(&stream);
    if (probe->source->type->close) probe->source->type->close(probe->source);
}

int main(int argument_count, char **arguments) {
    struct sources sources = {0};
    struct failure failure = {0};
    struct probe probe = {0};
    if (argument_count != 2) return 64;
    signal(SIGPIPE, SIG_IGN);
    if (!sources_open(&sources, NULL, str_from(arguments[1]), &failure) || sources.count != 1) {
        printf("cannot open\t%s\n", failure.text);
        return 1;
    }
    if (!loop_create(NULL, &failure)) return 1;
    probe.source = &sources.list[0];
    if (probe.source->type == &source_oauth) source_oauth_set_http(probe.source, ask_http);
    printf("open\n");
    fflush(stdout);
    if (!task_start("probe", run_probe, &probe)) return 1;
    loop_run();
    loop_destroy();
    return 0;
}
