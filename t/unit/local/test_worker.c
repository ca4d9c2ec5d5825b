/* Unit table of the worker as a process: many steps at once over its socket, the
 * end of the socket, becoming a user, and what the filter leaves. */
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "setup.h"

#define MESSAGES 200

static void send_step(int socket, uint32_t serial) {
    struct buf packet = buf_make(0);
    char id[24];
    snprintf(id, sizeof id, "Q%u", serial);
    setup.work.queue_id = str_from(id);
    setup.work.step = STEP_VIRTUAL;
    assert_true(ipc_encode(IPC_LOCAL_WORK, serial, &setup.work, &packet));
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = packet.data, .iov_len = packet.length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &setup.file, sizeof(int));
    assert_int_equal(sendmsg(socket, &message, 0), packet.length);
    buf_free(&packet);
}

static void expect_answer(int socket, bool *answered) {
    char packet[4096];
    ssize_t got = recv(socket, packet, sizeof packet, 0);
    assert_true(got > 0);
    enum ipc_type type;
    uint32_t serial;
    struct ipc_local_worked worked;
    assert_true(ipc_peek(str_make(packet, (size_t)got), &type, &serial));
    assert_int_equal(type, IPC_LOCAL_WORKED);
    assert_true(ipc_decode(str_make(packet, (size_t)got), type, &worked));
    assert_true(serial < MESSAGES && !answered[serial]);
    answered[serial] = true;
    if (worked.action != DELIVERY_DELIVERED) print_message("%.*s\n", STR_ARGS(worked.text));
    assert_int_equal(worked.action, DELIVERY_DELIVERED);
}

static void test_many(void **state) {
    (void)state;
    int pair[2];
    bool answered[MESSAGES] = {false};
    setup_message("Subject: x\n\nbody\n");
    setup.config.virtual_mailbox_base = str_from(setup.top);
    struct buf target = buf_make(0);
    buf_printf(&target, "%s/alice/", setup.top);
    setup.work.target = buf_str(&target);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(fchown(setup.directory, 65534, 65534), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid_t child = fork();
    if (child == 0) {
        struct failure failure;
        close(pair[0]);
        uint32_t uid = root ? 65534 : geteuid();
        if (!become_user(uid, root ? 65534 : getegid(), "", &failure)) _exit(10);
        if (root && (getuid() != uid || getgid() != 65534 || setgroups(0, NULL) == 0)) _exit(11);
        if (!worker_lock_in(&failure)) _exit(12);
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0) _exit(13);
        worker_run(&setup.config, pair[1], 16);
        _exit(0);
    }
    close(pair[1]);
    for (uint32_t sent = 0, got = 0; got < MESSAGES; got++) {
        while (sent < MESSAGES && sent < got + 50)
            send_step(pair[0], sent++);
        expect_answer(pair[0], answered);
    }
    assert_int_equal(entries("alice/new", NULL), MESSAGES);
    assert_int_equal(entries("alice/tmp", NULL), 0);
    close(pair[0]);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    buf_free(&target);
}

static void test_become(void **state) {
    (void)state;
    struct failure failure;
    assert_false(become_user(0, 0, "", &failure));
    assert_string_equal(failure.text, "refusing to serve as root");
    if (geteuid() != 0) assert_false(become_user(geteuid() + 1, getegid(), "", &failure));
}

static void test_steps(void **state) {
    (void)state;
    setup_message("Delivered-To: alice@example.test\n\nbody\n");
    setup.work.step = STEP_CHECK;
    worker_step(&setup.config, &setup.work, setup.file, &setup.worked);
    assert_int_equal(setup.worked.action, DELIVERY_FAILED);
    assert_string_equal(setup.worked.status, "5.4.6");
    assert_string_equal(setup.worked.text, "mail forwarding loop for alice@example.test");
    static const char *const outside[] = {"/etc/alice/", "", "/"};
    for (size_t i = 0; i < ARRAY_LENGTH(outside); i++) {
        setup.work.step = STEP_VIRTUAL;
        setup.work.target = str_from(outside[i]);
        setup.config.virtual_mailbox_base = str_from(setup.top);
        worker_step(&setup.config, &setup.work, setup.file, &setup.worked);
        assert_deferred("4.3.5");
    }
    setup.work.step = STEP_FILE;
    setup.work.target = STR("/dev/null");
    worker_step(&setup.config, &setup.work, setup.file, &setup.worked);
    assert_int_equal(setup.worked.action, DELIVERY_DELIVERED);
    setup.work.step = STEP_MAILBOX;
    setup.config.mail_spool_directory = str_from(setup.top);
    static const char *const users[] = {"", "../x", ".x", "a/b"};
    for (size_t i = 0; i < ARRAY_LENGTH(users); i++) {
        setup.work.user = str_from(users[i]);
        worker_step(&setup.config, &setup.work, setup.file, &setup.worked);
        assert_deferred("4.3.5");
    }
    setup.work.user = STR("alice");
    worker_step(&setup.config, &setup.work, setup.file, &setup.worked);
    assert_int_equal(setup.worked.action, DELIVERY_DELIVERED);
    assert_non_null(setup_read("alice"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {TEST(test_many), TEST(test_become), TEST(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
