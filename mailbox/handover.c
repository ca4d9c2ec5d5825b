/* handover: sessions that a reload leaves at work are their new forker's, too: it lists them, ends them and counts
 * them.
 *
 * A mailbox that drains writes them down, in a file of the data directory that none but its own user can have made; its
 * successor takes them over and removes the file. The rows are those of a listing, but for the session's name: the
 * whole number, and the end of the date at which its process began, for another process may have the same number by
 * then. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define FILE_NAME  "sessions-at-work"
#define FILE_LIMIT ((off_t)64 << 20)
#define NAME_SIZE  41

static void path_of(const struct mailbox *mailbox, const char *end, struct buf *path) {
    buf_printf(path, "%.*s/" FILE_NAME "%s", STR_ARGS(mailbox->config->data_directory), end);
}

/* When the process began, in the kernel's ticks, cut to 32 bits; field 22 of proc(5)'s stat. False: there is none. */
static bool beginning_of(pid_t process, uint32_t *ticks) {
    char path[40], text[1024];
    uint64_t number;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text);
    if (file >= 0) close(file);
    const char *name_end = length > 0 ? memrchr(text, ')', (size_t)length) : NULL;
    if (!name_end) return false;
    struct str rest = str_make(name_end + 1, (size_t)(text + length - name_end - 1)), word = STR_EMPTY;
    for (int field = 3; field <= 22; field++)
        if (!str_next_word(&rest, " ", &word)) return false;
    if (!str_to_u64(word, UINT64_MAX, &number)) return false;
    *ticks = (uint32_t)number;
    return true;
}

static void format_name(const uint8_t nonce[16], uint32_t ticks, char name[NAME_SIZE]) {
    for (int i = 0; i < 16; i++)
        snprintf(name + 2 * i, 3, "%02x", nonce[i]);
    snprintf(name + 32, 9, "%08x", ticks);
}

static bool read_name(struct str name, uint8_t nonce[16], uint32_t *ticks) {
    uint8_t bytes[20] = {0};
    if (name.length != 40) return false;
    for (size_t i = 0; i < 40; i++) {
        const char *digit = name.data[i] ? strchr("0123456789abcdef", name.data[i]) : NULL;
        if (!digit) return false;
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | (digit - "0123456789abcdef"));
    }
    memcpy(nonce, bytes, 16);
    *ticks = (uint32_t)bytes[16] << 24 | (uint32_t)bytes[17] << 16 | (uint32_t)bytes[18] << 8 | bytes[19];
    return true;
}

/* ---- giving */

static void pack(const struct mailbox *mailbox, struct buf *rows) {
    uint32_t count = 0, ticks;
    char name[NAME_SIZE];
    for (const struct live_session *session = mailbox->sessions; session; session = session->next) {
        if (session->leaving || !beginning_of(session->process, &ticks)) continue;
        format_name(session->nonce, ticks, name);
        struct ipc_session_row row = {.login = session->account.login,
                                      .protocol = session->account.protocol,
                                      .client_address = session->account.client_address,
                                      .process = (uint64_t)session->process,
                                      .begun = (uint64_t)session->account.begun,
                                      .session = str_from(name)};
        if (!ipc_list_add(IPC_ROW_SESSION_ROW, &row, rows, &count))
            log_warning("tern who will not know the session of %.*s (process %d)", STR_ARGS(row.login),
                        (int)session->process);
    }
}

static bool write_rows(const char *made, const char *path, struct str rows) {
    int file = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return false;
    bool good = write(file, rows.data, rows.length) == (ssize_t)rows.length;
    close(file);
    return good && rename(made, path) == 0;
}

void handover_give(struct mailbox *mailbox) {
    struct buf rows = buf_make(0), path = buf_make(0), made = buf_make(0);
    handover_take(mailbox); /* a reload right after the last one */
    pack(mailbox, &rows);
    path_of(mailbox, "", &path);
    path_of(mailbox, ".new", &made);
    (void)unlink(buf_string(&made));
    if (rows.length > 0 && !write_rows(buf_string(&made), buf_string(&path), buf_str(&rows)))
        log_warning("cannot write %s: %s; tern who will not know the sessions that are at work", buf_string(&path),
                    strerror(errno));
    mailbox->given = true;
    buf_free(&rows);
    buf_free(&path);
    buf_free(&made);
}

/* ---- taking */

static bool is_ours(int file, off_t *size) {
    struct stat status;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077))
        return false;
    *size = status.st_size;
    return status.st_size <= FILE_LIMIT;
}

static bool read_rows(int file, off_t size, struct buf *rows) {
    char piece[16384];
    ssize_t got;
    while ((got = read(file, piece, sizeof piece)) > 0 && (off_t)rows->length <= size)
        buf_append_bytes(rows, piece, (size_t)got);
    return got == 0;
}

static void adopt(struct mailbox *mailbox, const struct ipc_session_row *row) {
    uint8_t nonce[16];
    uint32_t ticks, now;
    pid_t process = (pid_t)row->process;
    if (process <= 1 || !read_name(row->session, nonce, &ticks) || !beginning_of(process, &now) || now != ticks) return;
    struct account *account = MEMORY_NEW(struct account);
    account->arena = arena_create(4096);
    account->begun = (int64_t)row->begun;
    bool good = arena_copy(account->arena, row->protocol, &account->protocol) &&
                arena_copy(account->arena, row->login, &account->login) &&
                arena_copy(account->arena, row->client_address, &account->client_address);
    if (good)
        process_adopt(mailbox, &account, nonce, process);
    else
        account_free(&account);
}

void handover_take(struct mailbox *mailbox) {
    struct buf path = buf_make(0), rows = buf_make(0);
    off_t size = 0;
    if (mailbox->given) return;
    path_of(mailbox, "", &path);
    int file = open(buf_string(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0) {
        (void)unlink(buf_string(&path));
        if (is_ours(file, &size) && read_rows(file, size, &rows)) {
            struct ipc_list list = {.packed = buf_str(&rows), .count = UINT32_MAX};
            struct ipc_session_row row;
            size_t offset = 0;
            bool bad = false;
            while (ipc_list_next(list, IPC_ROW_SESSION_ROW, &offset, &row, &bad))
                adopt(mailbox, &row);
        }
        close(file);
    }
    buf_free(&path);
    buf_free(&rows);
}
