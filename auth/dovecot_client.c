/* SASL exchanges by Dovecot's auth service: the connection, and who waits on it. */
#include "dovecot_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "account_builder.h"
#include "base64.h"
#include "dovecot_line.h"
#include "source_places.h"

enum { EXCHANGES_MAX = 1000, MECHANISMS_MAX = 32, HELLO_MS = 5000 };

struct mechanism {
    char name[24];
    bool plaintext;
};

struct dovecot_exchange {
    struct dovecot_client *client;
    struct dovecot_exchange *next;
    uint64_t number;
    struct task_queue waiting;
    struct buf reply; /* the line that came; empty: none yet */
    bool lost;        /* the connection broke */
};

struct dovecot_client {
    char *path;
    int socket; /* -1: none */
    bool greeted;
    struct task *reader;
    struct task_queue greeting; /* who waits for the server's hello */
    struct failure trouble;     /* why there is no connection */
    struct mechanism mechanisms[MECHANISMS_MAX];
    size_t mechanism_count;
    struct dovecot_exchange *exchanges;
    uint32_t last_number;
    bool writing;
    struct task_queue write_turn;
    struct source_places places;
};

struct dovecot_client *dovecot_client_create(struct str path) {
    struct dovecot_client *client = MEMORY_NEW(struct dovecot_client);
    client->path = memory_copy_string(path);
    client->socket = -1;
    client->places.limit = EXCHANGES_MAX;
    return client;
}

/* ---- what comes */

static void add_mechanism(struct dovecot_client *client, const struct dovecot_line *line) {
    struct str rest = line->parameters, name;
    struct buf value = buf_make(64);
    if (client->mechanism_count == MECHANISMS_MAX || !dovecot_mechanism_is_usable(line)) return;
    struct mechanism *mechanism = &client->mechanisms[client->mechanism_count++];
    *mechanism = (struct mechanism){0};
    snprintf(mechanism->name, sizeof mechanism->name, "%.*s", STR_ARGS(line->name));
    while (dovecot_parameter_next(&rest, &name, &value))
        if (str_equal(name, STR("plaintext"))) mechanism->plaintext = true;
    buf_free(&value);
}

static void hand_over(struct dovecot_client *client, const struct dovecot_line *line, struct str text) {
    for (struct dovecot_exchange *exchange = client->exchanges; exchange; exchange = exchange->next)
        if (exchange->number == line->number && exchange->reply.length == 0) {
            buf_append(&exchange->reply, text);
            task_queue_wake_all(&exchange->waiting);
            return;
        }
    /* To one that was given up. */
}

static bool take_line(struct dovecot_client *client, struct str text) {
    struct dovecot_line line;
    if (!dovecot_line_parse(text, &line, &client->trouble)) return false;
    switch (line.kind) {
    case DOVECOT_VERSION:
        if (line.number != 1) return failure_set(&client->trouble, "it speaks another version of the protocol");
        break;
    case DOVECOT_MECHANISM:
        add_mechanism(client, &line);
        break;
    case DOVECOT_HELLO_END:
        client->greeted = true;
        task_queue_wake_all(&client->greeting);
        break;
    case DOVECOT_CONTINUE:
    case DOVECOT_OK:
    case DOVECOT_FAIL:
        hand_over(client, &line, text);
        break;
    case DOVECOT_OTHER:
        break;
    }
    return true;
}

/* Whole lines are taken from the front of input. */
static bool take_lines(struct dovecot_client *client, struct buf *input) {
    struct str rest = buf_str(input), line;
    while (str_cut(rest, '\n', &line, &rest))
        if (!take_line(client, line)) return false;
    buf_remove(input, 0, input->length - rest.length);
    return input->length < DOVECOT_LINE_MAX || failure_set(&client->trouble, "a line that is too long");
}

/* -1: it is over; 0: nothing now. */
static ssize_t receive(struct dovecot_client *client, struct buf *input) {
    char *room = buf_reserve(input, 4096);
    ssize_t got = room ? recv(client->socket, room, 4096, 0) : -1;
    if (got > 0) {
        buf_commit(input, (size_t)got);
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got < 0)
        failure_set_errno(&client->trouble, errno, "connection broken");
    else
        failure_set(&client->trouble, "connection closed");
    return -1;
}

static void end_connection(struct dovecot_client *client) {
    task_forget_descriptor(client->socket);
    close(client->socket);
    client->socket = -1;
    client->greeted = false;
    client->mechanism_count = 0;
    failure_prefix(&client->trouble, "%s", client->path);
    for (struct dovecot_exchange *exchange = client->exchanges; exchange; exchange = exchange->next) {
        exchange->lost = true;
        task_queue_wake_all(&exchange->waiting);
    }
    task_queue_wake_all(&client->greeting);
    task_queue_wake_all(&client->write_turn);
}

