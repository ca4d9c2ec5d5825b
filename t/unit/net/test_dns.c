/* Look-ups against name servers of our own that run as tasks beside them:
 * lost, cut, forged and wrong answers, aliases, the cache, many who ask the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>
#include "dns.h"
#include "task.h"

/* cmocka's asserts jump off the stack, which must not happen in a task: the
 * tasks count what fails, the test function asserts that it is nothing. */
static int failed_checks;
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_message("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                              \
            failed_checks++;                                                                                           \
        }                                                                                                              \
    } while (0)

/* ---- a name server */

enum { SERVER_COUNT = 2, MESSAGE_LIMIT = 65535 };

struct server {
    size_t number;
    struct endpoint endpoint;
    int udp, tcp;
    unsigned udp_questions, tcp_questions;
    struct task *tasks[2];
};

static struct server servers[SERVER_COUNT];

struct question {
    struct str bytes; /* the whole message */
    size_t end;       /* of the question section */
    char name[300];
    unsigned type;
    bool tcp, edns;
    unsigned nth; /* of this server, from 1 */
};

struct reply {
    struct buf bytes;
    unsigned answers, authority;
    int delay; /* ms before it goes out */
    bool lost;
};

static void put_u16(struct buf *bytes, unsigned number) {
    buf_append_char(bytes, (char)(number >> 8));
    buf_append_char(bytes, (char)(number & 0xff));
}

static void put_name(struct buf *bytes, const char *name) {
    struct str rest = str_from(name), label;
    while (str_next_word(&rest, ".", &label)) {
        buf_append_char(bytes, (char)label.length);
        buf_append(bytes, label);
    }
    buf_append_char(bytes, '\0');
}

static void put_record(struct reply *reply, const char *owner, unsigned type, unsigned ttl, struct str data) {
    put_name(&reply->bytes, owner);
    put_u16(&reply->bytes, type);
    put_u16(&reply->bytes, 1);
    put_u16(&reply->bytes, 0);
    put_u16(&reply->bytes, ttl);
    put_u16(&reply->bytes, (unsigned)data.length);
    buf_append(&reply->bytes, data);
}

static void answer(struct reply *reply, const char *owner, unsigned type, struct str data) {
    reply->answers++;
    put_record(reply, owner, type, 300, data);
}

static void answer_name(struct reply *reply, const char *owner, unsigned type, struct str before, const char *name) {
    struct buf data = {0};
    buf_append(&data, before);
    put_name(&data, name);
    answer(reply, owner, type, buf_str(&data));
    buf_free(&data);
}

static void deny(struct reply *reply, const char *zone) {
    reply->authority++;
    put_record(reply, zone, 6, 300, STR("\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x3c"));
}

static void set_bits(struct reply *reply, size_t at, unsigned bits) {
    reply->bytes.data[at] = (char)((unsigned)(uint8_t)reply->bytes.data[at] | bits);
}
static void set_rcode(struct reply *reply, unsigned rcode) { set_bits(reply, 3, rcode); }
static void set_authentic(struct reply *reply) { set_bits(reply, 3, 0x20); }
static void set_truncated(struct reply *reply) { set_bits(reply, 2, 0x02); }

static bool read_question(struct str bytes, struct question *question) {
    size_t at = 12, length = 0;
    *question = (struct question){.bytes = bytes};
    while (at < bytes.length && bytes.data[at] != 0) {
        size_t label = (uint8_t)bytes.data[at++];
        if (label > bytes.length - at || length + label + 2 > sizeof question->name) return false;
        if (length > 0) question->name[length++] = '.';
        memcpy(question->name + length, bytes.data + at, label);
        length += label;
        at += label;
    }
    if (at + 5 > bytes.length) return false;
    question->type = (unsigned)((uint8_t)bytes.data[at + 1] << 8 | (uint8_t)bytes.data[at + 2]);
    question->end = at + 5;
    question->edns = bytes.data[11] == 1;
    return true;
}

static bool asked(const struct question *question, const char *name, unsigned type) {
    return strcmp(question->name, name) == 0 && question->type == type;
}

#define LOCALHOST STR("\x7f\0\0\1")

/* What each name does. */
static void script_aliases(const struct question *question, struct reply *reply) {
    if (asked(question, "two.test", 1)) { /* the target comes by a question of its own */
        answer_name(reply, "two.test", 5, STR(""), "target.test");
    } else if (asked(question, "packet.test", 1)) {
        answer_name(reply, "packet.test", 5, STR(""), "b.test");
        answer_name(reply, "b.test", 5, STR(""), "target.test");
        answer(reply, "target.test", 1, LOCALHOST);
    } else if (asked(question, "target.test", 1)) {
        answer(reply, "target.test", 1, LOCALHOST);
    } else if (asked(question, "loop.test", 1)) {
        answer_name(reply, "loop.test", 5, STR(""), "pool.test");
    } else if (asked(question, "pool.test", 1)) {
        answer_name(reply, "pool.test", 5, STR(""), "loop.test");
    } else if (asked(question, "signed-alias.test", 1)) { /* leads to a zone without signatures */
        answer_name(reply, "signed-alias.test", 5, STR(""), "target.test");
        answer(reply, "target.test", 1, LOCALHOST);
    } else if (asked(question, "signed-alias.test", 5)) {
        answer_name(reply, "signed-alias.test", 5, STR(""), "target.test");
        set_authentic(reply);
    } else {
        set_rcode(reply, 3);
        deny(reply, "test");
    }
}

static void script_clients(const struct question *question, struct reply *reply) {
    if (asked(question, "1.2.0.192.in-addr.arpa", 12)) {
        answer_name(reply, question->name, 12, STR(""), "other.client");
        answer_name(reply, question->name, 12, STR(""), "good.client");
    } else if (asked(question, "2.2.0.192.in-addr.arpa", 12)) {
        answer_name(reply, question->name, 12, STR(""), "other.client");
    } else if (asked(question, "3.2.0.192.in-addr.arpa", 12)) {
        answer_name(reply, question->name, 12, STR(""), "servfail.test");
    } else if (asked(question, "good.client", 1)) {
        answer(reply, question->name, 1, STR("\xc0\0\2\1"));
    } else if (asked(question, "other.client", 1)) {
        answer(reply, question->name, 1, STR("\xc0\0\2\x63"));
    } else if (asked(question, "good.client", 28)) {
        answer(reply, question->name, 28, STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
    } else if (question->type == 12 && strstr(question->name, "ip6.arpa")) {
        answer_name(reply, question->name, 12, STR(""), "good.client");
    } else {
        set_rcode(reply, 3);
    }
}

static void script_big(const struct question *question, struct reply *reply) {
    char text[256];
    if (!question->tcp) {
        set_truncated(reply);
        return;
    }
    memset(text, 'x', sizeof text);
    text[0] = '\xff';
    for (int i = 0; i < 40; i++) answer(reply, question->name, 16, str_make(text, sizeof text));
}

static void script(const struct server *server, const struct question *question, struct reply *reply) {
    struct str name = str_from(question->name);
    bool first = server->number == 0;
    if (str_ends(name, STR(".arpa")) || str_ends(name, STR(".client"))) {
        script_clients(question, reply);
    } else if (asked(question, "lost.test", 1)) {
        reply->lost = question->nth == 1;
        answer(reply, question->name, 1, LOCALHOST);
    } else if (asked(question, "silent.test", 1)) {
        reply->lost = true;
    } else if (asked(question, "forged.test", 1)) {
        reply->delay = 30;
        answer(reply, question->name, 1, LOCALHOST);
    } else if (asked(question, "servfail.test", 1)) {
        set_rcode(reply, 2);
    } else if (asked(question, "second.test", 1)) {
        if (first) {
            set_rcode(reply, 2);
        } else {
            answer(reply, question->name, 1, LOCALHOST);
        }
    } else if (asked(question, "lame.test", 1)) {
        if (first) {
            reply->bytes.data[3] = 0; /* no recursion, no answer */
        } else {
            answer(reply, question->name, 1, LOCALHOST);
        }
    } else if (asked(question, "old.test", 1)) {
        if (question->edns) {
            set_rcode(reply, 1);
        } else {
            answer(reply, question->name, 1, LOCALHOST);
        }
    } else if (asked(question, "slow.test", 1)) {
        reply->delay = 50;
        answer(reply, question->name, 1, LOCALHOST);
    } else if (asked(question, "signed.test", 1)) {
        set_authentic(reply);
        answer(reply, question->name, 1, LOCALHOST);
    } else if (asked(question, "zero.test", 1)) {
        reply->answers++;
        put_record(reply, question->name, 1, 0, LOCALHOST);
    } else if (asked(question, "types.test", 15)) {
        answer_name(reply, question->name, 15, STR("\0\x0a"), "MX.types.test");
    } else if (asked(question, "types.test", 28)) {
        answer(reply, question->name, 28, STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
    } else if (asked(question, "types.test", 33)) {
        answer_name(reply, question->name, 33, STR("\0\1\0\2\0\x19"), "mx.types.test");
    } else if (asked(question, "types.test", 52)) {
        answer(reply, question->name, 52, STR("\3\1\1\xab\xcd"));
    } else if (asked(question, "types.test", 16)) {
        deny(reply, "test");
    } else if (str_starts(name, STR("many"))) {
        answer(reply, question->name, 1, LOCALHOST);
    } else if (asked(question, "big.test", 16)) {
        script_big(question, reply);
    } else {
        script_aliases(question, reply);
    }
}

static void make_reply(struct server *server, struct question *question, struct reply *reply) {
    question->nth = server->udp_questions + server->tcp_questions;
    *reply = (struct reply){.answers = 0};
    buf_append(&reply->bytes, str_slice(question->bytes, 0, question->end));
    memcpy(reply->bytes.data + 2, "\x81\x80\0\1\0\0\0\0\0\0", 10);
    script(server, question, reply);
    reply->bytes.data[7] = (char)reply->answers;
    reply->bytes.data[9] = (char)reply->authority;
    if (reply->delay) task_sleep(reply->delay);
}

static void send_forgeries(int descriptor, const struct reply *reply, const struct endpoint *client) {
    struct buf forged = {0};
    buf_append(&forged, buf_str(&reply->bytes));
    forged.data[forged.length - 1] = 66; /* another address, and: */
    forged.data[0] ^= 1;                 /* a wrong ID */
    CHECK(sendto(descriptor, forged.data, forged.length, 0, &client->address.any, client->length) > 0);
    forged.data[0] ^= 1;
    forged.data[13] ^= 1; /* a wrong name */
    CHECK(sendto(descriptor, forged.data, forged.length, 0, &client->address.any, client->length) > 0);
    CHECK(sendto(descriptor, forged.data, 5, 0, &client->address.any, client->length) > 0);
    buf_free(&forged);
}

static void serve_udp(void *argument) {
    struct server *server = argument;
    char message[2048];
    while (task_wait_readable(server->udp, DEADLINE_NEVER) == WAIT_READY) {
        struct endpoint client = {.length = sizeof client.address};
        ssize_t length = recvfrom(server->udp, message, sizeof message, MSG_DONTWAIT, &client.address.any,
                                  &client.length);
        struct question question;
        struct reply reply;
        if (length < 0 || !read_question(str_make(message, (size_t)length), &question)) continue;
        server->udp_questions++;
        make_reply(server, &question, &reply);
        if (asked(&question, "forged.test", 1)) send_forgeries(server->udp, &reply, &client);
        if (!reply.lost) {
            CHECK(sendto(server->udp, reply.bytes.data, reply.bytes.length, 0, &client.address.any, client.length) > 0);
        }
        buf_free(&reply.bytes);
    }
}

static bool read_fully(int descriptor, char *data, size_t length) {
    for (size_t have = 0; have < length;) {
        if (task_wait_readable(descriptor, deadline_in(1000)) != WAIT_READY) return false;
        ssize_t got = recv(descriptor, data + have, length - have, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
        if (got > 0) have += (size_t)got;
    }
    return true;
}

/* One question; the reply goes out in two pieces. */
static void serve_connection(struct server *server, int descriptor) {
    char prefix[2], message[2048];
    struct question question;
    struct reply reply;
    if (!read_fully(descriptor, prefix, 2)) return;
    size_t length = (size_t)((uint8_t)prefix[0] << 8 | (uint8_t)prefix[1]);
    if (length > sizeof message || !read_fully(descriptor, message, length)) return;
    if (!read_question(str_make(message, length), &question)) return;
    question.tcp = true;
    server->tcp_questions++;
    make_reply(server, &question, &reply);
    struct buf sent = {0};
    put_u16(&sent, (unsigned)reply.bytes.length);
    buf_append(&sent, buf_str(&reply.bytes));
    CHECK(send(descriptor, sent.data, 1, MSG_NOSIGNAL) == 1);
    task_sleep(5);
    CHECK(send(descriptor, sent.data + 1, sent.length - 1, MSG_NOSIGNAL) == (ssize_t)sent.length - 1);
    buf_free(&sent);
    buf_free(&reply.bytes);
}

static void serve_tcp(void *argument) {
    struct server *server = argument;
    while (task_wait_readable(server->tcp, DEADLINE_NEVER) == WAIT_READY) {
        int descriptor = accept(server->tcp, NULL, NULL);
        if (descriptor < 0 && errno == EBADF) return;
        if (descriptor < 0) continue;
        serve_connection(server, descriptor);
        task_forget_descriptor(descriptor);
        close(descriptor);
    }
}

static void server_start(struct server *server, size_t number) {
    *server = (struct server){.number = number};
    /* A port that is free for UDP may be taken for TCP. */
    for (int attempt = 0; attempt < 50; attempt++) {
        CHECK(endpoint_from_ip(STR("127.0.0.1"), 0, &server->endpoint));
        server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(bind(server->udp, &server->endpoint.address.any, server->endpoint.length) == 0);
        CHECK(endpoint_of_self(server->udp, &server->endpoint));
        server->tcp = endpoint_listen(&server->endpoint, 10, NULL);
        if (server->tcp >= 0) break;
        close(server->udp);
    }
    CHECK(server->tcp >= 0);
    CHECK(task_start_held("server-udp", serve_udp, server, &server->tasks[0]));
    CHECK(task_start_held("server-tcp", serve_tcp, server, &server->tasks[1]));
}

static void server_stop(struct server *server) {
    for (size_t i = 0; i < ARRAY_LENGTH(server->tasks); i++) {
        task_cancel(server->tasks[i]);
        CHECK(task_join(server->tasks[i], deadline_in(1000)) == WAIT_READY);
        task_release(&server->tasks[i]);
    }
    task_forget_descriptor(server->udp);
    task_forget_descriptor(server->tcp);
    close(server->udp);
    close(server->tcp);
}

/* ---- what the tests share */

static struct resolver *resolver;
static struct arena *arena;
static struct dns_answer found;
static struct failure failure;

static enum dns_result look(const char *name, enum dns_type type) {
    found = (struct dns_answer){.count = 0};
    failure.text[0] = '\0';
    return dns_lookup(resolver, str_from(name), type, deadline_in(2000), arena, &found, &failure);
}

static struct resolver *make_resolver(size_t server_count, size_t entries) {
    struct resolver_options options = {.server_count = server_count, .timeout = 100, .attempts = 2,
                                       .cache_entries = entries};
    for (size_t i = 0; i < server_count; i++) options.servers[i] = servers[i].endpoint;
    struct resolver *made = resolver_create(&options, &failure);
    CHECK(made != NULL);
    return made;
}

struct run {
    void (*body)(void);
    size_t server_count, entries;
};

static void run_body(void *argument) {
    const struct run *run = argument;
    for (size_t i = 0; i < SERVER_COUNT; i++) server_start(&servers[i], i);
    resolver = make_resolver(run->server_count, run->entries);
    arena = arena_create(0);
    run->body();
    arena_destroy(&arena);
    resolver_destroy(&resolver);
    for (size_t i = 0; i < SERVER_COUNT; i++) server_stop(&servers[i]);
}

static void run_in_loop(void (*body)(void), size_t server_count, size_t entries) {
    struct run run = {body, server_count, entries};
    failed_checks = 0;
    assert_true(loop_create(NULL, NULL));
    assert_true(task_start("test", run_body, &run));
    loop_run();
    loop_destroy();
    assert_int_equal(failed_checks, 0);
}

#define TEST(name, server_count, entries)                                                                              \
    static void name##_body(void);                                                                                     \
    static void name(void **state) {                                                                                   \
        (void)state;                                                                                                   \
        run_in_loop(name##_body, server_count, entries); \
    }                                                                                                                  \
    static void name##_body(void)

static bool is_localhost(const struct dns_answer *answer_given) {
    struct endpoint localhost;
    return answer_given->count == 1 && endpoint_from_ip(STR("127.0.0.1"), 0, &localhost) &&
           endpoint_same_address(&answer_given->records[0].address, &localhost);
}

/* ---- the tests */

TEST(test_types, 1, 0) {
    CHECK(look("Types.Test.", DNS_MX) == DNS_FOUND && found.count == 1 && found.ttl <= 300 && found.ttl >= 290);
    CHECK(found.records[0].preference == 10 && str_equal(found.records[0].name, STR("mx.types.test")));
    CHECK(look("types.test", DNS_AAAA) == DNS_FOUND && endpoint_is_ipv6(&found.records[0].address));
    CHECK(look("types.test", DNS_SRV) == DNS_FOUND && found.records[0].preference == 1);
    CHECK(found.records[0].weight == 2 && found.records[0].port == 25);
    CHECK(look("types.test", DNS_TLSA) == DNS_FOUND && str_equal(found.records[0].data, STR("\3\1\1\xab\xcd")));
    CHECK(look("types.test", DNS_TXT) == DNS_NO_DATA && found.ttl == 60);
    CHECK(look("none.test", DNS_A) == DNS_NO_NAME && found.count == 0);
    CHECK(look("not a name", DNS_A) == DNS_INVALID && failure.text[0] != '\0');
    CHECK(look("", DNS_A) == DNS_INVALID);
    CHECK(servers[0].tcp_questions == 0);
}

TEST(test_lost, 1, 0) {
    CHECK(look("lost.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(servers[0].udp_questions == 2);
}

TEST(test_silence, 2, 0) {
    deadline start = clock_monotonic();
    CHECK(look("silent.test", DNS_A) == DNS_RETRY && strstr(failure.text, "127.0.0.1: no answer in time"));
    CHECK(clock_monotonic() - start >= 350 && clock_monotonic() - start < 1500); /* 2 servers, 2 rounds, 100 ms */
    CHECK(servers[0].udp_questions == 2 && servers[1].udp_questions == 2);
}

/* Who asks has a shorter deadline than the tries take; the question goes on. */
TEST(test_deadline, 1, 0) {
    deadline start = clock_monotonic();
    CHECK(dns_lookup(resolver, STR("silent.test"), DNS_A, deadline_in(20), arena, &found, &failure) == DNS_RETRY);
    CHECK(clock_monotonic() - start < 90);
    CHECK(strstr(failure.text, "not answered in time") != NULL);
}

TEST(test_truncated, 1, 0) {
    CHECK(look("big.test", DNS_TXT) == DNS_FOUND && found.count == 40 && found.records[39].data.length == 255);
    CHECK(servers[0].udp_questions == 1 && servers[0].tcp_questions == 1);
}

TEST(test_forged, 1, 0) {
    CHECK(look("forged.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(servers[0].udp_questions == 1);
}

TEST(test_other_server, 2, 0) {
    CHECK(look("second.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(look("lame.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(servers[0].udp_questions == 2 && servers[1].udp_questions == 2);
    CHECK(look("servfail.test", DNS_A) == DNS_RETRY && strstr(failure.text, "SERVFAIL for servfail.test type A"));
    CHECK(servers[0].udp_questions == 3 && servers[1].udp_questions == 3); /* who refused is not asked again */
}

/* A server that is not there costs its time once, then comes last. */
TEST(test_dead_server, 2, 0) {
    server_stop(&servers[0]);
    CHECK(look("many1.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(look("many2.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(servers[1].udp_questions == 2);
    server_start(&servers[0], 0);
}

TEST(test_without_edns, 1, 0) {
    CHECK(look("old.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(servers[0].udp_questions == 2);
    CHECK(look("many1.test", DNS_A) == DNS_FOUND);
    CHECK(servers[0].udp_questions == 3);
}

TEST(test_aliases, 1, 0) {
    CHECK(look("packet.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(str_equal(found.name, STR("target.test")));
    CHECK(look("two.test", DNS_A) == DNS_FOUND && is_localhost(&found));
    CHECK(str_equal(found.name, STR("target.test")));
    CHECK(look("loop.test", DNS_A) == DNS_RETRY && strstr(failure.text, "aliases"));
}

TEST(test_authentic, 1, 0) {
    CHECK(look("signed.test", DNS_A) == DNS_FOUND && found.authentic && found.cname_authentic);
    CHECK(look("lost.test", DNS_A) == DNS_FOUND && !found.authentic && !found.cname_authentic);
    CHECK(look("signed-alias.test", DNS_A) == DNS_FOUND && !found.authentic && found.cname_authentic);
    CHECK(look("packet.test", DNS_A) == DNS_FOUND && !found.authentic && !found.cname_authentic);
}

TEST(test_cache, 1, 4) {
    CHECK(look("many1.test", DNS_A) == DNS_FOUND && look("MANY1.test", DNS_A) == DNS_FOUND);
    CHECK(servers[0].udp_questions == 1);
    CHECK(look("none.test", DNS_A) == DNS_NO_NAME && look("none.test", DNS_A) == DNS_NO_NAME);
    CHECK(servers[0].udp_questions == 2);
    CHECK(look("zero.test", DNS_A) == DNS_FOUND && look("zero.test", DNS_A) == DNS_FOUND);
    CHECK(servers[0].udp_questions == 4); /* TTL 0 is not kept */
    CHECK(look("servfail.test", DNS_A) == DNS_RETRY && look("servfail.test", DNS_A) == DNS_RETRY);
    CHECK(servers[0].udp_questions == 6); /* nor is a failure */
    CHECK(look("many2.test", DNS_A) == DNS_FOUND && look("many3.test", DNS_A) == DNS_FOUND);
    CHECK(look("many1.test", DNS_A) == DNS_FOUND && servers[0].udp_questions == 8); /* used last of the four */
    CHECK(look("many4.test", DNS_A) == DNS_FOUND && servers[0].udp_questions == 9); /* drives none.test out */
    CHECK(look("many1.test", DNS_A) == DNS_FOUND && servers[0].udp_questions == 9);
    CHECK(look("none.test", DNS_A) == DNS_NO_NAME && servers[0].udp_questions == 10);
}

enum { CROWD = 20 };
static int crowd_found;

static void ask_slow(void *argument) {
    (void)argument;
    struct arena *own = arena_create(0);
    struct dns_answer got;
    if (dns_lookup(resolver, STR("slow.test"), DNS_A, deadline_in(1000), own, &got, NULL) == DNS_FOUND) crowd_found++;
    arena_destroy(&own);
}

TEST(test_crowd, 1, 0) {
    struct task *crowd[CROWD];
    crowd_found = 0;
    for (int i = 0; i < CROWD; i++) CHECK(task_start_held("crowd", ask_slow, NULL, &crowd[i]));
    task_sleep(10);
    task_cancel(crowd[0]); /* who asked first goes away; the others get their answer */
    for (int i = 0; i < CROWD; i++) {
        CHECK(task_join(crowd[i], deadline_in(1000)) == WAIT_READY);
        task_release(&crowd[i]);
    }
    CHECK(crowd_found == CROWD - 1);
    CHECK(servers[0].udp_questions == 1);
}

/* The resolver goes while a question is on the wire and a task waits for it. */
TEST(test_destroyed, 1, 0) {
    struct task *task;
    crowd_found = 0;
    CHECK(task_start_held("crowd", ask_slow, NULL, &task));
    task_sleep(10);
    resolver_destroy(&resolver);
    CHECK(task_join(task, deadline_in(1000)) == WAIT_READY);
    task_release(&task);
    CHECK(crowd_found == 0);
}

TEST(test_client_name, 1, 0) {
    static const struct {
        const char *address;
        enum dns_result result;
        const char *name, *unverified;
    } rows[] = {
        {"192.0.2.1", DNS_FOUND, "good.client", "other.client"},
        {"::ffff:192.0.2.1", DNS_FOUND, "good.client", "other.client"},
        {"2001:db8::1", DNS_FOUND, "good.client", "good.client"},
        {"2001:db8::2", DNS_NO_DATA, "", "good.client"},
        {"192.0.2.2", DNS_NO_DATA, "", "other.client"},
        {"192.0.2.3", DNS_RETRY, "", "servfail.test"},
        {"192.0.2.4", DNS_NO_NAME, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct endpoint address;
        struct str name, unverified;
        CHECK(endpoint_from_ip(str_from(rows[i].address), 0, &address));
        CHECK(dns_client_name(resolver, &address, deadline_in(1000), arena, &name, &unverified) == rows[i].result);
        CHECK(str_equal(name, str_from(rows[i].name)));
        CHECK(str_equal(unverified, str_from(rows[i].unverified)));
    }
}

static void test_reverse_name(void **state) {
    (void)state;
    static const struct {
        const char *address, *name;
    } rows[] = {
        {"192.0.2.1", "1.2.0.192.in-addr.arpa"},
        {"::ffff:192.0.2.1", "1.2.0.192.in-addr.arpa"},
        {"2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct endpoint address;
        struct buf name = {0};
        assert_true(endpoint_from_ip(str_from(rows[i].address), 25, &address));
        assert_true(dns_reverse_name(&address, &name));
        assert_string_equal(buf_string(&name), rows[i].name);
        buf_free(&name);
    }
    struct endpoint local;
    struct buf name = {0};
    assert_true(endpoint_from_path(STR("/nowhere"), &local));
    assert_false(dns_reverse_name(&local, &name));
    buf_free(&name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),        cmocka_unit_test(test_lost),        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_deadline),     cmocka_unit_test(test_truncated),   cmocka_unit_test(test_forged),
        cmocka_unit_test(test_other_server), cmocka_unit_test(test_dead_server), cmocka_unit_test(test_without_edns),
        cmocka_unit_test(test_aliases),      cmocka_unit_test(test_authentic),   cmocka_unit_test(test_cache),
        cmocka_unit_test(test_crowd),        cmocka_unit_test(test_destroyed),   cmocka_unit_test(test_client_name),
        cmocka_unit_test(test_reverse_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
