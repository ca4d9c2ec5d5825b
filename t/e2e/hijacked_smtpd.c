/* hijacked_smtpd: smtpd as it is when an attacker runs code in it, for
 * test_hijacked.py. It is linked from smtpd's own objects; only the handler of NOOP
 * stands here (the linker's --wrap puts it in place). "NOOP !ATTACK words..." runs
 * an attack inside the sandboxed process, with its real descriptors, and answers with
 * what came of it, a line each. It is never installed.
 *
 * An attack blocks the whole process where that is simpler: it belongs to the attacker. */
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

#define ANSWER_TIME 30000 /* ms: the test waits for no longer */
#define KEPT_MAX    12000
#define HEADER_SIZE 256 /* of the queue file: the content stands behind it */

bool __wrap_cmd_noop(struct session *session, struct str argument);

struct attack {
    struct session *session;
    struct str words; /* what is left of the command's argument */
    struct buf out;   /* lines */
};

/* What an attack leaves open for the next one, until "release". */
static int kept[KEPT_MAX];
static size_t kept_count;

static void say(struct attack *attack, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct attack *attack, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&attack->out, format, arguments);
    va_end(arguments);
    buf_append_char(&attack->out, '\n');
}

static struct str word(struct attack *attack) {
    struct str taken = STR_EMPTY;
    if (!str_next_word(&attack->words, " ", &taken)) return STR_EMPTY;
    return taken;
}

static uint64_t number(struct attack *attack) {
    uint64_t value = 0;
    return str_to_u64(word(attack), UINT32_MAX, &value) ? value : 0;
}

static void keep(int descriptor) {
    if (kept_count < KEPT_MAX)
        kept[kept_count++] = descriptor;
    else
        close(descriptor);
}

static void append_repeated(struct buf *out, char byte, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_append_char(out, byte);
}

static void attack_release(struct attack *attack) {
    say(attack, "released %zu", kept_count);
    while (kept_count > 0)
        close(kept[--kept_count]);
}

/* ---- system calls that smtpd has no business with */

#define P(pointer) ((long)(uintptr_t)(pointer))

struct call {
    const char *name;
    bool deadly;    /* the filter ends the process */
    bool sanitizer; /* the sanitizers' run time needs it, so their build allows it */
    long number;
    long a[6];
};

static long own_connection(const struct attack *attack) {
    return stream_descriptor(attack->session->stream);
}