/* Lives as long as the connection. */
static void read_connection(void *argument) {
    struct dovecot_client *client = argument;
    struct buf input = buf_make(2 * DOVECOT_LINE_MAX);
    for (;;) {
        ssize_t got = receive(client, &input);
        if (got < 0 || (got > 0 && !take_lines(client, &input))) break;
        if (got == 0 && task_wait_readable(client->socket, DEADLINE_NEVER) != WAIT_READY) {
            failure_set(&client->trouble, "the process ends");
            break;
        }
    }
    buf_free_secret(&input);
    end_connection(client);
}

/* ---- what goes */

/* A line that may hold a secret gets its whole room at once: what a buf grows out of is not wiped. */
static struct buf secret_line(void) {
    struct buf line = buf_make(2 * DOVECOT_LINE_MAX);
    if (!buf_reserve(&line, 2 * DOVECOT_LINE_MAX - 1)) line.overflow = true;
    return line;
}

/* A whole line, though others write too. False: the connection has gone. */
static bool send_line(struct dovecot_client *client, struct str line, deadline until) {
    size_t sent = 0;
    int socket = client->socket;
    while (client->writing)
        if (task_queue_wait(&client->write_turn, until) != WAIT_READY) return false;
    client->writing = true;
    while (sent < line.length && client->socket == socket && socket >= 0) {
        ssize_t part = send(socket, line.data + sent, line.length - sent, MSG_NOSIGNAL);
        if (part > 0)
            sent += (size_t)part;
        else if (part < 0 && errno == EAGAIN && task_wait_writable(socket, until) == WAIT_READY)
            continue;
        else if (part >= 0 || errno != EINTR)
            break;
    }
    client->writing = false;
    task_queue_wake_one(&client->write_turn);
    /* The rest of a line that was begun would be taken for a line: the reader notices the end. */
    if (sent > 0 && sent < line.length && client->socket == socket) shutdown(socket, SHUT_RDWR);
    return sent == line.length;
}

/* ---- the connection */

static int open_socket(const struct dovecot_client *client, struct failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(client->path);
    if (length >= sizeof address.sun_path) {
        failure_set(failure, "%s: the path is too long for a socket", client->path);
        return -1;
    }
    memcpy(address.sun_path, client->path, length);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        failure_set_errno(failure, errno, "socket");
        return -1;
    }
    /* EAGAIN: its queue is full, which is as good as down. */
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    failure_set_errno(failure, errno, "%s", client->path);
    close(descriptor);
    return -1;
}

static bool begin_connection(struct dovecot_client *client, struct failure *failure) {
    char hello[64];
    int length = snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%u\n", (unsigned)getpid());
    int descriptor = open_socket(client, failure);
    if (descriptor < 0) return false;
    if (send(descriptor, hello, (size_t)length, MSG_NOSIGNAL) != length) {
        failure_set_errno(failure, errno, "%s", client->path);
        close(descriptor);
        return false;
    }
    task_release(&client->reader);
    client->socket = descriptor;
    client->trouble = (struct failure){0};
    if (task_start_held("dovecot", read_connection, client, &client->reader)) return true;
    client->socket = -1;
    close(descriptor);
    return failure_set(failure, "no memory for a task");
}

/* A connection that has said its hello. */
static bool connected(struct dovecot_client *client, deadline until, struct failure *failure) {
    if (client->socket < 0 && !begin_connection(client, failure)) return false;
    deadline patience = deadline_in(HELLO_MS);
    if (until < patience) patience = until;
    while (client->socket >= 0 && !client->greeted) {
        if (task_queue_wait(&client->greeting, patience) == WAIT_READY) continue;
        return failure_set(failure, "%s: it does not answer in time", client->path);
    }
    if (client->socket >= 0) return true;
    *failure = client->trouble;
    return false;
}

void dovecot_client_destroy(struct dovecot_client **client) {
    if (!*client) return;
    if ((*client)->reader) {
        task_cancel((*client)->reader);
        while (task_current() && (*client)->socket >= 0 && task_join((*client)->reader, DEADLINE_NEVER) != WAIT_READY)
            task_yield(); /* cancelled ourselves: it ends with its next turn */
        task_release(&(*client)->reader);
    }
    MEMORY_FREE((*client)->path);
    MEMORY_FREE(*client);
}

