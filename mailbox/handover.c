/* handover: sessions at work outlive their forker, which a reload replaces, or which was killed: the next one lists
 * them, ends them and counts them, too. Who gets the lock of their file (at_work.c) has no predecessor any more, or one
 * that drains, and takes over those whose processes still live. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define FILE_LIMIT ((off_t)64 << 20)

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

/* ---- taking */

static bool is_ours(int file, off_t *size) {
    struct stat status;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077))
        return false;
    *size = status.st_size;
    return status.st_size <= FILE_LIMIT;
}

/* One whose process is gone may have left its client idling, before there was anybody to tell. */
static void adopt(struct mailbox *mailbox, const struct ipc_session_row *row, uint32_t turn) {
    uint8_t nonce[16];
    uint32_t ticks, now;
    pid_t process = (pid_t)row->process;
    if (process <= 1 || !read_name(row->session, nonce, &ticks) || process_find(mailbox, nonce)) return;
    if (!at_work_beginning(process, &now) || now != ticks) {
        if (str_equal(row->protocol, STR("imap"))) idle_expect(mailbox, nonce, turn, true, IDLE_NO_SLOT);
        return;
    }
    struct account *account = MEMORY_NEW(struct account);
    account->arena = arena_create(4096);
    account->begun = (int64_t)row->begun;
    account->turn = turn;
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
    uint32_t turn = 0;
    if (length == 0 || length > AT_WORK_SLOT - AT_WORK_HEAD) return;
    for (int i = 2; i < 6; i++)
        turn = turn << 8 | (unsigned char)bytes[i];
    struct ipc_list list = {.packed = str_make(bytes + AT_WORK_HEAD, length), .count = 1};
    if (ipc_list_next(list, IPC_ROW_SESSION_ROW, &offset, &row, &bad)) adopt(mailbox, &row, turn);
}

/* All of it is read before anything is written: that goes where it stood, or before. */
static void take_over(struct mailbox *mailbox, int file, off_t size) {
    size_t count = (size_t)size / AT_WORK_SLOT;
    char *slots = memory_allocate(count + 1, AT_WORK_SLOT);
    bool good = pread(file, slots, count * AT_WORK_SLOT, 0) == (ssize_t)(count * AT_WORK_SLOT);
    for (size_t i = 0; good && i < count; i++)
        read_slot(mailbox, slots + i * AT_WORK_SLOT);
    free(slots);
    mailbox->at_work = file;
    idle_file_take(mailbox);
    for (struct live_session *session = mailbox->sessions; session; session = session->next)
        if (!session->leaving) at_work_note(session);
    size_t used = 0;
    for (size_t i = 0; i < mailbox->slot_count; i++)
        if (mailbox->slots[i]) used = i + 1;
    if (ftruncate(file, (off_t)(used * AT_WORK_SLOT)) < 0)
        log_warning("cannot cut " AT_WORK_FILE ": %s", strerror(errno));
}

void handover_take(struct mailbox *mailbox) {
    struct buf path = buf_make(0);
    off_t size = 0;
    if (mailbox->given || mailbox->at_work >= 0) return;
    buf_printf(&path, "%.*s/" AT_WORK_FILE, STR_ARGS(mailbox->config->data_directory));
    int file = open(buf_string(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file >= 0 && is_ours(file, &size) && flock(file, LOCK_EX | LOCK_NB) == 0 && is_ours(file, &size))
        take_over(mailbox, file, size);
    else if (file >= 0)
        close(file);
    buf_free(&path);
}

/* ---- giving */

void handover_give(struct mailbox *mailbox) {
    handover_take(mailbox); /* a reload right after the last one */
    mailbox->given = true;
    idle_file_give(mailbox);
    if (mailbox->at_work >= 0) close(mailbox->at_work);
    mailbox->at_work = -1;
}
