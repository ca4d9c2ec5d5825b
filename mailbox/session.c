/* The child: whoever's mailbox it is, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "become_user.h"
#include "charset.h"
#include "log.h"
#include "mailbox.h"
#include "sandbox.h"
#include "task.h"

#define SESSION_FILES  200
#define SESSION_MEMORY ((rlim_t)2 << 30)
#define WAITING_MEMORY ((size_t)8 << 20) /* what a process may have allocated that is to serve another session */
#define GROWN_FEW      ((size_t)1 << 20) /* octets by which its heap may be larger than before the first one */
#define FORKER         INHERITED_CONFIGURATION /* descriptor: mailbox's pair, after the fork */

void session_prepare(void) {
    /* The first HMAC of a process looks for its algorithms: not in each child. */
    static const uint8_t zero[32];
    uint8_t ignored_key[32];
    session_seal_key(zero, STR("nobody"), zero, STR_EMPTY, ignored_key);
    charset_load();
}

/* The row of a session's file rights: beneath its mailbox. */
static const struct service_row session_row = {.program = "session",
                                               .user = "",
                                               .root = ROOT_QUEUE,
                                               .rights = RIGHT_FILES | RIGHT_MAP_FILES | RIGHT_THREADS,
                                               .peers = "",
                                               .descriptors = SESSION_FILES};

static const char *process_name(const struct account *account, bool waits) {
    bool imap = str_equal(account->protocol, STR("imap"));
    return waits ? imap ? "imap-waits" : "pop3-waits" : imap ? "imap-session" : "pop3-session";
}

static bool leave_forker(int control, int forker, const struct account *account, struct failure *failure) {
    loop_abandon();
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    bool good = dup2(control, INHERITED_CONTROL) >= 0 && (forker < 0 || dup2(forker, FORKER) >= 0) &&
                close_range(forker < 0 ? FORKER : FORKER + 1, ~0U, 0) == 0;
    if (!good)
        return failure_set_errno(failure, errno, "cannot leave the forker's descriptors");
    log_open(INHERITED_LOG, str_equal(account->protocol, STR("imap")) ? "imap" : "pop3");
    prctl(PR_SET_NAME, process_name(account, false), 0, 0, 0);
    umask(077);
    return true;
}

/* Its directory, and those above it, by its user. */
static bool make_root(const char *root, struct failure *failure) {
    char path[1001];
    snprintf(path, sizeof path, "%s", root);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EACCES && errno != EROFS && errno != EPERM) break;
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST || failure_set_errno(failure, errno, "cannot make %s", path);
}

static int open_root(const struct account *account, struct failure *failure) {
    char path[1001];
    snprintf(path, sizeof path, "%.*s", STR_ARGS(account->root));
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 && errno == ENOENT) {
        if (!make_root(path, failure)) return -1;
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (root < 0) failure_set_errno(failure, errno, "cannot open %s", path);
    return root;
}

static bool lock_in(const struct mailbox *mailbox, const struct account *account, struct stat *place,
                    struct failure *failure) {
    int root = open_root(account, failure);
    if (root < 0) return false;
    bool good = (fstat(root, place) == 0 || failure_set_errno(failure, errno, "cannot look at the mailbox")) &&
                sandbox_set_limit(RLIMIT_NOFILE, SESSION_FILES, failure) && sandbox_set_limit(RLIMIT_CORE, 0, failure);
#ifndef TERN_SANITIZERS
    good = good && sandbox_set_limit(RLIMIT_DATA, SESSION_MEMORY, failure);
#endif
    if (good && mailbox->config->sandbox) {
        good = (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ||
                failure_set_errno(failure, errno, "cannot set no_new_privs")) &&
               landlock_restrict(&session_row, root, failure) && seccomp_install(&mailbox->filter, failure);
    }
    close(root);
    return good;
}

static unsigned read_threads(const struct config *config) {
    cpu_set_t set;
    int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return (unsigned)(config->mailbox_read_threads < processors ? config->mailbox_read_threads : processors);
}

static void fill_settings(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16],
                          struct str packed, struct session_settings *settings) {
    const struct config *config = mailbox->config;
    *settings = (struct session_settings){
        .protocol = account->protocol,
        .login = account->login,
        .root = account->root,
        .cache = account->cache,
        .host = config->myhostname,
        .boot = str_from(mailbox->boot),
        .client_address = account->client_address,
        .quota_storage = account->quota_storage,
        .quota_messages = account->quota_messages,
        .append_limit = (uint64_t)config->mail_append_limit,
        .auto_folders = config->mail_auto_folders,
        .idle_timeout = config->mail_idle_timeout * 1000,
        .line_limit = (unsigned)config->imap_max_line_length,
        .pop3_uidl_format = config->pop3_uidl_format,
        .pop3_login_delay = (unsigned)config->pop3_login_delay,
        .read_threads = read_threads(config),
    };
    session_seal_key(mailbox->seal_master, account->login, nonce, packed, settings->seal);
    memcpy(settings->nonce, nonce, sizeof settings->nonce);
}

/* What is of one session alone. */
struct one_session {
    struct arena *arena;
    struct session_settings settings;
    struct str state;
    int control;
};

static void end_one(struct one_session *one) {
    memory_wipe(&one->settings, sizeof one->settings);
    arena_destroy(&one->arena);
}