/* Runs all that match: the harmless ones at once, or the one of that name. */
static void run_calls(struct attack *attack, struct str only, long victim) {
    static char bytes[4096];
    static char name[] = "/etc/passwd", program[] = "/bin/true", here[] = ".", up[] = "..";
    static struct sockaddr_in address = {.sin_family = AF_INET};
    static struct rlimit limit = {10, 10};
    static struct iovec part = {bytes, sizeof bytes};
    static char *arguments[] = {program, NULL};
    static struct sched_param priority = {0};
    static struct linger {
        int on, seconds;
    } linger = {1, 600};
    static struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    static struct sock_fprog filter = {1, drop_all};
    static const unsigned long all_cpus = ~0UL;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(25);
    long connection = own_connection(attack), control = INHERITED_CONTROL, listening = INHERITED_LISTEN;
    const struct call calls[] = {
        /* files */
        {"open", 0, 0, SYS_open, {P(name), O_RDONLY}},
        {"openat", 0, 1, SYS_openat, {AT_FDCWD, P(name), O_RDONLY}},
        {"openat-root", 0, 1, SYS_openat, {AT_FDCWD, P("/"), O_RDONLY | O_DIRECTORY}},
        {"openat2", 0, 0, SYS_openat2, {AT_FDCWD, P(name), P(bytes), 24}},
        {"creat", 0, 0, SYS_creat, {P("/new"), 0600}},
        {"open_tree", 0, 0, SYS_open_tree, {AT_FDCWD, P(name), 0}},
        {"name_to_handle_at", 0, 0, SYS_name_to_handle_at, {AT_FDCWD, P("/"), P(bytes), P(bytes), 0}},
        {"mkdir", 0, 0, SYS_mkdir, {P("/new"), 0700}},
        {"unlink", 0, 0, SYS_unlink, {P("/new")}},
        {"rename", 0, 0, SYS_rename, {P("/a"), P("/b")}},
        {"linkat-descriptor", 0, 0, SYS_linkat, {control, P(""), AT_FDCWD, P("/b"), AT_EMPTY_PATH}},
        {"symlink", 0, 0, SYS_symlink, {P("/a"), P("/b")}},
        {"mknod", 0, 0, SYS_mknod, {P("/a"), S_IFSOCK | 0600}},
        {"chmod", 0, 0, SYS_chmod, {P(here), 0777}},
        {"fchmod", 0, 0, SYS_fchmod, {control, 0777}},
        {"fchown", 0, 0, SYS_fchown, {control, 0, 0}},
        {"chdir", 0, 0, SYS_chdir, {P(up)}},
        {"fchdir", 0, 0, SYS_fchdir, {control}},
        {"chroot", 0, 0, SYS_chroot, {P(here)}},
        {"getdents64", 0, 1, SYS_getdents64, {control, P(bytes), sizeof bytes}},
        {"inotify_init1", 0, 0, SYS_inotify_init1, {0}},
        {"fanotify_init", 0, 0, SYS_fanotify_init, {0, 0}},
        {"quotactl", 0, 0, SYS_quotactl, {0, P(name), 0, P(bytes)}},
        /* sockets */
        {"socket-inet", 0, 0, SYS_socket, {AF_INET, SOCK_STREAM}},
        {"socket-inet6", 0, 0, SYS_socket, {AF_INET6, SOCK_DGRAM}},
        {"socket-unix", 0, 0, SYS_socket, {AF_UNIX, SOCK_STREAM}},
        {"socket-netlink", 0, 0, SYS_socket, {AF_NETLINK, SOCK_RAW}},
        {"socketpair", 0, 0, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P(bytes)}},
        {"connect", 0, 0, SYS_connect, {connection, P(&address), sizeof address}},
        {"connect-listening", 0, 0, SYS_connect, {listening, P(&address), sizeof address}},
        {"bind", 0, 0, SYS_bind, {connection, P(&address), sizeof address}},
        {"listen", 0, 0, SYS_listen, {connection, 5}},
        {"linger", 0, 0, SYS_setsockopt, {connection, SOL_SOCKET, SO_LINGER, P(&linger), sizeof linger}},
        {"socket-filter", 0, 0, SYS_setsockopt, {connection, SOL_SOCKET, SO_ATTACH_FILTER, P(&filter), sizeof filter}},
        {"socket-bpf", 0, 0, SYS_setsockopt, {connection, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, P(&filter), sizeof filter}},
        {"socket-mark", 0, 0, SYS_setsockopt, {connection, SOL_SOCKET, SO_MARK, P(bytes), 4}},
        /* processes */
        {"fork", 0, 0, SYS_fork, {0}},
        {"vfork", 0, 0, SYS_vfork, {0}},
        {"clone", 0, 1, SYS_clone, {SIGCHLD}},
        {"clone-thread", 0, 1, SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}},
        {"clone-namespace", 0, 1, SYS_clone, {SIGCHLD | CLONE_NEWUSER}},
        {"clone3", 0, 0, SYS_clone3, {P(bytes), 64}},
        {"kill", 0, 0, SYS_kill, {victim, SIGKILL}},
        {"kill-master", 0, 0, SYS_kill, {getppid(), SIGTERM}},
        {"kill-all", 0, 0, SYS_kill, {-1, SIGKILL}},
        {"tkill", 0, 0, SYS_tkill, {victim, SIGKILL}},
        {"tgkill", 0, 0, SYS_tgkill, {victim, victim, SIGKILL}},
        {"rt_sigqueueinfo", 0, 0, SYS_rt_sigqueueinfo, {victim, SIGTERM, P(bytes)}},
        {"rt_tgsigqueueinfo", 0, 0, SYS_rt_tgsigqueueinfo, {victim, victim, SIGTERM, P(bytes)}},
        {"pidfd_open", 0, 0, SYS_pidfd_open, {victim, 0}},
        {"pidfd_send_signal", 0, 0, SYS_pidfd_send_signal, {0, SIGKILL, 0, 0}},
        {"pidfd_getfd", 0, 0, SYS_pidfd_getfd, {0, 0, 0}},
        {"process_madvise", 0, 0, SYS_process_madvise, {0, P(&part), 1, 4, 0}},
        {"process_mrelease", 0, 0, SYS_process_mrelease, {0, 0}},
        {"kcmp", 0, 0, SYS_kcmp, {getpid(), victim, 0, 0, 0}},
        {"prlimit", 0, 1, SYS_prlimit64, {victim, RLIMIT_NOFILE, P(&limit), 0}},
        {"prlimit-own", 0, 1, SYS_prlimit64, {0, RLIMIT_NOFILE, P(&limit), 0}},
        {"setpriority", 0, 0, SYS_setpriority, {PRIO_PROCESS, victim, 19}},
        {"sched_setscheduler", 0, 0, SYS_sched_setscheduler, {victim, SCHED_IDLE, P(&priority)}},
        {"sched_setaffinity", 0, 0, SYS_sched_setaffinity, {victim, sizeof all_cpus, P(&all_cpus)}},
        {"ioprio_set", 0, 0, SYS_ioprio_set, {1, victim, 3 << 13}},
        {"move_pages", 0, 0, SYS_move_pages, {victim, 0, 0, 0, 0, 0}},
        {"get_robust_list", 0, 0, SYS_get_robust_list, {victim, P(bytes), P(bytes)}},
        {"setpgid", 0, 0, SYS_setpgid, {0, victim}},
        {"own-signals-to-other", 0, 0, SYS_fcntl, {control, F_SETOWN, victim}},
        {"own-signal-number", 0, 0, SYS_fcntl, {control, F_SETSIG, SIGKILL}},
        {"lease", 0, 0, SYS_fcntl, {control, F_SETLEASE, F_RDLCK}},
        {"notify", 0, 0, SYS_fcntl, {control, F_NOTIFY, 1}},
        {"pipe-size", 0, 0, SYS_fcntl, {INHERITED_LOG, F_SETPIPE_SZ, 4096}},
        {"timer_create", 0, 0, SYS_timer_create, {CLOCK_REALTIME, 0, P(bytes)}},
        /* identity */
        {"setuid", 0, 0, SYS_setuid, {0}},
        {"setresuid", 0, 0, SYS_setresuid, {0, 0, 0}},
        {"setgroups", 0, 0, SYS_setgroups, {1, P(bytes)}},
        {"capset", 0, 0, SYS_capset, {P(bytes), P(bytes)}},
        {"dumpable", 0, 1, SYS_prctl, {PR_SET_DUMPABLE, 1}},
        {"allow-tracer", 0, 1, SYS_prctl, {PR_SET_PTRACER, (long)PR_SET_PTRACER_ANY}},
        {"no-death-signal", 0, 1, SYS_prctl, {PR_SET_PDEATHSIG, 0}},
        {"personality", 0, 0, SYS_personality, {0x0040000}},
        {"seccomp", 0, 0, SYS_seccomp, {0, 0, 0}},
        /* memory */
        {"executable", 0, 1, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
        {"map-descriptor", 0, 1, SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED, control}},
        {"make-executable", 0, 0, SYS_mprotect, {P(bytes) & ~4095L, 4096, PROT_READ | PROT_EXEC}},
        {"remap_file_pages", 0, 0, SYS_remap_file_pages, {P(bytes) & ~4095L, 4096, 0, 0, 0}},
        {"shmget", 0, 0, SYS_shmget, {0, 4096, 01600}},
        {"msgget", 0, 0, SYS_msgget, {0, 01600}},
        {"semget", 0, 0, SYS_semget, {0, 1, 01600}},
        {"mq_open", 0, 0, SYS_mq_open, {P("queue"), O_RDWR | O_CREAT, 0600, 0}},
        {"splice", 0, 0, SYS_splice, {connection, 0, INHERITED_LOG, 0, 1, 0}},
        {"vmsplice", 0, 0, SYS_vmsplice, {INHERITED_LOG, P(&part), 1, 0}},
        {"io_setup", 0, 0, SYS_io_setup, {1, P(bytes)}},
        {"ioctl", 0, 0, SYS_ioctl, {control, 0x5412, P(bytes)}},
        {"modify_ldt", 0, 0, SYS_modify_ldt, {0, P(bytes), 16}},
        {"syslog", 0, 0, SYS_syslog, {3, P(bytes), sizeof bytes}},
        {"sethostname", 0, 0, SYS_sethostname, {P(bytes), 1}},
        {"settimeofday", 0, 0, SYS_settimeofday, {P(bytes), 0}},
        {"reboot", 0, 0, SYS_reboot, {0, 0, 0, 0}},
        {"acct", 0, 0, SYS_acct, {0}},
        {"fsopen", 0, 0, SYS_fsopen, {P("proc"), 0}},
        {"move_mount", 0, 0, SYS_move_mount, {control, P(""), AT_FDCWD, P("/"), 4}},
        {"umount2", 0, 0, SYS_umount2, {P("/"), 2}},
        {"request_key", 0, 0, SYS_request_key, {P("user"), P("x"), 0, 0}},
        {"io_uring_enter", 0, 0, SYS_io_uring_enter, {control, 1, 0, 0, 0, 0}},
        /* worth the process */
        {"execve", 1, 0, SYS_execve, {P(program), P(arguments), P(arguments + 1)}},
        {"execveat", 1, 0, SYS_execveat, {AT_FDCWD, P(program), P(arguments), P(arguments + 1), 0}},
        {"ptrace", 1, 1, SYS_ptrace, {16 /* PTRACE_ATTACH */, victim, 0, 0}},
        {"process_vm_readv", 1, 0, SYS_process_vm_readv, {victim, P(&part), 1, P(&part), 1, 0}},
        {"process_vm_writev", 1, 0, SYS_process_vm_writev, {victim, P(&part), 1, P(&part), 1, 0}},
        {"bpf", 1, 0, SYS_bpf, {0, P(bytes), 64}},
        {"init_module", 1, 0, SYS_init_module, {P(bytes), 10, P("")}},
        {"kexec_load", 1, 0, SYS_kexec_load, {0, 0, 0, 0}},
        {"mount", 1, 0, SYS_mount, {P("none"), P("/"), P("tmpfs"), 0, 0}},
        {"pivot_root", 1, 0, SYS_pivot_root, {P(here), P(here)}},
        {"unshare", 1, 0, SYS_unshare, {CLONE_NEWUSER}},
        {"setns", 1, 0, SYS_setns, {control, 0}},
        {"keyctl", 1, 0, SYS_keyctl, {0, -3, 0}},
        {"add_key", 1, 0, SYS_add_key, {P("user"), P("x"), P("y"), 1, -3}},
        {"perf_event_open", 1, 0, SYS_perf_event_open, {P(bytes), 0, -1, -1, 0}},
        {"userfaultfd", 1, 0, SYS_userfaultfd, {0}},
        {"io_uring_setup", 1, 0, SYS_io_uring_setup, {8, P(bytes)}},
        {"open_by_handle_at", 1, 0, SYS_open_by_handle_at, {control, P(bytes), O_RDONLY}},
    };
    pid_t self = getpid();
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        const struct call *call = &calls[i];
        if (only.length ? !str_equal(only, str_from(call->name)) : call->deadly) continue;
