/* hijacked_imapd: imapd as it is when an attacker runs code in it, for test_hijacked_imapd.py. It is linked from
 * imapd's own object; the linker's --wrap puts what stands here between the dialogue and its lines, and between the
 * front and its loans. A line "!ATTACK words..." before the login runs an attack inside the sandboxed process and is
 * answered by what came of it, a line each, and "end". What sessions save while their clients idle is kept. It is never
 * installed. */
#include "front.h"
#include "hijacked.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum stream_result __real_front_read_line(struct front_client *client, struct str *line);
enum stream_result __wrap_front_read_line(struct front_client *client, struct str *line);
enum front_end __real_front_session_run(struct ipc_client *mailbox, struct front_loan *loan, struct arena *arena,
                                        struct failure *failure);
enum front_end __wrap_front_session_run(struct ipc_client *mailbox, struct front_loan *loan, struct arena *arena,
                                        struct failure *failure);

/* The last state that a session has saved, and the last ticket, which is used up. */
static struct buf saved, used_ticket;
static unsigned saved_count;

enum front_end __wrap_front_session_run(struct ipc_client *mailbox, struct front_loan *loan, struct arena *arena,
                                        struct failure *failure) {
    if (loan->ticket.length > 0) {
        buf_clear(&used_ticket);
        buf_append(&used_ticket, loan->ticket);
    }
    enum front_end end = __real_front_session_run(mailbox, loan, arena, failure);
    if (end == FRONT_IDLE) {
        buf_clear(&saved);
        buf_append(&saved, loan->new_state);
        saved_count++;
    }
    return end;
}

static int connect_to(struct attack *attack, struct str service) {
    struct ipc_connect wanted = {.service = service};
    return attack_ask_master(attack, IPC_CONNECT, &wanted, false);
}

/* One question; the type of the answer, IPC_NOTHING: none. */
static enum ipc_type ask(int socket, enum ipc_type type, const void *message, int descriptor, struct buf *packet) {
    static uint32_t serial = 1;
    enum ipc_type answer = IPC_NOTHING;
    int got = -1;
    serial++;
    if (send_typed(socket, type, serial, message, descriptor) != 0 ||
        !raw_receive(socket, serial, packet, &answer, &got))
        answer = IPC_NOTHING;
    if (got >= 0) close(got);
    return answer;
}

/* ---- mailbox: sessions without a login */

struct tries {
    unsigned opened, refused, lost;
};

static void try_open(int mailbox, struct str ticket, struct str state, struct tries *tries) {
    struct ipc_mailbox_open open = {.ticket = ticket, .state = state};
    struct buf packet = buf_make(0);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return;
    enum ipc_type answer = ask(mailbox, IPC_MAILBOX_OPEN, &open, pair[1], &packet);
    tries->opened += answer == IPC_MAILBOX_OPENED;
    tries->refused += answer == IPC_FAILED;
    tries->lost += answer == IPC_NOTHING;
    close(pair[0]);
    close(pair[1]);
    buf_free(&packet);
}

static void say_tries(struct attack *attack, const char *what, const struct tries *tries) {
    attack_say(attack, "%s opened %u refused %u lost %u", what, tries->opened, tries->refused, tries->lost);
}

/* tickets N: made up, used already, near to a used one, empty, too short. */
static void attack_tickets(struct attack *attack) {
    uint64_t count = attack_number(attack);
    int mailbox = connect_to(attack, STR("mailbox"));
    struct tries guesses = {0}, used = {0};
    char text[33];
    for (uint64_t i = 0; i < count; i++) {
        for (size_t j = 0; j < 32; j++)
            text[j] = "0123456789abcdef"[random() & 15];
        try_open(mailbox, str_make(text, 32), STR_EMPTY, &guesses);
    }
    say_tries(attack, "guesses", &guesses);
    try_open(mailbox, buf_str(&used_ticket), STR_EMPTY, &used);
    for (size_t i = 0; i < used_ticket.length; i++) {
        used_ticket.data[i] = (char)(used_ticket.data[i] ^ 1);
        try_open(mailbox, buf_str(&used_ticket), STR_EMPTY, &used);
        used_ticket.data[i] = (char)(used_ticket.data[i] ^ 1);
    }
    try_open(mailbox, STR_EMPTY, STR_EMPTY, &used);
    try_open(mailbox, STR("0"), STR_EMPTY, &used);
    say_tries(attack, "used", &used);
    close(mailbox);
}

