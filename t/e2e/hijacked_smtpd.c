/* hijacked_smtpd: smtpd as it is when an attacker runs code in it, for
 * test_hijacked.py. It is linked from smtpd's own objects; only the handler of NOOP
 * stands here (the linker's --wrap puts it in place). "NOOP !ATTACK words..." runs
 * an attack inside the sandboxed process, with its real descriptors, and answers with
 * what came of it, a line each. It is never installed.
 *
 * An attack blocks the whole process where that is simpler: it belongs to the attacker. */
#include "hijacked.h"
#include "log_text.h"
#include "queue_id.h"
#include "smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEADER_SIZE 256 /* of the queue file: the content stands behind it */

bool __wrap_cmd_noop(struct session *session, struct str argument);

/* As many connections to a service as there are, kept. */
static void attack_connections(struct attack *attack) {
    struct ipc_connect wanted = {.service = attack_word(attack)};
    uint64_t count = attack_number(attack), made = 0, alive = 0;
    size_t first = kept_count;
    for (uint64_t i = 0; i < count; i++) {
        int descriptor = attack_ask_master(attack, IPC_CONNECT, &wanted, false);
        if (descriptor < 0) continue;
        made++;
        attack_keep(descriptor);
    }
    /* Those that the service takes: a question on each. */
    struct ipc_cleanup_cancel nothing = {.queue_id = STR("none")};
    for (size_t i = first; i < kept_count; i++) {
        enum ipc_type type;
        int descriptor;
        struct buf packet = buf_make(0);
        if (send_typed(kept[i], IPC_CLEANUP_CANCEL, 0, &nothing, -1) == 0 &&
            send_typed(kept[i], IPC_LOOKUP_DNS, 5, &(struct ipc_lookup_dns){.domain = STR("[")}, -1) == 0 &&
            raw_receive(kept[i], 5, &packet, &type, &descriptor))
            alive++;
        buf_free(&packet);
    }
    attack_say(attack, "made %llu alive %llu", (unsigned long long)made, (unsigned long long)alive);
}

/* ---- master's control socket */

static void attack_control(struct attack *attack) {
    struct str kind = attack_word(attack);
    struct buf packet = buf_make(0);
    int descriptor = -1;
    if (str_equal(kind, STR("short"))) buf_append(&packet, STR("\1"));
    if (str_equal(kind, STR("noise")))
        for (unsigned i = 0; i < 3000; i++)
            buf_append_char(&packet, (char)(i * 7919 >> 3));
    if (str_equal(kind, STR("long"))) append_repeated(&packet, 'x', 100000);
    if (str_equal(kind, STR("drain")) &&
        !ipc_encode(IPC_DRAIN, 1, &(struct ipc_drain){.stopping = true}, &packet))
        return;
    if (str_equal(kind, STR("hello")) &&
        !ipc_encode(IPC_HELLO, 1, &(struct ipc_hello){.service = STR("qmgr"), .version = ipc_version()}, &packet))
        return;
    if (str_equal(kind, STR("open")) && !ipc_encode(IPC_CLEANUP_OPEN, 1, &(struct ipc_cleanup_open){0}, &packet)) return;
    if (str_equal(kind, STR("cut"))) {
        if (!ipc_encode(IPC_CONNECT, 1, &(struct ipc_connect){.service = STR("cleanup")}, &packet)) return;
        buf_truncate(&packet, packet.length - 3);
    }
    if (str_equal(kind, STR("with-descriptor"))) {
        if (!ipc_encode(IPC_DRAIN, 1, &(struct ipc_drain){0}, &packet)) return;
        descriptor = attack->connection;
    }
    raw_send(INHERITED_CONTROL, buf_str(&packet), descriptor);
    buf_free(&packet);
    /* If master minds, this process ends here. */
    for (unsigned i = 0; i < 50; i++)
        poll(NULL, 0, 100);
    attack_say(attack, "alive");
}

