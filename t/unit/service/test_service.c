/* The skeleton's whole life, with the test in master's place: start, sessions and their limit,
 * connections to others, waking, draining, master's end. The child is a real process in its sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_load.h"
#include "ipc_socket.h"
#include "service.h"

enum { PATIENCE_MS = 10000 };

/* ---- the daemon: answers one letter with one line */

static unsigned wakes;
static unsigned ticks;
static bool drain_called;
static unsigned stops;

static void answer_letter(struct service *service, int connection, char letter) {
    char line[600];
    struct failure failure = {0};
    int descriptor;
    switch (letter) {
    case 'n': /* names */
        snprintf(line, sizeof(line), "%.*s %.*s %u", STR_ARGS(service_name(service)), STR_ARGS(service_program(service)),
                 service_sessions(service));
        break;
    case 'o': /* opens a file */
        descriptor = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        snprintf(line, sizeof(line), "%s", descriptor < 0 ? "refused" : "opened");
        break;
    case 'c': /* connects to a service */
    case 'C': /* to one that is none of its business */
        descriptor = service_connect(service, letter == 'c' ? STR("lookup") : STR("qmgr"), deadline_in(PATIENCE_MS), &failure);
        snprintf(line, sizeof(line), "%s", descriptor < 0 ? failure.text : "connected");
        if (descriptor >= 0) close(descriptor);
        break;
    case 's':
        snprintf(line, sizeof(line), "%s %u", service_is_stopping(service) ? "stopping" : "going on", stops);
        break;
    case 'w':
        snprintf(line, sizeof(line), "%u", wakes);
        break;
    default:
        snprintf(line, sizeof(line), "?");
        break;
    }
    (void)!write(connection, line, strlen(line));
}

/* What an interrupted session still has to say finds its client alive, and no connection. */
static void tell_of_interruption(struct ipc_client *client) {
    struct failure failure;
    if (ipc_tell(client, IPC_WAKE, &(struct ipc_wake){}, deadline_in(PATIENCE_MS), &failure) != IPC_CANCELLED) _exit(8);
}

static void session(struct service *service, int connection, unsigned listener) {
    struct ipc_client *lookup = service_client(service, "lookup", NULL, NULL);
    char letter;
    (void)listener;
    while (task_wait_readable(connection, DEADLINE_NEVER) == WAIT_READY && read(connection, &letter, 1) == 1)
        answer_letter(service, connection, letter);
    if (task_is_cancelled(task_current())) tell_of_interruption(lookup);
    task_forget_descriptor(connection);
    close(connection);
}

static bool prepare(struct service *service, struct failure *failure) {
    *(bool *)service_context(service) = false;
    if (str_equal(service_name(service), STR("badly-prepared"))) return failure_set(failure, "not today");
    return true;
}

static bool start(struct service *service, struct failure *failure) {
    task_sleep(5);
    if (str_equal(service_name(service), STR("badly-started"))) return failure_set(failure, "not now");
    return true;
}

static void wake(struct service *service) {
    (void)service;
    wakes++;
}

static void tick(struct service *service) {
    (void)service;
    ticks++;
}

static void drain(struct service *service) {
    task_sleep(20);
    *(bool *)service_context(service) = service_is_draining(service);
}

static void stop(struct service *service) { stops += service_is_stopping(service) && service_is_draining(service); }

static const struct service_declaration declaration = {
    .program = "smtpd",
    .prepare = prepare,
    .start = start,
    .session = session,
    .wake = wake,
    .tick = tick,
    .drain = drain,
    .stop = stop,
    .session_limit = 2,
    .context = &drain_called,
};

/* ---- master's side */

struct birth {
    pid_t pid;
    struct ipc_socket control;
    int log;
};

static char workspace[] = "/tmp/tern-service-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listening;
static int configuration;
static int hasty_configuration; /* drain_time = 0 */

NO_RETURN static void become_daemon(const char *name, int control, int log) {
    const int given[] = {control, log, configuration, listening};
    int moved[ARRAY_LENGTH(given)];
    char *arguments[] = {(char *)(uintptr_t) "smtpd", (char *)(uintptr_t) "-n", (char *)(uintptr_t) "1",
                         (char *)(uintptr_t) "-s",    (char *)(uintptr_t)name,  NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) moved[i] = fcntl(given[i], F_DUPFD, 100);
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) dup2(moved[i], INHERITED_CONTROL + (int)i);
    close_range(INHERITED_LISTEN + 1, ~0U, 0);
    int status = service_run(5, arguments, &declaration);
    _exit(status == 0 && !drain_called && strcmp(name, "abandoned") != 0 ? 9 : status);
}

static struct birth give_birth(const char *name) {
    int control[2];
    int log[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) become_daemon(name, control[1], log[1]);
    assert_true(pid > 0);
    close(control[1]);
    close(log[1]);
    struct birth birth = {.pid = pid, .log = log[0]};
    ipc_socket_open(&birth.control, control[0]);
    return birth;
}