#ifdef TERN_SANITIZERS
        if (call->sanitizer) continue;
#endif
        const long *a = call->a;
        errno = 0;
        long result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (getpid() != self) _exit(0); /* a fork that was not refused */
        say(attack, "%s %s", call->name, result >= 0 ? "done" : strerrorname_np(errno));
    }
    for (size_t i = 0; only.length == 0 && i < ARRAY_LENGTH(calls); i++) {
#ifdef TERN_SANITIZERS
        if (calls[i].sanitizer) continue;
#endif
        if (calls[i].deadly) say(attack, "%s deadly", calls[i].name);
    }
}

static void attack_calls(struct attack *attack) {
    run_calls(attack, STR_EMPTY, (long)number(attack));
}

static void attack_call(struct attack *attack) {
    struct str name = word(attack);
    run_calls(attack, name, (long)number(attack));
}

/* What can be read of what is open; a writer's descriptor of a queue file among it. */
static void attack_descriptors(struct attack *attack) {
    char bytes[512];
    for (int descriptor = 0; descriptor < 1024; descriptor++) {
        struct stat status;
        if (fstat(descriptor, &status) < 0) continue;
        const char *kind = S_ISREG(status.st_mode)    ? "file"
                           : S_ISDIR(status.st_mode)  ? "directory"
                           : S_ISSOCK(status.st_mode) ? "socket"
                           : S_ISCHR(status.st_mode)  ? "device"
                           : S_ISFIFO(status.st_mode) ? "pipe"
                                                      : "other";
        bool readable = S_ISREG(status.st_mode) && pread(descriptor, bytes, sizeof bytes, 0) >= 0;
        say(attack, "%s %d%s", kind, descriptor, readable ? " readable" : "");
    }
}