/* Loads and wishes without end; how many were answered. */
static void attack_control_flood(struct attack *attack) {
    uint64_t count = attack_number(attack);
    struct ipc_connect unknown = {.service = STR("no-such-service\nforged line")};
    struct ipc_connect forbidden = {.service = STR("qmgr")};
    for (uint64_t i = 0; i < count; i++) {
        struct ipc_load load = {.sessions = i, .full = i % 2};
        send_typed(INHERITED_CONTROL, IPC_LOAD, 0, &load, -1);
        int first = attack_ask_master(attack, IPC_CONNECT, &unknown, false);
        int second = attack_ask_master(attack, IPC_CONNECT, &forbidden, false);
        if (first >= 0 || second >= 0) attack_say(attack, "connected");
    }
    send_typed(INHERITED_CONTROL, IPC_LOAD, 0, &(struct ipc_load){.sessions = 1}, -1);
    attack_say(attack, "flooded");
}

/* Hears nothing any more, not even the wish to end. */
static void attack_deaf(struct attack *attack) {
    sigset_t all;
    (void)attack;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;)
        poll(NULL, 0, 1000);
}

/* ---- cleanup */

static int connect_cleanup(struct attack *attack) {
    return attack_ask_master(attack, IPC_CONNECT, &(struct ipc_connect){.service = STR("cleanup")}, false);
}

struct writing {
    int cleanup, file;
    int memory; /* goes with the commit; 0: none */
    char queue_id[25];
};

static bool open_file(int cleanup, uint32_t serial, struct writing *writing) {
    struct buf packet = buf_make(0);
    enum ipc_type type;
    struct ipc_cleanup_opened opened;
    bool good = send_typed(cleanup, IPC_CLEANUP_OPEN, serial, &(struct ipc_cleanup_open){0}, -1) == 0 &&
                raw_receive(cleanup, serial, &packet, &type, &writing->file) && type == IPC_CLEANUP_OPENED &&
                ipc_decode(buf_str(&packet), IPC_CLEANUP_OPENED, &opened);
    if (good) snprintf(writing->queue_id, sizeof writing->queue_id, "%.*s", STR_ARGS(opened.queue_id));
    writing->cleanup = cleanup;
    buf_free(&packet);
    return good;
}

static bool send_commit(const struct writing *writing, uint32_t serial, struct ipc_cleanup_commit commit,
                        struct str recipient) {
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    bool good = ipc_list_add(IPC_ROW_RECIPIENT, &(struct ipc_recipient){.address = recipient}, &rows, &count);
    if (commit.queue_id.length == 0) commit.queue_id = str_from(writing->queue_id);
    if (commit.client_name.length == 0) commit.client_name = STR("unknown");
    commit.recipients = (struct ipc_list){buf_str(&rows), count};
    good = good && send_typed(writing->cleanup, IPC_CLEANUP_COMMIT, serial, &commit, writing->memory > 0 ? writing->memory : -1) == 0;
    buf_free(&rows);
    return good;
}

static void say_answer(struct attack *attack, const struct writing *writing, uint32_t serial) {
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int descriptor;
    struct ipc_failed failed;
    if (!raw_receive(writing->cleanup, serial, &packet, &type, &descriptor))
        attack_say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), IPC_FAILED, &failed))
        attack_say(attack, "refused %.*s", STR_ARGS(failed.text));
    else
        attack_say(attack, "%s %s", ipc_type_name(type), writing->queue_id);
    buf_free(&packet);
}

#define CONTENT "Subject: mine\n\nas it was committed\n"