static struct ipc_packet hear(struct birth *birth, enum ipc_type expected) {
    struct ipc_packet packet;
    enum ipc_transfer got;
    while ((got = ipc_socket_receive(&birth->control, &packet)) == IPC_TRANSFER_AGAIN)
        assert_int_equal(task_wait_readable(birth->control.descriptor, deadline_in(PATIENCE_MS)), WAIT_READY);
    assert_int_equal(got, IPC_TRANSFER_DONE);
    assert_string_equal(ipc_type_name(packet.type), ipc_type_name(expected));
    return packet;
}

static void tell(struct birth *birth, enum ipc_type type, uint32_t serial, const void *message, int descriptor) {
    assert_int_equal(ipc_socket_send(&birth->control, type, serial, message, descriptor, deadline_in(PATIENCE_MS)),
                     IPC_TRANSFER_DONE);
}

static int end_status(struct birth *birth) {
    int status;
    assert_int_equal(waitpid(birth->pid, &status, 0), birth->pid);
    ipc_socket_close(&birth->control);
    close(birth->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int call_in(void) {
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(connection, (const struct sockaddr *)&address, sizeof(address)), 0);
    return connection;
}

static void say(int connection, char letter) { assert_int_equal(write(connection, &letter, 1), 1); }

static void expect_line(int connection, const char *expected) {
    char line[600];
    assert_int_equal(task_wait_readable(connection, deadline_in(PATIENCE_MS)), WAIT_READY);
    ssize_t length = read(connection, line, sizeof(line) - 1);
    assert_true(length >= 0);
    line[length] = '\0';
    assert_string_equal(line, expected);
}

static void expect_load(struct birth *birth, bool full, uint64_t sessions) {
    struct ipc_load load;
    struct ipc_packet packet = hear(birth, IPC_LOAD);
    assert_true(ipc_decode(packet.bytes, IPC_LOAD, &load));
    assert_int_equal(load.full, full);
    assert_int_equal(load.sessions, sessions);
}

/* ---- the tests */

static void sessions_up_to_the_limit(void **state) {
    (void)state;
    struct birth birth = give_birth("submission");
    hear(&birth, IPC_READY);
    int one = call_in();
    say(one, 'n');
    expect_line(one, "submission smtpd 1");
    say(one, 'o');
    expect_line(one, "refused");
    int two = call_in();
    expect_load(&birth, true, 2);
    int three = call_in(); /* waits in the socket's queue */
    say(three, 'n');
    assert_int_equal(task_wait_readable(three, deadline_in(100)), WAIT_TIMEOUT);
    close(two);
    expect_line(three, "submission smtpd 2");
    /* Full, free and full again, or told nothing since it came out the same. */
    say(one, 'n');
    expect_line(one, "submission smtpd 2");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){}, -1);
    say(one, 'n');
    expect_line(one, "submission smtpd 2");
    close(one);
    close(three);
    assert_int_equal(end_status(&birth), 0);
}

static void connections_to_others(void **state) {
    (void)state;
    struct birth birth = give_birth("smtp");
    struct ipc_connect wanted;
    hear(&birth, IPC_READY);
    int caller = call_in();
    say(caller, 'c');
    struct ipc_packet packet = hear(&birth, IPC_CONNECT);
    assert_true(ipc_decode(packet.bytes, IPC_CONNECT, &wanted));
    assert_true(str_equal(wanted.service, STR("lookup")));
    tell(&birth, IPC_CONNECTED, packet.serial, &(struct ipc_connected){}, caller);
    expect_line(caller, "connected");
    say(caller, 'c');
    packet = hear(&birth, IPC_CONNECT);
    struct ipc_failed failed = {.reply_code = 451, .status = STR("4.3.0"), .text = STR("lookup is down")};
    tell(&birth, IPC_FAILED, packet.serial, &failed, -1);
    expect_line(caller, "lookup is down");
    say(caller, 'C');
    expect_line(caller, "smtpd has no business with qmgr");
    tell(&birth, IPC_WAKE, 0, &(struct ipc_wake){}, -1);
    tell(&birth, IPC_WAKE, 0, &(struct ipc_wake){}, -1);
    char line[10] = "0";
    for (int i = 0; i < 100 && line[0] == '0'; i++) {
        say(caller, 'w');
        assert_int_equal(task_wait_readable(caller, deadline_in(PATIENCE_MS)), WAIT_READY);
        assert_int_equal(read(caller, line, sizeof(line)), 1);
    }
    assert_true(line[0] == '1' || line[0] == '2');
    close(caller);
    kill(birth.pid, SIGTERM);
    assert_int_equal(end_status(&birth), 0);
}

