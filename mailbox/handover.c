/* handover: sessions at work outlive their forker, which a reload replaces, or which was killed: the next one lists
 * them, ends them and counts them, too.
 *
 * They stand in a file of the data directory, which its writer holds locked, a slot for each: written when one begins,
 * emptied when it is over. Who gets the lock has no predecessor any more, or one that drains, and takes over those
 * whose processes still live. The rows are those of a listing, but for the session's name: the whole number, and the
 * end of the date at which its process began, for another process may have the same number by then. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define FILE_NAME  "sessions-at-work"
#define FILE_LIMIT ((off_t)64 << 20)
#define NAME_SIZE  41
#define SLOT_SIZE  ((size_t)512) /* length of the row, two octets, 0: empty; and the row */

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

/* ---- slots */

static size_t free_slot(struct mailbox *mailbox) {
    for (size_t i = 0; i < mailbox->slot_count; i++)
        if (!mailbox->slots[i]) return i;
    size_t count = mailbox->slot_count;
    mailbox->slot_count = count ? count * 2 : 64;
    mailbox->slots = memory_resize(mailbox->slots, mailbox->slot_count, 1);
    memset(mailbox->slots + count, 0, mailbox->slot_count - count);
    return count;
}

/* False: it is larger than any that auth admits. */
static bool make_slot(const struct live_session *session, char bytes[SLOT_SIZE]) {
    const struct account *account = &session->account;
    char name[NAME_SIZE];
    struct buf rows = buf_make(SLOT_SIZE - 2);
    uint32_t count = 0;
    format_name(session->nonce, session->ticks, name);
    struct ipc_session_row row = {.login = account->login,
                                  .protocol = account->protocol,
                                  .client_address = account->client_address,
                                  .process = (uint64_t)session->process,
                                  .begun = (uint64_t)account->begun,
                                  .session = str_from(name)};
    bool good = ipc_list_add(IPC_ROW_SESSION_ROW, &row, &rows, &count) && !buf_overflowed(&rows);
    memset(bytes, 0, SLOT_SIZE);
    if (good) {
        bytes[0] = (char)(rows.length >> 8);
        bytes[1] = (char)rows.length;
        memcpy(bytes + 2, rows.data, rows.length);
    }
    buf_free(&rows);
    return good;
}

static bool write_slot(const struct mailbox *mailbox, size_t slot, const char *bytes, size_t length) {
    return pwrite(mailbox->at_work, bytes, length, (off_t)(slot * SLOT_SIZE)) == (ssize_t)length;
}

void handover_note(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    char bytes[SLOT_SIZE];
    if (mailbox->at_work < 0 || session->slot >= 0) return;
    if (session->ticks == 0 && !beginning_of(session->process, &session->ticks)) return; /* it has ended */
    size_t slot = free_slot(mailbox);
    if (make_slot(session, bytes) && write_slot(mailbox, slot, bytes, sizeof bytes)) {
        mailbox->slots[slot] = true;
        session->slot = (long)slot;
    } else if (!mailbox->complained) {
        mailbox->complained = true;
        log_warning("cannot write " FILE_NAME
                    ": %s; a mailbox after this one will not know all sessions that are at work",
                    strerror(errno));
    }
}

void handover_forget(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    static const char empty[2];
    if (session->slot < 0) return;
    /* One that cannot be emptied names a process that is gone when it is read. */
    bool ignored = mailbox->at_work >= 0 && write_slot(mailbox, (size_t)session->slot, empty, sizeof empty);
    (void)ignored;
    mailbox->slots[session->slot] = false;
    session->slot = -1;
}

void handover_give(struct mailbox *mailbox) {
    handover_take(mailbox); /* a reload right after the last one */
    mailbox->given = true;
    if (mailbox->at_work >= 0) close(mailbox->at_work);
    mailbox->at_work = -1;
}

/* ---- taking */

static bool is_ours(int file, off_t *size) {
    struct stat status;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077))
        return false;
    *size = status.st_size;
    return status.st_size <= FILE_LIMIT;
}

static bool is_known(const struct mailbox *mailbox, const uint8_t nonce[16]) {
    for (const struct live_session *session = mailbox->sessions; session; session = session->next)
        if (memcmp(session->nonce, nonce, sizeof session->nonce) == 0) return true;
    return false;
}

static void adopt(struct mailbox *mailbox, const struct ipc_session_row *row) {
    uint8_t nonce[16];
    uint32_t ticks, now;
    pid_t process = (pid_t)row->process;
    if (process <= 1 || !read_name(row->session, nonce, &ticks) || is_known(mailbox, nonce) ||
        !beginning_of(process, &now) || now != ticks)
        return;
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

static void read_slot(struct mailbox *mailbox, const char *bytes) {
    size_t length = (size_t)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
    struct ipc_session_row row;
    size_t offset = 0;
    bool bad = false;
    if (length == 0 || length > SLOT_SIZE - 2) return;
    struct ipc_list list = {.packed = str_make(bytes + 2, length), .count = 1};
    if (ipc_list_next(list, IPC_ROW_SESSION_ROW, &offset, &row, &bad)) adopt(mailbox, &row);
}

/* All of it is read before anything is written: that goes where it stood, or before. */
static void take_over(struct mailbox *mailbox, int file, off_t size) {
    size_t count = (size_t)size / SLOT_SIZE;
    char *slots = memory_allocate(count + 1, SLOT_SIZE);
    bool good = pread(file, slots, count * SLOT_SIZE, 0) == (ssize_t)(count * SLOT_SIZE);
    for (size_t i = 0; good && i < count; i++)
        read_slot(mailbox, slots + i * SLOT_SIZE);
    free(slots);
    mailbox->at_work = file;
    for (struct live_session *session = mailbox->sessions; session; session = session->next)
        if (!session->leaving) handover_note(session);
    size_t used = 0;
    for (size_t i = 0; i < mailbox->slot_count; i++)
        if (mailbox->slots[i]) used = i + 1;
    if (ftruncate(file, (off_t)(used * SLOT_SIZE)) < 0) log_warning("cannot cut " FILE_NAME ": %s", strerror(errno));
}

void handover_take(struct mailbox *mailbox) {
    struct buf path = buf_make(0);
    off_t size = 0;
    if (mailbox->given || mailbox->at_work >= 0) return;
    buf_printf(&path, "%.*s/" FILE_NAME, STR_ARGS(mailbox->config->data_directory));
    int file = open(buf_string(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file >= 0 && is_ours(file, &size) && flock(file, LOCK_EX | LOCK_NB) == 0 && is_ours(file, &size))
        take_over(mailbox, file, size);
    else if (file >= 0)
        close(file);
    buf_free(&path);
}