/* queue KIND RECIPIENT: a message of its own, and what is tried with its file. */
static void attack_queue(struct attack *attack) {
    struct str kind = attack_word(attack), recipient = attack_word(attack);
    struct writing writing = {.file = -1};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    int second = -1;
    char bytes[300];
    if (!open_file(connect_cleanup(attack), 1, &writing)) {
        attack_say(attack, "not opened");
        return;
    }
    int file = writing.file;
    if (write(file, CONTENT, strlen(CONTENT)) < 0) attack_say(attack, "not written");
    if (str_equal(kind, STR("read"))) {
        attack_say(attack, "read %s", pread(file, bytes, sizeof bytes, 0) >= 0 ? "done" : strerrorname_np(errno));
        attack_say(attack, "map %s", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED ? "done" : strerrorname_np(errno));
        attack_say(attack, "map-write %s", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED ? "done" : strerrorname_np(errno));
        attack_say(attack, "truncate %s", ftruncate(file, 0) == 0 ? "done" : strerrorname_np(errno));
        attack_say(attack, "chmod %s", fchmod(file, 0666) == 0 ? "done" : strerrorname_np(errno));
        attack_say(attack, "link %s", linkat(file, "", AT_FDCWD, "kept", AT_EMPTY_PATH) == 0 ? "done" : strerrorname_np(errno));
        attack_say(attack, "lock %s", fcntl(file, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}) == 0 ? "done" : strerrorname_np(errno));
        attack_say(attack, "fallocate %s", fallocate(file, 0, 0, 1 << 20) == 0 ? "done" : strerrorname_np(errno));
    }
    if (str_equal(kind, STR("huge"))) { /* as large as it can be made, at no cost in blocks */
        off_t size = 1LL << 40;
        while (size > 4096 && pwrite(file, "x", 1, size) != 1)
            size /= 2;
        attack_say(attack, "size %lld", (long long)size);
        commit.content_length = (uint64_t)size + 1 - HEADER_SIZE;
    }
    if (str_equal(kind, STR("length"))) commit.content_length += 1;
    if (str_equal(kind, STR("header"))) /* what looks like a whole message, before cleanup has written its own */
        for (off_t at = 0; at < HEADER_SIZE; at += 8)
            if (pwrite(file, "TERNQ1\n\n", 8, at) < 0) attack_say(attack, "not written");
    if (str_equal(kind, STR("copy"))) second = dup(file);
    if (str_equal(kind, STR("flight"))) { /* on its way in a packet that another service is to read */
        int other = connect_cleanup(attack);
        struct ipc_bounce_send carrier = {.queue_id = STR("x")};
        for (unsigned i = 0; i < 200; i++)
            send_typed(other, IPC_CLEANUP_OPEN, i + 10, &(struct ipc_cleanup_open){0}, -1);
        send_typed(other, IPC_BOUNCE_SEND, 1, &carrier, file);
        attack_keep(other);
    }
    if (!str_equal(kind, STR("race"))) close(file);
    send_commit(&writing, 2, commit, recipient);
    if (str_equal(kind, STR("race"))) { /* writes while cleanup looks, and lets go at some moment */
        for (unsigned i = 0; i < attack_number(attack); i++)
            if (pwrite(file, "XXXX", 4, HEADER_SIZE) < 0) break;
        close(file);
    }
    say_answer(attack, &writing, 2);
    if (second >= 0) attack_say(attack, "write %s", pwrite(second, "XXXX", 4, HEADER_SIZE) == 4 ? "done" : strerrorname_np(errno));
    if (second >= 0) close(second);
    /* Once committed, its ID is nobody's. */
    struct ipc_cleanup_cancel cancel = {.queue_id = str_from(writing.queue_id)};
    send_typed(writing.cleanup, IPC_CLEANUP_CANCEL, 0, &cancel, -1);
    send_commit(&writing, 3, commit, recipient);
    say_answer(attack, &writing, 3);
    close(writing.cleanup);
}

/* other ID: cancels, adds recipients to, and commits a file that is not this connection's. */
static void attack_other(struct attack *attack) {
    struct str queue_id = attack_word(attack);
    struct writing writing = {.file = -1, .cleanup = connect_cleanup(attack)};
    struct ipc_cleanup_cancel cancel = {.queue_id = queue_id};
    struct ipc_cleanup_recipients ahead = {.queue_id = queue_id};
    struct buf rows = buf_make(0);
    if (ipc_list_add(IPC_ROW_RECIPIENT, &(struct ipc_recipient){.address = STR("thief@sink.test")}, &rows,
                     &ahead.recipients.count))
        ahead.recipients.packed = buf_str(&rows);
    attack_say(attack, "cancel %d", send_typed(writing.cleanup, IPC_CLEANUP_CANCEL, 0, &cancel, -1));
    attack_say(attack, "recipients %d", send_typed(writing.cleanup, IPC_CLEANUP_RECIPIENTS, 0, &ahead, -1));
    struct ipc_cleanup_commit commit = {.queue_id = queue_id};
    send_commit(&writing, 2, commit, STR("thief@sink.test"));
    say_answer(attack, &writing, 2);
    buf_free(&rows);
    close(writing.cleanup);
}
/* inject [field=HEX]...: a message with whatever in its envelope. */
static void attack_inject(struct attack *attack) {
    struct writing writing = {.file = -1};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    struct str recipient = STR("anna@example.test"), rest, name, value;
    struct buf values[12];
    size_t count = 0;
    while (count < ARRAY_LENGTH(values) && (rest = attack_word(attack)).length > 0) {
        if (!str_cut(rest, '=', &name, &value)) continue;
        values[count] = buf_make(0);
        append_unhex(&values[count], value);
        value = buf_str(&values[count++]);
        if (str_equal(name, STR("sender"))) commit.sender = value;
        if (str_equal(name, STR("recipient"))) recipient = value;
        if (str_equal(name, STR("helo"))) commit.helo = value;
        if (str_equal(name, STR("client"))) commit.client_name = commit.client_address = value;
        if (str_equal(name, STR("login"))) commit.login = value;
        if (str_equal(name, STR("protocol"))) commit.protocol = value;
        if (str_equal(name, STR("message_id"))) commit.message_id = value;
        if (str_equal(name, STR("hold"))) commit.hold_reason = value;
        if (str_equal(name, STR("envid"))) commit.envelope_id = value;
        if (str_equal(name, STR("plain"))) commit.expansion = 1;
    }
    if (!open_file(connect_cleanup(attack), 1, &writing)) {
        attack_say(attack, "not opened");
    } else {
        if (write(writing.file, CONTENT, strlen(CONTENT)) < 0) attack_say(attack, "not written");
        close(writing.file);
        send_commit(&writing, 2, commit, recipient);
        say_answer(attack, &writing, 2);
        close(writing.cleanup);
    }
    while (count > 0)
        buf_free(&values[--count]);
}

