/* front_dialogue: see front_dialogue.h. */
#include "front_dialogue.h"

#include "base64.h"

#define LINE_LIMIT 16384 /* responses of SASL are long */
#define BAD_MAX    10
#define LAST_WORD  5000 /* ms */

static const struct front_protocol *spoken; /* by this daemon; set before anything else */

void front_say(struct front_dialogue *dialogue, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    stream_set_deadline(dialogue->client->stream, dialogue->client->login_until);
    if (stream_write(dialogue->client->stream, buf_str(&text)) != STREAM_OK) dialogue->over = true;
    buf_free(&text);
}

bool front_say_now(struct front_dialogue *dialogue) {
    if (stream_flush(dialogue->client->stream) != STREAM_OK) dialogue->over = true;
    return !dialogue->over;
}

bool front_ask_client(void *context, struct str challenge, struct buf *response) {
    struct front_dialogue *dialogue = context;
    struct buf text = buf_make(0);
    struct str line;
    base64_encode(&text, challenge);
    front_say(dialogue, "+ %.*s\r\n", STR_ARGS(buf_str(&text)));
    buf_free(&text);
    if (!front_say_now(dialogue) || front_read_line(dialogue->client, &line) != STREAM_OK) {
        dialogue->over = true;
        return false;
    }
    return !str_equal(line, STR("*")) && base64_decode(response, line);
}

bool front_has_guessed_enough(const struct front_dialogue *dialogue) {
    return dialogue->client->wrong >= (unsigned)dialogue->client->front->config->login_attempts;
}

static void converse(struct front_dialogue *dialogue) {
    spoken->greet(dialogue);
    while (!dialogue->over && dialogue->ticket.length == 0) {
        if (!spoken->read(dialogue)) {
            dialogue->over = true;
            break;
        }
        dialogue->arena = arena_create(1 << 20);
        spoken->run(dialogue);
        memory_wipe(dialogue->command.data, dialogue->command.length);
        arena_destroy(&dialogue->arena);
        if (dialogue->bad >= BAD_MAX) {
            front_say(dialogue, "%.*s", STR_ARGS(spoken->too_many_bad));
            dialogue->over = true;
        }
    }
}

static void serve(struct service *service, int connection, unsigned listener) {
    struct front_client *client = front_accept(service_context(service), connection, LINE_LIMIT);
    (void)listener;
    if (!client) return;
    struct front_dialogue dialogue = {.client = client};
    converse(&dialogue);
    stream_set_deadline(client->stream, deadline_in(LAST_WORD));
    bool good = stream_flush(client->stream) == STREAM_OK;
    if (good && dialogue.ticket.length > 0)
        front_serve_session(client, buf_str(&dialogue.login_tag), buf_str(&dialogue.ticket), spoken->lost);
    buf_free_secret(&dialogue.command);
    buf_free_secret(&dialogue.ticket);
    buf_free(&dialogue.login_tag);
    buf_free(&dialogue.user);
    front_client_free(&client);
}

/* ---- the daemon */

static bool prepare(struct service *service, struct failure *failure) {
    struct front *front = MEMORY_NEW(struct front);
    service_set_context(service, front);
    front->refusal = spoken->crowded;
    front->still_here_text = spoken->still_here;
    return front_prepare(front, service, spoken->name, failure);
}

static bool start(struct service *service, struct failure *failure) {
    (void)failure;
    front_start(service_context(service));
    return true;
}

static void stop(struct service *service) {
    front_stop(service_context(service));
}

int front_main(int argument_count, char **arguments, const struct front_protocol *protocol) {
    struct service_declaration declaration = protocol->daemon;
    declaration.prepare = prepare;
    declaration.start = start;
    declaration.session = serve;
    declaration.stop = stop;
    spoken = protocol;
    return service_run(argument_count, arguments, &declaration);
}