/* ---- talking to other services */

/* How long a full socket is waited for, in ms. */
static int patience = 5000;

static int raw_send(int socket, struct str packet, int descriptor) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } room = {0};
    struct iovec part = {.iov_base = (char *)(uintptr_t)packet.data, .iov_len = packet.length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    struct pollfd room_left = {.fd = socket, .events = POLLOUT};
    do {
        if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return 0;
    } while (errno == EAGAIN && poll(&room_left, 1, patience) == 1);
    return errno ? errno : EAGAIN;
}

static int send_typed(int socket, enum ipc_type type, uint32_t serial, const void *message, int descriptor) {
    struct buf packet = buf_make(0);
    int result = ipc_encode(type, serial, message, &packet) ? raw_send(socket, buf_str(&packet), descriptor) : EMSGSIZE;
    buf_free(&packet);
    return result;
}

static bool readable_within(int descriptor, int milliseconds) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    return poll(&wanted, 1, milliseconds) == 1;
}

/* A packet of that serial number; false when the connection ends or nothing comes. */
static bool raw_receive(int socket, uint32_t serial, struct buf *packet, enum ipc_type *type, int *descriptor) {
    while (readable_within(socket, ANSWER_TIME)) {
        static char bytes[IPC_PACKET_LIMIT];
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int))];
        } room = {0};
        uint32_t found;
        struct iovec part = {bytes, sizeof bytes};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
        ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got <= 0) return false;
        *descriptor = -1;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
        if (ipc_peek(str_make(bytes, (size_t)got), type, &found) && found == serial) {
            buf_clear(packet);
            buf_append_bytes(packet, bytes, (size_t)got);
            return true;
        }
        if (*descriptor >= 0) close(*descriptor);
    }
    return false;
}