/* ---- content that comes in memory */

/* The next ID of a reserve of this connection's own, started at serial 1. */
static bool reserve_id(int cleanup, char id[QUEUE_ID_SIZE]) {
    struct buf packet = buf_make(0);
    enum ipc_type type = IPC_NOTHING;
    struct ipc_cleanup_ids_given given;
    int descriptor = -1;
    bool good = send_typed(cleanup, IPC_CLEANUP_IDS, 1, &(struct ipc_cleanup_ids){}, -1) == 0 &&
                raw_receive(cleanup, 1, &packet, &type, &descriptor) && type == IPC_CLEANUP_IDS_GIVEN &&
                ipc_decode(buf_str(&packet), type, &given);
    if (good) queue_id_format(given.first, given.long_form, id);
    buf_free(&packet);
    return good;
}

static int memory_content(unsigned seals) {
    int memory = (int)syscall(SYS_memfd_create, "x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory >= 0 && (write(memory, CONTENT, strlen(CONTENT)) < 0 || fcntl(memory, F_ADD_SEALS, seals) < 0)) {
        close(memory);
        return -1;
    }
    return memory;
}

/* memory KIND [ID]: commits content that it may still change, another thing than content, or under a name that is
 * not its own; then, whatever was answered, tries to change what it committed. */
static void attack_memory(struct attack *attack) {
    const unsigned all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    struct str kind = attack_word(attack), other = attack_word(attack);
    struct writing writing = {.cleanup = connect_cleanup(attack)};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    unsigned seals = str_equal(kind, STR("unsealed"))  ? 0
                     : str_equal(kind, STR("growing")) ? all & ~(unsigned)F_SEAL_GROW
                     : str_equal(kind, STR("writing")) ? all & ~(unsigned)F_SEAL_WRITE
                                                       : all;
    int pair[2] = {-1, -1};
    if (!reserve_id(writing.cleanup, writing.queue_id)) {
        attack_say(attack, "no ID");
        return;
    }
    if (other.length) snprintf(writing.queue_id, sizeof writing.queue_id, "%.*s", STR_ARGS(other));
    int memory = memory_content(seals);
    if (str_equal(kind, STR("pipe")) && pipe2(pair, O_CLOEXEC) == 0) {
        close(memory);
        memory = pair[0];
    }
    if (str_equal(kind, STR("longer"))) commit.content_length += 100;
    writing.memory = memory;
    send_commit(&writing, 2, commit, STR("bob@example.test"));
    say_answer(attack, &writing, 2);
    bool changed = pwrite(memory, "XXXX", 4, 0) == 4 || ftruncate(memory, 1) == 0;
    attack_say(attack, "%s", changed ? "changed" : "unchanged");
    send_commit(&writing, 3, commit, STR("bob@example.test")); /* the same name once more */
    say_answer(attack, &writing, 3);
    close(memory);
    if (pair[1] >= 0) close(pair[1]);
    close(writing.cleanup);
}