/* With a session under way that would wait for ever. */
static void masters_end_is_ours(void **state) {
    (void)state;
    struct birth birth = give_birth("abandoned");
    hear(&birth, IPC_READY);
    int caller = call_in();
    say(caller, 'n');
    expect_line(caller, "abandoned smtpd 1");
    deadline before = clock_monotonic();
    ipc_socket_close(&birth.control);
    assert_int_equal(end_status(&birth), 0);
    assert_true(clock_monotonic() - before < 4000);
    close(caller);
}

static void drained_before_it_is_ready(void **state) {
    (void)state;
    struct birth birth = give_birth("smtp");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){}, -1);
    assert_int_equal(end_status(&birth), 0);
}

/* Says it until the daemon has taken in what it was told just before. */
static void expect_soon(int connection, char letter, const char *expected) {
    char line[600] = "";
    for (int i = 0; i < 100 && strcmp(line, expected) != 0; i++) {
        if (i > 0) task_sleep(10);
        say(connection, letter);
        assert_int_equal(task_wait_readable(connection, deadline_in(PATIENCE_MS)), WAIT_READY);
        ssize_t length = read(connection, line, sizeof(line) - 1);
        assert_true(length > 0);
        line[length] = '\0';
    }
    assert_string_equal(line, expected);
}

static void a_stop_after_a_reload(void **state) {
    (void)state;
    struct birth birth = give_birth("smtp");
    hear(&birth, IPC_READY);
    int caller = call_in();
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){}, -1);
    say(caller, 's');
    expect_line(caller, "going on 0");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){.stopping = true}, -1);
    expect_soon(caller, 's', "stopping 1");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){.stopping = true}, -1);
    task_sleep(20);
    say(caller, 's');
    expect_line(caller, "stopping 1");
    close(caller);
    assert_int_equal(end_status(&birth), 0);
}

static void a_reload_and_no_time(void **state) {
    (void)state;
    int patient = configuration;
    configuration = hasty_configuration;
    struct birth birth = give_birth("smtp");
    configuration = patient;
    hear(&birth, IPC_READY);
    int caller = call_in();
    say(caller, 's');
    expect_line(caller, "going on 0");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){}, -1);
    expect_soon(caller, 's', "stopping 1");
    tell(&birth, IPC_DRAIN, 0, &(struct ipc_drain){.stopping = true}, -1);
    say(caller, 's');
    expect_line(caller, "stopping 1");
    close(caller);
    assert_int_equal(end_status(&birth), 0);
}

static void a_signal_from_outside(void **state) {
    (void)state;
    struct birth birth = give_birth("smtp");
    hear(&birth, IPC_READY);
    assert_int_equal(kill(birth.pid, SIGTERM), 0);
    hear(&birth, IPC_LEAVING);
    assert_int_equal(end_status(&birth), 0);
}

static void expect_log(struct birth *birth, const char *text) {
    char line[2048];
    assert_int_equal(task_wait_readable(birth->log, deadline_in(PATIENCE_MS)), WAIT_READY);
    ssize_t length = read(birth->log, line, sizeof(line));
    assert_true(length > 0);
    assert_true(str_find_str(str_make(line, (size_t)length), str_from(text)) != STR_NONE);
}

static void failures_are_logged(void **state) {
    (void)state;
    struct birth birth = give_birth("badly-prepared");
    expect_log(&birth, "fatal: not today");
    assert_int_equal(end_status(&birth), 1);
    birth = give_birth("badly-started");
    expect_log(&birth, "fatal: not now");
    assert_int_equal(end_status(&birth), 1);
}

static bool make_configuration(const char *setting, int *sealed) {
    struct failure failure;
    struct config *config;
    struct buf text = buf_make(0);
    struct config_system machine = {.hostname = STR("host.example.org")};
    /* Everything runs as this very user. */
    buf_printf(&text, "queue_directory = %s\nmail_owner = root\n%s\n", workspace, setting);
    bool good = config_evaluate(buf_str(&text), "main.cf", &machine, NULL, 0, SCOPE_ALL, &config, NULL, &failure);
    buf_free(&text);
    if (good) {
        good = config_seal(config, SCOPE_SMTPD, sealed, &failure);
        config_free(&config);
    }
    if (!good) print_error("%s\n", failure.text);
    return good;
}

static int set_up(void **state) {
    (void)state;
    assert_non_null(mkdtemp(workspace));
    if (!make_configuration("", &configuration) || !make_configuration("drain_time = 0", &hasty_configuration)) return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", workspace);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    return listen(listening, 10);
}

static int clean_up(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof(path), "%s/empty", workspace);
    rmdir(path);
    unlink(address.sun_path);
    rmdir(workspace);
    close(listening);
    close(configuration);
    close(hasty_configuration);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_up_to_the_limit),
        cmocka_unit_test(connections_to_others),
        cmocka_unit_test(masters_end_is_ours),
        cmocka_unit_test(drained_before_it_is_ready),
        cmocka_unit_test(a_stop_after_a_reload),
        cmocka_unit_test(a_reload_and_no_time),
        cmocka_unit_test(a_signal_from_outside),
        cmocka_unit_test(failures_are_logged),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
