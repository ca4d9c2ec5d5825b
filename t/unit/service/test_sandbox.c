/* The sandbox of every row of services.def: a child takes it on and tries what the row forbids and
 * what it allows. Run by root, each row is tried twice: with its own user and root directory, and as
 * a private instance of an ordinary user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "sandbox.h"

enum { TEST_USER = 20001, OTHER_USER = 20002, DIED = 255, WRONG = 254, PLAN_FAILED = 253, LARGEST_FILE = 1 << 20 };

static char workspace[] = "/tmp/tern-sandbox-XXXXXX";
static char outside[64]; /* a file in a directory that anybody may write */
static int listening;
static int given; /* a file that is open for writing, as a queue file is in its writer's hands */
static bool have_landlock;

/* ---- what is tried; each returns 0 or the errno of the refusal */

struct trial {
    const struct sandbox *sandbox;
};

static int outcome(bool done) { return done ? 0 : errno; }

static int try_ordinary_work(const struct trial *trial) {
    int pair[2];
    char bytes[100000];
    struct stat status;
    (void)trial;
    int set = epoll_create1(EPOLL_CLOEXEC);
    int event = eventfd(0, EFD_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN};
    if (set < 0 || event < 0 || pipe2(pair, O_CLOEXEC) < 0) return outcome(false);
    if (epoll_ctl(set, EPOLL_CTL_ADD, event, &interest) < 0 || epoll_wait(set, &interest, 1, 0) < 0) return outcome(false);
    if (write(pair[1], "x", 1) != 1 || read(pair[0], bytes, 1) != 1) return outcome(false);
    if (getrandom(bytes, 10, 0) != 10 || fstat(pair[0], &status) < 0) return outcome(false);
    char *memory = malloc((size_t)3 << 20);
    if (!memory) return ENOMEM;
    memset(memory, 1, (size_t)3 << 20);
    char *larger = realloc(memory, (size_t)6 << 20);
    if (!larger) return ENOMEM;
    free(larger);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return outcome(false);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int try_accept(const struct trial *trial) {
    (void)trial;
    int connection = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    return connection >= 0 || errno == EAGAIN ? 0 : errno;
}

static int try_read_passwd(const struct trial *trial) {
    (void)trial;
    return outcome(open("/etc/passwd", O_RDONLY) >= 0);
}

static int try_write_outside(const struct trial *trial) {
    (void)trial;
    return outcome(open(outside, O_WRONLY | O_CREAT | O_TRUNC, 0600) >= 0);
}

static int try_own_files(const struct trial *trial) {
    int directory = trial->sandbox->directory;
    if (directory < 0) return EACCES; /* no directory of its own */
    int file = openat(directory, "new", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return outcome(false);
    if (write(file, "x", 1) != 1 || fsync(file) < 0 || ftruncate(file, 0) < 0 || close(file) < 0) return outcome(false);
    if (mkdirat(directory, "folder", 0700) < 0 && errno != EEXIST) return outcome(false);
    if (renameat(directory, "new", directory, "folder/renamed") < 0) return outcome(false);
    if (linkat(directory, "folder/renamed", directory, "linked", 0) < 0) return outcome(false);
    return outcome(unlinkat(directory, "linked", 0) == 0 && unlinkat(directory, "folder/renamed", 0) == 0);
}

static int try_map_file(const struct trial *trial) {
    (void)trial;
    int file = memfd_create("mapped", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 4096) < 0) return outcome(false);
    return outcome(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) != MAP_FAILED);
}

static int try_network(const struct trial *trial) {
    (void)trial;
    int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one < 0) return outcome(false);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(one, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == ECONNREFUSED ? 0 : errno;
}

