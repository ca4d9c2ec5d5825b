/* hijacked: see hijacked.h. */
#include "hijacked.h"

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

/* What an attack leaves open for the next one, until "release". */
int kept[KEPT_MAX];
size_t kept_count;

void attack_say(struct attack *attack, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&attack->out, format, arguments);
    va_end(arguments);
    buf_append_char(&attack->out, '\n');
}

struct str attack_word(struct attack *attack) {
    struct str taken = STR_EMPTY;
    if (!str_next_word(&attack->words, " ", &taken)) return STR_EMPTY;
    return taken;
}

uint64_t attack_number(struct attack *attack) {
    uint64_t value = 0;
    return str_to_u64(attack_word(attack), UINT32_MAX, &value) ? value : 0;
}

void attack_keep(int descriptor) {
    if (kept_count < KEPT_MAX)
        kept[kept_count++] = descriptor;
    else
        close(descriptor);
}

void append_repeated(struct buf *out, char byte, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_append_char(out, byte);
}

void attack_release(struct attack *attack) {
    attack_say(attack, "released %zu", kept_count);
    while (kept_count > 0)
        close(kept[--kept_count]);
}

/* ---- system calls that a front has no business with */

#define P(pointer) ((long)(uintptr_t)(pointer))

struct call {
    const char *name;
    bool deadly;    /* the filter ends the process */
    bool sanitizer; /* the sanitizers' run time needs it, so their build allows it */
    long number;
    long a[6];
};

static long own_connection(const struct attack *attack) {
    return attack->connection;
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
    static struct linger { int on, seconds; } linger = {1, 600};
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
        {"socket-bpf",
         0,
         0,
         SYS_setsockopt,
         {connection, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, P(&filter), sizeof filter}},
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
        attack_say(attack, "%s %s", call->name, result >= 0 ? "done" : strerrorname_np(errno));
    }
    for (size_t i = 0; only.length == 0 && i < ARRAY_LENGTH(calls); i++) {
#ifdef TERN_SANITIZERS
        if (calls[i].sanitizer) continue;
#endif
        if (calls[i].deadly) attack_say(attack, "%s deadly", calls[i].name);
    }
}

void attack_calls(struct attack *attack) {
    run_calls(attack, STR_EMPTY, (long)attack_number(attack));
}

void attack_call(struct attack *attack) {
    struct str name = attack_word(attack);
    run_calls(attack, name, (long)attack_number(attack));
}

/* What can be read of what is open; a writer's descriptor of a queue file among it. */
void attack_descriptors(struct attack *attack) {
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
        attack_say(attack, "%s %d%s", kind, descriptor, readable ? " readable" : "");
    }
}

/* ---- talking to other services */

/* How long a full socket is waited for, in ms. */
int patience = 5000;

int raw_send(int socket, struct str packet, int descriptor) {
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

int send_typed(int socket, enum ipc_type type, uint32_t serial, const void *message, int descriptor) {
    struct buf packet = buf_make(0);
    int result = ipc_encode(type, serial, message, &packet) ? raw_send(socket, buf_str(&packet), descriptor) : EMSGSIZE;
    buf_free(&packet);
    return result;
}

bool readable_within(int descriptor, int milliseconds) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    return poll(&wanted, 1, milliseconds) == 1;
}

/* A packet of that serial number; false when the connection ends or nothing comes. */
bool raw_receive(int socket, uint32_t serial, struct buf *packet, enum ipc_type *type, int *descriptor) {
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
int attack_ask_master(struct attack *attack, enum ipc_type type, const void *message, bool loud) {
    static uint32_t serial = 0x40000000;
    struct buf packet = buf_make(0);
    enum ipc_type answer;
    int descriptor = -1;
    serial++;
    if (send_typed(INHERITED_CONTROL, type, serial, message, -1) != 0 ||
        !raw_receive(INHERITED_CONTROL, serial, &packet, &answer, &descriptor)) {
        if (loud) attack_say(attack, "no answer");
    } else if (answer == IPC_FAILED) {
        struct ipc_failed failed = {0};
        if (loud && ipc_decode(buf_str(&packet), IPC_FAILED, &failed))
            attack_say(attack, "refused %.*s", STR_ARGS(failed.text));
    } else if (loud) {
        attack_say(attack, "%s", descriptor >= 0 ? "connected" : ipc_type_name(answer));
    }
    buf_free(&packet);
    return descriptor;
}

void attack_connect(struct attack *attack) {
    struct ipc_connect wanted = {.service = attack_word(attack)};
    int descriptor = attack_ask_master(attack, IPC_CONNECT, &wanted, true);
    if (descriptor >= 0) close(descriptor);
}

void attack_connect_path(struct attack *attack) {
    struct ipc_connect_path wanted = {.path = attack_word(attack)};
    int descriptor = attack_ask_master(attack, IPC_CONNECT_PATH, &wanted, true);
    if (descriptor >= 0) close(descriptor);
}

void append_unhex(struct buf *out, struct str text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < text.length; i += 2) {
        const char *high = memchr(digits, text.data[i], 16), *low = memchr(digits, text.data[i + 1], 16);
        if (high && low) buf_append_char(out, (char)((high - digits) * 16 + (low - digits)));
    }
}

/* ---- every type of message, to a service that does not serve it */

struct outcomes {
    unsigned answered, refused, lost;
};

static void count_outcome(struct outcomes *outcomes, int socket) {
    struct buf packet = buf_make(0);
    enum ipc_type type;
    int descriptor = -1;
    if (!raw_receive(socket, 7, &packet, &type, &descriptor))
        outcomes->lost++;
    else if (type == IPC_FAILED)
        outcomes->refused++;
    else
        outcomes->answered++;
    if (descriptor >= 0) close(descriptor);
    buf_free(&packet);
}

/* A whole message of the type with empty fields, and a header of the type before noise. */
void attack_types(struct attack *attack) {
    struct ipc_connect wanted = {.service = attack_word(attack)};
    struct outcomes empty = {0}, noise = {0};
    static char nothing[4096];
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        for (int with_noise = 0; with_noise < 2; with_noise++) {
            int socket = attack_ask_master(attack, IPC_CONNECT, &wanted, false);
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
                socket = attack_ask_master(attack, IPC_CONNECT, &wanted, false);
                raw_send(socket, buf_str(&packet), attack->connection);
            }
            /* Some are told and not asked: then the answer to this one counts, which nobody serves. */
            send_typed(socket, IPC_QMGR_FLUSH, 7, &(struct ipc_qmgr_flush){0}, -1);
            count_outcome(with_noise ? &noise : &empty, socket);
            close(socket);
            buf_free(&packet);
        }
    }
    attack_say(attack, "empty answered %u refused %u lost %u", empty.answered, empty.refused, empty.lost);
    attack_say(attack, "noise answered %u refused %u lost %u", noise.answered, noise.refused, noise.lost);
}

void attack_hello(struct attack *attack) {
#ifdef TERN_SANITIZERS
    attack_say(attack, "hijacked sanitized %d", (int)getpid());
#else
    attack_say(attack, "hijacked plain %d", (int)getpid());
#endif
}