/* Asks master as the skeleton does not: without a look at smtpd's own row. */
static int ask_master(struct attack *attack, enum ipc_type type, const void *message, bool loud) {
    static uint32_t serial = 0x40000000;
    struct buf packet = buf_make(0);
    enum ipc_type answer;
    int descriptor = -1;
    serial++;
    if (send_typed(INHERITED_CONTROL, type, serial, message, -1) != 0 ||
        !raw_receive(INHERITED_CONTROL, serial, &packet, &answer, &descriptor)) {
        if (loud) say(attack, "no answer");
    } else if (answer == IPC_FAILED) {
        struct ipc_failed failed = {0};
        if (loud && ipc_decode(buf_str(&packet), IPC_FAILED, &failed)) say(attack, "refused %.*s", STR_ARGS(failed.text));
    } else if (loud) {
        say(attack, "%s", descriptor >= 0 ? "connected" : ipc_type_name(answer));
    }
    buf_free(&packet);
    return descriptor;
}

static void attack_connect(struct attack *attack) {
    struct ipc_connect wanted = {.service = word(attack)};
    int descriptor = ask_master(attack, IPC_CONNECT, &wanted, true);
    if (descriptor >= 0) close(descriptor);
}

static void attack_connect_path(struct attack *attack) {
    struct ipc_connect_path wanted = {.path = word(attack)};
    int descriptor = ask_master(attack, IPC_CONNECT_PATH, &wanted, true);
    if (descriptor >= 0) close(descriptor);
}

/* As many connections to a service as there are, kept. */
static void attack_connections(struct attack *attack) {
    struct ipc_connect wanted = {.service = word(attack)};
    uint64_t count = number(attack), made = 0, alive = 0;
    size_t first = kept_count;
    for (uint64_t i = 0; i < count; i++) {
        int descriptor = ask_master(attack, IPC_CONNECT, &wanted, false);
        if (descriptor < 0) continue;
        made++;
        keep(descriptor);
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
    say(attack, "made %llu alive %llu", (unsigned long long)made, (unsigned long long)alive);
}

/* ---- master's control socket */

static void attack_control(struct attack *attack) {
    struct str kind = word(attack);
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
        descriptor = (int)own_connection(attack);
    }
    raw_send(INHERITED_CONTROL, buf_str(&packet), descriptor);
    buf_free(&packet);
    /* If master minds, this process ends here. */
    for (unsigned i = 0; i < 50; i++)
        poll(NULL, 0, 100);
    say(attack, "alive");
}

/* Loads and wishes without end; how many were answered. */
static void attack_control_flood(struct attack *attack) {
    uint64_t count = number(attack);
    struct ipc_connect unknown = {.service = STR("no-such-service\nforged line")};
    struct ipc_connect forbidden = {.service = STR("qmgr")};
    for (uint64_t i = 0; i < count; i++) {
        struct ipc_load load = {.sessions = i, .full = i % 2};
        send_typed(INHERITED_CONTROL, IPC_LOAD, 0, &load, -1);
        int first = ask_master(attack, IPC_CONNECT, &unknown, false);
        int second = ask_master(attack, IPC_CONNECT, &forbidden, false);
        if (first >= 0 || second >= 0) say(attack, "connected");
    }
    send_typed(INHERITED_CONTROL, IPC_LOAD, 0, &(struct ipc_load){.sessions = 1}, -1);
    say(attack, "flooded");
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
    return ask_master(attack, IPC_CONNECT, &(struct ipc_connect){.service = STR("cleanup")}, false);
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
        say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), IPC_FAILED, &failed))
        say(attack, "refused %.*s", STR_ARGS(failed.text));
    else
        say(attack, "%s %s", ipc_type_name(type), writing->queue_id);
    buf_free(&packet);
}

#define CONTENT "Subject: mine\n\nas it was committed\n"