static int try_local_socket(const struct trial *trial) {
    (void)trial;
    return outcome(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}

static int try_raw_socket(const struct trial *trial) {
    (void)trial;
    return outcome(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

static int try_execute(const struct trial *trial) {
    (void)trial;
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    char *environment[] = {NULL};
    execve("/bin/true", arguments, environment);
    return errno;
}

static int try_fork(const struct trial *trial) {
    (void)trial;
    pid_t child = fork();
    if (child == 0) _exit(0);
    return outcome(child > 0 && waitpid(child, NULL, 0) == child);
}

static void *do_nothing(void *argument) { return argument; }

static int try_thread(const struct trial *trial) {
    pthread_t thread;
    (void)trial;
    int error = pthread_create(&thread, NULL, do_nothing, NULL);
    return error ? error : pthread_join(thread, NULL);
}

static int try_ptrace(const struct trial *trial) {
    (void)trial;
    return outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0);
}

static int try_signal(const struct trial *trial) {
    (void)trial;
    return outcome(kill(getppid(), 0) == 0);
}

/* Through a descriptor's owner the kernel signals for whoever set it. */
static int try_signal_by_descriptor(const struct trial *trial) {
    int pair[2];
    (void)trial;
    if (pipe2(pair, O_CLOEXEC) < 0) return 0; /* wrong: this is allowed */
    return outcome(fcntl(pair[0], F_SETOWN, getppid()) == 0);
}

static int try_process_descriptor(const struct trial *trial) {
    (void)trial;
    return outcome(syscall(SYS_pidfd_open, getppid(), 0) >= 0);
}

static int try_read_parent(const struct trial *trial) {
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    (void)trial;
    return outcome(syscall(SYS_process_vm_readv, getppid(), &here, 1, &there, 1, 0) == 1);
}

static int try_connect_local(const struct trial *trial) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)trial;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", workspace);
    int one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return outcome(one >= 0 && connect(one, (struct sockaddr *)&address, sizeof(address)) == 0);
}

