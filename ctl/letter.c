/* A message that the sendmail command puts together and hands over. */
#include "address_list.h"
#include "header.h"
#include "sendmail.h"
#include "submit.h"
#include <errno.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

int letter_add_recipient(struct letter *letter, struct str address, struct str orcpt, unsigned notify,
                         struct failure *failure) {
    struct ipc_recipient row = {.address = address, .orcpt = orcpt, .notify = notify};
    if (ipc_list_add(IPC_ROW_RECIPIENT, &row, &letter->rows, &letter->recipient_count) && letter->rows.length < 150000)
        return EX_OK;
    failure_set(failure, "too many recipients, or one that is too long");
    return EX_DATAERR;
}

static int add_parsed(struct letter *letter, const struct mail_address *address, struct failure *failure) {
    if (mail_address_traits(address) & MAIL_ADDRESS_NON_ASCII) letter->smtputf8 = true;
    return letter_add_recipient(letter, mail_address_text(address), STR_EMPTY, letter->notify, failure);
}

/* What people write by hand and programs put together: "a@x <a@x>", "Ada [home] <a@x>", "Ada a@x", "a@x b@x". What
 * stands in brackets counts, or else each word with an @. */
static int add_by_words(struct letter *letter, struct str member, struct failure *failure) {
    unsigned flags = MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8;
    bool brackets = str_find(member, '<') != STR_NONE && str_find(member, '"') == STR_NONE, any = false;
    struct str rest = member, word, before;
    int status = EX_OK;
    while (status == EX_OK && (brackets ? str_cut(rest, '<', &before, &rest) && str_cut(rest, '>', &word, &rest)
                                        : str_next_word(&rest, " \t\r\n", &word))) {
        struct mail_address address;
        bool wanted = brackets || str_find(word, '@') != STR_NONE;
        if (wanted && mail_address_parse(word, flags, &address) != MAIL_ADDRESS_OK) {
            any = false;
            break;
        }
        if (wanted) status = add_parsed(letter, &address, failure);
        any = any || wanted;
    }
    if (any || status != EX_OK) return status;
    failure_set(failure, "not an address: %.*s", STR_ARGS(member));
    return EX_DATAERR;
}

int letter_add_recipients(struct letter *letter, struct str addresses, struct failure *failure) {
    struct address_list list;
    struct address_list_item item;
    int status = EX_OK;
    address_list_begin(&list, addresses, 0);
    for (enum address_list_result result;
         status == EX_OK && (result = address_list_next(&list, &item)) != ADDRESS_LIST_END;) {
        struct mail_address address;
        bool good = result == ADDRESS_LIST_ITEM &&
                    mail_address_from_parts(item.local, item.domain,
                                            MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8,
                                            &address) == MAIL_ADDRESS_OK;
        if (result == ADDRESS_LIST_TOO_MANY) {
            failure_set(failure, "too many recipients");
            status = EX_DATAERR;
        } else if (!good) {
            status = add_by_words(letter, item.source, failure);
        } else {
            status = add_parsed(letter, &address, failure);
        }
    }
    address_list_free(&list);
    return status;
}

/* Takes whole lines out of `line`, CR LF becoming LF. True at a lone dot. */
static bool take_lines(struct letter *letter, struct str bytes, struct buf *line) {
    while (bytes.length > 0) {
        size_t end = str_find(bytes, '\n');
        buf_append(line, str_slice(bytes, 0, end));
        if (end == STR_NONE) return false;
        bytes = str_from_offset(bytes, end + 1);
        if (line->length > 0 && line->data[line->length - 1] == '\r') buf_truncate(line, line->length - 1);
        if (!letter->dot_is_content && str_equal(buf_str(line), STR("."))) return true;
        buf_append(&letter->content, buf_str(line));
        buf_append_char(&letter->content, '\n');
        buf_clear(line);
    }
    return false;
}

