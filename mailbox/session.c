/* The child: whoever's mailbox it is, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "become_user.h"
#include "log.h"
#include "mailbox.h"
#include "sandbox.h"
#include "task.h"

#define SESSION_FILES  200
#define SESSION_MEMORY ((rlim_t)2 << 30)

/* Character sets that mail comes in. A converter that is open keeps its code loaded; a session's filter forbids to
 * load code. */
static const char *const charsets[] = {
    "ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8", "ISO-8859-9",
    "ISO-8859-10", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16", "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1253",
    "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "KOI8-R", "KOI8-U", "GB2312", "GBK",
    "GB18030", "BIG5", "BIG5-HKSCS", "SHIFT_JIS", "EUC-JP", "ISO-2022-JP", "EUC-KR", "ISO-2022-KR", "TIS-620", "MACINTOSH",
    "IBM850", "IBM437", "UTF-16", "UTF-7",
};

void session_prepare(void) {
    /* The first HMAC of a process looks for its algorithms: not in each child. */
    static const uint8_t zero[32];
    uint8_t ignored_key[32];
    session_seal_key(zero, STR("nobody"), zero, STR_EMPTY, ignored_key);
    for (size_t i = 0; i < ARRAY_LENGTH(charsets); i++) {
        iconv_t ignored = iconv_open("UTF-8", charsets[i]); /* never closed */
        (void)ignored;
    }
}

/* The row of a session's file rights: beneath its mailbox. */
static const struct service_row session_row = {
    .program = "session", .user = "", .root = ROOT_QUEUE, .rights = RIGHT_FILES | RIGHT_MAP_FILES, .peers = "", .descriptors = SESSION_FILES};

static bool leave_forker(int control, const struct account *account, struct failure *failure) {
    loop_abandon();
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (dup2(control, INHERITED_CONTROL) < 0 || close_range(INHERITED_CONFIGURATION, ~0U, 0) < 0)
        return failure_set_errno(failure, errno, "cannot leave the forker's descriptors");
    bool imap = str_equal(account->protocol, STR("imap"));
    log_open(INHERITED_LOG, imap ? "imap" : "pop3");
    prctl(PR_SET_NAME, imap ? "imap-session" : "pop3-session", 0, 0, 0);
    umask(077);
    return true;
}

/* The directory of the mailbox is made, by its user, if it is not there. */
static int open_root(const struct account *account, struct failure *failure) {
    char path[1001];
    snprintf(path, sizeof path, "%.*s", STR_ARGS(account->root));
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EACCES && errno != EROFS && errno != EPERM) break;
        *slash = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        failure_set_errno(failure, errno, "cannot make %s", path);
        return -1;
    }
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) failure_set_errno(failure, errno, "cannot open %s", path);
    return root;
}

static bool set_limit(int resource, rlim_t value, struct failure *failure) {
    struct rlimit limit = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0 || failure_set_errno(failure, errno, "cannot set a limit");
}

static bool lock_in(const struct mailbox *mailbox, const struct account *account, struct failure *failure) {
    int root = open_root(account, failure);
    if (root < 0) return false;
    bool good = set_limit(RLIMIT_NOFILE, SESSION_FILES, failure) && set_limit(RLIMIT_CORE, 0, failure);
#ifndef TERN_SANITIZERS
    good = good && set_limit(RLIMIT_DATA, SESSION_MEMORY, failure);
#endif
    if (good && mailbox->config->sandbox) {
        good = (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || failure_set_errno(failure, errno, "cannot set no_new_privs")) &&
               landlock_restrict(&session_row, root, failure) && seccomp_install(&mailbox->filter, failure);
    }
    close(root);
    return good;
}

static void fill_settings(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16], struct str packed,
                          struct session_settings *settings) {
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
    };
    session_seal_key(mailbox->seal_master, account->login, nonce, packed, settings->seal);
    memcpy(settings->nonce, nonce, sizeof settings->nonce);
}

NO_RETURN void session_process(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16], int control,
                               struct str state) {
    struct failure failure = {0};
    struct session_settings settings;
    struct session_attachment attachment;
    struct arena *arena = arena_create(0);
    struct str kept = STR_EMPTY, prefix;
    struct buf account_text = buf_make(0);
    mailbox_pack_state(account, STR_EMPTY, &account_text);
    fill_settings(mailbox, account, nonce, buf_str(&account_text), &settings);
    bool good = arena_copy(arena, state, &kept) && arena_copy(arena, buf_str(&account_text), &prefix) &&
                leave_forker(control, account, &failure) && become_user(account->uid, account->gid, "", &failure) &&
                lock_in(mailbox, account, &failure);
    memory_wipe((void *)(uintptr_t)mailbox->seal_master, sizeof mailbox->seal_master);
    struct session_channel *channel = good ? session_channel_accept(INHERITED_CONTROL, kept, arena, &attachment, &failure) : NULL;
    if (!channel) {
        log_warning("no session for %.*s: %s", STR_ARGS(account->login), failure.text);
        _exit(1);
    }
    settings.state_prefix = prefix;
    if (str_equal(account->protocol, STR("imap")))
        imap_process(&settings, channel, &attachment);
    else
        pop3_process(&settings, channel, &attachment);
    session_channel_free(&channel);
    _exit(0);
}