/* open N: as many files as it gets, all at once, kept. */
static void attack_open(struct attack *attack) {
    uint64_t count = attack_number(attack), sent = 0, opened = 0, refused = 0;
    int cleanup = connect_cleanup(attack);
    enum ipc_type type = IPC_NOTHING;
    struct buf packet = buf_make(0);
    int descriptor;
    attack_keep(cleanup);
    while (opened + refused < count) {
        /* Some ahead, so that the requests are under way together. */
        while (sent < count && sent < opened + refused + 200 &&
               send_typed(cleanup, IPC_CLEANUP_OPEN, (uint32_t)sent + 1, &(struct ipc_cleanup_open){0}, -1) == 0)
            sent++;
        if (!raw_receive(cleanup, (uint32_t)(opened + refused) + 1, &packet, &type, &descriptor)) break;
        if (descriptor >= 0) close(descriptor); /* cleanup still has its own */
        if (type == IPC_CLEANUP_OPENED)
            opened++;
        else
            refused++;
    }
    attack_say(attack, "opened %llu refused %llu", (unsigned long long)opened, (unsigned long long)refused);
    buf_free(&packet);
}

/* commits N: opens N files, then commits all at once, with another length than they have. */
static void attack_commits(struct attack *attack) {
    uint64_t count = attack_number(attack), opened = 0, sent = 0, answered = 0;
    struct writing *writings = memory_allocate((size_t)count + 1, sizeof *writings);
    int cleanup = connect_cleanup(attack);
    char byte;
    while (opened < count && open_file(cleanup, (uint32_t)opened + 1, &writings[opened]))
        close(writings[opened++].file);
    while (sent < opened && send_commit(&writings[sent], (uint32_t)(opened + sent) + 1,
                                        (struct ipc_cleanup_commit){.content_length = 1}, STR("bob@example.test"))) {
        sent++;
        while (recv(cleanup, &byte, 1, MSG_DONTWAIT) > 0)
            answered++;
    }
    while (answered < sent && readable_within(cleanup, ANSWER_TIME) &&
           recv(cleanup, &byte, 1, MSG_DONTWAIT) > 0)
        answered++;
    attack_say(attack, "opened %llu sent %llu answered %llu", (unsigned long long)opened, (unsigned long long)sent,
        (unsigned long long)answered);
    close(cleanup);
    MEMORY_FREE(writings);
}

/* ahead N FILES: N packets of recipients for each of some files, never committed. */
static void attack_ahead(struct attack *attack) {
    uint64_t count = attack_number(attack), files = attack_number(attack), sent = 0;
    int cleanup = connect_cleanup(attack);
    struct buf rows = buf_make(0);
    struct ipc_cleanup_recipients ahead = {0};
    struct buf address = buf_make(0);
    append_repeated(&address, 'r', 500);
    while (rows.length < 58000 &&
           ipc_list_add(IPC_ROW_RECIPIENT,
                        &(struct ipc_recipient){.address = buf_str(&address), .original = buf_str(&address)}, &rows,
                        &ahead.recipients.count))
        continue;
    ahead.recipients.packed = buf_str(&rows);
    attack_keep(cleanup);
    for (uint64_t i = 0; i < files; i++) {
        struct writing writing;
        if (!open_file(cleanup, (uint32_t)i + 1, &writing)) break;
        close(writing.file);
        ahead.queue_id = str_from(writing.queue_id);
        for (uint64_t j = 0; j < count; j++)
            if (send_typed(cleanup, IPC_CLEANUP_RECIPIENTS, 0, &ahead, -1) == 0) sent++;
    }
    attack_say(attack, "sent %llu", (unsigned long long)sent);
    buf_free(&rows);
    buf_free(&address);
}

/* ---- lookup */

static void attack_table(struct attack *attack) {
    struct ipc_lookup_match question = {.table = attack_word(attack)};
    question.key = attack_word(attack);
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = attack_ask_master(attack, IPC_CONNECT, &wanted, false), descriptor;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    struct ipc_lookup_matched answer;
    struct ipc_failed failed;
    if (send_typed(lookup, IPC_LOOKUP_MATCH, 1, &question, -1) != 0 ||
        !raw_receive(lookup, 1, &packet, &type, &descriptor))
        attack_say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        attack_say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (ipc_decode(buf_str(&packet), IPC_LOOKUP_MATCHED, &answer))
        attack_say(attack, "%s %.*s", answer.found ? "found" : "absent", STR_ARGS(answer.value));
    close(lookup);
    buf_free(&packet);
}