/* The state with some text of it in place of another of the same length or not. */
static void try_replaced(int mailbox, struct str from, struct str to, struct tries *tries) {
    struct str state = buf_str(&saved);
    size_t at = str_find_str(state, from);
    struct buf altered = buf_make(0);
    if (at == STR_NONE) {
        tries->lost++;
        return;
    }
    buf_append(&altered, str_slice(state, 0, at));
    buf_append(&altered, to);
    buf_append(&altered, str_from_offset(state, at + from.length));
    try_open(mailbox, STR_EMPTY, buf_str(&altered), tries);
    buf_free(&altered);
}

/* states LOGIN OTHER: the saved state altered in each octet, cut at each, with other words; and whole made-up ones. */
static void attack_states(struct attack *attack) {
    struct str login = attack_word(attack), other = attack_word(attack);
    int mailbox = connect_to(attack, STR("mailbox"));
    struct tries flipped = {0}, cut = {0}, words = {0}, made = {0};
    struct buf text = buf_make(0);
    for (size_t i = 0; i < saved.length; i++) {
        saved.data[i] = (char)(saved.data[i] ^ 1);
        try_open(mailbox, STR_EMPTY, buf_str(&saved), &flipped);
        saved.data[i] = (char)(saved.data[i] ^ 1);
        try_open(mailbox, STR_EMPTY, str_slice(buf_str(&saved), 0, i), &cut);
    }
    try_replaced(mailbox, login, other, &words);
    try_replaced(mailbox, str_slice(login, 0, 3), str_slice(other, 0, 3), &words);
    try_replaced(mailbox, STR("/Maildir"), STR("/../../"), &words);
    try_replaced(mailbox, STR(" imap\n"), STR(" pop3\n"), &words);
    try_replaced(mailbox, STR("imap\n"), STR("imap\n/\n"), &words);
    for (unsigned octet = 0; octet < 256; octet++) { /* as if sealed with a key of zeroes, or not at all */
        buf_clear(&text);
        buf_append_char(&text, (char)other.length);
        buf_append(&text, other);
        append_repeated(&text, (char)octet, 48);
        buf_append(&text, STR("0 0 0 0 0 1 imap\n/\n/tmp\n127.0.0.1\n"));
        try_open(mailbox, STR_EMPTY, buf_str(&text), &made);
    }
    attack_say(attack, "octets %zu", saved.length);
    say_tries(attack, "flipped", &flipped);
    say_tries(attack, "cut", &cut);
    say_tries(attack, "words", &words);
    say_tries(attack, "made", &made);
    buf_free(&text);
    close(mailbox);
}

/* The state as it was saved: what shows that the others were refused for what was altered. */
static void attack_genuine(struct attack *attack) {
    int mailbox = connect_to(attack, STR("mailbox"));
    struct tries tries = {0};
    try_open(mailbox, STR_EMPTY, buf_str(&saved), &tries);
    say_tries(attack, "genuine", &tries);
    close(mailbox);
}

/* How many states have been saved so far. */
static void attack_saved(struct attack *attack) {
    attack_say(attack, "saved %u", saved_count);
}

/* admit LOGIN UID PATH: as auth would. */
static void attack_admit(struct attack *attack) {
    struct str login = attack_word(attack);
    uint64_t uid = attack_number(attack);
    struct str path = attack_word(attack);
    struct ipc_mailbox_admit admit = {.ticket = STR("0123456789abcdef0123456789abcdef"),
                                      .protocol = STR("imap"),
                                      .login = login,
                                      .uid = uid,
                                      .gid = uid,
                                      .root = path,
                                      .cache = STR("/tmp"),
                                      .client_address = STR("127.0.0.1")};
    struct buf packet = buf_make(0);
    struct tries tries = {0};
    int mailbox = connect_to(attack, STR("mailbox"));
    attack_say(attack, "admit %s", ipc_type_name(ask(mailbox, IPC_MAILBOX_ADMIT, &admit, -1, &packet)));
    try_open(mailbox, admit.ticket, STR_EMPTY, &tries);
    say_tries(attack, "ticket", &tries);
    buf_free(&packet);
    close(mailbox);
}

/* An operator's wishes, to mailbox and to auth. */
static void attack_wishes(struct attack *attack) {
    struct str login = attack_word(attack);
    struct buf packet = buf_make(0);
    int mailbox = connect_to(attack, STR("mailbox")), auth = connect_to(attack, STR("auth"));
    struct ipc_session_list list = {.after = STR_EMPTY};
    struct ipc_session_kick kick = {.login = STR_EMPTY, .session = STR_EMPTY};
    struct ipc_auth_account account = {.name = login};
    struct ipc_auth_bans bans = {.after = STR_EMPTY};
    struct ipc_auth_ban_change ban = {.subject = login, .reason = STR_EMPTY, .seconds = 1000};
    attack_say(attack, "list %s", ipc_type_name(ask(mailbox, IPC_SESSION_LIST, &list, -1, &packet)));
    attack_say(attack, "kick %s", ipc_type_name(ask(mailbox, IPC_SESSION_KICK, &kick, -1, &packet)));
    attack_say(attack, "account %s", ipc_type_name(ask(auth, IPC_AUTH_ACCOUNT, &account, -1, &packet)));
    attack_say(attack, "bans %s", ipc_type_name(ask(auth, IPC_AUTH_BANS, &bans, -1, &packet)));
    attack_say(attack, "ban %s", ipc_type_name(ask(auth, IPC_AUTH_BAN_CHANGE, &ban, -1, &packet)));
    buf_free(&packet);
    close(mailbox);
    close(auth);
}