/* queue KIND RECIPIENT: a message of its own, and what is tried with its file. */
static void attack_queue(struct attack *attack) {
    struct str kind = word(attack), recipient = word(attack);
    struct writing writing = {.file = -1};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    int second = -1;
    char bytes[300];
    if (!open_file(connect_cleanup(attack), 1, &writing)) {
        say(attack, "not opened");
        return;
    }
    int file = writing.file;
    if (write(file, CONTENT, strlen(CONTENT)) < 0) say(attack, "not written");
    if (str_equal(kind, STR("read"))) {
        say(attack, "read %s", pread(file, bytes, sizeof bytes, 0) >= 0 ? "done" : strerrorname_np(errno));
        say(attack, "map %s", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED ? "done" : strerrorname_np(errno));
        say(attack, "map-write %s", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED ? "done" : strerrorname_np(errno));
        say(attack, "truncate %s", ftruncate(file, 0) == 0 ? "done" : strerrorname_np(errno));
        say(attack, "chmod %s", fchmod(file, 0666) == 0 ? "done" : strerrorname_np(errno));
        say(attack, "link %s", linkat(file, "", AT_FDCWD, "kept", AT_EMPTY_PATH) == 0 ? "done" : strerrorname_np(errno));
        say(attack, "lock %s", fcntl(file, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}) == 0 ? "done" : strerrorname_np(errno));
        say(attack, "fallocate %s", fallocate(file, 0, 0, 1 << 20) == 0 ? "done" : strerrorname_np(errno));
    }
    if (str_equal(kind, STR("huge"))) { /* as large as it can be made, at no cost in blocks */
        off_t size = 1LL << 40;
        while (size > 4096 && pwrite(file, "x", 1, size) != 1)
            size /= 2;
        say(attack, "size %lld", (long long)size);
        commit.content_length = (uint64_t)size + 1 - HEADER_SIZE;
    }
    if (str_equal(kind, STR("length"))) commit.content_length += 1;
    if (str_equal(kind, STR("header"))) /* what looks like a whole message, before cleanup has written its own */
        for (off_t at = 0; at < HEADER_SIZE; at += 8)
            if (pwrite(file, "TERNQ1\n\n", 8, at) < 0) say(attack, "not written");
    if (str_equal(kind, STR("copy"))) second = dup(file);
    if (str_equal(kind, STR("flight"))) { /* on its way in a packet that another service is to read */
        int other = connect_cleanup(attack);
        struct ipc_bounce_send carrier = {.queue_id = STR("x")};
        for (unsigned i = 0; i < 200; i++)
            send_typed(other, IPC_CLEANUP_OPEN, i + 10, &(struct ipc_cleanup_open){0}, -1);
        send_typed(other, IPC_BOUNCE_SEND, 1, &carrier, file);
        keep(other);
    }
    if (!str_equal(kind, STR("race"))) close(file);
    send_commit(&writing, 2, commit, recipient);
    if (str_equal(kind, STR("race"))) { /* writes while cleanup looks, and lets go at some moment */
        for (unsigned i = 0; i < number(attack); i++)
            if (pwrite(file, "XXXX", 4, HEADER_SIZE) < 0) break;
        close(file);
    }
    say_answer(attack, &writing, 2);
    if (second >= 0) say(attack, "write %s", pwrite(second, "XXXX", 4, HEADER_SIZE) == 4 ? "done" : strerrorname_np(errno));
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
    struct str queue_id = word(attack);
    struct writing writing = {.file = -1, .cleanup = connect_cleanup(attack)};
    struct ipc_cleanup_cancel cancel = {.queue_id = queue_id};
    struct ipc_cleanup_recipients ahead = {.queue_id = queue_id};
    struct buf rows = buf_make(0);
    if (ipc_list_add(IPC_ROW_RECIPIENT, &(struct ipc_recipient){.address = STR("thief@sink.test")}, &rows,
                     &ahead.recipients.count))
        ahead.recipients.packed = buf_str(&rows);
    say(attack, "cancel %d", send_typed(writing.cleanup, IPC_CLEANUP_CANCEL, 0, &cancel, -1));
    say(attack, "recipients %d", send_typed(writing.cleanup, IPC_CLEANUP_RECIPIENTS, 0, &ahead, -1));
    struct ipc_cleanup_commit commit = {.queue_id = queue_id};
    send_commit(&writing, 2, commit, STR("thief@sink.test"));
    say_answer(attack, &writing, 2);
    buf_free(&rows);
    close(writing.cleanup);
}

static void append_unhex(struct buf *out, struct str text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < text.length; i += 2) {
        const char *high = memchr(digits, text.data[i], 16), *low = memchr(digits, text.data[i + 1], 16);
        if (high && low) buf_append_char(out, (char)((high - digits) * 16 + (low - digits)));
    }
}