static bool serve_one(const struct account *account, struct one_session *one) {
    struct failure failure = {0};
    struct session_attachment attachment;
    struct session_channel *channel =
        session_channel_accept(one->control, one->state, one->arena, &attachment, &failure);
    if (!channel) {
        log_warning("no session for %.*s: %s", STR_ARGS(account->login), failure.text);
    } else if (str_equal(account->protocol, STR("imap"))) {
        imap_process(&one->settings, channel, &attachment);
    } else {
        pop3_process(&one->settings, channel, &attachment);
    }
    bool served = channel != NULL;
    session_channel_free(&channel);
    return served;
}

/* ---- another session */

#ifdef TERN_SANITIZERS
size_t __sanitizer_get_current_allocated_bytes(void); /* its header is not everywhere */
#endif

/* What a process was before its first session. */
struct beginning {
    struct stat place; /* where it is locked in */
    uintptr_t heap_end;
};

/* A process that has grown by what it served is not kept; what the allocator holds back it gives away. Most have not
 * grown, which costs nothing to see. */
static bool is_small(const struct beginning *beginning) {
#ifdef TERN_SANITIZERS
    (void)beginning;
    return __sanitizer_get_current_allocated_bytes() < WAITING_MEMORY;
#else
    if (memory_heap_end() <= beginning->heap_end + GROWN_FEW) return true;
    memory_give_back();
    struct mallinfo2 memory = mallinfo2();
    return memory.uordblks + memory.hblkhd <= WAITING_MEMORY;
#endif
}

/* Whether the mailbox is still where the process is locked in: its directory may be another one by now. */
static bool is_in_place(const struct account *account, const struct stat *place) {
    char path[1001];
    struct stat now;
    snprintf(path, sizeof path, "%.*s", STR_ARGS(account->root));
    return stat(path, &now) == 0 && now.st_dev == place->st_dev && now.st_ino == place->st_ino;
}

/* Nothing of a session is left but the log, and the pair. What cannot be served is left unread: mailbox finds it there
 * when the process has ended. */
static bool wait_for_next(struct ipc_socket *forker, const struct account *account, const struct beginning *beginning,
                          struct ipc_packet *packet) {
    struct ipc_session_free is_free = {.empty_ = {}};
    if (!is_small(beginning) || close_range(INHERITED_CONTROL, INHERITED_CONTROL, 0) < 0 ||
        close_range(FORKER + 1, ~0U, 0) < 0)
        return false;
    prctl(PR_SET_NAME, process_name(account, true), 0, 0, 0);
    if (ipc_socket_send(forker, IPC_SESSION_FREE, 0, &is_free, -1, deadline_in(0)) != IPC_TRANSFER_DONE ||
        task_wait_readable(forker->descriptor, DEADLINE_NEVER) != WAIT_READY ||
        !is_in_place(account, &beginning->place) || ipc_socket_receive(forker, packet) != IPC_TRANSFER_DONE ||
        packet->type != IPC_SESSION_NEXT)
        return false;
    prctl(PR_SET_NAME, process_name(account, false), 0, 0, 0);
    return true;
}

static bool take_next(const struct ipc_packet *packet, struct session_settings settings, struct one_session *one) {
    one->arena = arena_create(0);
    struct ipc_session_next *next = ipc_packet_decode(packet, one->arena);
    if (!next || next->nonce.length != sizeof settings.nonce || next->seal.length != sizeof settings.seal) return false;
    memcpy(settings.nonce, next->nonce.data, sizeof settings.nonce);
    memcpy(settings.seal, next->seal.data, sizeof settings.seal);
    memory_wipe((void *)(uintptr_t)next->seal.data, next->seal.length);
    settings.client_address = next->client_address;
    settings.quota_storage = next->quota_storage;
    settings.quota_messages = next->quota_messages;
    settings.state_prefix = next->account;
    one->settings = settings;
    one->state = next->state;
    one->control = packet->descriptor;
    return true;
}

/* ---- the process */

static bool begin_first(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16],
                        struct str state, struct one_session *one) {
    struct str prefix;
    struct buf text = buf_make(0);
    account_pack(account, &text);
    one->arena = arena_create(0);
    one->control = INHERITED_CONTROL;
    fill_settings(mailbox, account, nonce, buf_str(&text), &one->settings);
    bool good = arena_copy(one->arena, state, &one->state) && arena_copy(one->arena, buf_str(&text), &prefix);
    if (good) one->settings.state_prefix = prefix;
    buf_free(&text);
    return good;
}

NO_RETURN void session_process(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16],
                               int control, int forker, struct str state) {
    struct failure failure = {0};
    struct one_session one = {.arena = NULL};
    struct beginning beginning = {.heap_end = memory_heap_end()};
    bool good = begin_first(mailbox, account, nonce, state, &one) && leave_forker(control, forker, account, &failure) &&
                become_user(account->uid, account->gid, "", &failure) &&
                lock_in(mailbox, account, &beginning.place, &failure);
    memory_wipe((void *)(uintptr_t)mailbox->seal_master, sizeof mailbox->seal_master);
    if (!good) {
        log_warning("no session for %.*s: %s", STR_ARGS(account->login), failure.text);
        _exit(EXIT_UNSERVED);
    }
    struct session_settings shared = one.settings; /* what is the same for all sessions of the account */
    struct ipc_socket socket = {.descriptor = -1};
    struct ipc_packet packet = {.descriptor = -1};
    memory_wipe(shared.seal, sizeof shared.seal);
    if (forker >= 0) ipc_socket_open(&socket, FORKER);
    memory_keep_freed(SESSION_MEMORY_KEPT);
    for (;;) {
        good = serve_one(account, &one);
        end_one(&one);
        if (!good) _exit(EXIT_UNSERVED);
        if (forker < 0 || !wait_for_next(&socket, account, &beginning, &packet) || !take_next(&packet, shared, &one))
            _exit(0);
    }
}