/* The accounts at other servers, which are for smtp. */
static void attack_credentials(struct attack *attack) {
    struct ipc_lookup_credentials question = {.host = attack_word(attack), .nexthop = STR("x"), .sender = STR_EMPTY};
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = attack_ask_master(attack, IPC_CONNECT, &wanted, false), descriptor;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    struct ipc_lookup_credentials_given answer;
    struct ipc_failed failed;
    if (send_typed(lookup, IPC_LOOKUP_CREDENTIALS, 1, &question, -1) != 0 ||
        !raw_receive(lookup, 1, &packet, &type, &descriptor))
        attack_say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        attack_say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (ipc_decode(buf_str(&packet), IPC_LOOKUP_CREDENTIALS_GIVEN, &answer))
        attack_say(attack, "given %.*s", STR_ARGS(answer.password));
    close(lookup);
    buf_free(&packet);
}

/* Questions whose answers are never taken. */
static void attack_unread(struct attack *attack) {
    uint64_t count = attack_number(attack), sent = 0;
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = attack_ask_master(attack, IPC_CONNECT, &wanted, false);
    struct ipc_lookup_match question = {.table = STR("virtual_mailbox_maps"), .key = STR("anna@example.test")};
    attack_keep(lookup);
    patience = 1000;
    while (sent < count && send_typed(lookup, IPC_LOOKUP_MATCH, (uint32_t)sent + 1, &question, -1) == 0)
        sent++;
    patience = 5000;
    attack_say(attack, "asked %llu", (unsigned long long)sent);
}

/* ---- keys: what it signs, gives and takes */

static int connect_keys(struct attack *attack) {
    struct ipc_connect wanted = {.service = STR("keys")};
    return attack_ask_master(attack, IPC_CONNECT, &wanted, false);
}

/* "!chains side name": the names of the keys of each chain. */
static void attack_chains(struct attack *attack) {
    struct ipc_keys_chains question = {.side = attack_number(attack)};
    struct ipc_keys_chains_given answer;
    struct ipc_certificate_chain row;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int keys = connect_keys(attack), descriptor;
    size_t offset = 0;
    bool bad = false;
    question.server_name = attack_word(attack);
    if (send_typed(keys, IPC_KEYS_CHAINS, 1, &question, -1) != 0 || !raw_receive(keys, 1, &packet, &type, &descriptor) ||
        type != IPC_KEYS_CHAINS_GIVEN || !ipc_decode(buf_str(&packet), type, &answer))
        attack_say(attack, "refused");
    else
        while (ipc_list_next(answer.chains, IPC_ROW_CERTIFICATE_CHAIN, &offset, &row, &bad)) {
            buf_append(&attack->out, STR("key "));
            for (size_t i = 0; i < row.key.length; i++)
                buf_printf(&attack->out, "%02x", (unsigned char)row.key.data[i]);
            attack_say(attack, "%s", str_find_str(row.pem, STR("PRIVATE KEY")) == STR_NONE ? "" : " with the private key");
        }
    close(keys);
    buf_free(&packet);
}

static void say_signed(struct attack *attack, int keys, uint32_t serial) {
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int descriptor;
    struct ipc_keys_signed answer;
    struct ipc_failed failed;
    if (!raw_receive(keys, serial, &packet, &type, &descriptor))
        attack_say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        attack_say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (type == IPC_KEYS_SIGNED && ipc_decode(buf_str(&packet), type, &answer))
        attack_say(attack, "signed %zu", answer.signature.length);
    buf_free(&packet);
}

