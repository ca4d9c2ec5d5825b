/* The states that are good stand in a file of the data directory, a row for each: which session has sealed it, and in
 * which turn. A successor of this process, after a reload or its death, knows by it which ones to expect. It is written
 * by whoever has the sessions at work (handover.c), and is of one boot: no client outlives that. */
#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define NAME      "sessions-idle"
#define ROW       ((size_t)24)     /* number, turn, check sum of both; or zeroes */
#define ROWS_MAX  ((size_t)400000) /* twice IDLE_MAX */
#define SUMMED    ((size_t)20)
#define HEAD_SIZE 23 /* of the boot's identity, and a line feed */

struct idle_file {
    int descriptor;
    bool complained;
    uint32_t count; /* rows that have been in use, the head not counted */
    uint32_t *free;
    size_t free_count, free_room;
};

static void put_number(uint32_t number, uint8_t bytes[4]) {
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t get_number(const uint8_t bytes[4]) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void set_free(struct idle_file *file, uint32_t slot) {
    if (file->free_count == file->free_room) {
        file->free_room = file->free_room ? 2 * file->free_room : 64;
        file->free = memory_resize(file->free, file->free_room, sizeof *file->free);
    }
    file->free[file->free_count++] = slot;
}

static bool write_row(struct idle_file *file, uint32_t slot, const uint8_t row[ROW]) {
    if (pwrite(file->descriptor, row, ROW, (off_t)((slot + 1) * ROW)) == (ssize_t)ROW) return true;
    if (!file->complained)
        log_warning("cannot write " NAME ": %s; a mailbox after this one will end clients that idle", strerror(errno));
    file->complained = true;
    return false;
}

uint32_t idle_file_add(struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn) {
    struct idle_file *file = mailbox->idle_file;
    uint8_t row[ROW];
    if (!file || (file->free_count == 0 && file->count >= ROWS_MAX)) return IDLE_NO_SLOT;
    uint32_t slot = file->free_count ? file->free[--file->free_count] : file->count++;
    memcpy(row, nonce, 16);
    put_number(turn, row + 16);
    put_number(crc32c(0, row, SUMMED), row + SUMMED);
    if (write_row(file, slot, row)) return slot;
    set_free(file, slot);
    return IDLE_NO_SLOT;
}

void idle_file_remove(struct mailbox *mailbox, uint32_t *slot) {
    static const uint8_t empty[ROW];
    struct idle_file *file = mailbox->idle_file;
    if (*slot == IDLE_NO_SLOT || !file) return;
    (void)write_row(file, *slot, empty);
    set_free(file, *slot);
    *slot = IDLE_NO_SLOT;
}

/* ---- a predecessor's */

static void make_head(const struct mailbox *mailbox, uint8_t head[ROW]) {
    memset(head, ' ', ROW - 1);
    head[ROW - 1] = '\n';
    memcpy(head, mailbox->boot, strnlen(mailbox->boot, HEAD_SIZE));
}

static bool is_own(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

static void take_row(struct mailbox *mailbox, const uint8_t row[ROW]) {
    struct idle_file *file = mailbox->idle_file;
    uint32_t slot = file->count++;
    if (get_number(row + SUMMED) != crc32c(0, row, SUMMED) || slot >= ROWS_MAX)
        set_free(file, slot);
    else
        idle_expect(mailbox, row, get_number(row + 16), false, slot);
}

/* False: they cannot be read, or the file cannot be begun. */
static bool take_rows(struct mailbox *mailbox) {
    uint8_t head[ROW], rows[ROW * 1000];
    struct idle_file *file = mailbox->idle_file;
    ssize_t got = pread(file->descriptor, rows, ROW, 0);
    make_head(mailbox, head);
    if (got < 0) return false;
    if (got != (ssize_t)ROW || memcmp(rows, head, ROW) != 0)
        return ftruncate(file->descriptor, 0) == 0 && pwrite(file->descriptor, head, ROW, 0) == (ssize_t)ROW;
    for (off_t at = (off_t)ROW; (got = pread(file->descriptor, rows, sizeof rows, at)) >= (ssize_t)ROW;) {
        size_t count = (size_t)got / ROW;
        for (size_t i = 0; i < count; i++)
            take_row(mailbox, rows + i * ROW);
        at += (off_t)(count * ROW);
    }
    return got >= 0;
}

static void add_known(struct mailbox *mailbox, struct idle_session *first) {
    for (struct idle_session *session = first; session; session = session->next)
        if (session->slot == IDLE_NO_SLOT && !session->kicked)
            session->slot = idle_file_add(mailbox, session->nonce, session->turn);
}

void idle_file_give(struct mailbox *mailbox) {
    struct idle_file *file = mailbox->idle_file;
    if (!file) return;
    close(file->descriptor);
    MEMORY_FREE(file->free);
    MEMORY_FREE(mailbox->idle_file);
}

/* Without it states are believed as often as they come. */
void idle_file_take(struct mailbox *mailbox) {
    struct buf path = buf_make(0);
    buf_printf(&path, "%.*s/" NAME, STR_ARGS(mailbox->config->data_directory));
    int descriptor = open(buf_string(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    bool good = descriptor >= 0 && is_own(descriptor);
    if (good) {
        mailbox->idle_file = MEMORY_NEW(struct idle_file);
        mailbox->idle_file->descriptor = descriptor;
        good = take_rows(mailbox);
    } else if (descriptor >= 0) {
        close(descriptor);
        errno = EPERM;
    }
    if (!good)
        log_warning("cannot use %s: %s: what sessions of idle clients have saved can be opened more than once",
                    buf_string(&path), strerror(errno));
    if (good) {
        add_known(mailbox, mailbox->idle);
        add_known(mailbox, mailbox->expected);
    } else {
        idle_file_give(mailbox);
    }
    buf_free(&path);
}