/* A socket that makes whoever closes it last wait. */
static int try_linger(const struct trial *trial) {
    struct linger linger = {1, 600};
    (void)trial;
    return outcome(setsockopt(listening, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}

static int try_write_queue(const struct trial *trial) {
    char path[100];
    (void)trial;
    snprintf(path, sizeof(path), "%s/queue/stray", workspace);
    if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) return outcome(false);
    return outcome(unlink(path) == 0);
}

static int try_large_file(const struct trial *trial) {
    (void)trial;
    return outcome(pwrite(given, "x", 1, LARGEST_FILE) == 1);
}

static int try_executable_memory(const struct trial *trial) {
    (void)trial;
    return outcome(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static int try_make_executable(const struct trial *trial) {
    (void)trial;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 0; /* wrong: this is allowed */
    return outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
}

/* To another user, for good or only for a moment, and back to root. */
static int try_become(const struct trial *trial) {
    (void)trial;
    if (setresgid(OTHER_USER, OTHER_USER, OTHER_USER) < 0) return outcome(false);
    return outcome(setresuid(OTHER_USER, OTHER_USER, OTHER_USER) == 0 && geteuid() == OTHER_USER);
}

static int try_root_again(const struct trial *trial) {
    if (geteuid() == 0 && !trial->sandbox->private_instance) return EPERM; /* the forker has not given it up */
    return outcome(setresuid(0, 0, 0) == 0);
}

static int try_mount(const struct trial *trial) {
    (void)trial;
    return outcome(syscall(SYS_unshare, 0x10000000) == 0);
}

static int try_raise_limit(const struct trial *trial) {
    struct rlimit limit = {4, 4};
    if (trial->sandbox->row->rights & RIGHT_FORK) return EPERM; /* may, for its children */
    return outcome(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* ---- the table */

enum mode { MODE_PRIVATE, MODE_ROOT };

/* Whether the row permits it, from the row alone and so independently of the filters. */
static bool everybody(const struct service_row *row, enum mode mode) {
    (void)row, (void)mode;
    return true;
}
static bool nobody(const struct service_row *row, enum mode mode) {
    (void)row, (void)mode;
    return false;
}
static bool may_accept(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & RIGHT_ACCEPT;
}
static bool sees_slash(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->root == ROOT_SLASH && (row->rights & RIGHT_FILES);
}
static bool may_fork(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & RIGHT_FORK;
}
/* Where the parent is root it takes CAP_KILL. */
static bool may_signal_root(const struct service_row *row, enum mode mode) {
    return (mode == MODE_ROOT || geteuid() != 0) && (row->rights & RIGHT_FORK);
}
static bool has_own_files(const struct service_row *row, enum mode mode) {
    (void)mode;
    return (row->rights & RIGHT_FILES) && row->root != ROOT_SLASH && row->root != ROOT_EMPTY;
}
static bool may_map(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & (RIGHT_MAP_FILES | RIGHT_FORK);
}
static bool may_connect(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & RIGHT_NETWORK;
}
static bool may_use_local_sockets(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & (RIGHT_SYSLOG | RIGHT_LOCAL_SOCKETS);
}
static bool may_thread(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & (RIGHT_THREADS | RIGHT_FORK);
}
static bool may_become(const struct service_row *row, enum mode mode) {
    return mode == MODE_ROOT && (row->rights & RIGHT_BECOME);
}

/* By its whole name; whose root directory is the queue itself does not see it by that. */
static bool may_write_queue(const struct service_row *row, enum mode mode) {
    return (row->rights & RIGHT_FORK) || (row->root == ROOT_QUEUE && mode == MODE_PRIVATE);
}
static bool may_write_any_size(const struct service_row *row, enum mode mode) {
    (void)mode;
    return row->rights & RIGHT_FILES;
}
static bool may_connect_locally(const struct service_row *row, enum mode mode) {
    (void)mode;
    return (row->rights & RIGHT_LOCAL_SOCKETS) || ((row->rights & RIGHT_SYSLOG) && mode == MODE_PRIVATE);
}

static const struct probe {
    const char *what;
    int (*attempt)(const struct trial *trial);
    bool (*permitted)(const struct service_row *row, enum mode mode);
    bool by_landlock;  /* the refusal is Landlock's where the root directory does not help */
    bool not_sanitized; /* the sanitizers' run time needs the same calls */
} probes[] = {
    {"ordinary work", try_ordinary_work, everybody, false, false},
    {"accept", try_accept, may_accept, false, false},
    {"read /etc/passwd", try_read_passwd, sees_slash, true, false},
    {"write elsewhere", try_write_outside, may_fork, true, false},
    {"files of its own", try_own_files, has_own_files, false, false},
    {"map a file", try_map_file, may_map, false, true},
    {"connect by TCP", try_network, may_connect, false, false},
    {"UNIX socket", try_local_socket, may_use_local_sockets, false, false},
    {"connect to a UNIX socket", try_connect_local, may_connect_locally, false, false},
    {"lingering socket", try_linger, nobody, false, false},
    {"write the queue", try_write_queue, may_write_queue, true, false},
    {"a file beyond its size", try_large_file, may_write_any_size, false, false},
    {"netlink socket", try_raw_socket, nobody, false, false},
    {"execute", try_execute, may_fork, false, false},
    {"fork", try_fork, may_fork, false, true},
    {"thread", try_thread, may_thread, false, true},
    {"trace the parent", try_ptrace, nobody, false, true},
    {"signal the parent", try_signal, may_signal_root, false, false},
    {"signal by a descriptor", try_signal_by_descriptor, nobody, false, false},
    {"descriptor of the parent", try_process_descriptor, may_fork, false, false},
    {"read the parent's memory", try_read_parent, nobody, false, false},
    {"executable memory", try_executable_memory, may_fork, false, true},
    {"make memory executable", try_make_executable, nobody, false, true},
    {"become another user", try_become, may_become, false, false},
    {"become root again", try_root_again, nobody, false, false},
    {"new name space", try_mount, nobody, false, false},
    {"other limits", try_raise_limit, nobody, false, true},
};

/* ---- a child for each trial */

static bool plan(const struct service_row *row, enum mode mode, struct sandbox *sandbox) {
    struct failure failure = {0};
    char logs[100];
    snprintf(logs, sizeof(logs), "%s/logs", workspace);
    const struct sandbox_options options = {
        .queue_directory = str_from(workspace), .data_directory = str_from(workspace), .log_directory = str_from(logs), .mail_owner = STR("root"), .sessions = 10,
        .file_size = LARGEST_FILE};
    if (mode == MODE_PRIVATE && geteuid() == 0 && /* then the parent is root and out of its reach in any case */
        (setresgid(TEST_USER, TEST_USER, TEST_USER) < 0 || setresuid(TEST_USER, TEST_USER, TEST_USER) < 0))
        return false;
    if (!sandbox_plan(row, &options, sandbox, &failure)) {
        fprintf(stderr, "%s: %s\n", row->program, failure.text);
        return false;
    }
    if (mode == MODE_ROOT) { /* accounts as they would be found */
        sandbox->private_instance = false;
        sandbox->uid = strcmp(row->user, "root") == 0 ? 0 : TEST_USER;
        sandbox->gid = sandbox->uid;
    }
    return true;
}

static int in_child(const struct service_row *row, enum mode mode, int (*attempt)(const struct trial *trial)) {
    struct sandbox sandbox;
    struct failure failure = {0};
    if (!plan(row, mode, &sandbox)) return PLAN_FAILED;
    if (!sandbox_enter(&sandbox, &failure)) {
        fprintf(stderr, "%s: %s\n", row->program, failure.text);
        return PLAN_FAILED;
    }
    const struct trial trial = {&sandbox};
    int result = attempt(&trial);
    return result < 0 || result >= PLAN_FAILED ? WRONG : result;
}

/* The errno of the child's refusal, 0, or DIED. */
static int run_trial(const struct service_row *row, enum mode mode, int (*attempt)(const struct trial *trial)) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(in_child(row, mode, attempt));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? DIED : WRONG;
    return WEXITSTATUS(status);
}

static bool is_refusal(int result) {
    return result == EPERM || result == EACCES || result == DIED || result == ENOENT || result == EROFS || result == EAGAIN ||
           result == EFBIG;
}

static unsigned check(const struct service_row *row, enum mode mode) {
    unsigned faults = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(probes); i++) {
        const struct probe *probe = &probes[i];
        bool permitted = probe->permitted(row, mode);
        if (probe->by_landlock && !have_landlock && !(row->root != ROOT_SLASH && mode == MODE_ROOT)) continue;
#ifdef TERN_SANITIZERS
        if (probe->not_sanitized && !permitted) continue;
#endif
        int result = run_trial(row, mode, probe->attempt);
        if (permitted ? result == 0 : is_refusal(result)) continue;
        print_error("%s (%s): %s is %s, came out as %d\n", row->program, mode == MODE_ROOT ? "root" : "private", probe->what,
                    permitted ? "permitted" : "forbidden", result);
        faults++;
    }
    return faults;
}

static void every_row_of_a_private_instance(void **state) {
    size_t count;
    unsigned faults = 0;
    (void)state;
    const struct service_row *rows = service_rows(&count);
    for (size_t i = 0; i < count; i++) faults += check(&rows[i], MODE_PRIVATE);
    assert_int_equal(faults, 0);
}

static void every_row_as_started_by_root(void **state) {
    size_t count;
    unsigned faults = 0;
    (void)state;
    if (geteuid() != 0) skip();
    const struct service_row *rows = service_rows(&count);
    for (size_t i = 0; i < count; i++) faults += check(&rows[i], MODE_ROOT);
    assert_int_equal(faults, 0);
}

/* ---- what the kernel says of a process that sits in its sandbox */

static void expect_status(struct str status, const char *name, const char *value) {
    struct buf line = buf_make(0);
    buf_printf(&line, "\n%s:\t%s\n", name, value);
    if (str_find_str(status, buf_str(&line)) == STR_NONE)
        fail_msg("no %s: %s in\n%.*s", name, value, STR_ARGS(status));
    buf_free(&line);
}

static void look_at_process(const struct service_row *row, pid_t child) {
    char path[40], text[8192];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof(text));
    close(file);
    assert_true(length > 0);
    struct str status = str_make(text, (size_t)length);
    expect_status(status, "NoNewPrivs", "1");
    expect_status(status, "Seccomp", "2");
    expect_status(status, "Groups", " ");
    expect_status(status, "CapInh", "0000000000000000");
    expect_status(status, "CapAmb", "0000000000000000");
    bool forker = row->rights & RIGHT_BECOME; /* chown 0, dac_override 1, kill 5, setgid 6, setuid 7 */
    expect_status(status, "CapBnd", forker ? "00000000000000e3" : "0000000000000000");
    expect_status(status, "CapEff", forker ? "00000000000000e3" : "0000000000000000");
    expect_status(status, "CapPrm", forker ? "00000000000000e3" : "0000000000000000");
    expect_status(status, "Uid", forker ? "0\t0\t0\t0" : "20001\t20001\t20001\t20001");
    expect_status(status, "Gid", forker ? "0\t0\t0\t0" : "20001\t20001\t20001\t20001");
}

static void what_the_kernel_says(void **state) {
    size_t count;
    (void)state;
    if (geteuid() != 0) skip();
    const struct service_row *rows = service_rows(&count);
    for (size_t i = 0; i < count; i++) {
        int to_parent[2], to_child[2];
        char byte = 0;
        assert_int_equal(pipe(to_parent), 0);
        assert_int_equal(pipe(to_child), 0);
        pid_t child = fork();
        if (child == 0) {
            struct sandbox sandbox;
            struct failure failure;
            close(to_child[1]);
            byte = plan(&rows[i], MODE_ROOT, &sandbox) && sandbox_enter(&sandbox, &failure);
            (void)!write(to_parent[1], &byte, 1);
            (void)!read(to_child[0], &byte, 1);
            _exit(0);
        }
        close(to_parent[1]);
        close(to_child[0]);
        assert_int_equal(read(to_parent[0], &byte, 1), 1);
        assert_int_equal(byte, 1);
        look_at_process(&rows[i], child);
        close(to_child[1]);
        close(to_parent[0]);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
}

static void rows_can_be_found(void **state) {
    (void)state;
    assert_string_equal(service_row_find(STR("smtpd"))->user, "smtpd");
    assert_null(service_row_find(STR("smtp?")));
    assert_true(service_row_has_peer(service_row_find(STR("smtpd")), STR("lookup")));
    assert_false(service_row_has_peer(service_row_find(STR("smtpd")), STR("qmgr")));
    assert_true(service_row_has_peer(service_row_find(STR("qmgr")), STR("relay")));
    assert_false(service_row_has_peer(service_row_find(STR("lookup")), STR("")));
}

static void accounts_must_exist(void **state) {
    struct sandbox sandbox = {0};
    struct failure failure;
    const struct sandbox_options options = {.queue_directory = str_from(workspace), .mail_owner = STR("tern-no-such"), .sessions = 1};
    (void)state;
    if (geteuid() != 0) skip();
    assert_false(sandbox_plan(service_row_find(STR("smtpd")), &options, &sandbox, &failure));
    assert_string_equal(failure.text, "there is no account tern-no-such");
    assert_null(sandbox.row);
}

/* ---- the workspace */

static void make_folder(const char *name) {
    char path[100];
    snprintf(path, sizeof(path), "%s/%s", workspace, name);
    assert_int_equal(mkdir(path, 0755), 0);
    if (geteuid() == 0) assert_int_equal(chown(path, TEST_USER, TEST_USER), 0);
}

static int set_up(void **state) {
    (void)state;
    assert_non_null(mkdtemp(workspace));
    chmod(workspace, 0777);
    make_folder("queue");
    make_folder("maildrop");
    make_folder("empty");
    make_folder("logs");
    make_folder("fetch");
    make_folder("tlsrpt");
    snprintf(outside, sizeof(outside), "/var/tmp/tern-sandbox-%d", (int)getpid());
    have_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", workspace);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    char path[100];
    snprintf(path, sizeof(path), "%s/given", workspace);
    given = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(given >= 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(address.sun_path, 0777), 0);
    return listen(listening, 100);
}

static int clean_up(void **state) {
    static const char *const names[] = {"socket", "given", "queue/folder", "maildrop/folder", "logs/folder", "fetch/folder", "tlsrpt/folder", "fetch", "tlsrpt", "queue", "maildrop", "empty", "logs"};
    int directory = open(workspace, O_RDONLY | O_DIRECTORY);
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (unlinkat(directory, names[i], 0) < 0) unlinkat(directory, names[i], AT_REMOVEDIR);
    close(directory);
    unlink(outside);
    rmdir(workspace);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_can_be_found),
        cmocka_unit_test(accounts_must_exist),
        cmocka_unit_test(every_row_of_a_private_instance),
        cmocka_unit_test(every_row_as_started_by_root),
        cmocka_unit_test(what_the_kernel_says),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