int letter_read(struct letter *letter, struct failure *failure) {
    char bytes[65536];
    struct buf line = buf_make(0);
    bool end = false;
    ssize_t got = 0;
    while (!end && (got = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        end = take_lines(letter, str_make(bytes, (size_t)got), &line);
        if (buf_overflowed(&letter->content)) break;
    }
    if (line.length > 0 && !end) {
        buf_append(&letter->content, buf_str(&line));
        buf_append_char(&letter->content, '\n');
    }
    buf_free(&line);
    if (got < 0) {
        failure_set_errno(failure, errno, "cannot read the message");
        return EX_IOERR;
    }
    if (!buf_overflowed(&letter->content)) return EX_OK;
    failure_set(failure, "message size exceeds message_size_limit");
    return EX_DATAERR;
}

int letter_write_probe(struct letter *letter, struct failure *failure) {
    struct ipc_list rows = {buf_str(&letter->rows), letter->recipient_count};
    struct ipc_recipient row;
    struct mail_address address;
    struct buf to = buf_make(0);
    size_t offset = 0;
    bool bad = false;
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8;
    while (ipc_list_next(rows, IPC_ROW_RECIPIENT, &offset, &row, &bad)) {
        if (mail_address_from_internal(row.address, flags, &address) != MAIL_ADDRESS_OK) continue;
        if (to.length) buf_append(&to, STR(", "));
        mail_address_append_external(&to, &address);
    }
    buf_append(&letter->content, STR("Subject: probe\n"));
    if (to.length) header_append_folded(&letter->content, STR("To"), buf_str(&to));
    buf_append_char(&letter->content, '\n');
    buf_free(&to);
    if (!buf_overflowed(&letter->content)) return EX_OK;
    failure_set(failure, "message size exceeds message_size_limit");
    return EX_DATAERR;
}

/* ---- -t */

static bool is_recipient_field(struct str name, bool resent) {
    if (resent)
        return str_equal_nocase(name, STR("Resent-To")) || str_equal_nocase(name, STR("Resent-Cc")) ||
               str_equal_nocase(name, STR("Resent-Bcc"));
    return str_equal_nocase(name, STR("To")) || str_equal_nocase(name, STR("Cc")) || str_equal_nocase(name, STR("Bcc"));
}

static bool has_resent_fields(struct str message) {
    struct header_reader reader;
    struct header_field field;
    header_begin(&reader, message, 0);
    while (header_next(&reader, &field) == HEADER_FIELD)
        if (is_recipient_field(field.name, true)) return true;
    return false;
}

int letter_extract_recipients(struct letter *letter, struct failure *failure) {
    struct str message = buf_str(&letter->content);
    bool resent = has_resent_fields(message);
    struct header_reader reader;
    struct header_field field;
    struct buf kept = buf_make(0);
    int status = EX_OK;
    header_begin(&reader, message, 0);
    size_t before = 0;
    while (status == EX_OK && header_next(&reader, &field) == HEADER_FIELD) {
        before = reader.offset;
        if (is_recipient_field(field.name, resent)) status = letter_add_recipients(letter, field.value, failure);
        bool blind = str_equal_nocase(field.name, STR("Bcc")) || str_equal_nocase(field.name, STR("Resent-Bcc"));
        if (!blind) buf_append(&kept, field.raw);
    }
    if (status == EX_OK) {
        buf_append(&kept, str_from_offset(message, before));
        buf_free(&letter->content);
        letter->content = kept;
    } else {
        buf_free(&kept);
    }
    return status;
}

/* ---- handing over */

/* A memory file, sealed so that nobody alters it while pickup reads. */
static int make_content_file(const struct letter *letter, struct failure *failure) {
    int file = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct str left = buf_str(&letter->content);
    while (file >= 0 && left.length > 0) {
        ssize_t written = write(file, left.data, left.length);
        if (written <= 0) {
            failure_set_errno(failure, errno, "cannot hold the message in memory");
            close(file);
            return -1;
        }
        left = str_from_offset(left, (size_t)written);
    }
    if (file < 0)
        failure_set_errno(failure, errno, "cannot hold the message in memory");
    else if (fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        failure_set_errno(failure, errno, "cannot seal the message");
        close(file);
        return -1;
    }
    return file;
}

int letter_submit(struct letter *letter, struct failure *failure) {
    if (letter->recipient_count == 0) {
        failure_set(failure, "no recipients");
        return EX_USAGE;
    }
    int content = make_content_file(letter, failure);
    if (content < 0) return EX_TEMPFAIL;
    struct ipc_pickup_submit request = {.sender = letter->sender,
                                        .null_sender = letter->null_sender,
                                        .full_name = letter->full_name,
                                        .envelope_id = letter->envelope_id,
                                        .return_content = letter->return_content,
                                        .body = letter->body,
                                        .smtputf8 = letter->smtputf8,
                                        .require_tls = letter->require_tls,
                                        .content_length = letter->content.length,
                                        .recipients = {buf_str(&letter->rows), letter->recipient_count},
                                        .report = letter->report};
    enum submit_result result = submit_message(letter->config, &request, content, letter->queue_id, failure);
    close(content);
    switch (result) {
    case SUBMIT_OK:
        return EX_OK;
    case SUBMIT_RETRY:
        return EX_TEMPFAIL;
    case SUBMIT_REFUSED:
        return EX_DATAERR;
    case SUBMIT_NOT_PERMITTED:
        return EX_NOPERM;
    }
    return EX_SOFTWARE;
}
