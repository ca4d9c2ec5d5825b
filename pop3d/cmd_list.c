/* STAT, LIST, UIDL: from the folder's own file, without opening a message whose size is known. */
#include "pop3.h"

#include <errno.h>

#include "log.h"

#define PIECE 32768

uint64_t pop3_message_size(struct pop3_session *session, uint32_t number) {
    struct failure ignored = {0};
    struct folder_message message;
    uint64_t size = 0;
    if (folder_virtual_size(session->folder, number, &size, &ignored)) return size;
    folder_message(session->folder, number, &message); /* the file is gone, or cannot be read */
    return message.size;
}

/* All sizes are had together; what goes wrong there goes wrong again below, message by message. */
static void measure(struct pop3_session *session) {
    struct failure ignored = {0};
    if (session->measured) return;
    (void)!folder_count_all(session->folder, &ignored);
    session->octets = 0;
    for (uint32_t number = 1; number <= session->count; number++)
        if (!session->deleted[number]) session->octets += pop3_message_size(session, number);
    session->measured = true;
}

bool pop3_take_message(struct pop3_session *session, struct str argument, uint32_t *number) {
    if (pop3_number(argument, session->count, number) && !session->deleted[*number]) return true;
    pop3_say(session, "-ERR No such message\r\n");
    return false;
}

void pop3_stat(struct pop3_session *session, const struct pop3_line *line) {
    (void)line;
    measure(session);
    pop3_say(session, "+OK %u %llu\r\n", session->count - session->deleted_count, (unsigned long long)session->octets);
}

/* One line about a message, "NUMBER WHAT". */
typedef void describe(struct pop3_session *session, uint32_t number, struct buf *text);

static void describe_size(struct pop3_session *session, uint32_t number, struct buf *text) {
    buf_append_u64(text, number);
    buf_append_char(text, ' ');
    buf_append_u64(text, pop3_message_size(session, number));
    buf_append(text, STR("\r\n"));
}

/* Without the saved ones clients would fetch again what has one. */
static bool read_saved(struct pop3_session *session) {
    if (session->saved_read) return true;
    session->saved_read =
        saved_uidls_read(store_directory(session->store), folder_uid_validity(session->folder), &session->saved);
    if (session->saved_read) return true;
    struct failure failure = {0};
    failure_set_errno(&failure, errno, "cannot read dovecot-uidlist");
    log_warning("%.*s: %s", STR_ARGS(session->settings->login), failure.text);
    pop3_say(session, "-ERR [%s] The unique IDs cannot be read\r\n", pop3_trouble(&failure));
    return false;
}

static void describe_uidl(struct pop3_session *session, uint32_t number, struct buf *text) {
    struct str format = session->settings->pop3_uidl_format;
    struct buf name = buf_make(0);
    uint32_t uid = folder_uid(session->folder, number);
    if (session->saved.count > 0 || pop3_uidl_wants_name(format)) folder_file_name(session->folder, number, &name);
    struct str saved = saved_uidls_find(&session->saved, uid, buf_str(&name));
    buf_append_u64(text, number);
    buf_append_char(text, ' ');
    if (saved.length > 0)
        pop3_uidl_append(STR("%f"), uid, 0, saved, text);
    else
        pop3_uidl_append(format, uid, folder_uid_validity(session->folder), buf_str(&name), text);
    buf_append(text, STR("\r\n"));
    buf_free(&name);
}

static void list(struct pop3_session *session, const struct pop3_line *line, describe *what) {
    struct buf text = buf_make(0);
    uint32_t number;
    if (line->count > 0) {
        if (!pop3_take_message(session, line->arguments[0], &number)) return;
        buf_append(&text, STR("+OK "));
        what(session, number, &text);
    } else {
        buf_printf(&text, "+OK %u messages\r\n", session->count - session->deleted_count);
        for (number = 1; number <= session->count && !session->connection_lost; number++) {
            if (!session->deleted[number]) what(session, number, &text);
            if (text.length < PIECE) continue;
            pop3_say_bytes(session, buf_str(&text));
            buf_clear(&text);
        }
        buf_append(&text, STR(".\r\n"));
    }
    pop3_say_bytes(session, buf_str(&text));
    buf_free(&text);
}

void pop3_list(struct pop3_session *session, const struct pop3_line *line) {
    list(session, line, describe_size);
}

void pop3_uidl(struct pop3_session *session, const struct pop3_line *line) {
    if (read_saved(session)) list(session, line, describe_uidl);
}