/* inject [field=HEX]...: a message with whatever in its envelope. */
static void attack_inject(struct attack *attack) {
    struct writing writing = {.file = -1};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    struct str recipient = STR("anna@example.test"), rest, name, value;
    struct buf values[12];
    size_t count = 0;
    while (count < ARRAY_LENGTH(values) && (rest = word(attack)).length > 0) {
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
        say(attack, "not opened");
    } else {
        if (write(writing.file, CONTENT, strlen(CONTENT)) < 0) say(attack, "not written");
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
    struct str kind = word(attack), other = word(attack);
    struct writing writing = {.cleanup = connect_cleanup(attack)};
    struct ipc_cleanup_commit commit = {.content_length = strlen(CONTENT), .content_lines = 3};
    unsigned seals = str_equal(kind, STR("unsealed"))  ? 0
                     : str_equal(kind, STR("growing")) ? all & ~(unsigned)F_SEAL_GROW
                     : str_equal(kind, STR("writing")) ? all & ~(unsigned)F_SEAL_WRITE
                                                       : all;
    int pair[2] = {-1, -1};
    if (!reserve_id(writing.cleanup, writing.queue_id)) {
        say(attack, "no ID");
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
    say(attack, "%s", changed ? "changed" : "unchanged");
    send_commit(&writing, 3, commit, STR("bob@example.test")); /* the same name once more */
    say_answer(attack, &writing, 3);
    close(memory);
    if (pair[1] >= 0) close(pair[1]);
    close(writing.cleanup);
}

/* open N: as many files as it gets, all at once, kept. */
static void attack_open(struct attack *attack) {
    uint64_t count = number(attack), sent = 0, opened = 0, refused = 0;
    int cleanup = connect_cleanup(attack);
    enum ipc_type type = IPC_NOTHING;
    struct buf packet = buf_make(0);
    int descriptor;
    keep(cleanup);
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
    say(attack, "opened %llu refused %llu", (unsigned long long)opened, (unsigned long long)refused);
    buf_free(&packet);
}

/* commits N: opens N files, then commits all at once, with another length than they have. */
static void attack_commits(struct attack *attack) {
    uint64_t count = number(attack), opened = 0, sent = 0, answered = 0;
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
    say(attack, "opened %llu sent %llu answered %llu", (unsigned long long)opened, (unsigned long long)sent,
        (unsigned long long)answered);
    close(cleanup);
    MEMORY_FREE(writings);
}

/* ahead N FILES: N packets of recipients for each of some files, never committed. */
static void attack_ahead(struct attack *attack) {
    uint64_t count = number(attack), files = number(attack), sent = 0;
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
    keep(cleanup);
    for (uint64_t i = 0; i < files; i++) {
        struct writing writing;
        if (!open_file(cleanup, (uint32_t)i + 1, &writing)) break;
        close(writing.file);
        ahead.queue_id = str_from(writing.queue_id);
        for (uint64_t j = 0; j < count; j++)
            if (send_typed(cleanup, IPC_CLEANUP_RECIPIENTS, 0, &ahead, -1) == 0) sent++;
    }
    say(attack, "sent %llu", (unsigned long long)sent);
    buf_free(&rows);
    buf_free(&address);
}

/* ---- lookup */

static void attack_table(struct attack *attack) {
    struct ipc_lookup_match question = {.table = word(attack)};
    question.key = word(attack);
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = ask_master(attack, IPC_CONNECT, &wanted, false), descriptor;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    struct ipc_lookup_matched answer;
    struct ipc_failed failed;
    if (send_typed(lookup, IPC_LOOKUP_MATCH, 1, &question, -1) != 0 ||
        !raw_receive(lookup, 1, &packet, &type, &descriptor))
        say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (ipc_decode(buf_str(&packet), IPC_LOOKUP_MATCHED, &answer))
        say(attack, "%s %.*s", answer.found ? "found" : "absent", STR_ARGS(answer.value));
    close(lookup);
    buf_free(&packet);
}

/* The accounts at other servers, which are for smtp. */
static void attack_credentials(struct attack *attack) {
    struct ipc_lookup_credentials question = {.host = word(attack), .nexthop = STR("x"), .sender = STR_EMPTY};
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = ask_master(attack, IPC_CONNECT, &wanted, false), descriptor;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    struct ipc_lookup_credentials_given answer;
    struct ipc_failed failed;
    if (send_typed(lookup, IPC_LOOKUP_CREDENTIALS, 1, &question, -1) != 0 ||
        !raw_receive(lookup, 1, &packet, &type, &descriptor))
        say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (ipc_decode(buf_str(&packet), IPC_LOOKUP_CREDENTIALS_GIVEN, &answer))
        say(attack, "given %.*s", STR_ARGS(answer.password));
    close(lookup);
    buf_free(&packet);
}

/* Questions whose answers are never taken. */
static void attack_unread(struct attack *attack) {
    uint64_t count = number(attack), sent = 0;
    struct ipc_connect wanted = {.service = STR("lookup")};
    int lookup = ask_master(attack, IPC_CONNECT, &wanted, false);
    struct ipc_lookup_match question = {.table = STR("virtual_mailbox_maps"), .key = STR("anna@example.test")};
    keep(lookup);
    patience = 1000;
    while (sent < count && send_typed(lookup, IPC_LOOKUP_MATCH, (uint32_t)sent + 1, &question, -1) == 0)
        sent++;
    patience = 5000;
    say(attack, "asked %llu", (unsigned long long)sent);
}

/* ---- every type of message, to a service that does not serve it */

struct outcomes {
    unsigned answered, refused, lost;
};

static void count_outcome(struct outcomes *outcomes, int socket) {
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int descriptor = -1;
    if (!raw_receive(socket, 7, &packet, &type, &descriptor)) outcomes->lost++;
    else if (type == IPC_FAILED) outcomes->refused++;
    else outcomes->answered++;
    if (descriptor >= 0) close(descriptor);
    buf_free(&packet);
}

/* A whole message of the type with empty fields, and a header of the type before noise. */
static void attack_types(struct attack *attack) {
    struct ipc_connect wanted = {.service = word(attack)};
    struct outcomes empty = {0}, noise = {0};
    static char nothing[4096];
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        for (int with_noise = 0; with_noise < 2; with_noise++) {
            int socket = ask_master(attack, IPC_CONNECT, &wanted, false);
            struct buf packet = buf_make(0);
            if (socket < 0 || !ipc_encode(type, 7, nothing, &packet)) continue;
            if (with_noise) {
                buf_truncate(&packet, 8);
                buf_append(&packet, STR("\x40\0\0\0"));
                for (unsigned i = 0; i < 52; i++)
                    buf_append_char(&packet, (char)(i * 37 + type));
            }
            /* As the type wants it, with a descriptor or without. */
            raw_send(socket, buf_str(&packet), -1);
            bool carries = type == IPC_CONNECTED || type == IPC_CLEANUP_OPENED || type == IPC_DELIVER ||
                           type == IPC_BOUNCE_SEND || type == IPC_PICKUP_SUBMIT || type == IPC_LOCAL_WORK;
            if (carries) {
                close(socket);
                socket = ask_master(attack, IPC_CONNECT, &wanted, false);
                raw_send(socket, buf_str(&packet), (int)own_connection(attack));
            }
            /* Some are told and not asked: then the answer to this one counts, which nobody serves. */
            send_typed(socket, IPC_QMGR_FLUSH, 7, &(struct ipc_qmgr_flush){0}, -1);
            count_outcome(with_noise ? &noise : &empty, socket);
            close(socket);
            buf_free(&packet);
        }
    }
    say(attack, "empty answered %u refused %u lost %u", empty.answered, empty.refused, empty.lost);
    say(attack, "noise answered %u refused %u lost %u", noise.answered, noise.refused, noise.lost);
}

/* ---- keys: what it signs, gives and takes */

static int connect_keys(struct attack *attack) {
    struct ipc_connect wanted = {.service = STR("keys")};
    return ask_master(attack, IPC_CONNECT, &wanted, false);
}

/* "!chains side name": the names of the keys of each chain. */
static void attack_chains(struct attack *attack) {
    struct ipc_keys_chains question = {.side = number(attack)};
    struct ipc_keys_chains_given answer;
    struct ipc_certificate_chain row;
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int keys = connect_keys(attack), descriptor;
    size_t offset = 0;
    bool bad = false;
    question.server_name = word(attack);
    if (send_typed(keys, IPC_KEYS_CHAINS, 1, &question, -1) != 0 || !raw_receive(keys, 1, &packet, &type, &descriptor) ||
        type != IPC_KEYS_CHAINS_GIVEN || !ipc_decode(buf_str(&packet), type, &answer))
        say(attack, "refused");
    else
        while (ipc_list_next(answer.chains, IPC_ROW_CERTIFICATE_CHAIN, &offset, &row, &bad)) {
            buf_append(&attack->out, STR("key "));
            for (size_t i = 0; i < row.key.length; i++)
                buf_printf(&attack->out, "%02x", (unsigned char)row.key.data[i]);
            say(attack, "%s", str_find_str(row.pem, STR("PRIVATE KEY")) == STR_NONE ? "" : " with the private key");
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
        say(attack, "lost");
    else if (type == IPC_FAILED && ipc_decode(buf_str(&packet), type, &failed))
        say(attack, "refused %.*s", STR_ARGS(failed.text));
    else if (type == IPC_KEYS_SIGNED && ipc_decode(buf_str(&packet), type, &answer))
        say(attack, "signed %zu", answer.signature.length);
    buf_free(&packet);
}

/* "!sign key scheme content [times]": the answers of all but the last are not taken. */
static void attack_sign(struct attack *attack) {
    struct buf name = buf_make(0), content = buf_make(0);
    append_unhex(&name, word(attack));
    struct ipc_keys_sign question = {.key = buf_str(&name), .scheme = number(attack)};
    append_unhex(&content, word(attack));
    question.content = buf_str(&content);
    uint64_t times = number(attack);
    int keys = connect_keys(attack);
    uint32_t sent = 0;
    patience = 200;
    while (sent < times && send_typed(keys, IPC_KEYS_SIGN, sent + 1, &question, -1) == 0)
        sent++;
    patience = 5000;
    if (times > 1) {
        keep(keys);
        say(attack, "asked %u", sent);
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
        say(attack, "lost");
    else
        say(attack, "%s", str_find_str(buf_str(&packet), STR("attacker")) == STR_NONE ? "not taken" : "taken");
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
    append_unhex(&bytes, word(attack));
    say(attack, "log %s", write(INHERITED_LOG, bytes.data, bytes.length) > 0 ? "done" : strerrorname_np(errno));
    say(attack, "error %s", write(STDERR_FILENO, bytes.data, bytes.length) > 0 ? "done" : strerrorname_np(errno));
    buf_free(&bytes);
}

static void attack_hello(struct attack *attack) {
#ifdef TERN_SANITIZERS
    say(attack, "hijacked sanitized %d", (int)getpid());
#else
    say(attack, "hijacked plain %d", (int)getpid());
#endif
}

/* ---- the command */

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
};

bool __wrap_cmd_noop(struct session *session, struct str argument) {
    struct attack attack = {.session = session, .words = argument, .out = buf_make(0)};
    struct str name = word(&attack), line, rest;
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