/* login MECHANISM INITIAL-IN-HEX CERTIFICATE PROTOCOL: a login of its own making; what auth gives. */
static void attack_login(struct attack *attack) {
    struct str mechanism = attack_word(attack);
    struct buf initial = buf_make(0), packet = buf_make(0);
    append_unhex(&initial, attack_word(attack));
    struct str certificate = attack_word(attack), protocol = attack_word(attack);
    struct ipc_auth_begin begin = {.exchange = 1,
                                   .mechanism = mechanism,
                                   .has_initial = true,
                                   .initial = buf_str(&initial),
                                   .protocol = protocol,
                                   .client_address = STR("127.0.0.1"),
                                   .client_name = STR("unknown"),
                                   .local_name = STR("x"),
                                   .realm = STR_EMPTY,
                                   .encrypted = true,
                                   .exporter = STR_EMPTY,
                                   .end_point = STR_EMPTY,
                                   .certificate = str_equal(certificate, STR("-")) ? STR_EMPTY : certificate};
    struct ipc_auth_answer answer;
    int auth = connect_to(attack, STR("auth"));
    enum ipc_type type = ask(auth, IPC_AUTH_BEGIN, &begin, -1, &packet);
    if (type == IPC_AUTH_ANSWER && ipc_decode(buf_str(&packet), type, &answer)) {
        const char *name = answer.outcome == AUTH_GRANTED  ? "granted"
                           : answer.outcome == AUTH_DENIED ? "denied"
                           : answer.outcome == AUTH_LATER  ? "later"
                                                           : "go-on";
        bool hash = str_find_str(buf_str(&packet), STR("$y$")) != STR_NONE ||
                    str_find_str(buf_str(&packet), STR("{CRYPT}")) != STR_NONE;
        attack_say(attack, "%s %s%s", name,
                   str_find_str(answer.fields.packed, STR("ticket")) != STR_NONE ? "ticket" : "nothing",
                   hash ? " hash" : "");
    } else {
        attack_say(attack, "%s", ipc_type_name(type));
    }
    buf_free(&initial);
    buf_free(&packet);
    close(auth);
}

/* ---- the line */

static const struct {
    const char *name;
    void (*run)(struct attack *attack);
} attacks[] = {
    {"!hello", attack_hello},     {"!calls", attack_calls},
    {"!call", attack_call},       {"!descriptors", attack_descriptors},
    {"!connect", attack_connect}, {"!connect-path", attack_connect_path},
    {"!types", attack_types},     {"!tickets", attack_tickets},
    {"!states", attack_states},   {"!genuine", attack_genuine},
    {"!admit", attack_admit},     {"!wishes", attack_wishes},
    {"!login", attack_login},     {"!release", attack_release},
    {"!saved", attack_saved},
};

static void run_attack(struct front_client *client, struct str line) {
    struct attack attack = {.connection = stream_descriptor(client->stream), .words = line, .out = buf_make(0)};
    struct buf words = buf_make(0); /* the line is the stream's */
    buf_append(&words, line);
    attack.words = buf_str(&words);
    struct str name = attack_word(&attack), rest, one;
    for (size_t i = 0; i < ARRAY_LENGTH(attacks); i++)
        if (str_equal(name, str_from(attacks[i].name))) attacks[i].run(&attack);
    struct buf answer = buf_make(0);
    rest = buf_str(&attack.out);
    while (str_cut(rest, '\n', &one, &rest))
        buf_printf(&answer, "%.*s\r\n", STR_ARGS(one));
    buf_append(&answer, STR("end\r\n"));
    stream_set_deadline(client->stream, deadline_in(ANSWER_TIME));
    if (stream_write(client->stream, buf_str(&answer)) == STREAM_OK) (void)!stream_flush(client->stream);
    buf_free(&answer);
    buf_free(&attack.out);
    buf_free(&words);
}

enum stream_result __wrap_front_read_line(struct front_client *client, struct str *line) {
    for (;;) {
        enum stream_result result = __real_front_read_line(client, line);
        if (result != STREAM_OK || line->length == 0 || line->data[0] != '!') return result;
        run_attack(client, *line);
    }
}