bool dovecot_mechanisms(struct dovecot_client *client, bool encrypted, deadline until, struct arena *arena,
                        struct str *mechanisms, struct failure *failure) {
    struct buf list = buf_make(400);
    if (!source_place_take(&client->places, until, failure)) return false;
    bool good = connected(client, until, failure);
    source_place_give(&client->places, good ? NULL : failure);
    for (size_t i = 0; good && i < client->mechanism_count; i++) {
        if (client->mechanisms[i].plaintext && !encrypted) continue;
        if (list.length > 0) buf_append_char(&list, ' ');
        buf_append(&list, str_from(client->mechanisms[i].name));
    }
    if (good && !arena_copy(arena, buf_str(&list), mechanisms)) good = failure_set(failure, "no memory");
    buf_free(&list);
    return good;
}

/* ---- exchanges */

static void end_exchange(struct dovecot_exchange **exchange) {
    struct dovecot_client *client = (*exchange)->client;
    struct dovecot_exchange **link = &client->exchanges;
    while (*link != *exchange)
        link = &(*link)->next;
    *link = (*exchange)->next;
    buf_free_secret(&(*exchange)->reply);
    MEMORY_FREE(*exchange);
    source_place_give(&client->places, NULL);
}

static struct dovecot_exchange *begin_exchange(struct dovecot_client *client, deadline until, struct failure *failure) {
    if (!source_place_take(&client->places, until, failure)) return NULL;
    if (!connected(client, until, failure)) {
        source_place_give(&client->places, failure);
        return NULL;
    }
    struct dovecot_exchange *exchange = MEMORY_NEW(struct dovecot_exchange);
    exchange->client = client;
    exchange->number = ++client->last_number;
    exchange->next = client->exchanges;
    client->exchanges = exchange;
    return exchange;
}

static bool decode(struct str text, struct arena *arena, struct str *data) {
    struct buf decoded = buf_make(DOVECOT_LINE_MAX);
    bool good = base64_decode(&decoded, text) && arena_copy(arena, buf_str(&decoded), data);
    buf_free_secret(&decoded);
    return good;
}

static void read_granted(const struct dovecot_line *line, struct arena *arena, struct dovecot_answer *answer,
                         struct failure *failure) {
    struct account_builder builder;
    struct str rest = line->parameters, name;
    struct buf value = buf_make(DOVECOT_LINE_MAX);
    bool good = true, has_user = false;
    account_begin(&builder, STR_EMPTY, STR_EMPTY, arena);
    while (good && dovecot_parameter_next(&rest, &name, &value)) {
        if (str_equal(name, STR("resp")))
            good = decode(buf_str(&value), arena, &answer->data);
        else if (str_equal(name, STR("nologin")))
            builder.disabled = true;
        else if (!str_equal(name, STR("pass"))) /* what it takes to be a proxy */
            account_add(&builder, name, buf_str(&value));
        has_user = has_user || (str_equal(name, STR("user")) && value.length > 0);
    }
    buf_free_secret(&value);
    enum source_answer made = SOURCE_RETRY;
    if (good && has_user)
        made = account_finish(&builder, &answer->account, failure);
    else
        failure_set(failure, "the answer is not understood");
    answer->outcome = made == SOURCE_FOUND      ? DOVECOT_GRANTED
                      : made == SOURCE_DISABLED ? DOVECOT_DISABLED
                                                : DOVECOT_LATER;
}

static void read_refused(const struct dovecot_line *line, struct arena *arena, struct dovecot_answer *answer,
                         struct failure *failure) {
    struct str rest = line->parameters, name;
    struct buf value = buf_make(DOVECOT_LINE_MAX);
    answer->outcome = DOVECOT_REFUSED;
    while (dovecot_parameter_next(&rest, &name, &value)) {
        struct str text = buf_str(&value);
        if (str_equal(name, STR("temp")) || (str_equal(name, STR("code")) && str_equal(text, STR("temp_fail"))))
            answer->outcome = DOVECOT_LATER;
        else if (str_equal(name, STR("user_disabled")) || str_equal(name, STR("pass_expired")) ||
                 (str_equal(name, STR("code")) &&
                  (str_equal(text, STR("user_disabled")) || str_equal(text, STR("pass_expired")))))
            answer->outcome = DOVECOT_DISABLED;
        else if (str_equal(name, STR("reason")))
            failure_set(failure, "%.*s", STR_ARGS(text));
        else if (str_equal(name, STR("user")) && text.length <= 256)
            (void)!arena_copy(arena, text, &answer->account.login);
    }
    if (answer->outcome == DOVECOT_LATER && failure->text[0] == '\0')
        failure_set(failure, "its own sources do not answer");
    buf_free_secret(&value);
}