/* "!sign key scheme content [times]": the answers of all but the last are not taken. */
static void attack_sign(struct attack *attack) {
    struct buf name = buf_make(0), content = buf_make(0);
    append_unhex(&name, attack_word(attack));
    struct ipc_keys_sign question = {.key = buf_str(&name), .scheme = attack_number(attack)};
    append_unhex(&content, attack_word(attack));
    question.content = buf_str(&content);
    uint64_t times = attack_number(attack);
    int keys = connect_keys(attack);
    uint32_t sent = 0;
    patience = 200;
    while (sent < times && send_typed(keys, IPC_KEYS_SIGN, sent + 1, &question, -1) == 0)
        sent++;
    patience = 5000;
    if (times > 1) {
        attack_keep(keys);
        attack_say(attack, "asked %u", sent);
    } else {
        say_signed(attack, keys, sent);
        close(keys);
    }
    buf_free(&name);
    buf_free(&content);
}

/* Ticket keys of the attacker's own, as another keys process would hand them over; and whether they come back. */
static void attack_tickets(struct attack *attack) {
    struct buf rows = buf_make(0), packet = buf_make(0);
    struct ipc_keys_tickets_given given = {.good_for = 1000};
    char name[17] = "", secret[65] = "the attacker's own, so that he can read what is under it .......";
    enum ipc_type type;
    int keys = connect_keys(attack), descriptor;
    uint64_t date = (uint64_t)time(NULL);
    for (unsigned i = 0; i < 8; i++)
        name[i] = (char)(date >> (56 - 8 * i));
    memcpy(name + 8, "attacker", 8);
    struct ipc_ticket_key row = {.name = str_make(name, 16), .secret = str_make(secret, 64)};
    if (!ipc_list_add(IPC_ROW_TICKET_KEY, &row, &rows, &given.keys.count)) return;
    given.keys.packed = buf_str(&rows);
    send_typed(keys, IPC_KEYS_TICKETS_GIVEN, 0, &given, -1);
    send_typed(keys, IPC_KEYS_TICKETS, 1, &(struct ipc_keys_tickets){}, -1);
    if (!raw_receive(keys, 1, &packet, &type, &descriptor) || type != IPC_KEYS_TICKETS_GIVEN)
        attack_say(attack, "lost");
    else
        attack_say(attack, "%s", str_find_str(buf_str(&packet), STR("attacker")) == STR_NONE ? "not taken" : "taken");
    close(keys);
    buf_free(&rows);
    buf_free(&packet);
}

/* The socket that it shares with master and with those who come after it. */
static void attack_unlisten(struct attack *attack) {
    (void)attack;
    shutdown(INHERITED_LISTEN, SHUT_RDWR);
    _exit(1);
}

/* ---- the log */

static void attack_log(struct attack *attack) {
    struct buf bytes = buf_make(0);
    append_unhex(&bytes, attack_word(attack));
    attack_say(attack, "log %s", write(INHERITED_LOG, bytes.data, bytes.length) > 0 ? "done" : strerrorname_np(errno));
    attack_say(attack, "error %s", write(STDERR_FILENO, bytes.data, bytes.length) > 0 ? "done" : strerrorname_np(errno));
    buf_free(&bytes);
}

/* ---- the command */

/* ---- auth */

/* One question to auth; false without an answer. */
static bool ask_auth(struct attack *attack, enum ipc_type type, const void *message, struct buf *packet,
                     enum ipc_type *answer) {
    static uint32_t serial = 1;
    struct ipc_connect wanted = {.service = STR("auth")};
    int descriptor = -1;
    int socket = attack_ask_master(attack, IPC_CONNECT, &wanted, false);
    serial++;
    bool answered = socket >= 0 && send_typed(socket, type, serial, message, -1) == 0 &&
                    raw_receive(socket, serial, packet, answer, &descriptor);
    if (socket >= 0) close(socket);
    return answered;
}

