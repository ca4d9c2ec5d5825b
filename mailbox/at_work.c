/* The sessions that are at work stand in a file of the data directory, a slot for each: written when one begins,
 * emptied when it is over. Whoever writes it holds it locked (handover.c). The rows are the turn and that of a listing,
 * but for the session's name: the whole number, and the end of the date at which its process began, for another process
 * may have the same number by then. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "log.h"

#define NAME_SIZE 41

/* When the process began, in the kernel's ticks, cut to 32 bits; field 22 of proc(5)'s stat. False: there is none. */
bool at_work_beginning(pid_t process, uint32_t *ticks) {
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

/* ---- slots */

static size_t free_slot(struct mailbox *mailbox) {
    size_t from = mailbox->slots_used_below;
    while (from < mailbox->slot_count && mailbox->slots[from])
        from++;
    mailbox->slots_used_below = from;
    if (from < mailbox->slot_count) return from;
    size_t count = mailbox->slot_count;
    mailbox->slot_count = count ? count * 2 : 64;
    mailbox->slots = memory_resize(mailbox->slots, mailbox->slot_count, 1);
    memset(mailbox->slots + count, 0, mailbox->slot_count - count);
    return count;
}

/* False: it is larger than any that auth admits. */
static bool make_slot(const struct live_session *session, char bytes[AT_WORK_SLOT]) {
    const struct account *account = &session->account;
    char name[NAME_SIZE];
    struct buf rows = buf_make(AT_WORK_SLOT - AT_WORK_HEAD);
    uint32_t count = 0;
    format_name(session->nonce, session->ticks, name);
    struct ipc_session_row row = {.login = account->login,
                                  .protocol = account->protocol,
                                  .client_address = account->client_address,
                                  .process = (uint64_t)session->process,
                                  .begun = (uint64_t)account->begun,
                                  .session = str_from(name)};
    bool good = ipc_list_add(IPC_ROW_SESSION_ROW, &row, &rows, &count) && !buf_overflowed(&rows);
    memset(bytes, 0, AT_WORK_SLOT);
    if (good) {
        bytes[0] = (char)(rows.length >> 8);
        bytes[1] = (char)rows.length;
        for (int i = 0; i < 4; i++)
            bytes[2 + i] = (char)(account->turn >> (24 - 8 * i));
        memcpy(bytes + AT_WORK_HEAD, rows.data, rows.length);
    }
    buf_free(&rows);
    return good;
}

static bool write_slot(const struct mailbox *mailbox, size_t slot, const char *bytes, size_t length) {
    return pwrite(mailbox->at_work, bytes, length, (off_t)(slot * AT_WORK_SLOT)) == (ssize_t)length;
}

void at_work_note(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    char bytes[AT_WORK_SLOT];
    if (mailbox->at_work < 0 || session->slot >= 0) return;
    if (session->ticks == 0 && !at_work_beginning(session->process, &session->ticks)) return; /* it has ended */
    size_t slot = free_slot(mailbox);
    if (make_slot(session, bytes) && write_slot(mailbox, slot, bytes, sizeof bytes)) {
        mailbox->slots[slot] = true;
        session->slot = (long)slot;
    } else if (!mailbox->complained) {
        mailbox->complained = true;
        log_warning("cannot write " AT_WORK_FILE
                    ": %s; a mailbox after this one will not know all sessions that are at work",
                    strerror(errno));
    }
}

void at_work_forget(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    static const char empty[2];
    if (session->slot < 0) return;
    /* One that cannot be emptied names a process that is gone when it is read. */
    bool ignored = mailbox->at_work >= 0 && write_slot(mailbox, (size_t)session->slot, empty, sizeof empty);
    (void)ignored;
    mailbox->slots[session->slot] = false;
    if ((size_t)session->slot < mailbox->slots_used_below) mailbox->slots_used_below = (size_t)session->slot;
    session->slot = -1;
}