static void read_reply(const struct dovecot_exchange *exchange, struct arena *arena, struct dovecot_answer *answer,
                       struct failure *failure) {
    struct dovecot_line line;
    failure->text[0] = '\0';
    if (!dovecot_line_parse(buf_str(&exchange->reply), &line, failure)) return;
    if (line.kind == DOVECOT_OK)
        read_granted(&line, arena, answer, failure);
    else if (line.kind == DOVECOT_FAIL)
        read_refused(&line, arena, answer, failure);
    else if (decode(line.name, arena, &answer->data))
        answer->outcome = DOVECOT_GO_ON;
    else
        failure_set(failure, "the challenge is not understood");
}

/* Sends a line of the exchange and waits for what comes. */
static void step(struct dovecot_exchange **exchange, struct str line, deadline until, struct arena *arena,
                 struct dovecot_answer *answer, struct failure *failure) {
    struct dovecot_exchange *here = *exchange;
    *answer = (struct dovecot_answer){.outcome = DOVECOT_LATER, .data = STR_EMPTY};
    buf_clear(&here->reply);
    bool waiting = !here->lost && send_line(here->client, line, until);
    if (!waiting) failure_set(failure, "%s: connection broken", here->client->path);
    while (waiting && here->reply.length == 0 && !here->lost) {
        if (task_queue_wait(&here->waiting, until) == WAIT_READY) continue;
        failure_set(failure, "%s: no answer in time", here->client->path);
        waiting = false;
    }
    if (here->reply.length > 0)
        read_reply(here, arena, answer, failure);
    else if (waiting)
        *failure = here->client->trouble;
    if (answer->outcome == DOVECOT_GO_ON) return;
    if (!waiting && !here->lost) {
        dovecot_cancel(exchange);
        return;
    }
    end_exchange(exchange);
}

void dovecot_begin(struct dovecot_client *client, const struct dovecot_opening *opening, deadline until,
                   struct arena *arena, struct dovecot_exchange **exchange, struct dovecot_answer *answer,
                   struct failure *failure) {
    struct buf line = secret_line();
    *answer = (struct dovecot_answer){.outcome = DOVECOT_LATER, .data = STR_EMPTY};
    *exchange = begin_exchange(client, until, failure);
    if (!*exchange) return;
    buf_printf(&line, "AUTH\t%llu\t%.*s", (unsigned long long)(*exchange)->number, STR_ARGS(opening->mechanism));
    dovecot_parameter_append(&line, "service", opening->protocol);
    /* Nobody will fetch the account from it; and it is tern that makes wrong logins wait. */
    buf_append(&line, STR("\tnologin\tno-penalty"));
    if (opening->client_address.length > 0) dovecot_parameter_append(&line, "rip", opening->client_address);
    if (opening->encrypted) buf_append(&line, STR("\tsecured"));
    if (opening->has_initial) { /* has to be the last */
        buf_append(&line, STR("\tresp="));
        base64_encode(&line, opening->initial);
    }
    buf_append_char(&line, '\n');
    if (buf_overflowed(&line)) {
        failure_set(failure, "the response is too long");
        answer->outcome = DOVECOT_REFUSED;
        end_exchange(exchange);
    } else {
        step(exchange, buf_str(&line), until, arena, answer, failure);
    }
    buf_free_secret(&line);
}

void dovecot_respond(struct dovecot_exchange **exchange, struct str response, deadline until, struct arena *arena,
                     struct dovecot_answer *answer, struct failure *failure) {
    struct buf line = secret_line();
    buf_printf(&line, "CONT\t%llu\t", (unsigned long long)(*exchange)->number);
    base64_encode(&line, response);
    buf_append_char(&line, '\n');
    step(exchange, buf_str(&line), until, arena, answer, failure);
    buf_free_secret(&line);
}

/* Outside tasks too: what cannot be sent at once is not sent, and the answer to it passed over. */
void dovecot_cancel(struct dovecot_exchange **exchange) {
    char line[48];
    if (!*exchange) return;
    int length = snprintf(line, sizeof line, "CANCEL\t%llu\n", (unsigned long long)(*exchange)->number);
    struct dovecot_client *client = (*exchange)->client;
    bool lost = (*exchange)->lost;
    end_exchange(exchange);
    if (lost || client->writing || client->socket < 0) return;
    ssize_t sent = send(client->socket, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0 && sent < length) shutdown(client->socket, SHUT_RDWR);
}