/* Guesses at an account's password, each as if it came from an address of its own. The last is right. */
static void attack_guess(struct attack *attack) {
    struct str user = attack_word(attack), right = attack_word(attack);
    uint64_t count = attack_number(attack);
    unsigned outcomes[4] = {0}, lost = 0, hashes = 0;
    for (uint64_t i = 0; i <= count; i++) {
        char address[20];
        struct buf initial = buf_make(0), packet = buf_make(0);
        enum ipc_type type;
        snprintf(address, sizeof address, "10.%u.%u.%u", (unsigned)(i >> 16 & 255), (unsigned)(i >> 8 & 255),
                 (unsigned)(i & 255));
        buf_append_char(&initial, '\0');
        buf_append(&initial, user);
        buf_append_char(&initial, '\0');
        if (i < count)
            buf_printf(&initial, "guess%llu", (unsigned long long)i);
        else
            buf_append(&initial, right);
        struct ipc_auth_begin begin = {.exchange = 1,
                                       .mechanism = STR("PLAIN"),
                                       .has_initial = true,
                                       .initial = buf_str(&initial),
                                       .protocol = STR("smtp"),
                                       .client_address = str_from(address),
                                       .client_name = STR("unknown"),
                                       .local_name = STR_EMPTY,
                                       .realm = STR_EMPTY,
                                       .encrypted = true,
                                       .exporter = STR_EMPTY,
                                       .end_point = STR_EMPTY,
                                       .certificate = STR_EMPTY};
        struct ipc_auth_answer answer;
        if (ask_auth(attack, IPC_AUTH_BEGIN, &begin, &packet, &type) && type == IPC_AUTH_ANSWER &&
            ipc_decode(buf_str(&packet), IPC_AUTH_ANSWER, &answer) && answer.outcome < 4)
            outcomes[answer.outcome]++;
        else
            lost++;
        hashes += str_find_str(buf_str(&packet), STR("$y$")) != STR_NONE;
        buf_free(&initial);
        buf_free(&packet);
    }
    attack_say(attack, "granted %u denied %u later %u lost %u hashes %u", outcomes[AUTH_GRANTED], outcomes[AUTH_DENIED],
        outcomes[AUTH_LATER], lost, hashes);
}

/* An operator's wishes, and the keys that SCRAM shows nobody. */
static void attack_wishes(struct attack *attack) {
    struct str user = attack_word(attack);
    struct buf packet = buf_make(0);
    enum ipc_type type = IPC_NOTHING;
    struct ipc_auth_bans bans = {.after = STR_EMPTY};
    struct ipc_auth_ban_change lift = {.lift = true, .subject = user, .reason = STR_EMPTY};
    struct ipc_auth_ban_change ban = {.subject = user, .reason = STR_EMPTY, .seconds = 1000};
    attack_say(attack, "bans %s", ask_auth(attack, IPC_AUTH_BANS, &bans, &packet, &type) ? ipc_type_name(type) : "lost");
    attack_say(attack, "lift %s", ask_auth(attack, IPC_AUTH_BAN_CHANGE, &lift, &packet, &type) ? ipc_type_name(type) : "lost");
    attack_say(attack, "ban %s", ask_auth(attack, IPC_AUTH_BAN_CHANGE, &ban, &packet, &type) ? ipc_type_name(type) : "lost");
    buf_free(&packet);
}

static const struct {
    const char *name;
    void (*run)(struct attack *attack);
} attacks[] = {
    {"!hello", attack_hello},
    {"!release", attack_release},
    {"!calls", attack_calls},
    {"!call", attack_call},
    {"!descriptors", attack_descriptors},
    {"!connect", attack_connect},
    {"!connect-path", attack_connect_path},
    {"!connections", attack_connections},
    {"!control", attack_control},
    {"!control-flood", attack_control_flood},
    {"!deaf", attack_deaf},
    {"!queue", attack_queue},
    {"!other", attack_other},
    {"!inject", attack_inject},
    {"!memory", attack_memory},
    {"!open", attack_open},
    {"!ahead", attack_ahead},
    {"!commits", attack_commits},
    {"!table", attack_table},
    {"!credentials", attack_credentials},
    {"!unread", attack_unread},
    {"!types", attack_types},
    {"!chains", attack_chains},
    {"!sign", attack_sign},
    {"!tickets", attack_tickets},
    {"!unlisten", attack_unlisten},
    {"!log", attack_log},
    {"!guess", attack_guess},
    {"!wishes", attack_wishes},
};

bool __wrap_cmd_noop(struct session *session, struct str argument) {
    struct attack attack = {.connection = stream_descriptor(session->stream), .words = argument, .out = buf_make(0)};
    struct str name = attack_word(&attack), line, rest;
    for (size_t i = 0; i < ARRAY_LENGTH(attacks); i++)
        if (str_equal(name, str_from(attacks[i].name))) attacks[i].run(&attack);
    rest = buf_str(&attack.out);
    while (str_cut(rest, '\n', &line, &rest))
        reply_line(session, 250, false, line);
    reply_line(session, 250, true, STR("end"));
    buf_free(&attack.out);
    session->errors = session->junk = 0;
    return true;
}
